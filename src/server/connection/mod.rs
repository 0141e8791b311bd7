//! One client: the link to it, and the protocol that is spoken over the link.
//!
//! `drive` is the only function that moves a client's bytes: *fill → step → flush*, again until
//! nothing moves or the turn's budget is spent. It never removes the connection from the table it
//! lives in; it returns a [`Verdict`].

mod close_reason;
mod http1;
mod http2;
mod link;
#[cfg(test)]
pub mod look;
mod timeout;

use super::drive::DriveContext;
use crate::event::{ConnId, Readiness, TaskId};
use crate::net::Transport;
use crate::serve::{Abort, Peer};
use close_reason::CloseReason;
use http1::Http1;
use http2::Http2;
use link::{Link, Moved};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};
pub use timeout::Timeout;

/// Everything of one client. An idle one holds no buffer, no request and no site.
#[derive(Debug)]
pub struct ClientConnection {
    link: Link,
    protocol: Protocol,
}

/// What is spoken over a link. Tunnels will be a further one; see ARCHITECTURE.md.
#[derive(Debug)]
enum Protocol {
    Http1(Http1),
    Http2(Box<Http2>),
}

/// What the loop is to do with a connection after driving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lives on.
    Keep,
    /// Remove it from the table.
    Close,
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
        let link = Link::new(id, transport, peer, port, counted, due);
        Self { link, protocol: Protocol::Http1(Http1::default()) }
    }

    /// Moves everything that can be moved.
    pub fn drive(&mut self, cx: &mut DriveContext<'_>) -> Verdict {
        self.link.queued = false;
        let answered_before = self.protocol.answered();
        let mut moved = Moved::default();
        let progress = loop {
            match pass(&mut self.link, &mut self.protocol, &mut moved, cx) {
                Err(reason) => {
                    self.protocol.end(&reason, &mut self.link, cx);
                    return Verdict::Close;
                }
                Ok(Progress::Moved) if cx.budget.is_spent() => break Progress::Yield,
                Ok(Progress::Moved) => {}
                Ok(progress) => break progress,
            }
        };
        moved.answered = self.protocol.answered() != answered_before;
        self.link.rest(self.protocol.timeout(&self.link), moved, cx);
        if progress == Progress::Yield && self.enqueue() {
            cx.cx.runq.push(self.id());
        }
        Verdict::Keep
    }

    /// Ends what a panic has left behind: the transaction in progress is answered with a 500 if
    /// nothing of its answer was sent, and has its line in the log.
    pub fn recover(&mut self, cx: &mut DriveContext<'_>) -> Verdict {
        match self.protocol.recover(&mut self.link, cx) {
            Ok(()) => self.drive(cx),
            Err(reason) => {
                self.protocol.end(&reason, &mut self.link, cx);
                Verdict::Close
            }
        }
    }

    /// The harvester or the end of the server cuts it off. A client whose head or body came only in
    /// part is told so, if its socket takes that at once.
    pub fn cut_off(&mut self, why: Abort, reason: &str, cx: &mut DriveContext<'_>) {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.cut_off(why, reason, &mut self.link, cx),
            Protocol::Http2(http2) => http2.cut_off(why, reason, &mut self.link, cx),
        }
    }

    /// An instant that one of its tasks has armed has come. False if it is not waited for any more.
    pub fn timer_due(&mut self, task: TaskId, at: Instant) -> bool {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.timer_due(task.stream, at),
            Protocol::Http2(http2) => http2.timer_due(task.stream, at),
        }
    }

    /// Somebody has woken one of its tasks. False if that has ended.
    pub fn wake(&mut self, task: TaskId) -> bool {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.wake(task.stream),
            Protocol::Http2(http2) => http2.wake(task.stream),
        }
    }

    /// Something has happened to a source of one of its tasks.
    pub fn touch(&mut self, task: TaskId) {
        if let Protocol::Http2(http2) = &mut self.protocol {
            http2.touch(task.stream);
        }
    }

    /// Whether it waits for a request of which nothing has come: it may be closed without loss.
    pub fn is_idle(&self) -> bool {
        let is_between_requests = match &self.protocol {
            Protocol::Http1(http1) => http1.is_between_requests(),
            Protocol::Http2(http2) => http2.is_between_requests(),
        };
        is_between_requests && self.link.recv.is_empty() && !self.link.owes()
    }
}

impl Protocol {
    /// Another one, where the client has begun to speak it.
    fn choose(&mut self, link: &mut Link, cx: &mut DriveContext<'_>) {
        if let Self::Http1(http1) = self
            && http1.is_new()
            && cx.site.http2
            && http2::is_spoken(link)
        {
            *self = Self::Http2(Box::new(Http2::new(link, cx)));
        }
    }

    fn step(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<Progress, CloseReason> {
        match self {
            Self::Http1(http1) => http1.step(link, cx),
            Self::Http2(http2) => http2.step(link, cx),
        }
    }

    fn wants_input(&self, link: &Link) -> bool {
        match self {
            Self::Http1(http1) => http1.wants_input(link),
            Self::Http2(http2) => http2.wants_input(link),
        }
    }

    fn expects_much(&self) -> bool {
        matches!(self, Self::Http1(http1) if http1.expects_much())
    }

    fn is_closing(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.is_closing(),
            Self::Http2(http2) => http2.is_closing(),
        }
    }

    fn answered(&self) -> u32 {
        match self {
            Self::Http1(http1) => http1.answered(),
            Self::Http2(http2) => http2.answered(),
        }
    }

