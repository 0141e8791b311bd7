//! How connections end.

use super::World;
use crate::serve::Abort;

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
