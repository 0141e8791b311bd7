//! Which requests were sent to a worker and are not completely answered, and is what it says in order?

use super::super::wire::Frame;
use super::RequestId;
use super::slot::STALLED;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests in flight, in the order in which the worker begins them.
#[derive(Debug, Default)]
pub(super) struct Flights {
    list: VecDeque<Flight>,
    last_id: u32,
    /// The id that the worker has begun last, when that was last asked for.
    pub(super) begun: u32,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) id: u32,
    /// `None`: it was taken back while the worker was at another one, which skips it.
    pub(super) request: Option<RequestId>,
    /// Its answer is of no interest any more.
    pub(super) is_over: bool,
    /// The head of its answer has come.
    has_head: bool,
    /// The worker is told not to begin it, since then.
    revoked: Option<Instant>,
}

/// How many ids a worker is told of at once that it should not begin: each has a place of its own in the
/// page of memory that it shares with us.
pub(in super::super) const MARKS: u32 = 64;

/// From telling the worker not to begin requests to believing what it says of them. Far more than a write
/// needs to be seen by another processor.
const SETTLED: Duration = Duration::from_millis(5);

/// What is to be done about requests that were sent ahead.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// To be told to the worker.
    pub(super) marks: Vec<u32>,
    /// It has to be asked which request it has begun last.
    pub(super) asks: bool,
    /// When to come again.
    pub(super) again: Option<Instant>,
}

impl Flight {
    /// The request, if its answer is still of interest.
    pub(super) fn live(&self) -> Option<RequestId> {
        self.request.filter(|_| !self.is_over)
    }
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn front(&self) -> Option<&Flight> {
        self.list.front()
    }

    pub(super) fn front_live(&self) -> Option<RequestId> {
        self.front().and_then(Flight::live)
    }

    /// Those behind the one that the worker is at and that are still of interest.
    pub(super) fn others(&self) -> impl Iterator<Item = RequestId> {
        self.list.iter().skip(1).filter_map(Flight::live)
    }

    /// How many more may be sent so that each has a mark of its own.
    pub(super) fn free_marks(&self) -> usize {
        let used = self.front().map_or(0, |first| self.last_id.wrapping_sub(first.id) + 1);
        MARKS.saturating_sub(used) as usize
    }

    /// Adds a request. Returns its id.
    pub(super) fn push(&mut self, request: RequestId) -> u32 {
        // 0 is no id, so that an empty page names no request.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let id = self.last_id;
        let request = Some(request);
        self.list.push_back(Flight { id, request, is_over: false, has_head: false, revoked: None });
        id
    }

    /// The answer to a request is of no interest any more.
    pub(super) fn end(&mut self, id: u32) {
        if let Some(flight) = self.list.iter_mut().find(|flight| flight.id == id) {
            flight.is_over = true;
        }
    }

    /// Part of an answer, which is that to the first request in flight: one head, then its body; nothing at
    /// all for a request that was taken back but that it was skipped. With the last part, it is in flight no
    /// longer.
    ///
    /// # Errors
    /// It must not come now.
    pub(super) fn hear(&mut self, frame: Frame<'_>, id: u32, ends: bool) -> Result<Flight, String> {
        let Some(flight) = self.list.front_mut().filter(|flight| flight.id == id) else {
            return Err("an answer that nobody has asked for".to_owned());
        };
        let is_out_of_order = match frame {
            Frame::Error { .. } => false,
            _ if flight.request.is_none() => {
                return Err("an answer to what was taken back".to_owned());
            }
            Frame::Answer { .. } => std::mem::replace(&mut flight.has_head, true),
            // A piece that has nothing and ends nothing is no progress.
            Frame::Data { body: b"", end: false, .. } => true,
            _ => !flight.has_head,
        };
        if is_out_of_order {
            return Err("an answer out of order".to_owned());
        }
        let flight = *flight;
        if ends {
            self.list.pop_front();
        }
        Ok(flight)
    }

    /// A request is given back that was not begun: the one before takes long, or the worker has found that it
    /// should not begin it when it came to it.
    ///
    /// # Errors
    /// The worker does not have it, or has begun it.
    pub(super) fn take_back(&mut self, id: u32) -> Result<Flight, String> {
        let is_it = |flight: &Flight| {
            let is_marked = flight.revoked.is_some() || flight.live().is_none();
            flight.id == id && !flight.has_head && (self.begun != id || is_marked)
        };
        let place = self.list.iter().position(is_it);
        let flight = place.and_then(|place| self.list.remove(place));
        flight.ok_or_else(|| "a request given back that it does not have".to_owned())
    }

    /// Has the worker give back what was sent ahead and not begun, when it has been at one request since
    /// `since` and that is long: because it takes long, or because the worker has to wait until its answer is
    /// taken. Its own second thread gives requests back as well, but not while the socket is full or a call
    /// holds the interpreter.
    ///
    /// First they are marked on the shared page, where the worker looks after it has said what it begins.
    /// What it says it has begun is asked for a while later, so that of the two writes at least one is seen
    /// by the other side.
    pub(super) fn revoke(&mut self, since: Instant, now: Instant) -> Revoked {
        let mut revoked = Revoked::default();
        if now < since + STALLED {
            revoked.again = Some(since + STALLED);
            return revoked;
        }
        for flight in self.list.iter_mut().skip(1).filter(|flight| flight.request.is_some()) {
            match flight.revoked {
                None => {
                    flight.revoked = Some(now);
                    revoked.marks.push(flight.id);
                    revoked.again = Some(now + SETTLED);
                }
                Some(since) if now < since + SETTLED => revoked.again = Some(since + SETTLED),
                Some(_) => revoked.asks = true,
            }
        }
        revoked
    }

    /// What the worker has begun last is known: takes out, first come first, what it was told not to begin and
    /// has certainly not.
    pub(super) fn take_revoked(&mut self, now: Instant) -> Vec<Flight> {
        let is_settled = |since: Instant| now >= since + SETTLED;
        let begun = self.begun;
        let is_it = |flight: &&mut Flight| {
            flight.request.is_some()
                && flight.revoked.is_some_and(is_settled)
                && is_before(begun, flight.id)
        };
        let taken = self.list.iter_mut().skip(1).filter(is_it).map(|flight| {
            let before = *flight;
            flight.request = None;
            before
        });
        taken.collect()
    }

    /// After its end: each request that it had, and whether it had begun it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Flight, bool)> {
        let begun = self.begun;
        self.list.drain(..).map(move |flight| (flight, !is_before(begun, flight.id)))
    }
}

/// Whether a worker that has begun the request `begun` last has not begun `id`. Ids come round after
/// 2³²; those in flight are close together.
fn is_before(begun: u32, id: u32) -> bool {
    begun == 0 || begun.wrapping_sub(id) >= u32::MAX / 2
}
