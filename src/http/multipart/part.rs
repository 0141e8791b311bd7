//! The head of a part: its field, file name and type, as clients of all kinds write them.

use crate::http::{bytes, charset};

/// What is said of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The name of its field; empty if it has none.
    pub name: String,
    /// The name of a file, as the client gave it: not to be used as a path.
    pub filename: Option<String>,
    /// Its type, if one is said.
    pub content_type: Option<String>,
    /// The character set that its type names.
    pub charset: Option<String>,
}

impl PartHead {
    /// Reads the lines of a head. Lines that say nothing of these are ignored; of lines with the
    /// same name the first counts. `None` without a `Content-Disposition`: it is no part of a form.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let mut part = Self::default();
        let mut is_form_part = false;
        for line in unfolded(head) {
            let Some(colon) = memchr::memchr(b':', &line) else { continue };
            let (name, value) = (bytes::trim(&line[..colon]), bytes::trim(&line[colon + 1..]));
            if name.eq_ignore_ascii_case(b"content-disposition") && !is_form_part {
                is_form_part = true;
                let parameters = Parameters::of(value);
                part.name = parameters.text("name", true).unwrap_or_default();
                part.filename = parameters.text("filename", false);
            } else if name.eq_ignore_ascii_case(b"content-type") && part.content_type.is_none() {
                part.content_type = Some(text(value));
                part.charset = Parameters::of(value).text("charset", false);
            }
        }
        is_form_part.then_some(part)
    }
}

/// Lines, without their ends; one that begins with a blank goes on with the one before.
fn unfolded(head: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in head.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match lines.last_mut() {
            Some(last) if matches!(line.first(), Some(b' ' | b'\t')) => {
                last.extend_from_slice(line)
            }
            _ => lines.push(line.to_vec()),
        }
    }
    lines
}

/// The parameters of a header's value.
pub(super) struct Parameters(Vec<Parameter>);

struct Parameter {
    name: Vec<u8>,
    value: Vec<u8>,
    is_quoted: bool,
}

impl Parameters {
    /// Those after the first semicolon. Clients quote in two ways: with backslashes before quotes
    /// and backslashes (RFC 9110 §5.6.4), or with `%22` for a quote and nothing for a backslash
    /// (HTML). The first is tried; where it leaves something that is no list of parameters, as with
    /// a value that ends in a backslash, it is the second.
    pub(super) fn of(value: &[u8]) -> Self {
        let after = memchr::memchr(b';', value).map_or(value.len(), |at| at + 1);
        let list = value.get(after..).unwrap_or_default();
        Self(escaped(list).unwrap_or_else(|| unescaped(list)))
    }

    /// The value of a parameter as it stands there.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|own| own.name.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(&found.value)
    }

    /// The value as text: of `name*` (RFC 8187) if it can be read, of its pieces (RFC 2231 §3), or
    /// of `name`, in which browsers write `%22` for a quote, and in names of fields `%0D%0A` for a
    /// line end.
    fn text(&self, name: &str, is_field: bool) -> Option<String> {
        let extended = self.get(&format!("{name}*"));
        if let Some(text) = extended.and_then(of_extended) {
            return Some(text);
        }
        if let Some(pieces) = self.pieces(name) {
            return Some(pieces);
        }
        let plain = self.0.iter().find(|own| own.name.eq_ignore_ascii_case(name.as_bytes()));
        // One that cannot be read is still there: the part is a file.
        let Some(plain) = plain else { return extended.map(text) };
        let mut found = text(&plain.value);
        if plain.is_quoted {
            found = found.replace("%22", "\"");
            if is_field {
                found = found.replace("%0D", "\r").replace("%0A", "\n");
            }
        }
        Some(found)
    }

    /// A value in pieces: `name*0="a"; name*1*=%20b`. The first one names the character set.
    fn pieces(&self, name: &str) -> Option<String> {
        let plain = |n: usize| self.get(&format!("{name}*{n}"));
        let extended = |n: usize| self.get(&format!("{name}*{n}*"));
        let (set, mut whole) = match (plain(0), extended(0)) {
            (Some(piece), _) => (None, piece.to_vec()),
            (None, Some(piece)) => {
                let (set, piece) = split_extended(piece)?;
                (Some(set), unpercent(piece))
            }
            (None, None) => return None,
        };
        for n in 1..self.0.len() {
            match (plain(n), extended(n)) {
                (Some(piece), _) => whole.extend_from_slice(piece),
                (None, Some(piece)) => whole.extend(unpercent(piece)),
                (None, None) => break,
            }
        }
        let set = set.map(text);
        Some(charset::decode(set.as_deref(), &whole).map_or_else(|| text(&whole), Into::into))
    }
}

