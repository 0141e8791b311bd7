//! A bounded queue that is fair to clients: what waits, what is next, and what is refused.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What counts as one client: an address, or a network. `None` is a client as well: all Unix sockets, or
/// everything, where clients are not told apart.
pub type Client = Option<IpAddr>;

/// How much may wait, and in which order it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Entries in all.
    pub waiting: usize,
    /// Entries of one client; `usize::MAX`: no fewer than in all.
    pub waiting_per_client: usize,
    /// How long an entry waits; `None`: as long as it takes.
    pub longest: Option<Duration>,
    /// What is served first.
    pub order: Order,
}

/// What is served first, after which come clients that have made others wait (`put_last`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What waits longest.
    Arrival,
    /// Clients in turn, of each what waits longest.
    Turns,
}

/// Why something does not wait, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too much waits already.
    Full,
    /// Too much of the same client waits already.
    FullOfClient,
    /// It made room for something of a client that had less.
    GaveWay,
    /// It has waited too long.
    TooLong,
}

/// Names an entry. Tickets are ordered by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    number: u64,
    since: Instant,
}

impl Ticket {
    /// When its entry came.
    pub fn since(&self) -> Instant {
        self.since
    }
}

/// An entry of a queue.
#[derive(Debug)]
pub struct Waiting<T> {
    /// Its name.
    pub ticket: Ticket,
    /// Whose it is.
    pub client: Client,
    /// What waits.
    pub item: T,
}

/// What waits for its turn: bounded, each for so long at most.
#[derive(Debug)]
pub struct WaitQueue<T> {
    limits: QueueLimits,
    /// By arrival.
    waiting: VecDeque<Waiting<T>>,
    /// The clients that have something in it, whose turn is next first. Empty where order is by arrival.
    turns: VecDeque<Client>,
    /// Clients that made others wait, until when they come last.
    late: VecDeque<(Client, Instant)>,
    /// The number of the last ticket.
    last: u64,
}

/// How many late clients are remembered, and for how long.
const LATE_MAX: usize = 256;
const LATE_FOR: Duration = Duration::from_secs(60);

