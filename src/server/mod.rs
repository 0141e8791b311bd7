//! The server: the loop, the connections it drives, the logs they write.

mod acceptor;
mod access_log;
mod connection;
mod control;
mod drive;
mod embed;
mod error_log;
mod event_loop;
mod explain;
mod harvester;
mod kernel;
mod load;
mod log_sink;
mod places;
mod routing;
mod table;
pub mod testing;
mod transaction;
mod watch;

pub use embed::{Refusal, Server, SiteServer};
pub use event_loop::Ended;
pub use explain::{Explanation, Question};
pub use load::{ConfigSource, Failure, Loaded, Origin, Overrides, QuickTls};

use crate::event::Stopper;
use crate::sys::pid_file::PidFile;
use crate::sys::socket::ListenAddress;
use acceptor::Acceptor;
use event_loop::EventLoop;
use kernel::Kernel;
use load::{cannot_listen, cannot_listen_everywhere};
use std::net::SocketAddr;

/// A server that has its listeners and has not yet answered anybody.
///
/// ```
/// use httpyserver::{App, Server};
///
///
/// let server: httpyserver::Running =
///     Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
/// assert!(server.address().is_some());
/// # Ok::<(), httpyserver::Failure>(())
/// ```
pub struct Running {
    event_loop: EventLoop,
    banner: String,
    address: Option<SocketAddr>,
    /// Removed when the server has ended.
    _pid_file: Option<PidFile>,
}

impl Running {
    /// Loads the configuration and binds its listeners.
    ///
    /// # Errors
    /// The configuration is refused, or something it asks for cannot be had.
    ///
    /// ```
    /// use httpyserver::Running;
    /// use httpyserver::server::{ConfigSource, Origin, Overrides};
    ///
    /// let text = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nrespond = \"hello\"\n";
    /// let source = ConfigSource {
    ///     origin: Origin::Text(text.into()),
    ///     overrides: Overrides::default(),
    ///     registry: Default::default(),
    /// };
    /// assert!(Running::bind(source).is_ok());
    /// ```
    pub fn bind(source: ConfigSource) -> Result<Self, Failure> {
        let loaded = source.load(None)?;
        let kernel = Kernel::real()?;
        let mut acceptor = Acceptor::new();
        let bound = acceptor
            .bind(&loaded.listen, &kernel)
            .map_err(|(at, error)| cannot_listen(&at, &error))?;
        let missing = cannot_listen_everywhere(&bound);
        acceptor.adopt(&loaded.listen, bound, &kernel)?;
        let pid_file = loaded.settle_in()?;
        let address = acceptor.addresses().find_map(|(address, _)| match address {
            ListenAddress::Ip(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        });
        let banner = loaded.banner(&source, acceptor.addresses(), &missing);
        let event_loop = EventLoop::new(kernel, loaded, acceptor, source)?;
        Ok(Self { event_loop, banner, address, _pid_file: pid_file })
    }

    /// What to tell whoever started it: where it listens, what it serves.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).start()?;
    /// assert!(server.banner().contains("127.0.0.1"));
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// The first address it listens on; `None` where there are Unix sockets only.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
    /// assert!(server.address().unwrap().ip().is_loopback());
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What another thread can stop it with.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    /// use std::io::{Read, Write};
    ///
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let thread = std::thread::spawn(move || {
    ///     let app = App::new().get("/", |_| "hello");
    ///     let mut server = Server::bind("127.0.0.1:0").app(app).quiet().start().unwrap();
    ///     sender.send((server.address().unwrap(), server.stopper().unwrap())).unwrap();
    ///     server.run().unwrap()
    /// });
    /// let (address, stopper) = receiver.recv().unwrap();
    /// let mut socket = std::net::TcpStream::connect(address).unwrap();
    /// socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    /// let mut answer = String::new();
    /// socket.read_to_string(&mut answer).unwrap();
    /// assert!(answer.ends_with("hello"));
    /// stopper.stop();
    /// assert_eq!(thread.join().unwrap(), httpyserver::server::Ended::Finished);
    /// ```
    pub fn stopper(&mut self) -> Result<Stopper, Failure> {
        Ok(self.event_loop.stopper()?)
    }

    /// Serves until a signal says stop, or an application that is required cannot be started.
    ///
    /// # Errors
    /// The poll fails.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// use httpyserver::server::Ended;
    ///
    /// let mut server = Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
    /// server.stopper()?.stop();
    /// assert_eq!(server.run()?, Ended::Finished);
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn run(mut self) -> Result<Ended, Failure> {
        Ok(self.event_loop.run()?)
    }
}
