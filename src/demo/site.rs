//! What the pages of the site share, on the loop and among the helpers.

use super::picture::{PictureError, Pictures};
use super::random;
use super::settings::{Key, Settings, keep_key, session_key};
use super::store::{Store, StoreError, User};
use rusqlite::ErrorCode;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The part that blocks: used by helpers only.
pub struct Site {
    pub settings: Settings,
    /// What sessions are signed with.
    pub key: Key,
    open: OnceLock<Data>,
    opening: Mutex<()>,
}

/// What lies in the data folder.
pub struct Data {
    pub store: Store,
    pub pictures: Pictures,
}

/// Why a helper did not do its part.
#[derive(Debug)]
pub enum Fail {
    Store(StoreError),
    Picture(PictureError),
    Io(io::Error),
    Password(bcrypt::BcryptError),
}

impl Site {
    /// A site with these settings; nothing is opened yet.
    ///
    /// # Errors
    /// No random numbers for a key.
    pub fn new(settings: Settings) -> io::Result<Self> {
        let key = session_key(&settings.data)?;
        Ok(Self::with_key(settings, key))
    }

    /// The same, for a key that is known.
    pub fn with_key(settings: Settings, key: Key) -> Self {
        Self { settings, key, open: OnceLock::new(), opening: Mutex::default() }
    }

    /// The data, opened by whoever asks first: a disk that is not there keeps no other site from
    /// starting, and is looked for again at the next request.
    ///
    /// # Errors
    /// The folder cannot be made or written, or holds something else.
    pub fn data(&self) -> Result<&Data, Fail> {
        if let Some(data) = self.open.get() {
            return Ok(data);
        }
        let _one: MutexGuard<'_, ()> = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = self.open.get() {
            return Ok(data);
        }
        let folder = &self.settings.data;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        keep_key(folder, &self.key)?;
        let pictures = Pictures::open(folder)?;
        let store = Store::open(folder, now())?;
        pictures.sweep(&store.picture_names()?, SystemTime::now())?;
        Ok(self.open.get_or_init(|| Data { store, pictures }))
    }

    pub fn store(&self) -> Result<&Store, Fail> {
        Ok(&self.data()?.store)
    }

    /// Who has the login with this number, if anybody.
    ///
    /// # Errors
    /// The store's.
    pub fn user(&self, login: Option<&str>) -> Result<Option<User>, Fail> {
        match login {
            Some(login) => Ok(self.store()?.user_of_login(login, now())?),
            None => Ok(None),
        }
    }

    /// Whose token this is, if anybody's.
    ///
    /// # Errors
    /// The store's.
    pub fn user_of_token(&self, token: &str) -> Result<Option<User>, Fail> {
        Ok(self.store()?.user_of_token(&random::digest(token))?)
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}

/// A failure that is nobody's mistake, and may be over later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room for what was to be written.
    DiskFull,
    /// Somebody else has used the database for too long.
    Busy,
}

impl Fail {
    /// Whether it is one of those.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Store(StoreError::Sqlite(error)) => match error.sqlite_error_code()? {
                ErrorCode::DiskFull => Some(Trouble::DiskFull),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Trouble::Busy),
                _ => None,
            },
            Self::Io(error)
            | Self::Picture(PictureError::Io(error))
            | Self::Store(StoreError::File(error)) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some(Trouble::DiskFull)
                }
                _ => None,
            },
            Self::Store(_) | Self::Picture(_) | Self::Password(_) => None,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Picture(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the data folder: {error}"),
            Self::Password(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fail {}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PictureError> for Fail {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<bcrypt::BcryptError> for Fail {
    fn from(error: bcrypt::BcryptError) -> Self {
        Self::Password(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn trouble(result: rusqlite::Result<()>) -> Option<Trouble> {
        Fail::from(StoreError::from(result.unwrap_err())).trouble()
    }

    #[test]
    fn a_full_disk_and_a_lock_are_told_from_what_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let connection = Connection::open(folder.path().join("db")).unwrap();
            connection.busy_timeout(std::time::Duration::ZERO).unwrap();
            connection
        };
        let (one, other) = (open(), open());
        one.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 2").unwrap();
        let large = "INSERT INTO t VALUES (zeroblob(100000))";
        assert_eq!(trouble(one.execute_batch(large)), Some(Trouble::DiskFull));
        one.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(trouble(other.execute_batch("BEGIN IMMEDIATE")), Some(Trouble::Busy));
        assert_eq!(trouble(one.execute_batch("no SQL")), None);
        for (kind, trouble) in [
            (io::ErrorKind::StorageFull, Some(Trouble::DiskFull)),
            (io::ErrorKind::QuotaExceeded, Some(Trouble::DiskFull)),
            (io::ErrorKind::PermissionDenied, None),
        ] {
            assert_eq!(Fail::Io(kind.into()).trouble(), trouble, "{kind}");
            assert_eq!(Fail::Picture(PictureError::Io(kind.into())).trouble(), trouble, "{kind}");
        }
    }
}
