//! The bodies of requests that were answered without them: read and dropped, so that the connection
//! can go on.

use super::closed::Closed;
use super::{ClientConnection, Phase, Progress};
use crate::http::framing::Framing;
use crate::net::RecvBuffer;
use crate::serve::{BodyIn, BodyState};

/// Of an unread request body, this much is waited for and dropped, so that the connection can go
/// on. Beyond that a new connection is cheaper.
pub(super) const DRAIN_MAX: u64 = 256 * 1024;

/// Whether the connection can go on after a complete answer to a request of whose body `unread` is
/// left, `arrived` bytes of it in the buffer. Its head says so if not (RFC 9112 §9.6). The end of
/// chunks is not known before they are read: they are read, and bounded in time.
pub(super) fn is_drainable(framing: &Framing, unread: &BodyState, arrived: usize) -> bool {
    let to_come = unread.left().map(|left| left.saturating_sub(arrived as u64));
    will_come(framing, unread, arrived) && to_come.is_none_or(|to_come| to_come <= DRAIN_MAX)
}

/// Whether the rest of a body is sure to be sent. A client that waits to be told to continue may or
/// may not send it: what comes next could be either. What it has sent before it was answered is the
/// body.
pub(super) fn will_come(framing: &Framing, unread: &BodyState, arrived: usize) -> bool {
    let waits = framing.expects_continue && arrived == 0 && unread.received() == 0;
    !waits || unread.is_finished()
}

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
        if self.peer_ended {
            self.phase = Phase::Closing { linger: false };
            return Ok(Progress::Moved);
        }
        Ok(if moved { Progress::Moved } else { Progress::Still })
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
