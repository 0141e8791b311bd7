//! Workers that hang or are killed, and clients that go, at every point of a request.

use crate::support::{Start, TestServer, Wire, eventually, get};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, re, threading, time

def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    note(name)
    return globals()["do_" + name](environ, start_response)

def note(text):
    with open("notes", "a") as file:
        file.write("%s %d\n" % (text, os.getpid()))

def ok(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])

def do_pid(environ, start_response):
    ok(start_response)
    return [str(os.getpid()).encode()]

def do_sum(environ, start_response):
    body = environ["wsgi.input"].read()
    ok(start_response)
    return [b"%d" % len(body)]

def do_loop(environ, start_response):
    def turns_round_and_round():
        while True:
            pass
    turns_round_and_round()

def do_regex(environ, start_response):
    # One call into C, which holds the interpreter's lock all the time.
    def has_a_hard_pattern():
        re.match(r"(a*)*b", "a" * 60)
    has_a_hard_pattern()

def do_sleep(environ, start_response):
    def sleeps_for_ever():
        time.sleep(1000)
    sleeps_for_ever()

def do_thread(environ, start_response):
    def works_in_a_thread():
        time.sleep(1000)
    thread = threading.Thread(target=works_in_a_thread, daemon=True)
    thread.start()
    thread.join()

def do_begun(environ, start_response):
    ok(start_response)
    yield b"begun "
    def stops_in_the_middle():
        time.sleep(1000)
    stops_in_the_middle()

class Sticky(list):
    def close(self):
        def hangs_in_close():
            time.sleep(1000)
        hangs_in_close()

def do_close(environ, start_response):
    ok(start_response)
    return Sticky([b"all of it"])

class Slow(list):
    def close(self):
        time.sleep(0.05)

class Bad(list):
    def close(self):
        raise ValueError("too late to matter")

def do_slow_close(environ, start_response):
    ok(start_response)
    return Slow([b"done"])

def do_bad_close(environ, start_response):
    ok(start_response)
    return Bad([b"done"])

def do_swallows(environ, start_response):
    # Whatever is raised in it, it goes on.
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

def do_headers(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"")
    wait_for("go")
    return [b"late"]

def do_stream(environ, start_response):
    ok(start_response)
    n = 0
    try:
        while True:
            n += 1
            yield b"packet %d\n" % n
            time.sleep(0.01)
    finally:
        note("stream-ended")

def do_wait(environ, start_response):
    wait_for("go")
    ok(start_response)
    return [b"waited"]

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.005)
"#;

fn server(keys: &str) -> TestServer {
    let config = format!(
        "[app.a]\nwsgi = \"a\"\n{keys}\n[limits]\nbody = \"16MiB\"\nspool_above = \"1MiB\"\n\
         [[host]]\napp = \"a\"\n[[host.route]]\npath = \"/fine\"\nrespond = \"fine\"\n"
    );
    Start::new(&config, &[("a.py", APP)]).run()
}

/// Waits until the application was called with that name, and says by which worker.
fn called(server: &TestServer, name: &str) -> Pid {
    let found = || {
        let notes = server.read("notes");
        let line = notes.lines().rfind(|line| line.starts_with(&format!("{name} ")))?;
        Pid::from_raw(line.split_once(' ')?.1.parse().ok()?)
    };
    eventually(found).unwrap_or_else(|| panic!("{name} was not called: {}", server.read("notes")))
}

fn calls(server: &TestServer, name: &str) -> usize {
    server.read("notes").lines().filter(|line| line.starts_with(&format!("{name} "))).count()
}

fn worker(server: &TestServer) -> Pid {
    Pid::from_raw(server.get("/pid").text().parse().unwrap()).unwrap()
}

fn works(server: &TestServer) {
    let answer = eventually(|| Some(server.get("/pid")).filter(|answer| answer.status == 200));
    assert!(answer.is_some(), "no worker answers: {}", server.read("stderr.txt"));
}

