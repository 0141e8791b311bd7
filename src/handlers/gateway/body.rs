//! The body of a request on its way to a backend.

use super::exchange::cannot_begin;
use super::silence::Silence;
use super::spool::Spooled;
use crate::event::Source;
use crate::http::HttpError;
use crate::serve::ExchangeIo;
use mio::Interest;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::Instant;

/// The body of a request, as a backend gets it.
#[derive(Debug)]
pub enum RequestBody {
    /// None.
    None,
    /// All of it.
    Gathered(Spooled),
    /// So many bytes, as they come.
    Streamed(u64),
}

impl RequestBody {
    /// Its length, as backends are told it.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Gathered(body) => Some(body.len()),
            Self::Streamed(length) => Some(*length),
        }
    }
}

/// Writes a body to a backend, as far as it takes it.
pub struct Feed<W> {
    to: Source<W>,
    /// Bytes that were gathered, and how many of them were written; `None`: as they come.
    kept: Option<(Vec<u8>, usize)>,
}

impl<W: Write + AsFd> Feed<W> {
    /// Writes these bytes, or, if there are none, the body as it comes.
    pub fn new(to: Source<W>, gathered: Option<Vec<u8>>) -> Self {
        Self { to, kept: gathered.map(|bytes| (bytes, 0)) }
    }

    /// Writes what it takes. `true`: that was all, or all that it wants.
    ///
    /// # Errors
    /// The body itself is broken or too long; the poll does not take the descriptor.
    pub fn advance(
        &mut self,
        io: &mut ExchangeIo<'_>,
        silence: &mut Silence,
        now: Instant,
    ) -> Result<bool, HttpError> {
        while self.to.is_writable() {
            let piece = match &self.kept {
                Some((bytes, at)) => bytes.get(*at..).unwrap_or_default(),
                None => io.body.peek()?,
            };
            if piece.is_empty() {
                return Ok(self.kept.is_some() || io.body.is_finished());
            }
            match self.to.write(piece) {
                Ok(n) => {
                    silence.end(now);
                    match &mut self.kept {
                        Some((_, at)) => *at += n,
                        None => io.body.consume(n),
                    }
                }
                // It is registered when it is full: most bodies fit.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let registered = self.to.register(Interest::WRITABLE);
                    registered.map_err(|error| {
                        cannot_begin(&error, format!("a backend cannot be watched: {error}"))
                    })?;
                }
                // It does not want to read it. That is its right.
                Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Whether the backend would take more than the client has sent.
    pub fn waits_for_client(&self, io: &ExchangeIo<'_>) -> bool {
        self.kept.is_none() && self.to.is_writable() && !io.body.is_finished()
    }
}
