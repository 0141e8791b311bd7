//! Other threads: helpers that do work which blocks, and whoever wants to stop the loop.
//!
//! The one exception to "no thread". A helper gets a closure and sees nothing else: no socket, no
//! connection, no handler. What it has done it tells by a list of names and one `mio::Waker`; the
//! loop does the rest. There are none until the first piece of work is given to them.

use super::admission::{Order, QueueLimits, WaitQueue};
use super::{Target, TaskId};
use mio::{Registry, Waker};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Helper threads of a process. Work that blocks mostly waits for a disk; password hashes want a
/// core each, and there are few.
const HELPERS: usize = 4;

/// Pieces of work that may wait for a helper; at some 50 ms each, the last waits for a second. Whose they are
/// is not known here.
const WAITING: QueueLimits = QueueLimits {
    waiting: 64,
    waiting_per_client: usize::MAX,
    longest: None,
    order: Order::Arrival,
};

/// Helpers give way to the loop: it does little at a time and everybody waits for it.
const NICENESS: i32 = 15;

/// Too much work waits already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Stops the loop from another thread, as SIGTERM does.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Shared>);

/// The loop's side of it.
#[derive(Debug, Default)]
pub(super) struct Outside {
    shared: Option<Arc<Shared>>,
    helpers: usize,
}

#[derive(Debug)]
struct Shared {
    /// The only one of the poll.
    waker: Waker,
    queue: Mutex<Queue>,
    /// Somebody has added to the queue, or closed it.
    added: Condvar,
    finished: Mutex<Vec<TaskId>>,
    /// How often a stop was asked for.
    stop: AtomicU32,
}

struct Queue {
    waiting: WaitQueue<(TaskId, Box<dyn FnOnce() + Send>)>,
    idle: usize,
    closed: bool,
}

impl Outside {
    fn shared(&mut self, registry: &Registry) -> io::Result<&Arc<Shared>> {
        let shared = match self.shared.take() {
            Some(shared) => shared,
            None => Arc::new(Shared {
                waker: Waker::new(registry, Target::Outside.token())?,
                queue: Mutex::new(Queue {
                    waiting: WaitQueue::new(WAITING),
                    idle: 0,
                    closed: false,
                }),
                added: Condvar::new(),
                finished: Mutex::default(),
                stop: AtomicU32::new(0),
            }),
        };
        Ok(self.shared.insert(shared))
    }

    /// See `Cx::help`.
    pub(super) fn help(
        &mut self,
        registry: &Registry,
        task: TaskId,
        work: Box<dyn FnOnce() + Send>,
        now: Instant,
    ) -> Result<(), Busy> {
        let helpers = self.helpers;
        let shared = self.shared(registry).map_err(|_| Busy)?;
        let mut queue = locked(&shared.queue);
        queue.waiting.make_room(None, 0).map_err(|_| Busy)?;
        let ticket = queue.waiting.push(None, (task, work), now);
        let needed = queue.waiting.len() > queue.idle && helpers < HELPERS;
        drop(queue);
        shared.added.notify_one();
        if !needed {
            return Ok(());
        }
        let own = Arc::clone(shared);
        let name = format!("helper-{helpers}");
        match std::thread::Builder::new().name(name).spawn(move || own.work()) {
            Ok(_) => self.helpers += 1,
            // Those that are there will do it.
            Err(_) if helpers > 0 => {}
            Err(_) => {
                let _ = locked(&shared.queue).waiting.remove(ticket);
                return Err(Busy);
            }
        }
        Ok(())
    }

    /// See `Cx::hear_outside`.
    pub(super) fn take_finished(&self, mut tell: impl FnMut(TaskId)) {
        if let Some(shared) = &self.shared {
            let finished = std::mem::take(&mut *locked(&shared.finished));
            finished.into_iter().for_each(&mut tell);
        }
    }

