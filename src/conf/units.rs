//! Durations, sizes and rates as people write them: `"30s"`, `"10MiB"`, `"500B/s"`.
//!
//! Numbers have a unit, always: `timeout = 30` has meant seconds, milliseconds and minutes in
//! three servers.

use std::time::Duration;

/// Milliseconds of each unit of time, the longest first.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Bytes of each unit of size, the largest first; of two that are near, the binary one first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UnitError {
    /// A number without unit; with what was probably meant.
    Missing(String),
    /// A number with a unit that there is not; perhaps with what was meant.
    Unknown(Option<String>),
    /// Not a whole number at the beginning.
    NoNumber,
    /// More than 64 bits hold.
    TooLarge,
}

/// `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"30d"`.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    quantity(text, &TIMES, "s").map(Duration::from_millis)
}

/// `"500B"`, `"64KiB"`, `"10MiB"`, `"2GiB"`, `"1MB"`.
pub(super) fn size(text: &str) -> Result<u64, UnitError> {
    quantity(text, &SIZES, "B")
}

/// `"500B/s"`, `"10KiB/s"`.
pub(super) fn rate(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let Some(unit) = unit.strip_suffix("/s") else {
        let unit = if unit.is_empty() { "B" } else { unit };
        return Err(UnitError::Missing(format!("{number}{unit}/s")));
    };
    quantity(&format!("{number}{unit}"), &SIZES, "B").map_err(|error| match error {
        UnitError::Missing(meant) => UnitError::Missing(meant + "/s"),
        UnitError::Unknown(meant) => UnitError::Unknown(meant.map(|m| m + "/s")),
        other => other,
    })
}

/// A duration in the largest unit that says it exactly. Less than a millisecond is not said.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(ms, &TIMES, "0s")
}

/// A size in the largest unit that says it exactly.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES, "0B")
}

fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    let exact = units.iter().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor));
    exact.map_or(zero.to_owned(), |(unit, factor)| format!("{}{unit}", amount / factor))
}

fn quantity(text: &str, units: &[(&str, u64)], plain: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Err(UnitError::Missing(format!("{number}{plain}")));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::Unknown(meant(unit, units).map(|unit| format!("{number}{unit}"))));
    };
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    number.checked_mul(*factor).ok_or(UnitError::TooLarge)
}

/// Digits and what follows them.
fn split(text: &str) -> Result<(&str, &str), UnitError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    // "1.5h" has a number, only not a whole one.
    if number.is_empty() || unit.starts_with(['.', ',']) {
        return Err(UnitError::NoNumber);
    }
    Ok((number, unit.trim()))
}

/// The unit behind `kb`, `K`, `sec` or ` min`.
fn meant<'a>(unit: &str, units: &[(&'a str, u64)]) -> Option<&'a str> {
    let lower = unit.to_ascii_lowercase();
    let same = units.iter().map(|(name, _)| *name).find(|name| name.to_ascii_lowercase() == lower);
    let first = || {
        let mut names = units.iter().map(|(name, _)| *name);
        let first = lower.get(..1)?;
        names.find(|name| name.to_ascii_lowercase().starts_with(first))
    };
    // "msec" begins like minutes.
    if lower.starts_with("ms") || lower.starts_with("mil") {
        return units.iter().map(|(name, _)| *name).find(|name| *name == "ms").or_else(first);
    }
    same.or_else(first)
}

#[cfg(test)]
mod tests {
    use super::UnitError::*;
    use super::*;

    fn meant(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("500ms", Ok(500)),
            ("30s", Ok(30_000)),
            ("5m", Ok(300_000)),
            ("2h", Ok(7_200_000)),
            ("30d", Ok(2_592_000_000)),
            ("0s", Ok(0)),
            ("30", Err(Missing("30s".into()))),
            ("30sec", Err(Unknown(meant("30s")))),
            ("30 min", Err(Unknown(meant("30m")))),
            ("30S", Err(Unknown(meant("30s")))),
            ("30msec", Err(Unknown(meant("30ms")))),
            ("30y", Err(Unknown(None))),
            ("30ä", Err(Unknown(None))),
            ("", Err(NoNumber)),
            ("s", Err(NoNumber)),
            ("-1s", Err(NoNumber)),
            ("1.5h", Err(NoNumber)),
            ("99999999999999999999s", Err(TooLarge)),
            ("18446744073709551615d", Err(TooLarge)),
        ] {
            assert_eq!(duration(text), want.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_and_rates() {
        for (text, want) in [
            ("500B", Ok(500)),
            ("64KiB", Ok(65_536)),
            ("10MiB", Ok(10_485_760)),
            ("2GiB", Ok(2_147_483_648)),
            ("1MB", Ok(1_000_000)),
            ("1TB", Ok(1_000_000_000_000)),
            ("64", Err(Missing("64B".into()))),
            ("64K", Err(Unknown(meant("64KiB")))),
            ("64kb", Err(Unknown(meant("64KB")))),
            ("64mib", Err(Unknown(meant("64MiB")))),
            ("64 bytes", Err(Unknown(meant("64B")))),
            ("17000000TiB", Err(TooLarge)),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
        for (text, want) in [
            ("500B/s", Ok(500)),
            ("10KiB/s", Ok(10_240)),
            ("500", Err(Missing("500B/s".into()))),
            ("10KiB", Err(Missing("10KiB/s".into()))),
            ("10/s", Err(Missing("10B/s".into()))),
            ("10kib/s", Err(Unknown(meant("10KiB/s")))),
        ] {
            assert_eq!(rate(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for n in [0, 1, 999, 1000, 1023, 1024, 1_000_000, 1 << 20, 86_400_000, 90_000, u64::MAX] {
            assert_eq!(size(&show_size(n)), Ok(n));
            assert_eq!(
                duration(&show_duration(Duration::from_millis(n))).map(|d| d.as_millis()),
                Ok(u128::from(n))
            );
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
    }
}
