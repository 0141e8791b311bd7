//! What does a pool know of one of its workers, and how does it let it go?

use super::super::worker::{Stage, Worker};
use crate::event::{Cx, Start};
use crate::handlers::gateway::StderrReader;
use std::time::{Duration, Instant};

/// A worker and its log.
pub(super) struct Seat {
    pub(super) worker: Worker,
    pub(super) stderr: StderrReader,
    /// When its log is read again, whatever events say.
    pub(super) log_at: Option<Instant>,
    /// Its right to load, for some time.
    pub(super) start: Option<Start>,
    /// When its Python was seen not to run yet the last time: its time to load begins then.
    pub(super) loads_since: Instant,
    /// Of its time to load, how long it has waited for a processor.
    pub(super) starved: Duration,
    /// Requests after which it is replaced.
    pub(super) recycle_at: Option<u64>,
    /// Another one is on its way for it.
    pub(super) is_replaced: bool,
    pub(super) was_ready: bool,
    pub(super) fate: Fate,
}

/// Why a worker ends, when it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody has asked for it.
    Unknown,
    /// It is no longer needed.
    Dismissed,
    /// It could not load the application, or not in time.
    NotLoaded,
    /// One request took too long.
    Hung,
    /// It cannot be believed.
    Broken(String),
}

/// From the order to end until a worker that does not is killed.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

impl Seat {
    pub(super) fn is_ready(&self) -> bool {
        self.worker.stage == Stage::Ready && !self.worker.has_ended
    }

    /// It could not be started, and ends: what follows from that is decided when it has.
    pub(super) fn is_failing(&self) -> bool {
        let is_ending = matches!(self.worker.stage, Stage::Ending(_));
        is_ending && !self.was_ready && self.fate != Fate::Dismissed
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        format!("worker {} (pid {})", self.worker.number, self.worker.child.pid)
    }

    /// Gives it nothing more; it ends when it has answered what it has.
    pub(super) fn retire(&mut self, cx: &mut Cx) {
        match self.worker.stage {
            Stage::Starting => self.discard(cx),
            Stage::Ready => {
                self.worker.stage = Stage::Retiring;
                if self.worker.load() == 0 {
                    self.retire_now(cx);
                }
            }
            Stage::Retiring | Stage::Ending(_) => {}
        }
    }

    pub(super) fn retire_now(&mut self, cx: &Cx) {
        self.worker.end_input();
        self.fate = Fate::Dismissed;
        self.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
    }

    /// Ends it, whatever it does.
    pub(super) fn discard(&mut self, cx: &mut Cx) {
        self.fate = Fate::Dismissed;
        self.start = None;
        self.worker.stage = Stage::Ending(cx.now() + STOP_GRACE);
        cx.kill(self.worker.child.id);
    }
}
