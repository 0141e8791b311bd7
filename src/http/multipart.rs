//! `multipart/form-data` as it comes (RFC 7578, RFC 2046 §5.1), a piece at a time.
//!
//! The scanner owns no data: it is shown what has arrived and not been taken, and says what its
//! front is. Content is passed on as slices as soon as it cannot be the beginning of a boundary.

use super::{HttpError, Status, bytes};
use memchr::memmem;

/// A boundary is at most so long (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;

/// The head of one part. Browsers send some hundred bytes.
const PART_HEAD_MAX: usize = 8 * 1024;

/// Parts of one body: each costs more than its bytes.
const PARTS_MAX: usize = 1000;

/// What is before the first boundary, and ignored.
const PREAMBLE_MAX: usize = 1024;

/// Finds the parts of a body.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// CRLF, two dashes, and the boundary.
    delimiter: Box<[u8]>,
    state: State,
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary; so many bytes were dropped.
    Preamble(usize),
    /// After a boundary: CRLF or two dashes follow.
    Boundary,
    /// In the head of a part.
    Head,
    /// After the head of a part, whose last line end is still there: it may belong to a boundary.
    Opening,
    /// In the content of a part.
    Content,
    /// After the last boundary.
    End,
}

/// What the front of the input is. `take` bytes of it are done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More input is needed before anything can be said; if there is none, the body is incomplete.
    More,
    /// Nothing of interest.
    Skip {
        /// Bytes to take.
        take: usize,
    },
    /// A part begins.
    Part {
        /// Bytes to take.
        take: usize,
        /// What its head says.
        head: PartHead,
    },
    /// The next bytes are content of the part.
    Content {
        /// Bytes to take; all of them are content.
        take: usize,
    },
    /// The part is complete.
    PartEnd {
        /// Bytes to take.
        take: usize,
    },
    /// The last part is complete. What follows is ignored.
    End,
}

/// What is said of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The name of its field.
    pub name: String,
    /// The name of a file, as the client gave it: not to be used as a path.
    pub filename: Option<String>,
    /// Its type, if one is said.
    pub content_type: Option<String>,
}

impl Scanner {
    /// A scanner for the boundary of a `Content-Type`.
    ///
    /// # Errors
    /// 400 where it is no `multipart/form-data`, or has no good boundary.
    pub fn of_content_type(value: &[u8]) -> Result<Self, HttpError> {
        let boundary = parameter(value, b"boundary")
            .filter(|_| is_form_data(value))
            .ok_or_else(|| wrong("no multipart/form-data with a boundary"))?;
        let boundary = boundary.as_slice();
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
        if boundary.is_empty()
            || boundary.len() > BOUNDARY_MAX
            || !boundary.iter().all(good)
            || boundary.ends_with(b" ")
        {
            return Err(wrong("a boundary that is none"));
        }
        let delimiter = [b"\r\n--", boundary].concat().into();
        Ok(Self { delimiter, state: State::Preamble(0), parts: 0 })
    }

    /// Looks at what has arrived and not been taken. What it says is true of this input only, so
    /// that the caller takes what it says before it asks again.
    ///
    /// # Errors
    /// 400 for what is no form data, 413 for too many parts.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        match self.state {
            State::Preamble(dropped) => self.preamble(input, dropped),
            State::Boundary => self.boundary(input),
            State::Head => self.head(input),
            State::Opening => Ok(self.opening(input)),
            State::Content => Ok(self.content(input)),
            State::End => Ok(Step::End),
        }
    }

    /// Whether the last boundary was seen.
    pub fn is_finished(&self) -> bool {
        self.state == State::End
    }

    fn preamble(&mut self, input: &[u8], dropped: usize) -> Result<Step, HttpError> {
        // The first boundary may stand at the very beginning, where no line end is before it.
        let own = self.delimiter.get(2..).unwrap_or_default();
        if dropped == 0 {
            if input.starts_with(own) {
                let take = own.len();
                self.state = State::Boundary;
                return Ok(Step::Skip { take });
            }
            if own.starts_with(input) {
                return Ok(Step::More);
            }
        }
        let found = memmem::find(input, &self.delimiter);
        let take = found.unwrap_or_else(|| input.len() - tail(input, &self.delimiter));
        if dropped + take > PREAMBLE_MAX {
            return Err(wrong("no boundary at the beginning"));
        }
        if let Some(at) = found {
            self.state = State::Boundary;
            return Ok(Step::Skip { take: at + self.delimiter.len() });
        }
        self.state = State::Preamble(dropped + take);
        Ok(if take == 0 { Step::More } else { Step::Skip { take } })
    }

    fn boundary(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        // Blanks may follow a boundary (RFC 2046 §5.1.1); nobody sends many.
        let blanks = input.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if blanks > 100 {
            return Err(wrong("a line of blanks after a boundary"));
        }
        match input.get(blanks..blanks + 2) {
            None => Ok(Step::More),
            Some(b"\r\n") => {
                self.parts += 1;
                if self.parts > PARTS_MAX {
                    return Err(HttpError::new(Status::CONTENT_TOO_LARGE, "too many parts"));
                }
                self.state = State::Head;
                Ok(Step::Skip { take: blanks + 2 })
            }
            Some(b"--") if blanks == 0 => {
                self.state = State::End;
                Ok(Step::End)
            }
            Some(_) => Err(wrong("something after a boundary")),
        }
    }

    fn head(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        let Some(end) = memmem::find(input, b"\r\n\r\n") else {
            // Three bytes of the blank line may be there.
            if input.len() > PART_HEAD_MAX + 3 {
                return Err(wrong("a part with too long a head"));
            }
            return Ok(Step::More);
        };
        if end > PART_HEAD_MAX {
            return Err(wrong("a part with too long a head"));
        }
        let head = part_head(input.get(..end).unwrap_or_default())?;
        self.state = State::Opening;
        Ok(Step::Part { take: end + 2, head })
    }

    fn opening(&mut self, input: &[u8]) -> Step {
        if input.len() < self.delimiter.len() && self.delimiter.starts_with(input) {
            return Step::More;
        }
        self.state = State::Content;
        if input.starts_with(&self.delimiter) {
            self.content(input)
        } else {
            Step::Skip { take: 2 }
        }
    }

    fn content(&mut self, input: &[u8]) -> Step {
        if let Some(at) = memmem::find(input, &self.delimiter) {
            if at == 0 {
                self.state = State::Boundary;
                return Step::PartEnd { take: self.delimiter.len() };
            }
            return Step::Content { take: at };
        }
        match input.len() - tail(input, &self.delimiter) {
            0 => Step::More,
            take => Step::Content { take },
        }
    }
}

