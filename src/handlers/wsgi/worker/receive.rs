//! What comes from a worker: bytes become frames, and frames parts of answers in the inboxes of jobs.

use super::super::job::{Job, Place};
use super::super::wire::{self, Frame};
use super::{BUFFER, FLIGHTS_MAX, Flight, News, Shared, Worker};
use crate::event::{Cx, TaskId};
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Moved for one worker in a turn: bytes, and frames, of which a worker may send very small ones.
const TURN_MAX: usize = 1024 * 1024;
const TURN_FRAMES: usize = 16 * 1024;

/// Descriptors that wait for their frame. A worker sends one at a time.
const FILES_MAX: usize = 4;

/// Requests given back between two answers: what is in flight may come back once, and a little more.
const RETURNS_MAX: usize = 2 * FLIGHTS_MAX;

/// Changes of a source: one is told every half second at most, which a clock that was adjusted or a
/// process that was stopped may bring together.
const CHANGES_AT_ONCE: u64 = 16;
const CHANGES_A_SECOND: u64 = 4;

/// What came of one call of `receive`.
#[derive(Default)]
struct Batch {
    news: Vec<News>,
    /// Requests that are completely answered.
    answered: u32,
    frames: usize,
    /// The task that was woken last: many small frames wake it once.
    woken: Option<TaskId>,
}

impl Worker {
    /// Receives, and gives to each job what is its own.
    pub(in crate::handlers::wsgi) fn receive(&mut self, cx: &Cx, shared: &mut Shared) -> Vec<News> {
        let mut batch = Batch::default();
        if self.is_broken {
            return batch.news;
        }
        let mut moved = 0;
        self.has_more = false;
        if self.front().is_some_and(|job| job.is_full()) {
            self.paused_since.get_or_insert(cx.now());
            return batch.news;
        }
        if let Some(since) = self.paused_since.take() {
            self.waited += cx.now().saturating_duration_since(since);
            // What it waited for us does not count.
            self.pace.since = cx.now();
        }
        loop {
            if let Some(drained) = self.front().filter(|job| job.is_full()).map(|job| job.drained())
            {
                self.paused_since = Some(cx.now());
                self.reading.set(Some((cx.now(), drained)));
                break;
            }
            if moved >= TURN_MAX || batch.frames >= TURN_FRAMES {
                self.has_more = true;
                break;
            }
            let (received, with_files) = match self.fill() {
                Ok(filled) => filled,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => (0, false),
            };
            if received == 0 {
                self.has_ended = true;
                break;
            }
            moved += received;
            let is_short = self.filled < BUFFER;
            if let Err(fault) = self.take_frames(cx, shared, &mut batch) {
                self.distrust();
                batch.news.push(News::Broken(fault));
                break;
            }
            // A short read has emptied the socket, unless it stopped at a descriptor.
            if is_short && !with_files {
                self.socket.note_short_read();
                break;
            }
        }
        if batch.answered > 0 {
            self.served += u64::from(batch.answered);
            self.pace.answered(cx.now(), batch.answered);
            self.front_since = cx.now();
            if self.flights.is_empty() {
                self.idle_since = cx.now();
            }
        }
        batch.news
    }

    /// Nothing that it says counts any more.
    fn distrust(&mut self) {
        self.is_broken = true;
        self.filled = 0;
        self.files.clear();
    }

