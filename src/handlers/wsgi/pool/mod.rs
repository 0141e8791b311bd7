//! The pool of an application's workers, as a state machine without input and output.
//!
//! [`Pool::on`] is told what happened and when, and leaves [`Command`]s: what is to be done about it. It
//! knows workers and requests by their numbers; processes, sockets and what requests contain are the
//! business of `service`, which turns what happens into events and performs the commands. So everything
//! that is decided here is tested without a process, in virtual time.
//!
//! | file | question |
//! |---|---|
//! | `mod` | what does a pool remember, and what does each event lead to? |
//! | `event`, `command` | what can happen, and what can be done about it? |
//! | `requests` | which requests wait, and which is next? |
//! | `admission` | which request may wait, and for how long? |
//! | `dispatch` | which waiting request goes to which worker, and which one comes back? |
//! | `messages` | a worker has said something: what follows from it? |
//! | `scaling` | how many workers should there be, and which are started or retired for that? |
//! | `reload` | when do new workers take over from old ones? |
//! | `timers` | what is due, and when? |
//! | `exits` | a worker has ended: what becomes of its requests, and when is another one started? |
//! | `slow_readers` | which answers are cut because workers wait for their clients? |
//! | `slot` | what is known of one worker? |
//! | `flights` | which requests were sent to it, and is what it says in order? |
//! | `latency` | how quick is it? |
//!
//! Architecture invariant: a request is in the queue, or in flight to exactly one worker, or released.
//! It is sent a second time only if the worker has certainly not begun it.

mod admission;
mod command;
mod dispatch;
mod event;
mod exits;
mod flights;
mod latency;
mod messages;
mod reload;
mod requests;
mod scaling;
mod slot;
mod slow_readers;
#[cfg(test)]
mod tests;
mod timers;

pub(super) use command::{Command, Failure};
pub(super) use event::Event;
pub(super) use flights::MARKS;
pub(super) use requests::{Client, RequestId};
pub(super) use slot::WorkerId;

use crate::conf::{App, Level};
use crate::serve::{Readiness, Scale};
use requests::{Place, Requests};
use slot::{STOP_GRACE, Stage, WorkerSlot};
use std::collections::VecDeque;
use std::time::Instant;

/// The workers of one application, and the requests that wait for them.
#[derive(Debug)]
pub(super) struct Pool {
    app: App,
    /// The time of the event at hand.
    now: Instant,
    /// By number.
    workers: Vec<Option<WorkerSlot>>,
    requests: Requests,
    /// What is to be done, in order.
    commands: VecDeque<Command>,
    /// How many workers there should be.
    target: usize,
    /// How many were started so far.
    started: u32,
    /// Workers of this generation answer.
    generation: u32,
    /// Workers of this one will, when they are ready.
    next_generation: Option<u32>,
    /// Starts that failed, one after the other.
    failures: u32,
    /// Workers that were ready and did not last, or broke the protocol, one after the other.
    strikes: u32,
    /// No worker is started before that.
    not_before: Option<Instant>,
    /// A start was asked for and not answered yet.
    is_starting: bool,
    /// Workers are missing, and programs of others load first.
    waits_for_start: bool,
    /// A source has changed then, and no workers were started for it yet.
    change_waits: Option<Instant>,
    /// When workers were started for a change last.
    changed_at: Option<Instant>,
    /// It has been ready.
    was_ready: bool,
    /// It was logged that `recycle.memory` is too small.
    has_warned_of_memory: bool,
    /// What was wrong with the last start.
    problem: Option<String>,
    /// When something is due, as far as timers were armed. `None`: not known, so that everything is looked
    /// at in the next turn.
    due: Option<Instant>,
    /// When requests that were sent ahead are looked at next.
    revoke_at: Option<Instant>,
    /// When requests made it grow last.
    grown: Option<Instant>,
    is_stopped: bool,
}

/// Workers of one application at most, however many are asked for.
const WORKERS_MAX: usize = 1024;

impl Pool {
    /// The pool of `app`, without workers until it is told to begin.
    pub(super) fn new(app: App, now: Instant) -> Self {
        Self {
            target: app.workers.min,
            requests: Requests::new(app.queue, app.queue_timeout),
            app,
            now,
            workers: Vec::new(),
            commands: VecDeque::new(),
            started: 0,
            generation: 0,
            next_generation: None,
            failures: 0,
            strikes: 0,
            not_before: None,
            is_starting: false,
            waits_for_start: false,
            change_waits: None,
            changed_at: None,
            was_ready: false,
            has_warned_of_memory: false,
            problem: None,
            due: None,
            revoke_at: None,
            grown: None,
            is_stopped: false,
        }
    }

