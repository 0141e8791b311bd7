//! From TOML to the model: walks the tree with its spans and collects every mistake.
//!
//! Architecture invariant: reading never stops at a mistake. A wrong value is reported and its
//! default put in its place, so that the rest is read too; a configuration with errors is thrown
//! away by `load`.

mod app;
mod cgi;
mod host;
mod redirects;
mod route;
mod table;
mod tls;
mod value;

pub(super) use host::no_host;
pub(super) use table::{Item, Reader, Table, tables};
pub(super) use value::faulty;

use super::diagnostic::Diagnostic;
use super::keys::ROOT;
use super::model::Config;
use super::render::line_starts;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Reads a TOML configuration. The configuration is worth something only without errors.
pub(super) fn read(text: &str, folder: &Path) -> (Config, Vec<Diagnostic>) {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { folder, found: Vec::new() };
    let config = file(&mut reader, Table::new(&ROOT, ROOT.title.to_owned(), tree.get_ref(), 0..0));
    let syntax: Vec<_> = errors.iter().map(|error| syntax_error(text, error)).collect();
    let mut found = believable(text, &syntax, reader.found);
    found.extend(syntax);
    (config, found)
}

/// Where hashes of passwords stand in a text, or what somebody has put in place of one.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let mut found = Vec::new();
    secrets_of(tree.get_ref(), &mut found);
    found
}

/// All values of tables that are called `users`.
fn secrets_of(table: &DeTable<'_>, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(users) if *key.get_ref() == "users" => {
                found.extend(users.values().map(toml::Spanned::span));
            }
            DeValue::Table(inner) => secrets_of(inner, found),
            DeValue::Array(items) => {
                for item in items {
                    if let DeValue::Table(inner) = item.get_ref() {
                        secrets_of(inner, found);
                    }
                }
            }
            _ => {}
        }
    }
}

fn file(reader: &mut Reader<'_>, mut root: Table<'_>) -> Config {
    let hosts = root.take("host");
    let mut config = (ROOT.defaults)();
    ROOT.fill(reader, &mut root, &mut config);
    if hosts.is_none() && !root.has_unknown() {
        reader.report(no_host());
    }
    config.hosts = host::hosts(reader, hosts);
    tls::needs_certificate(reader, &config);
    app::check_names(reader, &config);
    root.finish(reader);
    redirects::loops(reader, &config);
    config
}

fn syntax_error(text: &str, error: &toml::de::Error) -> Diagnostic {
    let (name, message) = match error.message() {
        "duplicate key" => ("duplicate-key", "this key is there already"),
        message => ("syntax", message),
    };
    let span = error.span().unwrap_or(text.len()..text.len());
    Diagnostic::error(name, message, pointable(text, span))
}

/// An empty span cannot be underlined: takes a character more, or one less at the end.
fn pointable(text: &str, span: Range<usize>) -> Range<usize> {
    if !span.is_empty() {
        return span;
    }
    let after = text.get(span.start..).and_then(|rest| rest.chars().next());
    match after {
        Some(c) if c != '\n' && c != '\r' => span.start..span.start + c.len_utf8(),
        _ => {
            let before = text.get(..span.start).map_or(0, |before| before.trim_end().len());
            let last = text.get(..before).and_then(|before| before.chars().next_back());
            before - last.map_or(0, char::len_utf8)..before
        }
    }
}

/// Beside errors of syntax, only what does not follow from them: the tree has holes there.
fn believable(text: &str, syntax: &[Diagnostic], found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if syntax.is_empty() {
        return found;
    }
    let starts = line_starts(text);
    let line = |one: &Diagnostic| starts.partition_point(|start| *start <= one.span.start);
    let broken: HashSet<_> = syntax.iter().map(line).collect();
    // A lost header puts all keys below it into the wrong table.
    let is_header = |one: &Diagnostic| {
        let start = line(one).checked_sub(1).and_then(|n| starts.get(n)).copied();
        let line = text.get(start.unwrap_or_default()..).and_then(|rest| rest.lines().next());
        line.is_some_and(|line| line.trim_start().starts_with('['))
    };
    if syntax.iter().any(|error| error.name == "syntax" && is_header(error)) {
        return Vec::new();
    }
    let absent = [
        "no-host",
        "no-action",
        "unnamed-host",
        "needs-files",
        "needs-cgi",
        "missing-key",
        "redirect-loop",
    ];
    let follows = |one: &Diagnostic| absent.contains(&one.name) || broken.contains(&line(one));
    found.into_iter().filter(|one| !follows(one)).collect()
}
