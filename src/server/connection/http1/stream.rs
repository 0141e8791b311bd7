//! What HTTP/1 lends the transaction in progress, and how its response is framed.

use super::DISCARD_MAX;
use crate::event::{Clock, TaskId};
use crate::http::{Headers, Method, Status, StatusLine, Version};
use crate::http1::chunked;
use crate::http1::render::{self, BodyLine};
use crate::net::{FileSlice, RecvBuffer, SendQueue, Transport};
use crate::serve::{AnswerSink, BodyState, Head, Request, Response, fields_sent};
use crate::server::connection::link::Link;
use crate::server::drive::DriveContext;
use crate::server::transaction::{Lent, Stream};
use std::rc::Rc;

/// How the response in progress is framed, and what comes after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sending {
    framing: BodyFraming,
    /// The connection goes on. Until the head is written: it may, for all that its client says.
    persistent: bool,
    /// If the head is written now, the connection ends with it, for a reason beside the answer: the
    /// server stops, or too much of the request's body is unread.
    is_last: bool,
    /// What the client sends after the request cannot be told apart from it.
    ends_input: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BodyFraming {
    /// As it is: its length is known, or there is none.
    #[default]
    Plain,
    Chunks,
    /// It ends when the connection does.
    UntilClose,
}

impl Sending {
    /// No head yet. `persistent`: the client wants to go on with the connection.
    pub(super) fn new(persistent: bool) -> Self {
        Self { persistent, ..Self::default() }
    }

    /// Whether the connection goes on.
    pub(super) fn is_persistent(self) -> bool {
        self.persistent
    }

    /// Whether nothing that the client sends may be taken for a request any more.
    pub(super) fn ends_input(self) -> bool {
        self.ends_input
    }

    /// Whether nothing but the end of the connection tells the client that the response is complete: if it
    /// is not, that end has to look different.
    pub(super) fn ends_by_closing(self) -> bool {
        self.framing == BodyFraming::UntilClose
    }
}

/// The one stream of a link.
pub(super) struct Http1Stream<'a> {
    task: TaskId,
    recv: &'a mut RecvBuffer,
    queue: &'a mut SendQueue,
    sending: &'a mut Sending,
    /// The server stops: answers end their connections.
    stopping: bool,
}

/// The stream of a link, on which request number `stream` is answered, with the state of its response.
pub(super) fn lend<'a>(
    link: &'a mut Link,
    stream: u32,
    sending: &'a mut Sending,
    cx: &mut DriveContext<'_>,
) -> Http1Stream<'a> {
    lend_beside(link, stream, sending, cx).0
}

/// As `lend`, and the transport beside it.
pub(super) fn lend_beside<'a>(
    link: &'a mut Link,
    stream: u32,
    sending: &'a mut Sending,
    cx: &mut DriveContext<'_>,
) -> (Http1Stream<'a>, &'a Transport) {
    let task = TaskId { conn: link.id, stream };
    let (recv, queue, transport) = link.parts(cx.free);
    (Http1Stream { task, recv, queue, sending, stopping: cx.stopping }, transport)
}

impl Stream for Http1Stream<'_> {
    type Sink<'s>
        = Sink<'s>
    where
        Self: 's;

    fn lend(
        &mut self,
        request: &Request,
        unread: &BodyState,
        clock: &Clock,
    ) -> Lent<'_, Self::Sink<'_>> {
        self.sending.is_last = !self.can_continue(request, unread);
        let common_headers = clock.common_headers().clone();
        let sink = Sink { queue: self.queue, sending: self.sending, common_headers };
        Lent { task: self.task, recv: self.recv, sink }
    }

    fn respond(
        &mut self,
        response: Response,
        request: &Request,
        unread: &BodyState,
        clock: &Clock,
    ) -> u64 {
        // Its head says so if not (RFC 9112 §9.6). The end of chunks is not known before they are
        // read: they are read, and bounded in time.
        let to_come = unread.left().map(|left| left.saturating_sub(self.arrived()));
        let is_short = to_come.is_none_or(|to_come| to_come <= DISCARD_MAX);
        self.sending.persistent &= is_short && self.can_continue(request, unread);
        let queue = &mut *self.queue;
        // Bytes that no length announces would be taken for the next answer.
        let may_have_body = response.status.may_have_body();
        let length = if may_have_body { response.body.len() } else { 0 };
        match &response.head {
            Head::Prepared(head) => queue.copy(head.http1()),
            Head::Fields(headers) => {
                let line = match response.status.has_length() {
                    true => BodyLine::Length(length),
                    false => BodyLine::None,
                };
                queue_head(queue, response.status.into(), headers, line, request);
            }
        }
        let persistent = self.sending.persistent;
        queue_end_of_head(queue, response.status, clock.common_headers(), request, persistent);
        if !may_have_body || request.head.method() == Method::Head {
            return 0;
        }
        response.body.queue_into(queue);
        length
    }

    fn send_continue(&mut self) {
        if self.recv.is_empty() {
            self.queue.copy(render::CONTINUE);
        }
    }

    fn end_input(&mut self) {
        self.sending.ends_input = true;
        self.sending.persistent = false;
    }
}

