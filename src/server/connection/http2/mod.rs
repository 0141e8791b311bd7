//! HTTP/2 on a link: many requests at once, each on a stream of its own (RFC 9113).
//!
//! | file | question |
//! |---|---|
//! | `mod` | what can happen to a connection? |
//! | `input` | what has the client sent, and what follows from it? |
//! | `stream` | what does a transaction work with? |
//! | `output` | whose body is sent next, and how much of it? |
//! | `calm` | how much work without an answer may a client make? |

mod calm;
mod input;
mod output;
mod stream;

use super::link::Link;
use super::{CloseReason, Progress, Timeout};
use crate::event::{CHUNK, TaskId};
use crate::http::{HttpError, Status};
use crate::http2::frame;
use crate::http2::head::{Fields, SIZE_MAX};
use crate::http2::hpack::{Decoder, Encoder};
use crate::http2::settings::{OwnSettings, Settings};
use crate::http2::window::{INITIAL, ReceiveWindow, SendWindow};
use crate::http2::{Breach, ErrorCode};
use crate::net::Transport;
use crate::serve::Abort;
use crate::server::drive::DriveContext;
use crate::server::transaction::{Advanced, End, Transaction};
use calm::Calm;
use input::Block;
use std::rc::Rc;
use std::time::Instant;
use stream::{Http2Stream, OpenStream, Sink};

/// Streams at once. Browsers open a hundred; each may have a window of body in memory.
const STREAMS_MAX: usize = 128;

/// What a client may send of one body before it is read.
const WINDOW: u32 = 64 * 1024 - 1;

/// What a client may send of all bodies: enough for a link of 100 ms and 80 Mbit/s. With the windows of
/// the streams it bounds the memory of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Frames that are looked at before others have their turn.
const FRAMES_MAX: usize = 64;

/// HTTP/2 on one link.
pub(super) struct Http2 {
    phase: Phase,
    /// The client's SETTINGS have come.
    has_settings: bool,
    decoder: Decoder,
    encoder: Encoder,
    fields: Fields,
    block: Option<Block>,
    peer: Settings,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    /// By their numbers.
    #[allow(clippy::vec_box)] // they are large, and move when one before them ends
    streams: Vec<Box<OpenStream>>,
    /// The number of the last stream that was opened.
    last: u32,
    /// Of those that share, the one that was served last.
    shared_last: u32,
    /// Requests answered, or being answered.
    answered: u32,
    /// The client was told that no further stream is taken.
    going_away: bool,
    /// The stream that is being advanced, for whoever finds a panic.
    current: Option<u32>,
    calm: Calm,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client has to say first that it speaks HTTP/2.
    Preface,
    /// Streams may be opened.
    Open,
    /// What is queued leaves, and then the connection ends.
    Closing,
}

impl Http2 {
    /// A connection on which HTTP/2 was agreed. Our settings leave at once.
    pub(super) fn new(link: &mut Link, cx: &mut DriveContext<'_>) -> Self {
        let mut receive_window = ReceiveWindow::new(INITIAL);
        let own = OwnSettings {
            streams: STREAMS_MAX as u32,
            initial_window: WINDOW,
            head: SIZE_MAX as u32,
        };
        let more = receive_window.enlarge(CONNECTION_WINDOW);
        let (out, _) = link.output(cx.free);
        out.append(|out| {
            frame::write(frame::kind::SETTINGS, 0, 0, &own.payload(), out);
            frame::window_update(0, more, out);
        });
        Self {
            phase: Phase::Preface,
            has_settings: false,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            fields: Fields::default(),
            block: None,
            peer: Settings::default(),
            send_window: SendWindow::new(INITIAL),
            receive_window,
            streams: Vec::new(),
            last: 0,
            shared_last: 0,
            answered: 0,
            going_away: false,
            current: None,
            calm: Calm::default(),
        }
    }

    /// Does what can be done without reading from or writing to the socket.
    pub(super) fn step(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        if self.phase == Phase::Closing {
            return Self::finish_closing(link);
        }
        let mut has_moved = false;
        let mut frames = 0;
        while frames < FRAMES_MAX && link.pending() < CHUNK as u64 {
            match self.read_frame(link, cx) {
                Ok(true) => frames += 1,
                Ok(false) => break,
                Err(breach) => self.answer_breach(breach, link, cx),
            }
            has_moved = true;
            if self.phase == Phase::Closing {
                return Ok(Progress::Moved);
            }
        }
        let yields = self.advance_streams(link, cx);
        has_moved |= self.queue_bodies(link, cx);
        self.queue_window_updates(link, cx);
        if cx.stopping && !self.going_away {
            self.going_away = true;
            self.say_go_away(ErrorCode::NoError, "", link, cx);
            has_moved = true;
        }
        let is_over = self.going_away || link.peer_ended;
        if is_over && self.streams.is_empty() && !self.has_input(link) {
            self.phase = Phase::Closing;
            return Ok(Progress::Moved);
        }
        if link.ready.is_gone() && !link.ready.is_readable() {
            return Err(CloseReason::Reset);
        }
        Ok(match (has_moved, yields) {
            (true, _) => Progress::Moved,
            (false, true) => Progress::Yield,
            (false, false) => Progress::Still,
        })
    }

