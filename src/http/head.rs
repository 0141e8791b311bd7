//! A request head: its text, and where everything in it lies.
//!
//! A protocol whose heads are text (HTTP/1) says where things lie in it; for another one the text is made
//! here, of names and values.

use super::{HostName, HttpError, Known, Method, Status, bytes, target};
use std::ops::Range;

/// The protocol version of a request. Others are refused by the parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As it is written: `HTTP/1.1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// How the length of a request body is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// No body was announced.
    #[default]
    None,
    /// So many bytes follow the head, perhaps none.
    Length(u64),
    /// The end is seen when it is there. In HTTP/1, chunks follow (RFC 9112 §7.1).
    Unknown,
}

impl BodyLength {
    /// Whether it is known that there are no bytes.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// A place in the bytes of a head. Heads are at most 64 KiB - 1 long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The span of `range`.
    pub fn new(range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end && range.end <= usize::from(u16::MAX));
        Self { start: range.start as u16, end: range.end as u16 }
    }

    /// As a range of the head's bytes.
    pub fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
    known: Option<Known>,
}

/// The most header fields of one head: the number of a field is kept in a byte.
pub const FIELDS_MAX: usize = u8::MAX as usize;

/// The most bytes of one head: places in it are kept in 16 bits.
pub const HEAD_MAX: usize = u16::MAX as usize;

/// The longest registered method has 17 bytes.
const METHOD_MAX: usize = 32;

/// What is asked for, taken apart: a method, one space and a target, at the front of a head's text.
#[derive(Debug)]
pub struct RequestLine {
    method: Method,
    version: Version,
    method_len: usize,
    target_len: usize,
    parts: target::TargetParts,
    plain_path: bool,
}

impl RequestLine {
    /// What `method`, a token, is to be done with `target`.
    ///
    /// # Errors
    /// 501 for a method that is too long, 400 for a target that is none.
    pub fn new(method: &[u8], target: &[u8], version: Version) -> Result<Self, HttpError> {
        if method.len() > METHOD_MAX {
            return Err(HttpError::fatal(Status::NOT_IMPLEMENTED, "method too long"));
        }
        let (method_len, target_len) = (method.len(), target.len());
        let method = Method::from_token(method);
        let parts = target::split(method, target)?;
        let plain_path = target::is_plain(target.get(parts.path.clone()).unwrap_or_default());
        Ok(Self { method, version, method_len, target_len, parts, plain_path })
    }

    /// Bytes of the text that it takes.
    fn len(&self) -> usize {
        self.method_len + 1 + self.target_len
    }
}

/// A request line and its header fields. Owns its bytes, so that the receive buffer is free for
/// what follows; emptied and used again for the next request of the connection.
///
/// What fills it has already refused all that is not surely understood.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    bytes: Vec<u8>,
    method: Method,
    version: Version,
    method_text: Span,
    target: Span,
    path: Span,
    query: Option<Span>,
    /// Of an absolute-form target; it then replaces the Host header (RFC 9112 §3.2.2).
    authority: Option<Span>,
    plain_path: bool,
    fields: Vec<Field>,
    /// For each known header the number of its first line, counted from 1; 0 means absent.
    first: [u8; Known::COUNT],
}

impl RequestHead {
    /// A head of names and values.
    ///
    /// # Errors
    /// As [`assemble`](Self::assemble).
    pub fn of(
        method: &[u8],
        target: &[u8],
        version: Version,
        fields: &[(&[u8], &[u8])],
    ) -> Result<Self, HttpError> {
        let mut head = Self::default();
        head.assemble(method, target, version, fields.iter().copied())?;
        Ok(head)
    }

