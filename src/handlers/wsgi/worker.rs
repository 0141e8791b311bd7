//! One worker process, seen from here: its socket, what is in flight to it, how quick it is.
//!
//! Moves bytes and puts what has come into the jobs they are for. What follows from that (who gets
//! the next request, who is replaced) is `pool`'s to decide: it is told by [`News`].

use super::job::{Job, Place};
use super::launch::{Child, Line};
use super::wire::{self, Frame};
use crate::event::Cx;
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Requests in flight to a quick worker. Beyond some thirty the wake-up that they share is no
/// longer what costs.
const FLIGHTS_MAX: usize = 64;

/// A worker whose requests take less than this is quick: a round trip would cost it a good part.
const QUICK: Duration = Duration::from_millis(1);

/// A worker that is this long at one request is given no other.
const STALLED: Duration = Duration::from_millis(20);

/// Received at once, and kept of an incomplete frame.
const BUFFER: usize = 256 * 1024;

/// Moved for one worker in a turn.
const TURN_MAX: usize = 1024 * 1024;

/// Descriptors that wait for their frame. A worker sends one at a time.
const FILES_MAX: usize = 4;

/// Words of the board (see `worker.py`).
const STARTED: u64 = 0;
const CANCELLED: u64 = 16;
const SLOTS: u32 = 64;

/// A worker.
pub(super) struct Worker {
    /// Counts all workers that ever were: children and jobs name it.
    pub(super) serial: u32,
    /// The smallest number that was free, from 1: what people call it.
    pub(super) number: u32,
    pub(super) generation: u32,
    pub(super) child: Child,
    pub(super) stage: Stage,
    pub(super) since: Instant,
    /// Answers given.
    pub(super) served: u64,
    /// It stopped reading, because what it answers is more than its client takes.
    pub(super) is_paused: bool,
    /// It has more than was read in its turn.
    pub(super) has_more: bool,
    /// Its socket has ended.
    pub(super) has_ended: bool,
    pub(super) idle_since: Instant,
    socket: OwnedFd,
    board: File,
    out: Outgoing,
    buffer: Box<[u8]>,
    filled: usize,
    files: VecDeque<File>,
    flights: VecDeque<Flight>,
    next_id: u32,
    pace: Pace,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It loads the application.
    Starting,
    /// It answers.
    Ready,
    /// It finishes what it has.
    Retiring,
    /// It is being ended, and killed at that time.
    Ending(Instant),
}

/// A request that was sent and is not completely answered.
struct Flight {
    id: u32,
    job: Rc<Job>,
}

/// What the pool has to know.
pub(super) enum News {
    /// It has loaded the application, with this Python.
    Ready(String),
    /// It could not load it: why.
    Failed(String),
    /// It gives these back, first come first.
    Returned(Vec<Rc<Job>>),
    /// A source has changed.
    Changed,
    /// It cannot be believed any more.
    Broken(String),
}

#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Descriptors, and where in `bytes` the frame begins that they go with.
    files: VecDeque<(usize, Rc<File>)>,
    is_blocked: bool,
}

impl Worker {
    pub(super) fn new(
        serial: u32,
        number: u32,
        generation: u32,
        child: Child,
        line: Line,
        now: Instant,
    ) -> Self {
        Self {
            serial,
            number,
            generation,
            child,
            stage: Stage::Starting,
            since: now,
            served: 0,
            is_paused: false,
            has_more: false,
            has_ended: false,
            idle_since: now,
            socket: line.socket,
            board: line.board,
            out: Outgoing { bytes: line.greeting, ..Outgoing::default() },
            buffer: vec![0; BUFFER].into_boxed_slice(),
            filled: 0,
            files: VecDeque::new(),
            flights: VecDeque::new(),
            next_id: 1,
            pace: Pace::new(now),
        }
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Requests in flight.
    pub(super) fn load(&self) -> usize {
        self.flights.len()
    }

    /// Whether it may be given another request.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.stage == Stage::Ready && !self.has_ended && self.flights.len() < self.depth(now)
    }

    fn depth(&self, now: Instant) -> usize {
        match self.flights.is_empty() {
            true => 1,
            false if self.pace.is_quick() && self.busy_for(now) < STALLED => FLIGHTS_MAX,
            false => 1,
        }
    }

    /// How long it has been at the request it is at.
    pub(super) fn busy_for(&self, now: Instant) -> Duration {
        match self.flights.front() {
            Some(_) => now.saturating_duration_since(self.pace.since),
            None => Duration::ZERO,
        }
    }

