//! How connections end.

use super::{Timeout, World};
use crate::event::TaskId;
use crate::serve::Abort;
use crate::server::connection::look::DISCARD_RATE;
use crate::server::control::Order;
use std::time::Duration;

#[test]
fn an_exchange_that_fails_after_its_head_is_aborted_once() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.say(id, b"GET /DieLate HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!world.is_open(id));
    assert_eq!(*world.stage.aborts.borrow(), [Abort::Failed]);
}

#[test]
fn answers_before_one_that_fails_arrive() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.take(id, Some(10));
    let asks = "GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\nGET /DieLate HTTP/1.1\r\nHost: h\r\n\r\n";
    world.say(id, asks.as_bytes());
    world.take(id, None);
    let heard = world.heard(id);
    let (_, after) = heard.split_once("as always\n").expect("the first answer");
    assert!(after.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"), "{after}");
    assert!(!world.is_open(id));
    let lines = world.log_lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains("\"bytes_out\":500") && lines[1].contains("died late"), "{lines:?}");
}

#[test]
fn a_half_closed_client_gets_its_whole_answer() {
    for (path, len) in [("/Fixed", 10), ("/File", 200 * 1024), ("/Flood?count=300000", 300_000)] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.take(id, Some(5));
        world.say(id, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        world.say_end(id);
        assert!(world.is_open(id), "{path}");
        world.take(id, None);
        let sent = world.script(id).sent.clone();
        let head = sent.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(sent.len() - head, len, "{path}");
        assert!(!world.is_open(id), "{path}");
    }
}

#[test]
fn a_half_closed_client_gets_an_answer_that_takes_time() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.say(id, b"GET /Ticks?count=2&ms=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    world.say_end(id);
    for _ in 0..2 {
        assert!(world.is_open(id));
        world.wait(Duration::from_millis(10));
    }
    assert!(world.heard(id).ends_with("tick\n\r\n0\r\n\r\n"));
    assert!(!world.is_open(id));
}

#[test]
fn half_a_request_and_then_the_end_is_the_end() {
    for (name, text, aborts) in [
        ("nothing", "", 0),
        ("half a head", "GET /Fixed HT", 0),
        ("half a body", "POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", 1),
        (
            "half a chunk",
            "POST /Echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
            1,
        ),
    ] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, text.as_bytes());
        assert!(world.is_open(id), "{name}");
        world.say_end(id);
        assert!(!world.is_open(id), "{name}");
        assert_eq!(*world.stage.aborts.borrow(), vec![Abort::Gone; aborts], "{name}");
    }
}

#[test]
fn an_end_that_comes_together_with_a_head_is_heard() {
    for reset in [false, true] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        let head = b"POST /Midway?count=9 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
        world.script(id).arrive(head);
        if reset {
            world.say_reset(id)
        } else {
            world.say_end(id)
        }
        assert!(!world.is_open(id), "reset: {reset}");
        assert_eq!(*world.stage.aborts.borrow(), [Abort::Gone]);
    }
}

#[test]
fn answers_before_half_a_request_arrive() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.take(id, Some(10));
    world.say(id, b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n");
    world.say(id, b"POST /Midway?count=9 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
    world.say_end(id);
    world.take(id, None);
    assert!(world.heard(id).ends_with("as always\n"));
    assert!(!world.is_open(id));
    assert_eq!(*world.stage.aborts.borrow(), [Abort::Gone]);
}

#[test]
fn a_reset_ends_an_exchange_that_waits_for_something_else() {
    for path in ["/Wake", "/Ticks?count=9&ms=1000"] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        world.say_reset(id);
        assert!(!world.is_open(id), "{path}");
        assert_eq!(*world.stage.aborts.borrow(), [Abort::Gone], "{path}");
    }
}

