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

/// What [`normalise`] has met on its way through a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// A `..` segment, which has been resolved.
    pub parents: bool,
    /// An encoded slash, which is still encoded.
    pub encoded_slashes: bool,
}

/// Decodes once and normalises into `out` (cleared first): begins with `/`, no `//`, no `.` and no
/// `..` segments (RFC 3986 §5.2.4); a trailing slash stays, and is added behind a final dot segment.
///
/// A slash that is encoded belongs to the name around it: it stays `%2F`, and in such a path a
/// percent sign stays `%25`, so that the two are told apart. Only routes that say so take it.
///
/// The error is a 400 after which the connection goes on: the message was understood, the path is
/// refused. So is a `..` that leaves the root, or that has an encoded slash beside it: whatever
/// decodes the slash would find a way up that access rules have not seen.
pub fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Result<Spelling, HttpError> {
    let Some(mut rest) = raw.strip_prefix(b"/") else {
        return Err(refused("path does not begin with a slash"));
    };
    let mut spelling = Spelling { encoded_slashes: has_encoded_slash(raw), ..Spelling::default() };
    out.clear();
    out.push(b'/');
    let mut segment = out.len();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'/' => {
                end_segment(out, segment, &mut spelling)?;
                if !out.ends_with(b"/") {
                    out.push(b'/');
                }
                segment = out.len();
                continue;
            }
            b'%' => {
                let (byte, after) = decode(rest)?;
                rest = after;
                match byte {
                    b'/' => out.extend_from_slice(ENCODED_SLASH),
                    b'%' if spelling.encoded_slashes => out.extend_from_slice(b"%25"),
                    byte => out.push(byte),
                }
            }
            b'\\' => return Err(refused("backslash in the path")),
            _ => out.push(*first),
        }
        if out.last().is_some_and(u8::is_ascii_control) {
            return Err(refused("control byte in the path"));
        }
    }
    end_segment(out, segment, &mut spelling)?;
    Ok(spelling)
}

/// Adds `raw`, which [`normalise`] takes, without its `..` segments and what they lead up from. All
/// else stays as it was sent, encoded. Normalised, both are the same: what counts as a segment that
/// `..` leaves is what stays of it there, so that no program is told of another place than the one that
/// access rules have seen.
pub fn resolve_parents(raw: &[u8], out: &mut Vec<u8>) {
    let mut segments = raw.split(|b| *b == b'/').skip(1).peekable();
    out.push(b'/');
    while let Some(segment) = segments.next() {
        if dots(segment) == Some(2) {
            leave_segment(out);
            continue;
        }
        out.extend_from_slice(segment);
        if segments.peek().is_some() {
            out.push(b'/');
        }
    }
}

/// The segments of an encoded path that are left of it when it is normalised.
pub fn segments(sent: &[u8]) -> impl Iterator<Item = &[u8]> {
    sent.split(|b| *b == b'/').filter(|segment| counts(segment))
}

/// Where the first `count` of these [`segments`] end: at a slash, or at the end.
pub fn end_of_segments(sent: &[u8], count: usize) -> usize {
    let mut end = 0;
    let mut left = count;
    while left > 0 && end < sent.len() {
        let segment = sent.get(end + 1..).unwrap_or_default();
        let length = memchr::memchr(b'/', segment).unwrap_or(segment.len());
        left -= usize::from(segment.get(..length).is_some_and(counts));
        end += 1 + length;
    }
    end
}

