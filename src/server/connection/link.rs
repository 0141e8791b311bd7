//! The link to one client: its socket, what was received and not yet read, what is queued and not yet
//! sent, and when it is to be closed.

use super::CloseReason;
use super::timeout::Timeout;
use crate::conf::Timeouts;
use crate::event::{ConnId, Readiness};
use crate::net::{RecvBuffer, SendQueue, Tls, Transport};
use crate::serve::{Peer, Request};
use crate::server::drive::{DriveContext, FreeList};
use crate::tls::subject_of;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The link to one client. An idle one holds no buffer: what is left is this struct.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnId,
    pub(super) transport: Transport,
    pub(super) peer: Peer,
    /// The port of the listener that it came by.
    port: u16,
    /// The name in the client's certificate, once it was asked for. In a box: few have one.
    client: Option<Box<Rc<str>>>,
    pub(super) ready: Readiness,
    pub(super) recv: RecvBuffer,
    /// What waits to be sent; `None` when nothing does.
    send: Option<Box<SendQueue>>,
    /// When the harvester may close it, and which timeout fires then.
    pub(super) deadline: Instant,
    pub(super) timeout: Timeout,
    rate: RateWatch,
    /// The client has ended its side: nothing more will be received.
    pub(super) peer_ended: bool,
    /// It is on the run queue.
    pub(super) queued: bool,
    /// It counts towards its address's limit.
    pub(super) counted: bool,
    /// The poll knows of it.
    pub(super) registered: bool,
}

/// How much a transfer has moved since a while.
#[derive(Debug)]
struct RateWatch {
    since: Instant,
    moved: u64,
    /// Too little was taken, as far as could be seen. In a box: few are ever suspected.
    suspicion: Option<Box<Suspicion>>,
}

/// What is known of a client that takes too little.
#[derive(Debug)]
struct Suspicion {
    /// What the kernel held for it when it was suspected first.
    held: u64,
    /// How often too little had been taken since.
    misses: u32,
}

/// What happened in one drive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// Bytes that came in.
    pub(super) received: u64,
    /// Bytes that left.
    pub(super) sent: u64,
    /// At least one request was answered.
    pub(super) answered: bool,
}

impl Link {
    /// A link that was just accepted, until when its first request, or its handshake, is due.
    pub(super) fn new(
        id: ConnId,
        transport: Transport,
        peer: Peer,
        port: u16,
        counted: bool,
        due: Instant,
    ) -> Self {
        let timeout = match transport.tls() {
            Some(_) => Timeout::Handshake,
            None => Timeout::Header,
        };
        Self {
            id,
            transport,
            peer,
            port,
            client: None,
            // The first request has often arrived with the connection, and its socket is empty.
            ready: Readiness::UNTRIED,
            recv: RecvBuffer::default(),
            send: None,
            deadline: due,
            timeout,
            rate: RateWatch::new(due),
            peer_ended: false,
            queued: false,
            counted,
            registered: false,
        }
    }

