//! Scripts and clients at their worst: nothing is left behind, and nobody else notices.

use crate::cgi::{none_left, prepared, scripts, text};
use crate::support::{PATIENCE, TestServer, Wire, eventually, get};
use rustix::net::sockopt::set_socket_linger;
use std::path::Path;
use std::time::{Duration, Instant};

/// Closes so that the server hears of it at once.
fn reset(wire: Wire) {
    set_socket_linger(&wire.stream, Some(Duration::ZERO)).unwrap();
}

/// Waits until a script has written its number to a file beside the configuration.
fn pid_in(server: &TestServer, name: &str) -> u32 {
    let read = || server.read(name).trim().parse().ok();
    eventually(read).expect("the script has begun")
}

fn is_there(pid: u32) -> bool {
    // A zombie is there too.
    Path::new(&format!("/proc/{pid}")).exists()
}

fn is_gone(pid: u32) -> bool {
    eventually(|| (!is_there(pid)).then_some(())).is_some()
}

/// A script that writes its number down, says something if it is to, and hangs.
fn hanging(says: &str) -> String {
    format!("#!/bin/sh\necho $$ > ../pid\n{says}\nexec sleep 600\n")
}

#[test]
fn a_script_goes_with_its_client() {
    let begun = "printf 'X-A: 1\\n\\nbegun\\n'";
    let server = scripts(
        "",
        &[
            ("silent", &hanging("")),
            ("half-head", &hanging("printf 'X-A: 1\\n'")),
            ("begun", &hanging(begun)),
            ("reading", "#!/bin/sh\necho $$ > ../pid\nprintf 'X: y\\n\\n'\nexec cat\n"),
            ("flood", "#!/bin/sh\necho $$ > ../pid\nprintf 'X: y\\n\\n'\nexec yes\n"),
            ("children", "#!/bin/sh\nsleep 600 & echo $! > ../pid; wait\n"),
            ("stubborn", "#!/bin/sh\ntrap '' TERM\necho $$ > ../pid\nwhile :; do sleep 1; done\n"),
        ],
    );
    for name in ["silent", "half-head", "begun", "reading", "flood", "children", "stubborn"] {
        let _ = std::fs::remove_file(server.path("pid"));
        let mut wire = Wire::connect(&server);
        if name == "reading" {
            let head = "POST /cgi/reading HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
            wire.send(head).send("x".repeat(1000));
        } else {
            wire.send(get(&format!("/cgi/{name}")));
        }
        let pid = pid_in(&server, "pid");
        assert!(is_there(pid));
        reset(wire);
        assert!(is_gone(pid), "{name} goes on without its client");
    }
    none_left(&server);
    assert_eq!(server.get("/").text(), "index");
}

