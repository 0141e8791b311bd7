//! Which waiting request goes to which worker, and which one has waited too long?

use super::super::job::{Job, Place};
use super::due::GROW_AFTER;
use super::{Inner, Pool};
use crate::event::Cx;
use std::rc::Rc;
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
                .filter(|seat| seat.worker.generation == generation && seat.worker.is_free(now));
            let Some(seat) = free.min_by_key(|seat| seat.worker.load()) else { break };
            let Some(job) = queue.pop_front() else { break };
            if job.is_over() {
                continue;
            }
            inner.waiting -= 1;
            seat.worker.give(job, now);
        }
        for seat in inner.seats_mut() {
            seat.worker.flush();
        }
        // Where nothing is known to be due, all of it is looked at: see `arm`.
        if inner.due.is_none() {
            return;
        }
        if inner.waiting > 0 {
            self.wants_look(inner, now + GROW_AFTER.min(self.app.queue_timeout), cx);
        }
        self.wants_look(inner, now + self.app.timeout, cx);
    }

    /// Requests that have waited too long.
    pub(super) fn expire_queue(&self, inner: &mut Inner, now: Instant, cx: &Cx) {
        while let Some(job) = inner.queue.front() {
            match job.place() {
                Place::Queued(since) if now < since + self.app.queue_timeout => break,
                Place::Queued(_) => {
                    inner.waiting -= 1;
                    job.fail(self.unavailable("no worker was free in time", 1));
                    cx.wake(job.conn);
                }
                _ => {}
            }
            inner.queue.pop_front();
        }
    }
}

impl Inner {
    /// Whether a request would not have to wait.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.seats().any(|seat| seat.worker.is_free(now))
    }

    /// Puts a job that nobody has begun at the front of the queue.
    pub(super) fn put_back(&mut self, job: Rc<Job>, now: Instant) {
        if job.is_over() {
            return;
        }
        job.set_place(Place::Queued(now));
        self.queue.push_front(job);
        self.waiting += 1;
    }
}
