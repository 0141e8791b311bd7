//! Methods, versions, forms of the target, expectations, and the headers of every answer.

use crate::support::{TestServer, Wire};

const CONFIG: &str = r#"
[[host]]
default = true
names = ["localhost"]
root = "root"
upload = { max = "1KiB", methods = ["PUT"] }
  [[host.route]]
  path = "/fixed"
  methods = ["GET", "POST"]
  respond = "fixed"
  [[host.route]]
  path = "/read/"
  files = "root"
[[host]]
names = ["single"]
  [[host.route]]
  path = "/fixed"
  methods = ["GET", "POST"]
  respond = "fixed"
"#;

fn server() -> TestServer {
    TestServer::new(CONFIG, &[("root/index.html", "<p>index"), ("root/a.txt", "hello")])
}

#[test]
fn methods() {
    let server = server();
    for (request_line, status, allow) in [
        ("GET /a.txt HTTP/1.1", 200, None),
        ("HEAD /a.txt HTTP/1.1", 200, None),
        ("OPTIONS /a.txt HTTP/1.1", 204, Some("GET, HEAD, PUT, OPTIONS")),
        ("OPTIONS /read/a.txt HTTP/1.1", 204, Some("GET, HEAD, OPTIONS")),
        ("OPTIONS * HTTP/1.1", 204, Some("GET, HEAD, OPTIONS")),
        ("OPTIONS /fixed HTTP/1.1", 204, Some("GET, HEAD, POST, OPTIONS")),
        ("POST /fixed HTTP/1.1", 200, None),
        ("POST /read/a.txt HTTP/1.1", 405, Some("GET, HEAD, OPTIONS")),
        ("PUT http://single/fixed HTTP/1.1", 405, Some("GET, HEAD, POST, OPTIONS")),
        ("GET http://single/other HTTP/1.1", 404, None),
        ("DELETE /a.txt HTTP/1.1", 405, Some("GET, HEAD, PUT, OPTIONS")),
        ("PATCH /a.txt HTTP/1.1", 405, Some("GET, HEAD, PUT, OPTIONS")),
        ("TRACE /a.txt HTTP/1.1", 405, Some("GET, HEAD, OPTIONS")),
        ("CONNECT localhost:80 HTTP/1.1", 501, None),
        ("BREW /a.txt HTTP/1.1", 501, None),
        ("get /a.txt HTTP/1.1", 501, None),
    ] {
        let method = request_line.split(' ').next().unwrap();
        let mut wire = Wire::connect(&server);
        wire.send(format!("{request_line}\r\nHost: localhost\r\nSecret: 1\r\n\r\n"));
        let response = wire.response_to(method);
        assert_eq!(response.status, status, "{request_line}: {}", response.head);
        assert_eq!(response.header("Allow"), allow, "{request_line}");
        assert!(!String::from_utf8_lossy(&response.body).contains("Secret"), "{request_line}");
        if method != "CONNECT" {
            assert_eq!(wire.get("/fixed").text(), "fixed", "after {request_line}");
        }
    }
}

#[test]
fn head_says_what_get_would() {
    let server = server();
    for path in ["/a.txt", "/", "/missing", "/read", "/fixed"] {
        let mut wire = Wire::connect(&server);
        let got = wire.get(path);
        wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = wire.response_to("HEAD");
        let without_date = |head: &str| {
            head.lines().filter(|l| !l.starts_with("Date")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head.head), without_date(&got.head), "{path}");
        assert_eq!(wire.get("/fixed").text(), "fixed", "nothing came after HEAD {path}");
    }
}

