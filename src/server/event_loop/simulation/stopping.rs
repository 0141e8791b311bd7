//! How a run ends, and how long that may take.

use super::{Ended, PORT, World};
use crate::server::control::Order;
use std::time::Duration;

const FIXED: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n";
const WAKE: &[u8] = b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n";

/// A world with a client that is idle and one whose answer takes time, and they.
fn at_work() -> (World, [super::ClientId; 2]) {
    let mut world = World::new(|site| site.timeouts.shutdown = Duration::from_secs(7));
    let [idle, busy] = [world.connect(), world.connect()];
    world.say(idle, FIXED);
    world.heard(idle);
    world.say(busy, WAKE);
    (world, [idle, busy])
}

#[test]
fn without_connections_it_ends_at_once() {
    for order in [Order::Stop, Order::StopPatiently] {
        let mut world = World::new(|_| {});
        world.order(order);
        assert_eq!(world.ended, Some(Ended::Finished), "{order:?}");
        assert!(!world.kernel.is_listening(PORT));
    }
}

#[test]
fn who_is_idle_goes_and_who_is_at_work_is_finished() {
    for order in [Order::Stop, Order::StopPatiently] {
        let (mut world, [idle, busy]) = at_work();
        world.order(order);
        assert!(!world.is_open(idle) && world.is_open(busy), "{order:?}");
        assert!(!world.kernel.is_listening(PORT));
        world.wait_seconds(6);
        assert_eq!(world.ended, None, "{order:?}");
        world.grant();
        world.settle();
        let heard = world.heard(busy);
        assert!(heard.contains("\r\nConnection: close\r\n") && heard.ends_with("awake\n"));
        world.say_end(busy);
        assert_eq!(world.ended, Some(Ended::Finished), "{order:?}");
        assert_eq!(world.log_lines().len(), 2);
    }
}

#[test]
fn a_stop_has_its_time_and_a_patient_one_has_not() {
    let (mut world, [_, busy]) = at_work();
    world.order(Order::Stop);
    world.wait(Duration::from_millis(6999));
    assert_eq!(world.ended, None);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.ended, Some(Ended::Forced));
    assert!(!world.is_open(busy));
    assert!(world.log_lines().iter().any(|line| line.contains("the server stopped")));
    let (mut world, _) = at_work();
    world.order(Order::StopPatiently);
    world.wait_seconds(3600);
    assert_eq!(world.ended, None);
    world.order(Order::StopPatiently);
    assert_eq!(world.ended, None, "it was said already");
    world.order(Order::Stop);
    assert_eq!(world.ended, Some(Ended::Forced), "somebody cannot wait any more");
}

#[test]
fn who_asks_twice_waits_no_longer() {
    let (mut world, [_, busy]) = at_work();
    world.order(Order::Stop);
    world.order(Order::Stop);
    assert_eq!(world.ended, Some(Ended::Forced));
    assert_eq!(world.stage.aborts.borrow().len(), 1);
    assert!(!world.is_open(busy));
}

#[test]
fn who_sends_on_after_its_last_answer_holds_a_stop_up_for_a_moment() {
    let mut world = World::new(|_| {});
    let client = world.connect();
    world.say(client, b"POST /Fixed HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    assert!(world.script(client).closed_by_us && world.is_open(client));
    world.order(Order::Stop);
    for _ in 0..60 {
        world.wait(Duration::from_millis(100));
        if world.ended.is_none() {
            world.say(client, b"x");
        }
    }
    assert_eq!(world.ended, Some(Ended::Finished));
}

#[test]
fn who_has_come_before_the_stop_is_answered() {
    let mut world = World::new(|_| {});
    let (idle, waiting) = (world.connect(), world.come([10, 0, 0, 1]));
    world.script(waiting).arrive(FIXED);
    // It is in the socket, and the kernel has not said so.
    world.script(idle).arrive(FIXED);
    world.order(Order::Stop);
    for client in [idle, waiting] {
        assert!(world.heard(client).ends_with("as always\n"));
        world.say_end(client);
    }
    assert_eq!(world.ended, Some(Ended::Finished));
}

#[test]
fn no_reload_and_no_time_out_is_late_after_a_stop() {
    let (mut world, [_, busy]) = at_work();
    let slow = world.connect();
    world.say(slow, b"GET /Fi");
    world.order(Order::StopPatiently);
    world.order(Order::Reload);
    assert!(world.errors().contains("not reloaded: the server stops"));
    world.wait_seconds(10);
    assert!(world.heard(slow).starts_with("HTTP/1.1 408 "));
    assert!(world.is_open(busy) && world.ended.is_none());
}
