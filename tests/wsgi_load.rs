//! Workers that come and go while clients ask on: nobody notices.

use crate::support::{Start, TestServer, Wire, eventually, get};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Says which version it is and which worker, and takes its time now and then.
fn version(n: u32) -> String {
    format!(
        "import os, time\nleak = []\ncount = 0\n\
         def application(environ, start_response):\n    \
             global count\n    \
             count += 1\n    \
             if environ['QUERY_STRING'] == 'leak':\n        leak.append(b'x' * 200000)\n    \
             if count % 7 == 0:\n        time.sleep(0.01)\n    \
             body = environ['wsgi.input'].read()\n    \
             start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
             return [b'{n} %d ' % os.getpid() + body]\n"
    )
}

fn server(keys: &str) -> TestServer {
    let config = format!(
        "[app.v]\nwsgi = \"v\"\nqueue = 1000\nqueue_timeout = \"30s\"\n{keys}\n[[host]]\napp = \"v\"\n"
    );
    Start::new(&config, &[("v.py", &version(1))]).run()
}

/// What clients have seen.
struct Seen {
    versions: BTreeSet<String>,
    workers: BTreeSet<String>,
    answers: usize,
}

/// Has six clients ask, on kept connections and on fresh ones, while `act` acts. Every answer has to be
/// right.
fn under_load(server: &TestServer, query: &str, act: impl FnOnce(&dyn Fn() -> usize)) -> Seen {
    let (done, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = Mutex::new((BTreeSet::new(), BTreeSet::new()));
    std::thread::scope(|scope| {
        for client in 0..6 {
            let (done, answers, seen) = (&done, &answers, &seen);
            scope.spawn(move || {
                let mut wire = Wire::connect(server);
                let mut round = 0;
                while !done.load(Ordering::Relaxed) {
                    round += 1;
                    if client % 2 == 0 && round % 5 == 0 {
                        wire = Wire::connect(server);
                    }
                    let body = format!("{client}.{round}");
                    let request = format!(
                        "POST /?{query} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let response = wire.send(request).response();
                    assert_eq!(response.status, 200, "{}", server.read("stderr.txt"));
                    let words: Vec<_> = response.text().split(' ').map(str::to_owned).collect();
                    assert_eq!(words[2], body, "an answer of somebody else");
                    let mut seen = seen.lock().unwrap();
                    seen.0.insert(words[0].clone());
                    seen.1.insert(words[1].clone());
                    drop(seen);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            act(&|| answers.load(Ordering::Relaxed));
        }));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = acted {
            std::panic::resume_unwind(panic);
        }
    });
    let (versions, workers) = seen.into_inner().unwrap();
    Seen { versions, workers, answers: answers.into_inner() }
}

/// Waits until so many more answers were given.
fn more(answers: &dyn Fn() -> usize, count: usize) {
    let before = answers();
    assert!(eventually(|| (answers() >= before + count).then_some(())).is_some());
}

/// Waits until the error log has that text so many times.
fn said(server: &TestServer, text: &str, times: usize) {
    let there = || (server.read("stderr.txt").matches(text).count() >= times).then_some(());
    assert!(eventually(there).is_some(), "{text}: {}", server.read("stderr.txt"));
}

#[test]
fn reloads_under_load_fail_no_request() {
    let server = server("workers = 2");
    let seen = under_load(&server, "", |answers| {
        more(answers, 100);
        for n in 2..5 {
            server.write("v.py", version(n) + &"#".repeat(n as usize));
            server.signal(Signal::HUP);
            said(&server, "info reloaded", n as usize - 1);
            more(answers, 50);
            // Those that cannot be loaded change nothing.
            server.write("v.py", format!("raise ValueError('broken {n}')\n"));
            server.signal(Signal::HUP);
            said(&server, "not reloaded, what served before goes on", n as usize - 1);
            more(answers, 50);
        }
    });
    assert_eq!(seen.versions.into_iter().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    assert!(seen.answers > 300);
    none_too_many(&server, 2);
}

#[test]
fn workers_that_come_and_go_fail_no_request() {
    let server = server("workers = 1");
    let seen = under_load(&server, "", |answers| {
        for _ in 0..3 {
            for signal in [Signal::TTIN, Signal::TTIN, Signal::TTOU, Signal::TTOU, Signal::TTOU] {
                server.signal(signal);
                more(answers, 30);
            }
        }
    });
    assert!(seen.workers.len() > 1, "{:?}", seen.workers);
    // One is always left.
    none_too_many(&server, 1);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn recycling_under_load_fails_no_request() {
    for (recycle, query, least) in [
        ("{ requests = 50, jitter = 20 }", "", 2),
        ("{ memory = \"60MiB\" }", "leak", 2),
        ("{ age = \"1s\" }", "", 2),
    ] {
        let server = server(&format!("workers = 2\nrecycle = {recycle}"));
        let first = server.get("/").text().split(' ').nth(1).unwrap().to_owned();
        let seen = under_load(&server, query, |answers| {
            more(answers, 200);
            // Those of the beginning have all gone.
            let end = Instant::now() + Duration::from_secs(6);
            while Instant::now() < end && std::path::Path::new(&format!("/proc/{first}")).exists() {
                more(answers, 10);
            }
        });
        assert!(seen.workers.len() > least, "{recycle}: {:?}", seen.workers);
        let log = server.read("stderr.txt");
        assert!(!log.contains("error"), "{recycle}: {log}");
        none_too_many(&server, 2);
    }
}

/// Waits until as many children are left as there should be workers.
fn none_too_many(server: &TestServer, workers: usize) {
    let pid = server.pid().as_raw_nonzero();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let count = || std::fs::read_to_string(&path).unwrap().split_whitespace().count();
    assert!(eventually(|| (count() == workers).then_some(())).is_some(), "{} children", count());
}

#[test]
fn many_in_one_turn_are_no_more_than_the_queue_takes() {
    let app = "import time\ndef v(environ, start_response):\n    time.sleep(0.2)\n    \
               start_response('200 OK', [('Content-Length', '1')])\n    return [b'x']\n";
    let config = "[app.v]\nwsgi = \"v:v\"\nworkers = 2\nqueue = 3\nqueue_timeout = \"30s\"\n\
                  [[host]]\napp = \"v\"\n";
    let server = TestServer::new(config, &[("v.py", app)]);
    // With one worker it would be one less.
    server.read_until("stderr.txt", "2 workers ready");
    let mut wires: Vec<_> = (0..20).map(|_| Wire::connect(&server)).collect();
    // Twice: as workers that are not known yet, and as ones that are known to be slow.
    for _ in 0..2 {
        assert_eq!(server.get("/").status, 200);
        server.signal(Signal::STOP);
        for wire in &mut wires {
            wire.send(get("/"));
        }
        server.signal(Signal::CONT);
        let mut statuses: Vec<_> = wires.iter_mut().map(|wire| wire.response().status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [[200; 5].as_slice(), &[503; 15]].concat());
    }
}
