//! Which answers are cut because workers wait for their clients?
//!
//! A worker has to wait for a client only when what is left of its answer fits neither in memory nor on the
//! disk. As long as nobody else wants the worker, that may last. When somebody does, answers are cut: those
//! of a client beyond its share of the workers first, then those that are taken slowly, and at last all
//! that have made their worker wait for as long as a request may take.

use super::requests::Request;
use super::slot::{Stage, WorkerId};
use super::{Client, Command, Pool, RequestId, in_slots};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long others wait before an answer is cut for them, and how long a client may make a worker wait that
/// it has beyond its share.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a client may make a worker wait and take less than `FIRM_RATE`, in bytes a second. What it takes
/// shows in pieces of up to 128 KiB.
const FIRM_PATIENCE: Duration = Duration::from_secs(2);
const FIRM_RATE: u64 = 32 * 1024;

/// A worker that waits for the client of a request, and for how long it has.
#[derive(Clone, Copy, Debug)]
struct Held {
    worker: WorkerId,
    request: RequestId,
    client: Client,
    time: Duration,
    /// The client has more than its share of the workers.
    is_beyond: bool,
}

impl Pool {
    /// `PATIENCE`, or less where requests are not in the queue for so long.
    pub(super) fn patience(&self) -> Duration {
        PATIENCE.min(self.app.queue_timeout / 2)
    }

    /// Cuts answers that hold workers that others wait for: as many as there are requests in the queue, and
    /// each that has others behind it.
    pub(super) fn free_held(&mut self) {
        let (now, patience) = (self.now, self.patience());
        let is_long = |since: Instant| now >= since + patience;
        let mut wanted = match self.requests.queue.since() {
            Some(since) if is_long(since) => self.requests.queue.len(),
            _ => 0,
        };
        for held in self.held_too_long() {
            let stage = self.slot(held.worker).map(|slot| slot.stage);
            let is_wanted = wanted > 0 && stage == Some(Stage::Ready);
            if !is_wanted && !self.others_since(held.worker).is_some_and(is_long) {
                continue;
            }
            wanted = wanted.saturating_sub(1);
            let Held { worker, request, client, time, .. } = held;
            self.end_in_flight(request);
            self.requests.queue.put_last(client, now);
            self.commands.push_back(Command::Cut { request, worker, held: time });
            // Its worker may go on.
            self.commands.push_back(Command::Schedule);
        }
    }

    /// Workers that have waited too long for their clients; first those that have waited longest for a client
    /// that has more than its share.
    fn held_too_long(&mut self) -> Vec<Held> {
        let mut waiting = self.held();
        waiting.sort_by_key(|held| held.time);
        let share = (self.target / 2).max(1);
        let mut of_client: HashMap<Client, usize> = HashMap::new();
        for held in &mut waiting {
            let count = of_client.entry(held.client).or_default();
            *count += 1;
            // Once is enough to count as such.
            held.is_beyond = *count > share || self.requests.queue.is_late(held.client);
        }
        waiting.retain(|held| held.time >= self.may_hold(held));
        waiting.reverse();
        waiting.sort_by_key(|held| !held.is_beyond);
        waiting
    }

    /// Since when requests wait for what comes after the one that a worker is at.
    fn others_since(&self, worker: WorkerId) -> Option<Instant> {
        let others = self.slot(worker)?.flights.others();
        others.filter_map(|other| self.requests.get(other)).map(Request::since).min()
    }

    /// Workers that wait for their clients.
    fn held(&mut self) -> Vec<Held> {
        let (now, requests) = (self.now, &self.requests);
        let at_work = in_slots(&mut self.workers).filter(|(_, slot)| slot.is_at_work());
        let held = at_work.filter_map(|(worker, slot)| {
            let request = slot.flights.front_live()?;
            let (client, time) = (requests.get(request)?.client, slot.held_for(now));
            let held = Held { worker, request, client, time, is_beyond: false };
            (time > Duration::ZERO).then_some(held)
        });
        held.collect()
    }

    /// How long a client may make this worker wait.
    fn may_hold(&mut self, held: &Held) -> Duration {
        let (now, period) = (self.now, FIRM_PATIENCE.min(self.app.queue_timeout / 2));
        let slot = self.slot_mut(held.worker);
        let is_slow = slot.is_some_and(|slot| slot.has_slow_reader(now, period, FIRM_RATE));
        match (held.is_beyond, is_slow) {
            (true, _) => self.patience(),
            (false, true) => Duration::ZERO,
            (false, false) => self.app.timeout,
        }
    }
}
