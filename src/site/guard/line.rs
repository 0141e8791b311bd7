//! Who may have a password checked now, and who waits.
//!
//! A check costs a core for a tenth of a second and more, so whoever guesses could keep everybody
//! else from getting in. A client has few checks at once and few that wait. Clients are called in
//! turn, those that have too many already left out, and where no more can wait, whoever has most
//! gives way: guessing at many passwords only keeps oneself waiting.

use crate::event::ConnId;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Weak;

/// Checks at once. One helper is left for work of other kinds.
const CALLED_MAX: usize = 3;
/// Those of one client.
const CALLED_PER_CLIENT: usize = 2;
/// Checks that wait.
const WAITING_MAX: usize = 64;
/// Those of one client.
const WAITING_PER_CLIENT: usize = 16;

/// What counts as one client. `None`: all clients of Unix sockets.
pub(super) type Source = Option<IpAddr>;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many of this client.
    OfClient,
    /// Too many of everybody.
    OfAll,
}

/// What has become of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits.
    Later,
    /// It may be checked now.
    Now,
    /// It had to make room for that of another client.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    last: u64,
    called: Vec<Called>,
    /// The next to be called first; each has somebody who waits.
    clients: VecDeque<Client>,
}

#[derive(Debug)]
struct Client {
    source: Source,
    /// The oldest first.
    waiting: VecDeque<(u64, ConnId)>,
}

#[derive(Debug)]
struct Called {
    ticket: u64,
    source: Source,
    /// Held by the helper while it is at work.
    work: Weak<()>,
    /// Its request is gone; the helper may still be at work.
    left: bool,
}

impl Line {
    /// Gives a ticket to the request of a connection. Returns the connection that lost its place to
    /// it, if one did.
    pub(super) fn enter(
        &mut self,
        source: Source,
        id: ConnId,
    ) -> Result<(u64, Option<ConnId>), Full> {
        let own = self.clients.iter().find(|client| client.source == source);
        let own = own.map_or(0, |client| client.waiting.len());
        if own >= WAITING_PER_CLIENT {
            return Err(Full::OfClient);
        }
        let all: usize = self.clients.iter().map(|client| client.waiting.len()).sum();
        let lost = match all < WAITING_MAX {
            true => None,
            false => Some(self.give_way(own).ok_or(Full::OfAll)?),
        };
        self.last += 1;
        match self.clients.iter_mut().find(|client| client.source == source) {
            Some(client) => client.waiting.push_back((self.last, id)),
            None => {
                let waiting = VecDeque::from([(self.last, id)]);
                self.clients.push_back(Client { source, waiting });
            }
        }
        Ok((self.last, lost))
    }

    /// Whoever came last, of the client that has most and more than `own`, loses its place.
    fn give_way(&mut self, own: usize) -> Option<ConnId> {
        let most = |client: &&mut Client| {
            (client.waiting.len(), client.waiting.back().map(|(ticket, _)| *ticket))
        };
        let client = self.clients.iter_mut().max_by_key(most)?;
        if client.waiting.len() <= own {
            return None;
        }
        let (_, id) = client.waiting.pop_back()?;
        self.clients.retain(|client| !client.waiting.is_empty());
        Some(id)
    }

    /// Calls whoever can be called. Returns their connections, to be woken.
    pub(super) fn call(&mut self) -> Vec<ConnId> {
        self.called.retain(|called| !called.left || called.work.strong_count() > 0);
        let mut woken = Vec::new();
        while self.called.len() < CALLED_MAX {
            let is_next = |client: &Client| {
                let own = self.called.iter().filter(|called| called.source == client.source);
                own.count() < CALLED_PER_CLIENT
            };
            let Some(place) = self.clients.iter().position(is_next) else { break };
            let Some(mut client) = self.clients.remove(place) else { break };
            if let Some((ticket, id)) = client.waiting.pop_front() {
                let source = client.source;
                self.called.push(Called { ticket, source, work: Weak::new(), left: false });
                woken.push(id);
            }
            // Its next turn comes after that of all others.
            if !client.waiting.is_empty() {
                self.clients.push_back(client);
            }
        }
        woken
    }

    /// Whether it is this ticket's turn.
    pub(super) fn turn(&self, ticket: u64) -> Turn {
        let mut waiting = self.clients.iter().flat_map(|client| &client.waiting);
        if self.called.iter().any(|called| called.ticket == ticket) {
            Turn::Now
        } else if waiting.any(|(other, _)| *other == ticket) {
            Turn::Later
        } else {
            Turn::Lost
        }
    }

    /// A helper has its check, as long as it holds `work`.
    pub(super) fn started(&mut self, ticket: u64, work: Weak<()>) {
        if let Some(called) = self.called.iter_mut().find(|called| called.ticket == ticket) {
            called.work = work;
        }
    }

