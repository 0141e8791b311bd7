//! `[[host.route]]`: a path, and the one thing it does.

use super::access;
use super::cgi;
use super::schema::{self, BESIDE_CGI, BESIDE_FILES};
use super::table::{Item, Reader, Table, tables};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{
    Access, Action, AppRoute, At, EncodedSlashes, Files, HandlerRef, Overwrite, Redirect, Respond,
    Route, Upload,
};
use crate::conf::rules::{self, Fault};
use crate::http::{Method, MethodSet, Status};
use std::ops::Range;
use toml::de::DeValue;

/// The type of a fixed answer that does not say its own.
const RESPOND_TYPE: &str = "text/plain; charset=utf-8";

const UPLOAD_METHODS: [Method; 3] = [Method::Put, Method::Post, Method::Delete];

/// What a host says for those of its routes that do not say their own.
pub(super) struct Around<'a> {
    pub(super) access: &'a Access,
    pub(super) encoded_slashes: Option<EncodedSlashes>,
}

/// The routes of a host.
pub(super) fn routes(reader: &mut Reader<'_>, item: &Item<'_>, around: &Around<'_>) -> Vec<Route> {
    let tables = tables(reader, item, &schema::ROUTE, "[[host.route]]");
    tables.into_iter().filter_map(|table| route(reader, table, around)).collect()
}

/// `encoded_slashes`, of a host or of a route.
pub(super) fn encoded_slashes(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
) -> Option<EncodedSlashes> {
    let words = [("refuse", EncodedSlashes::Refuse), ("keep", EncodedSlashes::Keep)];
    table.take("encoded_slashes").and_then(|item| reader.choice(&item, &words))
}

fn route(reader: &mut Reader<'_>, mut table: Table<'_>, around: &Around<'_>) -> Option<Route> {
    let span = table.span.clone();
    let path = table.take("path");
    let methods = table.take("methods").and_then(|item| reader.methods(&item, &Method::ROUTED));
    let internal = table.take("internal").and_then(|item| reader.boolean(&item)).unwrap_or(false);
    let access = access::access(reader, &mut table).within(around.access);
    let encoded_slashes = encoded_slashes(reader, &mut table).or(around.encoded_slashes);
    let action = action(reader, &mut table, "files");
    // A misspelt key is probably the missing one: one message for one mistake.
    let complete = !table.has_rest();
    if path.is_none() && complete {
        let message = "this route has no path";
        let help = "add `path = \"/docs/\"`; a path that ends in `/` is for everything below";
        reader.report(Diagnostic::error("missing-key", message, span.clone()).help(help));
    }
    if action.is_none() && complete {
        let help =
            "give it one of `files`, `app`, `pages`, `cgi`, `redirect`, `respond` and `handler`";
        reader.report(Diagnostic::error("no-action", "this route does nothing", span).help(help));
    }
    table.finish(reader);
    let item = path?;
    let rule = |text: &str| rules::route_path(text).map(|()| text.to_owned());
    let path = At::new(reader.string(&item, rule)?, item.span);
    let action = action?.0?;
    let is_folder = match &action {
        Action::Files(_) | Action::Cgi(_) | Action::Pages(_) => true,
        Action::App(route) => route.files.is_some(),
        _ => false,
    };
    if is_folder && !path.value.ends_with('/') {
        let message = "a route with a folder is for a path and everything below";
        let diagnostic = Diagnostic::error("bad-path", message, path.span.clone());
        reader.report(diagnostic.label(format!("write `{}/`", path.value)));
    }
    let methods = methods.map(MethodSet::with_head);
    Some(Route { path, methods, internal, encoded_slashes, access, action })
}

