//! Applications that turn against the server: they find the socket of their worker and write frames of
//! their own. A breach ends the worker; the server, other requests and other sites go on.

use crate::support::{Start, TestServer, Wire, eventually, get};
use std::time::Duration;

/// An application that says on the worker's own socket what the body of the request tells it to, and the
/// page of shared memory that goes with it.
const APP: &str = r#"
import os, socket, stat, struct, sys, threading, time

def line():
    for number in os.listdir("/proc/self/fd"):
        try:
            if int(number) > 2 and stat.S_ISSOCK(os.fstat(int(number)).st_mode):
                return socket.socket(fileno=os.dup(int(number)))
        except OSError:
            pass

sock = line()

def say(kind, flags=0, status=0, id=0, rest=b""):
    sock.sendall(struct.pack("<IIBBH", 8 + len(rest), id, flags, kind, status) + rest)

def answer(id, body, end=1, fields=b""):
    say(3, end, 200, id, struct.pack("<I", len(fields)) + fields + body)

def with_file(data, number):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", number))])

def application(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [])
        return [b"%d" % os.getpid()]
    me = local("number")
    exec(environ["wsgi.input"].read().decode(), dict(globals(), me=me))
    start_response("200 OK", [])
    return [b"done"]

def local(name):
    """A variable of the worker's loop: the id of the request, the page of memory."""
    frame = sys._getframe()
    while "number" not in frame.f_locals or "board" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name]
"#;

