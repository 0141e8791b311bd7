//! The client's socket.
//!
//! An enum of few rather than a trait: the set is known, and the compiler sees through it.

use super::FileSlice;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How bytes reach a client. Owns the socket.
#[derive(Debug)]
pub enum Transport {
    /// A TCP or Unix stream socket, as it is.
    Plain(OwnedFd),
    /// A script of short reads and writes, for the simulation.
    #[cfg(test)]
    Scripted(Script),
}

impl Transport {
    /// Receives once.
    ///
    /// # Errors
    /// Those of `recv`.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(fd) => Ok(rustix::net::recv(fd, into, RecvFlags::empty())?.0),
            #[cfg(test)]
            Self::Scripted(script) => script.read(into),
        }
    }

    /// Sends once. `more`: more follows at once, so that the kernel need not send a part-filled
    /// segment (MSG_MORE; a cork without the two system calls).
    ///
    /// # Errors
    /// Those of `send`. A client that is gone is an error, never a SIGPIPE.
    pub fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        match self {
            Self::Plain(fd) => Ok(rustix::net::send(fd, bytes, flags(more))?),
            #[cfg(test)]
            Self::Scripted(script) => script.write(bytes),
        }
    }

    /// Sends several pieces with one call.
    ///
    /// # Errors
    /// Those of `sendmsg`.
    pub fn write_vectored(&mut self, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        match self {
            Self::Plain(fd) => {
                let mut control = rustix::net::SendAncillaryBuffer::default();
                Ok(rustix::net::sendmsg(fd, pieces, &mut control, flags(more))?)
            }
            #[cfg(test)]
            Self::Scripted(script) => {
                let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
                script.write(&all)
            }
        }
    }

    /// Sends up to `max` bytes of a file. 0 means that the file ends before the slice does: it has
    /// been cut since its length was promised.
    ///
    /// # Errors
    /// Those of `sendfile`.
    pub fn send_file(&mut self, slice: &FileSlice, max: usize) -> io::Result<usize> {
        let count = usize::try_from(slice.len).unwrap_or(usize::MAX).min(max);
        match self {
            Self::Plain(fd) => {
                let mut offset = slice.offset;
                Ok(rustix::fs::sendfile(fd, &*slice.file, Some(&mut offset), count)?)
            }
            #[cfg(test)]
            Self::Scripted(script) => script.send_file(slice, count),
        }
    }

    /// Says that nothing more will be sent. What was sent is still delivered.
    pub fn shutdown_write(&mut self) {
        match self {
            Self::Plain(fd) => {
                // The peer may be gone already; then there is nobody to tell.
                let _ = rustix::net::shutdown(fd.as_fd(), Shutdown::Write);
            }
            #[cfg(test)]
            Self::Scripted(script) => script.closed_by_us = true,
        }
    }

    /// Has the kernel send whole segments only, until it is told otherwise.
    pub fn cork(&mut self, on: bool) {
        match self {
            // It is slower without, not wrong: a Unix socket has none.
            Self::Plain(fd) => {
                let _ = rustix::net::sockopt::set_tcp_cork(fd, on);
            }
            #[cfg(test)]
            Self::Scripted(script) => script.corked = on,
        }
    }

    /// Has the end of the connection look like a failure to the client: what was sent is not all.
    pub fn reset_on_close(&mut self) {
        match self {
            // It only makes a failure visible; it cannot be made worse.
            Self::Plain(fd) => {
                let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
            }
            #[cfg(test)]
            Self::Scripted(script) => script.reset_on_close = true,
        }
    }

    /// The descriptor, for registering with the poll.
    pub fn raw_fd(&self) -> RawFd {
        match self {
            Self::Plain(fd) => fd.as_raw_fd(),
            #[cfg(test)]
            Self::Scripted(_) => -1,
        }
    }
}

fn flags(more: bool) -> SendFlags {
    if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL }
}

#[cfg(test)]
pub use script::{Incoming, Script};

