//! What a script means by the head of its answer (RFC 3875 §6). Pure.

use crate::handlers::gateway::relay::{AnswerHead, ParsedHead};
use crate::http::{Headers, Status};
use crate::http1::response::{self, ParsedResponse, ResponseHead, once, read_status};
use crate::serve::InternalRedirect;

/// Reads the head at the front of `output`, of which `scanned` bytes have been given before.
pub fn parse(output: &[u8], scanned: usize) -> ParsedHead {
    match response::parse(output, scanned) {
        ParsedResponse::Partial => ParsedHead::Partial,
        ParsedResponse::Refused(why) => ParsedHead::Refused(why),
        ParsedResponse::Complete(said, end) => {
            understand(said, end).unwrap_or_else(ParsedHead::Refused)
        }
    }
}

/// What a script means by its head, which ends at `end`: an answer, with 302 for a `Location` without a status,
/// or another path of this host (§6.2.2). Those that write whole answers (`nph-`) begin with a status line.
fn understand(said: ResponseHead, end: usize) -> Result<ParsedHead, &'static str> {
    let ResponseHead { status: line, mut headers, length, is_coded } = said;
    if is_coded {
        return Err("it says Transfer-Encoding: the server does");
    }
    let status = match sole(&headers, "Status")? {
        None => line,
        Some(value) => {
            once(line.is_none())?;
            Some(read_status(value)?)
        }
    };
    if status.as_ref().is_some_and(|(status, _)| status.class() == 1) {
        return Err("its status is none");
    }
    headers.remove("Status");
    sole(&headers, "Content-Type")?;
    let location = sole(&headers, "Location")?.map(<[u8]>::to_vec);
    headers.remove("Location");
    let implied = if location.is_some() { Status::FOUND } else { Status::OK };
    if let Some(location) = location {
        if let Some(local) = local_redirect(&location, status.is_some(), &headers)? {
            return Ok(ParsedHead::Elsewhere(local));
        }
        headers.push("Location", &location);
    }
    let (status, reason) = status.unwrap_or((implied, Vec::new()));
    let head = AnswerHead { status, reason, headers, length };
    Ok(ParsedHead::Complete(Box::new(head), end))
}

/// The only value of a header.
fn sole<'h>(headers: &'h Headers, name: &str) -> Result<Option<&'h [u8]>, &'static str> {
    let mut values = headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
    let first = values.next();
    once(values.next().is_none())?;
    Ok(first.map(|(_, value)| value))
}

