//! Booleans, and what is written as strings: words, paths, methods, and lists of them.

use super::{Kind, Sort, closest};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::At;
use crate::conf::read::{Item, Reader};
use crate::conf::rules::{self, Fault};
use crate::conf::toml_text::{self, list, quote};
use crate::http::{Method, MethodSet};
use std::fmt::Display;
use std::path::PathBuf;
use toml::de::DeValue;

/// `true` or `false`.
pub(in crate::conf) struct Boolean;

impl Sort for Boolean {
    fn wanted(&self) -> String {
        "true or false".to_owned()
    }
}

impl Kind<bool> for Boolean {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<bool> {
        let value = item.value.as_bool();
        if value.is_none() {
            reader.wrong_type(item, &self.wanted());
        }
        value
    }

    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A string that a rule allows.
pub(in crate::conf) struct Text<V: 'static>(pub fn(&str) -> Result<V, Fault>);

impl<V> Sort for Text<V> {
    fn wanted(&self) -> String {
        "a string".to_owned()
    }

    fn fits(&self, value: &DeValue<'_>) -> bool {
        value.is_str()
    }
}

impl<V: Display> Kind<V> for Text<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        reader.string(item, &self.wanted(), self.0)
    }

    fn show(&self, value: &V) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

/// A path of the file system, seen from the configuration's folder.
pub(in crate::conf) struct Path;

impl Sort for Path {
    fn wanted(&self) -> String {
        "a path".to_owned()
    }
}

impl Kind<PathBuf> for Path {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<PathBuf> {
        let path = reader.string(item, "a string", rules::file_path)?;
        Some(reader.folder.join(path))
    }

    fn show(&self, value: &PathBuf) -> Option<String> {
        Some(toml_text::path(value))
    }
}

/// A string or an array of strings; those that the rule does not allow are left out.
pub(in crate::conf) struct List<V: 'static>(pub fn(&str) -> Result<V, Fault>);

impl<V> Sort for List<V> {
    fn wanted(&self) -> String {
        STRINGS.to_owned()
    }
}

impl<V: Display> Kind<Vec<At<V>>> for List<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<At<V>>> {
        Some(reader.strings(item, self.0))
    }

    fn show(&self, value: &Vec<At<V>>) -> Option<String> {
        Some(list(value.iter().map(|at| at.value.to_string())))
    }
}

impl<V: Display> Kind<Vec<V>> for List<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<V>> {
        Some(reader.strings(item, self.0).into_iter().map(|at| at.value).collect())
    }

    fn show(&self, value: &Vec<V>) -> Option<String> {
        Some(list(value.iter().map(V::to_string)))
    }
}

/// How messages speak of a list.
pub(in crate::conf) const STRINGS: &str = "a string or an array of strings";

/// One of a few words, each with its value.
pub(in crate::conf) struct Word<V: 'static>(pub &'static [(&'static str, V)]);

impl<V> Word<V> {
    fn quoted(&self) -> String {
        let quoted: Vec<_> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        quoted.join(", ")
    }
}

impl<V: Sync> Sort for Word<V> {
    fn wanted(&self) -> String {
        format!("one of {}", self.quoted())
    }
}

impl<V: Copy + PartialEq + Sync> Kind<V> for Word<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        reader.string(item, &self.wanted(), |text| {
            let found = self.0.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| Fault {
                name: "bad-value",
                why: format!("is none of {}", self.quoted()),
                // "warn" is too far from "warning" for a typo, yet plain.
                instead: closest(text, &words)
                    .or_else(|| {
                        words.iter().copied().find(|w| text.len() > 2 && w.starts_with(text))
                    })
                    .map(str::to_owned),
            })
        })
    }

    fn show(&self, value: &V) -> Option<String> {
        self.0.iter().find(|(_, of_word)| of_word == value).map(|(word, _)| quote(word))
    }
}

/// Some of these methods, at least one; GET includes HEAD.
pub(in crate::conf) struct Methods(pub &'static [Method]);

impl Sort for Methods {
    fn wanted(&self) -> String {
        "methods".to_owned()
    }
}

impl Kind<MethodSet> for Methods {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<MethodSet> {
        let names: Vec<_> = self.0.iter().map(|method| method.as_str()).collect();
        let before = reader.found.len();
        let list = reader.strings(item, |text| {
            let found = self.0.iter().copied().find(|method| method.as_str() == text);
            found.ok_or_else(|| Fault {
                name: "bad-method",
                why: format!("is none of {}", names.join(", ")),
                instead: closest(&text.to_uppercase(), &names).map(str::to_owned),
            })
        });
        if list.is_empty() && before == reader.found.len() {
            let message = format!("{} needs at least one method", item.title());
            let help = "leave the key out for all methods";
            reader.report(Diagnostic::error("bad-method", message, item.span.clone()).help(help));
        }
        let set = list.iter().fold(MethodSet::EMPTY, |set, method| set.with(method.value));
        (!set.is_empty()).then_some(set.with_head())
    }

    fn show(&self, value: &MethodSet) -> Option<String> {
        let some = Method::NAMED.iter().filter(|method| value.contains(**method));
        Some(list(some.map(|method| method.as_str())))
    }
}