fn server(keys: &str) -> TestServer {
    let config = format!(
        "[app.a]\nwsgi = \"a\"\n{keys}\n[[host]]\napp = \"a\"\n\
         [[host.route]]\npath = \"/fine\"\nrespond = \"fine\"\n"
    );
    Start::new(&config, &[("a.py", APP)]).run()
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn every_breach_ends_the_worker_and_nothing_else() {
    let breaches = [
        ("a changed source, without `reload`", "say(8)"),
        ("a changed source, without `reload`", "[say(8) for n in range(1000)]"),
        ("it says twice whether it is ready", "say(1, 0, 2, 0, b'3.9')"),
        ("it says twice whether it is ready", "say(2, 0, 2, 0, b'why')"),
        ("an answer that nobody has asked for", "answer(me + 1, b'x')"),
        ("an answer that nobody has asked for", "answer(0, b'x')"),
        ("an answer that nobody has asked for", "answer(me, b'x'); answer(me, b'x')"),
        ("an answer that nobody has asked for", "answer(me, b'x'); say(4, 0, 0, me, b'more')"),
        ("an answer that nobody has asked for", "answer(me, b'x'); say(7, 1, 0, me, b'E')"),
        ("an answer out of order", "answer(me, b'x', 0); answer(me, b'y')"),
        ("an answer out of order", "say(4, 1, 0, me, b'x')"),
        ("an answer out of order", "answer(me, b'x', 0); [say(4, 0, 0, me) for n in range(9)]"),
        ("a frame without its file", "answer(me, b'', 0); say(5, 1, 0, me, b'\\0' * 16)"),
        (
            "a frame without its file",
            "answer(me, b'', 0)\nr, w = os.pipe()\n\
             with_file(struct.pack('<IIBBHQQ', 24, me, 1, 5, 0, 0, 9), r)",
        ),
        (
            "a frame of kind 5 that is inconsistent",
            "answer(me, b'', 0); say(5, 1, 0, me, struct.pack('<QQ', 2**63, 1))",
        ),
        (
            "descriptors without frames",
            "[with_file(bytes([b]), 0) for b in struct.pack('<IIBBH', 999, me, 0, 4, 0)]",
        ),
        ("a request given back that it does not have", "say(6, 0, 0, me)"),
        ("a request given back that it does not have", "say(6, 0, 0, me + 5)"),
        ("a frame of the unknown kind 9", "say(9)"),
        ("a frame of 4294967295 bytes", "sock.sendall(b'\\xff' * 64)"),
        ("a frame of 7 bytes", "sock.sendall(b'\\7\\0\\0\\0' * 16)"),
        ("the status 99", "say(3, 1, 99, me, b'\\0' * 4)"),
        ("a frame of kind 3 that is inconsistent", "say(3, 1, 200, me, b'\\xff\\xff\\0\\0')"),
        ("a frame of kind 6 that is inconsistent", "say(6, 0, 0, me, b'x')"),
        ("a frame of kind 7 that is inconsistent", "say(7, 1, 0, me, b'E' * 9000)"),
        ("a frame of kind 1 that is inconsistent", "say(1, 0, 2, 0, b'3' * 9000)"),
    ];
    for (why, code) in breaches {
        let server = server("workers = 1\ntimeout = \"60s\"");
        let mut wire = Wire::connect(&server);
        // It does not come back by itself: what the server does is all there is.
        wire.send(post(&format!("{code}\ntime.sleep(60)")));
        let log = server.read_until("stderr.txt", "breaks the protocol");
        assert_eq!(server.get("/fine").text(), "fine");
        if let Ok(answer) = wire.try_response("POST") {
            let status = answer.map(|answer| answer.status);
            assert!(matches!(status, None | Some(200 | 502)), "{code}: {status:?}");
        }
        let answer = eventually(|| Some(server.get("/pid")).filter(|answer| answer.status == 200));
        assert!(answer.is_some(), "{code}: no worker follows: {log}");
        let log = server.read("stderr.txt");
        let said: Vec<_> = log.lines().filter(|line| line.contains("breaks")).collect();
        assert!(said.len() == 1 && said[0].ends_with(why), "{code}: {said:?}");
        assert!(!log.contains("new workers"), "{code}: {log}");
    }
}

/// What is not forbidden and comes without end costs others next to nothing.
#[test]
fn floods_of_a_worker_hold_nobody_up() {
    for (name, code) in [
        (
            "one byte a frame",
            "answer(me, b'', 0)\nframe = struct.pack('<IIBBH', 9, me, 0, 4, 0) + b'x'\n\
                              while True: sock.sendall(frame * 5000)",
        ),
        (
            "whole pieces",
            "answer(me, b'', 0)\nframe = struct.pack('<IIBBH', 65544, me, 0, 4, 0)\n\
                          while True: sock.sendall(frame + b'x' * 65536)",
        ),
        ("lines of a log", "while True: os.write(2, b'\\n' * 65536)"),
        ("short lines of a log", "while True: os.write(2, b'x\\n' * 32768)"),
        ("a line without end", "while True: os.write(2, b'x' * 65536)"),
    ] {
        let server = server("workers = 1\ntimeout = \"60s\"");
        let before = server.resident_kib();
        let mut wire = Wire::connect(&server);
        wire.send(post(code));
        let cpu = server.cpu();
        // Until it has cost the server something.
        let burnt = eventually(|| {
            let is_told = server.read("stderr.txt").contains("bytes more, not logged");
            (is_told || server.cpu() > cpu + Duration::from_millis(50)).then_some(())
        });
        assert!(burnt.is_some(), "{name}");
        for _ in 0..50 {
            assert_eq!(server.get("/fine").text(), "fine", "{name}");
        }
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown < 64 * 1024, "{name}: {grown} KiB more");
        assert!(server.path("stderr.txt").metadata().unwrap().len() < 4 << 20, "{name}");
        drop(wire);
    }
}

/// A worker that gives everything back, whatever it says it has begun: nobody waits for ever.
#[test]
fn a_worker_that_gives_everything_back_is_ended() {
    let server = server("workers = 1\ntimeout = \"60s\"\nqueue_timeout = \"20s\"");
    let takes_over = "local('board')[0] = 0\n\
        local('receive_lock').acquire()\n\
        answer(me, b'taken over')\n\
        data = b''\n\
        while True:\n    \
            while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], 'little'):\n        \
                data += sock.recv(65536)\n    \
            length = 4 + int.from_bytes(data[:4], 'little')\n    \
            number = int.from_bytes(data[4:8], 'little')\n    \
            data = data[length:]\n    \
            say(6, 0, 0, number)";
    assert_eq!(server.ask(post(takes_over)).text(), "taken over");
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(&server)).collect();
    for wire in &mut wires {
        wire.send(get("/pid"));
    }
    for wire in &mut wires {
        assert!([200, 502].contains(&wire.response().status));
    }
    server
        .read_until("stderr.txt", "breaks the protocol and is replaced: it gives back everything");
}
