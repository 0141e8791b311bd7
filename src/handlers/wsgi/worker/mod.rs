//! One worker process, seen from here: its socket, what is in flight to it, how quick it is.
//!
//! Moves bytes and puts what has come into the jobs they are for. What follows from that (who gets
//! the next request, who is replaced) is `pool`'s to decide: it is told by [`News`].

mod outgoing;
mod pace;
mod receive;

use super::heads::Heads;
use super::job::{Job, Place};
use super::launch::{Child, Line};
use crate::event::Source;
use outgoing::Outgoing;
use pace::Pace;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Requests in flight to a quick worker. Beyond some thirty the wake-up that they share is no
/// longer what costs.
const FLIGHTS_MAX: usize = 64;

/// A worker that is this long at one request is given no other.
pub(super) const STALLED: Duration = Duration::from_millis(20);

/// From marking requests on the board to believing what it says of them. Far more than a write needs to
/// be seen by another processor.
const SETTLED: Duration = Duration::from_millis(5);

/// Received at once, and kept of an incomplete frame.
const BUFFER: usize = 256 * 1024;

/// Words of the board (see `worker.py`).
const STARTED: u64 = 0;
const LOADING: u64 = 1;
const CANCELLED: u64 = 16;
const REVOKED: u64 = 128;
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
    /// Nothing is received from it, since then: what it answers is more than its client takes.
    pub(super) paused_since: Option<Instant>,
    /// How long it has waited for the client of the request it is at, before that.
    pub(super) waited: Duration,
    /// How much of that answer its client had taken, and when: at first when it had to wait.
    reading: Cell<Option<(Instant, u64)>>,
    /// It has more than was read in its turn.
    pub(super) has_more: bool,
    /// Its socket has ended, or it has said that nothing more comes.
    pub(super) has_ended: bool,
    pub(super) idle_since: Instant,
    /// It watches its sources, and may say that one has changed.
    pub(super) is_watching: bool,
    /// It has said whether it could load the application.
    has_opened: bool,
    /// It has said what it must not: nothing of it counts any more.
    is_broken: bool,
    /// How often it said that a source has changed.
    changes: u64,
    /// Requests that it gave back since its last answer.
    returns: usize,
    socket: Source<OwnedFd>,
    board: File,
    out: Outgoing,
    buffer: Box<[u8]>,
    filled: usize,
    files: VecDeque<File>,
    flights: VecDeque<Flight>,
    next_id: u32,
    pace: Pace,
    /// When the request that it is at became the first in flight.
    front_since: Instant,
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
    /// `None`: it was taken back while the worker was at another one, which skips it.
    job: Option<Rc<Job>>,
    /// The head of its answer has come.
    has_head: bool,
    /// It is marked on the board, since then: the worker will not begin it.
    revoked: Option<Instant>,
}

/// What the workers of a pool use together.
#[derive(Default)]
pub(super) struct Shared {
    heads: Heads,
    /// Memories of requests, for others.
    spare: Vec<Vec<u8>>,
}

/// Memories that are kept, and the longest one.
const SPARE_MAX: usize = 64;
const SPARE_LEN: usize = 64 * 1024;

impl Shared {
    /// Empty memory, perhaps warm.
    pub(super) fn memory(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps memory for others, unless there is enough of it.
    pub(super) fn give_memory(&mut self, mut memory: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && memory.capacity() <= SPARE_LEN {
            memory.clear();
            self.spare.push(memory);
        }
    }
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
    /// What waits of its answer does not fit on the disk, so that it has to wait.
    DiskFull(io::Error),
    /// It cannot be believed any more.
    Broken(String),
}

/// Whether a worker that has begun the request `begun` last has not begun `id`. Ids come round after
/// 2³²; those in flight are close together.
fn is_before(begun: u32, id: u32) -> bool {
    begun == 0 || begun.wrapping_sub(id) >= u32::MAX / 2
}

impl Worker {
    pub(super) fn new(
        serial: u32,
        number: u32,
        generation: u32,
        child: Child,
        socket: Source<OwnedFd>,
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
            paused_since: None,
            waited: Duration::ZERO,
            reading: Cell::new(None),
            has_more: false,
            has_ended: false,
            idle_since: now,
            is_watching: false,
            has_opened: false,
            is_broken: false,
            changes: 0,
            returns: 0,
            socket,
            board: line.board,
            out: Outgoing::new(line.greeting),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            filled: 0,
            files: VecDeque::new(),
            flights: VecDeque::new(),
            next_id: 1,
            pace: Pace::new(now),
            front_since: now,
        }
    }

    /// Requests in flight.
    pub(super) fn load(&self) -> usize {
        self.flights.len()
    }

    /// How many requests it may be given.
    pub(super) fn room(&self, now: Instant) -> usize {
        if self.stage != Stage::Ready || self.has_ended {
            return 0;
        }
        let is_stuck = self.busy_for(now) >= STALLED || self.paused_since.is_some();
        let is_quick = self.pace.is_quick() && !is_stuck;
        let depth = if is_quick && self.socket.is_writable() { FLIGHTS_MAX } else { 1 };
        // Each has a slot of the board of its own.
        let oldest = self.flights.front().map_or(self.next_id, |flight| flight.id);
        let slots = (SLOTS as usize).saturating_sub(self.next_id.wrapping_sub(oldest) as usize);
        depth.saturating_sub(self.flights.len()).min(slots)
    }

    /// How long it has been at the request it is at.
    pub(super) fn busy_for(&self, now: Instant) -> Duration {
        match self.flights.front() {
            Some(_) => now.saturating_duration_since(self.pace.since),
            None => Duration::ZERO,
        }
    }

