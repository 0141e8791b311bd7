//! Listening sockets and accepting from them.

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Connections the kernel may hold for us. What `net.core.somaxconn` allows is the real bound.
const BACKLOG: i32 = 4096;

/// Unsent bytes the kernel takes from us for one client. Without a bound it buffers megabytes, and
/// then says for minutes nothing of how a slow client is doing; with it, writability means that
/// the client took something. Large enough to keep a fast connection busy.
const UNSENT_MAX: u32 = 256 * 1024;

/// A socket that listens. A Unix socket's path is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// Where it listens; the real port where 0 was asked for.
    pub address: ListenAddress,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port. `[::]` stands for all addresses of both families.
    Ip(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

/// An accepted client.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket: non-blocking, closed on exec.
    pub socket: OwnedFd,
    /// Its address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
}

impl Listener {
    /// Listens on one address.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::tcp(address, false)
    }

    /// Listens on all addresses of both families with one socket; of IPv4 alone where there is no
    /// IPv6.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_any(port: u16) -> io::Result<Self> {
        Self::tcp((Ipv6Addr::UNSPECIFIED, port).into(), true).or_else(|error| {
            if error.kind() == io::ErrorKind::AddrInUse
                || error.kind() == io::ErrorKind::PermissionDenied
            {
                return Err(error);
            }
            Self::tcp((std::net::Ipv4Addr::UNSPECIFIED, port).into(), false)
        })
    }

    fn tcp(address: SocketAddr, both_families: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(!both_families)?;
        }
        // Set here once: accepted sockets inherit both on Linux, which `inherits_options` checks.
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(Self { socket: socket.into(), address: ListenAddress::Ip(address) })
    }

    /// Listens on a path. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// As `bind`; AddrInUse when somebody does listen there, or when it is not a socket.
    pub fn bind_unix(path: &Path) -> io::Result<Self> {
        let address = socket2::SockAddr::unix(path)?;
        let new = || Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None);
        let socket = new()?;
        if let Err(error) = socket.bind(&address) {
            let stale = error.kind() == io::ErrorKind::AddrInUse
                && new()?
                    .connect(&address)
                    .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
            if !stale {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        socket.listen(BACKLOG)?;
        Ok(Self { socket: socket.into(), address: ListenAddress::Unix(path.into()) })
    }

    /// Accepts one client.
    ///
    /// # Errors
    /// WouldBlock when nobody waits; EMFILE and ENFILE when there is no descriptor left.
    pub fn accept(&self) -> io::Result<Accepted> {
        let (socket, peer) =
            acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        Ok(Accepted { socket, peer: peer.and_then(to_std) })
    }

    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match &self.address {
            ListenAddress::Ip(address) => address.port(),
            ListenAddress::Unix(_) => 0,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let ListenAddress::Unix(path) = &self.address {
            // It may have been removed or replaced by another; then there is nothing to do.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether an accepted socket has what was set on its listener. It does on Linux; others say that
/// it need not be relied on, so it is asked once.
pub fn inherits_options(accepted: &OwnedFd) -> bool {
    rustix::net::sockopt::tcp_nodelay(accepted).unwrap_or(false)
}

/// Sets on a socket what its listener did not pass on.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_options(accepted: &OwnedFd) -> io::Result<()> {
    let socket = socket2::SockRef::from(accepted);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_MAX)
}

/// A descriptor held in reserve. When all others are used up it is given up for a moment, so that a
/// waiting client can be accepted and closed instead of waiting for ever.
#[derive(Debug, Default)]
pub struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    /// Takes one.
    pub fn new() -> Self {
        let mut spare = Self(None);
        spare.refill();
        spare
    }

    /// Gives it up.
    pub fn release(&mut self) {
        self.0 = None;
    }

    /// Takes one again, if there is one.
    pub fn refill(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }
}

/// The most descriptors this process may have, after asking for all that it may ask for.
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, wanted).is_ok() {
            return limit.maximum.unwrap_or(u64::MAX);
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

fn to_std(address: SocketAddrAny) -> Option<SocketAddr> {
    let address = SocketAddr::try_from(address).ok()?;
    // A client of IPv4 on a socket of both families comes as ::ffff:1.2.3.4; logs and rules
    // want it as it is.
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn accepted_sockets_inherit_and_ipv4_is_ipv4() {
        let listener = Listener::bind_any(0).unwrap();
        let _client = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok(accepted) => break accepted,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        assert!(accepted.peer.unwrap().ip().is_ipv4());
        assert!(inherits_options(&accepted.socket));
        let unsent = socket2::SockRef::from(&accepted.socket).tcp_notsent_lowat().unwrap();
        assert_eq!(unsent, UNSENT_MAX);
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::mem::forget(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(Listener::bind_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let stale = folder.path().join("t");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let listener = Listener::bind_unix(&stale).unwrap();
        assert!(stale.exists());
        drop(listener);
        assert!(!stale.exists());
    }
}
