//! The headers of an answer, kept as the bytes they will be sent as.

use super::bytes;
use std::borrow::Cow;

/// Outgoing header lines. Nothing that could split a response gets in: a name that is not a token
/// or a value with a control byte is not added (RFC 9110 §5.5; SECURITY 12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    lines: Vec<u8>,
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of lines that are parted by CRLF.
    #[cfg(test)]
    pub(crate) fn of_lines(lines: &[u8]) -> Self {
        let mut headers = Self::new();
        headers.extend(pairs(lines));
        headers
    }

    /// Adds one line. Returns whether name and value were acceptable; if not, nothing is added.
    pub fn push(&mut self, name: &str, value: &[u8]) -> bool {
        let clean = self.try_push(name, value);
        debug_assert!(clean || cfg!(test), "refused header {name}: {value:?}");
        clean
    }

    /// As `push`, for names and values that are not this program's own: to be refused is no mistake.
    pub fn try_push(&mut self, name: &str, value: &[u8]) -> bool {
        self.add(name.as_bytes(), value)
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        let clean = bytes::is_token(name) && value.iter().all(|b| bytes::is_field_byte(*b));
        if clean {
            self.lines.reserve(name.len() + value.len() + 4);
            self.lines.extend_from_slice(name);
            self.lines.extend_from_slice(b": ");
            self.lines.extend_from_slice(value);
            self.lines.extend_from_slice(b"\r\n");
        }
        clean
    }

    /// Removes all lines of `name`, compared without case.
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_none() {
            return;
        }
        let mut kept = Self::new();
        kept.extend(self.iter().filter(|(own, _)| !own.eq_ignore_ascii_case(name.as_bytes())));
        *self = kept;
    }

    /// Those that an answer of 304 has: without what describes the body that it does not have
    /// (RFC 9110 §15.4.5). Clients that take a `Content-Encoding` for that of the stored body break.
    pub fn without_representation(&self) -> Cow<'_, Self> {
        const LEFT_OUT: [&str; 6] = [
            "Content-Type",
            "Content-Encoding",
            "Content-Language",
            "Content-Length",
            "Content-Range",
            "Content-MD5",
        ];
        let is_left_out =
            |name: &[u8]| LEFT_OUT.iter().any(|out| name.eq_ignore_ascii_case(out.as_bytes()));
        if !self.iter().any(|(name, _)| is_left_out(name)) {
            return Cow::Borrowed(self);
        }
        let mut kept = Self::new();
        kept.extend(self.iter().filter(|(name, _)| !is_left_out(name)));
        Cow::Owned(kept)
    }

    /// The lines, each ended by CRLF; no blank line after them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.lines
    }

    /// Adds those of `lines` that are acceptable.
    pub fn extend<'l>(&mut self, lines: impl Iterator<Item = (&'l [u8], &'l [u8])>) {
        for (name, value) in lines {
            self.add(name, value);
        }
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: &Self) {
        self.lines.extend_from_slice(&other.lines);
    }

    /// The lines, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(&self.lines)
    }

    /// The first value of `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Names and values of `lines`, which are kept as [`Headers`] keeps them: what is none is left out.
pub fn pairs(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split_inclusive(|b| *b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r\n")?;
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], &line[colon + 2..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_a_body_is_left_out() {
        let lines = b"content-type: a/b\r\nETag: \"x\"\r\nContent-Encoding: gzip\r\nVary: a\r\n\
            Content-Language: de\r\nContent-Location: /a\r\nContent-Security-Policy: x\r\n\
            CONTENT-MD5: x\r\nLast-Modified: x\r\nCache-Control: x\r\nExpires: x\r\n";
        let headers = Headers::of_lines(lines);
        let kept = headers.without_representation();
        let names = kept.iter().map(|(name, _)| std::str::from_utf8(name).unwrap());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "ETag",
                "Vary",
                "Content-Location",
                "Content-Security-Policy",
                "Last-Modified",
                "Cache-Control",
                "Expires",
            ]
        );
    }

    #[test]
    fn nothing_that_splits_a_response_gets_in() {
        let mut headers = Headers::new();
        assert!(headers.push("X-A", b"1"));
        for (name, value) in [
            ("X-B", &b"1\r\nSet-Cookie: x"[..]),
            ("X-B", b"1\n"),
            ("X-B", b"\0"),
            ("X B", b"1"),
            ("X-B:", b"1"),
            ("", b"1"),
        ] {
            assert!(!headers.push(name, value), "{name} {value:?}");
        }
        assert_eq!(headers.as_bytes(), b"X-A: 1\r\n");
        assert_eq!(headers.get("x-a"), Some(&b"1"[..]));
        assert_eq!(headers.iter().count(), 1);
    }
}
