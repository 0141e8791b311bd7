//! What somebody wants a quote to say: read from a form or from JSON, checked by the same rules.

use super::store::Quote;
use serde::Deserialize;

/// Characters of a quote. It is a line, not a script.
pub const TEXT_MAX: usize = 500;
/// Lines of a quote: room for a short dialogue.
pub const LINES_MAX: usize = 8;
/// Characters of a film's name.
pub const FILM_MAX: usize = 120;
/// Characters of a character's name.
pub const CHARACTER_MAX: usize = 80;
/// Characters of a picture's description.
pub const ALT_MAX: usize = 300;
/// The year of the oldest film that is preserved.
pub const YEAR_MIN: u16 = 1888;
/// Films may be announced this many years ahead.
pub const YEARS_AHEAD: u16 = 5;

/// The fields as they were filled in, to be shown again when something is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// What is said.
    pub text: String,
    /// Where.
    pub film: String,
    /// When the film came out; JSON may have a number, text or null.
    #[serde(deserialize_with = "year_in_json")]
    pub year: String,
    /// Who says it.
    pub character: String,
    /// What is in the picture.
    pub picture_alt: String,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The field's name, in forms and in JSON.
    pub field: &'static str,
    /// What to do about it.
    pub message: String,
}

/// A draft without mistakes, tidied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Not empty.
    pub text: String,
    /// Not empty.
    pub film: String,
    /// From [`YEAR_MIN`] on.
    pub year: Option<u16>,
    /// May be empty.
    pub character: String,
    /// May be empty, if there is no picture.
    pub picture_alt: String,
}

impl Draft {
    /// The draft in a form, or in anything else that has fields with names.
    pub fn from_fields<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let field = |name| field(name).unwrap_or_default().to_owned();
        Self {
            text: field("text"),
            film: field("film"),
            year: field("year"),
            character: field("character"),
            picture_alt: field("picture_alt"),
        }
    }

    /// The draft that a quote was made of.
    pub fn of(quote: &Quote) -> Self {
        Self {
            text: quote.text.clone(),
            film: quote.film.clone(),
            year: quote.year.map(|year| year.to_string()).unwrap_or_default(),
            character: quote.character.clone(),
            picture_alt: quote.picture.as_ref().map(|p| p.alt.clone()).unwrap_or_default(),
        }
    }

    /// Checks every field. `with_picture`: it must be described.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self, with_picture: bool, this_year: u16) -> Result<Checked, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |field, message: String| problems.push(Problem { field, message });

        let text = tidy_lines(&self.text);
        match (text.chars().count(), text.lines().count()) {
            (0, _) => wrong("text", "Write what is said.".into()),
            (n, _) if n > TEXT_MAX => wrong("text", too_long(n, TEXT_MAX)),
            (_, n) if n > LINES_MAX => {
                wrong("text", format!("That is {n} lines; {LINES_MAX} are enough."));
            }
            _ => {}
        }
        let mut line = |field, value: &str, max, empty: Option<&str>| {
            let value = tidy(value);
            match (value.chars().count(), empty) {
                (0, Some(message)) => wrong(field, message.into()),
                (n, _) if n > max => wrong(field, too_long(n, max)),
                _ => {}
            }
            value
        };
        let film = line("film", &self.film, FILM_MAX, Some("Name the film."));
        let character = line("character", &self.character, CHARACTER_MAX, None);
        let describe = "Describe the picture for those who do not see it.";
        let alt = with_picture.then_some(describe);
        let picture_alt = line("picture_alt", &self.picture_alt, ALT_MAX, alt);
        let latest = this_year.saturating_add(YEARS_AHEAD);
        let year = match self.year.trim() {
            "" => None,
            typed => {
                let year = read_year(typed).filter(|year| (YEAR_MIN..=latest).contains(year));
                if year.is_none() {
                    let range = format!("Write a year from {YEAR_MIN} to {latest}, or nothing.");
                    wrong("year", range);
                }
                year
            }
        };
        if problems.is_empty() {
            Ok(Checked { text, film, year, character, picture_alt })
        } else {
            Err(problems)
        }
    }
}

/// Four digits, and nothing that `str::parse` takes besides.
fn read_year(typed: &str) -> Option<u16> {
    let digits = typed.len() == 4 && typed.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| typed.parse().ok()).flatten()
}

