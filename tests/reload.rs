//! HUP: the new configuration, or the old one, and never nothing.

use crate::support::{TestServer, Wire, eventually, get};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

fn answering(text: &str) -> String {
    format!("[[host]]\nrespond = \"{text}\"\n")
}

fn reload(server: &TestServer) {
    let times = |server: &TestServer| server.read("stderr.txt").matches("reloaded").count();
    let before = times(server);
    server.signal(Signal::HUP);
    eventually(|| (times(server) > before).then_some(())).expect("the log says what became of it");
}

#[test]
fn what_it_changes() {
    let server = TestServer::new(&answering("one"), &[("root/a.txt", "file")]);
    let mut kept = Wire::connect(&server);
    assert_eq!(kept.get("/").text(), "one");
    server.configure(&answering("two"));
    assert_eq!(kept.get("/").text(), "one", "not before it is told");
    reload(&server);
    assert_eq!((kept.get("/").text(), server.get("/").text()), ("two", "two"));
    server.configure("[[host]]\nnames = [\"new.example\"]\nroot = \"root\"\n");
    reload(&server);
    assert_eq!(kept.get("/a.txt").status, 421);
    let response = server.ask("GET /a.txt HTTP/1.1\r\nHost: new.example\r\n\r\n");
    assert_eq!(response.text(), "file");
}

#[test]
fn listeners_come_and_go() {
    let listen = |all: &str| format!("[server]\nlisten = [{all}]\n{}", answering("hello"));
    let server = TestServer::new(&listen("\"http://127.0.0.1:0\""), &[]);
    let socket = server.path("web.sock");
    server.configure(&listen("\"http://127.0.0.1:0\", \"unix:web.sock\""));
    reload(&server);
    let mut local = UnixStream::connect(&socket).unwrap();
    local
        .write_all(get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    local.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(server.get("/").text(), "hello", "the same port as before");
    server.configure(&listen("\"unix:web.sock\""));
    let mut kept = Wire::connect(&server);
    assert_eq!(kept.get("/").text(), "hello");
    reload(&server);
    assert!(std::net::TcpStream::connect(server.address).is_err());
    assert_eq!(kept.get("/").text(), "hello", "who is in stays");
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn a_broken_file_changes_nothing_and_the_log_says_where() {
    let server = TestServer::new(&answering("good"), &[]);
    let taken = TestServer::new(&answering("other"), &[]);
    let listen =
        format!("[server]\nlisten = [\"http://127.0.0.1:0\", \"http://{}\"]\n", taken.address);
    for (config, says) in [
        ("[[host]]\nrooot = \"x\"\n".to_owned(), "web.conf:2:1"),
        ("[[host]]\nroot = \n".to_owned(), "web.conf:2:"),
        (listen + &answering("bad"), "is taken by"),
        (answering("bad") + "[log]\naccess = \"no/such/folder/log\"\n", "cannot be opened"),
    ] {
        server.configure(&config);
        server.signal(Signal::HUP);
        let log = server.read_until("stderr.txt", says);
        assert!(log.contains("not reloaded"), "{log}");
        assert_eq!(server.get("/").text(), "good", "{config}");
    }
    std::fs::remove_file(server.path("web.conf")).unwrap();
    reload(&server);
    assert_eq!(server.get("/").text(), "good");
    server.configure(&answering("mended"));
    reload(&server);
    assert_eq!(server.get("/").text(), "mended");
}

#[test]
fn no_request_is_lost() {
    let config = |n: u32| {
        format!(
            "{}  [[host.route]]\n  path = \"/f/\"\n  files = \"root\"\n",
            answering(&n.to_string())
        )
    };
    let big = "x".repeat(1_000_000);
    let server = TestServer::new(&config(0), &[("root/big.bin", &big)]);
    let done = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let fresh = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Relaxed) {
                assert_eq!(server.get("/").status, 200);
                count += 1;
            }
            count
        });
        let kept = scope.spawn(|| {
            let mut wire = Wire::connect(&server);
            let mut count = 0;
            while !done.load(Relaxed) {
                wire.send(get("/") + &get("/f/big.bin"));
                assert_eq!(wire.response().status, 200);
                assert_eq!(wire.response().body.len(), big.len());
                count += 2;
            }
            count
        });
        for n in 1..=10 {
            server.configure(&config(n));
            reload(&server);
            let seen = eventually(|| (server.get("/").text() == n.to_string()).then_some(()));
            assert!(seen.is_some(), "reload {n}");
            std::thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Relaxed);
        (fresh.join().unwrap(), kept.join().unwrap())
    });
    assert!(asked.0 > 10 && asked.1 > 10, "{asked:?} requests");
}

#[test]
fn descriptors_and_memory_do_not_grow() {
    let server = TestServer::new("[[host]]\nroot = \"root\"\n", &[("root/a.txt", "hello")]);
    for n in 0..60 {
        if n == 10 {
            server.write("before", server.descriptors().to_string());
        }
        reload(&server);
        assert_eq!(server.get("/a.txt").text(), "hello");
    }
    let before: usize = server.read("before").parse().unwrap();
    let settled = eventually(|| (server.descriptors() <= before).then_some(()));
    assert!(settled.is_some(), "{} descriptors, {before} before", server.descriptors());
}
