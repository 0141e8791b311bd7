//! The tables that are there once: `[server]` to `[compress]`.

use super::At;
use crate::http1::limits::HeadLimits;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where to listen; never empty.
    pub listen: Vec<At<Listen>>,
    /// The account to become after binding.
    pub user: Option<At<String>>,
    /// Where to write the process id.
    pub pid_file: Option<At<PathBuf>>,
    /// The `Server` header; `None` sends none.
    pub server_header: Option<String>,
    /// Whether HTTP/2 is spoken with those who want to.
    pub h2: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![At::implied(Listen::plain(Place::Any { port: 8080 }))],
            user: None,
            pid_file: None,
            server_header: Some("httpyserver".into()),
            h2: false,
        }
    }
}

/// One address to listen on, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// Whether TLS is spoken there (`https://`).
    pub secure: bool,
    /// The address.
    pub place: Place,
}

impl Listen {
    /// An address where HTTP is spoken as it is.
    pub fn plain(place: Place) -> Self {
        Self { secure: false, place }
    }

    /// An address where TLS is spoken.
    pub fn secure(place: Place) -> Self {
        Self { secure: true, place }
    }

    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Any { port } => *port,
            Place::Addr(address) => address.port(),
            Place::Unix(_) => 0,
        }
    }
}

/// As it is written in a configuration.
impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        match &self.place {
            Place::Any { port } => write!(f, "{scheme}://*:{port}"),
            Place::Addr(address) => write!(f, "{scheme}://{address}"),
            Place::Unix(path) => write!(f, "unix:{}", path.to_string_lossy()),
        }
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `http://*:80`: all addresses of both families, one socket.
    Any {
        /// The port; 0 means any free one.
        port: u16,
    },
    /// `http://127.0.0.1:8080`
    Addr(SocketAddr),
    /// `unix:/run/web.sock`
    Unix(PathBuf),
}

/// `[timeouts]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of a TLS handshake.
    pub handshake: Duration,
    /// From accept, or from the first byte of a request, to the end of its head.
    pub header: Duration,
    /// Between two reads of a body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// While the client takes no byte of an answer.
    pub write: Duration,
    /// From the order to stop until answers in flight are cut off.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// What may wait on the disk where nothing else is said: a part of what the smallest servers have free,
/// and four answers of 256 MiB that nobody takes.
pub const SPOOL_TOTAL: u64 = 1024 * 1024 * 1024;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address; `None`: no limit.
    pub per_client: Option<usize>,
    /// Request heads.
    pub head: HeadLimits,
    /// Bytes of a request body, where a route does not say otherwise.
    pub body: u64,
    /// Bytes of a body that waits for a program in memory; longer ones wait in a file.
    pub spool_above: u64,
    /// Bytes that may wait on the disk in all: bodies for programs, and answers for slow clients.
    pub spool_total: u64,
    /// Bytes a second below which a transfer is ended, after a grace of five seconds.
    pub min_rate: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_client: None,
            head: HeadLimits::default(),
            body: 1024 * 1024,
            spool_above: 256 * 1024,
            spool_total: SPOOL_TOTAL,
            min_rate: 500,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much is said on the error log.
    pub level: Level,
    /// Where errors go.
    pub error: At<LogTarget>,
    /// Where accesses go; `None`: nowhere.
    pub access: Option<At<LogTarget>>,
    /// The form of an access line.
    pub format: LogFormat,
    /// Paths whose requests are not logged.
    pub skip: Vec<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            error: At::implied(LogTarget::Stderr),
            access: Some(At::implied(LogTarget::Stdout)),
            format: LogFormat::Combined,
            skip: Vec::new(),
        }
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is its name
pub enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// The form of an access line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Common Log Format.
    Common,
    /// Common, and referer and user agent.
    Combined,
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Pretty,
}

/// `[media]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The type of an extension that nobody knows.
    pub default: String,
    /// The charset added to text types that have none; `None` adds none.
    pub charset: Option<String>,
    /// Extensions, lower case, without dot, and their types; before `mime_guess`.
    pub types: Vec<(String, String)>,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            default: "application/octet-stream".into(),
            charset: Some("utf-8".into()),
            types: Vec::new(),
        }
    }
}

/// `[compress]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// Codings computed here.
    pub gzip: bool,
    /// Files shorter than this are sent as they are.
    pub min: u64,
}

impl Default for Compress {
    fn default() -> Self {
        Self { gzip: true, min: 1024 }
    }
}