    fn has_input(&self, link: &Link) -> bool {
        !link.peer_ended && !link.recv.is_empty()
    }

    fn finish_closing(link: &mut Link) -> Result<Progress, CloseReason> {
        link.drop_received();
        if link.owes() {
            return Ok(Progress::Still);
        }
        if link.transport.say_goodbye() {
            return Ok(Progress::Moved);
        }
        Err(CloseReason::Done)
    }

    /// Advances the transactions for which something has come. Returns whether one has more to do.
    fn advance_streams(&mut self, link: &mut Link, cx: &mut DriveContext<'_>) -> bool {
        let mut yields = false;
        for place in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(place) else { break };
            if !std::mem::take(&mut stream.is_runnable) || stream.transaction.is_answered() {
                continue;
            }
            if stream.input_ended {
                stream.transaction.end_body();
            }
            let before = stream.recv.unread().len();
            let Some((transaction, mut lent, _)) = self.lend(place, link, cx) else { break };
            let advanced = transaction.advance(&mut lent, cx);
            let Some(stream) = self.streams.get_mut(place) else { break };
            match advanced {
                Advanced::Yields => (stream.is_runnable, yields) = (true, true),
                Advanced::Waits => {}
                Advanced::Answered => {
                    stream.output.is_complete = true;
                    // What is left of the body is dropped.
                    stream.recv.consume(stream.recv.unread().len());
                }
            }
            stream.recv.release(&mut cx.cx.buffers);
            let read = before - stream.recv.unread().len();
            stream.receive_window.release(read);
            self.receive_window.release(read);
        }
        self.current = None;
        yields
    }

    /// The transaction of a stream, and what it works with.
    fn lend<'a>(
        &'a mut self,
        place: usize,
        link: &'a mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Option<(&'a mut Transaction, Http2Stream<'a>, &'a Transport)> {
        let stream = self.streams.get_mut(place)?;
        self.current = Some(stream.id);
        let task = TaskId { conn: link.id, stream: stream.id };
        let (out, transport) = link.output(cx.free);
        let sink = Sink {
            encoder: &mut self.encoder,
            out,
            output: &mut stream.output,
            max_frame: self.peer.max_frame.min(frame::PAYLOAD_MAX),
            common_headers: Rc::clone(cx.cx.clock.common_headers()),
            stream: stream.id,
        };
        let lent = Http2Stream { task, recv: &mut stream.recv, sink };
        Some((&mut stream.transaction, lent, transport))
    }

    fn lend_last<'a>(
        &'a mut self,
        link: &'a mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Option<(&'a mut Transaction, Http2Stream<'a>, &'a Transport)> {
        self.lend(self.streams.len().checked_sub(1)?, link, cx)
    }

    fn stream(&mut self, id: u32) -> Option<&mut OpenStream> {
        let place = self.streams.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.streams.get_mut(place).map(|stream| &mut **stream)
    }

    /// A stream ends, and with it its transaction.
    fn end_stream(&mut self, id: u32, end: End<'_>, cx: &mut DriveContext<'_>) {
        let Ok(place) = self.streams.binary_search_by_key(&id, |stream| stream.id) else { return };
        let mut stream = self.streams.remove(place);
        // What it had not read may be sent again by others.
        self.receive_window.release(stream.recv.unread().len());
        stream.recv.consume(stream.recv.unread().len());
        stream.recv.release(&mut cx.cx.buffers);
        stream.transaction.finish(end, cx);
    }

    /// Answers a breach of the protocol: the end of a stream, or of the connection.
    fn answer_breach(&mut self, breach: Breach, link: &mut Link, cx: &mut DriveContext<'_>) {
        // A client that has us reset its streams makes as much work as one that resets them itself
        // (CVE-2025-8671).
        let breach = match (breach, self.calm.spend(5)) {
            (Breach::Stream(..), Err(exhausted)) => exhausted,
            (breach, _) => breach,
        };
        match breach {
            Breach::Stream(id, code, why) => {
                let (out, _) = link.output(cx.free);
                out.append(|out| frame::reset(id, code, out));
                let cut = End::Cut { why: Abort::Failed, reason: Some(why), unsent: 0 };
                self.end_stream(id, cut, cx);
            }
            Breach::Connection(code, why) => {
                let text = format!("HTTP/2 of {} was broken off: {why}", link.peer);
                cx.cx.complain(crate::conf::Level::Info, text);
                self.end_streams(Abort::Failed, Some(why), cx);
                self.say_go_away(code, why, link, cx);
                self.phase = Phase::Closing;
            }
        }
    }

    fn say_go_away(&self, code: ErrorCode, why: &str, link: &mut Link, cx: &mut DriveContext<'_>) {
        let (out, _) = link.output(cx.free);
        out.append(|out| frame::go_away(self.last, code, why, out));
    }

    fn end_streams(&mut self, why: Abort, reason: Option<&str>, cx: &mut DriveContext<'_>) {
        while let Some(stream) = self.streams.last() {
            let (id, unsent) = (stream.id, stream.output.queue.pending());
            self.end_stream(id, End::Cut { why, reason, unsent }, cx);
        }
    }

    /// The connection ends: what is unfinished is aborted and logged.
    pub(super) fn end(&mut self, closed: &CloseReason, link: &mut Link, cx: &mut DriveContext<'_>) {
        let _ = link.transport.flush();
        self.end_streams(closed.abort(), closed.reason(), cx);
        link.drop_received();
        link.recv.release(&mut cx.cx.buffers);
    }

    /// See `ClientConnection::cut_off`.
    pub(super) fn cut_off(
        &mut self,
        why: Abort,
        reason: &str,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) {
        self.say_go_away(ErrorCode::NoError, reason, link, cx);
        // A client that is gone does not have to be told.
        let _ = link.flush(true, cx);
        if link.owes() {
            link.transport.reset_on_close();
        }
        self.end_streams(why, Some(reason), cx);
        link.drop_received();
        link.recv.release(&mut cx.cx.buffers);
    }

    /// Ends the transaction that a panic has left behind.
    pub(super) fn recover(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), CloseReason> {
        let current = self.current.take();
        let place =
            current.and_then(|id| self.streams.binary_search_by_key(&id, |stream| stream.id).ok());
        let Some(place) = place else { return Err(CloseReason::Broken("a panic".into())) };
        let Some((transaction, mut lent, _)) = self.lend(place, link, cx) else {
            return Err(CloseReason::Broken("a panic".into()));
        };
        if !transaction.is_answered() {
            let why = "a panic, which the error log tells of";
            let error = HttpError::fatal(Status::INTERNAL_SERVER_ERROR, why);
            transaction.fail_because(Abort::Failed, error, &mut lent, cx);
        }
        if let Some(stream) = self.streams.get_mut(place) {
            stream.output.is_complete = true;
        }
        self.current = None;
        Ok(())
    }

    /// Whether more should be received now.
    pub(super) fn wants_input(&self, link: &Link) -> bool {
        !link.peer_ended && link.recv.has_room() && link.pending() < CHUNK as u64
    }

    /// Whether nothing will be queued any more.
    pub(super) fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Whether no request is in progress.
    pub(super) fn is_between_requests(&self) -> bool {
        self.streams.is_empty() && self.phase == Phase::Open && self.block.is_none()
    }

    /// Requests answered, or being answered.
    pub(super) fn answered(&self) -> u32 {
        self.answered
    }

    /// An armed instant has come. False if it is not what is waited for now.
    pub(super) fn timer_due(&mut self, stream: u32, at: Instant) -> bool {
        self.stream(stream).is_some_and(|stream| {
            let due = stream.transaction.timer_due(at);
            stream.is_runnable |= due;
            due
        })
    }

    /// The request on that stream was woken. False if it is not in progress any more.
    pub(super) fn wake(&mut self, stream: u32) -> bool {
        self.stream(stream).is_some_and(|stream| {
            stream.transaction.wake();
            stream.is_runnable = true;
            true
        })
    }

    /// Something has come for the exchange on that stream.
    pub(super) fn touch(&mut self, stream: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.is_runnable = true;
        }
    }

    /// Which timeout runs while nothing moves.
    pub(super) fn timeout(&self, link: &Link) -> Timeout {
        let mut streams = self.streams.iter();
        if link.owes() || streams.any(|stream| !stream.output.queue.is_empty()) {
            return Timeout::Write;
        }
        if self.streams.iter().any(|stream| stream.transaction.wants_body()) {
            return Timeout::Body;
        }
        match (self.streams.is_empty(), self.answered) {
            (false, _) => Timeout::None,
            (true, 0) => Timeout::Header,
            (true, _) if self.block.is_some() => Timeout::Header,
            (true, _) => Timeout::Idle,
        }
    }
}

/// Whether a client has begun to speak HTTP/2: as it was agreed with TLS, or because it says so
/// (RFC 9113 §3.3).
pub(super) fn is_spoken(link: &Link) -> bool {
    match link.transport.tls() {
        Some(tls) => !tls.is_handshaking() && tls.protocol() == Some(b"h2"),
        None => link.recv.unread().starts_with(b"PRI * HTTP/2.0\r\n"),
    }
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { phase, last, streams, .. } = self;
        f.debug_struct("Http2")
            .field("phase", phase)
            .field("last", last)
            .field("streams", &streams.len())
            .finish_non_exhaustive()
    }
}
