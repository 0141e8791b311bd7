//! Days, as certificates and people count them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// So many days, for people.
pub(super) fn days(count: i64) -> String {
    match count {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        _ => format!("{count} days"),
    }
}
