//! The URL of a question, as people write it.

use std::fmt::Write;

/// What a client would make of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) secure: bool,
    /// What stands in the Host header.
    pub(super) authority: String,
    /// `None`: it was not said, nor was the scheme.
    pub(super) port: Option<u16>,
    /// Path and query, encoded where bytes could not be sent.
    target: String,
}

impl Url {
    /// Reads `http://host/path`, `host/path` or `/path`; a `*` in place of the path is the server as a
    /// whole, for OPTIONS (RFC 9112 §3.2.4).
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (secure, scheme_said, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, true, rest),
            Some(("http", rest)) => (false, true, rest),
            Some((scheme, _)) => return Err(format!("{scheme:?} is neither http nor https")),
            None => (false, false, text),
        };
        let whole = rest.strip_suffix('*').filter(|bare| !bare.contains(['/', '?', '#']));
        let rest = whole.unwrap_or(rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a URL with a user: say it by -H 'Authorization: ...'".to_owned());
        }
        if authority.is_empty() && (scheme_said || target.is_empty() && whole.is_none()) {
            return Err(format!("{text:?} is no URL: try http://localhost:8080/"));
        }
        let said = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let port = match said {
            Some((_, port)) => {
                Some(port.parse().map_err(|_| format!("{port:?} is no port of a URL"))?)
            }
            None if scheme_said => Some(if secure { 443 } else { 80 }),
            None => None,
        };
        let authority = if authority.is_empty() { "localhost" } else { authority };
        let target = if whole.is_some() { "*".to_owned() } else { sendable(target) };
        Ok(Self { secure, authority: authority.to_owned(), port, target })
    }

    /// The head of the request that a client would send.
    pub(super) fn request(&self, method: &str, headers: &[String]) -> String {
        let Self { authority, target, .. } = self;
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        let is_host = |line: &String| line.to_ascii_lowercase().starts_with("host:");
        if !headers.iter().any(is_host) {
            let _ = write!(text, "Host: {authority}\r\n");
        }
        for line in headers {
            let _ = write!(text, "{line}\r\n");
        }
        text + "\r\n"
    }
}

/// Without fragment; blanks, controls and what is not ASCII are encoded, as clients do.
fn sendable(target: &str) -> String {
    let whole = target.split('#').next().unwrap_or_default();
    let mut text = String::with_capacity(whole.len() + 1);
    if !whole.starts_with('/') {
        text.push('/');
    }
    for byte in whole.bytes() {
        match byte {
            0x21..=0x7e => text.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_people_write_them() {
        for (text, want) in [
            ("http://a.b/c?d#e", "http a.b Some(80) /c?d"),
            ("https://a.b:8443", "https a.b:8443 Some(8443) /"),
            ("https://[::1]/", "https [::1] Some(443) /"),
            ("http://[::1]:81/", "http [::1]:81 Some(81) /"),
            ("a.b/c", "http a.b None /c"),
            ("a.b:80?x", "http a.b:80 Some(80) /?x"),
            ("http://a.b:80*", "http a.b:80 Some(80) *"),
            ("*", "http localhost None *"),
            ("/*", "http localhost None /*"),
            ("/a b/ü", "http localhost None /a%20b/%C3%BC"),
        ] {
            let url = Url::read(text).unwrap();
            let scheme = if url.secure { "https" } else { "http" };
            let read = format!("{scheme} {} {:?} {}", url.authority, url.port, url.target);
            assert_eq!(read, want, "{text}");
        }
    }

    #[test]
    fn what_is_no_url() {
        for text in [
            "",
            "http://*",
            "ftp://a/",
            "http:///x",
            "http://a:b/",
            "http://me@a/",
            "http://a:99999/",
        ] {
            assert!(Url::read(text).is_err(), "{text}");
        }
    }
}
