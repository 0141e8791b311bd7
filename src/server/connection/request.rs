//! From received bytes to an answer, or to the exchange that makes it.

use super::close::Closed;
use super::exchange::Serving;
use super::{ClientConnection, PIPELINE_MAX, Phase, Progress, Turn};
use crate::conf::Level;
use crate::event::CHUNK;
use crate::http::{HttpError, Parsed, Status, parse};
use crate::net::Tls;
use crate::serve::{Exchange, Outcome, Request, Reroute, Response};
use crate::server::choose::{Chosen, Entrance, Routed, choose, choose_route};
use crate::site::{Route, Site, Untraced, VirtualHost};

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

/// Whoever is chosen answers.
fn serve<'s>(
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
