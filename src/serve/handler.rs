//! What a route does with its requests.

use super::{Exchange, Foretold, Note, Request, Reroute, Response};
use crate::event::Cx;
use crate::http::{HttpError, Method, MethodSet};

/// Answers the requests of a route. Shared by all connections; what it has to remember lies in a
/// `RefCell` of its own that is never borrowed across a call out.
pub trait Handler {
    /// The methods it has an answer for, for `Allow`. OPTIONS is answered by the connection, unless
    /// it is among them; methods without a name of their own (`Method::Extension`) get no further
    /// than that, unless that is.
    fn methods(&self) -> MethodSet {
        MethodSet::of(&[Method::Get, Method::Head])
    }

    /// How long a request body may be; `None`: what the site allows. `u64::MAX`: the handler sees to
    /// it itself, and answers 413 before it asks for more.
    fn body_limit(&self) -> Option<u64> {
        None
    }

    /// Whether it takes paths with an encoded slash, where the configuration says nothing of it.
    fn keeps_encoded_slashes(&self) -> bool {
        false
    }

    /// Answers a request whose head is complete and whose body is unread. Must not block.
    ///
    /// # Errors
    /// Answered with the error's page.
    fn handle(&self, request: &Request, cx: &mut Cx) -> Result<Outcome, HttpError>;

    /// Says what it would do with a request, and does not do it: nothing is written or started. The
    /// steps on the way go to `notes`.
    ///
    /// # Errors
    /// Those it would answer with.
    fn explain(
        &self,
        _request: &Request,
        _cx: &mut Cx,
        _notes: &mut Vec<Note>,
    ) -> Result<Foretold, HttpError> {
        Ok(Foretold::UpTo("its handler".into()))
    }
}

/// How a handler answers.
pub enum Outcome {
    /// Completely: it is queued now.
    Respond(Response),
    /// In time: it will read the body, and answer when it can.
    Start(Box<dyn Exchange>),
    /// By another path of the same host, with GET: an internal redirect. At most five a request.
    Reroute(Reroute),
}
