//! What is due, and when: requests that waited too long, workers that start too slowly, hang, are old, or
//! do not end.

use super::slot::{Fate, Stage, WorkerSlot};
use super::{Command, Failure, Pool, WorkerId};
use crate::conf::Level;
use std::time::{Duration, Instant};

/// From asking for the stacks of a worker that hangs to killing it.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A worker that loads for longer than this no longer has others wait: it may be at something else than
/// work.
pub(super) const LOADS_ALONE: Duration = Duration::from_secs(5);

/// How many times `startup` a worker may wait for a processor, and for Python to run.
const STARVED_MAX: u32 = 10;

/// How often memory and age are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A queue that has somebody in it for this long makes the pool grow.
pub(super) const GROW_AFTER: Duration = Duration::from_millis(100);

impl Pool {
    /// Sees to everything whose time has come.
    pub(super) fn look(&mut self) {
        self.expire();
        for number in 0..self.workers.len() {
            self.look_at(WorkerId(number));
        }
        self.free_held();
        self.resize();
        self.heed_change();
        self.keep_up();
        self.due = None;
    }

    /// One worker: does it start in time, does it hang, is it old?
    fn look_at(&mut self, worker: WorkerId) {
        let (now, timeout) = (self.now, self.app.timeout);
        let Some(slot) = self.slot_mut(worker) else { return };
        let age = now.saturating_duration_since(slot.since);
        let stuck_for = slot.busy_for(now);
        match slot.stage {
            Stage::Starting => {
                if age >= LOADS_ALONE {
                    self.end_start(worker);
                }
                if self.start_ends(worker).is_some_and(|at| now >= at) {
                    self.commands.push_back(Command::MeasureStart(worker));
                }
            }
            Stage::Ending(at) if now >= at => {
                slot.stage = Stage::Ending(now + LOOK_EVERY);
                self.commands.push_back(Command::Kill(worker));
            }
            // It does not hang: its client does not take the answer.
            Stage::Ready | Stage::Retiring if slot.held_since.is_some() => {}
            Stage::Ready | Stage::Retiring if stuck_for >= timeout => {
                self.is_stuck(worker, stuck_for);
            }
            Stage::Ready if !slot.is_replaced => self.look_at_age(worker, age),
            _ => {}
        }
    }

    /// A worker is at one request for too long.
    fn is_stuck(&mut self, worker: WorkerId, spent: Duration) {
        let Some(front) = self.slot(worker).and_then(|slot| slot.flights.front()).copied() else {
            return;
        };
        let request = front.request;
        self.commands.push_back(Command::LogStuck { worker, request, spent });
        if let Some(request) = front.live() {
            self.commands.push_back(Command::Fail { request, why: Failure::Stuck });
            if let Some(slot) = self.slot_mut(worker) {
                slot.flights.end(front.id);
            }
        }
        self.interrupt(worker, Fate::Hung);
    }

    /// A worker is replaced after so much time, so many answers, or for what memory it occupies.
    fn look_at_age(&mut self, worker: WorkerId, age: Duration) {
        let recycle = &self.app.recycle;
        let (is_old, limits_memory) =
            (recycle.age.is_some_and(|limit| age >= limit), recycle.memory.is_some());
        let Some(slot) = self.slot_mut(worker) else { return };
        let served = slot.served;
        if is_old {
            self.replace(worker, "is old enough");
        } else if slot.recycle_at.is_some_and(|at| served >= at) {
            self.replace(worker, "has answered enough");
        } else if limits_memory && served > 0 {
            self.commands.push_back(Command::MeasureMemory(worker));
        }
    }

    /// Has another worker started for one that answers until that is ready.
    fn replace(&mut self, worker: WorkerId, why: &str) {
        if let Some(slot) = self.slot_mut(worker) {
            slot.is_replaced = true;
            let text = format!("{} {why} and is replaced", slot.name());
            self.log(Level::Debug, text);
        }
    }

