//! How bytes, answers and hints go through a connection.

use super::{World, reader};
use crate::event::CHUNK;
use std::time::Duration;

#[test]
fn an_exchange_does_not_hear_the_timer_of_the_one_before() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.say(id, b"GET /Wake?count=1&ms=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    world.wait(Duration::from_millis(10));
    assert!(world.heard(id).ends_with("awake\n"));
    world.say(id, b"GET /Ticks?count=1&ms=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    world.deliver(id);
    world.settle();
    assert!(world.heard(id).ends_with("\r\n\r\n"));
    world.wait(Duration::from_millis(10));
    assert_eq!(world.heard(id), "5\r\ntick\n\r\n0\r\n\r\n");
}

#[test]
fn forty_pipelined_requests_are_answered_with_few_writes() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.say(id, &b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n".repeat(40));
    assert_eq!(world.heard(id).matches("as always\n").count(), 40);
    let writes = world.script(id).writes;
    assert!(writes <= 3, "{writes} writes");
}

#[test]
fn however_requests_are_cut_the_answers_are_the_same() {
    let asks = "GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n\
        POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
        POST /Echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n\
        POST /Fixed HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nunread\
        HEAD /Shared HTTP/1.0\r\n\r\n";
    let answers = |pieces: &[&str]| {
        let mut world = World::new(|_| {});
        let id = world.connect();
        pieces.iter().for_each(|piece| world.say(id, piece.as_bytes()));
        assert!(!world.is_open(id));
        world.heard(id)
    };
    let whole = answers(&[asks]);
    assert_eq!(whole.matches("HTTP/1.1 200 OK").count(), 5, "{whole}");
    for at in 1..asks.len() {
        let (before, after) = asks.split_at(at);
        assert_eq!(answers(&[before, after]), whole, "cut at {at}");
    }
    let single: Vec<_> = asks.split("").filter(|byte| !byte.is_empty()).collect();
    assert_eq!(answers(&single), whole, "byte by byte");
}

#[test]
fn a_client_that_takes_nothing_is_not_read() {
    for (name, head, rest) in [
        ("requests", "", "GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n"),
        (
            "a file first",
            "GET /File HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        (
            "a body",
            "POST /EchoStream HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
            "xxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
    ] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.take(id, Some(0));
        world.say(id, head.as_bytes());
        for _ in 0..30 {
            world.say(id, rest.repeat(1000).as_bytes());
        }
        let (received, now) = (world.script(id).received, world.kernel.now());
        assert!(received <= 3 * CHUNK, "{name}: {received}");
        assert!(world.connection(id).unwrap().look(now).pending <= 4 * CHUNK, "{name}");
    }
}

#[test]
fn small_requests_pass_a_download_an_upload_and_a_pipeline() {
    let mut world = World::new(|_| {});
    let [download, upload, pipeline, small] = [(); 4].map(|()| world.connect());
    world.script(download).arrive(b"GET /Flood?count=2000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = b"POST /EchoStream HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    world.script(upload).arrive(&[&head[..], &[b'x'; 1_000_000]].concat());
    world.script(pipeline).arrive(&b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n".repeat(500));
    for client in [download, upload, pipeline] {
        world.deliver(client);
    }
    for turn in 0..10 {
        world.script(small).arrive(b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n");
        world.deliver(small);
        world.turn();
        assert!(world.heard(small).ends_with("as always\n"), "turn {turn}");
        for client in [download, upload, pipeline] {
            let done = world.script(client).sent.len();
            assert!(done <= (turn + 1) * 2 * CHUNK, "{done} bytes in {} turns", turn + 1);
            assert!(done > 0);
        }
    }
    world.settle();
    assert_eq!(world.heard(pipeline).matches("as always\n").count(), 500);
    assert!(world.script(download).sent.len() > 2_000_000);
}

#[test]
fn who_asks_first_is_told_to_continue_when_somebody_wants_the_body() {
    let ask = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    let first_word = |path, body: &str| {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, (ask(path) + body).as_bytes());
        world.heard(id).lines().next().unwrap_or_default().to_owned()
    };
    let told = "HTTP/1.1 100 Continue";
    assert_eq!(first_word("/Midway?count=5", ""), told, "nothing is there");
    assert_eq!(first_word("/Midway?count=5", "he"), "", "some is there");
    assert_eq!(first_word("/Midway?count=5", "hello"), "HTTP/1.1 200 OK", "all is there");
    assert_eq!(first_word("/Midway?count=0", ""), "HTTP/1.1 200 OK", "nobody wants it");
    assert_eq!(first_word("/Fixed", ""), "HTTP/1.1 200 OK", "nobody wants it");
    assert_eq!(first_word("/Wake", ""), "", "nobody has asked yet");
}

#[test]
fn the_connection_line_is_right() {
    for (line, lines, said, stays) in [
        ("GET /Fixed HTTP/1.1", "Host: h\r\n", None, true),
        ("GET /Fixed HTTP/1.1", "Host: h\r\nConnection: close\r\n", Some("close"), false),
        ("GET /Fixed HTTP/1.1", "Host: h\r\nConnection: x, Close\r\n", Some("close"), false),
        ("GET /Fixed HTTP/1.0", "", Some("close"), false),
        ("GET /Fixed HTTP/1.0", "Connection: keep-alive\r\n", Some("keep-alive"), true),
        ("GET /Echo HTTP/1.0", "Connection: keep-alive\r\n", Some("keep-alive"), true),
        ("GET /EchoStream HTTP/1.0", "Connection: keep-alive\r\n", Some("close"), false),
        ("GET /EchoStream HTTP/1.1", "Host: h\r\n", None, true),
        ("GET /EchoStream HTTP/1.1", "Host: h\r\nConnection: close\r\n", Some("close"), false),
        ("GET /Refuse HTTP/1.1", "Host: h\r\n", None, true),
        ("GET /nowhere HTTP/1.1", "Host: h\r\n", None, true),
        ("DELETE /Fixed HTTP/1.1", "Host: h\r\n", None, true),
        ("POST /EchoSmall HTTP/1.1", "Host: h\r\nContent-Length: 1001\r\n", Some("close"), false),
        ("GET /DieEarly HTTP/1.1", "Host: h\r\n", None, true),
    ] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, format!("{line}\r\n{lines}\r\n").as_bytes());
        let sent = world.script(id).sent.clone();
        let answer = reader::take(&mut &*sent, false).expect("an answer");
        assert_eq!(answer.header("connection"), said, "{line} {lines}");
        let stayed = world.is_open(id) && !world.script(id).closed_by_us;
        assert_eq!(stayed, stays, "{line} {lines}");
    }
}

#[test]
fn the_answer_to_head_has_no_body() {
    for path in
        ["/Fixed", "/Shared", "/File", "/Flood?count=300000", "/MidwayFile", "/Slow?count=9"]
    {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(2).as_bytes());
        let heard = world.heard(id);
        assert_eq!(heard.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{path}");
        assert_eq!(heard.matches("\r\n\r\n").count(), 2, "{path}");
        assert!(heard.ends_with("\r\n\r\n"), "{path}");
        assert!(world.log_lines().iter().all(|line| line.contains("\"bytes_out\":0,")), "{path}");
    }
}
