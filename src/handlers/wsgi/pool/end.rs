//! A worker is gone: who gets what it had, and when is another one tried?

use super::seat::{Fate, Seat};
use super::{Inner, Pool};
use crate::conf::Level;
use crate::event::Cx;
use crate::http::{HttpError, Status};
use crate::sys::process::Ending;
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

impl Pool {
    /// A worker has ended, and is collected.
    pub(in crate::handlers::wsgi) fn ended(&self, serial: u32, ending: Ending, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        let is_it = |seat: &Option<Seat>| seat.as_ref().is_some_and(|s| s.worker.serial == serial);
        let Some(number) = inner.seats.iter().position(is_it) else { return };
        // What it said before its end still counts.
        self.receive(inner, number, cx);
        let Some(mut seat) = inner.seats.get_mut(number).and_then(Option::take) else { return };
        seat.log_at = None;
        self.read_log(&mut seat, None, cx);
        seat.stderr.finish(cx);
        self.bury(inner, seat, ending, cx);
        self.keep_up(inner, cx);
        self.hand_out(inner, cx);
        self.arm(inner, cx);
    }

    /// A worker is gone: what it had is answered with an error or given to others.
    pub(super) fn bury(&self, inner: &mut Inner, mut seat: Seat, ending: Ending, cx: &mut Cx) {
        let (mut lost, fresh) = seat.worker.leftovers();
        let (fresh, hopeless): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|job| job.is_over() || job.survives());
        lost.extend(hopeless);
        for job in lost {
            if !job.is_over() {
                let reason = format!("the worker that had it is gone: {ending}");
                job.fail(HttpError::new(Status::BAD_GATEWAY, reason));
                job.waker.wake();
            }
        }
        for job in fresh.into_iter().rev().filter(|job| !job.is_over()) {
            inner.queue.put_back(job);
        }
        let name = seat.name();
        let lived = cx.now().saturating_duration_since(seat.worker.since);
        match &seat.fate {
            Fate::Dismissed | Fate::Hung => return,
            Fate::NotLoaded => {}
            Fate::Unknown if inner.is_stopped => return,
            Fate::Broken(why) => {
                let text = format!("{name} breaks the protocol and is replaced: {why}");
                cx.report(Level::Error, self.say(&text));
            }
            Fate::Unknown => {
                let when = if seat.was_ready { "" } else { " before it was ready" };
                cx.report(Level::Error, self.say(&format!("{name} is gone{when}: {ending}")));
            }
        }
        let is_broken = matches!(seat.fate, Fate::Broken(_));
        if seat.was_ready {
            if lived >= LASTING {
                inner.strikes = 0;
            }
            if lived < SOON || is_broken {
                inner.strikes += 1;
                self.back_off(inner, cx);
            }
        } else if inner.next_generation == Some(seat.worker.generation) {
            inner.keep_old_source(cx);
        } else {
            if inner.problem.is_none() {
                inner.problem = Some(format!("a worker ended before it was ready: {ending}"));
                self.give_up(inner, "a worker ended before it was ready", cx);
            }
            self.back_off(inner, cx);
        }
    }

    /// Ends the server, if it is worth nothing without this application.
    pub(super) fn give_up(&self, inner: &Inner, why: &str, cx: &mut Cx) {
        if let Some(pool) = inner.pool
            && self.app.required
            && !inner.was_ready
        {
            cx.give_up(pool, self.say(&format!("it is required: {why}")));
        }
    }

    /// The next attempt has to wait. Several workers that fail together count once.
    pub(super) fn back_off(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        if inner.not_before.is_some_and(|at| at > now) {
            return;
        }
        let most = if self.app.reload { BACK_OFF_WATCHED } else { BACK_OFF_MAX };
        let former = inner.failures.max(inner.strikes.saturating_sub(1)).min(10);
        let wait = BACK_OFF.saturating_mul(1 << former).min(most);
        inner.failures += 1;
        inner.not_before = Some(now + wait);
        self.wants_look(inner, now + wait, cx);
    }
}
