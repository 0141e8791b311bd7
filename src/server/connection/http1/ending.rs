//! The end of a connection: the last answer, the client that is still sending, and what is cut off.

use super::heads::log_no_request;
use super::{Http1, Reading, Writing, stream};
use crate::event::{Cx, TaskId};
use crate::http::{HttpError, Status};
use crate::serve::Abort;
use crate::server::connection::link::Link;
use crate::server::connection::{CloseReason, Progress};
use crate::server::drive::DriveContext;
use crate::server::transaction::End;
use std::time::{Duration, Instant};

/// Bytes a second that are dropped after the last answer. A client that sends faster waits, so that
/// nothing is gained by sending what is not read.
pub(in crate::server::connection) const DISCARD_RATE: u64 = 64 * 1024 * 1024;

/// How far ahead of that rate a client may be: pauses are not shorter.
const DISCARD_AHEAD: Duration = Duration::from_millis(20);

/// Input that is dropped after the last answer. Many clients send all of an upload before they read,
/// and take a reset for a failure although their answer was complete (RFC 9112 §9.6).
#[derive(Debug)]
pub(super) struct Linger {
    since: Instant,
    dropped: u64,
    /// Nothing is received before.
    resumes: Option<Instant>,
}

impl Linger {
    fn new(since: Instant) -> Self {
        Self { since, dropped: 0, resumes: None }
    }

    /// Counts bytes that were dropped. Returns until when nothing is to be received, if they came too
    /// fast.
    fn add(&mut self, bytes: u64, now: Instant) -> Option<Instant> {
        self.dropped = self.dropped.saturating_add(bytes);
        let micros = u128::from(self.dropped) * 1_000_000 / u128::from(DISCARD_RATE);
        let due = self.since + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.resumes = (due > now + DISCARD_AHEAD).then_some(due);
        self.resumes
    }

    pub(super) fn is_paused(&self) -> bool {
        self.resumes.is_some()
    }

    /// An armed instant has come: whether it ends the pause.
    pub(super) fn resume(&mut self, at: Instant) -> bool {
        let due = self.resumes == Some(at);
        if due {
            self.resumes = None;
        }
        due
    }
}

impl Http1 {
    /// Everything is queued. Once it is sent, closes or lingers.
    pub(super) fn finish_closing(
        &mut self,
        link: &mut Link,
        now: Instant,
    ) -> Result<Progress, CloseReason> {
        let linger = matches!(self.reading, Reading::Ended { linger: true });
        if linger {
            link.drop_received();
        }
        if link.owes() {
            return Ok(Progress::Still);
        }
        if link.transport.say_goodbye() {
            return Ok(Progress::Moved);
        }
        // What came while the answer was leaving counts as well.
        if link.peer_ended || !linger && !link.may_have_unread() {
            return Err(CloseReason::Done);
        }
        link.transport.shutdown_write();
        self.enter(Reading::Dropping(Box::new(Linger::new(now))), Writing::Lingering)
    }

    /// Drops what still comes in.
    pub(super) fn linger(&mut self, link: &mut Link, cx: &mut Cx) -> Result<Progress, CloseReason> {
        let dropped = link.drop_received();
        if link.peer_ended {
            return Err(CloseReason::Done);
        }
        if let Reading::Dropping(linger) = &mut self.reading
            && !linger.is_paused()
            && let Some(at) = linger.add(dropped, cx.now())
        {
            cx.timers.arm(at, TaskId { conn: link.id, stream: self.answered });
        }
        Ok(Progress::Still)
    }

    /// The connection ends: what is unfinished is aborted and logged.
    pub(in crate::server::connection) fn end(
        &mut self,
        closed: &CloseReason,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) {
        closed.log(cx.cx);
        // An alert that says what was wrong; the answer to it is not waited for.
        let _ = link.transport.flush();
        self.abandon(closed.abort(), closed.reason(), link, cx);
    }

    /// See `ClientConnection::cut_off`.
    pub(in crate::server::connection) fn cut_off(
        &mut self,
        why: Abort,
        reason: &str,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) {
        if why == Abort::Timeout {
            self.answer_timeout(reason, link, cx);
        }
        let is_idle = self.is_between_requests() && link.recv.is_empty() && !link.owes();
        if is_idle && !link.is_amid_handshake() && link.transport.say_goodbye() {
            let _ = link.transport.flush();
        }
        if link.owes() {
            // What the kernel holds for a client that does not take it would stay there for minutes.
            link.transport.reset_on_close();
        }
        self.abandon(why, Some(reason), link, cx);
    }

    /// Tells a client whose head or body came only in part that its time is up.
    fn answer_timeout(&mut self, reason: &str, link: &mut Link, cx: &mut DriveContext<'_>) {
        let error = || HttpError::fatal(Status::REQUEST_TIMEOUT, reason.to_owned());
        if self.is_between_requests() && !link.recv.is_empty() {
            let next = cx.free.transaction();
            // Whatever comes of it, the connection ends now.
            let _ = self.refuse_unparsed(&error(), next, link, cx);
        } else if let Some(current) = self.current.as_mut().filter(|it| it.waits_for_body()) {
            let mut stream = stream::lend(link, self.answered, &mut self.sending, cx);
            current.fail_because(Abort::Timeout, error(), &mut stream, cx);
            let _ = self.follow_answer(link, cx);
        } else if link.is_amid_handshake() {
            log_no_request(Status::REQUEST_TIMEOUT, reason.to_owned(), link, cx);
        }
        // A client that is gone does not have to be told.
        let _ = link.flush(false, cx);
    }

    /// Ends the transaction that a panic has left behind.
    pub(in crate::server::connection) fn recover(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), CloseReason> {
        let Some(current) = &mut self.current else {
            return Err(CloseReason::Broken("a panic".into()));
        };
        if !current.is_answered() {
            let why = "a panic, which the error log tells of";
            let error = HttpError::fatal(Status::INTERNAL_SERVER_ERROR, why);
            let mut stream = stream::lend(link, self.answered, &mut self.sending, cx);
            current.fail_because(Abort::Failed, error, &mut stream, cx);
        }
        // An answer that was complete is delivered.
        match (&self.reading, &self.writing) {
            (Reading::Body, _) | (_, Writing::Idle) => self.follow_answer(link, cx).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn abandon(
        &mut self,
        why: Abort,
        reason: Option<&str>,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) {
        let unsent = link.pending();
        self.finish(End::Cut { why, reason, unsent }, cx);
        link.drop_received();
        link.recv.release(&mut cx.cx.buffers);
    }
}

impl CloseReason {
    pub(in crate::server::connection) fn abort(&self) -> Abort {
        match self {
            Self::Done | Self::Reset => Abort::Gone,
            Self::Broken(_) | Self::Impossible(_) => Abort::Failed,
        }
    }

    fn log(&self, cx: &mut Cx) {
        if let Self::Impossible(state) = self {
            let text = format!("a connection was closed in an impossible state: {state}");
            cx.report(crate::conf::Level::Error, text);
        }
    }
}
