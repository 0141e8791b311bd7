//! Whether routes name applications that there are.

use super::Reader;
use crate::conf::diagnostic::Diagnostic;
use crate::conf::keys::closest;
use crate::conf::model::{Action, Config};
use std::collections::HashSet;

/// Unknown names for which all others are looked through.
const GUESSES_MAX: usize = 20;

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
