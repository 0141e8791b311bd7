//! How many workers should there be, and who is started or let go for that?

use super::super::launch::{Child, Started};
use super::super::worker::{Stage, Worker};
use super::due::GROW_AFTER;
use super::seat::{Fate, Seat};
use super::{Inner, Pool};
use crate::conf::Level;
use crate::event::{Cx, Owner, Parent, ServiceId, Source, Start};
use crate::handlers::gateway::{Allowance, StderrReader};
use mio::Interest;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A worker beyond `min` that had nothing to do for this long is one too many.
const SHRINK_AFTER: Duration = Duration::from_secs(30);

/// A line of a worker's log; a longer one becomes several.
const LINE_MAX: usize = 8 * 1024;

/// The socket and the standard error of the worker at `slot`.
fn sources(
    socket: OwnedFd,
    errors: File,
    (pool, slot): (ServiceId, u16),
    cx: &Cx,
) -> io::Result<(Source<OwnedFd>, Source<File>)> {
    let both = Interest::READABLE | Interest::WRITABLE;
    let socket = cx.source(socket, Owner::Service(pool, slot), both)?;
    let errors = cx.source(errors, Owner::Service(pool, slot + 1), Interest::READABLE)?;
    Ok((socket, errors))
}

impl Pool {
    /// Starts as many workers as are missing, and retires those that are too many.
    pub(super) fn keep_up(&self, inner: &mut Inner, cx: &mut Cx) {
        if !inner.is_stopped && inner.not_before.is_none_or(|at| at <= cx.now()) {
            self.hire_missing(inner, cx);
            self.retire_surplus(inner, cx);
        }
        // Whoever waits as well, and was not called because this pool was.
        cx.starts.pass_on();
    }

    fn hire_missing(&self, inner: &mut Inner, cx: &mut Cx) {
        let generation = inner.next_generation.unwrap_or(inner.generation);
        // Those that will be replaced go when their successors are ready.
        let mine = |seat: &&Seat| seat.worker.generation == generation && !seat.is_replaced;
        let on_the_way = |seat: &Seat| seat.worker.stage == Stage::Starting || seat.is_failing();
        let starting = inner.seats().filter(mine).filter(|seat| on_the_way(seat)).count();
        let ready = inner.seats().filter(mine).filter(|s| s.worker.stage == Stage::Ready).count();
        let missing = inner.target.saturating_sub(starting + ready);
        // After a failure one has to show that it can be done, whoever is ready from before.
        let at_once = if inner.failures > 0 { 1_usize.saturating_sub(starting) } else { missing };
        for _ in 0..missing.min(at_once) {
            let Some(start) = inner.pool.and_then(|pool| cx.starts.begin(pool)) else {
                inner.waits_for_start = true;
                break;
            };
            if let Err(error) = self.hire(inner, generation, start, cx) {
                let python = self.recipe.python().display();
                let text = format!("a worker cannot be started with {python}: {error}");
                cx.report(Level::Error, self.say(&text));
                inner.problem = Some(text.clone());
                self.back_off(inner, cx);
                self.give_up(inner, &text, cx);
                break;
            }
        }
    }

    /// Lets those go that are too many: first those that have a successor.
    pub(super) fn retire_surplus(&self, inner: &mut Inner, cx: &mut Cx) {
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
    fn hire(
        &self,
        inner: &mut Inner,
        generation: u32,
        start: Start,
        cx: &mut Cx,
    ) -> io::Result<()> {
        let Some(pool) = inner.pool else { return Ok(()) };
        let Started { process, errors, socket, line } = self.recipe.start()?;
        inner.serial = inner.serial.wrapping_add(1);
        let serial = inner.serial;
        let place = inner.seats.iter().position(Option::is_none).unwrap_or(inner.seats.len());
        let slot = u16::try_from(place * 2).unwrap_or(u16::MAX - 1);
        let pid = process.pid();
        // From here on the child is the loop's: whatever fails below, it is collected.
        let child = Child { id: cx.adopt(process, Parent { service: pool, tag: serial }), pid };
        let number = (1..).find(|n| !inner.seats().any(|seat| seat.worker.number == *n));
        let sources = sources(socket, errors.into(), (pool, slot), cx);
        let (socket, errors) = sources.inspect_err(|_| cx.kill(child.id))?;
        let number = number.unwrap_or(0);
        let mut worker = Worker::new(serial, number, generation, child, socket, line, cx.now());
        worker.is_watching = self.app.reload;
        let jitter = self.app.recycle.jitter;
        // Any sequence will do that does not repeat soon.
        let spread = u64::from(serial).wrapping_mul(0x9E37_79B9) % jitter.saturating_add(1);
        let who = format!("app {} (pid {pid})", self.app.name.value);
        let stderr = StderrReader::new(errors, who, LINE_MAX, Allowance::Second);
        let recycle_at = self.app.recycle.requests.map(|requests| requests + spread);
        let seat = Seat {
            worker,
            stderr,
            log_at: None,
            start: Some(start),
            loads_since: cx.now(),
            starved: Duration::ZERO,
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

    /// More workers when requests wait, fewer when nobody needs them.
    pub(super) fn resize(&self, inner: &mut Inner, now: Instant) {
        let workers = &self.app.workers;
        if workers.min == workers.max {
            return;
        }
        let waits = inner.queue.since().is_some_and(|since| now >= since + GROW_AFTER);
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
}
