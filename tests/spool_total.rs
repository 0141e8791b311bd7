//! The total of what waits on the disk: answers that nobody takes and bodies that are gathered.

use crate::support::{Start, TestServer, Wire, eventually, get, run};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

const APP: &str = r#"
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sum":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"%d %d" % (len(body), sum(body))]
    start_response("200 OK", [])
    if path == "/endless":
        return endless()
    if path == "/long":
        return (b"%07d\n" % n * 8192 for n in range(320))     # 20 MiB
    return [b"fine"]

def endless():
    while True:
        yield b"x" * 65536
"#;

const TOTAL: u64 = 8 << 20;

fn server() -> TestServer {
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 6\ntimeout = \"60s\"\n\
        [limits]\nspool_total = \"8MiB\"\nbody = \"100MiB\"\nper_client = 100\n\
        [[host]]\napp = \"a\"\n[[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n";
    let script = "#!/bin/sh\necho Content-Type: text/plain\necho\nwc -c\n";
    let start = Start::new(config, &[("a.py", APP), ("cgi/count", script)]);
    let path = start.path().join("cgi/count");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    start.run()
}

/// Bytes of the files without a name that the server has open.
fn on_disk(server: &TestServer) -> u64 {
    let folder = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    let open = std::fs::read_dir(folder).unwrap().flatten();
    let sizes = open.filter_map(|entry| {
        let place = std::fs::read_link(entry.path()).ok()?;
        let place = place.to_string_lossy().into_owned();
        let is_temporary = place.ends_with(" (deleted)") && !place.contains("memfd:");
        let info = std::fs::metadata(entry.path()).ok().filter(|_| is_temporary)?;
        // A descriptor may be there twice.
        Some((info.ino(), info.len()))
    });
    sizes.collect::<std::collections::BTreeMap<_, _>>().values().sum()
}

fn upload(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn answers_that_nobody_takes_have_a_total() {
    let server = server();
    let mut unread: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut unread {
        wire.send(get("/endless"));
    }
    server.read_until("stderr.txt", "`limits.spool_total` is reached");
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "fine");
        let there = on_disk(&server);
        assert!(there <= TOTAL, "{there} bytes");
    }
    // What does not fit waits, and is lost in no place.
    let mut patient = Wire::connect(&server);
    patient.send(get("/long"));
    let body = patient.response().body;
    let want: Vec<u8> =
        (0..320).flat_map(|n| format!("{n:07}\n").repeat(8192).into_bytes()).collect();
    assert!(body == want);
    drop(unread);
    assert!(eventually(|| (on_disk(&server) == 0).then_some(())).is_some());
    let log = server.read("stderr.txt");
    assert_eq!(log.matches("spool_total").count(), 1, "{log}");
    // It is told again when it is reached again.
    let mut unread: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut unread {
        wire.send(get("/endless"));
    }
    let again = || (server.read("stderr.txt").matches("spool_total").count() == 2).then_some(());
    assert!(eventually(again).is_some(), "{}", server.read("stderr.txt"));
}

#[test]
fn bodies_wait_for_room_and_are_whole() {
    let server = server();
    const FIRST: usize = 5 << 20;
    const SECOND: usize = 6 << 20;
    let chunked = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
        )
    };
    let sums = |n: usize| format!("{n} {}", n * 97);
    for (name, path, head, end, says) in [
        (
            "wsgi",
            "/sum",
            &upload as &dyn Fn(&str, usize) -> String,
            "",
            &sums as &dyn Fn(usize) -> String,
        ),
        ("wsgi, chunked", "/sum", &chunked, "\r\n0\r\n\r\n", &sums),
        ("cgi, chunked", "/cgi/count", &chunked, "\r\n0\r\n\r\n", &|n| format!("{n}\n")),
    ] {
        let body = vec![b'a'; SECOND];
        let mut first = Wire::connect(&server);
        first.send(head(path, FIRST)).send(&body[..FIRST - 1]);
        assert!(eventually(|| (on_disk(&server) >= 4 << 20).then_some(())).is_some(), "{name}");
        let mut second = Wire::connect(&server);
        let mut stream = second.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            let all = [head(path, SECOND).as_bytes(), &body, end.as_bytes()].concat();
            scope.spawn(move || std::io::Write::write_all(&mut stream, &all).unwrap());
            server.read_until("stderr.txt", "`limits.spool_total` is reached");
            assert!(on_disk(&server) <= TOTAL, "{name}");
            first.send("a").send(end);
            assert_eq!(first.response().text(), says(FIRST), "{name}");
            assert_eq!(second.response().text(), says(SECOND), "{name}");
        });
        assert!(eventually(|| (on_disk(&server) == 0).then_some(())).is_some(), "{name}");
        server.write("stderr.txt", "");
    }
    // What can never fit is not waited for.
    let mut wire = Wire::connect(&server);
    wire.stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    wire.send(upload("/sum", 9 << 20));
    let _ = std::io::Write::write_all(&mut wire.stream, &vec![b'x'; 9 << 20]);
    assert_eq!(wire.response().status, 507);
    assert_eq!(server.get("/").text(), "fine");
}

#[test]
fn the_total_is_shown() {
    let server = server();
    let (_, shown, _) = run(&server.path("."), &["-T"], "");
    assert!(shown.contains("spool_total = \"8MiB\""), "{shown}");
    let (_, shown, _) = run(&server.path("."), &["-T", "-c", "-"], "[[host]]\nrespond = \"x\"\n");
    assert!(shown.contains("spool_total = \"1GiB\""), "{shown}");
    let text = "[limits]\nspool_total = \"10\"\n[[host]]\nrespond = \"x\"\n";
    let (code, _, said) = run(&server.path("."), &["-t", "-c", "-"], text);
    assert!(code != Some(0) && said.contains("spool_total"), "{said}");
}

/// Clients that take nothing hold every worker, once what waits for them fits nowhere. Alone they may; an
/// honest request has the worker of whichever holds most, and the others go on.
#[test]
fn slow_readers_hold_no_worker_that_another_client_waits_for() {
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 2\ntimeout = \"60s\"\n\
        [limits]\nspool_total = \"8MiB\"\n[[host]]\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", APP)]).run();
    let mut slow: Vec<_> = (0..2).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send(get("/endless"));
        wire.head().unwrap().unwrap();
    }
    for _ in 0..3 {
        assert_eq!(server.get("/").text(), "fine");
    }
    let log = server.read("stderr.txt");
    assert!(log.contains("is cut: others wait for a worker"), "{log}");
    assert!(!log.contains("no worker was free"), "{log}");
}
