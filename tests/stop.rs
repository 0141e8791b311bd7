//! The end: what is in flight arrives, nobody else gets in.

use crate::support::{TestServer, Wire, eventually, get};
use rustix::process::Signal;
use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SIZE: usize = 32 << 20;

/// A server, and a download of it that has begun and stands still.
fn at_work() -> (TestServer, Wire) {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    File::create(server.path("root/large.bin")).unwrap().set_len(SIZE as u64).unwrap();
    let mut download = Wire::connect(&server);
    download.send(get("/large.bin"));
    download.head().unwrap().unwrap();
    (server, download)
}

fn refuses(server: &TestServer) -> bool {
    eventually(|| TcpStream::connect(server.address).is_err().then_some(())).is_some()
}

#[test]
fn an_idle_server_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut server = TestServer::of_files(&[]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn idle_connections_close_and_the_download_arrives() {
    for signal in [Signal::TERM, Signal::QUIT] {
        let (mut server, mut download) = at_work();
        let mut idle: Vec<_> = (0..50).map(|_| Wire::connect(&server)).collect();
        for wire in &mut idle {
            assert_eq!(wire.get("/a.txt").text(), "hello");
        }
        server.signal(signal);
        assert!(idle.iter_mut().all(Wire::is_closed), "{signal:?}");
        assert!(refuses(&server), "{signal:?}");
        assert!(!server.has_ended(), "{signal:?}: the download is not done");
        assert_eq!(download.take(SIZE).unwrap().len(), SIZE, "{signal:?}");
        assert!(download.is_closed());
        assert_eq!(server.wait().code(), Some(0), "{signal:?}");
        assert!(server.read("access.log").contains("GET /large.bin"), "{signal:?}: it is logged");
    }
}

#[test]
fn a_client_that_sends_on_after_its_answer_holds_nothing_up() {
    let mut server = TestServer::of_files(&[]);
    let mut wire = Wire::connect(&server);
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
    assert!(wire.response().status >= 400);
    let mut stream = wire.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    sender.join().unwrap();
}

#[test]
fn a_reload_after_the_order_to_stop_changes_nothing() {
    let (mut server, mut download) = at_work();
    server.signal(Signal::TERM);
    assert!(refuses(&server));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "not reloaded: the server stops");
    assert!(TcpStream::connect(server.address).is_err());
    assert_eq!(download.take(SIZE).unwrap().len(), SIZE);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_reload_during_a_download_does_not_disturb_it() {
    let (server, mut download) = at_work();
    for _ in 0..3 {
        server.signal(Signal::HUP);
    }
    server.read_until("stderr.txt", "reloaded");
    assert_eq!(download.take(SIZE).unwrap().len(), SIZE);
    assert_eq!(download.get("/a.txt").text(), "hello");
}

#[test]
fn a_second_signal_ends_it_now() {
    for first in [Signal::TERM, Signal::QUIT] {
        let (mut server, download) = at_work();
        server.signal(first);
        server.read_until("stderr.txt", "stopping");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(5), "after {first:?}");
        assert!(server.read("access.log").contains("/large.bin"), "what was cut is logged");
        drop(download);
    }
}

#[test]
fn the_time_to_stop_is_bounded() {
    let config = "[timeouts]\nshutdown = \"500ms\"\n[[host]]\nroot = \"root\"\n";
    let mut server = TestServer::new(config, &[]);
    File::create(server.path("root/large.bin")).unwrap_or_else(|_| {
        std::fs::create_dir(server.path("root")).unwrap();
        File::create(server.path("root/large.bin")).unwrap()
    });
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    File::options()
        .write(true)
        .open(server.path("root/large.bin"))
        .unwrap()
        .set_len(SIZE as u64)
        .unwrap();
    let mut download = Wire::connect(&server);
    download.send(get("/large.bin"));
    download.head().unwrap().unwrap();
    let since = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(5));
    assert!(since.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_request_sent_before_is_answered_and_an_upload_finishes() {
    let config = "[[host]]\nroot = \"root\"\nupload = true\n";
    let mut server = TestServer::new(config, &[("root/a.txt", "hello")]);
    let mut upload = Wire::connect(&server);
    upload
        .send("PUT /new HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n");
    assert_eq!(upload.response().status, 100);
    upload.send("new");
    server.signal(Signal::TERM);
    server.read_until("stderr.txt", "stopping");
    let response = upload.send("new").response();
    assert_eq!((response.status, response.header("Connection")), (201, Some("close")));
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.read("root/new"), "newnew");
}

#[test]
fn it_starts_again_at_once_after_being_killed() {
    let mut server = TestServer::of_files(&[("root/a.txt", "hello")]);
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/a.txt").text(), "hello");
    server.signal(Signal::KILL);
    server.wait();
    let config = format!(
        "[server]\nlisten = \"http://{}\"\n[[host]]\nrespond = \"again\"\n",
        server.address
    );
    let again = TestServer::new(&config, &[]);
    assert_eq!(again.get("/").text(), "again");
}
