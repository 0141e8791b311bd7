//! Where do the words of a worker go? To the error log, line by line, with its name.

use super::seat::Seat;
use super::{Pool, call};
use crate::conf::Level;
use crate::event::{Cx, PoolId};

impl Pool {
    /// Writes down what a worker has said.
    pub(super) fn read_log(&self, seat: &mut Seat, pool: Option<PoolId>, cx: &mut Cx) {
        let pid = seat.worker.child.pid;
        seat.lines.read(|line| self.say_line(pid, line, cx));
        if seat.lines.has_more {
            call(pool, cx);
        }
    }

    /// Writes down what a worker has said last, if that has no end.
    pub(super) fn say_rest(&self, seat: &mut Seat, cx: &mut Cx) {
        let pid = seat.worker.child.pid;
        seat.lines.rest(|line| self.say_line(pid, line, cx));
    }

    fn say_line(&self, pid: u32, line: &[u8], cx: &mut Cx) {
        let text = String::from_utf8_lossy(line);
        let name = &self.app.name.value;
        cx.complain(Level::Error, format!("app {name} (pid {pid}): {}", text.trim_end()));
    }
}
