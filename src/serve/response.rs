//! A complete answer: everything about it is known, its length above all.

use super::{Head, PreparedHead};
use crate::http::{Headers, Status};
use crate::net::{Bytes, FileSlice, SendQueue};
use std::borrow::Cow;
use std::rc::Rc;

/// A complete answer. The connection adds `Date`, `Server`, `Connection` and, to `Fields`, the
/// `Content-Length`; it leaves the body away for HEAD.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// The head.
    pub head: Head,
    /// The body, as GET would have it.
    pub body: Body,
}

/// The body of a complete answer.
#[derive(Clone, Debug)]
pub enum Body {
    /// No bytes.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a file, sent by the kernel.
    File(FileSlice),
    /// Several pieces in order: multipart/byteranges.
    Parts(Vec<Part>),
}

/// One piece of a body in parts.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a file.
    File(FileSlice),
}

impl Response {
    /// An answer with neither headers nor body.
    pub fn new(status: Status) -> Self {
        Self { status, head: Head::Fields(Headers::new()), body: Body::Empty }
    }

    /// An answer with a prepared head.
    pub fn prepared(head: &Rc<PreparedHead>, body: Body) -> Self {
        Self { status: head.status(), head: Head::Prepared(Rc::clone(head)), body }
    }

    /// A text of the given media type.
    pub fn text(status: Status, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status).with_header("Content-Type", media_type.as_bytes()).with_body(body)
    }

    /// Adds a header line to `Fields`.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        if let Head::Fields(headers) = &mut self.head {
            headers.push(name, value);
        }
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }
}

impl Body {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.len,
            Self::Parts(parts) => parts.iter().map(Part::len).sum(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of it is in memory, so that sending it cannot fail for want of a file.
    pub fn is_in_memory(&self) -> bool {
        match self {
            Self::Empty | Self::Bytes(_) => true,
            Self::File(_) => false,
            Self::Parts(parts) => parts.iter().all(|part| matches!(part, Part::Bytes(_))),
        }
    }
}

impl Body {
    /// Adds its bytes to what is to be sent, in order.
    pub fn queue_into(self, queue: &mut SendQueue) {
        match self {
            Self::Empty => {}
            Self::Bytes(bytes) => queue.share(bytes),
            Self::File(slice) => queue.file(slice),
            Self::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Bytes(bytes) => queue.share(bytes),
                        Part::File(slice) => queue.file(slice),
                    }
                }
            }
        }
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.len,
        }
    }
}

/// The field of which each answer has one: the host's, if it has it.
pub const HSTS: &str = "Strict-Transport-Security";

/// The headers of an answer as they are sent with this status, beside those that its host adds to all.
pub fn fields_sent<'h>(
    status: Status,
    headers: &'h Headers,
    host: Option<&Headers>,
) -> Cow<'h, Headers> {
    match (status, beside_host(headers, host)) {
        (Status::NOT_MODIFIED, Cow::Borrowed(fields)) => fields.without_representation(),
        (Status::NOT_MODIFIED, Cow::Owned(fields)) => {
            Cow::Owned(fields.without_representation().into_owned())
        }
        (_, fields) => fields,
    }
}

/// Clients look at the first of several `HSTS` (RFC 6797 §8.1), and the operator's counts.
fn beside_host<'h>(headers: &'h Headers, host: Option<&Headers>) -> Cow<'h, Headers> {
    if host.is_none_or(|host| host.get(HSTS).is_none()) || headers.get(HSTS).is_none() {
        return Cow::Borrowed(headers);
    }
    let mut others = headers.clone();
    others.remove(HSTS);
    Cow::Owned(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_says_of_hsts_is_said_once() {
        let (mut own, mut host) = (Headers::new(), Headers::new());
        own.push("strict-transport-security", b"max-age=1");
        own.push("X-Own", b"1");
        host.push("Cache-Control", b"private");
        assert_eq!(*beside_host(&own, Some(&host)), own);
        assert_eq!(*beside_host(&own, None), own);
        host.push(HSTS, b"max-age=9");
        assert_eq!(beside_host(&own, Some(&host)).as_bytes(), b"X-Own: 1\r\n");
    }
}
