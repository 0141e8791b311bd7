//! One request on its way through the pool, and what has come of it: shared by the pool, which
//! fills it, and the exchange of the request, which empties it.

use super::heads::Judged;
use super::wire::Call;
use crate::event::ConnId;
use crate::handlers::gateway::spool::temporary_file;
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use rustix::io::Errno;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Instant;

/// What of an answer waits for its client in memory; the rest goes to a file.
const MEMORY_MAX: usize = 256 * 1024;

/// What of an answer waits for its client at all. Then its worker has to wait as well: a worker
/// that never ends its answer fills no disk.
const SPOOL_MAX: u64 = if cfg!(test) { 1024 * 1024 } else { 1024 * 1024 * 1024 };

/// Workers that may end with a request that they have not begun.
const LOST_MAX: u8 = 2;

/// A request that the pool is asked to have answered.
#[derive(Debug)]
pub(super) struct Job {
    /// Who waits for it.
    pub(super) conn: ConnId,
    /// Since when.
    pub(super) since: Instant,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    place: Place,
    call: Call,
    /// A body that is too long for the frame.
    body: Option<Rc<File>>,
    inbox: Inbox,
    /// Workers that have ended while they had it, before they had begun it.
    lost: u8,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue.
    Queued,
    /// Sent to the worker of this serial number under this id.
    Sent(u32, u32),
    /// Its answer is complete, or of no interest any more.
    Over,
}

/// What has come of an answer and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Status and header lines, until they are taken.
    pub(super) head: Option<(Status, Rc<Judged>)>,
    /// The body.
    pub(super) body: Backlog,
    /// A file that is the rest of the body.
    pub(super) file: Option<FileSlice>,
    /// How it ended, once it has.
    pub(super) end: Option<Result<(), HttpError>>,
}

impl Job {
    pub(super) fn new(conn: ConnId, call: Call, body: Option<Rc<File>>, now: Instant) -> Self {
        let (place, inbox) = (Place::Queued, Inbox::default());
        Self { conn, since: now, state: RefCell::new(State { place, call, body, inbox, lost: 0 }) }
    }

    pub(super) fn place(&self) -> Place {
        self.state.borrow().place
    }

    pub(super) fn set_place(&self, place: Place) {
        self.state.borrow_mut().place = place;
    }

    pub(super) fn is_over(&self) -> bool {
        self.place() == Place::Over
    }

    /// Shows the request under this id, and the file that goes with it.
    pub(super) fn send<T>(&self, id: u32, send: impl FnOnce(&[u8], Option<&Rc<File>>) -> T) -> T {
        let state = &mut *self.state.borrow_mut();
        send(state.call.under(id), state.body.as_ref())
    }

    /// Method and path, for people.
    pub(super) fn label(&self) -> String {
        self.state.borrow().call.label()
    }

    /// A worker has ended that had not begun it. Returns whether another one may have it: not if
    /// it has met several, for then they do not tell the truth.
    pub(super) fn survives(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        state.lost += 1;
        state.lost <= LOST_MAX
    }

    /// The memory of the request, which nobody will ask for again.
    pub(super) fn take_memory(&self) -> Vec<u8> {
        let state = &mut *self.state.borrow_mut();
        state.body = None;
        std::mem::take(&mut state.call).into_memory()
    }

    /// Lets the exchange, or the pool, look at what has come.
    pub(super) fn inbox<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        look(&mut self.state.borrow_mut().inbox)
    }

    /// Whether its worker has to wait until more of the answer was taken. Where nobody takes it,
    /// there is nothing to wait for.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state.borrow();
        state.place != Place::Over && state.inbox.body.is_full()
    }

    /// Nobody waits for it any more, nor for what has come of it.
    pub(super) fn give_up(&self) {
        let state = &mut *self.state.borrow_mut();
        state.place = Place::Over;
        state.inbox = Inbox::default();
    }

    /// Ends it with an error.
    pub(super) fn fail(&self, error: HttpError) {
        let state = &mut *self.state.borrow_mut();
        state.place = Place::Over;
        state.inbox.end.get_or_insert(Err(error));
    }
}

/// Bytes of a body in order: first those in memory, then those in a file, then those that it did not
/// take.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    memory: Vec<u8>,
    /// How much of the memory was taken.
    taken: usize,
    file: Option<Rc<File>>,
    written: u64,
    read: u64,
    /// What the file did not take: the disk is full, or there is none. Nothing more should come.
    stuck: Vec<u8>,
    /// That was told.
    told: bool,
}

