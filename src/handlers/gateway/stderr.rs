//! What a program writes to its standard error: lines of the error log, as many as it may have.
//!
//! The work is bounded before it is done: once the allowance is used up, what comes is read without a
//! look at it, and counted.

use crate::conf::Level;
use crate::event::{Cx, Source};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

/// The reading end of a program's standard error.
#[derive(Debug)]
pub struct StderrReader {
    /// Never waits.
    pub pipe: Source<File>,
    /// What lines begin with.
    who: String,
    /// A line that has not ended.
    line: Vec<u8>,
    line_max: usize,
    allowance: Allowance,
    /// What of it is left.
    left: usize,
    /// Bytes that were not logged, since that was last told.
    dropped: u64,
    /// When the present allowance began.
    since: Option<Instant>,
    has_ended: bool,
}

/// What a program may put into the log, in bytes. A line counts as `LINE_COST` bytes at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// One run of a script.
    Run,
    /// A worker, in a second.
    Second,
}

const RUN_MAX: usize = 64 * 1024;
const SECOND_MAX: usize = 128 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// What a line costs at least: empty ones are work as well.
const LINE_COST: usize = 64;

/// Pieces read at once: a program that writes without end has the others wait.
const PIECES_MAX: usize = 8;

impl StderrReader {
    /// That of `who`. Lines longer than `line_max` become several.
    pub fn new(pipe: Source<File>, who: String, line_max: usize, allowance: Allowance) -> Self {
        let left = allowance.bytes();
        Self {
            pipe,
            who,
            line: Vec::new(),
            line_max,
            allowance,
            left,
            dropped: 0,
            since: None,
            has_ended: false,
        }
    }

    /// Reads what is there, a bounded part of it. `true`: that was all, and more makes an event; or there
    /// will be none.
    pub fn read(&mut self, scratch: &mut [u8], cx: &mut Cx) -> bool {
        self.renew(cx);
        for _ in 0..PIECES_MAX {
            if self.has_ended {
                return true;
            }
            match self.pipe.read(scratch) {
                Ok(0) => self.has_ended = true,
                Ok(n) => self.take(scratch.get(..n).unwrap_or_default(), cx),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => self.has_ended = true,
            }
        }
        false
    }

    /// When there is something to say of what was not logged.
    pub fn due(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.dropped > 0)?;
        (self.allowance == Allowance::Second).then_some(since + SECOND)
    }

    /// Says what is left: a line without end, and how much was dropped.
    pub fn finish(&mut self, cx: &mut Cx) {
        if !self.line.is_empty() {
            self.say(cx);
        }
        self.tell_dropped(cx);
    }

    /// Begins the next second.
    fn renew(&mut self, cx: &mut Cx) {
        let now = cx.now();
        if self.allowance == Allowance::Second && self.since.is_none_or(|at| now >= at + SECOND) {
            (self.since, self.left) = (Some(now), self.allowance.bytes());
            self.tell_dropped(cx);
        }
    }

    fn tell_dropped(&mut self, cx: &mut Cx) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            cx.complain(Level::Error, format!("{}: {dropped} bytes more, not logged", self.who));
        }
    }

    fn take(&mut self, mut bytes: &[u8], cx: &mut Cx) {
        while !bytes.is_empty() && self.left > 0 {
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let room = self.line_max.saturating_sub(self.line.len()).min(self.left);
            let (part, rest) = bytes.split_at(end.min(room));
            self.line.extend_from_slice(part);
            self.left -= part.len();
            bytes = rest;
            let is_whole = self.line.ends_with(b"\n");
            if is_whole || self.line.len() >= self.line_max || self.left == 0 {
                self.left = self.left.saturating_sub(LINE_COST.saturating_sub(self.line.len()));
                self.say(cx);
            }
        }
        self.dropped += bytes.len() as u64;
    }

    fn say(&mut self, cx: &mut Cx) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.is_empty() {
            // A carriage return would begin a line of its own in the log.
            let text = text.replace(['\r', '\n'], " ");
            cx.complain(Level::Error, format!("{}: {text}", self.who));
        }
        self.line.clear();
    }
}

impl Allowance {
    fn bytes(self) -> usize {
        match self {
            Self::Run => RUN_MAX,
            Self::Second => SECOND_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Owner, ServiceId};
    use crate::handlers::files::testing::cx;
    use crate::sys::process;
    use std::io::Write;

    const LINE_MAX: usize = 2048;

    fn said(allowance: Allowance, pieces: &[&[u8]]) -> Vec<String> {
        let (read, write) = process::pipe().unwrap();
        process::set_nonblocking(&read).unwrap();
        let (mut cx, mut scratch) = (cx(), [0; 4096]);
        let pipe = cx.sources().add_untried(read.into(), Owner::Service(ServiceId(0), 0));
        let mut reader = StderrReader::new(pipe, "x".into(), LINE_MAX, allowance);
        let mut write = File::from(write);
        for piece in pieces {
            for part in piece.chunks(30_000) {
                write.write_all(part).unwrap();
                reader.pipe.assume_readable();
                while !reader.read(&mut scratch, &mut cx) {}
            }
        }
        drop(write);
        reader.pipe.assume_readable();
        assert!(reader.read(&mut scratch, &mut cx));
        reader.finish(&mut cx);
        cx.take_notices().into_iter().map(|notice| notice.text).collect()
    }

    #[test]
    fn lines_are_lines() {
        let said = |pieces: &[&[u8]]| said(Allowance::Run, pieces);
        assert_eq!(said(&[b"one\ntw", b"o\n\nthr\ree"]), ["x: one", "x: two", "x: thr ee"]);
        let long = vec![b'a'; LINE_MAX + 5];
        assert_eq!(said(&[&long]).iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX + 3, 8]);
    }

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        for (allowance, line, lines, dropped) in [
            // Long enough to count as they are,
            (Allowance::Run, [b'a'; 63].as_slice(), RUN_MAX / 64, 20_000 * 64 - RUN_MAX),
            (Allowance::Second, &[b'a'; 63], SECOND_MAX / 64, 20_000 * 64 - SECOND_MAX),
            // and short, and empty ones.
            (Allowance::Run, b"a", RUN_MAX / 64, 20_000 * 2 - RUN_MAX / 32),
            (Allowance::Second, b"", 0, 20_000 - SECOND_MAX / 64),
        ] {
            let flood = [line, b"\n"].concat().repeat(20_000);
            let said = said(allowance, &[&flood]);
            assert_eq!(said.len(), lines + 1, "{allowance:?} {}", line.len());
            assert_eq!(*said.last().unwrap(), format!("x: {dropped} bytes more, not logged"));
        }
    }
}
