//! A request as handlers see it.

use crate::http::{BodyLength, Framing, HttpError, RequestHead, Status, Version, target};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

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

/// Another path of the same host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reroute {
    /// Decoded and normalised.
    pub path: Vec<u8>,
    /// The query, encoded, without `?`; `None`: without one.
    pub query: Option<Vec<u8>>,
    /// Header lines, each with its CRLF, that are added to the answer from there.
    pub lines: Vec<u8>,
}

impl Reroute {
    /// What a `Location` that begins with a slash means: an encoded path, perhaps with a query.
    /// `None` for a path that has no safe meaning.
    pub fn to(location: &[u8]) -> Option<Self> {
        let whole = location.split(|b| *b == b'#').next().unwrap_or_default();
        let (raw, query) = match memchr::memchr(b'?', whole) {
            Some(at) => (whole.get(..at)?, whole.get(at + 1..).map(<[u8]>::to_vec)),
            None => (whole, None),
        };
        let mut path = Vec::new();
        target::normalise(raw, &mut path).ok()?;
        Some(Self { path, query, lines: Vec::new() })
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
    /// Whose certificate the client has shown: `CN=Ada, O=Example`.
    pub client: Option<Rc<str>>,
    /// Who has proved with a password to be who, to the guard of the route.
    pub user: Option<Rc<str>>,
    /// A guard, perhaps that of the route that sent it elsewhere, has asked for its credentials and
    /// checked them: they were meant for the server, not for programs.
    pub credentials_checked: bool,
    /// What was agreed on for the encryption: `TLSv1.3`.
    pub tls_version: Option<&'static str>,
    /// Header lines that its answer carries, whoever gives it: those of its host and of the guards
    /// that have let it in.
    pub policy_lines: Option<Rc<[u8]>>,
    /// Whether it may have what the place answers that it was sent to. Who may not does not hear
    /// either what was said by those who sent it there.
    pub let_in: bool,
    /// The port it came in by; 0 for a Unix socket.
    pub port: u16,
    /// The name of the host that answers is the one asked for (not the default standing in), so
    /// that it may be repeated in a redirect.
    pub host_matched: bool,
    /// How much of `path` belongs to the route: `/docs/` of `/docs/a/b` is 6.
    pub mount: usize,
    /// The decoded path, where it differs from the one sent.
    decoded: Vec<u8>,
    /// Where it was sent instead, and how often.
    rerouted: u8,
    /// The query of the place it was sent to.
    query: Option<Vec<u8>>,
    /// Header lines of those who sent it elsewhere.
    carried: Vec<u8>,
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
    ///
    /// # Errors
    /// 500 at the sixth time: a script that points to itself ends here.
    pub fn reroute(&mut self, to: Reroute) -> Result<(), HttpError> {
        debug_assert!(to.path.starts_with(b"/"));
        if self.rerouted == REROUTES_MAX {
            let reason = "too many internal redirects";
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, reason));
        }
        self.rerouted += 1;
        (self.decoded, self.query) = (to.path, to.query);
        self.carried.extend_from_slice(&to.lines);
        // Whom one guard has let in is nobody to the next, nor where nobody is asked.
        (self.let_in, self.user) = (false, None);
        self.head.become_get();
        Ok(())
    }

    /// Header lines that its answer carries, whoever gives it.
    pub fn answer_lines(&self) -> impl Iterator<Item = &[u8]> {
        let carried = Some(&*self.carried).filter(|lines| self.let_in && !lines.is_empty());
        self.policy_lines.as_deref().into_iter().chain(carried)
    }

    /// Whether it is answered by another path than the one asked for. Its body, if it has one, was
    /// meant for that one.
    pub fn is_rerouted(&self) -> bool {
        self.rerouted > 0
    }

    /// What follows the `?`, still encoded; `None` without a `?`.
    pub fn query(&self) -> Option<&[u8]> {
        if self.is_rerouted() { self.query.as_deref() } else { self.head.query() }
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
        self.query = None;
        self.carried.clear();
        self.let_in = false;
        self.rerouted = 0;
        self.framing = Framing::default();
        self.policy_lines = None;
        (self.user, self.credentials_checked) = (None, false);
        self.host_matched = false;
        self.mount = 0;
        (self.secure, self.tls_version, self.client) = (false, None, None);
    }

    /// Whether the client speaks HTTP/1.1, and so understands chunks.
    pub fn is_http11(&self) -> bool {
        self.head.version() == Version::Http11
    }
}

/// Internal redirects of one request.
const REROUTES_MAX: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_become_paths() {
        let to = |path: &str, query: Option<&str>| {
            Some(Reroute { path: path.into(), query: query.map(Into::into), lines: Vec::new() })
        };
        for (location, want) in [
            ("/a", to("/a", None)),
            ("/a%20b?c=%20", to("/a b", Some("c=%20"))),
            ("/a?", to("/a", Some(""))),
            ("//a///b", to("/a/b", None)),
            ("/a#top", to("/a", None)),
            ("/a/../b", None),
            ("/%2e%2e/b", None),
            ("/%00", None),
            ("/%zz", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(Reroute::to(location.as_bytes()), want, "{location}");
        }
    }

    #[test]
    fn five_times_is_enough() {
        let mut request = Request::default();
        let to = Reroute {
            path: b"/x".to_vec(),
            query: Some(b"q".to_vec()),
            lines: b"A: 1\r\n".to_vec(),
        };
        assert!(!request.is_rerouted());
        for _ in 0..5 {
            assert!(request.reroute(to.clone()).is_ok());
        }
        assert_eq!((request.path(), request.query()), (&b"/x"[..], Some(&b"q"[..])));
        assert_eq!(request.answer_lines().count(), 0, "nobody has let it in");
        request.let_in = true;
        assert_eq!(request.answer_lines().collect::<Vec<_>>(), [b"A: 1\r\n".repeat(5)]);
        assert!(request.reroute(to).is_err());
        request.clear();
        assert_eq!(request.answer_lines().count(), 0);
        assert!(!request.is_rerouted() && request.query().is_none());
    }
}
