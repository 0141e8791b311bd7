//! The requests that a pool knows, and those of them that wait.

use super::WorkerId;
use crate::event::admission::{Order, QueueLimits, Ticket, WaitQueue, Waiting};
use std::time::{Duration, Instant};

pub(in super::super) use crate::event::admission::Client;

/// A request: the number that `service` has given it, until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct RequestId(pub(in super::super) usize);

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) client: Client,
    /// Its place in the queue, also while it is in none.
    ticket: Ticket,
    pub(super) place: Place,
    /// Workers that have ended while they had it, before they had begun it.
    pub(super) lost: u8,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Queued,
    /// Sent to a worker under this id.
    Sent(WorkerId, u32),
}

#[derive(Debug)]
pub(super) struct Requests {
    /// All of them, by number.
    known: Vec<Option<Request>>,
    pub(super) queue: WaitQueue<RequestId>,
}

impl Request {
    /// When it came.
    pub(super) fn since(&self) -> Instant {
        self.ticket.since()
    }
}

impl Requests {
    /// Room for so many that wait, for so long.
    pub(super) fn new(waiting: usize, longest: Duration) -> Self {
        let longest = Some(longest);
        let order = Order::Arrival;
        let limits = QueueLimits { waiting, waiting_per_client: usize::MAX, longest, order };
        Self { known: Vec::new(), queue: WaitQueue::new(limits) }
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&Request> {
        self.known.get(request.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, request: RequestId) -> Option<&mut Request> {
        self.known.get_mut(request.0)?.as_mut()
    }

    /// Adds one that has just come, and waits.
    pub(super) fn push(&mut self, request: RequestId, client: Client, now: Instant) {
        let ticket = self.queue.push(client, request, now);
        if self.known.len() <= request.0 {
            self.known.resize(request.0 + 1, None);
        }
        if let Some(free) = self.known.get_mut(request.0) {
            debug_assert!(free.is_none(), "{request:?} is known already");
            *free = Some(Request { client, ticket, place: Place::Queued, lost: 0 });
        }
    }

    /// Puts one back that no worker has begun. It has waited since it came.
    pub(super) fn put_back(&mut self, request: RequestId) {
        if let Some(known) = self.known.get_mut(request.0).and_then(Option::as_mut) {
            known.place = Place::Queued;
            let Request { client, ticket, .. } = *known;
            self.queue.put_back(Waiting { ticket, client, item: request });
        }
    }

    /// Forgets one, whether it waits or not.
    pub(super) fn remove(&mut self, request: RequestId) {
        let known = self.known.get_mut(request.0).and_then(Option::take);
        if let Some(waiting) = known.filter(|known| known.place == Place::Queued) {
            self.queue.remove(waiting.ticket);
        }
    }
}
