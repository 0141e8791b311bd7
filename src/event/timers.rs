//! Instants at which a task asked to be advanced, or a service to be called.
//!
//! A heap that is never searched: a transaction's own `timer` field says what it waits for, and an
//! entry that disagrees with it is stale. Cancelling is overwriting the field. The interface leaves
//! room for a wheel, should there ever be more than some ten thousand armed at once.

use super::{ServiceId, TaskId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The armed instants of all tasks and services.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Sleeper)>>,
}

/// Who has armed an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sleeper {
    /// A task.
    Task(TaskId),
    /// A service: its `flush_batch` is called.
    Service(ServiceId),
}

impl Timers {
    /// Arms `at` for a task. What it had armed before stays in the heap, and is recognised
    /// as stale by whoever is told of it.
    pub fn arm(&mut self, at: Instant, task: TaskId) {
        self.heap.push(Reverse((at, Sleeper::Task(task))));
    }

    /// Arms `at` for a service. Timers cannot be cancelled; a spurious call must be harmless.
    pub fn arm_service(&mut self, at: Instant, service: ServiceId) {
        self.heap.push(Reverse((at, Sleeper::Service(service))));
    }

    /// The earliest instant, stale or not: a wake-up too many is harmless.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one entry that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Sleeper)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ConnId;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn comes_out_in_order_and_never_early(
            delays in proptest::collection::vec(0u64..1000, 0..50),
            step in 1u64..300,
        ) {
            let start = Instant::now();
            let id = |n: usize| TaskId {
                conn: ConnId { index: n as u32, generation: 0 },
                stream: 0,
            };
            let mut timers = Timers::default();
            let mut expected = Vec::new();
            for (n, delay) in delays.iter().enumerate() {
                let at = start + Duration::from_millis(*delay);
                timers.arm(at, id(n));
                expected.push((at, Sleeper::Task(id(n))));
            }
            expected.sort();
            let (mut got, mut now) = (Vec::new(), start);
            while timers.next().is_some() {
                while let Some(entry) = timers.pop_due(now) {
                    prop_assert!(entry.0 <= now);
                    got.push(entry);
                }
                now += Duration::from_millis(step);
            }
            prop_assert_eq!(got, expected);
        }
    }
}
