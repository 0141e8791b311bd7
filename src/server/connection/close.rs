//! Ending: the last answer, and the client that is still talking.

use super::closed::Closed;
use super::sending::record;
use super::{ClientConnection, Phase, Progress, Turn, Verdict};
use crate::http::{HttpError, Status};
use crate::serve::Abort;
use std::time::{Duration, Instant};

/// Bytes a second that are dropped after the last answer. A client that sends faster waits, so that
/// nothing is gained by sending what nobody reads.
pub(super) const DISCARD_RATE: u64 = 64 * 1024 * 1024;

/// How far ahead of that rate a client may be: pauses are not shorter.
const DISCARD_AHEAD: Duration = Duration::from_millis(20);

/// Input that is dropped after the last answer. Many clients send all of an upload before they
/// read, and take a reset for a failure although their answer was complete (RFC 9112 §9.6).
#[derive(Debug)]
pub(super) struct Discard {
    since: Instant,
    dropped: u64,
    /// Nothing is received before.
    resumes: Option<Instant>,
}

impl Discard {
    fn new(since: Instant) -> Self {
        Self { since, dropped: 0, resumes: None }
    }

    /// Counts bytes that were dropped. Returns until when nothing is to be received, if they came
    /// too fast.
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

impl ClientConnection {
    /// Everything is queued. Once it is sent, says so, and closes or lingers.
    pub(super) fn finish_closing(
        &mut self,
        linger: bool,
        turn: &Turn<'_>,
    ) -> Result<Progress, Closed> {
        if linger {
            self.drop_received();
        }
        if self.owes() {
            return Ok(Progress::Still);
        }
        if self.transport.say_goodbye() {
            return Ok(Progress::Moved);
        }
        // What came while the answer was leaving counts as well.
        let linger = linger || self.may_still_talk();
        if !linger || self.peer_ended {
            return Err(Closed::Done);
        }
        self.transport.shutdown_write();
        self.phase = Phase::Lingering(Box::new(Discard::new(turn.cx.now())));
        Ok(Progress::Moved)
    }

    /// Drops what still comes in.
    pub(super) fn linger(&mut self, turn: &mut Turn<'_>) -> Result<Progress, Closed> {
        let dropped = self.drop_received();
        if self.peer_ended {
            return Err(Closed::Done);
        }
        if let Phase::Lingering(discard) = &mut self.phase
            && !discard.is_paused()
            && let Some(at) = discard.add(dropped, turn.cx.now())
        {
            turn.cx.timers.arm(at, self.id);
        }
        Ok(Progress::Still)
    }

    /// Drops what has arrived. Returns how much that was.
    pub(super) fn drop_received(&mut self) -> u64 {
        let unread = self.recv.unread().len();
        self.recv.consume(unread);
        unread as u64
    }

    /// The connection ends: what is unfinished is aborted and written down.
    pub(super) fn end(&mut self, closed: &Closed, turn: &mut Turn<'_>) -> Verdict {
        let abort = if matches!(closed, Closed::Broken(_)) { Abort::Failed } else { Abort::Gone };
        // An alert that says what was wrong; nobody waits for the answer to it.
        let _ = self.transport.flush();
        self.abandon(abort, closed.reason(), turn);
        Verdict::Close
    }

    /// The harvester or the end of the server cuts it off. A client whose head or body came only in
    /// part is told so, if its socket takes that at once.
    pub fn cut_off(&mut self, why: Abort, reason: &str, turn: &mut Turn<'_>) {
        if why == Abort::Timeout && matches!(self.phase, Phase::Head) && !self.recv.is_empty() {
            let error = HttpError::fatal(Status::REQUEST_TIMEOUT, reason.to_owned());
            let request = turn.spares.request();
            self.refuse_unparsed(&error, request, turn);
            // If it is gone, nobody has to be told.
            let _ = self.flush(turn);
        } else if why == Abort::Timeout && self.waits_for_body() {
            self.refuse_half_body(reason, turn);
            let _ = self.flush(turn);
        } else if why == Abort::Timeout && self.is_amid_handshake() {
            self.record_no_request(Status::REQUEST_TIMEOUT, reason, turn);
        } else if self.is_idle() && self.transport.say_goodbye() {
            let _ = self.transport.flush();
        }
        if self.owes() {
            // What the kernel holds for a client that does not take it would stay there for minutes.
            self.transport.reset_on_close();
        }
        self.abandon(why, Some(reason), turn);
    }

    fn abandon(&mut self, why: Abort, reason: Option<&str>, turn: &mut Turn<'_>) {
        let unsent = self.pending();
        match std::mem::replace(&mut self.phase, Phase::Closing { linger: false }) {
            Phase::Serving(serving) => self.abandon_exchange(*serving, why, reason, unsent, turn),
            Phase::Sending(sending) => record(&sending, reason, unsent, turn),
            _ => {}
        }
        self.drop_received();
        self.recv.release(&mut turn.cx.buffers);
    }
}