fn too_long(found: usize, max: usize) -> String {
    format!("That is {found} characters; {max} is the most.")
}

/// One line: control characters and runs of blanks become one blank, those at the ends go.
fn tidy(typed: &str) -> String {
    let mut tidy = String::with_capacity(typed.len());
    for word in typed.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}

/// The same for each line; empty ones go.
fn tidy_lines(typed: &str) -> String {
    let lines = typed.split(['\n', '\r']).map(tidy).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn year_in_json<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Year {
        Number(u64),
        Text(String),
        Nothing(()),
    }
    Ok(match Year::deserialize(deserializer)? {
        Year::Number(number) => number.to_string(),
        Year::Text(text) => text,
        Year::Nothing(()) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(text: &str, film: &str, year: &str) -> Draft {
        Draft { text: text.into(), film: film.into(), year: year.into(), ..Draft::default() }
    }

    fn wrong(draft: &Draft, with_picture: bool) -> Vec<&'static str> {
        let problems = draft.check(with_picture, 2026).err().unwrap_or_default();
        problems.iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_good_draft_is_tidied() {
        let draft = Draft {
            text: "  Roads?\r\n\r\nWhere we're  going,\twe don't\u{0} need roads. \n".into(),
            film: " Back  to the\nFuture ".into(),
            year: " 1985 ".into(),
            character: "Doc".into(),
            picture_alt: String::new(),
        };
        let checked = draft.check(false, 2026).unwrap();
        assert_eq!(checked.text, "Roads?\nWhere we're going, we don't need roads.");
        assert_eq!(checked.film, "Back to the Future");
        assert_eq!(checked.year, Some(1985));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        assert_eq!(
            wrong(&draft(" \n ", "", "soon"), true),
            ["text", "film", "picture_alt", "year"]
        );
    }

    #[test]
    fn limits_count_characters() {
        assert!(wrong(&draft(&"ü".repeat(TEXT_MAX), &"é".repeat(FILM_MAX), ""), false).is_empty());
        assert_eq!(wrong(&draft(&"ü".repeat(TEXT_MAX + 1), "f", ""), false), ["text"]);
        assert_eq!(wrong(&draft("t", &"é".repeat(FILM_MAX + 1), ""), false), ["film"]);
        assert_eq!(wrong(&draft(&"a\n".repeat(LINES_MAX + 1), "f", ""), false), ["text"]);
    }

    #[test]
    fn years() {
        for (typed, good) in [
            ("", true),
            ("1888", true),
            ("1887", false),
            ("2031", true),
            ("2032", false),
            ("+1985", false),
            ("01985", false),
            ("１９８５", false),
            ("198", false),
        ] {
            assert_eq!(wrong(&draft("t", "f", typed), false).is_empty(), good, "{typed}");
        }
    }

    #[test]
    fn json_has_the_same_fields() {
        let read = |text| serde_json::from_str::<Draft>(text);
        assert_eq!(
            read(r#"{"text":"t","film":"f","year":1985}"#).unwrap(),
            draft("t", "f", "1985")
        );
        assert_eq!(
            read(r#"{"text":"t","film":"f","year":"1985"}"#).unwrap(),
            draft("t", "f", "1985")
        );
        assert_eq!(read(r#"{"text":"t","film":"f","year":null}"#).unwrap(), draft("t", "f", ""));
        assert!(read(r#"{"txt":"t"}"#).is_err());
        assert!(read(r#"{"year":-1}"#).is_err());
        assert!(read(r#"{"text":7}"#).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_within_limits(text in ".*", film in ".*", year in ".{0,6}") {
            if let Ok(checked) = draft(&text, &film, &year).check(false, 2026) {
                prop_assert!((1..=TEXT_MAX).contains(&checked.text.chars().count()));
                prop_assert!((1..=FILM_MAX).contains(&checked.film.chars().count()));
                prop_assert!(!checked.film.contains(char::is_control));
                prop_assert!(!checked.text.contains(|c: char| c.is_control() && c != '\n'));
                let again = draft(&checked.text, &checked.film, &year).check(false, 2026);
                prop_assert_eq!(again, Ok(checked));
            }
        }
    }
}
