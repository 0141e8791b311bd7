//! The bodies of requests that were answered without them: read and dropped, so that the connection
//! can go on.

use super::closed::Closed;
use super::{ClientConnection, Phase, Progress};
use crate::net::RecvBuffer;
use crate::serve::{BodyIn, BodyState};

/// An unread request body up to this long is read and dropped, so that the connection can go on.
/// Beyond that a new connection is cheaper.
pub(super) const DRAIN_MAX: u64 = 256 * 1024;

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