    /// Forgets what it holds and makes a head of names and values.
    ///
    /// # Errors
    /// One of them is none, they are too many or too long, or the host is not clear. Always fatal.
    pub fn assemble<'f>(
        &mut self,
        method: &[u8],
        target: &[u8],
        version: Version,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), HttpError> {
        if !bytes::is_token(method) {
            return Err(HttpError::bad_request("method is not a token"));
        }
        let line = RequestLine::new(method, target, version)?;
        self.clear();
        for piece in [method, b" ", target, b" ", version.as_str().as_bytes(), b"\r\n"] {
            self.bytes.extend_from_slice(piece);
        }
        let too_much = || HttpError::fatal(Status::HEADER_FIELDS_TOO_LARGE, "head too long");
        if self.bytes.len() > HEAD_MAX {
            return Err(too_much());
        }
        self.set_line(line);
        for (name, value) in fields {
            let value = bytes::trim(value);
            if !bytes::is_token(name) || !value.iter().all(|b| bytes::is_field_byte(*b)) {
                return Err(HttpError::bad_request("bad header field"));
            }
            let start = self.bytes.len();
            let end = start + name.len() + 2 + value.len();
            if end + 2 > HEAD_MAX || self.fields.len() == FIELDS_MAX {
                return Err(too_much());
            }
            for piece in [name, b": ", value, b"\r\n"] {
                self.bytes.extend_from_slice(piece);
            }
            self.push_field(
                Span::new(start..start + name.len()),
                Span::new(end - value.len()..end),
            );
        }
        self.check_host()
    }

    /// Forgets what it holds and takes a text that begins with `line`. Its fields are pushed after that.
    pub fn begin(&mut self, text: &[u8], line: RequestLine) {
        debug_assert!(text.len() <= HEAD_MAX && line.len() <= text.len());
        self.clear();
        self.bytes.extend_from_slice(text);
        self.set_line(line);
    }

    fn set_line(&mut self, line: RequestLine) {
        let start = line.method_len + 1;
        let span = |range: Range<usize>| Span::new(start + range.start..start + range.end);
        self.method = line.method;
        self.version = line.version;
        self.method_text = Span::new(0..line.method_len);
        self.target = span(0..line.target_len);
        self.path = span(line.parts.path);
        self.query = line.parts.query.map(span);
        self.authority = line.parts.authority.map(span);
        self.plain_path = line.plain_path;
    }

    /// Adds the field whose name and trimmed value lie there in the text.
    pub fn push_field(&mut self, name: Span, value: Span) {
        debug_assert!(self.fields.len() < FIELDS_MAX);
        let known = Known::from_name(self.text(name));
        self.fields.push(Field { name, value, known });
        if let Some(first) = known.and_then(|known| self.first.get_mut(known as usize))
            && *first == 0
        {
            *first = u8::try_from(self.fields.len()).unwrap_or(u8::MAX);
        }
    }

    /// Forgets what it holds and keeps the first line of what was refused, for the log.
    pub fn keep_line(&mut self, line: impl Iterator<Item = u8>) {
        self.clear();
        self.bytes.extend(line);
    }

    /// RFC 9112 §3.2: exactly one `Host`, but with HTTP/1.0 at most one, and a host in it. An empty one is
    /// allowed there for URIs that have no authority; `http` URIs always have one.
    ///
    /// # Errors
    /// 400
    pub fn check_host(&self) -> Result<(), HttpError> {
        let mut hosts = self.all(Known::Host);
        match (hosts.next(), hosts.next()) {
            (_, Some(_)) => Err(HttpError::bad_request("several Host lines")),
            (Some(host), None) if HostName::parse(host).is_none() => {
                Err(HttpError::bad_request("bad Host"))
            }
            (None, None) if self.version >= Version::Http11 => {
                Err(HttpError::bad_request("no Host in HTTP/1.1"))
            }
            _ => Ok(()),
        }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as it was sent.
    pub fn method_text(&self) -> &[u8] {
        self.text(self.method_text)
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request target as it was sent.
    pub fn target(&self) -> &[u8] {
        self.text(self.target)
    }

    /// The path of the target as it was sent, still encoded, without the query; begins with `/`,
    /// or is `*` (OPTIONS only).
    pub fn raw_path(&self) -> &[u8] {
        self.text(self.path)
    }

    /// Whether decoding and normalising the path would change nothing: no `%`, no `//`, no
    /// segment that begins with a dot.
    pub fn has_plain_path(&self) -> bool {
        self.plain_path
    }

    /// What follows the `?`, still encoded; `None` without a `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|span| self.text(span))
    }

    /// Which host is asked for: the target's authority if it has one, otherwise the Host header;
    /// `None` only for HTTP/1.0 without either.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.map(|span| self.text(span)).or_else(|| self.get(Known::Host))
    }

    /// The first value of a known header, trimmed.
    pub fn get(&self, header: Known) -> Option<&[u8]> {
        let line = usize::from(self.first[header as usize]).checked_sub(1)?;
        self.fields.get(line).map(|field| self.text(field.value))
    }

    /// All values of a known header, in order.
    pub fn all(&self, header: Known) -> impl Iterator<Item = &[u8]> {
        let first = usize::from(self.first[header as usize]);
        let start = if first == 0 { self.fields.len() } else { first - 1 };
        self.fields[start..]
            .iter()
            .filter(move |field| field.known == Some(header))
            .map(|field| self.text(field.value))
    }

    /// The first value of a header by name, compared without case.
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// Every header line in order: name and trimmed value.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.text(field.name), self.text(field.value)))
    }

    /// The request line as it was sent, for the log.
    pub fn request_line(&self) -> &[u8] {
        let end = memchr::memchr(b'\r', &self.bytes).unwrap_or(self.bytes.len());
        &self.bytes[..end]
    }

    /// Makes it a GET, unless it is a HEAD: for an internal redirect. Conditions and ranges hold for
    /// what is sent in the end, if it was asked to be sent; those of another method meant another thing.
    pub fn become_get(&mut self) {
        if matches!(self.method, Method::Get | Method::Head) {
            return;
        }
        self.method = Method::Get;
        for header in [
            Known::IfMatch,
            Known::IfNoneMatch,
            Known::IfModifiedSince,
            Known::IfUnmodifiedSince,
            Known::IfRange,
            Known::Range,
        ] {
            self.first[header as usize] = 0;
        }
    }

    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        let (mut bytes, mut fields) =
            (std::mem::take(&mut self.bytes), std::mem::take(&mut self.fields));
        bytes.clear();
        fields.clear();
        *self = Self { bytes, fields, ..Self::default() };
    }

    fn text(&self, span: Span) -> &[u8] {
        // Spans are made from these bytes by the parser; an empty slice rather than a panic
        // should that ever be untrue.
        self.bytes.get(span.range()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_make_a_head() {
        let fields: [(&[u8], &[u8]); 4] =
            [(b"host", b"h:8"), (b"Accept", b" a/b "), (b"X-A", b""), (b"accept", b"c/d")];
        let head = RequestHead::of(b"GET", b"/a/./b?c", Version::Http11, &fields).unwrap();
        assert_eq!((head.method(), head.method_text()), (Method::Get, &b"GET"[..]));
        assert_eq!((head.target(), head.raw_path()), (&b"/a/./b?c"[..], &b"/a/./b"[..]));
        assert_eq!((head.query(), head.authority()), (Some(&b"c"[..]), Some(&b"h:8"[..])));
        assert_eq!(head.all(Known::Accept).collect::<Vec<_>>(), [b"a/b", b"c/d"]);
        assert_eq!((head.find("x-a"), head.fields().count()), (Some(&b""[..]), 4));
        assert_eq!(head.request_line(), b"GET /a/./b?c HTTP/1.1");
        assert!(!head.has_plain_path());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let host = (&b"host"[..], &b"h"[..]);
        let long = vec![b'x'; HEAD_MAX];
        for (method, target, fields, status) in [
            (&b"G T"[..], &b"/"[..], &[host][..], 400),
            (b"", b"/", &[host], 400),
            (&[b'A'; METHOD_MAX + 1], b"/", &[host], 501),
            (b"GET", b"/a b", &[host], 400),
            (b"GET", b"*", &[host], 400),
            (b"GET", b"/", &[], 400),
            (b"GET", b"/", &[host, host], 400),
            (b"GET", b"/", &[host, (b"a b", b"")], 400),
            (b"GET", b"/", &[host, (b"", b"")], 400),
            (b"GET", b"/", &[host, (b"a", b"b\r\nc: d")], 400),
            (b"GET", b"/", &[host, (b"a", &long)], 431),
            (b"GET", b"/", &[host; FIELDS_MAX + 1], 431),
            (b"GET", &[&b"/"[..], &long].concat(), &[host], 431),
        ] {
            let refused = RequestHead::of(method, target, Version::Http11, fields).unwrap_err();
            assert_eq!(refused.status.code(), status, "{}", refused.reason);
            assert!(refused.close);
        }
    }
}
