//! A worker has ended: what becomes of its requests, and when is another one started?

use super::slot::{Fate, WorkerSlot};
use super::{Command, Failure, Pool, WorkerId};
use crate::conf::Level;
use std::time::Duration;

/// Restarts after failures: the first at once, then doubling to this.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
const BACK_OFF: Duration = Duration::from_millis(500);

/// With `reload`, somebody sits there and corrects the mistake.
const BACK_OFF_WATCHED: Duration = Duration::from_secs(1);

/// A worker that ends sooner than this after it was ready has failed as if it had not been.
const SOON: Duration = Duration::from_secs(1);

/// One that has lasted this long says that those before it had bad luck.
const LASTING: Duration = Duration::from_secs(60);

/// Workers that may end with a request that they have not begun.
const LOST_MAX: u8 = 2;

impl Pool {
    /// A worker has ended, and is collected.
    pub(super) fn has_ended(&mut self, worker: WorkerId, begun: u32, how: &str) {
        self.end_start(worker);
        let Some(mut slot) = self.workers.get_mut(worker.0).and_then(Option::take) else { return };
        slot.flights.begun = begun;
        self.settle(&mut slot, how);
        self.learn_from(&slot, how);
        self.keep_up();
        self.look_soon();
    }

    /// What it had is answered with an error if it had begun it, and waits again if not. A request that has
    /// met several workers that ended like this goes to no other, for then they do not tell the truth.
    fn settle(&mut self, slot: &mut WorkerSlot, how: &str) {
        for (flight, was_begun) in slot.flights.drain() {
            let Some(request) = flight.request else { continue };
            let Some(known) = self.requests.get_mut(request).filter(|_| !flight.is_over) else {
                self.release(request);
                continue;
            };
            known.lost += u8::from(!was_begun);
            if was_begun || known.lost > LOST_MAX {
                self.fail_waiting(request, Failure::WorkerEnded(how.to_owned()));
            } else if self.is_stopped {
                self.fail_waiting(request, Failure::Stopped);
            } else {
                self.requests.put_back(request);
            }
        }
    }

    /// What its end says of the application.
    fn learn_from(&mut self, slot: &WorkerSlot, how: &str) {
        let name = slot.name();
        match &slot.fate {
            Fate::Dismissed | Fate::Hung => return,
            Fate::Unknown if self.is_stopped => return,
            Fate::NotLoaded => {}
            Fate::Broken(why) => {
                let text = format!("{name} breaks the protocol and is replaced: {why}");
                self.log(Level::Error, text);
            }
            Fate::Unknown => {
                let when = if slot.was_ready { "" } else { " before it was ready" };
                self.log(Level::Error, format!("{name} is gone{when}: {how}"));
            }
        }
        let lived = self.now.saturating_duration_since(slot.since);
        if slot.was_ready {
            if lived >= LASTING {
                self.strikes = 0;
            }
            if lived < SOON || slot.is_broken() {
                self.strikes += 1;
                self.back_off();
            }
        } else if self.next_generation == Some(slot.generation) {
            self.keep_old_source();
        } else {
            if self.problem.is_none() {
                self.problem = Some(format!("a worker ended before it was ready: {how}"));
                self.give_up("a worker ended before it was ready");
            }
            self.back_off();
        }
    }

    /// Ends the server, if it is worth nothing without this application.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.app.required && !self.was_ready {
            self.commands.push_back(Command::GiveUp(format!("it is required: {why}")));
        }
    }

    /// The next attempt has to wait. Several workers that fail together count once.
    pub(super) fn back_off(&mut self) {
        if self.not_before.is_some_and(|at| at > self.now) {
            return;
        }
        let most = if self.app.reload { BACK_OFF_WATCHED } else { BACK_OFF_MAX };
        let former = self.failures.max(self.strikes.saturating_sub(1)).min(10);
        let wait = BACK_OFF.saturating_mul(1 << former).min(most);
        self.failures += 1;
        self.not_before = Some(self.now + wait);
        self.look_by(self.now + wait);
    }
}
