//! Who is reaped, when, and for what.

use super::{ClientId, Timeout, World};
use std::time::Duration;

const FIXED: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n";

fn begin(world: &mut World, text: &[u8]) -> ClientId {
    let id = world.connect();
    world.say(id, text);
    id
}

#[test]
fn a_head_is_due_from_the_beginning_whatever_comes_of_it() {
    let mut world = World::new(|_| {});
    let (silent, slow) = (world.connect(), world.connect());
    for piece in [b"GET /Fi", b"xed HTT", b"P/1.1\r\n"] {
        world.wait_seconds(3);
        world.say(slow, piece);
    }
    assert!(world.is_open(silent) && world.is_open(slow));
    world.wait_seconds(1);
    assert_eq!(world.reaped(silent), Some(Timeout::Header));
    assert_eq!(world.reaped(slow), Some(Timeout::Header));
    assert_eq!(world.heard(silent), "");
    assert!(world.heard(slow).starts_with("HTTP/1.1 408 "));
    assert_eq!(world.log_lines().len(), 1);
}

#[test]
fn a_later_head_is_due_from_its_first_byte() {
    let mut world = World::new(|_| {});
    let id = begin(&mut world, FIXED);
    world.wait_seconds(50);
    world.say(id, b"GET");
    world.wait_seconds(9);
    world.say(id, b" /");
    assert!(world.is_open(id));
    world.wait_seconds(1);
    assert_eq!(world.reaped(id), Some(Timeout::Header));
}

#[test]
fn a_client_that_always_has_half_a_head_more_is_not_late() {
    let mut world = World::new(|_| {});
    let id = begin(&mut world, &FIXED[..10]);
    for _ in 0..10 {
        world.wait_seconds(4);
        world.say(id, &[&FIXED[10..], &FIXED[..10]].concat());
        assert!(world.heard(id).ends_with("as always\n"));
    }
    world.wait_seconds(10);
    assert_eq!(world.reaped(id), Some(Timeout::Header));
}

#[test]
fn each_answer_begins_a_new_idle_time() {
    let mut world = World::new(|_| {});
    let id = begin(&mut world, FIXED);
    for _ in 0..3 {
        world.wait_seconds(59);
        world.say(id, FIXED);
    }
    world.heard(id);
    world.wait_seconds(59);
    assert!(world.is_open(id));
    world.wait_seconds(1);
    assert_eq!(world.reaped(id), Some(Timeout::Idle));
    assert_eq!(world.heard(id), "");
}

#[test]
fn each_byte_of_a_body_gives_it_more_time() {
    for path in ["/Echo", "/Fixed"] {
        let mut world = World::new(|site| site.limits.min_rate = 0);
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
        let id = begin(&mut world, head.as_bytes());
        for _ in 0..10 {
            world.wait_seconds(29);
            world.say(id, b"x");
        }
        assert!(world.is_open(id), "{path}");
        world.wait_seconds(30);
        assert_eq!(world.reaped(id), Some(Timeout::Body), "{path}");
    }
}

#[test]
fn each_byte_that_is_taken_gives_an_answer_more_time() {
    for path in ["/Fixed", "/File", "/Flood?count=300000"] {
        let mut world = World::new(|site| site.limits.min_rate = 0);
        let id = world.connect();
        world.take(id, Some(0));
        world.say(id, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        for _ in 0..10 {
            world.wait_seconds(29);
            world.take(id, Some(1));
        }
        assert!(world.is_open(id), "{path}");
        world.wait_seconds(30);
        assert_eq!(world.reaped(id), Some(Timeout::Write), "{path}");
    }
}

#[test]
fn who_takes_too_little_is_reaped_and_who_takes_enough_is_not() {
    for (a_second, reaped) in [(400, Some(Timeout::Write)), (700, None)] {
        let mut world = World::new(|_| {});
        let id = world.connect();
        world.take(id, Some(0));
        // The kernel says that it holds nothing: what was written was taken.
        world.script(id).held = Some(0);
        world.say(id, b"GET /File HTTP/1.1\r\nHost: h\r\n\r\n");
        for _ in 0..60 {
            if world.is_open(id) {
                world.wait_seconds(1);
                world.take(id, Some(a_second));
            }
        }
        assert_eq!(world.reaped(id), reaped, "{a_second} bytes a second");
    }
}

#[test]
fn who_sends_too_little_is_reaped_and_who_sends_enough_is_not() {
    for (a_second, reaped) in [(400, Some(Timeout::Body)), (700, None)] {
        let mut world = World::new(|_| {});
        let head = b"POST /Midway?count=50000 HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n";
        let id = begin(&mut world, head);
        for _ in 0..20 {
            if world.is_open(id) {
                world.wait_seconds(1);
                world.say(id, &vec![b'x'; a_second]);
            }
        }
        assert_eq!(world.reaped(id), reaped, "{a_second} bytes a second");
    }
}

#[test]
fn what_has_come_during_a_pause_is_no_silence() {
    let mut world = World::new(|_| {});
    let id = begin(&mut world, b"POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
    // The process is stopped, and goes on.
    world.script(id).arrive(b"bc");
    world.deliver(id);
    world.pass(Duration::from_secs(3600));
    world.settle();
    assert!(world.heard(id).ends_with("abc"));
    assert_eq!(world.reaped(id), None);
}

#[test]
fn an_exchange_at_work_has_its_own_time() {
    let mut world = World::new(|_| {});
    let id = begin(&mut world, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    world.wait(Duration::from_secs(10 * 3600));
    assert!(world.is_open(id));
    world.grant();
    world.settle();
    assert!(world.heard(id).ends_with("awake\n"));
    world.wait_seconds(60);
    assert_eq!(world.reaped(id), Some(Timeout::Idle));
}
