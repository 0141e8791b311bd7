//! `multipart/form-data` as it comes (RFC 7578, RFC 2046 §5.1), a piece at a time.
//!
//! The scanner owns no data: it is shown what has arrived and not been taken, and says what its
//! front is. Content is passed on as slices as soon as it cannot be the beginning of a boundary.
//!
//! It takes what clients really send, where that can mean one thing only: lines that end in LF
//! alone (in all of the body, if the line of the first boundary does), parts without a blank line
//! after their head, parts without a name.

#[cfg(test)]
mod clients;
mod part;

pub use part::PartHead;

use super::{HttpError, Status, bytes};
use memchr::memmem;
use part::Parameters;

/// A boundary is at most so long. RFC 2046 §5.1.1 says 70; longer ones mean the same.
const BOUNDARY_MAX: usize = 200;

/// The head of one part. Browsers send some hundred bytes.
const PART_HEAD_MAX: usize = 8 * 1024;

/// Parts of one body: each costs more than its bytes.
const PARTS_MAX: usize = 1000;

/// What is before the first boundary, and ignored.
const PREAMBLE_MAX: usize = 1024;

/// Blanks after a boundary (RFC 2046 §5.1.1).
const BLANKS_MAX: usize = 100;

/// Finds the parts of a body.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// CRLF, two dashes, and the boundary.
    delimiter: Box<[u8]>,
    /// Lines end in LF alone.
    is_lf: bool,
    state: State,
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary; so many bytes were dropped.
    Preamble(usize),
    /// In the head of a part.
    Head,
    /// After the head of a part, before its blank line: the line end may belong to a boundary.
    Opening,
    /// After the head of a part that a boundary follows without a blank line.
    Closing,
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

/// What follows the text of a boundary.
enum Rest {
    /// Too little to tell.
    Short,
    /// Not the rest of its line: it was no boundary.
    Other,
    /// A line end, so many bytes on: a part begins there.
    Part { len: usize, is_lf: bool },
    /// Two dashes: it was the last one.
    Last { len: usize },
}

impl Scanner {
    /// A scanner for the boundary of a `Content-Type`. Clients put more into it than RFC 2046
    /// allows, such as `$`: it may be of all visible characters, and blanks inside.
    ///
    /// # Errors
    /// 400 where it is no `multipart/form-data`, or has no good boundary.
    pub fn of_content_type(value: &[u8]) -> Result<Self, HttpError> {
        let parameters = Parameters::of(value);
        let boundary = parameters
            .get("boundary")
            .filter(|_| is_form_data(value))
            .ok_or_else(|| wrong("no multipart/form-data with a boundary"))?;
        if boundary.is_empty()
            || boundary.len() > BOUNDARY_MAX
            || !boundary.iter().all(|byte| (b' '..=b'~').contains(byte))
            || boundary.ends_with(b" ")
        {
            return Err(wrong("a boundary that is none"));
        }
        let delimiter = [b"\r\n--", boundary].concat().into();
        Ok(Self { delimiter, is_lf: false, state: State::Preamble(0), parts: 0 })
    }