/// The place of this host that a `Location` means. With a status, or a line that would be lost (a cookie),
/// the client is meant to see it (§6.2.4).
fn local_redirect(
    location: &[u8],
    has_status: bool,
    others: &Headers,
) -> Result<Option<InternalRedirect>, &'static str> {
    if location.is_empty() {
        return Err("its Location is empty");
    }
    let is_path = location.starts_with(b"/") && !location.starts_with(b"//");
    let loses = others.iter().any(|(name, _)| !name.eq_ignore_ascii_case(b"content-type"));
    if !is_path || has_status || loses {
        return Ok(None);
    }
    InternalRedirect::to(location).map(Some).ok_or("its Location is a path without a safe meaning")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::fields::{self, Field};
    use crate::http1::limits::RESPONSE_HEAD_MAX as HEAD_MAX;
    use proptest::prelude::*;

    fn head(output: &str) -> (AnswerHead, &str) {
        match parse(output.as_bytes(), 0) {
            ParsedHead::Complete(head, end) => (*head, &output[end..]),
            other => panic!("{output:?}: {other:?}"),
        }
    }

    #[test]
    fn answers_are_understood() {
        for (output, status, lines, length, body) in [
            ("Content-Type: a/b\n\nbody", 200, "Content-Type: a/b\r\n", None, "body"),
            ("Content-Type:a/b\r\n\r\n\nx", 200, "Content-Type: a/b\r\n", None, "\nx"),
            ("Status: 404 Not Found\n\n", 404, "", None, ""),
            ("status:299\nX-A: \t 1 \n\n", 299, "X-A: 1\r\n", None, ""),
            ("Content-Length: 3\nX: \n\nabc", 200, "X: \r\n", Some(3), "abc"),
            (
                "Set-Cookie: a=1\nSet-Cookie: b=2\n\n",
                200,
                "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
                None,
                "",
            ),
            ("Location: http://x/\n\n", 302, "Location: http://x/\r\n", None, ""),
            ("Location: //x/\n\n", 302, "Location: //x/\r\n", None, ""),
            ("Location: /x\nStatus: 303 See\n\n", 303, "Location: /x\r\n", None, ""),
            ("Set-Cookie: a\nLocation: /x\n\n", 302, "Set-Cookie: a\r\nLocation: /x\r\n", None, ""),
            ("Status: 201\nLocation: /new\n\n", 201, "Location: /new\r\n", None, ""),
            ("HTTP/1.1 201 Made\r\nX-A: 1\r\n\r\n", 201, "X-A: 1\r\n", None, ""),
            ("HTTP/1.0 200\nX-A: 1\n\n", 200, "X-A: 1\r\n", None, ""),
            (
                "Connection: close\nKeep-Alive: x\nServer: s\nDate: d\nUpgrade: h2c\nX-A: 1\n\n",
                200,
                "X-A: 1\r\n",
                None,
                "",
            ),
        ] {
            let (head, rest) = head(output);
            assert_eq!(head.status.code(), status, "{output:?}");
            assert_eq!(head.headers.as_bytes(), lines.as_bytes(), "{output:?}");
            assert_eq!((head.length, rest), (length, body), "{output:?}");
        }
    }

    #[test]
    fn what_is_said_of_the_status_is_kept() {
        for (output, said) in [
            ("Status: 299 Odd but fine\n\n", " Odd but fine"),
            ("HTTP/1.0 404  Gone fishing \r\nX-A: 1\r\n\r\n", "  Gone fishing"),
            ("Status: 404\n\n", ""),
            ("X-A: 1\n\n", ""),
        ] {
            assert_eq!(head(output).0.reason, said.as_bytes(), "{output:?}");
        }
    }

    #[test]
    fn local_redirects() {
        for (output, path, query) in [
            ("Location: /a%20b?c\n\n", "/a%20b", Some("c")),
            ("Content-Type: text/html\nLocation: /a\n\n", "/a", None),
        ] {
            let query = query.map(|query| query.as_bytes().to_vec());
            let to = InternalRedirect { path: path.into(), query, headers: Headers::new() };
            assert_eq!(parse(output.as_bytes(), 0), ParsedHead::Elsewhere(to), "{output:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let long = format!("X: {}\n\n", "x".repeat(HEAD_MAX));
        let many = "X: 1\n".repeat(201) + "\n";
        for output in [
            "\nbody",
            "\r\nbody",
            "no colon\n\n",
            ": empty\n\n",
            "X Y: 1\n\n",
            "X : 1\n\n",
            "X: 1\n folded\n\n",
            "X: a\rb\n\n",
            "X: \0\n\n",
            "Status: 99\n\n",
            "Status: 2000\n\n",
            "Status: abc\n\n",
            "Status: 100 Continue\n\n",
            "Status: +20\n\n",
            "Status:\n\n",
            "HTTP/1.1\n\n",
            "Status: 200\nStatus: 200\n\n",
            "HTTP/1.1 200 OK\nStatus: 200\n\n",
            "Content-Type: a/b\ncontent-type: a/b\n\n",
            "Content-Length: 1\nContent-Length: 1\n\n",
            "Content-Length: -1\n\n",
            "Content-Length: 1, 1\n\n",
            "Transfer-Encoding: chunked\n\n",
            "Location:\n\n",
            "Location: /..\n\n",
            "Location: /%00\n\n",
            &long,
            &many,
        ] {
            let parsed = parse(output.as_bytes(), 0);
            assert!(
                matches!(parsed, ParsedHead::Refused(_)),
                "{:?}: {parsed:?}",
                &output[..20.min(output.len())]
            );
        }
        assert_eq!(parse(&[b'x'; HEAD_MAX - 1], 0), ParsedHead::Partial);
        assert!(matches!(parse(&[b'x'; HEAD_MAX], 0), ParsedHead::Refused(_)));
    }

    #[test]
    fn damaged_answers_are_understood_or_refused() {
        crate::http::mutation::damaged("cgi", |output, random| {
            let whole = parse(output, 0);
            if let ParsedHead::Complete(head, end) = &whole {
                assert!(*end <= output.len().min(HEAD_MAX));
                assert!(head.status.class() != 1);
                for (name, value) in head.headers.iter() {
                    assert_eq!(fields::judge(name, value), Some(Field::Keep));
                }
            }
            if let ParsedHead::Elsewhere(to) = &whole {
                assert!(to.path.starts_with(b"/") && !to.path.windows(2).any(|w| w == b"//"));
            }
            let cut = random.below(output.len() + 1);
            let in_two = match parse(&output[..cut], 0) {
                ParsedHead::Partial => parse(output, cut),
                early => early,
            };
            assert_eq!(in_two, whole, "cut at {cut}");
        });
    }

    proptest! {
        /// However the output is cut, the head is the same.
        #[test]
        fn cuts_change_nothing(
            output in "(Content-Type: a/b|X: y|Status: 404|:|x)?(\r\n|\n|\r){0,3}(Y: z\r?\n){0,2}\r?\n?b?",
            cut in 0usize..40,
        ) {
            let bytes = output.as_bytes();
            let whole = parse(bytes, 0);
            let cut = cut.min(bytes.len());
            let parsed = match parse(&bytes[..cut], 0) {
                ParsedHead::Partial => parse(bytes, cut),
                early => early,
            };
            prop_assert_eq!(parsed, whole);
        }

        /// No header line of an answer was not a line of the output.
        #[test]
        fn nothing_is_injected(value in "[ -~\t\r\n\0]{0,20}") {
            let output = format!("X-A: {value}\nX-B: 1\n\n");
            if let ParsedHead::Complete(head, _) = parse(output.as_bytes(), 0) {
                for (name, value) in head.headers.iter() {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let is_said = |line: &str| {
                        let said = line.split_once(':').map(|(n, v)| (n, v.trim_matches([' ', '\t', '\r'])));
                        said == Some((&text(name), &text(value)))
                    };
                    prop_assert!(output.lines().any(is_said), "{name:?} {value:?}");
                    prop_assert!(!value.iter().any(|b| b"\r\n\0".contains(b)));
                }
            }
        }
    }
}
