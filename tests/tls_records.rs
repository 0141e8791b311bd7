//! What goes over the wire: how many records, what was agreed on, how it ends, and what it costs.

use crate::support::{Authority, PATIENCE, Start, TestServer, eventually};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, NamedGroup, StreamOwned};
use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// A socket that remembers what came in.
struct Tap {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Read for Tap {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.socket.read(into)?;
        self.received.extend_from_slice(&into[..n]);
        Ok(n)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Kinds and lengths of the records of a run of bytes.
fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut found = Vec::new();
    while let [kind, 3, 3, high, low, ..] = bytes {
        let length = usize::from(*high) << 8 | usize::from(*low);
        found.push((*kind, length));
        bytes = bytes.get(5 + length..).expect("whole records");
    }
    assert_eq!(bytes, b"");
    found
}

const DATA: u8 = 23;

/// What encryption adds to a record of TLS 1.3: the kind, and the tag.
const MORE: usize = 17;

fn start() -> (TestServer, Authority) {
    let authority = Authority::new();
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\n[[tls.cert]]\nchain = \"a.pem\"\n\
        key = \"a.key\"\n[[host]]\nroot = \"root\"\nlisting = true\n";
    let big = "b".repeat(1_000_000);
    let huge = big.repeat(30);
    let files = [
        ("root/index.html", "home"),
        ("root/big.txt", &big),
        ("root/5k.bin", &big[..5000]),
        ("root/huge.txt", &huge),
    ];
    let start = Start::new(config, &files);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    (start.run(), authority)
}

fn connect(server: &TestServer, config: ClientConfig) -> StreamOwned<ClientConnection, Tap> {
    let socket = TcpStream::connect(server.secure).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, Tap { socket, received: Vec::new() })
}

/// Asks, reads so much, and returns the records that it came in.
fn ask(wire: &mut StreamOwned<ClientConnection, Tap>, path: &str, body: usize) -> Vec<(u8, usize)> {
    wire.sock.received.clear();
    write!(wire, "GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).unwrap();
        got.extend_from_slice(&byte);
    }
    wire.read_exact(&mut vec![0; body]).unwrap();
    records(&wire.sock.received)
}

#[test]
fn a_small_answer_is_one_record_and_a_large_one_few() {
    let (server, authority) = start();
    let mut wire = connect(&server, authority.client());
    // The first comes with the ticket.
    ask(&mut wire, "/", 4);
    for (path, length) in [("/", 4), ("/5k.bin", 5000)] {
        let found = ask(&mut wire, path, length);
        assert!(matches!(found[..], [(DATA, all)] if all > length), "{path}: {found:?}");
    }
    let found = ask(&mut wire, "/big.txt", 1_000_000);
    // 62 are full, or the last; a socket that was full meanwhile makes a few more.
    let full = found.iter().filter(|(_, length)| *length == 16 * 1024 + MORE).count();
    assert!(full > 45 && found.len() < 80, "{found:?}");
}

#[test]
fn nothing_may_be_sent_before_the_handshake() {
    let (server, authority) = start();
    let mut config = authority.client();
    config.enable_early_data = true;
    let config = Arc::new(config);
    for round in 0..2 {
        let mut wire = connect(&server, (*config).clone());
        // A client may send it if it was offered by what it resumes.
        assert!(wire.conn.early_data().is_none(), "{round}");
        ask(&mut wire, "/", 4);
        assert_eq!(
            wire.conn.handshake_kind().unwrap() == rustls::HandshakeKind::Resumed,
            round == 1
        );
        assert!(!wire.conn.is_early_data_accepted());
    }
}

#[test]
fn keys_are_agreed_on_so_that_no_later_machine_can_read_it() {
    let (server, authority) = start();
    let mut wire = connect(&server, authority.client());
    ask(&mut wire, "/", 4);
    let group = wire.conn.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let suite = wire.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn what_is_not_whole_does_not_end_like_what_is() {
    let (server, authority) = start();
    let mut wire = connect(&server, authority.client());
    wire.write_all(b"GET /huge.txt HTTP/1.0\r\nHost: a.test\r\n\r\n").unwrap();
    let mut begin = [0; 1000];
    if let Err(error) = wire.read_exact(&mut begin) {
        panic!("{error}: {}", String::from_utf8_lossy(&begin));
    }
    let file = std::fs::File::options().write(true).open(server.path("root/huge.txt")).unwrap();
    file.set_len(10_000_000).unwrap();
    // An end without close_notify, or a reset.
    let error = io::copy(&mut wire, &mut io::sink()).unwrap_err();
    let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
    // By its new length it is whole, as soon as that is noticed.
    let all = eventually(|| {
        let mut wire = connect(&server, authority.client());
        wire.write_all(b"GET /huge.txt HTTP/1.0\r\nHost: a.test\r\n\r\n").unwrap();
        io::copy(&mut wire, &mut io::sink()).ok()
    });
    assert!(matches!(all, Some(10_000_000..10_001_000)), "{all:?}");
}

#[test]
fn a_script_that_breaks_its_promise_is_not_followed_by_close_notify() {
    let script = "#!/bin/sh\nprintf 'Content-Length: 300000\\n\\n'\nhead -c 200000 /dev/zero\nprintf short\n";
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\n[[tls.cert]]\nchain = \"a.pem\"\n\
        key = \"a.key\"\n[[host]]\ncgi = \"cgi\"\n";
    let authority = Authority::new();
    let start = Start::new(config, &[("cgi/liar", script)]);
    std::fs::set_permissions(start.path().join("cgi/liar"), Permissions::from_mode(0o755)).unwrap();
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    let server = start.run();
    let mut wire = connect(&server, authority.client());
    let request = "GET /liar HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    wire.write_all(request.as_bytes()).unwrap();
    let mut all = Vec::new();
    let error = wire.read_to_end(&mut all).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    assert!(all.ends_with(b"\0short"), "{}", String::from_utf8_lossy(&all));
}

#[test]
fn an_idle_connection_costs_little() {
    let (server, authority) = start();
    let config = Arc::new(authority.client());
    let open = |count: usize| -> Vec<_> {
        let connect = |_| {
            let mut wire = connect(&server, (*config).clone());
            ask(&mut wire, "/", 4);
            wire
        };
        (0..count).map(connect).collect()
    };
    let _warm = open(50);
    let before = server.resident_kib();
    let many = open(400);
    let each = (server.resident_kib() - before) as f64 / many.len() as f64;
    assert!(each < 15.0, "{each} KiB");
    let mut first = many.into_iter().next().unwrap();
    ask(&mut first, "/", 4);
}