/// How many bytes at the end of `input` may be the beginning of `delimiter`.
fn tail(input: &[u8], delimiter: &[u8]) -> usize {
    let longest = input.len().min(delimiter.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|len| input.ends_with(delimiter.get(..*len).unwrap_or_default()))
        .unwrap_or(0)
}

/// Whether a `Content-Type` is `multipart/form-data`.
pub fn is_form_data(value: &[u8]) -> bool {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    bytes::trim(&value[..end]).eq_ignore_ascii_case(b"multipart/form-data")
}

fn part_head(head: &[u8]) -> Result<PartHead, HttpError> {
    let mut part = PartHead::default();
    let mut named = false;
    for line in head.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(wrong("a line without colon in the head of a part"));
        };
        let (name, value) = (&line[..colon], bytes::trim(&line[colon + 1..]));
        if name.eq_ignore_ascii_case(b"content-disposition") {
            let kind = value.split(|b| *b == b';').next().unwrap_or_default();
            if !bytes::trim(kind).eq_ignore_ascii_case(b"form-data") {
                return Err(wrong("a part that is no form-data"));
            }
            if let Some(name) = parameter(value, b"name") {
                part.name = text(&name);
                named = true;
            }
            part.filename = parameter(value, b"filename").map(|name| text(&name));
        } else if name.eq_ignore_ascii_case(b"content-type") {
            part.content_type = Some(text(value));
        }
    }
    if !named {
        return Err(wrong("a part without a name"));
    }
    Ok(part)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A parameter of a header value: a token, or a quoted string. Browsers write `%22` for a quote
