//! What HTTP/1 lends the transaction in progress, and how it renders a complete response.

use super::DISCARD_MAX;
use crate::event::TaskId;
use crate::http::Method;
use crate::net::{RecvBuffer, SendQueue, Transport};
use crate::serve::{
    Body, BodyState, Head, Part, Request, Response, connection_lines, fields_sent, lines_sent,
    write_status_line,
};
use crate::server::connection::link::Link;
use crate::server::drive::DriveContext;
use crate::server::transaction::{Lent, Stream};

/// The one stream of a link.
pub(super) struct Http1Stream<'a> {
    task: TaskId,
    recv: &'a mut RecvBuffer,
    queue: &'a mut SendQueue,
    /// The server stops: answers end their connections.
    stopping: bool,
}

/// The stream of a link, on which request number `stream` is answered.
pub(super) fn lend<'a>(
    link: &'a mut Link,
    stream: u32,
    cx: &mut DriveContext<'_>,
) -> Http1Stream<'a> {
    lend_beside(link, stream, cx).0
}

/// The stream of a link, and its transport beside it.
pub(super) fn lend_beside<'a>(
    link: &'a mut Link,
    stream: u32,
    cx: &mut DriveContext<'_>,
) -> (Http1Stream<'a>, &'a Transport) {
    let task = TaskId { conn: link.id, stream };
    let (recv, queue, transport) = link.parts(cx.free);
    (Http1Stream { task, recv, queue, stopping: cx.stopping }, transport)
}

impl Stream for Http1Stream<'_> {
    fn lend(&mut self) -> Lent<'_> {
        Lent { task: self.task, recv: self.recv, queue: self.queue }
    }

    fn can_continue(&self, request: &Request, unread: &BodyState) -> bool {
        !self.stopping && self.will_come(request, unread)
    }

    fn respond(
        &mut self,
        response: Response,
        request: &Request,
        unread: &BodyState,
        common_headers: &[u8],
    ) -> (u64, bool) {
        // Its head says so if not (RFC 9112 §9.6). The end of chunks is not known before they are
        // read: they are read, and bounded in time.
        let to_come = unread.left().map(|left| left.saturating_sub(self.arrived()));
        let is_short = to_come.is_none_or(|to_come| to_come <= DISCARD_MAX);
        let persistent =
            request.framing.persistent && is_short && self.can_continue(request, unread);
        let queue = &mut *self.queue;
        // Bytes that no length announces would be taken for the next answer.
        let omit_body = request.head.method() == Method::Head || !response.status.may_have_body();
        let length = if response.status.may_have_body() { response.body.len() } else { 0 };
        let policy = request.policy_lines.as_deref().unwrap_or_default();
        queue_head(queue, &response, length, policy);
        queue.copy(common_headers);
        for lines in request.answer_lines() {
            match request.is_rerouted() {
                true => queue.copy(&lines_sent(response.status, lines)),
                false => queue.copy(lines),
            }
        }
        queue.copy(connection_lines(persistent, !request.is_http11()));
        if omit_body {
            return (0, persistent);
        }
        queue_body(queue, response.body);
        (length, persistent)
    }

    fn send_continue(&mut self) {
        if self.recv.is_empty() {
            self.queue.copy(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }
}

impl Http1Stream<'_> {
    /// Bytes of the body, or of what follows it, that are in the buffer.
    fn arrived(&self) -> u64 {
        self.recv.unread().len() as u64
    }

    /// Whether the rest of a body is sure to be sent, and can be read. A client that waits to be told to continue may
    /// or may not send it: what comes next could be either. What it has sent before it was answered is
    /// the body.
    fn will_come(&self, request: &Request, unread: &BodyState) -> bool {
        let waits =
            request.framing.expects_continue && self.arrived() == 0 && unread.received() == 0;
        unread.is_finished() || !waits && !unread.is_too_long()
    }
}

fn queue_head(queue: &mut SendQueue, response: &Response, length: u64, policy: &[u8]) {
    match &response.head {
        Head::Prebuilt(lines) => queue.copy(lines),
        Head::Fields(headers) => {
            queue.append(|head| {
                write_status_line(response.status, head);
                head.extend_from_slice(fields_sent(response.status, headers, policy).as_bytes());
                if response.status.has_length() {
                    head.extend_from_slice(b"Content-Length: ");
                    head.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                    head.extend_from_slice(b"\r\n");
                }
            });
        }
    }
}

fn queue_body(queue: &mut SendQueue, body: Body) {
    match body {
        Body::Empty => {}
        Body::Bytes(bytes) => queue.share(bytes),
        Body::File(slice) => queue.file(slice),
        Body::Parts(parts) => {
            for part in parts {
                match part {
                    Part::Bytes(bytes) => queue.share(bytes),
                    Part::File(slice) => queue.file(slice),
                }
            }
        }
    }
}