#[test]
fn wherever_a_worker_hangs_the_log_says_where() {
    let server = server("workers = 1\ntimeout = \"400ms\"");
    for (name, line) in [
        ("loop", "in turns_round_and_round"),
        ("regex", "in has_a_hard_pattern"),
        ("sleep", "in sleeps_for_ever"),
        ("thread", "in works_in_a_thread"),
        ("swallows", "in do_swallows"),
    ] {
        assert_eq!(server.get(&format!("/{name}")).status, 504, "{name}");
        server.read_until("stderr.txt", line);
        assert_eq!(server.get("/fine").text(), "fine");
        works(&server);
    }
    let mut wire = Wire::connect(&server);
    wire.send(get("/begun"));
    assert!(wire.try_response("GET").is_err(), "what has begun is cut, and not made to look whole");
    server.read_until("stderr.txt", "in stops_in_the_middle");
    works(&server);
    // The client has all that there is; only the worker does not come to an end.
    let mut wire = Wire::connect(&server);
    wire.send(get("/close"));
    assert!(wire.head().unwrap().unwrap().contains("200 OK"));
    assert_eq!(wire.take(13).unwrap(), b"9\r\nall of it\r"[..13]);
    assert_eq!(server.get("/pid").status, 200, "who comes next waits for another worker");
    server.read_until("stderr.txt", "in hangs_in_close");
    assert!(!server.read("stderr.txt").contains("breaks the protocol"));
}

#[test]
fn a_worker_that_is_stopped_is_replaced() {
    let server = server("workers = 1\ntimeout = \"400ms\"");
    let stopped = worker(&server);
    kill_process(stopped, Signal::STOP).unwrap();
    assert_eq!(server.get("/pid").status, 504, "it may have begun: nobody can tell");
    works(&server);
    assert_ne!(worker(&server), stopped);
}

#[test]
fn wherever_a_worker_is_killed_its_request_fails_and_no_other() {
    let server = server("workers = 1\ntimeout = \"10s\"");
    for (name, answers) in [("wait", true), ("headers", false), ("stream", false)] {
        let mut hit = Wire::connect(&server);
        hit.send(get(&format!("/{name}")));
        let pid = called(&server, name);
        if !answers {
            hit.head().unwrap().unwrap();
        }
        let mut behind = Wire::connect(&server);
        behind.send(get("/pid"));
        kill_process(pid, Signal::KILL).unwrap();
        if answers {
            assert_eq!(hit.response().status, 502, "{name}");
        } else {
            let rest = hit.rest();
            assert!(!rest.is_ok_and(|rest| rest.ends_with(b"0\r\n\r\n")), "{name} is cut");
        }
        let answer = behind.response();
        assert_eq!(answer.status, 200, "{name}");
        assert_ne!(answer.text(), pid.as_raw_nonzero().to_string());
    }
    // One that has nothing to do.
    let idle = worker(&server);
    kill_process(idle, Signal::KILL).unwrap();
    works(&server);
    assert_ne!(worker(&server), idle);
}

/// Requests that were sent ahead to a worker go to another one when it is stuck, also where it cannot
/// give them back itself: a call into C holds the interpreter, so that no thread of it runs.
#[test]
fn what_was_sent_ahead_to_a_stuck_worker_is_answered_by_another() {
    let server = server("workers = 2\ntimeout = \"60s\"");
    for stuck in ["regex", "sleep"] {
        let mut hog = Wire::connect(&server);
        let mut wires: Vec<_> = (0..24).map(|_| Wire::connect(&server)).collect();
        let mut all_at_once = |first: &str| {
            server.signal(Signal::STOP);
            hog.send(get(first));
            for wire in &mut wires {
                wire.send(get("/pid"));
            }
            server.signal(Signal::CONT);
            if first == "/pid" {
                hog.response();
            }
            for wire in &mut wires {
                assert_eq!(wire.response().status, 200, "{first}: {}", server.read("stderr.txt"));
            }
        };
        // Both are known to be quick, and are sent several at once.
        (0..20).for_each(|_| all_at_once("/pid"));
        all_at_once(&format!("/{stuck}"));
        kill_process(called(&server, stuck), Signal::KILL).unwrap();
        assert_eq!(hog.response().status, 502);
        works(&server);
    }
}

