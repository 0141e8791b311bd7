//! One value at a time, and what is said of one that is wrong.
//!
//! Each function returns `None` after it has reported why.

use super::table::{Item, Reader, Table, entries};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::keys::{STRINGS, Schema};
use crate::conf::model::At;
use crate::conf::rules::{self, Fault};
use crate::conf::units::UnitError;
use std::collections::HashMap;
use toml::de::DeValue;

impl Reader<'_> {
    /// Reports that a value has another type than it must.
    pub(in crate::conf) fn wrong_type(&mut self, item: &Item<'_>, wanted: &str) {
        let found = kind(item.value);
        let message = format!("{} must be {wanted}, found {found}", item.title());
        let label = format!("expected {wanted}");
        self.report(Diagnostic::error("wrong-type", message, item.span.clone()).label(label));
    }

    /// Reports that a text is not allowed in its place.
    pub(in crate::conf) fn fault(&mut self, item: &Item<'_>, text: &str, fault: Fault) {
        self.report(faulty(&item.title(), text, fault, item.span.clone()));
    }

    /// A string that a rule allows; `wanted` says what it must be.
    pub(in crate::conf) fn string<T>(
        &mut self,
        item: &Item<'_>,
        wanted: &str,
        rule: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let Some(text) = item.value.as_str() else {
            self.wrong_type(item, wanted);
            return None;
        };
        rule(text).map_err(|fault| self.fault(item, text, fault)).ok()
    }

    /// A string or an array of strings; those that the rule does not allow are left out.
    pub(in crate::conf) fn strings<T>(
        &mut self,
        item: &Item<'_>,
        rule: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<At<T>> {
        let mut found = Vec::new();
        for part in item.elements() {
            if let Some(value) = self.string(&part, STRINGS, &rule) {
                found.push(At::new(value, part.span));
            }
        }
        found
    }

    /// A table with fixed keys.
    pub(in crate::conf) fn table<'t>(
        &mut self,
        item: &Item<'t>,
        schema: &'static dyn Schema,
    ) -> Option<Table<'t>> {
        let Some(table) = item.value.as_table() else {
            let wanted = format!("a table ({})", schema.names().join(", "));
            self.wrong_type(item, &wanted);
            return None;
        };
        Some(Table::new(schema, item.title(), table, item.span.clone()))
    }

    /// A table with free keys.
    pub(in crate::conf) fn map<'t>(
        &mut self,
        item: &Item<'t>,
        title: &'static str,
        wanted: &str,
    ) -> Vec<Item<'t>> {
        let Some(table) = item.value.as_table() else {
            self.wrong_type(item, wanted);
            return Vec::new();
        };
        entries(title, table)
    }

    /// A table whose keys are extensions, each with what `read` makes of its value; `what` they
    /// have once at most.
    pub(in crate::conf) fn by_extension<T>(
        &mut self,
        item: &Item<'_>,
        title: &'static str,
        wanted: &str,
        what: &str,
        read: impl Fn(&mut Self, &Item<'_>) -> Option<T>,
    ) -> Vec<(String, T)> {
        let mut all = Vec::new();
        let mut places = HashMap::new();
        for item in self.map(item, title, wanted) {
            let value = read(self, &item);
            let extension = match rules::extension(item.key) {
                Ok(extension) => extension,
                Err(fault) => {
                    self.report(faulty(title, item.key, fault, item.key_span));
                    continue;
                }
            };
            if let Some(earlier) = places.insert(extension.clone(), item.key_span.clone()) {
                let message = format!("the extension `{extension}` has {what} already");
                let twice = Diagnostic::error("duplicate-key", message, item.key_span);
                self.report(twice.also(earlier, "here"));
            } else if let Some(value) = value {
                all.push((extension, value));
            }
        }
        all
    }

    /// Reports that a value is not in its range.
    pub(in crate::conf) fn out_of_range(&mut self, item: &Item<'_>, range: &Option<String>) {
        let message = format!("{} is out of range", item.title());
        let label = format!("allowed: {}", range.as_deref().unwrap_or_default());
        self.report(Diagnostic::error("out-of-range", message, item.span.clone()).label(label));
    }

    /// A number with a unit; `wanted` says what it must be, with an example: "a size such as".
    pub(in crate::conf) fn quantity<T>(
        &mut self,
        item: &Item<'_>,
        wanted: &str,
        parse: fn(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let text = match item.value {
            DeValue::String(text) => text.to_string(),
            // So that the message says the unit: `30` becomes "30s".
            DeValue::Integer(number) => number.to_string(),
            _ => {
                self.wrong_type(item, wanted);
                return None;
            }
        };
        let error = match parse(&text) {
            Ok(value) if item.value.is_str() => return Some(value),
            Ok(_) => UnitError::NoNumber,
            Err(error) => error,
        };
        let (name, why, label) = match error {
            UnitError::Missing(meant) => {
                ("missing-unit", "needs a unit", Some(format!("write \"{meant}\"")))
            }
            UnitError::Unknown(meant) => {
                let label = meant.map(|meant| format!("did you mean \"{meant}\"?"));
                ("bad-unit", "has an unknown unit", label)
            }
            UnitError::NoNumber => {
                let label = Some(format!("expected {wanted}"));
                ("bad-unit", "is not a whole number and a unit", label)
            }
            UnitError::TooLarge => ("out-of-range", "is larger than anything", None),
        };
        let message = format!("{}: {text:?} {why}", item.title());
        let mut diagnostic = Diagnostic::error(name, message, item.span.clone());
        diagnostic.label = label;
        self.report(diagnostic);
        None
    }
}

/// The diagnostic of a text that a rule does not allow.
pub(in crate::conf) fn faulty(
    title: &str,
    text: &str,
    fault: Fault,
    span: std::ops::Range<usize>,
) -> Diagnostic {
    let message = format!("{title}: {text:?} {}", fault.why);
    let diagnostic = Diagnostic::error(fault.name, message, span);
    match fault.instead {
        Some(instead) => diagnostic.label(format!("did you mean {instead:?}?")),
        None => diagnostic,
    }
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
