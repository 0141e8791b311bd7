//! Conditional requests (RFC 9110 §13).

use super::{Known, RequestHead, date, etag};

/// What is known of the current state of a target.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// Its entity tag, with the quotes.
    pub etag: &'a [u8],
    /// When it was last modified, in Unix seconds; `None` where there is no date that can be
    /// relied on, so that conditions by date are ignored (RFC 9110 §13.1.3, §13.1.4).
    pub modified: Option<u64>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Do what the method says.
    Proceed,
    /// Answer 304.
    NotModified,
    /// Answer 412.
    PreconditionFailed,
}

/// Evaluates the conditions in the order of RFC 9110 §13.2.2. `current` is `None` when the target
/// does not exist.
pub fn evaluate(head: &RequestHead, current: Option<&Validators<'_>>) -> Verdict {
    const CONDITIONS: [Known; 4] =
        [Known::IfMatch, Known::IfNoneMatch, Known::IfModifiedSince, Known::IfUnmodifiedSince];
    if CONDITIONS.iter().all(|name| head.get(*name).is_none()) {
        return Verdict::Proceed;
    }
    // Steps 1 and 2.
    let state_is_expected = match any_matches(head, Known::IfMatch, current, true) {
        Some(matches) => matches,
        None => is_unmodified(head, current),
    };
    if !state_is_expected {
        return Verdict::PreconditionFailed;
    }
    // Steps 3 and 4.
    let is_read = head.method().is_read();
    match any_matches(head, Known::IfNoneMatch, current, false) {
        Some(true) if is_read => Verdict::NotModified,
        Some(true) => Verdict::PreconditionFailed,
        None if is_read && is_still_fresh(head, current) => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// Whether a Range header counts (step 5): there is no If-Range, or its validator is the current
/// one (RFC 9110 §13.1.5). A weak tag never is, a date only if it is exactly the same.
pub fn range_applies(head: &RequestHead, current: &Validators<'_>) -> bool {
    if head.get(Known::IfRange).is_none() {
        return true;
    }
    match sole(head, Known::IfRange) {
        // One tag, so nothing may follow: a list is not one.
        Some(tag @ [b'"', .., b'"']) => tag == current.etag,
        Some(text) => current.modified.is_some_and(|date| date::parse(text) == Some(date)),
        None => false,
    }
}

/// If-Match and If-None-Match: `None` without such a header. Several lines are one list.
fn any_matches(
    head: &RequestHead,
    name: Known,
    current: Option<&Validators<'_>>,
    strong: bool,
) -> Option<bool> {
    let mut lists = head.all(name).peekable();
    lists.peek()?;
    Some(current.is_some_and(|current| {
        lists.any(|list| list == b"*" || etag::matches_list(list, current.etag, strong))
    }))
}

/// If-Unmodified-Since. True without one, and whenever it is to be ignored (RFC 9110 §13.1.4).
fn is_unmodified(head: &RequestHead, current: Option<&Validators<'_>>) -> bool {
    match (sole_date(head, Known::IfUnmodifiedSince), current.and_then(|c| c.modified)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => true,
    }
}

/// If-Modified-Since (RFC 9110 §13.1.3). False without one.
fn is_still_fresh(head: &RequestHead, current: Option<&Validators<'_>>) -> bool {
    match (sole_date(head, Known::IfModifiedSince), current.and_then(|c| c.modified)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

fn sole_date(head: &RequestHead, name: Known) -> Option<u64> {
    date::parse(sole(head, name)?)
}

/// The value of a header that is no list; `None` if there are several, which is no date.
fn sole(head: &RequestHead, name: Known) -> Option<&[u8]> {
    let mut values = head.all(name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const CURRENT: Validators<'_> = Validators { etag: b"\"a\"", modified: Some(784_111_777) };

    /// `lines` has header lines parted by `|`, with the dates above by name.
    fn head(method: &str, lines: &str) -> RequestHead {
        let lines = lines.replace("OLD", OLD).replace("SAME", SAME).replace("NEW", NEW);
        let pairs = lines.split('|').filter_map(|line| line.split_once(':'));
        let fields: Vec<_> =
            pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        RequestHead::of(method.as_bytes(), b"/", Version::Http10, &fields).unwrap()
    }

    #[test]
    fn conditions_on_what_exists() {
        use Verdict::*;
        for (lines, on_get, on_put) in [
            ("", Proceed, Proceed),
            ("If-Match: \"a\"", Proceed, Proceed),
            ("If-Match: *", Proceed, Proceed),
            ("If-Match: \"b\", \"c\"", PreconditionFailed, PreconditionFailed),
            ("If-Match: W/\"a\"", PreconditionFailed, PreconditionFailed),
            ("If-Match: \"b\"|If-Match: \"a\"", Proceed, Proceed),
            ("If-Match:", PreconditionFailed, PreconditionFailed),
            ("If-Unmodified-Since: OLD", PreconditionFailed, PreconditionFailed),
            ("If-Unmodified-Since: SAME", Proceed, Proceed),
            ("If-Unmodified-Since: NEW", Proceed, Proceed),
            ("If-Unmodified-Since: never", Proceed, Proceed),
            ("If-Match: \"a\"|If-Unmodified-Since: OLD", Proceed, Proceed),
            ("If-None-Match: \"a\"", NotModified, PreconditionFailed),
            ("If-None-Match: W/\"a\"", NotModified, PreconditionFailed),
            ("If-None-Match: *", NotModified, PreconditionFailed),
            ("If-None-Match: \"b\"", Proceed, Proceed),
            ("If-None-Match: \"b\"|If-None-Match: \"a\"", NotModified, PreconditionFailed),
            ("If-Modified-Since: OLD", Proceed, Proceed),
            ("If-Modified-Since: SAME", NotModified, Proceed),
            ("If-Modified-Since: NEW", NotModified, Proceed),
            ("If-Modified-Since: SAME|If-Modified-Since: SAME", Proceed, Proceed),
            ("If-Modified-Since: x", Proceed, Proceed),
            ("If-None-Match: \"b\"|If-Modified-Since: NEW", Proceed, Proceed),
            ("If-None-Match: \"a\"|If-Modified-Since: OLD", NotModified, PreconditionFailed),
            ("If-Match: \"a\"|If-None-Match: \"a\"", NotModified, PreconditionFailed),
            ("If-Match: \"b\"|If-None-Match: \"a\"", PreconditionFailed, PreconditionFailed),
        ] {
            assert_eq!(evaluate(&head("GET", lines), Some(&CURRENT)), on_get, "GET {lines}");
            assert_eq!(evaluate(&head("HEAD", lines), Some(&CURRENT)), on_get, "HEAD {lines}");
            assert_eq!(evaluate(&head("PUT", lines), Some(&CURRENT)), on_put, "PUT {lines}");
        }
    }

    #[test]
    fn conditions_on_what_does_not_exist() {
        for (lines, want) in [
            ("", Verdict::Proceed),
            ("If-Match: *", Verdict::PreconditionFailed),
            ("If-Match: \"a\"", Verdict::PreconditionFailed),
            ("If-None-Match: *", Verdict::Proceed),
            ("If-None-Match: \"a\"", Verdict::Proceed),
            ("If-Unmodified-Since: OLD", Verdict::Proceed),
            ("If-Modified-Since: NEW", Verdict::Proceed),
        ] {
            assert_eq!(evaluate(&head("PUT", lines), None), want, "{lines}");
        }
    }

    #[test]
    fn conditions_by_date_are_ignored_where_there_is_no_date() {
        let undated = Validators { modified: None, ..CURRENT };
        for lines in
            ["If-Modified-Since: NEW", "If-Unmodified-Since: OLD", "If-Unmodified-Since: NEW"]
        {
            assert_eq!(evaluate(&head("GET", lines), Some(&undated)), Verdict::Proceed, "{lines}");
        }
        assert!(!range_applies(&head("GET", "If-Range: SAME"), &undated));
        let tag = head("GET", "If-None-Match: \"a\"");
        assert_eq!(evaluate(&tag, Some(&undated)), Verdict::NotModified);
    }

    #[test]
    fn if_range() {
        for (lines, want) in [
            ("", true),
            ("If-Range: \"a\"", true),
            ("If-Range: SAME", true),
            ("If-Range: \"b\"", false),
            ("If-Range: W/\"a\"", false),
            ("If-Range: \"a\", \"b\"", false),
            ("If-Range: \"", false),
            ("If-Range: *", false),
            ("If-Range:", false),
            ("If-Range: OLD", false),
            ("If-Range: NEW", false),
            ("If-Range: \"a\"|If-Range: \"a\"", false),
        ] {
            assert_eq!(range_applies(&head("GET", lines), &CURRENT), want, "{lines}");
        }
        // A weak tag of ours is never the same bytes.
        let weak = Validators { etag: b"W/\"a\"", ..CURRENT };
        assert!(!range_applies(&head("GET", "If-Range: W/\"a\""), &weak));
    }
}
