//! From received bytes to somebody who answers.

use super::close::Closed;
use super::exchange::Serving;
use super::{ClientConnection, PIPELINE_MAX, Phase, Progress, Turn, secure};
use crate::conf::Level;
use crate::event::CHUNK;
use crate::http::{HttpError, Method, MethodSet, Parsed, Status, framing, parse};
use crate::net::Tls;
use crate::serve::{Exchange, Outcome, Request, Reroute, Response};
use crate::site::{Route, Site, Untraced, VirtualHost};
use std::rc::Rc;

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

impl ClientConnection {
    /// Answers the requests whose heads have arrived, several with one write.
    pub(super) fn read_heads(&mut self, turn: &mut Turn<'_>) -> Result<Progress, Closed> {
        if self.peer_ended && self.pending() == 0 && self.recv.is_empty() {
            return Err(Closed::Eof);
        }
        if !self.recv.is_empty() && self.is_unencrypted_by_mistake() {
            self.refuse_plain_text(turn);
            return Ok(Progress::Moved);
        }
        let mut progress = Progress::Still;
        for _ in 0..PIPELINE_MAX {
            if self.recv.is_empty() || self.pending() >= CHUNK as u64 {
                break;
            }
            let mut request = turn.spares.request();
            let unread = self.recv.unread();
            let limits = &turn.site.limits.head;
            match parse(unread, self.scanned as usize, limits, &mut request.head) {
                Parsed::Partial => {
                    self.scanned = unread.len() as u32;
                    turn.spares.give_request(request);
                    if self.peer_ended && self.pending() == 0 {
                        return Err(Closed::Eof);
                    }
                    break;
                }
                Parsed::Complete(consumed) => {
                    self.scanned = 0;
                    self.recv.consume(consumed);
                    self.answer(request, turn);
                }
                Parsed::Refused(error) => {
                    self.scanned = 0;
                    self.refuse_unparsed(&error, request, turn);
                }
            }
            progress = Progress::Moved;
            if !matches!(self.phase, Phase::Head) {
                break;
            }
        }
        Ok(progress)
    }

    /// Answers one request whose head is complete.
    fn answer(&mut self, mut request: Box<Request>, turn: &mut Turn<'_>) {
        self.served = self.served.saturating_add(1);
        request.peer = self.peer;
        request.port = self.port;
        self.note_encryption(&mut request);
        let site = turn.site.clone();
        let mut routed = Routed::default();
        let shown = self.transport.tls().and_then(Tls::server_name);
        match serve(&mut request, &site, &mut routed, shown, turn) {
            Ok(Served::Response(response)) => self.respond(response, request, routed, None, turn),
            Ok(Served::Exchange(exchange)) => {
                let serving = Serving::new(exchange, request, site.clone(), routed, turn);
                self.ready.open_upstream_doors();
                self.phase = Phase::Serving(Box::new(serving));
            }
            Err(error) => self.refuse(&error, request, routed, &site, turn),
        }
    }

    /// Answers with an error's page.
    pub(super) fn refuse(
        &mut self,
        error: &HttpError,
        mut request: Box<Request>,
        routed: Routed<'_>,
        site: &Site,
        turn: &mut Turn<'_>,
    ) {
        if error.close {
            request.framing.persistent = false;
        }
        if error.status.class() == 5 && error.status != Status::NOT_IMPLEMENTED {
            let path = String::from_utf8_lossy(request.path()).into_owned();
            turn.cx.report(Level::Error, format!("{}: {}", path.escape_debug(), error.reason));
        }
        let pages = routed.host.map_or(&site.pages, |host| &host.pages);
        let response = pages.answer(error, Some(&request));
        self.respond(response, request, routed, Some(&error.reason), turn);
        if error.close {
            // Perhaps the client is sending a body whose framing was not understood.
            self.phase = Phase::Closing { linger: true };
        }
    }

    /// Answers what is no request. Nothing after it is looked at: where it ends, nobody knows.
    pub(super) fn refuse_unparsed(
        &mut self,
        error: &HttpError,
        mut request: Box<Request>,
        turn: &mut Turn<'_>,
    ) {
        request.peer = self.peer;
        request.port = self.port;
        request.framing.persistent = false;
        let response = turn.site.pages.answer(error, None);
        self.respond(response, request, Routed::default(), Some(&error.reason), turn);
        self.phase = Phase::Closing { linger: true };
    }
}

/// What came of a request at once.
pub(super) enum Served {
    Response(Response),
    Exchange(Box<dyn Exchange>),
}

/// Framing, host, route, method, body length, handler: each may refuse, in this order.
fn serve<'s>(
    request: &mut Request,
    site: &'s Rc<Site>,
    routed: &mut Routed<'s>,
    shown: Option<&str>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    request.framing = framing::frame(&request.head)?;
    let method = request.head.method();
    refuse_method(method)?;
    let (host, matched) = site.choose_host(request.head.authority(), &mut Untraced)?;
    routed.host = Some(host);
    request.host_matched = matched;
    if let Some(response) = secure::admit(request, host, shown, turn.tls, turn.https_port)? {
        return Ok(Served::Response(response));
    }
    if method == Method::Options && request.head.raw_path() == b"*" {
        return Ok(Served::Response(options(MethodSet::of(&[Method::Get, Method::Head]))));
    }
    request.settle_path()?;
    serve_at(request, host, routed, turn)
}

/// As `serve`, for a request that an exchange of the same host sends elsewhere.
pub(super) fn serve_again<'s>(
    request: &mut Request,
    site: &'s Rc<Site>,
    routed: &mut Routed<'s>,
    to: Reroute,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    let (host, _) = site.choose_host(request.head.authority(), &mut Untraced)?;
    routed.host = Some(host);
    request.reroute(to)?;
    serve_at(request, host, routed, turn)
}

fn serve_at<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    routed: &mut Routed<'s>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    loop {
        let method = request.head.method();
        let route = host.choose_route(method, request.path(), &mut Untraced)?;
        routed.route = Some(route);
        request.mount = route.mount(request.path());
        if !route.handler.methods().contains(method) {
            if method == Method::Options {
                return Ok(Served::Response(options(route.allowed())));
            }
            return Err(not_allowed(method, route.allowed()));
        }
        request.check_length(route.body_limit)?;
        match route.handler.handle(request, turn.cx)? {
            Outcome::Respond(response) => return Ok(Served::Response(response)),
            Outcome::Start(exchange) => return Ok(Served::Exchange(exchange)),
            Outcome::Reroute(to) => request.reroute(to)?,
        }
    }
}

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
