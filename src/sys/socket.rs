//! Listening sockets and accepting from them.

use super::file;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections the kernel may hold for us. What `net.core.somaxconn` allows is the real bound.
const BACKLOG: i32 = 4096;

/// Unsent bytes the kernel takes from us for one client. Without a bound it buffers megabytes, and
/// then says for minutes nothing of how a slow client is doing; with it, writability means that
/// the client took something. Large enough to keep a fast connection busy.
const UNSENT_MAX: u32 = 256 * 1024;

/// How often the lock of a folder of Unix sockets is asked for, and the pause between: two
/// milliseconds in all, at a start, a reload or an end.
const LOCK_TRIES: u32 = 8;
const LOCK_WAIT: Duration = Duration::from_micros(250);

/// A socket that listens. The path of a Unix socket is removed when it is dropped, if it is still
/// that of this socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// Where it listens; the real port where 0 was asked for.
    pub address: ListenAddress,
    /// Device and inode of a Unix socket's path.
    file: Option<(u64, u64)>,
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

    /// Whether an address could be listened on: binds it for a moment and does not listen, which
    /// keeps nobody from it who reuses addresses.
    ///
    /// # Errors
    /// Those of `socket` and `bind`.
    pub fn probe(address: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
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
        Ok(Self { socket: socket.into(), address: ListenAddress::Ip(address), file: None })
    }

    /// Listens on a path. A socket on which no process listens any more is replaced; nothing else is.
    ///
    /// # Errors
    /// As `bind`; AddrInUse when a process listens there, AlreadyExists when it is not a socket.
    pub fn bind_unix(path: &Path) -> io::Result<Self> {
        let address = socket2::SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        // A socket that is bound and does not listen yet would look like one that is left over: no
        // other instance may look at it before.
        let lock = FolderLock::take(path);
        if let Err(error) = socket.bind(&address) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error);
            }
            check_unix(path)?;
            if !is_left_over(&address)? || lock.is_none() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        socket.listen(BACKLOG)?;
        let file = file_id(path);
        Ok(Self { socket: socket.into(), address: ListenAddress::Unix(path.into()), file })
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

    /// Whether `accept` would find somebody. Yes if that cannot be said.
    pub fn has_waiting(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }
}

impl ListenAddress {
    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Unix(_) => 0,
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
            let _lock = FolderLock::take(path);
            // Another instance, or whatever was put there since, keeps its path.
            if self.file.is_some() && self.file == file_id(path) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whether a Unix socket may be bound here: nothing has the path, or a socket, which may be left
/// over. What else is there would be lost.
///
/// # Errors
/// AlreadyExists: something else has the path.
pub fn check_unix(path: &Path) -> io::Result<()> {
    match path.symlink_metadata().map(|about| about.file_type()) {
        Ok(kind) if !kind.is_socket() => {
            let what = format!("{} is there, and is left as it is", file::kind_name(kind));
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether no process listens on a socket any more. A full queue (WouldBlock) has a listener.
fn is_left_over(address: &socket2::SockAddr) -> io::Result<bool> {
    let caller = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match caller.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(false),
    }
}

/// Device and inode of what has a name.
fn file_id(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|about| (about.dev(), about.ino()))
}

/// Keeps other instances from binding or removing Unix sockets in the same folder.
struct FolderLock(#[expect(dead_code, reason = "held until it is dropped")] OwnedFd);

impl FolderLock {
    /// `None` where the folder may not be read, or another process keeps its lock: another instance
    /// has it for some system calls only.
    fn take(socket: &Path) -> Option<Self> {
        let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = file::open(folder.unwrap_or(Path::new("."))).ok()?;
        let lock = || flock(&folder, FlockOperation::NonBlockingLockExclusive);
        let wait = || std::thread::sleep(LOCK_WAIT);
        (0..LOCK_TRIES).find(|_| lock().inspect_err(|_| wait()).is_ok())?;
        Some(Self(folder.into()))
    }
}

/// Whether an accepted socket has what was set on its listener. It does on Linux; others say that
/// it need not be relied on, so it is asked once.
pub fn inherits_options(accepted: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::tcp_nodelay(accepted).unwrap_or(false)
}

/// Sets on a socket what its listener did not pass on.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_options(accepted: BorrowedFd<'_>) -> io::Result<()> {
    let socket = socket2::SockRef::from(&accepted);
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
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::net::TcpStream;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn accepted_sockets_inherit_and_ipv4_is_ipv4() {
        let listener = Listener::bind_any(0).unwrap();
        let _client = TcpStream::connect(("127.0.0.1", listener.address.port())).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok(accepted) => break accepted,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        assert!(accepted.peer.unwrap().ip().is_ipv4());
        assert!(inherits_options(accepted.socket.as_fd()));
        let unsent = socket2::SockRef::from(&accepted.socket).tcp_notsent_lowat().unwrap();
        assert_eq!(unsent, UNSENT_MAX);
    }

    #[test]
    fn a_unix_socket_that_is_left_over_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        drop(UnixListener::bind(path("left over")).unwrap());
        let listener = Listener::bind_unix(&path("left over")).unwrap();
        UnixStream::connect(path("left over")).unwrap();
        drop(listener);
        assert!(!path("left over").exists());

        let live = UnixListener::bind(path("live")).unwrap();
        let _datagrams = UnixDatagram::bind(path("datagrams")).unwrap();
        std::fs::write(path("text"), "text").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        symlink("text", path("link")).unwrap();
        symlink("live", path("link to live")).unwrap();
        symlink("none", path("dangling")).unwrap();
        mkfifoat(CWD, path("fifo"), Mode::RUSR).unwrap();
        for (name, says) in [
            ("live", "in use"),
            ("datagrams", "rong type"),
            ("text", "a regular file is there"),
            ("folder", "a folder is there"),
            ("link", "a symbolic link is there"),
            ("link to live", "a symbolic link is there"),
            ("dangling", "a symbolic link is there"),
            ("fifo", "a FIFO is there"),
        ] {
            let before = file_id(&path(name));
            let why = Listener::bind_unix(&path(name)).unwrap_err().to_string();
            assert!(why.contains(says), "{name}: {why}");
            assert_eq!(file_id(&path(name)), before, "{name}");
        }
        assert_eq!(std::fs::read(path("text")).unwrap(), b"text");
        drop(live);
    }

    #[test]
    fn only_its_own_path_is_removed_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = Listener::bind_unix(&path).unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        let second = Listener::bind_unix(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "text").unwrap();
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"text");
    }

    #[test]
    fn of_instances_that_start_together_one_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for _ in 0..50 {
            drop(UnixListener::bind(&path).unwrap());
            let bind = || Listener::bind_unix(&path);
            let results = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
            UnixStream::connect(&path).unwrap();
        }
    }
}
