//! A handler that failed.

use crate::http::{Headers, HttpError, Status};
use http::StatusCode;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;

/// What a handler returns.
///
/// ```
/// use httpyserver::{App, Reply, Request, Result};
///
/// fn half(request: &mut Request<'_>) -> Result<String> {
///     let number: i32 = request.args().require("n")?.parse()?;
///     Ok(format!("{}", number / 2))
/// }
/// let client = App::new().get("/half", half).test();
/// assert_eq!(client.get("/half?n=42").send().text(), "21");
/// assert_eq!(client.get("/half").send().status(), 400); // require
/// assert_eq!(client.get("/half?n=x").send().status(), 500); // parse: any other error
/// ```
pub type Result<T = super::Reply, E = Error> = std::result::Result<T, E>;

/// Why a handler has no answer: a status for the client, a reason for the log. Any error of another
/// kind becomes a 500 by `?`. What the client sees is up to the error handlers of the application,
/// and after them to the pages of the server; the reason is never shown.
///
/// ```
/// use httpyserver::{App, Error, Request, Result};
///
/// fn secret(request: &mut Request<'_>) -> Result<&'static str> {
///     if request.header("x-word") != Some("sesame") {
///         return Err(Error::new(403, "the wrong word"));
///     }
///     Ok("open")
/// }
/// let client = App::new().get("/", secret).test();
/// assert_eq!(client.get("/").send().status(), 403);
/// assert_eq!(client.get("/").header("X-Word", "sesame").send().text(), "open");
/// ```
pub struct Error {
    status: Status,
    reason: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    headers: Option<Box<Headers>>,
    close: bool,
}

/// An [`Error`] with nothing but a status: Flask's `abort`.
///
/// ```
/// use httpyserver::{abort, App, Request, Result};
///
/// let app = App::new().get("/{id:int}", |request: &mut Request<'_>| -> Result<String> {
///     match request.param::<i64>("id")? {
///         1 => Ok("one".into()),
///         _ => Err(abort(404)),
///     }
/// });
/// assert_eq!(app.test().get("/2").send().status(), 404);
/// ```
pub fn abort(status: impl TryInto<StatusCode>) -> Error {
    Error::new(status, "aborted by the handler")
}

impl Error {
    /// An error. A status that says of no failure (below 400, 600 and beyond) becomes 500: what is
    /// none, such as a redirect, is a [`Reply`](super::Reply).
    ///
    /// ```
    /// use httpyserver::Error;
    ///
    /// let error = Error::new(409, "somebody has that name");
    /// assert_eq!(error.status(), 409);
    /// ```
    pub fn new(status: impl TryInto<StatusCode>, reason: impl Into<Cow<'static, str>>) -> Self {
        let code = status.try_into().map_or(500, |status| status.as_u16());
        match Status::new(code).filter(|status| status.is_error()) {
            Some(status) => Self::of_status(status, reason),
            None => {
                let reason = format!("{code} is no status of a failure: {}", reason.into());
                Self::of_status(Status::INTERNAL_SERVER_ERROR, reason)
            }
        }
    }

    pub(super) fn of_status(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), source: None, headers: None, close: false }
    }

    /// With a header that the answer must have: `Retry-After`, `WWW-Authenticate`.
    ///
    /// ```
    /// use httpyserver::{App, Error, Request, Result};
    ///
    /// let app = App::new().get("/", |_: &mut Request<'_>| -> Result<String> {
    ///     Err(Error::new(503, "being repaired").with_header("Retry-After", "120"))
    /// });
    /// assert_eq!(app.test().get("/").send().header("retry-after"), Some("120"));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.get_or_insert_default().try_push(name, value.as_bytes());
        self
    }

    /// What the client is told.
    ///
    /// ```
    /// let error = httpyserver::Error::from(std::io::Error::other("the disk is gone"));
    /// assert_eq!(error.status(), 500);
    /// ```
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn own_status(&self) -> Status {
        self.status
    }

    /// What the log is told.
    ///
    /// ```
    /// let error = httpyserver::Error::from(std::io::Error::other("the disk is gone"));
    /// assert_eq!(error.reason(), "the disk is gone");
    /// ```
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The error it was made of, if it is a `T`.
    ///
    /// ```
    /// let error = httpyserver::Error::from("x".parse::<i32>().unwrap_err());
    /// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    /// ```
    pub fn downcast_ref<T: std::error::Error + 'static>(&self) -> Option<&T> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Its headers, which its answer must have.
    pub(super) fn headers(&self) -> Option<&Headers> {
        self.headers.as_deref()
    }

    /// For the pages of the server.
    pub(super) fn into_http(self) -> HttpError {
        HttpError {
            status: self.status,
            reason: self.reason,
            close: self.close,
            advice: None,
            headers: self.headers,
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut boxed: Box<dyn Any> = Box::new(error);
        if let Some(HttpError { status, reason, close, headers, .. }) =
            boxed.downcast_mut::<HttpError>().map(take_http)
        {
            return Self { status, reason, source: None, headers, close };
        }
        match boxed.downcast::<E>() {
            Ok(error) => Self {
                reason: error.to_string().into(),
                source: Some(error),
                ..Self::of_status(Status::INTERNAL_SERVER_ERROR, "")
            },
            // It was an E a moment ago.
            Err(_) => Self::of_status(Status::INTERNAL_SERVER_ERROR, "an error without a name"),
        }
    }
}

fn take_http(error: &mut HttpError) -> HttpError {
    let empty = HttpError::new(Status::INTERNAL_SERVER_ERROR, "");
    std::mem::replace(error, empty)
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.code(), self.reason)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
