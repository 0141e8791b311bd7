//! What a handler plans, and what it may look at meanwhile.

use super::{Exchange, InternalRedirect, Request, Response};
use crate::conf::Level;
use crate::event::Cx;
use crate::http::HttpError;
use std::fmt;
use std::time::Instant;

/// How a handler answers. Whatever has an effect happens when the plan is performed.
pub enum Plan {
    /// With this complete answer: it is queued now.
    Respond(Response),
    /// By this exchange, which has done nothing before it is advanced: it will read the body, and
    /// answer when it can.
    Exchange {
        /// What it comes to, for `httpyserver explain`: "the script, which is not started here".
        what: &'static str,
        /// The exchange.
        exchange: Box<dyn Exchange>,
    },
    /// By a call that may have effects. It must not block, and returns the plan that is left.
    Call {
        /// What it comes to, for `httpyserver explain`.
        what: &'static str,
        /// Called once, with the request that was planned for.
        call: Call,
    },
    /// By another path of the same host, with GET: an internal redirect. At most five a request.
    Redirect(InternalRedirect),
}

/// See [`Plan::Call`].
pub type Call = Box<dyn FnOnce(&Request, &mut Cx) -> Result<Plan, HttpError>>;

impl Plan {
    /// An answer by an exchange; `what` is said of it by `httpyserver explain`.
    pub fn exchange(what: &'static str, exchange: impl Exchange + 'static) -> Self {
        Self::Exchange { what, exchange: Box::new(exchange) }
    }

    /// An answer by a call; `what` is said of it by `httpyserver explain`.
    pub fn call(
        what: &'static str,
        call: impl FnOnce(&Request, &mut Cx) -> Result<Self, HttpError> + 'static,
    ) -> Self {
        Self::Call { what, call: Box::new(call) }
    }
}

impl From<Response> for Plan {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}

/// What the answer is, or what it depends on.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(Response { status, .. }) => {
                write!(f, "{} {}", status.code(), status.reason())
            }
            Self::Exchange { what, .. } | Self::Call { what, .. } => f.write_str(what),
            Self::Redirect(to) => write!(f, "what answers {}", String::from_utf8_lossy(&to.path)),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({self})")
    }
}

/// What a handler may use while it plans: the time, the log, and a trace of its steps if somebody
/// asked for one. Nothing of it has an effect on the server.
pub struct Look<'a> {
    cx: &'a mut Cx,
    trace: Option<&'a mut Vec<TraceStep>>,
    at_once: bool,
}

/// One step on the way of a request, as `httpyserver explain` shows it: `file`, `/setup.html`,
/// `found`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStep {
    /// What it is about, in a word.
    pub about: &'static str,
    /// What was looked at.
    pub what: String,
    /// What came of it, or why; may be empty.
    pub why: String,
}

impl TraceStep {
    /// A step.
    pub fn new(about: &'static str, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { about, what: what.into(), why: why.into() }
    }
}

impl<'a> Look<'a> {
    /// For a plan that is to be performed.
    pub(crate) fn new(cx: &'a mut Cx) -> Self {
        Self { cx, trace: None, at_once: false }
    }

    /// For a plan that is to be shown, with the steps that led to it.
    pub(crate) fn traced(cx: &'a mut Cx, trace: &'a mut Vec<TraceStep>) -> Self {
        Self { cx, trace: Some(trace), at_once: true }
    }

    /// Whether the complete answer is wanted now: see [`is_at_once`](Self::is_at_once).
    pub(crate) fn with_answer_at_once(self, at_once: bool) -> Self {
        Self { at_once, ..self }
    }

    /// The time of this turn of the loop.
    pub fn now(&self) -> Instant {
        self.cx.now()
    }

    /// The same in seconds since 1970.
    pub fn unix(&self) -> u64 {
        self.cx.clock.unix()
    }

    /// Writes to the error log. Of many lines in a second some are only counted.
    pub fn log(&mut self, level: Level, text: impl Into<String>) {
        self.cx.complain(level, text);
    }

    /// Whether the steps are of interest: otherwise none need be made.
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Adds a step to the trace. `step` is called if there is one.
    pub fn note(&mut self, step: impl FnOnce() -> TraceStep) {
        if let Some(trace) = &mut self.trace {
            trace.push(step());
        }
    }

    /// Whether the complete answer is wanted now, however long reading it takes (a file to
    /// compress, a folder to list), instead of an exchange that comes to the same.
    pub fn is_at_once(&self) -> bool {
        self.at_once
    }
}
