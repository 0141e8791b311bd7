//! What routes do: serve and take files, start programs, send elsewhere, say something fixed.

pub mod cgi;
pub mod files;
pub mod gateway;
mod redirect;
mod respond;
pub mod script_names;
pub mod wsgi;

pub use cgi::CgiHandler;
pub use files::FileHandler;
pub use redirect::{RedirectHandler, to_https};
pub use respond::RespondHandler;

use crate::http::{Method, MethodSet, Status, escape, target};
use crate::serve::{Request, Response};

/// The named methods, of routes that leave OPTIONS to the connection: those that give every request
/// the same answer, and scripts, which say themselves what they take.
const ANY_METHOD: MethodSet = MethodSet::of(&[
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Patch,
]);

/// The same URL with a slash at its end, for relative links to be right. The path is the normalised
/// one, spelt as it was sent, with one slash at its beginning: a `Location` of `//host` or `/\host`
/// would lead to another host (CVE-2021-28861).
pub(crate) fn add_slash(request: &Request, status: Status) -> Response {
    let mut location = Vec::with_capacity(128);
    for segment in target::segments(request.sent_path()) {
        location.push(b'/');
        escape::sent(segment, &mut location);
    }
    location.push(b'/');
    push_query(request, &mut location);
    Response::new(status).with_header("Location", &location)
}

/// Adds the request's query to a `Location`, behind a `?`, if it has one.
fn push_query(request: &Request, location: &mut Vec<u8>) {
    if let Some(query) = request.query() {
        location.push(b'?');
        escape::sent_query(query, location);
    }
}
