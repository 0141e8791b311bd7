//! Starting a worker: which Python, with what environment, and what it inherits.

use super::wire;
use crate::conf::{App, Program, Python};
use crate::event::ChildId;
use crate::sys::process::{self, Account, Launch, Limits, Process};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The program of every worker, and what it needs for pages.
const WORKER: &str = include_str!("worker.py");
const PAGES: &str = include_str!("pages.py");

/// The page of memory that a worker shares with us.
const PAGE_LEN: u64 = 4096;

/// What the socket of a worker may hold in each direction; the kernel allows less where it is told
/// to. Sixteen answers of 10 KiB fit without either side having to wait.
const SOCKET_BUFFER: usize = 512 * 1024;

/// What of our environment a worker is given: nothing that could be a secret.
const INHERITED: [&str; 8] = ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER"];

/// A worker that was started.
pub(super) struct Started {
    pub(super) process: Process,
    /// What it writes to its standard error.
    pub(super) errors: OwnedFd,
    /// Our end of its socket; nothing of it blocks.
    pub(super) socket: OwnedFd,
    pub(super) line: Line,
}

/// What a worker is spoken to with, beside its socket.
pub(super) struct Line {
    /// The page of memory that it shares with us.
    pub(super) shared_page: File,
    /// What has to be sent first.
    pub(super) greeting: Vec<u8>,
}

/// How the workers of an application are started: everything that can be found out once.
#[derive(Debug)]
pub(super) struct Recipe {
    python: PathBuf,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
    user: Option<Account>,
    words: Vec<Vec<u8>>,
    name: String,
}

impl Recipe {
    /// How to start `app`.
    ///
    /// # Errors
    /// There is no such user.
    pub(super) fn new(app: &App) -> io::Result<Self> {
        let user = app.user.as_ref().map(|user| Account::named(&user.value)).transpose()?;
        let folder = std::path::absolute(&app.dir)?;
        let (kind, spec) = match &app.program {
            Program::Wsgi(spec) => (&b"wsgi"[..], spec.value.as_bytes().to_vec()),
            Program::Pages => (&b"pages"[..], Vec::new()),
        };
        let words = vec![
            kind.to_vec(),
            app.name.value.as_bytes().to_vec(),
            spec,
            folder.as_os_str().as_bytes().to_vec(),
            if app.reload { b"1".to_vec() } else { b"0".to_vec() },
        ];
        let environment = environment(app, user.as_ref());
        let python = find(&app.python).unwrap_or_else(|| match &app.python {
            // It may come yet. No other Python has what the application imports.
            Python::Venv(path) => path.value.join("bin/python3"),
            Python::Program(path) => path.value.clone(),
            Python::Default => "/usr/bin/python3".into(),
        });
        let python = std::path::absolute(python)?;
        Ok(Self { python, folder, environment, user, words, name: app.name.value.clone() })
    }

    /// Starts one.
    pub(super) fn start(&self) -> io::Result<Started> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for end in [&ours, &theirs] {
            // Less is slower, and nothing worse.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER);
        }
        process::set_nonblocking(&ours)?;
        let (errors, their_errors) = process::pipe()?;
        process::set_nonblocking(&errors)?;
        let page = rustix::fs::memfd_create("board", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&page, PAGE_LEN)?;
        let page = File::from(page);
        let launch = Launch {
            program: self.python.clone(),
            arguments: vec!["-c".into(), bootstrap().into(), format!("app:{}", self.name).into()],
            environment: self.environment.clone(),
            folder: self.folder.clone(),
            stdin: theirs.into(),
            stdout: Stdio::from(page.try_clone()?),
            stderr: their_errors.into(),
            user: self.user.clone(),
            limits: Limits::default(),
        };
        let process = launch.spawn()?;
        let mut greeting = [PAGES, WORKER].concat().into_bytes();
        let words: Vec<&[u8]> = self.words.iter().map(Vec::as_slice).collect();
        greeting.extend_from_slice(&wire::setup(&words));
        let line = Line { shared_page: page, greeting };
        Ok(Started { process, errors, socket: ours, line })
    }

    /// The Python it is started with, for people.
    pub(super) fn python(&self) -> &Path {
        &self.python
    }
}

/// What Python is told on its command line: to read the rest from its socket. Before the first import
/// it forgets the folder it is in: what is called `token.py` there is not the library's.
fn bootstrap() -> String {
    let length = PAGES.len() + WORKER.len();
    format!(
        "import sys\nif sys.path[:1]==['']:del sys.path[0]\nimport os;b=b''\n\
         while len(b)<{length}:\n d=os.read(0,{length}-len(b))\n \
         if not d:raise SystemExit\n b+=d\nexec(compile(b,'httpyserver-worker','exec'))"
    )
}

/// Where the Python that was asked for is; `None`: nowhere.
pub(super) fn find(python: &Python) -> Option<PathBuf> {
    let candidates: Vec<PathBuf> = match python {
        Python::Program(path) => vec![path.value.clone()],
        Python::Venv(path) => {
            ["python3", "python"].iter().map(|name| path.value.join("bin").join(name)).collect()
        }
        Python::Default => {
            let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
            std::env::split_paths(&path).map(|folder| folder.join("python3")).collect()
        }
    };
    let found = candidates.into_iter().find(|path| path.is_file())?;
    std::path::absolute(found).ok()
}

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A clean environment, that of the user it is for, and what the configuration adds to it.
fn environment(app: &App, user: Option<&Account>) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = INHERITED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    if let Some(user) = user {
        all.retain(|(name, _)| name != "USER" && name != "HOME");
        all.extend(user.environment());
    }
    if let Python::Venv(venv) = &app.python {
        let venv = std::path::absolute(&venv.value).unwrap_or_else(|_| venv.value.clone());
        let before = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let mut path = venv.join("bin").into_os_string();
        path.push(OsStr::new(":"));
        path.push(before);
        all.retain(|(name, _)| name != "PATH");
        all.push(("PATH".into(), path));
        all.push(("VIRTUAL_ENV".into(), venv.into()));
    }
    for (name, value) in &app.env {
        all.retain(|(other, _)| other != OsStr::new(name));
        all.push((name.into(), value.into()));
    }
    all
}

/// A worker that was adopted by the loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) pid: u32,
}
