//! Requests that do not wait for answers.

use crate::support::{TestServer, Wire, eventually, get};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[test]
fn answers_come_in_the_order_of_requests() {
    let big = "b".repeat(300_000);
    let files = [("root/a.txt", "first"), ("root/big.bin", &big), ("root/c.txt", "third")];
    let server = TestServer::of_files(&files);
    let mut wire = Wire::connect(&server);
    let round = ["/a.txt", "/big.bin", "/none", "/c.txt"].map(get).concat();
    wire.send(round.repeat(10));
    for _ in 0..10 {
        assert_eq!(wire.response().text(), "first");
        assert_eq!(wire.response().body.len(), big.len());
        assert_eq!(wire.response().status, 404);
        assert_eq!(wire.response().text(), "third");
    }
}

#[test]
fn what_follows_a_refused_request_is_not_answered() {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/a.txt") + "BAD\r\n\r\n" + &get("/a.txt"));
    assert_eq!(wire.response().text(), "hello");
    assert_eq!(wire.response().status, 400);
    assert!(wire.is_closed());
    let mut wire = Wire::connect(&server);
    wire.send("GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned() + &get("/"));
    assert_eq!(wire.response().text(), "hello");
    assert!(wire.is_closed());
}

/// A page of an error is made anew for each request, so that answers that pile up would show.
#[test]
fn a_client_that_only_asks_is_held_back() {
    const COUNT: usize = 20_000;
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    assert_eq!(server.get("/none").status, 404);
    let before = server.resident_kib();
    let mut wire = Wire::connect(&server);
    // Long ones, so that no buffer of the kernel takes them all.
    let padding = "x".repeat(1000);
    let request =
        format!("GET /none HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nX: {padding}\r\n\r\n");
    let mut stream = wire.stream.try_clone().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let writer = std::thread::spawn({
        let sent = Arc::clone(&sent);
        move || {
            for _ in 0..COUNT / 100 {
                stream.write_all(request.repeat(100).as_bytes()).unwrap();
                sent.fetch_add(100, Relaxed);
            }
        }
    });
    let mut last = (0, Instant::now());
    let stalled = eventually(|| {
        let now = sent.load(Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(400)).then_some(now)
    });
    assert!(stalled.is_some_and(|sent| sent < COUNT), "all was read though no answer was taken");
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for answers nobody takes");
    assert_eq!(server.get("/a.txt").text(), "hello", "others are served meanwhile");
    for n in 0..COUNT {
        assert_eq!(wire.response().status, 404, "request {n}");
    }
    writer.join().unwrap();
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let config = "[[host]]\nroot = \"root\"\nupload = true\n";
    let server = TestServer::new(config, &[("root/a.txt", "hello")]);
    let put = "PUT /new HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
               3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n";
    let text = get("/a.txt") + put + &get("/new");
    let mut wire = Wire::connect(&server);
    for cut in 1..text.len() {
        wire.send(&text[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        wire.send(&text[cut..]);
        assert_eq!(wire.response().text(), "hello", "cut at {cut}");
        assert!(matches!(wire.response().status, 201 | 204), "cut at {cut}");
        assert_eq!(wire.response().text(), "abcde", "cut at {cut}");
    }
    for byte in text.as_bytes() {
        wire.send([*byte]);
    }
    assert_eq!(wire.response().text(), "hello");
}
