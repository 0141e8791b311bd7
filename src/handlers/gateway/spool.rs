//! Bytes that wait for somebody: in memory as long as they are few, then in a file without a name.
//!
//! A request body is gathered here before a program is bothered with it, so that a slow client
//! occupies a buffer and not a process.

use crate::event::{Cx, Until};
use crate::http::{HttpError, Status};
use crate::serve::ExchangeIo;
use crate::sys::spool_budget::Reservation;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes being gathered.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file.
    filed: u64,
    /// Bytes kept in memory.
    above: u64,
    room: Room,
}

/// The room on the disk that a body has, and until when more of it is waited for.
#[derive(Debug, Default)]
pub struct Room {
    reserved: Option<Reservation>,
    until: Option<Instant>,
}

/// How long a body waits for room on the disk, and how often it looks. Those that are half there, whose
/// length was not known, could hold one another up: they give up sooner, one after the other.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_HOLDING: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Bytes that were gathered.
#[derive(Debug)]
pub enum Spooled {
    /// Few.
    Memory(Vec<u8>),
    /// Many; the file is at its beginning.
    File {
        /// The file, which has no name and goes when it is closed.
        file: File,
        /// Its length.
        len: u64,
        /// The bytes that it occupies.
        reserved: Option<Reservation>,
    },
}

impl Spool {
    /// Nothing yet. Up to `above` bytes are kept in memory.
    pub fn new(above: u64) -> Self {
        Self { memory: Vec::new(), file: None, filed: 0, above, room: Room::default() }
    }

    /// Bytes gathered.
    pub fn len(&self) -> u64 {
        self.filed + self.memory.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what has arrived of a request body. `None` when that is all of it; otherwise the exchange
    /// waits for more of it, or for room to keep it.
    ///
    /// # Errors
    /// The body is broken or too long; 507 when the disk is full, or the body longer than all that may
    /// wait there; 503 when there was no room for long.
    pub fn gather(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Option<Until>, HttpError> {
        loop {
            let left = io.body.left().unwrap_or(0);
            let piece = io.body.peek()?;
            let n = piece.len();
            if n == 0 {
                return Ok((!io.body.is_finished()).then(|| io.body.until_more()));
            }
            // All of it at once, where its length is known: none waits with half of the room.
            let len = self.len() + (n as u64).max(left);
            if len > self.above
                && let Some(again) = self.room.grow_to(len, cx)?
            {
                return Ok(Some(io.until(again)));
            }
            self.push(piece).map_err(|error| full(&error))?;
            io.body.consume(n);
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// There is no place for a temporary file, or the disk is full.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.len() + bytes.len() as u64 <= self.above {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = temporary_file()?;
            file.write_all(&self.memory)?;
            self.filed = self.memory.len() as u64;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.filed += bytes.len() as u64;
        }
        Ok(())
    }

    /// Bytes of the memory in a file, if there is room for one.
    ///
    /// # Errors
    /// 507: the disk is full.
    pub fn filed(bytes: Vec<u8>, cx: &Cx) -> Result<Spooled, HttpError> {
        let reserved = cx.spool.reserve();
        if !reserved.grow(bytes.len() as u64) {
            return Ok(Spooled::Memory(bytes));
        }
        let mut spool = Self::new(0);
        spool.room.reserved = Some(reserved);
        spool.push(&bytes).map_err(|error| full(&error))?;
        spool.finish()
    }

    /// What was gathered.
    ///
    /// # Errors
    /// The file cannot be rewound; it has no reason to.
    pub fn finish(self) -> Result<Spooled, HttpError> {
        let Some(mut file) = self.file else { return Ok(Spooled::Memory(self.memory)) };
        file.rewind().map_err(|error| full(&error))?;
        Ok(Spooled::File { file, len: self.filed, reserved: self.room.reserved })
    }
}

impl Room {
    /// Makes room for a body of `len` bytes. Otherwise when to ask again: nothing more is to be received
    /// until then.
    ///
    /// # Errors
    /// 507: the body is longer than all that may wait on the disk. 503: there was no room for long.
    pub fn grow_to(&mut self, len: u64, cx: &Cx) -> Result<Option<Instant>, HttpError> {
        if len > cx.spool.limit() {
            let reason = "the body is longer than `limits.spool_total`";
            return Err(HttpError::fatal(Status::INSUFFICIENT_STORAGE, reason));
        }
        let reserved = self.reserved.get_or_insert_with(|| cx.spool.reserve());
        let patience = if reserved.bytes() > 0 { PATIENCE_HOLDING } else { PATIENCE };
        if reserved.grow(len.saturating_sub(reserved.bytes())) {
            self.until = None;
            return Ok(None);
        }
        let until = *self.until.get_or_insert(cx.now() + patience);
        if cx.now() >= until {
            let reason = "no room within `limits.spool_total` in time";
            return Err(HttpError::fatal(Status::SERVICE_UNAVAILABLE, reason)
                .with_header("Retry-After", "10"));
        }
        Ok(Some(until.min(cx.now() + LOOK_AGAIN)))
    }
}

fn full(error: &io::Error) -> HttpError {
    let status = match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Status::INSUFFICIENT_STORAGE,
        Some(Errno::MFILE | Errno::NFILE) => Status::SERVICE_UNAVAILABLE,
        _ => Status::INTERNAL_SERVER_ERROR,
    };
    HttpError::fatal(status, format!("a body cannot be kept: {error}"))
}

/// A file to write and read that has no name: it goes with its last descriptor, also when the
/// server is killed. In `TMPDIR`, else in /var/tmp, which is on a disk, else in /tmp.
///
/// # Errors
/// None of them can be written to.
pub fn temporary_file() -> io::Result<File> {
    let named = std::env::var_os("TMPDIR").filter(|name| !name.is_empty()).map(PathBuf::from);
    let places = [named, Some("/var/tmp".into()), Some("/tmp".into())];
    let mut problem = io::Error::from(Errno::NOENT);
    for place in places.into_iter().flatten() {
        match nameless(&place) {
            Ok(file) => return Ok(file),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(CWD, folder, flags | OFlags::TMPFILE, mode) {
        // Not every file system has nameless files: there, the name is taken away at once.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let number = RandomState::new().build_hasher().finish();
            let path = folder.join(format!(".httpyserver-{number:016x}.tmp"));
            let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let fd = rustix::fs::openat(CWD, &path, flags, mode)?;
            rustix::fs::unlink(&path)?;
            Ok(fd.into())
        }
        done => Ok(done?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn few_stay_in_memory_and_many_do_not() {
        for (pieces, in_memory) in [(0, true), (1, true), (5, true), (6, false), (100, false)] {
            let mut spool = Spool::new(50);
            for n in 0..pieces {
                spool.push(&[b'0' + n % 10; 10]).unwrap();
            }
            assert_eq!(spool.len(), u64::from(pieces) * 10);
            assert_eq!(spool.is_empty(), pieces == 0);
            let want: Vec<u8> = (0..pieces).flat_map(|n| [b'0' + n % 10; 10]).collect();
            let got = match spool.finish().unwrap() {
                Spooled::Memory(bytes) => {
                    assert!(in_memory);
                    bytes
                }
                Spooled::File { mut file, len, .. } => {
                    assert!(!in_memory && len == want.len() as u64);
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes).unwrap();
                    bytes
                }
            };
            assert_eq!(got, want);
        }
    }

    #[test]
    fn files_have_no_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = nameless(folder.path()).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(nameless(&folder.path().join("none")).is_err());
    }
}
