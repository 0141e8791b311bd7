//! A request as handlers see it.

use crate::http::{BodyLength, Framing, HttpError, RequestHead, Status, Version, target};
use std::fmt;
use std::net::IpAddr;

/// Who sent a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A client on a Unix socket, which has no address.
    #[default]
    Local,
    /// A TCP client.
    Ip(IpAddr, u16),
}

/// The address without port, as logs name it; a Unix socket's peer is `unix`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("unix"),
            Self::Ip(ip, _) => ip.fmt(f),
        }
    }
}

/// One request: its head, how its body is framed, and what routing found out about it. Emptied and
/// used again; a handler that needs more time is lent it through its exchange.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Request line and header fields.
    pub head: RequestHead,
    /// How the body ends, and whether the connection goes on.
    pub framing: Framing,
    /// Who sent it.
    pub peer: Peer,
    /// Whether it came encrypted.
    pub secure: bool,
    /// The port it came in by; 0 for a Unix socket.
    pub port: u16,
    /// The name of the host that answers is the one asked for (not the default standing in), so
    /// that it may be repeated in a redirect.
    pub host_matched: bool,
    /// How much of `path` belongs to the route: `/docs/` of `/docs/a/b` is 6.
    pub mount: usize,
    /// The decoded path, where it differs from the one sent.
    decoded: Vec<u8>,
}

impl Request {
    /// Decodes and normalises the path. Once a request, after the head was parsed.
    ///
    /// # Errors
    /// 400 for a path that has no safe meaning (see `target::normalise`).
    pub fn settle_path(&mut self) -> Result<(), HttpError> {
        self.decoded.clear();
        if self.head.has_plain_path() {
            return Ok(());
        }
        target::normalise(self.head.raw_path(), &mut self.decoded)
    }

    /// Asks for another path of the same host, with GET unless it was HEAD: an internal redirect.
    pub fn reroute(&mut self, path: Vec<u8>) {
        debug_assert!(path.starts_with(b"/"));
        self.decoded = path;
        self.head.become_get();
    }

    /// The decoded, normalised path: begins with `/`, has no `//`, no `.` and no `..`. Routing,
    /// access rules and files all look at this one and never at the raw one.
    pub fn path(&self) -> &[u8] {
        if self.decoded.is_empty() { self.head.raw_path() } else { &self.decoded }
    }

    /// The path below the route, without leading slash: `a/b` of `/docs/a/b`.
    pub fn rest(&self) -> &[u8] {
        let rest = self.path().get(self.mount..).unwrap_or_default();
        rest.strip_prefix(b"/").unwrap_or(rest)
    }

    /// Refuses a body that is announced to be longer than `limit`, before any of it is read.
    ///
    /// # Errors
    /// 413, and the connection closes: the client may be sending already.
    pub fn check_length(&self, limit: u64) -> Result<(), HttpError> {
        match self.framing.body {
            BodyLength::Length(length) if length > limit => Err(HttpError::fatal(
                Status::CONTENT_TOO_LARGE,
                format!("a body of {length} bytes, where {limit} are allowed"),
            )),
            _ => Ok(()),
        }
    }

    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        self.head.clear();
        self.decoded.clear();
        self.framing = Framing::default();
        self.host_matched = false;
        self.mount = 0;
    }

    /// Whether the client speaks HTTP/1.1, and so understands chunks.
    pub fn is_http11(&self) -> bool {
        self.head.version() == Version::Http11
    }
}
