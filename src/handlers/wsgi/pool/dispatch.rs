//! Which waiting request goes to which worker, and which one comes back?

use super::requests::Place;
use super::slot::{STALLED, WorkerSlot};
use super::timers::GROW_AFTER;
use super::{Command, Pool, WorkerId, in_slots};
use std::time::Instant;

impl Pool {
    /// Gives waiting requests to workers that are free, least busy first.
    pub(super) fn dispatch(&mut self) {
        let (now, generation) = (self.now, self.generation);
        self.requests.queue.forget_late(now);
        while !self.requests.queue.is_empty() {
            let free = in_slots(&mut self.workers)
                .filter(|(_, slot)| slot.generation == generation && slot.room(now) > 0);
            let Some((worker, slot)) = free.min_by_key(|(_, slot)| slot.load()) else { break };
            let Some(waiting) = self.requests.queue.pop(|_| true) else { break };
            let request = waiting.item;
            let id = slot.give(request, now);
            if let Some(known) = self.requests.get_mut(request) {
                known.place = Place::Sent(worker, id);
            }
            self.commands.push_back(Command::Send { request, worker, id });
        }
        if self.slots().any(|slot| slot.load() > 1) {
            self.revoke_by(now + STALLED);
        }
        // Where nothing is known to be due, everything is looked at: see `arm`.
        if self.due.is_some() {
            if !self.requests.queue.is_empty() {
                self.look_by(now + GROW_AFTER.min(self.app.queue_timeout));
            }
            self.look_by(now + self.app.timeout);
        }
    }

    /// How many requests would not have to wait.
    pub(super) fn room(&self) -> usize {
        let present = |slot: &&WorkerSlot| slot.generation == self.generation;
        self.slots().filter(present).map(|slot| slot.room(self.now)).sum()
    }

    /// Has workers that are at one request for long give back what was sent ahead.
    pub(super) fn revoke(&mut self) {
        let (now, mut next) = (self.now, None::<Instant>);
        for (worker, slot) in in_slots(&mut self.workers).filter(|(_, slot)| slot.load() > 1) {
            let revoked = slot.flights.revoke(slot.front_since, now);
            let marks = revoked.marks.into_iter();
            self.commands.extend(marks.map(|id| Command::MarkRevoked { worker, id }));
            if revoked.asks {
                self.commands.push_back(Command::ReadBegun(worker));
            }
            next = next.into_iter().chain(revoked.again).min();
        }
        if let Some(at) = next {
            self.revoke_by(at);
        }
    }

    /// Has that done again at that time.
    fn revoke_by(&mut self, at: Instant) {
        if self.revoke_at.is_none_or(|other| other <= self.now || other > at) {
            self.revoke_at = Some(at);
            self.commands.push_back(Command::WakeAt(at));
        }
    }

    /// A worker says what it has begun last: what it was told not to begin, and has not, waits again.
    pub(super) fn has_begun(&mut self, worker: WorkerId, id: u32) {
        let now = self.now;
        let Some(slot) = self.slot_mut(worker) else { return };
        slot.flights.begun = id;
        let taken = slot.flights.take_revoked(now);
        if !taken.is_empty() {
            slot.latency.was_slow();
            taken.into_iter().for_each(|flight| self.give_back(flight));
            self.look_soon();
        }
    }
}
