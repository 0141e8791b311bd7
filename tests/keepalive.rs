//! What a connection goes through between one request and the next.

use crate::support::{TestServer, Wire, get};
use std::time::Duration;

const CONFIG: &str = r#"
[[host]]
root = "root"
  [[host.route]]
  path = "/fixed"
  respond = "fixed"
"#;

#[test]
fn many_requests_of_all_kinds_on_one_connection() {
    let server = TestServer::new(CONFIG, &[("root/a.txt", "hello")]);
    let mut wire = Wire::connect(&server);
    for n in 0..100 {
        for (path, status) in [("/a.txt", 200), ("/none", 404), ("/%", 400), ("/..%2f", 400)] {
            assert_eq!(wire.get(path).status, status, "{path} in round {n}");
        }
    }
}

#[test]
fn bodies_nobody_reads_are_skipped() {
    let server = TestServer::new(CONFIG, &[]);
    let long = "x".repeat(200_000);
    for (name, body) in [
        ("length", "Content-Length: 5\r\n\r\nhello".to_owned()),
        ("looks like a request", format!("Content-Length: {}\r\n\r\n{}", get("/").len(), get("/"))),
        ("chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n".to_owned()),
        ("long", format!("Content-Length: {}\r\n\r\n{long}", long.len())),
    ] {
        let mut wire = Wire::connect(&server);
        for request_line in ["POST /fixed HTTP/1.1", "POST /none HTTP/1.1", "GET /fixed HTTP/1.1"] {
            wire.send(format!("{request_line}\r\nHost: a\r\n{body}"));
            let status = wire.response().status;
            assert!(matches!(status, 200 | 404 | 405), "{name}: {request_line}: {status}");
        }
        assert_eq!(wire.get("/fixed").text(), "fixed", "{name}");
    }
}

#[test]
fn a_body_too_long_to_skip_ends_the_connection_after_the_answer() {
    let server = TestServer::new(CONFIG, &[]);
    let mut wire = Wire::connect(&server);
    wire.send("POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let response = wire.response();
    assert_eq!((response.status, response.header("Connection")), (413, Some("close")));
    assert!(wire.is_closed());
}

#[test]
fn a_client_that_has_said_all_gets_all() {
    let big = "x".repeat(3_000_000);
    let server = TestServer::new(CONFIG, &[("root/big.bin", &big), ("root/a.txt", "hello")]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/big.bin") + &get("/a.txt")).finish();
    assert_eq!(wire.response().body.len(), big.len());
    assert_eq!(wire.response().text(), "hello");
    assert!(wire.is_closed());
}

#[test]
fn half_a_request_and_the_end_is_ended_without_an_answer() {
    let server = TestServer::new(CONFIG, &[]);
    for half in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n"] {
        let mut wire = Wire::connect(&server);
        assert!(wire.send(half).finish().is_closed(), "{half:?}");
    }
}

#[test]
fn an_idle_connection_stays_and_costs_nothing() {
    let server = TestServer::new(CONFIG, &[]);
    let mut wire = Wire::connect(&server);
    wire.get("/fixed");
    let before = server.cpu();
    assert!(wire.is_silent(Duration::from_millis(1500)));
    assert!(server.cpu() - before < Duration::from_millis(100), "an idle server is at work");
    assert_eq!(wire.get("/fixed").text(), "fixed");
}
