//! Which keys there are, in which table: the one place that knows.
//!
//! The reader asks for keys of these lists only, suggestions come from them, and a test holds
//! `docs/config.md` against them.

/// The keys of one table.
#[derive(Debug)]
pub(crate) struct Schema {
    /// How messages and documents speak of the table.
    pub title: &'static str,
    /// The keys it may have.
    pub keys: &'static [&'static str],
}

pub(crate) static ROOT: Schema = Schema {
    title: "the file",
    keys: &[
        "server", "timeouts", "limits", "log", "media", "compress", "tls", "cgi", "app", "host",
    ],
};

pub(crate) static SERVER: Schema =
    Schema { title: "[server]", keys: &["listen", "user", "pid_file", "server_header"] };

pub(crate) static TIMEOUTS: Schema = Schema {
    title: "[timeouts]",
    keys: &["handshake", "header", "body", "idle", "write", "shutdown"],
};

pub(crate) static LIMITS: Schema = Schema {
    title: "[limits]",
    keys: &[
        "connections",
        "per_client",
        "request_line",
        "header_bytes",
        "header_count",
        "body",
        "spool_above",
        "spool_total",
        "min_rate",
    ],
};

pub(crate) static LOG: Schema =
    Schema { title: "[log]", keys: &["level", "error", "access", "format", "skip"] };

pub(crate) static MEDIA: Schema =
    Schema { title: "[media]", keys: &["default", "charset", "types"] };

pub(crate) static COMPRESS: Schema =
    Schema { title: "[compress]", keys: &["dynamic", "static", "min"] };

pub(crate) static TLS: Schema = Schema {
    title: "[tls]",
    keys: &["cert", "local", "min_version", "tickets", "watch", "hsts", "client_ca"],
};

pub(crate) static CERT: Schema = Schema { title: "[[tls.cert]]", keys: &["chain", "key"] };

pub(crate) static CLIENT_CA: Schema = Schema { title: "client_ca", keys: &["file", "required"] };

pub(crate) static HOST_TLS: Schema = Schema { title: "tls", keys: &["cert", "key"] };
pub(crate) static APP: Schema = Schema {
    title: "[app.NAME]",
    keys: &[
        "wsgi",
        "dir",
        "venv",
        "python",
        "workers",
        "queue",
        "queue_timeout",
        "timeout",
        "startup",
        "recycle",
        "env",
        "user",
        "required",
        "reload",
    ],
};

pub(crate) static WORKERS: Schema = Schema { title: "workers", keys: &["min", "max"] };

pub(crate) static RECYCLE: Schema =
    Schema { title: "recycle", keys: &["requests", "jitter", "memory", "age"] };

pub(crate) static CGI: Schema = Schema { title: "[cgi]", keys: &["interpreter", "env"] };

pub(crate) static HOST: Schema = Schema {
    title: "[[host]]",
    keys: &[
        "names",
        "default",
        "welcome",
        "root",
        "cgi",
        "redirect",
        "respond",
        "tls",
        "https",
        "hsts",
        "handler",
        "options",
        "app",
        "pages",
        "index",
        "errors",
        "listing",
        "hidden",
        "clean_urls",
        "fallback",
        "cache_control",
        "upload",
        "cgi_limits",
        "cgi_authorization",
        "encoded_slashes",
        "allow",
        "auth",
        "route",
    ],
};

pub(crate) static ROUTE: Schema = Schema {
    title: "[[host.route]]",
    keys: &[
        "path",
        "methods",
        "internal",
        "files",
        "cgi",
        "redirect",
        "respond",
        "handler",
        "options",
        "app",
        "pages",
        "listing",
        "hidden",
        "clean_urls",
        "fallback",
        "cache_control",
        "upload",
        "cgi_limits",
        "cgi_authorization",
        "encoded_slashes",
        "allow",
        "auth",
    ],
};

pub(crate) static CGI_LIMITS: Schema =
    Schema { title: "cgi_limits", keys: &["timeout", "processes", "queue", "memory", "cpu"] };

pub(crate) static UPLOAD: Schema =
    Schema { title: "upload", keys: &["methods", "max", "overwrite", "mkdir"] };

pub(crate) static AUTH: Schema = Schema { title: "auth", keys: &["users", "realm", "for"] };

pub(crate) static REDIRECT: Schema = Schema { title: "redirect", keys: &["to", "status"] };

pub(crate) static RESPOND: Schema = Schema { title: "respond", keys: &["status", "body", "type"] };

/// Every table with fixed keys.
pub(crate) static ALL: [&Schema; 22] = [
    &AUTH,
    &TLS,
    &CERT,
    &CLIENT_CA,
    &HOST_TLS,
    &ROOT,
    &SERVER,
    &TIMEOUTS,
    &LIMITS,
    &LOG,
    &MEDIA,
    &COMPRESS,
    &CGI,
    &HOST,
    &ROUTE,
    &CGI_LIMITS,
    &UPLOAD,
    &REDIRECT,
    &RESPOND,
    &APP,
    &WORKERS,
    &RECYCLE,
];

/// The keys that keep files of a folder company, and make no sense beside another action.
pub(crate) static BESIDE_FILES: [&str; 6] =
    ["listing", "hidden", "clean_urls", "fallback", "cache_control", "upload"];

/// The same for scripts.
pub(crate) static BESIDE_CGI: [&str; 2] = ["cgi_limits", "cgi_authorization"];

/// Keys that are planned and documented elsewhere, but not in this version: (table, key, what it
/// is). Whoever builds one deletes its line.
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
pub(crate) fn later(table: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(t, k, _)| *t == table && *k == key).map(|(_, _, what)| *what)
}

/// The table, other than `table`, that has exactly this key.
pub(crate) fn elsewhere(table: &str, key: &str) -> Option<&'static str> {
    let has = |schema: &&&Schema| schema.title != table && schema.keys.contains(&key);
    ALL.iter().find(has).map(|schema| schema.title)
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
    use super::*;

    #[test]
    fn no_key_is_both_here_and_later() {
        for (table, key, _) in LATER {
            let schema = ALL.iter().find(|s| s.title == *table);
            assert!(schema.is_some_and(|s| !s.keys.contains(key)), "{table} {key}");
        }
    }

    #[test]
    fn closest_words() {
        let keys = HOST.keys;
        for (typed, want) in [
            ("rooot", Some("root")),
            ("clean-urls", Some("clean_urls")),
            ("Clean_URLs", Some("clean_urls")),
            ("cacheControl", Some("cache_control")),
            ("lsiting", Some("listing")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, keys), want, "{typed}");
        }
    }
}
