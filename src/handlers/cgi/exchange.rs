//! A request that a script answers: body in, answer out, and an end in any case.
//!
//! *Gather → wait for a place → run.* Bodies up to `limits.spool_above`, and those in chunks, are
//! gathered first: a slow client occupies no process, and a script always knows the length. Longer
//! ones flow as the script reads them. The answer is read only as fast as the client takes it.

use super::input::Input;
use super::running::{Running, broken};
use super::start::{Start, Which};
use super::{Scripts, refused};
use crate::event::Cx;
use crate::event::admission::{Place, Refusal};
use crate::handlers::gateway::Gather;
use crate::http::{HttpError, Status};
use crate::serve::{Abort, Exchange, ExchangeIo, Step};
use rustix::io::Errno;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The exchange.
pub(super) struct Script {
    scripts: Rc<Scripts>,
    which: Which,
    state: State,
}

enum State {
    /// The body is not there.
    Gathering(Gather),
    /// It can begin.
    Ready(Input),
    /// Other scripts have to end first.
    Queued(Input, Place),
    /// Somebody writes to the script's file: to be tried again then.
    Busy(Input, Instant),
    Running(Box<Running>),
    Over,
}

/// How often a script that is being written is tried again, and after which time.
const BUSY: Duration = Duration::from_millis(20);

impl Script {
    pub(super) fn new(scripts: Rc<Scripts>, which: Which, input: Input) -> Self {
        let state = match input {
            Input::Gather(body) => State::Gathering(body),
            input => State::Ready(input),
        };
        Self { scripts, which, state }
    }

    /// Starts the script, for which there is a place.
    fn start(
        &self,
        input: Input,
        place: Place,
        io: &ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<State, HttpError> {
        let start = Start { scripts: &self.scripts, request: io.request, which: &self.which };
        match start.run(input, place, io.task, cx) {
            Ok(running) => Ok(State::Running(Box::new(running))),
            Err((error, input)) => match Errno::from_io_error(&error) {
                // It was there a moment ago, so it will soon be complete.
                Some(Errno::TXTBSY) => Ok(State::Busy(input, cx.now() + BUSY)),
                _ => Err(refused(&error, start.diagnose(&error))),
            },
        }
    }
}

impl Exchange for Script {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Gathering(mut body) => {
                    if let Some(until) = body.advance(io, cx)? {
                        self.state = State::Gathering(body);
                        return Ok(Step::Wait(until));
                    }
                    State::Ready(Input::Spooled(body.spooled()?))
                }
                State::Ready(input) => {
                    let place = Place::enter(&self.scripts.admission, None, io.task, cx);
                    State::Queued(input, place.map_err(overloaded)?)
                }
                State::Queued(input, place) => match place.poll(cx.now()) {
                    Poll::Ready(Ok(())) => self.start(input, place, io, cx)?,
                    Poll::Ready(Err(refusal)) => return Err(overloaded(refusal)),
                    Poll::Pending => {
                        let again = place.look_again(cx.now()).map(|at| io.until(at));
                        let there = place.until_there();
                        self.state = State::Queued(input, place);
                        return Ok(Step::Wait(there.or(again)));
                    }
                },
                State::Busy(input, due) if cx.now() >= due => State::Ready(input),
                State::Busy(input, due) => {
                    self.state = State::Busy(input, due);
                    return Ok(Step::Wait(io.until(due)));
                }
                State::Running(mut running) => {
                    let step = running.advance(&self.scripts, io, cx);
                    match step {
                        Ok(Step::Wait(_) | Step::Again) | Err(_) => {}
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
        if let State::Running(mut running) = std::mem::replace(&mut self.state, State::Over) {
            running.abort(&self.scripts, cx);
        }
    }
}

fn overloaded(refusal: Refusal) -> HttpError {
    let why = match refusal {
        Refusal::TooLong => "no process became free in time",
        _ => "too many requests wait for it",
    };
    HttpError::new(Status::SERVICE_UNAVAILABLE, why).with_header("Retry-After", "1")
}
