//! What is to be sent to a worker, with the descriptors that go along.

use super::process::BUFFER;
use crate::event::Source;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Descriptors, and where in `bytes` the frame begins that they go with.
    files: VecDeque<(usize, Rc<File>)>,
}

impl Outgoing {
    /// With what is to be sent first.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Adds a frame, and the descriptor that goes with it.
    pub(super) fn push(&mut self, frame: &[u8], file: Option<&Rc<File>>) {
        if let Some(file) = file {
            self.files.push_back((self.bytes.len(), file.clone()));
        }
        self.bytes.extend_from_slice(frame);
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self, socket: &mut Source<OwnedFd>) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            let (until, file) = match self.files.front() {
                // The descriptor goes with the first byte of its frame.
                Some((at, file)) if *at == self.sent => {
                    let next = self.files.get(1).map_or(self.bytes.len(), |(at, _)| *at);
                    (next, Some(file.clone()))
                }
                Some((at, _)) => (*at, None),
                None => (self.bytes.len(), None),
            };
            let piece = self.bytes.get(self.sent..until).unwrap_or_default();
            let sent = socket.write_by(|socket| match &file {
                None => Ok(rustix::net::send(socket, piece, SendFlags::NOSIGNAL)?),
                Some(file) => Ok(send_with(socket, piece, file)?),
            });
            match sent {
                Ok(sent) => {
                    if sent < piece.len() {
                        socket.note_short_write();
                    }
                    self.sent += sent;
                    if file.is_some() && sent > 0 {
                        self.files.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            if self.bytes.capacity() > BUFFER {
                self.bytes.shrink_to(BUFFER);
            }
        } else if self.sent > BUFFER {
            self.bytes.drain(..self.sent);
            self.files.iter_mut().for_each(|(at, _)| *at -= self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

/// Sends bytes together with a descriptor.
fn send_with(socket: &OwnedFd, bytes: &[u8], file: &File) -> Result<usize, Errno> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
}
