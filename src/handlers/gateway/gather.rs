//! Gathering the body of a request before anything is bothered with it, so that a slow client occupies a buffer
//! and not a program.

use super::spool::{Spool, Spooled};
use crate::event::{Cx, Until};
use crate::http::{HttpError, Status};
use crate::serve::ExchangeIo;
use crate::sys::spool_budget::Reservation;
use std::time::{Duration, Instant};

/// What a body is gathered in.
pub trait Sink {
    /// Whether a body of `len` bytes stays in memory, so that it takes no room on the disk.
    fn fits_in_memory(&self, len: u64) -> bool;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// They cannot be kept, or are not understood.
    fn take(&mut self, piece: &[u8]) -> Result<(), HttpError>;
}

/// A body on its way into `S`.
#[derive(Debug)]
pub struct Gather<S = Spool> {
    sink: S,
    /// Bytes gathered.
    len: u64,
    reserved: Option<Reservation>,
    /// Until when it waits for room on the disk, if it does.
    patience: Option<Instant>,
}

/// How long a body waits for room on the disk, and how often it looks. Those that are half there, whose
/// length was not known, could hold one another up: they give up sooner, one after the other.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_HOLDING: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl<S: Sink> Gather<S> {
    /// Nothing has come yet.
    pub fn new(sink: S) -> Self {
        Self { sink, len: 0, reserved: None, patience: None }
    }

    /// Takes what has arrived of a request body. `None` when that is all of it; otherwise the exchange
    /// waits for more of it, or for room to keep it.
    ///
    /// # Errors
    /// The body is broken or too long; 507 when the disk is full, or the body longer than all that may
    /// wait there; 503 when there was no room for long.
    pub fn advance(
        &mut self,
        io: &mut ExchangeIo<'_>,
        cx: &Cx,
    ) -> Result<Option<Until>, HttpError> {
        loop {
            let left = io.body.left().unwrap_or(0);
            let piece = io.body.peek()?;
            let n = piece.len();
            if n == 0 {
                return Ok((!io.body.is_finished()).then(|| io.body.until_more()));
            }
            // All of it at once, where its length is known: none waits with half of the room.
            let len = self.len + (n as u64).max(left);
            if !self.sink.fits_in_memory(len)
                && let Some(again) = self.make_room(len, cx)?
            {
                return Ok(Some(io.until(again)));
            }
            self.sink.take(piece)?;
            self.len += n as u64;
            io.body.consume(n);
        }
    }

    /// Makes room on the disk for a body of `len` bytes. Otherwise when to ask again: nothing more is to be
    /// received until then.
    fn make_room(&mut self, len: u64, cx: &Cx) -> Result<Option<Instant>, HttpError> {
        if len > cx.spool.limit() {
            let reason = "the body is longer than `limits.spool_total`";
            return Err(HttpError::fatal(Status::INSUFFICIENT_STORAGE, reason));
        }
        let reserved = self.reserved.get_or_insert_with(|| cx.spool.reserve());
        let patience = if reserved.bytes() > 0 { PATIENCE_HOLDING } else { PATIENCE };
        if reserved.grow(len.saturating_sub(reserved.bytes())) {
            self.patience = None;
            return Ok(None);
        }
        let until = *self.patience.get_or_insert(cx.now() + patience);
        if cx.now() >= until {
            let reason = "no room within `limits.spool_total` in time";
            return Err(HttpError::fatal(Status::SERVICE_UNAVAILABLE, reason)
                .with_header("Retry-After", "10"));
        }
        Ok(Some(until.min(cx.now() + LOOK_AGAIN)))
    }

    /// All of it is there: what it is in, and what that occupies on the disk.
    pub fn finish(self) -> (S, Option<Reservation>) {
        (self.sink, self.reserved)
    }
}

impl Gather {
    /// Of bytes as they are, of which up to `above` stay in memory.
    pub fn spool(above: u64) -> Self {
        Self::new(Spool::new(above))
    }

    /// All of it is there.
    ///
    /// # Errors
    /// The file cannot be rewound; it has no reason to.
    pub fn spooled(self) -> Result<Spooled, HttpError> {
        let (spool, reserved) = self.finish();
        spool.finish(reserved)
    }
}
