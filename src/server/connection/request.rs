//! From received bytes to an answer, or to the exchange that makes it.

use super::ask::{Served, serve};
use super::exchange::Serving;
use super::{ClientConnection, PIPELINE_MAX, Phase, Progress, Turn};
use crate::conf::Level;
use crate::event::CHUNK;
use crate::http::{HttpError, Parsed, Status, parse};
use crate::net::Tls;
use crate::serve::Request;
use crate::server::choose::Routed;
use crate::site::Site;

impl ClientConnection {
    /// Answers the requests whose heads have arrived, several with one write.
    pub(super) fn read_heads(&mut self, turn: &mut Turn<'_>) -> Progress {
        if self.peer_ended && self.recv.is_empty() {
            return self.close_after_client();
        }
        if !self.recv.is_empty() && self.is_unencrypted_by_mistake() {
            self.refuse_plain_text(turn);
            return Progress::Moved;
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
                    if self.peer_ended {
                        return self.close_after_client();
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
        progress
    }

    /// The client has said that no further request comes. What it is owed still leaves.
    fn close_after_client(&mut self) -> Progress {
        self.phase = Phase::Closing { linger: false };
        Progress::Moved
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
            turn.cx.complain(Level::Error, format!("{}: {}", path.escape_debug(), error.reason));
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
        self.note_encryption(&mut request);
        request.framing.persistent = false;
        let response = turn.site.pages.answer(error, None);
        self.respond(response, request, Routed::default(), Some(&error.reason), turn);
        self.phase = Phase::Closing { linger: true };
    }
}
