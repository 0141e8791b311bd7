//! The access log: its forms, its rotation, and a disk that is full.

use crate::support::{TestServer, Wire, eventually, get};
use rustix::process::Signal;
use std::io::Write;
use std::process::{Command, Stdio};

fn config(log: &str) -> String {
    format!(
        "[log]\n{log}\n[[host]]\nnames = [\"a\"]\ndefault = true\nroot = \"root\"\nupload = true\n"
    )
}

/// The last line of the log, once it is there.
fn last_line(server: &TestServer, part: &str) -> String {
    let log = server.read_until("access.log", part);
    log.lines().rfind(|line| line.contains(part)).unwrap().to_owned()
}

/// The line with its time replaced, after checking the form of the time.
fn without_time(line: &str) -> String {
    let (before, after) = line.split_once('[').unwrap();
    let (time, after) = after.split_once(']').unwrap();
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let month = form.get(3..6).unwrap();
    assert!("JanFebMarAprMayJunJulAugSepOctNovDec".contains(month), "{time}");
    assert_eq!(form.replace(month, "Mon"), "00/Mon/0000:00:00:00 +0000");
    format!("{before}[]{after}")
}

#[test]
fn combined_and_common() {
    let files = [("root/a.txt", "hello"), ("root/index.html", "")];
    for (format, tail) in [("combined", r#" "http://r/\x22" "agent/1 \x09[0m""#), ("common", "")] {
        let server = TestServer::new(
            &config(&format!("access = \"access.log\"\nformat = \"{format}\"")),
            &files,
        );
        let headers = "Host: a\r\nReferer: http://r/\"\r\nUser-Agent: agent/1 \t[0m\r\n\r\n";
        let table = [
            ("GET /a.txt?x=1 HTTP/1.1", r#""GET /a.txt?x=1 HTTP/1.1" 200 5"#),
            ("HEAD /a.txt HTTP/1.1", r#""HEAD /a.txt HTTP/1.1" 200 -"#),
            ("GET /\" HTTP/1.1", r#""GET /\x22 HTTP/1.1" 404 "#),
            ("GET /a.txt HTTP/1.0", r#""GET /a.txt HTTP/1.0" 200 5"#),
        ];
        for (request_line, _) in table {
            let method = request_line.split(' ').next().unwrap();
            let mut wire = Wire::connect(&server);
            wire.send(format!("{request_line}\r\n{headers}")).response_to(method);
        }
        server.read_until("access.log", "HTTP/1.0");
        for (_, line) in table {
            let logged = without_time(&last_line(&server, line));
            assert!(logged.starts_with(&format!("127.0.0.1 - - [] {line}")), "{logged}");
            assert!(logged.ends_with(tail), "{logged} does not end in {tail}");
        }
    }
}

#[test]
fn refused_requests_are_logged_and_cannot_forge_lines() {
    let server = TestServer::new(&config("access = \"access.log\""), &[]);
    let long = "x".repeat(60_000);
    let table = [
        ("GARBAGE\r\n\r\n", "\"GARBAGE\" 400 "),
        ("GET / HTTP/1.1\r\n\r\n", "\"GET / HTTP/1.1\" 400 "),
        ("\u{1b}[31m\n127.0.0.1 forged\r\n\r\n", " 400 "),
        ("GET /\u{9b}x HTTP/1.1\r\nHost: a\r\n\r\n", "\\xc2\\x9bx"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "\"POST / HTTP/1.1\" 400 "),
        ("GET / HTTP/3.0\r\n\r\n", " 505 "),
        (&format!("GET /{long} HTTP/1.1\r\n"), " 414 "),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), " 431 "),
    ];
    for (request, _) in table {
        server.ask(request);
    }
    server.read_until("access.log", " 431 ");
    for (_, part) in table {
        last_line(&server, part);
    }
    let log = server.read("access.log");
    assert!(log.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{log:?}");
    assert!(log.lines().all(|line| line.starts_with("127.0.0.1 - - [")), "{log}");
}

/// Parses lines of JSON with somebody else's parser, and prints a few fields of each.
const CHECK: &str = "import json, sys
for line in sys.stdin:
    o = json.loads(line)
    print(o['method'], o['path'], o['query'], o['status'], o['bytes_in'], o['bytes_out'],
          o['vhost'], o['kind'], o['agent'], o['client'], o['err'] is not None, sep='|')
";

#[test]
fn json_has_the_line_that_was_refused() {
    let server = TestServer::new(&config("access = \"access.log\"\nformat = \"json\""), &[]);
    server.ask("GET /a\"b\u{202e}c#d HTTP/1.1\r\nHost: a\r\n\r\n");
    server.ask(get("/none"));
    let log = server.read_until("access.log", "\"status\":404");
    assert!(log.contains(r#""refused":"GET /a\"b\u202ec#d HTTP/1.1","status":400"#), "{log}");
    assert!(log.contains(r#""refused":null,"status":404"#), "{log}");
}

#[test]
fn json_is_json() {
    let server = TestServer::new(
        &config("access = \"access.log\"\nformat = \"json\""),
        &[("root/a.txt", "hello")],
    );
    let headers = "Host: a\r\nUser-Agent: \"\\ \t\u{fc}\r\n";
    server.ask(format!("GET /a.txt?q=\"1\" HTTP/1.1\r\n{headers}\r\n"));
    server.ask(format!("PUT /new HTTP/1.1\r\n{headers}Content-Length: 3\r\n\r\nabc"));
    server.ask(b"\xff\x00\x1b\r\n\r\n");
    server.ask(get("/missing"));
    let log = server.read_until("access.log", "/missing");
    let mut python = Command::new("python3")
        .args(["-c", CHECK])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(output.status.success(), "{log}");
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "GET|/a.txt|q=\"1\"|200|0|5|a|files|\"\\ \t\u{fc}|127.0.0.1|False");
    assert_eq!(lines[1], "PUT|/new|None|201|3|0|a|files|\"\\ \t\u{fc}|127.0.0.1|False");
    assert!(lines[2].contains("|400|") && lines[2].ends_with("|True"), "{}", lines[2]);
    assert!(lines[3].starts_with("GET|/missing|None|404|0|"), "{}", lines[3]);
}

#[test]
fn rotation_loses_no_line() {
    let server = TestServer::new(&config("access = \"access.log\""), &[("root/a.txt", "hello")]);
    let mut wire = Wire::connect(&server);
    for n in 0..300 {
        if n % 100 == 50 {
            std::fs::rename(server.path("access.log"), server.path(&format!("old-{n}"))).unwrap();
        }
        assert_eq!(wire.get(&format!("/a.txt?{n}.")).status, 200);
        if n % 100 == 60 {
            server.signal(Signal::USR1);
            let back = eventually(|| server.path("access.log").exists().then_some(()));
            assert!(back.is_some(), "not opened again");
        }
    }
    server.read_until("access.log", "?299.");
    let all = ["old-50", "old-150", "old-250", "access.log"].map(|name| server.read(name)).concat();
    for n in 0..300 {
        assert_eq!(all.matches(&format!("?{n}. ")).count(), 1, "line {n}");
    }
}

#[test]
fn a_full_disk_does_not_stop_it() {
    let server = TestServer::new(&config("access = \"/dev/full\""), &[("root/a.txt", "hello")]);
    let path = format!("/a.txt?{}", "x".repeat(2000));
    let mut wire = Wire::connect(&server);
    let before = server.resident_kib();
    for _ in 0..2000 {
        assert_eq!(wire.get(&path).text(), "hello");
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB of lines nobody can have");
    server.signal(Signal::USR2);
    let report = server.read_until("stderr.txt", "log lines dropped");
    assert!(!report.contains(" 0 log lines dropped"), "{report}");
}

#[test]
fn what_is_to_be_skipped_is_skipped() {
    let log = "access = \"access.log\"\nskip = [\"/quiet\"]";
    let server = TestServer::new(&config(log), &[]);
    for path in ["/quiet", "/%71uiet", "/quiet?x", "/quieter", "/loud"] {
        server.get(path);
    }
    server.read_until("access.log", "/loud");
    let log = server.read("access.log");
    assert_eq!(log.lines().count(), 2, "{log}");
}
