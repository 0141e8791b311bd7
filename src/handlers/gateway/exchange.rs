//! A request that a backend answers: its body is gathered, a place waited for, the backend asked, its answer
//! passed on, and what was lent given back.

use super::body::RequestBody;
use super::gather::Gather;
use crate::event::admission::{Place, Refusal, TaskQueue};
use crate::event::{Cx, Until};
use crate::http::{BodyLength, HttpError, Status};
use crate::serve::{Abort, Exchange, ExchangeIo, Request, Step};
use rustix::io::Errno;
use std::io;
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
    fn queue(&self) -> Option<&Rc<TaskQueue>> {
        None
    }

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
        match request.body_length {
            // The body was that of the first place.
            _ if request.is_redirected() => Stage::Ready(RequestBody::None),
            length if length.is_empty() => Stage::Ready(RequestBody::None),
            BodyLength::Length(length) if B::STREAMS && length > self.above => {
                Stage::Ready(RequestBody::Streamed(length))
            }
            _ => Stage::Gathering(Gather::spool(self.above)),
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

    /// One step on the way to the backend. Returns what has to be waited for first.
    fn prepare(
        &mut self,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Option<Until>, HttpError> {
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
            stage @ Stage::Answering(_) => (stage, None),
            Stage::Over => {
                let why = "a backend was asked for an answer that was over";
                return Err(HttpError::fatal(Status::INTERNAL_SERVER_ERROR, why));
            }
        };
        self.stage = stage;
        Ok(until)
    }
}

