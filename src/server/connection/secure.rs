//! What encryption means for a connection: what a request is told of it, and how it ends when it
//! breaks.

use super::closed::Closed;
use super::{ClientConnection, Phase, Turn};
use crate::http::Status;
use crate::net::Tls;
use crate::serve::{Request, Response};
use crate::server::choose::Routed;
use crate::tls::subject_of;
use std::io;

/// What a client is told that speaks HTTP where HTTPS is spoken.
const PLAIN_TEXT: &str = "400 Bad Request\n\
    This port speaks HTTPS. Write https:// instead of http:// in front of the address.\n";

impl ClientConnection {
    /// Whether HTTP has come in where TLS is spoken.
    pub(super) fn is_unencrypted_by_mistake(&self) -> bool {
        self.transport.tls().is_some_and(Tls::is_unencrypted)
    }

    /// Tells a client that it should have spoken TLS. Its request is not looked at.
    pub(super) fn refuse_plain_text(&mut self, turn: &mut Turn<'_>) {
        let mut request = turn.spares.request();
        request.peer = self.peer;
        request.port = self.port;
        request.framing.persistent = false;
        self.drop_received();
        let media_type = "text/plain; charset=utf-8";
        let response = Response::text(Status::BAD_REQUEST, media_type, PLAIN_TEXT);
        let reason = Some("plain HTTP where TLS is spoken");
        self.respond(response, request, Routed::default(), reason, turn);
        self.phase = Phase::Closing { linger: true };
    }

    /// TLS has failed: an alert is on its way. Between requests, and above all in the handshake,
    /// that is written down as a request that never came to be; anywhere else it ends what is in
    /// progress.
    pub(super) fn break_off(
        &mut self,
        error: &io::Error,
        turn: &mut Turn<'_>,
    ) -> Result<(), Closed> {
        let reason = format!("TLS: {error}");
        match self.phase {
            Phase::Head if self.send.is_none() => {}
            Phase::Lingering(_) => return Err(Closed::Done),
            _ => return Err(Closed::Broken(reason)),
        }
        self.record_no_request(Status::BAD_REQUEST, &reason, turn);
        self.phase = Phase::Closing { linger: true };
        Ok(())
    }

    /// Whether a handshake has begun, and not come to its end.
    pub(super) fn is_amid_handshake(&self) -> bool {
        self.transport.tls().is_some_and(|tls| tls.is_handshaking() && tls.has_begun())
    }

    /// Writes down a client that never came to ask for anything.
    pub(super) fn record_no_request(&mut self, status: Status, reason: &str, turn: &mut Turn<'_>) {
        let mut request = turn.spares.request();
        request.peer = self.peer;
        request.port = self.port;
        self.note_encryption(&mut request);
        self.record_refused(&request, status, reason, turn);
        request.clear();
        turn.spares.give_request(request);
    }

    /// Notes on a request how it came.
    pub(super) fn note_encryption(&mut self, request: &mut Request) {
        let Some(tls) = self.transport.tls() else { return };
        request.secure = true;
        request.tls_version = tls.version();
        if self.client.is_none()
            && let Some(certificate) = tls.client_certificate()
        {
            let subject = subject_of(certificate).unwrap_or_else(|| "an unreadable name".into());
            self.client = Some(subject.into());
        }
        request.client.clone_from(&self.client);
    }
}
