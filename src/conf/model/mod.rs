//! What a configuration says, typed, with defaults filled in and the place of everything that
//! a later check may have to point at.
//!
//! Not here: whether a folder exists, which address a name has. `site::build` asks that.

mod access;
mod action;
mod app;
mod cgi;
mod host;
mod server;
mod tls;

pub use access::*;
pub use action::*;
pub use app::*;
pub use cgi::*;
pub use host::*;
pub use server::*;
pub use tls::*;

use std::ops::Range;

/// A value and where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Bytes of the configuration's text; empty for a default or the command line.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// A value with its place.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// A value that is written nowhere: a default, or the command line's.
    pub fn implied(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

/// Which of the two formats a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The tables of today.
    Toml,
    /// The `host` / `media` / `parameter` lines of 2013.
    Classic,
    /// No file: a folder given on the command line.
    Quick,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it came from.
    pub format: Format,
    /// `[server]`
    pub server: Server,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[media]`
    pub media: Media,
    /// `[compress]`
    pub compress: Compress,
    /// `[tls]`
    pub tls: Tls,
    /// `[cgi]`
    pub cgi: Programs,
    /// `[app.NAME]`, in the order of the file.
    pub apps: Vec<App>,
    /// `[[host]]`, in the order of the file.
    pub hosts: Vec<Host>,
}

impl Config {
    /// The defaults, without applications and hosts.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            server: Server::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            log: Log::default(),
            media: Media::default(),
            compress: Compress::default(),
            tls: Tls::default(),
            cgi: Programs::default(),
            apps: Vec::new(),
            hosts: Vec::new(),
        }
    }
}
