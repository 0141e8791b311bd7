//! Routing: host and route of a request whose head is complete, and what that alone decides. No
//! handler is asked here, so that `explain` goes the same way as requests.

use crate::conf::Https;
use crate::handlers::to_https;
use crate::http::{HostName, HttpError, Method, MethodSet, Status};
use crate::serve::{InternalRedirect, Look, Plan, Request, Response};
use crate::site::{Authorization, Check, Choice, Route, Site, Trace, Untraced, VirtualHost};
use crate::tls::Secured;
use std::rc::Rc;
use std::time::Instant;

/// Where a request is routed to.
pub(super) struct Routing<'s> {
    /// The host, if one was found.
    pub(super) host: Option<&'s VirtualHost>,
    /// The route, if one was found.
    pub(super) route: Option<&'s Route>,
    /// What comes next, or why the request is refused.
    pub(super) next: Result<Next<'s>, HttpError>,
}

/// By which way a request came in.
pub(super) struct ConnectionInfo<'a> {
    /// The name for which a certificate was shown.
    pub(super) shown: Option<&'a str>,
    /// All certificates.
    pub(super) certificates: Option<&'a Secured>,
    /// The port that plain requests are redirected to.
    pub(super) https_port: Option<u16>,
    /// The time at which its head was complete.
    pub(super) now: Instant,
}

/// What comes after routing.
pub(super) enum Next<'s> {
    /// This is the answer; no handler is asked.
    Respond(Response),
    /// A password has to be verified first.
    Verify(Check),
    /// The handler of this route answers.
    Ask(&'s Route),
}

/// Routes a request whose head is complete and framed: host, route, method, body length may each
/// refuse it, in this order.
pub(super) fn route<'s>(
    request: &mut Request,
    site: &'s Site,
    info: &ConnectionInfo<'_>,
    trace: &mut impl Trace<'s>,
) -> Routing<'s> {
    let method = request.head.method();
    if let Err(error) = refuse_method(method) {
        return Routing::refused(None, error);
    }
    let (host, matched) = match site.choose_host(request.head.authority(), trace) {
        Ok(found) => found,
        Err(error) => return Routing::refused(None, error),
    };
    request.host_matched = matched;
    match admit(request, host, info) {
        Ok(None) => {}
        Ok(Some(response)) => return Routing::answered(host, response),
        Err(error) => return Routing::refused(Some(host), error),
    }
    if method == Method::Options && request.head.raw_path() == b"*" {
        let allowed = MethodSet::of(&[Method::Get, Method::Head]);
        return Routing::answered(host, options(allowed));
    }
    match request.settle_path() {
        Ok(()) => route_path(request, host, info.now, trace),
        Err(error) => Routing::refused(Some(host), error),
    }
}

/// Routes a request that is sent on to another path of its host.
pub(super) fn route_redirect<'s>(
    request: &mut Request,
    site: &'s Site,
    to: InternalRedirect,
    now: Instant,
) -> Routing<'s> {
    let host = match site.choose_host(request.head.authority(), &mut Untraced) {
        Ok((host, _)) => host,
        Err(error) => return Routing::refused(None, error),
    };
    match request.redirect(to) {
        Ok(()) => route_path(request, host, now, &mut Untraced),
        Err(error) => Routing::refused(Some(host), error),
    }
}

/// Routes a request anew whose `user` was authorized by the guard of its route.
pub(super) fn route_authorized<'s>(
    request: &mut Request,
    site: &'s Site,
    user: Rc<str>,
) -> Routing<'s> {
    let host = match site.choose_host(request.head.authority(), &mut Untraced) {
        Ok((host, _)) => host,
        Err(error) => return Routing::refused(None, error),
    };
    let choice = choice(request, host, &mut Untraced);
    match choice.guard {
        Some(guard) => guard.welcome(request, Some(user)),
        None => request.user = Some(user),
    }
    Routing::of(request, host, choice.route)
}

/// Why a path with an encoded slash is not answered. Routes that keep them have programs that may decode
/// them: what such a program would see must not lie behind another guard.
fn refused_slash(
    request: &Request,
    host: &VirtualHost,
    choice: &Choice<'_>,
) -> Option<&'static str> {
    let keeps = choice.route.as_ref().is_ok_and(|route| route.keeps_slashes);
    if !keeps {
        return request.has_encoded_slash().then_some("encoded slash in the path");
    }
    let decoded = request.path_without_encoded_slashes()?;
    let (method, inside) = (request.head.method(), request.is_redirected());
    let is_same = host.is_guarded_alike(choice, method, &decoded, inside);
    (!is_same).then_some("encoded slash on the way past another guard")
}

/// Chooses the route of a path.
fn route_path<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    now: Instant,
    trace: &mut impl Trace<'s>,
) -> Routing<'s> {
    let choice = choice(request, host, trace);
    // Before anything else is said: a client that is refused does not even learn what is there.
    let next = match choice.guard.map_or(Ok(Authorization::Open), |guard| guard.admit(request, now))
    {
        Ok(Authorization::Check(check)) => Ok(Next::Verify(check)),
        Ok(_) => return Routing::of(request, host, choice.route),
        Err(error) => Err(error),
    };
    Routing { host: Some(host), route: choice.route.ok(), next }
}

