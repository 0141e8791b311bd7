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

    /// Adds what an event says. READABLE comes with a hang-up too, so that the read which meets it
    /// is tried.
    pub fn mark(&mut self, event: &mio::event::Event) {
        if event.is_readable() {
            self.set_readable();
        }
        if event.is_writable() {
            self.set_writable();
        }
        if event.is_read_closed() || event.is_error() {
            self.0 |= READABLE | CLOSED;
        }
        if event.is_error() || event.is_write_closed() {
            self.0 |= WRITABLE | GONE;
        }
    }

    /// As `mark` for a peer that has ended its side, and with `gone` both, in a simulation.
    #[cfg(test)]
    pub fn set_ended(&mut self, gone: bool) {
        self.0 |= READABLE | CLOSED | if gone { WRITABLE | GONE } else { 0 };
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
