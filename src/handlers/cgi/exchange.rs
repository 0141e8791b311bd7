//! A request that a script answers: body in, answer out, and an end in any case.
//!
//! *Gather → wait for a place → run.* Bodies up to `limits.spool_above`, and those in chunks, are
//! gathered first: a slow client occupies no process, and a script always knows the length. Longer
//! ones flow as the script reads them. The answer is read only as fast as the client takes it.

use super::gate::{Entry, Ticket};
use super::input::Input;
use super::running::{Running, broken};
use super::start::{Start, Which};
use super::{Scripts, refused};
use crate::event::Cx;
use crate::handlers::gateway::Spool;
use crate::http::{HttpError, Status};
use crate::serve::{Abort, Exchange, ExchangeIo, Step};
use rustix::io::Errno;
use std::rc::Rc;
use std::time::Duration;

/// The exchange.
pub(super) struct Script {
    scripts: Rc<Scripts>,
    which: Which,
    state: State,
}

enum State {
    /// The body is not there.
    Gathering(Spool),
    /// It can begin.
    Ready(Input),
    /// Other scripts have to end first.
    Queued(Input, Rc<Ticket>),
    /// Somebody writes to the script's file: to be tried again.
    Busy(Input),
    Running(Box<Running>),
    Over,
}

/// How often a script that is being written is tried again, and after which time.
const BUSY: Duration = Duration::from_millis(20);

impl Script {
    pub(super) fn new(scripts: Rc<Scripts>, which: Which, input: Input) -> Self {
        let state = match input {
            Input::Gather(spool) => State::Gathering(spool),
            input => State::Ready(input),
        };
        Self { scripts, which, state }
    }

    /// Starts the script, for which there is a place.
    fn start(
        &self,
        input: Input,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<State, HttpError> {
        let start = Start { scripts: &self.scripts, request: io.request, which: &self.which };
        let running = self.scripts.running.borrow().len();
        match start.run(input, io.id, io.ready, cx) {
            Ok(running) => {
                *io.timer = None;
                Ok(State::Running(Box::new(running)))
            }
            Err((error, input)) => {
                // If it has begun, its end gives the place back.
                if self.scripts.running.borrow().len() == running {
                    self.scripts.gate.borrow_mut().leave(cx);
                }
                match Errno::from_io_error(&error) {
                    Some(Errno::TXTBSY) => Ok(State::Busy(input)),
                    _ => Err(refused(&error, start.diagnose(&error))),
                }
            }
        }
    }

    fn timeout(&self) -> Duration {
        self.scripts.setup.cgi.limits.timeout
    }
}

impl Exchange for Script {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Gathering(mut spool) => {
                    if !spool.gather(io, cx)? {
                        self.state = State::Gathering(spool);
                        return Ok(Step::Wait);
                    }
                    State::Ready(Input::Spooled(spool.finish()?))
                }
                State::Ready(input) => {
                    let entry = self.scripts.gate.borrow_mut().enter(io.id);
                    match entry {
                        Entry::Taken => self.start(input, io, cx)?,
                        Entry::Wait(ticket) => {
                            *io.timer = Some(cx.now() + self.timeout());
                            State::Queued(input, ticket)
                        }
                        Entry::Full => return Err(overloaded("too many requests wait for it")),
                    }
                }
                State::Queued(input, ticket) if ticket.is_called() => self.start(input, io, cx)?,
                State::Queued(input, ticket) => {
                    if io.ready.take_timer() {
                        self.scripts.gate.borrow_mut().give_up(&ticket, cx);
                        return Err(overloaded("no process became free in time"));
                    }
                    *io.wake_expected = true;
                    self.state = State::Queued(input, ticket);
                    return Ok(Step::Wait);
                }
                State::Busy(input) => {
                    if io.ready.take_timer() {
                        State::Ready(input)
                    } else {
                        // It was there a moment ago, so it will soon be complete.
                        io.timer.get_or_insert(cx.now() + BUSY);
                        self.state = State::Busy(input);
                        return Ok(Step::Wait);
                    }
                }
                State::Running(mut running) => {
                    let step = running.advance(&self.scripts, io, cx);
                    match step {
                        Ok(Step::Wait | Step::Again) | Err(_) => {}
                        Ok(_) => running.leave(&self.scripts, cx),
                    }
                    self.state = State::Running(running);
                    return step;
                }
                State::Over => return Err(broken("it was over")),
            };
        }
    }

    fn abort(&mut self, _: Abort, cx: &mut Cx) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Queued(_, ticket) => self.scripts.gate.borrow_mut().give_up(&ticket, cx),
            State::Running(mut running) => running.abort(&self.scripts, cx),
            _ => {}
        }
    }
}

fn overloaded(why: &'static str) -> HttpError {
    HttpError::new(Status::SERVICE_UNAVAILABLE, why).with_header("Retry-After", "1")
}
