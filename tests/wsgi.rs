//! Python applications, as their clients and their authors meet them.

use crate::support::{Start, TestServer, Wire, eventually, folder, get, names_below, run};
use rustix::process::Signal;
use std::time::Duration;

/// An application with a path for everything a test wants to see.
const APP: &str = r#"
import os, sys, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    view = globals().get("do_" + path.strip("/").split("/")[0] or "index", do_missing)
    return view(environ, start_response)

def text(start_response, body, status="200 OK", *headers):
    body = body.encode("utf-8") if isinstance(body, str) else body
    start_response(status, [("Content-Type", "text/plain"),
                            ("Content-Length", str(len(body))), *headers])
    return [body]

def do_missing(environ, start_response):
    return text(start_response, "no such view", "404 Not Found")

def do_hello(environ, start_response):
    return text(start_response, "hello")

def do_pid(environ, start_response):
    return text(start_response, str(os.getpid()))

def do_environ(environ, start_response):
    lines = ["%s=%r" % pair for pair in sorted(environ.items()) if isinstance(pair[1], str)]
    return text(start_response, "\n".join(lines))

def do_flags(environ, start_response):
    keys = ("version", "multithread", "multiprocess", "run_once", "input_terminated", "url_scheme")
    return text(start_response, " ".join("%s=%r" % (k, environ["wsgi." + k]) for k in keys))

def do_echo(environ, start_response):
    body = environ["wsgi.input"].read()
    return text(start_response, body, "200 OK", ("X-Length", environ.get("CONTENT_LENGTH", "none")))

def do_count(environ, start_response):
    total = 0
    while True:
        piece = environ["wsgi.input"].read(65536)
        if not piece:
            return text(start_response, str(total))
        total += len(piece)

def do_cookies(environ, start_response):
    return text(start_response, "", "200 OK", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))

def do_stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    for n in range(3):
        yield b"data: %d\n\n" % n
        while n < 2 and not os.path.exists("go%d" % n):
            time.sleep(0.005)

def do_write(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one ")
    write(b"two ")
    return [b"three"]

def do_big(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * 3000000, b"y" * 10]

class Closing:
    def __init__(self, name, parts):
        self.name, self.parts = name, iter(parts)
    def __iter__(self):
        return self
    def __next__(self):
        part = next(self.parts)
        if isinstance(part, Exception):
            raise part
        return part
    def close(self):
        with open("closed." + self.name, "w") as file:
            file.write("closed")

def do_closing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing("whole", [b"a", b"b"])

def do_closing_error(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing("error", [b"a" * 200000, ValueError("midway")])

def do_endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    def forever():
        while True:
            yield b"x" * 10000
            time.sleep(0.002)
    return Closing("endless", forever())

def do_raise(environ, start_response):
    raise RuntimeError("it went wrong here")

def do_recovers(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("early")
    except ValueError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"recovered"]

def do_file(environ, start_response):
    file = open("data.bin", "rb")
    file.seek(5)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](file, 8192)

def do_memory_file(environ, start_response):
    import io
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"z" * 100000), 8192)

def do_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"too long"]

def do_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "30")])
    return [b"too short"]

def do_late_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "300")])
    yield b"a"
    time.sleep(0.1)
    yield b"b"

