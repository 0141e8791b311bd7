//! The keys of `web.conf`. Each is declared once, in the file of its table.
//!
//! A declaration has the name, the type with its range, the place in the model, a line that says
//! what the key does, and an example; the default is that of the model. The reader takes keys by
//! these declarations, `-T` prints by them, and suggestions come from them. A test writes
//! `conf/web.conf.full` and the tables of `docs/config.md` from them (`conf::tests::documents`).

/// Where in a table of the model a key's value lies, and its kind.
macro_rules! at {
    ($table:ty: $kind:expr) => {
        &super::Field::<$table, _, _> { kind: $kind, get: |all| all, get_mut: |all| all }
    };
    ($table:ty, $($field:ident).+: $kind:expr) => {
        &super::Field::<$table, _, _> {
            kind: $kind,
            get: |table| &table.$($field).+,
            get_mut: |table| &mut table.$($field).+,
        }
    };
}

/// A variant of an enum of the model.
macro_rules! variant {
    ($of:path: $kind:expr) => {
        super::Variant {
            kind: $kind,
            of: $of,
            get: |whole| if let $of(value) = whole { Some(value) } else { None },
        }
    };
}

pub(super) mod access;
pub(super) mod answers;
pub(super) mod app;
pub(super) mod cgi;
pub(super) mod file;
pub(super) mod files;
pub(super) mod host;
mod kind;
pub(super) mod limits;
pub(super) mod log;
pub(super) mod media;
mod numbers;
pub(super) mod route;
pub(super) mod server;
mod suggest;
mod texts;
pub(super) mod tls;

pub(super) use file::ROOT;
pub(super) use host::HOST;
pub(super) use kind::{
    Field, Kind, Nested, Optional, OrFalse, Own, Placed, Sort, Sparse, Value, Variant,
};
pub(super) use numbers::{Code, Number, Rate, Size, Time};
pub(super) use route::ROUTE;
pub use suggest::closest;
pub(super) use suggest::{elsewhere, later};
pub(super) use texts::{Boolean, List, Methods, Path, STRINGS, Text, Word};

use super::diagnostic::Diagnostic;
use super::read::{Reader, Table};
use super::toml_text;

/// A key of a table whose values go into a `T`.
pub(super) struct Key<T: 'static> {
    /// As it is written.
    pub name: &'static str,
    /// Its type, and its place in the model.
    pub value: &'static dyn Value<T>,
    /// Whether the table makes no sense without it; with advice for whoever left it out.
    needed: Option<&'static str>,
    pub about: About,
}

/// What documents say of a key.
#[derive(Clone, Copy)]
pub(super) struct About {
    /// What it does, in a line.
    pub what: &'static str,
    /// A value, as it is written.
    pub example: &'static str,
    /// What holds without the key, if that is no value of it.
    pub otherwise: &'static str,
}

/// A key by its name, and what its value is.
const fn key<T>(name: &'static str, value: &'static dyn Value<T>) -> Key<T> {
    Key { name, value, needed: None, about: About { what: "", example: "", otherwise: "" } }
}

impl<T> Key<T> {
    const fn does(mut self, what: &'static str) -> Self {
        self.about.what = what;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.about.example = example;
        self
    }

    const fn otherwise(mut self, otherwise: &'static str) -> Self {
        self.about.otherwise = otherwise;
        self
    }

    const fn needed(mut self, help: &'static str) -> Self {
        self.needed = Some(help);
        self.otherwise("needed")
    }
}

/// Keys that belong together: those of a table, or of a part of one.
pub(super) struct Keys<T: 'static> {
    /// How messages and documents speak of the table.
    pub title: &'static str,
    /// What holds without any of the keys.
    pub defaults: fn() -> T,
    pub keys: &'static [Key<T>],
}

