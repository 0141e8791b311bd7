//! What a handler says of a request that it is not asked to answer: for `httpyserver explain`.

use super::{Outcome, Response};
use crate::http::HttpError;

/// One step on the way of a request: `file`, `/setup.html`, `found`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about, in a word.
    pub about: &'static str,
    /// What was looked at.
    pub what: String,
    /// What came of it, or why; may be empty.
    pub why: String,
}

impl Note {
    /// A step.
    pub fn new(about: &'static str, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { about, what: what.into(), why: why.into() }
    }
}

/// What a handler would do with a request.
#[derive(Debug)]
pub enum Foretold {
    /// Answer with this.
    Response(Response),
    /// What this makes of it, which is not known before it is done: a script, an application, an
    /// upload.
    UpTo(String),
}

impl Foretold {
    /// Of a handler whose answers are complete and have no effect on anything.
    ///
    /// # Errors
    /// Those of the handler.
    pub fn of(outcome: Result<Outcome, HttpError>) -> Result<Self, HttpError> {
        outcome.map(|outcome| match outcome {
            Outcome::Respond(response) => Self::Response(response),
            Outcome::Start(_) => Self::UpTo("an answer that takes time".into()),
            Outcome::Reroute(to) => {
                Self::UpTo(format!("what answers {}", String::from_utf8_lossy(&to.path)))
            }
        })
    }
}
