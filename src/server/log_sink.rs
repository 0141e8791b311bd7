//! Where lines of a log go: gathered, written in batches, never in the way of serving.

use crate::conf::LogTarget;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::fchown;

/// Lines are written when this much has gathered, or after a second.
const BATCH: usize = 64 * 1024;

/// What may gather while nothing can be written; beyond it lines are dropped and counted.
const GATHER_MAX: usize = 1024 * 1024;

/// A pipe or terminal that polls as writable takes this much without blocking (PIPE_BUF).
const PIECE: usize = 4096;

/// One log's destination.
#[derive(Debug)]
pub struct LogSink {
    target: LogTarget,
    file: Option<File>,
    /// A pipe or a terminal: it may stand still, and is then not written to.
    may_block: bool,
    /// Somebody watches. Asked for after each turn with lines, so the kernel is asked once.
    is_terminal: bool,
    /// The file was not there before.
    is_new: bool,
    gathered: Vec<u8>,
    dropped: u64,
}

impl LogSink {
    /// Opens the destination.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(target: LogTarget) -> io::Result<Self> {
        let (file, may_block, is_new) = open(&target)?;
        let is_terminal = file.is_terminal();
        let (file, gathered) = (Some(file), Vec::new());
        Ok(Self { target, file, may_block, is_terminal, is_new, gathered, dropped: 0 })
    }

    /// Gives a file that was made just now to the account that will write it: it opens it again at
    /// every reload. One that was there before is left to whom it belongs.
    pub fn give_to(&self, (uid, gid): (u32, u32)) {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_new) {
            // Whoever may not give it away cannot become another user either, which is told.
            let _ = fchown(file, Some(uid), Some(gid));
        }
    }

    /// Opens the file of that name again: it was moved away. Lines gathered before go to the old.
    ///
    /// # Errors
    /// It cannot be opened: the old one is kept.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        let (file, may_block, is_new) = open(&self.target).map_err(|error| match &self.target {
            LogTarget::File(path) => io::Error::other(format!("{}: {error}", path.display())),
            LogTarget::Stdout | LogTarget::Stderr => error,
        })?;
        self.is_terminal = file.is_terminal();
        (self.file, self.may_block, self.is_new) = (Some(file), may_block, is_new);
        Ok(())
    }

    /// Where lines are added; `line_added` has to be called after each.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// A line was added that began at `start` of the buffer.
    pub fn line_added(&mut self, start: usize) {
        if self.gathered.len() >= BATCH {
            self.flush();
            if self.gathered.len() > GATHER_MAX {
                self.gathered.truncate(start);
                self.dropped += 1;
            }
        }
    }

    /// Whether something waits to be written.
    pub fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Whether somebody watches.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Lines lost because nothing could be written for long.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes what has gathered, as far as that is possible without waiting. A full disk keeps the
    /// lines for the next time, until there are too many.
    pub fn flush(&mut self) {
        let Some(file) = &mut self.file else { return };
        let mut written = 0;
        while written < self.gathered.len() {
            let mut piece = &self.gathered[written..];
            if self.may_block {
                if !is_writable(file) {
                    break;
                }
                piece = whole_lines(piece, PIECE);
            }
            match file.write(piece) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.gathered.drain(..written);
    }
}

/// Returns the file, whether it may block, and whether it was made.
fn open(target: &LogTarget) -> io::Result<(File, bool, bool)> {
    let (file, is_new) = match target {
        LogTarget::Stderr => (File::from(io::stderr().as_fd().try_clone_to_owned()?), false),
        LogTarget::Stdout => (File::from(io::stdout().as_fd().try_clone_to_owned()?), false),
        LogTarget::File(path) => sys::file::open_log(path)?,
    };
    let may_block = !file.metadata()?.is_file();
    Ok((file, may_block, is_new))
}

fn is_writable(file: &File) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&at_once)), Ok(1)) && fds[0].revents().contains(PollFlags::OUT)
}

/// As many whole lines as fit `max`, or `max` bytes of a longer one.
fn whole_lines(text: &[u8], max: usize) -> &[u8] {
    let Some(head) = text.get(..max) else { return text };
    memchr::memrchr(b'\n', head).map_or(head, |end| &head[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_file_gets_the_lines_before_and_the_new_one_those_after() {
        let folder = tempfile::tempdir().unwrap();
        let (log, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut sink = LogSink::open(LogTarget::File(log.clone())).unwrap();
        sink.buffer().extend_from_slice(b"one\n");
        std::fs::rename(&log, &old).unwrap();
        sink.reopen().unwrap();
        sink.buffer().extend_from_slice(b"two\n");
        sink.flush();
        assert_eq!(std::fs::read(&old).unwrap(), b"one\n");
        assert_eq!(std::fs::read(&log).unwrap(), b"two\n");
        assert!(!sink.has_gathered());
    }

    #[test]
    fn a_full_disk_loses_only_what_does_not_fit_and_counts_it() {
        let mut sink = LogSink::open(LogTarget::File("/dev/full".into())).unwrap();
        sink.may_block = false;
        let line = [b'x'; 1023];
        for _ in 0..2000 {
            let start = sink.buffer().len();
            sink.buffer().extend_from_slice(&line);
            sink.buffer().push(b'\n');
            sink.line_added(start);
        }
        assert!(sink.gathered.len() <= GATHER_MAX);
        assert_eq!(sink.dropped() as usize + sink.gathered.len() / 1024, 2000);
    }

    #[test]
    fn pieces_end_with_lines() {
        assert_eq!(whole_lines(b"ab\ncd\nef\n", 7), b"ab\ncd\n");
        assert_eq!(whole_lines(b"abcdefgh", 4), b"abcd");
        assert_eq!(whole_lines(b"ab", 4), b"ab");
    }
}
