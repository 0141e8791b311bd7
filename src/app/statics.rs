//! Files that are part of the program.

use crate::conf;
use crate::handlers::files::MediaTable;
use crate::http::conditional::{self, Validators, Verdict};
use crate::http::{HttpError, RequestHead, Status};
use crate::net::Bytes;
use crate::serve::{Body, Response};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// Embedded files by name.
pub(super) struct Embedded(pub(super) Vec<(&'static str, Asset)>);

pub(super) struct Asset {
    bytes: &'static [u8],
    content_type: Rc<str>,
    etag: String,
}

impl Embedded {
    pub(super) fn new(files: &'static [(&'static str, &'static [u8])]) -> Self {
        let media = MediaTable::new(&conf::Media::default());
        let asset = |(name, bytes): &(&'static str, &'static [u8])| {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let etag = format!("\"{:016x}\"", hasher.finish());
            (*name, Asset { bytes, content_type: media.of_path(name.as_bytes()), etag })
        };
        Self(files.iter().map(asset).collect())
    }

    /// The answer to a GET or HEAD for the file of that name.
    pub(super) fn respond(&self, name: &str, head: &RequestHead) -> Result<Response, HttpError> {
        let (_, asset) =
            self.0.iter().find(|(own, _)| *own == name).ok_or_else(|| {
                HttpError::new(Status::NOT_FOUND, "no embedded file has this name")
            })?;
        // Only the tag counts: when the program was built, nobody asks.
        let validators = Validators { etag: asset.etag.as_bytes(), modified: None };
        let status = match conditional::evaluate(head, Some(&validators)) {
            Verdict::Proceed => Status::OK,
            Verdict::NotModified => Status::NOT_MODIFIED,
            Verdict::PreconditionFailed => {
                return Err(HttpError::new(
                    Status::PRECONDITION_FAILED,
                    "the file does not meet the conditions",
                ));
            }
        };
        let mut response = Response::new(status)
            .with_header("Content-Type", asset.content_type.as_bytes())
            .with_header("ETag", asset.etag.as_bytes())
            // It changes when the program does; asking costs a round trip and no bytes.
            .with_header("Cache-Control", b"no-cache");
        if status == Status::OK {
            response.body = Body::Bytes(Bytes::Static(asset.bytes));
        }
        Ok(response)
    }
}