#[test]
fn versions_and_connections() {
    let server = server();
    for (request, status, connection) in [
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\n", 200, None),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", 200, Some("close")),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n", 200, Some("close")),
        ("GET /a.txt HTTP/1.0\r\n", 200, Some("close")),
        ("GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n", 200, Some("keep-alive")),
        ("GET http://a/a.txt HTTP/1.1\r\nHost: other\r\n", 200, None),
        ("GET http://a HTTP/1.1\r\nHost: other\r\n", 200, None),
        ("GET ftp://a/a.txt HTTP/1.1\r\nHost: a\r\n", 400, Some("close")),
        ("GET * HTTP/1.1\r\nHost: a\r\n", 400, Some("close")),
        ("GET /a.txt\r\n", 400, Some("close")),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n", 505, Some("close")),
        ("GET / HTTP/1.2\r\nHost: a\r\n", 200, None),
        ("GET / HTTP/1.9\r\nHost: a\r\n", 200, None),
        ("GET / HTTP/1.10\r\nHost: a\r\n", 400, Some("close")),
        ("GET / HTTP/01.1\r\nHost: a\r\n", 400, Some("close")),
        ("GET / HTTP/2\r\nHost: a\r\n", 400, Some("close")),
        ("GET / HTTP/1.1\r\n", 400, Some("close")),
    ] {
        let mut wire = Wire::connect(&server);
        let response = wire.send(format!("{request}\r\n")).response();
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("Connection"), connection, "{request}: {}", response.head);
        if connection == Some("close") {
            assert!(wire.is_closed(), "{request}");
        } else {
            assert_eq!(wire.get("/fixed").status, 200, "{request}");
        }
    }
}

#[test]
fn expectations() {
    let server = server();
    let put = |headers: &str| format!("PUT /new HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
    let mut wire = Wire::connect(&server);
    wire.send(put("Expect: 100-continue\r\nContent-Length: 5"));
    assert_eq!(wire.response().head, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(wire.send("hello").response().status, 201);
    assert_eq!(wire.get("/new").text(), "hello");

    let mut wire = Wire::connect(&server);
    let response = wire.send(put("Expect: 100-continue\r\nContent-Length: 2000")).response();
    assert_eq!(response.status, 413, "refused before the body, without 100");
    assert!(wire.is_closed());

    for (headers, status) in [
        ("Expect: 200-ok\r\nContent-Length: 5", 417),
        ("Expect: 100-continue\r\nContent-Length: 5\r\nIf-Match: \"no\"", 412),
    ] {
        let mut wire = Wire::connect(&server);
        assert_eq!(wire.send(put(headers)).response().status, status, "{headers}");
        assert!(wire.is_closed(), "{headers}");
    }
}

#[test]
fn every_answer_has_date_and_server() {
    let server = server();
    for request in [
        "GET / HTTP/1.1",
        "GET /missing HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /read HTTP/1.1",
        "G\t",
    ] {
        let response = server.ask(format!("{request}\r\nHost: a\r\n\r\n"));
        let date = response.header("Date").unwrap_or_default();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{request}: {}", response.head);
        assert_eq!(response.header("Server"), Some("httpyserver"), "{request}");
    }
    let silent = TestServer::new(
        "[server]\nlisten = \"http://127.0.0.1:0\"\nserver_header = false\n[[host]]\nrespond = \"\"",
        &[],
    );
    assert_eq!(silent.get("/").header("Server"), None);
}

/// curl and others send what is beyond ASCII as it is.
#[test]
fn bytes_beyond_ascii_mean_what_their_encoding_means() {
    let files = [("root/\u{e4}.txt", "hello"), ("root/\u{e4}/index.html", "folder")];
    let server = TestServer::new("[[host]]\nroot = \"root\"\n", &files);
    for path in ["/\u{e4}.txt", "/%C3%A4.txt", "/%c3\u{e4}.txt", "/x/../\u{e4}.txt?\u{fc}"] {
        let status = if path.contains("%c3") { 404 } else { 200 };
        assert_eq!(server.get(path).status, status, "{path}");
    }
    let away = server.get("/\u{e4}?\u{fc}=%FC");
    assert_eq!(away.header("Location"), Some("/%C3%A4/?%C3%BC=%FC"), "{}", away.head);
    let no_text = server.ask(b"GET /\xff\x80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(no_text.status, 404, "a name that is not there");
}
