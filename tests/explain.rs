//! `httpyserver explain` says what the server would say.

use crate::support::{Start, TestServer, get, run};
use httpyserver::server::{ConfigSource, Origin, Overrides, Question};
use httpyserver::site::Registry;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

const CONFIG: &str = r#"
[[host]]
names = ["localhost"]
default = true
root = "root"
clean_urls = true
errors = { 404 = "/404.html" }

  [[host.route]]
  path = "/old/"
  redirect = { to = "/new/{rest}", status = 308 }

  [[host.route]]
  path = "/list/"
  files = "list"
  listing = true

  [[host.route]]
  path = "/spa/"
  files = "spa"
  fallback = "index.html"

  [[host.route]]
  path = "/only"
  methods = ["POST"]
  respond = "posted"

  [[host.route]]
  path = "/inbox/"
  files = "inbox"
  upload = { methods = ["PUT", "POST", "DELETE"] }

  [[host.route]]
  path = "/cgi/"
  cgi = "cgi"

  [[host.route]]
  path = "/gone/"
  files = "nowhere"

[[host]]
names = ["*.example.org"]
respond = { status = 200, body = "ok\n" }
"#;

const FILES: &[(&str, &str)] = &[
    ("root/index.html", "<p>home"),
    ("root/404.html", "<p>lost"),
    ("root/guide.html", "<p>guide"),
    ("root/a b.txt", "blank"),
    ("root/sub/index.html", "<p>sub"),
    ("root/empty/.keep", ""),
    ("list/one.txt", "1"),
    ("spa/index.html", "<p>app"),
    ("inbox/x.txt", "x"),
    ("cgi/plain.txt", "no script"),
];

