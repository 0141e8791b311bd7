//! Paths of URLs and of the file system, and targets of redirects.

use super::{Fault, has_control};
use std::path::PathBuf;

/// The path of a route, an error page or a log rule: decoded, absolute, without detours.
pub(in crate::conf) fn route_path(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-path", why);
    if !text.starts_with('/') {
        return Err(fault("does not begin with `/`").instead(format!("/{text}")));
    }
    if has_control(text) {
        return Err(fault("has a control character"));
    }
    if let Some((path, _)) = text.split_once(['?', '#']) {
        return Err(fault("has a query: routes look at the path only").instead(path));
    }
    if text.contains("//") {
        return Err(fault("has an empty segment `//`"));
    }
    if text.split('/').any(|segment| segment == ".." || segment == ".") {
        return Err(fault("has a `.` or `..` segment, which no request has after cleaning"));
    }
    if let Some(path) = text.strip_suffix('*') {
        return Err(fault("has a `*`: a path that ends in `/` is for everything below")
            .instead(format!("{}/", path.trim_end_matches('/'))));
    }
    if text.contains('*') {
        return Err(fault("has a `*`: it is no pattern, and no request would have it"));
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    if decoded != text {
        return Err(fault("is percent-encoded: paths are written decoded").instead(decoded));
    }
    Ok(text.to_owned())
}

/// The target of a redirect: a path of the same host or an HTTP URL, with placeholders.
pub(in crate::conf) fn redirect_target(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-redirect", why);
    if has_control(text) {
        return Err(fault("has a control character"));
    }
    // It is sent in a header as it is; a browser would read `/\` as `//`, another host.
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(fault("has a character that must be percent-encoded here"));
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let (host, tail) = match rest {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None if text.starts_with("//") => {
            return Err(fault("begins with `//`, which is another host: write the URL or one `/`"));
        }
        None if text.starts_with('/') => ("", text),
        None => return Err(fault("is neither a path that begins with `/` nor an http(s) URL")),
    };
    if rest.is_some() && host.is_empty() {
        return Err(fault("has no host"));
    }
    // What the client sends may choose the page, never the site.
    if placeholders(host)?.iter().any(|name| *name != "host") {
        return Err(fault("lets the client choose the host: end the host with `/`"));
    }
    placeholders(tail).map(|_| text.to_owned())
}

/// The names in braces, which must be ones that there are.
fn placeholders(text: &str) -> Result<Vec<&str>, Fault> {
    let mut names = Vec::new();
    let mut pieces = text.split('{');
    let before = pieces.next().unwrap_or_default();
    let stray = || Fault::new("bad-redirect", "has a brace without its partner");
    if before.contains('}') {
        return Err(stray());
    }
    for piece in pieces {
        let (name, after) = piece.split_once('}').ok_or_else(stray)?;
        if after.contains('}') {
            return Err(stray());
        }
        if !["rest", "host", "query"].contains(&name) {
            let why = format!("has `{{{name}}}`: there are {{rest}}, {{host}} and {{query}}");
            return Err(Fault::new("bad-redirect", why));
        }
        names.push(name);
    }
    Ok(names)
}

/// A file below a folder: `index.html`, `app/index.html`.
pub(in crate::conf) fn file_below(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-path", why);
    if let Some(bare) = text.strip_prefix('/') {
        return Err(fault("begins with `/`: it is seen from the folder").instead(bare));
    }
    let bad = |segment: &str| matches!(segment, "" | "." | "..");
    if text.split('/').any(bad) || has_control(text) {
        return Err(fault("is not a file below the folder"));
    }
    Ok(text.to_owned())
}

/// A file name without folders.
pub(in crate::conf) fn file_name(text: &str) -> Result<String, Fault> {
    let fault = Fault::new("bad-path", "is more than a file name");
    file_below(text).and_then(|name| if text.contains('/') { Err(fault) } else { Ok(name) })
}

/// A path of the file system.
pub(in crate::conf) fn file_path(text: &str) -> Result<PathBuf, Fault> {
    if text.is_empty() {
        return Err(Fault::new("bad-path", "is empty"));
    }
    if has_control(text) {
        return Err(Fault::new("bad-path", "has a control character"));
    }
    if text.starts_with('~') {
        let why = "begins with `~`, which only a shell fills in: write the whole path";
        return Err(Fault::new("bad-path", why));
    }
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{');
    let mut segments = text.split('/').filter_map(|segment| segment.strip_prefix('$'));
    if segments.any(|name| name.starts_with(is_name)) {
        let why = "has a variable, and none is filled in here: write the whole path";
        return Err(Fault::new("bad-path", why));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::rules::verdict;

    #[test]
    fn route_paths() {
        for (text, want) in [
            ("/", "ok"),
            ("/a b/ü/", "ok"),
            ("/100%", "ok"),
            ("/.well-known/", "ok"),
            ("docs/", "write /docs/"),
            ("/docs/*", "write /docs/"),
            ("/docs*", "write /docs/"),
            ("/a?b=c", "write /a"),
            ("/a%20b", "write /a b"),
            ("", "write /"),
            ("/*.css/", "bad-path"),
            ("/*/x", "bad-path"),
            ("/a//b", "bad-path"),
            ("/a/../b", "bad-path"),
            ("/a/.", "bad-path"),
            ("/a\nb", "bad-path"),
        ] {
            assert_eq!(verdict(route_path(text)), want, "{text:?}");
        }
    }

    #[test]
    fn redirect_targets() {
        for (text, want) in [
            ("/docs/{rest}", true),
            ("https://{host}/x?{query}", true),
            ("http://example.org", true),
            ("https://example.org/{rest}", true),
            ("/", true),
            ("", false),
            ("docs", false),
            ("//evil.org/", false),
            ("/\\evil.org/", false),
            ("https:///x", false),
            ("https://example.org{rest}", false),
            ("https://{rest}/", false),
            ("ftp://example.org/", false),
            ("javascript:alert(1)", false),
            ("/a\r\nSet-Cookie: x", false),
            ("/ä", false),
            ("/{path}", false),
            ("/{rest", false),
            ("/rest}", false),
            ("/{rest}}", false),
        ] {
            assert_eq!(redirect_target(text).is_ok(), want, "{text:?}");
        }
    }
}
