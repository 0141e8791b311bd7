//! rustls as the client, a script as the socket.

use super::*;
use crate::event::{Budget, Buffers};
use crate::net::{Incoming, Script, SendQueue};
use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::cell::RefMut;
use std::rc::Rc;

/// Both sides' configurations, around one certificate.
pub(crate) struct Keys {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

impl Keys {
    pub(crate) fn new(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        server.send_tls13_tickets = 1;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    pub(crate) fn connect_both(&self) -> (Box<Tls>, ClientConnection) {
        let tls = Tls::new(Transport::Scripted(Default::default()), self.server.clone()).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        (Box::new(tls), ClientConnection::new(self.client.clone(), name).unwrap())
    }

    fn connect(&self) -> Pair {
        let (tls, client) = self.connect_both();
        Pair { tls: Transport::Tls(tls), client, pool: Buffers::default(), reads: 0 }
    }

    fn connected(&self) -> Pair {
        let mut pair = self.connect();
        pair.settle(usize::MAX);
        assert!(!pair.tls().is_handshaking() && !pair.client.is_handshaking());
        pair
    }
}

fn keys() -> Keys {
    Keys::new(&[&rustls::version::TLS13])
}

/// A client and the server's end of its connection.
struct Pair {
    tls: Transport,
    client: ClientConnection,
    pool: Buffers,
    reads: usize,
}

impl Pair {
    fn tls(&mut self) -> &mut Tls {
        match &mut self.tls {
            Transport::Tls(tls) => tls,
            _ => unreachable!(),
        }
    }

    fn script(&mut self) -> RefMut<'_, Script> {
        self.tls().script().get()
    }

    /// What the client has to say arrives, in pieces of `step` bytes.
    fn arrive(&mut self, step: usize) -> bool {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        for piece in bytes.chunks(step) {
            self.script().incoming.push_back(Incoming::Bytes(piece.to_vec()));
        }
        !bytes.is_empty()
    }