#[test]
fn a_client_that_only_listens_gets_its_answer() {
    let server = scripts("", &[("slow", &text("sleep 0.3; echo late"))]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/slow")).finish();
    assert_eq!(wire.response().text(), "late\n");
}

#[test]
fn a_client_that_vanishes_is_noticed_when_it_is_written_to() {
    let script = "#!/bin/sh\necho $$ > ../pid\nprintf 'X: y\\n\\n'\nwhile :; do echo more; sleep 0.05; done\n";
    let server = scripts("", &[("talks", script)]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/talks"));
    wire.head().unwrap();
    let pid = pid_in(&server, "pid");
    drop(wire);
    assert!(is_gone(pid));
    none_left(&server);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_starts_nothing_for_long() {
    let script = "#!/bin/sh\necho $$ > ../pid\nprintf 'X: y\\n\\n'\nexec cat\n";
    let server = scripts("", &[("cat", script)]);
    for (head, ran) in [
        ("Content-Length: 1000", false),
        ("Transfer-Encoding: chunked", false),
        ("Content-Length: 1000000", true),
    ] {
        let _ = std::fs::remove_file(server.path("pid"));
        let mut wire = Wire::connect(&server);
        wire.send(format!("POST /cgi/cat HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n5\r\nhello\r\n"));
        let pid = ran.then(|| pid_in(&server, "pid"));
        wire.finish();
        drop(wire);
        match pid {
            Some(pid) => assert!(is_gone(pid), "{head}"),
            None => {
                none_left(&server);
                assert!(!server.path("pid").exists(), "{head}");
            }
        }
    }
}

#[test]
fn a_flood_that_nobody_reads_costs_little() {
    let server =
        scripts("", &[("flood", &text("exec yes 0123456789012345678901234567890123456789"))]);
    let before = server.resident_kib();
    let mut wires: Vec<_> = (0..10).map(|_| Wire::connect(&server)).collect();
    for wire in &mut wires {
        wire.send(get("/cgi/flood"));
        wire.head().unwrap();
    }
    // Others are served as ever.
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(server.get("/").text(), "index");
    }
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for ten floods");
    wires.into_iter().for_each(reset);
    none_left(&server);
}

#[test]
fn a_flood_of_complaints_is_cut() {
    let server = scripts(
        "",
        &[(
            "x",
            &text("yes \"a complaint of $(printf %0100d 0)\" | head -c 3000000 >&2; echo fine"),
        )],
    );
    assert_eq!(server.get("/cgi/x").text(), "fine\n");
    let log = server.read_until("stderr.txt", "bytes more, not logged");
    assert!(log.len() < 1_000_000, "{} bytes", log.len());
}

#[test]
fn beyond_the_queue_is_503() {
    let server = scripts(
        "processes = 2, queue = 1, timeout = \"30s\"",
        &[("wait", &text("while [ ! -e ../go ]; do sleep 0.02; done; echo done"))],
    );
    let mut inside: Vec<_> = (0..2).map(|_| Wire::connect(&server)).collect();
    for wire in &mut inside {
        wire.send(get("/cgi/wait"));
        wire.head().unwrap();
    }
    let mut queued = Wire::connect(&server);
    queued.send(get("/cgi/wait"));
    // Of two that ask now, one finds the queue full, whichever the server hears first.
    let refused = eventually(|| {
        let response = {
            let mut wire = Wire::connect(&server);
            wire.send(get("/cgi/wait"));
            wire.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            wire.try_response("GET").ok().flatten()
        };
        response.filter(|response| response.status == 503)
    });
    assert_eq!(refused.unwrap().header("Retry-After"), Some("1"));
    assert_eq!(server.get("/").text(), "index");
    server.write("go", "");
    for mut wire in inside {
        assert_eq!(wire.rest_of_chunks(), b"done\n");
    }
    assert_eq!(queued.response().text(), "done\n");
    none_left(&server);
}

#[test]
fn who_leaves_the_queue_makes_room() {
    let server = scripts(
        "processes = 1, queue = 2",
        &[("wait", &text("while [ ! -e ../go ]; do sleep 0.02; done; echo done"))],
    );
    let mut inside = Wire::connect(&server);
    inside.send(get("/cgi/wait"));
    inside.head().unwrap();
    let descriptors = server.descriptors();
    for _ in 0..10 {
        let mut gone = Wire::connect(&server);
        gone.send(get("/cgi/wait"));
        assert!(gone.is_silent(Duration::from_millis(30)), "it waits");
        reset(gone);
        eventually(|| (server.descriptors() <= descriptors).then_some(())).unwrap();
    }
    let mut queued = Wire::connect(&server);
    queued.send(get("/cgi/wait"));
    server.write("go", "");
    assert_eq!(inside.rest_of_chunks(), b"done\n");
    assert_eq!(queued.response().text(), "done\n");
}

#[test]
fn waiting_for_a_process_ends_too() {
    let server = scripts(
        "processes = 1, queue = 9, timeout = \"600ms\"",
        &[("talks", &text("while [ ! -e ../go ]; do echo; sleep 0.1; done"))],
    );
    let mut inside = Wire::connect(&server);
    inside.send(get("/cgi/talks"));
    inside.head().unwrap();
    let response = server.get("/cgi/talks");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    server.write("go", "");
    none_left(&server);
}

#[test]
fn nothing_leaks() {
    let server = scripts(
        "timeout = \"10s\"",
        &[
            ("ok", &text("echo fine")),
            ("bad", "#!/bin/sh\necho nonsense\n"),
            ("cat", &text("cat")),
            ("none-", "x"),
        ],
    );
    let one_round = |n: usize| {
        let mut wire = Wire::connect(&server);
        match n % 5 {
            0 | 1 => assert_eq!(wire.get("/cgi/ok").text(), "fine\n"),
            2 => assert_eq!(wire.get("/cgi/bad").status, 502),
            3 => {
                let request = "POST /cgi/cat HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
                assert_eq!(wire.send(request).response().text(), "hello");
            }
            _ => {
                wire.send(get("/cgi/ok"));
                reset(wire);
            }
        }
    };
    (0..20).for_each(one_round);
    none_left(&server);
    let before = server.descriptors();
    (0..500).for_each(one_round);
    none_left(&server);
    let settled = eventually(|| (server.descriptors() <= before).then_some(()));
    assert!(settled.is_some(), "{before} descriptors have become {}", server.descriptors());
}

#[test]
fn limits_of_the_kernel_hold() {
    let server = scripts(
        "memory = \"64MiB\", cpu = \"1s\", timeout = \"20s\"",
        &[
            ("limits", &text("ulimit -v; ulimit -t; echo ${PWD_GIVEN-none}")),
            (
                "eats",
                "#!/usr/bin/env python3\nprint('X: y\\n', flush=True)\nx = 'x' * (200 << 20)\nprint(len(x))\n",
            ),
            ("burns", "#!/bin/sh\nwhile :; do :; done\n"),
        ],
    );
    assert_eq!(server.get("/cgi/limits").text(), "65536\n1\nnone\n");
    assert_eq!(server.get("/cgi/eats").text(), "");
    server.read_until("stderr.txt", "MemoryError");
    assert_eq!(server.get("/cgi/burns").status, 502);
    server.read_until("stderr.txt", "ended by signal");
}

/// What a script does after the first part of its answer has left, and whether all of it is there.
const ENDINGS: [(&str, &str, bool); 13] = [
    ("done", "echo more", true),
    ("code", "echo more; exit 3", true),
    ("highest", "echo more; exit 255", true),
    ("pipe", "echo more; exit 141", true),
    ("daemon", "echo more; sleep 5 & exit 0", true),
    ("goes-on", "echo more; exec >&- 2>&-; sleep 600", true),
    ("kill", "kill -KILL $$", false),
    ("term", "kill -TERM $$", false),
    ("segv", "kill -SEGV $$", false),
    ("pipe-signal", "kill -PIPE $$", false),
    ("abort", "exec python3 -c 'import os; os.abort()'", false),
    ("last-command", "sh -c 'kill -KILL $$'", false),
    ("leaves-children", "sleep 5 & kill -KILL $$", false),
];

/// The scripts of `ENDINGS`: they wait for `go` after `begun`, if they are to.
fn endings(begun: &str, wrapper: &'static str) -> TestServer {
    let all = ENDINGS.map(|(name, end, _)| {
        (name, format!("#!/bin/sh\nprintf 'X: y\\n\\n'; echo first\n{begun}\n{end}\n"))
    });
    let named: Vec<_> = all.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let config = "[limits]\nbody = \"8MiB\"\n[[host]]\nroot = \"root\"\n[[host.route]]\n\
                  path = \"/cgi/\"\ncgi = \"cgi\"\n";
    prepared(config, &named).wrapper(wrapper).run()
}

#[test]
fn an_answer_that_was_cut_does_not_look_complete() {
    let server = endings("while [ ! -e ../go ]; do sleep 0.02; done", "exec \"$@\"");
    for (name, _, whole) in ENDINGS {
        for version in ["1.1", "1.0"] {
            let _ = std::fs::remove_file(server.path("go"));
            let mut wire = Wire::connect(&server);
            wire.send(format!("GET /cgi/{name} HTTP/{version}\r\nHost: h\r\n\r\n"));
            wire.head().unwrap();
            server.write("go", "");
            let ended = match version {
                "1.1" => wire.chunks().ok(),
                _ => wire.rest().ok(),
            };
            match whole {
                true => {
                    assert_eq!(ended.as_deref(), Some(&b"first\nmore\n"[..]), "{name} {version}")
                }
                false => assert_eq!(ended, None, "{name} {version}"),
            }
        }
    }
    server.read_until("stderr.txt", "ended by signal 9, in the middle of its answer");
    server.read_until("stderr.txt", "it ended with code 3");
}

#[test]
fn a_short_answer_that_was_cut_is_502_or_cut() {
    // Also where whoever started the server ignores the ends of children, and so has it do.
    for wrapper in ["exec \"$@\"", "exec env --ignore-signal=CHLD \"$@\""] {
        let server = endings("", wrapper);
        for (name, _, whole) in ENDINGS {
            let mut wire = Wire::connect(&server);
            let answer = wire.send(get(&format!("/cgi/{name}"))).try_response("GET");
            // Whether its head has left by then is a matter of luck.
            let answer = answer.ok().flatten().filter(|answer| answer.status != 502);
            let text = answer.as_ref().map(|answer| answer.text());
            assert_eq!(text, whole.then_some("first\nmore\n"), "{name} {wrapper}");
        }
    }
}

#[test]
fn an_answer_as_long_as_it_says_is_complete_however_the_script_ends() {
    let script = "#!/bin/sh\nprintf 'Content-Length: 3\\n\\nall'; kill -KILL $$\n";
    let server = scripts("", &[("x", script)]);
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/cgi/x").text(), "all");
    assert_eq!(wire.get("/").text(), "index");
}

#[test]
fn scripts_end_with_the_server() {
    let mut server =
        scripts("", &[("hangs", &hanging("")), ("slow", &text("sleep 0.5; echo late"))]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/hangs"));
    let pid = pid_in(&server, "pid");
    let mut slow = Wire::connect(&server);
    slow.send(get("/cgi/slow"));
    slow.head().unwrap();
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(slow.rest_of_chunks(), b"late\n", "what is in flight is finished");
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    assert!(is_gone(pid));
}

#[test]
fn a_reload_does_not_hurt_scripts_at_work() {
    let server = scripts("processes = 4", &[("slow", &text("sleep 0.5; echo late"))]);
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/slow"));
    wire.head().unwrap();
    server.signal(rustix::process::Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert_eq!(wire.rest_of_chunks(), b"late\n");
    assert_eq!(server.get("/cgi/slow").text(), "late\n");
    none_left(&server);
}

#[test]
fn a_script_that_is_being_written_is_waited_for() {
    let server = scripts("", &[("x", &text("echo ran"))]);
    let open = std::fs::File::options().append(true).open(server.path("cgi/x")).unwrap();
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/x"));
    assert!(wire.is_silent(Duration::from_millis(100)));
    drop(open);
    assert_eq!(wire.response().text(), "ran\n");
}
