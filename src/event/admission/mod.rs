//! Admission: so many at once, so many that wait, each for so long at most, and no client keeps others out.
//!
//! | file | question |
//! |---|---|
//! | `mod` | how many are served at once? |
//! | `queue` | what waits, what is next, what is refused? |
//! | `place` | how does a task of the loop wait for its place, and give it back? |
//!
//! These are values: they know neither sockets nor programs, and are told the time.

mod place;
mod queue;

pub use place::{Place, TaskQueue};
pub use queue::{Client, Order, QueueLimits, Refusal, Ticket, WaitQueue, Waiting};

use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Instant;

/// How many are served at once, and how many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Places.
    pub places: usize,
    /// Those that one client may have.
    pub places_per_client: usize,
    /// What of the others waits.
    pub queue: QueueLimits,
}

/// Places, and the queue for them. An item enters and is given a ticket; `admit` hands the items out whose
/// turn has come, which then have a place until they leave.
#[derive(Debug)]
pub struct Admission<T> {
    limits: Limits,
    queue: WaitQueue<T>,
    taken: Vec<Taken>,
}

/// A place that is taken.
#[derive(Debug)]
struct Taken {
    ticket: Ticket,
    client: Client,
    /// Held by work that needs the place, whatever becomes of the task that began it.
    work: Weak<()>,
    has_left: bool,
}

impl<T> Admission<T> {
    /// All places are free.
    pub fn new(limits: Limits) -> Self {
        Self { limits, queue: WaitQueue::new(limits.queue), taken: Vec::new() }
    }

    /// Lets an item wait for a place; `admit` tells if one is free. Returns what has to give way for it, if
    /// something has.
    ///
    /// # Errors
    /// The refusal, if no more may wait.
    pub fn enter(
        &mut self,
        client: Client,
        item: T,
        now: Instant,
    ) -> Result<(Ticket, Option<T>), Refusal> {
        self.forget_done();
        let free = self.limits.places.saturating_sub(self.taken.len());
        let gone = self.queue.make_room(client, free)?;
        Ok((self.queue.push(client, item, now), gone))
    }

    /// Gives free places to those whose turn it is. Returns them.
    pub fn admit(&mut self) -> Vec<T> {
        self.forget_done();
        let Self { limits: Limits { places, places_per_client, .. }, queue, taken } = self;
        let mut admitted = Vec::new();
        while taken.len() < *places {
            let may = |client| {
                taken.len() < *places_per_client
                    || taken.iter().filter(|taken| taken.client == client).count()
                        < *places_per_client
            };
            let Some(Waiting { ticket, client, item }) = queue.pop(may) else { break };
            taken.push(Taken { ticket, client, work: Weak::new(), has_left: false });
            admitted.push(item);
        }
        admitted
    }

    /// Whether the place is there. What has waited too long is taken out.
    pub fn poll(&mut self, ticket: Ticket, now: Instant) -> Poll<Result<(), Refusal>> {
        if self.taken.iter().any(|taken| taken.ticket == ticket) {
            return Poll::Ready(Ok(()));
        }
        if !self.queue.contains(ticket) {
            return Poll::Ready(Err(Refusal::GaveWay));
        }
        if self.deadline(ticket).is_none_or(|at| now < at) {
            return Poll::Pending;
        }
        self.queue.remove(ticket);
        Poll::Ready(Err(Refusal::TooLong))
    }

    /// When an item has waited too long.
    pub fn deadline(&self, ticket: Ticket) -> Option<Instant> {
        self.queue.deadline(ticket)
    }

    /// Has a place stay taken as long as the result lives, also when its task has left before.
    pub fn hold(&mut self, ticket: Ticket) -> Arc<()> {
        let work = Arc::new(());
        if let Some(taken) = self.taken.iter_mut().find(|taken| taken.ticket == ticket) {
            taken.work = Arc::downgrade(&work);
        }
        work
    }

    /// Whether work holds places whose tasks have left: nothing tells of its end.
    pub fn is_held(&self) -> bool {
        self.taken.iter().any(|taken| taken.has_left)
    }

    /// Its task is done, or does not wait any longer. A place that work holds stays taken: who leaves and
    /// comes again has no more places at once than who stays.
    pub fn leave(&mut self, ticket: Ticket) {
        self.queue.remove(ticket);
        for taken in self.taken.iter_mut().filter(|taken| taken.ticket == ticket) {
            taken.has_left = true;
        }
        self.forget_done();
    }

