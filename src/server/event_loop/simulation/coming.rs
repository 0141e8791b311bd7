//! How clients come in: bursts, full tables, addresses with too many, a kernel without descriptors.

use super::{ClientId, PORT, World};
use std::io;
use std::time::Duration;

const FIXED: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n";
const LAST: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const WAKE: &[u8] = b"GET /Wake HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// EMFILE, ECONNABORTED.
const NO_DESCRIPTOR: i32 = 24;
const GONE_ALREADY: i32 = 103;

fn many(world: &mut World, count: usize) -> Vec<ClientId> {
    (0..count).map(|_| world.come([10, 0, 0, 1])).collect()
}

#[test]
fn a_burst_is_accepted_in_pieces_and_starves_nobody() {
    let mut world = World::new(|_| {});
    let first = world.connect();
    let crowd = many(&mut world, 200);
    for turns in 1..=4 {
        world.script(first).arrive(FIXED);
        world.deliver(first);
        world.turn();
        assert!(world.heard(first).ends_with("as always\n"), "turn {turns}");
        assert_eq!(world.kernel.waiting(PORT), 200_usize.saturating_sub(64 * turns));
    }
    world.settle();
    assert!(crowd.iter().all(|client| world.id(*client).is_some()));
}

#[test]
fn a_request_that_came_with_its_connection_is_answered_before_that_is_watched() {
    let mut world = World::new(|_| {});
    let [last, other] = [LAST, FIXED].map(|request| {
        let client = world.come([10, 0, 0, 1]);
        world.script(client).arrive(request);
        client
    });
    world.script(last).incoming.push_back(crate::net::Incoming::End);
    world.settle();
    for client in [last, other] {
        assert!(world.heard(client).ends_with("as always\n"));
    }
    assert!(!world.is_open(last) && world.id(last).is_none());
    assert!(world.is_open(other) && world.id(other).is_some());
}

#[test]
fn the_longest_idle_make_room() {
    let mut world = World::with_room(16, |_| {});
    let guests: Vec<_> = (0..16)
        .map(|_| {
            let client = world.connect();
            world.say(client, FIXED);
            world.wait_seconds(1);
            client
        })
        .collect();
    world.say(guests[0], FIXED);
    let late = world.come([10, 0, 0, 2]);
    world.settle();
    world.say(late, FIXED);
    assert!(world.heard(late).ends_with("as always\n"));
    let gone: Vec<_> = guests.iter().filter(|client| !world.is_open(**client)).collect();
    assert_eq!(gone, [&guests[1]], "the first one has just asked again");
    assert!(world.errors().contains("all 16 connections are taken, others wait (1 times)"));
}

#[test]
fn where_all_are_at_work_others_wait_until_one_has_ended() {
    let mut world = World::with_room(2, |_| {});
    let busy = [world.connect(), world.connect()];
    busy.iter().for_each(|client| world.say(*client, WAKE));
    let late = world.come([10, 0, 0, 2]);
    world.settle();
    for _ in 0..20 {
        world.wait(Duration::from_millis(333));
        assert_eq!(world.kernel.waiting(PORT), 1);
    }
    world.grant();
    world.settle();
    world.say_end(busy[0]);
    assert_eq!(world.kernel.waiting(PORT), 0, "as soon as there is room");
    world.say(late, FIXED);
    assert!(world.heard(late).ends_with("as always\n"));
    let told = world.errors().matches("connections are taken").count();
    assert_eq!(told, 1, "not each time: {}", world.errors());
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let mut world = World::new(|site| site.limits.per_client = Some(2));
    let two = [world.connect(), world.connect()];
    let third = world.connect();
    assert!(two.iter().all(|client| world.is_open(*client)) && !world.is_open(third));
    let other = world.come([10, 0, 0, 2]);
    world.settle();
    assert!(world.is_open(other));
    assert!(world.errors().contains("1 connections refused: their address has as many"));
    // Whoever leaves makes room, however it leaves.
    world.say_end(two[0]);
    let fourth = world.connect();
    world.say_reset(two[1]);
    let fifth = world.connect();
    world.wait_seconds(10);
    assert!(!world.is_open(fourth) && !world.is_open(fifth), "no head has come");
    let again = [(); 3].map(|()| world.connect());
    assert_eq!(again.map(|client| world.is_open(client)), [true, true, false]);
}

#[test]
fn without_descriptors_one_is_turned_away_and_others_wait_a_moment() {
    let mut world = World::new(|_| {});
    let fail = |world: &World| {
        world.kernel.fail_accept(PORT, io::Error::from_raw_os_error(NO_DESCRIPTOR));
    };
    let old = world.connect();
    fail(&world);
    let [away, patient] = [(); 2].map(|()| world.come([10, 0, 0, 1]));
    world.settle();
    assert!(!world.is_open(away), "at least it knows");
    world.wait(Duration::from_millis(499));
    assert_eq!(world.kernel.waiting(PORT), 1);
    world.wait(Duration::from_millis(1));
    assert!(world.id(patient).is_some());
    // A connection that ends gives its descriptor back.
    fail(&world);
    let [away, patient] = [(); 2].map(|()| world.come([10, 0, 0, 1]));
    world.settle();
    assert!(!world.is_open(away) && world.id(patient).is_none());
    world.say_end(old);
    assert!(world.id(patient).is_some());
    assert_eq!(world.errors().matches("cannot accept").count(), 1, "{}", world.errors());
    world.wait_seconds(10);
    fail(&world);
    world.settle();
    assert_eq!(world.errors().matches("cannot accept").count(), 2);
}

#[test]
fn a_client_that_is_gone_before_it_is_accepted_is_passed_over() {
    let mut world = World::new(|_| {});
    world.kernel.fail_accept(PORT, io::Error::from_raw_os_error(GONE_ALREADY));
    let next = world.connect();
    assert!(world.id(next).is_some());
    assert_eq!(world.errors(), "");
}
