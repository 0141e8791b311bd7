//! The fields of a request, from HPACK to a head (RFC 9113 §8.2 and §8.3).

use crate::http::{BodyLength, HttpError, Known, RequestHead, Status, Version, bytes};
use std::ops::Range;

/// The fields of one block as they are decoded. Its memory is used again for the next one.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    method: Option<Range<usize>>,
    scheme: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    /// All lines of it are one (RFC 9113 §8.2.3).
    cookie: Vec<u8>,
    /// As HPACK counts (RFC 9113 §6.5.2).
    size: usize,
    malformed: Option<&'static str>,
}

/// What becomes of a block.
#[derive(Debug)]
pub enum HeadError {
    /// It is no request: the stream ends (RFC 9113 §8.1.1).
    Malformed(&'static str),
    /// It is one that is refused with an answer.
    Refused(HttpError),
}

/// What a field costs beside its bytes.
const FIELD_COST: usize = 32;

/// Bytes of the fields of a request, as HPACK counts them: what we say in SETTINGS.
pub const SIZE_MAX: usize = 64 * 1024;

/// Fields of a connection, which has no meaning for one request of many (RFC 9113 §8.2.2).
const OF_CONNECTIONS: [&[u8]; 5] =
    [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];

impl Fields {
    /// Forgets the fields, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.cookie.clear();
        (self.method, self.scheme, self.authority, self.path) = (None, None, None, None);
        (self.size, self.malformed) = (0, None);
    }

    /// Whether there is more than a request may have.
    pub fn is_too_long(&self) -> bool {
        self.size > SIZE_MAX
    }

    /// Takes a field. What is too long is counted, and not kept.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + FIELD_COST);
        if self.is_too_long() || self.malformed.is_some() {
            return;
        }
        if let Err(why) = self.take(name, value) {
            self.malformed = Some(why);
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if !value.iter().all(|byte| bytes::is_field_byte(*byte)) || bytes::trim(value) != value {
            return Err("a value with a byte that it may not have");
        }
        if let Some(pseudo) = name.strip_prefix(b":") {
            if !self.fields.is_empty() || !self.cookie.is_empty() {
                return Err("a pseudo-header field behind others");
            }
            let kept = self.keep(value);
            let place = match pseudo {
                b"method" => &mut self.method,
                b"scheme" => &mut self.scheme,
                b"authority" => &mut self.authority,
                b"path" => &mut self.path,
                _ => return Err("an unknown pseudo-header field"),
            };
            return match place.replace(kept) {
                None => Ok(()),
                Some(_) => Err("a pseudo-header field twice"),
            };
        }
        if !bytes::is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
            return Err("a field name that is no lower-case token");
        }
        if OF_CONNECTIONS.contains(&name) || name == b"te" && value != b"trailers" {
            return Err("a field of the connection");
        }
        if name == b"cookie" {
            if !self.cookie.is_empty() {
                self.cookie.extend_from_slice(b"; ");
            }
            self.cookie.extend_from_slice(value);
            return Ok(());
        }
        let field = (self.keep(name), self.keep(value));
        self.fields.push(field);
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn text(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.fields.iter().map(|(name, value)| (self.text(name), self.text(value)));
        let cookie = (!self.cookie.is_empty()).then_some((&b"cookie"[..], &*self.cookie));
        fields.chain(cookie)
    }

    /// Makes the head of a request of them. Returns how long its body is; without a length and with a
    /// body to come (`ends` is false) that is not known.
    ///
    /// # Errors
    /// They are no request, or one that is refused.
    pub fn request(&self, ends: bool, head: &mut RequestHead) -> Result<BodyLength, HeadError> {
        if let Some(why) = self.malformed {
            return Err(HeadError::Malformed(why));
        }
        if self.is_too_long() {
            let error = HttpError::fatal(Status::HEADER_FIELDS_TOO_LARGE, "head too long");
            return Err(HeadError::Refused(error));
        }
        let method = self.method.as_ref().map(|range| self.text(range));
        let method = method.ok_or(HeadError::Malformed("no :method"))?;
        let authority = self.authority()?;
        let target = self.target(method, authority)?;
        let host = authority.map(|authority| (&b"host"[..], authority));
        let others = self.pairs().filter(|(name, _)| *name != b"host");
        head.assemble(method, target, Version::Http2, host.into_iter().chain(others))
            .map_err(HeadError::Refused)?;
        self.body_length(ends, head)
    }

