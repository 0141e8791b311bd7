//! A request that is answered with an error.

use super::{Headers, Status};
use std::borrow::Cow;
use std::fmt;

/// Why a request gets a 4xx or 5xx. Made by parsers and handlers, turned into a page in one place
/// (`serve::error_page`).
#[derive(Debug)]
pub struct HttpError {
    /// What the client is told.
    pub status: Status,
    /// For the log and for `-v`; never sent to the client, so it may name paths.
    pub reason: Cow<'static, str>,
    /// Framing is in doubt: nothing more of this connection is read as a request.
    pub close: bool,
    /// What its page says in place of what it says of the status: a text of this program, without
    /// quotes.
    pub advice: Option<&'static str>,
    /// Headers the status asks for: `Allow` with 405, `Content-Range` with 416, `Retry-After`.
    pub headers: Option<Box<Headers>>,
}

impl HttpError {
    /// An error after which the connection can go on.
    pub fn new(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), close: false, advice: None, headers: None }
    }

    /// An error after which nothing more is read (SECURITY: refuse and close).
    pub fn fatal(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { close: true, ..Self::new(status, reason) }
    }

    /// `400 Bad Request`, and close.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::fatal(Status::BAD_REQUEST, reason)
    }

    /// Has the page say what can be done in this case of its status.
    #[must_use]
    pub fn with_advice(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.get_or_insert_default().push(name, value.as_bytes());
        self
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.code(), self.status.reason(), self.reason)
    }
}

impl std::error::Error for HttpError {}
