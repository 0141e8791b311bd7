//! Ending: bodies nobody read, the last answer, and the client that is still talking.

use super::response::record;
use super::{ClientConnection, Phase, Progress, Turn, Verdict};
use crate::http::{HttpError, Status};
use crate::net::RecvBuffer;
use crate::serve::{Abort, BodyIn, BodyState};
use std::io;

/// Why a connection ends without its last answer being complete, or with nothing left to say.
#[derive(Debug)]
pub(super) enum Closed {
    /// All is said and sent.
    Done,
    /// The client ended its side and is owed nothing.
    Eof,
    /// The client reset the connection, or it broke.
    Reset,
    /// An answer could not be completed; the log says why.
    Broken(String),
}

impl Closed {
    pub(super) fn of_send(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::UnexpectedEof => {
                Self::Broken("the file was cut while it was sent".into())
            }
            _ => Self::Broken(error.to_string()),
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Eof => None,
            Self::Reset => Some("client gone"),
            Self::Broken(why) => Some(why),
        }
    }
}

/// An unread request body up to this long is read and dropped, so that the connection can go on.
/// Beyond that a new connection is cheaper.
pub(super) const DRAIN_MAX: u64 = 256 * 1024;

/// What is dropped after our last word; then the client is cut off.
const LINGER_MAX: u32 = 64 * 1024;

impl ClientConnection {
    /// Drops what has arrived of a body nobody wants.
    pub(super) fn drain_body(&mut self) -> Result<Progress, Closed> {
        let Phase::Draining(state) = &mut self.phase else { return Ok(Progress::Still) };
        let Ok(moved) = drain(state, &mut self.recv) else {
            // Its framing is broken: where the next request begins, nobody knows.
            self.phase = Phase::Closing { linger: true };
            return Ok(Progress::Moved);
        };
        if state.is_finished() {
            self.phase = Phase::Head;
            return Ok(Progress::Moved);
        }
        if state.received() > DRAIN_MAX {
            self.phase = Phase::Closing { linger: true };
            return Ok(Progress::Moved);
        }
        if self.peer_ended {
            self.phase = Phase::Closing { linger: false };
            return Ok(Progress::Moved);
        }
        Ok(if moved { Progress::Moved } else { Progress::Still })
    }

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
        // An alert that says what was wrong, or that we have heard that it ends; nobody waits for
        // the answer to either.
        if matches!(closed, Closed::Eof) {
            self.transport.say_goodbye();
        }
        let _ = self.transport.flush();
        self.abandon(abort, closed.reason(), turn);
        Verdict::Close
    }

    /// The harvester or the end of the server cuts it off. A client whose head came only in part
    /// is told so, if its socket takes that at once.
    pub fn cut_off(&mut self, why: Abort, reason: &str, turn: &mut Turn<'_>) {
        if why == Abort::Timeout && matches!(self.phase, Phase::Head) && !self.recv.is_empty() {
            let error = HttpError::fatal(Status::REQUEST_TIMEOUT, reason.to_owned());
            let request = turn.spares.request();
            self.refuse_unparsed(&error, request, turn);
            // If it is gone, nobody has to be told.
            let _ = self.flush(turn);
        } else if self.is_idle() && self.transport.say_goodbye() {
            let _ = self.transport.flush();
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

/// Drops all that is there of a body. `Ok(true)`: something was.
pub(super) fn drain(state: &mut BodyState, buffer: &mut RecvBuffer) -> Result<bool, ()> {
    let mut moved = false;
    let mut body = BodyIn::new(state, buffer);
    loop {
        let n = body.peek().map_err(|_| ())?.len();
        if n == 0 {
            return Ok(moved);
        }
        body.consume(n);
        moved = true;
    }
}