    /// Whether they may end a body (RFC 9113 §8.1).
    ///
    /// # Errors
    /// They are no trailers.
    pub fn check_trailers(&self) -> Result<(), HeadError> {
        let pseudo = [&self.method, &self.scheme, &self.authority, &self.path];
        if pseudo.into_iter().any(Option::is_some) {
            return Err(HeadError::Malformed("a pseudo-header field in trailers"));
        }
        match self.malformed {
            Some(why) => Err(HeadError::Malformed(why)),
            None if self.is_too_long() => Err(HeadError::Malformed("trailers that are too long")),
            None => Ok(()),
        }
    }

    /// What `:authority` says, which `Host` must not contradict (RFC 9113 §8.3.1).
    fn authority(&self) -> Result<Option<&[u8]>, HeadError> {
        let mut hosts = self.pairs().filter(|(name, _)| *name == b"host").map(|(_, value)| value);
        let (host, second) = (hosts.next(), hosts.next());
        let authority = self.authority.as_ref().map(|range| self.text(range));
        match (authority, host) {
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                Err(HeadError::Malformed(":authority and host differ"))
            }
            _ if second.is_some() => Err(HeadError::Malformed("host twice")),
            (authority, host) => Ok(authority.or(host)),
        }
    }

    fn target<'s>(
        &'s self,
        method: &[u8],
        authority: Option<&'s [u8]>,
    ) -> Result<&'s [u8], HeadError> {
        let (scheme, path) = (self.scheme.as_ref(), self.path.as_ref());
        if method == b"CONNECT" {
            return match (scheme, path, authority) {
                (None, None, Some(authority)) => Ok(authority),
                _ => Err(HeadError::Malformed("CONNECT with a path or without an authority")),
            };
        }
        let scheme = scheme.map(|range| self.text(range));
        if scheme.is_none_or(|scheme| scheme != b"https" && scheme != b"http") {
            return Err(HeadError::Malformed("no :scheme that we know"));
        }
        match path.map(|range| self.text(range)) {
            Some(path) if path.starts_with(b"/") || path == b"*" && method == b"OPTIONS" => {
                Ok(path)
            }
            _ => Err(HeadError::Malformed("no :path of a request")),
        }
    }

    fn body_length(&self, ends: bool, head: &RequestHead) -> Result<BodyLength, HeadError> {
        let lengths = self.pairs().filter(|(name, _)| *name == b"content-length").count();
        let length = match (lengths, head.get(Known::ContentLength)) {
            (0, _) | (_, None) => None,
            (1, Some(text)) => match bytes::parse_u64(text) {
                Some(length) => Some(length),
                None => return Err(HeadError::Malformed("a content-length that is no number")),
            },
            _ => return Err(HeadError::Malformed("content-length twice")),
        };
        match (ends, length) {
            (true, Some(1..)) => Err(HeadError::Malformed("a content-length and no body")),
            (true, _) => Ok(BodyLength::None),
            (false, Some(length)) => Ok(BodyLength::Length(length)),
            (false, None) => Ok(BodyLength::Unknown),
        }
    }
}

