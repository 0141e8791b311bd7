//! An answer that takes more than a turn to leave: what follows it, and what is written down of it
//! when it has arrived, or not.

use super::closed::Closed;
use super::drain::drain;
use super::{ClientConnection, Phase, Progress, Turn};
use crate::http::Status;
use crate::serve::Request;
use crate::server::access_log::Entry;
use crate::server::choose::Routed;
use std::rc::Rc;
use std::time::Instant;

/// An answer with a file in it, on its way. It is written down when it has arrived, or not.
#[derive(Debug)]
pub(super) struct Sending {
    origin: Origin,
    status: Status,
    bytes_in: u64,
    bytes_out: u64,
    error: Option<String>,
    after: Phase,
}

impl Sending {
    /// Whether what the client still sends is dropped while the answer leaves: one that sends all of
    /// its body before it reads would wait for ever.
    pub(super) fn drains(&self) -> bool {
        matches!(&self.after, Phase::Draining(_) | Phase::Closing { linger: true })
    }
}

/// A request that outlives its first turn, and who it was given to.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) request: Box<Request>,
    pub(super) began: Instant,
    pub(super) host: Option<Rc<str>>,
    pub(super) route: Option<Rc<str>>,
    pub(super) kind: &'static str,
}

impl Origin {
    pub(super) fn new(request: Box<Request>, routed: Routed<'_>, began: Instant) -> Self {
        Self {
            request,
            began,
            host: routed.host.map(|host| host.name.clone()),
            route: routed.route.map(|route| route.path.clone()),
            kind: routed.kind(),
        }
    }
}

impl ClientConnection {
    /// Watches an answer until it is sent; then comes what comes now.
    pub(super) fn follow(
        &mut self,
        origin: Origin,
        status: Status,
        bytes_in: u64,
        bytes_out: u64,
        error: Option<String>,
    ) {
        let after = std::mem::replace(&mut self.phase, Phase::Head);
        let sending = Sending { origin, status, bytes_in, bytes_out, error, after };
        self.phase = Phase::Sending(Box::new(sending));
    }

    /// Goes on once the answer is sent.
    pub(super) fn finish_sending(&mut self, turn: &mut Turn<'_>) -> Result<Progress, Closed> {
        if self.owes() {
            if let Phase::Sending(sending) = &mut self.phase {
                if let Phase::Draining(state) = &mut sending.after
                    && drain(state, &mut self.recv).is_err()
                {
                    sending.after = Phase::Closing { linger: true };
                }
                if matches!(sending.after, Phase::Closing { linger: true }) {
                    self.drop_received();
                }
            }
            return Ok(Progress::Still);
        }
        if let Phase::Sending(sending) = std::mem::replace(&mut self.phase, Phase::Head) {
            record(&sending, sending.error.as_deref(), 0, turn);
            let Sending { mut origin, after, .. } = *sending;
            origin.request.clear();
            turn.spares.give_request(origin.request);
            self.phase = after;
        }
        Ok(Progress::Moved)
    }
}

/// Writes down an answer of which `unsent` bytes did not leave.
pub(super) fn record(sending: &Sending, error: Option<&str>, unsent: u64, turn: &mut Turn<'_>) {
    let entry = Entry {
        request: &sending.origin.request,
        status: sending.status,
        bytes_in: sending.bytes_in,
        bytes_out: sending.bytes_out.saturating_sub(unsent),
        began: sending.origin.began,
        host: sending.origin.host.as_deref(),
        route: sending.origin.route.as_deref(),
        kind: sending.origin.kind,
        error,
    };
    turn.log.record(&entry, &turn.cx.clock);
}
