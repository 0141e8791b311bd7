//! Diagnostics as text for people: excerpts of the configuration with carets.
//!
//! The work is linear in the text and in what was found: each excerpt is cut out of the text first,
//! and of a kind that was found often one is shown, with the places of some others.

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Of one kind, so many are all shown; of more, only the first.
const SHOWN_MAX: usize = 10;

/// Mistakes of one name are kinds of their own by what is advised, unless there is more advice than
/// this: then each has its own place or name in it.
const ADVICE_MAX: usize = 100;

/// Lines that are named for a kind of which only the first is shown.
const LINES_NAMED: usize = 5;

/// All of it, with a closing line that counts; empty if there is nothing.
pub(super) fn page(all: &Diagnostics, color: bool) -> String {
    if all.list.is_empty() {
        return String::new();
    }
    let mut list: Vec<_> = all.list.iter().collect();
    list.sort_by_key(|one| one.order());
    let advised = advised(&list);
    let mut kinds: HashMap<_, Vec<&Diagnostic>> = HashMap::new();
    list.iter().for_each(|one| kinds.entry(kind(one, &advised)).or_default().push(one));
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let page = Page { all, text: shown_text(all), lines: line_starts(&all.source.text) };
    let mut out = String::new();
    for one in list {
        let Some(kind) = kinds.get_mut(&kind(one, &advised)) else { continue };
        let note = match kind.len() {
            ..=SHOWN_MAX => None,
            _ => Some(page.others(&std::mem::take(kind))),
        };
        // Of many the first takes all of them.
        if !kind.is_empty() || note.is_some() {
            out.push_str(&renderer.render(&[page.group(one, note)]));
            out.push('\n');
        }
    }
    out.push_str(&printable(&all.source.name));
    out.push_str(": ");
    out.push_str(&counts(all));
    out.push('\n');
    out
}

/// What is said to do about a mistake: beneath its place, and at its end.
type Advice<'a> = (Option<&'a str>, Option<&'a str>);

fn advice(one: &Diagnostic) -> Advice<'_> {
    (one.label.as_deref(), one.help.as_deref())
}

/// The advice on the mistakes of each name.
type Advised<'a> = HashMap<&'a str, HashSet<Advice<'a>>>;

fn advised<'a>(list: &[&'a Diagnostic]) -> Advised<'a> {
    let mut names = Advised::new();
    for one in list {
        names.entry(one.name).or_default().insert(advice(one));
    }
    names
}

fn kind<'a>(one: &'a Diagnostic, advised: &Advised<'_>) -> (Severity, &'a str, Option<Advice<'a>>) {
    let is_told = advised.get(one.name).is_some_and(|all| all.len() <= ADVICE_MAX);
    (one.severity, one.name, is_told.then(|| advice(one)))
}

struct Page<'a> {
    all: &'a Diagnostics,
    /// The text, as it may be shown.
    text: String,
    /// Where its lines begin.
    lines: Vec<usize>,
}

impl Page<'_> {
    /// How many there are of a kind, and where the first of the others are.
    fn others(&self, kind: &[&Diagnostic]) -> String {
        let placed = kind.iter().skip(1).filter(|one| !one.span.is_empty());
        let mut lines: Vec<_> = placed.map(|one| self.line(one.span.start) + 1).collect();
        lines.dedup();
        let named: Vec<_> = lines.iter().take(LINES_NAMED).map(usize::to_string).collect();
        let (count, more) = (kind.len(), if lines.len() > LINES_NAMED { " …" } else { "" });
        match named.as_slice() {
            [] => format!("there are {count} of this kind"),
            named => {
                format!(
                    "there are {count} of this kind, the others on lines {}{more}",
                    named.join(", ")
                )
            }
        }
    }

    fn group(&self, one: &Diagnostic, note: Option<String>) -> Group<'_> {
        let level = match one.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&one.message)).id(one.name);
        let mut group = if one.span.is_empty() {
            title.element(Origin::path(printable(&self.all.source.name)))
        } else {
            title.element(self.snippet(one))
        };
        if let Some(help) = &one.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        if let Some(note) = note {
            group = group.element(Level::NOTE.message(note));
        }
        group
    }

    fn snippet(&self, one: &Diagnostic) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let first = self.visible(&one.span);
        let others: Vec<_> =
            one.also.iter().map(|(span, label)| (self.visible(span), printable(label))).collect();
        let spans = || others.iter().map(|(span, _)| span).chain([&first]);
        let from = self.line(spans().map(|span| span.start).min().unwrap_or(first.start));
        let to = self.line(spans().map(|span| span.end).max().unwrap_or(first.end)) + 1;
        let start = self.lines.get(from).copied().unwrap_or_default();
        let end = self.lines.get(to).copied().unwrap_or(self.text.len());
        let beneath = |span: &Range<usize>| span.start - start..span.end - start;
        let label = one.label.as_deref().map(printable);
        Snippet::source(self.text.get(start..end).unwrap_or_default())
            .line_start(from + 1)
            .path(printable(&self.all.source.name))
            .annotation(AnnotationKind::Primary.span(beneath(&first)).label(label))
            .annotations(
                others
                    .into_iter()
                    .map(|(span, label)| AnnotationKind::Context.span(beneath(&span)).label(label)),
            )
    }

    /// The number of the line that an offset is in, from 0.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The part of a span that can be underlined: inside the text, on character boundaries, on
    /// one line. A caret under the first line of a table says as much as a frame around it.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.all.boundary(span.start);
        let end = self.all.boundary(span.end).max(start);
        let text = self.all.source.text.get(start..end).unwrap_or_default();
        let first = text.split(['\n', '\r']).next().unwrap_or_default();
        start..start + first.len()
    }
}

/// Where the lines of a text begin.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes());
    std::iter::once(0).chain(ends.map(|end| end + 1)).collect()
}

/// The text with stars in place of what is secret, so that places stay what they are.
fn shown_text(all: &Diagnostics) -> String {
    let mut text = all.source.text.clone();
    for secret in &all.secrets {
        let range = all.boundary(secret.start)..all.boundary(secret.end);
        let star = |byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { '*' };
        if let Some(part) = text.get(range.clone()) {
            let stars: String = part.bytes().map(star).collect();
            text.replace_range(range, &stars);
        }
    }
    text
}

/// `2 errors, 1 warning`.
fn counts(all: &Diagnostics) -> String {
    let count = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let parts = [count(all.errors(), "error"), count(all.warnings(), "warning")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Without control characters: a configuration may come from anywhere, a terminal obeys them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
