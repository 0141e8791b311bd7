//! An explanation as columns for people, or as JSON for programs.

use super::{Answer, Explanation, PlacedStep};
use crate::serve::{Head, Response, fields_sent};
use serde_json::{Value, json};
use std::fmt;

/// Wider texts are not waited for by the columns.
const WIDE: usize = 48;

/// Columns: what it is about, what was looked at, why, and where the configuration says so.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&PlacedStep) -> &str| {
            let widths = self.steps.iter().map(|step| of(step).chars().count());
            widths.filter(|width| *width <= WIDE).max().unwrap_or(0)
        };
        let (what, why) = (width(|step| &step.step.what), width(|step| &step.step.why));
        for PlacedStep { step, place } in &self.steps {
            let line = format!("{:<9} {:what$}  {:why$}  {place}", step.about, step.what, step.why);
            writeln!(f, "{}", line.trim_end())?;
        }
        match &self.answer {
            Answer::UpTo(what) => writeln!(f, "{:<9} is up to {what}", "answer"),
            Answer::Known { status, why, headers, .. } => {
                let said = format!("{} {}", status.code(), status.reason());
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                writeln!(f, "{:<9} {said}{why}", "answer")?;
                for (name, value) in headers {
                    writeln!(f, "{:<9} {name}: {value}", "")?;
                }
                Ok(())
            }
        }
    }
}

impl Explanation {
    /// The same for programs: an object with `steps` and `answer`.
    pub fn to_json(&self) -> String {
        let steps = self.steps.iter().map(|PlacedStep { step, place }| {
            json!({ "about": step.about, "what": step.what, "why": step.why, "place": place })
        });
        let answer = match &self.answer {
            Answer::UpTo(what) => json!({ "up_to": what }),
            Answer::Known { status, why, headers, length } => {
                let headers = headers.iter().map(|(name, value)| json!([name, value]));
                json!({
                    "status": status.code(),
                    "reason": status.reason(),
                    "why": why,
                    "headers": headers.collect::<Value>(),
                    "length": length,
                })
            }
        };
        let whole = json!({ "steps": steps.collect::<Value>(), "answer": answer });
        format!("{whole:#}\n")
    }
}

/// The header lines of an answer, as they would be sent before those of the connection.
pub(super) fn header_lines(response: &Response, length: u64) -> Vec<(String, String)> {
    let Head::Fields(headers) = &response.head else {
        return response.head.iter().map(pair).collect();
    };
    let mut all: Vec<_> = fields_sent(response.status, headers, None).iter().map(pair).collect();
    if response.status.has_length() {
        all.push(("Content-Length".into(), length.to_string()));
    }
    all
}

/// A header line as text.
pub(super) fn pair((name, value): (&[u8], &[u8])) -> (String, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(name), text(value))
}
