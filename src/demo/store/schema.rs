//! The tables, and how older files come to have them.

use super::{StoreError, seed};
use rusqlite::{Connection, TransactionBehavior};

/// Each step makes one version of the next. Steps are never edited once they were shipped: a change
/// is a step of its own.
const STEPS: [&str; 1] = ["
    CREATE TABLE user (
        id       INTEGER PRIMARY KEY,
        name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password TEXT NOT NULL,
        token    BLOB UNIQUE,
        added    INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE login (
        id   TEXT PRIMARY KEY,
        user INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
        made INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX login_made ON login (made);
    CREATE INDEX login_user ON login (user);

    -- AUTOINCREMENT: the number of a deleted quote is never given again, so that a kept link or an
    -- open live page does not mean another quote.
    CREATE TABLE quote (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        text           TEXT NOT NULL,
        film           TEXT NOT NULL,
        year           INTEGER,
        character      TEXT NOT NULL,
        picture        TEXT UNIQUE,
        picture_width  INTEGER NOT NULL DEFAULT 0,
        picture_height INTEGER NOT NULL DEFAULT 0,
        picture_alt    TEXT NOT NULL DEFAULT '',
        user           INTEGER REFERENCES user (id) ON DELETE SET NULL,
        added          INTEGER NOT NULL,
        changed        INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX quote_user ON quote (user);

    -- The words of the quotes; the text itself is not stored twice.
    CREATE VIRTUAL TABLE word USING fts5 (
        text, film, character,
        content = 'quote', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TRIGGER quote_added AFTER INSERT ON quote BEGIN
        INSERT INTO word (rowid, text, film, character)
        VALUES (new.id, new.text, new.film, new.character);
    END;
    CREATE TRIGGER quote_deleted AFTER DELETE ON quote BEGIN
        INSERT INTO word (word, rowid, text, film, character)
        VALUES ('delete', old.id, old.text, old.film, old.character);
    END;
    CREATE TRIGGER quote_changed AFTER UPDATE OF text, film, character ON quote BEGIN
        INSERT INTO word (word, rowid, text, film, character)
        VALUES ('delete', old.id, old.text, old.film, old.character);
        INSERT INTO word (rowid, text, film, character)
        VALUES (new.id, new.text, new.film, new.character);
    END;
"];

/// Brings the file to the version of this program; a new file gets the first quotes, too. All of it
/// happens or nothing, also when two processes open the file at once.
pub(super) fn migrate(connection: &mut Connection, now: i64) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).ok().filter(|done| *done <= STEPS.len());
    let Some(done) = done else { return Err(StoreError::Newer { found }) };
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len().cast_signed())?;
    if done == 0 {
        seed::plant(&transaction, now)?;
    }
    transaction.commit()?;
    Ok(())
}