impl<T> Keys<T> {
    /// Takes the keys out of a table. Returns whether all that are needed are there.
    pub(super) fn fill(
        &self,
        reader: &mut Reader<'_>,
        table: &mut Table<'_>,
        into: &mut T,
    ) -> bool {
        let mut complete = true;
        for key in self.keys {
            match (table.take(key.name), key.needed) {
                (Some(item), _) => {
                    key.value.read(reader, &item, into);
                }
                (None, Some(help)) => {
                    complete = false;
                    // A misspelt key is probably the missing one: one message for one mistake.
                    if !table.has_unknown() {
                        let message = format!("{} needs `{}`", table.named, key.name);
                        let missing = Diagnostic::error("missing-key", message, table.span.clone());
                        reader.report(if help.is_empty() { missing } else { missing.help(help) });
                    }
                }
                (None, None) => {}
            }
        }
        complete
    }

    /// Reads a whole table. `None`: a key that it needs is missing.
    pub(super) fn whole(&self, reader: &mut Reader<'_>, mut table: Table<'_>) -> Option<T> {
        let mut value = (self.defaults)();
        let complete = self.fill(reader, &mut table, &mut value);
        table.finish(reader);
        complete.then_some(value)
    }

    /// The keys that have something to show, each with its value as it is written.
    pub(super) fn shown(&self, value: &T) -> Vec<(&'static str, String)> {
        self.keys.iter().filter_map(|key| Some((key.name, key.value.show(value)?))).collect()
    }

    /// An inline table.
    pub(super) fn inline(&self, value: &T) -> String {
        toml_text::table(self.shown(value))
    }
}

/// A table with fixed keys, whatever they go into.
pub(super) trait Schema: Sync {
    /// How messages and documents speak of the table.
    fn title(&self) -> &'static str;
    /// Its keys.
    fn names(&self) -> Vec<&'static str>;
    /// What documents say of its keys.
    #[cfg(test)]
    fn rows(&self) -> Vec<Row>;
}

/// What documents say of a key.
#[cfg(test)]
pub(super) struct Row {
    pub name: &'static str,
    pub about: About,
    /// The type, with its article.
    pub kind: String,
    pub range: Option<String>,
    /// The default, as it is written, if it is a value.
    pub default: Option<String>,
}

impl<T> Schema for Keys<T> {
    fn title(&self) -> &'static str {
        self.title
    }

    fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    #[cfg(test)]
    fn rows(&self) -> Vec<Row> {
        let defaults = (self.defaults)();
        let row = |key: &Key<T>| Row {
            name: key.name,
            about: key.about,
            kind: key.value.sort().wanted(),
            range: key.value.sort().range(),
            default: key.value.show(&defaults),
        };
        self.keys.iter().map(row).collect()
    }
}

/// A table of several parts.
pub(super) struct Compound {
    pub title: &'static str,
    pub parts: &'static [&'static dyn Schema],
}

impl Schema for Compound {
    fn title(&self) -> &'static str {
        self.title
    }

    fn names(&self) -> Vec<&'static str> {
        self.parts.iter().flat_map(|part| part.names()).collect()
    }

    #[cfg(test)]
    fn rows(&self) -> Vec<Row> {
        self.parts.iter().flat_map(|part| part.rows()).collect()
    }
}

/// Every table with fixed keys.
pub(super) static ALL: [&dyn Schema; 22] = [
    &access::AUTH,
    &tls::TLS,
    &tls::CERT,
    &tls::CLIENT_CA,
    &tls::HOST_TLS,
    &ROOT,
    &server::SERVER,
    &limits::TIMEOUTS,
    &limits::LIMITS,
    &log::LOG,
    &media::MEDIA,
    &media::COMPRESS,
    &cgi::CGI,
    &HOST,
    &ROUTE,
    &cgi::CGI_LIMITS,
    &files::UPLOAD,
    &answers::REDIRECT,
    &answers::RESPOND,
    &app::APP,
    &app::WORKERS,
    &app::RECYCLE,
];
