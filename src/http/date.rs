//! Dates: those of HTTP (RFC 9110 §5.6.7) over httpdate, and those of logs. All in UTC.

use httpdate::HttpDate;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Of the Gregorian calendar, 1970 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// The date as it is sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn format(unix_seconds: u64) -> [u8; 29] {
    let mut text = [b' '; 29];
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(SECONDS_MAX));
    // Always 29 bytes, so that nothing is cut off.
    let _ = write!(&mut text[..], "{}", HttpDate::from(time));
    text
}

/// Reads any of the three forms; `None` for everything else, dates before 1970 included.
pub fn parse(text: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The calendar date and time of day. A time after the year 9999 gives its last second.
pub fn civil(unix_seconds: u64) -> Civil {
    let seconds = unix_seconds.min(SECONDS_MAX);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01: years then end with the leap day, and eras of 400 years are equal
    // (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    Civil {
        year: year as u16,
        month: month as u8,
        day: day as u8,
        hour: (of_day / 3600) as u8,
        minute: (of_day / 60 % 60) as u8,
        second: (of_day % 60) as u8,
    }
}

/// Adds the date of the common log format: `10/Oct/2026:13:55:36 +0000`.
pub fn clf(unix_seconds: u64, out: &mut Vec<u8>) {
    let at = civil(unix_seconds);
    let month = MONTHS.get(usize::from(at.month).wrapping_sub(1)).unwrap_or(&"???");
    push_padded(u32::from(at.day), 2, out);
    out.push(b'/');
    out.extend_from_slice(month.as_bytes());
    out.push(b'/');
    push_padded(u32::from(at.year), 4, out);
    out.push(b':');
    push_time(at, out);
    out.extend_from_slice(b" +0000");
}

/// Adds the date of ISO 8601 with milliseconds: `2026-10-10T13:55:36.042Z`.
pub fn iso8601(unix_seconds: u64, millis: u32, out: &mut Vec<u8>) {
    let at = civil(unix_seconds);
    push_padded(u32::from(at.year), 4, out);
    out.push(b'-');
    push_padded(u32::from(at.month), 2, out);
    out.push(b'-');
    push_padded(u32::from(at.day), 2, out);
    out.push(b'T');
    push_time(at, out);
    out.push(b'.');
    push_padded(millis.min(999), 3, out);
    out.push(b'Z');
}

fn push_time(at: Civil, out: &mut Vec<u8>) {
    push_padded(u32::from(at.hour), 2, out);
    out.push(b':');
    push_padded(u32::from(at.minute), 2, out);
    out.push(b':');
    push_padded(u32::from(at.second), 2, out);
}

/// Adds the last `width` digits.
fn push_padded(n: u32, width: u32, out: &mut Vec<u8>) {
    out.extend((0..width).rev().map(|place| b'0' + (n / 10u32.pow(place) % 10) as u8));
}

/// The last second of the year 9999; httpdate knows none after it.
const SECONDS_MAX: u64 = 253_402_300_799;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        for text in [
            "",
            "0",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Fri, 31 Dec 0000 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 N\u{f6}v 1994 08:49:37 GM",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(&format(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&format(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn calendar() {
        for (seconds, clf_text, iso_text) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.000Z"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000", "2000-02-28T23:59:59.000Z"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00.000Z"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000", "2100-03-01T00:00:00.000Z"),
            (1_791_640_536, "10/Oct/2026:13:55:36 +0000", "2026-10-10T13:55:36.000Z"),
            (u64::MAX, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.000Z"),
        ] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            clf(seconds, &mut a);
            iso8601(seconds, 0, &mut b);
            assert_eq!(String::from_utf8(a).unwrap(), clf_text);
            assert_eq!(String::from_utf8(b).unwrap(), iso_text);
        }
        let mut out = Vec::new();
        iso8601(0, 42, &mut out);
        assert!(out.ends_with(b".042Z"));
    }

    proptest! {
        #[test]
        fn dates_go_round(seconds in 0..=SECONDS_MAX) {
            let text = format(seconds);
            prop_assert_eq!(parse(&text), Some(seconds));
            let at = civil(seconds);
            let want = format!(
                "{:02} {} {:04} {:02}:{:02}:{:02} GMT",
                at.day, MONTHS[usize::from(at.month) - 1], at.year, at.hour, at.minute, at.second
            );
            prop_assert_eq!(&text[5..], want.as_bytes());
        }

        #[test]
        fn no_text_panics(
            text in "(Sun|Mon), [0-9]{2}[ -](Feb|Dec)[ -][0-9]{2,4} [0-9:]{8} GMT|.{0,40}",
        ) {
            let _ = parse(text.as_bytes());
        }
    }
}
