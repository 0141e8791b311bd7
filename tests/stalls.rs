//! Work that takes long does not hold the loop: what it was held by is read from its own report.

use crate::support::{Response, TestServer, Wire, eventually};
use rustix::process::Signal;
use std::time::{Duration, SystemTime};

/// For a step of the loop, in milliseconds of processor time. It is one or two here, without
/// optimization; what is given to helpers takes many times as long.
// Without optimisation, and beside other work, a step takes several times as long; all of a folder at
// once would take hundreds of milliseconds.
const STEP_MAX: f64 = 50.0;

const CONFIG: &str = "[[host]]\nroot = \"root\"\nlisting = true\n\n[log]\nlevel = \"debug\"\n";

/// The longest time that connections have held the loop since the last call.
fn longest(server: &TestServer) -> f64 {
    let so_far = reports(server).len();
    server.signal(Signal::USR2);
    let report = eventually(|| reports(server).get(so_far).cloned()).unwrap();
    let (_, of_connections) = report.split_once("connections ").unwrap();
    let (_, processor) = of_connections.split_once(" ms (").unwrap();
    processor.split_once(" ms of").unwrap().0.parse().unwrap()
}

fn reports(server: &TestServer) -> Vec<String> {
    let said = server.read("stderr.txt");
    said.lines().filter(|line| line.contains("steps of the loop")).map(Into::into).collect()
}

/// Asks on many connections at once, and returns the answers.
fn ask_all(server: &TestServer, paths: &[String]) -> Vec<Response> {
    let mut wires: Vec<Wire> = paths.iter().map(|_| Wire::connect(server)).collect();
    for (wire, path) in wires.iter_mut().zip(paths) {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
    }
    wires.iter_mut().map(Wire::response).collect()
}

#[test]
fn compressing_many_files_does_not_hold_the_loop() {
    let server = TestServer::new(CONFIG, &[("root/a", "")]);
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let text: String = (0..20_000).map(|n| format!("{:x} ", n * 7919)).collect();
    let text = &text[..128 * 1024 - 8];
    let mut paths = Vec::new();
    for n in 0..24 {
        let name = format!("root/{n}.txt");
        server.write(&name, text);
        let file = std::fs::File::options().append(true).open(server.path(&name)).unwrap();
        file.set_modified(an_hour_ago).unwrap();
        // Each is asked for three times: all wait for the same work.
        paths.extend(vec![format!("/{n}.txt"); 3]);
    }
    longest(&server);
    for answer in ask_all(&server, &paths) {
        assert!(answer.head.contains("Content-Encoding: gzip\r\n"), "{}", answer.head);
        assert!(answer.body.starts_with(b"\x1f\x8b") && answer.body.len() < text.len());
    }
    let held = longest(&server);
    assert!(held < STEP_MAX, "{held} ms\n{}", server.read("stderr.txt"));
}

#[test]
fn listing_large_folders_does_not_hold_the_loop() {
    let server = TestServer::new(CONFIG, &[("root/a", "")]);
    let mut paths = Vec::new();
    for folder in 0..3 {
        std::fs::create_dir(server.path(&format!("root/{folder}"))).unwrap();
        for n in 0..10_000 {
            let name = server.path(&format!("root/{folder}/name-{n:05}"));
            std::os::unix::fs::symlink("nowhere", &name).unwrap();
            if n % 10 != 0 {
                std::fs::remove_file(&name).unwrap();
                std::fs::write(&name, "").unwrap();
            }
        }
        paths.extend(["", "?sort=size", "?sort=time"].map(|query| format!("/{folder}/{query}")));
    }
    longest(&server);
    for answer in ask_all(&server, &paths) {
        assert_eq!(answer.status, 200);
        let page = answer.text();
        assert_eq!(page.matches("<tr><td><a href=\"name-").count(), 9000, "links lead nowhere");
        assert!(page.ends_with("</html>\n"));
    }
    let held = longest(&server);
    assert!(held < STEP_MAX, "{held} ms\n{}", server.read("stderr.txt"));
}
