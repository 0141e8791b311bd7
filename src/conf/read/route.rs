//! A route: a path, and the one thing that it does.

use super::{Item, Reader, Table, cgi};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::keys::access::{INHERITED, Inherited};
use crate::conf::keys::cgi::BESIDE_CGI;
use crate::conf::keys::files::BESIDE_FILES;
use crate::conf::keys::route::{ACTIONS, BESIDE_HANDLER, FOLDER, ROUTE_ITSELF, nothing};
use crate::conf::keys::{Kind, List, Schema};
use crate::conf::model::{Action, AppRoute, Cgi, Files, HandlerRef, Route};
use crate::conf::rules;
use std::ops::Range;

/// A route, which has from its host what it does not say itself.
pub(super) fn route(
    reader: &mut Reader<'_>,
    mut table: Table<'_>,
    inherited: &Inherited,
) -> Option<Route> {
    let span = table.span.clone();
    let mut inherited = inherited.clone();
    INHERITED.fill(reader, &mut table, &mut inherited);
    let Inherited { access, encoded_slashes } = inherited;
    let mut route = Route { access, encoded_slashes, ..(ROUTE_ITSELF.defaults)() };
    let has_path = table.get("path").is_some();
    ROUTE_ITSELF.fill(reader, &mut table, &mut route);
    let action = action(reader, &mut table, "files");
    // A misspelt key is probably the missing one: one message for one mistake.
    let complete = !table.has_unknown();
    if !has_path && complete {
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
    let action = action?.0?;
    let path = &route.path;
    // Only a path that is right has a place.
    if path.span.is_empty() {
        return None;
    }
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
    Some(Route { action, ..route })
}

/// The action of a route or, with `root` for `files`, of a host; and where it is written.
/// `None`: there is no such key. `Some((None, _))`: there is, but it is wrong.
pub(super) fn action(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    folder_key: &'static str,
) -> Option<(Option<Action>, Range<usize>)> {
    let folder = table.take(folder_key);
    let given = ACTIONS.names().into_iter().filter_map(|key| table.take(key));
    let is_off = |item: &Item<'_>| item.key == "cgi" && item.value.as_bool() == Some(false);
    let mut given: Vec<_> = given.filter(|item| !is_off(item)).collect();
    let has = |key| given.iter().any(|item: &Item<'_>| item.key == key);
    let (has_cgi, has_handler, has_app) = (has("cgi"), has("handler"), has("app"));
    let scripts = given.iter().find(|item| item.key == "cgi");
    let among = scripts.filter(|item| cgi::is_among(reader, item, folder.as_ref()));
    let is_among = among.is_some();
    needs_folder(reader, among.filter(|_| folder.is_none()), folder_key);

    let mut beside_files = folder.as_ref().map(|_| (BESIDE_FILES.defaults)());
    let mut beside_cgi = has_cgi.then(BESIDE_CGI.defaults);
    let mut beside_handler = has_handler.then(BESIDE_HANDLER.defaults);
    let needs = ("needs-files", folder_key);
    table.take_beside(reader, &BESIDE_FILES, beside_files.as_mut(), needs);
    table.take_beside(reader, &BESIDE_CGI, beside_cgi.as_mut(), ("needs-cgi", "cgi"));
    let needs = ("needs-handler", "handler");
    table.take_beside(reader, &BESIDE_HANDLER, beside_handler.as_mut(), needs);

    let root = folder.as_ref().and_then(|item| FOLDER.read(reader, item));
    let files = root.zip(beside_files).map(|(root, files)| Files { root, ..files });
    // Files together with an application come first, and it answers the rest; together with scripts,
    // their names say which of the two they are.
    given.extend(folder.filter(|_| !is_among && !has_app));
    given.sort_by_key(|item| item.key_span.start);
    several(reader, &given);
    let mut found = None;
    for item in given {
        let action = match item.key {
            key if key == folder_key => files.clone().map(Action::Files),
            "cgi" if is_among => among_files(reader, &item, files.clone()),
            _ => one(reader, &item),
        };
        let action = action.map(|action| match action {
            Action::Cgi(Cgi { root, files, extensions, .. }) => {
                let beside = beside_cgi.clone().unwrap_or_else(BESIDE_CGI.defaults);
                Action::Cgi(Cgi { root, files, extensions, ..beside })
            }
            Action::Handler(HandlerRef { name, folder, options }) => {
                let beside = beside_handler.as_ref().map(|beside| beside.options.clone());
                Action::Handler(HandlerRef { name, folder, options: beside.unwrap_or(options) })
            }
            Action::App(AppRoute { app, .. }) => {
                Action::App(AppRoute { app, files: files.clone() })
            }
            other => other,
        });
        found = found.or(Some((action, item.span)));
    }
    found
}

/// An action by its own key.
fn one(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Action> {
    let key = ACTIONS.keys.iter().find(|key| key.name == item.key)?;
    let mut action = nothing();
    key.value.read(reader, item, &mut action).then_some(action)
}

/// `cgi = true`, or extensions, beside the folder of `files`.
fn among_files(reader: &mut Reader<'_>, item: &Item<'_>, files: Option<Files>) -> Option<Action> {
    let files = files?;
    let mut cgi = Cgi::of(files.root.clone());
    if item.value.as_array().is_some() {
        cgi.extensions = List(rules::extension).read(reader, item)?;
    }
    Some(Action::Cgi(Cgi { files: Some(files), ..cgi }))
}

/// Each action but the first is a mistake.
fn several(reader: &mut Reader<'_>, given: &[Item<'_>]) {
    let Some((first, others)) = given.split_first() else { return };
    for other in others {
        let message = format!("{} is a second action: there can be one", other.title());
        let diagnostic = Diagnostic::error("several-actions", message, other.key_span.clone());
        reader.report(diagnostic.also(first.key_span.clone(), "the first is here"));
    }
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
