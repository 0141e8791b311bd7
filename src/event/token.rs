//! Who an event is for, packed into the 64 bits of a `mio::Token`.
//!
//! A connection's token carries a generation beside its slot: an event of a closed connection
//! names a generation that no longer lives there, and reaches nobody.

use mio::Token;

const _: () = assert!(size_of::<usize>() == 8, "tokens need 64 bits");

/// A connection: its slot in the table and which tenant of the slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// The slot.
    pub index: u32,
    /// 24 bits, counted up each time the slot is given to a new connection.
    pub generation: u32,
}

impl ConnId {
    /// The generations there are before they begin again.
    pub const GENERATIONS: u32 = 1 << 24;
}

/// A connection's entrances. HTTP/1 has one exchange at a time, so four are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The client's socket.
    Client,
    /// Where an exchange's answer comes from: a pipe, a socket.
    Upstream,
    /// Where an exchange's body goes to, if that is another descriptor: a child's stdin.
    Feed,
    /// Where an exchange hears complaints from: a child's stderr.
    Errors,
}

/// The number of a service, under which its own descriptors are registered (idle workers, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A listener, by its number.
    Listener(u32),
    /// One door of a connection.
    Connection(ConnId, Door),
    /// The signal source.
    Signals,
    /// The folders of the certificates.
    Certificates,
    /// A descriptor that a service keeps beyond single exchanges.
    Pool(ServiceId, u16),
    /// A child, by its number among `Children`.
    Child(u32),
    /// Another thread has something for the loop: finished work, the wish to stop.
    Outside,
}

const KIND_SHIFT: u32 = 60;
const DOOR_SHIFT: u32 = 56;
const GENERATION_SHIFT: u32 = 32;

impl Target {
    /// As a token.
    pub fn token(self) -> Token {
        let pack = |kind: usize, rest: usize| Token(kind << KIND_SHIFT | rest);
        match self {
            Self::Connection(id, door) => pack(
                0,
                (door as usize) << DOOR_SHIFT
                    | (id.generation as usize) << GENERATION_SHIFT
                    | id.index as usize,
            ),
            Self::Listener(number) => pack(1, number as usize),
            Self::Signals => pack(2, 0),
            Self::Child(number) => pack(4, number as usize),
            Self::Certificates => pack(5, 0),
            Self::Pool(pool, slot) => pack(3, (pool.0 as usize) << 16 | usize::from(slot)),
            Self::Outside => pack(6, 0),
        }
    }

    /// What a token says; `None` for one that was not made here.
    pub fn from_token(Token(bits): Token) -> Option<Self> {
        let low = bits as u32;
        match bits >> KIND_SHIFT {
            0 => {
                let door = match bits >> DOOR_SHIFT & 0xf {
                    0 => Door::Client,
                    1 => Door::Upstream,
                    2 => Door::Feed,
                    3 => Door::Errors,
                    _ => return None,
                };
                let generation = (bits >> GENERATION_SHIFT) as u32 & (ConnId::GENERATIONS - 1);
                Some(Self::Connection(ConnId { index: low, generation }, door))
            }
            1 => Some(Self::Listener(low)),
            2 => Some(Self::Signals),
            3 => Some(Self::Pool(ServiceId((bits >> 16) as u32), low as u16)),
            4 => Some(Self::Child(low)),
            5 => Some(Self::Certificates),
            6 => Some(Self::Outside),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_goes_round() {
        let mut targets = vec![
            Target::Signals,
            Target::Certificates,
            Target::Outside,
            Target::Listener(0),
            Target::Listener(u32::MAX),
            Target::Child(0),
            Target::Child(u32::MAX),
            Target::Pool(ServiceId(0), 0),
            Target::Pool(ServiceId(u32::MAX), u16::MAX),
        ];
        for door in [Door::Client, Door::Upstream, Door::Feed, Door::Errors] {
            for index in [0, 1, u32::MAX] {
                for generation in [0, 1, ConnId::GENERATIONS - 1] {
                    targets.push(Target::Connection(ConnId { index, generation }, door));
                }
            }
        }
        for target in targets {
            assert_eq!(Target::from_token(target.token()), Some(target));
        }
        assert_eq!(Target::from_token(Token(usize::MAX)), None);
    }
}
