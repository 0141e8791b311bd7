//! A request as handlers see it.

use super::BodyState;
use crate::http::target::{self, Spelling};
use crate::http::{BodyLength, Headers, HttpError, RequestHead, Status};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
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

impl Peer {
    /// What counts as one client: `None` for all those of Unix sockets. Whoever has one address of IPv6
    /// has 2^64 of them, and often 256 such networks: a /56 is what a household is given (RFC 6177).
    #[must_use]
    pub fn network(self) -> Option<IpAddr> {
        let Self::Ip(ip, _) = self else { return None };
        Some(match ip.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72).into(),
            v4 => v4,
        })
    }

    /// Appends the address as `Display` has it, without the detour over a formatter.
    pub fn write_to(self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(IpAddr::V4(ip), _) => {
                for (at, part) in ip.octets().into_iter().enumerate() {
                    if at > 0 {
                        out.push(b'.');
                    }
                    out.extend_from_slice(itoa::Buffer::new().format(part).as_bytes());
                }
            }
            // Writing to a Vec does not fail.
            other => drop(write!(out, "{other}")),
        }
    }
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
pub struct InternalRedirect {
    /// Encoded, as a client would send it; has no `..`.
    pub path: Vec<u8>,
    /// The query, encoded, without `?`; `None`: without one.
    pub query: Option<Vec<u8>>,
    /// Headers that are added to the answer from there.
    pub headers: Headers,
}

impl InternalRedirect {
    /// What a `Location` that begins with a slash means: an encoded path, perhaps with a query.
    /// `None` for a path that has no safe meaning.
    pub fn to(location: &[u8]) -> Option<Self> {
        let whole = location.split(|b| *b == b'#').next().unwrap_or_default();
        let (raw, query) = match memchr::memchr(b'?', whole) {
            Some(at) => (whole.get(..at)?, whole.get(at + 1..).map(<[u8]>::to_vec)),
            None => (whole, None),
        };
        let spelling = target::normalise(raw, &mut Vec::new()).ok()?;
        // It would lead out of the folder that the program has begun with: a client's text is in it.
        (!spelling.parents).then(|| Self { path: raw.to_vec(), query, headers: Headers::new() })
    }
}

/// One request: its head, how long its body is, and what routing found out about it. Emptied and
/// used again; a handler that needs more time is lent it through its exchange.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Request line and header fields.
    pub head: RequestHead,
    /// How long the body is.
    pub body_length: BodyLength,
    /// Whether the client waits to be told before it sends the body.
    pub expects_continue: bool,
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
    /// Headers that its answer carries, whoever gives it: those of its host and of the guards
    /// that have let it in.
    pub host_headers: Option<Rc<Headers>>,
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
    /// The path as it was sent, where that is not the one of the head: it had a `..` segment, or
    /// belongs to an internal redirect.
    sent: Vec<u8>,
    /// The decoded path with its encoded slashes decoded too; empty where there are none.
    unslashed: Vec<u8>,
    /// Where it was sent instead, and how often.
    redirects: u8,
    /// The query of the place it was sent to.
    query: Option<Vec<u8>>,
    /// Headers of those who sent it elsewhere.
    carried: Headers,
}

impl Request {
    /// Its body, not yet begun, of at most `limit` bytes.
    pub fn body(&self, limit: u64) -> BodyState {
        BodyState::new(self.body_length, self.head.version(), limit)
    }

    /// Decodes and normalises the path. Once a request, after the head was parsed.
    ///
    /// # Errors
    /// 400 for a path that has no safe meaning (see `target::normalise`).
    pub fn settle_path(&mut self) -> Result<(), HttpError> {
        self.sent.clear();
        self.decoded.clear();
        self.unslashed.clear();
        if self.head.has_plain_path() {
            return Ok(());
        }
        let spelling = target::normalise(self.head.raw_path(), &mut self.decoded)?;
        if spelling.parents {
            target::resolve_parents(self.head.raw_path(), &mut self.sent);
        }
        self.note_slashes(spelling);
        Ok(())
    }

    fn note_slashes(&mut self, spelling: Spelling) {
        if spelling.encoded_slashes {
            // Nothing else in it is encoded.
            self.unslashed.extend(percent_decode(&self.decoded));
        }
    }

