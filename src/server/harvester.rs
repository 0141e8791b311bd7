//! Mark and sweep of connections whose time is up.

use super::connection::{ClientConnection, Timeout};
use super::table::ConnTable;
use crate::conf::Timeouts;
use crate::event::ConnId;
use crate::sys::backlog::Backlog;
use std::time::{Duration, Instant};

/// When the next sweep is due, and whom the last one marked.
#[derive(Debug)]
pub struct Harvester {
    every: Duration,
    next: Instant,
    /// While a client takes nothing of an answer.
    patience: Duration,
    doomed: Vec<(ConnId, Timeout)>,
}

impl Harvester {
    /// Sweeps at a quarter of the shortest time-out, but neither busily nor lazily.
    pub fn new(timeouts: &Timeouts, now: Instant) -> Self {
        let shortest = timeouts.header.min(timeouts.body).min(timeouts.idle).min(timeouts.write);
        let shortest = shortest.min(timeouts.handshake);
        let every = (shortest / 4).clamp(EVERY_MIN, EVERY_MAX);
        Self { every, next: now + every, patience: timeouts.write, doomed: Vec::new() }
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
    ) -> &[(ConnId, Timeout)] {
        self.doomed.clear();
        if now >= self.next {
            self.next = now + self.every;
            for connection in table.iter_mut() {
                if let Some(expiry) = connection.overdue(now, min_rate) {
                    self.doomed.push((connection.id(), expiry));
                }
            }
            self.spare(table, now, min_rate);
        }
        &self.doomed
    }

    /// Whom the last turn has marked.
    #[cfg(test)]
    pub fn marked(&self) -> &[(ConnId, Timeout)] {
        &self.doomed
    }

    /// Takes the marks off those that do take their answer, only too slowly for that to be seen from
    /// writing it; and off those whose turn to be asked about has not come.
    fn spare(&mut self, table: &mut ConnTable, now: Instant, min_rate: u64) {
        let (patience, mut backlog) = (self.patience, Backlog::default());
        let mut left = ASKED_MAX;
        self.doomed.retain(|(id, expiry)| {
            let Some(connection) = table.get(*id).filter(|_| *expiry == Timeout::Write) else {
                return true;
            };
            if left == 0 {
                return false;
            }
            left -= 1;
            match connection.transport().held(&mut backlog) {
                Some(held) => !connection.extend_deadline(held, now, min_rate, patience),
                // The kernel does not say: what can be seen from writing is no reason in itself.
                None => connection.deadline() <= now,
            }
        });
    }
}

/// Marks the connections that are owed nothing for the longest, at most `count`: room for new clients
/// when the table is full.
pub fn longest_idle(table: &mut ConnTable, count: usize) -> Vec<ConnId> {
    let mut idle: Vec<_> = table
        .iter_mut()
        .filter(|connection| connection.is_expendable())
        .map(|connection: &mut ClientConnection| (connection.deadline(), connection.id()))
        .collect();
    idle.sort_unstable();
    idle.into_iter().take(count).map(|(_, id)| id).collect()
}

/// Connections about which the kernel is asked in a sweep: four system calls each, some milliseconds in all.
const ASKED_MAX: usize = 1024;

const EVERY_MIN: Duration = Duration::from_millis(100);
const EVERY_MAX: Duration = Duration::from_secs(1);
