//! A request that takes time: its body is coming, work is done for it, or its answer is a stream.

use super::collect::Collector;
use super::compiled::{Chain, CompiledApp, Made, guarded_option, made, tell};
use super::out::{Next, Out, Producer};
use super::reply::{Body, Dress, Waiter};
use super::request::State;
use super::{Error, Reply, Request};
use crate::conf::Level;
use crate::event::{Cx, TaskWaker};
use crate::http::{HttpError, Status};
use crate::serve::{Exchange, ExchangeIo, Step};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The exchange of an application.
pub(super) struct Running {
    app: Rc<CompiledApp>,
    chain: Chain,
    /// Not needed any more once a stream has begun.
    state: Box<State>,
    phase: Phase,
}

enum Phase {
    /// The body is coming.
    Collect(Option<Box<Collector>>),
    /// There is a reply, and it takes time.
    Begin(Option<Reply>),
    /// A helper is at work.
    Job(Box<dyn super::reply::Job>, Dress),
    /// Something is to happen, until then.
    Waiting(Box<dyn Waiter>, Instant, Dress),
    Stream(Stream),
}

struct Stream {
    producer: Box<dyn Producer>,
    buffer: Vec<u8>,
    due: Due,
    /// Those that it waits for have it.
    waker: Rc<TaskWaker>,
    /// When it gives a sign of life, if it has nothing to say before.
    beat: Option<Instant>,
}

/// When a stream is called again.
#[derive(Clone, Copy)]
enum Due {
    Now,
    Instant(Instant),
    /// It is woken.
    Woken,
}

impl Running {
    /// For a request whose body is still to come.
    pub(super) fn collect(
        app: &Rc<CompiledApp>,
        chain: Chain,
        state: State,
        collector: Collector,
    ) -> Self {
        let phase = Phase::Collect(Some(Box::new(collector)));
        Self { app: Rc::clone(app), chain, state: Box::new(state), phase }
    }

    /// For a reply that takes time.
    pub(super) fn of_reply(
        app: &Rc<CompiledApp>,
        chain: Chain,
        state: State,
        reply: Reply,
    ) -> Self {
        let phase = Phase::Begin(Some(reply));
        Self { app: Rc::clone(app), chain, state: Box::new(state), phase }
    }

