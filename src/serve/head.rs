//! The head of a complete answer: header lines, or a head that is prepared for many answers.

use crate::http::{Headers, Status, StatusLine, headers};
use crate::http1::render::{self, BodyLine};
use std::rc::Rc;

/// The head of an answer.
#[derive(Clone, Debug)]
pub enum Head {
    /// Header lines, without the length of the body.
    Fields(Headers),
    /// A head that many answers have in common, with the length of their body.
    Prepared(Rc<PreparedHead>),
}

impl Head {
    /// The header lines, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        headers::pairs(match self {
            Self::Fields(headers) => headers.as_bytes(),
            Self::Prepared(head) => head.lines(),
        })
    }

    /// The first value of `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// The header lines without the length of the body, to be changed.
    pub fn into_fields(self) -> Headers {
        match self {
            Self::Fields(headers) => headers,
            Self::Prepared(head) => {
                let mut headers = Headers::new();
                headers.extend(headers::pairs(head.lines()));
                headers.remove("Content-Length");
                headers
            }
        }
    }
}

/// A head that is used for many answers: its status and its header lines, rendered once for each protocol
/// that sends it. They are kept as HTTP/1 has them, which is how [`Headers`] keeps them anyway.
#[derive(Debug, PartialEq, Eq)]
pub struct PreparedHead {
    status: Status,
    http1: Box<[u8]>,
    /// Where the header lines begin in `http1`.
    fields: usize,
}

impl PreparedHead {
    /// The head of answers with a body of `length` bytes, which is said between `first` and `rest`.
    pub fn new<'s>(
        line: impl Into<StatusLine<'s>>,
        first: &Headers,
        length: u64,
        rest: &Headers,
    ) -> Rc<Self> {
        let line = line.into();
        let status = line.status();
        let mut http1 = Vec::with_capacity(64 + first.as_bytes().len() + rest.as_bytes().len());
        render::status_line(line, &mut http1);
        let fields = http1.len();
        http1.extend_from_slice(first.as_bytes());
        if status.has_length() {
            render::body_line(BodyLine::Length(length), &mut http1);
        }
        http1.extend_from_slice(rest.as_bytes());
        Rc::new(Self { status, http1: http1.into(), fields })
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    fn lines(&self) -> &[u8] {
        self.http1.get(self.fields..).unwrap_or_default()
    }

    /// As HTTP/1 sends it: from the status line to the last of its header lines.
    pub fn http1(&self) -> &[u8] {
        &self.http1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_head_is_what_it_was_made_of() {
        let (mut first, mut rest) = (Headers::new(), Headers::new());
        first.push("Content-Type", b"a/b");
        rest.push("ETag", b"\"x\"");
        let head = PreparedHead::new(StatusLine::said(Status::OK, b"Fine"), &first, 3, &rest);
        assert_eq!(head.status(), Status::OK);
        let rendered =
            b"HTTP/1.1 200 Fine\r\nContent-Type: a/b\r\nContent-Length: 3\r\nETag: \"x\"\r\n";
        assert_eq!(head.http1(), rendered);
        let head = Head::Prepared(head);
        assert_eq!(head.get("content-length"), Some(&b"3"[..]));
        assert_eq!(head.iter().count(), 3);
        first.append(&rest);
        assert_eq!(head.into_fields(), first);
        let none = PreparedHead::new(Status::NOT_MODIFIED, &Headers::new(), 0, &rest);
        assert_eq!(none.http1(), b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n");
    }
}
