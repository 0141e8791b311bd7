//! What has a worker said, and what follows from it?

use super::super::worker::{News, Stage};
use super::seat::{Fate, STOP_GRACE};
use super::{Inner, Pool, call};
use crate::conf::Level;
use crate::event::Cx;

impl Pool {
    /// Receives from one worker and acts on what it says.
    pub(super) fn receive(&self, inner: &mut Inner, number: usize, cx: &mut Cx) {
        let Inner { seats, shared, .. } = inner;
        let Some(seat) = seats.get_mut(number).and_then(Option::as_mut) else { return };
        let news = seat.worker.receive(cx, shared);
        if seat.worker.has_more {
            call(inner.pool, cx);
        }
        let is_held = seat.worker.paused_since.is_some();
        // Where nothing is known to be due, all of it is looked at: see `arm`.
        if is_held && inner.due.is_some() {
            self.wants_look(inner, cx.now() + self.patience(), cx);
        }
        for news in news {
            self.act(inner, number, news, cx);
            // Other things may be due now than were before.
            inner.due = None;
            call(inner.pool, cx);
        }
        let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) else { return };
        if seat.worker.has_ended && !matches!(seat.worker.stage, Stage::Ending(_)) {
            // It ends by itself, or it is ended.
            seat.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
            inner.due = None;
            call(inner.pool, cx);
        } else if seat.worker.load() == 0 {
            match seat.worker.stage {
                Stage::Retiring => seat.retire_now(cx),
                Stage::Ready if seat.recycle_at.is_some_and(|at| seat.worker.served >= at) => {
                    if !seat.is_replaced {
                        inner.due = None;
                    }
                    call(inner.pool, cx);
                }
                _ => {}
            }
        }
    }

    fn act(&self, inner: &mut Inner, number: usize, news: News, cx: &mut Cx) {
        let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) else { return };
        if matches!(news, News::Ready(_) | News::Failed(_) | News::Broken(_)) {
            seat.start = None;
        }
        match news {
            News::Ready(python) => {
                let took = cx.now().saturating_duration_since(seat.worker.since);
                seat.worker.stage = Stage::Ready;
                seat.was_ready = true;
                seat.worker.since = cx.now();
                seat.worker.idle_since = cx.now();
                let name = seat.name();
                let text =
                    format!("{name} is ready in {:.1} s, Python {python}", took.as_secs_f64());
                cx.report(Level::Debug, self.say(&text));
                inner.problem = None;
                self.judge_memory(inner, number, cx);
                self.became_ready(inner, took, &python, cx);
            }
            News::Failed(text) => {
                inner.problem = Some(text.clone());
                seat.fate = Fate::NotLoaded;
                cx.report(Level::Error, self.say(&format!("cannot be loaded\n{text}")));
                cx.dismiss(seat.worker.child.id);
                seat.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
                let last = text.lines().next_back().unwrap_or_default();
                self.give_up(inner, last, cx);
            }
            News::Returned(jobs) => {
                for job in jobs.into_iter().rev() {
                    inner.queue.put_back(job);
                }
                call(inner.pool, cx);
            }
            News::DiskFull(error) => {
                let text =
                    format!("an answer waits for its client in memory, not on the disk: {error}");
                cx.complain(Level::Warning, self.say(&text));
            }
            News::Changed => {
                inner.change_waits.get_or_insert(cx.now());
            }
            News::Broken(why) => {
                seat.fate = Fate::Broken(why);
                seat.worker.stage = Stage::Ending(cx.now());
                cx.kill(seat.worker.child.id);
            }
        }
    }
}
