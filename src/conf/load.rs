//! From a text to a configuration: which of the two formats it has, and one that needs no text.

use super::diagnostic::{Diagnostic, Diagnostics, Source};
use super::model::{
    Action, App, AppRoute, At, Config, Files, Format, Host, Listen, Log, LogFormat, Place, Program,
    Python, Route, Server,
};
use super::{classic, foreign, read, rules};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Reads a configuration; there is one exactly if there are no errors. Warnings come along.
///
/// Relative paths are seen from `folder`, the one that contains the file. Without `format` the
/// text decides; a quick start has no text, so that format counts as none.
pub fn load(
    source: Source,
    folder: &Path,
    format: Option<Format>,
) -> (Option<Config>, Diagnostics) {
    let mut all = Diagnostics::new(source);
    let format = match format.filter(|format| *format != Format::Quick) {
        Some(format) => format,
        None => match sniff(&all.source.text) {
            Ok(format) => format,
            Err(diagnostic) => {
                all.push(diagnostic);
                return (None, all);
            }
        },
    };
    let (config, found) = match format {
        Format::Classic => classic::read(&all.source.text, folder),
        Format::Toml | Format::Quick => {
            all.secrets = read::secrets(&all.source.text);
            read::read(&all.source.text, folder)
        }
    };
    let hashes: Vec<_> = hashes(&all.source.text).collect();
    all.secrets.extend(hashes);
    all.list.extend(found);
    all.sort();
    ((!all.has_errors()).then_some(config), all)
}

/// Hashes of bcrypt, wherever they stand: of a table with a mistake the tree may know nothing.
fn hashes(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    text.match_indices("$2").filter_map(move |(start, _)| {
        // What lies in one is a part of it.
        let hash = text.get(start..).filter(|_| start >= end)?;
        let is_hash = ["$2a$", "$2b$", "$2y$"].iter().any(|mark| hash.starts_with(mark));
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        end = if is_hash { start + hash.find(ends).unwrap_or(hash.len()) } else { end };
        is_hash.then_some(start..end)
    })
}

/// Which format a text has, decided by its first meaningful line. A mixture of both is an error
/// that shows the first line of the other form.
#[allow(clippy::result_large_err)] // once a start; a box would only be in the way
pub fn sniff(text: &str) -> Result<Format, Diagnostic> {
    let mut first: Option<(Format, Range<usize>)> = None;
    let mut quotes = Quotes::default();
    let mut next = 0;
    for line in text.split_inclusive('\n') {
        let start = next;
        next += line.len();
        // What is inside a long string of TOML has no form.
        let inside = quotes.are_open();
        if first.as_ref().is_none_or(|(format, _)| *format == Format::Toml) {
            quotes.pass(line);
        }
        let bare = line.trim_start_matches('\u{feff}').trim();
        if inside || bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let start = start + line.find(bare).unwrap_or_default();
        let span = start..start + bare.len();
        match (&first, form(bare)) {
            (None, None) => return Err(unknown_format(text, span)),
            (None, Some(_)) if foreign::form(text) == Some("lighttpd's form") => {
                return Err(unknown_format(text, span));
            }
            (None, Some(format)) => first = Some((format, span)),
            (Some((format, place)), Some(other)) if *format != other => {
                return Err(mixed(*format, span, place.clone()));
            }
            _ => {}
        }
    }
    first.map(|(format, _)| format).ok_or_else(|| unknown_format(text, 0..0))
}

/// A configuration without file: one folder, for this machine only, with listings.
pub fn quick(root: PathBuf) -> Config {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let files = Files { listing: true, ..Files::of(At::implied(root)) };
    let route = Route::new(At::implied("/".to_owned()), Action::Files(files));
    let listen = vec![At::implied(Listen::plain(Place::Addr(address)))];
    Config {
        server: Server { listen, ..Server::default() },
        log: Log { format: LogFormat::Pretty, ..Log::default() },
        hosts: vec![Host { default: true, welcome: true, routes: vec![route], ..Host::default() }],
        ..Config::of(Format::Quick)
    }
}

