//! The server: the loop, the connections it drives, the logs they write.

mod acceptor;
mod access_log;
mod connection;
mod control;
mod error_log;
mod event_loop;
mod harvester;
mod load;
mod log_sink;
mod table;
mod watch;

pub use load::{ConfigSource, Failure, Loaded, Origin, Overrides, QuickTls};

use acceptor::Acceptor;
use event_loop::EventLoop;
use load::{cannot_listen, cannot_listen_everywhere};
use mio::Poll;

/// A server that has its listeners and has not yet answered anybody.
pub struct Server {
    event_loop: EventLoop,
    banner: String,
}

impl Server {
    /// Loads the configuration and binds its listeners.
    ///
    /// # Errors
    /// The configuration is refused, or something it asks for cannot be had.
    pub fn bind(source: ConfigSource) -> Result<Self, Failure> {
        let loaded = source.load(None)?;
        let poll = Poll::new()?;
        let mut acceptor = Acceptor::new();
        let bound =
            acceptor.bind(&loaded.listen).map_err(|(at, error)| cannot_listen(&at, &error))?;
        let missing = cannot_listen_everywhere(&bound);
        acceptor.adopt(&loaded.listen, bound, poll.registry())?;
        loaded.settle_in()?;
        let banner = loaded.banner(&source, acceptor.addresses(), &missing);
        let event_loop = EventLoop::new(poll, loaded, acceptor, source)?;
        Ok(Self { event_loop, banner })
    }

    /// What to tell whoever started it: where it listens, what it serves.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// Serves until a signal says stop. Returns whether everything in flight was finished.
    ///
    /// # Errors
    /// The poll fails.
    pub fn run(mut self) -> Result<bool, Failure> {
        Ok(self.event_loop.run()?)
    }
}
