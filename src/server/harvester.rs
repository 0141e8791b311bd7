//! Mark and sweep of connections whose time is up.

use super::connection::{ClientConnection, Expiry};
use super::table::ConnTable;
use crate::conf::Timeouts;
use crate::event::ConnId;
use std::time::{Duration, Instant};

/// When the next sweep is due, and whom the last one marked.
#[derive(Debug)]
pub struct Harvester {
    every: Duration,
    next: Instant,
    doomed: Vec<(ConnId, Expiry)>,
}

impl Harvester {
    /// Sweeps at a quarter of the shortest time-out, but neither busily nor lazily.
    pub fn new(timeouts: &Timeouts, now: Instant) -> Self {
        let shortest = timeouts.header.min(timeouts.body).min(timeouts.idle).min(timeouts.write);
        let shortest = shortest.min(timeouts.handshake);
        let every = (shortest / 4).clamp(EVERY_MIN, EVERY_MAX);
        Self { every, next: now + every, doomed: Vec::new() }
    }

    /// When the next sweep is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Marks: those past their deadline, and those too slow. Empty when no sweep is due.
    pub fn mark(
        &mut self,
        table: &mut ConnTable,
        now: Instant,
        min_rate: u64,
    ) -> &[(ConnId, Expiry)] {
        self.doomed.clear();
        if now >= self.next {
            self.next = now + self.every;
            for connection in table.iter_mut() {
                if let Some(expiry) = connection.overdue(now, min_rate) {
                    self.doomed.push((connection.id(), expiry));
                }
            }
        }
        &self.doomed
    }
}

/// Marks the idle connections that have been so the longest, at most `count`: room for new clients
/// when the table is full.
pub fn longest_idle(table: &mut ConnTable, count: usize) -> Vec<ConnId> {
    let mut idle: Vec<_> = table
        .iter_mut()
        .filter(|connection| connection.is_idle() && !connection.may_have_input())
        .map(|connection: &mut ClientConnection| (connection.deadline(), connection.id()))
        .collect();
    idle.sort_unstable();
    idle.into_iter().take(count).map(|(_, id)| id).collect()
}

const EVERY_MIN: Duration = Duration::from_millis(100);
const EVERY_MAX: Duration = Duration::from_secs(1);
