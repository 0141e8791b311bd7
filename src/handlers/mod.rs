//! What routes do: serve and take files, start programs, send elsewhere, say something fixed.

pub mod cgi;
pub mod files;
pub mod gateway;
mod redirect;
mod respond;
pub mod wsgi;

pub use cgi::CgiHandler;
pub use files::FileHandler;
pub use redirect::{RedirectHandler, to_https};
pub use respond::RespondHandler;

use crate::http::{Method, MethodSet};
use crate::serve::Request;

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

/// Adds the request's query to a `Location`, as it came but for bytes that have no place there.
fn push_query(request: &Request, location: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    for byte in request.query().unwrap_or_default() {
        match byte {
            0x21..=0x7e if !b"\"'<>\\^`{|}#".contains(byte) => location.push(*byte),
            _ => location.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}