fn explain(server: &TestServer, method: &str, url: &str, headers: &[&str]) -> Value {
    let source = ConfigSource {
        origin: Origin::File(server.path("web.conf")),
        overrides: Overrides::default(),
        registry: Registry::default(),
    };
    let question = Question {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(|line| (*line).to_owned()).collect(),
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    serde_json::from_str(&source.explain(&question).unwrap().to_json()).unwrap()
}

#[test]
fn it_foretells_what_is_served() {
    let server = TestServer::new(CONFIG, FILES);
    let mut known = 0;
    let paths = [
        "/",
        "/index.html",
        "/guide",
        "/guide/",
        "/guide.html",
        "/a%20b.txt",
        "/sub",
        "/sub/",
        "/sub//",
        "/empty/",
        "/nothing",
        "/.keep",
        "/empty/.keep",
        "/old/",
        "/old/x?y=1",
        "/list",
        "/list/",
        "/list/one.txt",
        "/list/?sort=size",
        "/spa/x/y",
        "/spa/x.js",
        "/only",
        "/inbox/",
        "/inbox/x.txt",
        "/cgi/plain.txt",
        "/cgi/",
        "/cgi/none",
        "/gone/x",
        "/%2e%2e/etc",
        "/a/../b",
        "/x/../sub",
        "/old/a;b/%3B//c/../d",
        "/cgi//./none",
        "/%00",
        "/%zz",
        "/\\x",
    ];
    for path in paths {
        for host in ["localhost", "a.example.org", "else.where", "bad host"] {
            for (method, accept) in [
                ("GET", "text/html"),
                ("GET", "*/*"),
                ("HEAD", "*/*"),
                ("OPTIONS", "*/*"),
                ("TRACE", "*/*"),
                ("BREW", "*/*"),
            ] {
                let (host_line, accept) = (format!("Host: {host}"), format!("Accept: {accept}"));
                let told = explain(&server, method, path, &[&host_line, &accept]);
                let Some(status) = told["answer"]["status"].as_u64() else { continue };
                let mut wire = crate::support::Wire::connect(&server);
                wire.send(format!("{method} {path} HTTP/1.1\r\n{host_line}\r\n{accept}\r\n\r\n"));
                let served = wire.response_to(method);
                let asked = format!("{method} {path} of {host}, {accept}");
                assert_eq!(u64::from(served.status), status, "{asked}: {told:#}\n{}", served.head);
                for line in told["answer"]["headers"].as_array().unwrap() {
                    let line =
                        format!("{}: {}", line[0].as_str().unwrap(), line[1].as_str().unwrap());
                    assert!(served.head.contains(&line), "{asked}: {line:?} in {}", served.head);
                }
                known += 1;
            }
        }
    }
    assert!(known > 500, "{known}");
}

#[test]
fn it_says_why() {
    let server = TestServer::new(CONFIG, FILES);
    let steps = |url: &str| explain(&server, "GET", url, &[])["steps"].to_string();
    for (url, words) in [
        ("http://localhost/guide", &["/guide.html", "not there", "found", "exact name"][..]),
        ("http://else.where/", &["default: no host has the name"]),
        ("http://a.example.org/", &["longest wildcard"]),
        ("/old/x", &["redirect 308 /new/{rest}", "less specific", "web.conf:"]),
        ("/gide.html", &["did you mean /guide.html?"]),
        ("/giude", &["did you mean /guide.html?"]),
        ("/.keep", &["begins with a dot"]),
        ("https://localhost/", &["none for https"]),
        ("http://localhost:99/", &["none listens on port 99"]),
    ] {
        let said = steps(url);
        for word in words {
            assert!(said.contains(word), "{url}: {word:?} in {said}");
        }
    }
}

#[test]
fn reasons_are_true() {
    let server = TestServer::new(CONFIG, FILES);
    let page = "Accept: text/html";
    for (url, accept, status, why) in [
        ("/empty/", page, 403, "a folder without index page, and `listing` is off"),
        ("/nothing", page, 404, "no such file"),
        ("/guide.html/", page, 404, "a file, and the path ends in a slash"),
        ("/.secret", page, 404, "begins with a dot, and `hidden` is off"),
        (
            "/spa/page",
            "Accept: */*",
            404,
            "`fallback` is for requests whose Accept names text/html",
        ),
    ] {
        let told = explain(&server, "GET", url, &[accept]);
        assert_eq!(told["answer"]["status"], status, "{url}");
        assert!(told["answer"]["why"].as_str().unwrap().contains(why), "{told}");
    }
    let steps = |accept| explain(&server, "GET", "/spa/page", &[accept])["steps"].to_string();
    assert!(steps("Accept: */*").contains("`fallback` is not tried"));
    assert!(steps(page).contains("`fallback`, for pages that match no file"));
    let get = |accept: &str| {
        server.ask(format!("GET /spa/page HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n"))
    };
    let found = get(page);
    assert_eq!((found.status, found.header("Vary")), (200, Some("Accept")));
    assert_eq!(get("Accept: */*").status, 404);
}

#[test]
fn asking_has_no_effect() {
    let script = "#!/bin/sh\ntouch ../ran\nprintf 'Content-Type: text/plain\\n\\nhi\\n'\n";
    let server = TestServer::new(CONFIG, &[FILES, &[("cgi/run.sh", script)]].concat());
    let path = server.path("cgi/run.sh");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (method, url, word) in [
        ("GET", "/cgi/run.sh", "script"),
        ("DELETE", "/inbox/x.txt", "upload"),
        ("PUT", "/inbox/new.txt", "upload"),
    ] {
        let told = explain(&server, method, url, &[]);
        assert!(told["answer"]["up_to"].as_str().unwrap().contains(word), "{told:#}");
    }
    assert!(server.path("inbox/x.txt").exists() && !server.path("inbox/new.txt").exists());
    assert!(!server.path("ran").exists());
    // The script does run when it is asked.
    assert_eq!(server.ask(get("/cgi/run.sh")).status, 200);
    assert!(server.path("ran").exists());
}

#[test]
fn the_command() {
    let start = Start::new(CONFIG, FILES);
    let run = |arguments: &[&str], place: &Path| {
        let (code, out, err) = run(place, &[&["explain"], arguments].concat(), "");
        (code.unwrap(), out, err)
    };
    let (code, out, _) = run(&["http://localhost/guide"], start.path());
    assert_eq!(code, 0);
    assert!(out.starts_with("listener ") && out.contains("\nanswer    200 OK\n"), "{out}");
    let (code, out, _) = run(&["--json", "-X", "HEAD", "-c", "web.conf", "/"], start.path());
    assert_eq!((code, serde_json::from_str::<Value>(&out).is_ok()), (0, true), "{out}");
    let (code, out, _) = run(&["--directory", "list", "/one.txt"], start.path());
    assert!(code == 0 && out.contains("200 OK"), "{out}");
    let (code, _, err) = run(&["ftp://x/"], start.path());
    assert!(code == 1 && err.contains("neither http nor https"), "{err}");
    std::fs::write(start.path().join("web.conf"), "rooot = 1\n").unwrap();
    assert_eq!(run(&["/"], start.path()).0, 3);
}
