//! HTTP/2, frame by frame.

use crate::support::http2::{Http2Client, block, get_fields};
use crate::support::{TestServer, eventually};
use httpyserver::http2::frame::{self, kind};
use httpyserver::http2::{ErrorCode, PREFACE};

/// A server that speaks HTTP/2 and takes uploads.
fn server(files: &[(&str, &str)]) -> TestServer {
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\nh2 = true\n\
                  [log]\naccess = \"access.log\"\n[[host]]\nroot = \"root\"\nupload = true\n";
    TestServer::new(config, files)
}

fn content(len: usize) -> String {
    (0..len).map(|n| char::from(b'a' + (n % 23) as u8)).collect()
}

#[test]
fn many_requests_on_one_connection() {
    let big = content(300_000);
    let server = server(&[("root/a.txt", "hello"), ("root/big.txt", &big)]);
    let mut client = Http2Client::connect(&server);
    for stream in 0..50 {
        client.get(2 * stream + 1, ["/a.txt", "/big.txt", "/none"][stream as usize % 3]);
    }
    for stream in 0..50 {
        let answer = client.answer(2 * stream + 1);
        assert_eq!(answer.status(), [200, 200, 404][stream as usize % 3]);
        match stream % 3 {
            0 => assert_eq!(answer.text(), "hello"),
            1 => assert!(answer.text() == big),
            _ => assert!(answer.text().contains("404")),
        }
        let length = answer.get("content-length").unwrap().parse::<usize>().unwrap();
        assert_eq!(length, answer.body.len());
        assert!(answer.get("date").is_some() && answer.get("connection").is_none());
    }
    client.request(101, &[&[(":method", "HEAD")], &get_fields("/big.txt")[1..]].concat(), true);
    let answer = client.answer(101);
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert_eq!(answer.get("content-length"), Some("300000"));
    let logged = eventually(|| {
        let log = std::fs::read_to_string(server.path("access.log")).unwrap_or_default();
        (log.lines().filter(|line| line.contains("HTTP/2.0")).count() == 51).then_some(())
    });
    assert!(logged.is_some());
}

#[test]
fn a_connection_may_be_split_at_every_byte() {
    let server = server(&[("root/a.txt", "hello")]);
    let mut bytes = PREFACE.to_vec();
    frame::write(kind::SETTINGS, 0, 0, &[], &mut bytes);
    frame::headers(1, true, &block(&get_fields("/a.txt")), 7, &mut bytes);
    for at in 1..bytes.len() {
        let mut client = Http2Client::silent(&server);
        client.send(&bytes[..at]);
        std::thread::yield_now();
        client.send(&bytes[at..]);
        assert_eq!(client.answer(1).text(), "hello", "{at}");
    }
}

#[test]
fn bodies_come_in_as_far_as_they_are_read() {
    let server = server(&[("root/a.txt", "hello")]);
    let (one, two) = (content(500_000), content(100_000));
    let mut client = Http2Client::connect(&server);
    let put =
        |path| vec![(":method", "PUT"), (":scheme", "http"), (":path", path), (":authority", "h")];
    let length = one.len().to_string();
    client.request(1, &[put("/one.txt"), vec![("content-length", &length)]].concat(), false);
    client.request(3, &put("/two.txt"), false);
    let (mut first, mut second) = (one.as_bytes(), two.as_bytes());
    // No more than the first window at once: the client below does not look at windows.
    while !first.is_empty() || !second.is_empty() {
        for (stream, rest) in [(1, &mut first), (3, &mut second)] {
            if !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(10_000));
                client.data(stream, piece, more.is_empty());
                *rest = more;
            }
        }
        // An answer to a ping shows that all before it was looked at.
        client.ping();
    }
    assert_eq!((client.answer(1).status(), client.answer(3).status()), (201, 201));
    assert!(std::fs::read_to_string(server.path("root/one.txt")).unwrap() == one);
    assert!(std::fs::read_to_string(server.path("root/two.txt")).unwrap() == two);
}

