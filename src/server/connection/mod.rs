//! One client: its socket, what it has sent, what it is owed, and where it stands.
//!
//! `drive` is the only function that moves a client's bytes: *fill → step → flush*, again until
//! nothing moves or the turn's budget is spent. It never removes the connection from the table it
//! lives in; it says so with a [`Verdict`].

mod ask;
mod close;
mod closed;
mod drain;
mod exchange;
mod request;
mod response;
mod secure;
mod sending;
#[cfg(test)]
mod simulation;

use super::access_log::AccessLog;
use crate::event::{Budget, CHUNK, ConnId, Cx, Door, Ready};
use crate::net::{RecvBuffer, SendQueue, Tls, Transport};
use crate::serve::{BodyState, Peer, Request};
use crate::site::Site;
use crate::tls::Secured;
use close::Discard;
use closed::Closed;
use drain::DRAIN_MAX;
use exchange::Serving;
use sending::Sending;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Everything of one client. An idle one holds no buffer, no request and no site: what is left is
/// this struct.
#[derive(Debug)]
pub struct ClientConnection {
    id: ConnId,
    transport: Transport,
    peer: Peer,
    /// The port of the listener it came by.
    port: u16,
    /// Whose certificate it has shown.
    client: Option<Rc<str>>,
    ready: Ready,
    recv: RecvBuffer,
    /// What it is owed; `None` when nothing.
    send: Option<Box<SendQueue>>,
    phase: Phase,
    /// When the harvester may reap it, and what it is then guilty of.
    deadline: Instant,
    expiry: Expiry,
    rate: RateWatch,
    /// Bytes of an incomplete head that were searched already.
    scanned: u32,
    /// Requests answered.
    served: u32,
    /// It is on the run queue.
    queued: bool,
    /// It has ended its side: nothing more will be received.
    peer_ended: bool,
    /// It counts towards its address's limit.
    counted: bool,
    /// The poll knows of it.
    registered: bool,
}

/// Where a connection stands.
#[derive(Debug)]
enum Phase {
    /// Waiting for, or in the middle of, a request head.
    Head,
    /// An exchange is at work.
    Serving(Box<Serving>),
    /// A complete answer that has a file in it is on its way; it is logged when it has arrived.
    Sending(Box<Sending>),
    /// The answer was given before its request's body was read; the rest is dropped.
    Draining(Box<BodyState>),
    /// The last answer is on its way. `linger`: the client may still be sending, which is dropped.
    Closing { linger: bool },
    /// Everything is sent, and we have said so; what still comes in is dropped, for closing now
    /// would reset the connection and take the answer with it.
    Lingering(Box<Discard>),
}

/// What a connection is guilty of when its deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// TLS was not agreed on in time.
    Handshake,
    /// The head of a request did not arrive in time.
    Header,
    /// Nothing came of a body.
    Body,
    /// A body that is dropped did not come to its end.
    Drain,
    /// No byte of an answer was taken.
    Write,
    /// No further request.
    Idle,
    /// Did not close after we did.
    Linger,
    /// Nothing: an exchange is at work and has its own timer.
    None,
}

/// What a transfer has moved since a while.
#[derive(Clone, Copy, Debug)]
struct RateWatch {
    since: Instant,
    moved: u64,
    /// What the kernel held at its beginning, if that was asked.
    held: Option<u64>,
    /// How often too little had been taken since.
    in_vain: u32,
}

impl RateWatch {
    fn new(since: Instant, held: Option<u64>) -> Self {
        Self { since, moved: 0, held, in_vain: 0 }
    }
}

/// What the loop is to do with a connection after driving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lives on.
    Keep,
    /// Remove it from the table.
    Close,
}

/// What a connection may use while it is driven: the loop's fields beside the table.
pub struct Turn<'a> {
    /// Services of the loop.
    pub cx: &'a mut Cx,
    /// What requests are answered from.
    pub site: &'a Rc<Site>,
    /// Where they are written down.
    pub log: &'a mut AccessLog,
    /// Memory for requests and answers in progress.
    pub spares: &'a mut Spares,
    /// The certificates.
    pub tls: Option<&'a Secured>,
    /// Where clients are sent that should come back encrypted.
    pub https_port: Option<u16>,
    /// What may still be moved.
    pub budget: Budget,
    /// The server stops: answers end their connections.
    pub stopping: bool,
}

