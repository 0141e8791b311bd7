//! What a client would rather have (RFC 9110 §12): encoded files, and errors as pages or not.

use super::{bytes, list};

/// Whether a client with these lines of Accept-Encoding (§12.5.3) takes a body in `coding`, and
/// likes it no less than one without: one list, in however many lines it comes (§5.3).
///
/// Without the header every coding would be acceptable; only `identity` is then taken for it,
/// since who does not ask for gzip often cannot read it. A list that does not weigh `identity`
/// likes it least.
pub fn accepts_coding<'h>(lines: impl IntoIterator<Item = &'h [u8]>, coding: &str) -> bool {
    let is_identity = coding.eq_ignore_ascii_case("identity");
    let (mut named, mut plain, mut any) = (None, None, None);
    for (name, quality) in lines.into_iter().flat_map(weighted) {
        if is_coding(name, coding) {
            named = Some(quality.max(named.unwrap_or(0)));
        } else if name.eq_ignore_ascii_case(b"identity") {
            plain = Some(quality);
        } else if name == b"*" {
            any = Some(quality);
        }
    }
    match named.or(any) {
        Some(quality) => quality > 0 && (is_identity || quality >= plain.or(any).unwrap_or(0)),
        None => is_identity,
    }
}

/// Whether a page is what the client wants: it names HTML. `*/*` alone is what curl sends.
pub fn prefers_html(accept: Option<&[u8]>) -> bool {
    quality_of(accept, HTML) > 0
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// A page.
    Html,
    /// `application/problem+json` (RFC 9457).
    Json,
    /// A line of text, for `curl`.
    Text,
}

/// The form in which a client with this Accept reads an error best.
pub fn error_form(accept: Option<&[u8]>) -> ErrorForm {
    let (html, json) = (quality_of(accept, HTML), quality_of(accept, JSON));
    if json > html {
        ErrorForm::Json
    } else if html > 0 {
        ErrorForm::Html
    } else {
        ErrorForm::Text
    }
}

const HTML: &[&str] = &["text/html", "application/xhtml+xml"];
const JSON: &[&str] = &["application/json", "application/problem+json"];

/// The highest quality any of these types is named with; 0 without.
fn quality_of(accept: Option<&[u8]>, types: &[&str]) -> u16 {
    let is_named = |name: &[u8]| types.iter().any(|t| name.eq_ignore_ascii_case(t.as_bytes()));
    weighted(accept.unwrap_or_default())
        .filter(|(name, _)| is_named(name))
        .map(|(_, quality)| quality)
        .max()
        .unwrap_or(0)
}

/// `x-gzip` is an old name of `gzip` (§8.4.1.3).
fn is_coding(name: &[u8], coding: &str) -> bool {
    name.eq_ignore_ascii_case(coding.as_bytes())
        || coding.eq_ignore_ascii_case("gzip") && name.eq_ignore_ascii_case(b"x-gzip")
}

/// Names and their quality in thousandths. What has a quality that is none is not wanted, whatever
/// `*` says. Other parameters are ignored.
fn weighted(value: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    list(value).filter_map(|member| {
        let mut parts = member.split(|b| *b == b';').map(bytes::trim);
        let name = parts.next()?;
        let quality = parts.find_map(|part| match part {
            [b'q' | b'Q', b'=', quality @ ..] => Some(read_quality(quality)),
            _ => None,
        });
        Some((name, quality.unwrap_or(Some(1000)).unwrap_or(0)))
    })
}

/// `0`, `0.5`, `1.000` (§12.4.2), in thousandths. Of the digits that programs print beyond the
/// third, nothing is left.
fn read_quality(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole] => (*whole, &b""[..]),
        [whole, b'.', decimals @ ..] => (*whole, decimals),
        _ => return None,
    };
    if !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut quality = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, worth) in decimals.iter().zip([100, 10, 1]) {
        quality += u16::from(digit - b'0') * worth;
    }
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings() {
        for (header, gzip, identity) in [
            (None, false, true),
            (Some(""), false, true),
            (Some("gzip"), true, true),
            (Some("GZIP"), true, true),
            (Some("x-gzip"), true, true),
            (Some("deflate, gzip;q=1.0, *;q=0.5"), true, true),
            (Some("gzip;q=0"), false, true),
            (Some("gzip; Q=0.000"), false, true),
            (Some("gzip ; q=0.001"), true, true),
            (Some("gzip;q=0, *"), false, true),
            (Some("*"), true, true),
            (Some("*;q=0"), false, false),
            (Some("*;q=0, identity"), false, true),
            (Some("identity;q=0"), false, false),
            (Some("identity;q=0, gzip"), true, false),
            (Some("br"), false, true),
            (Some("gzipped"), false, true),
            (Some("gzip;q=2"), false, true),
            (Some("gzip;q=1.001"), false, true),
            (Some("gzip;q=0.0001"), false, true),
            (Some("gzip;q=-1"), false, true),
            (Some("gzip;q="), false, true),
            (Some("gzip;q=18446744073709551616"), false, true),
            (Some("*, gzip;q=18446744073709551616"), false, true),
            (Some("*, gzip;q=-1"), false, true),
            (Some("gzip;q=0.99999999999999999999999999"), true, true),
            (Some("gzip;q=1.00000000000000000000"), true, true),
            (Some("gzip;q=0.5x"), false, true),
            (Some("gzip;q=0.2, identity;q=1"), false, true),
            (Some("identity, gzip;q=0.999"), false, true),
            (Some("identity;q=0.5, gzip;q=0.5"), true, true),
            (Some("identity;q=0.4, gzip;q=0.5"), true, true),
            (Some("gzip;q=0.2, *"), false, true),
            (Some("gzip;q=0.2, *;q=0.1"), true, true),
            (Some("gzip;q=0.2, br"), true, true),
            (Some("*;q=0.5, identity"), false, true),
        ] {
            let header = header.map(str::as_bytes);
            let name = header.unwrap_or(b"(none)").escape_ascii();
            assert_eq!(accepts_coding(header, "gzip"), gzip, "gzip: {name}");
            assert_eq!(accepts_coding(header, "identity"), identity, "identity: {name}");
        }
        for (lines, gzip) in [
            ([&b"br"[..], b"gzip"], true),
            ([b"br", b"deflate"], false),
            ([b"gzip;q=0", b"*"], false),
            ([b"*", b"gzip; Q=0;x=y"], false),
        ] {
            assert_eq!(accepts_coding(lines, "gzip"), gzip, "{lines:?}");
        }
    }

    #[test]
    fn forms() {
        use ErrorForm::*;
        for (accept, html, form) in [
            (None, false, Text),
            (Some("*/*"), false, Text),
            (Some("text/*"), false, Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), true, Html),
            (Some("TEXT/HTML;charset=utf-8;q=0.1"), true, Html),
            (Some("text/html;q=0"), false, Text),
            (Some("application/json"), false, Json),
            (Some("application/problem+json, */*"), false, Json),
            (Some("application/json, text/html"), true, Html),
            (Some("application/json, text/html;q=0.9"), true, Json),
            (Some("application/json;q=0"), false, Text),
            (Some("image/png"), false, Text),
        ] {
            let accept = accept.map(str::as_bytes);
            let name = accept.unwrap_or(b"(none)").escape_ascii();
            assert_eq!(prefers_html(accept), html, "{name}");
            assert_eq!(error_form(accept), form, "{name}");
        }
    }
}
