//! Bytes to be sent and not yet taken by the kernel.

use super::{Bytes, FileSlice, Transport};
use crate::event::{Budget, Buffers};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Up to here bytes are copied together, so that a head and its body leave in one `send`. Beyond,
/// a reference costs less than the copy.
const COPY_MAX: usize = 8 * 1024;

/// Pieces of one `sendmsg`.
const PIECES_MAX: usize = 16;

/// What one `sendfile` call is asked for at most, however much a client that is alone may take in
/// its turn: others may arrive between two calls.
const FILE_MAX: usize = 512 * 1024;

/// What is left of a file is finished in one call if it is not more than this, which takes about
/// 150 µs: a socket that is done with needs no further turn.
const FINISH_MAX: u64 = 1024 * 1024;

/// Files from here on are worth the two system calls: 1 MiB files leave a tenth faster.
const CORK_MIN: u64 = 256 * 1024;

/// Memory that an empty queue keeps for the next answer.
const KEEP: usize = 64 * 1024;

#[derive(Debug)]
enum Segment {
    /// The next so many bytes of `copied`.
    Copied(usize),
    /// Part of some bytes.
    Shared(Bytes, Range<usize>),
    File(FileSlice),
}

/// What a connection still owes its client, in order: copied bytes, shared bytes, files.
#[derive(Debug, Default)]
pub struct SendQueue {
    segments: VecDeque<Segment>,
    copied: Vec<u8>,
    copied_at: usize,
    pending: u64,
    corked: bool,
}

