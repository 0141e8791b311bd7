//! From received bytes to a transaction.

use super::stream::{self, Sending};
use super::{Http1, PIPELINE_MAX, Reading, Writing};
use crate::event::CHUNK;
use crate::http::{HttpError, Status};
use crate::http1::{Parsed, framing, parse};
use crate::net::Tls;
use crate::serve::Response;
use crate::server::connection::link::Link;
use crate::server::connection::{CloseReason, Progress};
use crate::server::drive::DriveContext;
use crate::server::routing::ConnectionInfo;
use crate::server::transaction::{End, Transaction};
use std::io;

/// What a client is told that speaks HTTP where HTTPS is spoken.
const PLAIN_TEXT: &str = "400 Bad Request\n\
    This port speaks HTTPS. Write https:// instead of http:// in front of the address.\n";

impl Http1 {
    /// Answers the requests whose heads have arrived, several with one write.
    pub(super) fn read_heads(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        if link.peer_ended && link.recv.is_empty() {
            return self.close_after_client();
        }
        if !link.recv.is_empty() && link.is_unencrypted_by_mistake() {
            return self.refuse_plain_text(link, cx);
        }
        let mut progress = Progress::Still;
        for _ in 0..PIPELINE_MAX {
            let Reading::Head { scanned } = self.reading else { break };
            if link.recv.is_empty() || link.pending() >= CHUNK as u64 {
                break;
            }
            let mut next = cx.free.transaction();
            let unread = link.recv.unread();
            let limits = &cx.site.limits.head;
            progress = match parse(unread, scanned as usize, limits, &mut next.request.head) {
                Parsed::Partial => {
                    self.reading = Reading::Head { scanned: unread.len() as u32 };
                    cx.free.give_transaction(next);
                    if link.peer_ended {
                        return self.close_after_client();
                    }
                    break;
                }
                Parsed::Complete(consumed) => {
                    link.recv.consume(consumed);
                    self.begin(next, link, cx)?
                }
                Parsed::Refused(error) => self.refuse_unparsed(&error, next, link, cx)?,
            };
            if !self.is_between_requests() {
                break;
            }
        }
        Ok(progress)
    }

    /// The client has said that no further request comes. What is queued for it still leaves.
    fn close_after_client(&mut self) -> Result<Progress, CloseReason> {
        self.enter(Reading::Ended { linger: false }, Writing::Closing)
    }

    /// Begins the transaction of a request whose head is complete.
    fn begin(
        &mut self,
        next: Box<Transaction>,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        self.answered = self.answered.saturating_add(1);
        // Here from now on, so that it is found wherever a handler fails.
        let current = self.current.insert(next);
        link.describe(&mut current.request);
        let framing = framing::frame(&current.request.head);
        self.sending = Sending::new(framing.as_ref().is_ok_and(|framing| framing.persistent));
        let (mut stream, transport) =
            stream::lend_beside(link, self.answered, &mut self.sending, cx);
        let info = ConnectionInfo {
            shown: transport.tls().and_then(Tls::server_name),
            certificates: cx.tls,
            https_port: cx.https_port,
            now: cx.cx.now(),
        };
        match framing {
            Ok(framing) => {
                current.request.body_length = framing.body;
                current.request.expects_continue = framing.expects_continue;
                current.begin(&info, &mut stream, cx);
            }
            Err(error) => current.refuse(error, &mut stream, cx),
        }
        self.follow_begin(link, cx)
    }

    /// What follows the beginning of the transaction in progress: its answer may be complete.
    fn follow_begin(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        match &self.current {
            Some(current) if current.is_answered() => self.follow_answer(link, cx),
            _ => self.enter(Reading::Body, Writing::Response),
        }
    }

    /// Answers what is no request.
    pub(super) fn refuse_unparsed(
        &mut self,
        error: &HttpError,
        next: Box<Transaction>,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        let current = self.current.insert(next);
        link.describe(&mut current.request);
        self.sending = Sending::default();
        current.refuse_unparsed(
            error,
            &mut stream::lend(link, self.answered, &mut self.sending, cx),
            cx,
        );
        self.follow_answer(link, cx)
    }

    /// Tells a client that it should have spoken TLS. Its request is not looked at.
    fn refuse_plain_text(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        let current = self.current.insert(cx.free.transaction());
        link.describe_plainly(&mut current.request);
        link.drop_received();
        let media_type = "text/plain; charset=utf-8";
        let response = Response::text(Status::BAD_REQUEST, media_type, PLAIN_TEXT);
        let reason = "plain HTTP where TLS is spoken";
        self.sending = Sending::default();
        let mut stream = stream::lend(link, self.answered, &mut self.sending, cx);
        current.refuse_with(response, reason.into(), &mut stream, cx);
        self.follow_answer(link, cx)
    }

    /// TLS has failed: an alert is on its way. Between requests, and above all in the handshake,
    /// that is logged as a request that never came to be; anywhere else it ends what is in progress.
    pub(in crate::server::connection) fn break_off(
        &mut self,
        error: &io::Error,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), CloseReason> {
        let reason = format!("TLS: {error}");
        match self.writing {
            Writing::Idle if self.is_between_requests() && !link.has_queued() => {}
            Writing::Lingering => return Err(CloseReason::Done),
            _ => return Err(CloseReason::Broken(reason)),
        }
        log_no_request(Status::BAD_REQUEST, reason, link, cx);
        self.enter(Reading::Ended { linger: true }, Writing::Closing).map(|_| ())
    }
}

/// Logs a client that never came to ask for anything.
pub(super) fn log_no_request(
    status: Status,
    reason: String,
    link: &mut Link,
    cx: &mut DriveContext<'_>,
) {
    let mut transaction = cx.free.transaction();
    link.describe(&mut transaction.request);
    transaction.note_no_request(status, reason, cx.cx.now());
    transaction.finish(End::Delivered, cx);
}
