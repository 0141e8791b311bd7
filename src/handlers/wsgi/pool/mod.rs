//! The workers of an application and the requests that wait for them.
//!
//! | file | question |
//! |---|---|
//! | `mod` | what can happen to a pool? |
//! | `queue` | which requests wait, and since when? |
//! | `dispatch` | which waiting request goes to which worker? |
//! | `news` | what has a worker said, and what follows from it? |
//! | `staff` | how many workers should there be, and who is started or let go for that? |
//! | `reload` | when do new workers take over from old ones? |
//! | `due` | what is due, and when? |
//! | `end` | a worker is gone: who gets what it had, and when is another one tried? |
//! | `held` | whose answers are cut because workers wait for their clients? |
//! | `seat` | what is known of one worker? |
//! | `log` | what becomes of what a worker writes to its standard error? |
//!
//! What happens is reported here (an event, the end of a child, a request, a turn), acted upon, and
//! forgotten; the only thing that is waited for is the next instant at which something is due.
//!
//! Architecture invariant: a job is in the queue, or in flight to exactly one worker, or over. It is
//! sent a second time only if the worker had certainly not begun it.

mod dispatch;
mod due;
mod end;
mod held;
mod log;
mod news;
mod queue;
mod reload;
mod seat;
mod staff;

use super::job::{Job, Place};
use super::launch::Recipe;
use super::worker::{Shared, Stage};
use crate::conf::{App, Level, Workers};
use crate::event::{Cx, ServiceId};
use crate::http::{HttpError, Status};
use crate::serve::{Peer, Readiness, Scale};
use queue::Queue;
use seat::{STOP_GRACE, Seat};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Instant;

/// The workers of one application, and its queue.
pub(super) struct Pool {
    app: App,
    recipe: Recipe,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The number of this pool, once it is started.
    pool: Option<ServiceId>,
    /// By slot: events name them by it.
    seats: Vec<Option<Seat>>,
    queue: Queue,
    /// How many workers there should be.
    target: usize,
    serial: u32,
    /// Workers of this generation answer.
    generation: u32,
    /// Workers of this one will, when they are ready.
    next_generation: Option<u32>,
    /// Boots that failed, one after the other.
    failures: u32,
    /// Workers that were ready and did not last, or broke the protocol, one after the other.
    strikes: u32,
    /// No worker is started before that.
    not_before: Option<Instant>,
    /// Workers are missing, and others have to be ready first.
    waits_for_start: bool,
    /// A source has changed then, and no workers were started for it yet.
    change_waits: Option<Instant>,
    /// When workers were started for a change last.
    changed_at: Option<Instant>,
    /// It has been ready.
    was_ready: bool,
    /// It was said that `recycle.memory` is too small.
    has_warned_of_memory: bool,
    /// What was wrong with the last boot.
    problem: Option<String>,
    /// When something is due, as far as the timers know.
    due: Option<Instant>,
    /// When requests that were sent ahead are looked at next.
    revoke_at: Option<Instant>,
    is_stopped: bool,
    shared: Shared,
    /// What happened since the last turn, for `USR2` and logs.
    grown: Option<Instant>,
}

/// What clients are told whose application is not there, however little there is to do.
const DOES_NOT_START: &str =
    "The application that makes this page does not start. It has been written to the log.";
const STARTS: &str =
    "The application that makes this page is still starting. Please try again in a moment.";
const STOPS: &str =
    "The application that makes this page is being stopped. Please try again in a moment.";

/// Workers of one application at most, however many are asked for.
const WORKERS_MAX: usize = 1024;

impl Pool {
    /// The pool of `app`, not started.
    ///
    /// # Errors
    /// See `Recipe::new`.
    pub(super) fn new(app: &App) -> io::Result<Self> {
        let inner = Inner { target: app.workers.min, ..Inner::default() };
        Ok(Self { app: app.clone(), recipe: Recipe::new(app)?, inner: RefCell::new(inner) })
    }

    /// Starts the workers.
    pub(super) fn start(&self, pool: ServiceId, cx: &mut Cx) {
        keep_freed_memory();
        let mut inner = self.inner.borrow_mut();
        inner.pool = Some(pool);
        self.keep_up(&mut inner, cx);
        self.arm(&mut inner, cx);
    }

    pub(super) fn readiness(&self) -> Readiness {
        let inner = self.inner.borrow();
        match &inner.problem {
            _ if inner.was_ready => Readiness::Ready,
            Some(problem) => Readiness::Failed(self.say(&format!("cannot be loaded\n{problem}"))),
            None => Readiness::Starting,
        }
    }

    /// Memory for a request.
    pub(super) fn memory(&self) -> Vec<u8> {
        self.inner.borrow_mut().shared.memory()
    }

    /// Memory that is no longer needed.
    pub(super) fn give_memory(&self, memory: Vec<u8>) {
        self.inner.borrow_mut().shared.give_memory(memory);
    }

    /// Whether another request may wait.
    ///
    /// # Errors
    /// 503: too many wait, or nobody could answer.
    pub(super) fn admit(&self, peer: Peer, cx: &Cx) -> Result<(), HttpError> {
        let (inner, now) = (&mut *self.inner.borrow_mut(), cx.now());
        if inner.is_stopped {
            return Err(self.unavailable("it was stopped", 1).with_advice(STOPS));
        }
        if let Some(error) = self.down(inner, now) {
            return Err(error);
        }
        // Those that came in this turn are handed out at its end.
        let waiting = inner.queue.len();
        if waiting >= self.app.queue && waiting >= self.app.queue + inner.room(now) {
            let full = self.unavailable("its queue is full", 1);
            let Some(job) = inner.queue.make_room(peer.network()) else { return Err(full) };
            job.fail(full);
            job.waker.wake();
        }
        Ok(())
    }