/// A list in which a backslash stands before quotes and backslashes; `None` if it is none.
fn escaped(list: &[u8]) -> Option<Vec<Parameter>> {
    let mut found = Vec::new();
    let mut rest = bytes::trim(list);
    while !rest.is_empty() {
        let (name, after) = name_and_value(rest)?;
        let (value, is_quoted, after) = match after.strip_prefix(b"\"") {
            Some(quoted) => {
                let (value, after) = quoted_string(quoted)?;
                (value, true, after)
            }
            None => {
                let end = memchr::memchr(b';', after).unwrap_or(after.len());
                (bytes::trim(&after[..end]).to_vec(), false, &after[end..])
            }
        };
        found.push(Parameter { name: name.to_vec(), value, is_quoted });
        rest = match bytes::trim(after) {
            [] => break,
            [b';', more @ ..] => bytes::trim(more),
            _ => return None,
        };
    }
    Some(found)
}

/// A list in which a backslash is a backslash, and a quote ends a value where a semicolon or
/// nothing follows. What is no parameter is passed over.
fn unescaped(list: &[u8]) -> Vec<Parameter> {
    let mut found = Vec::new();
    let mut rest = bytes::trim(list);
    while !rest.is_empty() {
        let semicolon = |from: &[u8]| memchr::memchr(b';', from).unwrap_or(from.len());
        let Some((name, after)) = name_and_value(rest) else {
            rest = bytes::trim(rest.get(semicolon(rest) + 1..).unwrap_or_default());
            continue;
        };
        let (value, is_quoted, after) = match after.strip_prefix(b"\"") {
            Some(quoted) => {
                let ends = |at: &usize| {
                    matches!(bytes::trim(&quoted[at + 1..]).first(), None | Some(b';'))
                };
                let end = memchr::memchr_iter(b'"', quoted).find(ends).unwrap_or(quoted.len());
                (&quoted[..end], true, quoted.get(end + 1..).unwrap_or_default())
            }
            None => (bytes::trim(&after[..semicolon(after)]), false, after),
        };
        found.push(Parameter { name: name.to_vec(), value: value.to_vec(), is_quoted });
        rest = bytes::trim(after.get(semicolon(after) + 1..).unwrap_or_default());
    }
    found
}

/// The name of the first parameter, and what follows its equals sign.
fn name_and_value(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = list.iter().position(|b| matches!(b, b'=' | b';'))?;
    let (name, after) = (bytes::trim(&list[..equals]), &list[equals..]);
    Some((name, bytes::trim(after.strip_prefix(b"=")?)))
}

/// The text up to the closing quote, and what follows it.
fn quoted_string(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (quoted.get(at)?, quoted.get(at + 1)) {
            (b'"', _) => return Some((text, &quoted[at + 1..])),
            (b'\\', Some(byte @ (b'"' | b'\\'))) => {
                text.push(*byte);
                at += 2;
            }
            (byte, _) => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

/// `UTF-8'en'a%20b`; `None` where the character set is not known, or it is no text in it.
fn of_extended(value: &[u8]) -> Option<String> {
    let (set, value) = split_extended(value)?;
    let set = text(set);
    let is_known = set.eq_ignore_ascii_case("utf-8") || charset::is_single_byte(&set);
    if !is_known {
        return None;
    }
    charset::decode(Some(&set), &unpercent(value)).map(Into::into)
}

/// The character set, and what follows the language.
fn split_extended(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(3, |b| *b == b'\'');
    let (set, _language) = (parts.next()?, parts.next()?);
    Some((set, parts.next()?))
}

fn unpercent(value: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(value).collect()
}

/// Names that are no UTF-8 are taken for what old forms send: nothing of them is lost.
fn text(bytes: &[u8]) -> String {
    charset::decode(None, bytes).unwrap_or_else(|| charset::single_byte(bytes)).into_owned()
}
