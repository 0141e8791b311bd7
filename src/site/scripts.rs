//! Folders of scripts, and who runs them.

use crate::conf::{self, Action, At, Config, Diagnostic, Diagnostics};
use crate::handlers::CgiHandler;
use crate::handlers::cgi::{PATH, RunBy, Setup};
use crate::handlers::script_names::ScriptNames;
use crate::sys::fs::{Closed, NamedRoot};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The handler of a route with scripts, which lie in the folder `root`.
pub(super) fn handler(
    config: &Config,
    host: &conf::Host,
    cgi: &conf::Cgi,
    root: Rc<NamedRoot>,
    run_by: Vec<RunBy>,
    names: Option<Rc<ScriptNames>>,
) -> CgiHandler {
    CgiHandler::new(Setup {
        root,
        cgi: cgi.clone(),
        run_by,
        names,
        index: host.index.clone(),
        env: config.cgi.env.clone(),
        spool_above: config.limits.spool_above,
        server_name: host.names.first().map(|name| name.value.clone()),
        places: places(host),
    })
}

/// Files and scripts that lie together.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where, as they really lie,
    folders: BTreeSet<PathBuf>,
    /// and as they are named.
    named: BTreeSet<PathBuf>,
    /// Folders of which nothing is served, and where that is written.
    closed: HashMap<PathBuf, Range<usize>>,
    /// Which files are scripts: in one of the folders, and for safety in all.
    names: Rc<ScriptNames>,
}

impl Shared {
    /// Those of a configuration.
    pub(super) fn of(config: &Config) -> Self {
        let routes = config.hosts.iter().flat_map(|host| &host.routes);
        let shared: Vec<&conf::Cgi> = routes
            .filter_map(|route| match &route.action {
                Action::Cgi(cgi) if cgi.files.is_some() => Some(cgi),
                _ => None,
            })
            .collect();
        let run = config.cgi.interpreters.iter().map(|by| by.extension.clone());
        let own = shared.iter().flat_map(|cgi| cgi.extensions.iter().cloned());
        let folders = shared.iter().filter_map(|cgi| cgi.root.value.canonicalize().ok()).collect();
        let named = shared.iter().map(|cgi| cgi.root.value.clone()).collect();
        let routes = config.hosts.iter().flat_map(|host| &host.routes);
        let closed = routes.filter_map(|route| match &route.action {
            Action::Cgi(cgi) if cgi.files.is_none() => Some(&cgi.root),
            Action::Pages(folder) => Some(folder),
            _ => None,
        });
        let closed = closed.filter_map(|at| Some((at.value.canonicalize().ok()?, at.span.clone())));
        let names = Rc::new(ScriptNames::new(run.chain(own)));
        Self { folders, named, closed: closed.collect(), names }
    }

    /// Files of a folder of programs are answered with 404, all of them: what is text and what is a
    /// program of it, nobody has said.
    pub(super) fn warn_of_closed(&self, root: &At<PathBuf>, diagnostics: &mut Diagnostics) {
        let Ok(place) = root.value.canonicalize() else { return };
        let Some(span) = place.ancestors().find_map(|above| self.closed.get(above)) else { return };
        let help = "move the files out of it; or have files and scripts told apart by their names: \
                    `cgi = true` beside `root` or `files`";
        diagnostics.push(
            Diagnostic::warning(
                "closed-folder",
                "nothing of this folder is served",
                root.span.clone(),
            )
            .label("every path of it is answered with 404")
            .also(span.clone(), "it lies in this one, whose programs are not shown")
            .help(help),
        );
    }

    /// Which of the files beneath `root` are scripts, if a folder with such lies in it or around it.
    pub(super) fn names_in(&self, root: &Path) -> Option<Rc<ScriptNames>> {
        if self.folders.is_empty() {
            return None;
        }
        // A folder that is not there yet may be any.
        let Ok(root) = root.canonicalize() else { return Some(self.names.clone()) };
        let is_around = root.ancestors().any(|above| self.folders.contains(above));
        // Paths are ordered by their components: what lies in a folder follows it.
        let is_in = self.folders.range(root.clone()..).next().is_some_and(|f| f.starts_with(&root));
        (is_around || is_in).then(|| self.names.clone())
    }

    /// Closes the scripts for every root, wherever the folders are moved, mounted or linked to.
    pub(super) fn close_scripts(&self, closed: &Closed) {
        if !self.named.is_empty() {
            let names = self.names.clone();
            let hides = move |name: &[u8], is_executable| names.hide(name, is_executable);
            closed.close_scripts(self.named.iter().cloned(), hides);
        }
    }

    /// Which files are scripts.
    pub(super) fn names(&self) -> Rc<ScriptNames> {
        self.names.clone()
    }
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
