//! Work that would hold up the loop, given to a helper thread.

use super::reply::{Body, Job};
use super::{Error, IntoReply, Reply, Request};
use crate::event::{Cx, Helped, TaskId, Until};
use crate::http::{HttpError, Status};
use std::task::Poll;

/// Work of a request that is done off the loop: see [`Request::blocking`].
///
/// ```
/// use httpyserver::{App, Request};
///
/// fn digest(request: &mut Request<'_>) -> httpyserver::Blocking<String> {
///     let word = request.param_str("word").to_owned();
///     request.blocking(move || word.chars().rev().collect()) // slow, or so it may be
/// }
/// let app = App::new().get("/{word}", digest);
/// assert_eq!(app.test().get("/stressed").send().text(), "desserts");
/// ```
#[must_use = "it is done when the handler returns it"]
pub struct Blocking<T> {
    work: Box<dyn FnOnce() -> T + Send>,
}

impl<T: Send + 'static> Blocking<T> {
    pub(super) fn new(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self { work: Box::new(work) }
    }

    /// What is done with the result, on the loop again: with the request, its session, and whatever
    /// else must not leave the loop.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Request};
    ///
    /// fn login(request: &mut Request<'_>) -> Reply {
    ///     let password = request.form().get("password").unwrap_or_default().to_owned();
    ///     request.blocking(move || password == "sesame").then(|request, good| {
    ///         if good {
    ///             request.session_mut().set("user", "ali");
    ///         }
    ///         Reply::redirect(request.url_for(if good { "/" } else { "/login" }))
    ///     })
    /// }
    /// let client = App::new().post("/login", login).test();
    /// let answer = client.post("/login").form(&[("password", "sesame")]).send();
    /// assert_eq!(answer.header("location"), Some("/"));
    /// ```
    pub fn then<R, C>(self, next: C) -> Reply
    where
        R: IntoReply,
        C: FnOnce(&mut Request<'_>, T) -> R + 'static,
    {
        Reply::of_body(Body::Job(Box::new(Task { state: State::New(self.work), next: Some(next) })))
    }
}

impl<T: IntoReply + Send + 'static> IntoReply for Blocking<T> {
    fn into_reply(self) -> Reply {
        self.then(|_, result| result)
    }
}

struct Task<T, C> {
    state: State<T>,
    next: Option<C>,
}

enum State<T> {
    New(Box<dyn FnOnce() -> T + Send>),
    Started(Helped<T>),
    Done,
}

impl<T, R, C> Job for Task<T, C>
where
    T: Send + 'static,
    R: IntoReply,
    C: FnOnce(&mut Request<'_>, T) -> R,
{
    fn start(&mut self, task: TaskId, cx: &mut Cx) -> Result<(), Error> {
        let State::New(work) = std::mem::replace(&mut self.state, State::Done) else {
            return Ok(());
        };
        let begun = Helped::begin(task, cx, work).map_err(|_| {
            let busy = "too much work waits for the helper threads";
            Error::of_status(Status::SERVICE_UNAVAILABLE, busy).with_header("Retry-After", "1")
        })?;
        self.state = State::Started(begun);
        Ok(())
    }

    fn until_done(&self) -> Result<Until, HttpError> {
        match &self.state {
            State::Started(begun) => Ok(begun.until_done()),
            State::New(_) | State::Done => Err(lost("blocking work was not begun")),
        }
    }

    fn poll(&mut self, request: &mut Request<'_>) -> Option<Reply> {
        let State::Started(begun) = &self.state else { return None };
        let Poll::Ready(result) = begun.poll() else { return None };
        self.state = State::Done;
        Some(match (result, self.next.take()) {
            (Some(result), Some(next)) => next(request, result).into_reply(),
            _ => Reply::failed(lost("blocking work panicked")),
        })
    }
}

fn lost(why: &'static str) -> HttpError {
    HttpError::new(Status::INTERNAL_SERVER_ERROR, why)
}
