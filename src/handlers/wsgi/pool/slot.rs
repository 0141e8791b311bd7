//! What is known of one worker?

use super::flights::Flights;
use super::latency::Latency;
use super::{Command, Pool, RequestId};
use std::time::{Duration, Instant};

/// A worker: the number of its slot, which another one may have when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct WorkerId(pub(in super::super) usize);

#[derive(Debug)]
pub(super) struct WorkerSlot {
    /// The smallest number that was free, from 1: what people call it.
    pub(super) number: u32,
    pub(super) pid: u32,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    pub(super) fate: Fate,
    /// When it was started, or became ready.
    pub(super) since: Instant,
    /// It has the right to load, for some time.
    pub(super) loads: bool,
    /// When its Python was seen not to run yet the last time: its time to load begins then.
    pub(super) loads_since: Instant,
    /// Of its time to load, how long it has waited for a processor.
    pub(super) starved: Duration,
    /// It has said whether it could load the application.
    pub(super) has_opened: bool,
    pub(super) was_ready: bool,
    /// It has closed its socket, or has said that nothing more comes.
    pub(super) has_closed: bool,
    /// Its socket takes no more for now.
    pub(super) is_full: bool,
    pub(super) flights: Flights,
    pub(super) latency: Latency,
    /// When the request that it is at became the first in flight.
    pub(super) front_since: Instant,
    pub(super) idle_since: Instant,
    /// Answers given, and those since it was last heard out.
    pub(super) served: u64,
    pub(super) answered: u32,
    /// Requests after which it is replaced.
    pub(super) recycle_at: Option<u64>,
    /// Another one is on its way for it.
    pub(super) is_replaced: bool,
    /// Nothing is received from it, since then: what it answers is more than its client takes.
    pub(super) held_since: Option<Instant>,
    /// How long it has waited for the client of the request it is at, before that.
    held_before: Duration,
    /// Bytes of that answer that its client has taken,
    taken: u64,
    /// and how many they were when that was last judged.
    judged: Option<(Instant, u64)>,
    /// How often it said that a source has changed.
    pub(super) changes: u64,
    /// Requests that it gave back since its last answer.
    pub(super) returns: usize,
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

/// Why a worker ends, when it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing was asked of it.
    Unknown,
    /// It is no longer needed.
    Dismissed,
    /// It could not load the application, or not in time.
    NotLoaded,
    /// One request took too long.
    Hung,
    /// It has broken the protocol.
    Broken(String),
}

/// From the order to end until a worker that does not is killed.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// Requests in flight to a quick worker. Beyond some thirty the wake-up that they share is no
/// longer what costs.
pub(super) const FLIGHTS_MAX: usize = 64;

/// A worker that is this long at one request is given no other.
pub(super) const STALLED: Duration = Duration::from_millis(20);

impl WorkerSlot {
    /// One that is about to be started.
    pub(super) fn new(number: u32, generation: u32, recycle_at: Option<u64>, now: Instant) -> Self {
        Self {
            number,
            pid: 0,
            generation,
            stage: Stage::Starting,
            fate: Fate::Unknown,
            since: now,
            loads: true,
            loads_since: now,
            starved: Duration::ZERO,
            has_opened: false,
            was_ready: false,
            has_closed: false,
            is_full: false,
            flights: Flights::default(),
            latency: Latency::new(now),
            front_since: now,
            idle_since: now,
            served: 0,
            answered: 0,
            recycle_at,
            is_replaced: false,
            held_since: None,
            held_before: Duration::ZERO,
            taken: 0,
            judged: None,
            changes: 0,
            returns: 0,
        }
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        format!("worker {} (pid {})", self.number, self.pid)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready && !self.has_closed
    }