/// Requests and send queues nobody uses now. Last in first out, so that one connection after the
/// other works in the same warm memory.
#[derive(Default)]
#[allow(clippy::vec_box)] // the boxes go from here into connections and back, and stay boxes
pub struct Spares {
    requests: Vec<Box<Request>>,
    queues: Vec<Box<SendQueue>>,
}

impl ClientConnection {
    /// A client that was just accepted. The head of its first request is due by then, or the end of
    /// its handshake if it speaks TLS.
    pub fn new(
        id: ConnId,
        transport: Transport,
        peer: Peer,
        port: u16,
        counted: bool,
        due: Instant,
    ) -> Self {
        // Both are tried before they are waited for: the first request has often arrived with the
        // connection, and its socket is empty.
        let mut ready = Ready::default();
        ready.set_readable(Door::Client);
        ready.set_writable(Door::Client);
        let expiry = match transport.tls() {
            Some(_) => Expiry::Handshake,
            None => Expiry::Header,
        };
        Self {
            id,
            transport,
            peer,
            port,
            client: None,
            ready,
            recv: RecvBuffer::default(),
            send: None,
            phase: Phase::Head,
            deadline: due,
            expiry,
            rate: RateWatch::new(due, None),
            scanned: 0,
            served: 0,
            queued: false,
            peer_ended: false,
            counted,
            registered: false,
        }
    }

    /// Its name in the table.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Who it is.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Notes that the poll knows of it. False if it did already.
    pub fn register_once(&mut self) -> bool {
        !std::mem::replace(&mut self.registered, true)
    }

    /// Whether it counts towards its address's limit.
    pub fn is_counted(&self) -> bool {
        self.counted
    }

    /// The socket, for the poll.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What may succeed; events are marked here.
    pub fn ready_mut(&mut self) -> &mut Ready {
        &mut self.ready
    }

    /// Notes that it is being put on the run queue. False if it is there already.
    pub fn enqueue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// An armed instant has come. False if it is not what the exchange waits for now.
    pub fn timer_due(&mut self, at: Instant) -> bool {
        match &mut self.phase {
            Phase::Serving(serving) => {
                let due = serving.timer_due(at);
                if due {
                    self.ready.set_timer();
                }
                due
            }
            Phase::Lingering(discard) => discard.resume(at),
            _ => false,
        }
    }

    /// Moves everything that can be moved.
    pub fn drive(&mut self, turn: &mut Turn<'_>) -> Verdict {
        self.queued = false;
        let mut moved = Moved { served_before: self.served, ..Moved::default() };
        loop {
            match self.pass(turn, &mut moved) {
                Err(closed) => return self.end(&closed, turn),
                Ok(Progress::Moved) if turn.budget.is_spent() => {
                    return self.yield_turn(turn, moved);
                }
                Ok(Progress::Moved) => {}
                Ok(Progress::Yield) => return self.yield_turn(turn, moved),
                Ok(Progress::Still) => {
                    self.rest(turn, moved);
                    return Verdict::Keep;
                }
            }
        }
    }

    /// One round. `flush` is always last, so that no queued byte is stranded.
    fn pass(&mut self, turn: &mut Turn<'_>, moved: &mut Moved) -> Result<Progress, Closed> {
        let received = self.fill(turn)?;
        let step = self.step(turn)?;
        let sent = self.flush(turn)?;
        moved.received += received;
        moved.sent += sent;
        match step {
            Progress::Still if received > 0 || sent > 0 => Ok(Progress::Moved),
            // The step has begun to want what was held back: no further edge would tell.
            Progress::Still if self.ready.readable(Door::Client) && self.wants_input() => {
                Ok(Progress::Moved)
            }
            other => Ok(other),
        }
    }