impl SendQueue {
    /// Bytes not yet taken by the kernel.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Adds a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.copied.extend_from_slice(bytes);
        self.pending += bytes.len() as u64;
        match self.segments.back_mut() {
            Some(Segment::Copied(len)) => *len += bytes.len(),
            _ => self.segments.push_back(Segment::Copied(bytes.len())),
        }
    }

    /// Adds what `write` appends to the bytes it is given: what would be formatted and then copied
    /// is formatted in its place.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.copied.len();
        write(&mut self.copied);
        let added = self.copied.len().saturating_sub(before);
        if added == 0 {
            return;
        }
        self.pending += added as u64;
        match self.segments.back_mut() {
            Some(Segment::Copied(len)) => *len += added,
            _ => self.segments.push_back(Segment::Copied(added)),
        }
    }

    /// Takes everything out that lies in memory, in order, instead of sending it; files are read.
    /// For clients that live in the same process.
    ///
    /// # Errors
    /// A file cannot be read, or is shorter than it was.
    pub fn take_all(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut copied_at = self.copied_at;
        for segment in &self.segments {
            match segment {
                Segment::Copied(len) => {
                    all.extend_from_slice(&self.copied[copied_at..copied_at + len]);
                    copied_at += len;
                }
                Segment::Shared(bytes, part) => {
                    all.extend_from_slice(&bytes.as_slice()[part.clone()])
                }
                Segment::File(slice) => {
                    let start = all.len();
                    all.resize(start + usize::try_from(slice.len).unwrap_or(usize::MAX), 0);
                    slice.file.read_exact_at(&mut all[start..], slice.offset)?;
                }
            }
        }
        *self = Self::default();
        Ok(all)
    }

    /// Adds bytes without copying them, unless they are few.
    pub fn share(&mut self, bytes: Bytes) {
        let len = bytes.len();
        if len <= COPY_MAX {
            return self.copy(bytes.as_slice());
        }
        self.pending += len as u64;
        self.segments.push_back(Segment::Shared(bytes, 0..len));
    }

    /// Adds part of some bytes without copying it, unless it is short.
    fn share_part(&mut self, bytes: &Bytes, part: Range<usize>) {
        let len = part.len();
        if len <= COPY_MAX {
            return self.copy(bytes.as_slice().get(part).unwrap_or_default());
        }
        self.pending += len as u64;
        self.segments.push_back(Segment::Shared(bytes.clone(), part));
    }

    /// Adds part of a file.
    pub fn file(&mut self, slice: FileSlice) {
        if slice.len > 0 {
            self.pending += slice.len;
            self.segments.push_back(Segment::File(slice));
        }
    }

    /// Moves the first `n` bytes to the end of another queue.
    pub fn move_to(&mut self, other: &mut Self, n: usize) {
        let mut left = n;
        while left > 0 {
            let Some(front) = self.segments.front() else { break };
            let step = match front {
                Segment::Copied(len) => {
                    let step = left.min(*len);
                    let bytes = self.copied.get(self.copied_at..self.copied_at + step);
                    other.copy(bytes.unwrap_or_default());
                    step
                }
                Segment::Shared(bytes, part) => {
                    let step = left.min(part.len());
                    other.share_part(bytes, part.start..part.start + step);
                    step
                }
                Segment::File(slice) => {
                    let step = left.min(usize::try_from(slice.len).unwrap_or(usize::MAX));
                    other.file(FileSlice { len: step as u64, ..slice.clone() });
                    step
                }
            };
            self.advance(step);
            left -= step;
        }
    }

    /// Hands to the kernel what it takes and `budget` allows. Returns the number of bytes; fewer
    /// than pending with budget left means WouldBlock. A `send` that is taken only in part is not
    /// tried again: the socket is full. A `sendfile` is, for it may also have met the new end of a
    /// file that was cut.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` when a file turned out shorter than it was.
    pub fn flush(
        &mut self,
        to: &mut Transport,
        budget: &mut Budget,
        pool: &mut Buffers,
    ) -> io::Result<Flushed> {
        let mut bytes = 0;
        while !self.is_empty() {
            if budget.is_spent() {
                return Ok(Flushed { bytes, blocked: false });
            }
            let from_file = matches!(self.segments.front(), Some(Segment::File(_)));
            self.cork(to);
            let (offered, taken) = match self.send_once(to, *budget, pool) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed { bytes, blocked: true });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            bytes += taken as u64;
            match from_file && to.sends_by_kernel() {
                true => budget.spend_by_kernel(taken),
                false => budget.spend(taken),
            }
            self.advance(taken);
            if self.corked && !matches!(self.segments.front(), Some(Segment::File(_))) {
                self.corked = false;
                to.cork(false);
            }
            if taken < offered && !from_file {
                return Ok(Flushed { bytes, blocked: true });
            }
        }
        Ok(Flushed { bytes, blocked: false })
    }

    /// A long file goes corked: acknowledgements that arrive while it is handed over would
    /// otherwise send the segment that is just being filled.
    fn cork(&mut self, to: &mut Transport) {
        if let Some(Segment::File(slice)) = self.segments.front()
            && !self.corked
            && slice.len >= CORK_MIN
        {
            self.corked = true;
            to.cork(true);
        }
    }

    /// One system call: what was offered, and what was taken.
    fn send_once(
        &self,
        to: &mut Transport,
        budget: Budget,
        pool: &mut Buffers,
    ) -> io::Result<(usize, usize)> {
        match self.segments.front() {
            None => Ok((0, 0)),
            Some(Segment::File(slice)) => {
                let max = match slice.len {
                    _ if !to.sends_by_kernel() => budget.left(),
                    0..=FINISH_MAX => FINISH_MAX as usize,
                    _ => budget.left_by_kernel().min(FILE_MAX),
                };
                let offered = usize::try_from(slice.len).unwrap_or(usize::MAX).min(max);
                match to.send_file(slice, max, pool)? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    taken => Ok((offered, taken)),
                }
            }
            Some(Segment::Copied(len)) if self.segments.len() == 1 => {
                let bytes = &self.copied[self.copied_at..self.copied_at + len];
                Ok((*len, to.write(bytes, false)?))
            }
            Some(_) => self.send_memory(to),
        }
    }

    /// The run of memory segments at the front, with MSG_MORE if a file follows it.
    fn send_memory(&self, to: &mut Transport) -> io::Result<(usize, usize)> {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let (mut count, mut offered, mut copied_at, mut more) = (0, 0, self.copied_at, false);
        for segment in &self.segments {
            let piece = match segment {
                Segment::Copied(len) => {
                    copied_at += len;
                    &self.copied[copied_at - len..copied_at]
                }
                Segment::Shared(bytes, part) => &bytes.as_slice()[part.clone()],
                Segment::File(_) => {
                    more = true;
                    break;
                }
            };
            if count == PIECES_MAX {
                break;
            }
            pieces[count] = IoSlice::new(piece);
            count += 1;
            offered += piece.len();
        }
        let taken = match &pieces[..count] {
            [one] => to.write(one, more)?,
            several => to.write_vectored(several, more)?,
        };
        Ok((offered, taken))
    }

    /// Forgets the first `taken` bytes.
    fn advance(&mut self, mut taken: usize) {
        self.pending -= taken as u64;
        while taken > 0 {
            let Some(front) = self.segments.front_mut() else { break };
            let left = match front {
                Segment::Copied(len) => *len,
                Segment::Shared(_, part) => part.len(),
                Segment::File(slice) => usize::try_from(slice.len).unwrap_or(usize::MAX),
            };
            let step = taken.min(left);
            match front {
                Segment::Copied(len) => {
                    *len -= step;
                    self.copied_at += step;
                }
                Segment::Shared(_, part) => part.start += step,
                Segment::File(slice) => {
                    slice.offset += step as u64;
                    slice.len -= step as u64;
                }
            }
            if step == left {
                self.segments.pop_front();
            }
            taken -= step;
        }
        self.tidy();
    }

    /// Moves what is left of the copied bytes to the front once most of them are gone.
    fn tidy(&mut self) {
        if self.copied_at == self.copied.len() {
            self.copied.clear();
            self.copied_at = 0;
            if self.copied.capacity() > KEEP {
                self.copied.shrink_to(KEEP);
            }
        } else if self.copied_at > KEEP {
            self.copied.drain(..self.copied_at);
            self.copied_at = 0;
        }
    }
}

