//! A request that a backend answers: its body is gathered, a place waited for, the backend asked, its answer
//! passed on, and what was lent given back.

use super::body::RequestBody;
use super::gather::Gather;
use crate::event::Cx;
use crate::event::admission::{Place, Refusal, TaskQueue};
use crate::http::{HttpError, Status};
use crate::http1::BodyLength;
use crate::serve::{Abort, Exchange, ExchangeIo, Request, Step};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// What answers requests: the part of an exchange that differs from one kind of backend to another.
pub trait Backend {
    /// A request that it has begun to answer.
    type Call;

    /// Bodies that are known to be longer than what is kept in memory go to it as they come: so a big upload
    /// does not need the disk, and a slow client holds it only then.
    const STREAMS: bool;

    /// What a place is, for logs.
    const PLACE: &'static str;

    /// Where requests wait for a place; `None`: it has a queue of its own.
    fn queue(&self) -> Option<&Rc<TaskQueue>>;

    /// Gives it a request. A place, where there are some, is held as long as the backend is occupied.
    ///
    /// # Errors
    /// It cannot answer.
    fn begin(
        &mut self,
        body: RequestBody,
        place: Option<Place>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Begun<Self::Call>, HttpError>;

    /// Moves what can be moved, as [`Exchange::advance`].
    ///
    /// # Errors
    /// As [`Exchange::advance`].
    fn advance(
        &mut self,
        call: &mut Self::Call,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError>;

    /// All of the answer is there: gives back what is not needed any more.
    fn finish(&mut self, _call: Self::Call, _cx: &mut Cx) {}

    /// The answer is not wanted any more.
    fn abort(&mut self, call: Self::Call, cx: &mut Cx);
}

/// What came of giving a request to a backend.
pub enum Begun<C> {
    /// It is at work.
    Call(C),
    /// Nothing was begun. It is to be tried again then.
    Later(RequestBody, Instant),
}

/// The exchange.
pub struct GatewayExchange<B: Backend> {
    backend: B,
    /// Bytes of a body that are kept in memory.
    above: u64,
    stage: Stage<B::Call>,
}

enum Stage<C> {
    New,
    /// The body is still coming.
    Gathering(Gather),
    /// The backend can be asked.
    Ready(RequestBody),
    /// Others have to end first.
    Queued(RequestBody, Place),
    /// The backend did not take it, and is asked again then.
    Later(RequestBody, Instant),
    /// The backend is at it.
    Answering(C),
    Over,
}

impl<B: Backend> GatewayExchange<B> {
    /// Has `backend` answer. Of a body that is gathered, up to `above` bytes stay in memory.
    pub fn new(backend: B, above: u64) -> Self {
        Self { backend, above, stage: Stage::New }
    }

    /// Whether there is a body, and whether it is gathered first.
    fn body_of(&self, request: &Request) -> Stage<B::Call> {
        match request.framing.body {
            // The body was that of the first place.
            _ if request.is_rerouted() => Stage::Ready(RequestBody::None),
            BodyLength::None => Stage::Ready(RequestBody::None),
            BodyLength::Length(length) if B::STREAMS && length > self.above => {
                Stage::Ready(RequestBody::Streamed(length))
            }
            BodyLength::Length(_) | BodyLength::Chunked => {
                Stage::Gathering(Gather::spool(self.above))
            }
        }
    }

    fn begin(
        &mut self,
        body: RequestBody,
        place: Option<Place>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Stage<B::Call>, HttpError> {
        Ok(match self.backend.begin(body, place, io, cx)? {
            Begun::Call(call) => Stage::Answering(call),
            Begun::Later(body, at) => Stage::Later(body, at),
        })
    }
}

impl<B: Backend> Exchange for GatewayExchange<B> {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            let (stage, until) = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::New => (self.body_of(io.request), None),
                Stage::Gathering(mut body) => match body.advance(io, cx)? {
                    Some(until) => (Stage::Gathering(body), Some(until)),
                    None => (Stage::Ready(RequestBody::Gathered(body.spooled()?)), None),
                },
                Stage::Ready(body) => match self.backend.queue() {
                    Some(queue) => {
                        // Clients are not told apart: first come, first served.
                        let place = Place::enter(queue, None, io.task, cx);
                        (Stage::Queued(body, place.map_err(overloaded::<B>)?), None)
                    }
                    None => (self.begin(body, None, io, cx)?, None),
                },
                Stage::Queued(body, place) => match place.poll(cx.now()) {
                    Poll::Ready(Ok(())) => (self.begin(body, Some(place), io, cx)?, None),
                    Poll::Ready(Err(refusal)) => return Err(overloaded::<B>(refusal)),
                    Poll::Pending => {
                        let again = place.look_again(cx.now()).map(|at| io.until(at));
                        let until = place.until_there().or(again);
                        (Stage::Queued(body, place), Some(until))
                    }
                },
                Stage::Later(body, at) if cx.now() >= at => (Stage::Ready(body), None),
                Stage::Later(body, at) => (Stage::Later(body, at), Some(io.until(at))),
                Stage::Answering(mut call) => {
                    let step = self.backend.advance(&mut call, io, cx);
                    match step {
                        Ok(Step::Wait(_) | Step::Again) | Err(_) => {
                            self.stage = Stage::Answering(call);
                        }
                        Ok(_) => self.backend.finish(call, cx),
                    }
                    return step;
                }
                Stage::Over => {
                    let why = "a backend was asked for an answer that was over";
                    return Err(HttpError::fatal(Status::INTERNAL_SERVER_ERROR, why));
                }
            };
            self.stage = stage;
            if let Some(until) = until {
                return Ok(Step::Wait(until));
            }
        }
    }

    fn abort(&mut self, _: Abort, cx: &mut Cx) {
        if let Stage::Answering(call) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.backend.abort(call, cx);
        }
    }
}

/// 503: the backend has too much to do.
fn overloaded<B: Backend>(refusal: Refusal) -> HttpError {
    let why = match refusal {
        Refusal::TooLong => format!("no {} became free in time", B::PLACE),
        _ => "too many requests wait for it".to_owned(),
    };
    HttpError::new(Status::SERVICE_UNAVAILABLE, why).with_header("Retry-After", "1")
}