    /// Receives once. Returns the bytes, and whether descriptors came along.
    fn fill(&mut self) -> io::Result<(usize, bool)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = self.socket.read_by(|socket| {
            Ok(rustix::net::recvmsg(socket, &mut [IoSliceMut::new(free)], &mut control, flags)?)
        })?;
        let mut with_files = false;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                with_files = true;
                self.files.extend(files.map(File::from));
            }
        }
        self.filled += message.bytes;
        Ok((message.bytes, with_files))
    }

    /// Takes the complete frames out of the buffer.
    fn take_frames(
        &mut self,
        cx: &Cx,
        shared: &mut Shared,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let mut at = 0;
        let buffer = std::mem::take(&mut self.buffer);
        let result = loop {
            match wire::decode(buffer.get(at..self.filled).unwrap_or_default()) {
                Ok(Some((frame, consumed))) => {
                    at += consumed;
                    batch.frames += 1;
                    if let Err(fault) = self.deliver(frame, cx, shared, batch) {
                        break Err(fault);
                    }
                }
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault.to_string()),
            }
        };
        self.buffer = buffer;
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.files.len() > FILES_MAX {
            return Err("descriptors without frames".to_owned());
        }
        result
    }

    /// Acts on one frame.
    fn deliver(
        &mut self,
        frame: Frame<'_>,
        cx: &Cx,
        shared: &mut Shared,
        batch: &mut Batch,
    ) -> Result<(), String> {
        match frame {
            Frame::Ready { .. } | Frame::Failed { .. } => self.open(frame, batch),
            _ if !self.has_opened => Err("a frame before it was ready".to_owned()),
            Frame::Changed => self.change(cx.now(), batch),
            Frame::Returned { id } => self.take_back(id, batch),
            Frame::Answer { id, end, .. } | Frame::Data { id, end, .. } => {
                self.answer(frame, id, end, cx, shared, batch)
            }
            Frame::File { id, .. } | Frame::Error { id, .. } => {
                self.answer(frame, id, true, cx, shared, batch)
            }
        }
    }

    /// Its first frame, and the only one of these kinds.
    fn open(&mut self, frame: Frame<'_>, batch: &mut Batch) -> Result<(), String> {
        if std::mem::replace(&mut self.has_opened, true) {
            return Err("it says twice whether it is ready".to_owned());
        }
        batch.news.push(match frame {
            Frame::Ready { version, .. } if version != wire::VERSION => {
                return Err(format!("version {version} of the protocol"));
            }
            Frame::Ready { python, .. } => {
                News::Ready(String::from_utf8_lossy(python).into_owned())
            }
            Frame::Failed { text } => {
                // Nothing but its end may follow.
                self.has_ended = true;
                News::Failed(String::from_utf8_lossy(text).into_owned())
            }
            _ => return Ok(()),
        });
        Ok(())
    }

    /// A source has changed. It is told once however often the worker says it.
    fn change(&mut self, now: Instant, batch: &mut Batch) -> Result<(), String> {
        self.changes += 1;
        let age = now.saturating_duration_since(self.since).as_secs();
        if !self.is_watching {
            return Err("a changed source, without `reload`".to_owned());
        }
        if self.changes > CHANGES_AT_ONCE.saturating_add(CHANGES_A_SECOND.saturating_mul(age)) {
            return Err("sources change too often".to_owned());
        }
        if !batch.news.iter().any(|news| matches!(news, News::Changed)) {
            batch.news.push(News::Changed);
        }
        Ok(())
    }

    /// Part of an answer, which is that to the first request in flight.
    fn answer(
        &mut self,
        frame: Frame<'_>,
        id: u32,
        ends: bool,
        cx: &Cx,
        shared: &mut Shared,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let Some(flight) = self.flights.front_mut().filter(|flight| flight.id == id) else {
            return Err("an answer that nobody has asked for".to_owned());
        };
        check_order(frame, flight)?;
        let file = match frame {
            Frame::File { .. } => Some(regular_file(self.files.pop_front())?),
            _ => None,
        };
        let job = flight.job.clone();
        if let Some(job) = &job {
            let fate = if job.is_over() { Ok(()) } else { put(job, frame, file, shared, batch) };
            if let Err(error) = fate {
                // What is no answer at all. The worker may still end it in peace.
                job.fail(error);
                self.cancel(id);
            }
            let task = job.waker.task();
            if batch.woken.replace(task) != Some(task) {
                job.waker.wake();
            }
        }
        if !ends {
            // It has moved: its time begins again.
            self.pace.since = cx.now();
            return Ok(());
        }
        self.flights.pop_front();
        self.waited = Duration::ZERO;
        self.returns = 0;
        batch.answered += 1;
        if let Some(job) = job {
            if !job.is_over() {
                job.set_place(Place::Over);
            }
            shared.give_memory(job.take_memory());
        }
        Ok(())
    }

    /// Takes a request back that was not begun: the one before takes long, or the worker has found it
    /// marked on the board when it came to it.
    fn take_back(&mut self, id: u32, batch: &mut Batch) -> Result<(), String> {
        let begun = self.begun();
        let is_marked = |flight: &Flight| {
            flight.revoked.is_some() || flight.job.as_ref().is_none_or(|job| job.is_over())
        };
        let is_it = |flight: &Flight| {
            flight.id == id && !flight.has_head && (begun != id || is_marked(flight))
        };
        let place = self.flights.iter().position(is_it);
        let Some(flight) = place.and_then(|place| self.flights.remove(place)) else {
            return Err("a request given back that it does not have".to_owned());
        };
        let Some(job) = flight.job.filter(|job| !job.is_over()) else { return Ok(()) };
        self.pace.was_slow();
        match batch.news.last_mut() {
            // It gives back the last one first.
            Some(News::Returned(jobs)) => jobs.insert(0, job),
            _ => batch.news.push(News::Returned(vec![job])),
        }
        self.returns += 1;
        if self.returns > RETURNS_MAX {
            return Err("it gives back everything".to_owned());
        }
        Ok(())
    }
}

