//! The client's socket.
//!
//! An enum of few rather than a trait: the set is known, and the compiler sees through it.

use super::{FileSlice, Tls};
use crate::event::Buffers;
use crate::sys::backlog::Backlog;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// How bytes reach a client. Owns the socket.
#[derive(Debug)]
pub enum Transport {
    /// A TCP or Unix stream socket, as it is.
    Plain(OwnedFd),
    /// TLS over one of the others.
    Tls(Box<Tls>),
    /// A script of short reads and writes, for the simulation.
    #[cfg(test)]
    Scripted(SharedScript),
}

/// How a read went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Bytes read.
    pub bytes: usize,
    /// Bytes that came in for it: encrypted ones are more, and those of a handshake say nothing.
    pub moved: usize,
    /// The read could have taken more, so that the socket is empty and nothing is held back.
    pub short: bool,
    /// The peer has said that nothing follows.
    pub ended: bool,
}

impl Transport {
    /// Receives once.
    ///
    /// # Errors
    /// Those of `recv`; `InvalidData` where what came is no TLS, or none that can be agreed on.
    pub fn read(&mut self, into: &mut [u8], pool: &mut Buffers) -> io::Result<Filled> {
        if let Self::Tls(tls) = self {
            return tls.read(into, pool.scratch());
        }
        let room = into.len();
        let bytes = self.receive(into)?;
        Ok(Filled { bytes, moved: bytes, short: bytes < room, ended: bytes == 0 })
    }

    /// Receives as it comes from the socket; 0 is the end.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(fd) => Ok(rustix::net::recv(fd, into, RecvFlags::empty())?.0),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(test)]
            Self::Scripted(script) => script.get().read(into),
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
            Self::Tls(tls) => tls.write(&[IoSlice::new(bytes)]),
            #[cfg(test)]
            Self::Scripted(script) => script.get().write(bytes),
        }
    }

    /// Sends several pieces with one call. Encrypted ones may stay here until `flush`.
    ///
    /// # Errors
    /// Those of `sendmsg`.
    pub fn write_vectored(&mut self, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        match self {
            Self::Plain(fd) => {
                let mut control = rustix::net::SendAncillaryBuffer::default();
                Ok(rustix::net::sendmsg(fd, pieces, &mut control, flags(more))?)
            }
            Self::Tls(tls) => tls.write(pieces),
            #[cfg(test)]
            Self::Scripted(script) => {
                let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
                script.get().write(&all)
            }
        }
    }

    /// Sends up to `max` bytes of a file. 0 means that the file ends before the slice does: it has
    /// been cut since its length was promised.
    ///
    /// # Errors
    /// Those of `sendfile`.
    pub fn send_file(
        &mut self,
        slice: &FileSlice,
        max: usize,
        pool: &mut Buffers,
    ) -> io::Result<usize> {
        let count = usize::try_from(slice.len).unwrap_or(usize::MAX).min(max);
        match self {
            Self::Plain(fd) => {
                let mut offset = slice.offset;
                Ok(rustix::fs::sendfile(fd, &*slice.file, Some(&mut offset), count)?)
            }
            Self::Tls(tls) => tls.send_file(slice, count, pool.scratch()),
            #[cfg(test)]
            Self::Scripted(script) => script.get().send_file(slice, count),
        }
    }

    /// Whether files go from the disk to the socket without passing through this process.
    pub fn sends_by_kernel(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    /// Whether something that was written has not left yet: records, a handshake, an alert.
    pub fn wants_write(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.wants_write())
    }

    /// Sends what has not left yet. Returns whether the socket is full.
    ///
    /// # Errors
    /// Those of `sendmsg` but WouldBlock.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Tls(tls) => tls.flush(),
            _ => Ok(false),
        }
    }

    /// Bytes that left since this was last asked, where what is written leaves later.
    pub fn take_sent(&mut self) -> u64 {
        match self {
            Self::Tls(tls) => tls.take_sent(),
            _ => 0,
        }
    }

    /// Puts in line what tells the client that all was sent. Whether there is such a thing, and it
    /// was not said before.
    pub fn say_goodbye(&mut self) -> bool {
        match self {
            Self::Tls(tls) => tls.say_goodbye(),
            _ => false,
        }
    }

    /// Lets nothing tell the client that all was sent, for it was not.
    pub fn say_no_goodbye(&mut self) {
        if let Self::Tls(tls) = self {
            tls.say_no_goodbye();
        }
    }

    /// TLS, if it is spoken.
    pub fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tls(tls) => Some(tls),
            _ => None,
        }
    }

    /// Says that nothing more will be sent. What was sent is still delivered.
    pub fn shutdown_write(&mut self) {
        match self {
            Self::Plain(fd) => {
                // The peer may be gone already; then there is nobody to tell.
                let _ = rustix::net::shutdown(fd.as_fd(), Shutdown::Write);
            }
            Self::Tls(tls) => tls.wire().shutdown_write(),
            #[cfg(test)]
            Self::Scripted(script) => script.get().closed_by_us = true,
        }
    }

    /// Has the kernel send whole segments only, until it is told otherwise.
    pub fn cork(&mut self, on: bool) {
        match self {
            // It is slower without, not wrong: a Unix socket has none.
            Self::Plain(fd) => {
                let _ = rustix::net::sockopt::set_tcp_cork(fd, on);
            }
            // Records are handed over by the chunk: whole segments come by themselves.
            Self::Tls(_) => {}
            #[cfg(test)]
            Self::Scripted(script) => script.get().corked = on,
        }
    }

    /// Has the end of the connection look like a failure to the client: what was sent is not all.
    pub fn reset_on_close(&mut self) {
        match self {
            // It only makes a failure visible; it cannot be made worse.
            Self::Plain(fd) => {
                let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
            }
            Self::Tls(tls) => tls.reset_on_close(),
            #[cfg(test)]
            Self::Scripted(script) => script.get().reset_on_close = true,
        }
    }

    /// Bytes that the kernel holds because the client has not taken them; `None` where it does not say.
    pub fn held(&self, backlog: &mut Backlog) -> Option<u64> {
        match self {
            #[cfg(test)]
            Self::Scripted(script) => script.get().held,
            _ => backlog.of(self.socket()?),
        }
    }

    /// Its socket, for asking the kernel about it.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(fd) => Some(fd.as_fd()),
            Self::Tls(tls) => tls.socket(),
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// The descriptor, for registering with the poll.
    pub fn raw_fd(&self) -> RawFd {
        match self {
            Self::Plain(fd) => fd.as_raw_fd(),
            Self::Tls(tls) => tls.raw_fd(),
            #[cfg(test)]
            Self::Scripted(_) => -1,
        }
    }
}

