//! Listing a large folder without holding up the loop.
//!
//! Reading, looking at each name and writing the page are done by a helper thread. In between, the
//! loop leaves out what is closed and looks where links lead, some names at a time: only it knows.

use super::cache::Cache;
use super::compress::ASK_AGAIN;
use super::listing::{self, Found, Line, Page, Read};
use super::{in_trouble, unreadable};
use crate::event::{Cx, Helped};
use crate::http::{HttpError, Status};
use crate::serve::{Exchange, ExchangeIo, Response, Step};
use crate::sys::fs::Folder;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::vec::IntoIter;

/// Makes a page, and answers with it.
pub struct List {
    page: Page,
    folder: Folder,
    cache: Rc<RefCell<Cache>>,
    /// That of the cache when it began.
    changes: u64,
    state: State,
}

enum State {
    /// Not begun, or to be begun again.
    New,
    Reading(Helped<io::Result<Read>>),
    Choosing {
        found: IntoIter<Found>,
        lines: Vec<Line>,
        more: bool,
    },
    /// To be given to a helper.
    Chosen {
        lines: Arc<[Line]>,
        more: bool,
    },
    Writing(Helped<String>),
}

/// What is looked at before others have their turn: each link costs as much as many names.
const NAMES_A_TURN: usize = 1024;
const LINKS_A_TURN: usize = 32;

impl List {
    /// Of a folder with many names.
    pub fn new(page: Page, folder: Folder, cache: Rc<RefCell<Cache>>) -> Self {
        Self { page, folder, cache, changes: 0, state: State::New }
    }

    /// Somebody else may have had the page made.
    fn known(&self, cx: &Cx) -> Option<Step> {
        let view = &self.page.view;
        self.cache.borrow().page(&view.url, view.sort, cx.now()).map(Step::Respond)
    }

    /// Keeps the page, unless something was changed while it was made.
    fn remember(&self, response: &Response, cx: &Cx) {
        let (view, mut cache) = (&self.page.view, self.cache.borrow_mut());
        if cache.changes() == self.changes {
            cache.insert_page(&view.url, view.sort, response.clone(), cx.now());
        }
    }

    /// Takes one step; `None`: another one can be taken at once.
    fn step(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Option<Step>, HttpError> {
        match std::mem::replace(&mut self.state, State::New) {
            State::New => {
                if let Some(step) = self.known(cx) {
                    return Ok(Some(step));
                }
                self.changes = self.cache.borrow().changes();
                let (reader, view) =
                    (self.folder.reader().map_err(in_trouble)?, self.page.view.clone());
                match Helped::begin(io.task, cx, move || view.read(&reader)) {
                    Ok(work) => self.state = State::Reading(work),
                    Err(_) => return Ok(Some(later(io, cx))),
                }
            }
            State::Reading(work) => match work.poll() {
                Poll::Pending => {
                    let until = work.until_done();
                    self.state = State::Reading(work);
                    return Ok(Some(Step::Wait(until)));
                }
                Poll::Ready(read) => {
                    let Read { found, more } = read.ok_or_else(lost)?.map_err(unreadable)?;
                    let lines = Vec::with_capacity(found.len());
                    self.state = State::Choosing { found: found.into_iter(), lines, more };
                }
            },
            State::Choosing { mut found, mut lines, more } => {
                if self.choose(&mut found, &mut lines) {
                    self.state = State::Choosing { found, lines, more };
                    return Ok(Some(Step::Again));
                }
                self.state = State::Chosen { lines: lines.into(), more };
            }
            State::Chosen { lines, more } => {
                if let Some(step) = self.known(cx) {
                    return Ok(Some(step));
                }
                let (view, all) = (self.page.view.clone(), Arc::clone(&lines));
                match Helped::begin(io.task, cx, move || view.html(&all, more)) {
                    Ok(work) => self.state = State::Writing(work),
                    Err(_) => {
                        self.state = State::Chosen { lines, more };
                        return Ok(Some(later(io, cx)));
                    }
                }
            }
            State::Writing(work) => match work.poll() {
                Poll::Pending => {
                    let until = work.until_done();
                    self.state = State::Writing(work);
                    return Ok(Some(Step::Wait(until)));
                }
                Poll::Ready(html) => {
                    let response = listing::respond(html.ok_or_else(lost)?);
                    self.remember(&response, cx);
                    return Ok(Some(Step::Respond(response)));
                }
            },
        }
        Ok(None)
    }

    /// Looks at some of what was found; whether there is more of it.
    fn choose(&self, found: &mut IntoIter<Found>, lines: &mut Vec<Line>) -> bool {
        let mut links = 0;
        for found in found.take(NAMES_A_TURN) {
            links += usize::from(found.is_link());
            lines.extend(self.page.line(&self.folder, found));
            if links == LINKS_A_TURN {
                break;
            }
        }
        !found.as_slice().is_empty()
    }
}

impl Exchange for List {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            if let Some(step) = self.step(io, cx)? {
                return Ok(step);
            }
        }
    }
}

fn later(io: &mut ExchangeIo<'_>, cx: &Cx) -> Step {
    Step::Wait(io.until(cx.now() + ASK_AGAIN))
}

fn lost() -> HttpError {
    HttpError::new(Status::INTERNAL_SERVER_ERROR, "a folder could not be listed")
}