    /// The request it is at.
    pub(super) fn front(&self) -> Option<&Rc<Job>> {
        self.flights.front().map(|flight| &flight.job)
    }

    /// Puts a request among what is to be sent.
    pub(super) fn give(&mut self, job: Rc<Job>, now: Instant) {
        if self.flights.is_empty() {
            self.pace.begin(now);
        }
        let id = self.next_id;
        // 0 is no id, so that an empty board names nobody.
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let out = &mut self.out;
        job.send(id, |frame, file| {
            if let Some(file) = file {
                out.files.push_back((out.bytes.len(), file.clone()));
            }
            out.bytes.extend_from_slice(frame);
        });
        job.set_place(Place::Sent(self.serial, id));
        self.flights.push_back(Flight { id, job });
    }

    /// The socket has room again.
    pub(super) fn set_writable(&mut self) {
        self.out.is_blocked = false;
    }

    /// Sends what the socket takes. A socket that is broken has its end found by reading.
    pub(super) fn flush(&mut self) {
        let _ = self.out.flush(&self.socket);
    }

    /// Tells the worker that nobody waits for a request any more: if it has not begun it, it will
    /// not, and otherwise it ends at its next piece.
    pub(super) fn cancel(&self, id: u32) {
        let slot = CANCELLED + u64::from(id % SLOTS);
        // The board is memory; writing to it fails only if there is none left.
        let _ = self.board.write_all_at(&id.to_le_bytes(), slot * 4);
    }

    /// The id of the last request it has begun.
    fn begun(&self) -> u32 {
        let mut word = [0; 4];
        let _ = self.board.read_exact_at(&mut word, STARTED * 4);
        u32::from_le_bytes(word)
    }

    /// Nothing more will be sent to it: it ends when it has answered.
    pub(super) fn end_input(&self) {
        let _ = rustix::net::shutdown(self.socket.as_fd(), rustix::net::Shutdown::Write);
    }

