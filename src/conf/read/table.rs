//! A table whose keys are taken one by one; what nobody took is a mistake.

use super::schema::{self, Schema};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::foreign;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What every reading function needs: where relative paths begin, and where mistakes go.
pub(super) struct Reader<'a> {
    /// The folder of the configuration.
    pub folder: &'a Path,
    /// What was found so far.
    pub found: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Notes a mistake.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }
}

/// A key, its value, and the table they are in.
#[derive(Clone, Debug)]
pub(super) struct Item<'t> {
    /// How messages speak of the table.
    pub table: &'static str,
    /// The key.
    pub key: &'t str,
    /// Where the key is.
    pub key_span: Range<usize>,
    /// The value.
    pub value: &'t DeValue<'t>,
    /// Where the value is.
    pub span: Range<usize>,
}

impl<'t> Item<'t> {
    /// How messages speak of it: `` `idle` in [timeouts] ``.
    pub(super) fn title(&self) -> String {
        if self.table == schema::ROOT.title {
            format!("`{}`", self.key)
        } else {
            format!("`{}` in {}", self.key, self.table)
        }
    }

    /// The same key with one element of its array as value.
    pub(super) fn element(&self, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { value: value.get_ref(), span: value.span(), ..self.clone() }
    }
}

/// A table being read.
pub(super) struct Table<'t> {
    schema: &'static Schema,
    /// Where the table is: its header, or all of an inline table.
    pub span: Range<usize>,
    entries: Vec<Item<'t>>,
}

impl<'t> Table<'t> {
    /// A table with the keys of `schema`.
    pub(super) fn new(schema: &'static Schema, table: &'t DeTable<'t>, span: Range<usize>) -> Self {
        Self { schema, span, entries: entries(schema.title, table) }
    }

    /// Takes a key out of the table.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'t>> {
        debug_assert!(self.schema.keys.contains(&key), "{key} is not in the schema");
        let place = self.entries.iter().position(|item| item.key == key)?;
        Some(self.entries.remove(place))
    }

    /// How messages speak of it.
    pub(super) fn title(&self) -> &'static str {
        self.schema.title
    }

    /// Whether keys are left that nobody took: misspelt, or of a later version.
    pub(super) fn has_rest(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Reports what is left.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for item in self.entries {
            reader.report(unknown(self.schema, &item));
        }
    }
}

/// All entries of a table, in the order of the file.
pub(super) fn entries<'t>(title: &'static str, table: &'t DeTable<'t>) -> Vec<Item<'t>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Item {
            table: title,
            key: key.get_ref(),
            key_span: key.span(),
            value: value.get_ref(),
            // A table that only a deeper header implies is written nowhere itself.
            span: if value.span().is_empty() { key.span() } else { value.span() },
        })
        .collect();
    entries.sort_by_key(|item| item.key_span.start);
    entries
}

/// The tables of an array such as `[[host]]`.
pub(super) fn tables<'t>(
    reader: &mut Reader<'_>,
    item: &Item<'t>,
    schema: &'static Schema,
    title: &str,
) -> Vec<Table<'t>> {
    let wanted = format!("an array of tables, each headed {title}");
    let Some(array) = item.value.as_array() else {
        reader.wrong_type(item, &wanted);
        return Vec::new();
    };
    let mut tables = Vec::new();
    for value in array.iter() {
        match value.get_ref() {
            DeValue::Table(table) => tables.push(Table::new(schema, table, value.span())),
            _ => reader.wrong_type(&item.element(value), &wanted),
        }
    }
    tables
}

/// The mistake of a key that its table does not have.
fn unknown(schema: &Schema, item: &Item<'_>) -> Diagnostic {
    let key = item.key;
    let title = schema.title;
    if let Some(what) = schema::later(title, key) {
        let message = format!("{} is not available in this version", item.title());
        return Diagnostic::error("not-yet", message, item.key_span.clone())
            .label(format!("{what}: in a later version"));
    }
    let message = format!("`{key}` is not a key of {title}");
    let diagnostic = Diagnostic::error("unknown-key", message, item.key_span.clone());
    if let Some(here) = foreign::word(key) {
        return diagnostic.help(here);
    }
    if let Some(word) = schema::closest(key, schema.keys) {
        let diagnostic = diagnostic.label(format!("did you mean `{word}`?"));
        return if key.to_lowercase().replace('-', "_") == word {
            diagnostic.help("keys are written in lower case, with underscores")
        } else {
            diagnostic
        };
    }
    match schema::elsewhere(title, key) {
        Some(other) => diagnostic.label(format!("`{key}` is a key of {other}")),
        None => diagnostic.help(format!("keys of {title}: {}", schema.keys.join(", "))),
    }
}
