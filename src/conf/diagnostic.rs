//! What is wrong with a configuration, and how that is shown.
//!
//! Every mistake has a stable short name (`unknown-key`) under which `docs/errors.md` explains it.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// A text and the name by which messages speak of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file's name as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Whether the server can start all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody probably meant something else.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the server can start all the same.
    pub severity: Severity,
    /// The stable short name, such as `unknown-key`.
    pub name: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Where, in bytes of the text; empty: the whole file, shown without caret.
    pub span: Range<usize>,
    /// What stands beside the caret.
    pub label: Option<String>,
    /// Other places that have to do with it.
    pub also: Vec<(Range<usize>, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake with which the server does not start.
    pub fn error(name: &'static str, message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            severity: Severity::Error,
            name,
            message: message.into(),
            span,
            label: None,
            also: Vec::new(),
            help: None,
        }
    }

    /// A mistake in spite of which the server starts.
    pub fn warning(name: &'static str, message: impl Into<String>, span: Range<usize>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(name, message, span) }
    }

    /// With a text beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With a second place.
    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All that was found in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The text.
    pub source: Source,
    /// What was found: errors first, each kind in the order of the text.
    pub list: Vec<Diagnostic>,
    /// What of the text is not shown, in bytes: excerpts go to logs.
    pub secrets: Vec<Range<usize>>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new(source: Source) -> Self {
        Self { source, ..Self::default() }
    }

    /// Adds one, in its place.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let key = |d: &Diagnostic| (d.severity, d.span.start);
        let place = self.list.partition_point(|d| key(d) <= key(&diagnostic));
        self.list.insert(place, diagnostic);
    }

    /// Whether the server cannot start.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.source.text.get(..self.boundary(offset)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// All of it as text for people, with a closing line that counts; empty if there is nothing.
    pub fn render(&self, color: bool) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let (mut out, text) = (String::new(), self.shown_text());
        for diagnostic in &self.list {
            out.push_str(&renderer.render(&[self.group(diagnostic, &text)]));
            out.push('\n');
        }
        out.push_str(&printable(&self.source.name));
        out.push_str(": ");
        out.push_str(&self.counts());
        out.push('\n');
        out
    }

    /// `2 errors, 1 warning`.
    fn counts(&self) -> String {
        let count = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let parts = [count(self.errors(), "error"), count(self.warnings(), "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The text with stars in place of what is secret, so that places stay what they are.
    fn shown_text(&self) -> String {
        let mut text = self.source.text.clone();
        for secret in &self.secrets {
            let range = self.boundary(secret.start)..self.boundary(secret.end);
            let star = |byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { '*' };
            if let Some(part) = text.get(range.clone()) {
                let stars: String = part.bytes().map(star).collect();
                text.replace_range(range, &stars);
            }
        }
        text
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic, text: &'a str) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&diagnostic.message)).id(diagnostic.name);
        let mut group = if diagnostic.span.is_empty() {
            title.element(Origin::path(printable(&self.source.name)))
        } else {
            title.element(self.snippet(diagnostic, text))
        };
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        group
    }

    fn snippet<'a>(
        &'a self,
        diagnostic: &'a Diagnostic,
        text: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let primary = AnnotationKind::Primary.span(self.visible(&diagnostic.span));
        let others = diagnostic.also.iter().map(|(span, label)| {
            AnnotationKind::Context.span(self.visible(span)).label(printable(label))
        });
        Snippet::source(text)
            .path(printable(&self.source.name))
            .annotation(primary.label(diagnostic.label.as_deref().map(printable)))
            .annotations(others)
    }

    /// The part of a span that can be underlined: inside the text, on character boundaries, on
    /// one line. A caret under the first line of a table says as much as a frame around it.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end).max(start);
        let text = self.source.text.get(start..end).unwrap_or_default();
        let first = text.split(['\n', '\r']).next().unwrap_or_default();
        start..start + first.len()
    }

    /// The next smaller offset that is a character boundary.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.source.text.len());
        while !self.source.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// Without control characters: a configuration may come from anywhere, a terminal obeys them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, list: Vec<Diagnostic>) -> Diagnostics {
        let mut all =
            Diagnostics::new(Source { name: "web.conf".to_owned(), text: text.to_owned() });
        list.into_iter().for_each(|d| all.push(d));
        all
    }

    #[test]
    fn looks_like_rustc() {
        let text = "[[host]]\nrooot = \"/srv\"\nb = 1\n";
        let all = of(
            text,
            vec![
                Diagnostic::warning("whole", "nothing to point at", 0..0),
                Diagnostic::error("unknown-key", "`rooot` is not a key of [[host]]", 9..14)
                    .label("did you mean `root`?"),
                Diagnostic::error("twice", "said twice", 24..25).also(9..14, "here").help("remove"),
            ],
        );
        let want = "\
error[unknown-key]: `rooot` is not a key of [[host]]
 --> web.conf:2:1
  |
2 | rooot = \"/srv\"
  | ^^^^^ did you mean `root`?
error[twice]: said twice
 --> web.conf:3:1
  |
2 | rooot = \"/srv\"
  | ----- here
3 | b = 1
  | ^
  |
  = help: remove
warning[whole]: nothing to point at
--> web.conf
web.conf: 2 errors, 1 warning
";
        assert_eq!(all.render(false), want);
        assert!(all.render(true).contains("\u{1b}["));
        assert!(all.has_errors());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut all = of("a = 'gehe\u{ef}m\n!' # b\n", vec![Diagnostic::error("x", "m", 0..1)]);
        all.list[0].also.push((12..14, "l".to_owned()));
        all.secrets = vec![4..14, 3..99];
        let rendered = all.render(false);
        assert!(rendered.contains("a =") && !rendered.contains("gehe"), "{rendered}");
        all.secrets = vec![4..9, 9..15];
        let rendered = all.render(false);
        assert!(rendered.contains("\n1 | a = ********\n"), "{rendered}");
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let all = of("ä = 1\nbö\n", vec![]);
        for (offset, want) in
            [(0, (1, 1)), (1, (1, 1)), (2, (1, 2)), (7, (2, 1)), (10, (2, 3)), (999, (3, 1))]
        {
            assert_eq!(all.position(offset), want, "{offset}");
        }
    }

    #[test]
    fn no_span_makes_it_panic() {
        for text in ["", "\n", "ä\r\nö\u{0}\t\u{feff}x", "日本\u{200d}", &"x".repeat(5000)] {
            for start in 0..12 {
                for end in (0..14).chain([usize::MAX]) {
                    let d = Diagnostic::error("a", "m\u{1b}", start..end).label("l");
                    let rendered = of(text, vec![d.also(end..start, "other")]).render(false);
                    assert!(!rendered.contains('\u{1b}'));
                }
            }
        }
    }
}