impl<B: Backend> Exchange for GatewayExchange<B> {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            if let Stage::Answering(call) = &mut self.stage {
                let step = self.backend.advance(call, io, cx);
                if matches!(step, Ok(Step::Done | Step::Respond(_) | Step::Redirect(_)))
                    && let Stage::Answering(call) = std::mem::replace(&mut self.stage, Stage::Over)
                {
                    self.backend.finish(call, cx);
                }
                return step;
            }
            if let Some(until) = self.prepare(io, cx)? {
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

/// The answer where a backend cannot be asked: 503, if that is for want of processes, memory or descriptors.
pub fn cannot_begin(error: &io::Error, reason: String) -> HttpError {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOSPC) => {
            HttpError::new(Status::SERVICE_UNAVAILABLE, reason).with_header("Retry-After", "1")
        }
        _ => HttpError::new(Status::INTERNAL_SERVER_ERROR, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Transaction;
    use super::*;
    use crate::event::TaskId;
    use crate::event::admission::{Admission, Limits, Order, QueueLimits};
    use crate::http::Headers;
    use std::cell::RefCell;
    use std::time::Duration;

    /// Notes what is asked of it.
    #[derive(Clone)]
    struct Noting {
        notes: Rc<RefCell<Vec<String>>>,
        queue: Rc<TaskQueue>,
        /// How often it is busy.
        busy: usize,
        /// What is answered, in turn; at last it is done.
        steps: usize,
        fails: bool,
    }

    impl Noting {
        fn new() -> Self {
            let (longest, order) = (Some(Duration::from_secs(10)), Order::Arrival);
            let queue = QueueLimits { waiting: 1, waiting_per_client: usize::MAX, longest, order };
            let limits = Limits { places: 1, places_per_client: 1, queue };
            let queue = Rc::new(TaskQueue::new(Admission::new(limits)));
            Self { notes: Rc::default(), queue, busy: 0, steps: 0, fails: false }
        }

        fn note(&self, text: impl Into<String>) {
            self.notes.borrow_mut().push(text.into());
        }

        /// Another request that wants the place.
        fn other(&self, transaction: &Transaction) -> Place {
            let task = TaskId { stream: 1, ..transaction.task };
            Place::enter(&self.queue, None, task, &transaction.cx).unwrap()
        }
    }

    impl Backend for Noting {
        type Call = Place;

        const STREAMS: bool = true;

        const PLACE: &'static str = "chair";

        fn queue(&self) -> Option<&Rc<TaskQueue>> {
            Some(&self.queue)
        }

        fn begin(
            &mut self,
            body: RequestBody,
            place: Option<Place>,
            _: &mut ExchangeIo<'_>,
            cx: &mut Cx,
        ) -> Result<Begun<Place>, HttpError> {
            self.note(format!("begin {:?}", body.length()));
            if self.busy > 0 {
                self.busy -= 1;
                return Ok(Begun::Later(body, cx.now() + Duration::from_secs(1)));
            }
            Ok(Begun::Call(place.unwrap()))
        }

        fn advance(
            &mut self,
            _: &mut Place,
            io: &mut ExchangeIo<'_>,
            _: &mut Cx,
        ) -> Result<Step, HttpError> {
            if self.fails {
                return Err(HttpError::new(Status::BAD_GATEWAY, "as it should"));
            }
            if self.steps > 0 {
                self.steps -= 1;
                return Ok(Step::Again);
            }
            io.answer.head(Status::OK, &Headers::new(), Some(0));
            io.answer.finish()?;
            Ok(Step::Done)
        }

        fn finish(&mut self, _: Place, _: &mut Cx) {
            self.note("finish");
        }

        fn abort(&mut self, _: Place, _: &mut Cx) {
            self.note("abort");
        }
    }

    fn step(exchange: &mut GatewayExchange<Noting>, transaction: &mut Transaction) -> String {
        match transaction.with(|io, cx| exchange.advance(io, cx)) {
            Ok(Step::Wait(until)) if until.is_over() => "again".to_owned(),
            Ok(Step::Wait(_)) => "wait".to_owned(),
            Ok(Step::Again) => "again".to_owned(),
            Ok(Step::Done) => "done".to_owned(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn bodies_are_gathered_or_streamed() {
        for (fields, arrives, begun) in [
            (&[][..], &b""[..], "begin None"),
            (&[("Content-Length", "3")], b"abc", "begin Some(3)"),
            (&[("Content-Length", "9")], b"", "begin Some(9)"),
            (&[("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n0\r\n\r\n", "begin Some(3)"),
        ] {
            let (mut transaction, backend) = (Transaction::new("POST", fields), Noting::new());
            let mut exchange = GatewayExchange::new(backend.clone(), 5);
            if !arrives.is_empty() {
                assert_eq!(step(&mut exchange, &mut transaction), "wait");
                assert!(backend.notes.borrow().is_empty(), "{fields:?}");
                transaction.arrive(arrives);
            }
            assert_eq!(step(&mut exchange, &mut transaction), "done", "{fields:?}");
            assert_eq!(*backend.notes.borrow(), [begun, "finish"]);
            assert!(backend.other(&transaction).poll(transaction.cx.now()).is_ready());
        }
    }

    #[test]
    fn a_place_is_waited_for_and_given_back() {
        let (mut transaction, backend) = (Transaction::new("GET", &[]), Noting::new());
        let occupied = backend.other(&transaction);
        assert!(occupied.poll(transaction.cx.now()).is_ready());
        let mut exchange = GatewayExchange::new(backend.clone(), 5);
        assert_eq!(step(&mut exchange, &mut transaction), "wait");
        let mut second = GatewayExchange::new(backend.clone(), 5);
        let full = "503 Service Unavailable: too many requests wait for it";
        assert_eq!(step(&mut second, &mut transaction), full);
        drop(occupied);
        assert_eq!(transaction.cx.wakes().pop(), Some(transaction.task));
        assert_eq!(step(&mut exchange, &mut transaction), "done");
        assert_eq!(*backend.notes.borrow(), ["begin None", "finish"]);
        assert!(step(&mut exchange, &mut transaction).starts_with("500"), "it is over");
    }

    #[test]
    fn waiting_ends() {
        let (mut transaction, backend) = (Transaction::new("GET", &[]), Noting::new());
        let occupied = backend.other(&transaction);
        assert!(occupied.poll(transaction.cx.now()).is_ready());
        let mut exchange = GatewayExchange::new(backend.clone(), 5);
        assert_eq!(step(&mut exchange, &mut transaction), "wait");
        transaction.pass(10);
        let late = "503 Service Unavailable: no chair became free in time";
        assert_eq!(step(&mut exchange, &mut transaction), late);
        exchange.abort(Abort::Failed, &mut transaction.cx);
        assert!(backend.notes.borrow().is_empty(), "it was not asked");
    }

    #[test]
    fn a_backend_that_is_busy_is_asked_again_from_the_queue_on() {
        let (mut transaction, backend) = (Transaction::new("GET", &[]), Noting::new());
        let mut exchange = GatewayExchange::new(Noting { busy: 1, ..backend.clone() }, 5);
        assert_eq!(step(&mut exchange, &mut transaction), "wait");
        let other = backend.other(&transaction);
        assert!(other.poll(transaction.cx.now()).is_ready(), "its place was given back");
        transaction.pass(1);
        assert_eq!(step(&mut exchange, &mut transaction), "wait");
        drop(other);
        assert_eq!(step(&mut exchange, &mut transaction), "done");
        assert_eq!(*backend.notes.borrow(), ["begin None", "begin None", "finish"]);
    }

    #[test]
    fn what_was_begun_is_finished_or_aborted_once() {
        for fails in [false, true] {
            let (mut transaction, backend) = (Transaction::new("GET", &[]), Noting::new());
            let mut exchange =
                GatewayExchange::new(Noting { steps: 1, fails, ..backend.clone() }, 5);
            let want = if fails { "502 Bad Gateway: as it should" } else { "again" };
            assert_eq!(step(&mut exchange, &mut transaction), want);
            exchange.abort(Abort::Gone, &mut transaction.cx);
            exchange.abort(Abort::Gone, &mut transaction.cx);
            assert_eq!(*backend.notes.borrow(), ["begin None", "abort"]);
            assert!(backend.other(&transaction).poll(transaction.cx.now()).is_ready());
        }
    }
}
