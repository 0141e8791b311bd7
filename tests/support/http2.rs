//! A client that speaks HTTP/2 frame by frame, and may do it wrong.

use super::{PATIENCE, TestServer};
use httpyserver::http2::frame::{self, Frame, FrameHead, HEAD_LEN, kind};
use httpyserver::http2::hpack::{Decoder, block_of};
use httpyserver::http2::{ErrorCode, PREFACE};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;

pub(crate) struct Http2Client {
    socket: TcpStream,
    received: Vec<u8>,
    decoder: Decoder,
    block: Vec<u8>,
    /// Answers as far as they have come.
    pub(crate) answers: HashMap<u32, Answer>,
    /// The order in which streams ended.
    pub(crate) ended: Vec<u32>,
    /// What the server has said of the connection's end.
    pub(crate) going_away: Option<u32>,
    /// Bytes of bodies that are allowed again as they come.
    pub(crate) gives_room: bool,
    pongs: u32,
    heard: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) has_ended: bool,
    pub(crate) reset: Option<u32>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.get(":status").map_or(0, |status| status.parse().unwrap())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// The fields of a plain GET.
pub(crate) fn get_fields(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "h")]
}

pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block_of(name.as_bytes(), value.as_bytes(), &mut block);
    }
    block
}

impl Http2Client {
    /// A connection on which nothing was said.
    pub(crate) fn silent(server: &TestServer) -> Self {
        let socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            received: Vec::new(),
            decoder: Decoder::default(),
            block: Vec::new(),
            answers: HashMap::new(),
            ended: Vec::new(),
            going_away: None,
            gives_room: true,
            pongs: 0,
            heard: 0,
        }
    }

    /// A connection that has begun as it should.
    pub(crate) fn connect(server: &TestServer) -> Self {
        let mut client = Self::silent(server);
        client.send(PREFACE);
        client.frame(kind::SETTINGS, 0, 0, &[]);
        client
    }

    /// Sends bytes; a server that has closed is no failure here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut out = Vec::new();
        frame::write(kind, flags, stream, payload, &mut out);
        self.send(&out);
    }

    pub(crate) fn request(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let mut out = Vec::new();
        frame::headers(stream, ends, &block(fields), 16384, &mut out);
        self.send(&out);
    }

    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        self.request(stream, &get_fields(path), true);
    }

    pub(crate) fn data(&mut self, stream: u32, bytes: &[u8], ends: bool) {
        self.frame(kind::DATA, u8::from(ends), stream, bytes);
    }

    /// Waits until the server has looked at all that was sent, and has sent what it can.
    pub(crate) fn ping(&mut self) {
        self.frame(kind::PING, 0, 0, b"are here");
        self.pongs += 1;
        let awaited = self.pongs;
        while self.heard < awaited {
            assert!(self.read(), "closed before the answer to a ping: {:?}", self.going_away);
        }
    }

    /// Reads one frame and takes note of it. False: the server has closed.
    pub(crate) fn read(&mut self) -> bool {
        loop {
            if let Some(head) = FrameHead::parse(&self.received)
                && self.received.len() >= HEAD_LEN + head.length
            {
                let rest = self.received.split_off(HEAD_LEN + head.length);
                let frame = std::mem::replace(&mut self.received, rest);
                self.note(head, &frame[HEAD_LEN..]);
                return true;
            }
            let mut piece = [0; 65536];
            match self.socket.read(&mut piece) {
                Ok(n) if n > 0 => self.received.extend_from_slice(&piece[..n]),
                Ok(_) => return false,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("nothing comes: {error}"),
            }
        }
    }

    fn note(&mut self, head: FrameHead, payload: &[u8]) {
        let id = head.stream;
        match frame::parse(head, payload).unwrap() {
            Frame::Data { data, ends_stream } => {
                let answer = self.answers.get_mut(&id).expect("a head comes first");
                answer.body.extend_from_slice(data);
                if self.gives_room && !data.is_empty() {
                    let mut out = Vec::new();
                    let more = u32::try_from(data.len()).unwrap();
                    frame::window_update(0, more, &mut out);
                    if !ends_stream {
                        frame::window_update(id, more, &mut out);
                    }
                    self.send(&out);
                }
                self.end(id, ends_stream);
            }
            Frame::Headers { fragment, ends_headers, ends_stream } => {
                self.block = fragment.to_vec();
                self.end_block(id, ends_headers);
                self.end(id, ends_stream);
            }
            Frame::Continuation { fragment, ends_headers } => {
                self.block.extend_from_slice(fragment);
                self.end_block(id, ends_headers);
            }
            Frame::Reset(code) => self.answers.entry(id).or_default().reset = Some(code),
            Frame::GoAway(code) => self.going_away = Some(code),
            Frame::PingAck => self.heard += 1,
            Frame::Settings(_) => self.frame(kind::SETTINGS, frame::ACK, 0, &[]),
            _ => {}
        }
    }

    fn end(&mut self, id: u32, ends: bool) {
        if ends {
            self.answers.entry(id).or_default().has_ended = true;
            self.ended.push(id);
        }
    }

    fn end_block(&mut self, id: u32, is_complete: bool) {
        if !is_complete {
            return;
        }
        let answer = self.answers.entry(id).or_default();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.decoder
            .decode(&self.block, |name, value| answer.fields.push((text(name), text(value))))
            .unwrap();
    }

    /// The answer on a stream, once it has ended one way or the other.
    pub(crate) fn answer(&mut self, stream: u32) -> Answer {
        loop {
            if let Some(answer) = self.answers.get(&stream)
                && (answer.has_ended || answer.reset.is_some())
            {
                return answer.clone();
            }
            assert!(self.read(), "closed before stream {stream} ended: {:?}", self.going_away);
        }
    }

    /// With what the server ends the connection.
    pub(crate) fn end_of_connection(&mut self) -> Option<u32> {
        while self.read() {}
        self.going_away
    }

    pub(crate) fn is_answered(&mut self, stream: u32, code: ErrorCode) -> bool {
        self.answer(stream).reset == Some(code as u32)
    }
}
