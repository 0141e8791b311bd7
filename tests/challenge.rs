//! `httpyserver challenge`, as the challenge's tester meets it.

use crate::support::{Start, TestServer, Wire, folder, get, names_below};
use std::io::Read;

fn server() -> TestServer {
    let folder = folder(&[("data/hello.txt", "Hello!")]);
    let place = folder.path().to_owned();
    Start::quick(folder, &place, &["challenge", "--directory", "data"]).run()
}

#[test]
fn one_connection_carries_all_the_steps() {
    let server = server();
    let mut wire = Wire::connect(&server);
    let mut ask = |request: &str| {
        wire.send(request);
        wire.response()
    };
    let root = ask(&get("/"));
    assert_eq!((root.status, root.body.as_slice()), (200, &b""[..]));
    assert_eq!(ask(&get("/echo/mango")).body, b"mango");
    let agent = ask("GET /user-agent HTTP/1.1\r\nHost: x\r\nUser-Agent: foobar/1.2.3\r\n\r\n");
    assert_eq!(agent.body, b"foobar/1.2.3");
    assert_eq!(ask(&get("/files/hello.txt")).body, b"Hello!");
    assert_eq!(ask(&get("/files/none")).status, 404);
    let post = "POST /files/new HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345";
    assert_eq!(ask(post).status, 201);
    assert_eq!(server.read("data/new"), "12345");
    let last = ask("GET /echo/bye HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(last.header("Connection"), Some("close"));
    assert!(wire.is_closed());
}

#[test]
fn connections_do_not_wait_for_each_other() {
    let server = server();
    let mut slow: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send("GET /echo/slow HTTP/1.1\r\n");
    }
    assert_eq!(server.get("/echo/fast").body, b"fast");
    for wire in &mut slow {
        wire.send("Host: x\r\n\r\n");
        assert_eq!(wire.response().body, b"slow");
    }
}

#[test]
fn gzip_is_among_what_the_client_takes() {
    let server = server();
    let mut wire = Wire::connect(&server);
    for (accepted, packed) in [
        ("gzip", true),
        ("invalid-encoding-1, gzip, invalid-encoding-2", true),
        ("deflate, GZip;q=0.5", true),
        ("invalid-encoding", false),
        ("gzip;q=0, br", false),
        ("gzip;Q=0", false),
        ("gzip;q=0;x=y", false),
        ("br\r\nAccept-Encoding: gzip", true),
    ] {
        wire.send(format!(
            "GET /echo/abcabcabc HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accepted}\r\n\r\n"
        ));
        let answer = wire.response();
        assert_eq!(answer.header("Content-Encoding"), packed.then_some("gzip"), "{accepted}");
        assert_eq!(answer.header("Content-Length"), Some(&*answer.body.len().to_string()));
        let mut text = String::new();
        match packed {
            true => flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap(),
            false => (&*answer.body).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, "abcabcabc", "{accepted}");
    }
}

#[test]
fn many_connections_each_carry_many_requests() {
    let server = server();
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(&server)).collect();
    for round in 0..6 {
        for (n, wire) in wires.iter_mut().enumerate() {
            let text = format!("{n}-{round}");
            match round % 3 {
                0 => drop(wire.send(get(&format!("/echo/{text}")))),
                1 => drop(wire.send(format!(
                    "POST /files/{n} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                ))),
                _ => drop(wire.send(get(&format!("/files/{n}")))),
            }
        }
        for (n, wire) in wires.iter_mut().enumerate() {
            let answer = wire.response();
            let want = match round % 3 {
                0 => (200, format!("{n}-{round}")),
                1 => (201, String::new()),
                _ => (200, format!("{n}-{}", round - 1)),
            };
            assert_eq!((answer.status, answer.text().to_owned()), want, "{n} {round}");
        }
    }
    // Each may leave on its own.
    for wire in wires.iter_mut().take(4) {
        wire.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(wire.response().header("Connection"), Some("close"));
        assert!(wire.is_closed());
    }
    assert_eq!(wires[5].get("/echo/still").body, b"still");
}

#[test]
fn names_stay_in_their_folder() {
    let server = server();
    server.write("secret", "x");
    let before = names_below(&server.path(".")).len();
    let long = "n".repeat(300);
    for name in [
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "..%5csecret",
        "../..",
        ".",
        ".hidden",
        "",
        "a%00b",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a/b",
        &long,
    ] {
        let got = Wire::connect(&server).get(&format!("/files/{name}"));
        assert!((400..500).contains(&got.status), "GET {name}: {}", got.status);
        let put = server.ask(format!(
            "POST /files/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\ny"
        ));
        assert!((400..500).contains(&put.status), "POST {name}: {}", put.status);
    }
    assert_eq!(server.read("secret"), "x");
    assert_eq!(names_below(&server.path(".")).len(), before, "nothing was written");
}
