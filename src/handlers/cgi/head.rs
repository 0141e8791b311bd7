//! What a script says before its body (RFC 3875 §6). Pure.

use crate::handlers::gateway::fields::{self, Field};
use crate::http::bytes::{parse_u64, trim};
use crate::http::{Headers, Status};
use crate::serve::Reroute;

/// How far the head of a script's output is understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// There is more to come.
    Partial,
    /// It is complete; the body begins after so many bytes.
    Head(Box<Head>, usize),
    /// It is no head; why, for the log.
    Bad(&'static str),
}

/// A script's head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The status; 302 for a `Location` without one.
    pub status: Status,
    /// What it says of the status.
    pub reason: Vec<u8>,
    /// The header lines that are passed on.
    pub headers: Headers,
    /// The length of the body, if the script says it.
    pub length: Option<u64>,
    /// Another path of this host has the answer (§6.2.2).
    pub local: Option<Reroute>,
}

/// Bytes of a head, with its blank line.
pub const HEAD_MAX: usize = 32 * 1024;

/// Lines of a head.
const LINES_MAX: usize = 200;

/// Reads the head at the front of `output`, of which `scanned` bytes have been given before.
pub fn parse(output: &[u8], scanned: usize) -> Output {
    let Some(end) = blank_line(output, scanned) else {
        return match output.len() {
            0..HEAD_MAX => Output::Partial,
            _ => Output::Bad("its header does not end within 32 KiB"),
        };
    };
    if end > HEAD_MAX {
        return Output::Bad("its header does not end within 32 KiB");
    }
    let mut gathered = Gathered::default();
    for (at, line) in output.get(..end).unwrap_or_default().split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if let Err(why) = gathered.take(at, line) {
            return Output::Bad(why);
        }
    }
    match gathered.finish() {
        Ok(head) => Output::Head(Box::new(head), end),
        Err(why) => Output::Bad(why),
    }
}

/// Where the body begins: after an empty line. Lines end in LF or CRLF (§6.2).
fn blank_line(output: &[u8], scanned: usize) -> Option<usize> {
    // A blank line may have been cut anywhere in `\n\r\n`.
    let from = scanned.saturating_sub(2);
    if from == 0 {
        for blank in [&b"\n"[..], b"\r\n"] {
            if output.starts_with(blank) {
                return Some(blank.len());
            }
        }
    }
    memchr::memchr_iter(b'\n', output.get(from..)?).find_map(|at| {
        let after = from + at + 1;
        match output.get(after..)? {
            [b'\n', ..] => Some(after + 1),
            [b'\r', b'\n', ..] => Some(after + 2),
            _ => None,
        }
    })
}

/// The lines as they come.
#[derive(Debug, Default)]
struct Gathered {
    status: Option<(Status, Vec<u8>)>,
    headers: Headers,
    length: Option<u64>,
    location: Option<Vec<u8>>,
    has_type: bool,
    /// Lines that a local redirect would lose.
    others: bool,
    lines: usize,
}

