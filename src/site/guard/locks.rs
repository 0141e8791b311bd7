//! From `auth` of a configuration to locks: users read, and what makes a password worth nothing told.

use super::check::Check;
use super::lock::Lock;
use crate::conf::{self, Auth, Config, Diagnostic, Diagnostics, Https, Place, User, Users};
use crate::event::admission::TaskQueue;
use crate::handlers::files::resolve::is_hidden;
use crate::site::served::ServedFolders;
use crate::sys::file;
use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// A list of users is read into memory.
const USERS_MAX: u64 = 4 * 1024 * 1024;

/// The locks of a site: routes that have the same `auth` share one, and all share the queue of checks.
pub(in crate::site) struct Locks {
    /// By the place where the `auth` is written; the command line's has none.
    made: HashMap<Range<usize>, Vec<(Auth, Rc<Lock>)>>,
    queue: Rc<TaskQueue>,
}

impl Default for Locks {
    fn default() -> Self {
        Self { made: HashMap::new(), queue: Rc::new(Check::queue()) }
    }
}

impl Locks {
    /// The lock for an `auth` of a route of `host`.
    pub(in crate::site) fn of<'s, 'a: 's>(
        &mut self,
        auth: &Auth,
        host: &conf::Host,
        config: &Config,
        folders: impl FnOnce() -> &'s ServedFolders<'a>,
        diagnostics: &mut Diagnostics,
    ) -> Rc<Lock> {
        let made = self.made.entry(auth.span.clone()).or_default();
        if let Some((_, lock)) = made.iter().find(|(made, _)| made == auth) {
            return Rc::clone(lock);
        }
        let users = match &auth.users {
            Users::Inline(users) => users.iter().map(|at| at.value.clone()).collect(),
            Users::File(file) => {
                let (users, mistakes) = read(&file.value);
                for mistake in mistakes {
                    let diagnostic = Diagnostic::error("bad-users", mistake, file.span.clone());
                    diagnostics.push(diagnostic.help(
                        "make one with `httpyserver hash-password NAME` or `htpasswd -B`; \
                         nothing is served openly that should be protected",
                    ));
                }
                served(folders(), file, diagnostics);
                users
            }
        };
        in_plain_text(config, host, auth, diagnostics);
        let lock = Rc::new(Lock::new(auth, &users, Rc::clone(&self.queue)));
        made.push((auth.clone(), Rc::clone(&lock)));
        lock
    }
}

/// The users of a file, and what is wrong with it.
fn read(path: &Path) -> (Vec<User>, Vec<String>) {
    let shown = path.display();
    let text = file::read(path, USERS_MAX).and_then(|(content, _)| {
        String::from_utf8(content).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
    });
    let text = match text {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![format!("{shown} cannot be read: {error}")]),
    };
    let (users, mistakes) = conf::read_users(&text);
    let mistakes = mistakes.into_iter().map(|(line, why)| format!("{shown}:{line} {why}"));
    let mut mistakes: Vec<_> = mistakes.collect();
    if users.is_empty() && mistakes.is_empty() {
        mistakes.push(format!("{shown} names nobody"));
    }
    (users, mistakes)
}

/// A list of users that is among the files of a route is given to whoever asks for it.
fn served(
    folders: &ServedFolders<'_>,
    file: &conf::At<std::path::PathBuf>,
    diagnostics: &mut Diagnostics,
) {
    let lies = file.value.canonicalize().unwrap_or_default();
    // As it is written, and as it is after all links: a client may get there by either.
    let above = folders.above_as_written(&file.value).chain(folders.above_as_it_lies(&lies));
    let mut shown = above.filter(|(served, beneath)| {
        served.files.hidden || !is_hidden(beneath.as_os_str().as_bytes())
    });
    if let Some((served, _)) = shown.next() {
        diagnostics.push(
            Diagnostic::error(
                "served-data",
                "the list of users would be served",
                file.span.clone(),
            )
            .also(served.files.root.span.clone(), "by the files of this route")
            .help("choose a place that lies outside of it"),
        );
    }
}

/// Basic sends the password itself.
fn in_plain_text(config: &Config, host: &conf::Host, auth: &Auth, diagnostics: &mut Diagnostics) {
    let is_open = |listen: &&conf::At<conf::Listen>| {
        !listen.value.secure
            && match &listen.value.place {
                Place::Any { .. } => true,
                Place::Addr(address) => !address.ip().to_canonical().is_loopback(),
                Place::Unix(_) => false,
            }
    };
    let Some(listen) = config.server.listen.iter().find(is_open) else { return };
    if host.https != Https::Both {
        return;
    }
    let message =
        format!("passwords would come in readable for everybody on the way: {}", listen.value);
    let diagnostic = Diagnostic::warning("plain-passwords", message, auth.span.clone());
    diagnostics.push(diagnostic.help(
        "give the host `https = \"redirect\"`, or listen on loopback addresses only, \
         behind a proxy that ends TLS",
    ));
}