/// The action of a route or, with `root` for `files`, of a host; and where it is written.
/// `None`: there is no such key. `Some((None, _))`: there is, but it is wrong.
pub(super) fn action(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    folder_key: &'static str,
) -> Option<(Option<Action>, Range<usize>)> {
    let beside: Vec<_> = BESIDE_FILES.iter().filter_map(|key| table.take(key)).collect();
    let options = table.take("options");
    let beside_cgi: Vec<_> = BESIDE_CGI.iter().filter_map(|key| table.take(key)).collect();
    let (folder, scripts) = (table.take(folder_key), table.take("cgi"));
    let scripts = scripts.filter(|item| item.value.as_bool() != Some(false));
    let (has_folder, has_scripts) = (folder.is_some(), scripts.is_some());
    let app = table.take("app");
    let is_among =
        scripts.as_ref().is_some_and(|item| cgi::is_among(reader, item, folder.as_ref()));
    // Files together with an application come first, and it answers the rest; together with scripts,
    // their names say which of the two they are.
    let shares = app.is_some() || is_among;
    let (folder, shared) = if shares { (None, folder) } else { (folder, None) };
    needs_folder(reader, scripts.as_ref().filter(|_| is_among && !has_folder), folder_key);
    let others = ["pages", "redirect", "respond", "handler"].map(|key| table.take(key));
    let given = [folder, scripts, app].into_iter().chain(others);
    let mut given: Vec<_> = given.flatten().collect();
    given.sort_by_key(|item| item.key_span.start);
    for other in given.iter().skip(1) {
        let message = format!("{} is a second action: there can be one", other.title());
        let diagnostic = Diagnostic::error("several-actions", message, other.key_span.clone());
        let first = given.first().map(|first| first.key_span.clone()).unwrap_or_default();
        reader.report(diagnostic.also(first, "the first is here"));
    }
    let has_handler = given.iter().any(|item| item.key == "handler");
    if let Some(item) = options.as_ref().filter(|_| !has_handler && !table.has_rest()) {
        let message = format!("{} needs `handler` beside it", item.title());
        reader.report(Diagnostic::error("needs-handler", message, item.key_span.clone()));
    }
    if !has_folder && !table.has_rest() {
        for item in &beside {
            let message = format!("{} needs `{folder_key}` beside it", item.title());
            reader.report(Diagnostic::error("needs-files", message, item.key_span.clone()));
        }
    }
    if !has_scripts && !table.has_rest() {
        for item in &beside_cgi {
            let message = format!("{} needs `cgi` beside it", item.title());
            reader.report(Diagnostic::error("needs-cgi", message, item.key_span.clone()));
        }
    }
    let mut found = None;
    for item in given {
        let action = match item.key {
            "cgi" if is_among => {
                let files = shared.as_ref().and_then(|item| files(reader, item, &beside));
                cgi::among(reader, &item, &beside_cgi, files).map(Action::Cgi)
            }
            "cgi" => cgi::cgi(reader, &item, &beside_cgi).map(Action::Cgi),
            "redirect" => redirect(reader, &item).map(Action::Redirect),
            "respond" => respond(reader, &item).map(Action::Respond),
            "handler" => handler(reader, &item, options.as_ref()).map(Action::Handler),
            "app" => {
                let files = shared.as_ref().and_then(|item| files(reader, item, &beside));
                let any = |text: &str| Ok::<_, Fault>(text.to_owned());
                let name = reader.string(&item, any);
                name.map(|name| {
                    Action::App(AppRoute { app: At::new(name, item.span.clone()), files })
                })
            }
            "pages" => reader.path(&item).map(Action::Pages),
            _ => files(reader, &item, &beside).map(Action::Files),
        };
        found = found.or(Some((action, item.span)));
    }
    found
}

/// Scripts among files need files.
fn needs_folder(reader: &mut Reader<'_>, item: Option<&Item<'_>>, folder_key: &str) {
    let Some(item) = item else { return };
    let message = format!("{} needs `{folder_key}` beside it", item.title());
    let diagnostic = Diagnostic::error("needs-files", message, item.key_span.clone());
    reader.report(
        diagnostic.help("or give it the folder that the scripts lie in: `cgi = \"/srv/cgi-bin\"`"),
    );
}