    fn forget_done(&mut self) {
        self.taken.retain(|taken| !taken.has_left || taken.work.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        places: 3,
        places_per_client: 2,
        queue: QueueLimits {
            waiting: 64,
            waiting_per_client: 16,
            longest: Some(Duration::from_secs(60)),
            order: Order::Turns,
        },
    };

    fn client(n: u8) -> Client {
        Some([192, 0, 2, n].into())
    }

    /// Whether the place is there; `None`: it was lost.
    fn has(admission: &mut Admission<u32>, ticket: Ticket, now: Instant) -> Option<bool> {
        match admission.poll(ticket, now) {
            Poll::Ready(Ok(())) => Some(true),
            Poll::Pending => Some(false),
            Poll::Ready(Err(_)) => None,
        }
    }

    #[test]
    fn one_client_cannot_keep_others_out() {
        let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
        let mut tickets = Vec::new();
        let refusal = loop {
            match admission.enter(client(1), 0, now) {
                Ok((ticket, _)) => tickets.push(ticket),
                Err(refusal) => break refusal,
            }
            admission.admit();
        };
        assert_eq!((refusal, tickets.len()), (Refusal::FullOfClient, 2 + 16));
        let (other, _) = admission.enter(client(2), 1, now).unwrap();
        assert_eq!(admission.admit(), [1]);
        // All are taken: the next has to wait, and comes before the older ones of the busy client.
        let (third, _) = admission.enter(client(3), 2, now).unwrap();
        assert_eq!(admission.admit(), [0; 0]);
        admission.leave(other);
        assert_eq!(admission.admit(), [2]);
        admission.leave(tickets[0]);
        admission.leave(third);
        assert_eq!(admission.admit(), [0]);
        let states = [2, 3].map(|n| has(&mut admission, tickets[n], now));
        assert_eq!(states, [Some(true), Some(false)]);
    }

    #[test]
    fn a_few_clients_cannot_keep_others_out() {
        let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
        let mut tickets = Vec::new();
        for n in 0..16 {
            for busy in 1..=4 {
                tickets.push(admission.enter(client(busy), n, now).unwrap().0);
            }
        }
        let youngest = tickets[tickets.len() - 1];
        // As many as there are places.
        (0..3).for_each(|n| assert!(admission.enter(client(5), n, now).is_ok()));
        // Whoever has most and came last makes room.
        let (mine, gone) = admission.enter(client(9), 99, now).unwrap();
        assert_eq!((gone, has(&mut admission, youngest, now)), (Some(15), None));
        assert_eq!(admission.poll(youngest, now), Poll::Ready(Err(Refusal::GaveWay)));
        // Nothing waits longer than each of the others has a turn.
        admission.admit();
        let mut turns = 0;
        while has(&mut admission, mine, now) == Some(false) {
            admission.leave(admission.taken[0].ticket);
            admission.admit();
            turns += 1;
        }
        assert!(turns <= 5, "{turns}");
    }

    #[test]
    fn each_waits_so_long_at_most() {
        let queue = QueueLimits { waiting: 1, ..LIMITS.queue };
        let (mut admission, now) =
            (Admission::new(Limits { places: 1, queue, ..LIMITS }), Instant::now());
        let (first, _) = admission.enter(None, 0, now).unwrap();
        let (second, _) = admission.enter(None, 1, now).unwrap();
        assert_eq!(admission.enter(None, 2, now), Err(Refusal::Full));
        assert_eq!(admission.admit(), [0]);
        let late = admission.deadline(second).unwrap();
        assert_eq!(has(&mut admission, second, late - Duration::from_nanos(1)), Some(false));
        assert_eq!(admission.poll(second, late), Poll::Ready(Err(Refusal::TooLong)));
        assert_eq!(has(&mut admission, first, late), Some(true), "it does not wait");
        admission.leave(first);
        assert_eq!(admission.admit(), [0; 0]);
    }

    #[test]
    fn what_leaves_keeps_the_place_of_the_work_that_goes_on() {
        let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
        let tickets: Vec<_> =
            (0..4).map(|n| admission.enter(client(1), n, now).unwrap().0).collect();
        assert_eq!(admission.admit(), [0, 1]);
        let work = admission.hold(tickets[0]);
        admission.leave(tickets[0]);
        assert_eq!((admission.admit().len(), admission.is_held()), (0, true));
        admission.leave(tickets[2]);
        drop(work);
        assert_eq!(admission.admit(), [3]);
        tickets.iter().for_each(|ticket| admission.leave(*ticket));
        assert!(admission.taken.is_empty() && admission.queue.is_empty());
    }

    proptest! {
        /// Whatever happens, never more have a place than there are, no client more than it may, and nothing
        /// waits while it could have a place.
        #[test]
        fn places_are_neither_lost_nor_made(
            places in 1usize..4,
            waiting in 0usize..4,
            steps in proptest::collection::vec((0u8..5, 0u8..3, 0usize..8), 0..80),
        ) {
            let queue = QueueLimits { waiting, ..LIMITS.queue };
            let mut admission = Admission::new(Limits { places, queue, ..LIMITS });
            let (mut now, mut tickets, mut held) = (Instant::now(), Vec::new(), Vec::new());
            for (step, who, which) in steps {
                match step {
                    0 | 1 => match admission.enter(client(who), 0, now) {
                        Ok((ticket, _)) => tickets.push(ticket),
                        Err(_) => prop_assert!(admission.queue.len() >= waiting),
                    },
                    2 if which == 0 => held.clear(),
                    2 => now += Duration::from_secs(7),
                    3 if which < tickets.len() => held.push(admission.hold(tickets[which])),
                    4 if which < tickets.len() => admission.leave(tickets.remove(which)),
                    _ => {}
                }
                admission.admit();
                tickets.retain(|ticket| has(&mut admission, *ticket, now).is_some());
                prop_assert!(admission.taken.len() <= places);
                let of = |who| admission.taken.iter().filter(|taken| taken.client == who).count();
                prop_assert!((0..3).all(|n| of(client(n)) <= 2));
                let could = |n| of(client(n)) < 2 && admission.taken.len() < places;
                for ticket in &tickets {
                    let is_taken = admission.taken.iter().any(|taken| taken.ticket == *ticket);
                    prop_assert!(is_taken || !(0..3).all(could), "a place is free, and it waits");
                }
            }
            tickets.into_iter().for_each(|ticket| admission.leave(ticket));
            drop(held);
            admission.admit();
            prop_assert!(admission.taken.is_empty() && admission.queue.is_empty());
        }
    }
}