    /// Receives, and gives to each job what is its own.
    pub(super) fn receive(&mut self, cx: &Cx, spare: &mut Vec<Vec<u8>>) -> Vec<News> {
        let mut news = Vec::new();
        let (mut moved, mut answered) = (0, 0);
        self.has_more = false;
        if std::mem::take(&mut self.is_paused) {
            // What it waited for us does not count.
            self.pace.since = cx.now();
        }
        loop {
            if self.front().is_some_and(|job| job.inbox(|inbox| inbox.body.is_full())) {
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
            if let Err(fault) = self.take_frames(cx, spare, &mut news, &mut answered) {
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
        spare: &mut Vec<Vec<u8>>,
        news: &mut Vec<News>,
        answered: &mut u32,
    ) -> Result<(), String> {
        let mut at = 0;
        let buffer = std::mem::take(&mut self.buffer);
        let result = loop {
            match wire::decode(buffer.get(at..self.filled).unwrap_or_default()) {
                Ok(Some((frame, consumed))) => {
                    at += consumed;
                    match self.deliver(frame, cx, news) {
                        Ok(Some(job)) => {
                            *answered += 1;
                            if spare.len() < SPARE_MAX {
                                spare.push(job.take_memory());
                            }
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
        let fate = if job.is_over() { Ok(()) } else { self.put(&job, frame) };
        if matches!(frame, Frame::File { .. }) && job.is_over() {
            self.files.pop_front();
        }
        if let Err(error) = fate {
            // What cannot be kept, or is no answer at all. The worker may still end it in peace.
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
    fn put(&mut self, job: &Job, frame: Frame<'_>) -> Result<(), HttpError> {
        let kept = |error: io::Error| {
            HttpError::fatal(
                Status::INSUFFICIENT_STORAGE,
                format!("an answer cannot be kept: {error}"),
            )
        };
        let broken = || HttpError::fatal(Status::BAD_GATEWAY, "the worker answers out of order");
        match frame {
            Frame::Answer { status, fields, body, end, .. } => job.inbox(|inbox| {
                if inbox.has_begun {
                    return Err(broken());
                }
                inbox.has_begun = true;
                inbox.head = Some((status, fields.to_vec()));
                inbox.body.push(body).map_err(kept)?;
                inbox.end = end.then_some(Ok(()));
                Ok(())
            }),
            Frame::Data { .. } | Frame::File { .. } if !job.inbox(|inbox| inbox.has_begun) => {
                self.files.clear();
                Err(broken())
            }
            Frame::Data { body, end, .. } => job.inbox(|inbox| {
                inbox.body.push(body).map_err(kept)?;
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
        // It cannot be the front one: that one has begun.
        let place = self.flights.iter().skip(1).position(|flight| flight.id == id);
        let Some(flight) = place.and_then(|place| self.flights.remove(place + 1)) else {
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

    /// After its end: what it had begun, and what it had not.
    pub(super) fn leftovers(&mut self) -> (Vec<Rc<Job>>, Vec<Rc<Job>>) {
        let begun = self.begun();
        // Ids come round after 2³²; those in flight are close together.
        let is_begun = |id: u32| begun.wrapping_sub(id) < u32::MAX / 2 && begun != 0;
        let flights = self.flights.drain(..);
        let (lost, fresh): (Vec<_>, Vec<_>) = flights.partition(|flight| is_begun(flight.id));
        let jobs = |flights: Vec<Flight>| flights.into_iter().map(|flight| flight.job).collect();
        (jobs(lost), jobs(fresh))
    }
}

/// Memories of requests kept for others.
const SPARE_MAX: usize = 64;

impl Outgoing {
    fn flush(&mut self, socket: &OwnedFd) -> io::Result<()> {
        while self.sent < self.bytes.len() && !self.is_blocked {
            let (until, file) = match self.files.front() {
                // The descriptor goes with the first byte of its frame.
                Some((at, file)) if *at == self.sent => {
                    let next = self.files.get(1).map_or(self.bytes.len(), |(at, _)| *at);
                    (next, Some(file.clone()))
                }
                Some((at, _)) => (*at, None),
                None => (self.bytes.len(), None),
            };
            let piece = self.bytes.get(self.sent..until).unwrap_or_default();
            let sent = match &file {
                None => rustix::net::send(socket, piece, SendFlags::NOSIGNAL),
                Some(file) => send_with(socket, piece, file),
            };
            match sent {
                Ok(sent) => {
                    self.is_blocked = sent < piece.len();
                    self.sent += sent;
                    if file.is_some() && sent > 0 {
                        self.files.pop_front();
                    }
                }
                Err(Errno::WOULDBLOCK) => self.is_blocked = true,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            if self.bytes.capacity() > BUFFER {
                self.bytes.shrink_to(BUFFER);
            }
        } else if self.sent > BUFFER {
            self.bytes.drain(..self.sent);
            self.files.iter_mut().for_each(|(at, _)| *at -= self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

/// Sends bytes together with a descriptor.
fn send_with(socket: &OwnedFd, bytes: &[u8], file: &File) -> Result<usize, Errno> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
}

/// How long requests take a worker, as far as that can be seen from here.
#[derive(Debug)]
struct Pace {
    /// When it began the request it is at, as far as we know, or last moved.
    since: Instant,
    /// Microseconds a request, the last ones counting most; 0 while nothing is known.
    micros: u64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, micros: u64::MAX / 16 }
    }

    /// It has something to do again.
    fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// `count` requests were answered since.
    fn answered(&mut self, now: Instant, count: u32) {
        let spent = now.saturating_duration_since(self.since).as_micros();
        let each = u64::try_from(spent).unwrap_or(u64::MAX / 16) / u64::from(count.max(1));
        // The first one counts alone, and nothing counts for ever.
        let before = if self.micros > 1_000_000_000 { each } else { self.micros };
        self.micros = (before * 7 + each) / 8;
        self.since = now;
    }

    /// One took so long that others were given back: it has to prove again that it is quick.
    fn was_slow(&mut self) {
        self.micros = self.micros.clamp(8 * QUICK.as_micros() as u64, 1_000_000_000);
    }

    fn is_quick(&self) -> bool {
        self.micros < QUICK.as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_proves_that_it_is_quick() {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut pace = Pace::new(start);
        assert!(!pace.is_quick());
        pace.begin(at(1000));
        pace.answered(at(1100), 1);
        assert!(pace.is_quick() && pace.micros == 100);
        pace.answered(at(1100 + 16 * 10), 16);
        assert_eq!(pace.micros, 88);
        pace.begin(at(10_000));
        pace.answered(at(60_000), 1);
        assert!(!pace.is_quick());
        for n in 0..30 {
            pace.begin(at(100_000 + n * 1000));
            pace.answered(at(100_050 + n * 1000), 1);
        }
        assert!(pace.is_quick());
        pace.was_slow();
        assert!(!pace.is_quick());
    }
}
