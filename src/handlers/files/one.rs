//! A single file, named by the program and not by the client: no folder, no cache.

use super::entry::{Entry, Recipe, Source};
use super::media::MediaTable;
use super::{Boundaries, in_trouble, resolve, respond};
use crate::conf;
use crate::http::{HttpError, RequestHead, Status};
use crate::serve::Response;
use crate::sys::file;
use crate::sys::fs::{Kind, Meta};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is wanted of a file.
pub struct OneFile<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Its type; otherwise the one its name has.
    pub media_type: Option<&'a str>,
    /// Who asks, and whether for a part of it or only if it has changed; without, it is all of it.
    pub head: Option<&'a RequestHead>,
    /// The wall clock in Unix seconds.
    pub now: u64,
}

impl OneFile<'_> {
    /// The answer: all of the file, a part of it, or that it is still the same.
    ///
    /// # Errors
    /// 404 where there is no such file, 403 where it may not be read, 412 and 416 as for files of
    /// folders.
    pub fn respond(&self) -> Result<Response, HttpError> {
        let trouble = |error: std::io::Error| {
            let status = match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidFilename
                | ErrorKind::InvalidInput => Status::NOT_FOUND,
                _ if resolve::is_forbidden(&error) => Status::FORBIDDEN,
                _ => return in_trouble(error),
            };
            HttpError::new(status, format!("{}: {error}", self.path.display()))
        };
        let file = file::open(self.path).map_err(trouble)?;
        let meta = Meta::of(&file).map_err(trouble)?;
        if meta.kind != Kind::File {
            return Err(HttpError::new(Status::NOT_FOUND, "not a file"));
        }
        let path = self.path.as_os_str().as_bytes();
        let media_type = match self.media_type {
            Some(own) => own.into(),
            None => MediaTable::new(&conf::Media::default()).of_path(path),
        };
        let recipe = Recipe { cache_control: None, gzip: false, gzip_min: 0 };
        let source = Source {
            path,
            file: (file, meta),
            certain: false,
            by_accept: false,
            media_type,
            before: None,
            now: self.now,
        };
        let entry = Entry::new(source, &recipe).map_err(trouble)?;
        let answer = match self.head {
            Some(head) => respond::respond(&entry, head, || Boundaries::default().next())?,
            None => None,
        };
        Ok(answer.unwrap_or_else(|| entry.plain.ok()))
    }
}
