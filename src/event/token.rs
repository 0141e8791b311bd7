//! Who an event is for, packed into the 64 bits of a `mio::Token`.
//!
//! A connection's token carries a generation beside its slot: an event of a closed connection
//! names a generation that no longer lives there, and reaches nobody.

use super::{Readiness, SourceId};
use mio::Token;

const _: () = assert!(size_of::<usize>() == 8, "tokens need 64 bits");
const _: () = assert!(ConnId::GENERATIONS == SourceId::GENERATIONS);

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

/// One request on one connection: whoever waits, is woken, or owns a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The connection.
    pub conn: ConnId,
    /// Which of its requests: a wake or an instant of a former one reaches nobody.
    pub stream: u32,
}

/// The number of a service, under which its own descriptors are registered (idle workers, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A listener, by its number.
    Listener(u32),
    /// The socket of a client.
    Connection(ConnId),
    /// What else somebody waits for: the table of sources knows who.
    Source(SourceId),
    /// The signal source.
    Signals,
    /// Another thread has something for the loop: finished work, the wish to stop.
    Outside,
}

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// To what.
    pub target: Target,
    /// What may succeed now.
    pub readiness: Readiness,
}

impl Event {
    /// As the poll tells it; `None` for what is no target.
    pub fn of(event: &mio::event::Event) -> Option<Self> {
        let target = Target::from_token(event.token())?;
        Some(Self { target, readiness: Readiness::of(event) })
    }
}

const KIND_SHIFT: u32 = 60;
const GENERATION_SHIFT: u32 = 32;

impl Target {
    /// As a token.
    pub fn token(self) -> Token {
        let pack = |kind: usize, generation: u32, index: u32| {
            Token(kind << KIND_SHIFT | (generation as usize) << GENERATION_SHIFT | index as usize)
        };
        match self {
            Self::Connection(id) => pack(0, id.generation, id.index),
            Self::Listener(number) => pack(1, 0, number),
            Self::Signals => pack(2, 0, 0),
            Self::Source(id) => pack(3, id.generation, id.index),
            Self::Outside => pack(4, 0, 0),
        }
    }

    /// What a token says; `None` for one that was not made here.
    pub fn from_token(Token(bits): Token) -> Option<Self> {
        let index = bits as u32;
        let generation = (bits >> GENERATION_SHIFT) as u32 & (ConnId::GENERATIONS - 1);
        match bits >> KIND_SHIFT {
            0 => Some(Self::Connection(ConnId { index, generation })),
            1 => Some(Self::Listener(index)),
            2 => Some(Self::Signals),
            3 => Some(Self::Source(SourceId { index, generation })),
            4 => Some(Self::Outside),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_goes_round() {
        let mut targets =
            vec![Target::Signals, Target::Outside, Target::Listener(0), Target::Listener(u32::MAX)];
        for index in [0, 1, u32::MAX] {
            for generation in [0, 1, ConnId::GENERATIONS - 1] {
                targets.push(Target::Connection(ConnId { index, generation }));
                targets.push(Target::Source(SourceId { index, generation }));
            }
        }
        for target in targets {
            assert_eq!(Target::from_token(target.token()), Some(target));
        }
        assert_eq!(Target::from_token(Token(usize::MAX)), None);
    }
}