impl Http1Stream<'_> {
    /// Bytes of the body, or of what follows it, that are in the buffer.
    fn arrived(&self) -> u64 {
        self.recv.unread().len() as u64
    }

    /// Whether the connection can go on behind an answer to `request` that begins now, while `unread`
    /// is left of its body. What is left of that in the end is dropped, however long it is.
    fn can_continue(&self, request: &Request, unread: &BodyState) -> bool {
        !self.stopping && self.will_come(request, unread)
    }

    /// Whether the rest of a body is sure to be sent, and can be read. A client that waits to be told to continue may
    /// or may not send it: what comes next could be either. What it has sent before it was answered is
    /// the body.
    fn will_come(&self, request: &Request, unread: &BodyState) -> bool {
        let waits = request.expects_continue && self.arrived() == 0 && unread.received() == 0;
        unread.is_finished() || !waits && !unread.is_too_long()
    }
}

/// Frames the answer of an exchange.
pub(super) struct Sink<'a> {
    queue: &'a mut SendQueue,
    sending: &'a mut Sending,
    common_headers: Rc<[u8]>,
}

impl AnswerSink for Sink<'_> {
    fn pending(&self) -> u64 {
        self.queue.pending()
    }

    /// Without a length, chunks follow, or, to an HTTP/1.0 client, the body ends with the connection
    /// (RFC 9112 §6.1).
    fn head(
        &mut self,
        line: StatusLine<'_>,
        headers: &Headers,
        length: Option<u64>,
        request: &Request,
    ) {
        let status = line.status();
        let (framing, body_line) = match (length, request.head.version()) {
            (Some(_), _) if !status.has_length() => (BodyFraming::Plain, BodyLine::None),
            (Some(length), _) => (BodyFraming::Plain, BodyLine::Length(length)),
            (None, Version::Http11 | Version::Http2) => (BodyFraming::Chunks, BodyLine::Chunked),
            (None, Version::Http10) => (BodyFraming::UntilClose, BodyLine::None),
        };
        self.sending.persistent &= !self.sending.is_last && framing != BodyFraming::UntilClose;
        self.sending.framing = match framing {
            // Chunks are announced to HEAD, and do not come.
            BodyFraming::Chunks if request.head.method() == Method::Head => BodyFraming::Plain,
            framing => framing,
        };
        queue_head(self.queue, line, headers, body_line, request);
        let persistent = self.sending.persistent;
        queue_end_of_head(self.queue, status, &self.common_headers, request, persistent);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.begin_chunk(bytes.len());
        self.queue.copy(bytes);
        self.end_chunk();
    }

    fn file(&mut self, slice: FileSlice) {
        self.begin_chunk(usize::try_from(slice.len).unwrap_or(usize::MAX));
        self.queue.file(slice);
        self.end_chunk();
    }

    fn finish(&mut self) {
        if self.sending.framing == BodyFraming::Chunks {
            self.queue.copy(chunked::LAST_CHUNK);
        }
    }
}

impl Sink<'_> {
    fn begin_chunk(&mut self, len: usize) {
        if self.sending.framing == BodyFraming::Chunks {
            self.queue.append(|out| chunked::size_line(len, out));
        }
    }

    fn end_chunk(&mut self) {
        if self.sending.framing == BodyFraming::Chunks {
            self.queue.copy(b"\r\n");
        }
    }
}

