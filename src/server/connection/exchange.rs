//! An exchange at work: what it is lent each time, and what its steps mean for the connection.

use super::ask::{Served, serve_admitted, serve_again};
use super::closed::Closed;
use super::drain::will_come;
use super::sending::Origin;
use super::{ClientConnection, Phase, Progress, Turn};
use crate::conf::Level;
use crate::event::{BUFFER_SMALL, ConnId, Door, Ready};
use crate::http::{HttpError, Status};
use crate::net::{RecvBuffer, SendQueue};
use crate::serve::{
    Abort, Answer, AnswerState, BodyIn, BodyState, ErrorPages, Exchange, ExchangeIo, Request,
    Reroute, Step,
};
use crate::server::access_log::Entry;
use crate::server::choose::Routed;
use crate::site::Site;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// Who goes on with a request.
enum Onward {
    /// Another path.
    Elsewhere(Reroute),
    /// The handler of its route: this user may ask it.
    Admitted(Rc<str>),
}

/// A request with its exchange. All that must die with the request lives here.
pub(super) struct Serving {
    exchange: Box<dyn Exchange>,
    origin: Origin,
    body: BodyState,
    answer: AnswerState,
    timer: Option<Instant>,
    /// The instant that the timers know of.
    armed: Option<Instant>,
    /// It asked for body that had not arrived.
    wants_body: bool,
    pages: Rc<ErrorPages>,
    /// The site it was routed by: a reload does not stop its handler before it is done.
    site: Rc<Site>,
}

impl Serving {
    pub(super) fn new(
        exchange: Box<dyn Exchange>,
        request: Box<Request>,
        site: Rc<Site>,
        routed: Routed<'_>,
        turn: &Turn<'_>,
    ) -> Self {
        // Without a route nobody reads the body: what is dropped of it has a bound of its own.
        let limit = routed.route.map_or(u64::MAX, |route| route.body_limit);
        Self {
            exchange,
            body: BodyState::new(request.framing.body, limit),
            pages: routed.host.map(|host| host.pages.clone()).unwrap_or_default(),
            answer: AnswerState::new(&request),
            origin: Origin::new(request, routed, turn.cx.now()),
            timer: None,
            armed: None,
            wants_body: false,
            site,
        }
    }

    /// Whether the rest of the body should be received.
    pub(super) fn wants_body(&self) -> bool {
        self.wants_body
    }

    /// Whether more of the body is to come than a small buffer holds.
    pub(super) fn expects_much(&self) -> bool {
        self.body.left().is_none_or(|left| left > BUFFER_SMALL as u64)
    }

    /// An armed instant has come: is it the one that is waited for?
    pub(super) fn timer_due(&mut self, at: Instant) -> bool {
        let due = self.timer == Some(at);
        if due {
            (self.timer, self.armed) = (None, None);
        }
        due
    }

    /// Advances the exchange once.
    fn advance(
        &mut self,
        id: ConnId,
        ready: &mut Ready,
        recv: &mut RecvBuffer,
        queue: &mut SendQueue,
        turn: &mut Turn<'_>,
    ) -> Result<Step, HttpError> {
        let (mut wake_expected, cx) = (false, &mut *turn.cx);
        let standing = cx.clock.standing_lines();
        let mut more = self.origin.request.answer_lines().peekable();
        let with_more = more.peek().is_some().then(|| {
            let lines: Vec<_> = [&**standing].into_iter().chain(more).collect();
            Rc::from(lines.concat())
        });
        let standing = with_more.as_ref().unwrap_or(standing);
        let framing = &self.origin.request.framing;
        // It may yet read all of a body, however long; what it leaves is dropped.
        self.answer.last = turn.stopping || !will_come(framing, &self.body, recv.unread().len());
        let mut io = ExchangeIo {
            id,
            request: &self.origin.request,
            ready,
            body: BodyIn::new(&mut self.body, recv),
            answer: Answer::new(&mut self.answer, queue, standing),
            timer: &mut self.timer,
            wake_expected: &mut wake_expected,
        };
        let step = self.exchange.advance(&mut io, cx);
        self.wants_body = self.body.take_wanted() && !self.body.is_finished();
        self.continue_client(recv, queue);
        if self.timer != self.armed {
            self.armed = self.timer;
            if let Some(at) = self.timer {
                cx.timers.arm(at, id);
            }
        }
        debug_assert!(
            !matches!(step, Ok(Step::Wait))
                || self.wants_body
                || self.timer.is_some()
                || wake_expected
                || !queue.is_empty()
                || ready.waits_upstream(),
            "an exchange waits for nothing"
        );
        step
    }

