//! Folders of scripts, and who runs them.

use crate::conf::{self, Action, Config, Diagnostic, Diagnostics};
use crate::handlers::CgiHandler;
use crate::handlers::cgi::{PATH, RunBy, Setup};
use crate::sys::fs::NamedRoot;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The handler of a route with scripts, which lie in the folder `root`.
pub(super) fn handler(
    config: &Config,
    host: &conf::Host,
    cgi: &conf::Cgi,
    root: Rc<NamedRoot>,
    run_by: Vec<RunBy>,
) -> CgiHandler {
    CgiHandler::new(Setup {
        root,
        cgi: cgi.clone(),
        run_by,
        index: host.index.clone(),
        env: config.cgi.env.clone(),
        spool_above: config.limits.spool_above,
        server_name: host.names.first().map(|name| name.value.clone()),
        places: places(host),
    })
}

/// The interpreters that are there. The others are warned of, if there are scripts at all.
pub(super) fn interpreters(config: &Config, diagnostics: &mut Diagnostics) -> Vec<RunBy> {
    let mut routes = config.hosts.iter().flat_map(|host| &host.routes);
    if !routes.any(|route| matches!(route.action, Action::Cgi(_))) {
        return Vec::new();
    }
    let path = config.cgi.env.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or(PATH, |(_, value)| value);
    let mut found = Vec::new();
    for by in &config.cgi.interpreters {
        match find(&by.program.value, path) {
            Some(program) => found.push(RunBy { extension: by.extension.clone(), program }),
            None => {
                let name = by.program.value.display();
                let what = format!("there is no program {name} to run .{}", by.extension);
                diagnostics.push(
                    Diagnostic::warning("missing-interpreter", what, by.program.span.clone())
                        .label("its scripts are answered with 403 until the next reload"),
                );
            }
        }
    }
    found
}

/// A program by its path, or by its bare name in the folders of `path`.
fn find(program: &Path, path: &str) -> Option<PathBuf> {
    if program.components().count() > 1 || program.is_absolute() {
        let program = program.canonicalize().ok()?;
        return program.is_file().then_some(program);
    }
    path.split(':').map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

/// The routes of a host with files, and where these lie: by the names that are followed anew.
fn places(host: &conf::Host) -> Vec<(String, PathBuf)> {
    let files = host.routes.iter().filter_map(|route| {
        let folder = std::path::absolute(&route.action.files()?.root.value).ok()?;
        Some((route.path.value.clone(), folder))
    });
    let mut places: Vec<_> = files.collect();
    places.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    places
}
