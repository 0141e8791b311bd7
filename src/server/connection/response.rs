//! A complete answer: queued, framed, written down.

use super::drain::is_drainable;
use super::sending::Origin;
use super::{ClientConnection, Phase, Turn};
use crate::event::Door;
use crate::http::{Method, Status};
use crate::net::SendQueue;
use crate::serve::{
    Body, BodyState, Head, Part, Request, Response, connection_lines, fields_sent, lines_sent,
    write_status_line,
};
use crate::server::access_log::Entry;
use crate::server::choose::Routed;

impl ClientConnection {
    /// Queues `response` and decides what follows it: the next request, the rest of a body that
    /// nobody read, or the end.
    pub(super) fn respond(
        &mut self,
        response: Response,
        mut request: Box<Request>,
        routed: Routed<'_>,
        error: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        let body = BodyState::new(request.framing.body, u64::MAX);
        let (status, in_memory) = (response.status, response.body.is_in_memory());
        let bytes_out = self.queue_answer(response, &request, body, turn);
        if in_memory || bytes_out == 0 {
            let entry = Entry {
                request: &request,
                status,
                bytes_in: 0,
                bytes_out,
                began: turn.cx.now(),
                host: routed.host.map(|host| &*host.name),
                route: routed.route.map(|route| &*route.path),
                kind: routed.kind(),
                error,
            };
            turn.log.record(&entry, &turn.cx.clock);
            request.clear();
            turn.spares.give_request(request);
        } else {
            let origin = Origin::new(request, routed, turn.cx.now());
            self.follow(origin, status, 0, bytes_out, error.map(str::to_owned));
        }
    }

    /// As `respond`, for a request that an exchange has had, and whose body it may have read.
    pub(super) fn respond_late(
        &mut self,
        response: Response,
        origin: Origin,
        body: BodyState,
        error: Option<String>,
        turn: &mut Turn<'_>,
    ) {
        let (status, bytes_in) = (response.status, body.received());
        let bytes_out = self.queue_answer(response, &origin.request, body, turn);
        self.follow(origin, status, bytes_in, bytes_out, error);
    }

    /// Writes down what never came to be a request.
    pub(super) fn record_refused(
        &self,
        request: &Request,
        status: Status,
        reason: &str,
        turn: &mut Turn<'_>,
    ) {
        let entry = Entry {
            request,
            status,
            bytes_in: 0,
            bytes_out: 0,
            began: turn.cx.now(),
            host: None,
            route: None,
            kind: "-",
            error: Some(reason),
        };
        turn.log.record(&entry, &turn.cx.clock);
    }

    /// Queues an answer and sets the phase that follows it. Returns the length of its body.
    fn queue_answer(
        &mut self,
        response: Response,
        request: &Request,
        unread: BodyState,
        turn: &mut Turn<'_>,
    ) -> u64 {
        let drainable = is_drainable(&request.framing, &unread, self.recv.unread().len());
        let persistent = request.framing.persistent && !turn.stopping && drainable;
        self.settle_next(persistent, unread);
        let standing_lines = turn.cx.clock.standing_lines();
        let queue = self.send.get_or_insert_with(|| turn.spares.queue());
        // Bytes that no length announces would be taken for the next answer.
        let omit_body = request.head.method() == Method::Head || !response.status.may_have_body();
        let length = response.body.len();
        let policy = request.policy_lines.as_deref().unwrap_or_default();
        queue_head(queue, &response, length, policy);
        queue.copy(standing_lines);
        for lines in request.answer_lines() {
            match request.is_rerouted() {
                true => queue.copy(&lines_sent(response.status, lines)),
                false => queue.copy(lines),
            }
        }
        queue.copy(connection_lines(persistent, !request.is_http11()));
        if omit_body {
            return 0;
        }
        queue_body(queue, response.body);
        length
    }

    /// What follows an answer to a request of whose body `unread` is left.
    pub(super) fn settle_next(&mut self, persistent: bool, unread: BodyState) {
        self.phase = match (persistent, unread.is_finished()) {
            (true, true) => Phase::Head,
            (true, false) => Phase::Draining(Box::new(unread)),
            (false, finished) => Phase::Closing { linger: !finished || self.may_still_talk() },
        };
    }

    /// Whether data of the client may lie unread in the socket: closing would then reset the
    /// connection, and the answer on its way would be lost with it.
    pub(super) fn may_still_talk(&self) -> bool {
        !self.recv.is_empty() || self.ready.readable(Door::Client)
    }
}

fn queue_head(queue: &mut SendQueue, response: &Response, length: u64, policy: &[u8]) {
    match &response.head {
        Head::Prebuilt(lines) => queue.copy(lines),
        Head::Fields(headers) => {
            queue.append(|head| {
                write_status_line(response.status, head);
                head.extend_from_slice(fields_sent(response.status, headers, policy).as_bytes());
                if response.status.may_have_body() {
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
