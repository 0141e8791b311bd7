//! Which media type a file has, by its extension.

use crate::conf;
use std::collections::HashMap;
use std::rc::Rc;

/// Extensions and the `Content-Type` they mean: the configuration's first, then those of `TODAY`,
/// then those that `mime_guess` knows.
#[derive(Debug)]
pub struct MediaTable {
    own: HashMap<String, Rc<str>>,
    default: Rc<str>,
    charset: Option<String>,
}

/// Where `mime_guess` has nothing, or what IANA, browsers and nginx have no more or never had. In
/// doubt what makes a browser show the file counts: a source text is a text.
const TODAY: &[(&str, &[&str])] = &[
    ("application/cbor", &["cbor"]),
    ("application/dash+xml", &["mpd"]),
    ("application/geo+json", &["geojson"]),
    ("application/gpx+xml", &["gpx"]),
    ("application/gzip", &["gz", "tgz"]),
    ("application/json", &["map", "har", "ipynb", "topojson"]),
    ("application/manifest+json", &["webmanifest"]),
    ("application/pgp-keys", &["asc"]),
    ("application/pkcs12", &["p12", "pfx"]),
    ("application/ttml+xml", &["ttml", "dfxp"]),
    ("application/vnd.apple.mpegurl", &["m3u8"]),
    ("application/vnd.debian.binary-package", &["deb"]),
    ("application/vnd.mapbox-vector-tile", &["mvt"]),
    ("application/vnd.ms-3mfdocument", &["3mf"]),
    ("application/vnd.rar", &["rar"]),
    ("application/vnd.sqlite3", &["sqlite", "sqlite3"]),
    ("application/wasm", &["wasm"]),
    ("application/x-ndjson", &["ndjson", "jsonl"]),
    ("application/x-redhat-package-manager", &["rpm"]),
    ("application/yaml", &["yaml", "yml"]),
    ("application/zstd", &["zst"]),
    ("audio/midi", &["mid", "midi", "kar"]),
    ("audio/mp4", &["m4a", "m4b"]),
    ("font/otf", &["otf"]),
    ("font/woff", &["woff"]),
    ("font/woff2", &["woff2"]),
    ("image/avif", &["avif", "avifs"]),
    ("image/bmp", &["bmp"]),
    ("image/jxl", &["jxl"]),
    ("image/ktx2", &["ktx2"]),
    ("model/gltf+json", &["gltf"]),
    ("model/gltf-binary", &["glb"]),
    ("model/obj", &["obj"]),
    ("model/step", &["step", "stp"]),
    ("model/stl", &["stl"]),
    ("model/vnd.usdz+zip", &["usdz"]),
    ("text/cache-manifest", &["appcache"]),
    ("text/javascript", &["js", "mjs", "cjs"]),
    (
        "text/plain",
        &[
            "bib", "diff", "go", "java", "kt", "lock", "lua", "patch", "php", "pl", "proto", "py",
            "rb", "rs", "srt", "swift", "tex", "toml",
        ],
    ),
    ("text/vcard", &["vcf"]),
    ("text/wgsl", &["wgsl"]),
    ("video/iso.segment", &["m4s"]),
    ("video/mp2t", &["ts", "m2ts", "mts"]),
    ("video/mp4", &["mp4", "cmfv"]),
];

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
        let today = TODAY.iter().find(|(_, extensions)| extensions.contains(&&*extension));
        let known = today.map(|(media_type, _)| *media_type);
        match known.or_else(|| mime_guess::from_ext(&extension).first_raw()) {
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
                | "application/x-ndjson"
                | "application/yaml"
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
            // Of today, as IANA and browsers have them.
            ("a.wasm", "application/wasm"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.cjs", "text/javascript; charset=utf-8"),
            ("a.js.map", "application/json; charset=utf-8"),
            ("a.webmanifest", "application/manifest+json; charset=utf-8"),
            ("a.avif", "image/avif"),
            ("a.webp", "image/webp"),
            ("a.jxl", "image/jxl"),
            ("a.heic", "image/heic"),
            ("a.apng", "image/apng"),
            ("a.ico", "image/x-icon"),
            ("a.bmp", "image/bmp"),
            ("a.woff", "font/woff"),
            ("a.woff2", "font/woff2"),
            ("a.ttf", "font/ttf"),
            ("a.otf", "font/otf"),
            ("a.ts", "video/mp2t"),
            ("a.m2ts", "video/mp2t"),
            ("a.m4s", "video/iso.segment"),
            ("a.mpd", "application/dash+xml; charset=utf-8"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.mp4", "video/mp4"),
            ("a.m4v", "video/x-m4v"),
            ("a.webm", "video/webm"),
            ("a.mkv", "video/x-matroska"),
            ("a.mov", "video/quicktime"),
            ("a.mp3", "audio/mpeg"),
            ("a.m4a", "audio/mp4"),
            ("a.flac", "audio/flac"),
            ("a.opus", "audio/ogg"),
            ("a.wav", "audio/wav"),
            ("a.mid", "audio/midi"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.glb", "model/gltf-binary"),
            ("a.gltf", "model/gltf+json; charset=utf-8"),
            ("a.stl", "model/stl"),
            ("a.obj", "model/obj"),
            ("a.usdz", "model/vnd.usdz+zip"),
            ("a.ktx2", "image/ktx2"),
            ("a.jsonld", "application/ld+json; charset=utf-8"),
            ("a.geojson", "application/geo+json; charset=utf-8"),
            ("a.ndjson", "application/x-ndjson; charset=utf-8"),
            ("a.yaml", "application/yaml; charset=utf-8"),
            ("a.toml", "text/plain; charset=utf-8"),
            ("a.py", "text/plain; charset=utf-8"),
            ("a.rs", "text/plain; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a.xhtml", "application/xhtml+xml; charset=utf-8"),
            ("a.rss", "application/rss+xml; charset=utf-8"),
            ("a.atom", "application/atom+xml; charset=utf-8"),
            ("a.ics", "text/calendar; charset=utf-8"),
            ("a.vcf", "text/vcard; charset=utf-8"),
            ("a.pdf", "application/pdf"),
            ("a.epub", "application/epub+zip"),
            ("a.zip", "application/zip"),
            ("a.tgz", "application/gzip"),
            ("a.zst", "application/zstd"),
            ("a.7z", "application/x-7z-compressed"),
            ("a.rpm", "application/x-redhat-package-manager"),
            ("a.deb", "application/vnd.debian.binary-package"),
            ("a.apk", "application/vnd.android.package-archive"),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.odt", "application/vnd.oasis.opendocument.text"),
            (".html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.nobodyknows", "application/octet-stream"),
        ] {
            assert_eq!(&*table.of_path(path.as_bytes()), want, "{path}");
        }
        assert_eq!(&*table.of_path(b"a.\xff"), "application/octet-stream");
    }

    #[test]
    fn no_extension_is_in_the_table_twice() {
        let mut all: Vec<_> = TODAY.iter().flat_map(|(_, extensions)| *extensions).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
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
