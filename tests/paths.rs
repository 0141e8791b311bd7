//! What a path is on its way: to routes and guards, to files, programs and redirects.

use crate::support::{Response, TestServer};
use std::os::unix::fs::PermissionsExt;

const CONFIG: &str = r#"
[app.echo]
wsgi = "echo"
dir = "apps"
workers = 1

[[host]]
root = "root"

  [[host.route]]
  path = "/app/"
  app = "echo"

  [[host.route]]
  path = "/keep/"
  app = "echo"
  encoded_slashes = "keep"

  [[host.route]]
  path = "/keep/guarded/"
  app = "echo"
  encoded_slashes = "keep"
  allow = "192.0.2.1"

  [[host.route]]
  path = "/keep/guarded/refuses/"
  respond = "guarded"
  allow = "192.0.2.1"

  [[host.route]]
  path = "/keep/inside/"
  internal = true
  respond = "inside"

  [[host.route]]
  path = "/cgi/"
  cgi = "cgi"
  encoded_slashes = "keep"

  [[host.route]]
  path = "/files/"
  files = "root"
  encoded_slashes = "keep"
  upload = true

  [[host.route]]
  path = "/old/"
  redirect = "/new/{rest}"

  [[host.route]]
  path = "/older/"
  redirect = "https://example.org/{rest}"
  encoded_slashes = "keep"

  [[host.route]]
  path = "/bare/"
  redirect = "/{rest}"
"#;

const ECHO: &str = r#"
def application(environ, start_response):
    said = [("Content-Type", "text/plain")]
    query = environ["QUERY_STRING"]
    if query.startswith("to="):
        said.append(("X-Accel-Redirect", query[3:]))
    start_response("200 OK", said)
    names = ["SCRIPT_NAME", "PATH_INFO", "REQUEST_URI"]
    return ["|".join(environ[name] for name in names).encode("latin-1")]
"#;

const SCRIPT: &str = "#!/bin/sh\n\
    case $QUERY_STRING in to=*) printf 'Location: %s\\n\\n' \"${QUERY_STRING#to=}\"; exit;; esac\n\
    printf 'Content-Type: text/plain\\n\\n%s' \"$SCRIPT_NAME|$PATH_INFO|$REQUEST_URI\"\n";

fn server() -> TestServer {
    let server = TestServer::new(
        CONFIG,
        &[
            ("apps/echo.py", ECHO),
            ("cgi/run", SCRIPT),
            ("cgi/a%2Fb", SCRIPT),
            ("root/hello.txt", "hello"),
            ("root/a%2Fb", "a name of five letters"),
            ("root/a/b", "b in a"),
            ("root/dir;v=1/index.html", "dir"),
        ],
    );
    for script in ["cgi/run", "cgi/a%2Fb"] {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(server.path(script), mode).unwrap();
    }
    server
}

fn location(response: &Response) -> &str {
    response.header("Location").unwrap_or_default()
}

#[test]
fn parents_are_resolved_and_never_lead_out() {
    let server = server();
    for (path, status, body) in [
        ("/dir/../hello.txt", 200, "hello"),
        ("/a/%2e%2e/hello.txt", 200, "hello"),
        ("/a/b/c/../../.%2E/./hello.txt", 200, "hello"),
        ("/a//../hello.txt", 200, "hello"),
        ("http://h/a/../hello.txt", 200, "hello"),
        ("/a/..;/hello.txt", 404, ""),
        ("/hello.txt/../..", 400, ""),
        ("/../hello.txt", 400, ""),
        ("/a/..%2fhello.txt", 400, ""),
        ("/files/a/..%2fhello.txt", 400, ""),
        ("/a/..%5chello.txt", 400, ""),
        ("/a/..%00/hello.txt", 400, ""),
        ("/app/../hello.txt", 200, "hello"),
        ("/x/../app/a/../b", 200, "/app|/b|/x/../app/a/../b"),
        // What a guard keeps is kept by whichever way one goes there.
        ("/keep/x/../guarded/a", 403, ""),
        ("/keep//guarded/../guarded/a", 403, ""),
        ("/keep/guarded/../a", 200, "/keep|/a|/keep/guarded/../a"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}");
        assert!(status != 200 || response.text() == body, "{path}: {}", response.text());
    }
}

#[test]
fn programs_get_what_was_sent_decoded_once() {
    let server = server();
    for (path, script, info) in [
        ("/app/proxy/http://e/./x%20y", "/app", "/proxy/http://e/./x y"),
        ("//app//x/", "/app", "//x/"),
        ("/./app/%2e/a%3Bb;c", "/app", "/./a;b;c"),
        ("/app", "/app", ""),
        ("/app/%252e%252e/%2541", "/app", "/%2e%2e/%41"),
        ("/cgi/run/http://e/./x%20y", "/cgi/run", "/http://e/./x y"),
        ("//cgi/./run//x/", "/cgi/run", "//x/"),
        ("/cgi/run", "/cgi/run", ""),
        ("/cgi/x/../run/a/../%252e", "/cgi/run", "/%2e"),
    ] {
        let response = server.get(path);
        assert_eq!(response.text(), format!("{script}|{info}|{path}"), "{path}");
    }
    for (path, script, info) in [
        ("/app/?to=/keep//a%20b/./c", "/keep", "//a b/./c"),
        ("/cgi/run?to=/keep//a%20b/@zz%2fs", "/keep", "//a b/@zz%2fs"),
        ("/cgi/run?to=/cgi//run//x", "/cgi/run", "//x"),
    ] {
        let response = server.get(path);
        assert_eq!(response.text(), format!("{script}|{info}|{path}"), "{path}");
    }
    for path in ["/app/?to=/keep/../app/x", "/cgi/run?to=/keep/%2e%2e/x", "/app/?to=/app/a%2fb"] {
        assert!([400, 502].contains(&server.get(path).status), "{path}");
    }
}

