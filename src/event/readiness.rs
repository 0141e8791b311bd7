//! What may succeed now on one descriptor.
//!
//! Bits are hints. Only the result of a system call decides: a false `readable` costs one
//! WouldBlock, and end of file is believed only from a read of zero bytes.

/// A set of readiness bits of one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness(u8);

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
const CLOSED: u8 = 4;
const GONE: u8 = 8;

impl Readiness {
    /// Both are tried before they are waited for.
    pub const UNTRIED: Self = Self(READABLE | WRITABLE);

    /// What an event says. READABLE comes with a hang-up too, so that the read which meets it is
    /// tried.
    pub fn of(event: &mio::event::Event) -> Self {
        let mut readiness = Self::default();
        if event.is_readable() {
            readiness.set_readable();
        }
        if event.is_writable() {
            readiness.set_writable();
        }
        if event.is_read_closed() || event.is_error() {
            readiness.0 |= READABLE | CLOSED;
        }
        if event.is_error() || event.is_write_closed() {
            readiness.0 |= WRITABLE | GONE;
        }
        readiness
    }

    /// As `of`, for a peer that may have ended its side, or both.
    #[cfg(test)]
    pub fn of_script(readable: bool, writable: bool, ended: bool, gone: bool) -> Self {
        let bits = |is: bool, bits| if is { bits } else { 0 };
        let readiness = bits(readable, READABLE) | bits(writable, WRITABLE);
        Self(readiness | bits(ended, READABLE | CLOSED) | bits(ended && gone, WRITABLE | GONE))
    }

    /// Adds what has become ready.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the connection has failed or is closed in both directions: nothing that is still
    /// written would arrive.
    pub fn is_gone(self) -> bool {
        self.0 & GONE != 0
    }

    /// Whether a read may succeed.
    pub fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// A read may succeed.
    pub fn set_readable(&mut self) {
        self.0 |= READABLE;
    }

    /// A read met WouldBlock, or fell short.
    pub fn clear_readable(&mut self) {
        self.0 &= !READABLE;
    }

    /// Whether a write may succeed.
    pub fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// A write may succeed.
    pub fn set_writable(&mut self) {
        self.0 |= WRITABLE;
    }

    /// A write met WouldBlock.
    pub fn clear_writable(&mut self) {
        self.0 &= !WRITABLE;
    }

    /// Whether the peer has ended its side. Such an event comes once and together with the last
    /// data: a short read is then not the end, the zero after it is.
    pub fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}
