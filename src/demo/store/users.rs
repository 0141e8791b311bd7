//! Users, who of them is logged in, and their tokens for the JSON interface.
//!
//! A session cookie only carries the number of a login; the login itself is here, so that logging
//! out ends it, whoever has kept a copy of the cookie.

use super::{Store, StoreError};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use std::time::Duration;

/// A login ends after this time.
pub const LOGIN_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LOGIN_SECS: i64 = LOGIN_AGE.as_secs().cast_signed();

/// Logins of one user at a time. The oldest makes room.
const LOGINS_OF_A_USER_MAX: u32 = 20;

/// Users of the site. A demo has no way to delete them.
const USERS_MAX: i64 = 10_000;

/// Somebody with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their number.
    pub id: i64,
    /// As they wrote it.
    pub name: String,
    /// Whether they have a token for the JSON interface.
    pub has_token: bool,
}

/// What is needed to check a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who it would be.
    pub user: i64,
    /// The name as it was registered.
    pub name: String,
    /// The bcrypt hash of the password.
    pub password: String,
}

impl Store {
    /// Adds a user; `password` is its bcrypt hash.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] (upper and lower case are the same), [`StoreError::Full`],
    /// [`StoreError::Sqlite`].
    pub fn add_user(&self, name: &str, password: &str, now: i64) -> Result<i64, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let users: i64 = transaction
                .prepare_cached("SELECT count(*) FROM user")?
                .query_row([], |row| row.get(0))?;
            if users >= USERS_MAX {
                return Err(StoreError::Full);
            }
            let added = transaction
                .prepare_cached("INSERT INTO user (name, password, added) VALUES (?1, ?2, ?3)")?
                .execute(params![name, password, now]);
            match added {
                Ok(_) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    return Err(StoreError::NameTaken);
                }
                Err(error) => return Err(error.into()),
            }
            let id = transaction.last_insert_rowid();
            transaction.commit()?;
            Ok(id)
        })
    }

    /// What to check the password of `name` against.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn login_of(&self, name: &str) -> Result<Option<Login>, StoreError> {
        self.with(|connection| {
            let login = connection
                .prepare_cached("SELECT id, name, password FROM user WHERE name = ?1")?
                .query_row([name], |row| {
                    Ok(Login { user: row.get(0)?, name: row.get(1)?, password: row.get(2)? })
                })
                .optional()?;
            Ok(login)
        })
    }

    /// Logs a user in: `login` is a fresh random number in text form.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn log_in(&self, login: &str, user: i64, now: i64) -> Result<(), StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            forget_old_logins(&transaction, now)?;
            transaction
                .prepare_cached(
                    "DELETE FROM login WHERE id IN
                     (SELECT id FROM login WHERE user = ?1 ORDER BY made DESC LIMIT -1 OFFSET ?2)",
                )?
                .execute(params![user, LOGINS_OF_A_USER_MAX - 1])?;
            transaction
                .prepare_cached("INSERT INTO login (id, user, made) VALUES (?1, ?2, ?3)")?
                .execute(params![login, user, now])?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// Ends a login. There may be none any more.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn log_out(&self, login: &str) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.prepare_cached("DELETE FROM login WHERE id = ?1")?.execute([login])?;
            Ok(())
        })
    }

    /// Who is logged in under this number.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn user_of_login(&self, login: &str, now: i64) -> Result<Option<User>, StoreError> {
        self.user_where(
            "SELECT user.id, name, token IS NOT NULL FROM login JOIN user ON user.id = login.user
             WHERE login.id = ?1 AND made > ?2",
            params![login, now - LOGIN_SECS],
        )
    }

    /// Whose token this is the digest of.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn user_of_token(&self, digest: &[u8]) -> Result<Option<User>, StoreError> {
        self.user_where("SELECT id, name, 1 FROM user WHERE token = ?1", params![digest])
    }

    /// Gives a user a token, in place of the one before; `None` takes it away.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn set_token(&self, user: i64, digest: Option<&[u8]>) -> Result<(), StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached("UPDATE user SET token = ?2 WHERE id = ?1")?
                .execute(params![user, digest])?;
            Ok(())
        })
    }

    fn user_where(
        &self,
        select: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<User>, StoreError> {
        self.with(|connection| {
            let user = connection
                .prepare_cached(select)?
                .query_row(parameters, |row| {
                    Ok(User { id: row.get(0)?, name: row.get(1)?, has_token: row.get(2)? })
                })
                .optional()?;
            Ok(user)
        })
    }
}

pub(super) fn forget_old_logins(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM login WHERE made <= ?1")?.execute([now - LOGIN_SECS])?;
    Ok(())
}
