//! Text of clients that do not send UTF-8.

use std::borrow::Cow;

/// What windows-1252 has from 0x80 to 0x9F; five bytes stand for control characters (Encoding
/// Standard, <https://encoding.spec.whatwg.org/index-windows-1252.txt>).
const HIGH: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// Names of windows-1252: browsers mean it by all of them.
const SINGLE_BYTE: [&str; 9] = [
    "ascii",
    "us-ascii",
    "iso-8859-1",
    "iso8859-1",
    "iso_8859-1",
    "latin1",
    "l1",
    "cp1252",
    "windows-1252",
];

/// The text that `bytes` are in a character set; in UTF-8 where none is named, or one that is not
/// known. `None` if they are no text in it.
pub fn decode<'b>(name: Option<&str>, bytes: &'b [u8]) -> Option<Cow<'b, str>> {
    match name {
        Some(name) if is_single_byte(name) => Some(single_byte(bytes)),
        _ => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// Text in windows-1252. Every byte is a character of its own, so nothing is lost.
pub fn single_byte(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => bytes.iter().map(|byte| of_byte(*byte)).collect(),
    }
}

/// Whether it is a name of windows-1252.
pub fn is_single_byte(name: &str) -> bool {
    SINGLE_BYTE.iter().any(|known| known.eq_ignore_ascii_case(name.trim()))
}

fn of_byte(byte: u8) -> char {
    let high = byte.checked_sub(0x80).and_then(|at| HIGH.get(usize::from(at)));
    high.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_its_character_set_says() {
        for (name, bytes, want) in [
            (None, &b"caf\xc3\xa9"[..], Some("caf\u{e9}")),
            (None, b"caf\xe9", None),
            (Some("utf-8"), b"caf\xe9", None),
            (Some("unheard-of"), b"caf\xc3\xa9", Some("caf\u{e9}")),
            (Some("ISO-8859-1"), b"caf\xe9", Some("caf\u{e9}")),
            (Some("latin1"), b"caf\xc3\xa9", Some("caf\u{c3}\u{a9}")),
            (Some("windows-1252"), b"\x80 \x9f \xff", Some("\u{20ac} \u{178} \u{ff}")),
            (Some("us-ascii"), b"plain", Some("plain")),
        ] {
            assert_eq!(decode(name, bytes).as_deref(), want, "{name:?} {bytes:?}");
        }
        let all: Vec<u8> = (0..=255).collect();
        let text: std::collections::HashSet<char> = single_byte(&all).chars().collect();
        assert_eq!(text.len(), 256, "no two bytes are the same character");
    }
}
