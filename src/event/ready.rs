//! What may succeed now, for each door of a connection.
//!
//! Bits are hints. Only the result of a system call decides: a false `readable` costs one
//! WouldBlock, and end of file is believed only from a read of zero bytes.

use super::Door;

/// A set of readiness bits: four doors, each readable, writable, closed; and timer and woken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(u16);

const READABLE: u16 = 1;
const WRITABLE: u16 = 2;
const CLOSED: u16 = 4;
const WIDTH: u16 = 3;
const TIMER: u16 = 1 << 12;
const WOKEN: u16 = 1 << 13;
const GONE: u16 = 1 << 14;

/// The doors that belong to an exchange.
const OF_EXCHANGES: [Door; 3] = [Door::Upstream, Door::Feed, Door::Errors];

impl Ready {
    /// Adds what an event says about a door. READABLE comes with a hang-up too, so that the read
    /// which meets it is tried.
    pub fn mark(&mut self, door: Door, event: &mio::event::Event) {
        if event.is_readable() {
            self.set_readable(door);
        }
        if event.is_writable() {
            self.set_writable(door);
        }
        if event.is_read_closed() || event.is_error() {
            self.0 |= (READABLE | CLOSED) << shift(door);
        }
        if event.is_error() || event.is_write_closed() {
            self.set_writable(door);
            if door == Door::Client {
                self.0 |= GONE;
            }
        }
    }

    /// As `mark` for a client that has ended its side, and with `gone` both, in a simulation.
    #[cfg(test)]
    pub fn set_ended(&mut self, gone: bool) {
        self.0 |= READABLE | CLOSED | if gone { WRITABLE | GONE } else { 0 };
    }

    /// Whether the client's connection has failed or is closed in both directions: nothing that is
    /// still written would arrive.
    pub fn gone(self) -> bool {
        self.0 & GONE != 0
    }

    /// Whether a read of this door may succeed.
    pub fn readable(self, door: Door) -> bool {
        self.0 & READABLE << shift(door) != 0
    }

    /// A read may succeed.
    pub fn set_readable(&mut self, door: Door) {
        self.0 |= READABLE << shift(door);
    }

    /// A read met WouldBlock, or fell short.
    pub fn clear_readable(&mut self, door: Door) {
        self.0 &= !(READABLE << shift(door));
    }

    /// Whether a write to this door may succeed.
    pub fn writable(self, door: Door) -> bool {
        self.0 & WRITABLE << shift(door) != 0
    }

    /// A write may succeed.
    pub fn set_writable(&mut self, door: Door) {
        self.0 |= WRITABLE << shift(door);
    }

    /// A write met WouldBlock.
    pub fn clear_writable(&mut self, door: Door) {
        self.0 &= !(WRITABLE << shift(door));
    }

    /// Whether the peer has ended its side. Such an event comes once and together with the last
    /// data: a short read is then not the end, the zero after it is.
    pub fn closed(self, door: Door) -> bool {
        self.0 & CLOSED << shift(door) != 0
    }

    /// A new exchange begins: its doors are tried before they are waited for, and what the one
    /// before was told and did not ask for is not its own.
    pub fn open_upstream_doors(&mut self) {
        self.0 &= !(TIMER | WOKEN);
        for door in OF_EXCHANGES {
            self.0 &= !(0b111 << shift(door));
            self.0 |= (READABLE | WRITABLE) << shift(door);
        }
    }

    /// Whether an event of the exchange's own doors is still to come: something there met
    /// WouldBlock.
    pub fn waits_upstream(self) -> bool {
        OF_EXCHANGES.iter().any(|door| !self.readable(*door) || !self.writable(*door))
    }

    /// The exchange's instant has come.
    pub fn set_timer(&mut self) {
        self.0 |= TIMER;
    }

    /// Whether the exchange's instant has come; asking forgets it.
    pub fn take_timer(&mut self) -> bool {
        self.take(TIMER)
    }

    /// Another part of the program asked for this connection to be driven.
    pub fn set_woken(&mut self) {
        self.0 |= WOKEN;
    }

    /// Whether it was woken; asking forgets it.
    pub fn take_woken(&mut self) -> bool {
        self.take(WOKEN)
    }

    fn take(&mut self, bit: u16) -> bool {
        let had = self.0 & bit != 0;
        self.0 &= !bit;
        had
    }
}

fn shift(door: Door) -> u16 {
    door as u16 * WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_do_not_touch_each_other() {
        let mut ready = Ready::default();
        ready.set_readable(Door::Client);
        ready.open_upstream_doors();
        ready.clear_writable(Door::Feed);
        assert!(ready.readable(Door::Client) && !ready.writable(Door::Client));
        assert!(ready.readable(Door::Upstream) && ready.writable(Door::Upstream));
        assert!(ready.readable(Door::Feed) && !ready.writable(Door::Feed));
        ready.set_timer();
        assert!(ready.take_timer() && !ready.take_timer() && !ready.take_woken());
    }
}
