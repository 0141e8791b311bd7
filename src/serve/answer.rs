//! The answer of an exchange, framed as it is written.

use super::Request;
use crate::event::{CHUNK, Until};
use crate::http::{Headers, HttpError, Method, Status, StatusLine};
use crate::http1::chunked;
use crate::net::{FileSlice, SendQueue};
use std::borrow::Cow;
use std::io::Write;
use std::rc::Rc;

/// How far an answer has been written, and how it is framed.
#[derive(Clone, Debug, Default)]
pub struct AnswerState {
    /// HTTP/1.1: may be sent in chunks.
    chunks_allowed: bool,
    /// HEAD, or a status that has no body: it is left away.
    omit_body: bool,
    /// Whether the connection may go on after it; an answer that ends by closing says no.
    persistent: bool,
    /// If its head is written now, the connection ends with it, for a reason beside the answer: the
    /// server stops, or too much of the request's body is unread.
    pub last: bool,
    /// HTTP/1.0 that goes on has to be told so.
    is_http10: bool,
    phase: Phase,
    status: Option<Status>,
    sent: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No head yet.
    #[default]
    Unstarted,
    /// So many bytes are promised and not yet written.
    Length(u64),
    Chunks,
    /// Ends when the connection does.
    UntilClose,
    Finished,
}

impl AnswerState {
    /// The answer to `request`, not yet begun.
    pub fn new(request: &Request) -> Self {
        Self {
            chunks_allowed: request.is_http11(),
            omit_body: request.head.method() == Method::Head,
            persistent: request.framing.persistent,
            is_http10: !request.is_http11(),
            ..Self::default()
        }
    }

    /// A complete answer, with so many bytes of body on their way.
    pub fn complete(status: Status, sent: u64, persistent: bool) -> Self {
        let phase = Phase::Finished;
        Self { status: Some(status), sent, persistent, phase, ..Self::default() }
    }

    /// Whether the head was written.
    pub fn is_started(&self) -> bool {
        self.phase != Phase::Unstarted
    }

    /// Whether all that was promised was written.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Whether the connection may go on after it.
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The status, once the head was written.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// Whether nothing but the end of the connection tells the client that it is complete: if it
    /// is not, that end has to look different.
    pub fn ends_by_closing(&self) -> bool {
        self.phase == Phase::UntilClose
    }

    /// Bytes of body written.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

/// Where an exchange writes its answer: the head once, then the body.
pub struct Answer<'a> {
    state: &'a mut AnswerState,
    queue: &'a mut SendQueue,
    standing_lines: Rc<[u8]>,
}

impl<'a> Answer<'a> {
    /// The answer that `state` describes, sent through `queue`. `standing_lines` are the `Server`
    /// and `Date` lines.
    pub fn new(
        state: &'a mut AnswerState,
        queue: &'a mut SendQueue,
        standing_lines: &Rc<[u8]>,
    ) -> Self {
        Self { state, queue, standing_lines: standing_lines.clone() }
    }

    /// How many bytes may be written now. At 0 the client is slow: wait.
    pub fn room(&self) -> usize {
        CHUNK.saturating_sub(usize::try_from(self.queue.pending()).unwrap_or(usize::MAX))
    }

    /// What to wait for until more may be written.
    pub fn until_room(&self) -> Until {
        if self.room() > 0 { Until::over() } else { Until::armed() }
    }

    /// Whether the head was written.
    pub fn is_started(&self) -> bool {
        self.state.is_started()
    }

    /// Whether the body is left away: to HEAD, and, once the head was written, with a status that
    /// has none. What is written of it then takes no room: a producer without end should finish
    /// after its head.
    pub fn omits_body(&self) -> bool {
        self.state.omit_body
    }

