//! HTTP/1 on a link: one request after the other.
//!
//! Two small state machines, one for what is read and one for what is written, and the transaction in
//! progress. Every transition goes through [`Http1::enter`].

mod ending;
mod heads;
mod stream;

use super::link::Link;
use super::{CloseReason, Progress, Timeout};
use crate::event::CHUNK;
use crate::serve::{BodyIn, BodyState};
use crate::server::drive::DriveContext;
use crate::server::transaction::{Advanced, End, Transaction};
#[cfg(test)]
pub(super) use ending::DISCARD_RATE;
use ending::Linger;
use std::time::Instant;
use stream::Sending;

/// HTTP/1 on one link.
#[derive(Debug)]
pub(super) struct Http1 {
    reading: Reading,
    writing: Writing,
    /// The transaction in progress: there is one exactly while `writing` is `Response`.
    current: Option<Box<Transaction>>,
    /// Requests answered, or being answered.
    answered: u32,
    /// How the response of `current` is framed.
    sending: Sending,
}

/// What is read from the client.
#[derive(Debug)]
enum Reading {
    /// Heads of requests. So many bytes of an incomplete one were searched already.
    Head { scanned: u32 },
    /// The body of the request in progress, as its exchange asks for it.
    Body,
    /// The rest of a body whose request is answered: dropped, so that the connection can go on.
    Discard(Box<BodyState>),
    /// Nothing more. `linger`: the client may still be sending.
    Ended { linger: bool },
    /// What the client still sends is dropped.
    Dropping(Box<Linger>),
}

/// What is written to the client.
#[derive(Debug)]
enum Writing {
    /// Nothing: no request is in progress.
    Idle,
    /// The answer to the request in progress.
    Response,
    /// The last answer is queued; once it is sent, the connection ends.
    Closing,
    /// All is sent and the client was told; what it still sends is dropped, for closing now would
    /// reset the connection and take the answer with it.
    Lingering,
}

impl Reading {
    /// The next head, of which nothing was searched.
    const NEXT: Self = Self::Head { scanned: 0 };
}

impl Default for Http1 {
    fn default() -> Self {
        Self {
            reading: Reading::NEXT,
            writing: Writing::Idle,
            current: None,
            answered: 0,
            sending: Sending::default(),
        }
    }
}

impl Http1 {
    /// The one way from a state to another. A pair of states that has no meaning ends the connection.
    fn enter(&mut self, reading: Reading, writing: Writing) -> Result<Progress, CloseReason> {
        let fits = match (&reading, &writing) {
            (Reading::Head { .. } | Reading::Discard(_), Writing::Idle) => self.current.is_none(),
            (_, Writing::Response) => self.current.is_some(),
            (Reading::Ended { .. }, Writing::Closing)
            | (Reading::Dropping(_), Writing::Lingering) => self.current.is_none(),
            _ => false,
        };
        if !fits {
            let states = format!("{reading:?} and {writing:?} after {:?}", self.writing);
            return Err(CloseReason::Impossible(states));
        }
        (self.reading, self.writing) = (reading, writing);
        Ok(Progress::Moved)
    }

    /// Does what can be done without reading from or writing to the socket.
    pub(super) fn step(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        match (&mut self.writing, &mut self.reading) {
            (Writing::Idle, Reading::Head { .. }) => self.read_heads(link, cx),
            (Writing::Idle, Reading::Discard(_)) => self.discard(link),
            (Writing::Response, _) => self.advance(link, cx),
            (Writing::Closing, _) => self.finish_closing(link, cx.cx.now()),
            (Writing::Lingering, _) => self.linger(link, cx.cx),
            (Writing::Idle, Reading::Body | Reading::Ended { .. } | Reading::Dropping(_)) => {
                Err(CloseReason::Impossible(format!("{:?} with nothing to answer", self.reading)))
            }
        }
    }