impl Gathered {
    fn take(&mut self, at: usize, line: &[u8]) -> Result<(), &'static str> {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err("its header has more than 200 lines");
        }
        // Scripts that write whole answers (`nph-`) begin with a status line.
        if at == 0
            && let Some(after) = line.strip_prefix(b"HTTP/")
        {
            let space = memchr::memchr(b' ', after).ok_or("its status line has no status")?;
            self.status = Some(status(trim(after.get(space..).unwrap_or_default()))?);
            return Ok(());
        }
        let colon = memchr::memchr(b':', line).ok_or("a line of its header has no colon")?;
        let (name, value) = line.split_at(colon);
        let value = trim(value.get(1..).unwrap_or_default());
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let field = fields::judge(name, value).ok_or("a line of its header is none")?;
        if is("Status") {
            return once(self.status.replace(status(value)?).is_none());
        }
        match field {
            Field::Drop => return Ok(()),
            Field::TransferEncoding => return Err("it says Transfer-Encoding: the server does"),
            Field::ContentLength => {
                let length = parse_u64(value).ok_or("its Content-Length is no number")?;
                return once(self.length.replace(length).is_none());
            }
            Field::Keep => {}
        }
        if is("Location") {
            if value.is_empty() {
                return Err("its Location is empty");
            }
            return once(self.location.replace(value.to_vec()).is_none());
        }
        if is("Content-Type") {
            once(!std::mem::replace(&mut self.has_type, true))?;
        } else {
            self.others = true;
        }
        // Names are tokens, so they are ASCII.
        self.headers.push(std::str::from_utf8(name).unwrap_or_default(), value);
        Ok(())
    }

    fn finish(mut self) -> Result<Head, &'static str> {
        if self.lines == 0 {
            return Err("it has no header");
        }
        let mut local = None;
        if let Some(location) = &self.location {
            let is_path = location.starts_with(b"/") && !location.starts_with(b"//");
            // With a status or a cookie the client is meant to see it (§6.2.4).
            if is_path && self.status.is_none() && !self.others {
                let to = Reroute::to(location);
                local = Some(to.ok_or("its Location is a path without a safe meaning")?);
            } else {
                self.headers.push("Location", location);
            }
        }
        let implied = if self.location.is_some() { Status::FOUND } else { Status::OK };
        let (status, reason) = self.status.unwrap_or((implied, Vec::new()));
        Ok(Head { status, reason, headers: self.headers, length: self.length, local })
    }
}

/// Three digits, and perhaps words: `404 Not Found`. Only final ones.
fn status(value: &[u8]) -> Result<(Status, Vec<u8>), &'static str> {
    const WHY: &str = "its status is none";
    let (digits, after) = value.split_at_checked(3).ok_or(WHY)?;
    if !matches!(after, [] | [b' ', ..]) {
        return Err(WHY);
    }
    let code = parse_u64(digits).and_then(|code| u16::try_from(code).ok()).ok_or(WHY)?;
    let status = Status::new(code).filter(|status| status.class() != 1).ok_or(WHY)?;
    Ok((status, after.to_vec()))
}

fn once(is_first: bool) -> Result<(), &'static str> {
    if is_first { Ok(()) } else { Err("a line of its header comes twice") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(output: &str) -> (Head, &str) {
        match parse(output.as_bytes(), 0) {
            Output::Head(head, end) => (*head, &output[end..]),
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
            assert_eq!((head.length, rest, head.local), (length, body, None), "{output:?}");
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
            let local = head(output).0.local;
            let query = query.map(|query| query.as_bytes().to_vec());
            assert_eq!(
                local,
                Some(Reroute { path: path.into(), query, lines: Vec::new() }),
                "{output:?}"
            );
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
                matches!(parsed, Output::Bad(_)),
                "{:?}: {parsed:?}",
                &output[..20.min(output.len())]
            );
        }
        assert_eq!(parse(&[b'x'; HEAD_MAX - 1], 0), Output::Partial);
        assert!(matches!(parse(&[b'x'; HEAD_MAX], 0), Output::Bad(_)));
    }

    #[test]
    fn damaged_answers_are_understood_or_refused() {
        crate::http::mutation::damaged("cgi", |output, random| {
            let whole = parse(output, 0);
            if let Output::Head(head, end) = &whole {
                assert!(*end <= output.len().min(HEAD_MAX));
                assert!(head.status.class() != 1);
                for (name, value) in head.headers.iter() {
                    assert_eq!(fields::judge(name, value), Some(Field::Keep));
                }
                if let Some(to) = &head.local {
                    assert!(to.path.starts_with(b"/") && !to.path.windows(2).any(|w| w == b"//"));
                }
            }
            let cut = random.below(output.len() + 1);
            let in_two = match parse(&output[..cut], 0) {
                Output::Partial => parse(output, cut),
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
                Output::Partial => parse(bytes, cut),
                early => early,
            };
            prop_assert_eq!(parsed, whole);
        }

        /// No header line of an answer was not a line of the output.
        #[test]
        fn nothing_is_injected(value in "[ -~\t\r\n\0]{0,20}") {
            let output = format!("X-A: {value}\nX-B: 1\n\n");
            if let Output::Head(head, _) = parse(output.as_bytes(), 0) {
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
