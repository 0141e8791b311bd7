//! Bytes to a request head (RFC 9112 §2 to §5), strictly.
//!
//! The request line is read here, the header lines by httparse; around it a pass of our own over
//! the line ends. Called again with more bytes until the head is complete; whatever is surely
//! wrong is refused at once, without waiting for the end. The verdict does not depend on how the
//! bytes were cut.

use super::limits::{EMPTY_LINES_MAX, HeadLimits};
use crate::http::head::{FIELDS_MAX, HEAD_MAX, RequestLine};
use crate::http::{HttpError, RequestHead, Span, Status, Version, bytes};
use memchr::{memchr, memchr_iter};

/// What came of looking for a head.
#[derive(Debug)]
pub enum Parsed {
    /// Not there yet: call again with more bytes.
    Partial,
    /// The head and so many bytes of the buffer, leading empty lines included, are taken.
    Complete(usize),
    /// Not a request to be answered otherwise; always fatal. The head then holds no more than its
    /// request line, for the log.
    Refused(HttpError),
}

/// Looks for a head at the start of `buf`.
///
/// `scanned`: how many bytes of `buf` an earlier call that returned `Partial` has looked at, so
/// that a head sent byte by byte does not cost the square of its length; 0 at first.
/// Only when the result is `Complete` does `head` (which is cleared first) hold a request.
pub fn parse(buf: &[u8], scanned: usize, limits: &HeadLimits, head: &mut RequestHead) -> Parsed {
    match read_head(buf, scanned, limits, head) {
        Ok(Some(consumed)) => Parsed::Complete(consumed),
        Ok(None) => Parsed::Partial,
        Err(error) => {
            keep_request_line(buf, limits, head);
            Parsed::Refused(error)
        }
    }
}

fn read_head(
    buf: &[u8],
    scanned: usize,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Option<usize>, HttpError> {
    let Some(text) = skip_empty_lines(buf)? else { return Ok(None) };
    let skipped = buf.len() - text.len();
    let size_max = limits.head.min(HEAD_MAX);
    let text_max = text.get(..size_max).unwrap_or(text);

    let Some(line) = find_request_line(text_max, size_max, limits)? else { return Ok(None) };
    let line_end = line.len() + 2;
    let line = read_request_line(line)?;
    let scanned = scanned.saturating_sub(skipped).max(line_end);
    let Some(end) = find_blank_line(text_max, scanned)? else {
        return if text_max.len() == size_max {
            Err(HttpError::fatal(Status::HEADER_FIELDS_TOO_LARGE, "head too long"))
        } else {
            Ok(None)
        };
    };

    let text = text.get(..end).unwrap_or_default();
    head.begin(text, line);
    read_fields(text, line_end, limits, head)?;
    head.check_host()?;
    Ok(Some(skipped + end))
}

/// What begins with the request line; `None` if nothing of it is there yet (RFC 9112 §2.2).
fn skip_empty_lines(buf: &[u8]) -> Result<Option<&[u8]>, HttpError> {
    let mut rest = buf;
    for _ in 0..=EMPTY_LINES_MAX {
        match rest {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', after @ ..] => rest = after,
            [first, ..] if bytes::is_tchar(*first) => return Ok(Some(rest)),
            [0x16, ..] => return Err(HttpError::bad_request("TLS on a port for plain HTTP")),
            _ => return Err(HttpError::bad_request("does not begin with a method")),
        }
    }
    Err(HttpError::bad_request("too many empty lines before the request line"))
}

/// The request line without its CRLF.
fn find_request_line<'b>(
    text: &'b [u8],
    size_max: usize,
    limits: &HeadLimits,
) -> Result<Option<&'b [u8]>, HttpError> {
    let window_max = limits.request_line.saturating_add(2).min(size_max);
    let window = text.get(..window_max).unwrap_or(text);
    match memchr(b'\n', window) {
        Some(lf) => match window.get(..lf).and_then(|line| line.strip_suffix(b"\r")) {
            Some(line) => Ok(Some(line)),
            None => Err(bare_lf()),
        },
        None if window.len() == window_max => {
            Err(HttpError::fatal(Status::URI_TOO_LONG, "request line too long"))
        }
        None => Ok(None),
    }
}

/// The length of the head with its blank line. Also refuses the first line end without a CR.
/// `from` is the end of the request line, or how far an earlier call has come.
fn find_blank_line(text: &[u8], from: usize) -> Result<Option<usize>, HttpError> {
    for lf in memchr_iter(b'\n', text.get(from..).unwrap_or_default()) {
        let lf = from + lf;
        match text.get(lf.saturating_sub(2)..lf) {
            // Every LF up to here had its CR.
            Some(b"\n\r") => return Ok(Some(lf + 1)),
            Some([_, b'\r']) => {}
            _ => return Err(bare_lf()),
        }
    }
    Ok(None)
}

