//! One value at a time: the type it must have, the range it must be in.
//!
//! Each function returns `None` after it has reported why.

use super::schema::closest;
use super::table::{Item, Reader, Table, entries};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::At;
use crate::conf::read::schema::Schema;
use crate::conf::rules::Fault;
use crate::conf::units::{self, UnitError};
use crate::http::{Method, MethodSet, Status};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

impl Reader<'_> {
    /// Reports that a value has another type than it must.
    pub(super) fn wrong_type(&mut self, item: &Item<'_>, wanted: &str) {
        let found = kind(item.value);
        let message = format!("{} must be {wanted}, found {found}", item.title());
        let label = format!("expected {wanted}");
        self.report(Diagnostic::error("wrong-type", message, item.span.clone()).label(label));
    }

    /// Reports that a text is not allowed in its place.
    pub(super) fn fault(&mut self, item: &Item<'_>, text: &str, fault: Fault) {
        self.report(faulty(&item.title(), text, fault, item.span.clone()));
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        let value = item.value.as_bool();
        if value.is_none() {
            self.wrong_type(item, "true or false");
        }
        value
    }

    /// A string that a rule allows.
    pub(super) fn string<T>(
        &mut self,
        item: &Item<'_>,
        rule: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        self.string_or(item, "a string", rule)
    }

    /// The same, where something else than a string is allowed too.
    pub(super) fn string_or<T>(
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
    pub(super) fn strings<T>(
        &mut self,
        item: &Item<'_>,
        rule: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<At<T>> {
        let wanted = "a string or an array of strings";
        let parts = match item.value.as_array() {
            Some(array) => array.iter().map(|value| item.element(value)).collect(),
            None => vec![item.clone()],
        };
        let mut found = Vec::new();
        for part in parts {
            if let Some(value) = self.string_or(&part, wanted, &rule) {
                found.push(At::new(value, part.span));
            }
        }
        found
    }

    /// One of a few words, each with its value.
    pub(super) fn choice<T: Copy>(
        &mut self,
        item: &Item<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let wanted = quoted.join(", ");
        let Some(text) = item.value.as_str() else {
            self.wrong_type(item, &format!("one of {wanted}"));
            return None;
        };
        let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let fault = Fault {
                name: "bad-value",
                why: format!("is none of {wanted}"),
                // "warn" is too far from "warning" for a typo, yet plain.
                instead: closest(text, &names)
                    .or_else(|| {
                        names.iter().copied().find(|n| text.len() > 2 && n.starts_with(text))
                    })
                    .map(str::to_owned),
            };
            self.fault(item, text, fault);
        }
        found
    }

    /// A whole number in a range.
    pub(super) fn integer(&mut self, item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(number) = item.value.as_integer() else {
            self.wrong_type(item, "a whole number");
            return None;
        };
        let value = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            self.out_of_range(item, &range.start().to_string(), &range.end().to_string());
        }
        value
    }

    /// A duration in a range.
    pub(super) fn duration(
        &mut self,
        item: &Item<'_>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = self.quantity(item, "duration", "30s", units::duration)?;
        if !range.contains(&value) {
            let [min, max] = [range.start(), range.end()].map(|d| units::show_duration(*d));
            self.out_of_range(item, &min, &max);
            return None;
        }
        Some(value)
    }

    /// A number of bytes in a range.
    pub(super) fn size(&mut self, item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.quantity(item, "size", "10MiB", units::size)?;
        if !range.contains(&value) {
            let [min, max] = [range.start(), range.end()].map(|n| units::show_size(*n));
            self.out_of_range(item, &min, &max);
            return None;
        }
        Some(value)
    }

    /// A number of bytes a second.
    pub(super) fn rate(&mut self, item: &Item<'_>) -> Option<u64> {
        self.quantity(item, "rate", "10KiB/s", units::rate)
    }

    /// A path of the file system, seen from the configuration's folder.
    pub(super) fn path(&mut self, item: &Item<'_>) -> Option<At<PathBuf>> {
        let path = self.string(item, crate::conf::rules::file_path)?;
        Some(At::new(self.folder.join(path), item.span.clone()))
    }

    /// A status that `allowed` contains.
    pub(super) fn status(&mut self, item: &Item<'_>, allowed: &[u16]) -> Option<Status> {
        let code = self.integer(item, 100..=599)?;
        let code = u16::try_from(code).ok()?;
        if !allowed.is_empty() && !allowed.contains(&code) {
            let list: Vec<_> = allowed.iter().map(u16::to_string).collect();
            let message = format!("{} must be one of {}", item.title(), list.join(", "));
            self.report(Diagnostic::error("bad-redirect", message, item.span.clone()));
            return None;
        }
        Status::new(code)
    }

    /// A set of methods out of those `allowed`; at least one.
    pub(super) fn methods(&mut self, item: &Item<'_>, allowed: &[Method]) -> Option<MethodSet> {
        let names: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
        let before = self.found.len();
        let list = self.strings(item, |text| {
            let found = allowed.iter().copied().find(|method| method.as_str() == text);
            found.ok_or_else(|| Fault {
                name: "bad-method",
                why: format!("is none of {}", names.join(", ")),
                instead: closest(&text.to_uppercase(), &names).map(str::to_owned),
            })
        });
        if list.is_empty() && before == self.found.len() {
            let message = format!("{} needs at least one method", item.title());
            let help = "leave the key out for all methods";
            self.report(Diagnostic::error("bad-method", message, item.span.clone()).help(help));
        }
        let set = list.iter().fold(MethodSet::EMPTY, |set, method| set.with(method.value));
        (!set.is_empty()).then_some(set)
    }

    /// A table with fixed keys.
    pub(super) fn table<'t>(
        &mut self,
        item: &Item<'t>,
        schema: &'static Schema,
    ) -> Option<Table<'t>> {
        let Some(table) = item.value.as_table() else {
            let wanted = format!("a table ({})", schema.keys.join(", "));
            self.wrong_type(item, &wanted);
            return None;
        };
        Some(Table::new(schema, table, item.span.clone()))
    }

    /// A table with free keys.
    pub(super) fn map<'t>(
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

    fn out_of_range(&mut self, item: &Item<'_>, min: &str, max: &str) {
        let message = format!("{} is out of range", item.title());
        let label = format!("allowed: {min} to {max}");
        self.report(Diagnostic::error("out-of-range", message, item.span.clone()).label(label));
    }

    fn quantity<T>(
        &mut self,
        item: &Item<'_>,
        what: &str,
        example: &str,
        parse: fn(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let text = match item.value {
            DeValue::String(text) => text.to_string(),
            // So that the message says the unit: `30` becomes "30s".
            DeValue::Integer(number) => number.to_string(),
            _ => {
                self.wrong_type(item, &format!("a {what} such as \"{example}\""));
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
            UnitError::NoNumber => (
                "bad-unit",
                "is not a whole number and a unit",
                Some(format!("such as \"{example}\"")),
            ),
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
