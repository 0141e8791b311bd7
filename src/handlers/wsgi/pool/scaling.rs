//! How many workers should there be, and which are started or retired for that?

use super::slot::{Stage, WorkerId, WorkerSlot};
use super::timers::{GROW_AFTER, LOADS_ALONE};
use super::{Command, Pool, in_slots};
use std::time::Duration;

/// A worker beyond `min` that had nothing to do for this long is one too many.
const SHRINK_AFTER: Duration = Duration::from_secs(30);

impl Pool {
    /// Starts as many workers as are missing, and retires those that are too many.
    pub(super) fn keep_up(&mut self) {
        if self.may_start() {
            self.retire_surplus();
        }
        if !self.is_starting {
            self.start_next();
        }
    }

    fn may_start(&self) -> bool {
        !self.is_stopped && self.not_before.is_none_or(|at| at <= self.now)
    }

    /// Asks for the start of a worker if one is missing. When that was answered, the next one follows.
    fn start_next(&mut self) {
        let generation = self.next_generation.unwrap_or(self.generation);
        // Those that will be replaced go when their successors are ready.
        let mine = |slot: &&WorkerSlot| slot.generation == generation && !slot.is_replaced;
        let on_the_way = |slot: &&WorkerSlot| slot.stage == Stage::Starting || slot.is_failing();
        let starting = self.slots().filter(mine).filter(on_the_way).count();
        let ready = self.slots().filter(mine).filter(|slot| slot.stage == Stage::Ready).count();
        let is_missing = starting + ready < self.target;
        // After a failure one has to show that it can be done, whoever is ready from before.
        if !self.may_start() || !is_missing || self.failures > 0 && starting > 0 {
            self.commands.push_back(Command::PassStartsOn);
            return;
        }
        let number = (1..).find(|n| !self.slots().any(|slot| slot.number == *n)).unwrap_or(0);
        self.started = self.started.wrapping_add(1);
        // Any sequence will do that does not repeat soon.
        let recycle = &self.app.recycle;
        let spread =
            u64::from(self.started).wrapping_mul(0x9E37_79B9) % recycle.jitter.saturating_add(1);
        let recycle_at = recycle.requests.map(|requests| requests + spread);
        let slot = WorkerSlot::new(number, generation, recycle_at, self.now);
        let free = self.workers.iter().position(Option::is_none);
        let worker = WorkerId(free.unwrap_or(self.workers.len()));
        match self.workers.get_mut(worker.0) {
            Some(free) => *free = Some(slot),
            None => self.workers.push(Some(slot)),
        }
        self.is_starting = true;
        self.commands.push_back(Command::Start(worker));
        self.look_by(self.now + LOADS_ALONE.min(self.app.startup));
    }

    /// A worker is a process now, and loads.
    pub(super) fn has_started(&mut self, worker: WorkerId, pid: u32) {
        self.is_starting = false;
        if let Some(slot) = self.slot_mut(worker) {
            slot.pid = pid;
        }
        self.start_next();
    }

    /// It may not be started yet.
    pub(super) fn start_deferred(&mut self, worker: WorkerId) {
        self.is_starting = false;
        self.waits_for_start = true;
        self.forget(worker);
        self.commands.push_back(Command::PassStartsOn);
    }

    /// It could not be started.
    pub(super) fn could_not_start(&mut self, worker: WorkerId, why: &str) {
        self.is_starting = false;
        self.forget(worker);
        self.problem = Some(why.to_owned());
        self.back_off();
        self.give_up(why);
        self.start_next();
    }

    fn forget(&mut self, worker: WorkerId) {
        if let Some(slot) = self.workers.get_mut(worker.0) {
            *slot = None;
        }
    }

    /// Lets those go that are too many: first those that have a successor.
    pub(super) fn retire_surplus(&mut self) {
        let generation = self.generation;
        let is_mine = |slot: &WorkerSlot| slot.is_ready() && slot.generation == generation;
        let mine = in_slots(&mut self.workers).filter(|(_, slot)| is_mine(slot));
        let mut mine: Vec<_> = mine.map(|(worker, slot)| (!slot.is_replaced, worker)).collect();
        let surplus = mine.len().saturating_sub(self.target);
        mine.sort();
        mine.into_iter().take(surplus).for_each(|(_, worker)| self.retire(worker));
    }

    /// More workers when requests wait, fewer when nobody needs them.
    pub(super) fn resize(&mut self) {
        let (now, workers) = (self.now, &self.app.workers);
        if workers.min == workers.max {
            return;
        }
        let waits = self.requests.queue.since().is_some_and(|since| now >= since + GROW_AFTER);
        let is_starting = self.slots().any(|slot| slot.stage == Stage::Starting);
        if waits && !is_starting && self.target < workers.max {
            self.target += 1;
            self.grown = Some(now);
        } else if !waits && self.target > workers.min {
            let is_idle = |slot: &WorkerSlot| {
                slot.is_ready() && slot.load() == 0 && now >= slot.idle_since + SHRINK_AFTER
            };
            let is_quiet = self.grown.is_none_or(|at| now >= at + SHRINK_AFTER);
            if is_quiet && self.slots().any(is_idle) {
                self.target -= 1;
            }
        }
    }
}
