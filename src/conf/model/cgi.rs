//! `[cgi]`, and routes with scripts.

use super::{At, Files};
use std::path::PathBuf;
use std::time::Duration;

/// `[cgi]`: what all scripts have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programs {
    /// Who runs scripts with a given extension.
    pub interpreters: Vec<Interpreter>,
    /// Variables that scripts are given.
    pub env: Vec<(String, String)>,
}

/// Who runs scripts with an extension, be they executable or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpreter {
    /// Lower case, without dot.
    pub extension: String,
    /// A path; or a bare name, to be looked for in `PATH`.
    pub program: At<PathBuf>,
}

/// `cgi = "..."` and the keys beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cgi {
    /// The folder of the scripts.
    pub root: At<PathBuf>,
    /// What they may use.
    pub limits: CgiLimits,
    /// Whether they are told the client's credentials.
    pub authorization: bool,
    /// The files that lie among them, if these are served.
    pub files: Option<Files>,
    /// What scripts among files are known by, besides `.cgi` and what has an interpreter.
    pub extensions: Vec<String>,
}

impl Cgi {
    /// A folder of scripts, with the defaults.
    pub fn of(root: At<PathBuf>) -> Self {
        let limits = CgiLimits::default();
        Self { root, limits, authorization: false, files: None, extensions: Vec::new() }
    }
}

/// `cgi_limits = { ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgiLimits {
    /// How long a script may be silent, and a request may wait for a process.
    pub timeout: Duration,
    /// Scripts at once.
    pub processes: usize,
    /// Requests that may wait for one of them to end.
    pub queue: usize,
    /// Bytes of address space of one script.
    pub memory: Option<u64>,
    /// Processor time of one script.
    pub cpu: Option<Duration>,
}

impl Default for CgiLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), processes: 16, queue: 64, memory: None, cpu: None }
    }
}
