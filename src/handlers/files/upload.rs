//! Whether a request may write, and where to.
//!
//! Everything that can be refused is refused here, before a byte of the body is asked for; then
//! `store` takes over. What depends on the state of the folder is asked again at the end, there.

use super::cache::Cache;
use super::origin::refuse_other_sites;
use super::place::{KEPT, Place, check_conditions, conflict, in_the_way};
use super::resolve::is_hidden;
use super::store::{Store, Taken};
use crate::conf::{Overwrite, Upload};
use crate::event::Cx;
use crate::http::{BodyLength, HttpError, Known, Method, Status, escape, target};
use crate::serve::{Plan, Request, Response};
use crate::sys::fs::{Draft, Folder, Kind, Root};
use percent_encoding::percent_decode;
use rustix::io::Errno;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::rc::Rc;

/// Where uploads go, and what is allowed.
pub struct Target {
    /// The folder.
    pub root: Rc<Root>,
    /// What the route allows.
    pub rules: Rc<Upload>,
    /// Whether names may begin with a dot.
    pub hidden: bool,
    /// What to tell that a file has changed.
    pub cache: Rc<RefCell<Cache>>,
}

/// As the kernel has it.
const NAME_MAX: usize = 255;

impl Target {
    /// Begins PUT or POST, does DELETE.
    ///
    /// # Errors
    /// Whatever speaks against it.
    pub fn begin(&self, request: &Request, cx: &Cx) -> Result<Plan, HttpError> {
        refuse_other_sites(&request.head)?;
        match request.head.method() {
            Method::Delete => self.delete(request).map(Plan::Respond),
            _ => self.write(request, cx),
        }
    }

    fn delete(&self, request: &Request) -> Result<Response, HttpError> {
        let rest = request.rest();
        let path = rest.strip_suffix(b"/").unwrap_or(rest);
        if path.is_empty() {
            return Err(not_deleted());
        }
        let place = self.place_of(path)?;
        let folder = self.root.folder(&place.folder).map_err(|error| not_there(&error))?;
        match folder.look(&place.name).map_err(|error| not_there(&error))?.kind {
            Kind::Folder => return Err(not_deleted()),
            // A file has no slash behind it, not even to be deleted.
            _ if path != rest => return Err(not_there(&Errno::NOTDIR.into())),
            Kind::File | Kind::Link | Kind::Other => {}
        }
        check_conditions(&self.root, &place, &request.head)?;
        folder.remove(&place.name).map_err(|error| not_there(&error))?;
        self.cache.borrow_mut().forget_file(&place.path());
        Ok(Response::new(Status::NO_CONTENT))
    }

    fn write(&self, request: &Request, cx: &Cx) -> Result<Plan, HttpError> {
        let head = &request.head;
        let is_post = head.method() == Method::Post;
        self.check_body(request)?;
        let into_folder = request.rest().is_empty() || request.path().ends_with(b"/");
        let (place, generated) = match is_post && into_folder {
            true => self.new_place(request, cx)?,
            false => (self.named_place(request)?, false),
        };
        let conditional = head.get(Known::IfNoneMatch).is_some_and(|value| value == b"*");
        let folder = self.root.folder(&place.folder);
        let existing = folder.as_ref().ok().and_then(|folder| folder.look(&place.name).ok());
        if existing.is_some_and(|meta| meta.kind == Kind::Folder) {
            return Err(conflict("a folder has that name", "A folder has that name."));
        }
        check_conditions(&self.root, &place, head)?;
        let taken = match self.rules.overwrite {
            _ if generated => Taken::Rename,
            _ if conditional => Taken::Refuse,
            Overwrite::Replace => Taken::Replace,
            Overwrite::Rename if is_post => Taken::Rename,
            Overwrite::Rename | Overwrite::Refuse => Taken::Refuse,
        };
        if existing.is_some() && taken == Taken::Refuse {
            return Err(conflict("there is a file of that name, and `overwrite` keeps it", KEPT));
        }
        let draft = self.draft(folder, &place)?;
        let store = Store {
            root: Rc::clone(&self.root),
            cache: Rc::clone(&self.cache),
            draft,
            place,
            taken,
            makes_folders: self.rules.mkdir,
            base: is_post.then(|| base(request, into_folder)),
        };
        Ok(Plan::exchange("the upload", store))
    }

    fn check_body(&self, request: &Request) -> Result<(), HttpError> {
        let head = &request.head;
        if head.get(Known::ContentRange).is_some() {
            // Taken for a whole file it would destroy the rest (RFC 9110 §14.5).
            return Err(HttpError::new(Status::BAD_REQUEST, "parts of a file are not taken")
                .with_advice("Parts of files are not taken: send all of it."));
        }
        if request.body_length == BodyLength::None {
            return Err(HttpError::new(Status::LENGTH_REQUIRED, "an upload without length"));
        }
        let media_type = head.get(Known::ContentType).unwrap_or_default();
        let is_form = media_type.get(..10).is_some_and(|t| t.eq_ignore_ascii_case(b"multipart/"));
        if head.method() == Method::Post && is_form {
            // Stored as it is it would be a file with the form's lines around it.
            return Err(HttpError::new(Status::UNSUPPORTED_MEDIA_TYPE, "an HTML form's upload")
                .with_advice("Forms are not taken here: send the file itself as the body."));
        }
        request.check_length(self.rules.max)
    }

