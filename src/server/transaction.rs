//! A transaction: one request, from its complete head to its line in the access log.
//!
//! It owns all that lives as long as the request: the request itself, the route, the exchange that
//! answers, and how much of the body and of the answer has passed. It knows neither the transport
//! nor the protocol; what those lend it is a [`Stream`]. Refused heads are transactions too, which
//! begin with their answer. There is one driver, [`Transaction::advance`], and one end,
//! [`Transaction::finish`].

use super::access_log::Entry;
use super::drive::DriveContext;
use super::routing::{ConnectionInfo, Routing, route, route_authorized, route_redirect};
use crate::conf::Level;
use crate::event::{BUFFER_SMALL, Clock, Cx, TaskId};
use crate::http::{HttpError, Status};
use crate::net::RecvBuffer;
use crate::serve::{
    Abort, Alarm, Answer, AnswerSink, AnswerState, BodyIn, BodyState, Exchange, ExchangeIo,
    InternalRedirect, Look, Plan, Request, Response, Step,
};
use crate::site::{Route, Site, Untraced, VirtualHost};
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// One request and what answers it. Taken from the free list, and given back to it by
/// [`finish`](Self::finish).
pub(super) struct Transaction {
    /// The request. The protocol fills in its head, its framing and where it came from.
    pub(super) request: Request,
    route: RouteMatch,
    state: State,
    body: BodyState,
    answer: AnswerState,
    /// When its head was complete.
    began: Instant,
    /// Why it was not answered as it might have been, for the log.
    error: Option<Cow<'static, str>>,
    /// Bytes of its body that were read, once the rest of the body belongs to the protocol.
    bytes_in: u64,
    alarm: Alarm,
    /// The instant that the timers know of.
    armed: Option<Instant>,
    /// The exchange asked for body that had not arrived.
    wants_body: bool,
    /// No exchange took part, and no file has to be read: it is over once it is queued.
    is_whole: bool,
    /// The answer broke off after its head.
    is_cut: bool,
}

enum State {
    /// Nothing has been asked yet.
    New,
    /// An exchange is at work.
    Exchange(Box<dyn Exchange>),
    /// All of the answer is queued.
    Answered,
}

/// Where a request was routed to, kept for as long as it lasts. The site is held and the rest are
/// numbers in it: one count of references a request, and a reload does not stop the services of
/// a site before its last request is over.
#[derive(Default)]
struct RouteMatch {
    site: Option<Rc<Site>>,
    host: Option<u32>,
    route: Option<u32>,
}

impl RouteMatch {
    fn of(routing: &Routing<'_>, site: &Rc<Site>) -> Self {
        Self {
            site: Some(Rc::clone(site)),
            host: routing.host.map(|host| host.number),
            route: routing.route.map(|route| route.number),
        }
    }

    fn host(&self) -> Option<&VirtualHost> {
        self.site.as_ref()?.hosts.get(self.host? as usize)
    }

    fn route(&self) -> Option<&Route> {
        self.host()?.routes.get(self.route? as usize)
    }
}

/// One stream of a connection, lent to the transaction on it: body bytes come in, a head and a body
/// go out.
pub(super) trait Stream {
    /// What frames the answer of an exchange.
    type Sink<'s>: AnswerSink
    where
        Self: 's;

    /// What an exchange that answers `request` works with, while `unread` is left of its body.
    fn lend(
        &mut self,
        request: &Request,
        unread: &BodyState,
        clock: &Clock,
    ) -> Lent<'_, Self::Sink<'_>>;

    /// Queues a complete response to `request`, of whose body `unread` is left. Returns how many
    /// bytes of body are on their way.
    fn respond(
        &mut self,
        response: Response,
        request: &Request,
        unread: &BodyState,
        clock: &Clock,
    ) -> u64;

    /// Lets a client that asked first send its body (RFC 9110 §10.1.1).
    fn send_continue(&mut self);

    /// What the client sends after this request cannot be told apart from it: it is not read.
    fn end_input(&mut self);
}

/// The parts of a stream.
pub(super) struct Lent<'a, S> {
    pub(super) task: TaskId,
    pub(super) recv: &'a mut RecvBuffer,
    pub(super) sink: S,
}

