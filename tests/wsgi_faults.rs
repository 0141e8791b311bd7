//! Workers that do not keep to what was agreed, and clients that do not either.

use crate::support::{PATIENCE, Start, TestServer, Wire, eventually, get};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// A server whose Python is this program instead: it is spoken to like a worker.
fn server_of(worker: &str, timeout: &str) -> TestServer {
    let config = &format!(
        "[app.odd]\nwsgi = \"odd\"\npython = \"worker\"\nworkers = 1\ntimeout = \"{timeout}\"\n\
         [[host]]\napp = \"odd\"\n[[host.route]]\npath = \"/fine\"\nrespond = \"fine\"\n"
    );
    let program = format!("#!/usr/bin/env python3\n{PRELUDE}{worker}");
    let start = Start::new(config, &[("worker", &program)]);
    let path = start.path().join("worker");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    start.run()
}

/// Reads what every worker is told, and has words for answers.
const PRELUDE: &str = r#"
import os, re, socket, struct, sys, time
sock = socket.socket(fileno=os.dup(0))
length = int(re.search(r"<(\d+)", sys.argv[2]).group(1))
def take(n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            sys.exit()
        data += more
    return data
def frame():
    return take(struct.unpack("<I", take(4))[0])
def say(kind, flags, status, id, rest=b""):
    sock.sendall(struct.pack("<IIBBH", 8 + len(rest), id, flags, kind, status) + rest)
def answer(id, body, end=1):
    say(3, end, 200, id, struct.pack("<I", 0) + body)
take(length)
frame()
say(1, 0, 2, 0, b"3.x")
def request():
    data = frame()
    return struct.unpack_from("<I", data)[0]
"#;

#[test]
fn what_is_no_frame_ends_the_worker_and_nothing_else() {
    for (name, worker) in [
        ("a length beyond all", "request()\nsock.sendall(b'\\xff' * 100)\ntime.sleep(60)"),
        ("a length below all", "request()\nsock.sendall(b'\\x01\\0\\0\\0' * 100)\ntime.sleep(60)"),
        ("an unknown kind", "say(77, 0, 0, request())\ntime.sleep(60)"),
        ("an answer to nobody", "answer(request() + 1, b'x')\ntime.sleep(60)"),
        ("an unasked answer", "request()\nanswer(0, b'x')\ntime.sleep(60)"),
        (
            "headers beyond the frame",
            "say(3, 1, 200, request(), b'\\xff\\0\\0\\0')\ntime.sleep(60)",
        ),
        ("a status that is none", "say(3, 1, 7, request(), b'\\0\\0\\0\\0')\ntime.sleep(60)"),
        ("a body without head", "say(4, 1, 0, request(), b'x')\ntime.sleep(60)"),
        ("a file that did not come", "say(5, 1, 0, request(), b'\\0' * 16)\ntime.sleep(60)"),
        ("given back, though begun", "say(6, 0, 0, request())\ntime.sleep(60)"),
        ("two heads", "i = request()\nanswer(i, b'x', 0)\nanswer(i, b'x')\ntime.sleep(60)"),
        ("the end", "request()"),
        ("half a frame", "request()\nsock.sendall(b'\\x20\\0\\0\\0\\3')"),
        ("silence", "request()\ntime.sleep(60)"),
    ] {
        let server = server_of(worker, "1s");
        let mut wire = Wire::connect(&server);
        wire.send(get("/"));
        // Nobody gets an answer that looks whole, and nobody waits for ever.
        match wire.try_response("GET") {
            Ok(Some(response)) => {
                assert!([502, 504].contains(&response.status), "{name}: {}", response.status);
            }
            Ok(None) => panic!("{name}: no answer at all"),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{name}"),
        }
        assert_eq!(server.get("/fine").text(), "fine", "{name}");
    }
}

#[test]
fn a_flood_is_read_only_as_far_as_there_is_room() {
    let server = server_of(
        "i = request()\nanswer(i, b'', 0)\nwhile True:\n    say(4, 0, 0, i, b'x' * 65536)",
        "1s",
    );
    let before = server.resident_kib();
    let mut wire = Wire::connect(&server);
    wire.send(get("/"));
    wire.head().unwrap().unwrap();
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert_eq!(server.get("/fine").text(), "fine");
        std::thread::sleep(Duration::from_millis(50));
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

#[test]
fn a_log_without_end_and_without_lines_is_bounded() {
    let server = server_of(
        "i = request()\nfor n in range(200):\n    os.write(2, b'y' * 50000)\nanswer(i, b'done')\ntime.sleep(60)",
        "20s",
    );
    let before = server.resident_kib();
    assert_eq!(server.get("/").text(), "done");
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

/// An application of large and small answers.
const APP: &str = r#"
import time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/big":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"0123456789abcdef" * 65536 * 10]
    if path == "/slowly":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return slowly()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body) + 5))])
    return [b"hello" + body]
def slowly():
    for n in range(5):
        yield b"x" * 1000
        time.sleep(0.02)
"#;

