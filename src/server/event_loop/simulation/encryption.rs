//! The client's side of TLS, for clients that know nothing of it.

use super::{ClientId, World};
use rustls::ClientConnection;
use std::io::{Read, Write};

/// Stands between a client and its socket.
pub(super) struct Encryption {
    session: ClientConnection,
    /// Encrypted, and not yet arrived.
    wire: Vec<u8>,
    /// How much of what the server has sent was looked at.
    seen: usize,
    /// What came of it.
    pub(super) heard: Vec<u8>,
    /// What the server sent ended in the middle of a record, or was none.
    pub(super) broken: bool,
}

impl Encryption {
    pub(super) fn new(mut session: ClientConnection) -> Self {
        session.set_buffer_limit(None);
        Self { session, wire: Vec::new(), seen: 0, heard: Vec::new(), broken: false }
    }

    /// Reads what the server has sent, and has ready what is to be said to that.
    pub(super) fn listen(&mut self, sent: &[u8]) {
        let mut new = sent.get(self.seen..).unwrap_or_default();
        self.seen = sent.len();
        while !new.is_empty() && !self.broken {
            match self.session.read_tls(&mut new) {
                Ok(0) => break,
                Ok(_) => self.broken = self.session.process_new_packets().is_err(),
                Err(error) => panic!("{error}"),
            }
            let mut piece = [0; 20_000];
            while let Ok(n @ 1..) = self.session.reader().read(&mut piece) {
                self.heard.extend_from_slice(&piece[..n]);
            }
        }
        while self.session.wants_write() {
            self.session.write_tls(&mut self.wire).unwrap();
        }
    }

    /// Has `bytes` ready, as soon as both sides have agreed on something.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.session.writer().write_all(bytes).unwrap();
        }
    }

    /// Up to `n` encrypted bytes arrive. Whether there were any.
    pub(super) fn arrive(&mut self, world: &World, id: ClientId, n: usize) -> bool {
        let n = n.min(self.wire.len());
        world.script(id).arrive(&self.wire[..n]);
        self.wire.drain(..n);
        n > 0
    }

    /// Whether all that was said has arrived.
    pub(super) fn is_silent(&self) -> bool {
        self.wire.is_empty() && (self.broken || !self.session.is_handshaking())
    }
}
