//! What there is of a worker: its process, its socket, and the page of memory that it shares with us.

use super::super::launch::{Child, Line};
use super::super::pool::MARKS;
use super::outgoing::Outgoing;
use crate::event::{Source, Start};
use crate::handlers::gateway::{Allowance, StderrReader};
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Instant;

/// Received at once, and kept of an incomplete frame.
pub(super) const BUFFER: usize = 256 * 1024;

/// A line of a worker's log; a longer one becomes several.
const LINE_MAX: usize = 8 * 1024;

/// Words of the shared page (see `worker.py`).
const STARTED: u64 = 0;
const LOADING: u64 = 1;
const CANCELLED: u64 = 16;
const REVOKED: u64 = 128;

/// A worker that was started.
pub(super) struct WorkerProcess {
    /// Its child is known by it.
    pub(super) serial: u32,
    pub(super) child: Child,
    /// Its right to load, for some time.
    pub(super) start: Option<Start>,
    pub(super) socket: Source<OwnedFd>,
    shared_page: File,
    pub(super) out: Outgoing,
    /// The socket took no more, as far as the pool knows.
    pub(super) was_full: bool,
    /// What was received and is not yet a whole frame.
    pub(super) buffer: Box<[u8]>,
    pub(super) filled: usize,
    /// Descriptors that wait for their frames.
    pub(super) files: VecDeque<File>,
    /// It has said more than was read in its turn.
    pub(super) has_more: bool,
    pub(super) stderr: StderrReader,
    /// When its log is read again, whatever events say.
    pub(super) log_at: Option<Instant>,
}

/// What a worker is told of a request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nobody waits for it any more: if the worker has not begun it, it will not, and otherwise it ends at
    /// its next piece.
    Gone,
    /// It is not to be begun.
    Revoked,
}

impl WorkerProcess {
    pub(super) fn new(
        serial: u32,
        (child, start): (Child, Start),
        (socket, line): (Source<OwnedFd>, Line),
        (errors, who): (Source<File>, String),
    ) -> Self {
        Self {
            serial,
            child,
            start: Some(start),
            socket,
            shared_page: line.shared_page,
            out: Outgoing::new(line.greeting),
            was_full: false,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            filled: 0,
            files: VecDeque::new(),
            has_more: false,
            stderr: StderrReader::new(errors, who, LINE_MAX, Allowance::Second),
            log_at: None,
        }
    }

    /// Sends what the socket takes. A socket that is broken has its end found by reading.
    pub(super) fn flush(&mut self) {
        let _ = self.out.flush(&mut self.socket);
    }

    /// Nothing more will be sent to it: it ends when it has answered.
    pub(super) fn close_input(&self) {
        let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Write);
    }

    /// Writes an id into its place of the shared page.
    pub(super) fn mark(&self, mark: Mark, id: u32) {
        let words = if mark == Mark::Gone { CANCELLED } else { REVOKED };
        let word = words + u64::from(id % MARKS);
        // The page is memory; writing to it fails only if there is none left.
        let _ = self.shared_page.write_all_at(&id.to_le_bytes(), word * 4);
    }

    /// The id of the last request that it has begun.
    pub(super) fn begun(&self) -> u32 {
        self.word(STARTED)
    }

    /// Whether its Python runs and loads the application, or has loaded it.
    pub(super) fn is_loading(&self) -> bool {
        self.word(LOADING) != 0
    }

    /// A word of the shared page.
    fn word(&self, number: u64) -> u32 {
        let mut word = [0; 4];
        let _ = self.shared_page.read_exact_at(&mut word, number * 4);
        u32::from_le_bytes(word)
    }

    /// Has it write down where it is.
    pub(super) fn dump_stacks(&self) {
        if let Some(pid) = Pid::from_raw(self.child.pid.cast_signed()) {
            // It is our child and not collected: the number is its own.
            let _ = rustix::process::kill_process(pid, Signal::USR1);
        }
    }
}