/// A worker that ends soon after it was ready is replaced, although another one is still there: the pool
/// does not stay smaller than it was asked to be.
#[test]
fn a_worker_that_ends_soon_is_replaced_beside_another_one() {
    let server = server("workers = 2\nqueue_timeout = \"10s\"\ntimeout = \"60s\"");
    server.read_until("stderr.txt", "2 workers ready");
    kill_process(worker(&server), Signal::KILL).unwrap();
    server.read_until("stderr.txt", "is gone");
    let mut held = Wire::connect(&server);
    held.send(get("/wait"));
    called(&server, "wait");
    assert_eq!(server.get("/pid").status, 200, "{}", server.read("stderr.txt"));
    server.write("go", "");
    assert_eq!(held.response().text(), "waited");
}

/// A worker that dies with requests it has not begun, however long they are: somebody else has them,
/// and their bodies are all there.
#[test]
fn a_worker_that_is_killed_while_it_receives_loses_nothing() {
    let server = server("workers = 1\ntimeout = \"20s\"");
    for length in [0, 1000, 1024 * 1024, 8 * 1024 * 1024] {
        let pid = worker(&server);
        // It receives nothing: what is sent to it stays in its socket.
        kill_process(pid, Signal::STOP).unwrap();
        let head = format!("POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let mut wire = Wire::connect(&server);
        wire.send(head).send(vec![b'x'; length]);
        assert_eq!(server.get("/fine").text(), "fine");
        std::thread::sleep(Duration::from_millis(50));
        kill_process(pid, Signal::KILL).unwrap();
        let answer = wire.response();
        assert_eq!((answer.status, answer.text()), (200, length.to_string().as_str()));
    }
}

/// What an application does after its answer (commits, clean-ups) may take its time and may fail: that
/// costs others nothing, and is no reason to do away with the worker.
#[test]
fn a_slow_close_is_no_fault() {
    let server = server("workers = 1\ntimeout = \"20s\"");
    let pid = server.get("/pid").text().to_owned();
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(&server)).collect();
    // It is quick, as far as one can see: it is sent several at once.
    for _ in 0..20 {
        for wire in &mut wires {
            wire.send(get("/pid"));
        }
        wires.iter_mut().for_each(|wire| assert_eq!(wire.response().text(), pid));
    }
    for _ in 0..3 {
        for (n, wire) in wires.iter_mut().enumerate() {
            wire.send(get(["/pid", "/slow_close", "/bad_close"][n % 3]));
        }
        for (n, wire) in wires.iter_mut().enumerate() {
            assert_eq!(wire.response().text(), if n % 3 == 0 { &pid } else { "done" });
        }
    }
    let log = server.read("stderr.txt");
    assert!(log.contains("ValueError: too late to matter"), "{log}");
    assert_eq!(server.get("/pid").text(), pid, "{log}");
}