/// An application of the program. Whether there is one of that name is known to `site::build` only.
fn handler(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    options: Option<&Item<'_>>,
) -> Option<HandlerRef> {
    let name = reader.string(item, |text| Ok::<_, Fault>(text.to_owned()))?;
    let empty = At::new(toml::Table::new(), item.span.clone());
    let options = match options {
        None => empty,
        Some(item) => match plain_value(item.value) {
            toml::Value::Table(table) => At::new(table, item.span.clone()),
            _ => {
                reader.wrong_type(item, "a table such as { db = \"quotes.db\" }");
                empty
            }
        },
    };
    let folder = reader.folder.to_owned();
    Some(HandlerRef { name: At::new(name, item.span.clone()), options, folder })
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

fn files(reader: &mut Reader<'_>, item: &Item<'_>, beside: &[Item<'_>]) -> Option<Files> {
    let root = reader.path(item);
    let mut files = Files::of(root.clone().unwrap_or(At::implied("".into())));
    for item in beside {
        match item.key {
            "listing" if item.value.as_str() == Some("json") => {
                let message = "a listing in JSON is not available in this version";
                reader.report(Diagnostic::error("not-yet", message, item.span.clone()));
            }
            "listing" => files.listing = reader.boolean(item).unwrap_or(false),
            "hidden" => files.hidden = reader.boolean(item).unwrap_or(false),
            "clean_urls" => files.clean_urls = reader.boolean(item).unwrap_or(false),
            "fallback" => {
                let rule = |text: &str| rules::file_below(text).map(|()| text.to_owned());
                files.fallback = reader.string(item, rule);
            }
            "cache_control" => {
                let rule = |text: &str| rules::header_value(text).map(|()| text.to_owned());
                files.cache_control = reader.string(item, rule);
            }
            _ => files.upload = upload(reader, item),
        }
    }
    root.map(|_| files)
}

fn upload(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Upload> {
    let mut upload = Upload { span: item.span.clone(), ..Upload::default() };
    match item.value {
        DeValue::Boolean(true) => return Some(upload),
        DeValue::Boolean(false) => return None,
        DeValue::Table(_) => {}
        _ => {
            reader.wrong_type(item, "true, false or a table { methods, max, overwrite, mkdir }");
            return None;
        }
    }
    let mut table = reader.table(item, &schema::UPLOAD)?;
    if let Some(item) = table.take("methods") {
        upload.methods = reader.methods(&item, &UPLOAD_METHODS).unwrap_or(upload.methods);
    }
    if let Some(item) = table.take("max") {
        upload.max = reader.size(&item, 1..=u64::MAX).unwrap_or(upload.max);
    }
    if let Some(item) = table.take("overwrite") {
        upload.overwrite = overwrite(reader, &item).unwrap_or(upload.overwrite);
    }
    if let Some(item) = table.take("mkdir") {
        upload.mkdir = reader.boolean(&item).unwrap_or(upload.mkdir);
    }
    table.finish(reader);
    Some(upload)
}

fn overwrite(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Overwrite> {
    let words = [
        ("replace", Overwrite::Replace),
        ("refuse", Overwrite::Refuse),
        ("rename", Overwrite::Rename),
    ];
    match item.value {
        DeValue::Boolean(true) => Some(Overwrite::Replace),
        DeValue::Boolean(false) => Some(Overwrite::Refuse),
        _ => reader.choice(item, &words),
    }
}

fn redirect(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Redirect> {
    let rule = |text: &str| rules::redirect_target(text).map(|()| text.to_owned());
    if !item.value.is_table() {
        let to = reader.string_or(item, "a string or a table { to, status }", rule)?;
        return Some(Redirect { to: At::new(to, item.span.clone()), status: Status::FOUND });
    }
    let mut table = reader.table(item, &schema::REDIRECT)?;
    let to = table.take("to");
    let status = table.take("status");
    let status = status.map(|item| reader.status(&item, &[301, 302, 303, 307, 308]));
    if to.is_none() && !table.has_rest() {
        let message = "a redirect needs `to`";
        reader.report(Diagnostic::error("missing-key", message, item.span.clone()));
    }
    table.finish(reader);
    let to = to?;
    let target = reader.string(&to, rule)?;
    Some(Redirect {
        to: At::new(target, to.span),
        status: status.flatten().unwrap_or(Status::FOUND),
    })
}

fn respond(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Respond> {
    let mut respond =
        Respond { status: Status::OK, body: String::new(), content_type: RESPOND_TYPE.to_owned() };
    let any = |text: &str| Ok::<_, Fault>(text.to_owned());
    if !item.value.is_table() {
        respond.body = reader.string_or(item, "a string or a table { status, body, type }", any)?;
        return Some(respond);
    }
    let mut table = reader.table(item, &schema::RESPOND)?;
    let status = table.take("status");
    if let Some(item) = &status {
        respond.status = reader.status(item, &[]).unwrap_or(respond.status);
    }
    if let Some(item) = table.take("body") {
        respond.body = reader.string(&item, any).unwrap_or_default();
    }
    if let Some(item) = table.take("type") {
        let rule = |text: &str| rules::media_type(text).map(|()| text.to_owned());
        respond.content_type = reader.string(&item, rule).unwrap_or(respond.content_type);
    }
    table.finish(reader);
    if let Some(item) = status {
        fixed_status(reader, &item, &respond);
    }
    Some(respond)
}

/// A final status that needs nothing beside the body, and no body where none may be.
fn fixed_status(reader: &mut Reader<'_>, item: &Item<'_>, respond: &Respond) {
    let status = respond.status;
    let problem = if status.class() == 1 || status == Status::NOT_MODIFIED {
        "cannot be a fixed answer"
    } else if status.class() == 3 {
        "needs a place to go to: use `redirect`"
    } else if !status.may_have_body() && !respond.body.is_empty() {
        "has no body, yet one is given"
    } else {
        return;
    };
    let message = format!("{}: {} {problem}", item.title(), status.code());
    reader.report(Diagnostic::error("bad-value", message, item.span.clone()));
}
