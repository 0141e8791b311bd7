//! Tasks that are woken by other parts of the program.

use super::{TaskId, Until};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Tasks to be advanced soon. Shared by all wakers of a loop.
#[derive(Debug, Default)]
pub struct Wakes(RefCell<Vec<TaskId>>);

impl Wakes {
    /// Has a task advanced soon: it finds that it was woken. One that has ended is not reached.
    pub fn wake(&self, task: TaskId) {
        self.0.borrow_mut().push(task);
    }

    /// Takes one who was woken.
    pub fn pop(&self) -> Option<TaskId> {
        self.0.borrow_mut().pop()
    }

    /// Whether nobody was woken.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// A promise to wake one task. Whoever holds it wakes the task, at the latest by dropping it, so
/// that a task which waits for it does not wait for ever.
#[derive(Debug)]
pub struct TaskWaker {
    task: TaskId,
    wakes: Rc<Wakes>,
    is_awaited: Cell<bool>,
}

impl TaskWaker {
    pub(super) fn new(task: TaskId, wakes: &Rc<Wakes>) -> Self {
        Self { task, wakes: Rc::clone(wakes), is_awaited: Cell::new(false) }
    }

    /// Whom it wakes.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Has the task advanced soon, whatever it waits for.
    pub fn wake(&self) {
        self.is_awaited.set(false);
        self.wakes.wake(self.task);
    }

    /// What the task waits for until it is woken.
    pub fn until(&self) -> Until {
        self.is_awaited.set(true);
        Until::armed()
    }
}

impl Drop for TaskWaker {
    fn drop(&mut self) {
        if self.is_awaited.get() {
            self.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ConnId;

    #[test]
    fn a_promise_is_kept_by_dropping_it() {
        let wakes = Rc::new(Wakes::default());
        let task = TaskId { conn: ConnId { index: 1, generation: 2 }, stream: 3 };
        let waker = TaskWaker::new(task, &wakes);
        drop(TaskWaker::new(task, &wakes));
        assert!(wakes.is_empty(), "nobody waits for it");
        assert!(!waker.until().is_over());
        waker.wake();
        assert_eq!(wakes.pop(), Some(task));
        assert!(!waker.until().is_over());
        drop(waker);
        assert_eq!(wakes.pop(), Some(task));
        assert!(wakes.is_empty());
    }
}
