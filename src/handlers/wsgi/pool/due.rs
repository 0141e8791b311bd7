//! What is due, and when: requests that waited too long, workers that start too slowly, hang, are
//! old, or do not end.

use super::super::worker::Stage;
use super::seat::{Fate, Seat};
use super::{Inner, Pool};
use crate::conf::Level;
use crate::event::Cx;
use crate::http::{HttpError, Status};
use crate::sys::process;
use rustix::process::{Pid, Signal};
use std::time::{Duration, Instant};

/// From asking for the stacks of a worker that hangs to killing it.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A worker that loads for longer than this no longer has others wait: it may be at something else than
/// work.
const LOADS_ALONE: Duration = Duration::from_secs(5);

/// How many times `startup` a worker may wait for a processor, and for Python to run.
const STARVED_MAX: u32 = 10;

/// How often memory and age are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A queue that has somebody in it for this long makes the pool grow.
pub(super) const GROW_AFTER: Duration = Duration::from_millis(100);

impl Pool {
    /// Sees to everything whose time has come.
    pub(super) fn look(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        inner.due = None;
        self.expire_queue(inner, now);
        for number in 0..inner.seats.len() {
            self.look_at(inner, number, cx);
        }
        self.free_held(inner, cx);
        self.resize(inner, now);
        self.heed_change(inner, cx);
        self.keep_up(inner, cx);
        let at = self.next_due(inner, now);
        inner.due = None;
        if let Some(at) = at {
            self.wants_look(inner, at, cx);
        }
    }

