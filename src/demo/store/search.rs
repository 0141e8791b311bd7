//! What people type, as a query of the full-text index.

/// More words than this do not narrow a search further.
const WORDS_MAX: usize = 8;

/// A longer word is cut: nothing that long is in the index.
const WORD_CHARS_MAX: usize = 64;

/// The FTS5 query for `typed`: all of its words, each also as the beginning of a longer one. Every
/// word is a quoted string, so none of it is understood as an operator. `None`: there is nothing to
/// look for.
pub(super) fn query(typed: &str) -> Option<String> {
    let words = typed.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let mut query = String::new();
    for word in words.take(WORDS_MAX) {
        if !query.is_empty() {
            query.push(' ');
        }
        query.push('"');
        for c in word.chars().take(WORD_CHARS_MAX) {
            match c {
                '"' => query.push_str("\"\""),
                // SQLite reads a query up to the first NUL.
                '\0' => query.push(' '),
                c => query.push(c),
            }
        }
        query.push_str("\"*");
    }
    (!query.is_empty()).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        for (typed, expected) in [
            ("", None),
            ("  \t\n", None),
            ("?! -- \"\"", None),
            ("force", Some("\"force\"*")),
            (" the  Force ", Some("\"the\"* \"Force\"*")),
            ("a OR b NEAR(c)", Some("\"a\"* \"OR\"* \"b\"* \"NEAR(c)\"*")),
            ("film:x", Some("\"film:x\"*")),
            ("say\"so", Some("\"say\"\"so\"*")),
            ("x\0y", Some("\"x y\"*")),
        ] {
            assert_eq!(query(typed).as_deref(), expected, "{typed:?}");
        }
        assert_eq!(query(&"w ".repeat(50)).unwrap().matches('*').count(), WORDS_MAX);
        assert_eq!(query(&"w".repeat(500)).unwrap().len(), WORD_CHARS_MAX + 3);
    }
}
