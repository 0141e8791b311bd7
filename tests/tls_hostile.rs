//! What clients do to a TLS listener that no honest client does.

use crate::support::{Authority, PATIENCE, Start, TestServer, TlsWire, Wire, eventually};
use rustls::ClientConfig;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn start(settings: &str) -> (TestServer, Arc<ClientConfig>) {
    let authority = Authority::new();
    let config = format!(
        "[server]\nlisten = \"https://127.0.0.1:0\"\n[log]\naccess = \"access.log\"\n\
         format = \"json\"\n{settings}[[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n\
         [[host]]\nroot = \"root\"\n"
    );
    let start = Start::new(&config, &[("root/index.html", "home")]);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    (start.run(), Arc::new(authority.client()))
}

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.secure).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The first message of a client.
fn hello(server: &TestServer, config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    TlsWire::connect(server, config, "a.test").stream.conn.write_tls(&mut hello).unwrap();
    hello
}

/// What the server says until it closes.
fn end_of(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "still open");
    }
    said
}

#[test]
fn thousands_of_reset_handshakes_leave_nothing() {
    let (server, config) = start("[timeouts]\nhandshake = \"2s\"\n");
    let hello = hello(&server, &config);
    let reset = |count: usize| {
        for n in 0..count {
            let mut stream = connect(&server);
            // Nothing, a part, all of it with and without waiting for the answer.
            let part = [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()][n % 6];
            stream.write_all(&hello[..part]).unwrap();
            if n % 12 == 5 {
                let _ = stream.read(&mut [0; 100]);
            }
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
    };
    let before = server.descriptors_of_watcher();
    let settled = || (server.descriptors() <= before).then(|| server.resident_kib());
    reset(1000);
    let first = eventually(settled).expect("descriptors leak");
    reset(2000);
    let then = eventually(settled).expect("descriptors leak");
    assert!(then < first + 1024, "memory grew from {first} to {then} KiB");
    let mut wire = TlsWire::connect(&server, &config, "a.test");
    assert_eq!(wire.get("a.test", "/").unwrap().status, 200);
}

#[test]
fn a_handshake_has_its_time_however_it_trickles() {
    let (server, config) = start("[timeouts]\nhandshake = \"1s\"\nheader = \"10m\"\n");
    let hello = hello(&server, &config);
    let (began, mut stream) = (Instant::now(), connect(&server));
    for byte in &hello {
        std::thread::sleep(Duration::from_millis(50));
        if stream.write_all(&[*byte]).is_err() || began.elapsed() > PATIENCE {
            break;
        }
    }
    assert_eq!(end_of(stream), b"");
    let log = server.read_until("access.log", "time-out: handshake");
    assert!(log.contains("\"status\":408") && log.contains("\"scheme\":\"https\""), "{log}");
    // Who never said anything is closed as well, and there is nothing to write down.
    let lines = log.lines().count();
    assert_eq!(end_of(connect(&server)), b"");
    assert_eq!(server.read("access.log").lines().count(), lines);
}

#[test]
fn messages_beneath_requests_buy_no_time() {
    let (server, config) = start("[timeouts]\nheader = \"1500ms\"\nidle = \"1500ms\"\n");
    // Without a request, in the middle of one, and after one.
    for (asked, status) in [("", ""), ("GET / HTTP/1.1\r\n", "408"), ("GET /", "408")] {
        let mut wire = TlsWire::connect(&server, &config, "a.test");
        wire.stream.write_all(asked.as_bytes()).unwrap();
        // Each is answered by a message of the same kind. There may be 32 of them, and all of them would
        // take more than ten times as long as there is time for.
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 16, "{asked:?}: they buy time");
            let _ = wire.stream.conn.complete_io(&mut wire.stream.sock);
            if wire.stream.conn.refresh_traffic_keys().is_err() || wire.stream.flush().is_err() {
                break;
            }
            wire.stream.sock.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
            match wire.stream.read(&mut [0; 1]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        if !status.is_empty() {
            server.read_until("access.log", &format!("\"status\":{status}"));
        }
    }
}

#[test]
fn what_looks_like_tls_and_is_none_is_refused_at_once() {
    let (server, config) = start("");
    let hello = hello(&server, &config);
    let mut long = hello.clone();
    long[3..5].copy_from_slice(&[0xff, 0xff]);
    let mut nonsense = hello;
    nonsense[9..60].fill(0xff);
    for (what, bytes) in [
        ("a record that is too long", &long[..]),
        ("no handshake", &nonsense),
        ("HTTP behind the right byte", b"\x16GET / HTTP/1.1\r\n\r\n"),
        ("version 2", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"),
        ("version 9", b"\x16\x09\x01\x00\x05\x01\x00\x00\x01\x00"),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("data before a handshake", b"\x17\x03\x03\x00\x05hello"),
        ("a heartbeat", b"\x18\x03\x02\x00\x03\x01\x40\x00"),
        ("lower case", b"get / http/1.1\r\n\r\n"),
        ("nothing but zeros", &[0; 70_000]),
    ] {
        let mut stream = connect(&server);
        let _ = stream.write_all(bytes);
        let said = end_of(stream);
        // An alert is 7 bytes.
        assert!(said.len() <= 7, "{what}: {said:?}");
    }
    let log = server.read_until("access.log", "TLS: this is no TLS");
    assert!(!log.contains("\"status\":200"), "{log}");
}

#[test]
fn whoever_speaks_http_in_any_way_is_told() {
    let (server, _) = start("");
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "POST /x HTTP/1.0\r\nContent-Length: 100000\r\n\r\nbody",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "G",
        "HELP\n",
    ] {
        let mut wire = Wire::to(server.secure);
        let response = wire.send(request).response();
        assert_eq!(response.status, 400, "{request}");
        assert!(response.text().contains("https://"), "{request}");
        assert_eq!(response.header("Connection"), Some("close"), "{request}");
        assert!(response.header("Strict-Transport-Security").is_none());
        wire.finish();
        assert!(wire.is_closed(), "{request}");
    }
}

#[test]
fn half_closing_at_any_point_of_a_handshake_is_an_end() {
    let (server, config) = start("");
    let hello = hello(&server, &config);
    for part in [0, 1, 4, 5, 6, 100, hello.len() - 1, hello.len()] {
        let mut stream = connect(&server);
        stream.write_all(&hello[..part]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(end_of(stream).is_empty(), part < hello.len(), "{part}");
    }
}

#[test]
fn garbage_in_the_middle_ends_a_connection_and_is_written_down() {
    let (server, config) = start("");
    let mut wire = TlsWire::connect(&server, &config, "a.test");
    assert_eq!(wire.get("a.test", "/").unwrap().status, 200);
    wire.stream.sock.write_all(&[23, 3, 3, 0, 30]).unwrap();
    wire.stream.sock.write_all(&[7; 30]).unwrap();
    let error = wire.stream.read(&mut [0; 10]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    let log = server.read_until("access.log", "TLS: ");
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("\"scheme\":\"https\"") && last.contains("\"tls\":\"TLSv1.3\""),
        "{last}"
    );
}

#[test]
fn what_is_no_request_came_encrypted_all_the_same() {
    let (server, config) = start("");
    let mut wire = TlsWire::connect(&server, &config, "a.test");
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost : x\r\n\r\n").unwrap().status, 400);
    let log = server.read_until("access.log", "\"status\":400");
    assert!(log.contains("\"scheme\":\"https\"") && log.contains("\"tls\":\"TLSv1.3\""), "{log}");
}
