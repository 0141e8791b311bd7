//! The place an upload is for: what is there, and what speaks against writing to it.

use super::entry::{etag_of, modified_of};
use crate::http::conditional::{self, Validators, Verdict};
use crate::http::etag::Etag;
use crate::http::{HttpError, Known, RequestHead, Status};
use crate::sys::fs::{Kind, Root};
use rustix::io::Errno;
use std::io;

/// Where a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder, relative to the root, without slashes around it.
    pub folder: Vec<u8>,
    /// The name in it.
    pub name: Vec<u8>,
}

impl Place {
    /// The path relative to the root.
    pub fn path(&self) -> Vec<u8> {
        match self.folder.as_slice() {
            b"" => self.name.clone(),
            folder => [folder, b"/", &self.name].concat(),
        }
    }
}

/// Evaluates `If-Match` and its like against what is there now (RFC 9110 §13.1).
///
/// # Errors
/// 412.
pub fn check_conditions(root: &Root, place: &Place, head: &RequestHead) -> Result<(), HttpError> {
    const CONDITIONS: [Known; 3] = [Known::IfMatch, Known::IfNoneMatch, Known::IfUnmodifiedSince];
    if CONDITIONS.iter().all(|name| head.get(*name).is_none()) {
        return Ok(());
    }
    let current = root.probe(&place.path()).ok().filter(|meta| meta.kind == Kind::File);
    let etag = current.as_ref().map(etag_of);
    // A client that was given the compressed variant knows that one's tag; it is the same file.
    let tags = [etag, etag.map(|tag| tag.with_suffix("gz"))];
    let verdict = |tag: Option<Etag>| {
        let validators = tag
            .as_ref()
            .zip(current)
            .map(|(tag, meta)| Validators { etag: tag.as_bytes(), modified: modified_of(&meta) });
        conditional::evaluate(head, validators.as_ref())
    };
    let mut verdicts = tags.into_iter().map(verdict);
    let met = match head.get(Known::IfMatch) {
        Some(_) => verdicts.any(|verdict| verdict == Verdict::Proceed),
        None => verdicts.all(|verdict| verdict == Verdict::Proceed),
    };
    if met {
        return Ok(());
    }
    Err(HttpError::new(Status::PRECONDITION_FAILED, "what is there does not meet the conditions"))
}

/// What an error of the file system means to who wants to write.
pub fn in_the_way(error: &io::Error) -> HttpError {
    let errno = Errno::from_io_error(error);
    let status = match errno {
        // RFC 4918 §9.7.1: it is the folder that is missing, not the file.
        Some(Errno::NOENT) => {
            return conflict(
                "its folder is not there; `upload = { mkdir = true }` makes folders",
                NO_FOLDER,
            );
        }
        Some(Errno::NOTDIR) => {
            return conflict(
                "a part of its path is a file",
                "A part of the address is a file, not a folder.",
            );
        }
        Some(Errno::LOOP | Errno::XDEV) => {
            let why = "an upload: a link on its path leads out of the folder, or is not followed";
            return HttpError::new(Status::FORBIDDEN, why);
        }
        Some(Errno::NOSPC | Errno::DQUOT) => Status::INSUFFICIENT_STORAGE,
        Some(Errno::FBIG) => Status::CONTENT_TOO_LARGE,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Status::FORBIDDEN,
        Some(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => Status::CONFLICT,
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ) => Status::BAD_REQUEST,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Status::SERVICE_UNAVAILABLE,
        _ => Status::INTERNAL_SERVER_ERROR,
    };
    HttpError::new(status, format!("an upload: {error}"))
}

/// 409. `advice` is what the client is told.
pub fn conflict(reason: &'static str, advice: &'static str) -> HttpError {
    HttpError::new(Status::CONFLICT, reason).with_advice(advice)
}

/// What the client is told where the folder of a file is missing.
const NO_FOLDER: &str = "The folder for this file is not there. The server makes folders only where \
                         its configuration says so: upload = { mkdir = true }.";

/// What the client is told where a name is taken.
pub const KEPT: &str = "A file of that name is here already, and it is kept.";
