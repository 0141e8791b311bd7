//! Clients that take too long.

use crate::support::{TestServer, Wire, get};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

/// The time-out `name` is short, the others are longer than any test waits: what ends, ends by it.
fn server(name: &str) -> TestServer {
    let value = |n| if n == name { "300ms" } else { "10m" };
    let times = ["header", "body", "idle", "write"].map(|n| format!("{n} = \"{}\"\n", value(n)));
    let config = format!(
        "[timeouts]\n{}[[host]]\nroot = \"root\"\nupload = true\n[log]\naccess = \"access.log\"\nformat = \"json\"\n",
        times.concat()
    );
    let server = TestServer::new(&config, &[("root/a.txt", "hello")]);
    File::create(server.path("root/large.bin")).unwrap().set_len(64 << 20).unwrap();
    server
}

/// Sends a byte now and then until there is an answer or the end.
fn trickle(wire: &mut Wire, byte: u8) {
    let deadline = Instant::now() + crate::support::PATIENCE;
    while wire.is_silent(Duration::from_millis(50)) && Instant::now() < deadline {
        wire.send([byte]);
    }
}

#[test]
fn a_head_that_comes_byte_by_byte() {
    let server = server("header");
    for start in ["GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut wire = Wire::connect(&server);
        trickle(wire.send(start), b'a');
        let response = wire.try_response("GET");
        assert_eq!(response.unwrap().unwrap().status, 408, "{start:?}");
    }
    server.read_until("access.log", "\"status\":408");
}

#[test]
fn a_client_that_never_says_anything() {
    let server = server("header");
    assert!(Wire::connect(&server).rest().is_ok_and(|rest| rest.is_empty()));
}

#[test]
fn an_idle_connection() {
    let server = server("idle");
    let since = Instant::now();
    let mut wire = Wire::connect(&server);
    for _ in 0..3 {
        assert_eq!(wire.get("/a.txt").text(), "hello");
    }
    assert!(wire.is_closed(), "closed without an answer");
    assert!(since.elapsed() >= Duration::from_millis(250));
}

#[test]
fn a_body_that_stops() {
    let server = server("body");
    for (line, body) in [
        ("PUT /new", "Content-Length: 100\r\n\r\nhalf"),
        ("PUT /new", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"),
        ("POST /none/x", "Content-Length: 100\r\n\r\nhalf"),
    ] {
        let mut wire = Wire::connect(&server);
        wire.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{body}"));
        // What nobody wants to read is refused at once, and its rest is not waited for.
        let status = if line.starts_with("PUT") { 408 } else { 409 };
        assert_eq!(wire.response().status, status, "{line}");
        let ended = wire.rest();
        assert!(ended.is_ok_and(|rest| rest.is_empty()), "{line}");
    }
    assert!(!server.path("root/new").exists());
    server.read_until("access.log", "time-out: body");
}

#[test]
fn a_reader_that_never_reads() {
    let server = server("write");
    let descriptors = server.descriptors();
    let mut wire = Wire::connect(&server);
    wire.send(get("/large.bin"));
    let log = server.read_until("access.log", "time-out: write");
    assert!(log.contains("\"path\":\"/large.bin\""), "{log}");
    // The file may be kept open for the next one who asks.
    let ended =
        crate::support::eventually(|| (server.descriptors() <= descriptors + 1).then_some(()));
    assert!(ended.is_some(), "its socket is kept");
    // Nor does the kernel keep what was on its way: it is told to forget the client.
    let end = wire.rest();
    assert!(end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "not reset");
    assert_eq!(server.get("/a.txt").text(), "hello");
}

/// The kernel tells of room only when half of what waits has left: at this rate, after a quarter of
/// a minute.
#[test]
fn a_reader_of_some_kilobytes_a_second_is_no_slow_client() {
    let server = TestServer::of_files(&[("root/large.bin", &"x".repeat(8 << 20))]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/large.bin"));
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(22) {
        let mut some = [0; 4096];
        assert!(wire.stream.read(&mut some).unwrap() > 0, "ended after {:?}", since.elapsed());
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn transfers_slower_than_the_minimum_rate() {
    let config = "[limits]\nmin_rate = \"10KiB/s\"\n[[host]]\nroot = \"root\"\nupload = true\n";
    let server = TestServer::new(config, &[("root/a.txt", "hello")]);
    let since = Instant::now();
    let mut wire = Wire::connect(&server);
    wire.send("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    trickle(&mut wire, b'x');
    let _ = wire.rest();
    assert!(since.elapsed() > Duration::from_secs(4), "after {:?}", since.elapsed());
    server.read_until("access.log", "\" 408 ");
    assert!(!server.path("root/new").exists());
}
