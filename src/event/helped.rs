//! The result of work that a helper thread does.

use super::outside::Busy;
use super::{Cx, TaskId, Until};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::task::Poll;

/// Work given to a helper, on its way to its result. Work whose `Helped` was dropped before a
/// helper came to it is not begun.
#[derive(Debug)]
pub struct Helped<T> {
    result: Receiver<T>,
    _wanted: Arc<()>,
}

impl<T: Send + 'static> Helped<T> {
    /// Gives `work` to a helper; `task` is woken when there is something to [`poll`](Self::poll).
    ///
    /// # Errors
    /// As [`Cx::help`].
    pub fn begin(
        task: TaskId,
        cx: &mut Cx,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, Busy> {
        let (sender, result) = sync_channel(1);
        let wanted = Arc::new(());
        let still_wanted = Arc::downgrade(&wanted);
        let job = move || {
            if still_wanted.strong_count() > 0 {
                // Not received if the client has left meanwhile.
                let _ = sender.try_send(work());
            }
        };
        cx.help(task, Box::new(job))?;
        Ok(Self { result, _wanted: wanted })
    }

    /// What the task waits for until the work is done: helpers tell of its end in any case.
    pub fn until_done(&self) -> Until {
        Until::armed()
    }

    /// The result, if it is there; `None` if the work has panicked.
    pub fn poll(&self) -> Poll<Option<T>> {
        match self.result.try_recv() {
            Ok(result) => Poll::Ready(Some(result)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
        }
    }
}