fn flags(more: bool) -> SendFlags {
    if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL }
}

#[cfg(test)]
pub use script::{Incoming, Script, SharedScript};

#[cfg(test)]
#[allow(missing_docs)] // for tests only
mod script {
    use super::{FileSlice, Transport};
    use std::cell::{RefCell, RefMut};
    use std::collections::VecDeque;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::rc::Rc;

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
        /// How much of the first was read.
        pub begun: usize,
        /// How much each write may take; 0 is WouldBlock; when empty, everything.
        pub takes: VecDeque<usize>,
        /// What the send buffer has room for; `None`: everything.
        pub room: Option<usize>,
        /// What the send buffer is said to hold.
        pub held: Option<u64>,
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

    /// A script that both its transport and a test hold: it outlives the connection.
    #[derive(Clone, Debug, Default)]
    pub struct SharedScript(Rc<RefCell<Script>>);

    impl SharedScript {
        pub fn get(&self) -> RefMut<'_, Script> {
            self.0.borrow_mut()
        }

        /// Whether it is the same client.
        pub fn is(&self, other: &Self) -> bool {
            Rc::ptr_eq(&self.0, &other.0)
        }

        /// How many hold it.
        pub fn holders(&self) -> usize {
            Rc::strong_count(&self.0)
        }
    }

    impl From<Script> for SharedScript {
        fn from(script: Script) -> Self {
            Self(Rc::new(RefCell::new(script)))
        }
    }

    impl Transport {
        /// The script of a client, beneath TLS if there is some.
        pub fn script(&self) -> &SharedScript {
            match self {
                Self::Scripted(script) => script,
                Self::Tls(tls) => tls.script(),
                Self::Plain(_) => unreachable!("every socket of a test is a script"),
            }
        }
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
                Some(Incoming::Bytes(bytes)) => {
                    let rest = &bytes[self.begun..];
                    let n = rest.len().min(into.len());
                    into[..n].copy_from_slice(&rest[..n]);
                    self.received += n;
                    self.begun = if n < rest.len() { self.begun + n } else { 0 };
                    if self.begun > 0 {
                        self.incoming.push_front(Incoming::Bytes(bytes));
                    }
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
