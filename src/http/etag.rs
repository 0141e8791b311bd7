//! Entity tags (RFC 9110 §8.8.3).

use std::fmt;

/// A strong entity tag, with its quotes. Small and without allocation: one is made for each file
/// that is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Etag {
    text: [u8; SIZE_MAX],
    len: u8,
}

/// What the tag of a file is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileState {
    /// Bytes.
    pub size: u64,
    /// `st_mtime`: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// `st_ctime`, likewise.
    pub changed: (i64, u32),
    /// `st_ino`.
    pub inode: u64,
}

impl Etag {
    /// The tag of a file: size, times and inode (SECURITY 17). Nanoseconds make it strong, two
    /// writes within one second differ, and so does the time of the last change of any sort: the
    /// other can be set back, by `touch -d`, `cp -p` and builds that give every file the same.
    pub fn of_file(file: &FileState) -> Self {
        let mut tag = Self { text: [0; SIZE_MAX], len: 0 };
        tag.push(b'"');
        tag.push_hex(file.size);
        for (seconds, nanos) in [file.modified, file.changed] {
            let nanos = seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(nanos));
            tag.push(b'-');
            tag.push_hex(nanos.cast_unsigned());
        }
        tag.push(b'-');
        tag.push_hex(file.inode);
        tag.push(b'"');
        tag
    }

    /// The tag of an encoded variant of the same file, which must differ (RFC 9110 §8.8.3.3):
    /// `"1-2-3-4"` with suffix `gz` is `"1-2-3-4-gz"`. A number and three letters always fit; what
    /// does not is left out, as are bytes that do not belong in a tag.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let mut tag = *self;
        tag.len = tag.len.saturating_sub(1);
        tag.push(b'-');
        let room = SIZE_MAX - 1 - usize::from(tag.len);
        suffix.bytes().filter(|b| is_etag_byte(*b)).take(room).for_each(|b| tag.push(b));
        tag.push(b'"');
        tag
    }

    /// The tag as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        debug_assert!(usize::from(self.len) < SIZE_MAX);
        if let Some(place) = self.text.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len += 1;
        }
    }

    fn push_hex(&mut self, n: u64) {
        let digits = (u64::BITS - n.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            let digit = (n >> (place * 4) & 0xf) as u8;
            self.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
}

impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Etag({})", self.as_bytes().escape_ascii())
    }
}

/// Whether `etag`, with its quotes, is in a list of entity tags; `strong` says how to compare
/// (RFC 9110 §8.8.3.2). A list is read up to the first mistake. `*` is not a list.
pub fn matches_list(header: &[u8], etag: &[u8], strong: bool) -> bool {
    let Some((wanted, _)) = read_tag(etag) else { return false };
    let mut rest = header;
    loop {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let Some((tag, after)) = read_tag(rest) else { return false };
        if tag.opaque == wanted.opaque && !(strong && (tag.is_weak || wanted.is_weak)) {
            return true;
        }
        rest = after;
        // A comma parts them; after blanks it is taken above.
        if !matches!(rest, [] | [b' ' | b'\t' | b',', ..]) {
            return false;
        }
    }
}

struct Tag<'a> {
    is_weak: bool,
    /// Without the quotes.
    opaque: &'a [u8],
}

/// The tag at the start of `text`, and what follows it.
fn read_tag(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (is_weak, text) = match text.strip_prefix(b"W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let text = text.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    let opaque = text.get(..end)?;
    opaque.iter().all(|b| is_etag_byte(*b)).then_some(())?;
    Some((Tag { is_weak, opaque }, text.get(end + 1..)?))
}

/// etagc: visible without the quote, and obs-text.
const fn is_etag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

/// Two quotes, four numbers of at most 16 digits, three dashes: 69; the rest is for suffixes.
const SIZE_MAX: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_files() {
        let state = FileState { size: 0x1f4, modified: (1, 2), changed: (0, 3), inode: 0xab };
        let tag = Etag::of_file(&state);
        assert_eq!(tag.as_bytes(), b"\"1f4-3b9aca02-3-ab\"");
        assert_eq!(tag.with_suffix("gz").as_bytes(), b"\"1f4-3b9aca02-3-ab-gz\"");
        assert_eq!(Etag::of_file(&FileState::default()).as_bytes(), b"\"0-0-0-0\"");
        let end = (-1, 999_999_998);
        let most = FileState { size: u64::MAX, modified: end, changed: end, inode: u64::MAX };
        let longest = Etag::of_file(&most);
        assert_eq!(longest.as_bytes().len(), 69);
        let numbered = longest.with_suffix(&format!("{:x}", u64::MAX)).with_suffix("gz");
        assert!(numbered.as_bytes().ends_with(b"f-gz\"") && numbered.as_bytes().len() < SIZE_MAX);
        let odd = longest.with_suffix(&format!("a\"b\r\n{}", "c".repeat(90)));
        assert!(odd.as_bytes().len() == SIZE_MAX && odd.as_bytes().ends_with(b"cc\""), "{odd:?}");
        for other in [
            FileState { size: 0x1f5, ..state },
            FileState { modified: (1, 3), ..state },
            FileState { changed: (0, 4), ..state },
            FileState { inode: 0xac, ..state },
        ] {
            assert_ne!(Etag::of_file(&other), tag, "{other:?}");
        }
    }

    #[test]
    fn lists() {
        for (header, etag, strong, want) in [
            ("\"a\"", "\"a\"", true, true),
            ("\"a\"", "\"b\"", false, false),
            ("\"b\", \"a\"", "\"a\"", true, true),
            ("\"b\",\"a\"", "\"a\"", true, true),
            (", ,\"b\" ,, \"a\" ,", "\"a\"", true, true),
            ("\"x,\", \"a\"", "\"a\"", true, true),
            ("\"x,\"", "\"x,\"", true, true),
            ("W/\"a\"", "\"a\"", true, false),
            ("W/\"a\"", "\"a\"", false, true),
            ("W/\"b\", W/\"a\"", "W/\"a\"", false, true),
            ("\"a\"", "W/\"a\"", true, false),
            ("w/\"a\"", "\"a\"", false, false),
            ("\"A\"", "\"a\"", true, false),
            ("a", "\"a\"", false, false),
            ("\"a", "\"a\"", false, false),
            ("\"b\"\"a\"", "\"a\"", false, false),
            ("\"b c\", \"a\"", "\"a\"", false, false),
            ("\"\"", "\"\"", true, true),
            ("*", "\"a\"", false, false),
            ("", "\"a\"", false, false),
        ] {
            let got = matches_list(header.as_bytes(), etag.as_bytes(), strong);
            assert_eq!(got, want, "{header} {etag} strong: {strong}");
        }
    }
}
