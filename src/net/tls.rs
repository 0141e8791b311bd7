//! TLS over another transport.
//!
//! rustls knows no sockets: what came in is given to it, what is to go out is taken from it. Here
//! is the pump between the two, and the rules that keep it bounded and awake:
//!
//! * Written bytes are encrypted at once, up to one chunk ahead of the socket; then it is the
//!   socket's turn. They leave with `flush`, so that the end of a handshake, an answer and the last
//!   alert go with one system call.
//! * Received bytes are decrypted as far as there is room for them. What is left over, here or in
//!   rustls, makes no event: such a read is never `short`, so it is read again.

use super::{FileSlice, Filled, Transport};
use crate::event::CHUNK;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What rustls may hold that is encrypted and has not left: a chunk, and what is queued before it.
const AHEAD: usize = CHUNK + 16 * 1024;

/// The least that is worth asking the socket for, however little room there is for it.
const RECEIVE_MIN: usize = 4 * 1024;

/// The first byte of every client that speaks TLS: a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// One client's encryption, and the socket below.
pub struct Tls {
    wire: Transport,
    session: ServerConnection,
    stage: Stage,
    /// A write fell short: the socket's next event says when to go on.
    blocked: bool,
    said_goodbye: bool,
    /// Bytes that left since somebody asked.
    sent: u64,
    /// Received, and refused by rustls until what it has decrypted is read.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has come yet.
    Fresh,
    /// TLS is spoken.
    Encrypted,
    /// The client speaks without; it may be told so.
    Unencrypted,
    /// TLS has ended with an alert; what still comes is dropped.
    Failed,
}