fn reset(wire: Wire) {
    set_socket_linger(&wire.stream, Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_client_that_goes_costs_no_more_than_it_has_to() {
    let server = server("workers = 1\ntimeout = \"20s\"");
    // In the middle of its body: the application is never called.
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::connect(&server);
        let head = format!("POST /sum HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
        wire.send(head).send("5\r\nhello\r\n");
        works(&server);
        reset(wire);
    }
    // While it waits for a worker.
    let mut busy = Wire::connect(&server);
    busy.send(get("/wait"));
    called(&server, "wait");
    let queued: Vec<_> = (0..5)
        .map(|_| {
            let mut wire = Wire::connect(&server);
            wire.send("POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
            wire
        })
        .collect();
    let mut patient = Wire::connect(&server);
    patient.send(get("/pid"));
    assert!(patient.is_silent(Duration::from_millis(100)));
    queued.into_iter().for_each(reset);
    assert_eq!(server.get("/fine").text(), "fine");
    server.write("go", "");
    assert_eq!(busy.response().text(), "waited");
    assert_eq!(patient.response().status, 200);
    works(&server);
    assert_eq!(calls(&server, "sum"), 0, "{}", server.read("notes"));
    // While it runs, and while its answer streams: it ends at its next block.
    for begun in [false, true] {
        let before = calls(&server, "stream-ended");
        let mut wire = Wire::connect(&server);
        wire.send(get("/stream"));
        if begun {
            wire.take(300).unwrap();
        }
        reset(wire);
        works(&server);
        let ran = calls(&server, "stream");
        assert!(eventually(|| (calls(&server, "stream-ended") == ran).then_some(())).is_some());
        assert!(!begun || ran == before + 1 || ran == before);
    }
}

#[test]
fn a_big_upload_occupies_no_worker_until_it_is_there() {
    let server = server("workers = 1\ntimeout = \"20s\"");
    let length = 4 * 1024 * 1024;
    let mut slow = Wire::connect(&server);
    slow.send(format!("POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
    for _ in 0..8 {
        slow.send(vec![b'x'; length / 8 - 1]);
        // The worker is free meanwhile.
        works(&server);
        assert_eq!(calls(&server, "sum"), 0);
    }
    assert_eq!(slow.send([b'x'; 8]).response().text(), length.to_string());
}

#[test]
fn an_application_that_does_not_start_in_time_is_given_up_and_tried_again() {
    let app = "import os, time\n\
        def imports_something_slow():\n    time.sleep(0 if os.path.exists('quick') else 1000)\n\
        with open('boots', 'a') as file:\n    file.write('x')\n\
        imports_something_slow()\n\
        def application(e, s):\n    s('200 OK', [])\n    return [b'at last']\n";
    let config = "[app.slow]\nwsgi = \"slow\"\nworkers = 2\nstartup = \"500ms\"\n\
        [[host]]\nrespond = \"fine\"\n[[host.route]]\npath = \"/slow/\"\napp = \"slow\"\n";
    let server = Start::new(config, &[("slow.py", app)]).run();
    let log = server.read_until("stderr.txt", "in imports_something_slow");
    assert!(log.contains("did not start in 500ms"), "{log}");
    assert_eq!(server.get("/").text(), "fine");
    let refused = eventually(|| Some(server.get("/slow/")).filter(|answer| answer.status == 503));
    assert!(refused.unwrap().header("Retry-After").is_some());
    server.write("quick", "");
    let answer = eventually(|| Some(server.get("/slow/")).filter(|answer| answer.status == 200));
    assert_eq!(answer.unwrap().text(), "at last");
}

#[test]
fn boots_that_fail_are_tried_more_and_more_seldom() {
    let app = "import os\nwith open('boots', 'a') as file:\n    file.write('x')\nos._exit(3)\n";
    let config = "[app.ends]\nwsgi = \"ends\"\nworkers = 4\n[[host]]\nrespond = \"fine\"\n\
        [[host.route]]\npath = \"/a/\"\napp = \"ends\"\n";
    let server = Start::new(config, &[("ends.py", app)]).run();
    let boots = |n: usize| eventually(|| (server.read("boots").len() >= n).then(Instant::now));
    // Four at first; then one after half a second, one after a second.
    boots(4).unwrap();
    let began = Instant::now();
    boots(6).unwrap();
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let cpu = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.cpu() - cpu < Duration::from_millis(300), "waiting costs nothing");
    let (boots, since) = (server.read("boots").len(), began.elapsed());
    assert!(boots <= 7 || since > Duration::from_secs(3), "{boots} after {since:?}");
    server.read_until("stderr.txt", "is gone before it was ready: it ended with code 3");
    assert_eq!(server.get("/").text(), "fine");
}
