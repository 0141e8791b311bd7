//! What tests look at from outside.

use super::{ClientConnection, Protocol, Timeout};
use crate::event::Readiness;
use std::time::{Duration, Instant};

/// See there.
pub const DISCARD_RATE: u64 = super::http1::DISCARD_RATE;
/// See there.
pub const FOREVER: Duration = super::link::FOREVER;

/// How a connection is, between two drives.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// It is on the run queue.
    pub is_queued: bool,
    /// Bytes that wait to be sent.
    pub pending: usize,
    /// Something waits to leave, be it encrypted already.
    pub owes: bool,
    /// It has a send queue.
    pub has_queue: bool,
    /// It would receive.
    pub wants_input: bool,
    pub ready: Readiness,
    pub has_exchange: bool,
    pub is_busy: bool,
    pub has_deadline: bool,
    pub timeout: Timeout,
    /// Memory is kept for what was received, and there is something in it.
    pub received: (bool, bool),
}

impl ClientConnection {
    /// How it is now.
    pub fn look(&self, now: Instant) -> Look {
        let (link, Protocol::Http1(http1)) = (&self.link, &self.protocol) else {
            panic!("nobody speaks HTTP/2 here");
        };
        Look {
            is_queued: link.queued,
            pending: link.pending() as usize,
            owes: link.owes(),
            has_queue: link.has_queued(),
            wants_input: http1.wants_input(link),
            ready: link.ready,
            has_exchange: http1.has_exchange(),
            is_busy: http1.is_busy(),
            has_deadline: link.deadline < now + FOREVER / 2,
            timeout: link.timeout,
            received: (link.recv.holds_memory(), !link.recv.is_empty()),
        }
    }
}
