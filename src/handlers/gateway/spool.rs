//! Bytes that are kept: in memory as long as they are few, then in a file.

use super::gather::Sink;
use crate::event::Cx;
use crate::http::{HttpError, Status};
use crate::sys::spool_budget::Reservation;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes being kept; `F`: the file that takes them when they are many.
#[derive(Debug)]
pub struct Spool<F = File> {
    memory: Vec<u8>,
    file: Option<F>,
    /// Bytes in the file.
    filed: u64,
    /// Bytes kept in memory.
    above: u64,
}

/// A file that a spool makes when it needs one.
pub trait SpoolFile: Sized {
    /// A new, empty one.
    ///
    /// # Errors
    /// There is no place for it.
    fn begin() -> io::Result<Self>;

    /// Adds bytes at its end.
    ///
    /// # Errors
    /// The disk is full, or fails.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Bytes that were kept.
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

impl<F: SpoolFile> Spool<F> {
    /// Nothing yet. Up to `above` bytes are kept in memory.
    pub fn new(above: u64) -> Self {
        Self { memory: Vec::new(), file: None, filed: 0, above }
    }

    /// Bytes kept.
    pub fn len(&self) -> u64 {
        self.filed + self.memory.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// There is no place for a file, or the disk is full.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.len() + bytes.len() as u64 <= self.above {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = F::begin()?;
                file.append(&self.memory)?;
                self.filed = self.memory.len() as u64;
                self.memory = Vec::new();
                self.file.insert(file)
            }
        };
        file.append(bytes)?;
        self.filed += bytes.len() as u64;
        Ok(())
    }

    /// What was kept: in memory, if there is no file.
    pub fn into_parts(self) -> (Vec<u8>, Option<F>) {
        (self.memory, self.file)
    }
}

impl Spool {
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
        spool.take(&bytes)?;
        spool.finish(Some(reserved))
    }

    /// What was kept, and what that occupies.
    ///
    /// # Errors
    /// The file cannot be rewound; it has no reason to.
    pub fn finish(self, reserved: Option<Reservation>) -> Result<Spooled, HttpError> {
        let len = self.filed;
        match self.into_parts() {
            (memory, None) => Ok(Spooled::Memory(memory)),
            (_, Some(mut file)) => {
                file.rewind().map_err(|error| cannot_keep(&error))?;
                Ok(Spooled::File { file, len, reserved })
            }
        }
    }
}

impl Spooled {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<F: SpoolFile> Sink for Spool<F> {
    fn fits_in_memory(&self, len: u64) -> bool {
        len <= self.above
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        self.push(piece).map_err(|error| cannot_keep(&error))
    }
}

impl SpoolFile for File {
    fn begin() -> io::Result<Self> {
        temporary_file()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

/// What a client is told whose body the disk does not take: 507 where it is full, 503 where there are no
/// descriptors.
pub fn cannot_keep(error: &io::Error) -> HttpError {
    let status = match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Status::INSUFFICIENT_STORAGE,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Status::SERVICE_UNAVAILABLE,
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
            let mut spool: Spool = Spool::new(50);
            for n in 0..pieces {
                spool.push(&[b'0' + n % 10; 10]).unwrap();
            }
            assert_eq!(spool.len(), u64::from(pieces) * 10);
            assert_eq!(spool.is_empty(), pieces == 0);
            let want: Vec<u8> = (0..pieces).flat_map(|n| [b'0' + n % 10; 10]).collect();
            let got = match spool.finish(None).unwrap() {
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