/// What came of advancing a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advanced {
    /// It waits for something that is armed.
    Waits,
    /// It has more to do, but others come first.
    Yields,
    /// All of its answer is queued, or it was cut.
    Answered,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    /// Its answer was sent.
    Delivered,
    /// Its connection ended first, with so many bytes of the answer unsent.
    Cut { why: Abort, reason: Option<&'a str>, unsent: u64 },
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            request: Request::default(),
            route: RouteMatch::default(),
            state: State::New,
            body: BodyState::default(),
            answer: AnswerState::default(),
            began: Instant::now(),
            error: None,
            bytes_in: 0,
            alarm: Alarm::default(),
            armed: None,
            wants_body: false,
            is_whole: false,
            is_cut: false,
        }
    }
}

impl Transaction {
    /// Routes the request and asks the handler of its route.
    pub(super) fn begin(
        &mut self,
        info: &ConnectionInfo<'_>,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) {
        self.began = info.now;
        self.body = self.request.body(u64::MAX);
        let site = cx.site.clone();
        let routing = route(&mut self.request, &site, info, &mut Untraced);
        self.perform(routing, &site, stream, cx);
    }

    /// Refuses a request before it is routed.
    pub(super) fn refuse(
        &mut self,
        error: HttpError,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) {
        self.began = cx.cx.now();
        self.body = self.request.body(u64::MAX);
        self.answer_error(error, stream, cx);
    }

    /// Refuses what is no request. What follows it is not looked at: where it ends is unknown.
    pub(super) fn refuse_unparsed(
        &mut self,
        error: &HttpError,
        stream: &mut impl Stream,
        cx: &DriveContext<'_>,
    ) {
        let response = cx.site.pages.answer(error, None);
        self.refuse_with(response, error.reason.clone(), stream, cx);
    }

    /// As `refuse`, with an answer that no page takes the place of.
    pub(super) fn refuse_with(
        &mut self,
        response: Response,
        reason: Cow<'static, str>,
        stream: &mut impl Stream,
        cx: &DriveContext<'_>,
    ) {
        self.began = cx.cx.now();
        self.error = Some(reason);
        stream.end_input();
        self.respond(response, stream, cx);
    }

    /// Marks what never came to be a request: it has a line in the log and no answer.
    pub(super) fn note_no_request(&mut self, status: Status, reason: String, now: Instant) {
        self.began = now;
        self.error = Some(reason.into());
        self.answer = AnswerState::complete(status, 0);
        self.state = State::Answered;
    }

    /// Lets the exchange move what it can, and acts on its step.
    pub(super) fn advance(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) -> Advanced {
        match self.step(stream, cx) {
            None => {}
            Some(Ok(Step::Again)) => return Advanced::Yields,
            Some(Ok(Step::Wait(until))) if until.is_over() => return Advanced::Yields,
            Some(Ok(Step::Wait(_))) => return Advanced::Waits,
            Some(Ok(Step::Done)) if self.answer.is_finished() => self.state = State::Answered,
            Some(Ok(Step::Done)) => self.fail(broken("it ended unfinished"), stream, cx),
            Some(Ok(_)) if self.answer.is_started() => {
                self.fail(broken("a second answer was given"), stream, cx);
            }
            Some(Ok(Step::Respond(response))) => self.respond(response, stream, cx),
            Some(Ok(Step::Redirect(to))) => return self.redirect(to, stream, cx),
            Some(Ok(Step::Admitted(user))) => return self.authorize(user, stream, cx),
            Some(Err(error)) => self.fail(error, stream, cx),
        }
        Advanced::Answered
    }

    /// Advances the exchange once; `None`: there is none.
    fn step(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) -> Option<Result<Step, HttpError>> {
        let State::Exchange(exchange) = &mut self.state else { return None };
        let Lent { task, recv, mut sink } = stream.lend(&self.request, &self.body, &cx.cx.clock);
        let body = BodyIn::new(&mut self.body, recv);
        let answer = Answer::new(&mut self.answer, &mut sink, &self.request);
        let mut io = ExchangeIo::new(task, &self.request, body, answer, &mut self.alarm);
        let step = exchange.advance(&mut io, cx.cx);
        self.wants_body = self.body.take_wanted() && !self.body.is_finished();
        if self.alarm.at() != self.armed {
            self.armed = self.alarm.at();
            if let Some(at) = self.armed {
                cx.cx.timers.arm(at, task);
            }
        }
        drop(sink);
        if self.wants_body && self.request.expects_continue && !self.answer.is_started() {
            self.request.expects_continue = false;
            if self.body.received() == 0 {
                stream.send_continue();
            }
        }
        Some(step)
    }