fn bare_lf() -> HttpError {
    HttpError::bad_request("line ends with LF alone")
}

/// RFC 9112 §3, with exactly one space between the parts.
fn read_request_line(line: &[u8]) -> Result<RequestLine, HttpError> {
    let (method, rest) = split_at_space(line)
        .ok_or_else(|| HttpError::bad_request("request line without a target"))?;
    if !bytes::is_token(method) {
        return Err(HttpError::bad_request("method is not a token"));
    }
    let (target, version) = split_at_space(rest)
        .ok_or_else(|| HttpError::bad_request("request line without a version"))?;
    // Before the method and the target, so that the HTTP/2 preface `PRI * HTTP/2.0` gets 505.
    let version = read_version(version)?;
    RequestLine::new(method, target, version)
}

fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', text)?;
    Some((text.get(..space)?, text.get(space + 1..)?))
}

fn read_version(text: &[u8]) -> Result<Version, HttpError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        // A later minor version is answered as the highest that is understood (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HttpError::fatal(Status::VERSION_NOT_SUPPORTED, "a version other than HTTP/1"))
        }
        _ => Err(HttpError::bad_request("bad version in the request line")),
    }
}

/// Reads the lines from `start` to the end of `text`.
fn read_fields(
    text: &[u8],
    start: usize,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HttpError> {
    let lines = text.get(start..).unwrap_or_default();
    // The blank line is not one.
    match memchr_iter(b'\n', lines).count().saturating_sub(1) {
        count if count > limits.count.min(FIELDS_MAX) => Err(too_many_fields()),
        0 => Ok(()),
        // Clearing a small array costs less than what it saves; most clients send a dozen.
        1..=24 => read_lines::<24>(text, lines, head),
        _ => read_lines::<FIELDS_MAX>(text, lines, head),
    }
}

fn too_many_fields() -> HttpError {
    HttpError::fatal(Status::HEADER_FIELDS_TOO_LARGE, "too many header lines")
}

fn read_lines<const N: usize>(
    text: &[u8],
    lines: &[u8],
    head: &mut RequestHead,
) -> Result<(), HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; N];
    let headers = match httparse::parse_headers(lines, &mut headers) {
        Ok(httparse::Status::Complete((len, headers))) if len == lines.len() => headers,
        Ok(_) => return Err(HttpError::bad_request("bad header section")),
        Err(httparse::Error::TooManyHeaders) => return Err(too_many_fields()),
        Err(httparse::Error::HeaderValue) => {
            return Err(HttpError::bad_request("control byte in a header value"));
        }
        Err(_) => return Err(HttpError::bad_request("bad header name")),
    };
    for header in headers {
        if header.name.is_empty() {
            return Err(HttpError::bad_request("empty header name"));
        }
        head.push_field(span_within(text, header.name.as_bytes()), span_within(text, header.value));
    }
    Ok(())
}

/// Where `part`, a slice of `text`, lies in it.
fn span_within(text: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return Span::default(); // httparse has it point elsewhere
    }
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    debug_assert!(start + part.len() <= text.len());
    Span::new(start..start + part.len())
}

