//! Which requests wait, and since when?
//!
//! Every job in here is waited for: one that is over was taken out when it ended.

use super::super::job::{Job, Place};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<Rc<Job>>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Since when the first one waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.jobs.front().map(|job| job.since)
    }

    /// Adds one that has just come.
    pub(super) fn push(&mut self, job: Rc<Job>) {
        self.jobs.push_back(job);
    }

    /// Puts one to the front that nobody has begun, unless nobody waits for it any more. It has waited
    /// since it came.
    pub(super) fn put_back(&mut self, job: Rc<Job>) {
        if !job.is_over() {
            job.set_place(Place::Queued);
            self.jobs.push_front(job);
        }
    }

    /// The one that is next.
    pub(super) fn pop(&mut self) -> Option<Rc<Job>> {
        self.jobs.pop_front()
    }

    /// Takes out one that nobody waits for any more.
    pub(super) fn remove(&mut self, job: &Rc<Job>) {
        self.jobs.retain(|other| !Rc::ptr_eq(other, job));
    }

    /// Takes out the first one if it has waited this long.
    pub(super) fn pop_expired(&mut self, now: Instant, longest: Duration) -> Option<Rc<Job>> {
        let is_late = self.since().is_some_and(|since| now >= since + longest);
        is_late.then(|| self.pop()).flatten()
    }
}