/// The lines that are the answer's own.
fn queue_head(
    queue: &mut SendQueue,
    line: StatusLine<'_>,
    headers: &Headers,
    body_line: BodyLine,
    request: &Request,
) {
    let fields = fields_sent(line.status(), headers, request.host_headers.as_deref());
    queue.append(|head| {
        render::status_line(line, head);
        head.extend_from_slice(fields.as_bytes());
        render::body_line(body_line, head);
    });
}

/// The lines that are the server's, the host's and the connection's.
fn queue_end_of_head(
    queue: &mut SendQueue,
    status: Status,
    common_headers: &[u8],
    request: &Request,
    persistent: bool,
) {
    queue.copy(common_headers);
    for headers in request.response_headers() {
        queue.copy(fields_sent(status, headers, None).as_bytes());
    }
    queue.copy(render::connection_lines(persistent, request.head.version()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Budget, Buffers};
    use crate::serve::{Answer, AnswerState};

    /// What is sent of an answer to a request of this line.
    fn written(line: &str, write: impl FnOnce(&mut Answer<'_>)) -> (String, Sending) {
        let mut request = Request::default();
        let (method, version) = line.split_once(' ').unwrap();
        let version = if version == "1.0" { Version::Http10 } else { Version::Http11 };
        let host = (&b"Host"[..], &b"h"[..]);
        request.head.assemble(method.as_bytes(), b"/", version, [host].into_iter()).unwrap();
        let (mut queue, mut sending) = (SendQueue::default(), Sending::new(true));
        let common_headers = Rc::from(*b"Date: x\r\n");
        let mut sink = Sink { queue: &mut queue, sending: &mut sending, common_headers };
        let mut state = AnswerState::new(&request);
        write(&mut Answer::new(&mut state, &mut sink, &request));
        let mut transport = Transport::Scripted(Default::default());
        queue.flush(&mut transport, &mut Budget::new(1), &mut Buffers::default()).unwrap();
        let Transport::Scripted(script) = transport else { unreachable!() };
        (String::from_utf8(script.get().sent.clone()).unwrap(), sending)
    }

    #[test]
    fn framing_follows_length_and_version() {
        let chunks = "Transfer-Encoding: chunked\r\nDate: x\r\n";
        for (line, status, length, lines, body) in [
            ("GET 1.1", Status::OK, Some(5), "Content-Length: 5\r\nDate: x\r\n", "hello"),
            ("GET 1.1", Status::OK, None, chunks, "5\r\nhello\r\n0\r\n\r\n"),
            ("GET 1.0", Status::OK, None, "Date: x\r\nConnection: close\r\n", "hello"),
            (
                "GET 1.0",
                Status::OK,
                Some(5),
                "Content-Length: 5\r\nDate: x\r\nConnection: keep-alive\r\n",
                "hello",
            ),
            ("HEAD 1.1", Status::OK, Some(5), "Content-Length: 5\r\nDate: x\r\n", ""),
            ("HEAD 1.1", Status::OK, None, chunks, ""),
            ("GET 1.1", Status::NO_CONTENT, None, "Date: x\r\n", ""),
            ("GET 1.1", Status::RESET_CONTENT, None, "Content-Length: 0\r\nDate: x\r\n", ""),
        ] {
            let (text, sending) = written(line, |answer| {
                answer.head(status, &Headers::new(), length);
                if status.may_have_body() {
                    answer.write(b"hello").unwrap();
                }
                answer.finish().unwrap();
            });
            let first = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
            assert_eq!(text, format!("{first}{lines}\r\n{body}"), "{line} {length:?}");
            let until_close = (line, length) == ("GET 1.0", None);
            assert_eq!(sending.ends_by_closing(), until_close, "{line} {length:?}");
            assert_eq!(sending.is_persistent(), !until_close, "{line} {length:?}");
        }
    }

    #[test]
    fn not_modified_describes_no_body() {
        let mut fields = Headers::new();
        for (name, value) in [("Content-Type", "a/b"), ("content-encoding", "gzip"), ("ETag", "x")]
        {
            fields.push(name, value.as_bytes());
        }
        let (text, _) = written("GET 1.1", |answer| {
            answer.head(Status::NOT_MODIFIED, &fields, Some(5));
            answer.finish().unwrap();
        });
        assert_eq!(text, "HTTP/1.1 304 Not Modified\r\nETag: x\r\nDate: x\r\n\r\n");
    }
}