    /// Looks at what has arrived and not been taken. What it says is true of this input only, so
    /// that the caller takes what it says before it asks again.
    ///
    /// # Errors
    /// 400 for what is no form data, 413 for too many parts.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        match self.state {
            State::Preamble(dropped) => self.preamble(input, dropped),
            State::Head => self.head(input),
            State::Opening => self.opening(input),
            State::Closing => self.closing(input),
            State::Content => self.content(input),
            State::End => Ok(Step::End),
        }
    }

    /// Whether the last boundary was seen.
    pub fn is_finished(&self) -> bool {
        self.state == State::End
    }

    /// The line end before a boundary, and the boundary.
    fn delimiter(&self) -> &[u8] {
        self.delimiter.get(usize::from(self.is_lf)..).unwrap_or_default()
    }

    /// Two dashes and the boundary.
    fn line(&self) -> &[u8] {
        self.delimiter.get(2..).unwrap_or_default()
    }

    fn preamble(&mut self, input: &[u8], dropped: usize) -> Result<Step, HttpError> {
        // The first boundary may stand at the very beginning, where no line end is before it.
        let line = self.line().len();
        if dropped == 0 && input.starts_with(self.line()) {
            match rest(&input[line..]) {
                Rest::Short => return Ok(Step::More),
                Rest::Other => {}
                found => return self.first(found, line),
            }
        } else if dropped == 0 && self.line().starts_with(input) {
            return Ok(Step::More);
        }
        for at in memmem::find_iter(input, &self.delimiter[1..]) {
            let start = if input[..at].ends_with(b"\r") { at - 1 } else { at };
            match rest(&input[at + 1 + line..]) {
                Rest::Other => {}
                Rest::Short => return self.drop_preamble(dropped, start),
                found => {
                    self.drop_preamble(dropped, start)?;
                    return self.first(found, at + 1 + line);
                }
            }
        }
        let kept = tail(input, &self.delimiter).max(tail(input, &self.delimiter[1..]));
        self.drop_preamble(dropped, input.len() - kept)
    }

    fn drop_preamble(&mut self, dropped: usize, take: usize) -> Result<Step, HttpError> {
        if dropped + take > PREAMBLE_MAX {
            return Err(wrong("no boundary at the beginning"));
        }
        self.state = State::Preamble(dropped + take);
        Ok(if take == 0 { Step::More } else { Step::Skip { take } })
    }

    /// The first boundary, which says how lines end.
    fn first(&mut self, found: Rest, before: usize) -> Result<Step, HttpError> {
        self.is_lf = matches!(found, Rest::Part { is_lf: true, .. });
        let take = before + self.pass(&found)?;
        Ok(Step::Skip { take })
    }

    /// Goes on behind a boundary. Returns the length of what follows it in its line.
    fn pass(&mut self, found: &Rest) -> Result<usize, HttpError> {
        match *found {
            Rest::Part { len, .. } => {
                self.parts += 1;
                if self.parts > PARTS_MAX {
                    return Err(HttpError::new(Status::CONTENT_TOO_LARGE, "too many parts"));
                }
                self.state = State::Head;
                Ok(len)
            }
            Rest::Last { len } => {
                self.state = State::End;
                Ok(len)
            }
            Rest::Short | Rest::Other => Ok(0),
        }
    }

    fn head(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        let mut at = 0;
        loop {
            let rest_of_input = input.get(at..).unwrap_or_default();
            let is_boundary = rest_of_input
                .strip_prefix(self.line())
                .is_some_and(|after| matches!(rest(after), Rest::Part { .. } | Rest::Last { .. }));
            let end = memchr::memchr(b'\n', rest_of_input);
            let is_blank = matches!(rest_of_input, [b'\n', ..] | [b'\r', b'\n', ..]);
            if is_boundary || is_blank {
                let lines = input.get(..at).unwrap_or_default();
                let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
                let lines = lines.strip_suffix(b"\r").unwrap_or(lines);
                if lines.len() > PART_HEAD_MAX {
                    return Err(wrong("a part with too long a head"));
                }
                self.state = if is_boundary { State::Closing } else { State::Opening };
                let head = PartHead::parse(lines);
                let head = head.ok_or_else(|| wrong("a part without Content-Disposition"))?;
                return Ok(Step::Part { take: at, head });
            }
            match end {
                Some(end) => at += end + 1,
                // Three bytes of the blank line may be there.
                None if input.len() > PART_HEAD_MAX + 3 => {
                    return Err(wrong("a part with too long a head"));
                }
                None => return Ok(Step::More),
            }
        }
    }

    fn opening(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        if input == b"\r" || self.delimiter().starts_with(input) {
            return Ok(Step::More);
        }
        if let Some(after) = input.strip_prefix(self.delimiter()) {
            match rest(after) {
                Rest::Other => {}
                found => return self.end_of_part(&found, self.delimiter().len()),
            }
        }
        self.state = State::Content;
        Ok(Step::Skip { take: if input.starts_with(b"\r") { 2 } else { 1 } })
    }

    fn closing(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        let found = rest(input.strip_prefix(self.line()).unwrap_or_default());
        self.end_of_part(&found, self.line().len())
    }

    fn content(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        let len = self.delimiter().len();
        match memmem::find(input, self.delimiter()) {
            Some(0) => match rest(&input[len..]) {
                Rest::Other => Ok(Step::Content { take: len }),
                found => self.end_of_part(&found, len),
            },
            Some(take) => Ok(Step::Content { take }),
            None => Ok(match input.len() - tail(input, self.delimiter()) {
                0 => Step::More,
                take => Step::Content { take },
            }),
        }
    }

    fn end_of_part(&mut self, found: &Rest, before: usize) -> Result<Step, HttpError> {
        match found {
            Rest::Short => Ok(Step::More),
            found => Ok(Step::PartEnd { take: before + self.pass(found)? }),
        }
    }
}

