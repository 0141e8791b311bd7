//! When do new workers take over from old ones?

use super::{Command, Pool, WorkerId, WorkerSlot, in_slots};
use crate::conf::Level;
use std::time::{Duration, Instant};

/// From one start of workers for a changed source to the next; workers look every half second.
const CHANGES_APART: Duration = Duration::from_millis(500);

impl Pool {
    /// A worker is ready: perhaps a whole generation is.
    pub(super) fn became_ready(&mut self, took: Duration, python: &str) {
        self.failures = 0;
        // Others that were ready did not last: those that follow them have to wait.
        self.not_before = self.not_before.filter(|_| self.strikes > 0);
        let next = self.next_generation.unwrap_or(self.generation);
        let is_new = |slot: &&WorkerSlot| slot.is_ready() && slot.generation == next;
        let ready = self.slots().filter(is_new).count();
        self.commands.push_back(Command::Schedule);
        if ready < self.target {
            self.keep_up();
            return;
        }
        let seconds = took.as_secs_f64();
        let workers = if ready == 1 { "1 worker".to_owned() } else { format!("{ready} workers") };
        if self.next_generation.take().is_some() {
            self.generation = next;
            self.each(|slot| slot.generation < next, Self::retire);
            self.log(Level::Info, format!("{workers} with the new source"));
        } else if !self.was_ready {
            self.log(Level::Info, format!("{workers} ready in {seconds:.1} s, Python {python}"));
        }
        self.was_ready = true;
        // Those whose place is taken.
        self.retire_surplus();
    }

    /// Starts workers for a source that has changed, unless that was done just now: every worker sees a
    /// change, at its own time.
    pub(super) fn heed_change(&mut self) {
        let is_due = self.change_due().is_some_and(|at| self.now >= at);
        if !is_due || self.is_stopped {
            return;
        }
        self.change_waits = None;
        self.changed_at = Some(self.now);
        if self.next_generation.is_none() {
            self.log(Level::Info, "a source has changed: starting new workers".to_owned());
        }
        // Those that are starting may have read the old one.
        let former = self.next_generation.take();
        self.each(|slot| former == Some(slot.generation), Self::discard);
        self.next_generation = Some(former.unwrap_or(self.generation) + 1);
        self.problem = None;
        (self.failures, self.not_before) = (0, None);
    }

    /// When workers are started for a source that has changed, if one has.
    pub(super) fn change_due(&self) -> Option<Instant> {
        let since = self.change_waits?;
        Some(self.changed_at.map_or(since, |at| since.max(at + CHANGES_APART)))
    }

    /// The new source cannot be loaded: the old workers go on, until it changes again.
    pub(super) fn keep_old_source(&mut self) {
        self.next_generation = None;
        self.problem = None;
        let generation = self.generation;
        self.each(|slot| slot.generation > generation, Self::discard);
    }

    /// Lets some of the workers go.
    fn each(&mut self, which: impl Fn(&WorkerSlot) -> bool, let_go: fn(&mut Self, WorkerId)) {
        let chosen = in_slots(&mut self.workers).filter(|(_, slot)| which(slot));
        let chosen: Vec<_> = chosen.map(|(worker, _)| worker).collect();
        chosen.into_iter().for_each(|worker| let_go(self, worker));
    }
}
