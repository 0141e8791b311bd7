//! Which media type a file has, by its extension.

use crate::conf;
use std::collections::HashMap;
use std::rc::Rc;

/// Extensions and the `Content-Type` they mean: the configuration's first, then those that
/// `mime_guess` knows.
#[derive(Debug)]
pub struct MediaTable {
    own: HashMap<String, Rc<str>>,
    default: Rc<str>,
    charset: Option<String>,
}

impl MediaTable {
    /// The table that `[media]` describes.
    pub fn new(media: &conf::Media) -> Self {
        let charset = media.charset.clone();
        let full = |text: &str| Rc::from(with_charset(text, charset.as_deref()));
        Self {
            own: media.types.iter().map(|(ext, t)| (ext.to_ascii_lowercase(), full(t))).collect(),
            default: full(&media.default),
            charset,
        }
    }

    /// The `Content-Type` of the file at `path`.
    pub fn of_path(&self, path: &[u8]) -> Rc<str> {
        let Some(extension) = extension(path) else { return Rc::clone(&self.default) };
        if let Some(own) = self.own.get(extension.as_str()) {
            return Rc::clone(own);
        }
        match mime_guess::from_ext(&extension).first_raw() {
            Some(known) => Rc::from(with_charset(known, self.charset.as_deref())),
            None => Rc::clone(&self.default),
        }
    }
}

/// Whether gzip is worth trying on this type. Images, archives and films are compressed already.
pub fn is_compressible(content_type: &str) -> bool {
    let kind = bare(content_type);
    is_text(&kind)
        || matches!(
            kind.as_str(),
            "application/wasm"
                | "application/x-tar"
                | "application/vnd.ms-fontobject"
                | "font/ttf"
                | "font/otf"
                | "image/bmp"
                | "image/x-icon"
        )
}

/// The text after the last dot of the name, lower case. A name that only begins with a dot has
/// none.
fn extension(path: &[u8]) -> Option<String> {
    let name = path.rsplit(|b| *b == b'/').next()?;
    let dot = memchr::memrchr(b'.', name).filter(|at| *at > 0)?;
    let extension = std::str::from_utf8(name.get(dot + 1..)?).ok()?;
    (!extension.is_empty()).then(|| extension.to_ascii_lowercase())
}

fn with_charset(content_type: &str, charset: Option<&str>) -> String {
    // Nothing may end the header line, whoever wrote the type.
    let mut full: String = content_type.chars().filter(|c| !c.is_control()).collect();
    if let Some(charset) = charset
        && is_text(&bare(&full))
        && !full.contains("charset")
    {
        full.push_str("; charset=");
        full.extend(charset.chars().filter(|c| !c.is_control()));
    }
    full
}

/// The type without parameters.
fn bare(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || kind.ends_with("+xml")
        || kind.ends_with("+json")
        || matches!(
            kind,
            "application/javascript"
                | "application/x-javascript"
                | "application/json"
                | "application/xml"
                | "application/toml"
                | "application/x-sh"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let table = MediaTable::new(&conf::Media {
            types: vec![
                ("md".into(), "text/x-own".into()),
                ("x".into(), "text/x;charset=a".into()),
            ],
            ..conf::Media::default()
        });
        for (path, want) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.CSS", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.md", "text/x-own; charset=utf-8"),
            ("a.x", "text/x;charset=a"),
            ("a.tar.gz", "application/gzip"),
            ("Makefile", "application/octet-stream"),
            ("a.d/file", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.nobodyknows", "application/octet-stream"),
        ] {
            assert_eq!(&*table.of_path(path.as_bytes()), want, "{path}");
        }
        assert_eq!(&*table.of_path(b"a.\xff"), "application/octet-stream");
    }

    #[test]
    fn what_is_compressed() {
        for (kind, want) in [
            ("text/html; charset=utf-8", true),
            ("application/json", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("image/png", false),
            ("application/gzip", false),
            ("application/octet-stream", false),
        ] {
            assert_eq!(is_compressible(kind), want, "{kind}");
        }
    }
}
