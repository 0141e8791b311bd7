//! What of an answer its client has not taken yet: in memory, then in a file, so that a slow client does not
//! hold a backend.

use super::spool::temporary_file;
use crate::http::HttpError;
use crate::net::FileSlice;
use crate::serve::Answer;
use crate::sys::spool_budget::{Reservation, SpoolBudget};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// What of an answer waits for its client in memory; the rest goes to a file, up to its share of what may
/// wait there. Then its backend has to wait as well: one that never ends its answer fills no disk.
const MEMORY_MAX: usize = 256 * 1024;

/// Bytes of a body in order: first those in memory, then those in a file, then the last ones, which are
/// in memory again: small pieces are written together, and the disk may be full.
#[derive(Debug)]
pub struct Backlog {
    budget: SpoolBudget,
    memory: Vec<u8>,
    /// How much of the memory was taken.
    taken: usize,
    file: Option<Filed>,
    written: u64,
    read: u64,
    /// Bytes that were taken, of all.
    drained: u64,
    tail: Vec<u8>,
    /// The file does not take the tail: nothing more should come until all was taken.
    is_stuck: bool,
    /// That was told.
    is_told: bool,
}

/// A file, and the bytes of the disk that it occupies as long as a part of it is to be sent.
#[derive(Debug)]
struct Filed {
    file: Rc<File>,
    reserved: Rc<Reservation>,
}

/// Written to the file at once.
const WRITE_MIN: usize = 64 * 1024;

impl Backlog {
    /// Nothing, within this budget.
    pub fn new(budget: &SpoolBudget) -> Self {
        Self {
            budget: budget.clone(),
            memory: Vec::new(),
            taken: 0,
            file: None,
            written: 0,
            read: 0,
            drained: 0,
            tail: Vec::new(),
            is_stuck: false,
            is_told: false,
        }
    }

    /// Adds bytes. Returns what is wrong with the disk, the first time. What it does not take is kept in
    /// memory, and the backlog is full until all of it was taken.
    pub fn push(&mut self, bytes: &[u8]) -> Option<io::Error> {
        let is_all_in_memory = self.file.is_none() && self.tail.is_empty();
        if is_all_in_memory && self.memory.len() - self.taken + bytes.len() <= MEMORY_MAX {
            self.memory.drain(..std::mem::take(&mut self.taken));
            self.memory.extend_from_slice(bytes);
            return None;
        }
        self.tail.extend_from_slice(bytes);
        if self.is_stuck || self.tail.len() < WRITE_MIN {
            return None;
        }
        let error = match self.write_tail() {
            Ok(true) => return None,
            Ok(false) => None,
            Err(error) => Some(error).filter(|_| !std::mem::replace(&mut self.is_told, true)),
        };
        self.is_stuck = true;
        error
    }

    /// Puts the tail into the file. `false`: too much lies on the disk already.
    fn write_tail(&mut self) -> io::Result<bool> {
        let filed = match &self.file {
            Some(filed) => filed,
            None => self.file.insert(Filed {
                file: Rc::new(temporary_file()?),
                reserved: Rc::new(self.budget.reserve()),
            }),
        };
        let len = self.tail.len() as u64;
        if !filed.reserved.grow(len) {
            return Ok(false);
        }
        filed.file.write_all_at(&self.tail, self.written)?;
        self.written += len;
        self.tail.clear();
        Ok(true)
    }

    /// Whether no more should come for now. What was read of the file still occupies it: it begins
    /// anew when all of it was read.
    pub fn is_full(&self) -> bool {
        self.is_stuck || self.written > 0 && self.written >= self.budget.share()
    }

    /// Bytes that were taken, of all that there were.
    pub fn drained(&self) -> u64 {
        self.drained
    }