    /// What a worker occupies: if it is more than it may, the worker is replaced. A successor of one that has
    /// not answered anything would be no smaller: then a warning is logged, once, for the limit is below what
    /// every worker begins with.
    pub(super) fn judge_memory(&mut self, worker: WorkerId, bytes: u64) {
        let is_too_much = self.app.recycle.memory.is_some_and(|limit| bytes > limit);
        let Some(slot) = self.slot(worker).filter(|_| is_too_much) else { return };
        if slot.served > 0 {
            if slot.stage == Stage::Ready && !slot.is_replaced {
                self.replace(worker, "has grown too large");
                self.look_soon();
            }
        } else if !self.has_warned_of_memory {
            let text = format!(
                "{} has {} MiB before its first request, more than `recycle.memory`: every worker \
                 is replaced after its first answers",
                slot.name(),
                bytes >> 20
            );
            self.has_warned_of_memory = true;
            self.log(Level::Warning, text);
        }
    }

    /// The time of a worker that loads is over, but for what does not count: until Python runs (`python` may be
    /// a script that looks for the right one), and while the worker waited for a processor. On a busy machine
    /// it is no sooner ready for being killed and started again.
    pub(super) fn judge_start(&mut self, worker: WorkerId, waited: Duration, runs: bool) {
        let (now, startup, most) = (self.now, self.app.startup, self.app.startup * STARVED_MAX);
        let Some(slot) = self.slot_mut(worker).filter(|slot| slot.stage == Stage::Starting) else {
            return;
        };
        if !runs && now < slot.since + most {
            slot.loads_since = now;
        }
        slot.starved = waited.min(most);
        let name = slot.name();
        if self.start_ends(worker).is_some_and(|at| self.now >= at) {
            self.problem = Some(format!("it did not start in {startup:?}"));
            self.log(Level::Error, format!("{name} did not start in {startup:?}; it was here:"));
            self.interrupt(worker, Fate::NotLoaded);
            self.give_up("it does not start in time");
        }
        self.look_soon();
    }

    /// When a worker that loads should be ready.
    fn start_ends(&self, worker: WorkerId) -> Option<Instant> {
        self.slot(worker).map(|slot| slot.loads_since + self.app.startup + slot.starved)
    }

    /// Has a worker write down where it is, and ends it.
    fn interrupt(&mut self, worker: WorkerId, fate: Fate) {
        self.commands.push_back(Command::DumpStacks(worker));
        self.end(worker, fate, LAST_WORDS);
    }

    /// When something is due next.
    fn next_due(&self) -> Option<Instant> {
        let queue = self.requests.queue.since().map(|since| {
            let (grow, expire) = (since + GROW_AFTER, since + self.app.queue_timeout);
            match self.app.workers.min < self.app.workers.max {
                true if grow > self.now => grow.min(expire),
                true => expire.min(self.now + GROW_AFTER),
                false => expire,
            }
        });
        let slots = self.slots().filter_map(|slot| self.slot_due(slot));
        let recycle = &self.app.recycle;
        let watch = recycle.age.is_some() || recycle.memory.is_some() || recycle.requests.is_some();
        let watch = watch || self.target > self.app.workers.min;
        let watch = (watch && !self.is_stopped).then(|| self.now + LOOK_EVERY);
        let restart = self.not_before.filter(|at| *at > self.now && !self.is_stopped);
        let change = self.change_due().filter(|_| !self.is_stopped);
        slots.chain(queue).chain(watch).chain(restart).chain(change).min()
    }

    /// When something is due with a worker.
    fn slot_due(&self, slot: &WorkerSlot) -> Option<Instant> {
        let now = self.now;
        match slot.stage {
            Stage::Starting => {
                let late = slot.loads_since + self.app.startup + slot.starved;
                Some(if slot.loads { late.min(slot.since + LOADS_ALONE) } else { late })
            }
            Stage::Ending(at) => Some(at),
            Stage::Ready | Stage::Retiring if slot.held_since.is_some() => {
                Some(now + self.patience())
            }
            Stage::Ready | Stage::Retiring if slot.load() > 0 => {
                Some(now + self.app.timeout.saturating_sub(slot.busy_for(now)))
            }
            Stage::Ready | Stage::Retiring => None,
        }
    }

    /// Has everything looked at by then.
    pub(super) fn look_by(&mut self, at: Instant) {
        match self.due {
            None => self.commands.push_back(Command::Schedule),
            Some(due) if due <= at => {}
            Some(_) => {
                self.due = Some(at);
                self.commands.push_back(Command::WakeAt(at));
            }
        }
    }

    /// Has everything looked at when something is due, if that is not known.
    pub(super) fn arm(&mut self) {
        if self.due.is_none() {
            self.due = self.next_due();
            self.commands.extend(self.due.map(Command::WakeAt));
        }
    }
}
