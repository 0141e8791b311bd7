//! What the site remembers: quotes, pictures' names, users and who is logged in, in one SQLite file.
//!
//! Everything here blocks, so it is called on the helper pool only. A [`Store`] is shared by the
//! helpers: each call borrows an open connection, or opens one more; there are never more of them
//! than helpers. Readers do not wait for a writer (WAL), writers wait for each other.

mod quotes;
mod schema;
mod search;
mod seed;
mod users;

#[cfg(test)]
mod tests;

pub use quotes::{Change, Page, Picture, PictureChange, Quote};
pub use users::{LOGIN_AGE, User};

use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a writer waits for another one. Writes take a millisecond; this is for a disk that
/// stumbles.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections kept for the next call. More are closed after use.
const IDLE_MAX: usize = 4;

/// Prepared statements kept with each connection: all there are.
const STATEMENTS: usize = 40;

/// The site's database.
pub struct Store {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// Why the store did not do what it was asked for.
#[derive(Debug)]
pub enum StoreError {
    /// There is no such quote.
    NotFound,
    /// Only who added a quote may change it.
    NotYours,
    /// Somebody has this name already.
    NameTaken,
    /// A user has a great many quotes, or the site has a great many users.
    Full,
    /// The file was written by a later version of the program.
    Newer {
        /// The version of its schema.
        found: i64,
    },
    /// There is no file, and none can be made.
    File(io::Error),
    /// SQLite could not.
    Sqlite(rusqlite::Error),
}

impl Store {
    /// Opens the database in `folder`, makes it if it is not there, and brings it up to date.
    /// `now` is in seconds since 1970, here and everywhere below.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::File`], or whatever SQLite says of the file.
    pub fn open(folder: &Path, now: i64) -> Result<Self, StoreError> {
        let path = folder.join("quotes.db");
        // Not left to SQLite, which lets everybody read what it makes. The files beside it get the
        // mode of this one.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            // One that is there may be of a time when this was left to SQLite. Where it belongs to
            // somebody else, that is whose business it is.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let _ = std::fs::set_permissions(&path, Permissions::from_mode(0o600));
            }
            made => drop(made.map_err(StoreError::File)?),
        }
        let store = Self { path, idle: Mutex::default() };
        store.with(|connection| {
            schema::migrate(connection, now)?;
            users::forget_old_logins(connection, now)
        })?;
        Ok(store)
    }

    /// Lends `work` a connection. One that saw an error is not used again.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let result = work(&mut connection);
        if !matches!(result, Err(StoreError::Sqlite(_))) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
        }
        result
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        // Each connection is used by one thread at a time, so SQLite needs no locks of its own.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // In WAL mode NORMAL loses the last moments in a power cut, but never consistency.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA journal_size_limit = 4194304;
             PRAGMA cache_size = -2000;",
        )?;
        Ok(connection)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such quote"),
            Self::NotYours => f.write_str("it belongs to somebody else"),
            Self::NameTaken => f.write_str("the name is taken"),
            Self::Full => f.write_str("there is no room for more"),
            Self::Newer { found } => {
                write!(f, "the database has version {found}, of a later httpyserver")
            }
            Self::File(error) => write!(f, "the database cannot be made: {error}"),
            Self::Sqlite(error) => write!(f, "the database says: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}