#[test]
fn after_a_doubt_about_framing_input_is_dropped_for_a_while() {
    let bad = b"POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n";
    let refused = || {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.say(id, bad);
        let heard = world.heard(id);
        assert!(heard.starts_with("HTTP/1.1 400 ") && heard.contains("\r\nConnection: close\r\n"));
        assert!(world.script(id).closed_by_us && world.is_open(id));
        (world, id)
    };
    let (mut world, id) = refused();
    for _ in 0..20 {
        world.say(id, &vec![b'x'; DISCARD_RATE as usize / 4]);
        assert!(!world.script(id).incoming.is_empty(), "faster than it is dropped");
        for _ in 0..10 {
            world.wait(Duration::from_millis(25));
        }
        assert!(world.is_open(id) && world.script(id).incoming.is_empty(), "dropped");
    }
    let (mut world, id) = refused();
    world.say_end(id);
    assert!(!world.is_open(id), "it has heard");
    let (mut world, id) = refused();
    for _ in 0..5 {
        world.wait(Duration::from_millis(4900));
        world.say(id, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    world.wait(Duration::from_millis(4900));
    assert!(world.is_open(id), "it goes on sending");
    world.wait(Duration::from_millis(1100));
    assert_eq!(world.reaped(id), Some(Timeout::Linger), "it is silent");
    assert_eq!(world.heard(id), "");
    let (mut world, id) = refused();
    for _ in 0..29 {
        world.wait_seconds(1);
        world.say(id, b"x");
    }
    assert!(world.is_open(id));
    world.wait_seconds(1);
    assert_eq!(world.reaped(id), Some(Timeout::Linger), "it never ends");
}

#[test]
fn what_comes_while_the_last_answer_leaves_does_not_cost_it() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.take(id, Some(1000));
    world.say(id, b"GET /File HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    world.say(id, b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n");
    world.take(id, None);
    assert!(world.is_open(id) && world.script(id).closed_by_us, "closing now would reset");
    world.say_end(id);
    assert!(!world.is_open(id));
    assert!(!world.heard(id).contains("as always"));
}

#[test]
fn an_unread_body_is_dropped_up_to_a_length() {
    for path in ["/Fixed", "/Ignore", "/Refuse"] {
        for (length, kept) in [(1, true), (256 * 1024, true), (256 * 1024 + 1, false)] {
            let mut world = World::new(|_| {});
            let id = world.connect();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
            world.say(id, head.as_bytes());
            // An exchange might have read it after its head: it does not say that it closes.
            let kept = kept || path == "/Ignore";
            let closes = world.heard(id).contains("\r\nConnection: close\r\n");
            assert_eq!(closes, !kept, "{path}: {length}");
            world.say(id, &vec![b'x'; length]);
            world.say(id, b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n");
            let answered = world.heard(id).ends_with("as always\n");
            assert_eq!(answered, kept, "{path}: {length}");
        }
    }
}

#[test]
fn a_file_that_is_cut_ends_the_connection_and_is_written_down_once() {
    let mut world = World::new(|_| {});
    let id = world.connect();
    world.take(id, Some(1000));
    world.say(id, b"GET /File HTTP/1.1\r\nHost: h\r\n\r\n");
    world.stage.file.set_len(50_000).unwrap();
    world.take(id, None);
    assert!(!world.is_open(id));
    assert!(world.script(id).sent.len() < 51_000);
    let lines = world.log_lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("\"status\":200,\"bytes_in\":0,\"bytes_out\":50000,"), "{lines:?}");
    assert!(lines[0].contains("cut while it was sent"), "{lines:?}");
}

#[test]
fn a_server_that_stops_ends_connections_with_their_answers() {
    for path in ["/Fixed", "/Echo", "/File", "/Midway"] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        let asks = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(2);
        let (before, after) = asks.split_at(5);
        world.say(id, before.as_bytes());
        world.order(Order::StopPatiently);
        world.say(id, after.as_bytes());
        let heard = world.heard(id);
        assert_eq!(heard.matches("HTTP/1.1 200 OK\r\n").count(), 1, "{path}");
        assert!(heard.contains("\r\nConnection: close\r\n"), "{path}");
        world.say_end(id);
        assert!(!world.is_open(id), "{path}");
    }
}

#[test]
fn what_was_for_a_former_connection_reaches_nobody() {
    let mut world = World::new(|_| {});
    let former = world.connect();
    world.say(former, b"GET /Ticks?count=9&ms=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    world.say_reset(former);
    let present = world.connect();
    world.settle();
    let conn = world.id(present).unwrap();
    assert_eq!(world.id(former).unwrap().index, conn.index);
    world.pass(Duration::from_millis(10));
    world.deliver(former);
    world.wake(former, 1);
    world.turn();
    let cx = &world.event_loop.cx;
    assert!(cx.runq.is_empty() && cx.wakes().is_empty());
    let due = cx.now();
    for stream in 0..3 {
        let task = TaskId { conn, stream };
        let connection = world.connection(present).unwrap();
        assert!(!connection.wake(task) && !connection.timer_due(task, due));
    }
}
