//! Compressing a file that is asked for compressed, without holding up the loop.
//!
//! Very small files are compressed where they are asked for. Others go to a helper thread, and
//! those who ask meanwhile wait for the same work.

use super::entry::{Content, Entry};
use super::respond;
use crate::event::{Cx, Helped, TaskWaker, Until};
use crate::http::HttpError;
use crate::serve::{Exchange, ExchangeIo, Step};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::cell::RefCell;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Files up to this size are compressed by the loop itself: in about the time that it takes to
/// give work away and to hear of its end.
pub const HERE_MAX: u64 = 4 * 1024;

/// When to ask again while too much work waits for the helpers.
pub const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Those who wait for a file that is being compressed; `None` while it is not.
pub type Awaited = RefCell<Option<Vec<TaskWaker>>>;

/// Waits until a file is compressed, and answers with it. The first to wait has it compressed.
pub struct Compress {
    entry: Rc<Entry>,
    work: Option<Helped<Option<Vec<u8>>>>,
}

impl Compress {
    /// Of a file whose compressed variant is not known yet.
    pub fn new(entry: Rc<Entry>) -> Self {
        Self { entry, work: None }
    }

    /// Has the file compressed, unless somebody else has.
    fn begin(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Until {
        if let Some(awaited) = &mut *self.entry.awaited.borrow_mut() {
            awaited.retain(|waker| waker.task() != io.task);
            let waker = cx.waker(io.task);
            let until = waker.until();
            awaited.push(waker);
            return until;
        }
        let work = match work_for(&self.entry.plain.content) {
            Ok(work) => work,
            // No descriptor for the helper: as if it could not be compressed.
            Err(_) => Box::new(|| None),
        };
        match Helped::begin(io.task, cx, work) {
            Ok(work) => {
                *self.entry.awaited.borrow_mut() = Some(Vec::new());
                self.work.insert(work).until_done()
            }
            Err(_) => io.until(cx.now() + ASK_AGAIN),
        }
    }

    /// The work is done, or not wanted any more: whoever waits for it looks.
    fn end(&mut self) {
        if self.work.take().is_some() {
            self.entry.awaited.take().into_iter().flatten().for_each(|waker| waker.wake());
        }
    }
}

impl Exchange for Compress {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        if let Some(work) = &self.work {
            let Poll::Ready(bytes) = work.poll() else { return Ok(Step::Wait(work.until_done())) };
            self.entry.compressed(bytes.flatten());
            self.end();
        }
        // Without a range there are no parts, and no boundary between them.
        match respond::respond(&self.entry, &io.request.head, String::new)? {
            Some(response) => Ok(Step::Respond(response)),
            None => Ok(Step::Wait(self.begin(io, cx))),
        }
    }
}

/// The client may have left before the end; others still want it.
impl Drop for Compress {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a helper does: it gets the bytes, or a descriptor to read them from.
fn work_for(content: &Content) -> io::Result<Box<dyn FnOnce() -> Option<Vec<u8>> + Send>> {
    Ok(match content {
        Content::Memory(bytes) => {
            let bytes = bytes.to_vec();
            Box::new(move || deflate(&bytes).ok())
        }
        Content::File(file, size) => {
            let (file, size) = (file.try_clone()?, *size);
            Box::new(move || {
                let mut bytes = vec![0; usize::try_from(size).ok()?];
                file.read_exact_at(&mut bytes, 0).ok()?;
                deflate(&bytes).ok()
            })
        }
    })
}

/// Compresses a file now; `None` if it cannot be read.
pub fn at_once(content: &Content) -> Option<Vec<u8>> {
    work_for(content).ok()?()
}

fn deflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}
