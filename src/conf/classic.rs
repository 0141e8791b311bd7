//! The format of 2013: `host DOMAIN DOCROOT`, `media EXT TYPE`, `parameter NAME VALUE`.
//!
//! Frozen, and read unchanged: the last line wins for a repeated name, an unknown extension is
//! `text/plain`, a missing index page is the page that says that it works. What the first reader
//! of this format skipped in silence is a warning here.

use super::diagnostic::Diagnostic;
use super::model::{Action, At, Config, Files, Format, Host, Media, Route, Timeouts};
use super::read::{faulty, no_host};
use super::rules::{self, Fault};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// The longest time-out, as in the other format.
const TIMEOUT_MAX_S: f64 = 30.0 * 86_400.0;

/// Reads a classic configuration. The configuration is worth something only without errors.
pub(super) fn read(text: &str, folder: &Path) -> (Config, Vec<Diagnostic>) {
    let media = Media { default: "text/plain".to_owned(), charset: None, types: Vec::new() };
    let config = Config { media, ..Config::of(Format::Classic) };
    let mut classic = Classic {
        folder,
        config,
        found: Vec::new(),
        has_host_line: false,
        places: HashMap::new(),
        numbers: HashMap::new(),
    };
    for line in lines(text) {
        classic.line(&line);
    }
    // A host line with a mistake is reported already.
    if !classic.has_host_line {
        let help = "the smallest is: host default docroot";
        classic.found.push(no_host().help(help));
    }
    (classic.config, classic.found)
}

/// A word and where it is.
#[derive(Clone, Debug)]
struct Word<'t> {
    text: &'t str,
    span: Range<usize>,
}

/// The words of each line that has any and is no comment.
fn lines(text: &str) -> impl Iterator<Item = Vec<Word<'_>>> {
    let mut next = 0;
    text.split_inclusive('\n')
        .map(move |line| {
            let start = next;
            next += line.len();
            words(line, start)
        })
        .filter(|words| words.first().is_some_and(|word| !word.text.starts_with('#')))
}

fn words(line: &str, start: usize) -> Vec<Word<'_>> {
    // Some editors mark a text as UTF-8 with an invisible character before its first line.
    let bare = line.trim_start_matches('\u{feff}');
    let mut from = line.len() - bare.len();
    let mut words = Vec::new();
    for text in bare.split_whitespace() {
        let blanks = line.get(from..).and_then(|rest| rest.find(text)).unwrap_or_default();
        let span = start + from + blanks..start + from + blanks + text.len();
        from += blanks + text.len();
        words.push(Word { text, span });
    }
    words
}

