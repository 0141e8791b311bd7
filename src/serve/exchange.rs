//! An answer that takes time.

use super::{Answer, BodyIn, InternalRedirect, Request, Response};
use crate::event::{Cx, TaskId, Until};
use crate::http::HttpError;
use std::rc::Rc;
use std::time::Instant;

/// An answer in progress: an upload, a script, a stream. Owns its sources, which close when it is
/// dropped.
pub trait Exchange {
    /// Moves what can be moved: body in, answer out. Called when it begins, and whenever something
    /// that it waits for may have come: an event of a source, its instant, a wake, body bytes, room in
    /// the send queue. It may be called too early or for nothing.
    ///
    /// # Errors
    /// Before the answer's head: the error's page. After it, the answer is cut off and the
    /// connection closes, so that the client sees that something is missing.
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError>;

    /// It ends before it was done. Kill children, return workers, remove what is half-written.
    fn abort(&mut self, _why: Abort, _cx: &mut Cx) {}
}

/// What an exchange wants after `advance`.
#[derive(Debug)]
pub enum Step {
    /// To be called again soon; others first.
    Again,
    /// To be called when what it waits for has come.
    Wait(Until),
    /// The answer it wrote is complete.
    Done,
    /// It has written nothing, and this is the answer.
    Respond(Response),
    /// It has written nothing; another path of the same host has the answer. Together with those
    /// of handlers at most five a request.
    Redirect(InternalRedirect),
    /// It has written nothing and read nothing: the guard of the route has let the request in as
    /// that of this user, and the handler of the route is to be asked now. Method, path and body are
    /// as they were.
    Admitted(Rc<str>),
}

/// Why an exchange ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// The client closed or reset its connection.
    Gone,
    /// A deadline of the connection passed.
    Timeout,
    /// The server stops.
    Shutdown,
    /// The exchange itself failed.
    Failed,
}

/// What an exchange may use while it is advanced.
pub struct ExchangeIo<'a> {
    /// Its name, for what it is to be woken by and for its sources.
    pub task: TaskId,
    /// The request it answers.
    pub request: &'a Request,
    /// The request body.
    pub body: BodyIn<'a>,
    /// The answer.
    pub answer: Answer<'a>,
    alarm: &'a mut Alarm,
}

/// What makes an exchange be advanced beside its sources, its body and its client.
#[derive(Debug, Default)]
pub struct Alarm {
    /// When it is advanced at the latest.
    at: Option<Instant>,
    /// It was woken since it last asked.
    woken: bool,
}

impl<'a> ExchangeIo<'a> {
    /// What the exchange of `request` works with.
    pub fn new(
        task: TaskId,
        request: &'a Request,
        body: BodyIn<'a>,
        answer: Answer<'a>,
        alarm: &'a mut Alarm,
    ) -> Self {
        Self { task, request, body, answer, alarm }
    }

    /// What to wait for until an instant. One that was armed before and comes sooner stays armed: it
    /// is cheaper to be called too early than to disarm.
    pub fn until(&mut self, at: Instant) -> Until {
        self.alarm.at = Some(self.alarm.at.map_or(at, |armed| armed.min(at)));
        Until::armed()
    }

    /// Whether somebody has woken it; asking forgets it.
    pub fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.alarm.woken)
    }
}

impl Alarm {
    /// When the exchange is advanced at the latest.
    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// An instant has come. Whether it was the armed one.
    pub fn ring(&mut self, at: Instant) -> bool {
        let due = self.at == Some(at);
        if due {
            self.at = None;
        }
        due
    }

    /// Somebody has woken the exchange.
    pub fn wake(&mut self) {
        self.woken = true;
    }
}
