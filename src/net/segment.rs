//! Pieces of an answer whose length is known.

use crate::sys::spool_budget::Reservation;
use std::fs::File;
use std::ops::Range;
use std::rc::Rc;

/// Bytes in memory, owned, shared or part of the program.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Part of the program.
    Static(&'static [u8]),
    /// Made for this answer.
    Owned(Vec<u8>),
    /// Shared with a cache.
    Shared(Rc<[u8]>, Range<usize>),
}

impl Bytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes, range) => bytes.get(range.clone()).unwrap_or_default(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl From<&'static str> for Bytes {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

impl From<Rc<[u8]>> for Bytes {
    fn from(bytes: Rc<[u8]>) -> Self {
        let all = 0..bytes.len();
        Self::Shared(bytes, all)
    }
}

/// Part of an open file. The descriptor is shared, the position is not: reads name their offset.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The file.
    pub file: Rc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// For a temporary file: the bytes of the disk that it occupies.
    pub reserved: Option<Rc<Reservation>>,
}
