//! The workers of an application and the requests that wait for them: who gets what, who is
//! started, replaced, ended, and when.
//!
//! What happens is reported here (an event, the end of a child, a request, a turn), acted upon, and
//! forgotten; the only thing that is waited for is the next instant at which something is due.
//!
//! Architecture invariant: a job is in the queue, or in flight to exactly one worker, or over. It is
//! sent a second time only if the worker had certainly not begun it.

use super::job::{Job, Place};
use super::launch::{Child, Recipe, Started};
use super::worker::{News, Stage, Worker};
use crate::conf::{App, Level, Workers};
use crate::event::{Cx, Owner, PoolId};
use crate::http::{HttpError, Status};
use crate::serve::{Readiness, Scale};
use crate::sys::process::Ending;
use mio::Interest;
use mio::unix::SourceFd;
use rustix::process::{Pid, Signal};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The workers of one application, and its queue.
pub(super) struct Pool {
    app: App,
    recipe: Recipe,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The number of this pool, once it is started.
    pool: Option<PoolId>,
    /// By slot: events name them by it.
    seats: Vec<Option<Seat>>,
    queue: VecDeque<Rc<Job>>,
    /// Jobs in the queue that are not over.
    waiting: usize,
    /// How many workers there should be.
    target: usize,
    serial: u32,
    /// Workers of this generation answer.
    generation: u32,
    /// Workers of this one will, when they are ready.
    next_generation: Option<u32>,
    /// Boots that failed, one after the other.
    failures: u32,
    /// No worker is started before that.
    not_before: Option<Instant>,
    /// It has been ready.
    was_ready: bool,
    /// What was wrong with the last boot.
    problem: Option<String>,
    /// When something is due, as far as the timers know.
    due: Option<Instant>,
    is_stopped: bool,
    spare: Vec<Vec<u8>>,
    /// What happened since the last turn, for `USR2` and logs.
    grown: Option<Instant>,
}

/// A worker and its log.
struct Seat {
    worker: Worker,
    lines: Lines,
    /// Requests after which it is replaced.
    recycle_at: Option<u64>,
    /// Another one is on its way for it.
    is_replaced: bool,
    was_ready: bool,
    fate: Fate,
}

/// Why a worker ends, when it does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody has asked for it.
    Unknown,
    /// It is no longer needed.
    Dismissed,
    /// It could not load the application, or not in time.
    NotLoaded,
    /// One request took too long.
    Hung,
    /// It cannot be believed.
    Broken(String),
}

/// What a worker writes to its standard error, cut into lines.
struct Lines {
    pipe: Option<OwnedFd>,
    partial: Vec<u8>,
    has_more: bool,
}

/// Restarts after failures: the first at once, then doubling to this.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
const BACK_OFF: Duration = Duration::from_millis(500);

/// With `reload`, somebody sits there and corrects the mistake.
const BACK_OFF_WATCHED: Duration = Duration::from_secs(1);

/// A worker that ends sooner than this after it was ready has failed as if it had not been.
const SOON: Duration = Duration::from_secs(1);

/// From asking for the stacks of a worker that hangs to killing it.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How often memory and age are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A queue that has somebody in it for this long makes the pool grow.
const GROW_AFTER: Duration = Duration::from_millis(100);

/// A worker beyond `min` that had nothing to do for this long is one too many.
const SHRINK_AFTER: Duration = Duration::from_secs(30);

/// A line of a worker's log.
const LINE_MAX: usize = 8 * 1024;

