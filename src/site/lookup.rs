//! Choosing: host name to host, path and method to route. Pure, and able to say why.
//!
//! There is no order to get wrong: an exact name beats a wildcard, a longer wildcard a shorter one,
//! any of them the default; an exact path beats a subtree, a longer subtree a shorter one, a route
//! with methods one without. A method passes over a route that is not for it, but not over a guard; and
//! a request from outside over no internal route: what lies there must not be had by way of another one.

use super::{Guard, Route, Site, VirtualHost};
use crate::http::{HostName, HttpError, Method, MethodSet, Status};
use std::cmp::Reverse;

/// Is told each decision as it is made.
pub trait Trace<'s> {
    /// One decision.
    fn decided(&mut self, decision: Decision<'s>);
}

/// Nobody listens: costs nothing.
pub struct Untraced;

impl<'s> Trace<'s> for Untraced {
    #[inline]
    fn decided(&mut self, _: Decision<'s>) {}
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
    /// Nobody does, and the guard of this route is asked before that is said.
    Held(&'a Route),
}

/// Who answers a path, and who is asked before anything is said.
pub struct Choice<'a> {
    /// The route. Otherwise 404 where none has the path; 405 with `Allow` where some do, but for
    /// other methods.
    pub route: Result<&'a Route, HttpError>,
    /// The guard of the place; `None`: it is open.
    pub guard: Option<&'a Guard>,
}

/// What lies on the way to an answer.
#[derive(Clone, Copy, Default)]
struct Found<'a> {
    /// Who answers.
    route: Option<&'a Route>,
    /// Whose guard is asked instead: see `VirtualHost::holder`.
    holder: Option<&'a Route>,
    /// Whether there are routes of the path at all.
    is_place: bool,
}

/// Why a route was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It is for another path.
    OtherPath,
    /// It is for other methods.
    OtherMethod,
    /// It is internal, and the request is from outside.
    Internal,
}

impl Site {
    /// The host that answers `authority` (a Host header or the authority of a target), and whether
    /// it has that name rather than standing in for it.
    ///
    /// # Errors
    /// 400 for what is no host name, 421 where no host has it and none stands in.
    pub fn choose_host<'s>(
        &'s self,
        authority: Option<&[u8]>,
        trace: &mut impl Trace<'s>,
    ) -> Result<(&'s VirtualHost, bool), HttpError> {
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

    fn named<'s>(&'s self, lower: &[u8], trace: &mut impl Trace<'s>) -> Option<&'s VirtualHost> {
        if let Some(host) = self.exact.get(lower).and_then(|n| self.hosts.get(*n)) {
            trace.decided(Decision::ExactName(host));
            return Some(host);
        }
        // A wildcard stands for one or more labels, but not for none.
        if self.wildcards.is_empty() {
            return None;
        }
        // The longest first: what follows the first label, the second, and so on.
        let mut dots = memchr::memchr_iter(b'.', lower).filter(|dot| *dot > 0);
        let number = dots.find_map(|dot| self.wildcards.get(lower.get(dot..)?))?;
        let host = self.hosts.get(*number)?;
        trace.decided(Decision::Wildcard(host));
        Some(host)
    }
}

impl VirtualHost {
    /// The route that answers `method` on the normalised `path`, or why none does. With `inside`, the
    /// request was sent there by a program and not by a client.
    pub fn choose_route<'s>(
        &'s self,
        method: Method,
        path: &[u8],
        inside: bool,
        trace: &mut impl Trace<'s>,
    ) -> Choice<'s> {
        let found = self.find(method, path, inside, trace);
        if let Some(route) = found.route {
            return Choice { route: Ok(route), guard: route.guard.as_deref() };
        }
        let error = match found.is_place {
            false => HttpError::new(Status::NOT_FOUND, "no route has this path"),
            true => {
                let why = "no route of this path takes the method";
                let allowed = self.allowed(path, inside).with(Method::Options).to_string();
                HttpError::new(Status::METHOD_NOT_ALLOWED, why).with_header("Allow", &allowed)
            }
        };
        let guard = found.holder.map_or(&self.guard, |holder| &holder.guard);
        Choice { route: Err(error), guard: guard.as_deref() }
    }

    /// Whether `choice` has the guard that another spelling of its path has, and that spelling an answer:
    /// where a program takes one for the other, no guard is passed by.
    pub fn is_guarded_alike(
        &self,
        choice: &Choice<'_>,
        method: Method,
        other: &[u8],
        inside: bool,
    ) -> bool {
        let other = self.choose_route(method, other, inside, &mut Untraced);
        let same_guard = match (choice.guard, other.guard) {
            (Some(guard), Some(other)) => guard.is_like(other),
            (guard, other) => guard.is_none() && other.is_none(),
        };
        same_guard && other.route.is_ok()
    }

    fn find<'s>(
        &'s self,
        method: Method,
        path: &[u8],
        inside: bool,
        trace: &mut impl Trace<'s>,
    ) -> Found<'s> {
        let mut found = Found::default();
        // Whether any of those passed over may be a holder: seldom, so that nobody pays for it.
        let mut is_guarded = false;
        for route in &self.routes {
            if !route.covers(path) {
                trace.decided(Decision::Passed(route, PassedOver::OtherPath));
                continue;
            }
            if route.internal && !inside {
                trace.decided(Decision::Passed(route, PassedOver::Internal));
                if method != Method::Options && route.takes(method) {
                    break;
                }
                continue;
            }
            found.is_place = true;
            if !route.takes(method) {
                is_guarded |= route.guard.is_some();
                trace.decided(Decision::Passed(route, PassedOver::OtherMethod));
                continue;
            }
            found.route = Some(route);
            break;
        }
        if is_guarded {
            found.holder = self.holder(method, path, inside, found.route);
        }
        match found {
            Found { holder: Some(holder), .. } => {
                found.route = None;
                trace.decided(Decision::Held(holder));
            }
            Found { route: Some(route), .. } => trace.decided(Decision::Chosen(route)),
            _ => {}
        }
        found
    }

    /// The first route that is not for `method`, but whose guard does not let it go on to `next`,
    /// which is for a shorter path and has another guard, or none: who protects a place for some
    /// methods has not opened it for the others.
    fn holder<'s>(
        &'s self,
        method: Method,
        path: &[u8],
        inside: bool,
        next: Option<&Route>,
    ) -> Option<&'s Route> {
        let is_before = |route: &&Route| next.is_none_or(|next| next.path != route.path);
        let holds = |route: &&Route| {
            let same = |guard: &Guard| {
                next.and_then(|next| next.guard.as_deref()).is_some_and(|next| next.is_like(guard))
            };
            let guard = route.guard.as_deref().filter(|guard| guard.asks(method));
            let is_left = route.covers(path) && !route.takes(method) && (inside || !route.internal);
            is_left && guard.is_some_and(|guard| !same(guard))
        };
        self.routes.iter().take_while(is_before).find(holds)
    }

    /// The methods that get an answer at `path`, whoever gives it.
    fn allowed(&self, path: &[u8], inside: bool) -> MethodSet {
        let is_answered = |method: &Method| {
            let route = self.find(*method, path, inside, &mut Untraced).route;
            route.is_some_and(|route| route.allowed().contains(*method))
        };
        Method::NAMED.into_iter().filter(is_answered).fold(MethodSet::EMPTY, MethodSet::with)
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
