//! The kernel, as far as the loop needs it: events, the time, listeners, orders.
//!
//! Everything that the loop does follows from what it is told here. In tests a script tells it, and
//! the same loop runs in a time that passes as the script has it.

use super::control::{Control, Order};
use crate::conf::Place;
use crate::event::{Clock, ConnId, Event, Target};
use crate::net::Transport;
use crate::sys::socket::{ListenAddress, Listener};
use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Events taken at once.
pub const EVENTS: usize = 1024;

/// Where events, time, clients and orders come from.
pub enum Kernel {
    /// The one of this machine.
    Real(Real),
    /// One that does what a test says.
    #[cfg(test)]
    Scripted(script::Scripted),
}

/// The kernel of this machine.
pub struct Real {
    poll: Poll,
    events: Events,
    /// Signals, once they are taken over.
    control: Option<Control>,
}

/// A socket that listens.
#[derive(Debug)]
pub enum ListenSocket {
    /// Of TCP, or a Unix socket.
    Real(Listener),
    /// One whose clients a test makes.
    #[cfg(test)]
    Scripted(script::Queue),
}

/// A client that has come in.
#[derive(Debug)]
pub struct Arrival {
    /// How bytes reach it.
    pub transport: Transport,
    /// Its address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
}

impl Kernel {
    /// The one of this machine. Signals are left alone until they are taken over.
    ///
    /// # Errors
    /// No descriptor for the poll.
    pub fn real() -> io::Result<Self> {
        let events = Events::with_capacity(EVENTS);
        Ok(Self::Real(Real { poll: Poll::new()?, events, control: None }))
    }

    /// The registry, for sources and wakers.
    pub fn registry(&self) -> &Registry {
        match self {
            Self::Real(real) => real.poll.registry(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.registry(),
        }
    }

    /// Hears of signals from now on.
    ///
    /// # Errors
    /// See [`Control::new`].
    pub fn take_signals(&mut self) -> io::Result<()> {
        match self {
            Self::Real(real) => real.control = Some(Control::new(real.poll.registry())?),
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
        Ok(())
    }

    /// Waits until something happens, for `timeout` at most, and adds at most [`EVENTS`] to
    /// `happened`, which is emptied first.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub fn wait(&mut self, timeout: Option<Duration>, happened: &mut Vec<Event>) -> io::Result<()> {
        happened.clear();
        match self {
            Self::Real(Real { poll, events, .. }) => {
                while let Err(error) = poll.poll(events, timeout) {
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                happened.extend(events.iter().filter_map(Event::of));
            }
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.take_events(happened),
        }
        Ok(())
    }

    /// Has the clock show the present.
    pub fn tick(&self, clock: &mut Clock) {
        match self {
            Self::Real(_) => clock.tick(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.tick(clock),
        }
    }

    /// The present, read anew.
    pub fn now(&self) -> Instant {
        match self {
            Self::Real(_) => Instant::now(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.now(),
        }
    }

    /// What was ordered since it was last asked.
    pub fn take_orders(&mut self) -> Vec<Order> {
        match self {
            Self::Real(real) => real.control.as_mut().map(Control::take).unwrap_or_default(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.take_orders(),
        }
    }

    /// Listens at a place.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    pub fn listen(&self, place: &Place) -> io::Result<ListenSocket> {
        match self {
            Self::Real(_) => ListenSocket::bind(place),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.listen(place),
        }
    }

    /// Tells of clients that wait at a listener, under its number.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn watch_listener(&self, listener: &ListenSocket, number: u32) -> io::Result<()> {
        match listener {
            ListenSocket::Real(listener) => {
                let fd = listener.as_fd().as_raw_fd();
                self.watch(&mut SourceFd(&fd), Target::Listener(number), Interest::READABLE)
            }
            #[cfg(test)]
            ListenSocket::Scripted(queue) => {
                queue.watch(number);
                Ok(())
            }
        }
    }

    /// Tells what happens to the socket of a client, for life.
    ///
    /// # Errors
    /// Those of `epoll_ctl`: no memory, too many watches.
    pub fn watch_client(&self, transport: &Transport, id: ConnId) -> io::Result<()> {
        match self {
            Self::Real(_) => {
                let both = Interest::READABLE | Interest::WRITABLE;
                self.watch(&mut SourceFd(&transport.raw_fd()), Target::Connection(id), both)
            }
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.watch_client(transport, id),
        }
    }

    fn watch(
        &self,
        source: &mut impl Source,
        target: Target,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry().register(source, target.token(), interest)
    }
}

impl ListenSocket {
    fn bind(place: &Place) -> io::Result<Self> {
        Ok(Self::Real(match place {
            Place::Any { port } => Listener::bind_any(*port)?,
            Place::Addr(address) => Listener::bind(*address)?,
            Place::Unix(path) => Listener::bind_unix(path)?,
        }))
    }

    /// Accepts one client.
    ///
    /// # Errors
    /// Those of `accept4`; WouldBlock where nobody waits.
    pub fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Real(listener) => {
                let accepted = listener.accept()?;
                let transport = Transport::Plain(accepted.socket);
                Ok(Arrival { transport, peer: accepted.peer })
            }
            #[cfg(test)]
            Self::Scripted(queue) => queue.accept(),
        }
    }

    /// Whether a client waits to be accepted.
    pub fn has_waiting(&self) -> bool {
        match self {
            Self::Real(listener) => listener.has_waiting(),
            #[cfg(test)]
            Self::Scripted(queue) => queue.has_waiting(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &ListenAddress {
        match self {
            Self::Real(listener) => &listener.address,
            #[cfg(test)]
            Self::Scripted(queue) => queue.address(),
        }
    }

    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.address().port()
    }
}

#[cfg(test)]
pub mod script;
