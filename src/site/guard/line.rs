//! Who may have a password checked now, and who waits.
//!
//! A check costs a core for a tenth of a second and more, so whoever guesses could keep everybody
//! else from getting in. A client has few checks at once and few that wait; they are called in the
//! order in which they came, those of clients that have too many already left out.

use crate::event::ConnId;
use crate::serve::Peer;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
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

/// A client by its address; whoever has one of IPv6 has 2^64 of them.
pub(super) fn source(peer: Peer) -> Source {
    let Peer::Ip(ip, _) = peer else { return None };
    Some(match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    })
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many of this client.
    OfClient,
    /// Too many of everybody.
    OfAll,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    last: u64,
    called: Vec<Called>,
    waiting: VecDeque<(u64, Source, ConnId)>,
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
    /// Gives a ticket to the request of a connection.
    pub(super) fn enter(&mut self, source: Source, id: ConnId) -> Result<u64, Full> {
        let own = self.waiting.iter().filter(|(_, other, _)| *other == source).count();
        if own >= WAITING_PER_CLIENT {
            return Err(Full::OfClient);
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(Full::OfAll);
        }
        self.last += 1;
        self.waiting.push_back((self.last, source, id));
        Ok(self.last)
    }

    /// Calls whoever can be called. Returns their connections, to be woken.
    pub(super) fn call(&mut self) -> Vec<ConnId> {
        self.called.retain(|called| !called.left || called.work.strong_count() > 0);
        let mut woken = Vec::new();
        while self.called.len() < CALLED_MAX {
            let is_next = |(_, source, _): &(u64, Source, ConnId)| {
                let own = self.called.iter().filter(|called| called.source == *source);
                own.count() < CALLED_PER_CLIENT
            };
            let Some(place) = self.waiting.iter().position(is_next) else { break };
            let Some((ticket, source, id)) = self.waiting.remove(place) else { break };
            self.called.push(Called { ticket, source, work: Weak::new(), left: false });
            woken.push(id);
        }
        woken
    }

    /// Whether it is this ticket's turn.
    pub(super) fn is_called(&self, ticket: u64) -> bool {
        self.called.iter().any(|called| called.ticket == ticket)
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
        self.waiting.retain(|(other, _, _)| *other != ticket);
        for called in self.called.iter_mut().filter(|called| called.ticket == ticket) {
            called.left = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn id(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    fn client(n: u8) -> Source {
        source(Peer::Ip([192, 0, 2, n].into(), 9))
    }

    #[test]
    fn one_client_cannot_keep_others_out() {
        let mut line = Line::default();
        let mut tickets = Vec::new();
        loop {
            match line.enter(client(1), id(0)) {
                Ok(ticket) => tickets.push(ticket),
                Err(full) => break assert_eq!(full, Full::OfClient),
            }
            line.call();
        }
        assert_eq!(tickets.len(), CALLED_PER_CLIENT + WAITING_PER_CLIENT);
        let other = line.enter(client(2), id(1)).unwrap();
        assert_eq!(line.call(), [id(1)]);
        assert!(line.is_called(other));
        // Full: the next has to wait, and comes before the older ones of the busy client.
        let third = line.enter(client(3), id(2)).unwrap();
        assert_eq!(line.call(), []);
        line.leave(other);
        assert_eq!(line.call(), [id(2)]);
        assert!(line.is_called(third));
        line.leave(tickets[0]);
        line.leave(third);
        assert_eq!(line.call(), [id(0)]);
        assert!(line.is_called(tickets[2]) && !line.is_called(tickets[3]));
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut line = Line::default();
        let mut given = 0;
        let full = 'full: loop {
            for n in 0..=255 {
                match line.enter(client(n), id(0)) {
                    Ok(_) => given += 1,
                    Err(full) => break 'full full,
                }
            }
        };
        assert_eq!((given, full), (WAITING_MAX, Full::OfAll));
    }

    #[test]
    fn who_leaves_keeps_the_place_of_the_work_that_goes_on() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..4).map(|n| line.enter(client(1), id(n)).unwrap()).collect();
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
        assert!(line.called.is_empty() && line.waiting.is_empty());
    }

    #[test]
    fn a_client_is_what_it_is_wherever_in_its_network() {
        let of = |ip: &str| source(Peer::Ip(ip.parse().unwrap(), 1));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), client(1));
        assert_ne!(of("::ffff:192.0.2.1"), client(2));
    }
}