    /// Something has happened.
    pub(super) fn on(&mut self, event: Event<'_>, now: Instant) {
        self.now = now;
        match event {
            Event::Begin => {
                self.keep_up();
                self.arm();
            }
            Event::Scheduled => self.see_to_batch(),
            Event::Scale(by) => self.scale(by),
            Event::Stop => self.stop(),
            Event::Arrived { request, client } => self.admit(request, client),
            Event::Left { request } => self.leave(request),
            Event::Unusable { request } => self.end_in_flight(request),
            Event::Started { worker, pid } => self.has_started(worker, pid),
            Event::NotStarted { worker, why } => self.could_not_start(worker, why),
            Event::Deferred { worker } => self.start_deferred(worker),
            Event::Occupies { worker, bytes } => self.judge_memory(worker, bytes),
            Event::Loads { worker, waited, runs } => self.judge_start(worker, waited, runs),
            Event::Ended { worker, begun, how } => self.has_ended(worker, begun, how),
            Event::Said { worker, frame } => self.hear(worker, frame),
            Event::Broke { worker, why } => self.distrust(worker, why),
            Event::Begun { worker, id } => self.has_begun(worker, id),
            Event::Full { worker, is_full } => self.is_full(worker, is_full),
            Event::Held { worker, taken } => self.is_held(worker, taken),
            Event::Resumed { worker } => {
                if let Some(slot) = self.slot_mut(worker) {
                    slot.resume(now);
                }
            }
            Event::Closed { worker } => {
                if let Some(slot) = self.slot_mut(worker) {
                    slot.has_closed = true;
                }
            }
            Event::Received { worker } => self.has_received(worker),
        }
    }

    /// What is to be done next.
    pub(super) fn pop_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Whether its workers answer.
    pub(super) fn readiness(&self) -> Readiness {
        match &self.problem {
            _ if self.was_ready => Readiness::Ready,
            Some(problem) => Readiness::Failed(format!("cannot be loaded\n{problem}")),
            None => Readiness::Starting,
        }
    }

    /// Whether what a worker says counts.
    pub(super) fn listens_to(&self, worker: WorkerId) -> bool {
        self.slot(worker).is_some_and(|slot| !slot.is_broken())
    }

    /// Whether a worker waits for the client of the request that it is at.
    pub(super) fn is_waiting(&self, worker: WorkerId) -> bool {
        self.slot(worker).is_some_and(|slot| slot.held_since.is_some())
    }

    /// The request that a worker is at, if its answer is still of interest.
    pub(super) fn answering(&self, worker: WorkerId) -> Option<RequestId> {
        self.slot(worker)?.flights.front()?.live()
    }

    /// What a worker is called in the log.
    pub(super) fn name(&self, worker: WorkerId) -> String {
        self.slot(worker).map(WorkerSlot::name).unwrap_or_default()
    }

    /// Whether any requests wait for a worker.
    pub(super) fn has_waiting(&self) -> bool {
        !self.requests.queue.is_empty()
    }

    /// Once a turn, if there is something to do: hands out requests and sees to what is due.
    fn see_to_batch(&mut self) {
        if std::mem::take(&mut self.waits_for_start) {
            self.keep_up();
        }
        self.revoke();
        self.dispatch();
        if self.due.is_none_or(|due| due <= self.now) {
            self.look();
        }
        self.arm();
    }

    fn scale(&mut self, by: Scale) {
        self.target = match by {
            Scale::More => (self.target + 1).min(WORKERS_MAX),
            Scale::Fewer => (self.target - 1).max(1),
        };
        self.log(Level::Info, format!("{} workers are wanted now", self.target));
        self.keep_up();
        self.look_soon();
    }

    /// Ends all workers: those that have nothing to do in peace, the others at once.
    fn stop(&mut self) {
        self.is_stopped = true;
        self.waits_for_start = false;
        while let Some(waiting) = self.requests.queue.pop(|_| true) {
            self.fail_waiting(waiting.item, Failure::Stopped);
        }
        let kill_at = self.now + STOP_GRACE;
        for (worker, slot) in in_slots(&mut self.workers) {
            self.commands.push_back(match slot.load() > 0 || slot.stage == Stage::Starting {
                true => Command::Kill(worker),
                false => Command::CloseInput(worker),
            });
            slot.stage = Stage::Ending(kill_at);
        }
        self.due = None;
        self.arm();
    }

    fn log(&mut self, level: Level, text: String) {
        self.commands.push_back(Command::Log(level, text));
    }

    /// Has everything looked at in the next turn, which comes soon.
    fn look_soon(&mut self) {
        self.due = None;
        self.commands.push_back(Command::Schedule);
    }

    fn slot(&self, worker: WorkerId) -> Option<&WorkerSlot> {
        self.workers.get(worker.0)?.as_ref()
    }

    fn slot_mut(&mut self, worker: WorkerId) -> Option<&mut WorkerSlot> {
        self.workers.get_mut(worker.0)?.as_mut()
    }

    fn slots(&self) -> impl Iterator<Item = &WorkerSlot> {
        self.workers.iter().flatten()
    }
}

/// All workers there are, with their numbers.
fn in_slots(
    workers: &mut [Option<WorkerSlot>],
) -> impl Iterator<Item = (WorkerId, &mut WorkerSlot)> {
    let numbered = workers.iter_mut().enumerate();
    numbered.filter_map(|(n, slot)| Some((WorkerId(n), slot.as_mut()?)))
}
