//! `[app.NAME]`: Python applications, their workers, and routes that lead to them.

use super::{At, Files};
use std::path::PathBuf;
use std::time::Duration;

/// `[app.NAME]`: a Python application and its workers.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// What routes call it, and where that is written.
    pub name: At<String>,
    /// What it is.
    pub program: Program,
    /// The folder that its modules are in, and that it runs in.
    pub dir: PathBuf,
    /// What it is run with.
    pub python: Python,
    /// How many processes.
    pub workers: Workers,
    /// Requests that may wait for a worker.
    pub queue: usize,
    /// How long each may wait.
    pub queue_timeout: Duration,
    /// How long a worker may be at one request without answering anything.
    pub timeout: Duration,
    /// How long a worker may take to load the application.
    pub startup: Duration,
    /// When workers are replaced.
    pub recycle: Recycle,
    /// What its environment has beside the little that every program gets.
    pub env: Vec<(String, String)>,
    /// Whom its workers run as.
    pub user: Option<At<String>>,
    /// Whether the server is worth nothing without it.
    pub required: bool,
    /// Whether its sources are watched.
    pub reload: bool,
}

impl App {
    /// An application with the defaults, that runs in `dir`.
    pub fn of(name: At<String>, program: Program, dir: PathBuf) -> Self {
        Self {
            name,
            program,
            dir,
            python: Python::Default,
            workers: Workers { min: 2, max: 2 },
            queue: 64,
            queue_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            startup: Duration::from_secs(20),
            recycle: Recycle::default(),
            env: Vec::new(),
            user: None,
            required: false,
            reload: false,
        }
    }

    /// The pages of a folder: each may take its time, so there are more workers when it is needed.
    pub fn of_pages(dir: PathBuf) -> Self {
        let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = At::implied(format!("pages:{folder}"));
        Self { workers: Workers { min: 2, max: 16 }, ..Self::of(name, Program::Pages, dir) }
    }
}

/// What the workers of an application run.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// `module:callable`
    Wsgi(At<String>),
    /// The pages of its folder.
    Pages,
}

/// The Python of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Python {
    /// The `python3` that is found in `PATH`.
    Default,
    /// That of a virtual environment.
    Venv(At<PathBuf>),
    /// This program.
    Program(At<PathBuf>),
}

/// How many workers an application has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// So many always.
    pub min: usize,
    /// So many when requests wait.
    pub max: usize,
}

/// `recycle = { ... }`: when a worker is replaced by a fresh one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recycle {
    /// After so many answers,
    pub requests: Option<u64>,
    /// and up to so many more, so that not all are replaced at once.
    pub jitter: u64,
    /// When it occupies more bytes of memory than this.
    pub memory: Option<u64>,
    /// After this time.
    pub age: Option<Duration>,
}

/// `app = "..."`: the application of a route, and the files that come first.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRoute {
    /// The name of the application.
    pub app: At<String>,
    /// Files of the same route: one that is there answers instead.
    pub files: Option<Files>,
}
