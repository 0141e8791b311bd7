//! Where a request ends: the single place of the rules against request smuggling (RFC 9112 §6.3).
//!
//! Stricter than the RFC where it leaves a choice: whatever another server on the way could have
//! read differently is refused, and the connection closed (SECURITY 2).

use crate::http::{BodyLength, HttpError, Known, RequestHead, Status, Version, bytes, list};

/// What a head says about the message and the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// What follows the head.
    pub body: BodyLength,
    /// Whether the client wants to go on with the connection (RFC 9112 §9.3).
    pub persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Reads the framing of a request. Every error is fatal. `Upgrade` is ignored, as a server may
/// (RFC 9110 §7.8).
pub fn frame(head: &RequestHead) -> Result<Framing, HttpError> {
    let body = body_length(head)?;
    Ok(Framing {
        body,
        persistent: is_persistent(head),
        expects_continue: expects_continue(head)? && !body.is_empty(),
    })
}

fn body_length(head: &RequestHead) -> Result<BodyLength, HttpError> {
    refuse_look_alikes(head)?;
    let coding = sole(head, Known::TransferEncoding, "several Transfer-Encoding lines")?;
    let length = sole(head, Known::ContentLength, "several Content-Length lines")?;
    match (coding, length) {
        // §6.3 rule 3 would let Transfer-Encoding win, and says that it ought to be an error.
        (Some(_), Some(_)) => {
            Err(HttpError::bad_request("both Transfer-Encoding and Content-Length"))
        }
        // §6.1: a client that sends it with HTTP/1.0 is faulty in its framing.
        (Some(_), None) if head.version() == Version::Http10 => {
            Err(HttpError::bad_request("Transfer-Encoding in HTTP/1.0"))
        }
        // Rule 4.
        (Some(coding), None) => chunked(coding),
        // Rules 5 and 6. Identical lengths in a list may be accepted; we do not.
        (None, Some(length)) => match bytes::parse_u64(length) {
            None => Err(HttpError::bad_request("bad Content-Length")),
            Some(length) => Ok(BodyLength::Length(length)),
        },
        // Rule 7.
        (None, None) => Ok(BodyLength::None),
    }
}

/// Back ends that turn dashes into underscores (CGI, WSGI) take these for the real ones.
fn refuse_look_alikes(head: &RequestHead) -> Result<(), HttpError> {
    let poses = |name: &[u8], as_name: &[u8]| {
        name.len() == as_name.len()
            && name
                .iter()
                .zip(as_name)
                .all(|(a, b)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-'))
            && name.contains(&b'_')
    };
    let mut names = head.fields().map(|(name, _)| name);
    if names.any(|n| poses(n, b"content-length") || poses(n, b"transfer-encoding")) {
        return Err(HttpError::bad_request("underscore in the name of a framing header"));
    }
    Ok(())
}

/// The only value of a header; an error if there are more lines than one.
fn sole<'h>(
    head: &'h RequestHead,
    name: Known,
    reason: &'static str,
) -> Result<Option<&'h [u8]>, HttpError> {
    let mut values = head.all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(HttpError::bad_request(reason)),
        (value, None) => Ok(value),
    }
}

fn chunked(coding: &[u8]) -> Result<BodyLength, HttpError> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(coding) {
        return Ok(BodyLength::Unknown);
    }
    // Empty members, which lists may have elsewhere, are none of a coding's business.
    let mut codings = coding.split(|b| *b == b',').map(bytes::trim);
    let last = codings.next_back().unwrap_or_default();
    // A comma between quotes has cut a parameter in two.
    let is_whole = |coding: &[u8]| coding.iter().filter(|b| **b == b'"').count() % 2 == 0;
    let is_other = |coding: &[u8]| {
        let name = coding.split(|b| *b == b';').next().map(bytes::trim).unwrap_or_default();
        !name.is_empty() && name.iter().all(|b| bytes::is_tchar(*b)) && !is_chunked(name)
    };
    if !is_chunked(last) {
        // §6.3 rule 4: where the body ends cannot be known.
        return Err(HttpError::bad_request("the last Transfer-Encoding is not chunked"));
    }
    if !codings.all(|coding| is_other(coding) && is_whole(coding)) {
        return Err(HttpError::bad_request("bad Transfer-Encoding"));
    }
    // §6.1: a coding that is not understood is answered with 501.
    Err(HttpError::fatal(Status::NOT_IMPLEMENTED, "unknown Transfer-Encoding"))
}

