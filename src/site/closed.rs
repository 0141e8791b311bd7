//! What no route shows, by whichever host, path or link it is asked for.

use crate::conf::{Action, Config, Users};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Folders that scripts are started from and pages run from (SECURITY 22), the configuration, which
/// was read from `file`, and what it names that has passwords and keys in it: as they really lie.
pub(super) fn places(config: &Config, file: Option<&Path>) -> Rc<[PathBuf]> {
    let routes = || config.hosts.iter().flat_map(|host| &host.routes);
    let programs = routes().filter_map(|route| match &route.action {
        Action::Cgi(cgi) => Some(&*cgi.root.value),
        Action::Pages(folder) => Some(&*folder.value),
        _ => None,
    });
    let of_hosts = config.hosts.iter().map(|host| &host.access);
    let accesses = of_hosts.chain(routes().map(|route| &route.access));
    let users = accesses.filter_map(|access| match &access.auth.as_ref()?.users {
        Users::File(file) => Some(&*file.value),
        Users::Inline(_) => None,
    });
    let certs = config.hosts.iter().filter_map(|host| host.tls.as_ref()).chain(&config.tls.certs);
    let keys = certs.map(|cert| &*cert.key.value);
    let all = programs.chain(file).chain(users).chain(keys);
    let mut all: Vec<PathBuf> = all.filter_map(|place| place.canonicalize().ok()).collect();
    all.sort_unstable();
    all.dedup();
    all.into()
}