    /// How many bytes of body are promised and not yet written; `None`: no length was promised.
    pub fn left(&self) -> Option<u64> {
        match self.state.phase {
            Phase::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Writes the head. With a `length` the body is sent as it is; without, in chunks, or, to an
    /// HTTP/1.0 client, until the connection closes (RFC 9112 §6.1). Framing headers are written
    /// here; `headers` must not have any.
    pub fn head<'s>(
        &mut self,
        line: impl Into<StatusLine<'s>>,
        headers: &Headers,
        length: Option<u64>,
    ) {
        debug_assert!(!self.is_started(), "a second head");
        let line = line.into();
        let status = line.status();
        let state = &mut *self.state;
        state.status = Some(status);
        state.omit_body |= !status.may_have_body();
        state.phase = match length {
            _ if !status.may_have_body() => Phase::Length(0),
            Some(length) => Phase::Length(length),
            None if state.chunks_allowed => Phase::Chunks,
            None => Phase::UntilClose,
        };
        state.persistent &= !state.last && state.phase != Phase::UntilClose;
        let mut head = Vec::with_capacity(256 + headers.as_bytes().len());
        write_status_line(line, &mut head);
        head.extend_from_slice(fields_sent(status, headers, &self.standing_lines).as_bytes());
        match state.phase {
            Phase::Length(length) if status.has_length() => {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
            Phase::Chunks => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        head.extend_from_slice(&lines_sent(status, &self.standing_lines));
        head.extend_from_slice(connection_lines(state.persistent, state.is_http10));
        self.queue.copy(&head);
    }

    /// Writes part of the body.
    ///
    /// # Errors
    /// More than the length that was promised: nothing of it is written, and the answer is broken.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.account(bytes.len() as u64)?;
        if self.state.omit_body {
            return Ok(());
        }
        if self.state.phase == Phase::Chunks {
            let mut line = Vec::with_capacity(20);
            chunked::size_line(bytes.len(), &mut line);
            self.queue.copy(&line);
            self.queue.copy(bytes);
            self.queue.copy(b"\r\n");
        } else {
            self.queue.copy(bytes);
        }
        Ok(())
    }

    /// Writes part of a file as part of the body. Only with a length: it is sent by the kernel.
    ///
    /// # Errors
    /// As `write`.
    pub fn file(&mut self, slice: FileSlice) -> Result<(), HttpError> {
        self.account(slice.len)?;
        if self.state.omit_body || slice.len == 0 {
            return Ok(());
        }
        let chunk = self.state.phase == Phase::Chunks;
        if chunk {
            let mut line = Vec::with_capacity(20);
            chunked::size_line(usize::try_from(slice.len).unwrap_or(usize::MAX), &mut line);
            self.queue.copy(&line);
        }
        self.queue.file(slice);
        if chunk {
            self.queue.copy(b"\r\n");
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// Fewer bytes than were promised, or no head at all: the connection closes, so that the client
    /// sees that something is missing.
    pub fn finish(&mut self) -> Result<(), HttpError> {
        match self.state.phase {
            Phase::Unstarted => return Err(broken("it ended without a head")),
            Phase::Length(left) if left > 0 && !self.state.omit_body => {
                return Err(broken("it is shorter than its Content-Length"));
            }
            Phase::Chunks if !self.state.omit_body => self.queue.copy(chunked::LAST_CHUNK),
            _ => {}
        }
        self.state.phase = Phase::Finished;
        Ok(())
    }

    fn account(&mut self, bytes: u64) -> Result<(), HttpError> {
        match &mut self.state.phase {
            Phase::Unstarted | Phase::Finished => return Err(broken("body outside of an answer")),
            Phase::Length(left) => {
                *left = left
                    .checked_sub(bytes)
                    .ok_or_else(|| broken("it is longer than its Content-Length"))?;
            }
            Phase::Chunks | Phase::UntilClose => {}
        }
        if !self.state.omit_body {
            self.state.sent += bytes;
        }
        Ok(())
    }
}

/// `HTTP/1.1 404 Not Found` and CRLF. Always 1.1: it says what the server understands, not what the
/// client asked with (RFC 9110 §2.5).
pub fn write_status_line<'s>(line: impl Into<StatusLine<'s>>, head: &mut Vec<u8>) {
    let line = line.into();
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(itoa::Buffer::new().format(line.status().code()).as_bytes());
    head.push(b' ');
    head.extend_from_slice(line.reason());
    head.extend_from_slice(b"\r\n");
}

/// The `Connection` line, where it has to be said, and the blank line (RFC 9112 §9.3).
pub fn connection_lines(persistent: bool, is_http10: bool) -> &'static [u8] {
    match (persistent, is_http10) {
        (true, false) => b"\r\n",
        (true, true) => b"Connection: keep-alive\r\n\r\n",
        (false, _) => b"Connection: close\r\n\r\n",
    }
}

/// The field of which each answer has one: the host's, if `policy` has it.
const HSTS: &str = "Strict-Transport-Security";

/// The header lines of an answer as they are sent with this status, beside the lines that its host
/// adds to all.
pub fn fields_sent<'h>(status: Status, headers: &'h Headers, policy: &[u8]) -> Cow<'h, Headers> {
    let fields = beside_policy(headers, policy);
    match status {
        Status::NOT_MODIFIED => Cow::Owned(fields.without_representation()),
        _ => fields,
    }
}

