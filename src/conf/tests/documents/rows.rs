//! What documents say of one key.

use crate::conf::keys::Row;

impl Row {
    /// The type, as a cell of a table has it.
    pub(super) fn kind_said(&self) -> String {
        let kind = self.kind.trim_start_matches("an ").trim_start_matches("a ");
        let kind = match kind {
            // Everywhere, one string stands for a list of one.
            "string or an array of strings" => "list of strings".to_owned(),
            kind => without_examples(kind),
        };
        self.range.as_ref().map_or(kind.clone(), |range| format!("{kind} ({range})"))
    }

    /// What holds without the key, as a cell of a table has it.
    pub(super) fn default_said(&self) -> String {
        match (self.about.otherwise, &self.default) {
            ("", Some(default)) => format!("`{default}`"),
            ("", None) => "none".to_owned(),
            (otherwise, _) => otherwise.to_owned(),
        }
    }

    /// The default as it is written in a file, if it can be written.
    pub(super) fn default_written(&self) -> Option<String> {
        match self.about.otherwise {
            "" => self.default.clone(),
            text => Some(text.strip_prefix('`')?.strip_suffix('`')?.to_owned()),
        }
    }

    /// An example. What can only be true or false has the other one.
    pub(super) fn example(&self) -> Option<String> {
        match (self.about.example, self.default.as_deref()) {
            ("", Some("true")) if self.kind == "true or false" => Some("false".to_owned()),
            ("", Some("false")) if self.kind == "true or false" => Some("true".to_owned()),
            ("", _) => None,
            (example, _) => Some(example.to_owned()),
        }
    }

    /// The comment beside a value.
    pub(super) fn comment(&self, value: &str) -> String {
        let mut comment = self.about.what.to_owned();
        if self.kind.contains('"') && !self.kind.contains(" such as ") {
            comment += &format!(" ({})", self.kind);
        }
        let default = self.default_written().unwrap_or_else(|| self.default_said());
        if default != value && default != "needed" {
            comment += &format!("; default: {default}");
        }
        comment
    }
}

/// Without the examples that messages have: ` such as "30s"`, ` such as { a = "b" }`.
fn without_examples(kind: &str) -> String {
    let Some((before, after)) = kind.split_once(" such as ") else { return kind.to_owned() };
    let end = if after.starts_with('{') { '}' } else { '"' };
    let rest = after.get(1..).and_then(|rest| rest.split_once(end)).map_or("", |(_, rest)| rest);
    format!("{before}{rest}")
}
