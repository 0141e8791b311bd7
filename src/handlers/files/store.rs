//! An upload on its way to the disk.
//!
//! It is written to a file that nobody sees and gets its name when it is complete. Whatever ends it
//! earlier drops the draft, and the draft leaves nothing behind.

use super::cache::Cache;
use super::entry::etag_of;
use super::place::{KEPT, Place, check_conditions, conflict, in_the_way};
use crate::event::Cx;
use crate::http::{HttpError, Known, Status, escape};
use crate::serve::{Exchange, ExchangeIo, Request, Response, Step};
use crate::sys::fs::{Draft, Folder, Meta, Root};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Put the new file in its place.
    Replace,
    /// Refuse the new file.
    Refuse,
    /// Find another name.
    Rename,
}

/// The exchange of PUT and POST.
pub struct Store {
    /// Where files lie.
    pub root: Rc<Root>,
    /// What to tell that a file has changed.
    pub cache: Rc<RefCell<Cache>>,
    /// What has been written so far.
    pub draft: Draft,
    /// Where it goes.
    pub place: Place,
    /// What to do when something is there.
    pub taken: Taken,
    /// Whether missing folders are made.
    pub makes_folders: bool,
    /// For POST, the folder's path in the URL, encoded: the answer says where the file is.
    pub base: Option<Vec<u8>>,
}

/// Names tried before giving up.
const RENAMES_MAX: u32 = 1000;

impl Exchange for Store {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, _cx: &mut Cx) -> Result<Step, HttpError> {
        // Bounded by the receive buffer: one chunk.
        loop {
            let piece = io.body.peek()?;
            let written = piece.len();
            if written == 0 {
                break;
            }
            self.draft.file().write_all(piece).map_err(|error| in_the_way(&error))?;
            io.body.consume(written);
        }
        match io.body.is_finished() {
            true => self.publish(io.request).map(Step::Respond),
            false => Ok(Step::Wait(io.body.until_more())),
        }
    }
}

impl Store {
    fn publish(&mut self, request: &Request) -> Result<Response, HttpError> {
        // The state may have changed since the upload began.
        check_conditions(&self.root, &self.place, &request.head)?;
        let folder = match self.makes_folders {
            true => self.root.make_folders(&self.place.folder),
            false => self.root.folder(&self.place.folder),
        };
        let folder = folder.map_err(|error| in_the_way(&error))?;
        let created = match self.draft.publish_new(&folder, &self.place.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.publish_over(&folder, request)?
            }
            done => done.map(|()| true).map_err(|error| in_the_way(&error))?,
        };
        self.cache.borrow_mut().forget_file(&self.place.path());
        Ok(self.answer(created))
    }

    /// The name is taken. Returns whether another one was found.
    fn publish_over(&mut self, folder: &Folder, request: &Request) -> Result<bool, HttpError> {
        match self.taken {
            Taken::Replace => {
                let over = self.draft.publish_over(folder, &self.place.name);
                over.map(|()| false).map_err(|error| in_the_way(&error))
            }
            Taken::Refuse if request.head.get(Known::IfNoneMatch).is_some() => {
                Err(HttpError::new(Status::PRECONDITION_FAILED, "somebody else was faster"))
            }
            Taken::Refuse => Err(conflict("there is a file of that name by now", KEPT)),
            Taken::Rename => self.publish_renamed(folder).map(|()| true),
        }
    }

    fn publish_renamed(&mut self, folder: &Folder) -> Result<(), HttpError> {
        for n in 1..=RENAMES_MAX {
            let name = numbered(&self.place.name, n);
            match self.draft.publish_new(folder, &name) {
                Ok(()) => {
                    self.place.name = name;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(in_the_way(&error)),
            }
        }
        Err(conflict("too many files of that name", "There are too many files of that name."))
    }

    fn answer(&self, created: bool) -> Response {
        let status = if created { Status::CREATED } else { Status::NO_CONTENT };
        let mut response = Response::new(status);
        if let Ok(meta) = Meta::of(self.draft.file()) {
            response = response.with_header("ETag", etag_of(&meta).as_bytes());
        }
        if let Some(base) = &self.base {
            let mut location = base.clone();
            escape::path(&self.place.name, &mut location);
            response = response.with_header("Location", &location);
        }
        response
    }
}

/// `photo.jpg` with 2 is `photo-2.jpg`.
fn numbered(name: &[u8], n: u32) -> Vec<u8> {
    let dot = memchr::memrchr(b'.', name).filter(|at| *at > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    [stem, b"-", n.to_string().as_bytes(), extension].concat()
}
