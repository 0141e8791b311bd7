//! `[[host.route]]`: a path, and the one thing that it does.

use super::access::INHERITED;
use super::answers::{REDIRECTS, RESPONDS};
use super::cgi::BESIDE_CGI;
use super::files::BESIDE_FILES;
use super::{Boolean, Compound, Keys, Kind, Methods, Optional, Own, Path, Placed, Text, key};
use crate::conf::model::{Action, AppRoute, At, Cgi, Files, HandlerRef, Respond, Route};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::conf::toml_text::{path, quote};
use crate::http::Method;
use std::path::PathBuf;
use toml::de::DeValue;

pub(in crate::conf) static ROUTE: Compound = Compound {
    title: "[[host.route]]",
    parts: &[
        &ROUTE_ITSELF,
        &FILES_FOLDER,
        &BESIDE_FILES,
        &ACTIONS,
        &BESIDE_HANDLER,
        &BESIDE_CGI,
        &INHERITED,
    ],
};

pub(in crate::conf) static ROUTE_ITSELF: Keys<Route> = Keys {
    title: "[[host.route]]",
    defaults: || Route::new(At::implied(String::new()), nothing()),
    keys: &[
        key("path", at!(Route, path: Placed(Text(rules::route_path))))
            .does("ends in `/`: everything below it; otherwise this path alone")
            .example(r#""/docs/""#)
            .otherwise("needed"),
        key("methods", at!(Route, methods: Optional(Methods(&Method::ROUTED))))
            .does("the methods it is for; GET includes HEAD")
            .example(r#"["GET", "HEAD"]"#)
            .otherwise("all"),
        key("internal", at!(Route, internal: Boolean))
            .does("only programs may send requests here, not clients"),
    ],
};

/// What stands in for an action that is not known yet.
pub(in crate::conf) fn nothing() -> Action {
    Action::Respond(Respond::default())
}

pub(in crate::conf) static FILES_FOLDER: Keys<Action> = Keys {
    title: "[[host.route]]",
    defaults: nothing,
    keys: &[key("files", at!(Action: FILES))
        .does("serve the files of a folder")
        .example(r#""/srv/docs""#)],
};

pub(in crate::conf) static ACTIONS: Keys<Action> = Keys {
    title: "[[host.route]]",
    defaults: nothing,
    keys: &[
        key("cgi", at!(Action: SCRIPTS))
            .does("start the programs of a folder")
            .example(r#""/srv/cgi-bin""#),
        key("redirect", at!(Action: variant!(Action::Redirect: REDIRECTS)))
            .does("send clients elsewhere")
            .example(r#"{ to = "/docs/{rest}", status = 308 }"#),
        key("respond", at!(Action: variant!(Action::Respond: RESPONDS)))
            .does("a fixed answer")
            .example(r#"{ status = 200, body = "ok\n" }"#)
            .otherwise("none"),
        key("app", at!(Action: APP)).does("a Python application, by its name").example(r#""blog""#),
        key("pages", at!(Action: variant!(Action::Pages: Placed(Path))))
            .does("a folder whose Python files answer for their paths")
            .example(r#""/srv/pages""#),
        key("handler", at!(Action: HANDLER))
            .does("an application or a handler of this program, by its name")
            .example(r#""moviequotes""#),
    ],
};

/// The folder of a route's files.
pub(in crate::conf) const FOLDER: Placed<Path> = Placed(Path);

/// Shows it. It is read by `read::route`, since files may share a route with another action.
pub(super) const FILES: Own<Action> = Own {
    wanted: "a path",
    read: |reader, item| Some(Action::Files(Files::of(FOLDER.read(reader, item)?))),
    show: |action| action.files().map(|files| path(&files.root.value)),
};

/// The folder of scripts. Those among files are read by `read::route`, which knows the files.
const SCRIPTS: Own<Action> = Own {
    wanted: "a path, true or extensions",
    read: |reader, item| Some(Action::Cgi(Cgi::of(Placed(Path).read(reader, item)?))),
    show: |action| match action {
        Action::Cgi(cgi) if cgi.files.is_none() => Some(path(&cgi.root.value)),
        Action::Cgi(cgi) if cgi.extensions.is_empty() => Some("true".to_owned()),
        Action::Cgi(cgi) => {
            Some(super::toml_text::list(cgi.extensions.iter().map(|name| format!(".{name}"))))
        }
        _ => None,
    },
};

const NAME: Placed<Text<String>> = Placed(Text(|text| Ok(text.to_owned())));

const APP: Own<Action> = Own {
    wanted: "a string",
    read: |reader, item| {
        let app = NAME.read(reader, item)?;
        Some(Action::App(AppRoute { app, files: None }))
    },
    show: |action| match action {
        Action::App(route) => Some(quote(&route.app.value)),
        _ => None,
    },
};

/// An application of the program. Whether there is one of that name is known to `site::build` only.
const HANDLER: Own<Action> = Own {
    wanted: "a string",
    read: |reader, item| {
        let name = NAME.read(reader, item)?;
        let options = At::new(toml::Table::new(), item.span.clone());
        Some(Action::Handler(HandlerRef { name, options, folder: reader.folder.to_owned() }))
    },
    show: |action| match action {
        Action::Handler(handler) => Some(quote(&handler.name.value)),
        _ => None,
    },
};

/// What may stand beside `handler`.
pub(in crate::conf) static BESIDE_HANDLER: Keys<HandlerRef> = Keys {
    title: "handler",
    defaults: || HandlerRef {
        name: At::implied(String::new()),
        options: At::implied(toml::Table::new()),
        folder: PathBuf::new(),
    },
    keys: &[key("options", at!(HandlerRef, options: OPTIONS))
        .does("what the handler is told")
        .example(r#"{ data = "/srv/quotes" }"#)
        .otherwise("`{}`")],
};

const OPTIONS: Own<At<toml::Table>> = Own {
    wanted: "a table such as { db = \"quotes.db\" }",
    read: options,
    show: |options| {
        let shown = toml::Value::Table(without_secrets(&options.value));
        (!options.value.is_empty()).then(|| shown.to_string())
    },
};

fn options(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<At<toml::Table>> {
    let toml::Value::Table(table) = plain_value(item.value) else {
        reader.wrong_type(item, OPTIONS.wanted);
        return None;
    };
    Some(At::new(table, item.span.clone()))
}

/// A value without its places.
fn plain_value(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            // What is no number of 64 bits keeps its digits, for the message of whoever reads it.
            parsed.map_or_else(|_| toml::Value::String(number.to_string()), toml::Value::Integer)
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse();
            parsed.map_or_else(|_| toml::Value::String(number.to_string()), toml::Value::Float)
        }
        DeValue::Boolean(value) => toml::Value::Boolean(*value),
        DeValue::Datetime(date) => toml::Value::Datetime(*date),
        DeValue::Array(values) => {
            toml::Value::Array(values.iter().map(|v| plain_value(v.get_ref())).collect())
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                (key.to_string(), plain_value(value.get_ref()))
            };
            toml::Value::Table(table.iter().map(entry).collect())
        }
    }
}

/// Options as they may be shown: what is called a secret is left out.
fn without_secrets(options: &toml::Table) -> toml::Table {
    let is_secret =
        |key: &str| ["secret", "password", "token", "key"].iter().any(|w| key.contains(w));
    let refers = |value: &toml::Value| {
        value.as_str().is_some_and(|text| text.starts_with("env:") || text.starts_with("file:"))
    };
    let shown = |(key, value): (&String, &toml::Value)| {
        let value =
            if is_secret(key) && !refers(value) { "(not shown)".into() } else { value.clone() };
        (key.clone(), value)
    };
    options.iter().map(shown).collect()
}
