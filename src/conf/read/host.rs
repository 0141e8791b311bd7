//! `[[host]]`, and what holds between hosts.

use super::{Item, Reader, Table, cgi, route, tables, tls};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::keys::access::{INHERITED, Inherited};
use crate::conf::keys::host::HOST_ITSELF;
use crate::conf::keys::{HOST, ROUTE};
use crate::conf::model::{At, Host, Route};
use crate::http::{Method, MethodSet};
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
    for table in tables(reader, &item, &HOST) {
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
    let named = table.get("names");
    let named = named.is_some_and(|item| item.value.as_array().is_none_or(|a| !a.is_empty()));
    let default = table.get("default");
    let default = default.and_then(|at| Some(At::new(at.value.as_bool()?, at.span.clone())));
    let mut host = Host { span: span.clone(), ..Host::default() };
    HOST_ITSELF.fill(reader, &mut table, &mut host);
    let mut inherited = Inherited::default();
    INHERITED.fill(reader, &mut table, &mut inherited);
    host.access = inherited.access.clone();
    let routes = table.take("route");
    let own = route::action(reader, &mut table, "root");
    let nothing = own.is_none() && routes.is_none() && !table.has_unknown();
    if let Some((Some(action), span)) = own {
        let path = At::new("/".to_owned(), span);
        let Inherited { access, encoded_slashes } = inherited.clone();
        host.routes.push(Route { access, encoded_slashes, ..Route::new(path, action) });
    }
    if let Some(item) = routes {
        for table in tables(reader, &item, &ROUTE) {
            host.routes.extend(route::route(reader, table, &inherited));
        }
    }
    if nothing {
        let message = "this host has nothing to answer with";
        let help =
            "give it `root`, `app`, `pages`, `cgi`, `redirect`, `respond` or a [[host.route]]";
        reader.report(Diagnostic::error("no-action", message, span).help(help));
    }
    table.finish(reader);
    Written { host, default, named }
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
