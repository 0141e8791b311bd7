//! `allow`: who is let in, and that the others learn nothing.

use crate::support::{TestServer, Wire, get};
use httpyserver::server::{ConfigSource, Origin, Overrides, Question};
use httpyserver::site::Registry;
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;

const CONFIG: &str = r#"
[server]
listen = ["http://*:0", "unix:web.sock"]
[log]
access = "access.log"

[[host]]
root = "root"
allow = ["127.0.0.0/30", "::1"]

  [[host.route]]
  path = "/two/"
  files = "two"
  allow = "127.0.0.2"
  cache_control = "public, max-age=60"
  upload = true

  [[host.route]]
  path = "/open/"
  files = "two"
  allow = false

  [[host.route]]
  path = "/local"
  respond = "local"
  allow = ["unix"]

  [[host.route]]
  path = "/cgi/"
  cgi = "cgi"
"#;

const FILES: &[(&str, &str)] = &[
    ("root/index.html", "home"),
    ("two/a.txt", "two"),
    ("cgi/elsewhere", "#!/bin/sh\nprintf 'Location: /two/a.txt\\n\\n'\n"),
];

fn v4(server: &TestServer) -> SocketAddr {
    ([127, 0, 0, 1], server.address.port()).into()
}

fn executable(server: &TestServer, path: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(server.path(path), mode).unwrap();
}

/// The listener is for both families, so IPv4 clients come mapped into IPv6.
#[test]
fn addresses_are_let_in_and_kept_out() {
    let server = TestServer::new(CONFIG, FILES);
    for (source, path, want) in [
        ("127.0.0.1", "/", 200),
        ("127.0.0.3", "/", 200),
        ("127.0.0.4", "/", 403),
        ("127.0.0.4", "/nothing", 403),
        ("127.0.0.1", "/two/a.txt", 403),
        ("127.0.0.1", "/two/nothing", 403),
        ("127.0.0.1", "/two", 403),
        ("127.0.0.1", "/two%2fa.txt", 400),
        ("127.0.0.1", "/x/..%2ftwo/a.txt", 400),
        ("127.0.0.1", "//two//a.txt", 403),
        ("127.0.0.1", "/t%77o/a.txt", 403),
        ("127.0.0.2", "/two/a.txt", 200),
        ("127.0.0.2", "/two/nothing", 404),
        ("127.0.0.9", "/open/a.txt", 200),
        ("127.0.0.1", "/local", 403),
    ] {
        let mut wire = Wire::from(source, v4(&server));
        assert_eq!(wire.get(path).status, want, "{source} {path}");
    }
    let mut wire = Wire::to(([0, 0, 0, 0, 0, 0, 0, 1], server.address.port()).into());
    assert_eq!((wire.get("/").status, wire.get("/two/a.txt").status), (200, 403));
}

#[test]
fn who_is_refused_learns_nothing_else() {
    let server = TestServer::new(CONFIG, FILES);
    let mut wire = Wire::from("127.0.0.1", v4(&server));
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "BREW"] {
        wire.send(format!("{method} /two/a.txt HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = wire.response_to(method);
        assert_eq!(answer.status, 403, "{method}");
        assert_eq!(answer.header("Allow"), None, "{method}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("127.0"), "{method}");
    }
    // Nothing of an upload is asked for, nor taken.
    wire.send(
        "PUT /two/b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(wire.response().status, 403);
    assert!(!server.path("two/b").exists());
    server.read_until("access.log", "PUT /two/b");
    let head = "PUT /two/b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let mut wire = Wire::from("127.0.0.1", v4(&server));
    assert_eq!(wire.send(head).response().status, 403);
    assert_eq!(wire.get("/").status, 200);
    let mut wire = Wire::from("127.0.0.2", v4(&server));
    assert_eq!(wire.send(head).response().status, 201);
}

#[test]
fn an_internal_redirect_does_not_get_past_a_guard() {
    let server = TestServer::new(CONFIG, FILES);
    executable(&server, "cgi/elsewhere");
    for (source, want) in [("127.0.0.1", 403), ("127.0.0.2", 200), ("127.0.0.4", 403)] {
        let mut wire = Wire::from(source, v4(&server));
        assert_eq!(wire.get("/cgi/elsewhere").status, want, "{source}");
        // And the connection goes on.
        assert_eq!(wire.get("/open/a.txt").status, 200, "{source}");
    }
}

#[test]
fn shared_caches_are_told() {
    let server = TestServer::new(CONFIG, FILES);
    let mut wire = Wire::from("127.0.0.2", v4(&server));
    let values = |head: &str| {
        let lines = head.lines().filter_map(|line| line.strip_prefix("Cache-Control: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&wire.get("/two/a.txt").head), ["public, max-age=60", "private"]);
    assert_eq!(values(&wire.get("/open/a.txt").head), Vec::<String>::new());
    assert_eq!(values(&wire.get("/").head), ["private"]);
}

#[test]
fn clients_of_a_unix_socket_are_clients_too() {
    use std::io::{Read, Write};
    let server = TestServer::new(CONFIG, FILES);
    for (path, want) in [("/local", "200"), ("/", "403")] {
        let mut socket = std::os::unix::net::UnixStream::connect(server.path("web.sock")).unwrap();
        let request = get(path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(want), "{answer}");
    }
}

#[test]
fn a_reload_counts_for_connections_that_are_open() {
    let server = TestServer::new("[[host]]\nroot = \"root\"\n", FILES);
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/").status, 200);
    server.configure("[[host]]\nroot = \"root\"\nallow = \"127.0.0.2\"\n");
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert_eq!(wire.get("/").status, 403);
}

#[test]
fn explain_says_the_same() {
    let server = TestServer::new(CONFIG, FILES);
    let source = ConfigSource {
        origin: Origin::File(server.path("web.conf")),
        overrides: Overrides::default(),
        registry: Registry::default(),
    };
    for (client, path, method) in [
        ("127.0.0.1", "/", "GET"),
        ("127.0.0.4", "/", "GET"),
        ("127.0.0.1", "/two/a.txt", "GET"),
        ("127.0.0.1", "/two/a.txt", "OPTIONS"),
        ("127.0.0.2", "/two/a.txt", "GET"),
        ("127.0.0.2", "/two/a.txt", "OPTIONS"),
        ("127.0.0.2", "/local", "GET"),
    ] {
        let question = Question {
            method: method.into(),
            url: path.into(),
            headers: Vec::new(),
            from: client.parse().unwrap(),
        };
        let told: Value =
            serde_json::from_str(&source.explain(&question).unwrap().to_json()).unwrap();
        let mut wire = Wire::from(client, v4(&server));
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let served = wire.response_to(method).status;
        assert_eq!(told["answer"]["status"], served, "{client} {path}: {told:#}");
        let steps = told["steps"].as_array().unwrap();
        let note = steps.iter().find(|step| step["about"] == "access").unwrap();
        assert!(note["what"].as_str().unwrap().starts_with("only "), "{note}");
        assert!(note["place"].as_str().unwrap().contains("web.conf:"), "{note}");
    }
}
