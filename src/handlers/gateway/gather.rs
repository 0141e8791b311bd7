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

#[cfg(test)]
mod tests {
    use super::super::testing::Transaction;
    use super::*;

    /// Whether all is there; where there is no room, until when it waits at most, in seconds.
    fn advance(gather: &mut Gather, transaction: &mut Transaction) -> Result<bool, String> {
        let done = transaction.with(|io, cx| gather.advance(io, cx));
        done.map(|until| until.is_none()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_body_that_has_a_length_takes_its_room_at_once_and_waits_for_it() {
        let mut transaction = Transaction::new("POST", &[("Content-Length", "10")]);
        let cx = &transaction.cx;
        cx.spool.set_limit(20);
        let others = cx.spool.reserve();
        assert!(others.grow(11));
        let mut gather = Gather::spool(9);
        transaction.arrive(b"12");
        for _ in 0..3 {
            assert_eq!(advance(&mut gather, &mut transaction), Ok(false));
            transaction.pass(5);
        }
        assert_eq!(gather.len, 0, "it is not received before there is room");
        drop(others);
        assert_eq!(advance(&mut gather, &mut transaction), Ok(false));
        assert_eq!((gather.len, transaction.cx.spool.used()), (2, 10));
        transaction.arrive(b"34567890");
        assert_eq!(advance(&mut gather, &mut transaction), Ok(true));
        let Spooled::File { len, reserved, .. } = gather.spooled().unwrap() else { panic!() };
        assert_eq!((len, transaction.cx.spool.used()), (10, 10));
        drop(reserved);
        assert_eq!(transaction.cx.spool.used(), 0);
    }

    #[test]
    fn what_finds_no_room_is_refused() {
        for (name, length, limit, waits, want) in [
            (
                "never",
                "10",
                9,
                0,
                "507 Insufficient Storage: the body is longer than `limits.spool_total`",
            ),
            (
                "in time",
                "10",
                20,
                30,
                "503 Service Unavailable: no room within `limits.spool_total` in time",
            ),
        ] {
            let mut transaction = Transaction::new("POST", &[("Content-Length", length)]);
            transaction.cx.spool.set_limit(limit);
            let others = transaction.cx.spool.reserve();
            assert!(others.grow(limit));
            let mut gather = Gather::spool(0);
            transaction.arrive(b"12");
            if waits > 0 {
                assert_eq!(advance(&mut gather, &mut transaction), Ok(false), "{name}");
                transaction.pass(waits - 1);
                assert_eq!(advance(&mut gather, &mut transaction), Ok(false), "{name}");
                transaction.pass(1);
            }
            assert_eq!(advance(&mut gather, &mut transaction).unwrap_err(), want, "{name}");
        }
    }

    #[test]
    fn a_short_body_takes_no_room() {
        let mut transaction = Transaction::new("POST", &[("Transfer-Encoding", "chunked")]);
        transaction.cx.spool.set_limit(0);
        let mut gather = Gather::spool(5);
        transaction.arrive(b"2\r\nhe\r\n3\r\nllo\r\n");
        assert_eq!(advance(&mut gather, &mut transaction), Ok(false));
        transaction.arrive(b"0\r\n\r\n");
        assert_eq!(advance(&mut gather, &mut transaction), Ok(true));
        assert!(matches!(gather.spooled().unwrap(), Spooled::Memory(bytes) if bytes == b"hello"));
    }
}
