//! The answer of a backend that speaks in bytes, on its way to the client: first those of a head, then those of
//! a body, as far as the client takes them.

use crate::http::{Headers, HttpError, Status, StatusLine};
use crate::serve::{Answer, InternalRedirect};
use std::rc::Rc;

/// The head of an answer: what is passed on of it.
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// The status.
    pub status: Status,
    /// What is said of it.
    pub reason: Vec<u8>,
    /// The header lines.
    pub headers: Headers,
    /// The length of the body, if it is said.
    pub length: Option<u64>,
}

/// How far the head of an answer is understood.
#[derive(Debug, PartialEq, Eq)]
pub enum ParsedHead {
    /// There is more to come.
    Partial,
    /// It is complete; the body begins after so many bytes.
    Complete(Box<AnswerHead>, usize),
    /// Something else of this host has the answer.
    Elsewhere(InternalRedirect),
    /// It is no head; why, for the log.
    Refused(&'static str),
}

/// Understands the head at the front of some bytes, of which so many have been given before.
pub type ParseHead = fn(&[u8], usize) -> ParsedHead;

/// An answer on its way.
pub struct Relay {
    /// How logs call the backend.
    name: Rc<str>,
    parse: ParseHead,
    stage: Stage,
}

enum Stage {
    /// Bytes of an incomplete head, and how many of them were searched.
    Head { bytes: Vec<u8>, scanned: usize },
    /// The head, and what came of the body with it. A short answer is known whole before its head leaves: it
    /// gets a length, or, if it has not ended well, is none.
    Held { head: Box<AnswerHead>, body: Vec<u8> },
    /// The head has left.
    Body,
}

/// What is held of a body at most until its head leaves.
const HELD_MAX: usize = 64 * 1024;

impl AnswerHead {
    /// Writes it. `known`: the length of the body, where all of it is there.
    pub fn write(&self, known: Option<u64>, answer: &mut Answer<'_>) {
        let line = StatusLine::said(self.status, &self.reason);
        answer.head(line, &self.headers, self.length.or(known));
    }

    /// Whether its body is left away.
    pub fn omits_body(&self, answer: &Answer<'_>) -> bool {
        answer.omits_body() || !self.status.may_have_body()
    }
}

impl Relay {
    /// Nothing was said yet.
    pub fn new(name: Rc<str>, parse: ParseHead) -> Self {
        Self { name, parse, stage: Stage::Head { bytes: Vec::new(), scanned: 0 } }
    }

    /// How many bytes it takes now. At 0 the client is slow: wait.
    pub fn room(&self, answer: &Answer<'_>) -> usize {
        match self.stage {
            Stage::Head { .. } | Stage::Held { .. } => HELD_MAX,
            Stage::Body => answer.room(),
        }
    }

    /// Takes what the backend has said. Returns where the answer is, if it is elsewhere.
    ///
    /// # Errors
    /// 502: it is no answer, or longer than it has said.
    pub fn take(
        &mut self,
        piece: &[u8],
        answer: &mut Answer<'_>,
    ) -> Result<Option<InternalRedirect>, HttpError> {
        match &mut self.stage {
            Stage::Head { bytes, scanned } => {
                bytes.extend_from_slice(piece);
                match (self.parse)(bytes, *scanned) {
                    ParsedHead::Partial => *scanned = bytes.len(),
                    ParsedHead::Elsewhere(to) => return Ok(Some(to)),
                    ParsedHead::Refused(why) => {
                        return Err(self.broken(&format!("its answer is none: {why}")));
                    }
                    ParsedHead::Complete(head, end) => {
                        let body = bytes.split_off(end);
                        self.stage = Stage::Held { head, body };
                    }
                }
            }
            Stage::Held { body, .. } => body.extend_from_slice(piece),
            Stage::Body => self.write(piece, answer)?,
        }
        match &self.stage {
            Stage::Held { body, .. } if body.len() >= HELD_MAX => self.release(None, answer)?,
            _ => {}
        }
        Ok(None)
    }

    /// The backend says nothing now: what is held leaves.
    ///
    /// # Errors
    /// As `take`.
    pub fn pause(&mut self, answer: &mut Answer<'_>) -> Result<(), HttpError> {
        self.release(None, answer)
    }

    fn release(&mut self, known: Option<u64>, answer: &mut Answer<'_>) -> Result<(), HttpError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Body);
        let Stage::Held { head, body } = stage else {
            self.stage = stage;
            return Ok(());
        };
        let omits = head.omits_body(answer);
        let there = body.len() as u64;
        // What can be told before anything has left is an error of its own, and no cut.
        let breaks = head.length.filter(|promised| match known {
            Some(all) => *promised != all,
            None => *promised < there,
        });
        if let Some(promised) = breaks.filter(|_| !omits) {
            return Err(self.broken(&format!("its Content-Length is {promised}, of {there} bytes")));
        }
        head.write(known, answer);
        if omits { Ok(()) } else { self.write(&body, answer) }
    }

    /// Writes part of the body: no more than was promised.
    fn write(&self, piece: &[u8], answer: &mut Answer<'_>) -> Result<(), HttpError> {
        let left = answer.left().unwrap_or(u64::MAX);
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        answer.write(piece.get(..fits).unwrap_or_default())?;
        match fits < piece.len() {
            true => Err(self.broken("its answer is longer than its Content-Length")),
            false => Ok(()),
        }
    }

