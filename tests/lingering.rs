//! Answers that are given before a request's body was read reach clients that send all of it first
//! (RFC 9112 §9.6), and nothing is held for long for those that never stop.

use crate::cgi::{scripts, text};
use crate::support::{Authority, Start, TestServer, TlsWire, Wire, eventually, get};
use rustix::process::Signal;
use std::io::Write;
use std::sync::Arc;

/// Beyond what the kernel holds on both sides, and beyond every bound in bytes there was.
const BODY: usize = 24 * 1024 * 1024;

const CONFIG: &str = r#"
[limits]
body = "1GiB"
[[host]]
root = "root"
  [[host.route]]
  path = "/locked"
  respond = "never seen"
  auth = { users = "users" }
  [[host.route]]
  path = "/closed"
  respond = "never seen"
  allow = "192.0.2.1"
  [[host.route]]
  path = "/moved"
  redirect = { to = "/a.txt", status = 308 }
  [[host.route]]
  path = "/open"
  respond = "LONG"
"#;

const FILES: &[(&str, &str)] = &[
    ("users", "x:$2b$04$abcdefghijklmnopqrstuuJ3o3SyN7RGOoBwYGHg4GdLTbxzVo7aS\n"),
    ("root/a.txt", "a"),
];

/// Requests with more body than is read, and their answers.
const EARLY: [(&str, &str, u16); 6] = [
    ("/a.txt", "", 405),
    ("/locked", "", 401),
    ("/closed", "", 403),
    ("/moved", "", 308),
    ("/a.txt", "Expect: the-unexpected\r\n", 417),
    ("/a.txt", "Content_Length: 3\r\n", 400),
];

const TOO_LONG: &str = "POST /open HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999\r\n\r\n";

/// One chunk as long as `BODY`, without its end.
fn chunked(head: &str) -> String {
    format!("{head}Transfer-Encoding: chunked\r\n\r\n{BODY:x}\r\n")
}

fn with_length(head: &str) -> String {
    format!("{head}Content-Length: {BODY}\r\n\r\n")
}

/// Sends everything, and only then reads: the status, and whether the answer says that it is the last.
/// A reset while sending or reading fails.
fn send_first(server: &TestServer, head: &str) -> (u16, bool) {
    let mut wire = Wire::connect(server);
    wire.stream.write_all(head.as_bytes()).expect(head);
    wire.stream.write_all(&vec![b'x'; BODY]).expect(head);
    let response = wire.response();
    assert!(wire.finish().is_closed(), "{head}");
    (response.status, response.header("Connection") == Some("close"))
}

#[test]
fn answers_reach_clients_that_send_everything_first() {
    let server = TestServer::new(CONFIG, FILES);
    for (path, lines, status) in EARLY {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{lines}");
        assert_eq!(send_first(&server, &with_length(&head)), (status, true), "{head}");
        // Chunks are read to their end, as far as time allows, and the connection goes on.
        let kept = !matches!(status, 400 | 417);
        let got = send_first(&server, &chunked(&head));
        assert_eq!(got, (status, !kept), "chunked, {head}");
    }
    assert_eq!(send_first(&server, TOO_LONG), (413, true));
    let missing = chunked("GET /none HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(send_first(&server, &missing), (404, false));
    let long_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(100_000));
    for (start, status) in [(&*long_head, 431), ("GET /", 414), ("{", 400)] {
        assert_eq!(send_first(&server, start), (status, true));
    }
}

