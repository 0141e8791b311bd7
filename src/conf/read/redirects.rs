//! Redirects that lead back to where they began, whatever a client does.
//!
//! Targets are followed as a client would, by host, scheme and path, as long as they stay with
//! addresses and names of this configuration.

use super::table::Reader;
use crate::conf::diagnostic::{Diagnostic, Severity};
use crate::conf::model::{Action, Config, Host, Https, Redirect, Route};
use crate::http::Method;
use percent_encoding::percent_decode_str;
use std::collections::{HashMap, HashSet};

/// Clients give up after so many redirects (Fetch standard: 20).
const HOPS_MAX: usize = 20;

/// Longer paths are refused, so a target that grows beyond that leads nowhere either.
const PATH_MAX: usize = 8192;

/// Where a client asks.
#[derive(Clone)]
struct Place {
    secure: bool,
    name: String,
    path: String,
}

struct World<'a> {
    hosts: HashMap<&'a str, usize>,
    routes: HashMap<(usize, &'a str), &'a Route>,
    default: Option<usize>,
    ports: HashSet<(bool, u16)>,
    config: &'a Config,
}

/// Reports each redirect from which a client never arrives anywhere.
pub(super) fn loops(reader: &mut Reader<'_>, config: &Config) {
    // A route that was left out for its mistakes may be the way out.
    if reader.found.iter().any(|found| found.severity == Severity::Error) {
        return;
    }
    let world = World::of(config);
    for (number, host) in config.hosts.iter().enumerate() {
        let name = host.names.first().map_or("localhost", |name| &name.value);
        let name = name.replacen('*', "a", 1);
        for route in world.routes_of(number, host) {
            let Action::Redirect(redirect) = &route.action else { continue };
            let below = route.path.value.ends_with('/').then(|| format!("{}x", route.path.value));
            let mut places = [Some(route.path.value.clone()), below].into_iter().flatten();
            let lost = places.find(|path| {
                [false, true].into_iter().any(|secure| {
                    let place = Place { secure, name: name.clone(), path: path.clone() };
                    world.listens(secure) && world.is_endless(place)
                })
            });
            if let Some(path) = lost {
                let message = "this redirect leads to itself";
                let span = redirect.to.span.clone();
                let diagnostic = Diagnostic::error("redirect-loop", message, span);
                reader.report(
                    diagnostic
                        .label(format!("from `{path}` on, clients are sent round in a circle"))
                        .help("name another place, or give the target a route of its own"),
                );
            }
        }
    }
}

impl<'a> World<'a> {
    fn of(config: &'a Config) -> Self {
        let listen = config.server.listen.iter().map(|listen| &listen.value);
        let ports = listen.map(|listen| (listen.secure, listen.port())).collect();
        let hosts = || config.hosts.iter().enumerate();
        let names = hosts()
            .flat_map(|(number, host)| host.names.iter().map(move |name| (&*name.value, number)));
        let mut routes = HashMap::new();
        for (number, host) in hosts() {
            for route in &host.routes {
                let takes = |methods: crate::http::MethodSet| methods.contains(Method::Get);
                if !route.internal && route.methods.is_none_or(takes) {
                    // One with methods comes before one without.
                    let place = routes.entry((number, &*route.path.value)).or_insert(route);
                    *place = if route.methods.is_some() { route } else { place };
                }
            }
        }
        let default = config.hosts.iter().position(|host| host.default);
        Self { hosts: names.collect(), routes, default, ports, config }
    }

    /// The redirects of a host that clients reach.
    fn routes_of(&self, number: usize, host: &'a Host) -> impl Iterator<Item = &'a Route> {
        host.routes.iter().filter(move |route| {
            let first = self.routes.get(&(number, &*route.path.value));
            first.is_some_and(|first| std::ptr::eq(*first, *route))
        })
    }

    fn listens(&self, secure: bool) -> bool {
        self.ports.iter().any(|(speaks, _)| *speaks == secure)
    }

    fn is_endless(&self, mut place: Place) -> bool {
        for _ in 0..=HOPS_MAX {
            match self.next(&place) {
                None => return false,
                Some(next) if next.path.len() > PATH_MAX => return true,
                Some(next) => place = next,
            }
        }
        true
    }

    /// Where a client is sent from a place; `None`: it gets an answer, or it leaves.
    fn next(&self, place: &Place) -> Option<Place> {
        let number = self.host(&place.name).or(self.default)?;
        match self.config.hosts.get(number)?.https {
            Https::Redirect | Https::Only if place.secure => {}
            Https::Both => {}
            Https::Only => return None,
            Https::Redirect => {
                return self.listens(true).then(|| Place { secure: true, ..place.clone() });
            }
        }
        let route = self.route(number, &place.path)?;
        let Action::Redirect(redirect) = &route.action else { return None };
        self.target(redirect, route, place)
    }

    fn host(&self, name: &str) -> Option<usize> {
        let exact = self.hosts.get(name).copied();
        exact.or_else(|| {
            let mut dots = name.match_indices('.').filter(|(dot, _)| *dot > 0);
            dots.find_map(|(dot, _)| {
                self.hosts.get(format!("*{}", name.get(dot..)?).as_str()).copied()
            })
        })
    }

    /// As requests are routed: the exact path, then the longest subtree.
    fn route(&self, host: usize, path: &str) -> Option<&'a Route> {
        let get = |path: &str| self.routes.get(&(host, path)).copied();
        let bare = || get(&format!("{path}/"));
        let above = path.rmatch_indices('/').filter_map(|(slash, _)| get(path.get(..=slash)?));
        let exact = get(path).filter(|_| !path.ends_with('/'));
        exact.or_else(bare).or_else(|| above.into_iter().next())
    }

    fn target(&self, redirect: &Redirect, route: &Route, from: &Place) -> Option<Place> {
        let rest = from.path.strip_prefix(&*route.path.value).unwrap_or_default();
        let to = redirect.to.value.split(['?', '#']).next().unwrap_or_default();
        let fill = |text: &str| text.replace("{rest}", rest).replace("{query}", "");
        let Some((scheme, after)) = to.split_once("://").filter(|_| !to.starts_with('/')) else {
            return Some(Place { path: decoded(&fill(to)), ..from.clone() });
        };
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        let secure = scheme == "https";
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let name = name.replace("{host}", &from.name).to_ascii_lowercase();
        // What is not listened on here, or has a name of somebody else, is another server.
        let is_here = self.ports.contains(&(secure, port)) && self.host(&name).is_some();
        let path = if path.is_empty() { "/".to_owned() } else { decoded(&fill(path)) };
        is_here.then_some(Place { secure, name, path })
    }
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}
