//! When do new workers take over from old ones?

use super::{Inner, Pool, call};
use crate::conf::Level;
use crate::event::Cx;
use std::time::{Duration, Instant};

impl Pool {
    /// A worker is ready: perhaps a whole generation is.
    pub(super) fn became_ready(
        &self,
        inner: &mut Inner,
        took: Duration,
        python: &str,
        cx: &mut Cx,
    ) {
        inner.failures = 0;
        // Others that were ready did not last: those that follow them have to wait.
        inner.not_before = inner.not_before.filter(|_| inner.strikes > 0);
        let next = inner.next_generation.unwrap_or(inner.generation);
        let ready = inner.seats().filter(|s| s.is_ready() && s.worker.generation == next).count();
        if ready < inner.target {
            self.keep_up(inner, cx);
            call(inner.pool, cx);
            return;
        }
        let seconds = took.as_secs_f64();
        let workers = if ready == 1 { "1 worker".to_owned() } else { format!("{ready} workers") };
        if inner.next_generation.take().is_some() {
            inner.generation = next;
            for seat in inner.seats_mut().filter(|seat| seat.worker.generation < next) {
                seat.retire(cx);
            }
            cx.report(Level::Info, self.say(&format!("{workers} with the new source")));
        } else if !inner.was_ready {
            let text = format!("{workers} ready in {seconds:.1} s, Python {python}");
            cx.report(Level::Info, self.say(&text));
        }
        inner.was_ready = true;
        // Those whose place is taken.
        self.retire_surplus(inner, cx);
        call(inner.pool, cx);
    }

    /// Starts workers for a source that has changed, unless that was done just now: every worker sees a
    /// change, at its own time.
    pub(super) fn heed_change(&self, inner: &mut Inner, cx: &mut Cx) {
        let is_due = inner.change_due().is_some_and(|at| cx.now() >= at);
        if is_due && !inner.is_stopped {
            inner.change_waits = None;
            inner.changed_at = Some(cx.now());
            self.source_changed(inner, cx);
        }
    }

    /// A source is another one now: workers of the next generation are started.
    fn source_changed(&self, inner: &mut Inner, cx: &mut Cx) {
        if inner.next_generation.is_none() {
            cx.report(Level::Info, self.say("a source has changed: starting new workers"));
        }
        // Those that are starting may have read the old one.
        let former = inner.next_generation.take();
        for seat in inner.seats_mut().filter(|s| former == Some(s.worker.generation)) {
            seat.discard(cx);
        }
        inner.next_generation = Some(former.unwrap_or(inner.generation) + 1);
        inner.problem = None;
        (inner.failures, inner.not_before) = (0, None);
        self.keep_up(inner, cx);
    }
}

/// From one start of workers for a changed source to the next; workers look every half second.
const CHANGES_APART: Duration = Duration::from_millis(500);

impl Inner {
    /// When workers are started for a source that has changed, if one has.
    pub(super) fn change_due(&self) -> Option<Instant> {
        let since = self.change_waits?;
        Some(self.changed_at.map_or(since, |at| since.max(at + CHANGES_APART)))
    }

    /// The new source cannot be loaded: the old workers go on, until it changes again.
    pub(super) fn keep_old_source(&mut self, cx: &mut Cx) {
        self.next_generation = None;
        self.problem = None;
        let generation = self.generation;
        for seat in self.seats_mut().filter(|seat| seat.worker.generation > generation) {
            seat.discard(cx);
        }
    }
}
