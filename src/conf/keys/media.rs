//! `[media]` and `[compress]`: what is said of bodies, and done to them.

use super::{Keys, OrFalse, Own, STRINGS, Size, Text, closest, key};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{At, Compress, Media};
use crate::conf::read::{Item, Reader};
use crate::conf::rules::{self, Fault};
use crate::conf::toml_text::{list, quote, table};

pub(in crate::conf) static MEDIA: Keys<Media> = Keys {
    title: "[media]",
    defaults: Media::default,
    keys: &[
        key("default", at!(Media, default: Text(rules::media_type)))
            .does("the media type of unknown extensions")
            .example(r#""text/plain""#),
        key("charset", at!(Media, charset: OrFalse(Text(rules::charset), "a string or false")))
            .does("added to text types that have none; `false` adds nothing")
            .example("false"),
        key("types", at!(Media, types: TYPES))
            .does("media types of extensions")
            .example(r#"{ wasm = "application/wasm", md = "text/markdown" }"#),
    ],
};

const TYPES: Own<Vec<(String, String)>> = Own {
    wanted: "a table such as { md = \"text/markdown\" }",
    read: types,
    show: |types| Some(table(types.iter().map(|(name, kind)| (quote(name), quote(kind))))),
};

fn types(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let title = "media.types";
    Some(reader.by_extension(item, title, TYPES.wanted, "a type", |reader, item| {
        reader.string(item, "a string", rules::media_type)
    }))
}

pub(in crate::conf) static COMPRESS: Keys<Compress> = Keys {
    title: "[compress]",
    defaults: Compress::default,
    keys: &[
        key("dynamic", at!(Compress, gzip: DYNAMIC))
            .does("codings computed here; `[]`: none")
            .example("[]"),
        key("static", at!(Compress, gzip: STATIC))
            .does("compressed files beside the originals; not in this version")
            .example("[]")
            .otherwise("`[]`"),
        key("min", at!(Compress, min: Size::ANY)).does("shorter files are sent as they are"),
    ],
};

const DYNAMIC: Own<bool> =
    Own { wanted: STRINGS, read: dynamic, show: |gzip| Some(list(gzip.then_some("gzip"))) };

fn dynamic(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<bool> {
    let list = codings(reader, item, &["gzip", "br"]);
    if let Some(br) = list.iter().find(|coding| coding.value == "br") {
        reader.report(coding_later("`br` is not computed in this version", br));
    }
    Some(list.iter().any(|coding| coding.value == "gzip"))
}

/// Has no place in the model: it is checked and has no effect.
const STATIC: Own<bool> = Own {
    wanted: STRINGS,
    read: |reader, item| {
        let first = codings(reader, item, &["gz", "br", "zst"]);
        let message = "compressed files are not looked for in this version";
        if let Some(first) = first.first() {
            reader.report(coding_later(message, first));
        }
        None
    },
    show: |_| None,
};

fn codings(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    known: &[&'static str],
) -> Vec<At<&'static str>> {
    reader.strings(item, |text| {
        known.iter().copied().find(|coding| *coding == text).ok_or_else(|| Fault {
            name: "bad-value",
            why: format!("is none of {}", known.join(", ")),
            instead: closest(text, known).map(str::to_owned),
        })
    })
}

fn coding_later(message: &str, at: &At<&str>) -> Diagnostic {
    Diagnostic::warning("not-yet", message, at.span.clone()).label("has no effect")
}