/// So that the log can say what was refused.
#[cold]
fn keep_request_line(buf: &[u8], limits: &HeadLimits, head: &mut RequestHead) {
    let is_line_end = |b: &u8| matches!(b, b'\r' | b'\n');
    let line = buf.iter().copied().skip_while(is_line_end).take_while(|b| !is_line_end(b));
    head.keep_line(line.take(limits.request_line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Known, Method};
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits { request_line: 60, head: 240, count: 5 };

    /// A verdict that can be compared: the taken bytes and all that is known of the head, or a
    /// status.
    #[derive(Debug, PartialEq)]
    enum Verdict {
        Partial,
        Complete(usize, String),
        Refused(u16),
    }

    fn verdict(buf: &[u8], scanned: usize, head: &mut RequestHead) -> Verdict {
        match parse(buf, scanned, &LIMITS, head) {
            Parsed::Partial => Verdict::Partial,
            Parsed::Complete(n) => Verdict::Complete(n, format!("{head:?}")),
            Parsed::Refused(error) => {
                assert!(error.close, "{error}");
                Verdict::Refused(error.status.code())
            }
        }
    }

    /// The verdict on bytes that arrive in pieces that end at `cuts`.
    fn verdict_in_pieces(text: &[u8], cuts: impl IntoIterator<Item = usize>) -> Verdict {
        let mut head = RequestHead::default();
        let mut scanned = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            match verdict(&text[..cut], scanned, &mut head) {
                Verdict::Partial => scanned = cut,
                decided => return decided,
            }
        }
        Verdict::Partial
    }

    fn assert_same_in_pieces(text: &[u8]) {
        let whole = verdict_in_pieces(text, []);
        assert_eq!(
            verdict_in_pieces(text, 0..text.len()),
            whole,
            "bytes of {}",
            text.escape_ascii()
        );
        for cut in 0..text.len() {
            assert_eq!(verdict_in_pieces(text, [cut]), whole, "{cut}: {}", text.escape_ascii());
        }
    }

    /// Heads that are taken.
    const GOOD: [&[u8]; 16] = [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        b"GET /\xc3\xa4?\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a/b?c=d HTTP/1.1\r\nHost: h:80\r\nAccept:*/*\r\nX-Y: \t a b \t\r\n\r\n",
        b"HEAD http://h/x?y HTTP/1.1\r\nhost: other\r\n\r\n",
        b"GET http://h HTTP/1.1\r\nhost: other\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nEmpty:\r\nObs: \xe4\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nE: \r\n\r\nGET /next HTTP/1.1\r\n",
        b"PUT /%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n\n\nx",
        b"GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n",
        b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: h\r\n\r\n",
    ];

    /// Heads that are refused, with the status.
    const BAD: [(u16, &[u8]); 60] = [
        // line ends
        (400, b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\n\n"),
        (400, b"GET / HTTP/1.1\r\n\n"),
        (400, b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n"),
        (400, b"GET /\rHTTP/1.1\r\nHost: h\r\n\r\n"),
        // request line
        (400, b"\x16\x03\x01\x02\x00"),
        (400, b" GET / HTTP/1.1\r\n"),
        (400, b"\0"),
        (400, b"GET /\r\n"),
        (400, b"GET\r\n"),
        (400, b"G(T / HTTP/1.1\r\n"),
        (400, b"GET  / HTTP/1.1\r\n"),
        (400, b"GET /  HTTP/1.1\r\n"),
        (400, b"GET / HTTP/1.1 \r\n"),
        (400, b"GET\t/\tHTTP/1.1\r\n"),
        (400, b"GET / HTTP/1\r\n"),
        (400, b"GET / http/1.1\r\n"),
        (400, b"GET / HTTP/1.10\r\n"),
        (505, b"GET / HTTP/2.0\r\n"),
        (400, b"GET / HTTP/01.1\r\n"),
        (400, b"GET / HTTP/1.01\r\n"),
        (400, b"GET / HTTP/1.\r\n"),
        (400, b"GET / HTTP/.1\r\n"),
        (400, b"GET / HTTP/1,2\r\n"),
        (400, b"GET / HTTP/1.a\r\n"),
        (400, b"GET / HTTP/+.1\r\n"),
        (400, b"GET /a b HTTP/1.1\r\n"),
        (400, b"GET /\x7f HTTP/1.1\r\n"),
        (400, b"GET http://h\xc3\xa4/ HTTP/1.1\r\n"),
        (400, b"GET * HTTP/1.1\r\n"),
        (400, b"GET /#a HTTP/1.1\r\n"),
        (501, b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n"),
        (505, b"PRI * HTTP/2.0\r\n"),
        (505, b"GET / HTTP/3.1\r\n"),
        (505, b"GET / HTTP/0.9\r\n"),
        (414, &[b'a'; 62]),
        (414, b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
        // header lines
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX\0: 1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nX: \x0b1\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\n\r\n"),
        // Host
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
        (400, b"GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: :\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
        (400, b"GET http://h/ HTTP/1.1\r\n\r\n"),
    ];

    #[test]
    fn good_heads() {
        for text in GOOD {
            let got = verdict_in_pieces(text, []);
            assert!(matches!(got, Verdict::Complete(..)), "{}: {got:?}", text.escape_ascii());
            assert_same_in_pieces(text);
        }
    }

    #[test]
    fn bad_heads() {
        for (status, text) in BAD {
            let got = verdict_in_pieces(text, []);
            assert_eq!(got, Verdict::Refused(status), "{}", text.escape_ascii());
            assert_same_in_pieces(text);
        }
    }

    #[test]
    fn a_head_as_long_as_allowed() {
        let head = |size: usize| {
            let rest = size - "GET / HTTP/1.0\r\nX: \r\n\r\n".len();
            format!("GET / HTTP/1.0\r\nX: {}\r\n\r\n", "a".repeat(rest))
        };
        let taken = verdict_in_pieces(head(LIMITS.head).as_bytes(), []);
        assert!(matches!(taken, Verdict::Complete(..)), "{taken:?}");
        let too_long = head(LIMITS.head + 1);
        assert_eq!(verdict_in_pieces(too_long.as_bytes(), []), Verdict::Refused(431));
        assert_same_in_pieces(too_long.as_bytes());
        assert_eq!(
            verdict_in_pieces(&too_long.as_bytes()[..LIMITS.head], []),
            Verdict::Refused(431)
        );
    }

    #[test]
    fn what_a_head_holds() {
        let text = b"\r\nGET http://H:8/a?b HTTP/1.1\r\nHost: x\r\nA:  1 \r\nConnection: c\r\n\
            a: 2\r\n\r\nZ";
        let mut head = RequestHead::default();
        let parsed = parse(text, 0, &LIMITS, &mut head);
        assert!(matches!(parsed, Parsed::Complete(n) if n == text.len() - 1), "{parsed:?}");
        assert_eq!((head.method(), head.version()), (Method::Get, Version::Http11));
        assert_eq!((head.method_text(), head.target()), (&b"GET"[..], &b"http://H:8/a?b"[..]));
        assert_eq!((head.raw_path(), head.query()), (&b"/a"[..], Some(&b"b"[..])));
        assert_eq!((head.authority(), head.get(Known::Host)), (Some(&b"H:8"[..]), Some(&b"x"[..])));
        assert_eq!(
            (head.find("A"), head.get(Known::Connection)),
            (Some(&b"1"[..]), Some(&b"c"[..]))
        );
        assert_eq!((head.get(Known::Accept), head.fields().count()), (None, 4));
        assert_eq!(head.request_line(), b"GET http://H:8/a?b HTTP/1.1");
        assert!(head.has_plain_path());
        parse(b"GET / HTTP/1.7\r\nHost: h\r\n\r\n", 0, &LIMITS, &mut head);
        assert_eq!(head.version(), Version::Http11);
        // The next request leaves nothing of it.
        parse(b"PUT /. HTTP/1.0\r\n\r\n", 0, &LIMITS, &mut head);
        assert_eq!((head.method(), head.raw_path(), head.query()), (Method::Put, &b"/."[..], None));
        assert_eq!((head.authority(), head.fields().count()), (None, 0));
        assert!(!head.has_plain_path());
    }

    #[test]
    fn a_refused_head_keeps_its_line_for_the_log() {
        let mut head = RequestHead::default();
        parse(b"\r\nGET / HTTP/9.9\r\nHost: h\r\n", 0, &LIMITS, &mut head);
        assert_eq!(head.request_line(), b"GET / HTTP/9.9");
        parse(&[0x16; 1000], 0, &LIMITS, &mut head);
        assert_eq!(head.request_line().len(), LIMITS.request_line);
    }

    #[test]
    fn every_byte_in_names_and_values() {
        let taken = |text: &[u8]| matches!(verdict_in_pieces(text, []), Verdict::Complete(..));
        for byte in 0..=u8::MAX {
            let name = [b"GET / HTTP/1.0\r\na", &[byte][..], b"b: 1\r\n\r\n"].concat();
            assert_eq!(taken(&name), bytes::is_tchar(byte) || byte == b':', "name {byte:#x}");
            let value = [b"GET / HTTP/1.0\r\na: b", &[byte][..], b"c\r\n\r\n"].concat();
            assert_eq!(taken(&value), bytes::is_field_byte(byte), "value {byte:#x}");
            let first = [&[byte][..], b"GET / HTTP/1.0\r\n\r\n"].concat();
            assert_eq!(taken(&first), bytes::is_tchar(byte), "first {byte:#x}");
            let path = [b"GET /", &[byte][..], b" HTTP/1.0\r\n\r\n"].concat();
            // What a path may not have is said when it is normalised.
            let good = matches!(byte, 0x21..=0x7e | 0x80..) && byte != b'#';
            assert_eq!(taken(&path), good, "path {byte:#x}");
        }
    }

    #[test]
    fn as_many_lines_as_can_be_numbered() {
        let limits = HeadLimits { count: 1000, ..HeadLimits::default() };
        for (count, want) in [(24, true), (25, true), (255, true), (256, false)] {
            let text =
                format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(count - 1) + "Host: h\r\n");
            let mut head = RequestHead::default();
            let parsed = parse(text.as_bytes(), 0, &limits, &mut head);
            assert_eq!(matches!(parsed, Parsed::Complete(_)), want, "{count}: {parsed:?}");
            assert!(!want || head.get(Known::Host) == Some(b"h"), "{count}");
        }
    }

    proptest! {
        /// A good head with a few bytes changed: no panic, and no cut makes a difference.
        #[test]
        fn cuts_make_no_difference(
            which in 0..GOOD.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut text = GOOD[which].to_vec();
            for (at, byte) in changes {
                let at = at.index(text.len());
                text[at] = b"\r\n\0 :\t"[..].get(usize::from(byte)).copied().unwrap_or(byte);
            }
            let mut cuts: Vec<_> = cuts.drain(..).map(|cut| cut.index(text.len())).collect();
            cuts.sort_unstable();
            prop_assert_eq!(verdict_in_pieces(&text, cuts), verdict_in_pieces(&text, []));
        }
    }
}
