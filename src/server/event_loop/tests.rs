//! Panics at the guarded entrance, where no connection is concerned.

use super::services::ServiceTable;
use crate::app::App;
use crate::event::{Cx, ServiceId};
use crate::serve::Service;
use crate::server::control::Order;
use crate::server::{Running, Server};
use crate::site::Site;
use mio::Poll;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::mpsc;

struct Broken;

impl Service for Broken {
    fn start(&self, _: ServiceId, _: &mut Cx) -> io::Result<()> {
        Ok(())
    }

    fn on_event(&self, tag: u16, _: &mut Cx) {
        panic!("an event of slot {tag}");
    }

    fn flush_batch(&self, _: &mut Cx) {
        panic!("a turn");
    }

    fn stop(&self, _: &mut Cx) {
        panic!("a stop");
    }
}

#[test]
fn a_service_that_panics_at_an_event_is_reported_and_nothing_else() {
    let poll = Poll::new().unwrap();
    let mut cx = Cx::new(poll.registry().try_clone().unwrap());
    let mut site = Site::of_routes(Vec::new());
    site.services = vec![Rc::new(Broken)];
    let site = Rc::new(site);
    let mut services = ServiceTable::default();
    let started = services.start(&site, &mut cx).unwrap();
    services.commit(started);
    services.event(ServiceId(0), 7, &mut cx);
    services.flush_batch(ServiceId(0), &mut cx);
    services.stop_all(&mut cx);
    let said: Vec<_> = cx.take_notices().into_iter().map(|notice| notice.text).collect();
    let wanted = ["an event of slot 7", "a turn", "a stop"];
    assert_eq!(said, wanted.map(|text| format!("a panic in a handler: {text}")));
}

#[test]
fn an_application_that_panics_at_a_reload_refuses_it() {
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nhandler = \"once\"\n";
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let made = Cell::new(false);
        let once = move |_: &crate::app::Options| {
            assert!(!made.replace(true), "made a second time");
            Ok(App::new().get("/", |_| "the first"))
        };
        let mut running: Running =
            Server::from_text(config).handler("once", once).quiet().start().unwrap();
        running.event_loop.obey(Order::Reload);
        let notices = running.event_loop.cx.take_notices();
        assert!(notices.iter().any(|notice| notice.text.contains("made a second time")));
        sender.send((running.address().unwrap(), running.stopper().unwrap())).unwrap();
        running.run().unwrap();
    });
    let (address, stopper) = receiver.recv().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("the first"), "{answer}");
    stopper.stop();
    thread.join().unwrap();
}
