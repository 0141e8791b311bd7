//! Clients that make workers wait, for there is no room on the disk for what they do not take.

use crate::support::{Start, TestServer, Wire, get};

const APP: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [])
    path = environ["PATH_INFO"]
    if path == "/endless":
        return endless()
    if path == "/long":
        return (b"%07d\n" % n * 8192 for n in range(100))     # 6 MiB
    return [b"fine"]

def endless():
    while True:
        yield b"x" * 65536
"#;

fn server(workers: usize) -> TestServer {
    let config = format!(
        "[app.a]\nwsgi = \"a\"\nworkers = {workers}\nqueue = 16\ntimeout = \"60s\"\n\
         [limits]\nspool_total = \"1MiB\"\n[[host]]\napp = \"a\"\n"
    );
    Start::new(&config, &[("a.py", APP)]).run()
}

/// Requests for what never ends, more than there are workers, of these addresses in turn.
fn unread(server: &TestServer, workers: usize, of: &[&str]) -> Vec<Wire> {
    (0..workers + 6)
        .map(|n| {
            let mut wire = Wire::from(of[n % of.len()], server.address);
            wire.send(get("/endless"));
            wire
        })
        .collect()
}

#[test]
fn slow_readers_hold_no_workers_that_others_want() {
    let many: Vec<String> = (2..40).map(|n| format!("127.0.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (workers, of) in [(4, &["127.0.0.2"][..]), (1, &["127.0.0.2"]), (3, &many)] {
        let server = server(workers);
        let held = unread(&server, workers, of);
        for _ in 0..4 {
            let answer = server.get("/");
            assert_eq!(answer.status, 200, "{workers} {}: {}", of.len(), server.read("stderr.txt"));
        }
        // Who takes what is sent gets all of it.
        let body = server.get("/long").body;
        let want = (0..100).flat_map(|n| format!("{n:07}\n").repeat(8192).into_bytes());
        assert!(body.into_iter().eq(want), "{}", server.read("stderr.txt"));
        server.read_until("stderr.txt", "which is cut: others wait for a worker");
        drop(held);
    }
}

/// As long as no other client wants the workers, they may be held for as long as one likes.
#[test]
fn a_slow_reader_alone_is_left_alone() {
    let server = server(2);
    let mut slow = Wire::connect(&server);
    slow.send(get("/endless"));
    slow.take(1 << 20).unwrap();
    for _ in 0..20 {
        assert_eq!(server.get("/").status, 200);
    }
    let more = slow.take(4 << 20).unwrap();
    assert!(more.len() == 4 << 20);
    assert!(!server.read("stderr.txt").contains("which is cut"), "{}", server.read("stderr.txt"));
}