    /// Another path has the answer. The body was not meant for it.
    fn redirect(
        &mut self,
        to: InternalRedirect,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) -> Advanced {
        let Some(site) = self.route.site.clone() else { return Advanced::Answered };
        let routing = route_redirect(&mut self.request, &site, to, cx.cx.now());
        self.perform(routing, &site, stream, cx);
        self.advanced()
    }

    /// The handler of the route answers, with all of the body: `user` may ask it.
    fn authorize(
        &mut self,
        user: Rc<str>,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) -> Advanced {
        let Some(site) = self.route.site.clone() else { return Advanced::Answered };
        let routing = route_authorized(&mut self.request, &site, user);
        self.perform(routing, &site, stream, cx);
        self.advanced()
    }

    fn advanced(&self) -> Advanced {
        if self.is_answered() { Advanced::Answered } else { Advanced::Yields }
    }

    /// Plans the answer and performs the plan, by way of the handlers that the request is redirected
    /// to.
    fn perform(
        &mut self,
        routing: Routing<'_>,
        site: &Rc<Site>,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) {
        self.route = RouteMatch::of(&routing, site);
        let mut plan = routing.plan(&self.request, &mut Look::new(cx.cx));
        loop {
            plan = match plan {
                Ok(Plan::Respond(response)) => return self.respond(response, stream, cx),
                Ok(Plan::Exchange { exchange, .. }) => return self.start(exchange),
                Ok(Plan::Call { call, .. }) => call(&self.request, cx.cx),
                Ok(Plan::Redirect(to)) => {
                    let routing = route_redirect(&mut self.request, site, to, cx.cx.now());
                    self.route = RouteMatch::of(&routing, site);
                    routing.plan(&self.request, &mut Look::new(cx.cx))
                }
                Err(error) => return self.answer_error(error, stream, cx),
            };
        }
    }

    fn start(&mut self, exchange: Box<dyn Exchange>) {
        if matches!(self.state, State::New) {
            // Without a route the body is not read: what is dropped of it has a bound of its own.
            let limit = self.route.route().map_or(u64::MAX, |route| route.body_limit);
            self.body = self.request.body(limit);
        }
        self.state = State::Exchange(exchange);
        self.answer = AnswerState::new(&self.request);
        (self.alarm, self.armed, self.wants_body) = (Alarm::default(), None, false);
    }

    /// Queues a complete answer.
    fn respond(&mut self, response: Response, stream: &mut impl Stream, cx: &DriveContext<'_>) {
        let (status, is_in_memory) = (response.status, response.body.is_in_memory());
        let bytes = stream.respond(response, &self.request, &self.body, &cx.cx.clock);
        self.is_whole = matches!(self.state, State::New) && (is_in_memory || bytes == 0);
        self.answer = AnswerState::complete(status, bytes);
        self.state = State::Answered;
    }

    /// Answers with the page of an error.
    fn answer_error(
        &mut self,
        error: HttpError,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) {
        self.log_error(&error, cx.cx);
        if error.close {
            // The client may be sending a body whose framing was not understood.
            stream.end_input();
        }
        let pages = self.route.host().map_or(&cx.site.pages, |host| &host.pages);
        let response = pages.answer(&error, Some(&self.request));
        self.error = Some(error.reason);
        self.respond(response, stream, cx);
    }

    /// The exchange failed: the page of the error if nothing was answered yet, otherwise a cut that
    /// the client sees.
    fn fail(&mut self, error: HttpError, stream: &mut impl Stream, cx: &mut DriveContext<'_>) {
        self.fail_because(Abort::Failed, error, stream, cx);
    }

    /// As `fail`, for another reason than the exchange's own.
    pub(super) fn fail_because(
        &mut self,
        why: Abort,
        error: HttpError,
        stream: &mut impl Stream,
        cx: &mut DriveContext<'_>,
    ) {
        self.abort(why, cx.cx);
        if !self.answer.is_started() {
            return self.answer_error(error, stream, cx);
        }
        self.log_error(&error, cx.cx);
        self.error = Some(error.reason);
        self.is_cut = true;
    }