/// As [`fields_sent`], of lines that are rendered already.
pub fn lines_sent(status: Status, lines: &[u8]) -> Cow<'_, [u8]> {
    match status {
        Status::NOT_MODIFIED => {
            let kept = Headers::of_lines(lines).without_representation();
            Cow::Owned(kept.as_bytes().to_vec())
        }
        _ => Cow::Borrowed(lines),
    }
}

/// `hsts` is what whoever runs the server says, and clients look at the first of several
/// (RFC 6797 §8.1).
fn beside_policy<'h>(headers: &'h Headers, policy: &[u8]) -> Cow<'h, Headers> {
    if headers.get(HSTS).is_none() || memchr::memmem::find(policy, HSTS.as_bytes()).is_none() {
        return Cow::Borrowed(headers);
    }
    let mut others = headers.clone();
    others.remove(HSTS);
    Cow::Owned(others)
}

fn broken(how: &'static str) -> HttpError {
    HttpError::fatal(Status::BAD_GATEWAY, format!("the answer is broken: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Budget, Buffers};
    use crate::net::{Script, Transport};

    fn written(state: &mut AnswerState, write: impl FnOnce(&mut Answer<'_>)) -> String {
        let mut queue = SendQueue::default();
        write(&mut Answer::new(state, &mut queue, &Rc::from(*b"Date: x\r\n")));
        let mut transport = Transport::Scripted(Script::default());
        queue.flush(&mut transport, &mut Budget::new(1), &mut Buffers::default()).unwrap();
        let Transport::Scripted(script) = transport else { unreachable!() };
        String::from_utf8(script.sent).unwrap()
    }

    fn state(chunks_allowed: bool) -> AnswerState {
        AnswerState {
            chunks_allowed,
            is_http10: !chunks_allowed,
            persistent: true,
            ..AnswerState::default()
        }
    }

    #[test]
    fn framing_follows_length_and_version() {
        let hello = |length| {
            move |answer: &mut Answer<'_>| {
                answer.head(Status::OK, &Headers::new(), length);
                answer.write(b"hello").unwrap();
                answer.finish().unwrap();
            }
        };
        assert_eq!(
            written(&mut state(true), hello(Some(5))),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello"
        );
        assert_eq!(
            written(&mut state(true), hello(None)),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        assert_eq!(
            written(&mut state(false), hello(None)),
            "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nhello"
        );
        let mut head_only = AnswerState { omit_body: true, ..state(true) };
        assert_eq!(
            written(&mut head_only, hello(Some(5))),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\n"
        );
    }

    #[test]
    fn what_the_host_says_of_hsts_is_said_once() {
        let mut own = Headers::new();
        own.push("strict-transport-security", b"max-age=1");
        own.push("X-Own", b"1");
        let policy = b"Server: s\r\nStrict-Transport-Security: max-age=9\r\n";
        assert_eq!(beside_policy(&own, policy).as_bytes(), b"X-Own: 1\r\n");
        assert_eq!(*beside_policy(&own, b"Server: s\r\n"), own);
    }

    #[test]
    fn lies_about_the_length_are_found() {
        written(&mut state(true), |answer| {
            assert!(answer.write(b"x").is_err());
            assert!(answer.finish().is_err());
            answer.head(Status::OK, &Headers::new(), Some(2));
            answer.write(b"x").unwrap();
            assert!(answer.finish().is_err());
            assert!(answer.write(b"yz").is_err());
        });
    }

    #[test]
    fn not_modified_describes_no_body() {
        let mut fields = Headers::new();
        for (name, value) in [("Content-Type", "a/b"), ("content-encoding", "gzip"), ("ETag", "x")]
        {
            fields.push(name, value.as_bytes());
        }
        let text = written(&mut state(true), |answer| {
            answer.standing_lines = Rc::from(*b"Content-Language: de\r\nDate: x\r\n");
            answer.head(Status::NOT_MODIFIED, &fields, Some(5));
            answer.finish().unwrap();
        });
        assert_eq!(text, "HTTP/1.1 304 Not Modified\r\nETag: x\r\nDate: x\r\n\r\n");
    }

    #[test]
    fn no_content_has_neither_length_nor_body() {
        let text = written(&mut state(true), |answer| {
            answer.head(Status::NO_CONTENT, &Headers::new(), None);
            answer.finish().unwrap();
        });
        assert_eq!(text, "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n");
    }
}