    fn timeout(&self, link: &Link) -> Timeout {
        match self {
            Self::Http1(http1) => http1.timeout(link),
            Self::Http2(http2) => http2.timeout(link),
        }
    }

    fn break_off(
        &mut self,
        error: &io::Error,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), CloseReason> {
        match self {
            Self::Http1(http1) => http1.break_off(error, link, cx),
            Self::Http2(_) => Err(CloseReason::Broken(format!("TLS: {error}"))),
        }
    }

    fn recover(&mut self, link: &mut Link, cx: &mut DriveContext<'_>) -> Result<(), CloseReason> {
        match self {
            Self::Http1(http1) => http1.recover(link, cx),
            Self::Http2(http2) => http2.recover(link, cx),
        }
    }

    fn end(&mut self, reason: &CloseReason, link: &mut Link, cx: &mut DriveContext<'_>) {
        match self {
            Self::Http1(http1) => http1.end(reason, link, cx),
            Self::Http2(http2) => http2.end(reason, link, cx),
        }
    }
}

/// One round. `flush` is always last, so that no queued byte is stranded.
fn pass(
    link: &mut Link,
    protocol: &mut Protocol,
    moved: &mut Moved,
    cx: &mut DriveContext<'_>,
) -> Result<Progress, CloseReason> {
    let received = fill(link, protocol, cx)?;
    protocol.choose(link, cx);
    let step = protocol.step(link, cx)?;
    let sent = link.flush(protocol.is_closing(), cx)?;
    moved.received += received;
    moved.sent += sent;
    match step {
        Progress::Still if received > 0 || sent > 0 => Ok(Progress::Moved),
        // The step has begun to want what was held back: no further edge would tell.
        Progress::Still if link.ready.is_readable() && protocol.wants_input(link) => {
            Ok(Progress::Moved)
        }
        other => Ok(other),
    }
}

/// Receives, if what would be received is wanted. Not wanting is how a client is held back: no
/// interest is changed, the bit simply stays set.
fn fill(
    link: &mut Link,
    protocol: &mut Protocol,
    cx: &mut DriveContext<'_>,
) -> Result<u64, CloseReason> {
    if link.ready.is_gone() && !link.ready.is_readable() {
        return Err(CloseReason::Reset);
    }
    if !link.ready.is_readable() || !protocol.wants_input(link) {
        return Ok(0);
    }
    if protocol.expects_much() {
        link.recv.enlarge(&mut cx.cx.buffers);
    }
    match link.fill(cx) {
        Ok(received) => Ok(received),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            protocol.break_off(&error, link, cx).map(|()| 0)
        }
        Err(_) => Err(CloseReason::Reset),
    }
}

/// What the loop, the table and the harvester ask of a connection.
impl ClientConnection {
    /// Its name in the table.
    pub fn id(&self) -> ConnId {
        self.link.id
    }

    /// The address of the client.
    pub fn peer(&self) -> Peer {
        self.link.peer
    }

    /// Notes that the poll knows of it. False if it did already.
    pub fn register_once(&mut self) -> bool {
        !std::mem::replace(&mut self.link.registered, true)
    }

    /// Whether it counts towards its address's limit.
    pub fn is_counted(&self) -> bool {
        self.link.counted
    }

    /// The socket, for the poll and for questions to the kernel about it.
    pub fn transport(&self) -> &Transport {
        &self.link.transport
    }

    /// What may succeed; events are marked here.
    pub fn ready_mut(&mut self) -> &mut Readiness {
        &mut self.link.ready
    }

    /// Notes that it is being put on the run queue. False if it is there already.
    pub fn enqueue(&mut self) -> bool {
        !std::mem::replace(&mut self.link.queued, true)
    }

    /// Which timeout has fired, if any has.
    pub fn overdue(&mut self, now: Instant, min_rate: u64) -> Option<Timeout> {
        self.link.overdue(now, min_rate)
    }

    /// Whether a client that took too little, as far as could be seen, is kept: the kernel holds
    /// `held` bytes for it.
    pub fn extend_deadline(
        &mut self,
        held: u64,
        now: Instant,
        min_rate: u64,
        patience: Duration,
    ) -> bool {
        self.link.extend_deadline(held, now, min_rate, patience)
    }

    /// Whether it may be closed to make room for others: it is idle, or has got its last answer.
    pub fn is_expendable(&self) -> bool {
        self.is_done() || matches!(&self.protocol, Protocol::Http1(http1) if http1.is_lingering())
    }

    /// Whether it is idle, and nothing has arrived that no drive has seen yet.
    pub fn is_done(&self) -> bool {
        self.is_idle() && !self.may_have_input()
    }

    /// Whether data may have arrived that no drive has seen yet.
    pub fn may_have_input(&self) -> bool {
        self.link.ready.is_readable()
    }

    /// Has it read even without an event: before an idle connection is closed, its request may be
    /// there already.
    pub fn assume_readable(&mut self) {
        self.link.ready.set_readable();
    }

    /// Has it try both to read and to write, where the kernel is not asked for events.
    pub fn assume_ready(&mut self) {
        self.link.ready.set_readable();
        self.link.ready.set_writable();
    }

    /// When its timeout fires: the earlier, the longer it was idle.
    pub fn deadline(&self) -> Instant {
        self.link.deadline
    }
}

/// An idle connection is this and nothing else: a site with a hundred thousand of them has them all in
/// memory.
const _: () = assert!(size_of::<ClientConnection>() <= 184);