    /// Advances the transaction in progress, or finishes it once its answer is sent.
    fn advance(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        let Some(current) = &mut self.current else {
            return Err(CloseReason::Impossible("a response to no request".into()));
        };
        if current.is_answered() {
            return self.finish_response(link, cx);
        }
        let before = (current.body().received(), link.recv.unread().len(), link.pending());
        match current.advance(&mut stream::lend(link, self.answered, &mut self.sending, cx), cx) {
            Advanced::Yields => {
                // What a client that is gone has sent before is still of use.
                let hung_up = link.ready.is_gone() && current.body().is_finished();
                if hung_up { Err(CloseReason::Reset) } else { Ok(Progress::Yield) }
            }
            Advanced::Waits => {
                let wants_body = current.wants_body();
                let cut_short =
                    wants_body && link.peer_ended && link.recv.is_empty() && !link.owes_bytes();
                // As above; but now it is not read.
                let reading = wants_body && link.ready.is_readable();
                if cut_short || link.ready.is_gone() && !reading {
                    return Err(CloseReason::Reset);
                }
                let after = (current.body().received(), link.recv.unread().len(), link.pending());
                Ok(if before == after { Progress::Still } else { Progress::Moved })
            }
            Advanced::Answered => self.follow_answer(link, cx),
        }
    }

    /// The answer of the transaction in progress is queued: decides what is read after it.
    fn follow_answer(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        let Some(current) = &mut self.current else {
            return Err(CloseReason::Impossible("an answer to no request".into()));
        };
        if current.is_cut() {
            // What is queued still leaves: answers to earlier requests may be part of it.
            link.transport.say_no_goodbye();
            if self.sending.ends_by_closing() {
                link.transport.reset_on_close();
            }
        }
        let persistent = self.sending.is_persistent() && !current.is_cut() && !cx.stopping;
        let is_read = current.body().is_finished();
        let reading = match persistent {
            true if is_read => Reading::NEXT,
            true => Reading::Discard(Box::new(current.take_body().without_limit())),
            false => {
                let linger = !is_read || self.sending.ends_input() || link.may_have_unread();
                Reading::Ended { linger }
            }
        };
        if !current.is_whole() {
            return self.enter(reading, Writing::Response);
        }
        self.finish(End::Delivered, cx);
        self.enter_next(reading)
    }

    /// Nothing is in progress any more: what is written after it follows from what is read.
    fn enter_next(&mut self, reading: Reading) -> Result<Progress, CloseReason> {
        let writing = match reading {
            Reading::Ended { .. } => Writing::Closing,
            _ => Writing::Idle,
        };
        self.enter(reading, writing)
    }

    /// Whether a request is in progress.
    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Whether an exchange is at work.
    #[cfg(test)]
    pub(super) fn has_exchange(&self) -> bool {
        self.current.as_ref().is_some_and(|current| !current.is_answered())
    }

    /// Goes on once the answer is sent.
    fn finish_response(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        if link.owes() {
            match &mut self.reading {
                Reading::Discard(state) => {
                    let dropped = drop_body(state, link);
                    if dropped.is_err() {
                        self.enter(Reading::Ended { linger: true }, Writing::Response)?;
                    }
                }
                Reading::Ended { linger: true } => {
                    link.drop_received();
                }
                _ => {}
            }
            return Ok(Progress::Still);
        }
        self.finish(End::Delivered, cx);
        let reading = std::mem::replace(&mut self.reading, Reading::NEXT);
        self.enter_next(reading)
    }

    /// Ends the transaction in progress, if there is one.
    fn finish(&mut self, end: End<'_>, cx: &mut DriveContext<'_>) {
        if let Some(current) = self.current.take() {
            current.finish(end, cx);
        }
    }

    /// Drops what has arrived of a body whose request is answered.
    fn discard(&mut self, link: &mut Link) -> Result<Progress, CloseReason> {
        let Reading::Discard(state) = &mut self.reading else { return Ok(Progress::Still) };
        let Ok(moved) = drop_body(state, link) else {
            // Its framing is broken: where the next request begins is unknown.
            return self.enter(Reading::Ended { linger: true }, Writing::Closing);
        };
        if state.is_finished() {
            return self.enter(Reading::NEXT, Writing::Idle);
        }
        if link.peer_ended {
            return self.enter(Reading::Ended { linger: false }, Writing::Closing);
        }
        Ok(if moved { Progress::Moved } else { Progress::Still })
    }