/// `module:callable`, as `wsgi` in a configuration has it.
///
/// # Errors
/// What is wrong with it.
pub fn wsgi_callable(text: &str) -> Result<String, String> {
    rules::wsgi_callable(text).map_err(|fault| match fault.instead {
        Some(instead) => format!("it {}: try {instead}", fault.why),
        None => format!("it {}", fault.why),
    })
}

impl Config {
    /// Lets a Python application of `folder` answer instead of files, with the Python of `venv`.
    pub fn serve_app(&mut self, folder: PathBuf, wsgi: &str, venv: Option<&Path>, reload: bool) {
        let name = wsgi.split(['.', ':']).next().unwrap_or("app");
        let program = Program::Wsgi(At::implied(wsgi.to_owned()));
        let app = App::of(At::implied(name.to_owned()), program, folder);
        let action = Action::App(AppRoute { app: app.name.clone(), files: None });
        let venv = venv.map(|path| Python::Venv(At::implied(path.to_owned())));
        let python = venv.unwrap_or(Python::Default);
        self.apps = vec![App { python, reload, ..app }];
        for host in &mut self.hosts {
            let path = At::implied("/".to_owned());
            host.routes = vec![Route::new(path, action.clone())];
        }
    }
}

/// The form of one line, if it has one.
fn form(line: &str) -> Option<Format> {
    if line.starts_with('[') {
        return Some(Format::Toml);
    }
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'' | ' ');
    if line.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim_end();
        // `media a =b` is three words, `a.b =` one key.
        !key.is_empty() && key.chars().all(is_key) && key.split_whitespace().count() == 1
    }) {
        return Some(Format::Toml);
    }
    let first = line.split_whitespace().next()?;
    (matches!(first, "host" | "media" | "parameter") && first.len() < line.len())
        .then_some(Format::Classic)
}

fn unknown_format(text: &str, span: Range<usize>) -> Diagnostic {
    let message = match foreign::form(text) {
        Some(form) => format!("this is a file in {form}, which is not read here"),
        None if text.trim().is_empty() => "the file is empty".to_owned(),
        None if span.is_empty() => "there are only comments in the file".to_owned(),
        None => "this is neither of the two forms of a configuration".to_owned(),
    };
    Diagnostic::error("unknown-format", message, span).help(
        "tables begin with a line such as `[[host]]`, and `root = \"docroot\"` on the next; \
         the classic form has lines such as `host default docroot`",
    )
}

fn mixed(first: Format, other: Range<usize>, place: Range<usize>) -> Diagnostic {
    let (this, that) = match first {
        Format::Classic => ("a line of tables", "a line of the classic form"),
        _ => ("a line of the classic form", "tables"),
    };
    let message = format!("{this} in a file that began with {that}");
    Diagnostic::error("mixed-formats", message, other)
        .also(place, "it began here")
        .help("write all of it in one form")
}

/// Whether a `"""` or `'''` of TOML is open, followed line by line.
#[derive(Default)]
struct Quotes {
    open: Option<&'static str>,
}

impl Quotes {
    fn are_open(&self) -> bool {
        self.open.is_some()
    }

    fn pass(&mut self, line: &str) {
        let mut rest = line;
        loop {
            let found = match self.open {
                Some(mark) => rest.find(mark).map(|at| (at, mark)),
                // A mark in a comment opens nothing.
                None => ["\"\"\"", "'''"]
                    .into_iter()
                    .filter_map(|mark| rest.find(mark).map(|at| (at, mark)))
                    .min()
                    .filter(|(at, _)| !rest.get(..*at).unwrap_or_default().contains('#')),
            };
            let Some((at, mark)) = found else { return };
            self.open = if self.open.is_none() { Some(mark) } else { None };
            rest = rest.get(at + mark.len()..).unwrap_or_default();
        }
    }
}
