//! What a route does with its requests: it plans, and the server performs the plan.

use super::{Look, Plan, Request};
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

    /// Decides how a request is answered whose head is complete and whose body is unread. It may
    /// read, and must not block; it must not write, start, reserve or count anything: `httpyserver
    /// explain` asks for the same plan and does not perform it.
    ///
    /// # Errors
    /// Answered with the error's page.
    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError>;
}
