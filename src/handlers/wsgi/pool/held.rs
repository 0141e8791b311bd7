//! Which client makes workers wait while others wait for them?
//!
//! A worker has to wait for a client only when what is left of its answer fits neither in memory nor on the
//! disk. As long as nobody else wants the worker, that may last. When somebody does, the answers that have
//! made their workers wait for longest are cut, first those of the client that holds most workers.

use super::super::worker::Stage;
use super::{Inner, Pool};
use crate::conf::Level;
use crate::event::Cx;
use crate::http::{HttpError, Status};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// A worker that has waited for one client for this long altogether, and others for a worker as well, has
/// waited enough.
const PATIENCE: Duration = Duration::from_secs(1);

impl Pool {
    /// `PATIENCE`, or less where requests are not in the queue for so long.
    pub(super) fn patience(&self) -> Duration {
        PATIENCE.min(self.app.queue_timeout / 2)
    }

    /// Cuts answers that hold workers that others wait for: as many as there are requests in the queue, and
    /// each that has others behind it.
    pub(super) fn free_held(&self, inner: &Inner, cx: &mut Cx) {
        let (now, patience) = (cx.now(), self.patience());
        let is_long = |since: Instant| now >= since + patience;
        let mut wanted = match inner.queue.since() {
            Some(since) if is_long(since) => inner.queue.len(),
            _ => 0,
        };
        let mut held: Vec<_> = inner
            .seats()
            .filter(|seat| matches!(seat.worker.stage, Stage::Ready | Stage::Retiring))
            .filter(|seat| seat.worker.is_held_for(now) >= patience)
            .filter_map(|seat| Some((seat, seat.worker.front()?.clone())))
            .collect();
        let of = |client| held.iter().filter(|(_, job)| job.peer.network() == client).count();
        let order: Vec<_> = held
            .iter()
            .map(|(seat, job)| {
                (Reverse(of(job.peer.network())), Reverse(seat.worker.is_held_for(now)))
            })
            .collect();
        let mut ranked: Vec<_> = order.into_iter().zip(held.drain(..)).collect();
        ranked.sort_by_key(|(order, _)| *order);
        let mut cut = Vec::new();
        for (_, (seat, job)) in ranked {
            let is_wanted = wanted > 0 && seat.worker.stage == Stage::Ready;
            if is_wanted || seat.worker.others_since().is_some_and(is_long) {
                wanted = wanted.saturating_sub(1);
                seat.worker.cancel_front();
                let seconds = seat.worker.is_held_for(now).as_secs_f64();
                let what = format!(
                    "{} waited {seconds:.1} s for {} to take its answer to {}, which is cut: others \
                     wait for a worker, and there is no room to keep it",
                    seat.name(),
                    job.peer,
                    job.label()
                );
                cut.push((job, self.say(&what)));
            }
        }
        for (job, text) in cut {
            job.cut(HttpError::new(Status::SERVICE_UNAVAILABLE, "it was taken too slowly"));
            cx.wake(job.conn);
            cx.complain(Level::Warning, text);
            // Its worker may go on.
            super::call(inner.pool, cx);
        }
    }
}
