//! What `-t` asks of the machine beyond the configuration: whether the names that a start takes for
//! its own belong to something else.

use crate::conf::{At, Config, Diagnostic, Diagnostics, Listen, LogTarget, Place};
use crate::sys::{pid_file, socket};
use rustix::fs::{Access, access};
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::Path;

/// Adds an error for each Unix socket and pid file whose path is taken by something else, and for
/// each file that has no folder to be made in; a warning for what this account may not have.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    let sockets = config.server.listen.iter().filter_map(|listen| match &listen.value.place {
        Place::Unix(path) => Some((path.as_path(), &listen.span, socket::check_unix(path))),
        Place::Any { .. } | Place::Addr(_) => None,
    });
    let pid_file = config.server.pid_file.iter().map(|file| {
        let path = file.value.as_path();
        (path, &file.span, pid_file::check(path))
    });
    let own: Vec<_> = sockets.chain(pid_file).collect();
    let log = &config.log;
    let logs = log.access.iter().chain([&log.error]).filter_map(|log| match &log.value {
        LogTarget::File(path) => Some((path.as_path(), &log.span)),
        LogTarget::Stderr | LogTarget::Stdout => None,
    });
    let made = own.iter().map(|(path, span, _)| (*path, *span)).chain(logs);
    let homeless: Vec<_> = made.filter_map(|(path, span)| homeless(path, span)).collect();
    let addresses = config.server.listen.iter().filter_map(unavailable);
    let found = homeless.into_iter().chain(own.into_iter().filter_map(taken)).chain(addresses);
    diagnostics.list.extend(found);
}

/// A file that cannot be made, or not be written to.
fn homeless(path: &Path, span: &Range<usize>) -> Option<Diagnostic> {
    let folder = match path.parent()? {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let shown = path.display();
    if !folder.is_dir() {
        // What lies behind a closed folder is not known to be missing.
        let error = folder.metadata().err();
        if error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            return Some(unwritable(path, span));
        }
        let message = format!("{shown} cannot be made: there is no folder {}", folder.display());
        let diagnostic = Diagnostic::error("missing-folder", message, span.clone());
        return Some(diagnostic.help("make the folder, or choose another path"));
    }
    if path.is_dir() {
        let message = format!("{shown} is a folder, and a file is needed");
        return Some(Diagnostic::error("missing-folder", message, span.clone()));
    }
    let is_there = path.symlink_metadata().is_ok();
    let (place, right) = match is_there {
        true => (path, Access::WRITE_OK),
        false => (folder, Access::WRITE_OK | Access::EXEC_OK),
    };
    access(place, right).is_err().then(|| unwritable(path, span))
}

fn unwritable(path: &Path, span: &Range<usize>) -> Diagnostic {
    let message = format!("this account may not write {}", path.display());
    Diagnostic::warning("unwritable-path", message, span.clone())
        .label("a start by the same account fails")
}

/// An address that a start would not get. That its port is in use is nothing: the server that is
/// checked may be running.
fn unavailable(listen: &At<Listen>) -> Option<Diagnostic> {
    let address = match &listen.value.place {
        Place::Addr(address) => *address,
        Place::Any { port } => (Ipv4Addr::UNSPECIFIED, *port).into(),
        Place::Unix(_) => return None,
    };
    let error = socket::Listener::probe(address).err()?;
    let span = listen.span.clone();
    match error.kind() {
        ErrorKind::PermissionDenied => {
            let message = format!("this account may not listen on port {}", address.port());
            let help = "ports below 1024 need root or CAP_NET_BIND_SERVICE";
            Some(Diagnostic::warning("withheld-port", message, span).help(help))
        }
        ErrorKind::AddrNotAvailable => {
            let message = format!("no interface of this machine has the address {}", address.ip());
            let label = "it cannot be listened on as long as that is so";
            Some(Diagnostic::warning("missing-address", message, span).label(label))
        }
        _ => None,
    }
}

fn taken((path, span, checked): (&Path, &Range<usize>, io::Result<()>)) -> Option<Diagnostic> {
    // What cannot be looked at may still be had: the check may run as another user.
    let error = checked.err().filter(|error| error.kind() != ErrorKind::PermissionDenied)?;
    let message = format!("{}: {error}", path.display());
    let help = "move what is there away, or choose another path";
    Some(Diagnostic::error("taken-path", message, span.clone()).help(help))
}
