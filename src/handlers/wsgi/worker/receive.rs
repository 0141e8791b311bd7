//! What comes from a worker: bytes become frames, and frames parts of answers in the inboxes of jobs.

use super::super::job::{Job, Place};
use super::super::wire::{self, Frame};
use super::{BUFFER, News, Shared, Worker};
use crate::event::Cx;
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::rc::Rc;

/// Moved for one worker in a turn.
const TURN_MAX: usize = 1024 * 1024;

/// Descriptors that wait for their frame. A worker sends one at a time.
const FILES_MAX: usize = 4;

impl Worker {
    /// Receives, and gives to each job what is its own.
    pub(in crate::handlers::wsgi) fn receive(&mut self, cx: &Cx, shared: &mut Shared) -> Vec<News> {
        let mut news = Vec::new();
        let (mut moved, mut answered) = (0, 0);
        self.has_more = false;
        if std::mem::take(&mut self.is_paused) {
            // What it waited for us does not count.
            self.pace.since = cx.now();
        }
        loop {
            if self.front().is_some_and(|job| job.is_full()) {
                self.is_paused = true;
                break;
            }
            if moved >= TURN_MAX {
                self.has_more = true;
                break;
            }
            let (received, with_files) = match self.fill() {
                Ok(filled) => filled,
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => continue,
                Err(_) => (0, false),
            };
            if received == 0 {
                self.has_ended = true;
                break;
            }
            moved += received;
            let is_short = self.filled < BUFFER;
            if let Err(fault) = self.take_frames(cx, shared, &mut news, &mut answered) {
                news.push(News::Broken(fault));
                break;
            }
            // A short read has emptied the socket, unless it stopped at a descriptor.
            if is_short && !with_files {
                break;
            }
        }
        if answered > 0 {
            self.served += u64::from(answered);
            self.pace.answered(cx.now(), answered);
            if self.flights.is_empty() {
                self.idle_since = cx.now();
            }
        }
        news
    }

    /// Receives once. Returns the bytes, and whether descriptors came along.
    fn fill(&mut self) -> Result<(usize, bool), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message =
            rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(free)], &mut control, flags)?;
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
        news: &mut Vec<News>,
        answered: &mut u32,
    ) -> Result<(), String> {
        let mut at = 0;
        let buffer = std::mem::take(&mut self.buffer);
        let result = loop {
            match wire::decode(buffer.get(at..self.filled).unwrap_or_default()) {
                Ok(Some((frame, consumed))) => {
                    at += consumed;
                    match self.deliver(frame, cx, shared, news) {
                        Ok(Some(job)) => {
                            *answered += 1;
                            shared.give_memory(job.take_memory());
                        }
                        Ok(None) => {}
                        Err(fault) => break Err(fault),
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

    /// Acts on one frame. Returns the job that it completes.
    fn deliver(
        &mut self,
        frame: Frame<'_>,
        cx: &Cx,
        shared: &mut Shared,
        news: &mut Vec<News>,
    ) -> Result<Option<Rc<Job>>, String> {
        let (id, ends) = match frame {
            Frame::Ready { version, python } => {
                if version != wire::VERSION {
                    return Err(format!("version {version} of the protocol"));
                }
                news.push(News::Ready(String::from_utf8_lossy(python).into_owned()));
                return Ok(None);
            }
            Frame::Failed { text } => {
                news.push(News::Failed(String::from_utf8_lossy(text).into_owned()));
                return Ok(None);
            }
            Frame::Changed => {
                news.push(News::Changed);
                return Ok(None);
            }
            Frame::Returned { id } => {
                self.take_back(id, news)?;
                return Ok(None);
            }
            Frame::Answer { id, end, .. } | Frame::Data { id, end, .. } => (id, end),
            Frame::File { id, .. } | Frame::Error { id, .. } => (id, true),
        };
        let job = match self.flights.front() {
            Some(flight) if flight.id == id => flight.job.clone(),
            _ => return Err("an answer that nobody has asked for".to_owned()),
        };
        let fate = if job.is_over() { Ok(()) } else { self.put(&job, frame, shared, news) };
        if matches!(frame, Frame::File { .. }) && job.is_over() {
            self.files.pop_front();
        }
        if let Err(error) = fate {
            // What is no answer at all. The worker may still end it in peace.
            job.fail(error);
            self.cancel(id);
        }
        cx.wake(job.conn);
        if !ends {
            // It has moved: its time begins again.
            self.pace.since = cx.now();
            return Ok(None);
        }
        if !job.is_over() {
            job.set_place(Place::Over);
        }
        self.flights.pop_front();
        Ok(Some(job))
    }

    /// Puts part of an answer into the inbox of its job.
    fn put(
        &mut self,
        job: &Job,
        frame: Frame<'_>,
        shared: &mut Shared,
        news: &mut Vec<News>,
    ) -> Result<(), HttpError> {
        let broken = || HttpError::fatal(Status::BAD_GATEWAY, "the worker answers out of order");
        match frame {
            Frame::Answer { status, fields, body, end, .. } => job.inbox(|inbox| {
                if inbox.has_begun {
                    return Err(broken());
                }
                inbox.has_begun = true;
                inbox.head = Some((status, shared.heads.judge(status, fields)?));
                news.extend(inbox.body.push(body).map(News::DiskFull));
                inbox.end = end.then_some(Ok(()));
                Ok(())
            }),
            Frame::Data { .. } | Frame::File { .. } if !job.inbox(|inbox| inbox.has_begun) => {
                self.files.clear();
                Err(broken())
            }
            Frame::Data { body, end, .. } => job.inbox(|inbox| {
                news.extend(inbox.body.push(body).map(News::DiskFull));
                inbox.end = end.then_some(Ok(()));
                Ok(())
            }),
            Frame::File { offset, len, .. } => {
                let file = self.files.pop_front().ok_or_else(broken)?;
                let is_file = file.metadata().is_ok_and(|data| data.is_file());
                if !is_file {
                    return Err(broken());
                }
                job.inbox(|inbox| {
                    inbox.file = Some(FileSlice { file: Rc::new(file), offset, len });
                    inbox.end = Some(Ok(()));
                });
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

    /// Takes a request back that was not begun.
    fn take_back(&mut self, id: u32, news: &mut Vec<News>) -> Result<(), String> {
        let place = self.flights.iter().position(|flight| flight.id == id);
        let place = place.filter(|_| self.begun() != id);
        let Some(flight) = place.and_then(|place| self.flights.remove(place)) else {
            return Err("a request given back that it does not have".to_owned());
        };
        self.pace.was_slow();
        match news.last_mut() {
            // It gives back the last one first.
            Some(News::Returned(jobs)) => jobs.insert(0, flight.job),
            _ => news.push(News::Returned(vec![flight.job])),
        }
        Ok(())
    }
}
