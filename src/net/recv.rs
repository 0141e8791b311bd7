//! Bytes received and not yet consumed.

use super::{Filled, Transport};
use crate::event::{BUFFER_LARGE, BUFFER_SMALL, Buffers};
use std::io;

/// A receive buffer that exists only while it holds something: it borrows its memory from the
/// pool at the first read and gives it back when all is consumed.
#[derive(Debug, Default)]
pub struct RecvBuffer {
    memory: Box<[u8]>,
    start: u32,
    end: u32,
}

impl RecvBuffer {
    /// What was received and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.memory.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `n` bytes of `unread`.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.unread().len());
        self.start = (self.start + n as u32).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Whether another read would find room. A buffer of one chunk that is full is not grown:
    /// its bytes have to be consumed first, and that is the back-pressure.
    pub fn has_room(&self) -> bool {
        self.unread().len() < BUFFER_LARGE
    }

    /// Reads once.
    ///
    /// # Errors
    /// Those of the socket, WouldBlock among them.
    pub fn fill(&mut self, from: &mut Transport, pool: &mut Buffers) -> io::Result<Filled> {
        self.make_room(pool);
        let spare = &mut self.memory[self.end as usize..];
        let filled = from.read(spare, pool)?;
        self.end += filled.bytes as u32;
        Ok(filled)
    }

    /// Takes as much of `bytes` as there is room for, as if it had been received; returns how much.
    /// For clients that live in the same process.
    pub fn feed(&mut self, bytes: &[u8], pool: &mut Buffers) -> usize {
        self.make_room(pool);
        let spare = &mut self.memory[self.end as usize..];
        let taken = bytes.len().min(spare.len());
        spare[..taken].copy_from_slice(&bytes[..taken]);
        self.end += taken as u32;
        taken
    }

    /// Gives the memory back if nothing is in it.
    pub fn release(&mut self, pool: &mut Buffers) {
        if self.is_empty() && !self.memory.is_empty() {
            pool.give_back(std::mem::take(&mut self.memory));
        }
    }

    /// Whether it holds memory of the pool.
    #[cfg(test)]
    pub fn holds_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    /// Uses a large buffer from now on: a body of more than a small one is coming.
    pub fn enlarge(&mut self, pool: &mut Buffers) {
        if self.memory.len() < BUFFER_LARGE {
            self.move_into(pool.large(), pool);
        }
    }

    fn make_room(&mut self, pool: &mut Buffers) {
        if self.memory.is_empty() {
            self.memory = pool.small();
        }
        if (self.end as usize) < self.memory.len() {
            return;
        }
        if self.start > 0 {
            self.memory.copy_within(self.start as usize..self.end as usize, 0);
            self.end -= self.start;
            self.start = 0;
        } else if self.memory.len() == BUFFER_SMALL {
            self.move_into(pool.large(), pool);
        }
    }

    fn move_into(&mut self, mut larger: Box<[u8]>, pool: &mut Buffers) {
        let unread = self.unread().len();
        larger[..unread].copy_from_slice(self.unread());
        (self.start, self.end) = (0, unread as u32);
        let old = std::mem::replace(&mut self.memory, larger);
        pool.give_back(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Script;

    #[test]
    fn holds_up_to_one_chunk_and_nothing_when_empty() {
        let mut pool = Buffers::default();
        let sent: Vec<u8> = (0..BUFFER_LARGE * 2).map(|n| (n % 251) as u8).collect();
        let mut transport = Transport::Scripted(Script::incoming(&sent, 1000).into());
        let (mut buffer, mut got) = (RecvBuffer::default(), Vec::new());
        while buffer.has_room() {
            buffer.fill(&mut transport, &mut pool).unwrap();
        }
        assert_eq!(buffer.unread(), &sent[..BUFFER_LARGE]);
        while got.len() < sent.len() {
            got.extend_from_slice(buffer.unread());
            buffer.consume(buffer.unread().len());
            if got.len() < sent.len() {
                buffer.fill(&mut transport, &mut pool).unwrap();
            }
        }
        assert_eq!(got, sent);
        buffer.release(&mut pool);
        assert!(buffer.memory.is_empty());
    }

    #[test]
    fn the_middle_survives_compaction() {
        let mut pool = Buffers::default();
        let mut transport = Transport::Scripted(Script::incoming(&[7; 40_000], 40_000).into());
        let mut buffer = RecvBuffer::default();
        buffer.fill(&mut transport, &mut pool).unwrap();
        buffer.consume(10);
        buffer.fill(&mut transport, &mut pool).unwrap();
        assert_eq!(buffer.unread().len(), BUFFER_SMALL);
        assert!(buffer.unread().iter().all(|b| *b == 7));
    }
}