/// Whether a frame may come now: one head, then its body; nothing at all for a request that was taken
/// back but that it was skipped.
fn check_order(frame: Frame<'_>, flight: &mut Flight) -> Result<(), String> {
    let is_out_of_order = match frame {
        Frame::Error { .. } => false,
        _ if flight.job.is_none() => return Err("an answer to what was taken back".to_owned()),
        Frame::Answer { .. } => std::mem::replace(&mut flight.has_head, true),
        // A piece that has nothing and ends nothing is no progress.
        Frame::Data { body: b"", end: false, .. } => true,
        _ => !flight.has_head,
    };
    if is_out_of_order {
        return Err("an answer out of order".to_owned());
    }
    Ok(())
}

/// The file that came with a frame; nothing else can be sent without waiting.
fn regular_file(file: Option<File>) -> Result<File, String> {
    let is_file = |file: &File| file.metadata().is_ok_and(|data| data.is_file());
    file.filter(is_file).ok_or_else(|| "a frame without its file".to_owned())
}

/// Puts part of an answer into the inbox of its job.
///
/// # Errors
/// The application's answer is none: that is its mistake, and not the worker's.
fn put(
    job: &Job,
    frame: Frame<'_>,
    file: Option<File>,
    shared: &mut Shared,
    batch: &mut Batch,
) -> Result<(), HttpError> {
    match frame {
        Frame::Answer { status, fields, body, end, .. } => job.inbox(|inbox| {
            inbox.head = Some((status, shared.heads.judge(status, fields)?));
            batch.news.extend(inbox.body.push(body).map(News::DiskFull));
            inbox.end = end.then_some(Ok(()));
            Ok(())
        }),
        Frame::Data { body, end, .. } => job.inbox(|inbox| {
            batch.news.extend(inbox.body.push(body).map(News::DiskFull));
            inbox.end = end.then_some(Ok(()));
            Ok(())
        }),
        Frame::File { offset, len, .. } => {
            let slice =
                file.map(|file| FileSlice { file: Rc::new(file), offset, len, reserved: None });
            job.inbox(|inbox| (inbox.file, inbox.end) = (slice, Some(Ok(()))));
            Ok(())
        }
        Frame::Error { what, .. } => {
            let what = String::from_utf8_lossy(what);
            let reason = format!("the application raised {}", what.escape_debug());
            Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, reason))
        }
        _ => Ok(()),
    }
}
