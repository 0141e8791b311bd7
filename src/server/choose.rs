//! Who answers a request whose head is complete: a route, or nobody needs to be asked. Nothing is
//! asked of a handler here, so that `explain` goes the same way as requests.

use crate::conf::Https;
use crate::handlers::to_https;
use crate::http::{HostName, HttpError, Method, MethodSet, Status, framing};
use crate::serve::{Request, Response};
use crate::site::{Admission, Check, Choice, Route, Site, Trace, Untraced, VirtualHost};
use crate::tls::Secured;
use std::rc::Rc;
use std::time::Instant;

/// Who a request was given to: what logs and error pages need to know of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Routed<'s> {
    pub(super) host: Option<&'s VirtualHost>,
    pub(super) route: Option<&'s Route>,
}

impl Routed<'_> {
    pub(super) fn kind(&self) -> &'static str {
        self.route.map_or("-", |route| route.kind)
    }
}

/// By which way a request came in.
pub(super) struct Entrance<'a> {
    /// The name for which a certificate was shown.
    pub(super) shown: Option<&'a str>,
    /// All certificates.
    pub(super) certificates: Option<&'a Secured>,
    /// Where clients are sent that should come back encrypted.
    pub(super) https_port: Option<u16>,
    /// When.
    pub(super) now: Instant,
}

/// Who answers.
pub(super) enum Chosen<'s> {
    /// Nobody: this is the answer.
    Response(Response),
    /// Whoever this lets in.
    Check(Check),
    /// The handler of this route.
    Route(&'s VirtualHost, &'s Route),
}

/// Framing, host, route, method, body length: each may refuse, in this order. How far it came is
/// left in `routed`.
pub(super) fn choose<'s>(
    request: &mut Request,
    site: &'s Site,
    routed: &mut Routed<'s>,
    entrance: &Entrance<'_>,
    trace: &mut impl Trace<'s>,
) -> Result<Chosen<'s>, HttpError> {
    request.framing = framing::frame(&request.head)?;
    let method = request.head.method();
    refuse_method(method)?;
    let (host, matched) = site.choose_host(request.head.authority(), trace)?;
    routed.host = Some(host);
    request.host_matched = matched;
    if let Some(response) = admit(request, host, entrance)? {
        return Ok(Chosen::Response(response));
    }
    if method == Method::Options && request.head.raw_path() == b"*" {
        let allowed = MethodSet::of(&[Method::Get, Method::Head]);
        return Ok(Chosen::Response(options(allowed)));
    }
    request.settle_path()?;
    choose_route(request, host, routed, entrance.now, trace)
}

/// As `choose`, where the host is known and the path is settled.
pub(super) fn choose_route<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    routed: &mut Routed<'s>,
    now: Instant,
    trace: &mut impl Trace<'s>,
) -> Result<Chosen<'s>, HttpError> {
    routed.host = Some(host);
    let choice = choice(request, host, trace);
    note_route(request, routed, &choice);
    // Before anything else is said: who is refused does not even learn what is there.
    if let Some(guard) = choice.guard
        && let Admission::Check(check) = guard.admit(request, now)?
    {
        return Ok(Chosen::Check(check));
    }
    admitted(request, host, choice.route?)
}

/// As `choose_route`, where the guard has let the request in as that of `user`.
pub(super) fn choose_admitted<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    routed: &mut Routed<'s>,
    user: Rc<str>,
) -> Result<Chosen<'s>, HttpError> {
    routed.host = Some(host);
    let choice = choice(request, host, &mut Untraced);
    note_route(request, routed, &choice);
    match choice.guard {
        Some(guard) => guard.welcome(request, Some(user)),
        None => request.user = Some(user),
    }
    admitted(request, host, choice.route?)
}

fn choice<'s>(request: &Request, host: &'s VirtualHost, trace: &mut impl Trace<'s>) -> Choice<'s> {
    let (method, path, inside) = (request.head.method(), request.path(), request.is_rerouted());
    let mut choice = host.choose_route(method, path, inside, trace);
    if let Some(why) = refused_slash(request, host, &choice) {
        choice.route = Err(HttpError::new(Status::BAD_REQUEST, why));
    }
    choice
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
    let (method, inside) = (request.head.method(), request.is_rerouted());
    let is_same = host.is_guarded_alike(choice, method, &decoded, inside);
    (!is_same).then_some("encoded slash on the way past another guard")
}

fn note_route<'s>(request: &mut Request, routed: &mut Routed<'s>, choice: &Choice<'s>) {
    if let Ok(route) = choice.route {
        routed.route = Some(route);
        request.mount = route.mount(request.path());
    }
}

fn admitted<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    route: &'s Route,
) -> Result<Chosen<'s>, HttpError> {
    request.let_in = true;
    let method = request.head.method();
    if !route.handler.methods().contains(method) {
        if method == Method::Options {
            return Ok(Chosen::Response(options(route.allowed())));
        }
        return Err(not_allowed(method, route.allowed()));
    }
    request.check_length(route.body_limit)?;
    Ok(Chosen::Route(host, route))
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
    entrance: &Entrance<'_>,
) -> Result<Option<Response>, HttpError> {
    let Entrance { shown, certificates, https_port, .. } = *entrance;
    if request.secure {
        request.policy_lines.clone_from(&host.hsts);
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