#[test]
fn answers_reach_clients_that_send_everything_first_by_tls() {
    let authority = Authority::new();
    let config = format!(
        "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
         [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n{CONFIG}"
    );
    let start = Start::new(&config, FILES);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    let server = start.run();
    let client = Arc::new(authority.client());
    for (head, status) in
        [(TOO_LONG.to_owned(), 413), (chunked("POST /locked HTTP/1.1\r\nHost: a.test\r\n"), 401)]
    {
        let mut wire = TlsWire::connect(&server, &client, "a.test");
        wire.stream.write_all(head.as_bytes()).unwrap();
        for piece in vec![b'x'; BODY].chunks(64 * 1024) {
            wire.stream.write_all(piece).unwrap();
        }
        assert_eq!(wire.response().unwrap().status, status, "{head}");
    }
}

/// An answer that does not fit into the kernel, to a body that nobody reads.
#[test]
fn long_answers_reach_clients_that_send_everything_first() {
    let long = "x".repeat(6_000_000);
    let config = CONFIG.replace("LONG", &long);
    let server = TestServer::new(&config, FILES);
    for framed in [with_length, chunked] {
        let mut wire = Wire::connect(&server);
        let head = framed("POST /open HTTP/1.1\r\nHost: a\r\n");
        wire.stream.write_all(head.as_bytes()).unwrap();
        wire.stream.write_all(&vec![b'x'; BODY]).unwrap();
        let response = wire.response();
        assert_eq!((response.status, response.body.len()), (200, long.len()));
    }
}

/// Clients that send without end keep neither others out nor a stop waiting for long.
#[test]
fn who_never_stops_sending_holds_nothing_up() {
    let config = CONFIG.replace("[limits]\n", "[limits]\nconnections = 5\n");
    let mut server = TestServer::new(&config, FILES);
    let mut endless: Vec<_> = (0..4)
        .map(|_| {
            let mut wire = Wire::connect(&server);
            wire.send(TOO_LONG);
            assert_eq!(wire.response().status, 413);
            std::thread::spawn(move || while wire.stream.write_all(&[b'x'; 65536]).is_ok() {})
        })
        .collect();
    let mut others: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut others {
        assert_eq!(wire.send(get("/a.txt")).response().text(), "a", "makes room");
    }
    drop(others);
    let mut last = Wire::connect(&server);
    last.send(TOO_LONG);
    assert_eq!(last.response().status, 413);
    endless
        .push(std::thread::spawn(move || while last.stream.write_all(&[b'x'; 65536]).is_ok() {}));
    server.signal(Signal::TERM);
    assert!(eventually(|| server.has_ended().then_some(())).is_some(), "the stop waits");
    endless.into_iter().for_each(|thread| thread.join().unwrap());
}

/// An answer that is given while much of its request's body is missing says that it is the last;
/// otherwise the request behind the body is answered (RFC 9112 §9.6).
#[test]
fn what_is_pipelined_behind_an_unread_body_is_answered_or_refused_beforehand() {
    let scripts = scripts("", &[("early", &text("echo early")), ("cat", &text("cat | wc -c"))]);
    let plain = TestServer::new(CONFIG, FILES);
    for (server, path, length, chunked, kept) in [
        (&scripts, "/cgi/early", 1000, false, true),
        (&scripts, "/cgi/early", 200_000, false, true),
        (&scripts, "/cgi/early", 2_000_000, false, true),
        (&scripts, "/cgi/early", 2_000_000, true, true),
        (&scripts, "/cgi/cat", 200_000, false, true),
        (&scripts, "/none", 200_000, false, true),
        (&plain, "/open", 200_000, false, true),
        (&plain, "/open", 2_000_000, false, false),
        (&plain, "/open", 2_000_000, true, true),
        (&plain, "/moved", 2_000_000, true, true),
    ] {
        let (head, end) = match chunked {
            true => (format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"), "\r\n0\r\n\r\n"),
            false => (format!("Content-Length: {length}\r\n\r\n"), ""),
        };
        let mut wire = Wire::connect(server);
        wire.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{head}"));
        wire.send("x".repeat(length) + end + &get("/last"));
        let name = format!("{path}, {length}, chunked: {chunked}");
        assert_eq!(wire.response().header("Connection"), (!kept).then_some("close"), "{name}");
        let next = wire.finish().try_response("GET").expect(&name);
        assert_eq!(next.map(|response| response.status), kept.then_some(404), "{name}");
    }
}
