//! Reloads, and what they wait for; reports.

use super::{PORT, World, stage};
use crate::event::{Cx, ServiceId};
use crate::serve::{Readiness, Scale, Service};
use crate::server::control::Order;
use crate::server::load::Failure;
use crate::site::Site;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const FIXED: &[u8] = b"GET /Fixed HTTP/1.1\r\nHost: h\r\n\r\n";

/// A service that notes what is asked of it.
struct Crew {
    name: &'static str,
    readiness: RefCell<Readiness>,
    diary: Diary,
}

type Diary = Rc<RefCell<Vec<String>>>;

impl Crew {
    fn new(name: &'static str, readiness: Readiness, diary: &Diary) -> Rc<Self> {
        Rc::new(Self { name, readiness: RefCell::new(readiness), diary: diary.clone() })
    }

    fn note(&self, what: &str) {
        self.diary.borrow_mut().push(format!("{} {what}", self.name));
    }
}

impl Service for Crew {
    fn start(&self, _: ServiceId, _: &mut Cx) -> io::Result<()> {
        self.note("starts");
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    fn scale(&self, by: Scale, _: &mut Cx) {
        self.note(&format!("{by:?}"));
    }

    fn stop(&self, _: &mut Cx) {
        self.note("stops");
    }
}

/// A world whose next sites have services, and what these note.
fn with_services() -> (World, Diary) {
    (World::new(|_| {}), Diary::default())
}

fn reload_with(world: &mut World, service: &Rc<Crew>) {
    let (stage, service) = (world.stage.clone(), service.clone());
    world.reload(move || {
        let mut site = stage::site(&stage);
        site.services = vec![service];
        Ok((site, PORT))
    });
}

fn noted(diary: &Diary) -> Vec<String> {
    std::mem::take(&mut *diary.borrow_mut())
}

/// Whether requests are answered, by a site with that `Server` header.
fn served_by(world: &mut World) -> String {
    let client = world.connect();
    world.say(client, FIXED);
    let heard = world.heard(client);
    assert!(heard.ends_with("as always\n"), "{heard}");
    heard.lines().find_map(|line| line.strip_prefix("Server: ")).unwrap_or("nobody").to_owned()
}

fn named(world: &World, name: &str) -> Site {
    let mut site = stage::site(&world.stage);
    site.server_header = Some(name.into());
    site
}

#[test]
fn a_reload_is_for_new_requests_and_others_finish_on_their_site() {
    let mut world = World::new(|_| {});
    let former = Rc::downgrade(&world.event_loop.site);
    let busy = world.connect();
    world.say(busy, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    let site = named(&world, "second");
    world.reload(move || Ok((site, PORT)));
    assert!(world.errors().contains("info reloaded"));
    assert_eq!(served_by(&mut world), "second");
    world.wait_seconds(5);
    assert!(former.upgrade().is_some(), "somebody is still served by it");
    world.grant();
    world.settle();
    assert!(world.heard(busy).ends_with("awake\n"));
    world.wait_seconds(2);
    assert!(former.upgrade().is_none());
    assert!(world.is_open(busy), "its connection stays");
}

#[test]
fn a_reload_waits_for_its_services_and_former_ones_end_after_their_requests() {
    let (mut world, diary) = with_services();
    let first = Crew::new("first", Readiness::Ready, &diary);
    reload_with(&mut world, &first);
    let busy = world.connect();
    world.say(busy, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    let second = Crew::new("second", Readiness::Starting, &diary);
    reload_with(&mut world, &second);
    assert_eq!(noted(&diary), ["first starts", "second starts"]);
    world.wait_seconds(60);
    world.order(Order::More);
    assert_eq!(noted(&diary), ["first More"], "it is the one that serves");
    assert_eq!(world.errors().matches("info reloaded").count(), 1);
    *second.readiness.borrow_mut() = Readiness::Ready;
    world.turn();
    assert_eq!(world.errors().matches("info reloaded").count(), 2);
    world.order(Order::Fewer);
    world.wait_seconds(5);
    assert_eq!(noted(&diary), ["second Fewer"], "the first one has a request");
    world.grant();
    world.settle();
    world.wait_seconds(2);
    assert_eq!(noted(&diary), ["first stops"]);
}

#[test]
fn what_cannot_be_loaded_changes_nothing() {
    let (mut world, diary) = with_services();
    let busy = world.connect();
    world.say(busy, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    let before = world.event_loop.site.clone();
    let failing = Crew::new("failing", Readiness::Failed("no such module".into()), &diary);
    reload_with(&mut world, &failing);
    assert_eq!(noted(&diary), ["failing starts", "failing stops"]);
    world.reload(|| Err(Failure::Configuration("error: a mistake".into())));
    world.reload(|| panic!("as it should"));
    world.kernel.take_port(PORT + 1);
    let site = named(&world, "elsewhere");
    world.reload(move || Ok((site, PORT + 1)));
    let errors = world.errors();
    for why in [
        "no such module",
        "error: a mistake",
        "a panic while it was loaded: as it should",
        "port 81 is taken",
    ] {
        assert!(errors.contains(why), "{why}: {errors}");
    }
    assert_eq!(errors.matches("not reloaded, what served before goes on").count(), 4);
    assert!(Rc::ptr_eq(&before, &world.event_loop.site));
    assert!(world.kernel.is_listening(PORT));
    assert_eq!(served_by(&mut world), "nobody");
    world.grant();
    world.settle();
    assert!(world.heard(busy).ends_with("awake\n"));
}

#[test]
fn a_reload_that_waits_is_given_up_for_another_one_and_for_a_stop() {
    let (mut world, diary) = with_services();
    let [one, two] = ["one", "two"].map(|name| Crew::new(name, Readiness::Starting, &diary));
    reload_with(&mut world, &one);
    reload_with(&mut world, &two);
    assert_eq!(noted(&diary), ["one starts", "one stops", "two starts"]);
    assert!(world.errors().contains("the reload is given up: another one begins"));
    let busy = world.connect();
    world.say(busy, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    world.order(Order::StopPatiently);
    assert_eq!(noted(&diary), ["two stops"]);
    assert!(world.errors().contains("the reload is given up: the server stops"));
    *two.readiness.borrow_mut() = Readiness::Ready;
    world.wait_seconds(5);
    assert!(!world.errors().contains("info reloaded"));
}

#[test]
fn listeners_come_and_go_with_reloads() {
    let mut world = World::new(|_| {});
    let stays = world.connect();
    let site = named(&world, "elsewhere");
    world.reload(move || Ok((site, PORT + 1)));
    assert!(!world.kernel.is_listening(PORT) && world.kernel.is_listening(PORT + 1));
    world.say(stays, FIXED);
    assert!(world.heard(stays).ends_with("as always\n"), "who is in stays in");
    let refused = world.come([10, 0, 0, 1]);
    world.settle();
    assert!(!world.is_open(refused));
    let site = named(&world, "back");
    world.reload(move || Ok((site, PORT)));
    assert_eq!(served_by(&mut world), "back");
}

#[test]
fn time_outs_of_a_reload_are_looked_after_as_they_are_now() {
    let mut world = World::new(|_| {});
    let mut site = stage::site(&world.stage);
    site.timeouts.idle = Duration::from_secs(1);
    world.reload(move || Ok((site, PORT)));
    let client = world.connect();
    world.say(client, FIXED);
    world.wait(Duration::from_millis(1250));
    assert!(!world.is_open(client), "it is swept four times a second");
}

#[test]
fn lines_that_a_reload_has_written_keep_nobody_awake() {
    let mut world = World::new(|_| {});
    for order in [Order::Reload, Order::Reopen] {
        assert_eq!(served_by(&mut world), "nobody");
        let site = stage::site(&world.stage);
        world.prepare(move || Ok((site, PORT)));
        world.order(order);
        // It would spin as soon as the lines had been due.
        world.wait_seconds(2);
    }
    assert_eq!(world.log_lines().len(), 2);
}

#[test]
fn a_report_says_how_things_stand() {
    let mut world = World::with_room(50, |_| {});
    let busy = world.connect();
    world.say(busy, b"GET /Wake HTTP/1.1\r\nHost: h\r\n\r\n");
    let idle = world.connect();
    world.say(idle, FIXED);
    world.order(Order::Report);
    let errors = world.errors();
    assert!(errors.contains("2 connections, 1 of them idle; 0 log lines dropped"), "{errors}");
    assert!(errors.contains("0 times full, 0 refused for their address"), "{errors}");
}