#[test]
fn a_body_of_another_length_than_announced_is_refused() {
    let server = server(&[("root/a.txt", "hello")]);
    for (announced, sent) in [("5", "four"), ("3", "four"), ("0", "four")] {
        let mut client = Http2Client::connect(&server);
        let put = [(":method", "PUT"), (":scheme", "http"), (":path", "/x"), (":authority", "h")];
        client.request(1, &[&put[..], &[("content-length", announced)]].concat(), false);
        client.data(1, sent.as_bytes(), true);
        assert!(client.is_answered(1, ErrorCode::Protocol), "{announced}");
        client.get(3, "/a.txt");
        assert_eq!(client.answer(3).text(), "hello");
    }
    assert!(!server.path("root/x").exists());
}

#[test]
fn malformed_requests_end_their_streams() {
    let server = server(&[("root/a.txt", "hello")]);
    let mut client = Http2Client::connect(&server);
    let mut stream = 1;
    for more in [
        ("Upper", "x"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        ("host", "other"),
        (":path", "/again"),
        (":unknown", "x"),
        ("a", "x\r\nb: c"),
        ("content-length", "5"),
    ] {
        client.request(stream, &[get_fields("/a.txt"), vec![more]].concat(), true);
        assert!(client.is_answered(stream, ErrorCode::Protocol), "{more:?}");
        stream += 2;
    }
    client.get(stream, "/a.txt");
    assert_eq!(client.answer(stream).text(), "hello");
    client.request(stream + 2, &[(":method", "CONNECT"), (":authority", "h:1")], true);
    assert_eq!(client.answer(stream + 2).status(), 501);
}

#[test]
fn breaches_end_the_connection_with_their_code() {
    let server = server(&[("root/a.txt", "hello")]);
    let headers = block(&get_fields("/a.txt"));
    type Send = fn(&mut Http2Client, &[u8]);
    let cases: [(&str, Send, ErrorCode); 11] = [
        ("no settings", |c, h| c.frame(kind::HEADERS, 5, 1, h), ErrorCode::Protocol),
        ("an even stream", |c, h| settled(c).frame(kind::HEADERS, 5, 2, h), ErrorCode::Protocol),
        ("data on idle", |c, _| settled(c).frame(kind::DATA, 1, 1, b"x"), ErrorCode::Protocol),
        ("too long", |c, _| settled(c).frame(kind::DATA, 0, 1, &[0; 16385]), ErrorCode::FrameSize),
        ("a lone part", |c, h| settled(c).frame(kind::CONTINUATION, 4, 1, h), ErrorCode::Protocol),
        (
            "between parts",
            |c, h| {
                settled(c).frame(kind::HEADERS, 1, 1, h);
                c.frame(kind::PING, 0, 0, &[0; 8]);
            },
            ErrorCode::Protocol,
        ),
        ("no HPACK", |c, _| settled(c).frame(kind::HEADERS, 5, 1, &[0x80]), ErrorCode::Compression),
        (
            "a promise",
            |c, _| settled(c).frame(kind::PUSH_PROMISE, 4, 1, &[0; 8]),
            ErrorCode::Protocol,
        ),
        ("a ping of 7", |c, _| settled(c).frame(kind::PING, 0, 0, &[0; 7]), ErrorCode::FrameSize),
        (
            "growth by 0",
            |c, _| settled(c).frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            ErrorCode::Protocol,
        ),
        (
            "too much room",
            |c, _| settled(c).frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            ErrorCode::FlowControl,
        ),
    ];
    for (what, send, code) in cases {
        let mut client = Http2Client::silent(&server);
        client.send(PREFACE);
        send(&mut client, &headers);
        assert_eq!(client.end_of_connection(), Some(code as u32), "{what}");
    }
}

fn settled(client: &mut Http2Client) -> &mut Http2Client {
    client.frame(kind::SETTINGS, 0, 0, &[]);
    client
}

/// Attacks of the last years: work that never comes to an answer.
#[test]
fn floods_end_the_connection() {
    let big = content(200_000);
    let server = server(&[("root/a.txt", "hello"), ("root/big.txt", &big)]);
    type Send = fn(&mut Http2Client, u32);
    let floods: [(&str, Send); 7] = [
        ("reset at once", |c, n| {
            c.get(2 * n + 1, "/none");
            c.frame(kind::RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes());
        }),
        ("made you reset", |c, n| {
            c.get(2 * n + 1, "/big.txt");
            c.frame(kind::WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4]);
        }),
        ("settings", |c, _| c.frame(kind::SETTINGS, 0, 0, &[])),
        ("pings", |c, _| c.frame(kind::PING, 0, 0, &[0; 8])),
        ("priorities", |c, _| c.frame(kind::PRIORITY, 0, 1, &[0; 5])),
        ("unknown frames", |c, _| c.frame(0x77, 0, 0, b"")),
        ("parts without end", |c, n| match n {
            0 => c.frame(kind::HEADERS, 1, 1, &block(&get_fields("/a.txt"))),
            _ => c.frame(kind::CONTINUATION, 0, 1, b""),
        }),
    ];
    for (what, send) in floods {
        let mut client = Http2Client::connect(&server);
        for n in 0..20_000 {
            send(&mut client, n);
        }
        let code = client.end_of_connection();
        // A client that does not read may find the connection closed before it was told why.
        assert!(
            code.is_none_or(|code| code == ErrorCode::EnhanceYourCalm as u32),
            "{what}: {code:?}"
        );
        let mut other = Http2Client::connect(&server);
        other.get(1, "/a.txt");
        assert_eq!(other.answer(1).text(), "hello", "after {what}");
    }
}

