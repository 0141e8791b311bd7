//! A worker has said something: what follows from it?

use super::super::wire::{self, Frame};
use super::flights::Flight;
use super::slot::{FLIGHTS_MAX, Fate, STOP_GRACE, Stage};
use super::{Command, Pool, WorkerId};
use crate::conf::Level;
use std::time::Duration;

/// Requests given back between two answers: what is in flight may come back once, and a little more.
const RETURNS_MAX: usize = 2 * FLIGHTS_MAX;

/// Changes of a source: one is told every half second at most, which a clock that was adjusted or a
/// process that was stopped may bring together.
const CHANGES_AT_ONCE: u64 = 16;
const CHANGES_A_SECOND: u64 = 4;

impl Pool {
    /// Acts on what a worker says, as far as it keeps to the protocol.
    pub(super) fn hear(&mut self, worker: WorkerId, frame: Frame<'_>) {
        let Some(slot) = self.slot(worker).filter(|slot| !slot.is_broken()) else { return };
        let heard = match frame {
            Frame::Ready { .. } | Frame::Failed { .. } => self.open(worker, frame),
            _ if !slot.has_opened => Err("a frame before it was ready".to_owned()),
            Frame::Changed => self.hear_change(worker),
            Frame::Returned { id } => self.hear_return(worker, id),
            Frame::Answer { id, end, .. } | Frame::Data { id, end, .. } => {
                self.hear_answer(worker, frame, id, end)
            }
            Frame::File { id, .. } | Frame::Error { id, .. } => {
                self.hear_answer(worker, frame, id, true)
            }
        };
        if let Err(why) = heard {
            self.distrust(worker, why);
        }
    }

    /// Part of an answer.
    fn hear_answer(
        &mut self,
        worker: WorkerId,
        frame: Frame<'_>,
        id: u32,
        ends: bool,
    ) -> Result<(), String> {
        let now = self.now;
        let Some(slot) = self.slot_mut(worker) else { return Ok(()) };
        let flight = slot.flights.hear(frame, id, ends)?;
        slot.has_moved(ends, now);
        if let Some(request) = flight.live() {
            self.commands.push_back(Command::Deliver { request });
        }
        if let Some(request) = flight.request.filter(|_| ends) {
            self.release(request);
        }
        Ok(())
    }

    /// The first thing that a worker says, and the only one of these kinds: whether it could load the
    /// application.
    fn open(&mut self, worker: WorkerId, frame: Frame<'_>) -> Result<(), String> {
        let now = self.now;
        let Some(slot) = self.slot_mut(worker) else { return Ok(()) };
        if std::mem::replace(&mut slot.has_opened, true) {
            return Err("it says twice whether it is ready".to_owned());
        }
        match frame {
            Frame::Ready { version, .. } if version != wire::VERSION => {
                return Err(format!("version {version} of the protocol"));
            }
            Frame::Ready { python, .. } => {
                let took = now.saturating_duration_since(slot.since);
                slot.stage = Stage::Ready;
                slot.was_ready = true;
                (slot.since, slot.idle_since) = (now, now);
                let (name, python) = (slot.name(), String::from_utf8_lossy(python));
                self.end_start(worker);
                let seconds = took.as_secs_f64();
                let text = format!("{name} is ready in {seconds:.1} s, Python {python}");
                self.log(Level::Debug, text);
                self.problem = None;
                if self.app.recycle.memory.is_some() && !self.has_warned_of_memory {
                    self.commands.push_back(Command::MeasureMemory(worker));
                }
                self.became_ready(took, &python);
            }
            Frame::Failed { text } => {
                let text = String::from_utf8_lossy(text).into_owned();
                // Nothing but its end may follow.
                slot.has_closed = true;
                self.log(Level::Error, format!("cannot be loaded\n{text}"));
                self.commands.push_back(Command::Terminate(worker));
                self.end(worker, Fate::NotLoaded, STOP_GRACE);
                self.give_up(text.lines().next_back().unwrap_or_default());
                self.problem = Some(text);
            }
            _ => {}
        }
        self.look_soon();
        Ok(())
    }

    /// A source has changed. Workers are started for it once, however often that is said.
    fn hear_change(&mut self, worker: WorkerId) -> Result<(), String> {
        let (now, is_watched) = (self.now, self.app.reload);
        let Some(slot) = self.slot_mut(worker) else { return Ok(()) };
        slot.changes += 1;
        let age = now.saturating_duration_since(slot.since).as_secs();
        if !is_watched {
            return Err("a changed source, without `reload`".to_owned());
        }
        if slot.changes > CHANGES_AT_ONCE.saturating_add(CHANGES_A_SECOND.saturating_mul(age)) {
            return Err("sources change too often".to_owned());
        }
        self.change_waits.get_or_insert(now);
        self.look_soon();
        Ok(())
    }

    /// A request comes back that the worker has not begun.
    fn hear_return(&mut self, worker: WorkerId, id: u32) -> Result<(), String> {
        let Some(slot) = self.slot_mut(worker) else { return Ok(()) };
        let flight = slot.flights.take_back(id)?;
        if flight.live().is_some() {
            slot.latency.was_slow();
            slot.returns += 1;
            if slot.returns > RETURNS_MAX {
                self.give_back(flight);
                return Err("it gives back everything".to_owned());
            }
        }
        self.give_back(flight);
        self.look_soon();
        Ok(())
    }

    /// A request that was sent and not begun waits again, if its answer is still of interest.
    pub(super) fn give_back(&mut self, flight: Flight) {
        match (flight.live(), flight.request) {
            (Some(request), _) => self.requests.put_back(request),
            (None, Some(request)) => self.release(request),
            (None, None) => {}
        }
    }

    /// Nothing that a worker says counts any more.
    pub(super) fn distrust(&mut self, worker: WorkerId, why: String) {
        if self.listens_to(worker) {
            self.commands.push_back(Command::Kill(worker));
            self.end(worker, Fate::Broken(why), Duration::ZERO);
            self.look_soon();
        }
    }

    /// All that a worker has said for now was heard.
    pub(super) fn has_received(&mut self, worker: WorkerId) {
        let (now, has_waiting) = (self.now, self.has_waiting());
        let Some(slot) = self.slot_mut(worker) else { return };
        slot.count_answers(now);
        let is_worn = slot.recycle_at.is_some_and(|at| slot.served >= at) && !slot.is_replaced;
        if slot.has_closed && !matches!(slot.stage, Stage::Ending(_)) {
            // It ends by itself, or it is ended.
            slot.stage = Stage::Ending(now + STOP_GRACE);
            self.look_soon();
        } else if slot.load() == 0 && slot.stage == Stage::Retiring {
            self.retire_now(worker);
        } else if slot.load() == 0 && slot.stage == Stage::Ready && is_worn {
            self.look_soon();
        }
        if has_waiting && self.slot(worker).is_some_and(|slot| slot.room(now) > 0) {
            // It is free for the next one.
            self.commands.push_back(Command::Schedule);
        }
    }

    /// The socket to a worker takes no more, or takes more again.
    pub(super) fn is_full(&mut self, worker: WorkerId, is_full: bool) {
        if let Some(slot) = self.slot_mut(worker) {
            slot.is_full = is_full;
            if !is_full && self.has_waiting() {
                self.commands.push_back(Command::Schedule);
            }
        }
    }

    /// A worker has to wait for its client.
    pub(super) fn is_held(&mut self, worker: WorkerId, taken: u64) {
        let now = self.now;
        if let Some(slot) = self.slot_mut(worker) {
            slot.hold(taken, now);
            self.look_by(now + self.patience());
        }
    }
}
