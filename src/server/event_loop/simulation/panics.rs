//! Panics of what is called from the loop: each ends one transaction, and nothing else.

use super::{Timeout, World};
use crate::serve::Abort;

const FIXED: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n";

fn ask(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

#[test]
fn a_panic_ends_one_transaction_and_is_written_down_once() {
    for (path, status, stays) in
        [("/PanicAtOnce", 500, false), ("/PanicEarly", 500, false), ("/PanicLate", 200, false)]
    {
        let mut world = World::new(|_| {});
        let [other, client] = [world.connect(), world.connect()];
        world.script(other).arrive(FIXED);
        world.deliver(other);
        world.say(client, &ask(path));
        let heard = world.heard(client);
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {heard}");
        assert_eq!(world.is_open(client) && !world.script(client).closed_by_us, stays, "{path}");
        assert!(world.heard(other).ends_with("as always\n"), "{path}");
        let lines = world.log_lines();
        assert_eq!(lines.iter().filter(|line| line.contains(path)).count(), 1, "{path}: {lines:?}");
        assert_eq!(world.errors().matches("a panic while a request was answered").count(), 1);
        let aborts = world.stage.aborts.borrow().clone();
        assert_eq!(aborts.len(), usize::from(path != "/PanicAtOnce"), "{path}: {aborts:?}");
    }
}

#[test]
fn a_panic_of_what_is_dropped_does_not_stop_the_harvester() {
    let mut world = World::new(|_| {});
    let doomed: Vec<_> = (0..3)
        .map(|_| {
            let client = world.connect();
            world.take(client, Some(0));
            world.say(client, &ask("/PanicInDrop?count=300000"));
            client
        })
        .collect();
    world.wait_seconds(30);
    for client in doomed {
        assert_eq!(world.reaped(client), Some(Timeout::Write));
        assert!(!world.is_open(client));
    }
    assert!(world.event_loop.table.is_empty());
    assert_eq!(*world.stage.aborts.borrow(), [Abort::Timeout; 3]);
    let lines = world.log_lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(world.errors().matches("a panic").count(), 3, "{}", world.errors());
    let client = world.connect();
    world.say(client, FIXED);
    assert!(world.heard(client).ends_with("as always\n"));
}