impl Backlog {
    /// Adds bytes. Returns why they are not in a file although there are many, the first time: they
    /// are kept in memory, and it is full until all of it was taken.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<io::Error> {
        let error = match self.stuck.is_empty() {
            true => self.try_push(bytes).err()?,
            false => Errno::NOSPC.into(),
        };
        self.stuck.extend_from_slice(bytes);
        (!std::mem::replace(&mut self.told, true)).then_some(error)
    }

    fn try_push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() - self.taken + bytes.len() <= MEMORY_MAX {
            if self.taken > 0 {
                self.memory.drain(..self.taken);
                self.taken = 0;
            }
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(Rc::new(temporary_file()?)),
        };
        file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Whether no more should come for now. What was read of the file still occupies it: it begins
    /// anew when all of it was read.
    pub(super) fn is_full(&self) -> bool {
        self.written >= SPOOL_MAX || !self.stuck.is_empty()
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> u64 {
        let memory = self.memory.len() - self.taken + self.stuck.len();
        memory as u64 + self.written - self.read
    }

    /// All of it, if it is in memory.
    pub(super) fn take_all(&mut self) -> Option<Vec<u8>> {
        if self.file.is_some() {
            return None;
        }
        let mut all = std::mem::take(&mut self.memory);
        all.drain(..std::mem::take(&mut self.taken));
        all.append(&mut self.stuck);
        Some(all)
    }

    /// The next piece, of at most `max` bytes.
    pub(super) fn take(&mut self, max: usize) -> Piece<'_> {
        if self.taken < self.memory.len() {
            let start = self.taken;
            self.taken += max.min(self.memory.len() - start);
            return Piece::Memory(self.memory.get(start..self.taken).unwrap_or_default());
        }
        if self.read == self.written && !self.stuck.is_empty() {
            *self = Self {
                memory: std::mem::take(&mut self.stuck),
                told: self.told,
                ..Self::default()
            };
            return self.take(max);
        }
        self.memory.clear();
        self.taken = 0;
        match &self.file {
            Some(file) if self.read < self.written => {
                let len = (self.written - self.read).min(max as u64);
                let slice = FileSlice { file: file.clone(), offset: self.read, len };
                self.read += len;
                Piece::File(slice)
            }
            _ => {
                // All was taken: begin again, in memory.
                self.file = None;
                (self.written, self.read) = (0, 0);
                Piece::Nothing
            }
        }
    }
}

/// Part of a backlog.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Memory(&'a [u8]),
    File(FileSlice),
    /// There is none.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::super::wire::BodyKind;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_worker_does_not_wait_for_a_client_that_has_left() {
        let call = Call::begin(Vec::new()).finish(b"", BodyKind::None, false).unwrap();
        let job = Job::new(ConnId { index: 0, generation: 0 }, call, None, Instant::now());
        assert!(!job.is_full());
        let piece = [b'x'; MEMORY_MAX];
        (0..=SPOOL_MAX / piece.len() as u64)
            .for_each(|_| assert!(job.inbox(|inbox| inbox.body.push(&piece)).is_none()));
        assert!(job.is_full());
        job.give_up();
        assert!(!job.is_full() && job.is_over());
        assert_eq!(job.inbox(|inbox| inbox.body.len()), 0, "its file is gone");
    }

    #[test]
    fn a_backlog_never_occupies_more_than_it_may() {
        let mut backlog = Backlog::default();
        let piece = [7; 64 * 1024];
        for _ in 0..10 {
            while !backlog.is_full() {
                assert!(backlog.push(&piece).is_none());
            }
            let size = backlog.file.as_ref().unwrap().metadata().unwrap().len();
            assert!(size < SPOOL_MAX + piece.len() as u64, "{size}");
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
        let mut backlog = Backlog { file: Some(Rc::new(full)), ..Backlog::default() };
        assert!(backlog.push(b"one ").is_some(), "it is told");
        assert!(backlog.is_full() && backlog.push(b"two").is_none(), "once");
        assert_eq!(backlog.len(), 7);
        let mut taken = Vec::new();
        while let Piece::Memory(bytes) = backlog.take(3) {
            taken.extend_from_slice(bytes);
        }
        assert_eq!(taken, b"one two");
        assert!(!backlog.is_full() && backlog.len() == 0);
        assert!(backlog.push(b"three").is_none());
        assert_eq!(backlog.take_all().unwrap(), b"three");
    }

    proptest! {
        /// What goes in comes out in order, however it is taken, by way of a file or not.
        #[test]
        fn a_backlog_keeps_the_order(
            steps in proptest::collection::vec((0usize..200_000, 0usize..150_000), 1..12),
        ) {
            let (mut backlog, mut put, mut got) = (Backlog::default(), Vec::new(), Vec::new());
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
            while backlog.len() > 0 {
                drain(&mut backlog, 64 * 1024, &mut got);
            }
            prop_assert!(put == got);
        }
    }
}
