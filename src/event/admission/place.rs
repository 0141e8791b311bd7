//! A task of the loop that waits for a place, and gives it back by being dropped.

use super::{Admission, Client, Refusal, Ticket};
use crate::event::{Cx, TaskId, Until, Wakes};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Places for tasks, and the queue for them.
pub type TaskQueue = RefCell<Admission<TaskId>>;

/// A place, or the wait for one. Its task is woken when the place is there. Dropped, it is given to the next.
#[derive(Debug)]
pub struct Place {
    admission: Rc<TaskQueue>,
    ticket: Ticket,
    task: TaskId,
    wakes: Rc<Wakes>,
}

/// When a task looks again whose place may be held by work that nothing tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Place {
    /// Has the task of a client wait for a place.
    ///
    /// # Errors
    /// The refusal, if no more may wait.
    pub fn enter(
        admission: &Rc<TaskQueue>,
        client: Client,
        task: TaskId,
        cx: &Cx,
    ) -> Result<Self, Refusal> {
        let (ticket, gone) = admission.borrow_mut().enter(client, task, cx.now())?;
        gone.into_iter().for_each(|task| cx.wakes().wake(task));
        Ok(Self { admission: Rc::clone(admission), ticket, task, wakes: Rc::clone(cx.wakes()) })
    }

    /// Whether the place is there; a refusal, if there will be none.
    pub fn poll(&self, now: Instant) -> Poll<Result<(), Refusal>> {
        self.admit();
        self.admission.borrow_mut().poll(self.ticket, now)
    }

    /// What to wait for until it is: whoever gives a place back wakes the next.
    pub fn until_there(&self) -> Until {
        Until::armed()
    }

    /// When to look again, should nothing have woken the task by then.
    pub fn look_again(&self, now: Instant) -> Option<Instant> {
        let admission = self.admission.borrow();
        let soon = admission.is_held().then_some(now + LOOK_AGAIN);
        admission.deadline(self.ticket).into_iter().chain(soon).min()
    }

    /// Has the place stay taken as long as the result lives.
    pub fn hold(&self) -> Arc<()> {
        self.admission.borrow_mut().hold(self.ticket)
    }

    fn admit(&self) {
        let admitted = self.admission.borrow_mut().admit();
        admitted
            .into_iter()
            .filter(|task| *task != self.task)
            .for_each(|task| self.wakes.wake(task));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.borrow_mut().leave(self.ticket);
        self.admit();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Order, QueueLimits};
    use super::*;
    use crate::event::ConnId;

    fn task(index: u32) -> TaskId {
        TaskId { conn: ConnId { index, generation: 0 }, stream: 1 }
    }

    fn cx() -> Cx {
        Cx::new(mio::Poll::new().unwrap().registry().try_clone().unwrap())
    }

    #[test]
    fn a_place_is_given_on_by_being_dropped() {
        let (longest, order) = (None, Order::Arrival);
        let queue = QueueLimits { waiting: 2, waiting_per_client: 2, longest, order };
        let limits = Limits { places: 1, places_per_client: 1, queue };
        let (cx, admission) = (cx(), Rc::new(RefCell::new(Admission::new(limits))));
        let enter = |n| Place::enter(&admission, None, task(n), &cx);
        let is_there = |place: &Place| place.poll(cx.now()) == Poll::Ready(Ok(()));
        let first = enter(0).unwrap();
        assert!(is_there(&first));
        let (second, third) = (enter(1).unwrap(), enter(2).unwrap());
        assert_eq!(enter(3).unwrap_err(), Refusal::FullOfClient);
        drop(first);
        assert!(is_there(&second) && !is_there(&third) && third.look_again(cx.now()).is_none());
        assert_eq!(cx.wakes().pop(), Some(task(1)));
        // Work goes on that the client has left.
        let work = second.hold();
        drop(second);
        assert!(!is_there(&third) && cx.wakes().pop().is_none());
        assert_eq!(third.look_again(cx.now()), Some(cx.now() + LOOK_AGAIN));
        drop(work);
        assert!(is_there(&third) && cx.wakes().pop().is_none(), "it need not be woken");
        drop(third);
        assert!(is_there(&enter(4).unwrap()));
    }
}
