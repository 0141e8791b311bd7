//! Heads of responses, to bytes.

use crate::http::{StatusLine, Version};

/// Lets a client that asked first send its body (RFC 9110 §10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// `HTTP/1.1 404 Not Found` and CRLF. Always 1.1: it says what the server understands, not what the
/// client asked with (RFC 9110 §2.5).
pub fn status_line<'s>(line: impl Into<StatusLine<'s>>, head: &mut Vec<u8>) {
    let line = line.into();
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(itoa::Buffer::new().format(line.status().code()).as_bytes());
    head.push(b' ');
    head.extend_from_slice(line.reason());
    head.extend_from_slice(b"\r\n");
}

/// How a head says where the body ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLine {
    /// `Content-Length`
    Length(u64),
    /// `Transfer-Encoding: chunked`
    Chunked,
    /// Nothing: there is none, or it ends with the connection.
    None,
}

/// The line that says where the body ends.
pub fn body_line(line: BodyLine, head: &mut Vec<u8>) {
    match line {
        BodyLine::Length(length) => {
            head.extend_from_slice(b"Content-Length: ");
            head.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        BodyLine::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyLine::None => {}
    }
}

/// The end of a head: the `Connection` line, where it has to be said to a client of this `version`, and
/// the blank line (RFC 9112 §9.3).
pub fn connection_lines(persistent: bool, version: Version) -> &'static [u8] {
    match (persistent, version) {
        (true, Version::Http11 | Version::Http2) => b"\r\n",
        (true, Version::Http10) => b"Connection: keep-alive\r\n\r\n",
        (false, _) => b"Connection: close\r\n\r\n",
    }
}