    /// Receives, if what would be received is wanted. Not wanting is how a client is held back: no
    /// interest is changed, the bit simply stays set.
    fn fill(&mut self, turn: &mut Turn<'_>) -> Result<u64, Closed> {
        if self.ready.gone() && !self.ready.readable(Door::Client) {
            return Err(Closed::Reset);
        }
        if !self.ready.readable(Door::Client) || !self.wants_input() {
            return Ok(0);
        }
        if matches!(&self.phase, Phase::Serving(serving) if serving.expects_much()) {
            self.recv.enlarge(&mut turn.cx.buffers);
        }
        match self.recv.fill(&mut self.transport, &mut turn.cx.buffers) {
            Ok(filled) => {
                // A short read has emptied the socket: the next data makes a new event. Not so when
                // the peer has closed, for that event has come together with the last data.
                if filled.short && !self.ready.closed(Door::Client) || filled.ended {
                    self.ready.clear_readable(Door::Client);
                }
                self.peer_ended |= filled.ended;
                turn.budget.spend(filled.moved);
                Ok(filled.moved as u64)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.ready.clear_readable(Door::Client);
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.break_off(&error, turn).map(|()| 0)
            }
            Err(_) => Err(Closed::Reset),
        }
    }

    fn wants_input(&self) -> bool {
        if self.peer_ended || !self.recv.has_room() {
            return false;
        }
        match &self.phase {
            // A client that does not take its answers gets no further request read.
            Phase::Head => !self.owes(),
            Phase::Serving(serving) => serving.wants_body() && self.pending() < CHUNK as u64,
            Phase::Draining(_) => true,
            Phase::Lingering(discard) => !discard.is_paused(),
            Phase::Sending(sending) => sending.drains(),
            Phase::Closing { linger } => *linger,
        }
    }

    fn step(&mut self, turn: &mut Turn<'_>) -> Result<Progress, Closed> {
        match self.phase {
            Phase::Head => Ok(self.read_heads(turn)),
            Phase::Serving(_) => self.advance_exchange(turn),
            Phase::Sending(_) => self.finish_sending(turn),
            Phase::Draining(_) => self.drain_body(),
            Phase::Closing { linger } => self.finish_closing(linger, turn),
            Phase::Lingering(_) => self.linger(turn),
        }
    }

    /// Hands to the kernel what is owed.
    fn flush(&mut self, turn: &mut Turn<'_>) -> Result<u64, Closed> {
        let sent = self.flush_queue(turn)?;
        if self.transport.tls().is_none() {
            return Ok(sent);
        }
        // What the queue gave away is encrypted, and not yet gone.
        if matches!(self.phase, Phase::Closing { .. }) && self.send.is_none() {
            self.transport.say_goodbye();
        }
        if self.transport.wants_write()
            && self.ready.writable(Door::Client)
            && self.transport.flush().map_err(Closed::of_send)?
        {
            self.ready.clear_writable(Door::Client);
        }
        Ok(self.transport.take_sent())
    }

    fn flush_queue(&mut self, turn: &mut Turn<'_>) -> Result<u64, Closed> {
        let Some(queue) = &mut self.send else { return Ok(0) };
        if !queue.is_empty() {
            if !self.ready.writable(Door::Client) {
                return Ok(0);
            }
            let flushed = queue
                .flush(&mut self.transport, &mut turn.budget, &mut turn.cx.buffers)
                .map_err(Closed::of_send)?;
            if flushed.blocked {
                self.ready.clear_writable(Door::Client);
            }
            if !queue.is_empty() {
                return Ok(flushed.bytes);
            }
            self.give_queue_back(turn);
            return Ok(flushed.bytes);
        }
        self.give_queue_back(turn);
        Ok(0)
    }

    /// Whether something that was queued has not left.
    fn owes(&self) -> bool {
        self.send.is_some() || self.transport.wants_write()
    }

    fn give_queue_back(&mut self, turn: &mut Turn<'_>) {
        if let Some(queue) = self.send.take() {
            turn.spares.give_queue(queue);
        }
    }

