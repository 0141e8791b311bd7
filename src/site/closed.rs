//! What no route shows, by whichever host, path or link it is asked for.

use crate::conf::{Action, Config, Users};
use crate::sys::fs::Closed;
use std::path::Path;

/// Folders that scripts are started from and pages run from (SECURITY 22), the configuration, which
/// was read from `file`, and what it names that has passwords and keys in it.
pub(super) fn places(config: &Config, file: Option<&Path>) -> Closed {
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
    let closed = Closed::default();
    programs.chain(file).chain(users).chain(keys).for_each(|place| closed.close(place));
    closed
}
