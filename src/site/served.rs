//! The folders that are served as files, and which of them contain a given path.

use crate::conf::{Config, Files};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder of a route with files.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    pub(super) files: &'a Files,
    /// Whether no client gets there by itself.
    pub(super) internal: bool,
}

/// All of them: as they are written, and as they lie after all links. Of routes that would give the
/// same answer about a path, the first is kept.
pub(super) struct ServedFolders<'a> {
    written: HashMap<&'a Path, Vec<Served<'a>>>,
    real: HashMap<PathBuf, Vec<Served<'a>>>,
}

impl<'a> ServedFolders<'a> {
    /// The folders of a configuration, as they lie now.
    pub(super) fn of(config: &'a Config) -> Self {
        let mut written: HashMap<&Path, Vec<Served<'_>>> = HashMap::new();
        for route in config.hosts.iter().flat_map(|host| &host.routes) {
            if let Some(files) = route.action.files() {
                let served = Served { files, internal: route.internal };
                add(written.entry(&files.root.value).or_default(), served);
            }
        }
        let mut real: HashMap<PathBuf, Vec<Served<'_>>> = HashMap::new();
        for (path, served) in &written {
            if let Ok(path) = path.canonicalize() {
                let known = real.entry(path).or_default();
                served.iter().for_each(|one| add(known, *one));
            }
        }
        Self { written, real }
    }

    /// The folders whose written path `path` begins with, and what of it lies beneath each.
    pub(super) fn above_as_written<'p>(
        &'p self,
        path: &'p Path,
    ) -> impl Iterator<Item = (Served<'a>, &'p Path)> {
        above(path, |folder| self.written.get(folder))
    }

    /// The folders that contain what really lies at `path`.
    pub(super) fn above_as_it_lies<'p>(
        &'p self,
        path: &'p Path,
    ) -> impl Iterator<Item = (Served<'a>, &'p Path)> {
        above(path, |folder| self.real.get(folder))
    }
}

fn above<'a: 'p, 'p>(
    path: &'p Path,
    find: impl Fn(&Path) -> Option<&'p Vec<Served<'a>>>,
) -> impl Iterator<Item = (Served<'a>, &'p Path)> {
    path.ancestors().flat_map(move |folder| {
        let beneath = path.strip_prefix(folder).unwrap_or(path);
        find(folder).into_iter().flatten().map(move |served| (*served, beneath))
    })
}

fn add<'a>(known: &mut Vec<Served<'a>>, served: Served<'a>) {
    let says = |one: &Served<'_>| (one.internal, one.files.hidden);
    if !known.iter().any(|one| says(one) == says(&served)) {
        known.push(served);
    }
}