/// RFC 9112 §9.3.
fn is_persistent(head: &RequestHead) -> bool {
    let (mut close, mut keep_alive) = (false, false);
    for option in head.all(Known::Connection).flat_map(list) {
        close |= option.eq_ignore_ascii_case(b"close");
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    !close && (head.version() == Version::Http11 || keep_alive)
}

/// RFC 9110 §10.1.1. Fatal, because nobody knows whether the client sends the body regardless.
fn expects_continue(head: &RequestHead) -> Result<bool, HttpError> {
    if head.version() == Version::Http10 {
        return Ok(false);
    }
    let mut expects = false;
    for expectation in head.all(Known::Expect).flat_map(list) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpError::fatal(Status::EXPECTATION_FAILED, "unknown expectation"));
        }
        expects = true;
    }
    Ok(expects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Parsed, limits::HeadLimits, parse};

    fn frame_text(version: &str, lines: &[&str]) -> Result<Framing, u16> {
        let mut text = format!("POST / {version}\r\nHost: h\r\n");
        for line in lines {
            text += line;
            text += "\r\n";
        }
        text += "\r\n";
        let mut head = RequestHead::default();
        match parse(text.as_bytes(), 0, &HeadLimits::default(), &mut head) {
            Parsed::Complete(n) => assert_eq!(n, text.len()),
            _ => return Err(0),
        }
        frame(&head).map_err(|error| {
            assert!(error.close, "{error}");
            error.status.code()
        })
    }

    /// Every Transfer-Encoding with every Content-Length, in both versions.
    #[test]
    fn grid() {
        const CODINGS: [&[&str]; 6] = [
            &[],
            &["chunked"],
            &["Chunked"],
            &["gzip"],
            &["gzip, chunked"],
            &["chunked", "chunked"],
        ];
        const LENGTHS: [&[&str]; 5] = [&[], &["0"], &["7"], &["+7"], &["7", "7"]];
        /// One row a coding, one column a length: `-` none, `0` and `7` lengths, `c` chunked, then
        /// `B` 400, `N` 501.
        const HTTP11: [&str; 6] = ["-07BB", "cBBBB", "cBBBB", "BBBBB", "NBBBB", "BBBBB"];
        const HTTP10: [&str; 6] = ["-07BB", "BBBBB", "BBBBB", "BBBBB", "BBBBB", "BBBBB"];
        for (version, table) in [("HTTP/1.1", HTTP11), ("HTTP/1.0", HTTP10)] {
            for (codings, row) in CODINGS.iter().zip(table) {
                for (lengths, want) in LENGTHS.iter().zip(row.chars()) {
                    let codings = codings.iter().map(|c| format!("Transfer-Encoding: {c}"));
                    let lengths = lengths.iter().map(|l| format!("Content-Length: {l}"));
                    let lines: Vec<_> = codings.chain(lengths).collect();
                    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                    let got = match frame_text(version, &lines).map(|framing| framing.body) {
                        Ok(BodyLength::None) => '-',
                        Ok(BodyLength::Length(n)) => char::from_digit(n as u32, 10).unwrap(),
                        Ok(BodyLength::Unknown) => 'c',
                        Err(501) => 'N',
                        Err(400) => 'B',
                        Err(other) => panic!("{other}: {lines:?}"),
                    };
                    assert_eq!(got, want, "{version} {lines:?}");
                }
            }
        }
    }

    #[test]
    fn bad_values() {
        for (line, want) in [
            ("Transfer-Encoding:", 400),
            ("Transfer-Encoding: ,", 400),
            ("Transfer-Encoding: chunked,", 400),
            ("Transfer-Encoding: chunked, chunked", 400),
            ("Transfer-Encoding: chunked, identity", 400),
            ("Transfer-Encoding: chunked;q=1", 400),
            ("Transfer-Encoding: \"chunked\"", 400),
            ("Transfer-Encoding: chu nked", 400),
            ("Transfer-Encoding: identity", 400),
            ("Transfer-Encoding: identity, chunked", 501),
            ("Transfer-Encoding: xchunked", 400),
            ("Transfer-Encoding: gzip", 400),
            ("Transfer-Encoding: GZIP , Chunked", 501),
            ("Transfer-Encoding: gzip;a=b, chunked", 501),
            ("Transfer-Encoding: br, gzip, chunked", 501),
            ("Transfer-Encoding: chunked, gzip", 400),
            ("Transfer-Encoding: chunked, gzip, chunked", 400),
            ("Transfer-Encoding: gzip, chunked;q=1", 400),
            ("Transfer-Encoding: gzip;q=\"a, chunked", 400),
            ("Transfer-Encoding: gzip, chunked, deflate", 400),
            ("Transfer-Encoding: gzip, chunked, chunked", 400),
            ("Transfer-Encoding: gzip,, chunked", 400),
            ("Transfer-Encoding: , chunked", 400),
            ("Transfer-Encoding: gz ip, chunked", 400),
            ("Transfer-Encoding: chunked;a, chunked", 400),
            ("Transfer-Encoding: gzip, chunked", 501),
            ("Transfer-Encoding: gzip;q=\"a\", chunked", 501),
            ("Transfer-Encoding: GZip , CHUNKED", 501),
            ("Transfer-Encoding: deflate;level=9,gzip,chunked", 501),
            ("Transfer_Encoding: chunked", 400),
            ("Content_Length: 3", 400),
            ("content_length: 3", 400),
            ("Content-Length:", 400),
            ("Content-Length: 7, 7", 400),
            ("Content-Length: -1", 400),
            ("Content-Length: 0x7", 400),
            ("Content-Length: 7 7", 400),
            ("Content-Length: 18446744073709551616", 400),
            ("Expect: 200-ok", 417),
            ("Expect: 100-continue, x", 417),
        ] {
            assert_eq!(frame_text("HTTP/1.1", &[line]), Err(want), "{line}");
        }
    }

    #[test]
    fn persistence() {
        for (version, lines, want) in [
            ("HTTP/1.1", &[][..], true),
            ("HTTP/1.1", &["Connection: close"], false),
            ("HTTP/1.1", &["Connection: x", "Connection: y , CLOSE"], false),
            ("HTTP/1.1", &["Connection: keep-alive, close"], false),
            ("HTTP/1.1", &["Connection: closed"], true),
            ("HTTP/1.0", &[], false),
            ("HTTP/1.0", &["Connection: Keep-Alive"], true),
            ("HTTP/1.0", &["Connection: Keep-Alive", "Connection: close"], false),
        ] {
            let got = frame_text(version, lines).unwrap().persistent;
            assert_eq!(got, want, "{version} {lines:?}");
        }
    }

    #[test]
    fn expectations() {
        for (version, lines, want) in [
            ("HTTP/1.1", &["Expect: 100-Continue", "Content-Length: 3"][..], true),
            ("HTTP/1.1", &["Expect: 100-continue", "Transfer-Encoding: chunked"], true),
            ("HTTP/1.1", &["Expect: 100-continue"], false),
            ("HTTP/1.1", &["Expect: 100-continue", "Content-Length: 0"], false),
            ("HTTP/1.1", &["Content-Length: 3"], false),
            ("HTTP/1.0", &["Expect: 100-continue", "Content-Length: 3"], false),
            ("HTTP/1.0", &["Expect: other", "Content-Length: 3"], false),
        ] {
            let got = frame_text(version, lines).unwrap().expects_continue;
            assert_eq!(got, want, "{version} {lines:?}");
        }
    }
}
