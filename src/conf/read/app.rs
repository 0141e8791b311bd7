//! `[app.NAME]`: Python applications, and whether routes name ones that there are.

use super::schema::{self, closest};
use super::table::{Item, Reader, Table};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Action, App, At, Config, Program, Python, Recycle, Workers};
use crate::conf::rules;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// Processes of one application; more is a typo.
const WORKERS_MAX: u64 = 1024;

/// Requests that wait; each may have a body in memory.
const QUEUE_MAX: u64 = 65_536;

/// Unknown names for which all others are looked through.
const GUESSES_MAX: usize = 20;

/// The longest time-out, as elsewhere.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// All applications of the file.
pub(super) fn apps(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Vec<App> {
    let Some(item) = item else { return Vec::new() };
    let wanted = "tables, each headed [app.NAME]";
    let mut apps = Vec::new();
    for item in reader.map(&item, "app", wanted) {
        if let Err(fault) = rules::app_name(item.key) {
            let named = Item { span: item.key_span.clone(), ..item.clone() };
            reader.fault(&named, item.key, fault);
            continue;
        }
        let Some(table) = reader.table(&item, &schema::APP) else { continue };
        apps.extend(app(reader, &item, table));
    }
    apps
}

fn app(reader: &mut Reader<'_>, item: &Item<'_>, mut table: Table<'_>) -> Option<App> {
    let wsgi = table.take("wsgi");
    let program = wsgi.as_ref().and_then(|item| {
        let text = reader.string(item, rules::wsgi_callable)?;
        Some(Program::Wsgi(At::new(text, item.span.clone())))
    });
    let dir = table.take("dir").and_then(|item| reader.path(&item));
    let here = || match reader.folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => reader.folder.to_owned(),
    };
    let dir = dir.map_or_else(here, |at| at.value);
    let name = At::new(item.key.to_owned(), item.key_span.clone());
    let mut app = App::of(name, Program::Pages, dir);
    app.python = python(reader, &mut table);
    if let Some(item) = table.take("workers") {
        app.workers = workers(reader, &item).unwrap_or(app.workers);
    }
    if let Some(item) = table.take("queue") {
        let queue = reader.integer(&item, 0..=QUEUE_MAX);
        app.queue = queue.and_then(|n| usize::try_from(n).ok()).unwrap_or(app.queue);
    }
    for (key, place) in [
        ("queue_timeout", &mut app.queue_timeout),
        ("timeout", &mut app.timeout),
        ("startup", &mut app.startup),
    ] {
        if let Some(item) = table.take(key) {
            let value = reader.duration(&item, Duration::from_millis(1)..=TIMEOUT_MAX);
            *place = value.unwrap_or(*place);
        }
    }
    if let Some(item) = table.take("recycle") {
        app.recycle = recycle(reader, &item);
    }
    if let Some(item) = table.take("env") {
        app.env = env(reader, &item);
    }
    if let Some(item) = table.take("user") {
        let user = reader.string(&item, |text| rules::file_name(text).map(|()| text.to_owned()));
        app.user = user.map(|user| At::new(user, item.span));
    }
    if let Some(item) = table.take("required") {
        app.required = reader.boolean(&item).unwrap_or(false);
    }
    if let Some(item) = table.take("reload") {
        app.reload = reader.boolean(&item).unwrap_or(false);
    }
    if wsgi.is_none() && !table.has_rest() {
        let message = format!("the application `{}` has no `wsgi`", item.key);
        let help = "add `wsgi = \"module:callable\"`";
        let diagnostic = Diagnostic::error("missing-key", message, item.key_span.clone());
        reader.report(diagnostic.help(help));
    }
    table.finish(reader);
    // One without program is kept: a route that names it has made no mistake.
    app.program = program.unwrap_or(Program::Pages);
    Some(app)
}

