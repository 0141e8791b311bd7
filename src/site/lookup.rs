//! Choosing: host name to host, path and method to route. Pure, and able to say why.
//!
//! There is no order to get wrong: an exact name beats a wildcard, a longer wildcard a shorter one,
//! any of them the default; an exact path beats a subtree, a longer subtree a shorter one, a route
//! with methods one without.

use super::{Route, Site, VirtualHost};
use crate::http::{HostName, HttpError, Method, MethodSet, Status};
use std::cmp::Reverse;

/// Is told each decision as it is made.
pub trait Trace {
    /// One decision.
    fn decided(&mut self, decision: Decision<'_>);
}

/// Nobody listens: costs nothing.
pub struct Untraced;

impl Trace for Untraced {
    #[inline]
    fn decided(&mut self, _: Decision<'_>) {}
}

/// One step of choosing.
#[derive(Clone, Copy)]
pub enum Decision<'a> {
    /// A host has exactly this name.
    ExactName(&'a VirtualHost),
    /// A host has a wildcard that covers the name.
    Wildcard(&'a VirtualHost),
    /// No host has the name; this one stands in.
    Default(&'a VirtualHost),
    /// No host has the name, and none stands in.
    NoHost,
    /// A route was looked at and left.
    Passed(&'a Route, PassedOver),
    /// This route answers.
    Chosen(&'a Route),
}

/// Why a route was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It is for another path.
    OtherPath,
    /// It is for other methods.
    OtherMethod,
}

impl Site {
    /// The host that answers `authority` (a Host header or the authority of a target), and whether
    /// it has that name rather than standing in for it.
    ///
    /// # Errors
    /// 400 for what is no host name, 421 where no host has it and none stands in.
    pub fn choose_host(
        &self,
        authority: Option<&[u8]>,
        trace: &mut impl Trace,
    ) -> Result<(&VirtualHost, bool), HttpError> {
        if let Some(authority) = authority {
            let name = HostName::parse(authority)
                .ok_or_else(|| HttpError::bad_request("the Host header is no host name"))?;
            let mut lower = [0; NAME_MAX];
            let lower = lower
                .get_mut(..name.name.len())
                .ok_or_else(|| HttpError::bad_request("the host name is too long"))?;
            lower.copy_from_slice(name.name);
            lower.make_ascii_lowercase();
            if let Some(host) = self.named(lower, trace) {
                return Ok((host, true));
            }
        }
        match self.default.and_then(|n| self.hosts.get(n)) {
            Some(host) => {
                trace.decided(Decision::Default(host));
                Ok((host, false))
            }
            None => {
                trace.decided(Decision::NoHost);
                Err(HttpError::new(
                    Status::MISDIRECTED_REQUEST,
                    "no host of that name, and no default",
                ))
            }
        }
    }

    fn named(&self, lower: &[u8], trace: &mut impl Trace) -> Option<&VirtualHost> {
        if let Some(host) = self.exact.get(lower).and_then(|n| self.hosts.get(*n)) {
            trace.decided(Decision::ExactName(host));
            return Some(host);
        }
        // A wildcard stands for one or more labels, but not for none.
        let covers = |suffix: &[u8]| lower.len() > suffix.len() && lower.ends_with(suffix);
        let (_, number) = self.wildcards.iter().find(|(suffix, _)| covers(suffix))?;
        let host = self.hosts.get(*number)?;
        trace.decided(Decision::Wildcard(host));
        Some(host)
    }
}

impl VirtualHost {
    /// The route that answers `method` on the normalised `path`.
    ///
    /// # Errors
    /// 404 where no route has the path; 405 with `Allow` where some do, but for other methods.
    pub fn choose_route(
        &self,
        method: Method,
        path: &[u8],
        trace: &mut impl Trace,
    ) -> Result<&Route, HttpError> {
        let mut allowed = MethodSet::EMPTY;
        for route in &self.routes {
            if !route.covers(path) {
                trace.decided(Decision::Passed(route, PassedOver::OtherPath));
            } else if !route.takes(method) {
                allowed = allowed.union(route.allowed());
                trace.decided(Decision::Passed(route, PassedOver::OtherMethod));
            } else {
                trace.decided(Decision::Chosen(route));
                return Ok(route);
            }
        }
        Err(if allowed.is_empty() {
            HttpError::new(Status::NOT_FOUND, "no route has this path")
        } else {
            HttpError::new(Status::METHOD_NOT_ALLOWED, "no route of this path takes the method")
                .with_header("Allow", &allowed.with(Method::Options).to_string())
        })
    }
}

impl Route {
    /// Whether `path` is this route's. A subtree has its own root without the slash too, so that a
    /// handler can redirect there.
    pub fn covers(&self, path: &[u8]) -> bool {
        let own = self.path.as_bytes();
        match own.strip_suffix(b"/") {
            Some(bare) => path.starts_with(own) || path == bare,
            None => path == own,
        }
    }

    /// How much of `path`, which it covers, is its own.
    pub fn mount(&self, path: &[u8]) -> usize {
        self.path.len().min(path.len())
    }

    /// The methods that get an answer here.
    pub fn allowed(&self) -> MethodSet {
        self.methods.unwrap_or_else(|| self.handler.methods())
    }

    fn takes(&self, method: Method) -> bool {
        // OPTIONS asks about the route: it is never for another one because of its method.
        self.methods.is_none_or(|methods| methods.contains(method) || method == Method::Options)
    }
}

/// Sorts routes so that the first that covers a path is the right one.
pub(super) fn sort(routes: &mut [Route]) {
    routes.sort_by_key(|route| {
        let subtree = route.path.ends_with('/');
        (subtree, Reverse(route.path.len()), route.methods.is_none())
    });
}

/// A host name is at most 255 bytes long (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
