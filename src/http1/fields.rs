//! Header lines of a response that is passed on: which belong to it, and which to the connection that it
//! came by (RFC 9110 §7.6.1, SECURITY 12).

use crate::http::bytes::{is_field_byte, is_token, parse_u64};

/// What becomes of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// It is passed on.
    Keep,
    /// It is left out: it is about a connection the program knows nothing of, or ours to say.
    Drop,
    /// It says how long the body is: read, and not passed on. `None`: what it says is no number.
    ContentLength(Option<u64>),
    /// It says how the body is framed: read, and not passed on.
    TransferEncoding,
}

/// What a name and a trimmed value are. `None`: no header line at all; a response with such a line
/// is refused, for it was meant to be something else.
pub fn judge(name: &[u8], value: &[u8]) -> Option<Field> {
    if !is_token(name) || !value.iter().copied().all(is_field_byte) {
        return None;
    }
    let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
    Some(if is(&"Content-Length") {
        Field::ContentLength(parse_u64(value))
    } else if is(&"Transfer-Encoding") {
        Field::TransferEncoding
    } else if DROPPED.iter().any(is) {
        Field::Drop
    } else {
        Field::Keep
    })
}

/// `Date` and `Server` are the server's to say, the others are of one connection only.
const DROPPED: [&str; 9] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "TE",
    "Trailer",
    "Upgrade",
    "Date",
    "Server",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_judged() {
        for (name, value, want) in [
            ("Content-Type", &b"text/html"[..], Some(Field::Keep)),
            ("Set-Cookie", b"a=1; Path=/", Some(Field::Keep)),
            ("X-Empty", b"", Some(Field::Keep)),
            ("X-Latin", b"caf\xe9", Some(Field::Keep)),
            ("content-LENGTH", b"1", Some(Field::ContentLength(Some(1)))),
            ("Content-Length", b"1, 1", Some(Field::ContentLength(None))),
            ("Transfer-Encoding", b"chunked", Some(Field::TransferEncoding)),
            ("connection", b"close", Some(Field::Drop)),
            ("Keep-Alive", b"x", Some(Field::Drop)),
            ("date", b"x", Some(Field::Drop)),
            ("X-A", b"1\r\nX-B: 2", None),
            ("X-A", b"1\n", None),
            ("X-A", b"\0", None),
            ("X-A ", b"1", None),
            ("X:A", b"1", None),
            ("", b"1", None),
        ] {
            assert_eq!(judge(name.as_bytes(), value), want, "{name} {value:?}");
        }
    }
}
