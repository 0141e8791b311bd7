//! How many scripts run at once, and who waits for one of them to end.

use crate::event::{ConnId, Cx};
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Lets so many in and keeps so many waiting, first come, first served.
#[derive(Debug)]
pub struct Gate {
    /// Places that are neither taken nor promised.
    free: usize,
    queue_max: usize,
    waiting: VecDeque<Rc<Ticket>>,
}

/// Somebody's turn. A place that was promised has to be taken or given back.
#[derive(Debug)]
pub struct Ticket {
    who: ConnId,
    called: Cell<bool>,
}

/// What came of asking for a place.
#[derive(Debug)]
pub enum Entry {
    /// It is yours.
    Taken,
    /// There will be one: you will be woken.
    Wait(Rc<Ticket>),
    /// Too many wait already.
    Full,
}

impl Gate {
    /// A gate with that many places.
    pub fn new(places: usize, queue_max: usize) -> Self {
        Self { free: places, queue_max, waiting: VecDeque::new() }
    }

    /// Asks for a place.
    pub fn enter(&mut self, who: ConnId) -> Entry {
        if self.free > 0 {
            self.free -= 1;
            return Entry::Taken;
        }
        if self.waiting.len() >= self.queue_max {
            return Entry::Full;
        }
        let ticket = Rc::new(Ticket { who, called: Cell::new(false) });
        self.waiting.push_back(ticket.clone());
        Entry::Wait(ticket)
    }

    /// Gives a place back, to who waits longest.
    pub fn leave(&mut self, cx: &Cx) {
        match self.waiting.pop_front() {
            Some(ticket) => {
                ticket.called.set(true);
                cx.wake(ticket.who);
            }
            None => self.free += 1,
        }
    }

    /// Somebody does not want to wait any longer. What was promised to them is given to the next.
    pub fn give_up(&mut self, ticket: &Rc<Ticket>, cx: &Cx) {
        if ticket.called.get() {
            self.leave(cx);
        } else {
            self.waiting.retain(|other| !Rc::ptr_eq(other, ticket));
        }
    }
}

impl Ticket {
    /// Whether the place is there: it is now taken.
    pub fn is_called(&self) -> bool {
        self.called.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::cx;
    use proptest::prelude::*;

    fn id(index: u32) -> ConnId {
        ConnId { index, generation: 0 }
    }

    #[test]
    fn first_come_first_served() {
        let (mut gate, cx) = (Gate::new(1, 2), cx());
        assert!(matches!(gate.enter(id(0)), Entry::Taken));
        let Entry::Wait(first) = gate.enter(id(1)) else { panic!() };
        let Entry::Wait(second) = gate.enter(id(2)) else { panic!() };
        assert!(matches!(gate.enter(id(3)), Entry::Full));
        gate.leave(&cx);
        assert!(first.is_called() && !second.is_called());
        assert_eq!(cx.pop_woken(), Some(id(1)));
        // Who was called and has gone gives the place to the next.
        gate.give_up(&first, &cx);
        assert_eq!(cx.pop_woken(), Some(id(2)));
        gate.leave(&cx);
        assert!(matches!(gate.enter(id(4)), Entry::Taken));
    }

    proptest! {
        /// Whatever happens, never more are in than there are places, and nobody is forgotten.
        #[test]
        fn places_are_neither_lost_nor_made(
            places in 1usize..4,
            queue in 0usize..4,
            steps in proptest::collection::vec((0u8..4, 0usize..8), 0..60),
        ) {
            let (mut gate, cx) = (Gate::new(places, queue), cx());
            let (mut inside, mut tickets) = (0, Vec::<Rc<Ticket>>::new());
            for (step, which) in steps {
                match step {
                    0 | 1 => match gate.enter(id(0)) {
                        Entry::Taken => inside += 1,
                        Entry::Wait(ticket) => tickets.push(ticket),
                        Entry::Full => prop_assert!(tickets.len() >= queue),
                    },
                    2 if inside > 0 => {
                        inside -= 1;
                        gate.leave(&cx);
                    }
                    3 if !tickets.is_empty() => {
                        let ticket = tickets.remove(which % tickets.len());
                        gate.give_up(&ticket, &cx);
                    }
                    _ => {}
                }
                let called = tickets.iter().filter(|ticket| ticket.is_called()).count();
                inside += called;
                tickets.retain(|ticket| !ticket.is_called());
                prop_assert!(inside <= places);
                prop_assert!(inside == places || tickets.is_empty(), "a place is free and somebody waits");
            }
        }
    }
}
