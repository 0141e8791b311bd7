//! How a run ends: nobody is accepted, what is in flight is finished, programs end in peace, and what is
//! left after that is cut off.

use super::EventLoop;
use crate::conf::Level;
use crate::serve::Abort;
use std::time::{Duration, Instant};

/// A stop in progress.
pub(super) struct Stopping {
    /// When what is left is cut off; `None`: never.
    deadline: Option<Instant>,
    /// Everybody was served. Until when programs may take to end.
    parting: Option<Instant>,
}

/// How long programs may take to end that have nothing to do any more. Workers kill themselves, and are
/// killed, before that.
const PARTING: Duration = Duration::from_secs(6);

impl Stopping {
    /// When something is due although nothing happens.
    pub(super) fn next(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.parting).min()
    }
}

impl EventLoop {
    /// Accepts nobody any more, closes who is idle, lets the others finish.
    pub(super) fn stop(&mut self, deadline: Option<Instant>) {
        self.give_reload_up("the server stops");
        self.stopping = Some(Stopping { deadline, parting: None });
        self.cx.stopping = true;
        self.accept();
        self.acceptor.close();
        for id in self.table.everybody() {
            // What lies in the socket is still answered: it was sent before anybody could know.
            if let Some(connection) = self.table.get(id) {
                connection.assume_readable();
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
        if let Some(stopping) = &mut self.stopping {
            stopping.deadline = Some(self.cx.now());
        }
    }

    /// Whether it has: true if all was finished.
    pub(super) fn has_stopped(&mut self) -> Option<bool> {
        let now = self.cx.now();
        let stopping = self.stopping.as_mut()?;
        let is_due = stopping.deadline.is_some_and(|at| now >= at);
        if !self.table.is_empty() {
            return is_due.then_some(false);
        }
        let until = *stopping.parting.get_or_insert_with(|| {
            self.services.stop_all(&mut self.cx);
            self.cx.children.hasten(now);
            now + PARTING
        });
        (self.cx.children.is_empty() || is_due || now >= until).then_some(true)
    }

    /// Cuts off who is left, kills what is left, and writes the last lines of the logs.
    pub(super) fn close_down(&mut self) {
        for id in self.table.everybody() {
            self.cut_off(id, Abort::Shutdown, "the server stopped");
        }
        if self.stopping.as_ref().is_none_or(|stopping| stopping.parting.is_none()) {
            self.services.stop_all(&mut self.cx);
        }
        self.cx.children.kill_all();
        self.access.flush();
        self.see_to_logs();
        self.errors.finish(&self.cx.clock);
    }
}
