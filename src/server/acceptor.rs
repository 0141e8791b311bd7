//! Listeners: accepting in bounded bursts, and living with too few descriptors.

use super::kernel::{Arrival, Kernel, ListenSocket};
use crate::conf::{At, Listen, Place};
use crate::sys::socket::{ListenAddress, SpareDescriptor, inherits_options, set_options};
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Clients accepted in one turn, so that a flood of them does not starve those already in.
const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting rests when descriptors have run out. A closing connection ends it earlier.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the log is told that descriptors have run out.
const COMPLAIN: Duration = Duration::from_secs(10);

/// All listeners of the process.
#[derive(Debug)]
pub struct Acceptor {
    listeners: Vec<Listening>,
    next_number: u32,
    spare: SpareDescriptor,
    paused_until: Option<Instant>,
    complained: Option<Instant>,
    /// Accepted sockets have what their listener has; looked at once.
    inherits: Option<bool>,
}

#[derive(Debug)]
struct Listening {
    number: u32,
    asked: Listen,
    listener: ListenSocket,
    /// There may be more to accept. An edge will not repeat, so it is remembered.
    ready: bool,
}

impl Listening {
    /// Whether it is what `wanted` asks for. A port may come to be spoken to in another way; where
    /// it is any free one, there is no telling whether it is the same.
    fn serves(&self, wanted: &Listen) -> bool {
        self.asked == *wanted || self.asked.place == wanted.place && wanted.port() != 0
    }
}

/// A client and where it came in.
#[derive(Debug)]
pub struct Incoming {
    /// Its socket and address.
    pub arrival: Arrival,
    /// The listener's port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub secure: bool,
}

/// Listeners bound and not yet in use.
#[derive(Debug, Default)]
pub struct Bound {
    listeners: Vec<(Listen, ListenSocket)>,
    /// Those of an address family that this machine does not have.
    pub missing: Vec<(Listen, io::Error)>,
}

impl Acceptor {
    /// No listeners yet.
    pub fn new() -> Self {
        Self {
            listeners: Vec::new(),
            next_number: 0,
            spare: SpareDescriptor::new(),
            paused_until: None,
            complained: None,
            inherits: None,
        }
    }

    /// Binds those of `wanted` that are not open yet. Nothing changes for those that are.
    ///
    /// # Errors
    /// The first that cannot be bound: which, and why.
    pub fn bind(
        &self,
        wanted: &[At<Listen>],
        kernel: &Kernel,
    ) -> Result<Bound, (At<Listen>, io::Error)> {
        let mut bound = Bound::default();
        for listen in wanted {
            if self.listeners.iter().any(|open| open.serves(&listen.value)) {
                continue;
            }
            match kernel.listen(&listen.value.place) {
                Ok(listener) => bound.listeners.push((listen.value.clone(), listener)),
                // A machine without IPv6 has no ::1; the other addresses are enough.
                Err(error) if wanted.len() > 1 && is_missing_family(&listen.value, &error) => {
                    bound.missing.push((listen.value.clone(), error));
                }
                Err(error) => return Err((listen.clone(), error)),
            }
        }
        Ok(bound)
    }

