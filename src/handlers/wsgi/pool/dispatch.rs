//! Which waiting request goes to which worker, and which one has waited too long?

use super::super::worker::STALLED;
use super::due::GROW_AFTER;
use super::seat::Seat;
use super::{Inner, Pool, STARTS};
use crate::event::Cx;
use std::time::Instant;

impl Pool {
    /// Gives waiting requests to workers that are free, least busy first, and sends.
    pub(super) fn hand_out(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        while !inner.queue.is_empty() {
            let generation = inner.generation;
            let Inner { seats, queue, .. } = inner;
            let free = seats
                .iter_mut()
                .flatten()
                .filter(|seat| seat.worker.generation == generation && seat.worker.room(now) > 0);
            let Some(seat) = free.min_by_key(|seat| seat.worker.load()) else { break };
            let Some(job) = queue.pop_fairly(now) else { break };
            seat.worker.give(job, now);
        }
        for seat in inner.seats_mut() {
            seat.worker.flush();
        }
        let is_ahead = inner.seats().any(|seat| seat.worker.load() > 1);
        self.revoke_again(inner, is_ahead.then_some(now + STALLED), cx);
        // Where nothing is known to be due, all of it is looked at: see `arm`.
        if inner.due.is_none() {
            return;
        }
        if !inner.queue.is_empty() {
            self.wants_look(inner, now + GROW_AFTER.min(self.app.queue_timeout), cx);
        }
        self.wants_look(inner, now + self.app.timeout, cx);
    }

    /// Takes back what was sent ahead to workers that are at one request for long.
    pub(super) fn revoke(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        let mut next: Option<Instant> = None;
        let Inner { seats, queue, .. } = inner;
        for seat in seats.iter_mut().flatten().filter(|seat| seat.worker.load() > 1) {
            let (jobs, again) = seat.worker.revoke(now);
            for job in jobs.into_iter().rev() {
                queue.put_back(job);
            }
            next = next.into_iter().chain(again).min();
        }
        self.revoke_again(inner, next, cx);
    }

    /// Has that done again at that time.
    fn revoke_again(&self, inner: &mut Inner, at: Option<Instant>, cx: &mut Cx) {
        let Some((at, pool)) = at.zip(inner.pool) else { return };
        if inner.revoke_at.is_none_or(|other| other <= cx.now() || other > at) {
            inner.revoke_at = Some(at);
            cx.timers.arm_service(at, pool);
        }
    }

    /// Requests that have waited too long.
    pub(super) fn expire_queue(&self, inner: &mut Inner, now: Instant) {
        while let Some(job) = inner.queue.pop_expired(now, self.app.queue_timeout) {
            job.fail(match inner.was_ready {
                true => self.unavailable("no worker was free in time", 1),
                false => self.unavailable("no worker was ready in time", 1).with_advice(STARTS),
            });
            job.waker.wake();
        }
        // Where nobody will answer, nobody has to wait.
        while let Some(error) = self.down(inner, now) {
            let Some(job) = inner.queue.pop() else { break };
            job.fail(error);
            job.waker.wake();
        }
    }
}

impl Inner {
    /// How many requests would not have to wait.
    pub(super) fn room(&self, now: Instant) -> usize {
        let present = |seat: &&Seat| seat.worker.generation == self.generation;
        self.seats().filter(present).map(|seat| seat.worker.room(now)).sum()
    }
}
