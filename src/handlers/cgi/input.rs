//! What a script reads, and the way to its standard input.

use crate::event::Source;
use crate::handlers::gateway::{Gather, Spooled};
use std::fs::File;

/// What a script reads.
#[derive(Debug)]
pub(super) enum Input {
    /// Nothing.
    None,
    /// A body that is being gathered.
    Gather(Gather),
    /// A body that was gathered.
    Spooled(Spooled),
    /// A body of so many bytes, as it comes.
    Stream(u64),
}

impl Input {
    /// A body to be gathered, up to `above` bytes in memory.
    pub(super) fn gather(above: u64) -> Self {
        Self::Gather(Gather::spool(above))
    }

    /// Its length, as scripts are told it.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::None | Self::Gather(_) => None,
            Self::Spooled(body) => Some(body.len()),
            Self::Stream(length) => Some(*length),
        }
    }
}

/// The way to a script's standard input.
pub(super) struct Feed {
    pub(super) pipe: Source<File>,
    /// Bytes that were gathered, and how many of them were written; `None`: as they come.
    pub(super) kept: Option<(Vec<u8>, usize)>,
}

impl Feed {
    pub(super) fn new(pipe: Source<File>, input: Input) -> Self {
        let kept = match input {
            Input::Spooled(Spooled::Memory(bytes)) => Some((bytes, 0)),
            _ => None,
        };
        Self { pipe, kept }
    }
}