/// How a flush went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Bytes the kernel took.
    pub bytes: u64,
    /// The socket is full: its writable event will come.
    pub blocked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Script;
    use proptest::prelude::*;
    use std::io::Write;
    use std::rc::Rc;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_whatever_the_socket_takes(
            pieces in proptest::collection::vec((0u8..3, 0usize..20_000), 0..8),
            takes in proptest::collection::vec(0usize..9_000, 0..40),
        ) {
            let mut file = tempfile::tempfile().unwrap();
            let content: Vec<u8> = (0..30_000u32).map(|n| (n % 253) as u8).collect();
            file.write_all(&content).unwrap();
            let file = Rc::new(file);
            let (mut queue, mut expected) = (SendQueue::default(), Vec::new());
            for (n, (kind, len)) in pieces.into_iter().enumerate() {
                let bytes = vec![n as u8; len];
                match kind {
                    0 => queue.copy(&bytes),
                    1 => queue.share(Rc::<[u8]>::from(bytes.clone()).into()),
                    _ => {
                        let offset = (n * 100) as u64;
                        queue.file(FileSlice { file: file.clone(), offset, len: len as u64, reserved: None });
                        expected.extend_from_slice(&content[n * 100..n * 100 + len]);
                        continue;
                    }
                }
                expected.extend_from_slice(&bytes);
            }
            prop_assert_eq!(queue.pending(), expected.len() as u64);
            let script = Script { takes: takes.into(), ..Script::default() };
            let mut transport = Transport::Scripted(script.into());
            while !queue.is_empty() {
                queue.flush(&mut transport, &mut Budget::new(2), &mut Buffers::default()).unwrap();
            }
            let Transport::Scripted(script) = transport else { unreachable!() };
            prop_assert!(script.get().sent == expected);
            prop_assert_eq!(queue.copied.len(), 0);
        }
    }

    #[test]
    fn a_file_that_was_cut_is_an_error() {
        let slice = FileSlice {
            file: Rc::new(tempfile::tempfile().unwrap()),
            offset: 0,
            len: 5,
            reserved: None,
        };
        let mut queue = SendQueue::default();
        queue.file(slice);
        let mut transport = Transport::Scripted(Default::default());
        let error =
            queue.flush(&mut transport, &mut Budget::new(1), &mut Buffers::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
