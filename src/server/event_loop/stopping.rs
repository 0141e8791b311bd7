//! How a run ends: nobody is accepted, what is in flight is finished, the rest is cut off.

use super::EventLoop;
use crate::conf::Level;
use crate::serve::Abort;
use std::time::Instant;

/// A stop in progress.
pub(super) struct Stopping {
    /// When what is left is cut off; `None`: never.
    deadline: Option<Instant>,
}

impl Stopping {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl EventLoop {
    /// Accepts nobody any more, closes who is idle, lets the others finish.
    pub(super) fn stop(&mut self, deadline: Option<Instant>) {
        self.give_reload_up("the server stops");
        self.stopping = Some(Stopping { deadline });
        self.cx.stopping = true;
        self.accept();
        self.acceptor.close();
        let everybody: Vec<_> = self.table.iter_mut().map(|connection| connection.id()).collect();
        for id in everybody {
            // What lies in the socket is still answered: it was sent before anybody could know.
            if let Some(connection) = self.table.get(id) {
                connection.poke();
            }
            self.drive(id, usize::MAX);
            if self.table.get(id).is_some_and(|connection| connection.is_idle()) {
                self.cut_off(id, Abort::Shutdown, "the server stopped");
            }
        }
        let left = self.table.len();
        self.cx.report(Level::Info, format!("stopping; {left} connections still at work"));
    }

    /// Cuts off what is left: somebody has asked twice.
    pub(super) fn hurry(&mut self) {
        self.stopping = Some(Stopping { deadline: Some(self.cx.now()) });
    }

    /// Whether it has: true if all was finished.
    pub(super) fn has_stopped(&self) -> Option<bool> {
        let stopping = self.stopping.as_ref()?;
        if self.table.is_empty() {
            return Some(true);
        }
        stopping.deadline.is_some_and(|at| self.cx.now() >= at).then_some(false)
    }

    pub(super) fn close_down(&mut self) {
        let everybody: Vec<_> = self.table.iter_mut().map(|connection| connection.id()).collect();
        for id in everybody {
            self.cut_off(id, Abort::Shutdown, "the server stopped");
        }
        self.handlers.stop_all(&mut self.cx);
        self.cx.children.kill_all();
        self.access.flush();
        self.see_to_logs();
    }
}