    /// Asks for another path of the same host, with GET unless it was HEAD: an internal redirect.
    ///
    /// # Errors
    /// 500 at the sixth time: a script that points to itself ends here. 400 for a path that has no
    /// safe meaning.
    pub fn redirect(&mut self, to: InternalRedirect) -> Result<(), HttpError> {
        if self.redirects == REDIRECTS_MAX {
            let reason = "too many internal redirects";
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, reason));
        }
        self.redirects += 1;
        self.unslashed.clear();
        let spelling = target::normalise(&to.path, &mut self.decoded)?;
        self.note_slashes(spelling);
        (self.sent, self.query) = (to.path, to.query);
        self.carried.append(&to.headers);
        // Whom one guard has let in is nobody to the next, nor where nobody is asked.
        (self.let_in, self.user) = (false, None);
        self.head.become_get();
        Ok(())
    }

    /// Headers that its answer carries, whoever gives it.
    pub fn response_headers(&self) -> impl Iterator<Item = &Headers> {
        let carried = Some(&self.carried).filter(|headers| self.let_in && !headers.is_empty());
        self.host_headers.as_deref().into_iter().chain(carried)
    }

    /// Whether it is answered by another path than the one asked for. Its body, if it has one, was
    /// meant for that one.
    pub fn is_redirected(&self) -> bool {
        self.redirects > 0
    }

    /// What follows the `?`, still encoded; `None` without a `?`.
    pub fn query(&self) -> Option<&[u8]> {
        if self.is_redirected() { self.query.as_deref() } else { self.head.query() }
    }

    /// The decoded, normalised path: begins with `/`, has no `//`, no `.` and no `..`. Routing,
    /// access rules and files all look at this one and never at the one sent.
    pub fn path(&self) -> &[u8] {
        if self.decoded.is_empty() { self.head.raw_path() } else { &self.decoded }
    }

    /// The path as it was sent, still encoded, with `..` segments resolved: what redirects and programs
    /// are told of it. It is another spelling of `path`, and may begin with `//`.
    pub fn sent_path(&self) -> &[u8] {
        if self.sent.is_empty() { self.head.raw_path() } else { &self.sent }
    }

    /// What follows the first `length` bytes of `path` in the path as it was sent: empty, or begins
    /// with `/`. They end a segment; a slash at their end is not counted.
    pub fn sent_below(&self, length: usize) -> &[u8] {
        let path = self.path();
        let prefix = path.get(..length).unwrap_or(path);
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        if self.decoded.is_empty() {
            return path.get(prefix.len()..).unwrap_or_default();
        }
        let sent = self.sent_path();
        let segments = prefix.iter().filter(|b| **b == b'/').count();
        sent.get(target::end_of_segments(sent, segments)..).unwrap_or_default()
    }

    /// The same for a program: decoded once, but for encoded slashes.
    pub fn info_below(&self, length: usize) -> Cow<'_, [u8]> {
        let sent = self.sent_below(length);
        match memchr::memchr(b'%', sent) {
            Some(_) => target::decode_once(sent).into(),
            None => sent.into(),
        }
    }

    /// Whether a slash of the path is encoded, in `path` as `%2F`. Then it is no name of a file, whatever
    /// there is on the disk; and a percent sign is `%25`.
    pub fn has_encoded_slash(&self) -> bool {
        !self.unslashed.is_empty()
    }

    /// What a program takes `path` for that decodes the `%2F` it is told of: encoded slashes, and three
    /// bytes that look like one (`%252F`). `None`: it has none.
    pub fn path_without_encoded_slashes(&self) -> Option<Vec<u8>> {
        let decoded = match self.has_encoded_slash() {
            true => Cow::Borrowed(&*self.unslashed),
            false => Cow::Owned(target::decode_slashes(&self.decoded)?),
        };
        let mut parts = Vec::new();
        for part in decoded.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let mut path = parts.iter().flat_map(|part| [b"/", *part].concat()).collect::<Vec<_>>();
        if path.is_empty() || decoded.ends_with(b"/") {
            path.push(b'/');
        }
        Some(path)
    }

    /// A part of `path` with its encoded slashes decoded.
    pub fn unslashed(&self, part: Range<usize>) -> &[u8] {
        if !self.has_encoded_slash() {
            return self.path().get(part).unwrap_or_default();
        }
        // Each percent sign stands for two bytes more than are left of it.
        let decoded = |end: usize| {
            let before = self.path().get(..end).unwrap_or(self.path());
            before.len() - 2 * before.iter().filter(|b| **b == b'%').count()
        };
        self.unslashed.get(decoded(part.start)..decoded(part.end)).unwrap_or_default()
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
        match self.body_length {
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
        self.sent.clear();
        self.unslashed.clear();
        self.query = None;
        self.carried.clear();
        self.let_in = false;
        self.redirects = 0;
        (self.body_length, self.expects_continue) = (BodyLength::None, false);
        self.host_headers = None;
        (self.user, self.credentials_checked) = (None, false);
        self.host_matched = false;
        self.mount = 0;
        (self.secure, self.tls_version, self.client) = (false, None, None);
    }
}

