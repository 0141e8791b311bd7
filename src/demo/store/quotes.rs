//! Quotes: to list, search, add, change and delete.

use super::{Store, StoreError, search};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, TransactionBehavior, params};

/// So many quotes may one user add. It bounds what a forgotten public demo can be filled with.
const QUOTES_OF_A_USER_MAX: i64 = 1000;

/// The columns of a [`Quote`], in the order in which [`Quote::read`] takes them.
const COLUMNS: &str = "quote.id, quote.text, quote.film, quote.year, quote.character, \
    quote.picture, quote.picture_width, quote.picture_height, quote.picture_alt, \
    quote.user, user.name, quote.added, quote.changed";

/// A line of a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its number, which is never used again.
    pub id: i64,
    /// What is said.
    pub text: String,
    /// Where.
    pub film: String,
    /// When it came out.
    pub year: Option<u16>,
    /// Who says it; may be empty.
    pub character: String,
    /// What goes with it.
    pub picture: Option<Picture>,
    /// The number of who added it; `None`: it was there from the beginning.
    pub user: Option<i64>,
    /// Their name.
    pub user_name: Option<String>,
    /// When it was added.
    pub added: i64,
    /// When it was changed last.
    pub changed: i64,
}

/// A picture that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of its file below `pictures`.
    pub name: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// What is in it, for who does not see it; may be empty.
    pub alt: String,
}

/// What a quote is to say, checked before (see [`crate::demo::draft`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As in [`Quote::text`].
    pub text: String,
    /// As in [`Quote::film`].
    pub film: String,
    /// As in [`Quote::year`].
    pub year: Option<u16>,
    /// As in [`Quote::character`].
    pub character: String,
    /// What becomes of the picture.
    pub picture: PictureChange,
}

impl Change {
    /// Nothing but another picture.
    pub fn of_picture(quote: &Quote, picture: PictureChange) -> Self {
        Self {
            text: quote.text.clone(),
            film: quote.film.clone(),
            year: quote.year,
            character: quote.character.clone(),
            picture,
        }
    }
}

/// What becomes of a quote's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureChange {
    /// It stays, with this description.
    Keep {
        /// As in [`Picture::alt`].
        alt: String,
    },
    /// It goes; there is none.
    Remove,
    /// This one takes its place.
    Set(Picture),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its quotes.
    pub quotes: Vec<Quote>,
    /// How many there are on all pages.
    pub total: u64,
    /// Which page it is, from 1 on; never beyond the last.
    pub number: u64,
    /// How many pages there are; at least one.
    pub count: u64,
}

impl Quote {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let picture = match row.get(5)? {
            Some(name) => {
                Some(Picture { name, width: row.get(6)?, height: row.get(7)?, alt: row.get(8)? })
            }
            None => None,
        };
        Ok(Self {
            id: row.get(0)?,
            text: row.get(1)?,
            film: row.get(2)?,
            year: row.get(3)?,
            character: row.get(4)?,
            picture,
            user: row.get(9)?,
            user_name: row.get(10)?,
            added: row.get(11)?,
            changed: row.get(12)?,
        })
    }
}

