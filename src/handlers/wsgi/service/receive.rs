//! What comes from a worker: bytes become frames, and frames parts of answers in the inboxes of jobs.

use super::super::job::Job;
use super::super::pool::{Command, Event, RequestId, WorkerId};
use super::super::wire::{self, Frame};
use super::process::{BUFFER, WorkerProcess};
use super::{AppService, Inner, schedule};
use crate::conf::Level;
use crate::event::{Cx, TaskId};
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::rc::Rc;

/// Moved for one worker in a turn: bytes, and frames, of which a worker may send very small ones.
const TURN_MAX: usize = 1024 * 1024;
const TURN_FRAMES: usize = 16 * 1024;

/// Descriptors that wait for their frame. A worker sends one at a time.
const FILES_MAX: usize = 4;

/// What is done in one call of `receive`.
struct Batch {
    worker: WorkerId,
    bytes: usize,
    frames: usize,
    /// The task that was woken last: many small frames wake it once.
    woken: Option<TaskId>,
}

impl AppService {
    /// Receives what a worker says, and gives to each job what is its own.
    pub(super) fn receive(&self, inner: &mut Inner, worker: WorkerId, cx: &mut Cx) {
        if !inner.pool.listens_to(worker) {
            return;
        }
        if inner.full_at(worker).is_none() && inner.pool.is_waiting(worker) {
            self.on(inner, Event::Resumed { worker }, cx);
        }
        let mut batch = Batch { worker, bytes: 0, frames: 0, woken: None };
        loop {
            if let Some(taken) = inner.full_at(worker) {
                self.on(inner, Event::Held { worker, taken }, cx);
                break;
            }
            let Some(process) = inner.process(worker) else { return };
            process.has_more = batch.bytes >= TURN_MAX || batch.frames >= TURN_FRAMES;
            if process.has_more {
                schedule(inner.id, cx);
                break;
            }
            let (received, with_files) = match process.fill() {
                Ok(filled) => filled,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => (0, false),
            };
            if received == 0 {
                self.on(inner, Event::Closed { worker }, cx);
                break;
            }
            batch.bytes += received;
            let is_short = process.filled < BUFFER;
            if let Err(why) = self.take_frames(inner, &mut batch, cx) {
                self.on(inner, Event::Broke { worker, why }, cx);
            }
            // A short read has emptied the socket, unless it stopped at a descriptor.
            if is_short && !with_files {
                inner.process(worker).into_iter().for_each(|it| it.socket.note_short_read());
                break;
            }
            if !inner.pool.listens_to(worker) {
                break;
            }
        }
        self.on(inner, Event::Received { worker }, cx);
    }

    /// Takes the complete frames out of the buffer.
    fn take_frames(&self, inner: &mut Inner, batch: &mut Batch, cx: &mut Cx) -> Result<(), String> {
        let Some(process) = inner.process(batch.worker) else { return Ok(()) };
        let (mut buffer, filled) = (std::mem::take(&mut process.buffer), process.filled);
        let mut at = 0;
        let result = loop {
            match wire::decode(buffer.get(at..filled).unwrap_or_default()) {
                Ok(Some((frame, consumed))) => {
                    at += consumed;
                    batch.frames += 1;
                    if let Err(fault) = self.pass_on(inner, frame, batch, cx) {
                        break Err(fault);
                    }
                }
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault.to_string()),
            }
        };
        buffer.copy_within(at..filled, 0);
        let Some(process) = inner.process(batch.worker) else { return Ok(()) };
        process.buffer = buffer;
        process.filled -= at;
        if process.files.len() > FILES_MAX {
            return Err("descriptors without frames".to_owned());
        }
        result
    }

    /// Tells the pool what a worker says, and puts what is part of an answer into the inbox that it belongs
    /// into.
    fn pass_on(
        &self,
        inner: &mut Inner,
        frame: Frame<'_>,
        batch: &mut Batch,
        cx: &mut Cx,
    ) -> Result<(), String> {
        let worker = batch.worker;
        let Some(process) = inner.process(worker) else { return Ok(()) };
        let mut file = match frame {
            Frame::File { .. } => Some(regular_file(process.files.pop_front())?),
            _ => None,
        };
        if let Frame::Returned { .. } = frame {
            let id = process.begun();
            self.on(inner, Event::Begun { worker, id }, cx);
        }
        inner.pool.on(Event::Said { worker, frame }, cx.now());
        while let Some(command) = inner.pool.pop_command() {
            match command {
                Command::Deliver { request } => {
                    self.deliver(inner, request, (frame, file.take()), batch, cx);
                }
                other => self.perform(inner, other, cx),
            }
        }
        Ok(())
    }

    /// Part of the answer to a request has come.
    fn deliver(
        &self,
        inner: &mut Inner,
        request: RequestId,
        (frame, file): (Frame<'_>, Option<File>),
        batch: &mut Batch,
        cx: &mut Cx,
    ) {
        let Some(job) = inner.job(request).cloned() else { return };
        match inner.put(&job, frame, file) {
            Ok(None) => {}
            Ok(Some(error)) => {
                let text =
                    format!("an answer waits for its client in memory, not on the disk: {error}");
                cx.complain(Level::Warning, self.say(&text));
            }
            Err(error) => {
                // What is no answer at all. The worker may still end it in peace.
                job.fail(error);
                inner.pool.on(Event::Unusable { request }, cx.now());
            }
        }
        let task = job.waker.task();
        if batch.woken.replace(task) != Some(task) {
            job.waker.wake();
        }
    }
}

impl Inner {
    /// How much of the answer that a worker is at its client has taken, if the worker has to wait until that
    /// is more.
    fn full_at(&self, worker: WorkerId) -> Option<u64> {
        self.job(self.pool.answering(worker)?)?.full_at()
    }

    /// Puts part of an answer into the inbox of its job. Returns what is wrong with the disk, the first time.
    ///
    /// # Errors
    /// The application's answer is none: that is its mistake, and not the worker's.
    fn put(
        &mut self,
        job: &Job,
        frame: Frame<'_>,
        file: Option<File>,
    ) -> Result<Option<io::Error>, HttpError> {
        job.inbox(|inbox| match frame {
            Frame::Answer { status, fields, body, end, .. } => {
                inbox.head = Some((status, self.heads.judge(status, fields)?));
                let wrong = inbox.body.push(body);
                inbox.end = end.then_some(Ok(()));
                Ok(wrong)
            }
            Frame::Data { body, end, .. } => {
                let wrong = inbox.body.push(body);
                inbox.end = end.then_some(Ok(()));
                Ok(wrong)
            }
            Frame::File { offset, len, .. } => {
                let slice =
                    file.map(|file| FileSlice { file: Rc::new(file), offset, len, reserved: None });
                (inbox.file, inbox.end) = (slice, Some(Ok(())));
                Ok(None)
            }
            Frame::Error { what, .. } => {
                let what = String::from_utf8_lossy(what);
                let reason = format!("the application raised {}", what.escape_debug());
                Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, reason))
            }
            _ => Ok(None),
        })
    }
}

impl WorkerProcess {
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
}

/// The file that came with a frame; nothing else can be sent without waiting.
fn regular_file(file: Option<File>) -> Result<File, String> {
    let is_file = |file: &File| file.metadata().is_ok_and(|data| data.is_file());
    file.filter(is_file).ok_or_else(|| "a frame without its file".to_owned())
}