    /// Tells the exchange, if there is one, that it ends early. Once.
    fn abort(&mut self, why: Abort, cx: &mut Cx) {
        if let State::Exchange(mut exchange) = std::mem::replace(&mut self.state, State::Answered) {
            exchange.abort(why, cx);
        }
    }

    /// Failures of the server's own side are reported to its operator.
    fn log_error(&self, error: &HttpError, cx: &mut Cx) {
        if error.status.class() == 5 && error.status != Status::NOT_IMPLEMENTED {
            let path = String::from_utf8_lossy(self.request.path()).into_owned();
            cx.complain(Level::Error, format!("{}: {}", path.escape_debug(), error.reason));
        }
    }

    /// The end: one line in the access log, and the memory goes back. An exchange that is still at
    /// work is aborted.
    pub(super) fn finish(mut self: Box<Self>, end: End<'_>, cx: &mut DriveContext<'_>) {
        let (why, reason, unsent) = match end {
            End::Delivered => (None, self.error.as_deref(), 0),
            End::Cut { why, reason, unsent } => (Some(why), reason, unsent),
        };
        let entry = Entry {
            request: &self.request,
            status: self.answer.status().unwrap_or(match why {
                Some(Abort::Timeout) => Status::REQUEST_TIMEOUT,
                _ => Status::CLIENT_CLOSED_REQUEST,
            }),
            bytes_in: self.bytes_in + self.body.received(),
            bytes_out: self.answer.sent().saturating_sub(unsent),
            began: self.began,
            host: self.route.host().map(|host| &*host.name),
            route: self.route.route().map(|route| &*route.path),
            kind: self.route.route().map_or("-", |route| route.kind),
            error: reason,
        };
        cx.log.record(&entry, &cx.cx.clock);
        // After the line is written: it must not be lost, whatever a program's code does here.
        self.abort(why.unwrap_or(Abort::Gone), cx.cx);
        self.reset();
        cx.free.give_transaction(self);
    }

    /// Forgets the request and keeps the memory.
    fn reset(&mut self) {
        self.request.clear();
        self.route = RouteMatch::default();
        self.state = State::New;
        self.body = BodyState::default();
        self.answer = AnswerState::default();
        self.error = None;
        self.bytes_in = 0;
        (self.alarm, self.armed, self.wants_body) = (Alarm::default(), None, false);
        (self.is_whole, self.is_cut) = (false, false);
    }

    /// An armed instant has come. False if it is not what the exchange waits for now.
    pub(super) fn timer_due(&mut self, at: Instant) -> bool {
        let due = matches!(self.state, State::Exchange(_)) && self.alarm.ring(at);
        if due {
            self.armed = None;
        }
        due
    }

    /// All of the body has come.
    pub(super) fn end_body(&mut self) {
        self.body.end();
    }

    /// It came to nothing, and has no line in the log.
    pub(super) fn discard(mut self: Box<Self>, cx: &mut DriveContext<'_>) {
        self.reset();
        cx.free.give_transaction(self);
    }

    /// Somebody has woken its exchange.
    pub(super) fn wake(&mut self) {
        self.alarm.wake();
    }

    /// Whether nothing is left to be made of its answer.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered)
    }

    /// Whether it may be finished as soon as its answer is queued.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether its answer broke off after the head: the client has to see that.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How far the body has been read.
    pub(super) fn body(&self) -> &BodyState {
        &self.body
    }

    /// Parts with the rest of the body, once it is answered.
    pub(super) fn take_body(&mut self) -> BodyState {
        self.bytes_in = self.body.received();
        std::mem::take(&mut self.body)
    }

    /// Whether the rest of the body should be received.
    pub(super) fn wants_body(&self) -> bool {
        self.wants_body
    }

    /// Whether more of the body is to come than a small buffer holds.
    pub(super) fn expects_much(&self) -> bool {
        self.body.left().is_none_or(|left| left > BUFFER_SMALL as u64)
    }

    /// Whether the body has not come to its end, and the answer has not begun.
    pub(super) fn waits_for_body(&self) -> bool {
        !self.is_answered() && !self.answer.is_started() && !self.body.is_finished()
    }
}

fn broken(how: &'static str) -> HttpError {
    HttpError::fatal(Status::INTERNAL_SERVER_ERROR, format!("the exchange is broken: {how}"))
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { body, answer, .. } = self;
        f.debug_struct("Transaction").field("body", body).field("answer", answer).finish()
    }
}
