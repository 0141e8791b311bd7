//! The handler of a request is asked for its answer: at once, or by an exchange.

use super::Turn;
use crate::http::HttpError;
use crate::serve::{Exchange, Outcome, Request, Reroute, Response};
use crate::server::choose::{Chosen, Entrance, Routed, choose, choose_admitted, choose_route};
use crate::site::{Route, Site, Untraced, VirtualHost};
use std::rc::Rc;

/// What came of a request at once.
pub(super) enum Served {
    Response(Response),
    Exchange(Box<dyn Exchange>),
}

/// Whoever is chosen answers.
pub(super) fn serve<'s>(
    request: &mut Request,
    site: &'s Site,
    routed: &mut Routed<'s>,
    shown: Option<&str>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    let now = turn.cx.now();
    let entrance = Entrance { shown, certificates: turn.tls, https_port: turn.https_port, now };
    let chosen = choose(request, site, routed, &entrance, &mut Untraced)?;
    follow(chosen, request, routed, turn)
}

/// As `serve`, for a request that an exchange of the same host sends elsewhere.
pub(super) fn serve_again<'s>(
    request: &mut Request,
    site: &'s Site,
    routed: &mut Routed<'s>,
    to: Reroute,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    let (host, _) = site.choose_host(request.head.authority(), &mut Untraced)?;
    request.reroute(to)?;
    let chosen = choose_route(request, host, routed, turn.cx.now(), &mut Untraced)?;
    follow(chosen, request, routed, turn)
}

/// As `serve`, for a request that its guard has let in as that of `user`.
pub(super) fn serve_admitted<'s>(
    request: &mut Request,
    site: &'s Site,
    routed: &mut Routed<'s>,
    user: Rc<str>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    let (host, _) = site.choose_host(request.head.authority(), &mut Untraced)?;
    let chosen = choose_admitted(request, host, routed, user)?;
    follow(chosen, request, routed, turn)
}

fn follow<'s>(
    chosen: Chosen<'s>,
    request: &mut Request,
    routed: &mut Routed<'s>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    match chosen {
        Chosen::Response(response) => Ok(Served::Response(response)),
        Chosen::Check(check) => Ok(Served::Exchange(Box::new(check))),
        Chosen::Route(host, route) => ask(request, host, route, routed, turn),
    }
}

fn ask<'s>(
    request: &mut Request,
    host: &'s VirtualHost,
    mut route: &'s Route,
    routed: &mut Routed<'s>,
    turn: &mut Turn<'_>,
) -> Result<Served, HttpError> {
    loop {
        match route.handler.handle(request, turn.cx)? {
            Outcome::Respond(response) => return Ok(Served::Response(response)),
            Outcome::Start(exchange) => return Ok(Served::Exchange(exchange)),
            Outcome::Reroute(to) => request.reroute(to)?,
        }
        match choose_route(request, host, routed, turn.cx.now(), &mut Untraced)? {
            Chosen::Response(response) => return Ok(Served::Response(response)),
            Chosen::Check(check) => return Ok(Served::Exchange(Box::new(check))),
            Chosen::Route(_, next) => route = next,
        }
    }
}