/// Internal redirects of one request.
const REDIRECTS_MAX: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Parsed, limits::HeadLimits, parse};

    #[test]
    fn a_client_is_what_it_is_wherever_in_its_network() {
        let of = |ip: &str| Peer::Ip(ip.parse().unwrap(), 1).network();
        for (one, other, is_same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:ff::1", true),
            ("2001:db8::1", "2001:db8:0:100::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("::ffff:192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(of(one) == of(other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn locations_become_paths() {
        let to = |path: &str, query: Option<&str>| {
            Some(InternalRedirect {
                path: path.into(),
                query: query.map(Into::into),
                headers: Headers::new(),
            })
        };
        for (location, want) in [
            ("/a", to("/a", None)),
            ("/a%20b?c=%20", to("/a%20b", Some("c=%20"))),
            ("/a?", to("/a", Some(""))),
            ("//a///b", to("//a///b", None)),
            ("/a#top", to("/a", None)),
            ("/a/../b", None),
            ("/%2e%2e/b", None),
            ("/a/../../b", None),
            ("/a%2f..%2fb", None),
            ("/%00", None),
            ("/%zz", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(InternalRedirect::to(location.as_bytes()), want, "{location}");
        }
    }

    fn request(target: &str) -> Request {
        let mut request = Request::default();
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let parsed = parse(head.as_bytes(), 0, &HeadLimits::default(), &mut request.head);
        assert!(matches!(parsed, Parsed::Complete(_)), "{target}");
        request.settle_path().unwrap();
        request
    }

    #[test]
    fn programs_are_told_what_was_sent_below_their_prefix() {
        // The target, how much of the normalised path is the prefix, what follows it.
        for (target, prefix, sent, info) in [
            ("/app/a/b", "/app", "/a/b", "/a/b"),
            ("/app", "/app", "", ""),
            ("/app/", "/app/", "/", "/"),
            ("/a/b", "/", "/a/b", "/a/b"),
            ("/proxy/http://e/./x", "/proxy/", "/http://e/./x", "/http://e/./x"),
            ("//app//x%20y", "/app/", "//x%20y", "//x y"),
            ("//evil.test/x", "/", "//evil.test/x", "//evil.test/x"),
            ("/./%61pp/./b%3B;c", "/app/", "/./b%3B;c", "/./b;;c"),
            ("/x/../app/a/../b//c", "/app/", "/b//c", "/b//c"),
            ("/app/..%2e/%252e/../b", "/app/", "/..%2e/b", "/.../b"),
            ("/app/.", "/app/", "/.", "/."),
            ("/app/@zz%2fs/%252F%25", "/app/", "/@zz%2fs/%252F%25", "/@zz%2fs/%2F%"),
            ("http://h/app//x", "/app/", "//x", "//x"),
        ] {
            let mut request = request(target);
            for again in [false, true] {
                assert!(request.path().starts_with(prefix.as_bytes()), "{target}");
                let got = (request.sent_below(prefix.len()), &*request.info_below(prefix.len()));
                assert_eq!(got, (sent.as_bytes(), info.as_bytes()), "{target} {again}");
                let whole = request.sent_path().to_vec();
                request.redirect(InternalRedirect::to(&whole).unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn encoded_slashes_can_be_read_in_two_ways() {
        for (target, path, other) in [
            ("/a/b", "/a/b", None),
            ("/a%20b//c", "/a b/c", None),
            ("/100%25", "/100%", None),
            ("/a%2fb", "/a%2Fb", Some("/a/b")),
            ("/a%2F%2F.%2Fb/", "/a%2F%2F.%2Fb/", Some("/a/b/")),
            ("/%2f", "/%2F", Some("/")),
            ("/a%25%2fb", "/a%25%2Fb", Some("/a%/b")),
            ("/a%252Fb", "/a%2Fb", Some("/a/b")),
            ("/a%252f..%252fb", "/a%2f..%2fb", Some("/b")),
        ] {
            let request = request(target);
            assert_eq!(request.path(), path.as_bytes(), "{target}");
            let got = request.path_without_encoded_slashes();
            assert_eq!(got.as_deref(), other.map(str::as_bytes), "{target}");
        }
        let request = request("/x/%25a%2Fb/c%2F");
        assert_eq!(request.path(), b"/x/%25a%2Fb/c%2F");
        assert_eq!(request.unslashed(3..11), b"%a/b");
        assert_eq!(request.unslashed(12..16), b"c/");
    }

    #[test]
    fn five_times_is_enough() {
        let mut request = Request::default();
        let to = InternalRedirect {
            path: b"/x".to_vec(),
            query: Some(b"q".to_vec()),
            headers: Headers::of_lines(b"A: 1\r\n"),
        };
        assert!(!request.is_redirected());
        for _ in 0..5 {
            assert!(request.redirect(to.clone()).is_ok());
        }
        assert_eq!((request.path(), request.query()), (&b"/x"[..], Some(&b"q"[..])));
        assert_eq!(request.response_headers().count(), 0, "nobody has let it in");
        request.let_in = true;
        let carried = request.response_headers().map(Headers::as_bytes).collect::<Vec<_>>();
        assert_eq!(carried, [b"A: 1\r\n".repeat(5)]);
        assert!(request.redirect(to).is_err());
        request.clear();
        assert_eq!(request.response_headers().count(), 0);
        assert!(!request.is_redirected() && request.query().is_none());
    }
}
