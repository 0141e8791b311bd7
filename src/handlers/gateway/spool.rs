//! Bytes that wait for somebody: in memory as long as they are few, then in a file without a name.
//!
//! A request body is gathered here before a program is bothered with it, so that a slow client
//! occupies a buffer and not a process.

use crate::http::{HttpError, Status};
use crate::serve::BodyIn;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes being gathered.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file.
    filed: u64,
    /// Bytes kept in memory.
    above: u64,
}

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
    },
}

impl Spool {
    /// Nothing yet. Up to `above` bytes are kept in memory.
    pub fn new(above: u64) -> Self {
        Self { memory: Vec::new(), file: None, filed: 0, above }
    }

    /// Bytes gathered.
    pub fn len(&self) -> u64 {
        self.filed + self.memory.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what has arrived of a request body. True when that is all of it; otherwise more is
    /// wanted, and the exchange waits.
    ///
    /// # Errors
    /// The body is broken or too long; 507 when the disk is full.
    pub fn gather(&mut self, body: &mut BodyIn<'_>) -> Result<bool, HttpError> {
        loop {
            let piece = body.peek()?;
            let n = piece.len();
            if n == 0 {
                return Ok(body.is_finished());
            }
            self.push(piece).map_err(|error| full(&error))?;
            body.consume(n);
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

    /// What was gathered.
    ///
    /// # Errors
    /// The file cannot be rewound; it has no reason to.
    pub fn finish(self) -> Result<Spooled, HttpError> {
        let Some(mut file) = self.file else { return Ok(Spooled::Memory(self.memory)) };
        file.rewind().map_err(|error| full(&error))?;
        Ok(Spooled::File { file, len: self.filed })
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
                Spooled::File { mut file, len } => {
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