    /// Takes a request; its exchange is woken when something has come of it.
    pub(super) fn submit(&self, job: Rc<Job>, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        inner.queue.push(job);
        call(inner.pool, cx);
    }

    /// Nobody waits for a job any more.
    pub(super) fn cancel(&self, job: &Rc<Job>, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        match job.place() {
            Place::Queued => {}
            Place::Sent(serial, id) => {
                let seat = inner.seats().find(|seat| seat.worker.serial == serial);
                if let Some(seat) = seat {
                    seat.worker.cancel(id);
                }
            }
            Place::Over => {}
        }
        let was_queued = job.place() == Place::Queued;
        job.give_up();
        if was_queued {
            inner.queue.forget();
        }
        // Its worker may have waited for what the client would take.
        call(inner.pool, cx);
    }

    /// A job whose worker had to wait can take more.
    pub(super) fn resume(&self, cx: &mut Cx) {
        call(self.inner.borrow().pool, cx);
    }

    /// Something happened to a descriptor of a worker: even slots are sockets, odd ones logs.
    pub(super) fn event(&self, slot: u16, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        let number = usize::from(slot / 2);
        if slot % 2 == 1 {
            if let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) {
                self.read_log(seat, inner.pool, cx);
            }
            return;
        }
        if let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) {
            seat.worker.flush();
        }
        self.receive(inner, number, cx);
        // Whoever is free now may have the next one.
        if !inner.queue.is_empty() {
            call(inner.pool, cx);
        }
    }

    /// Once a turn, if there is something to do: hands out requests, sends them, sees what is due.
    pub(super) fn turn(&self, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        for number in 0..inner.seats.len() {
            let seat = inner.seats.get_mut(number).and_then(Option::as_mut);
            if seat.is_some_and(|seat| seat.worker.paused_since.is_some() || seat.worker.has_more) {
                self.receive(inner, number, cx);
            }
        }
        self.read_logs(inner, cx.now(), cx);
        if std::mem::take(&mut inner.waits_for_start) {
            self.keep_up(inner, cx);
        }
        self.revoke(inner, cx);
        self.hand_out(inner, cx);
        // Nothing known to be due: something has changed that was not looked at.
        if inner.due.is_none_or(|due| due <= cx.now()) {
            self.look(inner, cx);
        }
        self.arm(inner, cx);
    }

    pub(super) fn scale(&self, by: Scale, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        inner.target = match by {
            Scale::More => (inner.target + 1).min(WORKERS_MAX),
            Scale::Fewer => (inner.target - 1).max(1),
        };
        let text = self.say(&format!("{} workers are wanted now", inner.target));
        cx.report(Level::Info, text);
        self.keep_up(inner, cx);
        inner.due = None;
        self.arm(inner, cx);
    }

    /// Ends all workers: those that have nothing to do in peace, the others at once.
    pub(super) fn stop(&self, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        inner.is_stopped = true;
        if let Some(pool) = inner.pool {
            cx.starts.forget(pool);
        }
        while let Some(job) = inner.queue.pop() {
            job.fail(self.unavailable("it was stopped", 1).with_advice(STOPS));
            job.waker.wake();
        }
        for seat in inner.seats_mut() {
            if seat.worker.load() > 0 || seat.worker.stage == Stage::Starting {
                cx.kill(seat.worker.child.id);
            } else {
                seat.worker.end_input();
            }
            seat.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
        }
        inner.due = None;
        self.arm(inner, cx);
    }

    fn say(&self, text: &str) -> String {
        format!("app {}: {text}", self.app.name.value)
    }

    fn unavailable(&self, why: &str, seconds: u64) -> HttpError {
        HttpError::new(Status::SERVICE_UNAVAILABLE, self.say(why))
            .with_header("Retry-After", &seconds.max(1).to_string())
    }

    /// What is said while no worker can answer, if that is so: the application cannot be loaded.
    fn down(&self, inner: &Inner, now: Instant) -> Option<HttpError> {
        if inner.problem.is_none() || inner.seats().any(|seat| seat.is_ready()) {
            return None;
        }
        let wait = inner.not_before.map_or(0, |at| at.saturating_duration_since(now).as_secs());
        Some(self.unavailable("it cannot be loaded", wait + 1).with_advice(DOES_NOT_START))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workers { min, max } = self.app.workers;
        let python = self.recipe.python().display();
        let name = &self.app.name.value;
        match (min, max) {
            (1, 1) => write!(f, "{name:<32} 1 worker, {python}"),
            _ if min == max => write!(f, "{name:<32} {min} workers, {python}"),
            _ => write!(f, "{name:<32} {min} to {max} workers, {python}"),
        }
    }
}

/// Has the allocator keep what bodies leave behind for the next ones. Answers to sixty requests come at
/// once, and are gone at once: glibc would give their memory back to the kernel each time and have it
/// cleared again, at a third of the cost of a request with 10 KiB. It goes by the longest block that was
/// freed (`M_TRIM_THRESHOLD` in mallopt(3) becomes twice that), which nothing has written to here.
fn keep_freed_memory() {
    drop(std::hint::black_box(vec![0u8; 2 * 1024 * 1024]));
}

/// Has the pool's turn come.
fn call(pool: Option<ServiceId>, cx: &mut Cx) {
    if let Some(pool) = pool {
        cx.schedule(pool);
    }
}

impl Inner {
    fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().flatten()
    }

    fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.seats.iter_mut().flatten()
    }
}
