//! The head of a response, from bytes: what a server or a script says before its body (RFC 9112 §4,
//! RFC 3875 §6). Pure.

use super::fields::{Field, judge};
use super::limits::{RESPONSE_HEAD_MAX, RESPONSE_LINES_MAX};
use crate::http::bytes::{parse_u64, trim};
use crate::http::{Headers, Status};

/// What came of looking for a head.
#[derive(Debug, PartialEq, Eq)]
pub enum ParsedResponse {
    /// Not there yet: call again with more bytes.
    Partial,
    /// It is complete; the body begins after so many bytes.
    Complete(ResponseHead, usize),
    /// It is no head; why, for the log.
    Refused(&'static str),
}

/// The head of a response, without what is of one connection only.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// What its status line says, if it has one: servers send one, scripts may.
    pub status: Option<SaidStatus>,
    /// The header lines that are passed on.
    pub headers: Headers,
    /// The length of the body, if it is said.
    pub length: Option<u64>,
    /// A `Transfer-Encoding` is said.
    pub is_coded: bool,
}

/// A status, and the phrase that was said of it.
pub type SaidStatus = (Status, Vec<u8>);

/// Why a line that may stand once is refused the second time.
pub const TWICE: &str = "a line of its header comes twice";

const TOO_LONG: &str = "its header does not end within 32 KiB";

/// Reads the head at the front of `text`, of which `scanned` bytes have been given before.
pub fn parse(text: &[u8], scanned: usize) -> ParsedResponse {
    let Some(end) = blank_line(text, scanned) else {
        return match text.len() {
            0..RESPONSE_HEAD_MAX => ParsedResponse::Partial,
            _ => ParsedResponse::Refused(TOO_LONG),
        };
    };
    if end > RESPONSE_HEAD_MAX {
        return ParsedResponse::Refused(TOO_LONG);
    }
    match read_lines(text.get(..end).unwrap_or_default()) {
        Ok(head) => ParsedResponse::Complete(head, end),
        Err(why) => ParsedResponse::Refused(why),
    }
}

/// Where the body begins: after an empty line. Lines end in LF or CRLF (RFC 9112 §2.2, RFC 3875 §6.2).
fn blank_line(text: &[u8], scanned: usize) -> Option<usize> {
    // A blank line may have been cut anywhere in `\n\r\n`.
    let from = scanned.saturating_sub(2);
    if from == 0 {
        for blank in [&b"\n"[..], b"\r\n"] {
            if text.starts_with(blank) {
                return Some(blank.len());
            }
        }
    }
    memchr::memchr_iter(b'\n', text.get(from..)?).find_map(|at| {
        let after = from + at + 1;
        match text.get(after..)? {
            [b'\n', ..] => Some(after + 1),
            [b'\r', b'\n', ..] => Some(after + 2),
            _ => None,
        }
    })
}

fn read_lines(text: &[u8]) -> Result<ResponseHead, &'static str> {
    let mut head = ResponseHead::default();
    let lines = text.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut count = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        count += 1;
        if count > RESPONSE_LINES_MAX {
            return Err("its header has more than 200 lines");
        }
        match line.strip_prefix(b"HTTP/").filter(|_| count == 1) {
            Some(after) => {
                let space = memchr::memchr(b' ', after).ok_or("its status line has no status")?;
                head.status = Some(read_status(trim(after.get(space..).unwrap_or_default()))?);
            }
            None => head.take(line)?,
        }
    }
    if count == 0 { Err("it has no header") } else { Ok(head) }
}

impl ResponseHead {
    fn take(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let colon = memchr::memchr(b':', line).ok_or("a line of its header has no colon")?;
        let (name, value) = line.split_at(colon);
        let value = trim(value.get(1..).unwrap_or_default());
        match judge(name, value).ok_or("a line of its header is none")? {
            Field::Drop => {}
            Field::TransferEncoding => self.is_coded = true,
            Field::ContentLength(length) => {
                let length = length.ok_or("its Content-Length is no number")?;
                return once(self.length.replace(length).is_none());
            }
            Field::Keep => {
                // Names are tokens, so they are ASCII.
                self.headers.push(std::str::from_utf8(name).unwrap_or_default(), value);
            }
        }
        Ok(())
    }
}

/// Three digits, and perhaps words: `404 Not Found`.
///
/// # Errors
/// Why it is none.
pub fn read_status(value: &[u8]) -> Result<SaidStatus, &'static str> {
    const WHY: &str = "its status is none";
    let (digits, after) = value.split_at_checked(3).ok_or(WHY)?;
    if !matches!(after, [] | [b' ', ..]) {
        return Err(WHY);
    }
    let code = parse_u64(digits).and_then(|code| u16::try_from(code).ok()).ok_or(WHY)?;
    Ok((Status::new(code).ok_or(WHY)?, after.to_vec()))
}

/// An error for what may stand once.
///
/// # Errors
/// [`TWICE`], unless it `is_first`.
pub fn once(is_first: bool) -> Result<(), &'static str> {
    if is_first { Ok(()) } else { Err(TWICE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_servers() {
        for (text, status, phrase, lines, length, is_coded) in [
            ("HTTP/1.1 200 OK\r\n\r\n", 200, " OK", "", None, false),
            ("HTTP/1.0 404\r\nX-A:\tb \r\n\r\n", 404, "", "X-A: b\r\n", None, false),
            ("HTTP/1.1 100 Continue\n\n", 100, " Continue", "", None, false),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nStatus: x\r\n\r\n",
                200,
                " OK",
                "Status: x\r\n",
                Some(3),
                false,
            ),
            (
                "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
                200,
                "",
                "",
                None,
                true,
            ),
        ] {
            let headers = Headers::of_lines(lines.as_bytes());
            let status = Some((Status::new(status).unwrap(), phrase.as_bytes().to_vec()));
            let head = ResponseHead { status, headers, length, is_coded };
            assert_eq!(parse(text.as_bytes(), 0), ParsedResponse::Complete(head, text.len()));
        }
    }

    #[test]
    fn responses_in_pieces() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        let whole = parse(text, 0);
        for cut in 0..text.len() {
            let parsed = match parse(&text[..cut], 0) {
                ParsedResponse::Partial => parse(text, cut),
                early => early,
            };
            assert_eq!(parsed, whole, "{cut}");
        }
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for text in [
            "\n",
            "HTTP/1.1\n\n",
            "HTTP/1.1 20\n\n",
            "HTTP/1.1 2000\n\n",
            "HTTP/1.1 200 OK\nHTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\nA\n\n",
            "HTTP/1.1 200 OK\nA: b\n c\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 1, 1\n\n",
        ] {
            let parsed = parse(text.as_bytes(), 0);
            assert!(matches!(parsed, ParsedResponse::Refused(_)), "{text:?}: {parsed:?}");
        }
    }
}
