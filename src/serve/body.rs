//! The request body, as slices of the receive buffer.

use crate::event::Until;
use crate::http::{BodyLength, HttpError, Status, Version};
use crate::http1::chunked::{Decoder, Step};
use crate::net::RecvBuffer;

/// How far the body of the current request has been read. The transfer coding is undone here, so
/// that nobody above sees it.
#[derive(Clone, Debug, Default)]
pub struct BodyState {
    framing: Framing,
    /// Bytes of content read so far.
    received: u64,
    /// Bytes of content allowed.
    limit: u64,
    /// Somebody asked for more than there was, since the connection last looked.
    wanted: bool,
}

#[derive(Clone, Debug, Default)]
enum Framing {
    #[default]
    Finished,
    Length(u64),
    Chunked(Box<Decoder>),
    /// Its end is told apart from its bytes (HTTP/2).
    Told {
        has_ended: bool,
    },
}

impl BodyState {
    /// A body not yet begun, of at most `limit` bytes.
    pub fn new(length: BodyLength, version: Version, limit: u64) -> Self {
        let framing = match length {
            BodyLength::None | BodyLength::Length(0) => Framing::Finished,
            BodyLength::Length(n) => Framing::Length(n),
            BodyLength::Unknown if version == Version::Http2 => Framing::Told { has_ended: false },
            BodyLength::Unknown => Framing::Chunked(Box::new(Decoder::new())),
        };
        Self { framing, received: 0, limit, wanted: false }
    }

    /// Whether all of it has been consumed.
    pub fn is_finished(&self) -> bool {
        matches!(self.framing, Framing::Finished)
    }

    /// Bytes still to come, if that is known: not for chunks.
    pub fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Finished => Some(0),
            Framing::Length(left) => Some(left),
            Framing::Chunked(_) | Framing::Told { .. } => None,
        }
    }

    /// Bytes of content consumed.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether a chunk of it goes beyond its limit.
    pub fn is_too_long(&self) -> bool {
        match &self.framing {
            Framing::Chunked(decoder) => is_beyond(self.received, decoder, self.limit),
            Framing::Finished | Framing::Length(_) | Framing::Told { .. } => false,
        }
    }

    /// What is left of it, to be dropped, however long it is.
    #[must_use]
    pub fn without_limit(self) -> Self {
        Self { limit: u64::MAX, ..self }
    }

    /// All of it has come.
    pub fn end(&mut self) {
        if let Framing::Told { has_ended } = &mut self.framing {
            *has_ended = true;
        }
    }

    /// Whether somebody waits for more of it; asking forgets it.
    pub fn take_wanted(&mut self) -> bool {
        std::mem::take(&mut self.wanted)
    }

    /// The content that lies at the front of `buffer`. Framing before it is consumed. Empty when
    /// more has to be received first, or when the body is finished.
    fn peek<'b>(&mut self, buffer: &'b mut RecvBuffer) -> Result<&'b [u8], HttpError> {
        let ready = match &mut self.framing {
            Framing::Finished => 0,
            Framing::Length(left) => {
                usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.unread().len())
            }
            Framing::Told { has_ended } => {
                let ready = buffer.unread().len();
                if self.received + ready as u64 > self.limit {
                    return Err(too_long(self.limit));
                }
                if ready == 0 && *has_ended {
                    self.framing = Framing::Finished;
                }
                ready
            }
            Framing::Chunked(decoder) => {
                let step = decoder.step(buffer.unread())?;
                // At the size line, as with a Content-Length, and not when the data have come.
                if is_beyond(self.received, decoder, self.limit) {
                    return Err(too_long(self.limit));
                }
                match step {
                    Step::More { consumed } => {
                        buffer.consume(consumed);
                        0
                    }
                    Step::Data { skip, len } => {
                        buffer.consume(skip);
                        len
                    }
                    Step::End { consumed } => {
                        buffer.consume(consumed);
                        self.framing = Framing::Finished;
                        0
                    }
                }
            }
        };
        self.wanted |= ready == 0 && !self.is_finished();
        Ok(buffer.unread().get(..ready).unwrap_or_default())
    }

    fn consume(&mut self, buffer: &mut RecvBuffer, n: usize) {
        buffer.consume(n);
        self.received += n as u64;
        match &mut self.framing {
            Framing::Finished => debug_assert_eq!(n, 0),
            Framing::Told { .. } => {}
            Framing::Length(left) => {
                *left = left.saturating_sub(n as u64);
                if *left == 0 {
                    self.framing = Framing::Finished;
                }
            }
            Framing::Chunked(decoder) => decoder.took(n),
        }
    }
}

fn too_long(limit: u64) -> HttpError {
    let why = format!("a chunked body of more than {limit} bytes");
    HttpError::fatal(Status::CONTENT_TOO_LARGE, why)
}

fn is_beyond(received: u64, decoder: &Decoder, limit: u64) -> bool {
    received.saturating_add(decoder.announced()) > limit
}

/// The request body of an exchange.
pub struct BodyIn<'a> {
    state: &'a mut BodyState,
    buffer: &'a mut RecvBuffer,
}

impl<'a> BodyIn<'a> {
    /// The body that `state` describes, arriving in `buffer`.
    pub fn new(state: &'a mut BodyState, buffer: &'a mut RecvBuffer) -> Self {
        Self { state, buffer }
    }

    /// What has arrived of it; empty when more has to arrive first, or when it is finished. Asking
    /// in vain is what makes the connection receive more, and sends the `100 Continue` that a
    /// client may be waiting for: who does not ask holds the client back.
    ///
    /// # Errors
    /// 400 for a broken transfer coding, 413 for a chunked body beyond its limit.
    pub fn peek(&mut self) -> Result<&[u8], HttpError> {
        self.state.peek(self.buffer)
    }

    /// What to wait for until more has arrived.
    pub fn until_more(&mut self) -> Until {
        if self.is_finished() {
            return Until::over();
        }
        self.state.wanted = true;
        Until::armed()
    }

    /// Allows no more than `limit` bytes of content, if it was more.
    pub fn limit_to(&mut self, limit: u64) {
        self.state.limit = self.state.limit.min(limit);
    }

    /// Drops the first `n` bytes of what `peek` showed.
    pub fn consume(&mut self, n: usize) {
        self.state.consume(self.buffer, n);
    }

    /// Whether all of it has been consumed.
    pub fn is_finished(&self) -> bool {
        self.state.is_finished()
    }

    /// Bytes still to come, if that is known: not for chunks.
    pub fn left(&self) -> Option<u64> {
        self.state.left()
    }

    /// Bytes consumed.
    pub fn received(&self) -> u64 {
        self.state.received()
    }
}
