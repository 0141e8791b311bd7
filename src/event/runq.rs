//! Who is to be driven next, and how much each may do.

use super::ConnId;

/// What one connection may move in a turn while others wait: one chunk each way.
pub const CHUNK: usize = 64 * 1024;

/// A connection that is alone may go on for this many chunks, so that a single big download does
/// not pay one `epoll_wait` for each chunk. Still under a millisecond of copying.
const CHUNKS_ALONE: usize = 8;

/// What the kernel moves by itself, from a file to a socket, costs about a quarter of what is copied
/// through us, and stalls in the socket when it is cut into small pieces: with slices of 64 KiB 64
/// clients of 1 MiB files got two thirds of what they got with 256 KiB. Either is under 60 µs.
const BY_KERNEL: usize = 4;

/// Connections to be driven. Each is in it at most once: the connection knows (`queued`).
#[derive(Debug, Default)]
pub struct RunQueue {
    next: Vec<ConnId>,
}

impl RunQueue {
    /// Adds a connection. The caller has seen that it is not yet queued.
    pub fn push(&mut self, id: ConnId) {
        self.next.push(id);
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.next.len()
    }

    /// Takes all who wait now, into `into`, which is emptied first. Who is queued while these are
    /// driven waits for the next turn, so that a turn ends.
    pub fn take(&mut self, into: &mut Vec<ConnId>) {
        into.clear();
        std::mem::swap(&mut self.next, into);
    }
}

/// What is left to move for the connection being driven.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// For one of `company` connections that are to be driven this turn.
    pub fn new(company: usize) -> Self {
        Self { left: if company <= 1 { CHUNK * CHUNKS_ALONE } else { CHUNK } }
    }

    /// `bytes` were moved.
    pub fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// The kernel moved `bytes` from a file to the socket.
    pub fn spend_by_kernel(&mut self, bytes: usize) {
        self.spend(bytes.div_ceil(BY_KERNEL));
    }

    /// Bytes that the kernel may still move from a file to the socket.
    pub fn left_by_kernel(self) -> usize {
        self.left * BY_KERNEL
    }

    /// Whether the rest has to wait for the next turn.
    pub fn is_spent(self) -> bool {
        self.left == 0
    }

    /// Bytes that may still be moved.
    pub fn left(self) -> usize {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_takes_only_who_was_there() {
        let id = |index| ConnId { index, generation: 0 };
        let (mut queue, mut turn) = (RunQueue::default(), Vec::new());
        queue.push(id(1));
        queue.push(id(2));
        queue.take(&mut turn);
        queue.push(id(1));
        assert_eq!(turn, [id(1), id(2)]);
        assert!(!queue.is_empty());
        queue.take(&mut turn);
        assert_eq!(turn, [id(1)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn company_shares() {
        assert_eq!(Budget::new(2).left(), CHUNK);
        let mut alone = Budget::new(1);
        assert!(alone.left() > CHUNK);
        alone.spend(usize::MAX);
        assert!(alone.is_spent());
    }
}
