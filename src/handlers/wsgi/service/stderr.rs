//! What workers write to their standard error: lines of the error log, with their names.

use super::super::pool::WorkerId;
use super::process::WorkerProcess;
use super::{AppService, Inner};
use crate::event::Cx;
use std::time::Duration;

/// From one look at a worker that writes without end to the next. Meanwhile its pipe is full, and it
/// waits.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

/// Read at once of what a worker writes.
const PIECE: usize = 16 * 1024;

impl AppService {
    /// Writes down what a worker has said, and comes again if there is more.
    pub(super) fn read_log(&self, inner: &mut Inner, worker: WorkerId, cx: &mut Cx) {
        let (now, id) = (cx.now(), inner.id);
        let Some(process) = inner.process(worker) else { return };
        if process.log_at.is_some_and(|at| now < at && at <= now + FLOOD_PAUSE) {
            return;
        }
        let is_all = process.stderr.read(&mut [0; PIECE], cx);
        let next = match is_all {
            true => process.stderr.due(),
            false => Some(now + FLOOD_PAUSE),
        };
        if let Some((at, id)) = next.zip(id)
            && process.log_at != Some(at)
        {
            cx.timers.arm_service(at, id);
        }
        process.log_at = next;
    }

    /// Reads what workers write for which it is time.
    pub(super) fn read_logs(&self, inner: &mut Inner, cx: &mut Cx) {
        for worker in (0..inner.workers.len()).map(WorkerId) {
            let process = inner.process(worker);
            if process.is_some_and(|it| it.log_at.is_some_and(|at| cx.now() >= at)) {
                self.read_log(inner, worker, cx);
            }
        }
    }
}

impl WorkerProcess {
    /// Writes down what it said last.
    pub(super) fn finish_log(&mut self, cx: &mut Cx) {
        self.stderr.read(&mut [0; PIECE], cx);
        self.stderr.finish(cx);
    }
}