/// `venv` or `python`, not both.
fn python(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Python {
    let (venv, python) = (table.take("venv"), table.take("python"));
    if let (Some(venv), Some(python)) = (&venv, &python) {
        let message = "both `venv` and `python` say which Python it is";
        let diagnostic = Diagnostic::error("several-pythons", message, python.key_span.clone());
        reader.report(diagnostic.also(venv.key_span.clone(), "the first is here"));
    }
    if let Some(path) = venv.and_then(|item| reader.path(&item)) {
        return Python::Venv(path);
    }
    python.and_then(|item| reader.path(&item)).map_or(Python::Default, Python::Program)
}

fn workers(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Workers> {
    let count = |reader: &mut Reader<'_>, item: &Item<'_>| {
        let count = reader.integer(item, 1..=WORKERS_MAX)?;
        usize::try_from(count).ok()
    };
    if item.value.is_integer() {
        return count(reader, item).map(|n| Workers { min: n, max: n });
    }
    if !item.value.is_table() {
        reader.wrong_type(item, "a whole number or a table { min, max }");
        return None;
    }
    let mut table = reader.table(item, &schema::WORKERS)?;
    let min = table.take("min").map(|item| count(reader, &item));
    let max = table.take("max").map(|item| count(reader, &item));
    table.finish(reader);
    let min = min.map_or(Some(1), |min| min)?;
    let max = max.map_or(Some(min), |max| max)?;
    if max < min {
        let message = format!("{}: `max` is less than `min`", item.title());
        reader.report(Diagnostic::error("out-of-range", message, item.span.clone()));
        return None;
    }
    Some(Workers { min, max })
}

fn recycle(reader: &mut Reader<'_>, item: &Item<'_>) -> Recycle {
    let mut recycle = Recycle::default();
    let Some(mut table) = reader.table(item, &schema::RECYCLE) else { return recycle };
    if let Some(item) = table.take("requests") {
        recycle.requests = reader.integer(&item, 1..=u64::MAX);
    }
    if let Some(item) = table.take("jitter") {
        recycle.jitter = reader.integer(&item, 0..=u64::from(u32::MAX)).unwrap_or(0);
    }
    if let Some(item) = table.take("memory") {
        recycle.memory = reader.size(&item, 1..=u64::MAX);
    }
    if let Some(item) = table.take("age") {
        recycle.age = reader.duration(&item, Duration::from_secs(1)..=TIMEOUT_MAX);
    }
    table.finish(reader);
    recycle
}

fn env(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<(String, String)> {
    let wanted = "a table such as { DJANGO_SETTINGS_MODULE = \"blog.settings\" }";
    let mut env = Vec::new();
    for item in reader.map(item, "env", wanted) {
        let name = item.key.to_owned();
        if let Err(fault) = rules::variable_name(&name) {
            let named = Item { span: item.key_span.clone(), ..item.clone() };
            reader.fault(&named, &name, fault);
        } else if let Some(value) = reader.string(&item, rules::variable_value) {
            env.push((name, value));
        }
    }
    env
}

/// Routes must name applications that there are, and one that no route names never answers.
pub(super) fn check_names(reader: &mut Reader<'_>, config: &Config) {
    let names: Vec<&str> = config.apps.iter().map(|app| app.name.value.as_str()).collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    let (mut used, mut guesses) = (HashSet::new(), GUESSES_MAX);
    for route in config.hosts.iter().flat_map(|host| &host.routes) {
        let Action::App(route) = &route.action else { continue };
        let name = route.app.value.as_str();
        used.insert(name);
        if known.contains(name) {
            continue;
        }
        let message = format!("there is no application `{name}`");
        let diagnostic = Diagnostic::error("unknown-app", message, route.app.span.clone());
        guesses = guesses.saturating_sub(1);
        let near = (guesses > 0).then(|| closest(name, &names)).flatten();
        reader.report(match near {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("add a table [app.{name}] with `wsgi`")),
        });
    }
    for app in config.apps.iter().filter(|app| !used.contains(app.name.value.as_str())) {
        let name = &app.name.value;
        let message = format!("no route leads to the application `{name}`");
        let diagnostic = Diagnostic::warning("unused-app", message, app.name.span.clone());
        reader.report(diagnostic.help(format!("write `app = \"{name}\"` in a host or a route")));
    }
}