    /// The server reads all that there is, `room` bytes at a time, as a connection would: as long as
    /// it is not told that the socket is empty.
    fn read(&mut self, room: usize) -> (Vec<u8>, bool) {
        let mut got = Vec::new();
        loop {
            let mut into = vec![0; room];
            self.reads += 1;
            match self.tls.read(&mut into, &mut self.pool) {
                Ok(filled) => {
                    got.extend_from_slice(&into[..filled.bytes]);
                    if filled.ended {
                        return (got, true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (got, false),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What the server has sent reaches the client. Returns what that makes of it.
    fn deliver(&mut self) -> Vec<u8> {
        let sent = std::mem::take(&mut self.script().sent);
        let (mut sent, mut got) = (&sent[..], Vec::new());
        loop {
            let mut piece = vec![0; 100_000];
            match self.client.reader().read(&mut piece) {
                Ok(0) => return got,
                Ok(n) => got.extend_from_slice(&piece[..n]),
                Err(_) if sent.is_empty() => return got,
                Err(_) => {
                    self.client.read_tls(&mut sent).unwrap();
                    self.client.process_new_packets().unwrap();
                }
            }
        }
    }

    /// Back and forth until nobody has anything to say.
    fn settle(&mut self, step: usize) {
        while self.arrive(step) || self.tls.wants_write() {
            assert_eq!(self.read(16 * 1024).0, b"");
            while self.tls.flush().unwrap() {}
            assert_eq!(self.deliver(), b"");
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.set_buffer_limit(None);
        self.client.writer().write_all(bytes).unwrap();
    }

    /// Sends a queue as a connection does, again and again. Returns what the client gets.
    fn send(&mut self, queue: &mut SendQueue) -> Vec<u8> {
        let mut got = Vec::new();
        while !queue.is_empty() || self.tls.wants_write() {
            queue.flush(&mut self.tls, &mut Budget::new(2), &mut self.pool).unwrap();
            let _ = self.tls.flush().unwrap();
            got.extend(self.deliver());
        }
        got
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// The records in a run of ciphertext: how long each is.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, ..] = bytes {
        let len = usize::from(*high) << 8 | usize::from(*low);
        lengths.push(len);
        bytes = &bytes[5 + len..];
    }
    assert!(bytes.is_empty());
    lengths
}

#[test]
fn every_step_of_reading_and_writing_gives_the_same() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let keys = Keys::new(versions);
        for step in [1, 2, 3, 4, 5, 6, 7, 13, 100, 1000, 4095, 4096, 4097, 16_384, 16_401, 100_000]
        {
            let mut pair = keys.connect();
            pair.script().takes = vec![step; 3000].into();
            pair.settle(step);
            assert!(!pair.tls().is_handshaking(), "{step}");
            let question = pattern(20_000);
            pair.say(&question);
            pair.arrive(step);
            assert!(pair.read(1000) == (question, false), "{step}");
            let (mut queue, answer) = (SendQueue::default(), pattern(150_000));
            queue.share(answer.clone().into());
            pair.script().takes = vec![step; 300].into();
            assert!(pair.send(&mut queue) == answer, "{step}");
        }
    }
}

/// Where a handshake is cut: at each byte of what either side says first.
#[test]
fn a_handshake_may_be_cut_anywhere() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let keys = Keys::new(versions);
        let mut at = 1;
        loop {
            let mut pair = keys.connect();
            let mut hello = Vec::new();
            pair.client.write_tls(&mut hello).unwrap();
            // The hello comes in two pieces, as long as there is a place to cut it.
            let (first, rest) = hello.split_at(at.min(hello.len()));
            for piece in [first, rest] {
                pair.script().arrive(piece);
                assert_eq!(pair.read(16 * 1024), (Vec::new(), false));
            }
            // And so does the answer.
            pair.script().takes = vec![at, 0].into();
            let blocked = pair.tls.flush().unwrap();
            assert!(!blocked || pair.script().sent.len() == at, "{at}");
            pair.deliver();
            assert_eq!(blocked, pair.tls.wants_write(), "{at}");
            pair.settle(usize::MAX);
            assert!(!pair.tls().is_handshaking() && !pair.client.is_handshaking(), "{at}");
            if at >= hello.len() && !blocked {
                break;
            }
            at += 1;
        }
        assert!(at > 100, "{at}");
    }
}

#[test]
fn what_has_no_room_is_not_forgotten() {
    let keys = keys();
    for room in [1, 2, 100, 4096, 16_384, 16_385, 70_000] {
        let mut pair = keys.connected();
        let sent = pattern(40_000);
        pair.say(&sent);
        pair.arrive(usize::MAX);
        // Everything is in the socket at once: there will be no further event.
        let mut got = Vec::new();
        loop {
            let mut into = vec![0; room];
            let Ok(filled) = pair.tls.read(&mut into, &mut pair.pool) else { break };
            got.extend_from_slice(&into[..filled.bytes]);
            if filled.short {
                break;
            }
        }
        assert!(got == sent, "{room}: {} of {}", got.len(), sent.len());
        assert!(pair.script().incoming.is_empty());
    }
}

#[test]
fn a_short_read_saves_the_one_that_would_block() {
    let mut pair = keys().connected();
    pair.say(b"GET / HTTP/1.1\r\n\r\n");
    pair.arrive(usize::MAX);
    let filled = pair.tls.read(&mut [0; 16 * 1024], &mut pair.pool).unwrap();
    assert!(filled.bytes == 18 && filled.short && !filled.ended && filled.moved > 18);
}

#[test]
fn a_small_answer_is_one_record_in_one_write() {
    let mut pair = keys().connected();
    let writes = pair.script().writes;
    let mut queue = SendQueue::default();
    queue.copy(b"HTTP/1.1 200 OK\r\n\r\n");
    queue.share(vec![b'x'; 1024].into());
    queue.flush(&mut pair.tls, &mut Budget::new(1), &mut pair.pool).unwrap();
    assert!(pair.tls.wants_write() && pair.script().sent.is_empty());
    assert!(pair.tls.say_goodbye() && !pair.tls.say_goodbye());
    assert!(!pair.tls.flush().unwrap() && !pair.tls.wants_write());
    assert_eq!(pair.script().writes, writes + 1);
    let sent = pair.script().sent.clone();
    assert_eq!(records(&sent).len(), 2, "the answer, and close_notify");
    assert!(pair.tls.take_sent() > sent.len() as u64, "the handshake had left before");
    assert_eq!(pair.tls.take_sent(), 0);
}

#[test]
fn no_more_than_a_chunk_is_encrypted_ahead() {
    let mut pair = keys().connected();
    let body = pattern(1_000_000);
    pair.script().room = Some(0);
    let mut queue = SendQueue::default();
    queue.share(body.clone().into());
    for _ in 0..3 {
        let flushed = queue.flush(&mut pair.tls, &mut Budget::new(1), &mut pair.pool).unwrap();
        assert!(flushed.blocked);
        let ahead = body.len() as u64 - queue.pending();
        assert!(ahead > 0 && ahead <= AHEAD as u64, "{ahead}");
    }
    pair.script().room = None;
    let got = pair.send(&mut queue);
    assert!(got == body);
}

#[test]
fn files_go_in_whole_records() {
    let mut pair = keys().connected();
    let content = pattern(300_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    let file = Rc::new(file);
    let mut queue = SendQueue::default();
    queue.copy(b"head");
    queue.file(FileSlice {
        file: file.clone(),
        offset: 0,
        len: content.len() as u64,
        reserved: None,
    });
    pair.script().writes = 0;
    queue.flush(&mut pair.tls, &mut Budget::new(1), &mut pair.pool).unwrap();
    assert!(!pair.tls.flush().unwrap());
    assert!(pair.script().writes <= 300_000 / CHUNK + 1, "several records a write");
    let lengths = records(&pair.script().sent.clone());
    assert_eq!(lengths.len(), 1 + 300_000usize.div_ceil(16 * 1024), "{lengths:?}");
    assert!(pair.deliver() == [b"head", &content[..]].concat());
    // One that was cut since its length was promised.
    queue.file(FileSlice { file, offset: 299_990, len: 20, reserved: None });
    let error = loop {
        match queue.flush(&mut pair.tls, &mut Budget::new(1), &mut pair.pool) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn both_ways_to_end_are_an_end() {
    let keys = keys();
    let mut pair = keys.connected();
    pair.say(b"last words");
    pair.client.send_close_notify();
    pair.arrive(usize::MAX);
    assert_eq!(pair.read(16 * 1024), (b"last words".to_vec(), true));
    let mut pair = keys.connected();
    pair.say(b"cut");
    pair.arrive(usize::MAX);
    pair.script().incoming.push_back(Incoming::End);
    assert_eq!(pair.read(16 * 1024), (b"cut".to_vec(), true));
    let mut pair = keys.connect();
    pair.script().incoming.push_back(Incoming::End);
    assert_eq!(pair.read(16 * 1024), (Vec::new(), true));
    assert!(pair.tls().is_handshaking() && !pair.tls.say_goodbye());
}

#[test]
fn strangers_are_known_by_their_first_byte() {
    let keys = keys();
    for first in 0..=255u8 {
        let mut pair = keys.connect();
        let hello = [&[first][..], b"ET / HTTP/1.1\r\n\r\n"].concat();
        pair.script().arrive(&hello);
        let mut into = [0; 16 * 1024];
        match pair.tls.read(&mut into, &mut pair.pool) {
            Ok(filled) if first.is_ascii_uppercase() => {
                assert!(pair.tls().is_unencrypted() && !filled.short);
                assert_eq!(&into[..filled.bytes], hello);
                assert_eq!(pair.tls.write(b"told", false).unwrap(), 4);
                assert_eq!(pair.script().sent, b"told");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidData, "{first}"),
            other => panic!("{first}: {other:?}"),
        }
        assert!(!pair.tls().is_unencrypted() || first.is_ascii_uppercase());
    }
}

#[test]
fn a_record_that_was_tampered_with_is_answered_with_an_alert() {
    let mut pair = keys().connected();
    pair.say(b"GET / HTTP/1.1\r\n\r\n");
    let mut bytes = Vec::new();
    pair.client.write_tls(&mut bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    pair.script().arrive(&bytes);
    let error = pair.tls.read(&mut [0; 100], &mut pair.pool).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(pair.tls.wants_write() && !pair.tls.say_goodbye());
    assert!(!pair.tls.flush().unwrap());
    // What still comes is dropped.
    pair.script().arrive(b"more");
    let filled = pair.tls.read(&mut [0; 100], &mut pair.pool).unwrap();
    assert!(filled.bytes == 0 && filled.moved == 4);
}

#[test]
fn damaged_handshakes_and_records_are_errors_and_nothing_worse() {
    let keys = keys();
    let mut state = 7u64;
    let mut random = move |limit: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut refused = 0;
    for n in 0..600 {
        let mut pair = if n % 3 == 0 { keys.connected() } else { keys.connect() };
        pair.say(&pattern(random(3000)));
        let mut bytes = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut bytes).unwrap();
        }
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = random(256) as u8,
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let piece = bytes[at..].to_vec();
                    bytes.extend_from_slice(&piece);
                }
            }
        }
        bytes[0] = if n % 3 == 0 { 23 } else { HANDSHAKE };
        for piece in bytes.chunks(1 + random(2000)) {
            pair.script().incoming.push_back(Incoming::Bytes(piece.to_vec()));
        }
        let mut into = vec![0; 1 + random(20_000)];
        loop {
            match pair.tls.read(&mut into, &mut pair.pool) {
                Ok(_) => {}
                Err(error) => {
                    refused += usize::from(error.kind() == ErrorKind::InvalidData);
                    break;
                }
            }
        }
        assert!(!pair.tls.flush().unwrap());
    }
    assert!(refused > 100, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_goes_in_comes_out(
        pieces in proptest::collection::vec((0u8..3, 0usize..40_000), 0..8),
        takes in proptest::collection::vec(0usize..30_000, 0..40),
        steps in 1usize..20_000,
        room in 1usize..70_000,
    ) {
        let mut pair = keys().connected();
        let content = pattern(50_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let file = Rc::new(file);
        let (mut queue, mut expected) = (SendQueue::default(), Vec::new());
        for (n, (kind, len)) in pieces.into_iter().enumerate() {
            let bytes = &content[n..n + len];
            expected.extend_from_slice(bytes);
            match kind {
                0 => queue.copy(bytes),
                1 => queue.share(bytes.to_vec().into()),
                _ => queue.file(FileSlice { file: file.clone(), offset: n as u64, len: len as u64, reserved: None }),
            }
        }
        pair.script().takes = takes.into();
        prop_assert!(pair.send(&mut queue) == expected);
        pair.say(&expected);
        pair.arrive(steps);
        prop_assert!(pair.read(room) == (expected, false));
    }
}
