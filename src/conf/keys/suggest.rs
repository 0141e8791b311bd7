//! What was meant by a key that a table does not have.

use super::{ALL, Schema};

/// Keys that are planned, but not in this version: (table, key, what it is for). Building one
/// deletes its line.
static LATER: &[(&str, &str, &str)] = &[
    ("the file", "test", "tests in the configuration"),
    ("[server]", "control", "the control socket"),
    ("[server]", "trust", "trust in proxies"),
    ("[server]", "sandbox", "the sandbox"),
    ("[server]", "include", "included files"),
    ("[log]", "sqlite", "the access log in SQLite"),
    ("[log]", "mask_client", "masking of clients' addresses"),
    ("[log]", "utc", "local time in logs"),
    ("[[host]]", "cors", "CORS"),
    ("[[host]]", "rate", "rate limits"),
    ("[[host]]", "header", "header rules"),
    ("[[host]]", "limits", "limits of one host"),
    ("[[host]]", "timeouts", "time-outs of one host"),
    ("[[host]]", "compress", "compression of one host"),
    ("[[host]]", "status", "the status page"),
    ("[[host]]", "proxy", "the reverse proxy"),
    ("[[host.route]]", "cors", "CORS"),
    ("[[host.route]]", "rate", "rate limits"),
    ("[[host.route]]", "status", "the status page"),
    ("[[host.route]]", "proxy", "the reverse proxy"),
    ("[[host.route]]", "header", "header rules"),
    ("[[host.route]]", "limits", "limits of one route"),
    ("[[host.route]]", "timeouts", "time-outs of one route"),
    ("[[host.route]]", "compress", "compression of one route"),
];

/// What a key of a later version is for.
pub(in crate::conf) fn later(table: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(t, k, _)| *t == table && *k == key).map(|(_, _, what)| *what)
}

/// The table, other than `table`, that has exactly this key.
pub(in crate::conf) fn elsewhere(table: &str, key: &str) -> Option<&'static str> {
    let has = |schema: &&&dyn Schema| schema.title() != table && schema.names().contains(&key);
    ALL.iter().find(has).map(|schema| schema.title())
}

/// The word of `words` that was probably meant by `typed`.
pub fn closest<'a>(typed: &str, words: &[&'a str]) -> Option<&'a str> {
    let plain = typed.to_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&plain, &word.to_lowercase());
    let likeness = |word: &str| (strsim::jaro_winkler(&plain, word) * 1000.0) as u32;
    let best = words.iter().min_by_key(|word| (distance(word), u32::MAX - likeness(word)))?;
    // A third of the letters wrong is a typo; more is another word.
    (distance(best) <= (best.chars().count() / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::super::HOST;
    use super::*;

    #[test]
    fn no_key_is_both_here_and_later() {
        for (table, key, _) in LATER {
            let schema = ALL.iter().find(|s| s.title() == *table);
            assert!(schema.is_some_and(|s| !s.names().contains(key)), "{table} {key}");
        }
    }

    #[test]
    fn closest_words() {
        for (typed, want) in [
            ("rooot", Some("root")),
            ("clean-urls", Some("clean_urls")),
            ("Clean_URLs", Some("clean_urls")),
            ("cacheControl", Some("cache_control")),
            ("lsiting", Some("listing")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, &HOST.names()), want, "{typed}");
        }
    }
}
