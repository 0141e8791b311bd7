//! What `-t` asks of the machine beyond the configuration: whether the names that a start takes for
//! its own belong to something else.

use crate::conf::{Config, Diagnostic, Diagnostics, Place};
use crate::sys::{pid_file, socket};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;

/// Adds an error for each Unix socket and pid file whose path is taken by something else.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    let sockets = config.server.listen.iter().filter_map(|listen| match &listen.value.place {
        Place::Unix(path) => Some((path.as_path(), &listen.span, socket::check_unix(path))),
        Place::Any { .. } | Place::Addr(_) => None,
    });
    let pid_file = config.server.pid_file.iter().map(|file| {
        let path = file.value.as_path();
        (path, &file.span, pid_file::check(path))
    });
    let taken: Vec<_> = sockets.chain(pid_file).filter_map(taken).collect();
    taken.into_iter().for_each(|error| diagnostics.push(error));
}

fn taken((path, span, checked): (&Path, &Range<usize>, io::Result<()>)) -> Option<Diagnostic> {
    // What cannot be looked at may still be had: the check may run as another user.
    let error = checked.err().filter(|error| error.kind() != ErrorKind::PermissionDenied)?;
    let message = format!("{}: {error}", path.display());
    let help = "move what is there away, or choose another path";
    Some(Diagnostic::error("taken-path", message, span.clone()).help(help))
}