/// A path with each `%2F` decoded and nothing else; `None`: it has none.
pub fn decode_slashes(path: &[u8]) -> Option<Vec<u8>> {
    if !has_encoded_slash(path) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        rest = match rest {
            [b'%', b'2', b'f' | b'F', after @ ..] => {
                out.push(b'/');
                after
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    Some(out)
}

/// A path as it was sent, decoded once; encoded slashes stay as they are.
pub fn decode_once(sent: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let [first, after @ ..] = rest {
        let decoded = if *first == b'%' { decode(after).ok() } else { None };
        match decoded {
            Some((byte, after)) if byte != b'/' => {
                out.push(byte);
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
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

/// Drops a dot segment or an empty one, which begins at `start` of `out`.
fn end_segment(out: &mut Vec<u8>, start: usize, spelling: &mut Spelling) -> Result<(), HttpError> {
    match out.get(start..).unwrap_or_default() {
        b"" => {}
        b"." => out.truncate(start),
        b".." if start == 1 => return Err(refused("`..` leads out of the root")),
        b".." => {
            spelling.parents = true;
            out.truncate(start);
            // Each of those before it counts.
            out.truncate(last_segment(out));
        }
        segment if spelling.encoded_slashes && has_encoded_parent(segment) => {
            return Err(refused("`..` beside an encoded slash"));
        }
        _ => {}
    }
    Ok(())
}

/// Drops the last segment that counts, and what is behind it, of an encoded path that ends in a
/// slash.
fn leave_segment(out: &mut Vec<u8>) {
    while out.len() > 1 {
        let start = last_segment(out);
        let end = out.len() - 1;
        let is_left = out.get(start..end).is_some_and(counts);
        out.truncate(start);
        if is_left {
            return;
        }
    }
}

/// Where the last segment of a path begins that ends in a slash.
fn last_segment(path: &[u8]) -> usize {
    let before = path.strip_suffix(b"/").unwrap_or(path);
    memchr::memrchr(b'/', before).map_or(0, |at| at + 1)
}

/// Whether a segment as it was sent is still there in the normalised path.
fn counts(segment: &[u8]) -> bool {
    !matches!(dots(segment), Some(0..=2))
}

/// How many dots a segment is made of, if it has nothing else.
fn dots(segment: &[u8]) -> Option<usize> {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return None,
        };
        count += 1;
    }
    Some(count)
}

/// How an encoded slash stands in a normalised path.
const ENCODED_SLASH: &[u8] = b"%2F";

fn has_encoded_slash(raw: &[u8]) -> bool {
    raw.windows(ENCODED_SLASH.len()).any(|three| three.eq_ignore_ascii_case(ENCODED_SLASH))
}

/// Whether one of the parts between encoded slashes is `..`.
fn has_encoded_parent(segment: &[u8]) -> bool {
    let mut rest = segment;
    while let Some(at) = memchr::memmem::find(rest, ENCODED_SLASH) {
        let (part, after) = rest.split_at(at);
        if part == b".." {
            return true;
        }
        rest = after.get(ENCODED_SLASH.len()..).unwrap_or_default();
    }
    // The segment as a whole is not.
    rest == b".."
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
        b'\\' => Err(refused("encoded backslash in the path")),
        byte => Ok((byte, rest)),
    }
}

fn refused(reason: &'static str) -> HttpError {
    HttpError::new(Status::BAD_REQUEST, reason)
}

/// Visible bytes without what begins a fragment (never sent, RFC 9112 §3.2). As lenient as nginx with
/// `"<>^` and the like, and with bytes beyond ASCII: clients send them as they are, and they have but
/// one meaning. In URLs that are built from them they are encoded. A backslash, which some take for a
/// slash, may stand in a query: `normalise` refuses it in a path.
const fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0x80..) & (byte != b'#')
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
            (Method::Get, "/\x7f"),
            (Method::Get, "http://\u{e4}/"),
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
        normalise(raw, &mut out).ok().map(|_| out)
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
            ("/a\u{e4}", "/a\u{e4}"),
            ("/%2541", "/%41"), // decoded once
            ("/%252f", "/%2f"),
            ("/...", "/..."),
            ("/.hidden/..a/b..", "/.hidden/..a/b.."),
            ("/a?b", "/a?b"),
            // RFC 3986 §5.2.4, and its examples of §5.4
            ("/dir/../hello.txt", "/hello.txt"),
            ("/b/c/../g", "/b/g"),
            ("/b/c/..", "/b/"),
            ("/b/c/../..", "/"),
            ("/a/b/c/./../../g", "/a/g"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b/%2e.", "/"),
            ("/a//../b", "/b"), // as nginx, Apache and file systems have it
            ("/a/./../b", "/b"),
            ("/a/%252e/../b", "/a/b"), // no dot segment: it is a name of three bytes
            ("/a/..;/b", "/a/..;/b"),  // no dot segment either (RFC 3986 §3.3)
            // A slash that is encoded is not one, and is told from its own encoding.
            ("/a%2fb", "/a%2Fb"),
            ("/@zz%2fscoped/x", "/@zz%2Fscoped/x"),
            ("/a%2F%2Fb/100%25", "/a%2F%2Fb/100%25"),
            ("/%252f%2f", "/%252f%2F"),
            ("/a%2Fb/../c", "/c"),
            ("/a%2F.%2Fb", "/a%2F.%2Fb"),
            ("/a%2F..b", "/a%2F..b"),
        ] {
            assert_eq!(normalised(raw.as_bytes()).as_deref(), Some(want.as_bytes()), "{raw}");
        }
        for raw in [
            "",
            "a",
            "*",
            "/..",
            "/../",
            "/%2e%2E",
            "/.%2e/a",
            "/a/../..",
            "/a/../../b",
            "//..",
            "/./..",
            "/%",
            "/%4",
            "/%4g",
            "/%+1",
            "/% 1",
            "/%00",
            "/a%0d%0a",
            "/%7f",
            "/%1f",
            "/a%5cb",
            "/a\\b",
            "/..%5c",
            "/\0",
            "/a\n",
            "/a/..%2fb",
            "/a%2f..",
            "/a%2f%2e%2e%2fb",
            "/a%2f..%2Fb",
            "/a%2f%00",
            "/a%2f%5c",
        ] {
            assert_eq!(normalised(raw.as_bytes()), None, "{raw}");
        }
        assert!(!normalise(b"/..", &mut Vec::new()).unwrap_err().close);
    }

    #[test]
    fn what_is_met_on_the_way() {
        for (raw, parents, encoded_slashes) in [
            ("/a/./b//%20", false, false),
            ("/a/..", true, false),
            ("/%252F/..a", false, false),
            ("/a%2fb", false, true),
            ("/a%2Fb/..", true, true),
        ] {
            let spelling = normalise(raw.as_bytes(), &mut Vec::new()).unwrap();
            assert_eq!(spelling, Spelling { parents, encoded_slashes }, "{raw}");
        }
    }

    fn resolved(raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        resolve_parents(raw, &mut out);
        out
    }

    #[test]
    fn only_parents_are_resolved() {
        for (raw, want) in [
            ("/", "/"),
            ("/proxy/http://e/./x", "/proxy/http://e/./x"),
            ("/a%20b/../c%3Bd;e", "/c%3Bd;e"),
            ("/x//a//./../b", "/x//b"),
            ("/x/%2e%2E", "/"),
            ("/a/b/..", "/a/"),
            ("/a%2Fb/../c", "/c"),
            ("/a/..//b", "//b"),
            ("/a/%252e/../b", "/a/b"),
        ] {
            assert_eq!(resolved(raw.as_bytes()), want.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn a_prefix_is_found_in_what_was_sent() {
        for (sent, count, prefix) in [
            ("/app/x", 0, ""),
            ("/app/x", 1, "/app"),
            ("/app", 1, "/app"),
            ("//app//x", 1, "//app"),
            ("/./app/%2e/x", 1, "/./app"),
            ("/./app/%2e/x", 2, "/./app/%2e/x"),
            ("/app/", 2, "/app/"),
        ] {
            assert_eq!(end_of_segments(sent.as_bytes(), count), prefix.len(), "{sent} {count}");
        }
        let left: Vec<_> = segments(b"//a/./%2e/b%2fc/").collect();
        assert_eq!(left, [&b"a"[..], b"b%2fc"]);
    }

    #[test]
    fn a_path_is_decoded_once() {
        for (sent, want) in [
            ("/a%20b//./c", "/a b//./c"),
            ("/@zz%2fscoped%2Fx", "/@zz%2fscoped%2Fx"),
            ("/%252f%25%41", "/%2f%A"),
            ("/%3B;%3D=", "/;;=="),
        ] {
            assert_eq!(decode_once(sent.as_bytes()), want.as_bytes(), "{sent}");
        }
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

        /// Programs and redirects are given what access rules have looked at, otherwise spelt.
        #[test]
        fn what_is_passed_on_is_the_same_place(raw in "(/{1,2}([a;]|%3B|%2[eEfF5]|%252[eEfF]|\\.){0,3}){1,9}") {
            let Some(path) = normalised(raw.as_bytes()) else { return Ok(()) };
            let sent = resolved(raw.as_bytes());
            prop_assert!(!sent.split(|b| *b == b'/').any(|segment| dots(segment) == Some(2)));
            let spelling = normalise(&sent, &mut Vec::new()).unwrap();
            // A name with an encoded slash may be one that `..` has left.
            if spelling.encoded_slashes == has_encoded_slash(raw.as_bytes()) {
                prop_assert_eq!(normalised(&sent), Some(path.clone()), "{}", sent.escape_ascii());
            }
            let count = segments(&sent).count();
            prop_assert_eq!(count, path.split(|b| *b == b'/').filter(|s| !s.is_empty()).count());
            let mut cleaned = Vec::new();
            escape::sent(&sent, &mut cleaned);
            prop_assert_eq!(&cleaned, &sent, "nothing in it has to be encoded");
            prop_assert_eq!(end_of_segments(&sent, count) == sent.len(), !path.ends_with(b"/"));
        }
    }
}