    /// Lets a client that asked first send its body, once somebody wants it (RFC 9110 §10.1.1).
    fn continue_client(&mut self, recv: &RecvBuffer, queue: &mut SendQueue) {
        let framing = &mut self.origin.request.framing;
        if self.wants_body && framing.expects_continue && !self.answer.is_started() {
            framing.expects_continue = false;
            if recv.is_empty() && self.body.received() == 0 {
                queue.copy(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
    }
}

impl ClientConnection {
    /// Lets the exchange move what it can, and acts on its step.
    pub(super) fn advance_exchange(&mut self, turn: &mut Turn<'_>) -> Result<Progress, Closed> {
        let Phase::Serving(mut serving) = std::mem::replace(&mut self.phase, Phase::Head) else {
            return Ok(Progress::Still);
        };
        let queue = self.send.get_or_insert_with(|| turn.spares.queue());
        let before = (serving.body.received(), self.recv.unread().len(), queue.pending());
        let step = serving.advance(self.id, &mut self.ready, &mut self.recv, queue, turn);
        let after = (serving.body.received(), self.recv.unread().len(), queue.pending());
        match step {
            Ok(Step::Again) => {
                // What a client that is gone has sent before is still of use.
                let hung_up = self.ready.gone() && serving.body.is_finished();
                self.phase = Phase::Serving(serving);
                if hung_up { Err(Closed::Reset) } else { Ok(Progress::Yield) }
            }
            Ok(Step::Wait) => {
                let cut_short = serving.wants_body
                    && self.peer_ended
                    && self.recv.is_empty()
                    && self.pending() == 0
                    && !self.transport.wants_write();
                // What a client that is gone has sent before is still of use, but nobody reads it now.
                let reading = serving.wants_body && self.ready.readable(Door::Client);
                let hung_up = self.ready.gone() && !reading;
                self.phase = Phase::Serving(serving);
                if cut_short || hung_up {
                    return Err(Closed::Reset);
                }
                Ok(if before == after { Progress::Still } else { Progress::Moved })
            }
            Ok(Step::Done) => self.finish_exchange(*serving, turn),
            Ok(Step::Respond(response)) if !serving.answer.is_started() => {
                self.respond_late(response, serving.origin, serving.body, None, turn);
                Ok(Progress::Moved)
            }
            Ok(Step::Reroute(to)) if !serving.answer.is_started() => {
                self.pass_on(*serving, Onward::Elsewhere(to), turn);
                Ok(Progress::Moved)
            }
            Ok(Step::Admitted(user)) if !serving.answer.is_started() => {
                self.pass_on(*serving, Onward::Admitted(user), turn);
                Ok(Progress::Moved)
            }
            Ok(Step::Respond(_) | Step::Reroute(_) | Step::Admitted(_)) => {
                self.fail_exchange(serving, broken("a second answer was given"), turn)
            }
            Err(error) => self.fail_exchange(serving, error, turn),
        }
    }

    /// Somebody else has the answer, and what is left of the body: another path, which it was not
    /// meant for, or the handler behind the guard, which it was.
    fn pass_on(&mut self, serving: Serving, onward: Onward, turn: &mut Turn<'_>) {
        let Serving { mut origin, body, site, .. } = serving;
        let mut routed = Routed::default();
        let request = &mut origin.request;
        let served = match onward {
            Onward::Elsewhere(to) => serve_again(request, &site, &mut routed, to, turn),
            Onward::Admitted(user) => serve_admitted(request, &site, &mut routed, user, turn),
        };
        let (request, began) = (origin.request, origin.began);
        match served {
            Ok(Served::Exchange(exchange)) => {
                let mut next = Serving::new(exchange, request, site.clone(), routed, turn);
                (next.body, next.origin.began) = (body, began);
                self.ready.open_upstream_doors();
                self.phase = Phase::Serving(Box::new(next));
            }
            Ok(Served::Response(response)) => {
                let origin = Origin::new(request, routed, began);
                self.respond_late(response, origin, body, None, turn);
            }
            Err(error) => {
                let pages = routed.host.map(|host| host.pages.clone()).unwrap_or_default();
                let origin = Origin::new(request, routed, began);
                self.respond_error(error, origin, body, &pages, turn);
            }
        }
    }

    /// Its answer is complete, and on its way.
    fn finish_exchange(
        &mut self,
        serving: Serving,
        turn: &mut Turn<'_>,
    ) -> Result<Progress, Closed> {
        let Some(status) = serving.answer.status().filter(|_| serving.answer.is_finished()) else {
            return self.fail_exchange(Box::new(serving), broken("it ended unfinished"), turn);
        };
        let Serving { origin, body, answer, .. } = serving;
        let bytes_in = body.received();
        self.settle_next(answer.is_persistent() && !turn.stopping, body);
        self.follow(origin, status, bytes_in, answer.sent(), None);
        Ok(Progress::Moved)
    }

    /// It failed: the error's page if nothing was answered yet, otherwise a cut that the client sees.
    fn fail_exchange(
        &mut self,
        mut serving: Box<Serving>,
        error: HttpError,
        turn: &mut Turn<'_>,
    ) -> Result<Progress, Closed> {
        serving.exchange.abort(Abort::Failed, turn.cx);
        let Serving { origin, body, answer, pages, .. } = *serving;
        if let Some(status) = answer.status() {
            report(&error, &origin, turn);
            // What is queued still leaves: answers to earlier requests may be part of it.
            self.transport.say_no_goodbye();
            if answer.ends_by_closing() {
                self.transport.reset_on_close();
            }
            let bytes_in = body.received();
            self.settle_next(false, body);
            self.follow(origin, status, bytes_in, answer.sent(), Some(error.reason.into_owned()));
            return Ok(Progress::Moved);
        }
        self.respond_error(error, origin, body, &pages, turn);
        Ok(Progress::Moved)
    }

    /// Answers with the error's page, after an exchange.
    fn respond_error(
        &mut self,
        error: HttpError,
        mut origin: Origin,
        body: BodyState,
        pages: &ErrorPages,
        turn: &mut Turn<'_>,
    ) {
        report(&error, &origin, turn);
        if error.close {
            origin.request.framing.persistent = false;
        }
        let response = pages.answer(&error, Some(&origin.request));
        self.respond_late(response, origin, body, Some(error.reason.into_owned()), turn);
    }

    /// Whether an exchange has not got all of its body, and has not begun to answer.
    pub(super) fn waits_for_body(&self) -> bool {
        let Phase::Serving(serving) = &self.phase else { return false };
        serving.answer.status().is_none() && !serving.body.is_finished()
    }

    /// Answers a request whose body does not come to its end.
    pub(super) fn refuse_half_body(&mut self, reason: &str, turn: &mut Turn<'_>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closing { linger: false });
        let Phase::Serving(mut serving) = phase else {
            self.phase = phase;
            return;
        };
        serving.exchange.abort(Abort::Timeout, turn.cx);
        let Serving { origin, body, pages, .. } = *serving;
        let error = HttpError::fatal(Status::REQUEST_TIMEOUT, reason.to_owned());
        self.respond_error(error, origin, body, &pages, turn);
    }

    /// The connection ends before its exchange does.
    pub(super) fn abandon_exchange(
        &self,
        mut serving: Serving,
        why: Abort,
        reason: Option<&str>,
        unsent: u64,
        turn: &mut Turn<'_>,
    ) {
        serving.exchange.abort(why, turn.cx);
        let status = serving.answer.status().unwrap_or(match why {
            Abort::Timeout => Status::REQUEST_TIMEOUT,
            _ => Status::CLIENT_CLOSED_REQUEST,
        });
        let origin = &serving.origin;
        let entry = Entry {
            request: &origin.request,
            status,
            bytes_in: serving.body.received(),
            bytes_out: serving.answer.sent().saturating_sub(unsent),
            began: origin.began,
            host: origin.host.as_deref(),
            route: origin.route.as_deref(),
            kind: origin.kind,
            error: reason,
        };
        turn.log.record(&entry, &turn.cx.clock);
    }
}

/// Errors of ours are told to whoever runs the server.
fn report(error: &HttpError, origin: &Origin, turn: &mut Turn<'_>) {
    if error.status.class() == 5 {
        let path = String::from_utf8_lossy(origin.request.path()).into_owned();
        turn.cx.complain(Level::Error, format!("{}: {}", path.escape_debug(), error.reason));
    }
}

fn broken(how: &'static str) -> HttpError {
    HttpError::fatal(Status::INTERNAL_SERVER_ERROR, format!("the exchange is broken: {how}"))
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("body", &self.body).field("answer", &self.answer).finish()
    }
}
