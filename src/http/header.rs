//! Request header names that this server looks at, and reading of list values.

/// A header this server asks for by number rather than by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is its name
pub enum Known {
    Host,
    Connection,
    ContentLength,
    TransferEncoding,
    Expect,
    Upgrade,
    IfMatch,
    IfNoneMatch,
    IfModifiedSince,
    IfUnmodifiedSince,
    IfRange,
    Range,
    Accept,
    AcceptEncoding,
    UserAgent,
    Referer,
    ContentType,
    ContentRange,
    Authorization,
    Cookie,
}

impl Known {
    /// How many there are: the size of an index by `Known`.
    pub const COUNT: usize = Self::Cookie as usize + 1;

    /// The header of that name, compared without case; `None` for one nobody here asks for.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        let candidate = |known: Self, text: &str| is(text).then_some(known);
        match name.len() {
            4 => candidate(Self::Host, "host"),
            5 => candidate(Self::Range, "range"),
            6 => match name[0] | 0x20 {
                b'a' => candidate(Self::Accept, "accept"),
                b'e' => candidate(Self::Expect, "expect"),
                _ => candidate(Self::Cookie, "cookie"),
            },
            7 => match name[0] | 0x20 {
                b'u' => candidate(Self::Upgrade, "upgrade"),
                _ => candidate(Self::Referer, "referer"),
            },
            8 => match name[3] | 0x20 {
                b'm' => candidate(Self::IfMatch, "if-match"),
                _ => candidate(Self::IfRange, "if-range"),
            },
            10 => match name[0] | 0x20 {
                b'u' => candidate(Self::UserAgent, "user-agent"),
                _ => candidate(Self::Connection, "connection"),
            },
            12 => candidate(Self::ContentType, "content-type"),
            13 => match name[0] | 0x20 {
                b'i' => candidate(Self::IfNoneMatch, "if-none-match"),
                b'a' => candidate(Self::Authorization, "authorization"),
                _ => candidate(Self::ContentRange, "content-range"),
            },
            14 => candidate(Self::ContentLength, "content-length"),
            15 => candidate(Self::AcceptEncoding, "accept-encoding"),
            17 => match name[0] | 0x20 {
                b'i' => candidate(Self::IfModifiedSince, "if-modified-since"),
                _ => candidate(Self::TransferEncoding, "transfer-encoding"),
            },
            19 => candidate(Self::IfUnmodifiedSince, "if-unmodified-since"),
            _ => None,
        }
    }
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 §5.6.1).
/// Not for lists with quoted strings, which may hold commas.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(super::bytes::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (name, want) in [
            ("Host", Known::Host),
            ("connection", Known::Connection),
            ("CONTENT-LENGTH", Known::ContentLength),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Expect", Known::Expect),
            ("Upgrade", Known::Upgrade),
            ("If-Match", Known::IfMatch),
            ("If-None-Match", Known::IfNoneMatch),
            ("If-Modified-Since", Known::IfModifiedSince),
            ("If-Unmodified-Since", Known::IfUnmodifiedSince),
            ("If-Range", Known::IfRange),
            ("Range", Known::Range),
            ("Accept", Known::Accept),
            ("Accept-Encoding", Known::AcceptEncoding),
            ("User-Agent", Known::UserAgent),
            ("Referer", Known::Referer),
            ("Content-Type", Known::ContentType),
            ("Content-Range", Known::ContentRange),
            ("Authorization", Known::Authorization),
            ("Cookie", Known::Cookie),
        ] {
            assert_eq!(Known::from_name(name.as_bytes()), Some(want), "{name}");
        }
        for name in ["", "X", "Hosts", "Content_Length", "if-natch"] {
            assert_eq!(Known::from_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn lists() {
        let members: Vec<_> = list(b"close, , \tkeep-alive ,").collect();
        assert_eq!(members, [&b"close"[..], b"keep-alive"]);
    }
}