    /// The place that the path names.
    fn named_place(&self, request: &Request) -> Result<Place, HttpError> {
        let rest = request.rest();
        if rest.is_empty() || rest.ends_with(b"/") {
            let advice = "The address names a folder. The name of the file has to be behind it.";
            return Err(conflict("a folder, where a file's name is needed", advice));
        }
        self.place_of(rest)
    }

    fn place_of(&self, rest: &[u8]) -> Result<Place, HttpError> {
        let slash = memchr::memrchr(b'/', rest);
        let (folder, name) = rest.split_at(slash.unwrap_or(0));
        let name = name.strip_prefix(b"/").unwrap_or(name);
        self.place(folder, name.to_vec())
    }

    /// A place in the folder that the path names: `?name=`, or a name of our own. And whether it
    /// is of our own.
    fn new_place(&self, request: &Request, cx: &Cx) -> Result<(Place, bool), HttpError> {
        let rest = request.rest();
        let folder = rest.strip_suffix(b"/").unwrap_or(rest);
        let query = request.query().unwrap_or_default();
        let wanted = query.split(|b| *b == b'&').find_map(|pair| pair.strip_prefix(b"name="));
        let (name, generated) = match wanted {
            Some(name) => (percent_decode(name).collect(), false),
            None => (generated_name(request, cx), true),
        };
        Ok((self.place(folder, name)?, generated))
    }

    fn place(&self, folder: &[u8], name: Vec<u8>) -> Result<Place, HttpError> {
        let bad = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'/' | b'\\');
        if name.is_empty() || name.len() > NAME_MAX || name.iter().any(bad) {
            return Err(HttpError::new(Status::BAD_REQUEST, "not a name for a file")
                .with_advice("This is not a name for a file."));
        }
        let place = Place { folder: folder.to_vec(), name };
        let leads_away = matches!(place.name.as_slice(), b"." | b"..");
        if leads_away || (!self.hidden && is_hidden(&place.path())) {
            return Err(HttpError::new(Status::FORBIDDEN, "a name that begins with a dot"));
        }
        Ok(place)
    }

    /// A draft in the folder, or in the nearest one above it that is there: folders are made when
    /// the file is complete, so that an upload that fails leaves none behind.
    fn draft(&self, folder: io::Result<Folder>, place: &Place) -> Result<Draft, HttpError> {
        let mut folder = folder;
        let mut above = place.folder.as_slice();
        for _ in 0..=crate::sys::fs::DEPTH_MAX {
            match folder {
                Ok(folder) => return folder.draft().map_err(|error| in_the_way(&error)),
                Err(error)
                    if !self.rules.mkdir || Errno::from_io_error(&error) != Some(Errno::NOENT) =>
                {
                    return Err(in_the_way(&error));
                }
                Err(_) => above = parent(above),
            }
            folder = self.root.folder(above);
        }
        let advice = "Too many folders would have to be made for this file.";
        Err(conflict("too many folders would have to be made", advice))
    }
}

/// 409 for DELETE of a folder.
fn not_deleted() -> HttpError {
    conflict(
        "a folder, and only files are deleted",
        "This is a folder: only files are deleted here.",
    )
}

/// What an error of the file system means to DELETE: what is not there is no conflict.
fn not_there(error: &io::Error) -> HttpError {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => HttpError::new(Status::NOT_FOUND, "no such file"),
        _ => in_the_way(error),
    }
}

/// The folder above; that of a name alone is the root, `""`.
fn parent(path: &[u8]) -> &[u8] {
    path.split_at(memchr::memrchr(b'/', path).unwrap_or(0)).0
}

/// The folder that the URL leads to or names a file of, spelt as it was sent, with a slash at its end.
fn base(request: &Request, into_folder: bool) -> Vec<u8> {
    let mut segments: Vec<_> = target::segments(request.sent_path()).collect();
    if !into_folder {
        segments.pop();
    }
    let mut base = b"/".to_vec();
    for segment in segments {
        escape::sent(segment, &mut base);
        base.push(b'/');
    }
    base
}

/// `upload-1700000000-0123abcd.png`: when, something nobody else gets, and the usual extension of
/// the type.
fn generated_name(request: &Request, cx: &Cx) -> Vec<u8> {
    let random = RandomState::new().build_hasher().finish() as u32;
    let media_type = request.head.get(Known::ContentType).and_then(|t| std::str::from_utf8(t).ok());
    let extension = media_type
        .and_then(|text| mime_guess::get_mime_extensions_str(text.split(';').next()?.trim()))
        .and_then(|all| all.first())
        .map_or(String::new(), |extension| format!(".{extension}"));
    format!("upload-{}-{random:08x}{extension}", cx.clock.unix()).into_bytes()
}
