//! HTTPS: the same answers, and everything that only encryption brings.

use crate::support::{
    Authority, PATIENCE, Start, TestServer, TlsWire, Wire, eventually, folder, get,
};
use rustls::ClientConfig;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const LISTEN: &str = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n";

/// A server with a certificate for example.org, one for other.test, and somebody who believes both.
fn start(config: &str, files: &[(&str, &str)]) -> (TestServer, Authority) {
    let authority = Authority::new();
    let first = authority.issue(&["example.org", "*.example.org"], "first");
    let second = authority.issue(&["other.test"], "second");
    let certs = "[[tls.cert]]\nchain = \"first.pem\"\nkey = \"first.key\"\n\
        [[tls.cert]]\nchain = \"second.pem\"\nkey = \"second.key\"\n";
    let start = Start::new(&format!("{LISTEN}{config}{certs}{HOSTS}"), files);
    first.write(start.path(), "first");
    second.write(start.path(), "second");
    std::fs::write(start.path().join("authority.pem"), &authority.pem).unwrap();
    (start.run(), authority)
}

const HOSTS: &str = "[[host]]\nnames = [\"example.org\", \"www.example.org\"]\ndefault = true\n\
    root = \"root\"\n[[host]]\nnames = [\"other.test\"]\nrespond = \"other\"\n";

const FILES: &[(&str, &str)] = &[("root/index.html", "home")];

fn client(authority: &Authority) -> Arc<ClientConfig> {
    Arc::new(authority.client())
}

#[test]
fn a_kept_connection_answers_again_and_again() {
    let (server, authority) = start("", FILES);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = Arc::new(authority.client_of(None, &[version]));
        let mut wire = TlsWire::connect(&server, &config, "example.org");
        for _ in 0..3 {
            let response = wire.get("example.org", "/").unwrap();
            assert_eq!((response.status, response.text()), (200, "home"));
        }
        assert_eq!(wire.get("example.org", "/none").unwrap().status, 404);
        let session = &wire.stream.conn;
        assert_eq!(session.protocol_version(), Some(version.version));
    }
}

