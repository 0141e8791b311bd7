//! What a route does with its requests.

use super::{Exchange, Foretold, Note, Request, Reroute, Response};
use crate::event::{Cx, PoolId};
use crate::http::{HttpError, Method, MethodSet};
use crate::sys::process::Ending;
use std::io;

/// Answers the requests of a route. Shared by all connections; what it has to remember lies in a
/// `RefCell` of its own that is never borrowed across a call out.
pub trait Handler {
    /// Called once after a (re)load, before the first request: start workers, warm caches. `pool`
    /// is the number under which its own descriptors are to be registered.
    ///
    /// # Errors
    /// The load is refused, and what served before goes on.
    fn start(&self, _pool: PoolId, _cx: &mut Cx) -> io::Result<()> {
        Ok(())
    }

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

    /// Something happened to a descriptor of this handler's pool.
    fn pool_event(&self, _slot: u16, _cx: &mut Cx) {}

    /// It has asked for its turn with `Cx::call_pool` or `Timers::arm_pool`, perhaps long ago. The
    /// connections have been driven: what they wanted of it can be done together.
    fn turn(&self, _cx: &mut Cx) {}

    /// Whether it can answer. A reload waits for those that are starting, and is given up if one
    /// has failed.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    /// Somebody wants one worker more, or fewer.
    fn scale(&self, _by: Scale, _cx: &mut Cx) {}

    /// A child that was adopted for this handler's pool has ended, and is collected.
    fn child_ended(&self, _tag: u32, _ending: Ending, _cx: &mut Cx) {}

    /// Its last request has ended and no other will come.
    fn stop(&self, _cx: &mut Cx) {}
}

/// How far a handler has come with its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It answers.
    Ready,
    /// It will answer, or fail.
    Starting,
    /// It does not answer, and goes on trying: why.
    Failed(String),
}

/// How the number of workers is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By one more.
    More,
    /// By one fewer.
    Fewer,
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
