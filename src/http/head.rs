//! A request head: the bytes it came as, and where everything in them lies.

use super::{Known, Method};
use std::ops::Range;

/// The protocol version of a request. Others are refused by the parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
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
pub(super) struct Field {
    pub(super) name: Span,
    pub(super) value: Span,
    pub(super) known: Option<Known>,
}

/// A request line and its header fields. Owns its bytes, so that the receive buffer is free for
/// what follows; emptied and used again for the next request of the connection.
///
/// Made by `parse`, which has already refused whatever is not surely understood.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    pub(super) bytes: Vec<u8>,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) method_text: Span,
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) query: Option<Span>,
    /// Of an absolute-form target; it then replaces the Host header (RFC 9112 §3.2.2).
    pub(super) authority: Option<Span>,
    pub(super) plain_path: bool,
    pub(super) fields: Vec<Field>,
    /// For each known header the number of its first line, counted from 1; 0 means absent.
    pub(super) first: [u8; Known::COUNT],
}

impl RequestHead {
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