    /// Its request has its answer, or is gone. A check that is being made keeps its place: who
    /// leaves and comes again has no more of them at once than who stays.
    pub(super) fn leave(&mut self, ticket: u64) {
        for client in &mut self.clients {
            client.waiting.retain(|(other, _)| *other != ticket);
        }
        self.clients.retain(|client| !client.waiting.is_empty());
        for called in self.called.iter_mut().filter(|called| called.ticket == ticket) {
            called.left = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Peer;
    use std::sync::Arc;

    fn id(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    fn client(n: u8) -> Source {
        Peer::Ip([192, 0, 2, n].into(), 9).network()
    }

    #[test]
    fn one_client_cannot_keep_others_out() {
        let mut line = Line::default();
        let mut tickets = Vec::new();
        loop {
            match line.enter(client(1), id(0)) {
                Ok((ticket, _)) => tickets.push(ticket),
                Err(full) => break assert_eq!(full, Full::OfClient),
            }
            line.call();
        }
        assert_eq!(tickets.len(), CALLED_PER_CLIENT + WAITING_PER_CLIENT);
        let (other, _) = line.enter(client(2), id(1)).unwrap();
        assert_eq!(line.call(), [id(1)]);
        assert_eq!(line.turn(other), Turn::Now);
        // Full: the next has to wait, and comes before the older ones of the busy client.
        let (third, _) = line.enter(client(3), id(2)).unwrap();
        assert_eq!(line.call(), []);
        line.leave(other);
        assert_eq!(line.call(), [id(2)]);
        assert_eq!(line.turn(third), Turn::Now);
        line.leave(tickets[0]);
        line.leave(third);
        assert_eq!(line.call(), [id(0)]);
        assert_eq!((line.turn(tickets[2]), line.turn(tickets[3])), (Turn::Now, Turn::Later));
    }

    #[test]
    fn a_few_clients_cannot_keep_others_out() {
        let mut line = Line::default();
        let mut tickets = Vec::new();
        for n in 0..WAITING_PER_CLIENT {
            for busy in 1..=4 {
                tickets.push((busy, line.enter(client(busy), id(n as u32)).unwrap().0));
            }
        }
        let youngest = tickets[tickets.len() - 1].1;
        // Whoever has most and came last makes room.
        let (mine, lost) = line.enter(client(9), id(99)).unwrap();
        assert_eq!((lost, line.turn(youngest)), (Some(id(15)), Turn::Lost));
        assert_eq!(line.turn(mine), Turn::Later);
        // Nobody waits longer than each of the others has a turn.
        let mut turns = 0;
        while line.turn(mine) == Turn::Later {
            line.call();
            let now = tickets.iter().find(|(_, ticket)| line.turn(*ticket) == Turn::Now);
            let ticket = now.unwrap().1;
            line.leave(ticket);
            turns += 1;
        }
        assert!(turns <= 4, "{turns}");
    }

    #[test]
    fn clients_are_called_in_turn() {
        let mut line = Line::default();
        for (n, busy) in [1, 1, 1, 2, 2, 3].into_iter().enumerate() {
            line.enter(client(busy), id(n as u32)).unwrap();
        }
        assert_eq!(line.call(), [id(0), id(3), id(5)]);
    }

    #[test]
    fn who_has_as_many_as_the_others_makes_nobody_give_way() {
        let mut line = Line::default();
        for n in 0..WAITING_MAX {
            line.enter(client(n as u8), id(n as u32)).unwrap();
        }
        assert_eq!(line.enter(client(0), id(0)), Err(Full::OfAll));
        // Somebody new takes the place of the last who came, and so on.
        for n in 0..2 {
            let (_, lost) = line.enter(client(100 + n), id(200 + u32::from(n))).unwrap();
            assert_eq!(lost, Some(id([63, 200][usize::from(n)])));
        }
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut line = Line::default();
        let mut given = 0;
        for n in 0..=255 {
            if let Ok((_, None)) = line.enter(client(n), id(0)) {
                given += 1;
            }
            let waiting: usize = line.clients.iter().map(|client| client.waiting.len()).sum();
            assert_eq!(waiting, given);
        }
        assert_eq!(given, WAITING_MAX);
    }

    #[test]
    fn who_leaves_keeps_the_place_of_the_work_that_goes_on() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..4).map(|n| line.enter(client(1), id(n)).unwrap().0).collect();
        assert_eq!(line.call(), [id(0), id(1)]);
        let work = Arc::new(());
        line.started(tickets[0], Arc::downgrade(&work));
        line.leave(tickets[0]);
        assert_eq!(line.call(), []);
        line.leave(tickets[2]);
        drop(work);
        assert_eq!(line.call(), [id(3)]);
        tickets.iter().for_each(|ticket| line.leave(*ticket));
        line.call();
        assert!(line.called.is_empty() && line.clients.is_empty());
    }

    #[test]
    fn a_client_is_what_it_is_wherever_in_its_network() {
        let of = |ip: &str| Peer::Ip(ip.parse().unwrap(), 1).network();
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:ff::1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:100::1"));
        assert_eq!(of("::ffff:192.0.2.1"), client(1));
        assert_ne!(of("::ffff:192.0.2.1"), client(2));
    }
}