/// What follows the text of a boundary: blanks and a line end, or two dashes. Boundaries of inner
/// bodies may begin with that of the outer one, and are content.
fn rest(after: &[u8]) -> Rest {
    match after {
        [] | b"-" => return Rest::Short,
        [b'-', b'-', ..] => return Rest::Last { len: 2 },
        _ => {}
    }
    let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match after.get(blanks..).unwrap_or_default() {
        _ if blanks > BLANKS_MAX => Rest::Other,
        [] | b"\r" => Rest::Short,
        [b'\n', ..] => Rest::Part { len: blanks + 1, is_lf: true },
        [b'\r', b'\n', ..] => Rest::Part { len: blanks + 2, is_lf: false },
        _ => Rest::Other,
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

fn wrong(reason: &'static str) -> HttpError {
    HttpError::new(Status::BAD_REQUEST, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=X";

    fn scan(body: &[u8], cuts: &[usize]) -> Result<Vec<(PartHead, Vec<u8>)>, u16> {
        scan_as(TYPE, body, cuts)
    }

    /// Feeds `body` in pieces that end at `cuts`; the parts, or the status of the refusal.
    pub(super) fn scan_as(
        kind: &[u8],
        body: &[u8],
        cuts: &[usize],
    ) -> Result<Vec<(PartHead, Vec<u8>)>, u16> {
        let mut scanner = Scanner::of_content_type(kind).map_err(|error| error.status.code())?;
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
            (&b"--Xyz\r\n"[..], 0),
            (b"--X\r\n\r\n\r\n--X--", 400),
            (b"--X\r\nContent-Type: text/plain\r\n\r\n\r\n--X--", 400),
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
        let nameless = b"--X\r\nContent-Disposition: form-data\r\n\r\nkept\r\n--X--";
        let nameless = scan(nameless, &[]).unwrap();
        assert_eq!(nameless, [(PartHead::default(), b"kept".to_vec())]);
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
            ("multipart/form-data; boundary=a$b", Some("a$b")),
            ("multipart/form-data; boundary=\"'()+_,-./:=?\"", Some("'()+_,-./:=?")),
            ("multipart/form-data; boundary='()+_,-./:=?", Some("'()+_,-./:=?")),
            ("multipart/form-data; boundary=a\u{e4}", None),
            ("multipart/form-data; boundary=\"a \"", None),
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
        fn cuts_change_nothing_of_anything(
            words in proptest::collection::vec(proptest::sample::select(vec![
                &b"--X"[..], b"\r\n", b"\n", b"\r", b"--", b" ", b"-", b"x", b"\r\n--X\r\n",
                b"\r\n\r\n", b"Content-Disposition: form-data; name=a",
            ]), 0..20),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let body = words.concat();
            prop_assert_eq!(scan(&body, &cuts), scan(&body, &[]));
        }

        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200), cut in any::<usize>()) {
            let framed = [b"--X\r\nContent-Disposition: form-data; name=a\r\n\r\n", &body[..]].concat();
            prop_assert_eq!(scan(&framed, &[]), scan(&framed, &[cut]));
        }
    }
}
