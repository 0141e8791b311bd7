//! What is wrong with a configuration, and how that is shown.
//!
//! Every mistake has a stable short name (`unknown-key`) under which `docs/errors.md` explains it.

use super::render;
use std::collections::BTreeMap;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// What it is sorted by.
    pub(super) fn order(&self) -> (Severity, usize) {
        (self.severity, self.span.start)
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
    /// What was found; `sort` puts it in the order in which it is shown.
    pub list: Vec<Diagnostic>,
    /// What of the text is not shown, in bytes: excerpts go to logs.
    pub secrets: Vec<Range<usize>>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new(source: Source) -> Self {
        Self { source, ..Self::default() }
    }

    /// Adds one at the end.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Puts errors first, and each severity in the order of the text.
    pub fn sort(&mut self) {
        self.list.sort_by_key(Diagnostic::order);
    }

    /// Whether the server cannot start.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
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
        render::page(self, color)
    }

    /// The next smaller offset that is a character boundary.
    pub(super) fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.source.text.len());
        while !self.source.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// One line for each kind: its first message, and how many more there are. For logs, where there
/// is no text to point at.
pub fn summary<'a>(list: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let mut kinds: BTreeMap<(Severity, &str), (usize, &str)> = BTreeMap::new();
    for one in list {
        let kind = kinds.entry((one.severity, one.name));
        kind.and_modify(|(count, _)| *count += 1).or_insert((1, &one.message));
    }
    let lines = kinds.into_values().map(|(count, first)| match count {
        1 => format!("\n{first}"),
        _ => format!("\n{first} (and {} more like it)", count - 1),
    });
    lines.collect()
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
    fn of_many_of_a_kind_the_first_is_shown_and_the_others_are_counted() {
        let shown = |count: usize| {
            let text = "x = 1\n".repeat(count);
            let one =
                |n: usize| Diagnostic::warning("many", format!("number {n}"), n * 6..n * 6 + 1);
            let list = (0..count).rev().map(one).chain([Diagnostic::error("one", "first", 0..1)]);
            of(&text, list.collect()).render(false)
        };
        let ten = shown(10);
        assert_eq!(ten.matches("warning[many]").count(), 10, "{ten}");
        let want = "\
error[one]: first
 --> web.conf:1:1
  |
1 | x = 1
  | ^
warning[many]: number 0
 --> web.conf:1:1
  |
1 | x = 1
  | ^
  |
  = note: there are 20000 of this kind, the others on lines 2, 3, 4, 5, 6 …
web.conf: 1 error, 20000 warnings
";
        assert_eq!(shown(20_000), want);
        assert!(shown(11).contains("there are 11 of this kind, the others on lines 2, "));
    }

    #[test]
    fn of_many_with_advice_of_their_own_the_first_of_each_is_shown() {
        let shown = |count: usize, advice: usize| {
            let one = |n: usize| {
                let help = format!("advice {}", n % advice);
                Diagnostic::error("key", format!("number {n}"), 0..1).help(help)
            };
            of("x = 1\n", (0..count).map(one).collect()).render(false)
        };
        let three = shown(3000, 3);
        for n in 0..3 {
            assert_eq!(three.matches(&format!("= help: advice {n}\n")).count(), 1, "{three}");
        }
        assert_eq!(three.matches("there are 1000 of this kind").count(), 3, "{three}");
        assert_eq!(shown(18, 18).matches("error[key]").count(), 18);
        // Advice that names each place makes no kinds.
        assert_eq!(shown(3000, 3000).matches("error[key]").count(), 1);
    }

    #[test]
    fn a_summary_has_a_line_for_each_kind() {
        let many = |name, count| {
            (0..count).map(move |n| Diagnostic::warning(name, format!("{name} {n}"), 0..0))
        };
        let list: Vec<_> = many("b", 3000).chain(many("a", 1)).collect();
        assert_eq!(summary(&list), "\na 0\nb 0 (and 2999 more like it)");
    }

    #[test]
    fn an_excerpt_is_cut_out_of_a_long_text_with_its_line_numbers() {
        let text = format!("{}ä = 1\n{}b = 2\n", "# x\n".repeat(5000), "# y\n".repeat(5000));
        let (a, b) = (text.find('ä').unwrap(), text.find("b = 2").unwrap());
        let one = Diagnostic::error("far", "apart", b..b + 1).also(a..a + 2, "here");
        let want = "\
error[far]: apart
     --> web.conf:10002:1
      |
 5001 | ä = 1
      | - here
...
10002 | b = 2
      | ^
web.conf: 1 error
";
        assert_eq!(of(&text, vec![one]).render(false), want);
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
