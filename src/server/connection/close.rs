//! Ending: the last answer, and the client that is still talking.

use super::closed::Closed;
use super::sending::record;
use super::{ClientConnection, Phase, Progress, Turn, Verdict};
use crate::http::{HttpError, Status};
use crate::serve::Abort;

/// What is dropped after our last word; then the client is cut off. Many clients send all of an
/// upload before they read, and take a reset for a failure although their answer was complete.
pub(super) const LINGER_MAX: u32 = 16 * 1024 * 1024;

impl ClientConnection {
    /// Everything is queued. Once it is sent, says so, and closes or lingers.
    pub(super) fn finish_closing(&mut self, linger: bool) -> Result<Progress, Closed> {
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
        self.phase = Phase::Lingering { left: LINGER_MAX };
        Ok(Progress::Moved)
    }

    /// Drops what still comes in.
    pub(super) fn linger(&mut self) -> Result<Progress, Closed> {
        let Phase::Lingering { left } = &mut self.phase else { return Ok(Progress::Still) };
        let unread = self.recv.unread().len();
        self.recv.consume(unread);
        if self.peer_ended || unread as u32 >= *left {
            return Err(Closed::Done);
        }
        *left -= unread as u32;
        Ok(Progress::Still)
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
        self.recv.consume(self.recv.unread().len());
        self.recv.release(&mut turn.cx.buffers);
    }
}
