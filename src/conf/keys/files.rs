//! The keys that may stand beside the folder of a route: `listing` to `upload`.

use super::{Boolean, Keys, Kind, Methods, Nested, Optional, Own, Size, Text, Word, key};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{At, Files, Overwrite, Upload};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::http::Method;
use std::path::PathBuf;
use toml::de::DeValue;

/// What may stand beside `files`, or `root` of a host.
pub(in crate::conf) static BESIDE_FILES: Keys<Files> = Keys {
    title: "files",
    defaults: || Files::of(At::implied(PathBuf::new())),
    keys: &[
        key("listing", at!(Files, listing: LISTING)).does("list folders without index page"),
        key("hidden", at!(Files, hidden: Boolean)).does("serve names that begin with a dot"),
        key("clean_urls", at!(Files, clean_urls: Boolean))
            .does("answer `/about` with `about.html`"),
        key("fallback", at!(Files, fallback: Optional(Text(rules::file_below))))
            .does("the file that answers pages that match no file")
            .example(r#""index.html""#),
        key("cache_control", at!(Files, cache_control: Optional(Text(rules::header_value))))
            .does("the `Cache-Control` header")
            .example(r#""public, max-age=3600""#),
        key("upload", at!(Files, upload: UPLOADS))
            .does("let clients write files")
            .example(r#"{ max = "2GiB", overwrite = "rename" }"#)
            .otherwise("`false`"),
    ],
};

const LISTING: Own<bool> = Own {
    wanted: "true or false",
    read: |reader, item| {
        if item.value.as_str() == Some("json") {
            let message = "a listing in JSON is not available in this version";
            reader.report(Diagnostic::error("not-yet", message, item.span.clone()));
            return None;
        }
        Boolean.read(reader, item)
    },
    show: |listing| Boolean.show(listing),
};

const UPLOADS: Own<Option<Upload>> = Own {
    wanted: "true, false or a table { methods, max, overwrite, mkdir }",
    read: upload,
    show: |upload| upload.as_ref().map(|upload| UPLOAD.inline(upload)),
};

fn upload(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Option<Upload>> {
    let upload = match item.value {
        DeValue::Boolean(true) => Upload::default(),
        DeValue::Boolean(false) => return Some(None),
        DeValue::Table(_) => Nested(&UPLOAD).read(reader, item)?,
        _ => {
            reader.wrong_type(item, UPLOADS.wanted);
            return None;
        }
    };
    Some(Some(Upload { span: item.span.clone(), ..upload }))
}

pub(in crate::conf) static UPLOAD: Keys<Upload> = Keys {
    title: "upload",
    defaults: Upload::default,
    keys: &[
        key("methods", at!(Upload, methods: Methods(&[Method::Put, Method::Post, Method::Delete])))
            .does("some of PUT, POST and DELETE")
            .example(r#"["PUT", "DELETE"]"#),
        key("max", at!(Upload, max: Size::from(1))).does("length of one file; more is 413"),
        key("overwrite", at!(Upload, overwrite: OVERWRITE))
            .does("what happens to a file that is there")
            .example(r#""rename""#),
        key("mkdir", at!(Upload, mkdir: Boolean)).does("make missing folders"),
    ],
};

const OVERWRITE: Own<Overwrite> = Own {
    wanted: r#"true, false, "replace", "refuse" or "rename""#,
    read: |reader, item| match item.value {
        DeValue::Boolean(true) => Some(Overwrite::Replace),
        DeValue::Boolean(false) => Some(Overwrite::Refuse),
        _ => OVERWRITE_WORD.read(reader, item),
    },
    show: |overwrite| OVERWRITE_WORD.show(overwrite),
};

const OVERWRITE_WORD: Word<Overwrite> = Word(&[
    ("replace", Overwrite::Replace),
    ("refuse", Overwrite::Refuse),
    ("rename", Overwrite::Rename),
]);
