//! What a client can make grow, and where it ends.

use crate::support::{Start, TestServer, Wire, eventually, get};
use std::fs::File;
use std::time::Duration;

#[test]
fn sizes_of_heads() {
    let config = "[limits]\nrequest_line = \"300B\"\nheader_bytes = \"1KiB\"\nheader_count = 5\n\
                  body = \"10B\"\n[[host]]\nrespond = \"ok\"\n";
    let server = TestServer::new(config, &[]);
    let headers = |count: usize| (0..count).map(|n| format!("H{n}: x\r\n")).collect::<String>();
    let body = |length: usize| format!("Content-Length: {length}\r\n");
    for (name, line, rest, status) in [
        ("fits", "/".to_owned(), headers(4), 200),
        ("long line", format!("/{}", "x".repeat(270)), String::new(), 200),
        ("too long a line", format!("/{}", "x".repeat(300)), String::new(), 414),
        ("many headers", "/".into(), headers(5), 431),
        ("long header", "/".into(), format!("X: {}\r\n", "x".repeat(1000)), 431),
        ("long body", "/".into(), body(11), 413),
    ] {
        let mut wire = Wire::connect(&server);
        wire.send(format!("POST {line} HTTP/1.1\r\nHost: a\r\n{rest}\r\n"));
        assert_eq!(wire.response().status, status, "{name}");
        if status != 200 {
            assert!(wire.is_closed(), "{name}");
        }
    }
    // No end of a line is waited for.
    assert_eq!(server.ask("x".repeat(1000)).status, 414);
    assert_eq!(server.ask(format!("GET / HTTP/1.1\r\n{}", "x".repeat(2000))).status, 431);
}

#[test]
fn a_new_client_takes_the_place_of_the_longest_idle() {
    let config = "[limits]\nconnections = 10\n[[host]]\nrespond = \"ok\"\n";
    let server = TestServer::new(config, &[]);
    let mut busy = Wire::connect(&server);
    busy.send("GET / HTTP/1.1\r\nHo");
    let mut idle: Vec<_> = (0..9).map(|_| Wire::connect(&server)).collect();
    for wire in &mut idle {
        assert_eq!(wire.get("/").text(), "ok");
    }
    for _ in 0..30 {
        assert_eq!(server.get("/").text(), "ok");
    }
    assert!(idle[0].is_closed(), "the one idle for the longest");
    busy.send("st: a\r\n\r\n");
    assert_eq!(busy.response().text(), "ok", "who is at work stays");
}

/// All idle connections were closed as soon as the last place was taken.
#[test]
fn a_full_house_that_nobody_waits_for_keeps_its_idle_clients() {
    let server = TestServer::new("[limits]\nconnections = 5\n[[host]]\nrespond = \"ok\"\n", &[]);
    let mut clients: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for _ in 0..3 {
        for wire in &mut clients {
            assert_eq!(wire.get("/").text(), "ok");
        }
    }
}

#[test]
fn a_full_house_of_clients_at_work_keeps_others_waiting() {
    let config =
        "[timeouts]\nheader = \"700ms\"\n[limits]\nconnections = 5\n[[host]]\nrespond = \"ok\"\n";
    let server = TestServer::new(config, &[]);
    let mut slow: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send("GET / HTTP/1.1\r\nX: ");
    }
    assert_eq!(server.get("/").text(), "ok", "served when one of them has timed out");
    assert!(server.cpu() < Duration::from_millis(500), "a busy loop: {:?}", server.cpu());
    let log = server.read_until("stderr.txt", "all 5 connections are taken");
    assert_eq!(log.matches("connections are taken").count(), 1, "one line for all: {log}");
}

#[test]
fn connections_of_one_address() {
    let config = "[limits]\nper_client = 3\n[[host]]\nrespond = \"ok\"\n";
    let server = TestServer::new(config, &[]);
    let mut three: Vec<_> = (0..3).map(|_| Wire::connect(&server)).collect();
    for wire in &mut three {
        assert_eq!(wire.get("/").text(), "ok");
    }
    let mut fourth = Wire::connect(&server);
    let refused = fourth.send(get("/")).rest();
    assert!(refused.is_err() || refused.is_ok_and(|rest| rest.is_empty()));
    server.read_until("stderr.txt", "1 connections refused");
    for wire in &mut three {
        assert_eq!(wire.get("/").text(), "ok", "those that are in stay");
    }
    three.pop();
    let served = eventually(|| {
        let mut wire = Wire::connect(&server);
        wire.send(get("/")).try_response("GET").ok().flatten()
    });
    assert_eq!(served.unwrap().text(), "ok", "a place is free again");
}