    /// Drops what is in it, and what that occupies.
    pub fn clear(&mut self) {
        *self = Self::new(&self.budget);
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        let memory = self.memory.len() - self.taken + self.tail.len();
        memory as u64 + self.written - self.read
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, if it is in memory.
    pub fn take_all(&mut self) -> Option<Vec<u8>> {
        if self.written > 0 {
            return None;
        }
        let mut all = std::mem::take(&mut self.memory);
        all.drain(..std::mem::take(&mut self.taken));
        all.append(&mut self.tail);
        Some(all)
    }

    /// Passes on what there is room for. `false`: nothing is left.
    ///
    /// # Errors
    /// As [`Answer::write`].
    pub fn pass_on(&mut self, answer: &mut Answer<'_>) -> Result<bool, HttpError> {
        match self.take(answer.room()) {
            Piece::Memory(bytes) => answer.write(bytes)?,
            Piece::File(slice) => answer.file(slice)?,
            Piece::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// The next piece, of at most `max` bytes.
    fn take(&mut self, max: usize) -> Piece<'_> {
        if self.taken < self.memory.len() {
            let start = self.taken;
            self.taken += max.min(self.memory.len() - start);
            self.drained += (self.taken - start) as u64;
            return Piece::Memory(self.memory.get(start..self.taken).unwrap_or_default());
        }
        self.memory.clear();
        self.taken = 0;
        if let Some(filed) = self.file.as_ref().filter(|_| self.read < self.written) {
            let len = (self.written - self.read).min(max as u64);
            let reserved = Some(filed.reserved.clone());
            let slice = FileSlice { file: filed.file.clone(), offset: self.read, len, reserved };
            self.read += len;
            self.drained += len;
            return Piece::File(slice);
        }
        // All of the file was taken: begin again, in memory.
        (self.file, self.written, self.read, self.is_stuck) = (None, 0, 0, false);
        if self.tail.is_empty() {
            return Piece::Nothing;
        }
        std::mem::swap(&mut self.memory, &mut self.tail);
        self.take(max)
    }
}

/// Part of a backlog.
#[derive(Debug)]
enum Piece<'a> {
    Memory(&'a [u8]),
    File(FileSlice),
    /// There is none.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What one answer may have on the disk.
    const SHARE: u64 = 1024 * 1024;

    fn backlog() -> Backlog {
        Backlog::new(&SpoolBudget::new(4 * SHARE))
    }

    #[test]
    fn what_is_cleared_occupies_nothing() {
        let mut backlog = backlog();
        let piece = [b'x'; MEMORY_MAX];
        (0..=SHARE / piece.len() as u64).for_each(|_| assert!(backlog.push(&piece).is_none()));
        assert!(backlog.is_full());
        backlog.clear();
        assert!(!backlog.is_full() && backlog.is_empty() && backlog.budget.used() == 0);
    }

    #[test]
    fn a_backlog_never_occupies_more_than_it_may() {
        let mut backlog = backlog();
        let piece = [7; 64 * 1024];
        for _ in 0..10 {
            while !backlog.is_full() {
                assert!(backlog.push(&piece).is_none());
            }
            let size = backlog.file.as_ref().unwrap().file.metadata().unwrap().len();
            assert!(size < SHARE + piece.len() as u64, "{size}");
            // Somebody who reads a little frees nothing: the file is as long as before.
            for _ in 0..5 {
                backlog.take(1000);
            }
            assert!(backlog.is_full());
            while !matches!(backlog.take(100_000), Piece::Nothing) {}
            assert!(!backlog.is_full() && backlog.file.is_none());
        }
    }

    #[test]
    fn a_full_disk_makes_a_worker_wait_and_cuts_nothing() {
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let (one, two) = ([b'1'; WRITE_MIN], [b'2'; WRITE_MIN]);
        let mut backlog = backlog();
        let reserved = Rc::new(backlog.budget.reserve());
        backlog.file = Some(Filed { file: Rc::new(full), reserved });
        assert!(backlog.push(&one).is_some(), "it is told");
        assert!(backlog.is_full() && backlog.push(&two).is_none(), "once");
        assert_eq!(backlog.len(), 2 * WRITE_MIN as u64);
        let mut taken = Vec::new();
        while let Piece::Memory(bytes) = backlog.take(WRITE_MIN / 3) {
            taken.extend_from_slice(bytes);
        }
        assert_eq!(taken, [one, two].concat());
        assert!(!backlog.is_full() && backlog.is_empty());
        assert!(backlog.push(b"three").is_none());
        assert_eq!(backlog.take_all().unwrap(), b"three");
        assert_eq!(backlog.budget.used(), 0);
    }

    /// What is to be sent of a file occupies the disk, whoever holds it; and what does not fit into the total
    /// waits in memory and cuts nothing.
    #[test]
    fn the_total_is_kept_and_cuts_nothing() {
        let budget = SpoolBudget::new(4 * SHARE);
        let piece = [b'x'; 64 * 1024];
        let mut backlogs: Vec<_> = (0..10).map(|_| Backlog::new(&budget)).collect();
        let mut held = Vec::new();
        for backlog in &mut backlogs {
            while !backlog.is_full() {
                assert!(backlog.push(&piece).is_none());
            }
            assert!(budget.used() <= budget.limit());
        }
        assert!(budget.take_reached());
        for mut backlog in backlogs.into_iter().rev() {
            let mut left = backlog.len();
            assert!(left >= MEMORY_MAX as u64);
            loop {
                left -= match backlog.take(100_000) {
                    Piece::Memory(bytes) => bytes.len() as u64,
                    Piece::File(slice) => {
                        held.push(slice.clone());
                        slice.len
                    }
                    Piece::Nothing => break,
                };
            }
            assert!(left == 0 && !backlog.is_full());
        }
        assert!(budget.used() > 3 * SHARE, "it is still to be sent");
        held.clear();
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        /// What goes in comes out in order, however it is taken, by way of a file or not.
        #[test]
        fn a_backlog_keeps_the_order(
            steps in proptest::collection::vec((0usize..200_000, 0usize..150_000), 1..12),
        ) {
            let (mut backlog, mut put, mut got) = (backlog(), Vec::new(), Vec::new());
            let drain = |backlog: &mut Backlog, max: usize, got: &mut Vec<u8>| {
                match backlog.take(max) {
                    Piece::Memory(bytes) => got.extend_from_slice(bytes),
                    Piece::File(slice) => {
                        let mut bytes = vec![0; slice.len as usize];
                        slice.file.read_exact_at(&mut bytes, slice.offset).unwrap();
                        got.extend_from_slice(&bytes);
                    }
                    Piece::Nothing => {}
                }
            };
            for (n, (push, take)) in steps.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..push).map(|i| (i * 7 + n) as u8).collect();
                prop_assert!(backlog.push(&bytes).is_none());
                put.extend_from_slice(&bytes);
                if take > 0 {
                    drain(&mut backlog, take, &mut got);
                }
                prop_assert_eq!(backlog.len(), (put.len() - got.len()) as u64);
            }
            while !backlog.is_empty() {
                drain(&mut backlog, 64 * 1024, &mut got);
            }
            prop_assert!(put == got);
        }
    }
}