#[test]
fn encoded_slashes_are_refused_or_kept() {
    let server = server();
    for path in ["/a%2Fb", "/app/a%2fb", "/app%2Fa", "/keep%2Fa", "/old/a%2fb", "/none%2f"] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
    for (path, answer) in [
        ("/keep/@zz%2fscoped", "/keep|/@zz%2fscoped"),
        ("/keep/@zz%2Fscoped/x%20y", "/keep|/@zz%2Fscoped/x y"),
        ("/keep/a%2F%2Fb//c", "/keep|/a%2F%2Fb//c"),
        ("/keep/%252F%2f%25", "/keep|/%2F%2f%"),
        ("/keep/x/../@zz%2fy", "/keep|/@zz%2fy"),
        ("/cgi/run/@zz%2fscoped/%41", "/cgi/run|/@zz%2fscoped/A"),
    ] {
        let response = server.get(path);
        assert_eq!(response.text(), format!("{answer}|{path}"), "{path}");
    }
    for (path, status) in [
        // Decoded it would be behind a guard, or inside, or elsewhere than it seems.
        ("/keep/guarded%2Fa", 400),
        ("/keep/guarded%2f", 400),
        ("/keep%2F/guarded/a", 400),
        ("/keep/x%2F..%2Fguarded/a", 400),
        ("/keep/.%2Fguarded/a", 400),
        ("/keep/guarded%252Fa", 400),
        ("/keep/x%252F..%252Fguarded%252Fa", 400),
        ("/keep/inside%2fx", 400),
        ("/keep/guarded/a%2Fb", 403),
        ("/keep/guarded/..%2Fa", 400),
        ("/keep/a%5cb", 400),
        ("/keep/a%2f%00", 400),
        // No file and no script has a slash in its name, whatever there is.
        ("/files/a%2Fb", 404),
        ("/files/a%252Fb", 200),
        ("/files/a/b", 200),
        ("/cgi/a%2Fb", 404),
        ("/cgi/a%252Fb", 200),
        ("/cgi/run%2Fx", 404),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
    }
    let put = "PUT /files/up%2Fload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(server.ask(put).status, 404);
}

#[test]
fn urls_keep_what_was_sent() {
    let server = server();
    for (path, want) in [
        ("/dir;v=1", "/dir;v=1/"),
        ("/dir%3bv%3D1?a=[';", "/dir%3bv%3D1/?a=[';"),
        ("//dir;v=1", "/dir;v=1/"),
        ("/x/../dir;v=1", "/dir;v=1/"),
        ("/old/a;b=1,'c'/%3B//%27?q='&r[]=%5B", "/new/a;b=1,'c'/%3B//%27?q='&r[]=%5B"),
        ("/old/x/../a;b", "/new/a;b"),
        ("/older/@zz%2fs;v=1", "https://example.org/@zz%2fs;v=1"),
        ("/bare//evil.test/", "/evil.test/"),
        ("/bare/.//evil.test/", "/.//evil.test/"),
        ("/bare/x/..//evil.test", "/evil.test"),
        ("/bare/%0d%0aX:y", ""),
    ] {
        assert_eq!(location(&server.get(path)), want, "{path}");
    }
    for (path, want) in [
        ("/files/dir;v=1/?name=a;b", "/files/dir;v=1/a;b"),
        ("/files/dir%3Bv=1/?name=c%20'd", "/files/dir%3Bv=1/c%20'd"),
        ("//files/./dir;v=1/n;m", "/files/dir;v=1/n;m"),
    ] {
        let post = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        let response = server.ask(post);
        assert_eq!((response.status, location(&response)), (201, want), "{path}");
        assert_eq!(server.get(want).text(), "x", "{want}");
    }
}

/// A registry as npm asks it: `npm install @zz/scoped --registry http://HOST/npm/`.
const REGISTRY: &str = r#"
import json

def application(environ, start_response):
    root = "http://" + environ["HTTP_HOST"] + environ["SCRIPT_NAME"]
    packages = {
        "/@zz%2fscoped": json.dumps({"dist": {"tarball": root + "/@zz/scoped/-/scoped-1.0.0.tgz"}}),
        "/@zz/scoped/-/scoped-1.0.0.tgz": "an archive",
    }
    body = packages.get(environ["PATH_INFO"])
    start_response("200 OK" if body else "404 Not Found", [("Content-Type", "application/json")])
    return [(body or "{}").encode()]
"#;

#[test]
fn a_scoped_package_is_found_as_npm_asks_for_it() {
    let config = "[app.npm]\nwsgi = \"registry\"\ndir = \"apps\"\nworkers = 1\n\
        [[host]]\nencoded_slashes = \"keep\"\nrespond = \"\"\n\
        [[host.route]]\npath = \"/npm/\"\napp = \"npm\"\n\
        [[host.route]]\npath = \"/strict/\"\napp = \"npm\"\nencoded_slashes = \"refuse\"\n";
    let server = TestServer::new(config, &[("apps/registry.py", REGISTRY)]);
    let package = server.get("/npm/@zz%2fscoped");
    assert_eq!(package.status, 200);
    let package: serde_json::Value = serde_json::from_str(package.text()).unwrap();
    let (_, path) = package["dist"]["tarball"].as_str().unwrap().split_once("/npm/").unwrap();
    assert_eq!(server.get(&format!("/npm/{path}")).text(), "an archive");
    assert_eq!(server.get("/strict/@zz%2fscoped").status, 400);
    assert_eq!(
        server.get("/elsewhere%2f").status,
        200,
        "what a host says is for its own route too"
    );
}