    /// See `Cx::has_work_outside`.
    pub(super) fn has_work(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| {
            let queue = locked(&shared.queue);
            !queue.waiting.is_empty()
                || queue.idle < self.helpers
                || !locked(&shared.finished).is_empty()
        })
    }

    /// See `Cx::stopper`.
    pub(super) fn stopper(&mut self, registry: &Registry) -> io::Result<Stopper> {
        self.shared(registry).map(|shared| Stopper(Arc::clone(shared)))
    }

    /// See `Cx::take_stops`.
    pub(super) fn take_stops(&self) -> u32 {
        self.shared.as_ref().map_or(0, |shared| shared.stop.swap(0, Ordering::AcqRel))
    }
}

/// The loop ends: helpers finish what they are at, and end too. Nobody waits for them.
impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let mut queue = locked(&shared.queue);
            queue.closed = true;
            queue.waiting = WaitQueue::new(WAITING);
            drop(queue);
            shared.added.notify_all();
        }
    }
}

impl Shared {
    /// The life of a helper.
    fn work(&self) {
        // On Linux this is the priority of the thread, not of the process. It is a courtesy: where
        // it is refused, the work is done all the same.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        while let Some((task, work)) = self.next() {
            // The panic is told where the result is looked for and not found.
            let _ = catch_unwind(AssertUnwindSafe(work));
            locked(&self.finished).push(task);
            // The loop is gone when nobody hears it.
            let _ = self.waker.wake();
        }
    }

    /// The next piece of work; `None` when there will be none.
    fn next(&self) -> Option<(TaskId, Box<dyn FnOnce() + Send>)> {
        let mut queue = locked(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(next) = queue.waiting.pop(|_| true) {
                return Some(next.item);
            }
            queue.idle += 1;
            queue = self.added.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

impl Stopper {
    /// Asks for the stop: what is in flight is finished within the time allowed for it. The second
    /// time it is cut off.
    pub fn stop(&self) {
        self.0.stop.fetch_add(1, Ordering::AcqRel);
        // The loop has ended already when nobody hears it.
        let _ = self.0.waker.wake();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting.len()).finish()
    }
}

/// Nothing is left half-changed where a panic could poison a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{ConnId, Cx};
    use super::*;
    use mio::{Events, Poll};
    use std::sync::mpsc;
    use std::time::Duration;

    fn hear(poll: &mut Poll, cx: &Cx) -> Vec<TaskId> {
        let mut events = Events::with_capacity(8);
        let mut woken = Vec::new();
        while woken.is_empty() {
            poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert!(!events.is_empty(), "nobody woke the loop");
            cx.hear_outside();
            woken.extend(std::iter::from_fn(|| cx.wakes().pop()));
        }
        woken
    }

    #[test]
    fn work_is_done_elsewhere_and_its_owner_woken_even_if_it_panics() {
        let mut poll = Poll::new().unwrap();
        let mut cx = Cx::new(poll.registry().try_clone().unwrap());
        let id = TaskId { conn: ConnId { index: 7, generation: 1 }, stream: 1 };
        let (sender, receiver) = mpsc::channel();
        let here = std::thread::current().id();
        cx.help(id, Box::new(move || sender.send(std::thread::current().id()).unwrap())).unwrap();
        assert_eq!(hear(&mut poll, &cx), [id]);
        assert_ne!(receiver.recv().unwrap(), here);
        cx.help(id, Box::new(|| panic!("as it should"))).unwrap();
        assert_eq!(hear(&mut poll, &cx), [id]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut poll = Poll::new().unwrap();
        let mut cx = Cx::new(poll.registry().try_clone().unwrap());
        let id = TaskId { conn: ConnId { index: 0, generation: 1 }, stream: 1 };
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let mut given = 0;
        loop {
            let gate = gate.clone();
            if cx.help(id, Box::new(move || drop(gate.lock()))).is_err() {
                break;
            }
            given += 1;
            assert!(given <= HELPERS + WAITING.waiting);
        }
        assert!(given >= WAITING.waiting);
        drop(closed);
        let mut done = 0;
        while done < given {
            done += hear(&mut poll, &cx).len();
        }
    }
}