/// Whether the client waits to be told before it sends a body of this length (RFC 9110 §10.1.1).
pub fn expects_continue(head: &RequestHead, length: BodyLength) -> bool {
    let expect = head.get(Known::Expect).unwrap_or_default();
    expect.eq_ignore_ascii_case(b"100-continue") && !length.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;
    use proptest::prelude::*;

    const GET: &[(&str, &str)] =
        &[(":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "h.example")];

    fn made(fields: &[(&str, &str)], ends: bool) -> Result<(RequestHead, BodyLength), HeadError> {
        let (mut all, mut head) = (Fields::default(), RequestHead::default());
        fields.iter().for_each(|(name, value)| all.push(name.as_bytes(), value.as_bytes()));
        all.request(ends, &mut head).map(|length| (head, length))
    }

    fn with<'f>(more: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
        [GET, more].concat()
    }

    #[test]
    fn a_request_is_a_head() {
        let more = [("accept", "*/*"), ("cookie", "a=1"), ("host", "H.example"), ("cookie", "b=2")];
        let (head, length) = made(&with(&more), true).unwrap();
        assert_eq!((head.method(), head.version()), (Method::Get, Version::Http2));
        assert_eq!((head.raw_path(), head.query()), (&b"/a"[..], Some(&b"b"[..])));
        assert_eq!(head.authority(), Some(&b"h.example"[..]));
        assert_eq!(head.get(Known::Cookie), Some(&b"a=1; b=2"[..]));
        assert_eq!(length, BodyLength::None);
    }

    #[test]
    fn bodies_are_announced_or_not() {
        let of = |more, ends| made(&with(more), ends).map(|(_, length)| length);
        assert_eq!(of(&[], false).unwrap(), BodyLength::Unknown);
        assert_eq!(of(&[("content-length", "5")], false).unwrap(), BodyLength::Length(5));
        assert_eq!(of(&[("content-length", "0")], true).unwrap(), BodyLength::None);
        for (more, ends) in [
            (&[("content-length", "5")][..], true),
            (&[("content-length", "x")], false),
            (&[("content-length", "5"), ("content-length", "5")], false),
        ] {
            assert!(matches!(of(more, ends), Err(HeadError::Malformed(_))), "{more:?}");
        }
    }

    #[test]
    fn what_is_malformed() {
        for fields in [
            vec![],
            GET[1..].to_vec(),
            [&GET[..1], &GET[2..]].concat(),
            [&GET[..2], &GET[3..]].concat(),
            with(&[(":method", "GET")]),
            with(&[(":status", "200")]),
            with(&[("a", "b"), (":extra", "x")]),
            [&[("a", "b")], GET].concat(),
            with(&[("Accept", "x")]),
            with(&[("", "x")]),
            with(&[("a b", "x")]),
            with(&[("a", " x")]),
            with(&[("a", "x\t")]),
            with(&[("a", "x\r\ny: z")]),
            with(&[("a", "x\0")]),
            with(&[("connection", "close")]),
            with(&[("transfer-encoding", "chunked")]),
            with(&[("upgrade", "h2c")]),
            with(&[("te", "gzip")]),
            with(&[("host", "other")]),
            with(&[("host", "h.example"), ("host", "h.example")]),
            vec![(":method", "GET"), (":scheme", "https"), (":path", ""), (":authority", "h")],
            vec![(":method", "GET"), (":scheme", "https"), (":path", "*"), (":authority", "h")],
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "http://h/"),
                (":authority", "h"),
            ],
            vec![(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "h")],
            vec![
                (":method", "CONNECT"),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", "h:1"),
            ],
        ] {
            assert!(matches!(made(&fields, true), Err(HeadError::Malformed(_))), "{fields:?}");
        }
        assert!(made(&with(&[("te", "trailers")]), true).is_ok());
        assert!(made(&[(":method", "CONNECT"), (":authority", "h:1")], true).is_ok());
    }

    #[test]
    fn what_is_too_long_is_answered() {
        let long = "x".repeat(SIZE_MAX);
        assert!(matches!(made(&with(&[("a", &long)]), true), Err(HeadError::Refused(error))
            if error.status == Status::HEADER_FIELDS_TOO_LARGE));
    }

    proptest! {
        /// Whatever comes, no line can be split.
        #[test]
        fn nothing_splits_a_line(
            fields in proptest::collection::vec(("[a-zA-Z:\\r\\n ]{0,6}", "[ -~\\r\\n\\t\\x00]{0,8}"), 0..6),
        ) {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            if let Ok((head, _)) = made(&with(&fields), true) {
                for (name, value) in head.fields() {
                    prop_assert!(bytes::is_token(name));
                    prop_assert!(value.iter().all(|byte| bytes::is_field_byte(*byte)));
                }
            }
        }
    }
}
