//! `[[host]]`, and what holds between hosts.

use super::access;
use super::cgi;
use super::route::{self, Around};
use super::schema;
use super::table::{Item, Reader, Table, tables};
use super::tls;
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Access, At, ErrorKey, Host, Https, Route};
use crate::conf::rules;
use crate::http::{Method, MethodSet, Status};
use std::collections::HashMap;
use std::ops::Range;

/// A host, and what the checks want to know of how it is written.
struct Written {
    host: Host,
    /// `default`, as written.
    default: Option<At<bool>>,
    /// Whether there is a list of names, be they right or wrong.
    named: bool,
}

/// All hosts of the file.
pub(super) fn hosts(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Vec<Host> {
    let Some(item) = item else { return Vec::new() };
    let mut written = Vec::new();
    for table in tables(reader, &item, &schema::HOST, "[[host]]") {
        written.push(host(reader, table));
    }
    unnamed(reader, &mut written);
    several_defaults(reader, &written);
    duplicate_names(reader, &written);
    for written in &written {
        tls::redirects_somewhere(reader, &written.host);
    }
    for host in &written {
        shadowed(reader, &host.host.routes);
    }
    let routes: Vec<_> = written.iter().flat_map(|written| &written.host.routes).collect();
    cgi::no_uploads_into(reader, &routes);
    written.into_iter().map(|written| written.host).collect()
}

/// The mistake of a file without hosts.
pub(in crate::conf) fn no_host() -> Diagnostic {
    Diagnostic::error("no-host", "there is no host: nothing would be served", 0..0)
        .help("the smallest is: [[host]] and, on the next line, root = \"docroot\"")
}

fn host(reader: &mut Reader<'_>, mut table: Table<'_>) -> Written {
    let span = table.span.clone();
    let names = table.take("names");
    let default = table.take("default");
    let named =
        names.as_ref().is_some_and(|item| item.value.as_array().is_none_or(|a| !a.is_empty()));
    let default = default.and_then(|item| Some(At::new(reader.boolean(&item)?, item.span)));
    let mut host = Host {
        names: names.map(|item| reader.strings(&item, rules::host_name)).unwrap_or_default(),
        default: default.as_ref().is_some_and(|at| at.value),
        welcome: table.take("welcome").and_then(|i| reader.boolean(&i)).unwrap_or(false),
        index: index(reader, table.take("index")),
        tls: table.take("tls").and_then(|item| tls::of_host(reader, &item)),
        https: table
            .take("https")
            .and_then(|item| tls::https(reader, &item))
            .unwrap_or(Https::Both),
        hsts: table.take("hsts").and_then(|item| tls::hsts(reader, &item)),
        errors: table.take("errors").map(|item| errors(reader, &item)).unwrap_or_default(),
        access: access::access(reader, &mut table).within(&Access::default()),
        routes: Vec::new(),
        span: span.clone(),
    };
    let encoded_slashes = route::encoded_slashes(reader, &mut table);
    let routes = table.take("route");
    let own = route::action(reader, &mut table, "root");
    let given = own.is_some();
    if let Some((Some(action), span)) = own {
        let path = At::new("/".to_owned(), span);
        let access = host.access.clone();
        host.routes.push(Route { access, encoded_slashes, ..Route::new(path, action) });
    }
    let has_routes = routes.is_some();
    if let Some(item) = routes {
        let around = Around { access: &host.access, encoded_slashes };
        host.routes.extend(route::routes(reader, &item, &around));
    }
    if !given && !has_routes && !table.has_rest() {
        let message = "this host has nothing to answer with";
        let help =
            "give it `root`, `app`, `pages`, `cgi`, `redirect`, `respond` or a [[host.route]]";
        reader.report(Diagnostic::error("no-action", message, span).help(help));
    }
    table.finish(reader);
    Written { host, default, named }
}

fn index(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Vec<String> {
    let Some(item) = item else { return vec!["index.html".to_owned()] };
    let rule = |text: &str| rules::file_name(text).map(|()| text.to_owned());
    reader.strings(&item, rule).into_iter().map(|at| at.value).collect()
}

fn errors(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<(ErrorKey, At<String>)> {
    let wanted = "a table such as { 404 = \"/errors/404.html\" }";
    let mut pages = Vec::new();
    for item in reader.map(item, "errors", wanted) {
        if item.key == "apps" {
            // Whether pages also replace those of applications: there are none yet.
            reader.boolean(&item);
            continue;
        }
        let Some(key) = error_key(item.key) else {
            let message = format!("`{}` is not what an error page can be for", item.key);
            reader.report(
                Diagnostic::error("bad-error-key", message, item.key_span)
                    .label("expected a status from 400 to 599, 4xx or 5xx"),
            );
            continue;
        };
        let rule = |text: &str| rules::route_path(text).map(|()| text.to_owned());
        if let Some(path) = reader.string(&item, rule) {
            pages.push((key, At::new(path, item.span)));
        }
    }
    pages
}

fn error_key(key: &str) -> Option<ErrorKey> {
    match key {
        "4xx" => Some(ErrorKey::Class(4)),
        "5xx" => Some(ErrorKey::Class(5)),
        _ if key.len() == 3 && key.bytes().all(|b| b.is_ascii_digit()) => {
            let status = Status::new(key.parse().ok()?)?;
            status.is_error().then_some(ErrorKey::Status(status))
        }
        _ => None,
    }
}

/// Only the default host can do without names. The single host of a file is that.
fn unnamed(reader: &mut Reader<'_>, hosts: &mut [Written]) {
    let single = hosts.len() == 1;
    for written in hosts.iter_mut().filter(|written| !written.named) {
        let off = written.default.as_ref().filter(|at| !at.value);
        if written.host.default || (single && off.is_none()) {
            written.host.default = true;
            continue;
        }
        let span = off.map_or(written.host.span.clone(), |at| at.span.clone());
        let message = "this host has no names and is not the default, so no request reaches it";
        let help = "give it `names = [\"example.org\"]`, or `default = true` if it is to answer \
                    the names that no host has";
        reader.report(Diagnostic::error("unnamed-host", message, span).help(help));
    }
}

fn several_defaults(reader: &mut Reader<'_>, hosts: &[Written]) {
    let mut defaults = hosts.iter().filter_map(|w| w.default.as_ref().filter(|at| at.value));
    let Some(first) = defaults.next() else { return };
    for other in defaults {
        reader.report(
            Diagnostic::error(
                "several-defaults",
                "there is a default host already",
                other.span.clone(),
            )
            .also(first.span.clone(), "here"),
        );
    }
}

fn duplicate_names(reader: &mut Reader<'_>, hosts: &[Written]) {
    let mut places: HashMap<&str, Range<usize>> = HashMap::new();
    for name in hosts.iter().flat_map(|written| &written.host.names) {
        let Some(first) = places.get(name.value.as_str()) else {
            places.insert(&name.value, name.span.clone());
            continue;
        };
        let message = format!("the name `{}` is given twice", name.value);
        reader.report(
            Diagnostic::error("duplicate-host", message, name.span.clone())
                .also(first.clone(), "first here"),
        );
    }
}

/// Two routes with the same path need different methods; the later one would never answer.
fn shadowed(reader: &mut Reader<'_>, routes: &[Route]) {
    let mut places: HashMap<&str, Vec<&Route>> = HashMap::new();
    for later in routes {
        let place = places.entry(&later.path.value).or_default();
        let shadows = |earlier: &&&Route| overlap(earlier.methods, later.methods);
        let Some(earlier) = place.iter().find(shadows).copied() else {
            place.push(later);
            continue;
        };
        let taken = match earlier.methods {
            None => "for all methods".to_owned(),
            Some(methods) => format!("for {methods}"),
        };
        let span = later.path.span.clone();
        reader.report(
            Diagnostic::error("shadowed-route", "this route can never answer", span)
                .also(earlier.path.span.clone(), format!("the same path is taken here, {taken}"))
                .help("give one of them `methods = [...]` or another path"),
        );
    }
}

fn overlap(a: Option<MethodSet>, b: Option<MethodSet>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Method::NAMED.iter().any(|m| a.contains(*m) && b.contains(*m)),
        _ => true,
    }
}