    fn pending(&self) -> u64 {
        self.send.as_ref().map_or(0, |queue| queue.pending())
    }

    /// Stopped with work left: others first.
    fn yield_turn(&mut self, turn: &mut Turn<'_>, moved: Moved) -> Verdict {
        self.rest(turn, moved);
        if self.enqueue() {
            turn.cx.runq.push(self.id);
        }
        Verdict::Keep
    }

    /// Nothing moves any more: gives back what is not needed and says until when this may last.
    fn rest(&mut self, turn: &mut Turn<'_>, moved: Moved) {
        self.recv.release(&mut turn.cx.buffers);
        let now = turn.cx.now();
        let expiry = self.expiry_now();
        let timeouts = &turn.site.timeouts;
        let fresh = expiry != self.expiry;
        // Not whether something was sent: by TLS a client can ask for messages without making a
        // request (RFC 8446 §4.6.3), and they must not buy it time.
        let answered = moved.served_before != self.served;
        let renewed = match expiry {
            Expiry::Handshake => fresh.then_some(timeouts.handshake),
            // Fixed at the first byte: a head that comes byte by byte has no more time. If
            // something was answered, this is the head of another request.
            Expiry::Header => (fresh || answered).then_some(timeouts.header),
            Expiry::Body | Expiry::Drain => (fresh || moved.received > 0).then_some(timeouts.body),
            Expiry::Write => (fresh || moved.sent > 0).then_some(timeouts.write),
            Expiry::Idle => (fresh || answered).then_some(timeouts.idle),
            // Its answer is sent: a stop does not wait for as long as it likes.
            Expiry::Linger => (fresh || moved.received > 0 && !turn.stopping).then_some(LINGER),
            Expiry::None => fresh.then_some(FOREVER),
        };
        if let Some(span) = renewed {
            self.deadline = now + span;
        }
        if fresh {
            self.expiry = expiry;
            self.rate = RateWatch::new(now, None);
        }
        self.rate.moved += match expiry {
            // What is dropped meanwhile is no sign that the answer is taken.
            Expiry::Write => moved.sent,
            _ => moved.received + moved.sent,
        };
    }

    fn expiry_now(&self) -> Expiry {
        let owes = self.owes();
        match &self.phase {
            // Fixed at accept, whatever is sent and received.
            Phase::Head if self.is_handshaking() => Expiry::Handshake,
            Phase::Head if owes => Expiry::Write,
            Phase::Head if !self.recv.is_empty() => Expiry::Header,
            // The first request is due from accept on, however the connection stays silent.
            Phase::Head if self.served == 0 => Expiry::Header,
            Phase::Head => Expiry::Idle,
            Phase::Serving(serving) if serving.wants_body() => Expiry::Body,
            Phase::Draining(body) if body.left().is_none_or(|left| left > DRAIN_MAX) => {
                Expiry::Drain
            }
            Phase::Draining(_) => Expiry::Body,
            Phase::Serving(_) if !owes => Expiry::None,
            Phase::Serving(_) | Phase::Sending(_) | Phase::Closing { .. } => Expiry::Write,
            Phase::Lingering(_) => Expiry::Linger,
        }
    }

    fn is_handshaking(&self) -> bool {
        self.transport.tls().is_some_and(Tls::is_handshaking)
    }

    /// Whether the harvester is to reap it, and for what. Also begins a new period of measuring its
    /// rate, if the last one was good.
    pub fn overdue(&mut self, now: Instant, min_rate: u64) -> Option<Expiry> {
        if self.deadline <= now {
            return Some(self.expiry);
        }
        let period = now.saturating_duration_since(self.rate.since);
        if matches!(self.expiry, Expiry::Linger | Expiry::Drain) && period >= DROP_WHOLE {
            return Some(self.expiry);
        }
        let is_transfer = matches!(self.expiry, Expiry::Body | Expiry::Write);
        if !is_transfer || period < RATE_PERIOD * (1 + self.rate.in_vain) {
            return None;
        }
        if is_slow(self.rate.moved, period, min_rate) {
            return Some(self.expiry);
        }
        self.rate = RateWatch::new(now, None);
        None
    }

