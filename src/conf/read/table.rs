//! A table whose keys are taken one by one; what is left at the end is a mistake.

use crate::conf::diagnostic::Diagnostic;
use crate::conf::foreign;
use crate::conf::keys::{self, Keys, Schema};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What every reading function needs: where relative paths begin, and where mistakes go.
pub(in crate::conf) struct Reader<'a> {
    /// The folder of the configuration.
    pub folder: &'a Path,
    /// What was found so far.
    pub found: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Notes a mistake.
    pub(in crate::conf) fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }
}

/// A key, its value, and the table they are in.
#[derive(Clone, Debug)]
pub(in crate::conf) struct Item<'t> {
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
    pub(in crate::conf) fn title(&self) -> String {
        if self.table == keys::ROOT.title {
            format!("`{}`", self.key)
        } else {
            format!("`{}` in {}", self.key, self.table)
        }
    }

    /// The same key with one element of its array as value.
    pub(super) fn element(&self, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { value: value.get_ref(), span: value.span(), ..self.clone() }
    }

    /// The elements of an array, or the value itself.
    pub(in crate::conf) fn elements(&self) -> Vec<Self> {
        let array = self.value.as_array();
        let elements = array.map(|array| array.iter().map(|one| self.element(one)).collect());
        elements.unwrap_or_else(|| vec![self.clone()])
    }
}

/// A table being read.
pub(in crate::conf) struct Table<'t> {
    schema: &'static dyn Schema,
    /// How messages speak of this one.
    pub named: String,
    /// Where the table is: its header, or all of an inline table.
    pub span: Range<usize>,
    entries: Vec<Item<'t>>,
}

impl<'t> Table<'t> {
    /// A table with the keys of `schema`.
    pub(super) fn new(
        schema: &'static dyn Schema,
        named: String,
        table: &'t DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        Self { schema, named, span, entries: entries(schema.title(), table) }
    }

    /// Takes a key out of the table.
    pub(in crate::conf) fn take(&mut self, key: &'static str) -> Option<Item<'t>> {
        debug_assert!(self.schema.names().contains(&key), "{key} is not declared");
        let place = self.entries.iter().position(|item| item.key == key)?;
        Some(self.entries.remove(place))
    }

    /// A key that is left in the table.
    pub(in crate::conf) fn get(&self, key: &'static str) -> Option<&Item<'t>> {
        self.entries.iter().find(|item| item.key == key)
    }

    /// Whether it has keys that no such table has: misspelt, or of a later version.
    pub(in crate::conf) fn has_unknown(&self) -> bool {
        let names = self.schema.names();
        self.entries.iter().any(|item| !names.contains(&item.key))
    }

    /// Takes the keys of one part of the table. They make sense only beside the key `beside`,
    /// where they go into a value; `name` is that of the mistake.
    pub(super) fn take_beside<T>(
        &mut self,
        reader: &mut Reader<'_>,
        keys: &'static Keys<T>,
        into: Option<&mut T>,
        (name, beside): (&'static str, &str),
    ) {
        let Some(into) = into else {
            let taken = keys.names().into_iter().filter_map(|key| self.take(key));
            for item in taken.collect::<Vec<_>>() {
                if !self.has_unknown() {
                    let message = format!("{} needs `{beside}` beside it", item.title());
                    reader.report(Diagnostic::error(name, message, item.key_span));
                }
            }
            return;
        };
        keys.fill(reader, self, into);
    }

    /// Reports what is left.
    pub(in crate::conf) fn finish(self, reader: &mut Reader<'_>) {
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
pub(in crate::conf) fn tables<'t>(
    reader: &mut Reader<'_>,
    item: &Item<'t>,
    schema: &'static dyn Schema,
) -> Vec<Table<'t>> {
    let title = schema.title();
    let wanted = format!("an array of tables, each headed {title}");
    let Some(array) = item.value.as_array() else {
        reader.wrong_type(item, &wanted);
        return Vec::new();
    };
    let mut tables = Vec::new();
    for value in array.iter() {
        match value.get_ref() {
            DeValue::Table(table) => {
                tables.push(Table::new(schema, title.to_owned(), table, value.span()));
            }
            _ => reader.wrong_type(&item.element(value), &wanted),
        }
    }
    tables
}

/// The mistake of a key that its table does not have.
fn unknown(schema: &dyn Schema, item: &Item<'_>) -> Diagnostic {
    let key = item.key;
    let (title, names) = (schema.title(), schema.names());
    if let Some(what) = keys::later(title, key) {
        let message = format!("{} is not available in this version", item.title());
        return Diagnostic::error("not-yet", message, item.key_span.clone())
            .label(format!("{what}: in a later version"));
    }
    let message = format!("`{key}` is not a key of {title}");
    let diagnostic = Diagnostic::error("unknown-key", message, item.key_span.clone());
    if let Some(here) = foreign::word(key) {
        return diagnostic.help(here);
    }
    if let Some(word) = keys::closest(key, &names) {
        let diagnostic = diagnostic.label(format!("did you mean `{word}`?"));
        return if key.to_lowercase().replace('-', "_") == word {
            diagnostic.help("keys are written in lower case, with underscores")
        } else {
            diagnostic
        };
    }
    match keys::elsewhere(title, key) {
        Some(other) => diagnostic.label(format!("`{key}` is a key of {other}")),
        None => diagnostic.help(format!("keys of {title}: {}", names.join(", "))),
    }
}
