//! What no route shows, by whichever host, path or link it is asked for.

use crate::conf::{Action, Config, Users};
use crate::sys::fs::Closed;
use crate::tls::Plan;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Folders that scripts are started from and pages run from (SECURITY 22), the configuration, which
/// was read from `file`, and what it names that has passwords and keys in it.
pub(super) fn places(config: &Config, file: Option<&Path>) -> Closed {
    let routes = || config.hosts.iter().flat_map(|host| &host.routes);
    let programs = routes().filter_map(|route| match &route.action {
        Action::Cgi(cgi) if cgi.files.is_none() => Some(&*cgi.root.value),
        Action::Pages(folder) => Some(&*folder.value),
        _ => None,
    });
    let of_hosts = config.hosts.iter().map(|host| &host.access);
    let accesses = of_hosts.chain(routes().map(|route| &route.access));
    let users = accesses.filter_map(|access| match &access.auth.as_ref()?.users {
        Users::File(file) => Some(&*file.value),
        Users::Inline(_) => None,
    });
    let named = programs.chain(file).chain(users).map(Path::to_path_buf);
    // The keys of certificates that no listener uses yet are as secret.
    let all = named.chain(Plan::keys_of(config)).chain(data(config));
    let (closed, mut known) = (Closed::default(), HashSet::new());
    for place in all {
        // Thousands of hosts may have one list of users.
        if known.insert(place.clone()) {
            closed.close(&place);
        }
    }
    closed.refresh_all();
    closed
}

/// What handlers keep in their folders `data`: databases, keys and passwords. A folder that others are
/// served from cannot be closed; that the data itself is not served is checked where it is built.
fn data(config: &Config) -> impl Iterator<Item = PathBuf> {
    let routes = || config.hosts.iter().flat_map(|host| &host.routes);
    let folders = routes().filter_map(|route| match &route.action {
        Action::Handler(handler) => {
            let data = handler.options.value.get("data")?.as_str()?;
            Some(handler.folder.join(data))
        }
        _ => None,
    });
    let folders: BTreeSet<PathBuf> = folders.collect();
    let mut roots = BTreeSet::new();
    if !folders.is_empty() {
        let files =
            routes().filter_map(|route| route.action.files()?.root.value.canonicalize().ok());
        roots.extend(files);
    }
    // Paths are ordered by their components: what lies in a folder follows it.
    let has_root = move |folder: &PathBuf| {
        let Ok(place) = folder.canonicalize() else { return false };
        roots.range(place.clone()..).next().is_some_and(|root| root.starts_with(&place))
    };
    folders.into_iter().filter(move |folder| !has_root(folder))
}
