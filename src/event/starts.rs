//! How many programs load at the same time: those of all services together.
//!
//! Loading is work for a processor. More at once than there are processors are no sooner ready, all of them
//! later, and whoever has a time limit misses it together with the others.

use super::ServiceId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Who may start a program now, and who waits for that.
#[derive(Debug)]
pub struct Starts(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    most: usize,
    running: usize,
    /// Services that wait, each once.
    waiting: VecDeque<ServiceId>,
    /// Services whose turn it is.
    called: Vec<ServiceId>,
}

/// The right to load, until it is dropped.
#[derive(Debug)]
pub struct Start(Rc<RefCell<State>>);

/// Programs that load at once for each processor: they wait for disks and networks as well.
const FOR_EACH: usize = 2;
const LEAST: usize = 4;

impl Default for Starts {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of((processors * FOR_EACH).max(LEAST))
    }
}

impl Starts {
    fn of(most: usize) -> Self {
        let state = State { most, running: 0, waiting: VecDeque::new(), called: Vec::new() };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Lets a service start a program now. `None`: it has to wait, and its turn is called when it may.
    pub fn begin(&self, service: ServiceId) -> Option<Start> {
        let state = &mut *self.0.borrow_mut();
        if state.running < state.most {
            state.running += 1;
            return Some(Start(self.0.clone()));
        }
        if !state.waiting.contains(&service) {
            state.waiting.push_back(service);
        }
        None
    }

    /// A service has started what it wanted to: if there is room, the next one is called, for whoever was
    /// called may have had no use for it.
    pub fn pass_on(&self) {
        self.0.borrow_mut().call_next();
    }

    /// A service starts nothing any more.
    pub fn forget(&self, service: ServiceId) {
        let state = &mut *self.0.borrow_mut();
        state.waiting.retain(|other| *other != service);
        state.call_next();
    }

    /// Takes the services whose turn it is.
    pub(super) fn take_called(&self) -> Vec<ServiceId> {
        std::mem::take(&mut self.0.borrow_mut().called)
    }

    /// Whether there are some.
    pub(super) fn has_called(&self) -> bool {
        !self.0.borrow().called.is_empty()
    }
}

impl State {
    fn call_next(&mut self) {
        if self.running < self.most
            && let Some(service) = self.waiting.pop_front()
        {
            self.called.push(service);
        }
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        let state = &mut *self.0.borrow_mut();
        state.running -= 1;
        state.call_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_called_in_turn() {
        let starts = Starts::of(2);
        let [a, b, c] = [1, 2, 3].map(ServiceId);
        let (one, two) = (starts.begin(a), starts.begin(a));
        assert!(one.is_some() && two.is_some());
        for _ in 0..3 {
            assert!(starts.begin(a).is_none() && starts.begin(b).is_none());
        }
        assert!(starts.begin(c).is_none() && !starts.has_called());
        drop(one);
        assert_eq!(starts.take_called(), [a]);
        // It has no use for it any more, and says so.
        starts.pass_on();
        assert_eq!(starts.take_called(), [b]);
        let three = starts.begin(b);
        assert!(three.is_some());
        starts.pass_on();
        assert!(!starts.has_called());
        drop((two, three));
        assert_eq!(starts.take_called(), [c]);
    }
}