    /// Whether its head is complete.
    pub fn has_head(&self) -> bool {
        !matches!(self.stage, Stage::Head { .. })
    }

    /// Whether what else is said is left away.
    pub fn is_enough(&self, answer: &Answer<'_>) -> bool {
        matches!(self.stage, Stage::Body) && answer.omits_body()
    }

    /// Whether all of the answer is there by its own word, however the backend ends.
    pub fn has_kept_length(&self, answer: &Answer<'_>) -> bool {
        match &self.stage {
            Stage::Head { .. } => false,
            Stage::Held { head, body } => head.length == Some(body.len() as u64),
            Stage::Body => answer.left() == Some(0),
        }
    }

    /// The backend has said all, or all that is wanted.
    ///
    /// # Errors
    /// 502: it is not what it has promised.
    pub fn finish(&mut self, answer: &mut Answer<'_>) -> Result<(), HttpError> {
        if let Stage::Held { body, .. } = &self.stage {
            self.release(Some(body.len() as u64), answer)?;
        }
        if answer.left().is_some_and(|left| left > 0) && !answer.omits_body() {
            return Err(self.broken("its answer is shorter than its Content-Length"));
        }
        answer.finish()
    }

    /// 502: what the backend has said is no answer.
    pub fn broken(&self, how: &str) -> HttpError {
        HttpError::new(Status::BAD_GATEWAY, format!("{}: {how}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Transaction;
    use super::*;

    /// `5|` is a head that promises five bytes, `|` one that promises nothing.
    fn parse(bytes: &[u8], _: usize) -> ParsedHead {
        let Some(end) = bytes.iter().position(|byte| *byte == b'|') else {
            return ParsedHead::Partial;
        };
        let text = std::str::from_utf8(&bytes[..end]).unwrap();
        if text.starts_with('/') {
            return ParsedHead::Elsewhere(InternalRedirect::to(text.as_bytes()).unwrap());
        }
        let length = match text {
            "" => None,
            digits => match digits.parse() {
                Ok(length) => Some(length),
                Err(_) => return ParsedHead::Refused("no number"),
            },
        };
        let (status, reason, headers) = (Status::OK, Vec::new(), Headers::new());
        ParsedHead::Complete(Box::new(AnswerHead { status, reason, headers, length }), end + 1)
    }

    /// What a client gets of an answer that comes in `pieces`; where one is empty, nothing comes for a while.
    fn relayed(method: &str, pieces: &[&str]) -> Result<String, String> {
        let mut transaction = Transaction::new(method, &[]);
        let mut relay = Relay::new("it".into(), parse);
        let done = transaction.with(|io, _| {
            for piece in pieces {
                if piece.is_empty() {
                    relay.pause(&mut io.answer)?;
                } else if let Some(to) = relay.take(piece.as_bytes(), &mut io.answer)? {
                    return Ok(Some(to));
                }
                if relay.is_enough(&io.answer) {
                    break;
                }
            }
            relay.finish(&mut io.answer)?;
            Ok(None)
        });
        let sent = transaction.sent();
        match done {
            Ok(None) => Ok(sent),
            Ok(Some(to)) => Ok(String::from_utf8(to.path).unwrap()),
            Err::<_, HttpError>(error) if sent.is_empty() => Err(error.to_string()),
            Err(error) => Err(format!("cut: {error}")),
        }
    }

    #[test]
    fn answers_get_their_length_or_none() {
        for (method, pieces, want) in [
            ("GET", &["|he", "llo"][..], Ok("5|hello")),
            ("GET", &["|he", "", "llo"], Ok("|hello")),
            ("GET", &["5|he", "", "llo"], Ok("5|hello")),
            ("GET", &["5", "|", "", "hello"], Ok("5|hello")),
            ("HEAD", &["|he", "llo"], Ok("5|")),
            ("HEAD", &["|he", "", "llo"], Ok("|")),
            ("HEAD", &["9|"], Ok("9|")),
            ("GET", &["/a|"], Ok("/a")),
            ("GET", &["x|"], Err("502 Bad Gateway: it: its answer is none: no number")),
            ("GET", &["6|hello"], Err("502 Bad Gateway: it: its Content-Length is 6, of 5 bytes")),
            (
                "GET",
                &["4|hello", ""],
                Err("502 Bad Gateway: it: its Content-Length is 4, of 5 bytes"),
            ),
            (
                "GET",
                &["4|he", "", "llo"],
                Err("cut: 502 Bad Gateway: it: its answer is longer than its Content-Length"),
            ),
            (
                "GET",
                &["6|he", "", "llo"],
                Err("cut: 502 Bad Gateway: it: its answer is shorter than its Content-Length"),
            ),
        ] {
            let got = relayed(method, pieces);
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{method} {pieces:?}");
        }
    }

    #[test]
    fn a_long_answer_leaves_before_its_end() {
        let mut transaction = Transaction::new("GET", &[]);
        let mut relay = Relay::new("it".into(), parse);
        let piece = [b'x'; HELD_MAX / 2];
        transaction.with(|io, _| {
            relay.take(b"|", &mut io.answer).unwrap();
            relay.take(&piece, &mut io.answer).unwrap();
            assert!(!io.answer.is_started() && relay.room(&io.answer) > 0);
            relay.take(&piece, &mut io.answer).unwrap();
            assert!(io.answer.is_started() && !relay.has_kept_length(&io.answer));
            assert_eq!(relay.room(&io.answer), 0, "the client takes nothing");
        });
    }
}
