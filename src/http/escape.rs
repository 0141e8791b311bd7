//! Text from strangers on its way into pages, links and logs: the only place that escapes
//! (SECURITY 12, 13).

use super::bytes;
use std::borrow::Cow;

/// For HTML text and for attribute values in either quotes.
pub fn html(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| html_entity(byte).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match u8::try_from(c).ok().and_then(html_entity) {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`html`], of bytes that should be UTF-8; U+FFFD stands where they are not.
pub fn html_bytes(text: &[u8]) -> String {
    html(&String::from_utf8_lossy(text)).into_owned()
}

/// Adds a decoded path, percent-encoded, for `Location` and links: nothing of it can end a header
/// or an attribute in double quotes, begin a query or be decoded twice. What RFC 3986 §3.3 lets stand
/// in a path stands for itself. The caller normalises first, so that it does not begin with `//`.
pub fn path(path: &[u8], out: &mut Vec<u8>) {
    encode(path, bytes::is_path_byte, out);
}

/// Adds an encoded path as it was sent: reserved characters are neither encoded nor decoded on the way
/// (RFC 3986 §2.2), for `;` and `%3B` may be two things to whoever reads the URL. Bytes that no URL has
/// are encoded. The only function that passes a client's path on into a URL.
pub fn sent(path: &[u8], out: &mut Vec<u8>) {
    encode(path, |byte| is_sendable(byte) && byte != b'?', out);
}

/// Adds an encoded query as it was sent, as [`sent`] does with a path.
pub fn sent_query(query: &[u8], out: &mut Vec<u8>) {
    encode(query, is_sendable, out);
}

/// The path without slashes before its first one: what begins with `//` is the name of another host to
/// a browser (CVE-2021-28861). A backslash, which browsers take for a slash, is encoded by what is
/// here, or refused.
pub fn one_leading_slash(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|b| **b == b'/').count();
    path.get(slashes.saturating_sub(1)..).unwrap_or_default()
}

/// Unreserved, reserved but for `#`, which ends a URL's query, and `%` (RFC 3986 §2). Brackets have
/// no place in a path or a query, but they are reserved, and clients send them.
const fn is_sendable(byte: u8) -> bool {
    bytes::is_path_byte(byte) || matches!(byte, b'%' | b'?' | b'[' | b']')
}

fn encode(text: &[u8], stands: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    for byte in text {
        match stands(*byte) {
            true => out.push(*byte),
            false => out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

/// Adds a file's name, percent-encoded, for a link that begins with it. As [`path`], and of what is
/// no letter or digit only `-`, `.`, `_`, `~` and `:` stay as they are, so that clients that look
/// for links without understanding HTML find the same. A link with a colon needs `./` before it,
/// or what is before the colon is a scheme.
pub fn segment(name: &[u8], out: &mut Vec<u8>) {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    encode(name, stands, out);
}

/// Adds text as it may stand between quotes in a log line. Bytes that could end the line or the
/// quotes, or steer a terminal, become `\xHH`: controls (C0, DEL, C1), those that turn the direction
/// of text or break lines, quote, backslash, and whatever is not UTF-8.
pub fn log(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().fold(true, |clean, byte| clean & is_clean_ascii(*byte)) {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            if steers(c) || matches!(c, '"' | '\\') {
                bytes.iter().for_each(|byte| push_hex(*byte, out));
            } else {
                out.extend_from_slice(bytes);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(*byte, out));
    }
}

/// Whether a terminal or an editor obeys a character instead of showing it: controls, line and
/// paragraph separators, and the marks that turn the direction of what stands around them, so that
/// a line reads as something that it is not.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn html_entity(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\'' => Some("&#39;"),
        _ => None,
    }
}

const fn is_clean_ascii(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) & (byte != b'"') & (byte != b'\\')
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 0xf)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn html_text() {
        for (text, want) in [
            ("", ""),
            ("plain \u{e4}", "plain \u{e4}"),
            (
                "<img src=x onerror='a(\"b\")'>&",
                "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;",
            ),
            ("&amp;", "&amp;amp;"),
        ] {
            assert_eq!(html(text), want);
        }
        assert!(matches!(html("plain"), Cow::Borrowed(_)));
        assert_eq!(html_bytes(b"a\xff<"), "a\u{fffd}&lt;");
    }

    #[test]
    fn paths() {
        for (text, want) in [
            (&b"/a/b.c"[..], "/a/b.c"),
            (b"/a b%?#\"<>\\", "/a%20b%25%3F%23%22%3C%3E%5C"),
            (b"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
            (b"/\r\n\0\xff", "/%0D%0A%00%FF"),
        ] {
            let mut out = Vec::new();
            path(text, &mut out);
            assert_eq!(out, want.as_bytes(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_was_sent_stays_as_it_is() {
        for (text, path, query) in [
            ("/a;b=1/%3B%3b'!$&()*+,:@~", "/a;b=1/%3B%3b'!$&()*+,:@~", "/a;b=1/%3B%3b'!$&()*+,:@~"),
            ("/a?b[]", "/a%3Fb[]", "/a?b[]"),
            ("/<\"^`{|}\\#>", "/%3C%22%5E%60%7B%7C%7D%5C%23%3E", "/%3C%22%5E%60%7B%7C%7D%5C%23%3E"),
            ("/\u{e4}\r\n\0 ", "/%C3%A4%0D%0A%00%20", "/%C3%A4%0D%0A%00%20"),
        ] {
            let (mut as_path, mut as_query) = (Vec::new(), Vec::new());
            sent(text.as_bytes(), &mut as_path);
            sent_query(text.as_bytes(), &mut as_query);
            assert_eq!((&*as_path, &*as_query), (path.as_bytes(), query.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_path_begins_with_one_slash() {
        for (path, want) in
            [("//a//b", "/a//b"), ("///", "/"), ("/", "/"), ("", ""), ("https://a", "https://a")]
        {
            assert_eq!(one_leading_slash(path.as_bytes()), want.as_bytes(), "{path}");
        }
    }

    #[test]
    fn log_text() {
        for (text, want) in [
            (&b"GET / HTTP/1.1"[..], "GET / HTTP/1.1"),
            (b"a\"b\\c", r"a\x22b\x5cc"),
            (b"\r\n\x1b[31m\x7f\0", r"\x0d\x0a\x1b[31m\x7f\x00"),
            ("\u{e4}\u{1f600}".as_bytes(), "\u{e4}\u{1f600}"),
            ("a\u{9b}b".as_bytes(), r"a\xc2\x9bb"),
            ("a\u{202e}b\u{2028}".as_bytes(), r"a\xe2\x80\xaeb\xe2\x80\xa8"),
            (b"\xff\xe2\x82x", r"\xff\xe2\x82x"),
        ] {
            let mut out = b">".to_vec();
            log(text, &mut out);
            assert_eq!(&out[1..], want.as_bytes(), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn nothing_harmful_gets_through(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            log(&text, &mut out);
            let line = String::from_utf8(out).unwrap();
            prop_assert!(!line.contains(|c: char| steers(c) || c == '"'));

            let mut out = Vec::new();
            path(&text, &mut out);
            prop_assert!(out.iter().all(|b| *b == b'%' || bytes::is_path_byte(*b)));
            prop_assert!(!html_bytes(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
