//! Who comes in, and who is put out.

use super::guarded::guarded;
use super::{EventLoop, enqueue};
use crate::conf::Level;
use crate::event::{ConnId, Cx};
use crate::net::{Tls, Transport};
use crate::serve::{Abort, Peer};
use crate::server::acceptor::Incoming;
use crate::server::connection::{ClientConnection, Timeout};
use crate::server::harvester::longest_idle;
use crate::server::table::ConnTable;
use rustls::ServerConfig;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Idle connections closed at once when the table is full.
const EVICT: usize = 64;

impl EventLoop {
    pub(super) fn accept(&mut self) {
        let now = self.cx.now();
        let Some(wakes_at) = self.acceptor.wakes_at(now) else { return };
        if wakes_at > now {
            return;
        }
        let mut room = self.connections_max.saturating_sub(self.table.len());
        if room == 0 {
            if !self.acceptor.somebody_waits() {
                return;
            }
            self.crowd.full += 1;
            self.crowd.report(self.connections_max, &mut self.cx);
            let count = EVICT.min(self.connections_max / 16).max(1);
            for id in longest_idle(&mut self.table, count) {
                self.cut_off(id, Abort::Shutdown, "making room");
            }
            room = self.connections_max.saturating_sub(self.table.len());
        }
        if room == 0 {
            self.acceptor.pause(now);
            return;
        }
        let tls = self.tls.as_ref().map(|(_, secured)| secured.config.clone());
        let due = (now + self.site.timeouts.header, now + self.site.timeouts.handshake);
        let (table, cx, per_client) = (&mut self.table, &mut self.cx, &mut self.per_client);
        let allowed = self.site.limits.per_client;
        let crowd = &mut self.crowd;
        let complaint = self.acceptor.accept(now, room, |incoming| {
            let Some(counted) = counted(&incoming, allowed, per_client) else {
                crowd.per_client += 1;
                return;
            };
            welcome(incoming, tls.as_ref(), due, counted, table, cx);
        });
        self.crowd.report(self.connections_max, &mut self.cx);
        if let Some(error) = complaint {
            self.cx.report(Level::Error, format!("cannot accept: {error}; trying again"));
        }
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        let Some(connection) = self.table.remove(id) else { return };
        forget_count(&connection, &mut self.per_client);
        if let Err(panicked) = guarded(|| drop(connection)) {
            self.cx.report(Level::Error, format!("a panic at an end: {}", panicked.text));
        }
        self.acceptor.resume();
    }

    pub(super) fn harvest(&mut self) {
        let now = self.cx.now();
        let doomed = self.harvester.mark(&mut self.table, now, self.site.limits.min_rate).to_vec();
        for (id, expiry) in doomed {
            let reason = match expiry {
                Timeout::Handshake => "time-out: handshake",
                Timeout::Header => "time-out: header",
                Timeout::Body | Timeout::Discard => "time-out: body",
                Timeout::Write => "time-out: write",
                Timeout::Idle | Timeout::Linger | Timeout::None => "time-out",
            };
            self.cut_off(id, Abort::Timeout, reason);
        }
        self.services.retire(&mut self.cx);
    }

    /// Ends a connection from outside.
    pub(super) fn cut_off(&mut self, id: ConnId, why: Abort, reason: &str) {
        let ended = self.call(id, 1, |connection, cx| {
            cx.stopping = true;
            connection.cut_off(why, reason, cx);
        });
        if let Some(Err(panicked)) = ended {
            let text = format!("a panic while a request was cut off: {}", panicked.text);
            self.cx.report(Level::Error, text);
        }
        self.remove(id);
    }
}

fn peer(incoming: &Incoming) -> Peer {
    incoming.arrival.peer.map_or(Peer::Local, |at| Peer::Ip(at.ip(), at.port()))
}

/// Whether a client is counted among those of its address; `None`: there are enough of them.
fn counted(
    incoming: &Incoming,
    allowed: Option<usize>,
    per_client: &mut HashMap<IpAddr, usize>,
) -> Option<bool> {
    let (Some(allowed), Peer::Ip(ip, _)) = (allowed, peer(incoming)) else { return Some(false) };
    let count = per_client.entry(ip).or_default();
    if *count >= allowed {
        return None;
    }
    *count += 1;
    Some(true)
}

/// Takes a client in. It is driven before the poll hears of it: a connection that ends with its
/// first answer never needs the registration, which the others keep for life.
fn welcome(
    incoming: Incoming,
    tls: Option<&Arc<ServerConfig>>,
    (head_due, handshake_due): (Instant, Instant),
    counted: bool,
    table: &mut ConnTable,
    cx: &mut Cx,
) {
    let peer = peer(&incoming);
    let plain = incoming.arrival.transport;
    let (transport, due) = match (incoming.secure, tls) {
        (false, _) => (plain, head_due),
        // Never in the clear where TLS was promised.
        (true, None) => return,
        (true, Some(config)) => match Tls::new(plain, config.clone()) {
            Ok(tls) => (Transport::Tls(Box::new(tls)), handshake_due),
            Err(error) => {
                cx.report(Level::Error, format!("TLS cannot be spoken: {error}"));
                return;
            }
        },
    };
    let connection =
        table.insert(|id| ClientConnection::new(id, transport, peer, incoming.port, counted, due));
    enqueue(connection, cx);
}

fn forget_count(connection: &ClientConnection, per_client: &mut HashMap<IpAddr, usize>) {
    let Peer::Ip(ip, _) = connection.peer() else { return };
    if let Some(count) = per_client.get_mut(&ip).filter(|_| connection.is_counted()) {
        *count -= 1;
        if *count == 0 {
            per_client.remove(&ip);
        }
    }
}