    pub(super) fn is_at_work(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Retiring)
    }

    /// It could not be started, and ends: what follows from that is decided when it has.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.stage, Stage::Ending(_)) && !self.was_ready && self.fate != Fate::Dismissed
    }

    /// Nothing that it says counts any more.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.fate, Fate::Broken(_))
    }

    /// Requests in flight.
    pub(super) fn load(&self) -> usize {
        self.flights.len()
    }

    /// How many requests it may be given.
    pub(super) fn room(&self, now: Instant) -> usize {
        if !self.is_ready() {
            return 0;
        }
        let is_stuck = self.busy_for(now) >= STALLED || self.held_since.is_some();
        let is_quick = self.latency.is_quick() && !is_stuck && !self.is_full;
        let depth = if is_quick { FLIGHTS_MAX } else { 1 };
        depth.saturating_sub(self.load()).min(self.flights.free_marks())
    }

    /// How long it has been at the request it is at.
    pub(super) fn busy_for(&self, now: Instant) -> Duration {
        match self.flights.front() {
            Some(_) => now.saturating_duration_since(self.latency.since),
            None => Duration::ZERO,
        }
    }

    /// Adds a request to those in flight. Returns the id to send it under.
    pub(super) fn give(&mut self, request: RequestId, now: Instant) -> u32 {
        if self.load() == 0 {
            self.latency.begin(now);
            self.front_since = now;
        }
        self.flights.push(request)
    }

    /// Part of an answer has come.
    pub(super) fn has_moved(&mut self, ends: bool, now: Instant) {
        if ends {
            self.held_before = Duration::ZERO;
            self.returns = 0;
            self.answered += 1;
        } else {
            // Its time begins again.
            self.latency.since = now;
        }
    }

    /// What it has said for now was heard: how quick was it?
    pub(super) fn count_answers(&mut self, now: Instant) {
        let answered = std::mem::take(&mut self.answered);
        if answered > 0 {
            self.served += u64::from(answered);
            self.latency.answered(now, answered);
            self.front_since = now;
            if self.load() == 0 {
                self.idle_since = now;
            }
        }
    }

    /// It has to wait until its client has taken more than this.
    pub(super) fn hold(&mut self, taken: u64, now: Instant) {
        self.taken = taken;
        if self.held_since.is_none() {
            self.held_since = Some(now);
            self.judged = Some((now, taken));
        }
    }

    /// It no longer has to wait for its client. What it has waited does not count as its own.
    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(since) = self.held_since.take() {
            self.held_before += now.saturating_duration_since(since);
            self.latency.since = now;
        }
    }

    /// How long it has waited for the client of the request it is at, if it does so now.
    pub(super) fn held_for(&self, now: Instant) -> Duration {
        let held = self.held_since.map(|since| now.saturating_duration_since(since));
        held.map_or(Duration::ZERO, |held| self.held_before + held)
    }

    /// Whether the client that it waits for has taken less than `rate` bytes a second during `period`: the
    /// last one, or the one before that.
    pub(super) fn has_slow_reader(&mut self, now: Instant, period: Duration, rate: u64) -> bool {
        let Some((since, before)) = self.judged.filter(|_| self.flights.front_live().is_some())
        else {
            return false;
        };
        if now < since + period {
            return false;
        }
        let millis = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
        let is_slow = self.taken.saturating_sub(before) < millis.saturating_mul(rate) / 1000;
        if !is_slow {
            self.judged = Some((now, self.taken));
        }
        is_slow
    }
}

/// How workers are let go.
impl Pool {
    /// Gives a worker nothing more; it ends when it has answered what it has.
    pub(super) fn retire(&mut self, worker: WorkerId) {
        let Some(slot) = self.slot_mut(worker) else { return };
        match slot.stage {
            Stage::Starting => self.discard(worker),
            Stage::Ready => {
                slot.stage = Stage::Retiring;
                if slot.load() == 0 {
                    self.retire_now(worker);
                }
            }
            Stage::Retiring | Stage::Ending(_) => {}
        }
    }

    /// Lets a worker go that has nothing to do.
    pub(super) fn retire_now(&mut self, worker: WorkerId) {
        self.commands.push_back(Command::CloseInput(worker));
        self.end(worker, Fate::Dismissed, STOP_GRACE);
    }

    /// Kills a worker that has nothing to do.
    pub(super) fn discard(&mut self, worker: WorkerId) {
        self.commands.push_back(Command::Kill(worker));
        self.end(worker, Fate::Dismissed, STOP_GRACE);
    }

    /// A worker is to end, and is killed if it has not after `grace`.
    pub(super) fn end(&mut self, worker: WorkerId, fate: Fate, grace: Duration) {
        let kill_at = self.now + grace;
        self.end_start(worker);
        if let Some(slot) = self.slot_mut(worker) {
            slot.fate = fate;
            slot.stage = Stage::Ending(kill_at);
        }
    }

    /// A worker loads no longer, or is no longer waited for.
    pub(super) fn end_start(&mut self, worker: WorkerId) {
        if let Some(slot) = self.slot_mut(worker)
            && std::mem::take(&mut slot.loads)
        {
            self.commands.push_back(Command::EndStart(worker));
        }
    }
}