    /// Whether more should be received now.
    pub(super) fn wants_input(&self, link: &Link) -> bool {
        if link.peer_ended || !link.recv.has_room() {
            return false;
        }
        match (&self.writing, &self.reading) {
            // A client that does not take its answers gets no further request read.
            (Writing::Idle, Reading::Head { .. }) => !link.owes(),
            (Writing::Lingering, Reading::Dropping(linger)) => !linger.is_paused(),
            (Writing::Response, Reading::Body) => {
                self.current.as_ref().is_some_and(|current| current.wants_body())
                    && link.pending() < CHUNK as u64
            }
            // A client that sends all of its body before it reads would wait for ever.
            (_, Reading::Discard(_) | Reading::Ended { linger: true }) => true,
            _ => false,
        }
    }

    /// Whether a large buffer is worth its memory: a long body is coming.
    pub(super) fn expects_much(&self) -> bool {
        matches!(self.reading, Reading::Body)
            && self.current.as_ref().is_some_and(|current| current.expects_much())
    }

    /// Whether nothing will be queued any more.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.writing, Writing::Closing)
    }

    /// Whether no request is in progress and the next one may come.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!((&self.writing, &self.reading), (Writing::Idle, Reading::Head { .. }))
    }

    /// Whether nothing was asked yet.
    pub(super) fn is_new(&self) -> bool {
        self.answered == 0 && self.is_between_requests()
    }

    /// Requests answered, or being answered.
    pub(super) fn answered(&self) -> u32 {
        self.answered
    }

    /// An armed instant has come. False if it is not what is waited for now.
    pub(super) fn timer_due(&mut self, stream: u32, at: Instant) -> bool {
        match (&mut self.reading, &mut self.current) {
            (Reading::Dropping(linger), _) => linger.resume(at),
            (_, Some(current)) => stream == self.answered && current.timer_due(at),
            _ => false,
        }
    }

    /// The request of that number was woken. False if it is not in progress any more.
    pub(super) fn wake(&mut self, stream: u32) -> bool {
        let current = self.current.as_mut().filter(|_| stream == self.answered);
        current.map(|current| current.wake()).is_some()
    }

    /// Whether the last answer was sent, and what the client still sends is dropped.
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.writing, Writing::Lingering)
    }

    /// Which timeout runs while nothing moves.
    pub(super) fn timeout(&self, link: &Link) -> Timeout {
        match (&self.writing, &self.reading) {
            (Writing::Idle, Reading::Discard(state)) => match state.left() {
                Some(left) if left <= DISCARD_MAX => Timeout::Body,
                _ => Timeout::Discard,
            },
            // Fixed at accept, whatever is sent and received.
            (Writing::Idle, _) if link.is_handshaking() => Timeout::Handshake,
            (Writing::Idle, _) if link.owes() => Timeout::Write,
            // The first request is due from accept on, however the connection stays silent.
            (Writing::Idle, _) if !link.recv.is_empty() || self.answered == 0 => Timeout::Header,
            (Writing::Idle, _) => Timeout::Idle,
            (Writing::Response, Reading::Body) => match &self.current {
                Some(current) if current.wants_body() => Timeout::Body,
                _ if link.owes() => Timeout::Write,
                _ => Timeout::None,
            },
            (Writing::Response | Writing::Closing, _) => Timeout::Write,
            (Writing::Lingering, _) => Timeout::Linger,
        }
    }
}

/// Drops all that is there of a body. `Ok(true)`: something was.
fn drop_body(state: &mut BodyState, link: &mut Link) -> Result<bool, ()> {
    let mut moved = false;
    let mut body = BodyIn::new(state, &mut link.recv);
    loop {
        let n = body.peek().map_err(|_| ())?.len();
        if n == 0 {
            return Ok(moved);
        }
        body.consume(n);
        moved = true;
    }
}

/// Of an unread request body, this much is waited for and dropped, so that the connection can go on.
/// Beyond that a new connection is cheaper.
const DISCARD_MAX: u64 = 256 * 1024;

/// Requests answered from one buffer before the queue is flushed. Benchmarks pipeline 16; more
/// would let one client hold the loop.
const PIPELINE_MAX: usize = 16;