    /// Listens on `wanted` from now on: takes in what was bound for it, closes what is not wanted
    /// any more. Clients already accepted stay.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn adopt(
        &mut self,
        wanted: &[At<Listen>],
        bound: Bound,
        kernel: &Kernel,
    ) -> io::Result<()> {
        self.listeners.retain_mut(|open| {
            let kept = wanted.iter().find(|listen| open.serves(&listen.value));
            if let Some(listen) = kept {
                open.asked = listen.value.clone();
            }
            kept.is_some()
        });
        for (asked, listener) in bound.listeners {
            let number = self.next_number;
            self.next_number = self.next_number.wrapping_add(1);
            kernel.watch_listener(&listener, number)?;
            self.listeners.push(Listening { number, asked, listener, ready: true });
        }
        Ok(())
    }

    /// Closes all listeners. Who waits in their queues is refused by the kernel.
    pub fn close(&mut self) {
        self.listeners.clear();
    }

    /// An event of a listener.
    pub fn mark(&mut self, number: u32) {
        if let Some(listening) = self.listeners.iter_mut().find(|l| l.number == number) {
            listening.ready = true;
        }
    }

    /// When there is something to do without an event: at once, or after a pause.
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let ready = self.listeners.iter().any(|listening| listening.ready);
        ready.then(|| self.paused_until.unwrap_or(now))
    }

    /// Whether a client really waits. Asked before another one is sent away for it.
    pub fn somebody_waits(&mut self) -> bool {
        for listening in &mut self.listeners {
            listening.ready &= listening.listener.has_waiting();
        }
        self.listeners.iter().any(|listening| listening.ready)
    }

    /// A descriptor has become free: whoever waits for one can be accepted.
    pub fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Accepts nobody for a while: the table is full.
    pub fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
    }

    /// Accepts who waits, at most [`ACCEPTS_PER_TURN`] and `room`. Returns a complaint for the log
    /// when descriptors have run out.
    pub fn accept(
        &mut self,
        now: Instant,
        room: usize,
        mut welcome: impl FnMut(Incoming),
    ) -> Option<io::Error> {
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.paused_until = None;
        let mut left = ACCEPTS_PER_TURN.min(room);
        for n in 0..self.listeners.len() {
            while left > 0 && self.listeners[n].ready {
                match self.listeners[n].listener.accept() {
                    Ok(arrival) => {
                        left -= 1;
                        self.see_to_options(&arrival);
                        let Listening { listener, asked, .. } = &self.listeners[n];
                        let (port, secure) = (listener.port(), asked.secure);
                        welcome(Incoming { arrival, port, secure });
                    }
                    Err(error) => match reaction(&error) {
                        Reaction::Rest => self.listeners[n].ready = false,
                        Reaction::Next => {}
                        Reaction::Pause => {
                            self.turn_one_away(n);
                            self.pause(now);
                            return self.complain(now).then_some(error);
                        }
                    },
                }
            }
        }
        None
    }

    /// Closes one waiting client with the descriptor held in reserve, so that at least it knows.
    fn turn_one_away(&mut self, n: usize) {
        self.spare.release();
        drop(self.listeners[n].listener.accept());
        self.spare.refill();
    }

    fn complain(&mut self, now: Instant) -> bool {
        let due = self.complained.is_none_or(|last| now - last >= COMPLAIN);
        if due {
            self.complained = Some(now);
        }
        due
    }

    fn see_to_options(&mut self, arrival: &Arrival) {
        let Some(socket) = arrival.transport.socket().filter(|_| arrival.peer.is_some()) else {
            return;
        };
        if !*self.inherits.get_or_insert_with(|| inherits_options(socket)) {
            // It is slower without, not wrong.
            let _ = set_options(socket);
        }
    }

    /// Where it listens, and whether for TLS, for the banner.
    pub fn addresses(&self) -> impl Iterator<Item = (&ListenAddress, bool)> {
        self.listeners.iter().map(|open| (open.listener.address(), open.asked.secure))
    }

    /// The port to which clients are sent that should come back encrypted: 443 if it is one of them.
    pub fn https_port(&self) -> Option<u16> {
        let secure = self.listeners.iter().filter(|open| open.asked.secure);
        secure.map(|open| open.listener.port()).min_by_key(|port| *port != 443)
    }
}

impl Default for Acceptor {
    fn default() -> Self {
        Self::new()
    }
}

fn is_missing_family(listen: &Listen, error: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT].map(Errno::raw_os_error);
    matches!(listen.place, Place::Addr(address) if address.is_ipv6())
        && error.raw_os_error().is_some_and(|code| missing.contains(&code))
}

enum Reaction {
    /// Nobody waits: until the next event.
    Rest,
    /// That client is gone; the next.
    Next,
    /// No descriptors.
    Pause,
}

fn reaction(error: &io::Error) -> Reaction {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN) => Reaction::Rest,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Reaction::Pause,
        // Errors of a single connection, which `accept` passes on (accept(2)).
        Some(_) => Reaction::Next,
        None if error.kind() == ErrorKind::WouldBlock => Reaction::Rest,
        None => Reaction::Next,
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
