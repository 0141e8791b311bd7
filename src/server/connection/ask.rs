//! The handler of a request is asked for its answer: at once, or by an exchange.

use super::Turn;
use crate::http::HttpError;
use crate::serve::{Exchange, Outcome, Request, Reroute, Response};
use crate::server::choose::{Chosen, Entrance, Routed, choose, choose_route};
use crate::site::{Route, Site, Untraced, VirtualHost};

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
    let entrance = Entrance { shown, certificates: turn.tls, https_port: turn.https_port };
    match choose(request, site, routed, &entrance, &mut Untraced)? {
        Chosen::Response(response) => Ok(Served::Response(response)),
        Chosen::Route(host, route) => ask(request, host, route, routed, turn),
    }
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
    match choose_route(request, host, routed, &mut Untraced)? {
        Chosen::Response(response) => Ok(Served::Response(response)),
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
        match choose_route(request, host, routed, &mut Untraced)? {
            Chosen::Response(response) => return Ok(Served::Response(response)),
            Chosen::Route(_, next) => route = next,
        }
    }
}
