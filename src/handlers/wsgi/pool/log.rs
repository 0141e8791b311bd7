//! What workers write to their standard error: lines of the error log, with their names.

use super::seat::Seat;
use super::{Inner, Pool};
use crate::event::{Cx, ServiceId};
use std::time::{Duration, Instant};

/// From one look at a worker that writes without end to the next. Meanwhile its pipe is full, and it
/// waits.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

/// Read at once of what a worker writes.
const PIECE: usize = 16 * 1024;

impl Pool {
    /// Writes down what a worker has said, and comes again if there is more.
    pub(super) fn read_log(&self, seat: &mut Seat, pool: Option<ServiceId>, cx: &mut Cx) {
        let now = cx.now();
        if seat.log_at.is_some_and(|at| now < at && at <= now + FLOOD_PAUSE) {
            return;
        }
        let is_all = seat.stderr.read(&mut [0; PIECE], cx);
        let next = match is_all {
            true => seat.stderr.due(),
            false => Some(now + FLOOD_PAUSE),
        };
        if let Some((at, pool)) = next.zip(pool)
            && seat.log_at != Some(at)
        {
            cx.timers.arm_service(at, pool);
        }
        seat.log_at = next;
    }

    /// Reads what workers write for which it is time.
    pub(super) fn read_logs(&self, inner: &mut Inner, now: Instant, cx: &mut Cx) {
        let pool = inner.pool;
        for seat in inner.seats_mut().filter(|seat| seat.log_at.is_some_and(|at| now >= at)) {
            self.read_log(seat, pool, cx);
        }
    }
}
