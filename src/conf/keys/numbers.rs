//! Numbers, durations, sizes and rates, each in a range; and statuses.

use super::{Kind, Sort};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::read::{Item, Reader};
use crate::conf::toml_text::quote;
use crate::conf::units::{self, show_duration, show_size};
use crate::http::Status;
use std::time::Duration;

/// A whole number.
pub(in crate::conf) struct Number {
    pub min: u64,
    pub max: u64,
}

impl Sort for Number {
    fn wanted(&self) -> String {
        "a whole number".to_owned()
    }

    fn range(&self) -> Option<String> {
        range(self.min, self.max, |n| n.to_string())
    }
}

impl<V: TryFrom<u64> + ToString> Kind<V> for Number {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        let Some(number) = item.value.as_integer() else {
            reader.wrong_type(item, &self.wanted());
            return None;
        };
        let value = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| (self.min..=self.max).contains(value));
        if value.is_none() {
            reader.out_of_range(item, &self.range());
        }
        V::try_from(value?).ok()
    }

    fn show(&self, value: &V) -> Option<String> {
        Some(value.to_string())
    }
}

/// A duration.
pub(in crate::conf) struct Time {
    pub min: Duration,
    pub max: Duration,
}

impl Time {
    /// The longest that is waited for anything; more is a typo, and a timer that never fires.
    pub(super) const MONTH: Duration = Duration::from_secs(30 * 86_400);

    /// A time-out. None is not a choice: something would wait for ever.
    pub(super) const OUT: Self = Self { min: Duration::from_millis(1), max: Self::MONTH };
}

impl Sort for Time {
    fn wanted(&self) -> String {
        "a duration such as \"30s\"".to_owned()
    }

    fn range(&self) -> Option<String> {
        Some(format!("{} to {}", show_duration(self.min), show_duration(self.max)))
    }
}

impl Kind<Duration> for Time {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Duration> {
        let value = reader.quantity(item, &self.wanted(), units::duration)?;
        if !(self.min..=self.max).contains(&value) {
            reader.out_of_range(item, &self.range());
            return None;
        }
        Some(value)
    }

    fn show(&self, value: &Duration) -> Option<String> {
        Some(quote(&show_duration(*value)))
    }
}

/// A number of bytes.
pub(in crate::conf) struct Size {
    pub min: u64,
    pub max: u64,
}

impl Size {
    pub(super) const ANY: Self = Self::from(0);

    pub(super) const fn from(min: u64) -> Self {
        Self { min, max: u64::MAX }
    }
}

impl Sort for Size {
    fn wanted(&self) -> String {
        "a size such as \"10MiB\"".to_owned()
    }

    fn range(&self) -> Option<String> {
        range(self.min, self.max, show_size)
    }
}

impl<V: Copy + TryFrom<u64> + TryInto<u64>> Kind<V> for Size {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        let value = reader.quantity(item, &self.wanted(), units::size)?;
        if !(self.min..=self.max).contains(&value) {
            reader.out_of_range(item, &self.range());
            return None;
        }
        V::try_from(value).ok()
    }

    fn show(&self, value: &V) -> Option<String> {
        Some(quote(&show_size((*value).try_into().ok()?)))
    }
}

/// A number of bytes a second.
pub(in crate::conf) struct Rate;

impl Sort for Rate {
    fn wanted(&self) -> String {
        "a rate such as \"10KiB/s\"".to_owned()
    }
}

impl Kind<u64> for Rate {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<u64> {
        reader.quantity(item, &self.wanted(), units::rate)
    }

    fn show(&self, value: &u64) -> Option<String> {
        Some(quote(&format!("{}/s", show_size(*value))))
    }
}

/// A status: one of these, or any if there are none.
pub(in crate::conf) struct Code(pub &'static [u16]);

impl Sort for Code {
    fn wanted(&self) -> String {
        if self.0.is_empty() { "a status".to_owned() } else { self.list() }
    }
}

impl Kind<Status> for Code {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Status> {
        let code = Number { min: 100, max: 599 }.read(reader, item)?;
        if !self.0.is_empty() && !self.0.contains(&code) {
            let message = format!("{} must be one of {}", item.title(), self.list());
            reader.report(Diagnostic::error("bad-redirect", message, item.span.clone()));
            return None;
        }
        Status::new(code)
    }

    fn show(&self, value: &Status) -> Option<String> {
        Some(value.code().to_string())
    }
}

impl Code {
    fn list(&self) -> String {
        let list: Vec<_> = self.0.iter().map(u16::to_string).collect();
        list.join(", ")
    }
}

/// How messages and documents speak of a range.
fn range(min: u64, max: u64, show: fn(u64) -> String) -> Option<String> {
    match (min, max) {
        (0, u64::MAX) => None,
        (_, u64::MAX) => Some(format!("at least {}", show(min))),
        _ => Some(format!("{} to {}", show(min), show(max))),
    }
}