    /// Whether a client that took too little, as far as could be seen, is spared: the kernel holds
    /// `held` bytes for it. The first time that is only noted; after that, what has become less was
    /// taken. Its system tells of what it took in pieces, of a sixteenth to a half of what it can
    /// hold, so it has all of `patience` to show that it is not too slow.
    pub fn spare(&mut self, held: u64, now: Instant, min_rate: u64, patience: Duration) -> bool {
        let noted = RateWatch::new(now, Some(held));
        let Some(held_before) = self.rate.held else {
            self.rate = noted;
            self.deadline = self.deadline.max(now + patience);
            return true;
        };
        let taken = (self.rate.moved + held_before).saturating_sub(held);
        let period = now.saturating_duration_since(self.rate.since);
        if taken > 0 && !is_slow(taken, period, min_rate) {
            self.rate = noted;
            self.deadline = now + patience;
            return true;
        }
        self.rate.in_vain += 1;
        period < patience
    }

    /// Its socket, for asking the kernel about it.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.transport.socket()
    }

    /// Whether it waits for a request of which nothing has come: it may be closed without loss.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.recv.is_empty() && !self.owes()
    }

    /// Whether it may be closed to make room for others: it is idle, or has got its last answer.
    pub fn is_expendable(&self) -> bool {
        self.is_done() || matches!(self.phase, Phase::Lingering(_))
    }

    /// Whether it is idle, and nothing has arrived that no drive has seen yet.
    pub fn is_done(&self) -> bool {
        self.is_idle() && !self.may_have_input()
    }

    /// Whether data may have arrived that no drive has seen yet.
    pub fn may_have_input(&self) -> bool {
        self.ready.readable(Door::Client)
    }

    /// Tries to read even without an event: before an idle connection is closed, its request may
    /// be there already.
    pub fn poke(&mut self) {
        self.ready.set_readable(Door::Client);
    }

    /// When it was last heard of, as far as its deadline tells: the earlier, the longer idle.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing changed.
    Still,
    /// Something did: another round may move more.
    Moved,
    /// There is more to do, but others first.
    Yield,
}

/// What happened in one drive.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    /// Bytes that came in.
    received: u64,
    /// Bytes that left.
    sent: u64,
    /// Requests answered before it.
    served_before: u32,
}

impl Spares {
    fn request(&mut self) -> Box<Request> {
        self.requests.pop().unwrap_or_default()
    }

    fn give_request(&mut self, request: Box<Request>) {
        if self.requests.len() < KEEP_SPARES {
            self.requests.push(request);
        }
    }

    fn queue(&mut self) -> Box<SendQueue> {
        self.queues.pop().unwrap_or_default()
    }

    fn give_queue(&mut self, queue: Box<SendQueue>) {
        if self.queues.len() < KEEP_SPARES {
            self.queues.push(queue);
        }
    }
}

/// Spare requests and queues kept of each.
const KEEP_SPARES: usize = 64;

/// Requests answered from one buffer before the queue is flushed. Benchmarks pipeline 16; more
/// would let one client hold the loop.
const PIPELINE_MAX: usize = 16;

/// How long a client may be silent before it closes after we did: enough for a packet that is lost
/// twice.
const LINGER: Duration = Duration::from_secs(5);

/// How long a client may go on sending what is dropped, unless that is short. The
/// bound is in time, not in bytes: many clients send all of an upload before they read the answer.
const DROP_WHOLE: Duration = Duration::from_secs(30);

/// Over what time a minimum rate is judged: a client may pause that long.
const RATE_PERIOD: Duration = Duration::from_secs(5);

/// Whether so many bytes in a period are fewer than a minimum rate asks for.
fn is_slow(moved: u64, period: Duration, min_rate: u64) -> bool {
    u128::from(moved) * 1000 < u128::from(min_rate) * period.as_millis()
}

/// No deadline: far beyond the life of any process.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
