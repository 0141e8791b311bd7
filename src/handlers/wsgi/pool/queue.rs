//! Which requests wait, since when, and which one is next?

use super::super::job::{Job, Place};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Queue {
    /// In their order. Those that are over are left out when they come to the front, or are many; the
    /// first one is none of them.
    jobs: VecDeque<Rc<Job>>,
    /// How many are over.
    over: usize,
    /// Clients that made workers wait, until when they come last.
    late: VecDeque<(Option<IpAddr>, Instant)>,
}

/// Clients that are remembered, and for how long: their requests come after those of others.
const LATE_MAX: usize = 256;
const LATE_FOR: Duration = Duration::from_secs(60);

/// Requests that are over and not worth the work of leaving them out.
const OVER_MIN: usize = 64;

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.jobs.len() - self.over
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Since when the first one waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.jobs.front().map(|job| job.since)
    }

    /// Adds one that has just come.
    pub(super) fn push(&mut self, job: Rc<Job>) {
        self.jobs.push_back(job);
    }

    /// Puts one to the front that nobody has begun, unless nobody waits for it any more. It has waited
    /// since it came.
    pub(super) fn put_back(&mut self, job: Rc<Job>) {
        if !job.is_over() {
            job.set_place(Place::Queued);
            self.jobs.push_front(job);
        }
    }

    /// The one that is next.
    pub(super) fn pop(&mut self) -> Option<Rc<Job>> {
        let job = self.jobs.pop_front();
        self.trim();
        job
    }

    /// The one that a worker is given next: the first one of a client that makes no worker wait, if there is
    /// one.
    pub(super) fn pop_fairly(&mut self, now: Instant) -> Option<Rc<Job>> {
        self.late.retain(|(_, until)| *until > now);
        if self.late.is_empty() {
            return self.pop();
        }
        match self.jobs.iter().position(|job| !job.is_over() && !self.is_late(job.peer.network())) {
            Some(0) | None => self.pop(),
            Some(place) => self.jobs.remove(place),
        }
    }

    /// A client has made a worker wait that others wanted.
    pub(super) fn put_last(&mut self, client: Option<IpAddr>, now: Instant) {
        self.late.retain(|(other, _)| *other != client);
        if self.late.len() >= LATE_MAX {
            self.late.pop_front();
        }
        self.late.push_back((client, now + LATE_FOR));
    }

    /// Where no more may wait: takes out the last one of a client that makes workers wait, or that has most
    /// in the queue, for one of a client that does neither.
    pub(super) fn make_room(&mut self, client: Option<IpAddr>) -> Option<Rc<Job>> {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for job in self.jobs.iter().filter(|job| !job.is_over()) {
            *counts.entry(job.peer.network()).or_default() += 1;
        }
        let weight = |client, count| (self.is_late(client), count);
        let own = weight(client, counts.get(&client).copied().unwrap_or(0) + 1);
        let (most, weighs) = counts
            .into_iter()
            .map(|(other, count)| (other, weight(other, count)))
            .max_by_key(|(_, weight)| *weight)?;
        if weighs <= own {
            return None;
        }
        let is_one = |job: &Rc<Job>| !job.is_over() && job.peer.network() == most;
        let place = self.jobs.iter().rposition(is_one)?;
        let job = self.jobs.remove(place);
        self.trim();
        job
    }

    /// Whether a client has made a worker wait not long ago.
    pub(super) fn is_late(&self, client: Option<IpAddr>) -> bool {
        self.late.iter().any(|(other, _)| *other == client)
    }

    /// One of them is over, for nobody waits for it any more.
    pub(super) fn forget(&mut self) {
        self.over += 1;
        if self.over > OVER_MIN + self.len() {
            self.jobs.retain(|job| !job.is_over());
            self.over = 0;
        }
        self.trim();
    }

    /// Leaves out what is over at the front.
    fn trim(&mut self) {
        while self.jobs.front().is_some_and(|job| job.is_over()) {
            self.jobs.pop_front();
            self.over = self.over.saturating_sub(1);
        }
    }

    /// Takes out the first one if it has waited this long.
    pub(super) fn pop_expired(&mut self, now: Instant, longest: Duration) -> Option<Rc<Job>> {
        let is_late = self.since().is_some_and(|since| now >= since + longest);
        is_late.then(|| self.pop()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::{BodyKind, Call};
    use super::*;
    use crate::event::{ConnId, Cx, TaskId};
    use crate::handlers::files::testing::cx;
    use crate::serve::Peer;

    fn job(n: u32, client: u8, cx: &Cx) -> Rc<Job> {
        let call = Call::begin(Vec::new()).finish(b"", BodyKind::None, false).unwrap();
        let peer = Peer::Ip(IpAddr::from([127, 0, 0, client]), 1);
        let task = TaskId { conn: ConnId { index: n, generation: 0 }, stream: 0 };
        Rc::new(Job::new((task, peer), call, None, cx))
    }

    #[test]
    fn what_is_over_does_not_count_and_costs_little() {
        let (cx, mut queue) = (cx(), Queue::default());
        let jobs: Vec<_> = (0..1000).map(|n| job(n, 1, &cx)).collect();
        jobs.iter().for_each(|job| queue.push(job.clone()));
        for job in &jobs[1..999] {
            job.give_up();
            queue.forget();
            assert!(queue.jobs.len() <= 2 * queue.len() + OVER_MIN + 1);
        }
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.pop().unwrap().waker.task().conn.index, 0);
        assert_eq!(queue.pop().unwrap().waker.task().conn.index, 999);
        assert!(queue.pop().is_none() && queue.is_empty() && queue.jobs.is_empty());
    }

    #[test]
    fn who_makes_workers_wait_comes_last() {
        let (cx, mut queue) = (cx(), Queue::default());
        for (n, client) in [1, 1, 2, 1, 3].into_iter().enumerate() {
            queue.push(job(n as u32, client, &cx));
        }
        let client = |n| Some(IpAddr::from([127, 0, 0, n]));
        assert!(queue.make_room(client(1)).is_none(), "it has most itself");
        assert_eq!(queue.make_room(client(4)).unwrap().waker.task().conn.index, 3);
        assert!(queue.make_room(client(3)).is_none(), "it would have as many as the one with most");
        queue.put_last(client(1), cx.now());
        assert!(queue.make_room(client(1)).is_none());
        assert_eq!(queue.make_room(client(2)).unwrap().waker.task().conn.index, 1);
        queue.push(job(1, 1, &cx));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_fairly(cx.now()))
            .map(|job| job.waker.task().conn.index)
            .collect();
        assert_eq!(order, [2, 4, 0, 1]);
        for n in 0..600 {
            queue.put_last(Some(IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8])), cx.now());
        }
        assert!(queue.late.len() <= LATE_MAX);
        // It is forgotten after a while.
        queue.push(job(7, 1, &cx));
        queue.push(job(8, 2, &cx));
        queue.put_last(client(1), cx.now());
        assert_eq!(queue.pop_fairly(cx.now() + LATE_FOR).unwrap().waker.task().conn.index, 7);
    }
}