impl Store {
    /// A page of all quotes, the newest first, or of those that have the words of `search`, the
    /// best match first. A page beyond the last is the last.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn list(&self, search: &str, page: u64, per_page: u32) -> Result<Page, StoreError> {
        self.with(|connection| match search::query(search) {
            Some(query) => {
                let count = "SELECT count(*) FROM word WHERE word MATCH ?1";
                let list = format!(
                    "SELECT {COLUMNS} FROM word JOIN quote ON quote.id = word.rowid
                     LEFT JOIN user ON user.id = quote.user
                     WHERE word MATCH ?1 ORDER BY word.rank, quote.id DESC LIMIT ?2 OFFSET ?3"
                );
                read_page(connection, count, &list, &query, page, per_page)
            }
            None => {
                // ?1 is named so that both queries take the same parameters.
                let count = "SELECT count(*) FROM quote WHERE ?1 = ''";
                let list = format!(
                    "SELECT {COLUMNS} FROM quote LEFT JOIN user ON user.id = quote.user
                     WHERE ?1 = '' ORDER BY quote.id DESC LIMIT ?2 OFFSET ?3"
                );
                read_page(connection, count, &list, "", page, per_page)
            }
        })
    }

    /// The quote with this number.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Sqlite`].
    pub fn quote(&self, id: i64) -> Result<Quote, StoreError> {
        self.with(|connection| find(connection, id))
    }

    /// Adds a quote of `user`.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Sqlite`].
    pub fn add(&self, user: i64, change: &Change, now: i64) -> Result<Quote, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let has: i64 = transaction
                .prepare_cached("SELECT count(*) FROM quote WHERE user = ?1")?
                .query_row([user], |row| row.get(0))?;
            if has >= QUOTES_OF_A_USER_MAX {
                return Err(StoreError::Full);
            }
            let picture = match &change.picture {
                PictureChange::Set(picture) => Some(picture),
                PictureChange::Keep { .. } | PictureChange::Remove => None,
            };
            transaction
                .prepare_cached(
                    "INSERT INTO quote (text, film, year, character, picture, picture_width,
                         picture_height, picture_alt, user, added, changed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
                )?
                .execute(params![
                    change.text,
                    change.film,
                    change.year,
                    change.character,
                    picture.map(|picture| &picture.name),
                    picture.map_or(0, |picture| picture.width),
                    picture.map_or(0, |picture| picture.height),
                    picture.map_or("", |picture| &picture.alt),
                    user,
                    now,
                ])?;
            let quote = find(&transaction, transaction.last_insert_rowid())?;
            transaction.commit()?;
            Ok(quote)
        })
    }

    /// Changes a quote of `user` to what `change` makes of it. Returns it, and the file of a picture
    /// that it no longer has.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotYours`], [`StoreError::Sqlite`].
    pub fn edit(
        &self,
        id: i64,
        user: i64,
        change: impl FnOnce(&Quote) -> Change,
        now: i64,
    ) -> Result<(Quote, Option<String>), StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = find_own(&transaction, id, user)?;
            let change = change(&before);
            let picture = match change.picture {
                PictureChange::Keep { alt } => {
                    before.picture.clone().map(|picture| Picture { alt, ..picture })
                }
                PictureChange::Remove => None,
                PictureChange::Set(picture) => Some(picture),
            };
            transaction
                .prepare_cached(
                    "UPDATE quote SET text = ?2, film = ?3, year = ?4, character = ?5,
                         picture = ?6, picture_width = ?7, picture_height = ?8, picture_alt = ?9,
                         changed = ?10
                     WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    change.text,
                    change.film,
                    change.year,
                    change.character,
                    picture.as_ref().map(|picture| &picture.name),
                    picture.as_ref().map_or(0, |picture| picture.width),
                    picture.as_ref().map_or(0, |picture| picture.height),
                    picture.as_ref().map_or("", |picture| &picture.alt),
                    now,
                ])?;
            let after = find(&transaction, id)?;
            transaction.commit()?;
            let name = |picture: &Option<Picture>| picture.as_ref().map(|p| p.name.clone());
            let (old, new) = (name(&before.picture), name(&after.picture));
            Ok((after, old.filter(|old| Some(old) != new.as_ref())))
        })
    }

    /// Deletes a quote of `user`, and returns it as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotYours`], [`StoreError::Sqlite`].
    pub fn delete(&self, id: i64, user: i64) -> Result<Quote, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let quote = find_own(&transaction, id, user)?;
            transaction.prepare_cached("DELETE FROM quote WHERE id = ?1")?.execute([id])?;
            transaction.commit()?;
            Ok(quote)
        })
    }

    /// The files of all pictures that quotes have.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn picture_names(&self) -> Result<Vec<String>, StoreError> {
        self.with(|connection| {
            let mut select =
                connection.prepare_cached("SELECT picture FROM quote WHERE picture IS NOT NULL")?;
            let names = select.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }
}

fn read_page(
    connection: &Connection,
    count: &str,
    list: &str,
    query: &str,
    page: u64,
    per_page: u32,
) -> Result<Page, StoreError> {
    let total: u64 = connection
        .prepare_cached(count)?
        .query_row([query], |row| row.get::<_, i64>(0))?
        .unsigned_abs();
    let per_page = u64::from(per_page.max(1));
    let count = total.div_ceil(per_page).max(1);
    let number = page.clamp(1, count);
    let offset = i64::try_from((number - 1) * per_page).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(list)?;
    let parameters: [&dyn ToSql; 3] = [&query, &per_page.cast_signed(), &offset];
    let quotes = select.query_map(parameters, Quote::read)?.collect::<Result<_, _>>()?;
    Ok(Page { quotes, total, number, count })
}

fn find(connection: &Connection, id: i64) -> Result<Quote, StoreError> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM quote LEFT JOIN user ON user.id = quote.user WHERE quote.id = ?1"
        ))?
        .query_row([id], Quote::read)
        .optional()?
        .ok_or(StoreError::NotFound)
}

fn find_own(connection: &Connection, id: i64, user: i64) -> Result<Quote, StoreError> {
    let quote = find(connection, id)?;
    if quote.user == Some(user) { Ok(quote) } else { Err(StoreError::NotYours) }
}