#[cfg(test)]
#[allow(missing_docs)] // for tests only
mod script {
    use super::FileSlice;
    use std::collections::VecDeque;
    use std::io;
    use std::os::unix::fs::FileExt;

    /// What happens at the next call.
    #[derive(Clone, Debug)]
    pub enum Incoming {
        Bytes(Vec<u8>),
        WouldBlock,
        End,
        Reset,
    }

    /// A client made of a list of what arrives and a list of how much it takes.
    #[derive(Debug, Default)]
    pub struct Script {
        pub incoming: VecDeque<Incoming>,
        /// How much each write may take; 0 is WouldBlock; when empty, everything.
        pub takes: VecDeque<usize>,
        /// What the send buffer has room for; `None`: everything.
        pub room: Option<usize>,
        /// A write met the end of the room: once there is some again, that is an event.
        pub blocked: bool,
        pub sent: Vec<u8>,
        pub closed_by_us: bool,
        pub reset_on_close: bool,
        pub corked: bool,
        pub reset: bool,
        /// Bytes that were read.
        pub received: usize,
        /// Calls that sent something.
        pub writes: usize,
    }

    impl Script {
        /// All of `bytes`, in reads of at most `step`.
        pub fn incoming(bytes: &[u8], step: usize) -> Self {
            let incoming =
                bytes.chunks(step.max(1)).map(|piece| Incoming::Bytes(piece.to_vec())).collect();
            Self { incoming, ..Self::default() }
        }

        /// `bytes` arrive behind what has not been read yet: one read may take them all.
        pub fn arrive(&mut self, bytes: &[u8]) {
            if bytes.is_empty() {
                return;
            }
            match self.incoming.back_mut() {
                Some(Incoming::Bytes(unread)) => unread.extend_from_slice(bytes),
                _ => self.incoming.push_back(Incoming::Bytes(bytes.to_vec())),
            }
        }

        /// The client resets the connection. What it sent before can still be read.
        pub fn reset(&mut self) {
            self.reset = true;
            self.incoming.push_back(Incoming::Reset);
        }

        /// Whether the client has said that it sends no more.
        pub fn has_ended(&self) -> bool {
            matches!(self.incoming.back(), Some(Incoming::End | Incoming::Reset))
        }

        /// Whether nothing goes either way.
        pub fn is_gone(&self) -> bool {
            self.reset || self.closed_by_us && self.has_ended()
        }

        pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.incoming.pop_front() {
                Some(Incoming::Bytes(mut bytes)) => {
                    let n = bytes.len().min(into.len());
                    into[..n].copy_from_slice(&bytes[..n]);
                    if n < bytes.len() {
                        bytes.drain(..n);
                        self.incoming.push_front(Incoming::Bytes(bytes));
                    }
                    self.received += n;
                    Ok(n)
                }
                Some(Incoming::WouldBlock) | None => Err(io::ErrorKind::WouldBlock.into()),
                Some(Incoming::End) => {
                    self.incoming.push_front(Incoming::End);
                    Ok(0)
                }
                Some(Incoming::Reset) => {
                    self.reset = true;
                    self.incoming.push_front(Incoming::End);
                    Err(io::ErrorKind::ConnectionReset.into())
                }
            }
        }

        pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = self.takes(bytes.len())?;
            self.sent.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        pub fn send_file(&mut self, slice: &FileSlice, count: usize) -> io::Result<usize> {
            let n = self.takes(count)?;
            let mut piece = vec![0; n];
            let read = slice.file.read_at(&mut piece, slice.offset)?;
            self.sent.extend_from_slice(&piece[..read]);
            Ok(read)
        }

        fn takes(&mut self, offered: usize) -> io::Result<usize> {
            if self.reset {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let room = self.room.unwrap_or(usize::MAX);
            let n = self.takes.pop_front().unwrap_or(usize::MAX).min(room).min(offered);
            self.blocked |= n < offered;
            if n == 0 && offered > 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room = self.room.map(|room| room - n);
            self.writes += 1;
            Ok(n)
        }
    }
}
