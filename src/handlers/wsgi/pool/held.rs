//! Clients that make workers wait while others wait for them.
//!
//! A worker has to wait for a client only when what is left of its answer fits neither in memory nor on the
//! disk. As long as nobody else wants the worker, that may last. When somebody does, answers are cut: those
//! of a client beyond its share of the workers first, then those that are taken slowly, and at last all
//! that have made their worker wait for as long as a request may take.

use super::super::job::Job;
use super::super::worker::Stage;
use super::seat::Seat;
use super::{Inner, Pool};
use crate::conf::Level;
use crate::event::Cx;
use crate::http::{HttpError, Status};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long others wait before an answer is cut for them, and how long a client may make a worker wait that
/// it has beyond its share.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a client may make a worker wait and take less than `FIRM_RATE`, in bytes a second. What it takes
/// shows in pieces of up to 128 KiB.
const FIRM_PATIENCE: Duration = Duration::from_secs(2);
const FIRM_RATE: u64 = 32 * 1024;

impl Pool {
    /// `PATIENCE`, or less where requests are not in the queue for so long.
    pub(super) fn patience(&self) -> Duration {
        PATIENCE.min(self.app.queue_timeout / 2)
    }

    /// Cuts answers that hold workers that others wait for: as many as there are requests in the queue, and
    /// each that has others behind it.
    pub(super) fn free_held(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        let is_long = |since: Instant| now >= since + self.patience();
        let mut wanted = match inner.queue.since() {
            Some(since) if is_long(since) => inner.queue.len(),
            _ => 0,
        };
        let mut cut = Vec::new();
        for (seat, job) in self.too_long(inner, now) {
            let is_wanted = wanted > 0 && seat.worker.stage == Stage::Ready;
            if !is_wanted && !seat.worker.others_since().is_some_and(is_long) {
                continue;
            }
            wanted = wanted.saturating_sub(1);
            seat.worker.cancel_front();
            let seconds = seat.worker.is_held_for(now).as_secs_f64();
            let text = format!(
                "{} waited {seconds:.1} s for {} to take its answer to {}, which is cut: others \
                 wait for a worker, and there is no room to keep it",
                seat.name(),
                job.peer,
                job.label()
            );
            cut.push((job, self.say(&text)));
        }
        for (job, text) in cut {
            inner.queue.put_last(job.peer.network(), now);
            job.cut(HttpError::new(Status::SERVICE_UNAVAILABLE, "it was taken too slowly"));
            job.waker.wake();
            cx.complain(Level::Warning, text);
            // Its worker may go on.
            super::call(inner.pool, cx);
        }
    }

    /// Workers that have waited too long for their clients; first those that have waited longest for a client
    /// that has more than its share.
    fn too_long<'a>(&self, inner: &'a Inner, now: Instant) -> Vec<(&'a Seat, Rc<Job>)> {
        let is_at_work = |seat: &&Seat| matches!(seat.worker.stage, Stage::Ready | Stage::Retiring);
        let held = |seat: &Seat| seat.worker.is_held_for(now);
        let mut waiting: Vec<_> = inner
            .seats()
            .filter(is_at_work)
            .filter(|seat| held(seat) > Duration::ZERO)
            .filter_map(|seat| Some((seat, seat.worker.front()?.clone())))
            .collect();
        waiting.sort_by_key(|(seat, _)| held(seat));
        let share = (inner.target / 2).max(1);
        let mut of_client: HashMap<Option<IpAddr>, usize> = HashMap::new();
        let mut late: Vec<_> = waiting
            .into_iter()
            .filter_map(|(seat, job)| {
                let count = of_client.entry(job.peer.network()).or_default();
                *count += 1;
                // Once is enough to count as such.
                let is_beyond = *count > share || inner.queue.is_late(job.peer.network());
                let may = self.may_hold(seat, is_beyond, now);
                (held(seat) >= may).then_some((is_beyond, seat, job))
            })
            .collect();
        late.reverse();
        late.sort_by_key(|(is_beyond, ..)| !is_beyond);
        late.into_iter().map(|(_, seat, job)| (seat, job)).collect()
    }

    /// How long a client may make this worker wait.
    fn may_hold(&self, seat: &Seat, is_beyond: bool, now: Instant) -> Duration {
        let period = FIRM_PATIENCE.min(self.app.queue_timeout / 2);
        let is_slow = seat.worker.has_slow_reader(now, period, FIRM_RATE);
        match (is_beyond, is_slow) {
            (true, _) => self.patience(),
            (false, true) => Duration::ZERO,
            (false, false) => self.app.timeout,
        }
    }
}
