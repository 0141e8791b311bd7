//! An answer that takes time.

use super::{Answer, BodyIn, Request, Reroute, Response};
use crate::event::{ConnId, Cx, Ready};
use crate::http::HttpError;
use std::rc::Rc;
use std::time::Instant;

/// An answer in progress: an upload, a script, a stream. Owns its descriptors; they are registered
/// under the doors of its connection and close when it is dropped.
pub trait Exchange {
    /// Moves what can be moved: body in, answer out. Called when it begins, and whenever a door's
    /// bit, the timer or a wake is set, body bytes have arrived, or the send queue has room again.
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
    /// To be called when something changes. At least one thing that will change it must be armed: a
    /// door whose bit is clear, the timer, a wake that somebody promised, body that is not finished,
    /// or a send queue without room.
    Wait,
    /// The answer it wrote is complete.
    Done,
    /// It has written nothing, and this is the answer.
    Respond(Response),
    /// It has written nothing; another path of the same host has the answer. Together with those
    /// of handlers at most five a request.
    Reroute(Reroute),
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
    /// Its connection, for `Cx::register` and for pools that will wake it.
    pub id: ConnId,
    /// The request it answers.
    pub request: &'a Request,
    /// What may succeed: clear a bit when you meet WouldBlock.
    pub ready: &'a mut Ready,
    /// The request body.
    pub body: BodyIn<'a>,
    /// The answer.
    pub answer: Answer<'a>,
    /// When to be called at the latest. Stays as it was set until it is reached or overwritten.
    pub timer: &'a mut Option<Instant>,
    /// Set it when you wait for a `Cx::wake` that somebody has promised.
    pub wake_expected: &'a mut bool,
}