/// A server that may have only so many descriptors.
fn poor(wrapper: &'static str) -> TestServer {
    let files = [("root/a.txt", "hello")];
    Start::new("[[host]]\nroot = \"root\"\n", &files).wrapper(wrapper).run()
}

#[test]
fn more_clients_than_descriptors() {
    let server = poor("ulimit -n 64; exec \"$@\"");
    let mut clients: Vec<_> = (0..200).map(|_| Wire::connect(&server)).collect();
    for wire in &mut clients {
        wire.send("GET /a.txt HTTP/1.1\r\nHost: a\r\n");
    }
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(2));
    let used = server.cpu() - before;
    assert!(used < Duration::from_millis(600), "a busy loop: {used:?} of two seconds");
    let complaints = server.read("stderr.txt").matches("cannot accept").count();
    assert!(complaints < 10, "{complaints} lines of the same");
    drop(clients);
    let served = eventually(|| {
        let mut wire = Wire::connect(&server);
        wire.send(get("/a.txt")).try_response("GET").ok().flatten()
    });
    assert_eq!(served.expect("served again").text(), "hello");
}

/// Large files are kept open for the next one who asks: there may be too many of them.
#[test]
fn more_large_files_than_descriptors() {
    let server = poor("ulimit -n 300; exec \"$@\"");
    for n in 0..400 {
        File::create(server.path(&format!("root/{n}.bin"))).unwrap().set_len(100_000).unwrap();
    }
    for round in 0..2 {
        for n in 0..400 {
            let mut wire = Wire::connect(&server);
            wire.send(get(&format!("/{n}.bin")));
            let response = wire.try_response("GET");
            let served = matches!(&response, Ok(Some(response)) if response.status == 200);
            assert!(served, "file {n}, round {round}: {response:?}, {} open", server.descriptors());
        }
    }
}

#[test]
fn many_idle_connections_cost_little() {
    let server = TestServer::new("[[host]]\nrespond = \"ok\"\n", &[]);
    assert_eq!(server.get("/").text(), "ok");
    let before = server.resident_kib();
    let mut clients: Vec<_> = (0..400).map(|_| Wire::connect(&server)).collect();
    for wire in &mut clients {
        assert_eq!(wire.get("/").text(), "ok");
    }
    let each = (server.resident_kib().saturating_sub(before)) / 400;
    assert!(each < 10, "{each} KiB for each idle connection");
    for wire in &mut clients {
        assert_eq!(wire.get("/").text(), "ok");
    }
}

/// The size line of a chunk is as good as a Content-Length.
#[test]
fn chunks_beyond_a_limit_are_refused_before_they_come() {
    let config = "[limits]\nbody = \"64KiB\"\n[[host]]\nroot = \"root\"\n\
        upload = { methods = [\"PUT\"], max = \"1KiB\" }\n\
        [[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n";
    let server = crate::cgi::with_config(config, &[("cat", &crate::cgi::text("cat"))]);
    let filler = format!("1;{}\r\nx\r\n", "a".repeat(1000)).repeat(100);
    for (request_line, body, status) in [
        ("PUT /a", "400\r\n".to_owned(), 0),
        ("PUT /a", "401\r\n".to_owned(), 413),
        ("PUT /a", format!("400\r\n{}\r\n1\r\n", "x".repeat(1024)), 413),
        ("PUT /a", "ffffffffffffffff\r\n".to_owned(), 413),
        ("PUT /a", "1\r\nx\r\nffffffffffffffff\r\n".to_owned(), 413),
        ("PUT /a", "10000000000000000".to_owned(), 400),
        ("PUT /a", "2000;a=b\r\n".to_owned(), 413),
        ("PUT /a", filler.clone(), 400),
        ("POST /cgi/cat", "10000\r\n".to_owned(), 0),
        ("POST /cgi/cat", "10001\r\n".to_owned(), 413),
        ("POST /cgi/cat", format!("ffff\r\n{}\r\n2\r\n", "x".repeat(0xffff)), 413),
        ("POST /cgi/cat", filler, 400),
    ] {
        let mut wire = Wire::connect(&server);
        let head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.send(format!("{request_line} {head}{body}"));
        let name = &body[..body.len().min(40)];
        if status == 0 {
            assert!(wire.is_silent(Duration::from_millis(300)), "{request_line}: {name}");
            continue;
        }
        let response = wire.response();
        assert_eq!(response.status, status, "{request_line}: {name}");
        assert_eq!(response.header("Connection"), Some("close"), "{request_line}: {name}");
    }
}
