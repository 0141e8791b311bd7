//! Request targets (RFC 9112 §3.2): their forms, and what path is meant.

use super::{HostName, HttpError, Method, Status, bytes};
use std::ops::Range;

/// The forms of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, with OPTIONS
    Asterisk,
    /// `host:port`, with CONNECT
    Authority,
}

/// Where the parts of a target lie in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetParts {
    /// Which form it has.
    pub form: Form,
    /// The path; a lone `/` for `http://host`, the whole target for `*` and `host:port`.
    pub path: Range<usize>,
    /// What follows the `?`.
    pub query: Option<Range<usize>>,
    /// Host and port, if the target names them.
    pub authority: Option<Range<usize>>,
}

/// Finds the parts of a target. All errors are fatal: a target that two servers could read
/// differently is not answered.
pub fn split(method: Method, target: &[u8]) -> Result<TargetParts, HttpError> {
    // No early exit, so that the compiler can look at many bytes at once.
    if !target.iter().fold(true, |good, byte| good & is_target_byte(*byte)) {
        return Err(HttpError::bad_request("a byte in the target that must be encoded"));
    }
    match (method, target) {
        (Method::Connect, _) => split_authority(target),
        (_, [b'/', ..]) => Ok(split_origin(target)),
        (Method::Options, b"*") => Ok(whole(Form::Asterisk, target)),
        _ => split_absolute(target),
    }
}

/// Decodes once and normalises into `out` (cleared first): begins with `/`, no `//`, no `.`
/// segments; a trailing slash stays.
///
/// The error is a 400 after which the connection goes on: the message was understood, the path is
/// refused. `..` is refused rather than resolved (SECURITY 1): browsers resolve it themselves, so
/// who sends it is looking for a way out.
pub fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
    let Some(mut rest) = raw.strip_prefix(b"/") else {
        return Err(refused("path does not begin with a slash"));
    };
    out.clear();
    out.push(b'/');
    let mut segment = out.len();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'/' => {
                if end_segment(out, segment)? {
                    out.push(b'/');
                }
                segment = out.len();
                continue;
            }
            b'%' => {
                let (byte, after) = decode(rest)?;
                out.push(byte);
                rest = after;
            }
            b'\\' => return Err(refused("backslash in the path")),
            _ => out.push(*first),
        }
        if out.last().is_some_and(u8::is_ascii_control) {
            return Err(refused("control byte in the path"));
        }
    }
    end_segment(out, segment)?;
    Ok(())
}

/// Whether [`normalise`] would change nothing: begins with `/`, only bytes that stand for
/// themselves, no `//`, no segment that begins with a dot. (`.well-known` is then merely slower.)
pub fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.first() == Some(&b'/')
        && path.iter().all(|byte| {
            let good =
                bytes::is_path_byte(*byte) && !(before == b'/' && matches!(byte, b'/' | b'.'));
            before = *byte;
            good
        })
}

/// Drops an empty or `.` segment, which begins at `start` of `out`. Returns whether it stays.
fn end_segment(out: &mut Vec<u8>, start: usize) -> Result<bool, HttpError> {
    match out.get(start..).unwrap_or_default() {
        b".." => Err(refused("`..` in the path")),
        b"" | b"." => {
            out.truncate(start);
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// The byte of two hex digits, and what follows them.
fn decode(text: &[u8]) -> Result<(u8, &[u8]), HttpError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let [high, low, rest @ ..] = text else {
        return Err(refused("percent sign without two digits"));
    };
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
        return Err(refused("percent sign without two digits"));
    };
    match high << 4 | low {
        b'/' | b'\\' => Err(refused("encoded slash or backslash in the path")),
        byte => Ok((byte, rest)),
    }
}

fn refused(reason: &'static str) -> HttpError {
    HttpError::new(Status::BAD_REQUEST, reason)
}

/// Visible ASCII without what begins a fragment (never sent, RFC 9112 §3.2). As lenient as nginx
/// with `"<>^` and the like: old clients send them as they are. A backslash, which some take for a
/// slash, may stand in a query: `normalise` refuses it in a path.
const fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) & (byte != b'#')
}