    /// A reply is there: completes it, and begins what it asks for. `None`: goes on in its phase.
    fn follow(
        &mut self,
        reply: Reply,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Option<Step>, HttpError> {
        let mut request = Request::new(io.request, &mut self.state, &self.app.facts);
        let reply = self.app.complete(&self.chain, &mut request, reply, cx);
        tell(&mut self.state, cx);
        match made(reply)? {
            Made::Response(response) => Ok(Some(Step::Respond(response))),
            Made::InTime(reply) => self.begin(reply, io, cx),
        }
    }

    fn begin(
        &mut self,
        reply: Reply,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Option<Step>, HttpError> {
        let dress = Dress { status: reply.status, fields: reply.fields() };
        match reply.body {
            Body::Job(mut job) => {
                if let Err(error) = job.start(io.task, cx) {
                    return self.follow(Reply::failed(error), io, cx);
                }
                self.phase = Phase::Job(job, dress);
            }
            Body::Waiting(waiter) => {
                let until = cx.now() + waiter.patience().min(FOREVER);
                self.phase = Phase::Waiting(waiter, until, dress);
            }
            Body::Stream(producer) => {
                io.answer.head(dress.status, &dress.fields, None);
                if io.answer.omits_body() {
                    io.answer.finish()?;
                    return Ok(Some(Step::Done));
                }
                *self.state = State::default();
                let waker = Rc::new(cx.waker(io.task));
                let (buffer, due) = (Vec::new(), Due::Now);
                let stream = Stream { producer, buffer, due, waker, beat: None };
                self.phase = Phase::Stream(stream);
            }
            _ => return Err(broken("a reply that takes no time")),
        }
        Ok(None)
    }

    /// One step of the present phase; `None`: the phase is another now.
    fn step(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Option<Step>, HttpError> {
        match &mut self.phase {
            Phase::Collect(collector) => {
                let Some(own) = collector else { return Err(broken("no body to collect")) };
                let done = match own.advance(io, cx) {
                    Ok(Some(until)) => return Ok(Some(Step::Wait(until))),
                    Ok(None) => match collector.take() {
                        Some(own) => own.finish(&mut self.state),
                        None => Err(broken("no body to collect")),
                    },
                    Err(error) => Err(error),
                };
                let mut request = Request::new(io.request, &mut self.state, &self.app.facts);
                let reply = match done {
                    Ok(()) => self.app.call_number(&mut request),
                    Err(error) => Reply::failed(error),
                };
                self.follow(reply, io, cx)
            }
            Phase::Begin(reply) => match reply.take() {
                Some(reply) => self.begin(reply, io, cx),
                None => Err(broken("no reply to begin")),
            },
            Phase::Job(job, dress) => {
                let mut request = Request::new(io.request, &mut self.state, &self.app.facts);
                match guarded_option(|| job.poll(&mut request)) {
                    Some(reply) => {
                        let reply = reply.dressed_in(dress);
                        self.follow(reply, io, cx)
                    }
                    None => Ok(Some(Step::Wait(job.until_done()?))),
                }
            }
            Phase::Waiting(waiter, until, dress) => {
                let over = cx.now() >= *until || cx.stopping;
                let waker = Rc::new(cx.waker(io.task));
                match guarded_option(|| waiter.poll(&waker, over)) {
                    Some(reply) => {
                        let reply = reply.dressed_in(dress);
                        self.follow(reply, io, cx)
                    }
                    None => Ok(Some(Step::Wait(io.until(*until)))),
                }
            }
            Phase::Stream(stream) => stream.advance(io, cx).map(Some),
        }
    }
}

impl Exchange for Running {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            if let Some(step) = self.step(io, cx)? {
                return Ok(step);
            }
        }
    }
}

impl Stream {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        let now = cx.now();
        let woken = io.take_woken();
        // Who waits for the clock or for others comes again after a restart; who is in the middle
        // of something goes on.
        if cx.stopping && self.producer.is_endless() && !matches!(self.due, Due::Now) {
            io.answer.finish()?;
            return Ok(Step::Done);
        }
        let is_due = match self.due {
            Due::Now => true,
            Due::Instant(at) => now >= at,
            Due::Woken => woken,
        };
        if !is_due {
            if self.beat.is_some_and(|at| now >= at) {
                if io.answer.room() > 0 {
                    io.answer.write(b":\n\n")?;
                }
                self.beat = self.next_beat(now);
            }
            return Ok(self.wait(io));
        }
        let (began, room_before) = (Instant::now(), io.answer.room());
        loop {
            let room = io.answer.room();
            if room == 0 {
                self.due = Due::Now;
                return Ok(Step::Wait(io.answer.until_room()));
            }
            match self.produce(io, cx)? {
                // Room alone bounds no stream that writes nothing, and none that takes its time.
                Next::More if began.elapsed() < TURN => {}
                // Nor does one that has written nothing all the time need all of the next turn: its
                // client may be gone, which only writing would show.
                Next::More if io.answer.room() == room_before => {
                    self.due = Due::Instant(cx.now() + PAUSE);
                    return Ok(self.wait(io));
                }
                Next::More => {
                    self.due = Due::Now;
                    return Ok(Step::Again);
                }
                Next::After(span) => {
                    self.due = Due::Instant(now + span.min(FOREVER));
                    self.beat = self.next_beat(now);
                    return Ok(self.wait(io));
                }
                Next::Wait => {
                    self.due = Due::Woken;
                    self.beat = self.next_beat(now);
                    return Ok(self.wait(io));
                }
                Next::End => {
                    io.answer.finish()?;
                    return Ok(Step::Done);
                }
            }
        }
    }

    fn next_beat(&self, now: Instant) -> Option<Instant> {
        self.producer.heartbeat().map(|span| now + span)
    }

    /// Waits for its instant or its wake, or for the next sign of life if that is sooner.
    fn wait(&self, io: &mut ExchangeIo<'_>) -> Step {
        let until = match self.due {
            Due::Instant(at) => io.until(at),
            Due::Now | Due::Woken => self.waker.until(),
        };
        Step::Wait(until.or(self.beat.map(|beat| io.until(beat))))
    }

    /// Calls the producer once, and passes on what it writes.
    fn produce(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Next, HttpError> {
        let mut out = Out { buffer: &mut self.buffer, waker: &self.waker };
        let producer = &mut self.producer;
        let next = catch_unwind(AssertUnwindSafe(|| producer.produce(&mut out)));
        let next = next.unwrap_or_else(|_| {
            Err(Error::of_status(Status::INTERNAL_SERVER_ERROR, "a stream panicked"))
        });
        // What it wrote before it failed is sent: the cut comes after it.
        io.answer.write(&self.buffer)?;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEEP {
            self.buffer = Vec::new();
        }
        next.map_err(|error| {
            cx.complain(Level::Debug, format!("a stream failed: {error}"));
            error.into_http()
        })
    }
}

fn broken(how: &'static str) -> HttpError {
    HttpError::fatal(Status::INTERNAL_SERVER_ERROR, how)
}

/// Longer than any process lives, and short enough to be added to any instant.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a stream may go on before others have their turn. One call may take longer.
const TURN: Duration = Duration::from_millis(2);

/// How long a stream waits that has written nothing in its turn.
const PAUSE: Duration = Duration::from_millis(10);

/// Memory that a stream keeps between two calls: there may be thousands of them.
const BUFFER_KEEP: usize = 1024;