#[test]
fn a_large_file_arrives_and_ends_with_close_notify() {
    let content: String = (0..3_000_000u32).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let (server, authority) = start("", &[("root/big.txt", &content)]);
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    let request = "GET /big.txt HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
    assert!(wire.ask(request).unwrap().body == content.as_bytes());
    // Without close_notify this would be UnexpectedEof.
    assert_eq!(wire.stream.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn an_upload_arrives() {
    let config = "[[host]]\nnames = [\"example.org\"]\nroot = \"root\"\nupload = true\n";
    let authority = Authority::new();
    let certs = "[[tls.cert]]\nchain = \"first.pem\"\nkey = \"first.key\"\n";
    let start = Start::new(&format!("{LISTEN}{certs}{config}"), &[("root/x", "")]);
    authority.issue(&["example.org"], "first").write(start.path(), "first");
    let server = start.run();
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    let body: Vec<u8> = (0..2_000_000u32).map(|n| (n % 253) as u8).collect();
    let head = format!(
        "PUT /up.bin HTTP/1.1\r\nHost: example.org\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    wire.stream.write_all(head.as_bytes()).unwrap();
    wire.stream.write_all(&body).unwrap();
    assert_eq!(wire.response().unwrap().status, 201);
    assert!(std::fs::read(server.path("root/up.bin")).unwrap() == body);
}

#[test]
fn the_name_chooses_the_certificate_and_binds_the_requests() {
    let (server, authority) = start("", FILES);
    let config = client(&authority);
    for (name, host, status) in [
        ("example.org", "example.org", 200),
        ("example.org", "EXAMPLE.org:8443", 200),
        ("www.example.org", "example.org", 200),
        ("example.org", "www.example.org", 200),
        ("example.org", "other.test", 421),
        ("other.test", "other.test", 200),
        ("other.test", "example.org", 421),
        ("other.test", "nobody.test", 421),
    ] {
        // A certificate without the name would end the handshake here.
        let mut wire = TlsWire::connect(&server, &config, name);
        let response = wire.get(host, "/").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(response.status, status, "{name} {host}");
    }
    let mut wire = TlsWire::connect(&server, &config, "deep.www.example.org");
    assert!(wire.get("example.org", "/").is_err(), "a wildcard is for one label");
}

#[test]
fn of_two_kinds_of_keys_each_client_gets_one_that_it_takes() {
    use rustls::crypto::aws_lc_rs::cipher_suite as suites;
    let authority = Authority::new();
    let certs = "[[tls.cert]]\nchain = \"rsa.pem\"\nkey = \"rsa.key\"\n\
        [[tls.cert]]\nchain = \"ecdsa.pem\"\nkey = \"ecdsa.key\"\n\
        [[tls.cert]]\nchain = \"more.pem\"\nkey = \"more.key\"\n";
    let start = Start::new(&format!("{LISTEN}{certs}[[host]]\nrespond = \"in\"\n"), &[]);
    let (rsa, ecdsa) = (authority.issue_rsa(&["a.test"]), authority.issue(&["a.test"], "a"));
    rsa.write(start.path(), "rsa");
    ecdsa.write(start.path(), "ecdsa");
    authority.issue(&["a.test"], "more").write(start.path(), "more");
    let server = start.run();
    assert!(server.banner.contains("duplicate-certificate"), "{}", server.banner);
    let only_rsa = [suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let both = [only_rsa[0], suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    for (client, want) in [
        (authority.client(), &ecdsa),
        (authority.client_with_suites(&both), &ecdsa),
        (authority.client_with_suites(&only_rsa), &rsa),
    ] {
        let mut wire = TlsWire::connect(&server, &Arc::new(client), "a.test");
        assert_eq!(wire.get("a.test", "/").unwrap().text(), "in");
        let shown = wire.stream.conn.peer_certificates().unwrap()[0].to_vec();
        assert!(shown == want.der(), "another one");
    }
}

#[test]
fn sessions_are_resumed_but_not_under_another_name() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (server, authority) = start("", FILES);
        let config = Arc::new(authority.client_of(None, &[version]));
        let kind = |name: &str| {
            let mut wire = TlsWire::connect(&server, &config, name);
            wire.get(name, "/").unwrap();
            wire.stream.conn.handshake_kind().unwrap()
        };
        assert_eq!(kind("example.org"), rustls::HandshakeKind::Full);
        assert_eq!(kind("example.org"), rustls::HandshakeKind::Resumed);
        assert_eq!(kind("www.example.org"), rustls::HandshakeKind::Full);
    }
    let (server, authority) = start("[tls]\ntickets = false\n", FILES);
    let config = client(&authority);
    for _ in 0..2 {
        let mut wire = TlsWire::connect(&server, &config, "example.org");
        wire.get("example.org", "/").unwrap();
        assert_eq!(wire.stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[test]
fn the_oldest_version_can_be_raised() {
    let (server, authority) = start("[tls]\nmin_version = \"1.3\"\n", FILES);
    let old = Arc::new(authority.client_of(None, &[&rustls::version::TLS12]));
    let mut wire = TlsWire::connect(&server, &old, "example.org");
    assert!(wire.get("example.org", "/").is_err());
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
    server.read_until("access.log", "400");
}

#[test]
fn protocols_are_agreed_on_or_not_at_all() {
    let (server, authority) = start("", FILES);
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("http/1.1")),
        (&["http/1.0"], Some("http/1.0")),
        (&[], None),
        (&["h2"], Some("refused")),
    ] {
        let mut config = authority.client();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut wire = TlsWire::connect(&server, &Arc::new(config), "example.org");
        let answer = wire.get("example.org", "/");
        if agreed == Some("refused") {
            assert!(answer.is_err());
            continue;
        }
        assert_eq!(answer.unwrap().status, 200);
        assert_eq!(wire.stream.conn.alpn_protocol(), agreed.map(str::as_bytes));
    }
}

#[test]
fn plain_http_on_the_port_is_told_so() {
    let (server, _) = start("[log]\nformat = \"json\"\naccess = \"access.log\"\n[tls]\n", FILES);
    let mut wire = Wire::to(server.secure);
    let response = wire.send(get("/")).response();
    assert_eq!(response.status, 400);
    assert!(response.header("Content-Type").unwrap().starts_with("text/plain"));
    assert!(response.text().contains("https://"), "{}", response.text());
    assert!(wire.is_closed());
    server.read_until("access.log", "plain HTTP where TLS is spoken");
}

#[test]
fn garbage_is_refused_at_once() {
    let (server, _) = start("", FILES);
    for garbage in
        [&b"\0\0\0\0\0\0\0\0"[..], b"\x80\x2e\x01\x00\x02", b"hello\r\n", &[0xff; 2000], b"\x15"]
    {
        let mut stream = TcpStream::connect(server.secure).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(garbage).unwrap();
        let mut said = Vec::new();
        if let Err(error) = stream.read_to_end(&mut said) {
            assert!(error.kind() != ErrorKind::WouldBlock, "nobody refused it");
        }
        assert!(said.len() <= 7, "an alert at most: {said:?}");
    }
    server.read_until("access.log", "400");
}

#[test]
fn a_slow_handshake_is_reaped_and_a_cut_one_leaks_nothing() {
    let (server, authority) = start("[timeouts]\nhandshake = \"400ms\"\n", FILES);
    let mut hello = Vec::new();
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    wire.stream.conn.write_tls(&mut hello).unwrap();
    drop(wire);
    let before = server.descriptors_of_watcher();
    let mut slow = Vec::new();
    for n in 0..60 {
        let mut stream = TcpStream::connect(server.secure).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let cut = hello.len() * n / 60;
        stream.write_all(&hello[..cut]).unwrap();
        match n % 3 {
            // Hangs.
            0 => slow.push(stream),
            // Ends its side in the middle.
            1 => {
                let _ = stream.shutdown(Shutdown::Write);
                slow.push(stream);
            }
            // Resets in the middle.
            _ => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
        }
    }
    for mut stream in slow {
        let mut rest = Vec::new();
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert!(error.kind() != ErrorKind::WouldBlock, "nobody reaped it");
        }
    }
    eventually(|| (server.descriptors() <= before).then_some(())).expect("descriptors leak");
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
    // The deadline of the handshake is over with the handshake.
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
}

#[test]
fn an_end_without_close_notify_is_an_end() {
    let (server, authority) = start("", FILES);
    let before = server.descriptors_of_watcher();
    for _ in 0..5 {
        let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
        assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
        // Both directions at once, and nothing said about it.
        wire.stream.sock.shutdown(Shutdown::Both).unwrap();
    }
    eventually(|| (server.descriptors() <= before).then_some(())).expect("descriptors leak");
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let (server, authority) = start("", FILES);
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    wire.stream.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").unwrap();
    wire.stream.conn.send_close_notify();
    wire.stream.flush().unwrap();
    assert_eq!(wire.response().unwrap().text(), "home");
}

#[test]
fn a_half_closed_client_that_reads_slowly_loses_no_end_of_its_answers() {
    let content = "forty thousand bytes".repeat(2000);
    let (server, authority) = start("", &[("root/file.txt", &content)]);
    let request = "GET /file.txt HTTP/1.1\r\nHost: example.org\r\n\r\n";
    // Both ways to say that nothing more comes; at last a request that is cut.
    for (says_so, last) in [(true, ""), (false, ""), (true, "GET /fi"), (false, "GET /fi")] {
        let mut wire = TlsWire::narrow(&server, &client(&authority), "example.org");
        let asked = request.repeat(10) + last;
        wire.stream.write_all(asked.as_bytes()).unwrap();
        if says_so {
            wire.stream.conn.send_close_notify();
            wire.stream.flush().unwrap();
        } else {
            wire.stream.sock.shutdown(Shutdown::Write).unwrap();
        }
        // The kernel is full, and the server has read that this is all.
        std::thread::sleep(Duration::from_millis(300));
        for n in 0..10 {
            let response = wire.response().unwrap_or_else(|error| panic!("{n}, {last:?}: {error}"));
            assert!(response.body == content.as_bytes(), "{n}");
        }
        // Without close_notify this would be UnexpectedEof.
        assert_eq!(wire.stream.read(&mut [0; 10]).unwrap(), 0);
    }
}

#[test]
fn answers_before_half_a_body_arrive_whole() {
    let content = "forty thousand bytes".repeat(2000);
    let uploads = "[[host]]\nnames = [\"up.example.org\"]\nroot = \"root\"\nupload = true\n";
    let (server, authority) = start(uploads, &[("root/file.txt", &content)]);
    let mut wire = TlsWire::narrow(&server, &client(&authority), "example.org");
    let request = "GET /file.txt HTTP/1.1\r\nHost: example.org\r\n\r\n".repeat(10);
    let upload = "PUT /x HTTP/1.1\r\nHost: up.example.org\r\nContent-Length: 99\r\n\r\nhalf";
    wire.stream.write_all((request + upload).as_bytes()).unwrap();
    wire.stream.conn.send_close_notify();
    wire.stream.flush().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    for n in 0..10 {
        let response = wire.response().unwrap_or_else(|error| panic!("{n}: {error}"));
        assert!(response.body == content.as_bytes(), "{n}");
    }
}

#[test]
fn requests_come_pipelined_and_byte_by_byte() {
    let (server, authority) = start("", FILES);
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    let request = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
    wire.stream.write_all(request.repeat(40).as_bytes()).unwrap();
    for _ in 0..40 {
        assert_eq!(wire.response().unwrap().text(), "home");
    }
    // Each byte in a record of its own.
    for byte in request.as_bytes() {
        wire.stream.write_all(&[*byte]).unwrap();
        wire.stream.flush().unwrap();
    }
    assert_eq!(wire.response().unwrap().text(), "home");
}

#[test]
fn hosts_say_what_becomes_of_plain_requests() {
    let authority = Authority::new();
    let config = "[tls]\nhsts = \"180d\"\n[[tls.cert]]\nchain = \"c.pem\"\nkey = \"c.key\"\n\
        [[host]]\nnames = [\"a.test\", \"*.a.test\"]\ndefault = true\nhttps = \"redirect\"\nrespond = \"a\"\n\
        [[host]]\nnames = [\"b.test\"]\nhttps = \"only\"\nhsts = \"1d\"\nrespond = \"b\"\n\
        [[host]]\nnames = [\"c.test\"]\nrespond = \"c\"\n";
    let start = Start::new(&format!("{LISTEN}{config}"), &[]);
    authority.issue(&["a.test", "b.test", "c.test"], "c").write(start.path(), "c");
    let server = start.run();
    let port = server.secure.port();
    for (host, status, location) in [
        ("a.test", 308, Some(format!("https://a.test:{port}/x%20y?q=1&r"))),
        ("www.a.test:80", 308, Some(format!("https://www.a.test:{port}/x%20y?q=1&r"))),
        ("evil.test", 308, Some(format!("https://a.test:{port}/x%20y?q=1&r"))),
        ("b.test", 421, None),
        ("c.test", 200, None),
    ] {
        // Routes for `/` alone answer everything below it.
        let request = format!("GET /x%20y?q=1&r HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = server.ask(request);
        assert_eq!(response.status, status, "{host}");
        assert_eq!(response.header("Location").map(str::to_owned), location, "{host}");
        assert_eq!(response.header("Strict-Transport-Security"), None, "never in the clear");
        let says_what_to_do = response.text().contains("Write https:// in front");
        assert_eq!(says_what_to_do, status == 421, "{}", response.text());
    }
    let config = client(&authority);
    for (host, hsts) in
        [("a.test", Some("max-age=15552000")), ("b.test", Some("max-age=86400")), ("c.test", None)]
    {
        let mut wire = TlsWire::connect(&server, &config, host);
        for (path, status) in [("/", 200), ("/%00", 400)] {
            let response = wire.get(host, path).unwrap();
            assert_eq!(response.status, status);
            assert_eq!(response.header("Strict-Transport-Security"), hsts, "{host} {path}");
        }
    }
}

#[test]
fn two_lines_in_a_host_are_enough() {
    let authority = Authority::new();
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\n[[host]]\nnames = [\"a.test\"]\n\
        root = \"root\"\ntls = { cert = \"c.pem\", key = \"c.key\" }\n";
    let start = Start::new(config, FILES);
    authority.issue(&["a.test"], "c").write(start.path(), "c");
    let server = start.run();
    assert!(server.banner.contains("1 certificate, next expiry in"), "{}", server.banner);
    let mut wire = TlsWire::connect(&server, &client(&authority), "a.test");
    assert_eq!(wire.get("a.test", "/").unwrap().text(), "home");
}

#[test]
fn a_folder_is_served_with_a_certificate_of_its_own() {
    let files = folder(&[("index.html", "quick")]);
    let place = files.path().to_owned();
    let server =
        Start::quick(files, &place, &["--tls-self", "-b", "https://127.0.0.1", "-b", "unix:sock"])
            .run();
    assert!(server.banner.contains("plain-socket"), "{}", server.banner);
    let state = server.path("state/.tls");
    let key = std::fs::metadata(state.join("local.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let pem = std::fs::read_to_string(state.join("local.pem")).unwrap();
    let mut believer = Authority::new();
    believer.pem.clone_from(&pem);
    let mut wire = TlsWire::connect(&server, &client(&believer), "localhost");
    assert_eq!(wire.get("localhost", "/").unwrap().text(), "quick");
    drop(server);
    // With files of one's own.
    let files = folder(&[("index.html", "quick")]);
    let authority = Authority::new();
    authority.issue(&["localhost"], "own").write(files.path(), "own");
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["--tls", "own.pem", "own.key"]).run();
    let mut wire = TlsWire::connect(&server, &client(&authority), "localhost");
    assert_eq!(wire.get("localhost", "/").unwrap().text(), "quick");
}

#[test]
fn a_reader_that_never_reads_is_ended_and_costs_little() {
    let content = "x".repeat(64 * 1024 * 1024);
    let limits = "[timeouts]\nwrite = \"500ms\"\n[tls]\n";
    let (server, authority) = start(limits, &[("root/big.txt", &content)]);
    let before = server.resident_kib();
    let config = client(&authority);
    let mut wires = Vec::new();
    for _ in 0..8 {
        let mut wire = TlsWire::connect(&server, &config, "example.org");
        let request = "GET /big.txt HTTP/1.1\r\nHost: example.org\r\n\r\n";
        wire.stream.write_all(request.as_bytes()).unwrap();
        wires.push(wire);
    }
    server.read_until("access.log", "/big.txt");
    assert!(server.resident_kib() < before + 8 * 1024, "{} KiB", server.resident_kib() - before);
    for wire in &mut wires {
        // It was cut, and does not look like an end.
        let mut got = Vec::new();
        assert!(wire.stream.read_to_end(&mut got).is_err() && got.len() < content.len());
    }
}

#[test]
fn an_idle_client_is_told_goodbye_by_time_and_by_a_stop() {
    let (server, authority) = start("[timeouts]\nidle = \"300ms\"\n[tls]\n", FILES);
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
    assert_eq!(wire.stream.read(&mut [0; 10]).unwrap(), 0, "close_notify, not just an end");
    let (mut server, authority) = start("", FILES);
    let mut wire = TlsWire::connect(&server, &client(&authority), "example.org");
    assert_eq!(wire.get("example.org", "/").unwrap().status, 200);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(wire.stream.read(&mut [0; 10]).unwrap(), 0);
    assert_eq!(server.wait().code(), Some(0));
}

/// Another implementation's opinion: Python's ssl, which is OpenSSL.
const PYTHON: &str = r#"
import http.client, socket, ssl, sys
port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["http/1.1"])

def connect(context, session=None):
    raw = socket.create_connection(("127.0.0.1", port), 20)
    return context.wrap_socket(raw, server_hostname="example.org", session=session)

def get(s, path):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n".encode())
    answer = http.client.HTTPResponse(s)
    answer.begin()
    return answer.status, answer.read()

for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context.minimum_version = context.maximum_version = version
    s = connect(context)
    assert s.selected_alpn_protocol() == "http/1.1", s.selected_alpn_protocol()
    assert ("DNS", "example.org") in s.getpeercert()["subjectAltName"]
    assert get(s, "/") == (200, b"home")
    status, body = get(s, "/big.txt")
    assert status == 200 and len(body) == 1000000, (status, len(body))
    session = s.session
    s.unwrap().close()          # close_notify, and the answer to it
    again = connect(context, session)
    assert get(again, "/") == (200, b"home") and again.session_reused, version
    again.close()

context.maximum_version = ssl.TLSVersion.TLSv1_3
s = connect(context)
s.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
s.suppress_ragged_eofs = False
data = b""
while piece := s.recv(1000):    # an end without close_notify would raise
    data += piece
assert data.endswith(b"home"), data
print("fine")
"#;

#[test]
fn python_agrees() {
    let (server, _) =
        start("", &[("root/index.html", "home"), ("root/big.txt", &"b".repeat(1_000_000))]);
    let output = std::process::Command::new("python3")
        .args(["-c", PYTHON, &server.secure.port().to_string()])
        .arg(server.path("authority.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("fine"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