    /// How long it has waited for the client of the request it is at, if it does so now.
    pub(super) fn is_held_for(&self, now: Instant) -> Duration {
        let pause = self.paused_since.map(|since| now.saturating_duration_since(since));
        pause.map_or(Duration::ZERO, |pause| self.waited + pause)
    }

    /// Whether the client that it waits for has taken less than `rate` bytes a second during `period`: the
    /// last one, or the one before that.
    pub(super) fn has_slow_reader(&self, now: Instant, period: Duration, rate: u64) -> bool {
        let (Some(job), Some((since, before))) = (self.front(), self.reading.get()) else {
            return false;
        };
        if now < since + period {
            return false;
        }
        let millis = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
        let is_slow = job.drained().saturating_sub(before) < millis.saturating_mul(rate) / 1000;
        if !is_slow {
            self.reading.set(Some((now, job.drained())));
        }
        is_slow
    }

    /// Since when somebody waits for what comes after the request it is at.
    pub(super) fn others_since(&self) -> Option<Instant> {
        let others = self.flights.iter().skip(1).filter_map(|flight| flight.job.as_ref());
        others.filter(|job| !job.is_over()).map(|job| job.since).min()
    }

    /// The request it is at.
    pub(super) fn front(&self) -> Option<&Rc<Job>> {
        self.flights.front().and_then(|flight| flight.job.as_ref())
    }

    /// Puts a request among what is to be sent.
    pub(super) fn give(&mut self, job: Rc<Job>, now: Instant) {
        if self.flights.is_empty() {
            self.pace.begin(now);
            self.front_since = now;
        }
        let id = self.next_id;
        // 0 is no id, so that an empty board names nobody.
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        job.send(id, |frame, file| self.out.push(frame, file));
        job.set_place(Place::Sent(self.serial, id));
        self.flights.push_back(Flight { id, job: Some(job), has_head: false, revoked: None });
    }

    /// Sends what the socket takes. A socket that is broken has its end found by reading.
    pub(super) fn flush(&mut self) {
        let _ = self.out.flush(&mut self.socket);
    }

    /// Tells the worker that nobody waits for a request any more: if it has not begun it, it will
    /// not, and otherwise it ends at its next piece.
    pub(super) fn cancel(&self, id: u32) {
        self.mark(CANCELLED, id);
    }

    /// Tells it so of the request it is at.
    pub(super) fn cancel_front(&self) {
        if let Some(flight) = self.flights.front() {
            self.cancel(flight.id);
        }
    }

    /// Writes an id into its slot of the board.
    fn mark(&self, slots: u64, id: u32) {
        let slot = slots + u64::from(id % SLOTS);
        // The board is memory; writing to it fails only if there is none left.
        let _ = self.board.write_all_at(&id.to_le_bytes(), slot * 4);
    }

    /// Takes back what it was sent ahead and has not begun, when it is at one request for long: because
    /// that takes long, or because the worker has to wait until its answer is taken. Its own second
    /// thread gives requests back as well, but not while the socket is full or a call holds the
    /// interpreter.
    ///
    /// First they are marked on the board, where the worker looks after it has said what it begins.
    /// What it says it has begun is read a while later, so that of the two writes at least one is seen
    /// by the other side. Returns the requests, and when to come again.
    pub(super) fn revoke(&mut self, now: Instant) -> (Vec<Rc<Job>>, Option<Instant>) {
        let (mut jobs, mut again) = (Vec::new(), None);
        if now < self.front_since + STALLED {
            return (jobs, (self.flights.len() > 1).then_some(self.front_since + STALLED));
        }
        let begun = self.begun();
        let (mut flights, mut told) = (std::mem::take(&mut self.flights), false);
        for flight in flights.iter_mut().skip(1).filter(|flight| flight.job.is_some()) {
            match flight.revoked {
                None => {
                    flight.revoked = Some(now);
                    self.mark(REVOKED, flight.id);
                    again = Some(now + SETTLED);
                }
                Some(since) if now < since + SETTLED => again = Some(since + SETTLED),
                Some(_) if is_before(begun, flight.id) => {
                    jobs.extend(flight.job.take());
                    told = true;
                }
                Some(_) => {}
            }
        }
        self.flights = flights;
        if told {
            self.pace.was_slow();
        }
        (jobs, again)
    }

    /// The id of the last request it has begun.
    fn begun(&self) -> u32 {
        self.word(STARTED)
    }

    /// Whether its Python runs and loads the application, or has loaded it.
    pub(super) fn is_loading(&self) -> bool {
        self.word(LOADING) != 0
    }

    /// A word of the board.
    fn word(&self, number: u64) -> u32 {
        let mut word = [0; 4];
        let _ = self.board.read_exact_at(&mut word, number * 4);
        u32::from_le_bytes(word)
    }

    /// Nothing more will be sent to it: it ends when it has answered.
    pub(super) fn end_input(&self) {
        let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Write);
    }

    /// After its end: what it had begun, and what it had not.
    pub(super) fn leftovers(&mut self) -> (Vec<Rc<Job>>, Vec<Rc<Job>>) {
        let begun = self.begun();
        let is_begun = |id: u32| !is_before(begun, id);
        let flights = self.flights.drain(..);
        let (lost, fresh): (Vec<_>, Vec<_>) = flights.partition(|flight| is_begun(flight.id));
        let jobs = |flights: Vec<Flight>| flights.into_iter().filter_map(|f| f.job).collect();
        (jobs(lost), jobs(fresh))
    }
}
