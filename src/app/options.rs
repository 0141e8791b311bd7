//! What web.conf tells an application.

use super::{Error, Result};
use crate::sys::file;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A key is short.
const SECRET_MAX: u64 = 64 * 1024;

/// The `options` beside a `handler` in web.conf. Each key is asked for by its type; what nobody
/// asked for is a mistake that [`Options::finish`] finds.
///
/// ```
/// use httpyserver::Options;
///
/// let table = r#"
///     db = "quotes.db"
///     page = 20
/// "#;
/// let options = Options::new(table.parse().unwrap(), "/etc/web");
/// assert_eq!(options.path("db").unwrap().unwrap().to_str(), Some("/etc/web/quotes.db"));
/// assert_eq!(options.integer("page").unwrap(), Some(20));
/// assert!(options.finish().is_ok());
/// assert!(options.str("page").is_err(), "it is no text");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    table: toml::Table,
    folder: PathBuf,
    asked: RefCell<BTreeSet<String>>,
    exact: bool,
}

impl Options {
    /// Options with this table, whose relative paths are relative to `folder`.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("size = 3".parse().unwrap(), "/etc/web");
    /// assert_eq!(options.integer("size").unwrap(), Some(3));
    /// ```
    pub fn new(table: toml::Table, folder: impl Into<PathBuf>) -> Self {
        Self { table, folder: folder.into(), ..Self::default() }
    }

    /// The route is for exactly one path.
    pub(crate) fn at_exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    fn ask(&self, key: &str) -> Option<&toml::Value> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.table.get(key)
    }

    fn of_type<'o, T>(
        &'o self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'o toml::Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.ask(key) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(mistake(format!("the option `{key}` has to be {wanted}"))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("title = 'Quotes'".parse().unwrap(), "/");
    /// assert_eq!(options.str("title").unwrap(), Some("Quotes"));
    /// assert_eq!(options.str("other").unwrap(), None);
    /// ```
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.of_type(key, "a string", toml::Value::as_str)
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is something else.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("size = 3\nname = 'x'".parse().unwrap(), "/");
    /// assert_eq!(options.integer("size").unwrap(), Some(3));
    /// assert!(options.integer("name").is_err());
    /// ```
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.of_type(key, "a whole number", toml::Value::as_integer)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// It is something else.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("open = true".parse().unwrap(), "/");
    /// assert!(options.boolean("open").unwrap().unwrap_or(false));
    /// ```
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.of_type(key, "true or false", toml::Value::as_bool)
    }

    /// A path; a relative one is relative to the folder of web.conf.
    ///
    /// # Errors
    /// It is no string.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("db = 'my.db'\nlog = '/var/log/my'".parse().unwrap(), "/etc/web");
    /// assert_eq!(options.path("db").unwrap().unwrap().to_str(), Some("/etc/web/my.db"));
    /// assert_eq!(options.path("log").unwrap().unwrap().to_str(), Some("/var/log/my"));
    /// ```
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>> {
        Ok(self.str(key)?.map(|path| self.folder.join(path)))
    }

    /// A secret: the text itself, the variable of `"env:NAME"`, or the content of `"file:/path"`.
    ///
    /// # Errors
    /// It is no string; there is no such variable or file; or it is empty.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// std::fs::write(folder.path().join("key"), "long and random\n").unwrap();
    /// let table = "key = 'file:key'\nother = 'env:NO_SUCH_VARIABLE'".parse().unwrap();
    /// let options = Options::new(table, folder.path());
    /// assert_eq!(options.secret("key").unwrap().unwrap(), b"long and random");
    /// assert!(options.secret("other").is_err());
    /// ```
    pub fn secret(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(text) = self.str(key)? else { return Ok(None) };
        let secret = if let Some(name) = text.strip_prefix("env:") {
            std::env::var(name)
                .map_err(|_| {
                    mistake(format!("the variable {name} of the option `{key}` is not set"))
                })?
                .into_bytes()
        } else if let Some(path) = text.strip_prefix("file:") {
            let read = file::read(&self.folder.join(path), SECRET_MAX);
            let (content, _) =
                read.map_err(|error| mistake(format!("the file of the option `{key}`: {error}")))?;
            content.trim_ascii().to_vec()
        } else {
            text.as_bytes().to_vec()
        };
        if secret.is_empty() {
            return Err(mistake(format!("the option `{key}` is empty")));
        }
        Ok(Some(secret))
    }

    /// The folder that relative paths are relative to.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// assert_eq!(Options::new("".parse().unwrap(), "/etc/web").folder().to_str(), Some("/etc/web"));
    /// ```
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of it, for whoever reads it in another way; counts as asked for.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("colours = ['red', 'blue']".parse().unwrap(), "/");
    /// assert_eq!(options.table()["colours"].as_array().unwrap().len(), 2);
    /// ```
    pub fn table(&self) -> &toml::Table {
        self.asked.borrow_mut().extend(self.table.keys().cloned());
        &self.table
    }

    /// All options have been asked for.
    ///
    /// # Errors
    /// One that is there was not: it is misspelt.
    ///
    /// ```
    /// use httpyserver::Options;
    ///
    ///
    /// let options = Options::new("sise = 3".parse().unwrap(), "/");
    /// assert_eq!(options.integer("size").unwrap(), None);
    /// let error = options.finish().unwrap_err();
    /// assert_eq!(error.reason(), "there is no option `sise`; there are: `size`");
    /// ```
    pub fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        match self.table.keys().find(|key| !asked.contains(*key)) {
            None => Ok(()),
            Some(key) => {
                let known: Vec<_> = asked.iter().map(|key| format!("`{key}`")).collect();
                let known = known.join(", ");
                Err(mistake(format!("there is no option `{key}`; there are: {known}")))
            }
        }
    }
}

fn mistake(text: String) -> Error {
    Error::new(500, text)
}