/// Read of a worker's log in a turn.
const LINES_MAX: usize = 64 * 1024;

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
    pub(super) fn start(&self, pool: PoolId, cx: &mut Cx) {
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
        self.inner.borrow_mut().spare.pop().unwrap_or_default()
    }

    /// Whether another request may wait.
    ///
    /// # Errors
    /// 503: too many wait, or nobody could answer.
    pub(super) fn admit(&self, now: Instant) -> Result<(), HttpError> {
        let inner = self.inner.borrow();
        if inner.is_stopped {
            return Err(self.unavailable("it was stopped", 1));
        }
        let is_down = inner.problem.is_some() && !inner.seats().any(|seat| seat.is_ready());
        if is_down {
            let wait = inner.not_before.map_or(0, |at| at.saturating_duration_since(now).as_secs());
            return Err(self.unavailable("it cannot be loaded", wait + 1));
        }
        if inner.waiting >= self.app.queue && !inner.has_room(now) {
            return Err(self.unavailable("its queue is full", 1));
        }
        Ok(())
    }

    /// Takes a request; its exchange is woken when something has come of it.
    pub(super) fn submit(&self, job: Rc<Job>, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        inner.queue.push_back(job);
        inner.waiting += 1;
        call(inner.pool, cx);
    }

    /// Nobody waits for a job any more.
    pub(super) fn cancel(&self, job: &Rc<Job>) {
        let inner = &mut *self.inner.borrow_mut();
        match job.place() {
            Place::Queued(_) => {
                inner.waiting = inner.waiting.saturating_sub(1);
                inner.queue.retain(|other| !Rc::ptr_eq(other, job));
            }
            Place::Sent(serial, id) => {
                let seat = inner.seats().find(|seat| seat.worker.serial == serial);
                if let Some(seat) = seat {
                    seat.worker.cancel(id);
                }
            }
            Place::Over => {}
        }
        job.set_place(Place::Over);
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
            seat.worker.set_writable();
            seat.worker.flush();
        }
        self.receive(inner, number, cx);
        // Whoever is free now may have the next one.
        if inner.waiting > 0 {
            call(inner.pool, cx);
        }
    }

    /// Once a turn, if there is something to do: hands out requests, sends them, sees what is due.
    pub(super) fn turn(&self, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        for number in 0..inner.seats.len() {
            let seat = inner.seats.get_mut(number).and_then(Option::as_mut);
            if seat.is_some_and(|seat| seat.worker.is_paused || seat.worker.has_more) {
                self.receive(inner, number, cx);
            }
            let seat = inner.seats.get_mut(number).and_then(Option::as_mut);
            if let Some(seat) = seat.filter(|seat| seat.lines.has_more) {
                self.read_log(seat, inner.pool, cx);
            }
        }
        self.hand_out(inner, cx);
        // Nothing known to be due: something has changed that was not looked at.
        if inner.due.is_none_or(|due| due <= cx.now()) {
            self.look(inner, cx);
        }
        self.arm(inner, cx);
    }

    /// A worker has ended, and is collected.
    pub(super) fn ended(&self, serial: u32, ending: Ending, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        let is_it = |seat: &Option<Seat>| seat.as_ref().is_some_and(|s| s.worker.serial == serial);
        let Some(number) = inner.seats.iter().position(is_it) else { return };
        // What it said before its end still counts.
        self.receive(inner, number, cx);
        let Some(mut seat) = inner.seats.get_mut(number).and_then(Option::take) else { return };
        self.read_log(&mut seat, None, cx);
        self.say_rest(&mut seat, cx);
        self.bury(inner, seat, ending, cx);
        self.keep_up(inner, cx);
        self.hand_out(inner, cx);
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
        for job in inner.queue.drain(..) {
            job.fail(self.unavailable("it was stopped", 1));
            cx.wake(job.conn);
        }
        inner.waiting = 0;
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

    /// Receives from one worker and acts on what it says.
    fn receive(&self, inner: &mut Inner, number: usize, cx: &mut Cx) {
        let Inner { seats, spare, .. } = inner;
        let Some(seat) = seats.get_mut(number).and_then(Option::as_mut) else { return };
        let news = seat.worker.receive(cx, spare);
        if seat.worker.has_more {
            call(inner.pool, cx);
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
                    inner.put_back(job, cx.now());
                }
                call(inner.pool, cx);
            }
            News::Changed => {
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
            News::Broken(why) => {
                seat.fate = Fate::Broken(why);
                seat.worker.stage = Stage::Ending(cx.now());
                cx.kill(seat.worker.child.id);
            }
        }
    }

    /// A worker is ready: perhaps a whole generation is.
    fn became_ready(&self, inner: &mut Inner, took: Duration, python: &str, cx: &mut Cx) {
        (inner.failures, inner.not_before) = (0, None);
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

    /// Gives waiting requests to workers that are free, least busy first, and sends.
    fn hand_out(&self, inner: &mut Inner, cx: &mut Cx) {
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

    /// Sees to everything whose time has come.
    fn look(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        inner.due = None;
        self.expire_queue(inner, now, cx);
        for number in 0..inner.seats.len() {
            self.look_at(inner, number, cx);
        }
        self.resize(inner, now);
        self.keep_up(inner, cx);
        let at = self.next_due(inner, now);
        inner.due = None;
        if let Some(at) = at {
            self.wants_look(inner, at, cx);
        }
    }

    /// Requests that have waited too long.
    fn expire_queue(&self, inner: &mut Inner, now: Instant, cx: &Cx) {
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

    /// One worker: does it start in time, does it hang, is it old?
    fn look_at(&self, inner: &mut Inner, number: usize, cx: &mut Cx) {
        let now = cx.now();
        let Some(seat) = inner.seats.get_mut(number).and_then(Option::as_mut) else { return };
        let age = now.saturating_duration_since(seat.worker.since);
        match seat.worker.stage {
            Stage::Starting if age >= self.app.startup => {
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
                if seat.worker.is_paused {
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
                    cx.wake(job.conn);
                }
                seat.fate = Fate::Hung;
                self.interrupt(seat, text, cx);
            }
            Stage::Ready => {
                let recycle = &self.app.recycle;
                let is_old = recycle.age.is_some_and(|limit| age >= limit);
                let is_worn = seat.recycle_at.is_some_and(|at| seat.worker.served >= at);
                let is_fat = recycle.memory.is_some_and(|limit| {
                    resident(seat.worker.child.pid).is_some_and(|n| n > limit)
                });
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

    /// Has a worker write down where it is, and ends it.
    fn interrupt(&self, seat: &mut Seat, text: String, cx: &mut Cx) {
        cx.report(Level::Error, self.say(&text));
        if let Some(pid) = Pid::from_raw(seat.worker.child.pid.cast_signed()) {
            // It is our child and not collected: the number is its own.
            let _ = rustix::process::kill_process(pid, Signal::USR1);
        }
        seat.worker.stage = Stage::Ending(cx.now() + LAST_WORDS);
    }

    /// More workers when requests wait, fewer when nobody needs them.
    fn resize(&self, inner: &mut Inner, now: Instant) {
        let workers = &self.app.workers;
        if workers.min == workers.max {
            return;
        }
        let waits = inner.queue.front().is_some_and(
            |job| matches!(job.place(), Place::Queued(since) if now >= since + GROW_AFTER),
        );
        let starting = inner.seats().any(|seat| seat.worker.stage == Stage::Starting);
        if waits && !starting && inner.target < workers.max {
            inner.target += 1;
            inner.grown = Some(now);
        } else if !waits && inner.target > workers.min {
            let idle = |seat: &&Seat| {
                seat.is_ready()
                    && seat.worker.load() == 0
                    && now >= seat.worker.idle_since + SHRINK_AFTER
            };
            let quiet = inner.grown.is_none_or(|at| now >= at + SHRINK_AFTER);
            if quiet && inner.seats().any(|seat| idle(&seat)) {
                inner.target -= 1;
            }
        }
    }

    /// Starts as many workers as are missing, and retires those that are too many.
    fn keep_up(&self, inner: &mut Inner, cx: &mut Cx) {
        if inner.is_stopped {
            return;
        }
        if inner.not_before.is_some_and(|at| at > cx.now()) {
            return;
        }
        let generation = inner.next_generation.unwrap_or(inner.generation);
        // Those that will be replaced go when their successors are ready.
        let lasting = inner.seats().filter(|seat| {
            seat.worker.generation == generation
                && !seat.is_replaced
                && matches!(seat.worker.stage, Stage::Starting | Stage::Ready)
        });
        // After a failure one has to show that it can be done.
        let wanted = if inner.failures > 0 { 1 } else { inner.target };
        for _ in lasting.count()..wanted {
            if let Err(error) = self.hire(inner, generation, cx) {
                let python = self.recipe.python().display();
                let text = format!("a worker cannot be started with {python}: {error}");
                cx.report(Level::Error, self.say(&text));
                inner.problem = Some(text.clone());
                self.back_off(inner, cx);
                self.give_up(inner, &text, cx);
                break;
            }
        }
        self.retire_surplus(inner, cx);
    }

    /// Lets those go that are too many: first those that have a successor.
    fn retire_surplus(&self, inner: &mut Inner, cx: &mut Cx) {
        let generation = inner.generation;
        let mine = |seat: &&Seat| seat.is_ready() && seat.worker.generation == generation;
        let ready = inner.seats().filter(mine).count();
        let mut surplus = ready.saturating_sub(inner.target);
        for replaced in [true, false] {
            for seat in inner.seats_mut() {
                let is_mine = seat.is_ready() && seat.worker.generation == generation;
                if surplus > 0 && is_mine && seat.is_replaced == replaced {
                    surplus -= 1;
                    seat.retire(cx);
                }
            }
        }
    }

    /// Starts a worker.
    fn hire(&self, inner: &mut Inner, generation: u32, cx: &mut Cx) -> io::Result<()> {
        let Some(pool) = inner.pool else { return Ok(()) };
        let Started { process, errors, line } = self.recipe.start()?;
        inner.serial = inner.serial.wrapping_add(1);
        let serial = inner.serial;
        let place = inner.seats.iter().position(Option::is_none).unwrap_or(inner.seats.len());
        let slot = u16::try_from(place * 2).unwrap_or(u16::MAX - 1);
        let pid = process.pid();
        // From here on the child is the loop's: whatever fails below, it is collected.
        let child = Child { id: cx.adopt(process, Owner { pool, tag: serial }), pid };
        let number = (1..).find(|n| !inner.seats().any(|seat| seat.worker.number == *n));
        let worker = Worker::new(serial, number.unwrap_or(0), generation, child, line, cx.now());
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = cx
            .register_pool(&mut SourceFd(&worker.socket().as_raw_fd()), pool, slot, both)
            .and_then(|()| {
                let log = &mut SourceFd(&errors.as_raw_fd());
                cx.register_pool(log, pool, slot + 1, Interest::READABLE)
            });
        if let Err(error) = registered {
            cx.kill(child.id);
            return Err(error);
        }
        let jitter = self.app.recycle.jitter;
        // Any sequence will do that does not repeat soon.
        let spread = u64::from(serial).wrapping_mul(0x9E37_79B9) % jitter.saturating_add(1);
        let lines = Lines { pipe: Some(errors), partial: Vec::new(), has_more: false };
        let recycle_at = self.app.recycle.requests.map(|requests| requests + spread);
        let seat = Seat {
            worker,
            lines,
            recycle_at,
            is_replaced: false,
            was_ready: false,
            fate: Fate::Unknown,
        };
        if place == inner.seats.len() {
            inner.seats.push(None);
        }
        if let Some(free) = inner.seats.get_mut(place) {
            free.insert(seat).worker.flush();
        }
        Ok(())
    }

    /// A worker is gone: what it had is answered with an error or given to others.
    fn bury(&self, inner: &mut Inner, mut seat: Seat, ending: Ending, cx: &mut Cx) {
        let (mut lost, fresh) = seat.worker.leftovers();
        let (fresh, hopeless): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|job| job.is_over() || job.survives());
        lost.extend(hopeless);
        for job in lost {
            if !job.is_over() {
                let reason = format!("the worker that had it is gone: {ending}");
                job.fail(HttpError::new(Status::BAD_GATEWAY, reason));
                cx.wake(job.conn);
            }
        }
        for job in fresh.into_iter().rev().filter(|job| !job.is_over()) {
            inner.put_back(job, cx.now());
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
                cx.report(Level::Error, self.say(&format!("{name} is gone: {ending}")));
            }
        }
        if seat.was_ready {
            if lived < SOON {
                self.back_off(inner, cx);
            }
        } else if inner.next_generation == Some(seat.worker.generation) {
            // The new source cannot be loaded: the old workers go on, until it changes again.
            inner.next_generation = None;
            inner.problem = None;
            let generation = inner.generation;
            for seat in inner.seats_mut().filter(|seat| seat.worker.generation > generation) {
                seat.discard(cx);
            }
        } else {
            if inner.problem.is_none() {
                inner.problem = Some(format!("a worker ended before it was ready: {ending}"));
                self.give_up(inner, "a worker ended before it was ready", cx);
            }
            self.back_off(inner, cx);
        }
    }

    /// Ends the server, if it is worth nothing without this application.
    fn give_up(&self, inner: &Inner, why: &str, cx: &mut Cx) {
        if let Some(pool) = inner.pool
            && self.app.required
            && !inner.was_ready
        {
            cx.give_up(pool, self.say(&format!("it is required: {why}")));
        }
    }

    /// The next attempt has to wait. Several workers that fail together count once.
    fn back_off(&self, inner: &mut Inner, cx: &mut Cx) {
        let now = cx.now();
        if inner.not_before.is_some_and(|at| at > now) {
            return;
        }
        let most = if self.app.reload { BACK_OFF_WATCHED } else { BACK_OFF_MAX };
        let wait = BACK_OFF.saturating_mul(1 << inner.failures.min(10)).min(most);
        inner.failures += 1;
        inner.not_before = Some(now + wait);
        self.wants_look(inner, now + wait, cx);
    }

    /// When something is due next.
    fn next_due(&self, inner: &Inner, now: Instant) -> Option<Instant> {
        let queue = inner.queue.front().map(|job| match job.place() {
            Place::Queued(since) if self.app.workers.min < self.app.workers.max => {
                let grow = since + GROW_AFTER;
                let expire = since + self.app.queue_timeout;
                if grow > now { grow.min(expire) } else { expire.min(now + GROW_AFTER) }
            }
            Place::Queued(since) => since + self.app.queue_timeout,
            _ => now,
        });
        let seats = inner.seats().filter_map(|seat| match seat.worker.stage {
            Stage::Starting => Some(seat.worker.since + self.app.startup),
            Stage::Ending(at) => Some(at),
            Stage::Ready | Stage::Retiring if seat.worker.is_paused => Some(now + LOOK_EVERY),
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
        seats.chain(queue).chain(watch).chain(restart).min()
    }

    /// Has `look` called at `at` at the latest.
    fn wants_look(&self, inner: &mut Inner, at: Instant, cx: &mut Cx) {
        if inner.due.is_some_and(|due| due <= at) {
            return;
        }
        inner.due = Some(at);
        if let Some(pool) = inner.pool {
            cx.timers.arm_pool(at, pool);
        }
    }

    fn arm(&self, inner: &mut Inner, cx: &mut Cx) {
        if inner.due.is_none()
            && let Some(at) = self.next_due(inner, cx.now())
        {
            self.wants_look(inner, at, cx);
        }
    }

    /// Writes down what a worker has said, line by line.
    fn read_log(&self, seat: &mut Seat, pool: Option<PoolId>, cx: &mut Cx) {
        let mut moved = 0;
        seat.lines.has_more = false;
        while let Some(pipe) = &seat.lines.pipe {
            if moved >= LINES_MAX {
                seat.lines.has_more = true;
                call(pool, cx);
                break;
            }
            let mut piece = [0; 4096];
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => seat.lines.pipe = None,
                Ok(n) => {
                    moved += n;
                    seat.lines.partial.extend_from_slice(piece.get(..n).unwrap_or_default());
                    while let Some(line) = seat.lines.next() {
                        self.say_line(seat, &line, cx);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if seat.lines.pipe.is_none() {
            self.say_rest(seat, cx);
        }
    }

    /// A last line without its end.
    fn say_rest(&self, seat: &mut Seat, cx: &mut Cx) {
        let rest = std::mem::take(&mut seat.lines.partial);
        if !rest.is_empty() {
            self.say_line(seat, &rest, cx);
        }
    }

    fn say_line(&self, seat: &Seat, line: &[u8], cx: &mut Cx) {
        let text = String::from_utf8_lossy(line);
        let (name, pid) = (&self.app.name.value, seat.worker.child.pid);
        cx.report(Level::Error, format!("app {name} (pid {pid}): {}", text.trim_end()));
    }

    fn say(&self, text: &str) -> String {
        format!("app {}: {text}", self.app.name.value)
    }

    fn unavailable(&self, why: &str, seconds: u64) -> HttpError {
        HttpError::new(Status::SERVICE_UNAVAILABLE, self.say(why))
            .with_header("Retry-After", &seconds.max(1).to_string())
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

/// Workers of one application at most, however many are asked for.
const WORKERS_MAX: usize = 1024;

/// From the order to end until a worker that does not is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Has the pool's turn come.
fn call(pool: Option<PoolId>, cx: &mut Cx) {
    if let Some(pool) = pool {
        cx.call_pool(pool);
    }
}

impl Inner {
    fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().flatten()
    }

    fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.seats.iter_mut().flatten()
    }

    /// Whether a request would not have to wait.
    fn has_room(&self, now: Instant) -> bool {
        self.seats().any(|seat| seat.worker.is_free(now))
    }

    /// Puts a job that nobody has begun at the front of the queue.
    fn put_back(&mut self, job: Rc<Job>, now: Instant) {
        if job.is_over() {
            return;
        }
        job.set_place(Place::Queued(now));
        self.queue.push_front(job);
        self.waiting += 1;
    }
}

impl Seat {
    fn is_ready(&self) -> bool {
        self.worker.stage == Stage::Ready && !self.worker.has_ended
    }

    /// What people call it.
    fn name(&self) -> String {
        format!("worker {} (pid {})", self.worker.number, self.worker.child.pid)
    }

    /// Gives it nothing more; it ends when it has answered what it has.
    fn retire(&mut self, cx: &mut Cx) {
        match self.worker.stage {
            Stage::Starting => self.discard(cx),
            Stage::Ready => {
                self.worker.stage = Stage::Retiring;
                if self.worker.load() == 0 {
                    self.retire_now(cx);
                }
            }
            Stage::Retiring | Stage::Ending(_) => {}
        }
    }

    fn retire_now(&mut self, cx: &Cx) {
        self.worker.end_input();
        self.fate = Fate::Dismissed;
        self.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
    }

    /// Ends it, whatever it does.
    fn discard(&mut self, cx: &mut Cx) {
        self.fate = Fate::Dismissed;
        self.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
        cx.kill(self.worker.child.id);
    }
}

impl Lines {
    /// The next whole line, or as much as a line may have.
    fn next(&mut self) -> Option<Vec<u8>> {
        let end = match memchr::memchr(b'\n', &self.partial) {
            Some(at) => at + 1,
            None if self.partial.len() >= LINE_MAX => LINE_MAX,
            None => return None,
        };
        Some(self.partial.drain(..end).collect())
    }
}

/// Bytes of memory that a process occupies.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