fn whole(form: Form, target: &[u8]) -> TargetParts {
    TargetParts { form, path: 0..target.len(), query: None, authority: None }
}

fn split_origin(target: &[u8]) -> TargetParts {
    let (path, query) = split_query(target, 0);
    TargetParts { form: Form::Origin, path, query, authority: None }
}

/// Path and query of what begins at `start`.
fn split_query(target: &[u8], start: usize) -> (Range<usize>, Option<Range<usize>>) {
    match memchr::memchr(b'?', target.get(start..).unwrap_or_default()) {
        Some(at) => (start..start + at, Some(start + at + 1..target.len())),
        None => (start..target.len(), None),
    }
}

/// RFC 9112 §3.2.2; a user in the authority is refused like every other bad host (RFC 9110
/// §4.2.4).
fn split_absolute(target: &[u8]) -> Result<TargetParts, HttpError> {
    let is_scheme = |scheme: &&str| {
        target.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let Some(scheme) = ["http://", "https://"].into_iter().find(is_scheme) else {
        return Err(HttpError::bad_request("target is neither a path nor an http URI"));
    };
    let start = scheme.len();
    let after = target.get(start..).unwrap_or_default();
    let end = start + memchr::memchr2(b'/', b'?', after).unwrap_or(after.len());
    if HostName::parse(target.get(start..end).unwrap_or_default()).is_none() {
        return Err(HttpError::bad_request("bad host in the target"));
    }
    let (mut path, query) = split_query(target, end);
    if path.is_empty() {
        // An empty path means `/`; the scheme has one to point at.
        path = start - 1..start;
    }
    Ok(TargetParts { form: Form::Absolute, path, query, authority: Some(start..end) })
}

/// RFC 9112 §3.2.3: the port is not optional.
fn split_authority(target: &[u8]) -> Result<TargetParts, HttpError> {
    match HostName::parse(target) {
        Some(HostName { port: Some(_), .. }) => {
            Ok(TargetParts { authority: Some(0..target.len()), ..whole(Form::Authority, target) })
        }
        _ => Err(HttpError::bad_request("CONNECT target is not host and port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::escape;
    use proptest::prelude::*;

    /// Form, path, query and authority as text.
    type Parts = (Form, String, Option<String>, Option<String>);

    fn parts(method: Method, target: &str) -> Option<Parts> {
        let parts = split(method, target.as_bytes()).ok()?;
        let text = |range: Range<usize>| target[range].to_owned();
        Some((parts.form, text(parts.path), parts.query.map(text), parts.authority.map(text)))
    }

    #[test]
    fn forms() {
        use Form::*;
        for (method, target, form, path, query, authority) in [
            (Method::Get, "/", Origin, "/", None, None),
            (Method::Get, "/a?b?c", Origin, "/a", Some("b?c"), None),
            (Method::Get, "/a?", Origin, "/a", Some(""), None),
            (Method::Get, "//a", Origin, "//a", None, None),
            (Method::Get, "/a?\\b", Origin, "/a", Some("\\b"), None),
            (Method::Get, "/a:b@c", Origin, "/a:b@c", None, None),
            (Method::Get, "http://h/a?b", Absolute, "/a", Some("b"), Some("h")),
            (Method::Get, "HTTPS://[::1]:8/", Absolute, "/", None, Some("[::1]:8")),
            (Method::Get, "http://h", Absolute, "/", None, Some("h")),
            (Method::Get, "http://h:80?q", Absolute, "/", Some("q"), Some("h:80")),
            (Method::Options, "*", Asterisk, "*", None, None),
            (Method::Options, "/", Origin, "/", None, None),
            (Method::Connect, "h:443", Authority, "h:443", None, Some("h:443")),
        ] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let want = (form, path.to_owned(), owned(query), owned(authority));
            assert_eq!(parts(method, target), Some(want), "{target}");
        }
    }

    #[test]
    fn bad_targets() {
        for (method, target) in [
            (Method::Get, ""),
            (Method::Get, "*"),
            (Method::Get, "a"),
            (Method::Get, "?a"),
            (Method::Get, "h:443"),
            (Method::Get, "/a#b"),
            (Method::Get, "http://h\\x/"),
            (Method::Get, "/a b"),
            (Method::Get, "/\0"),
            (Method::Get, "/\r"),
            (Method::Get, "/\x7f"),
            (Method::Get, "/\u{e4}"),
            (Method::Get, "http:/h/"),
            (Method::Get, "http://"),
            (Method::Get, "http:///a"),
            (Method::Get, "http://u@h/"),
            (Method::Get, "http://u:p@h/"),
            (Method::Get, "http://h:x/"),
            (Method::Get, "ftp://h/"),
            (Method::Options, "*?"),
            (Method::Connect, "h"),
            (Method::Connect, "h:"),
            (Method::Connect, "/"),
            (Method::Connect, "http://h:80/"),
        ] {
            let error = split(method, target.as_bytes()).unwrap_err();
            assert!(error.close && error.status == Status::BAD_REQUEST, "{target}");
        }
    }

    fn normalised(raw: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"old".to_vec();
        normalise(raw, &mut out).ok().map(|()| out)
    }

    #[test]
    fn paths() {
        for (raw, want) in [
            ("/", "/"),
            ("/a/b.txt", "/a/b.txt"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/./a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/.", "/"),
            ("/%2e/a", "/a"),
            ("/a%20b%41%C3%a4", "/a bA\u{e4}"),
            ("/%2541", "/%41"), // decoded once
            ("/...", "/..."),
            ("/.hidden/..a/b..", "/.hidden/..a/b.."),
            ("/a?b", "/a?b"),
        ] {
            assert_eq!(normalised(raw.as_bytes()).as_deref(), Some(want.as_bytes()), "{raw}");
        }
        for raw in [
            "", "a", "*", "/..", "/../", "/a/..", "/a/../b", "/%2e%2E", "/.%2e/a", "/%", "/%4",
            "/%4g", "/%+1", "/% 1", "/%00", "/a%0d%0a", "/%7f", "/%1f", "/a%2fb", "/a%2Fb",
            "/a%5cb", "/a\\b", "/..%5c", "/\0", "/a\n",
        ] {
            assert_eq!(normalised(raw.as_bytes()), None, "{raw}");
        }
        assert!(!normalise(b"/..", &mut Vec::new()).unwrap_err().close);
    }

    #[test]
    fn plain_paths() {
        for path in ["/", "/a", "/a/b.c/", "/a..", "/a;b=c"] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
        for path in
            ["", "*", "a", "//", "/a//b", "/.", "/.a", "/a/.b", "/%41", "/a b", "/a\"", "/a?"]
        {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn normalised_paths_are_clean(raw in "/([a./%\\\\]|%2[eEfF5]|%[0-9a-f]{2}){0,24}") {
            if let Some(path) = normalised(raw.as_bytes()) {
                prop_assert!(path.starts_with(b"/") && !path.contains(&0));
                let inner = path[1..].strip_suffix(b"/").unwrap_or(&path[1..]);
                let good = |s: &[u8]| !matches!(s, b"" | b"." | b"..");
                prop_assert!(inner.is_empty() || inner.split(|b| *b == b'/').all(good));

                let mut escaped = Vec::new();
                escape::path(&path, &mut escaped);
                prop_assert_eq!(normalised(&escaped), Some(path));
            }
            if is_plain(raw.as_bytes()) {
                prop_assert_eq!(normalised(raw.as_bytes()), Some(raw.into_bytes()));
            }
        }
    }
}
