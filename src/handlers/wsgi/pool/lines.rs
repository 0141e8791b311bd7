//! What does a worker write to its standard error? It goes to the error log, line by line.

use super::seat::Seat;
use super::{Pool, call};
use crate::conf::Level;
use crate::event::{Cx, PoolId};
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

impl Pool {
    /// Writes down what a worker has said, line by line.
    pub(super) fn read_log(&self, seat: &mut Seat, pool: Option<PoolId>, cx: &mut Cx) {
        let mut moved = 0;
        seat.lines.has_more = false;
        while let Some(pipe) = &seat.lines.pipe {
            if moved >= LINES_MAX {
                seat.lines.has_more = true;
                call(pool, cx);
                break;
            }
            let mut piece = [0; 4096];
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => seat.lines.pipe = None,
                Ok(n) => {
                    moved += n;
                    seat.lines.partial.extend_from_slice(piece.get(..n).unwrap_or_default());
                    while let Some(line) = seat.lines.next() {
                        self.say_line(seat, &line, cx);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if seat.lines.pipe.is_none() {
            self.say_rest(seat, cx);
        }
    }

    /// A last line without its end.
    pub(super) fn say_rest(&self, seat: &mut Seat, cx: &mut Cx) {
        let rest = std::mem::take(&mut seat.lines.partial);
        if !rest.is_empty() {
            self.say_line(seat, &rest, cx);
        }
    }

    fn say_line(&self, seat: &Seat, line: &[u8], cx: &mut Cx) {
        let text = String::from_utf8_lossy(line);
        let (name, pid) = (&self.app.name.value, seat.worker.child.pid);
        cx.report(Level::Error, format!("app {name} (pid {pid}): {}", text.trim_end()));
    }
}

impl Lines {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), partial: Vec::new(), has_more: false }
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