struct Classic<'a> {
    folder: &'a Path,
    config: Config,
    found: Vec<Diagnostic>,
    has_host_line: bool,
    /// Where a name was said last.
    places: HashMap<(&'static str, String), Range<usize>>,
    /// Which element of its list a name has become.
    numbers: HashMap<(&'static str, String), usize>,
}

impl Classic<'_> {
    fn line(&mut self, words: &[Word<'_>]) {
        let Some((first, rest)) = words.split_first() else { return };
        let (name, second, third) = match first.text {
            "host" => ("host", "DOMAIN", "DOCROOT"),
            "media" => ("media", "EXTENSION", "TYPE"),
            "parameter" => ("parameter", "NAME", "VALUE"),
            other => {
                let message = format!("`{other}` is not a word that a line can begin with");
                let warning = Diagnostic::warning("unknown-word", message, first.span.clone());
                let known = ["host", "media", "parameter"];
                self.found.push(match super::keys::closest(other, &known) {
                    Some(word) => warning.label(format!("did you mean `{word}`?")),
                    None => warning.label("this line is skipped"),
                });
                return;
            }
        };
        self.has_host_line |= name == "host";
        let [key, value, more @ ..] = rest else {
            let end = words.last().map_or(first.span.end, |word| word.span.end);
            let message = format!("a `{name}` line is: {name} {second} {third}");
            let span = first.span.start..end;
            self.found.push(Diagnostic::error("missing-word", message, span));
            return;
        };
        if let Some(extra) = more.first().filter(|word| !word.text.starts_with('#')) {
            let message = format!("a `{name}` line has three words; this one is ignored");
            self.found.push(Diagnostic::warning("extra-word", message, extra.span.clone()));
        }
        match name {
            "host" => self.host(key, value),
            "media" => self.media(key, value),
            _ => self.parameter(key, value),
        }
    }

    fn host(&mut self, name: &Word<'_>, root: &Word<'_>) {
        let read = match rules::host_name(name.text) {
            Err(Fault { instead: Some(instead), .. }) if name.text.contains(':') => {
                // Needed once: that server compared the name with its port.
                let message = format!("host {:?} is compared without its port", name.text);
                self.found.push(
                    Diagnostic::warning("bad-host-name", message, name.span.clone())
                        .label(format!("`{instead}` says the same")),
                );
                rules::host_name(&instead)
            }
            other => other,
        };
        let host = self.checked("host", name, read);
        let path = self.checked("host", root, rules::file_path(root.text));
        let (Some(host), Some(path)) = (host, path) else { return };
        let root = At::new(self.folder.join(path), root.span.clone());
        self.note("host", &host, name);
        let new = Host {
            names: vec![At::new(host.clone(), name.span.clone())],
            default: host == "default",
            welcome: true,
            routes: vec![Route::new(
                At::new("/".to_owned(), root.span.clone()),
                Action::Files(Files::of(root)),
            )],
            span: name.span.clone(),
            ..Host::default()
        };
        put(&mut self.config.hosts, new, self.numbers.entry(("host", host)));
    }

    fn media(&mut self, extension: &Word<'_>, kind: &Word<'_>) {
        let checked = self.checked("media", extension, rules::extension(extension.text));
        let valid = self.checked("media", kind, rules::media_type(kind.text));
        let (Some(name), Some(kind)) = (checked, valid) else { return };
        self.note("media", &name, extension);
        let number = self.numbers.entry(("media", name.clone()));
        put(&mut self.config.media.types, (name, kind), number);
    }

    fn parameter(&mut self, name: &Word<'_>, value: &Word<'_>) {
        if name.text != "timeout" {
            let message = format!("`{}` is not a parameter; there is `timeout`", name.text);
            self.found.push(Diagnostic::warning("unknown-parameter", message, name.span.clone()));
            return;
        }
        let Some(timeout) = seconds(value.text) else {
            let message = format!("parameter timeout: {:?} is not a number of seconds", value.text);
            self.found.push(
                Diagnostic::error("bad-value", message, value.span.clone())
                    .label("expected a number above 0, up to 30 days"),
            );
            return;
        };
        self.note("parameter", name.text, name);
        let shutdown = self.config.timeouts.shutdown;
        self.config.timeouts = Timeouts {
            header: timeout,
            body: timeout,
            idle: timeout,
            write: timeout,
            shutdown,
            ..Timeouts::default()
        };
    }

    fn checked<T>(&mut self, title: &str, word: &Word<'_>, result: Result<T, Fault>) -> Option<T> {
        let report = |fault| self.found.push(faulty(title, word.text, fault, word.span.clone()));
        result.map_err(report).ok()
    }

    /// Remembers where a name is said, and warns if it was said before.
    fn note(&mut self, kind: &'static str, name: &str, word: &Word<'_>) {
        let earlier = self.places.insert((kind, name.to_owned()), word.span.clone());
        if let Some(earlier) = earlier {
            let message = format!("`{kind} {name}` is there twice; the last line counts");
            self.found.push(
                Diagnostic::warning("repeated-line", message, word.span.clone())
                    .also(earlier, "this one is ignored"),
            );
        }
    }
}

/// Puts `new` in the place of the element with its name, or at the end.
fn put<T>(list: &mut Vec<T>, new: T, number: Entry<'_, (&'static str, String), usize>) {
    let number = *number.or_insert(list.len());
    match list.get_mut(number) {
        Some(old) => *old = new,
        None => list.push(new),
    }
}

/// Seconds, perhaps with a fraction, in whole milliseconds; at least one.
fn seconds(text: &str) -> Option<Duration> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    if !(seconds > 0.0 && seconds <= TIMEOUT_MAX_S) {
        return None;
    }
    Some(Duration::from_millis(((seconds * 1000.0).round() as u64).max(1)))
}