/// and a backslash as it is, so that only an escaped quote is taken back.
fn parameter(value: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value.get(memchr::memchr(b';', value)? + 1..)?;
    loop {
        rest = bytes::trim(rest);
        let equals = rest.iter().position(|b| matches!(b, b'=' | b';'))?;
        if rest.get(equals) == Some(&b';') {
            rest = &rest[equals + 1..];
            continue;
        }
        let name = bytes::trim(&rest[..equals]);
        rest = bytes::trim(&rest[equals + 1..]);
        let (found, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => quoted_string(quoted)?,
            None => {
                let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
                (bytes::trim(&rest[..end]).to_vec(), &rest[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(found);
        }
        rest = after.get(memchr::memchr(b';', after)? + 1..)?;
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted_string(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (quoted.get(at)?, quoted.get(at + 1)) {
            (b'"', _) => return Some((text, &quoted[at + 1..])),
            (b'\\', Some(b'"')) => {
                text.push(b'"');
                at += 2;
            }
            (byte, _) => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

fn wrong(reason: &'static str) -> HttpError {
    HttpError::new(Status::BAD_REQUEST, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=X";

    /// Feeds `body` in pieces that end at `cuts`; the parts, or the status of the refusal.
    fn scan(body: &[u8], cuts: &[usize]) -> Result<Vec<(PartHead, Vec<u8>)>, u16> {
        let mut scanner = Scanner::of_content_type(TYPE).unwrap();
        let (mut parts, mut pending, mut from) = (Vec::new(), Vec::new(), 0);
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(body.len());
        let mut open: Option<(PartHead, Vec<u8>)> = None;
        for end in ends {
            pending.extend_from_slice(&body[from..end]);
            from = end;
            loop {
                match scanner.step(&pending).map_err(|error| error.status.code())? {
                    Step::More => break,
                    Step::End => return Ok(parts),
                    Step::Skip { take } => drop(pending.drain(..take)),
                    Step::Part { take, head } => {
                        pending.drain(..take);
                        open = Some((head, Vec::new()));
                    }
                    Step::Content { take } => {
                        let content = pending.drain(..take);
                        open.as_mut().unwrap().1.extend(content);
                    }
                    Step::PartEnd { take } => {
                        pending.drain(..take);
                        let (head, content) = open.take().unwrap();
                        parts.push((head, content));
                    }
                }
                assert!(pending.len() < body.len() + 1);
            }
        }
        Err(0)
    }

    fn field(name: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    #[test]
    fn a_form() {
        let file =
            b"--X\r\ncontent-disposition: form-data; name=f; filename=\"a \\\"b\\\".png\"\r\n\
            Content-Type: image/png\r\n\r\n\r\n--Y\r\n\r\n--X--\r\n";
        let body = [&field("a", b"1")[..], &field("b", b""), file].concat();
        let parts = scan(&body, &[]).unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].0.name.as_str(), &parts[0].1[..]), ("a", &b"1"[..]));
        assert_eq!(parts[1].1, b"");
        let PartHead { filename, content_type, .. } = &parts[2].0;
        assert_eq!(filename.as_deref(), Some("a \"b\".png"));
        assert_eq!(content_type.as_deref(), Some("image/png"));
        assert_eq!(parts[2].1, b"\r\n--Y\r\n");
    }

    #[test]
    fn what_is_no_form() {
        let long = [b"--X\r\n", &[b'a'; PART_HEAD_MAX + 10][..]].concat();
        let many: Vec<u8> = (0..=PARTS_MAX).flat_map(|_| field("a", b"")).collect();
        for (body, want) in [
            (&b"--Xyz\r\n"[..], 400),
            (b"--X\r\n\r\n\r\n--X--", 400),
            (b"--X\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--X--", 400),
            (b"--X\r\nContent-Disposition: form-data\r\n\r\n\r\n--X--", 400),
            (b"--X\r\nno colon\r\n\r\n\r\n--X--", 400),
            (&long, 400),
            (&[b'a'; PREAMBLE_MAX * 2], 400),
            (&many, 413),
            (b"--X\r\nContent-Disposition: form-data; name=a\r\n\r\ncut", 0),
            (b"--", 0),
            (b"", 0),
        ] {
            let text = String::from_utf8_lossy(&body[..body.len().min(60)]);
            assert_eq!(scan(body, &[]), Err(want), "{text}");
        }
        assert_eq!(scan(b"--X--\r\n", &[]), Ok(Vec::new()));
        assert_eq!(scan(b"hello\r\n--X--", &[]), Ok(Vec::new()));
    }

    #[test]
    fn limits_do_not_depend_on_how_it_comes() {
        let preamble = |len| [&vec![b'a'; len][..], b"\r\n--X--"].concat();
        let head = |len: usize| {
            let start = b"--X\r\nContent-Disposition: form-data; name=";
            let name = vec![b'a'; 5 + len - start.len()];
            [&start[..], &name, b"\r\n\r\nbody\r\n--X--"].concat()
        };
        for (body, good) in [
            (preamble(PREAMBLE_MAX), true),
            (preamble(PREAMBLE_MAX + 1), false),
            (head(PART_HEAD_MAX), true),
            (head(PART_HEAD_MAX + 1), false),
        ] {
            assert_eq!(scan(&body, &[]).is_ok(), good);
            for cut in body.len() - 30..body.len() {
                assert_eq!(scan(&body, &[cut]).is_ok(), good, "cut at {cut}");
            }
        }
    }

    #[test]
    fn boundaries() {
        for (value, want) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=x;Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data", None),
            ("multipart/mixed; boundary=a", None),
            ("multipart/form-data; boundary=\"a", None),
            ("multipart/form-data; boundary=a\u{e4}", None),
        ] {
            let scanner = Scanner::of_content_type(value.as_bytes());
            let got = scanner.ok().map(|s| String::from_utf8(s.delimiter[4..].to_vec()).unwrap());
            assert_eq!(got.as_deref(), want, "{value}");
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            contents in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..30),
                0..4),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut body = Vec::new();
            for content in &contents {
                prop_assume!(memmem::find(&[b"\r\n", &content[..], b"\r\n"].concat(), b"\r\n--X").is_none());
                body.extend(field("n", content));
            }
            body.extend_from_slice(b"--X--");
            let parts = scan(&body, &cuts);
            let got: Vec<_> = parts.unwrap().into_iter().map(|(_, content)| content).collect();
            prop_assert_eq!(got, contents);
        }

        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200), cut in any::<usize>()) {
            let framed = [b"--X\r\nContent-Disposition: form-data; name=a\r\n\r\n", &body[..]].concat();
            prop_assert_eq!(scan(&framed, &[]), scan(&framed, &[cut]));
        }
    }
}