    /// One worker: does it start in time, does it hang, is it old?
    fn look_at(&self, inner: &mut Inner, number: usize, cx: &mut Cx) {
        let now = cx.now();
        let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) else { return };
        let age = now.saturating_duration_since(seat.worker.since);
        self.look_at_start(seat, age, now);
        match seat.worker.stage {
            Stage::Starting if now < seat.loads_since + self.app.startup + seat.starved => {
                seat.start = seat.start.take().filter(|_| age < LOADS_ALONE);
            }
            Stage::Starting => {
                let text = format!(
                    "{} did not start in {:?}; it was here:",
                    seat.name(),
                    self.app.startup
                );
                inner.problem = Some(format!("it did not start in {:?}", self.app.startup));
                seat.fate = Fate::NotLoaded;
                self.interrupt(seat, text, cx);
                self.give_up(inner, "it does not start in time", cx);
            }
            Stage::Ending(at) if now >= at => {
                cx.kill(seat.worker.child.id);
                seat.worker.stage = Stage::Ending(now + LOOK_EVERY);
            }
            Stage::Ready | Stage::Retiring if seat.worker.busy_for(now) >= self.app.timeout => {
                if seat.worker.paused_since.is_some() {
                    // It is not the worker that hangs: its client does not take the answer.
                    return;
                }
                let spent = seat.worker.busy_for(now).as_secs_f64();
                let (name, label) = (seat.name(), seat.worker.front().map(|job| job.label()));
                let label = label.unwrap_or_default();
                let text = format!(
                    "{name} spent {spent:.1} s on {label}, is killed and replaced; it was here:"
                );
                if let Some(job) = seat.worker.front() {
                    job.fail(HttpError::new(Status::GATEWAY_TIMEOUT, "the worker took too long"));
                    job.waker.wake();
                }
                seat.fate = Fate::Hung;
                self.interrupt(seat, text, cx);
            }
            Stage::Ready => {
                let recycle = &self.app.recycle;
                let is_old = recycle.age.is_some_and(|limit| age >= limit);
                let is_worn = seat.recycle_at.is_some_and(|at| seat.worker.served >= at);
                // A successor of one that has not answered anything would be no smaller.
                let is_fat = seat.worker.served > 0 && self.excess(seat).is_some();
                if (is_old || is_worn || is_fat) && !seat.is_replaced {
                    seat.is_replaced = true;
                    let why = match (is_old, is_worn) {
                        (true, _) => "is old enough",
                        (_, true) => "has answered enough",
                        _ => "has grown too large",
                    };
                    let text = format!("{} {why} and is replaced", seat.name());
                    cx.report(Level::Debug, self.say(&text));
                }
            }
            _ => {}
        }
    }

    /// What does not count of the time to load, once it is over: until Python runs (`python` may be a script
    /// that looks for the right one), and while the worker waited for a processor. On a busy machine it is no
    /// sooner ready for being killed and started again.
    fn look_at_start(&self, seat: &mut Seat, age: Duration, now: Instant) {
        let (startup, most) = (self.app.startup, self.app.startup * STARVED_MAX);
        if seat.worker.stage != Stage::Starting || age < startup {
            return;
        }
        if age < most && !seat.worker.is_loading() {
            seat.loads_since = now;
        }
        let waited = process::waited_for_processor(seat.worker.child.pid).unwrap_or_default();
        seat.starved = waited.min(most);
    }

    /// The bytes of memory that a worker occupies, if they are more than it may.
    fn excess(&self, seat: &Seat) -> Option<u64> {
        let limit = self.app.recycle.memory?;
        resident(seat.worker.child.pid).filter(|occupied| *occupied > limit)
    }

    /// Warns, once, of a limit that is below what every worker begins with.
    pub(super) fn judge_memory(&self, inner: &mut Inner, number: usize, cx: &mut Cx) {
        let Some(seat) = inner.seats.get(number).and_then(Option::as_ref) else { return };
        let Some(occupied) = self.excess(seat).filter(|_| !inner.has_warned_of_memory) else {
            return;
        };
        let text = format!(
            "{} has {} MiB before its first request, more than `recycle.memory`: every worker is \
             replaced after its first answers",
            seat.name(),
            occupied >> 20
        );
        inner.has_warned_of_memory = true;
        cx.report(Level::Warning, self.say(&text));
    }

    /// Has a worker write down where it is, and ends it.
    fn interrupt(&self, seat: &mut Seat, text: String, cx: &mut Cx) {
        cx.report(Level::Error, self.say(&text));
        if let Some(pid) = Pid::from_raw(seat.worker.child.pid.cast_signed()) {
            // It is our child and not collected: the number is its own.
            let _ = rustix::process::kill_process(pid, Signal::USR1);
        }
        seat.start = None;
        seat.worker.stage = Stage::Ending(cx.now() + LAST_WORDS);
    }

    /// When something is due next.
    fn next_due(&self, inner: &Inner, now: Instant) -> Option<Instant> {
        let queue = inner.queue.since().map(|since| {
            let (grow, expire) = (since + GROW_AFTER, since + self.app.queue_timeout);
            match self.app.workers.min < self.app.workers.max {
                true if grow > now => grow.min(expire),
                true => expire.min(now + GROW_AFTER),
                false => expire,
            }
        });
        let seats = inner.seats().filter_map(|seat| match seat.worker.stage {
            Stage::Starting => {
                let late = seat.loads_since + self.app.startup + seat.starved;
                let alone = seat.start.as_ref().map(|_| seat.worker.since + LOADS_ALONE);
                Some(alone.map_or(late, |alone| late.min(alone)))
            }
            Stage::Ending(at) => Some(at),
            Stage::Ready | Stage::Retiring if seat.worker.paused_since.is_some() => {
                Some(now + self.patience())
            }
            Stage::Ready | Stage::Retiring if seat.worker.load() > 0 => {
                Some(now + self.app.timeout.saturating_sub(seat.worker.busy_for(now)))
            }
            _ => None,
        });
        let recycle = &self.app.recycle;
        let watch = recycle.age.is_some() || recycle.memory.is_some() || recycle.requests.is_some();
        let watch = watch || inner.target > self.app.workers.min;
        let watch = (watch && !inner.is_stopped).then(|| now + LOOK_EVERY);
        let restart = inner.not_before.filter(|at| *at > now && !inner.is_stopped);
        let change = inner.change_due().filter(|_| !inner.is_stopped);
        seats.chain(queue).chain(watch).chain(restart).chain(change).min()
    }

    /// Has `look` called at `at` at the latest.
    pub(super) fn wants_look(&self, inner: &mut Inner, at: Instant, cx: &mut Cx) {
        if inner.due.is_some_and(|due| due <= at) {
            return;
        }
        inner.due = Some(at);
        if let Some(pool) = inner.pool {
            cx.timers.arm_service(at, pool);
        }
    }

    pub(super) fn arm(&self, inner: &mut Inner, cx: &mut Cx) {
        if inner.due.is_none()
            && let Some(at) = self.next_due(inner, cx.now())
        {
            self.wants_look(inner, at, cx);
        }
    }
}

/// Bytes of memory that a process occupies.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
