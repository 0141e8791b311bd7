//! What holds for the layer as a whole.

mod classic;
mod documents;
mod equality;
mod mistakes;
mod mutation;
mod redirects;

use super::{Config, Diagnostic, Diagnostics, Format, Source, load};
use std::path::Path;

pub(super) const FULL: &str = include_str!("../../../conf/web.conf.full");
pub(super) const CLASSIC: &str = include_str!("../../../conf/web.conf.classic");

/// Loads a text as `web.conf` of the folder `/etc/web`.
fn read(text: &str) -> (Option<Config>, Diagnostics) {
    read_as(text, None)
}

fn read_as(text: &str, format: Option<Format>) -> (Option<Config>, Diagnostics) {
    let source = Source { name: "web.conf".to_owned(), text: text.to_owned() };
    load(source, Path::new("/etc/web"), format)
}

/// The configuration of a text without mistakes.
fn good(text: &str) -> Config {
    let (config, found) = read(text);
    config.unwrap_or_else(|| panic!("{}", found.render(false)))
}

/// Everything a diagnostic says, for looking into.
fn words(diagnostic: &Diagnostic) -> String {
    let label = diagnostic.label.as_deref().unwrap_or_default();
    let help = diagnostic.help.as_deref().unwrap_or_default();
    format!("{} {label} {help}", diagnostic.message)
}

fn access_without_places(access: &mut super::Access) {
    access.allow.iter_mut().for_each(|at| at.span = 0..0);
    if let Some(auth) = &mut access.auth {
        auth.span = 0..0;
        match &mut auth.users {
            super::Users::File(file) => file.span = 0..0,
            super::Users::Inline(users) => users.iter_mut().for_each(|at| at.span = 0..0),
        }
    }
}

/// The same configuration with all places forgotten, for comparing two texts.
fn without_places(mut config: Config) -> Config {
    use super::{Action, Program, Python};
    config.format = Format::Toml;
    config.server.listen.iter_mut().for_each(|at| at.span = 0..0);
    config.server.user.iter_mut().for_each(|at| at.span = 0..0);
    config.server.pid_file.iter_mut().for_each(|at| at.span = 0..0);
    config.log.error.span = 0..0;
    config.log.access.iter_mut().for_each(|at| at.span = 0..0);
    let tls = &mut config.tls;
    tls.local.iter_mut().for_each(|at| at.span = 0..0);
    tls.client_ca.iter_mut().for_each(|ca| ca.file.span = 0..0);
    let of_hosts = config.hosts.iter_mut().filter_map(|host| host.tls.as_mut());
    for files in tls.certs.iter_mut().chain(of_hosts) {
        (files.chain.span, files.key.span) = (0..0, 0..0);
    }
    config.cgi.interpreters.iter_mut().for_each(|by| by.program.span = 0..0);
    for app in &mut config.apps {
        app.name.span = 0..0;
        app.user.iter_mut().for_each(|at| at.span = 0..0);
        if let Program::Wsgi(at) = &mut app.program {
            at.span = 0..0;
        }
        match &mut app.python {
            Python::Default => {}
            Python::Venv(at) | Python::Program(at) => at.span = 0..0,
        }
    }
    for host in &mut config.hosts {
        host.span = 0..0;
        host.names.iter_mut().for_each(|at| at.span = 0..0);
        host.errors.iter_mut().for_each(|(_, at)| at.span = 0..0);
        access_without_places(&mut host.access);
        for route in &mut host.routes {
            route.path.span = 0..0;
            access_without_places(&mut route.access);
            match &mut route.action {
                Action::Files(files) => {
                    files.root.span = 0..0;
                    files.upload.iter_mut().for_each(|upload| upload.span = 0..0);
                }
                Action::Cgi(cgi) => {
                    cgi.root.span = 0..0;
                    cgi.files.iter_mut().for_each(|files| files.root.span = 0..0);
                }
                Action::Redirect(redirect) => redirect.to.span = 0..0,
                Action::Respond(_) => {}
                Action::Handler(handler) => {
                    handler.name.span = 0..0;
                    handler.options.span = 0..0;
                }
                Action::App(route) => {
                    route.app.span = 0..0;
                    if let Some(files) = &mut route.files {
                        files.root.span = 0..0;
                        files.upload.iter_mut().for_each(|upload| upload.span = 0..0);
                    }
                }
                Action::Pages(folder) => folder.span = 0..0,
            }
        }
    }
    config
}