    /// Receives once, if the socket may have something.
    pub(super) fn fill(&mut self, cx: &mut DriveContext<'_>) -> io::Result<u64> {
        match self.recv.fill(&mut self.transport, &mut cx.cx.buffers) {
            Ok(filled) => {
                // A short read has emptied the socket: the next data makes a new event. Not so when
                // the peer has closed, for that event has come together with the last data.
                if filled.short && !self.ready.is_closed() || filled.ended {
                    self.ready.clear_readable();
                }
                self.peer_ended |= filled.ended;
                cx.budget.spend(filled.moved);
                Ok(filled.moved as u64)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.ready.clear_readable();
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Hands to the kernel what is queued. `is_last`: nothing will be queued after it.
    pub(super) fn flush(
        &mut self,
        is_last: bool,
        cx: &mut DriveContext<'_>,
    ) -> Result<u64, CloseReason> {
        let sent = self.flush_queue(cx)?;
        if self.transport.tls().is_none() {
            return Ok(sent);
        }
        // What the queue gave away is encrypted, and not yet gone.
        if is_last && self.send.is_none() {
            self.transport.say_goodbye();
        }
        if self.transport.wants_write()
            && self.ready.is_writable()
            && self.transport.flush().map_err(CloseReason::of_send)?
        {
            self.ready.clear_writable();
        }
        Ok(self.transport.take_sent())
    }

    fn flush_queue(&mut self, cx: &mut DriveContext<'_>) -> Result<u64, CloseReason> {
        let Some(queue) = &mut self.send else { return Ok(0) };
        let mut sent = 0;
        if !queue.is_empty() {
            if !self.ready.is_writable() {
                return Ok(0);
            }
            let flushed = queue
                .flush(&mut self.transport, &mut cx.budget, &mut cx.cx.buffers)
                .map_err(CloseReason::of_send)?;
            if flushed.blocked {
                self.ready.clear_writable();
            }
            sent = flushed.bytes;
            if !queue.is_empty() {
                return Ok(sent);
            }
        }
        if let Some(queue) = self.send.take() {
            cx.free.give_queue(queue);
        }
        Ok(sent)
    }

    /// What was received, the queue of what is to be sent, and the transport beside them.
    pub(super) fn parts(
        &mut self,
        free: &mut FreeList,
    ) -> (&mut RecvBuffer, &mut SendQueue, &Transport) {
        let queue = self.send.get_or_insert_with(|| free.queue());
        (&mut self.recv, queue, &self.transport)
    }

    /// The queue of what is to be sent, and the transport beside it.
    pub(super) fn output(&mut self, free: &mut FreeList) -> (&mut SendQueue, &Transport) {
        (self.send.get_or_insert_with(|| free.queue()), &self.transport)
    }

    /// Whether something that was queued has not left.
    pub(super) fn owes(&self) -> bool {
        self.send.is_some() || self.transport.wants_write()
    }

    /// Whether there is a queue.
    pub(super) fn has_queued(&self) -> bool {
        self.send.is_some()
    }

    /// Whether bytes of an answer have not left.
    pub(super) fn owes_bytes(&self) -> bool {
        self.pending() > 0 || self.transport.wants_write()
    }

    /// Bytes that are queued.
    pub(super) fn pending(&self) -> u64 {
        self.send.as_ref().map_or(0, |queue| queue.pending())
    }

    /// Whether data of the client may lie unread: closing would then reset the connection, and the
    /// answer on its way would be lost with it.
    pub(super) fn may_have_unread(&self) -> bool {
        !self.recv.is_empty() || self.ready.is_readable()
    }

    /// Drops what was received. Returns how much that was.
    pub(super) fn drop_received(&mut self) -> u64 {
        let unread = self.recv.unread().len();
        self.recv.consume(unread);
        unread as u64
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.transport.tls().is_some_and(Tls::is_handshaking)
    }

    /// Whether a handshake has begun, and not come to its end.
    pub(super) fn is_amid_handshake(&self) -> bool {
        self.transport.tls().is_some_and(|tls| tls.is_handshaking() && tls.has_begun())
    }

    /// Whether HTTP has come in where TLS is spoken.
    pub(super) fn is_unencrypted_by_mistake(&self) -> bool {
        self.transport.tls().is_some_and(Tls::is_unencrypted)
    }

    /// Notes on a request where it came from.
    pub(super) fn describe_plainly(&self, request: &mut Request) {
        (request.peer, request.port) = (self.peer, self.port);
    }

    /// Notes on a request where it came from, and how.
    pub(super) fn describe(&mut self, request: &mut Request) {
        self.describe_plainly(request);
        let Some(tls) = self.transport.tls() else { return };
        request.secure = true;
        request.tls_version = tls.version();
        if self.client.is_none()
            && let Some(certificate) = tls.client_certificate()
        {
            let subject = subject_of(certificate).unwrap_or_else(|| "an unreadable name".into());
            self.client = Some(Box::new(subject.into()));
        }
        request.client = self.client.as_deref().cloned();
    }

    /// Nothing moves any more: gives back what is not needed, and sets the deadline of `timeout`.
    pub(super) fn rest(&mut self, timeout: Timeout, moved: Moved, cx: &mut DriveContext<'_>) {
        self.recv.release(&mut cx.cx.buffers);
        let now = cx.cx.now();
        let fresh = timeout != self.timeout;
        if let Some(span) = renewed(timeout, fresh, moved, &cx.site.timeouts, cx.stopping) {
            self.deadline = now + span;
        }
        if fresh {
            self.timeout = timeout;
            self.rate = RateWatch::new(now);
        }
        self.rate.moved += match timeout {
            // What is dropped meanwhile is no sign that the answer is taken.
            Timeout::Write => moved.sent,
            _ => moved.received + moved.sent,
        };
    }

    /// Which timeout has fired, if any has. Also begins a new period of measuring the rate, if the
    /// last one was good.
    pub(super) fn overdue(&mut self, now: Instant, min_rate: u64) -> Option<Timeout> {
        if self.deadline <= now {
            return Some(self.timeout);
        }
        let period = now.saturating_duration_since(self.rate.since);
        if matches!(self.timeout, Timeout::Linger | Timeout::Discard) && period >= DROP_WHOLE {
            return Some(self.timeout);
        }
        let is_transfer = matches!(self.timeout, Timeout::Body | Timeout::Write);
        if !is_transfer || period < RATE_PERIOD * (1 + self.rate.misses()) {
            return None;
        }
        if is_slow(self.rate.moved, period, min_rate) {
            return Some(self.timeout);
        }
        self.rate = RateWatch::new(now);
        None
    }

    /// Extends the deadline of a client that took too little, as far as could be seen, if it is to be
    /// kept: the kernel holds `held` bytes for it. The first time that is only noted; after that,
    /// what has become less was taken. Its system reports what it took in pieces, of a sixteenth to a
    /// half of what it can hold, so it has all of `patience` to show that it is not too slow.
    pub(super) fn extend_deadline(
        &mut self,
        held: u64,
        now: Instant,
        min_rate: u64,
        patience: Duration,
    ) -> bool {
        let noted = RateWatch {
            suspicion: Some(Box::new(Suspicion { held, misses: 0 })),
            ..RateWatch::new(now)
        };
        let Some(suspicion) = &mut self.rate.suspicion else {
            self.rate = noted;
            self.deadline = self.deadline.max(now + patience);
            return true;
        };
        let taken = (self.rate.moved + suspicion.held).saturating_sub(held);
        let period = now.saturating_duration_since(self.rate.since);
        if taken > 0 && !is_slow(taken, period, min_rate) {
            self.rate = noted;
            self.deadline = now + patience;
            return true;
        }
        suspicion.misses += 1;
        period < patience
    }
}

/// By how much the deadline moves, if it does.
fn renewed(
    timeout: Timeout,
    fresh: bool,
    moved: Moved,
    timeouts: &Timeouts,
    stopping: bool,
) -> Option<Duration> {
    // Not whether something was sent: by TLS a client can ask for messages without making a
    // request (RFC 8446 §4.6.3), and they must not buy it time.
    let answered = moved.answered;
    match timeout {
        Timeout::Handshake => fresh.then_some(timeouts.handshake),
        // Fixed at the first byte: a head that comes byte by byte has no more time. If something was
        // answered, this is the head of another request.
        Timeout::Header => (fresh || answered).then_some(timeouts.header),
        Timeout::Body | Timeout::Discard => (fresh || moved.received > 0).then_some(timeouts.body),
        Timeout::Write => (fresh || moved.sent > 0).then_some(timeouts.write),
        Timeout::Idle => (fresh || answered).then_some(timeouts.idle),
        // During shutdown, lingering is not extended.
        Timeout::Linger => (fresh || moved.received > 0 && !stopping).then_some(LINGER),
        Timeout::None => fresh.then_some(FOREVER),
    }
}

impl RateWatch {
    fn new(since: Instant) -> Self {
        Self { since, moved: 0, suspicion: None }
    }

    fn misses(&self) -> u32 {
        self.suspicion.as_ref().map_or(0, |suspicion| suspicion.misses)
    }
}

/// Whether so many bytes in a period are fewer than a minimum rate asks for.
fn is_slow(moved: u64, period: Duration, min_rate: u64) -> bool {
    u128::from(moved) * 1000 < u128::from(min_rate) * period.as_millis()
}

/// How long a client may be silent before it closes after the server did: enough for a packet that is
/// lost twice.
const LINGER: Duration = Duration::from_secs(5);

/// How long a client may go on sending what is dropped, unless that is short. The bound is in time, not
/// in bytes: many clients send all of an upload before they read the answer.
const DROP_WHOLE: Duration = Duration::from_secs(30);

/// Over what time a minimum rate is judged: a client may pause that long.
const RATE_PERIOD: Duration = Duration::from_secs(5);

/// No deadline: far beyond the life of any process.
pub(super) const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
