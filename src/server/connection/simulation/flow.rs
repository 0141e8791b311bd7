//! How bytes, answers and hints go through a connection.

use super::World;
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
