//! Messages that two servers on the way could read differently: refused, and nothing after them is
//! read.

use crate::support::{TestServer, Wire, corpus, get};
use httpyserver::http::RequestHead;
use httpyserver::http1::chunked::{Decoder, Step};
use httpyserver::http1::limits::HeadLimits;
use httpyserver::http1::{Parsed, framing, parse};

fn server() -> TestServer {
    let config = "[limits]\nbody = \"16MiB\"\n[[host]]\nroot = \"root\"\nupload = true\n  [[host.route]]\n  path = \"/after\"\n  respond = \"SMUGGLED\"\n";
    TestServer::new(config, &[("root/index.html", "index")])
}

/// All answers to a message, the statuses of them, and whether the one after it was answered.
fn statuses(server: &TestServer, message: &[u8]) -> (Vec<u16>, bool) {
    let mut wire = Wire::connect(server);
    wire.send(message).finish();
    let mut statuses = Vec::new();
    let mut smuggled = false;
    while let Some(response) = wire
        .try_response("GET")
        .unwrap_or_else(|error| panic!("{error}: the answer was lost: {}", message.escape_ascii()))
    {
        statuses.push(response.status);
        smuggled |= response.body.starts_with(b"SMUGGLED");
    }
    (statuses, smuggled)
}

const HEADERS: [(&str, u16); 36] = [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    ("Content-Length: 5\r\nContent-Length: 5", 400),
    ("Content-Length: 5\r\nContent-Length: 6", 400),
    ("Content-Length: 5, 5", 400),
    ("Content-Length: +5", 400),
    ("Content-Length: -5", 400),
    ("Content-Length: 0x5", 400),
    ("Content-Length: 5 ", 0),
    ("Content-Length: 5 5", 400),
    ("Content-Length: 5.0", 400),
    ("Content-Length: 5e0", 400),
    ("Content-Length:", 400),
    ("Content-Length: \u{665}", 400),
    ("Content-Length: 18446744073709551616", 400),
    ("Content-Length: 99999999999999999999999999", 400),
    ("Content-Length : 5", 400),
    ("Content-Length\t: 5", 400),
    (" Content-Length: 5", 400),
    ("Content-Length: 5\r\n Transfer-Encoding: chunked", 400),
    ("Content_Length: 5", 400),
    ("Transfer_Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    ("Transfer-Encoding: chunked, chunked", 400),
    ("Transfer-Encoding: gzip, chunked", 501),
    ("Transfer-Encoding: gzip", 400),
    ("Transfer-Encoding: identity", 400),
    ("Transfer-Encoding: xchunked", 400),
    ("Transfer-Encoding: \"chunked\"", 400),
    ("Transfer-Encoding: \x0bchunked", 400),
    ("Transfer-Encoding : chunked", 400),
    ("Transfer-Encoding:\r\n chunked", 400),
    ("Transfer-Encoding: chun\0ked", 400),
    ("Foo: bar\rTransfer-Encoding: chunked", 400),
    ("Foo: bar\nTransfer-Encoding: chunked", 400),
];

#[test]
fn ambiguous_headers() {
    let server = server();
    for (headers, status) in HEADERS {
        for line in ["PUT /x HTTP/1.1", "GET / HTTP/1.1", "POST /after HTTP/1.1"] {
            let message = format!("{line}\r\nHost: a\r\n{headers}\r\n\r\nhello{}", get("/after"));
            let (got, smuggled) = statuses(&server, message.as_bytes());
            if status == 0 {
                assert_eq!(got.len(), 2, "blanks around a value are allowed: {headers:?}");
            } else {
                assert_eq!((got, smuggled), (vec![status], false), "{line} {headers:?}");
            }
        }
    }
}

#[test]
fn ambiguous_heads() {
    let server = server();
    for (head, status) in [
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET /\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
        ("PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ] {
        let (got, smuggled) = statuses(&server, (head.to_owned() + &get("/after")).as_bytes());
        assert_eq!((got, smuggled), (vec![status], false), "{head:?}");
    }
}

/// What the parser says of a whole message: the status of its refusal, if it is refused.
fn refusal(message: &[u8]) -> Option<u16> {
    let mut head = RequestHead::default();
    match parse(message, 0, &HeadLimits::default(), &mut head) {
        Parsed::Refused(error) => Some(error.status.code()),
        Parsed::Complete(_) => framing::frame(&head).err().map(|error| error.status.code()),
        Parsed::Partial => None,
    }
}

#[test]
fn the_corpus_of_heads() {
    let server = server();
    for (name, message) in corpus("parse") {
        let (got, smuggled) = statuses(&server, &message);
        assert!(!smuggled, "{name}");
        match refusal(&message) {
            Some(status) => assert_eq!(got, [status], "{name}"),
            None => {
                assert!(got.iter().all(|s| matches!(s, 100..=499 | 501 | 505)), "{name} {got:?}")
            }
        }
        // The same with a request after it: whoever is refused takes it along.
        if let Some(status) = refusal(&message) {
            let more = [&message[..], b"\r\n\r\n", get("/after").as_bytes()].concat();
            assert_eq!(statuses(&server, &more), (vec![status], false), "{name} and more");
        }
    }
}

/// What the server of this file takes of a body: more than any of the corpus has.
const BODY_MAX: u64 = 16 * 1024 * 1024;

/// What the decoder makes of a body: the data, if it is whole, or the status of its refusal.
fn decoded(mut body: &[u8]) -> Result<Option<Vec<u8>>, u16> {
    let (mut decoder, mut data) = (Decoder::new(), Vec::new());
    loop {
        let step = decoder.step(body).map_err(|error| error.status.code())?;
        // What is too long by its own account is not waited for.
        if decoder.announced() > BODY_MAX {
            return Err(413);
        }
        match step {
            Step::Data { skip, len } => {
                data.extend_from_slice(&body[skip..skip + len]);
                body = &body[skip + len..];
                decoder.took(len);
            }
            Step::End { .. } => return Ok(Some(data)),
            Step::More { .. } => return Ok(None),
        }
    }
}

#[test]
fn the_corpus_of_chunks() {
    let server = server();
    for (number, (name, body)) in corpus("chunked").into_iter().enumerate() {
        let head =
            format!("PUT /c{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let (got, _) = statuses(&server, &[head.as_bytes(), &body].concat());
        let stored = std::fs::read(server.path(&format!("root/c{number}"))).ok();
        match decoded(&body) {
            Ok(Some(data)) => {
                assert_eq!((got[0], stored), (201, Some(data)), "{name}");
            }
            Ok(None) => assert_eq!((got, stored), (vec![], None), "{name} is cut"),
            Err(status) => {
                assert_eq!((got, stored), (vec![status], None), "{name}");
                let more = [head.as_bytes(), &body, b"\r\n\r\n", get("/after").as_bytes()].concat();
                assert_eq!(statuses(&server, &more), (vec![status], false), "{name} and more");
            }
        }
        // Where nobody reads the body, it is skipped just as strictly.
        if decoded(&body).is_err() {
            let head = head.replace(&format!("PUT /c{number}"), "POST /after");
            let more = [head.as_bytes(), &body, b"\r\n\r\n", get("/after").as_bytes()].concat();
            let (got, _) = statuses(&server, &more);
            assert_eq!(got.len(), 1, "{name}, skipped: {got:?}");
        }
    }
}