def do_hop(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [b"x"]

def do_split(environ, start_response):
    start_response("200 OK", [("X-A", "1\r\nX-B: 2")])
    return [b"x"]

def do_silent(environ, start_response):
    return [b"no start_response"]

def do_text_body(environ, start_response):
    start_response("200 OK", [])
    return ["text, not bytes"]

def do_nothing(environ, start_response):
    start_response("204 No Content", [])
    return [b"must not be seen"]

def do_say(environ, start_response):
    print("printed by the application")
    environ["wsgi.errors"].write("written to wsgi.errors\n")
    return text(start_response, "said")

def do_sleep(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return text(start_response, "slept")

def do_hang(environ, start_response):
    def where_it_hangs():
        while True:
            time.sleep(60)
    where_it_hangs()

def do_die(environ, start_response):
    os.kill(os.getpid(), 9)

def do_accel(environ, start_response):
    return text(start_response, "", "200 OK", ("X-Accel-Redirect", "/static/a%20b.txt"))

def do_download(environ, start_response):
    return text(start_response, "", "200 OK", ("X-Accel-Redirect", "/paid/a%20b.txt"))

def do_latin(environ, start_response):
    return text(start_response, environ["PATH_INFO"].encode("latin-1"), "200 OK",
                ("X-Latin", "caf\xe9"))
"#;

/// A server with this application and what else it needs.
fn server_with(keys: &str) -> TestServer {
    let config = format!(
        "[log]\naccess = \"access.log\"\nlevel = \"debug\"\n\
         [app.demo]\nwsgi = \"demo:application\"\n{keys}\n\
         [[host]]\napp = \"demo\"\n\
         [[host.route]]\npath = \"/static/\"\nfiles = \"static\"\n\
         [[host.route]]\npath = \"/paid/\"\nfiles = \"static\"\ninternal = true\n\
         [[host.route]]\npath = \"/mounted/\"\napp = \"demo\"\n\
         [[host.route]]\npath = \"/both/\"\nfiles = \"static\"\napp = \"demo\"\n"
    );
    let data = "0123456789".repeat(100);
    let files = [
        ("demo.py", APP),
        ("static/a b.txt", "a file"),
        ("static/hello/.keep", ""),
        ("static/shown/index.html", "an index"),
        ("data.bin", &data),
    ];
    Start::new(&config, &files).run()
}

fn server() -> TestServer {
    server_with("workers = 1")
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn an_application_answers() {
    let server = server();
    let response = server.get("/hello");
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert_eq!(response.header("Content-Type"), Some("text/plain"));
    assert_eq!(server.get("/nowhere").status, 404);
    server.read_until("access.log", "\"GET /nowhere HTTP/1.1\" 404");
}

#[test]
fn the_environment_is_that_of_the_request() {
    let server = server();
    let request = "GET /mounted/environ/a%20b?q=%31 HTTP/1.1\r\nHost: localhost\r\n\
        X-One: 1\r\nX-One: 2\r\nProxy: evil\r\nX_Two: no\r\nAuthorization: Basic eDp5\r\n\r\n";
    let text = server.ask(request).text().to_owned();
    for line in [
        "REQUEST_METHOD='GET'",
        "SCRIPT_NAME='/mounted'",
        "PATH_INFO='/environ/a b'",
        "QUERY_STRING='q=%31'",
        "REQUEST_URI='/mounted/environ/a%20b?q=%31'",
        "SERVER_PROTOCOL='HTTP/1.1'",
        "SERVER_NAME='localhost'",
        "REMOTE_ADDR='127.0.0.1'",
        "HTTP_X_ONE='1, 2'",
        "HTTP_AUTHORIZATION='Basic eDp5'",
        "wsgi.url_scheme='http'",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    for word in ["HTTP_PROXY", "HTTP_X_TWO", "CONTENT_LENGTH"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
    let flags = server.get("/flags");
    let want = "version=(1, 0) multithread=False multiprocess=True run_once=False \
        input_terminated=True url_scheme='http'";
    assert_eq!(flags.text(), want);
}

#[test]
fn paths_and_headers_are_latin_1() {
    let server = server();
    let mut wire = Wire::connect(&server);
    wire.send(get("/latin/%C3%A4"));
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n\r\n") {
        raw.extend(wire.take(1).unwrap());
    }
    assert!(raw.windows(6).any(|w| w == b" caf\xe9\r"), "{}", raw.escape_ascii());
    assert_eq!(wire.take(9).unwrap(), "/latin/ä".as_bytes());
}

#[test]
fn bodies_arrive_however_long_and_framed() {
    let server = server();
    let mut wire = Wire::connect(&server);
    for length in [0, 1, 1000, 300_000, 1_000_000] {
        let body: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let response = wire.send(post("/echo", &body)).response();
        assert!(response.body == body, "{length}");
        assert_eq!(response.header("X-Length"), Some(length.to_string().as_str()));
    }
    let chunked = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let response = wire.send(chunked).response();
    assert_eq!((response.text(), response.header("X-Length")), ("hello world", Some("11")));
    assert_eq!(wire.get("/echo").header("X-Length"), Some("none"));
}

#[test]
fn answers_reach_the_client_as_they_are_yielded() {
    let server = server();
    let mut wire = Wire::connect(&server);
    wire.send(get("/stream"));
    let head = wire.head().unwrap().unwrap();
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    for n in 0..3 {
        let chunk = format!("9\r\ndata: {n}\n\n\r\n");
        assert_eq!(wire.take(chunk.len()).unwrap(), chunk.as_bytes());
        server.write(&format!("go{n}"), "");
    }
    assert_eq!(wire.take(5).unwrap(), b"0\r\n\r\n");
    assert_eq!(wire.get("/hello").text(), "hello");
}

#[test]
fn every_way_to_answer_is_understood() {
    let server = server();
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/write").text(), "one two three");
    let big = wire.get("/big").body;
    assert!(big.len() == 3_000_010 && big.ends_with(b"xyyyyyyyyyy"));
    let recovered = wire.get("/recovers");
    assert_eq!((recovered.status, recovered.text()), (500, "recovered"));
    let cookies = wire.get("/cookies").head;
    assert!(cookies.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), "{cookies}");
    let nothing = wire.get("/nothing");
    assert!(nothing.status == 204 && nothing.header("Content-Length").is_none());
    for path in ["/hello", "/big", "/stream"] {
        let head = wire.send(get(path).replacen("GET", "HEAD", 1)).response_to("HEAD");
        assert_eq!(head.status, 200, "{path}");
    }
    assert_eq!(wire.get("/closing").text(), "ab");
    server.read_until("closed.whole", "closed");
}

#[test]
fn files_are_sent_by_the_server() {
    let server = server();
    let mut wire = Wire::connect(&server);
    let file = wire.get("/file");
    assert_eq!(file.header("Content-Length"), Some("995"));
    assert!(file.body.starts_with(b"5678901"));
    assert_eq!(wire.get("/memory_file").body, vec![b'z'; 100_000]);
    let accel = wire.get("/accel");
    assert_eq!((accel.status, accel.text()), (200, "a file"));
    assert_eq!(wire.get("/both/a%20b.txt").text(), "a file");
    assert_eq!(wire.get("/both/none").status, 404);
}

#[test]
fn a_mere_folder_does_not_hide_a_path_of_the_application() {
    let server = server();
    let mut wire = Wire::connect(&server);
    for path in ["/both/hello", "/both/hello/"] {
        let response = wire.get(path);
        assert_eq!((response.status, response.text()), (200, "hello"), "{path}");
    }
    let shown = wire.get("/both/shown");
    assert_eq!((shown.status, shown.header("Location")), (301, Some("/both/shown/")));
    assert_eq!(wire.get("/both/shown/").text(), "an index");
    for (path, words) in [("/both/hello", "up to the application"), ("/both/shown", "301")] {
        let (_, told, _) = run(&server.path("."), &["explain", path], "");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn broken_answers_are_found() {
    let server = server();
    for (path, status, says) in [
        ("/raise", 500, "it went wrong here"),
        ("/long", 502, "a Content-Length of 3 and 8 bytes of body"),
        ("/short", 502, "a Content-Length of 30 and 9 bytes of body"),
        ("/hop", 502, "hop-by-hop header Connection"),
        ("/split", 500, "has a control character"),
        ("/silent", 500, "start_response was called"),
        ("/text_body", 500, "made of str, not bytes"),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
        server.read_until("stderr.txt", says);
    }
    let mut wire = Wire::connect(&server);
    wire.send(get("/late_short"));
    assert!(wire.try_response("GET").is_err(), "it must be cut");
    let mut wire = Wire::connect(&server);
    wire.send(get("/closing_error"));
    assert!(wire.try_response("GET").is_err(), "it must be cut");
    server.read_until("closed.error", "closed");
    server.read_until("stderr.txt", "ValueError: midway");
    assert_eq!(server.get("/hello").text(), "hello");
}

#[test]
fn what_it_says_is_in_the_error_log() {
    let server = server();
    let pid = server.get("/pid").text().to_owned();
    assert_eq!(server.get("/say").text(), "said");
    for words in ["printed by the application", "written to wsgi.errors"] {
        server.read_until("stderr.txt", &format!("app demo (pid {pid}): {words}"));
    }
}

#[test]
fn a_client_that_goes_ends_its_answer() {
    let server = server();
    let mut wire = Wire::connect(&server);
    wire.send(get("/endless"));
    wire.take(50_000).unwrap();
    drop(wire);
    server.read_until("closed.endless", "closed");
    assert_eq!(server.get("/hello").text(), "hello");
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    let server = server_with("workers = 1\ntimeout = \"500ms\"");
    let first = server.get("/pid").text().to_owned();
    let mut hung = Wire::connect(&server);
    hung.send(get("/hang"));
    let mut behind = Wire::connect(&server);
    behind.send(get("/pid"));
    assert_eq!(hung.response().status, 504);
    let second = behind.response();
    assert_eq!(second.status, 200);
    assert_ne!(second.text(), first);
    let log = server.read_until("stderr.txt", "where_it_hangs");
    assert!(log.contains("on GET /hang, is killed and replaced"), "{log}");
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let server = server();
    let mut dying = Wire::connect(&server);
    dying.send(get("/die"));
    let mut behind = Wire::connect(&server);
    behind.send(get("/hello"));
    assert_eq!(dying.response().status, 502);
    assert_eq!(behind.response().text(), "hello");
    server.read_until("stderr.txt", "is gone: it was ended by signal 9");
}

#[test]
fn a_slow_request_holds_nobody_up() {
    let server = server_with("workers = 2\ntimeout = \"10m\"");
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(&server)).collect();
    // Both workers are quick: they have proven it.
    for wire in &mut wires {
        wire.get("/hello");
    }
    let mut slow = Wire::connect(&server);
    slow.send(get("/sleep?300"));
    for wire in &mut wires {
        wire.send(get("/hello"));
    }
    for wire in &mut wires {
        assert_eq!(wire.response().text(), "hello");
    }
}

#[test]
fn what_an_application_does_at_its_exit_is_done_when_the_server_stops() {
    let app = "import atexit, os, sys, time\n\
        def bye():\n    time.sleep(0.3)\n    open('bye.%d' % os.getpid(), 'w').close()\n    \
        print('said at exit', file=sys.stderr)\n\
        atexit.register(bye)\n\
        def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n";
    let config = "[app.a]\nwsgi = \"a:app\"\nworkers = 1\n[[host]]\napp = \"a\"\n";
    let mut server = TestServer::new(config, &[("a.py", app)]);
    assert_eq!(server.get("/").text(), "x");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let names = names_below(&server.path(""));
    let done = names.iter().filter(|name| name.to_string_lossy().contains("bye.")).count();
    assert_eq!(done, 1, "{names:?}");
    assert!(server.read("stderr.txt").contains("said at exit"));
}

#[test]
fn too_many_waiting_are_turned_away() {
    let server = server_with("workers = 1\nqueue = 2\nqueue_timeout = \"1s\"");
    server.get("/hello");
    let mut busy = Wire::connect(&server);
    busy.send(get("/sleep?4"));
    let mut waiting: Vec<_> = (0..2).map(|_| Wire::connect(&server)).collect();
    for wire in &mut waiting {
        wire.send(get("/hello"));
    }
    let refused = eventually(|| Some(server.get("/hello")).filter(|r| r.status == 503)).unwrap();
    assert!(refused.header("Retry-After").is_some());
    for wire in &mut waiting {
        assert_eq!(wire.response().status, 503);
    }
    assert_eq!(busy.response().text(), "slept");
    assert_eq!(server.get("/hello").status, 200);
}

#[test]
fn an_application_that_cannot_be_loaded_leaves_the_rest_alone() {
    let config = "[app.typo]\nwsgi = \"real:aplication\"\n[app.none]\nwsgi = \"missing:app\"\n\
        [app.wrong]\nwsgi = \"wrong:app\"\n\
        [[host]]\nrespond = \"fine\"\n\
        [[host.route]]\npath = \"/typo/\"\napp = \"typo\"\n\
        [[host.route]]\npath = \"/none/\"\napp = \"none\"\n\
        [[host.route]]\npath = \"/wrong/\"\napp = \"wrong\"\n";
    let real = "def application(environ, start_response):\n    pass\n";
    let server = Start::new(config, &[("real.py", real), ("wrong.py", "import nowhere\n")]).run();
    server.read_until("stderr.txt", "did you mean real:application?");
    server.read_until("stderr.txt", "no module 'missing' in");
    let log = server.read_until("stderr.txt", "'nowhere' is not installed for");
    assert!(log.contains("Traceback"), "{log}");
    assert_eq!(server.get("/").text(), "fine");
    for path in ["/typo/", "/none/", "/wrong/"] {
        let response = server.get(path);
        assert_eq!(response.status, 503, "{path}");
        assert!(response.header("Retry-After").is_some());
    }
    // It is loaded as soon as it can be.
    server.write("missing.py", "def app(e, s):\n    s('200 OK', [])\n    return [b'found']\n");
    let found = eventually(|| Some(server.get("/none/")).filter(|r| r.status == 200));
    assert_eq!(found.unwrap().text(), "found");
}

#[test]
fn without_a_required_application_there_is_no_server() {
    let config = "[app.none]\nwsgi = \"missing:app\"\nrequired = true\n[[host]]\napp = \"none\"\n";
    let mut server = Start::new(config, &[]).run();
    assert_eq!(server.wait().code(), Some(4));
    assert!(server.read("stderr.txt").contains("missing"));
}

#[test]
fn a_reload_loses_no_request_and_switches_when_it_is_ready() {
    let version = |n: u32| {
        format!(
            "import time\ntime.sleep(0.3)\ndef application(e, s):\n    s('200 OK', [])\n    \
             return [b'version {n}']\n# {}\n",
            "x".repeat(n as usize)
        )
    };
    let config = "[app.v]\nwsgi = \"v\"\nworkers = 2\n[[host]]\napp = \"v\"\n";
    let server = Start::new(config, &[("v.py", &version(1))]).run();
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.get("/").text(), "version 1");
    server.write("v.py", version(2));
    server.signal(Signal::HUP);
    let mut seen = Vec::new();
    let switched = eventually(|| {
        let response = wire.get("/");
        assert_eq!(response.status, 200);
        let text = response.text().to_owned();
        if seen.last() != Some(&text) {
            seen.push(text);
        }
        (seen.len() == 2).then_some(())
    });
    assert!(switched.is_some(), "{seen:?}");
    assert_eq!(seen, ["version 1", "version 2"]);
    // One that cannot be loaded changes nothing.
    server.write("v.py", "import nowhere\n");
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "not reloaded, what served before goes on");
    assert_eq!(wire.get("/").text(), "version 2");
}

#[test]
fn workers_come_and_go_by_signal() {
    let server = server_with("workers = 1");
    server.get("/hello");
    let workers = || children_of(&server).len();
    assert_eq!(workers(), 1);
    server.signal(Signal::TTIN);
    assert!(eventually(|| (workers() == 2).then_some(())).is_some());
    server.signal(Signal::TTOU);
    assert!(eventually(|| (workers() == 1).then_some(())).is_some());
    assert_eq!(server.get("/hello").text(), "hello");
}

#[test]
fn a_worker_is_replaced_after_so_many_answers() {
    let server = server_with("workers = 1\nrecycle = { requests = 20 }");
    let first = server.get("/pid").text().to_owned();
    let mut wire = Wire::connect(&server);
    let other = eventually(|| {
        let response = wire.get("/pid");
        assert_eq!(response.status, 200);
        (response.text() != first).then_some(())
    });
    assert!(other.is_some());
    assert!(eventually(|| (children_of(&server).len() == 1).then_some(())).is_some());
}

#[test]
fn a_limit_of_memory_below_what_every_worker_needs_is_told_of() {
    let server = server_with("workers = 1\nrecycle = { memory = \"1MiB\" }");
    let log = server.read_until("stderr.txt", "MiB before its first request");
    // One that has not answered anything stays: the next one would be no smaller.
    std::thread::sleep(Duration::from_millis(2500));
    let first = server.get("/pid").text().to_owned();
    assert!(log.contains(&format!("worker 1 (pid {first}) has")), "{first}: {log}");
    let other = eventually(|| (server.get("/pid").text() != first).then_some(()));
    assert!(other.is_some());
    assert_eq!(server.read("stderr.txt").matches("before its first request").count(), 1);
}

#[test]
fn nothing_is_left_behind() {
    let mut server = server_with("workers = 2\ntimeout = \"300ms\"");
    for path in ["/hello", "/die", "/file", "/hang"] {
        server.get(path);
    }
    assert!(eventually(|| Some(server.get("/hello")).filter(|r| r.status == 200)).is_some());
    let children = children_of(&server);
    assert!(children.iter().all(|pid| state_of(pid) != Some('Z')));
    let before = server.descriptors();
    for _ in 0..3 {
        server.get("/die");
        assert!(eventually(|| Some(server.get("/hello")).filter(|r| r.status == 200)).is_some());
    }
    assert!(eventually(|| (server.descriptors() <= before + 4).then_some(())).is_some());
    let children = children_of(&server);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let gone = || children.iter().all(|pid| state_of(pid).is_none_or(|s| s == 'Z')).then_some(());
    assert!(eventually(gone).is_some());
}

fn children_of(server: &TestServer) -> Vec<String> {
    let pid = server.pid().as_raw_nonzero();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn state_of(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_changed_source_is_loaded_where_that_is_asked_for() {
    let version = |n: u32| format!("def app(e, s):\n    s('200 OK', [])\n    return [b'v{n}']\n");
    let config = "[app.v]\nwsgi = \"v:app\"\nworkers = 1\nreload = true\n[[host]]\napp = \"v\"\n";
    let server = Start::new(config, &[("v.py", &version(1))]).run();
    assert_eq!(server.get("/").text(), "v1");
    server.write("v.py", version(2) + "# another length\n");
    let seen = |want: &str| eventually(|| (server.get("/").text() == want).then_some(()));
    assert!(seen("v2").is_some());
    server.write("v.py", "a mistake");
    server.read_until("stderr.txt", "SyntaxError");
    assert_eq!(server.get("/").text(), "v2");
    server.write("v.py", version(3) + "# the mistake is gone\n");
    assert!(seen("v3").is_some());
}

#[test]
fn an_application_is_served_from_the_command_line() {
    let files = folder(&[("demo.py", APP), ("a.txt", "not served")]);
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["--wsgi", "demo"]).run();
    assert!(server.banner.contains("app     demo"), "{}", server.banner);
    assert_eq!(server.get("/hello").text(), "hello");
    assert_eq!(server.get("/a.txt").text(), "no such view");
    server.write("demo.py", APP.replace("\"hello\"", "\"changed\""));
    server.signal(Signal::HUP);
    assert!(eventually(|| (server.get("/hello").text() == "changed").then_some(())).is_some());
}

#[test]
fn a_virtual_environment_is_used() {
    // What `python3 -m venv` makes of it, without its time.
    let files = [
        (
            "v.py",
            "import sys\ndef app(e, s):\n    s('200 OK', [])\n    return [sys.prefix.encode()]\n",
        ),
        ("venv/pyvenv.cfg", "home = /usr/bin\n"),
        ("venv/bin/.keep", ""),
    ];
    let config = "[app.v]\nwsgi = \"v:app\"\nvenv = \"venv\"\nworkers = 1\n[[host]]\napp = \"v\"\n";
    let start = Start::new(config, &files);
    let which = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.base_prefix, sys.executable)"])
        .output()
        .unwrap();
    let said = String::from_utf8(which.stdout).unwrap();
    let (base, executable) = said.trim().split_once(' ').unwrap();
    let venv = start.path().join("venv");
    std::fs::write(venv.join("pyvenv.cfg"), format!("home = {base}/bin\n")).unwrap();
    std::os::unix::fs::symlink(executable, venv.join("bin/python3")).unwrap();
    let server = start.run();
    assert_eq!(server.get("/").text(), venv.to_str().unwrap());
}

#[test]
fn an_internal_route_is_reached_by_the_application_only() {
    let server = server();
    let mut wire = Wire::connect(&server);
    for path in ["/paid", "/paid/", "/paid/a%20b.txt"] {
        assert_eq!(wire.get(path).status, 404, "{path}");
    }
    let post = wire.send(post("/paid/a%20b.txt", b"x")).response();
    assert_eq!(post.status, 404);
    let (_, told, _) = run(&server.path("."), &["explain", "/paid/a%20b.txt"], "");
    assert!(told.contains("404") && told.contains("not for clients"), "{told}");
    let download = wire.get("/download");
    assert_eq!((download.status, download.text()), (200, "a file"));
}
