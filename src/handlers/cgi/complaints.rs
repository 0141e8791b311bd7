//! What a script writes to its standard error: lines of the error log.

use crate::conf::Level;
use crate::event::Cx;
use std::fs::File;
use std::io::{ErrorKind, Read};

/// The reading end of a script's standard error.
#[derive(Debug)]
pub struct Complaints {
    /// Never waits.
    pub pipe: File,
    /// What lines begin with.
    who: String,
    /// A line that has not ended.
    line: Vec<u8>,
    /// What may still be said.
    left: usize,
    dropped: u64,
    ended: bool,
}

/// Bytes of one line; a longer one becomes several.
const LINE_MAX: usize = 2048;

/// Bytes that one run of a script may put into the log; the rest is read and counted.
const RUN_MAX: usize = 64 * 1024;

/// Pieces read at once: a script that writes without end has the others wait.
const PIECES_MAX: usize = 8;

impl Complaints {
    /// Those of `who`.
    pub fn new(pipe: File, who: String) -> Self {
        Self { pipe, who, line: Vec::new(), left: RUN_MAX, dropped: 0, ended: false }
    }

    /// Reads what is there. `true`: all there is, and more makes an event; or there will be none.
    pub fn read(&mut self, scratch: &mut [u8], cx: &mut Cx) -> bool {
        for _ in 0..PIECES_MAX {
            if self.ended {
                return true;
            }
            match self.pipe.read(scratch) {
                Ok(0) => self.ended = true,
                Ok(n) => self.take(scratch.get(..n).unwrap_or_default(), cx),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => self.ended = true,
            }
        }
        false
    }

    /// Says what is left: a line without end, and how much was dropped.
    pub fn finish(&mut self, cx: &mut Cx) {
        if !self.line.is_empty() {
            self.say(cx);
        }
        if self.dropped > 0 {
            let text = format!("{}: {} bytes more, not logged", self.who, self.dropped);
            cx.complain(Level::Error, text);
            self.dropped = 0;
        }
    }

    fn take(&mut self, bytes: &[u8], cx: &mut Cx) {
        let kept = bytes.len().min(self.left);
        self.left -= kept;
        self.dropped += (bytes.len() - kept) as u64;
        for piece in bytes.get(..kept).unwrap_or_default().split_inclusive(|b| *b == b'\n') {
            for part in piece.chunks(LINE_MAX) {
                self.line.extend_from_slice(part);
                if self.line.ends_with(b"\n") || self.line.len() >= LINE_MAX {
                    self.say(cx);
                }
            }
        }
    }

    fn say(&mut self, cx: &mut Cx) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches(['\n', '\r']);
        // A carriage return would begin a line of its own in the log.
        let text = text.replace(['\r', '\n'], " ");
        if !text.is_empty() {
            cx.complain(Level::Error, format!("{}: {text}", self.who));
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::cx;
    use crate::sys::process;
    use std::io::Write;

    fn said(pieces: &[&[u8]]) -> Vec<String> {
        let (read, write) = process::pipe().unwrap();
        process::set_nonblocking(&read).unwrap();
        let (mut complaints, mut write) =
            (Complaints::new(read.into(), "x".into()), File::from(write));
        let (mut cx, mut scratch) = (cx(), [0; 4096]);
        for piece in pieces {
            for part in piece.chunks(30_000) {
                write.write_all(part).unwrap();
                while !complaints.read(&mut scratch, &mut cx) {}
            }
        }
        drop(write);
        assert!(complaints.read(&mut scratch, &mut cx));
        complaints.finish(&mut cx);
        cx.take_notices().into_iter().map(|notice| notice.text).collect()
    }

    #[test]
    fn lines_are_lines() {
        assert_eq!(said(&[b"one\ntw", b"o\n\nthr\ree"]), ["x: one", "x: two", "x: thr ee"]);
        let long = vec![b'a'; LINE_MAX + 5];
        assert_eq!(said(&[&long]).iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX + 3, 8]);
    }

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let lines = said(&[&b"0123456789abcde\n".repeat(10_000)]);
        assert_eq!(lines.len(), RUN_MAX / 16 + 1);
        assert_eq!(lines.last().unwrap(), "x: 94464 bytes more, not logged");
    }
}
