//! What does a worker write to its standard error?

use std::os::fd::OwnedFd;

/// What a worker writes to its standard error, cut into lines.
pub(super) struct Lines {
    pipe: Option<OwnedFd>,
    partial: Vec<u8>,
    pub(super) has_more: bool,
}

/// A line of a worker's log.
const LINE_MAX: usize = 8 * 1024;

/// Read of a worker's log in a turn.
const LINES_MAX: usize = 64 * 1024;

impl Lines {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), partial: Vec::new(), has_more: false }
    }

    /// Hands over the lines that have come, as many as are good for a turn; `has_more` says whether
    /// there may be others. A last line comes when nothing more will, with its end or without.
    pub(super) fn read(&mut self, mut say: impl FnMut(&[u8])) {
        let mut moved = 0;
        self.has_more = false;
        while let Some(pipe) = &self.pipe {
            if moved >= LINES_MAX {
                self.has_more = true;
                return;
            }
            let mut piece = [0; 4096];
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    moved += n;
                    self.partial.extend_from_slice(piece.get(..n).unwrap_or_default());
                    while let Some(line) = self.next() {
                        say(&line);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        self.rest(say);
    }

    /// Hands over a last line that has no end.
    pub(super) fn rest(&mut self, mut say: impl FnMut(&[u8])) {
        let rest = std::mem::take(&mut self.partial);
        if !rest.is_empty() {
            say(&rest);
        }
    }

    /// The next whole line, or as much as a line may have.
    fn next(&mut self) -> Option<Vec<u8>> {
        let end = match memchr::memchr(b'\n', &self.partial) {
            Some(at) => at + 1,
            None if self.partial.len() >= LINE_MAX => LINE_MAX,
            None => return None,
        };
        Some(self.partial.drain(..end).collect())
    }
}