#[test]
fn windows_hold_answers_back() {
    let big = content(200_000);
    let server = server(&[("root/a.txt", "hello"), ("root/big.txt", &big)]);
    let mut client = Http2Client::silent(&server);
    client.gives_room = false;
    client.send(PREFACE);
    // Streams may have ten bytes.
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 10]);
    client.get(1, "/big.txt");
    client.get(3, "/a.txt");
    assert_eq!(client.answer(3).text(), "hello", "nobody waits for the other");
    assert_eq!(client.answers[&1].body.len(), 10);
    let mut out = Vec::new();
    frame::window_update(1, 90, &mut out);
    client.send(&out);
    client.ping();
    client.ping();
    assert_eq!(client.answers[&1].body.len(), 100);
    // Settings change what is there as well.
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 20]);
    client.ping();
    client.ping();
    assert_eq!(client.answers[&1].body.len(), 110);
    out.clear();
    frame::window_update(1, 1 << 20, &mut out);
    frame::window_update(0, 1 << 20, &mut out);
    client.send(&out);
    assert!(client.answer(1).text() == big);
}

#[test]
fn urgent_answers_come_first() {
    let big = content(1_000_000);
    let server = server(&[("root/a.txt", "hello"), ("root/big.txt", &big)]);
    let mut client = Http2Client::connect(&server);
    client.request(1, &[get_fields("/big.txt"), vec![("priority", "u=6")]].concat(), true);
    client.request(3, &[get_fields("/big.txt"), vec![("priority", "u=5")]].concat(), true);
    client.request(5, &[get_fields("/a.txt"), vec![("priority", "u=0")]].concat(), true);
    for stream in [1, 3, 5] {
        assert_eq!(client.answer(stream).status(), 200);
    }
    assert_eq!(client.ended, [5, 3, 1]);
}

#[test]
fn a_stop_lets_answers_end() {
    let big = content(2_000_000);
    let mut server = server(&[("root/big.txt", &big)]);
    let mut client = Http2Client::connect(&server);
    client.get(1, "/big.txt");
    while client.answers.get(&1).is_none_or(|answer| answer.body.is_empty()) {
        assert!(client.read());
    }
    server.signal(rustix::process::Signal::TERM);
    assert!(client.answer(1).text() == big);
    assert_eq!(client.end_of_connection(), Some(ErrorCode::NoError as u32));
    server.wait();
}