/// The choice of the host, and how much of the path belongs to the route.
fn choice<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    trace: &mut impl Trace<'s>,
) -> Choice<'s> {
    let (method, path, inside) = (request.head.method(), request.path(), request.is_redirected());
    let mut choice = host.choose_route(method, path, inside, trace);
    if let Some(why) = refused_slash(request, host, &choice) {
        choice.route = Err(HttpError::new(Status::BAD_REQUEST, why));
    }
    if let Ok(route) = choice.route {
        request.mount = route.mount(request.path());
    }
    choice
}

impl<'s> Routing<'s> {
    /// How the request is answered: by routing alone, after its password is verified, or as the
    /// handler of the route has it.
    pub(super) fn plan(self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        match self.next? {
            Next::Respond(response) => Ok(Plan::Respond(response)),
            Next::Verify(check) => Ok(Plan::exchange("whether the password is right", check)),
            Next::Ask(route) => route.handler.plan(request, look),
        }
    }

    fn answered(host: &'s VirtualHost, response: Response) -> Self {
        Self { host: Some(host), route: None, next: Ok(Next::Respond(response)) }
    }

    fn refused(host: Option<&'s VirtualHost>, error: HttpError) -> Self {
        Self { host, route: None, next: Err(error) }
    }

    /// To a route whose guard, if it has one, has let the request in.
    fn of(
        request: &mut Request,
        host: &'s VirtualHost,
        route: Result<&'s Route, HttpError>,
    ) -> Self {
        match route {
            Ok(route) => Self { host: Some(host), route: Some(route), next: ask(request, route) },
            Err(error) => Self::refused(Some(host), error),
        }
    }
}

/// Whether the handler of a route is asked: not for methods that it does not have, nor with a body
/// that is too long.
fn ask<'s>(request: &mut Request, route: &'s Route) -> Result<Next<'s>, HttpError> {
    request.let_in = true;
    let method = request.head.method();
    if !route.handler.methods().contains(method) {
        if method == Method::Options {
            return Ok(Next::Respond(options(route.allowed())));
        }
        return Err(not_allowed(method, route.allowed()));
    }
    request.check_length(route.body_limit)?;
    Ok(Next::Ask(route))
}

/// Whether `host` answers a request that came in this way: `Some` is an answer that stands for its
/// own.
///
/// # Errors
/// 421: the name belongs to another certificate than the one that was shown, or to a host that is
/// there for encrypted requests only.
fn admit(
    request: &mut Request,
    host: &VirtualHost,
    info: &ConnectionInfo<'_>,
) -> Result<Option<Response>, HttpError> {
    let ConnectionInfo { shown, certificates, https_port, .. } = *info;
    if request.secure {
        request.host_headers.clone_from(&host.headers);
        let asked = request.head.authority().and_then(HostName::parse).map(|host| host.name);
        let same = matches!((shown, asked), (Some(shown), Some(asked))
            if shown.as_bytes().eq_ignore_ascii_case(asked));
        if !same && certificates.is_some_and(|certificates| !certificates.belongs(shown, asked)) {
            let why = "the Host belongs to another certificate than the one that was shown";
            return Err(HttpError::new(Status::MISDIRECTED_REQUEST, why).with_advice(OTHER_NAME));
        }
        return Ok(None);
    }
    match (host.https, https_port) {
        (Https::Both, _) => Ok(None),
        // About the server, not about a place that could be elsewhere (RFC 9112 §3.2.4).
        (Https::Redirect, Some(_)) if request.head.raw_path() == b"*" => Ok(None),
        (Https::Redirect, Some(port)) => {
            request.settle_path()?;
            to_https(request, &host.name, port).map(Some)
        }
        (Https::Redirect, None) | (Https::Only, _) => {
            let why = "this host is there for encrypted requests only";
            Err(HttpError::new(Status::MISDIRECTED_REQUEST, why).with_advice(ENCRYPTED_ONLY))
        }
    }
}

/// What the page says to a client that should have come encrypted.
const ENCRYPTED_ONLY: &str =
    "This site answers by HTTPS only. Write https:// in front of the address.";

/// What the page says to a client that asks for one name where it was shown the certificate for
/// another.
const OTHER_NAME: &str =
    "This connection was opened for another name. Open a new one for this name.";

/// Methods that are never answered: TRACE would show a script what the browser hides from it,
/// CONNECT would make a proxy of us (RFC 9110 §9.3.6, §9.3.8).
fn refuse_method(method: Method) -> Result<(), HttpError> {
    match method {
        Method::Trace => Err(not_allowed(method, MethodSet::of(&[Method::Get, Method::Head]))),
        Method::Connect => {
            Err(HttpError::fatal(Status::NOT_IMPLEMENTED, "CONNECT: this is no proxy"))
        }
        _ => Ok(()),
    }
}

fn not_allowed(method: Method, allowed: MethodSet) -> HttpError {
    if method == Method::Extension {
        return HttpError::new(Status::NOT_IMPLEMENTED, "a method that nobody here knows");
    }
    HttpError::new(Status::METHOD_NOT_ALLOWED, "the route does not take this method")
        .with_header("Allow", &allowed.with(Method::Options).to_string())
}

fn options(allowed: MethodSet) -> Response {
    let allow = allowed.with(Method::Options).to_string();
    Response::new(Status::NO_CONTENT).with_header("Allow", allow.as_bytes())
}
