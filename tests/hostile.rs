//! Messages that nobody would send by accident: mutations of the fuzz corpus, thousands of them.
//!
//! A failure prints its seed; `HTTPYSERVER_SEED` plays it again.

use crate::support::{TestServer, corpus, eventually, get};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const CONNECTIONS: usize = 20_000;
const THREADS: usize = 2;

const CONFIG: &str = r#"
[server]
listen = ["http://127.0.0.1:0", "unix:web.sock"]
[[host]]
root = "root"
listing = true
upload = { max = "1KiB", methods = ["PUT", "POST", "DELETE"], mkdir = true }
  [[host.route]]
  path = "/old/"
  redirect = { to = "/new/{rest}?{query}", status = 308 }
  [[host.route]]
  path = "/fixed/"
  respond = "fixed"
"#;

/// xorshift64*: the same numbers from the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }
}

/// Pieces of which trouble is made.
const PIECES: [&[u8]; 28] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"..",
    b"/",
    b"\\",
    b"%2e%2e",
    b"%00",
    b"\xff",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Range: bytes=0-,-1\r\n",
    b"If-None-Match: *\r\n",
    b"HTTP/1.0",
    b"PUT /x ",
    b"DELETE ",
    b"0\r\n\r\n",
    b"/old/",
    b"/fixed/",
    b"18446744073709551616",
];

fn mutate(message: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(message.len() + 1);
        match random.below(6) {
            0 if at < message.len() => message[at] ^= 1 << random.below(8),
            1 if at < message.len() => message[at] = random.next() as u8,
            2 => message.truncate(at),
            3 => {
                let end = (at + random.below(8)).min(message.len());
                message.drain(at..end);
            }
            4 => {
                let end = (at + random.below(40)).min(message.len());
                let copy = message[at..end].to_vec();
                message.splice(at..at, copy);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                message.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// Sends, says that this was all, and reads what comes until the end.
fn exchange(socket: &Path, message: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    // It may have refused and closed before all of it is sent.
    let _ = stream.write_all(message);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answers) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{}", message.escape_ascii());
    }
    answers
}

/// The statuses in what was answered: every line that begins like an answer. No body has one.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let after = text.split("HTTP/1.1 ").skip(1);
    after.filter_map(|after| after.get(..3)?.parse().ok()).collect()
}

fn attack(socket: &Path, seeds: &[Vec<u8>], random: &mut Random, count: usize) {
    for n in 0..count {
        let mut message = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(3) {
            message.extend_from_slice(&seeds[random.below(seeds.len())]);
        }
        mutate(&mut message, random);
        let answers = exchange(socket, &message);
        let fine = |status: &u16| matches!(status, 100 | 200..=499 | 501 | 505);
        let statuses = statuses(&answers);
        let begins = answers.is_empty() || answers.starts_with(b"HTTP/1.1 ");
        assert!(
            begins && statuses.iter().all(fine),
            "message {n}: {statuses:?} to {}",
            message.escape_ascii()
        );
    }
}

#[test]
fn twenty_thousand_mutations() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed =
        std::env::var("HTTPYSERVER_SEED").map_or_else(|_| now(), |text| text.parse().unwrap());
    println!("HTTPYSERVER_SEED={seed}");
    let files = [("root/index.html", "index"), ("root/guide", "guide"), ("root/sub/x", "")];
    let server = TestServer::new(CONFIG, &files);
    let mut seeds: Vec<_> = corpus("parse").into_iter().map(|(_, message)| message).collect();
    for (_, body) in corpus("chunked") {
        let head = b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        seeds.push([&head[..], &body].concat());
    }
    for (_, target) in corpus("target") {
        seeds.push([b"GET ", &target[..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    }
    let socket = server.path("web.sock");
    let share = |thread: usize, count| {
        let mut random = Random((seed ^ (thread as u64 + 1) << 56).max(1));
        attack(&socket, &seeds, &mut random, count);
    };
    // So that what is kept for ever is there before it is measured.
    share(THREADS, 2000);
    let (descriptors, resident) = (server.descriptors(), server.resident_kib());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let share = &share;
            scope.spawn(move || share(thread, CONNECTIONS / THREADS));
        }
    });
    assert_eq!(server.get("/fixed/").text(), "fixed", "alive");
    let closed = eventually(|| (server.descriptors() <= descriptors + 1).then_some(()));
    assert!(closed.is_some(), "{} descriptors, {descriptors} before", server.descriptors());
    let grown = server.resident_kib().saturating_sub(resident);
    assert!(grown < 12 * 1024, "{grown} KiB more than before");
    let log = server.read("stderr.txt");
    assert!(!log.contains(" error "), "something was the server's fault:\n{log}");
    assert_eq!(server.ask(get("/sub/x")).status, 200);
}