fn server(workers: usize) -> TestServer {
    let config = format!(
        "[app.a]\nwsgi = \"a\"\nworkers = {workers}\nqueue = 1000\nqueue_timeout = \"30s\"\n\
         [[host]]\napp = \"a\"\n"
    );
    Start::new(&config, &[("a.py", APP)]).run()
}

#[test]
fn slow_readers_hold_no_worker() {
    let server = server(1);
    let mut slow: Vec<_> = (0..20).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send(get("/big"));
    }
    // All of them have an answer of 10 MiB coming, and read nothing of it.
    assert_eq!(server.get("/").text(), "hello");
    for wire in &mut slow {
        let body = wire.response().body;
        assert_eq!(body.len(), 10 * 1024 * 1024);
        assert!(body.chunks(16).all(|chunk| chunk == b"0123456789abcdef"));
    }
}

/// A worker gives back what a long call holds up, while new requests come in: what it says of the ones
/// and of the others arrives in an order that makes sense.
#[test]
fn requests_given_back_are_not_mixed_up_with_answers() {
    let server = server(2);
    for _ in 0..3 {
        // Workers that have proven to be quick are sent several at once. Some clients leave early.
        let mut quick: Vec<_> = (0..8).map(|_| Wire::connect(&server)).collect();
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            for wire in &mut quick {
                wire.send(get("/"));
            }
            for wire in &mut quick {
                assert_eq!(wire.response().text(), "hello");
            }
        }
        for wire in &mut quick {
            wire.send(get("/"));
        }
        drop(quick);
        let mut long: Vec<_> = (0..40).map(|_| Wire::connect(&server)).collect();
        for wire in &mut long {
            wire.send(get("/big"));
        }
        for wire in &mut long {
            let head = wire.head().unwrap().unwrap();
            assert!(head.contains(" 200 "), "{head}{}", server.read("stderr.txt"));
        }
    }
    let log = server.read("stderr.txt");
    assert!(!log.contains("breaks the protocol"), "{log}");
}

#[test]
fn slow_senders_hold_no_worker() {
    let server = server(1);
    let mut slow: Vec<_> = (0..20).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc");
    }
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "hello");
    }
    for wire in &mut slow {
        assert_eq!(wire.send("def").response().text(), "helloabcdef");
    }
}

#[test]
fn clients_that_go_leave_nothing_behind() {
    let server = server(2);
    server.get("/");
    let before = server.descriptors();
    for round in 0..40 {
        let mut wire = Wire::connect(&server);
        match round % 5 {
            0 => drop(wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")),
            1 => drop(wire.send(get("/"))),
            2 => drop(wire.send(get("/big"))),
            3 => {
                wire.send(get("/big"));
                wire.take(100_000).unwrap();
            }
            _ => {
                wire.send(get("/slowly"));
                wire.take(500).unwrap();
            }
        }
    }
    assert_eq!(server.get("/").text(), "hello");
    let settled = eventually(|| (server.descriptors() <= before).then_some(()));
    assert!(settled.is_some(), "{} descriptors, {before} before", server.descriptors());
}

/// One, four and sixteen workers, each with more clients than workers.
#[test]
fn any_number_of_workers_answers_everybody() {
    for workers in [1, 4, 16] {
        let server = server(workers);
        std::thread::scope(|scope| {
            for client in 0..24 {
                let server = &server;
                scope.spawn(move || {
                    let mut wire = Wire::connect(server);
                    for n in 0..40 {
                        let body = format!("{client}.{n}");
                        let request = format!(
                            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        assert_eq!(wire.send(request).response().text(), format!("hello{body}"));
                        if n % 20 == 7 {
                            assert_eq!(wire.get("/slowly").body.len(), 5000);
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn a_client_may_end_its_side_before_the_answer() {
    let server = server(1);
    let mut wire = Wire::connect(&server);
    wire.send(get("/slowly")).finish();
    assert_eq!(wire.response().body.len(), 5000);
    let mut rest = Vec::new();
    wire.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    wire.stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

/// What cannot be sent is the application's mistake: its worker stays, and so does what it has done.
#[test]
fn a_head_that_cannot_be_sent_is_an_error_and_ends_no_worker() {
    let app = r#"
import os
def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    size = 16
    if name == "long":
        size = 70000
    if name == "longer":
        size = 140000
    start_response(name if name.isdigit() else "200", [("X-Long", "a" * size)])
    if name == "name":
        raise type("Long" * 100000, (Exception,), {})
    return [b"%06d" % os.getpid() + b"x" * 65530]
"#;
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\n[[host]]\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", app)]).run();
    let first = server.get("/200");
    for path in ["/999", "/600", "/199", "/long", "/longer", "/name"] {
        assert_eq!(server.get(path).status, 500, "{path}");
    }
    assert_eq!(server.get("/599").status, 599);
    assert_eq!(server.get("/200").body, first.body, "still the same worker");
    let log = server.read_until("stderr.txt", "ValueError: the headers have 140007 bytes");
    assert!(log.contains("the status '600' is not that of a final answer"), "{log}");
    assert!(!log.contains("protocol"), "{log}");
}
