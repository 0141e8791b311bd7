//! A configuration as TOML again, with every default written out.
//!
//! Reading the result gives the same configuration: paths are written as they were resolved, so
//! they do not depend on a folder any more unless that one was relative itself.

use super::keys::access::{INHERITED, Inherited};
use super::keys::app::APP;
use super::keys::cgi::{BESIDE_CGI, CGI};
use super::keys::files::BESIDE_FILES;
use super::keys::host::HOST_ITSELF;
use super::keys::limits::{LIMITS, TIMEOUTS};
use super::keys::log::LOG;
use super::keys::media::{COMPRESS, MEDIA};
use super::keys::route::{ACTIONS, BESIDE_HANDLER, FILES_FOLDER, ROUTE_ITSELF};
use super::keys::server::SERVER;
use super::keys::tls::{CERT, TLS};
use super::keys::{Keys, Schema};
use super::model::{Action, Config, Host, Route};

/// The effective configuration, for `-T`.
pub fn effective(config: &Config) -> String {
    let mut out = Out::default();
    out.table(&SERVER, &config.server);
    out.table(&TIMEOUTS, &config.timeouts);
    out.table(&LIMITS, &config.limits);
    out.table(&LOG, &config.log);
    out.table(&MEDIA, &config.media);
    out.table(&COMPRESS, &config.compress);
    out.table(&TLS, &config.tls);
    for cert in &config.tls.certs {
        out.table(&CERT, cert);
    }
    out.table(&CGI, &config.cgi);
    for app in &config.apps {
        out.header(&APP.title().replace("NAME", &app.name.value));
        out.keys(&APP, app);
    }
    for host in &config.hosts {
        self::host(&mut out, host);
    }
    out.0
}

#[derive(Default)]
struct Out(String);

impl Out {
    fn header(&mut self, header: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.push_str(&format!("{gap}{header}\n"));
    }

    fn line(&mut self, key: &str, value: &str) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn keys<T>(&mut self, keys: &Keys<T>, value: &T) {
        for (key, value) in keys.shown(value) {
            self.line(key, &value);
        }
    }

    fn table<T>(&mut self, keys: &Keys<T>, value: &T) {
        self.header(keys.title);
        self.keys(keys, value);
    }
}

fn host(out: &mut Out, host: &Host) {
    out.table(&HOST_ITSELF, host);
    let own = Inherited { access: host.access.clone(), encoded_slashes: None };
    inherited(out, &own, &Inherited::default());
    for route in &host.routes {
        self::route(out, route, &own);
    }
}

fn route(out: &mut Out, route: &Route, outer: &Inherited) {
    out.table(&ROUTE_ITSELF, route);
    let (access, encoded_slashes) = (route.access.clone(), route.encoded_slashes);
    inherited(out, &Inherited { access, encoded_slashes }, outer);
    let action = &route.action;
    out.keys(&FILES_FOLDER, action);
    if let Some(files) = action.files() {
        out.keys(&BESIDE_FILES, files);
    }
    out.keys(&ACTIONS, action);
    match action {
        Action::Cgi(cgi) => out.keys(&BESIDE_CGI, cgi),
        Action::Handler(handler) => out.keys(&BESIDE_HANDLER, handler),
        _ => {}
    }
}

/// What does not hold, though it is said in `outer`, is shown as such.
fn inherited(out: &mut Out, own: &Inherited, outer: &Inherited) {
    let nothing = Inherited::default();
    for key in INHERITED.keys {
        let shown = |value: &Inherited| key.value.show(value);
        let is_said = [own, outer].iter().any(|value| shown(value) != shown(&nothing));
        if let Some(value) = shown(own).filter(|_| is_said) {
            out.line(key.name, &value);
        }
    }
}
