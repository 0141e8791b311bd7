//! Scripts: what they are told, what they answer, and what becomes of those that misbehave.

use crate::support::{Response, Start, TestServer, Wire, eventually, folder, get, repository};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

/// A server whose `/cgi/` has these scripts; names that end in `-` are not executable.
pub(crate) fn scripts(limits: &str, scripts: &[(&str, &str)]) -> TestServer {
    let config = format!(
        "[limits]\nbody = \"8MiB\"\n[[host]]\nroot = \"root\"\n[[host.route]]\npath = \"/cgi/\"\n\
         cgi = \"cgi\"\ncgi_limits = {{ {limits} }}\n"
    );
    with_config(&config, scripts)
}

pub(crate) fn with_config(config: &str, scripts: &[(&str, &str)]) -> TestServer {
    prepared(config, scripts).run()
}

pub(crate) fn prepared(config: &str, scripts: &[(&str, &str)]) -> Start {
    let files: Vec<_> = scripts
        .iter()
        .map(|(name, text)| (format!("cgi/{}", name.trim_end_matches('-')), *text))
        .chain([("root/index.html".to_owned(), "index"), ("root/a b.txt".to_owned(), "a file")])
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let start = Start::new(config, &files);
    for (name, _) in scripts.iter().filter(|(name, _)| !name.ends_with('-')) {
        let path = start.path().join("cgi").join(name);
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    start
}

/// A shell script that says it is text, and then what `commands` print.
pub(crate) fn text(commands: &str) -> String {
    format!("#!/bin/sh\necho 'Content-Type: text/plain'\necho\n{commands}\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn variables(response: &Response) -> Vec<(String, String)> {
    let pairs = response.text().lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_variable_is_there_and_no_other() {
    // A program of its own, not a shell: a shell adds variables.
    let server = scripts(
        "",
        &[(
            "env",
            "#!/usr/bin/env -S python3 -B\nimport os\nprint('X: y\\n')\nfor k, v in sorted(os.environb.items()): print(k.decode() + '=' + v.decode('latin-1'))\n",
        )],
    );
    let request = "POST /cgi/env/a%20b/c?x=%31&y HTTP/1.1\r\nHost: LocalHost:99\r\n\
        Content-Type: text/x\r\nContent-Length: 3\r\nCookie: a=1\r\nCookie: b=2\r\nX-One: 1\r\n\
        Proxy: http://evil\r\nX_Under: x\r\nAuthorization: Basic x\r\nConnection: close\r\n\r\nabc";
    let response = server.ask(request);
    let mut all = variables(&response);
    let port = all.iter().position(|(name, _)| name == "REMOTE_PORT").map(|at| all.remove(at));
    assert!(port.unwrap().1.parse::<u16>().is_ok());
    // The interpreter's locale coercion adds this one itself.
    all.retain(|(name, _)| name != "LC_CTYPE");
    let path = |name| server.path(name).canonicalize().unwrap().display().to_string();
    let (root, script) = (path("root"), path("cgi/env"));
    let translated = format!("{root}/a b/c");
    let server_port = server.address.port().to_string();
    let want = [
        ("CONTENT_LENGTH", "3"),
        ("CONTENT_TYPE", "text/x"),
        ("DOCUMENT_ROOT", &root),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_HOST", "LocalHost:99"),
        ("HTTP_X_ONE", "1"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("PATH_INFO", "/a b/c"),
        ("PATH_TRANSLATED", &translated),
        ("QUERY_STRING", "x=%31&y"),
        ("REDIRECT_STATUS", "200"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_HOST", "127.0.0.1"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/cgi/env/a%20b/c?x=%31&y"),
        ("SCRIPT_FILENAME", &script),
        ("SCRIPT_NAME", "/cgi/env"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", &server_port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "httpyserver"),
    ];
    assert_eq!(all, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn credentials_and_own_variables_only_where_they_are_asked_for() {
    let config = "[cgi]\nenv = { GREETING = \"hi\", PATH = \"/bin:/usr/bin\" }\n[[host]]\n\
        [[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\ncgi_authorization = true\n";
    let server = with_config(
        config,
        &[("x", &text("echo \"$HTTP_AUTHORIZATION $GREETING $PATH $AUTH_TYPE\""))],
    );
    let request = "GET /cgi/x HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eA==\r\n\r\n";
    assert_eq!(server.ask(request).text(), "Basic eA== hi /bin:/usr/bin \n");
}

#[test]
fn a_query_is_no_argument_and_the_folder_is_the_scripts() {
    let server = scripts("", &[("sub/x", &text("echo \"$# $(pwd)\""))]);
    let folder = server.path("cgi/sub").canonicalize().unwrap();
    assert_eq!(server.get("/cgi/sub/x?-s").text(), format!("0 {}\n", folder.display()));
}

#[test]
fn the_text_of_a_script_is_never_an_answer() {
    let secret = "#!/bin/sh\necho 'X: y'\necho\n# the secret\n";
    let config = "[[host]]\nnames = [\"a.test\"]\ndefault = true\nroot = \".\"\n[[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n\
        [[host]]\nnames = [\"b.test\"]\nroot = \".\"\nlisting = true\n\
        [[host]]\nnames = [\"c.test\"]\nroot = \"links\"\nlisting = true\nfallback = \"script\"\n\
        [[host]]\nnames = [\"d.test\"]\nroot = \"cgi\"\nlisting = true\n";
    let server = with_config(
        config,
        &[
            ("script", secret),
            ("plain.txt-", secret),
            (".hidden", secret),
            ("deep/.git/hook", secret),
        ],
    );
    std::fs::create_dir(server.path("links")).unwrap();
    std::os::unix::fs::symlink("../cgi", server.path("links/folder")).unwrap();
    for path in [
        "/cgi/script",
        "/cgi/plain.txt",
        "/cgi/.hidden",
        "/cgi/deep/.git/hook",
        "/cgi",
        "/cgi/",
        "/script",
        "/plain.txt",
        "/folder/script",
        "/",
    ] {
        for spelling in [
            path.to_owned(),
            path.replace("cgi", "%63gi"),
            path.replace("script", "scrip%74"),
            path.replace('/', "//"),
            path.replace("/cgi", "/./cgi"),
            path.replace("cgi", "CGI"),
            format!("{path}/"),
            format!("{path}%20"),
            format!("{path}."),
            format!("{path}~"),
            format!("{path}::$DATA"),
            format!("{path}%2f"),
            format!("{path};x"),
            format!("{path}%00"),
            format!("{path}%00.txt"),
            format!("{path}%5c"),
            path.replace("/s", "%5cs"),
            format!("/x/..{path}"),
            format!("/x/%2e%2e{path}"),
        ] {
            for host in ["a.test", "b.test", "c.test", "d.test"] {
                for (method, more) in
                    [("GET", ""), ("GET", "Range: bytes=0-99\r\n"), ("POST", ""), ("DELETE", "")]
                {
                    let head = format!(
                        "{method} {spelling} HTTP/1.1\r\nHost: {host}\r\n{more}Accept: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let response = server.ask(head);
                    let shown = String::from_utf8_lossy(&response.body).contains("secret");
                    assert!(!shown, "{method} {spelling} of {host}");
                }
            }
        }
    }
    let ranged = "GET /cgi/script HTTP/1.1\r\nHost: b.test\r\nRange: bytes=0-\r\n\r\n";
    assert_eq!(server.ask(ranged).status, 404);
}

#[test]
fn what_is_no_script_is_not_started() {
    let server = scripts(
        "",
        &[("sub/x", &text("echo ran")), ("plain-", &text("echo ran")), (".dot", &text("echo ran"))],
    );
    for (path, status) in [
        ("/cgi", 403),
        ("/cgi/", 403),
        ("/cgi/sub", 403),
        ("/cgi/sub/", 403),
        ("/cgi/plain", 403),
        ("/cgi/.dot", 404),
        ("/cgi/none", 404),
        ("/cgi/sub/none/x", 404),
        ("/cgi/sub/x", 200),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
    }
    let mut wire = Wire::connect(&server);
    wire.send("OPTIONS /cgi/sub/x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(wire.response().header("Allow").unwrap().contains("POST"));
    assert_eq!(server.ask("BREW /cgi/sub/x HTTP/1.1\r\nHost: h\r\n\r\n").status, 501);
}

#[test]
fn interpreters_run_by_extension() {
    let config = "[cgi]\ninterpreter = { \".py\" = \"python3\", \".gone\" = \"no-such-program\" }\n[[host]]\ncgi = \"cgi\"\n";
    let python = "import os, sys\nprint('Content-Type: text/plain\\n')\nprint(sys.argv == [os.environ['SCRIPT_FILENAME']], os.environ['PATH_INFO'])\n";
    let server = with_config(config, &[("a.py-", python), ("b.PY-", python), ("c.gone-", python)]);
    assert!(server.banner.contains("missing-interpreter"), "{}", server.banner);
    assert_eq!(server.get("/a.py/x").text(), "True /x\n");
    assert_eq!(server.get("/b.PY").text(), "True \n");
    assert_eq!(server.get("/c.gone").status, 403);
}

#[test]
fn a_folder_may_have_an_index() {
    let config = "[[host]]\nindex = [\"index.html\", \"index.sh\"]\ncgi = \"cgi\"\n";
    let show = text(
        "echo \"$SCRIPT_NAME|$PATH_INFO|$QUERY_STRING|$(basename \"$SCRIPT_FILENAME\")\"; cat",
    );
    let server = with_config(
        config,
        &[
            ("index.sh", &show),
            ("sub/index.sh", &show),
            ("index.html-", "the source"),
            ("bare/x", &show),
        ],
    );
    assert_eq!(server.get("/?q").text(), "/index.sh||q|index.sh\n");
    assert_eq!(server.ask(post("/sub/", "body")).text(), "/sub/index.sh|||index.sh\nbody");
    let moved = server.get("/sub?q");
    assert_eq!((moved.status, moved.header("Location")), (301, Some("/sub/?q")));
    assert_eq!(server.get("/bare/").status, 403);
    assert_eq!(server.get("/index.html").status, 403);
}

#[test]
fn answers_take_every_form() {
    let raw = |output: &str| format!("#!/bin/sh\nprintf '{output}'\n");
    let server = scripts(
        "",
        &[
            ("status", &raw("Status: 404 Nothing\\r\\nContent-Type: a/b\\r\\n\\r\\nnone")),
            ("away", &raw("Location: http://x.test/y\\n\\n")),
            ("see", &raw("Status: 303 See\\nLocation: /y\\n\\n")),
            ("local", &raw("Location: /a%%20b.txt?q\\n\\n")),
            ("to-script", &raw("Location: /cgi/show/info?q=2\\n\\n")),
            ("round", &raw("Location: /cgi/round\\n\\n")),
            ("gone", &raw("Location: /nowhere\\n\\n")),
            ("cookies", &raw("Set-Cookie: a=1\\nSet-Cookie: b=2\\nX-A: 1\\n\\nok")),
            ("length", &raw("Content-Length: 5\\nContent-Type: a/b\\n\\nhello")),
            ("empty", &raw("Status: 204\\n\\n")),
            (
                "nothing-new",
                &raw(
                    "Status: 304\\nContent-Type: text/html\\nContent-Encoding: gzip\\nETag: \"x\"\\n\\nbody that must not be sent",
                ),
            ),
            (
                "nph-raw",
                &raw(
                    "HTTP/1.1 201 Made\\r\\nContent-Type: a/b\\r\\nConnection: close\\r\\n\\r\\nraw",
                ),
            ),
            (
                "show",
                &text(
                    "echo \"$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $CONTENT_LENGTH\"; cat",
                ),
            ),
        ],
    );
    let mut wire = Wire::connect(&server);
    let status = wire.get("/cgi/status");
    assert_eq!((status.status, status.text()), (404, "none"));
    assert_eq!(status.header("Content-Type"), Some("a/b"));
    let away = wire.get("/cgi/away");
    assert_eq!((away.status, away.header("Location")), (302, Some("http://x.test/y")));
    let see = wire.get("/cgi/see");
    assert_eq!((see.status, see.header("Location")), (303, Some("/y")));
    assert_eq!(wire.get("/cgi/local").text(), "a file");
    assert_eq!(
        wire.send(post("/cgi/to-script", "body")).response().text(),
        "GET /cgi/show /info q=2 \n"
    );
    assert_eq!(wire.get("/cgi/round").status, 500);
    assert_eq!(wire.get("/cgi/gone").status, 404);
    let cookies = wire.get("/cgi/cookies");
    assert_eq!(cookies.head.matches("Set-Cookie: ").count(), 2);
    let length = wire.get("/cgi/length");
    assert_eq!((length.header("Content-Length"), length.text()), (Some("5"), "hello"));
    assert_eq!(wire.get("/cgi/empty").status, 204);
    let same = wire.get("/cgi/nothing-new");
    assert_eq!((same.status, same.header("ETag")), (304, Some("\"x\"")));
    assert_eq!((same.header("Content-Type"), same.header("Content-Encoding")), (None, None));
    let raw = wire.get("/cgi/nph-raw");
    assert_eq!((raw.status, raw.text(), raw.header("Connection")), (201, "raw", None));
    wire.send("HEAD /cgi/length HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response_to("HEAD").header("Content-Length"), Some("5"));
    // All of that on one connection: framing never slipped.
    assert_eq!(wire.get("/").text(), "index");
}

#[test]
fn old_clients_get_no_chunks() {
    let server = scripts("", &[("slow", &text("echo one; sleep 0.3; echo two"))]);
    let chunked = server.get("/cgi/slow");
    assert_eq!(
        (chunked.header("Transfer-Encoding"), chunked.text()),
        (Some("chunked"), "one\ntwo\n")
    );
    let mut wire = Wire::connect(&server);
    wire.send("GET /cgi/slow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let old = wire.response();
    assert_eq!((old.header("Transfer-Encoding"), old.text()), (None, "one\ntwo\n"));
    assert_eq!(old.header("Connection"), Some("close"));
}

#[test]
fn bodies_arrive_whole() {
    let sum = text("echo \"$CONTENT_LENGTH $(cksum | cut -d' ' -f2)\"");
    let server = scripts("", &[("sum", &sum)]);
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/cgi/sum").text(), " 0\n");
    for length in [0, 1, 65_535, 65_536, 70_000, 262_144, 262_145, 1 << 20, 4 << 20] {
        let body = "0123456789abcdef".repeat(length / 16 + 1);
        let body = &body[..length];
        let want = format!("{length} {length}\n");
        assert_eq!(wire.send(post("/cgi/sum", body)).response().text(), want);
        let mut chunked =
            "POST /cgi/sum HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for piece in body.as_bytes().chunks(50_000) {
            chunked += &format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap());
        }
        assert_eq!(wire.send(chunked + "0\r\n\r\n").response().text(), want, "chunked");
    }
}

#[test]
fn a_slow_client_occupies_no_process() {
    let server = scripts("processes = 1", &[("cat", &text("cat"))]);
    let mut slow = Wire::connect(&server);
    slow.send("POST /cgi/cat HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf ");
    assert_eq!(server.ask(post("/cgi/cat", "quick")).text(), "quick");
    assert_eq!(slow.send("there").response().text(), "half there");
}

#[test]
fn a_long_body_flows_as_the_script_reads_it() {
    // The script answers in the middle of the body.
    let script = text("head -c 100000 | cksum | cut -d' ' -f2; cat | cksum | cut -d' ' -f2");
    let server = scripts("", &[("x", &script)]);
    let mut wire = Wire::connect(&server);
    let body = "x".repeat(2 << 20);
    wire.send(format!("POST /cgi/x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
    wire.send(&body[..300_000]);
    let head = wire.head().unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "before the body is sent: {head}");
    wire.send(&body[300_000..]);
    let rest = wire.take("7\r\n100000\n\r\n".len()).unwrap();
    assert_eq!(rest, b"7\r\n100000\n\r\n");
}

#[test]
fn a_script_need_not_read() {
    let server = scripts(
        "",
        &[("deaf", &text("echo no")), ("closed", &text("exec <&-; sleep 0.2; echo no"))],
    );
    for path in ["/cgi/deaf", "/cgi/closed"] {
        for length in [100_000, 1 << 20] {
            let response = server.ask(post(path, &"x".repeat(length)));
            assert_eq!((response.status, response.text()), (200, "no\n"), "{path} {length}");
        }
    }
}

#[test]
fn a_script_that_ignores_a_long_upload_does_not_cost_the_client_its_answer() {
    let server = scripts("", &[("deaf", &text("echo heard nothing"))]);
    let mut wire = Wire::connect(&server);
    let length = 5_000_000;
    let head =
        format!("POST /cgi/deaf HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    // Like a client that reads only when it has sent everything.
    wire.stream.write_all(head.as_bytes()).unwrap();
    wire.stream.write_all(&vec![b'x'; length]).unwrap();
    let response = wire.response();
    assert_eq!((response.status, response.text()), (200, "heard nothing\n"));
    // The body was dropped to its end, so that the next request is one.
    assert_eq!(wire.get("/cgi/deaf").text(), "heard nothing\n");
}

#[test]
fn the_last_complaint_of_a_script_is_heard() {
    let last = "#!/bin/sh\nprintf 'X: y\\n\\n'\nprintf x\necho bye >&2\n";
    let server = scripts("", &[("last", last)]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..60 {
                    assert_eq!(server.get("/cgi/last").text(), "x");
                }
            });
        }
    });
    let heard = || server.read("stderr.txt").matches(": bye").count();
    assert!(eventually(|| (heard() == 480).then_some(())).is_some(), "{} of 480", heard());
}

#[test]
fn complaints_are_logged_line_by_line() {
    let server = scripts("", &[("x", &text("echo one >&2; printf two >&2; echo fine"))]);
    assert_eq!(server.get("/cgi/x").text(), "fine\n");
    let log = server.read_until("stderr.txt", "two");
    let line = log.lines().find(|line| line.contains("one")).unwrap();
    assert!(line.contains("error script /cgi/x (pid ") && line.ends_with("): one"), "{line}");
}

#[test]
fn answers_that_are_none_are_502() {
    let raw = |output: &str| format!("#!/bin/sh\nprintf '{output}'\n");
    let server = scripts(
        "",
        &[
            ("silent", "#!/bin/sh\n"),
            ("dies", "#!/bin/sh\nkill -9 $$\n"),
            ("closes", "#!/bin/sh\nexec >&-\nsleep 600\n"),
            ("half", &raw("Content-Type: text/plain\\n")),
            ("words", &raw("hello\\n\\nbody")),
            ("blank", &raw("\\nbody")),
            ("split", &raw("X-A: 1\\rX-B: 2\\n\\nbody")),
            ("chunks", &raw("Transfer-Encoding: chunked\\n\\n0\\r\\n\\r\\n")),
            ("interim", &raw("Status: 100\\n\\n")),
            ("huge", "#!/bin/sh\nyes 'X-Filler: xxxxxxxxxxxxxxxxxxxxxxxx'\n"),
            ("long", "#!/bin/sh\nprintf 'X: '; yes | tr -d '\\n'\n"),
        ],
    );
    for name in [
        "silent", "dies", "closes", "half", "words", "blank", "split", "chunks", "interim", "huge",
        "long",
    ] {
        assert_eq!(server.get(&format!("/cgi/{name}")).status, 502, "{name}");
    }
    server.read_until("stderr.txt", "ended by signal 9");
    none_left(&server);
}

#[test]
fn what_cannot_be_started_is_500() {
    let server = scripts(
        "",
        &[
            ("bad", "#!/no/such/interpreter\n"),
            ("none", "no program\n"),
            ("dos", "#!/bin/sh\r\necho\r\n"),
        ],
    );
    for (name, why) in [
        ("bad", "its interpreter \"/no/such/interpreter\" does not exist"),
        ("none", "it has no `#!` line"),
        ("dos", "its `#!` line ends in CR LF"),
    ] {
        assert_eq!(server.get(&format!("/cgi/{name}")).status, 500, "{name}");
        server.read_until("stderr.txt", why);
    }
    assert_eq!(server.get("/").text(), "index");
}

#[test]
fn a_script_that_lacks_its_right_to_run_is_told_of() {
    let server = scripts("", &[("x-", &text("echo x"))]);
    assert_eq!(server.get("/cgi/x").status, 403);
    server.read_until("stderr.txt", "warning /cgi/x: a file that is not executable");
}

#[test]
fn lying_lengths_are_seen() {
    let raw = |output: &str| format!("#!/bin/sh\nprintf '{output}'\n");
    let slow = |one: &str, two: &str| {
        let wait = "while [ ! -e ../go ]; do sleep 0.02; done";
        format!("#!/bin/sh\nprintf '{one}'\n{wait}\nprintf '{two}'\n")
    };
    let server = scripts(
        "",
        &[
            ("short", &raw("Content-Length: 9\\n\\nshort")),
            ("long", &raw("Content-Length: 5\\n\\nshort and more")),
            ("slow-short", &slow("Content-Length: 9\\n\\nsho", "rt")),
            ("slow-long", &slow("Content-Length: 5\\n\\nsho", "rt and more")),
        ],
    );
    // As long as nothing has left, the error can be said. That a short one is at its end may be
    // seen too late for that.
    assert_eq!(server.get("/cgi/long").status, 502);
    server.read_until("stderr.txt", "its Content-Length is 5, of 14 bytes");
    let mut wire = Wire::connect(&server);
    let answer = wire.send(get("/cgi/short")).try_response("GET");
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.unwrap().status == 502));
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/slow-short"));
    wire.head().unwrap();
    server.write("go", "");
    assert!(wire.rest().is_ok_and(|body| body == b"short"), "the rest of the answer is missing");
    std::fs::remove_file(server.path("go")).unwrap();
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/slow-long")).send(get("/"));
    wire.head().unwrap();
    server.write("go", "");
    assert_eq!(wire.take(5).unwrap(), b"short");
    assert!(wire.is_closed(), "and nothing of it is taken for another answer");
    server.read_until("stderr.txt", "longer than its Content-Length");
}

/// Waits until no child of the server is left, dead or alive.
pub(crate) fn none_left(server: &TestServer) {
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", server.pid().as_raw_nonzero());
        std::fs::read_to_string(path).unwrap()
    };
    let gone = eventually(|| children().is_empty().then_some(()));
    assert!(gone.is_some(), "children are left: {}", children());
}

#[test]
fn a_script_that_hangs_is_504_and_ended() {
    let server = scripts(
        "timeout = \"500ms\"",
        &[
            ("hangs", "#!/bin/sh\nexec sleep 600\n"),
            ("stubborn", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"),
            ("stops", &text("echo begun; exec sleep 600")),
        ],
    );
    assert_eq!(server.get("/cgi/hangs").status, 504);
    assert_eq!(server.get("/cgi/stubborn").status, 504);
    let mut wire = Wire::connect(&server);
    wire.send(get("/cgi/stops"));
    assert!(wire.try_response("GET").is_err(), "cut off in the middle");
    none_left(&server);
}

#[test]
fn a_script_that_speaks_now_and_then_is_not_late() {
    let server = scripts(
        "timeout = \"1s\"",
        &[("slow", &text("for n in 1 2 3 4 5; do sleep 0.4; echo $n; done"))],
    );
    assert_eq!(server.get("/cgi/slow").text(), "1\n2\n3\n4\n5\n");
}

#[test]
fn what_a_script_leaves_behind_holds_nobody_up() {
    let server = scripts(
        "",
        &[
            ("daemon", &text("sleep 600 & echo $!")),
            ("closes", &text("echo done; exec >&- 2>&-; sleep 600")),
        ],
    );
    let pid = server.get("/cgi/daemon").text().trim().to_owned();
    // What it has started on purpose goes on.
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(server.get("/cgi/closes").text(), "done\n");
}

#[test]
fn one_option_serves_a_folder_with_scripts() {
    for (option, name) in [("--cgi", "cgi-bin/x"), ("--cgi=/my/scripts", "my/scripts/x")] {
        let folder = folder(&[(name, &text("echo ran")), ("a.txt", "a")]);
        std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o755)).unwrap();
        let place = folder.path().to_owned();
        let server = Start::quick(folder, &place, &[option, "."]).run();
        assert_eq!(server.get(&format!("/{name}")).text(), "ran\n");
        assert_eq!(server.get("/a.txt").text(), "a");
    }
}

#[test]
fn the_shipped_examples_work() {
    let config = std::fs::read_to_string(repository("conf/web.conf")).unwrap();
    assert!(config.contains("cgi.localhost"));
    let folder = repository("docroot/cgi");
    let server = TestServer::new(&format!("[[host]]\ncgi = {:?}\n", folder.to_str().unwrap()), &[]);
    let hello = server.get("/hello.sh/%3Cscript%3E?a=%3Cb%3E&%22");
    assert_eq!(hello.status, 200);
    assert!(
        hello.text().contains("PATH_INFO=/&lt;script&gt;") && !hello.text().contains("<script>")
    );
    let request = "POST /form.py HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\nname=Ann+%3Cb";
    let form = server.ask(request);
    assert!(form.text().contains("Good day, Ann &lt;b!"), "{}", form.text());
}

#[test]
fn an_internal_route_is_reached_by_a_script_only() {
    let config = "[[host]]\nroot = \"root\"\n[[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n\
        [[host.route]]\npath = \"/kept/\"\nfiles = \"root\"\ninternal = true\n";
    let gives = "#!/bin/sh\nprintf 'Location: /kept/a%%20b.txt\\n\\n'\n";
    let server = with_config(config, &[("gives", gives)]);
    assert_eq!(server.get("/kept/a%20b.txt").status, 404);
    assert_eq!(server.get("/cgi/gives").text(), "a file");
}

#[test]
fn what_is_said_of_a_status_is_passed_on() {
    let long = "x".repeat(129);
    for (said, line) in [
        ("299 Odd but fine", "299 Odd but fine"),
        ("404 Gone fishing", "404 Gone fishing"),
        ("404", "404 Not Found"),
        ("404 ", "404 Not Found"),
        ("207", "207 Multi-Status"),
        ("299", "299 "),
        (&*format!("404 {long}"), "404 Not Found"),
    ] {
        for (end, head) in [("", "Status:"), ("; sleep 0.1; echo more", "HTTP/1.1")] {
            let script = format!("#!/bin/sh\nprintf '{head} {said}\\n\\nx'{end}\n");
            let server = scripts("", &[("x", &script)]);
            let response = server.get("/cgi/x");
            assert_eq!(
                response.head.lines().next().unwrap(),
                format!("HTTP/1.1 {line}"),
                "{script}"
            );
        }
    }
}
