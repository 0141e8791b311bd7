//! What all tests use: a server, a raw client, and a few ways to wait.

mod command;
mod embedded;
pub(crate) mod http2;
mod server;
mod tls;
mod wire;

pub(crate) use command::run;
pub(crate) use embedded::{Answer, Embedded};
pub(crate) use server::{Start, TestServer};
pub(crate) use tls::{Authority, Issued, TlsWire};
pub(crate) use wire::{Response, Wire, get};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take that happens at once on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks again and again until there is an answer; `None` when [`PATIENCE`] is over.
pub(crate) fn eventually<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    within(PATIENCE, ask)
}

/// The same, for what happens by itself after more than `span`.
pub(crate) fn within<T>(span: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + span;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A folder with these files; folders on the way are made.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a fuzz corpus: name and content, sorted.
pub(crate) fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(repository("fuzz/corpus").join(name)).unwrap();
    let mut files: Vec<_> = folder
        .map(|entry| entry.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// All names below a folder, hidden ones too.
pub(crate) fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(names_below(&entry.path()));
        }
        names.push(entry.path());
    }
    names
}