impl<T> WaitQueue<T> {
    /// An empty one.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            turns: VecDeque::new(),
            late: VecDeque::new(),
            last: 0,
        }
    }

    /// Entries that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Since when the oldest entry waits.
    pub fn since(&self) -> Option<Instant> {
        self.waiting.front().map(|oldest| oldest.ticket.since)
    }

    /// When an entry with this ticket has waited too long.
    pub fn deadline(&self, ticket: Ticket) -> Option<Instant> {
        ticket.since.checked_add(self.limits.longest?)
    }

    /// Whether the entry still waits.
    pub fn contains(&self, ticket: Ticket) -> bool {
        self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).is_ok()
    }

    /// Makes room for an entry of `client`, where `free` of those that wait could be served at once. Returns
    /// the entry that gives way, if one must: the last one of a client that has made others wait, or else of
    /// the client that has most, if the new one does not come to as much.
    ///
    /// # Errors
    /// The refusal, if there is no room.
    pub fn make_room(&mut self, client: Client, free: usize) -> Result<Option<T>, Refusal> {
        let of_client = self.limits.waiting_per_client;
        let is_own = |waiting: &&Waiting<T>| waiting.client == client;
        if self.len() >= of_client && self.waiting.iter().filter(is_own).count() >= of_client {
            return Err(Refusal::FullOfClient);
        }
        if self.len() < self.limits.waiting.saturating_add(free) {
            return Ok(None);
        }
        let mut counts: HashMap<Client, (usize, Ticket)> = HashMap::new();
        for Waiting { client, ticket, .. } in &self.waiting {
            let (count, last) = counts.entry(*client).or_insert((0, *ticket));
            (*count, *last) = (*count + 1, *ticket);
        }
        let own = counts.get(&client).map_or(0, |(count, _)| *count) + 1;
        let own = (self.is_late(client), own);
        let weights =
            counts.into_iter().map(|(other, (count, last))| (self.is_late(other), count, last));
        let most = weights.max().filter(|(is_late, count, _)| (*is_late, *count) > own);
        let (.., last) = most.ok_or(Refusal::Full)?;
        Ok(self.remove(last))
    }

    /// Adds an entry at the end, for which there is room.
    pub fn push(&mut self, client: Client, item: T, now: Instant) -> Ticket {
        self.last += 1;
        let ticket = Ticket { number: self.last, since: now };
        self.waiting.push_back(Waiting { ticket, client, item });
        if self.limits.order == Order::Turns && !self.turns.contains(&client) {
            self.turns.push_back(client);
        }
        ticket
    }

    /// Puts an entry back that was taken and not served, to where it was.
    pub fn put_back(&mut self, entry: Waiting<T>) {
        let place = self.waiting.partition_point(|waiting| waiting.ticket < entry.ticket);
        if self.limits.order == Order::Turns {
            self.turns.retain(|client| *client != entry.client);
            self.turns.push_front(entry.client);
        }
        self.waiting.insert(place, entry);
    }

    /// Takes the next entry of a client that may be served.
    pub fn pop(&mut self, may: impl Fn(Client) -> bool) -> Option<Waiting<T>> {
        let in_time = |client| may(client) && !self.is_late(client);
        let place = self.next(in_time).or_else(|| self.next(&may))?;
        let entry = self.waiting.remove(place)?;
        // Its next turn comes after those of all others.
        if let Some(turn) = self.turns.iter().position(|client| *client == entry.client) {
            self.turns.remove(turn);
            self.turns.push_back(entry.client);
            self.forget_turn(entry.client);
        }
        Some(entry)
    }

    fn next(&self, may: impl Fn(Client) -> bool) -> Option<usize> {
        match self.limits.order {
            Order::Arrival => self.waiting.iter().position(|waiting| may(waiting.client)),
            Order::Turns => {
                let next = self.turns.iter().find(|client| may(**client))?;
                self.waiting.iter().position(|waiting| waiting.client == *next)
            }
        }
    }

    /// Takes out an entry that is not to be served.
    pub fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let place = self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()?;
        let entry = self.waiting.remove(place)?;
        self.forget_turn(entry.client);
        Some(entry.item)
    }

    /// Takes out the oldest entry if it has waited too long.
    pub fn pop_expired(&mut self, now: Instant) -> Option<T> {
        let oldest = self.waiting.front()?.ticket;
        self.deadline(oldest).is_some_and(|at| at <= now).then(|| self.remove(oldest)).flatten()
    }

    /// Has a client come last for a while, for it has made others wait.
    pub fn put_last(&mut self, client: Client, now: Instant) {
        self.late.retain(|(other, _)| *other != client);
        if self.late.len() >= LATE_MAX {
            self.late.pop_front();
        }
        self.late.push_back((client, now + LATE_FOR));
    }

    /// Forgets clients that have made others wait, but not of late.
    pub fn forget_late(&mut self, now: Instant) {
        self.late.retain(|(_, until)| *until > now);
    }

    /// Whether a client has made others wait not long ago.
    pub fn is_late(&self, client: Client) -> bool {
        self.late.iter().any(|(other, _)| *other == client)
    }

    /// A client that has nothing more in the queue has no turn.
    fn forget_turn(&mut self, client: Client) {
        if self.waiting.iter().all(|waiting| waiting.client != client) {
            self.turns.retain(|other| *other != client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: QueueLimits = QueueLimits {
        waiting: 5,
        waiting_per_client: usize::MAX,
        longest: Some(Duration::from_secs(10)),
        order: Order::Arrival,
    };

    fn client(n: u8) -> Client {
        Some([192, 0, 2, n].into())
    }

    fn queue(order: Order, clients: &[u8], now: Instant) -> WaitQueue<usize> {
        let mut queue = WaitQueue::new(QueueLimits { order, ..LIMITS });
        for (n, one) in clients.iter().enumerate() {
            queue.push(client(*one), n, now);
        }
        queue
    }

    fn all(queue: &mut WaitQueue<usize>) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop(|_| true)).map(|entry| entry.item).collect()
    }

    #[test]
    fn the_order() {
        let now = Instant::now();
        for (name, order, clients, late, want) in [
            ("by arrival", Order::Arrival, &[1, 1, 2, 1, 3][..], None, [0, 1, 2, 3, 4]),
            ("in turns", Order::Turns, &[1, 1, 2, 1, 3], None, [0, 2, 4, 1, 3]),
            ("late ones last", Order::Arrival, &[1, 1, 2, 1, 3], Some(1), [2, 4, 0, 1, 3]),
            ("late ones last, in turns", Order::Turns, &[1, 2, 2, 1, 3], Some(2), [0, 4, 3, 1, 2]),
        ] {
            let mut queue = queue(order, clients, now);
            late.into_iter().for_each(|late| queue.put_last(client(late), now));
            assert_eq!(all(&mut queue), want, "{name}");
            assert!(queue.turns.is_empty(), "{name}");
        }
    }

    #[test]
    fn room_is_made_by_the_client_that_has_most() {
        let now = Instant::now();
        for (name, clients, late, new, want) in [
            ("there is room", &[1, 1, 1, 1][..], None, 1, Ok(None)),
            ("the last of whoever has most", &[1, 1, 2, 1, 3], None, 4, Ok(Some(3))),
            ("not for its own", &[1, 1, 2, 1, 3], None, 1, Err(Refusal::Full)),
            ("for one that has less then", &[1, 1, 2, 1, 3], None, 3, Ok(Some(3))),
            ("not for one that has as much then", &[1, 1, 2, 2, 3], None, 3, Err(Refusal::Full)),
            ("of two that came last", &[1, 1, 2, 2, 3], None, 4, Ok(Some(3))),
            ("late ones first", &[1, 1, 2, 1, 3], Some(3), 4, Ok(Some(4))),
            ("not for late ones", &[1, 1, 2, 1, 3], Some(4), 4, Err(Refusal::Full)),
        ] {
            let mut queue = queue(Order::Arrival, clients, now);
            late.into_iter().for_each(|late| queue.put_last(client(late), now));
            assert_eq!(queue.make_room(client(new), 0), want, "{name}");
        }
        let mut queue = queue(Order::Turns, &[1, 1, 1, 1, 1], now);
        queue.limits.waiting_per_client = 5;
        assert_eq!(queue.make_room(client(1), 9), Err(Refusal::FullOfClient));
        assert_eq!(queue.make_room(client(2), 1), Ok(None), "one can be served");
    }

    #[test]
    fn nothing_waits_longer_than_it_may() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut queue = WaitQueue::new(LIMITS);
        let tickets: Vec<_> = (0..3).map(|n| queue.push(client(1), n, at(n))).collect();
        assert_eq!((queue.since(), queue.deadline(tickets[1])), (Some(at(0)), Some(at(11))));
        assert_eq!(queue.pop_expired(at(9)), None);
        assert_eq!(queue.pop_expired(at(10)), Some(0));
        assert_eq!(queue.pop_expired(at(10)), None);
        // What was taken and comes back has waited since it came.
        let entry = queue.pop(|_| true).unwrap();
        queue.push(client(1), 3, at(10));
        queue.put_back(entry);
        assert!(queue.contains(tickets[1]) && queue.since() == Some(at(1)));
        assert_eq!((queue.pop_expired(at(12)), queue.pop_expired(at(12))), (Some(1), Some(2)));
        assert_eq!((queue.pop_expired(at(12)), queue.remove(tickets[2])), (None, None));
    }

    #[test]
    fn late_clients_are_forgotten() {
        let now = Instant::now();
        let mut queue = queue(Order::Arrival, &[1, 2], now);
        (0..600).for_each(|n: u16| {
            queue.put_last(Some([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]].into()), now);
        });
        assert!(queue.late.len() <= LATE_MAX);
        queue.put_last(client(1), now);
        queue.forget_late(now + LATE_FOR);
        assert_eq!(all(&mut queue), [0, 1]);
    }

    proptest! {
        /// Whatever happens, nothing is lost or made, the queue stays bounded and in order, and in turns no
        /// client is served twice while another one waits all along.
        #[test]
        fn nothing_is_lost_and_turns_are_kept(
            turns: bool,
            steps in proptest::collection::vec((0u8..6, 0u8..4, 0usize..8), 0..80),
        ) {
            let order = if turns { Order::Turns } else { Order::Arrival };
            let mut queue = WaitQueue::new(QueueLimits { order, ..LIMITS });
            let (now, mut there) = (Instant::now(), Vec::new());
            let mut served_since: HashMap<Client, Vec<Client>> = HashMap::new();
            for (step, who, which) in steps {
                match step {
                    0..=2 => match queue.make_room(client(who), 0) {
                        Ok(gone) => {
                            there.retain(|(number, _)| Some(*number) != gone);
                            let number = there.last().map_or(0, |(number, _)| *number) + 100;
                            there.push((number, queue.push(client(who), number, now)));
                            served_since.entry(client(who)).or_default();
                        }
                        Err(refusal) => prop_assert!(refusal == Refusal::Full && queue.len() >= 5),
                    },
                    3 | 4 => {
                        let Some(entry) = queue.pop(|_| true) else { continue };
                        prop_assert!(turns || entry.item == there[0].0);
                        if step == 3 || turns {
                            there.retain(|(number, _)| *number != entry.item);
                            let others = served_since.remove(&entry.client);
                            served_since.values_mut().for_each(|served| served.push(entry.client));
                            prop_assert!(others.is_some());
                            if queue.waiting.iter().any(|other| other.client == entry.client) {
                                served_since.insert(entry.client, Vec::new());
                            }
                        } else {
                            queue.put_back(entry);
                        }
                    }
                    _ => {
                        let Some((number, ticket)) = there.get(which).copied() else { continue };
                        there.remove(which);
                        prop_assert_eq!(queue.remove(ticket), Some(number));
                    }
                }
                served_since.retain(|one, _| queue.waiting.iter().any(|other| other.client == *one));
                if turns {
                    for served in served_since.values() {
                        let mut once = served.clone();
                        once.sort_unstable();
                        once.dedup();
                        prop_assert_eq!(once.len(), served.len(), "twice in a round");
                    }
                }
                let have: Vec<_> = queue.waiting.iter().map(|entry| entry.item).collect();
                prop_assert_eq!(have, there.iter().map(|(number, _)| *number).collect::<Vec<_>>());
                prop_assert!(queue.len() <= 5);
            }
        }
    }
}