impl Tls {
    /// A client that was just accepted.
    ///
    /// # Errors
    /// The configuration cannot be used, which is known before anybody is accepted.
    pub fn new(wire: Transport, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(AHEAD));
        Ok(Self {
            wire,
            session,
            stage: Stage::Fresh,
            blocked: false,
            said_goodbye: false,
            sent: 0,
            held: Vec::new(),
        })
    }

    /// Receives and decrypts once. `scratch` is for what is still encrypted.
    pub(super) fn read(&mut self, into: &mut [u8], scratch: &mut [u8]) -> io::Result<Filled> {
        match self.stage {
            Stage::Fresh | Stage::Encrypted => {}
            Stage::Unencrypted => {
                let bytes = self.wire.receive(into)?;
                let short = bytes < into.len();
                return Ok(Filled { bytes, moved: bytes, short, ended: bytes == 0 });
            }
            Stage::Failed => {
                let moved = self.wire.receive(scratch)?;
                return Ok(Filled {
                    bytes: 0,
                    moved,
                    short: moved < scratch.len(),
                    ended: moved == 0,
                });
            }
        }
        let decrypted = self.take(into)?;
        if decrypted.bytes > 0 || decrypted.ended {
            return Ok(decrypted);
        }
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return Ok(Filled { short: false, ..self.decrypt(&held, into)? });
        }
        let asked = into.len().clamp(RECEIVE_MIN, scratch.len());
        let received = scratch.get_mut(..asked).unwrap_or_default();
        let moved = self.wire.receive(received)?;
        if moved == 0 {
            // Without close_notify: requests say themselves how long they are, so a cut one is
            // noticed where it is read.
            return Ok(Filled { ended: true, ..Filled::default() });
        }
        let received = received.get(..moved).unwrap_or_default();
        if self.stage == Stage::Fresh
            && let Some(first) = received.first().filter(|first| **first != HANDSHAKE)
        {
            return self.meet_stranger(*first, received, into);
        }
        self.stage = Stage::Encrypted;
        let filled = self.decrypt(received, into)?;
        Ok(Filled { moved, short: filled.short && moved < asked, ..filled })
    }

    /// Somebody who does not speak TLS: one who speaks HTTP gets an answer.
    fn meet_stranger(&mut self, first: u8, bytes: &[u8], into: &mut [u8]) -> io::Result<Filled> {
        if !first.is_ascii_uppercase() {
            self.stage = Stage::Failed;
            // It says itself what is wrong, in an alert, once a record's header is there.
            let mut rest = bytes;
            let _ = self.session.read_tls(&mut rest);
            let _ = self.session.process_new_packets();
            return Err(io::Error::new(ErrorKind::InvalidData, "this is no TLS"));
        }
        self.stage = Stage::Unencrypted;
        let bytes = bytes.get(..into.len()).unwrap_or(bytes);
        into.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
        Ok(Filled { bytes: bytes.len(), moved: bytes.len(), short: false, ended: false })
    }

    /// Gives rustls what came in, and takes what it makes of it, as long as there is room.
    fn decrypt(&mut self, mut received: &[u8], into: &mut [u8]) -> io::Result<Filled> {
        let mut filled = Filled { moved: received.len(), ..Filled::default() };
        while !received.is_empty() {
            let room = into.get_mut(filled.bytes..).unwrap_or_default();
            if room.is_empty() {
                self.held = received.to_vec();
                return Ok(filled);
            }
            if self.session.read_tls(&mut received)? == 0 {
                break;
            }
            if let Err(error) = self.session.process_new_packets() {
                self.stage = Stage::Failed;
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            let taken = self.take(room)?;
            filled.bytes += taken.bytes;
            filled.ended |= taken.ended;
        }
        // A full buffer may have left something in rustls.
        filled.short = filled.bytes < into.len();
        Ok(filled)
    }

    /// Takes what is decrypted already.
    fn take(&mut self, into: &mut [u8]) -> io::Result<Filled> {
        let mut filled = Filled::default();
        while filled.bytes < into.len() {
            match self.session.reader().read(into.get_mut(filled.bytes..).unwrap_or_default()) {
                Ok(0) => {
                    filled.ended = true;
                    break;
                }
                Ok(bytes) => filled.bytes += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        filled.moved = filled.bytes;
        Ok(filled)
    }

    /// Encrypts `pieces`, several records at a time. Fewer bytes than offered means that the socket
    /// is full; none, WouldBlock.
    pub(super) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.stage {
            Stage::Unencrypted => return self.wire.write_vectored(pieces, false),
            Stage::Encrypted if !self.session.is_handshaking() => self.catch_up()?,
            _ => return Err(ErrorKind::NotConnected.into()),
        }
        let offered = pieces.iter().map(|piece| piece.len()).sum();
        let mut taken = self.session.writer().write_vectored(pieces)?;
        while taken < offered {
            match self.catch_up_to_write() {
                Err(error) if error.kind() == ErrorKind::WouldBlock && taken > 0 => break,
                result => result?,
            }
            taken += self.session.writer().write(behind(pieces, taken))?;
        }
        Ok(taken)
    }

    /// Encrypts up to `count` bytes of a file, read by way of `scratch`. 0 is the end of the file.
    pub(super) fn send_file(
        &mut self,
        slice: &FileSlice,
        count: usize,
        scratch: &mut [u8],
    ) -> io::Result<usize> {
        let mut sent = 0;
        while sent < count {
            let want = scratch.len().min(count - sent);
            let piece = &mut scratch[..want];
            let read = match slice.file.read_at(piece, slice.offset + sent as u64) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            };
            if read == 0 {
                break;
            }
            match self.write(&[IoSlice::new(piece.get(..read).unwrap_or_default())]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && sent > 0 => break,
                result => {
                    let taken = result?;
                    sent += taken;
                    if taken < read {
                        break;
                    }
                }
            }
            // So that the next piece finds room for all of it, and makes whole records.
            if sent < count && self.flush()? {
                break;
            }
        }
        Ok(sent)
    }

    /// After the socket was full: nothing more is encrypted before all of it has left.
    fn catch_up(&mut self) -> io::Result<()> {
        if self.blocked { self.catch_up_to_write() } else { Ok(()) }
    }

    fn catch_up_to_write(&mut self) -> io::Result<()> {
        if self.flush()? { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }

    /// Whether something encrypted has not left.
    pub(super) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// Hands to the socket what it takes. Returns whether it is full.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            let mut pipe = Pipe { wire: &mut self.wire, fell_short: false };
            match self.session.write_tls(&mut pipe) {
                Ok(bytes) => {
                    self.sent += bytes as u64;
                    if pipe.fell_short {
                        self.blocked = true;
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        self.blocked = false;
        Ok(false)
    }

    /// The bytes that have left since this was last asked.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// As for the transport below; nor is it said that all was sent.
    pub(super) fn reset_on_close(&mut self) {
        self.say_no_goodbye();
        self.wire.reset_on_close();
    }

    /// As if it had been said already.
    pub(super) fn say_no_goodbye(&mut self) {
        self.said_goodbye = true;
    }

    /// Queues close_notify. False if there is nobody to say it to, or it was said.
    pub(super) fn say_goodbye(&mut self) -> bool {
        let can = self.stage == Stage::Encrypted && !self.session.is_handshaking();
        if !can || std::mem::replace(&mut self.said_goodbye, true) {
            return false;
        }
        self.session.send_close_notify();
        true
    }

    pub(super) fn wire(&mut self) -> &mut Transport {
        &mut self.wire
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.wire.raw_fd()
    }

    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.wire.socket()
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        match self.stage {
            Stage::Fresh => true,
            Stage::Encrypted => self.session.is_handshaking(),
            Stage::Unencrypted | Stage::Failed => false,
        }
    }

    /// Whether the client has said anything by TLS.
    pub fn has_begun(&self) -> bool {
        self.stage == Stage::Encrypted
    }

    /// Whether the client speaks without TLS, where it should be spoken.
    pub fn is_unencrypted(&self) -> bool {
        self.stage == Stage::Unencrypted
    }

    /// The name that the client asked for (SNI).
    pub fn server_name(&self) -> Option<&str> {
        self.session.server_name()
    }

    /// The protocol that was agreed on (ALPN).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// The certificate that the client has shown.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.session.peer_certificates().and_then(|chain| chain.first()).map(AsRef::as_ref)
    }

    /// What was agreed on: `TLSv1.3`, or `None` before that.
    pub fn version(&self) -> Option<&'static str> {
        match self.session.protocol_version()? {
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn script(&self) -> &super::SharedScript {
        self.wire.script()
    }
}

/// What is behind the first `taken` bytes of `pieces`, in the piece where they end.
fn behind<'a>(pieces: &'a [IoSlice<'_>], mut taken: usize) -> &'a [u8] {
    for piece in pieces {
        match piece.get(taken..) {
            Some(rest) if !rest.is_empty() => return rest,
            _ => taken -= piece.len(),
        }
    }
    &[]
}

/// The socket as rustls wants to see it.
struct Pipe<'a> {
    wire: &'a mut Transport,
    /// It took less than it was offered.
    fell_short: bool,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.wire.write(bytes, false)?;
        self.fell_short = taken < bytes.len();
        Ok(taken)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = pieces {
            return self.write(one);
        }
        let taken = self.wire.write_vectored(pieces, false)?;
        self.fell_short = taken < pieces.iter().map(|piece| piece.len()).sum();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("stage", &self.stage).field("wire", &self.wire).finish()
    }
}

#[cfg(test)]
pub(super) mod tests;
