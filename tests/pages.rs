//! Pages in Python: each file answers for its own path.

use crate::support::{TestServer, Wire, eventually, get, repository};
use std::time::{Duration, Instant};

const CONFIG: &str = "
    [[host]]
    respond = 'root'
    [[host.route]]
    path = '/p/'
    pages = 'pages'
";

const TELL: &str = r#"
def request_handler(request_details):
    d = request_details
    lines = [d.method, d.client_address[0], d.headers["user-AGENT"], d.body, d.uri.path,
             d.uri["query"], repr(d.uri.fragment), repr(sorted(d.parsers.query().items())),
             str("X-None" in d.headers), repr(d.connection.recv(10)),
             str(d.connection.response_already_made)]
    d.response = [201, "\n".join(lines), {"Content-Type": "text/plain", "X-Two": ["1", "2"]}]
"#;

const STREAM: &str = r#"
import os, time
def request_handler(request_details):
    c = request_details.connection
    c.send(c.make_response(200, {"Content-Type": "text/plain"}, "first "))
    assert c.response_already_made and c.make_response(500, {}, "x") == ""
    while not os.path.exists("go"):
        time.sleep(0.005)
    c.send("second")
    c.close()
"#;

/// As pages were written for the server that these come from: the query is handed to its parser, the
/// URI is a dictionary, and what is sent by hand does away with what is set afterwards.
const OLD_STYLE: &str = r#"
def request_handler(request_details):
    found = request_details.parsers.query(request_details.uri['query'])
    name = found['firstname'] if 'firstname' in found else 'stranger'
    request_details.response = [200, "<html><body>Hi {} !</body></html>".format(name), {}]
"#;

const OLD_STREAM: &str = r#"
import os
from time import sleep
def request_handler(request_details):
    connection = request_details.connection
    assert not connection.response_already_made
    connection.send(connection.make_response(200, {"Content-Type": "text/html"}, ''))
    for number in range(3):
        print('sending packet #' + str(number))
        connection.send(str(number) + 10 * chr(0))
        while number < 2 and not os.path.exists("go%d" % number):
            sleep(0.005)
    request_details.response = [200, '', {}]
"#;

const FILLS_IN: &str = r#"
def request_handler(request_details):
    request_details.response[0] = 418
    request_details.response[1] += "tea"
    request_details.response[2]["Content-Type"] = "text/plain"
    assert request_details.connection.low_level.recv(1) == ""
"#;

const ONLY_LF: &str = r#"
def request_handler(request_details):
    request_details.connection.send("HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello")
"#;

fn server() -> TestServer {
    let shipped = |name: &str| std::fs::read_to_string(repository("docroot/pages").join(name));
    let (index, sleep) = (shipped("index.py").unwrap(), shipped("sleep.py").unwrap());
    TestServer::new(
        CONFIG,
        &[
            ("pages/index.py", &index),
            ("pages/sleep.py", &sleep),
            ("pages/tell.py", TELL),
            ("pages/stream.py", STREAM),
            ("pages/sub/index.py", "def request_handler(d):\n    d.response = [200, 'sub']\n"),
            ("pages/raises.py", "def request_handler(d):\n    raise KeyError('oops')\n"),
            ("pages/silent.py", "def request_handler(d):\n    pass\n"),
            ("pages/none.py", "x = 1\n"),
            ("pages/old_style.py", OLD_STYLE),
            ("pages/old_stream.py", OLD_STREAM),
            ("pages/fills_in.py", FILLS_IN),
            ("pages/no_list.py", "def request_handler(d):\n    d.response = {'a': 'b'}\n"),
            ("pages/no_answer.py", "def request_handler(d):\n    return {'a': 'b'}\n"),
            ("pages/no_head.py", "def request_handler(d):\n    d.connection.send('hello')\n"),
            ("pages/only_lf.py", ONLY_LF),
            ("pages/.hidden.py", "def request_handler(d):\n    d.response = [200, 'no']\n"),
            ("pages/data.txt", "not a page"),
            ("secret.py", "def request_handler(d):\n    d.response = [200, 'no']\n"),
        ],
    )
}

/// How long the page that sleeps takes at least, from its first packet to its last one.
const WHOLE: Duration = Duration::from_secs(4);

#[test]
fn the_shipped_pages_greet_and_take_their_time() {
    let server = server();
    assert!(server.get("/p/").text().contains("Who are you?"));
    let greeting = server.get("/p/index.py?firstname=Ada+%3Cb%3E");
    assert!(greeting.text().contains("<h1>Hello, Ada &lt;b&gt;!</h1>"), "{}", greeting.text());
    let comes_at_once = || {
        let mut wire = Wire::connect(&server);
        let began = Instant::now();
        wire.send(get("/p/sleep"));
        wire.head().unwrap().unwrap();
        let first = wire.take(30).unwrap();
        assert!(String::from_utf8_lossy(&first).contains("packet 1 of 5"));
        (began.elapsed() < WHOLE).then_some(())
    };
    eventually(comes_at_once).expect("the first packet waits for the last one");
    assert_eq!(server.get("/p/sub/").text(), "sub");
}

#[test]
fn a_page_is_told_of_its_request() {
    let server = server();
    let request = "POST /p/tell?a=1&b=%26&a=2 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: me\r\n\
        Content-Length: 4\r\n\r\nb\u{f6}d";
    let response = server.ask(request);
    assert_eq!(response.status, 201);
    assert!(response.head.contains("X-Two: 1\r\nX-Two: 2\r\n"), "{}", response.head);
    let want = "POST\n127.0.0.1\nme\nb\u{f6}d\n/p/tell\na=1&b=%26&a=2\n''\n\
        [('a', '2'), ('b', '&')]\nFalse\n''\nFalse";
    assert_eq!(response.text(), want);
}

#[test]
fn pages_of_the_old_style_run_as_they_are() {
    let server = server();
    let hi = server.get("/p/old_style.py?firstname=Ada");
    assert_eq!((hi.status, hi.text()), (200, "<html><body>Hi Ada !</body></html>"));
    assert!(hi.header("Content-Type").unwrap().starts_with("text/html"));
    assert_eq!(server.get("/p/old_style").text(), "<html><body>Hi stranger !</body></html>");
    let mut wire = Wire::connect(&server);
    wire.send(get("/p/old_stream.py"));
    wire.head().unwrap().unwrap();
    for number in 0..3 {
        let packet = format!("b\r\n{number}{}\r\n", "\0".repeat(10));
        assert_eq!(wire.take(packet.len()).unwrap(), packet.as_bytes());
        server.write(&format!("pages/go{number}"), "");
    }
    assert_eq!(wire.take(5).unwrap(), b"0\r\n\r\n");
    server.read_until("stderr.txt", "sending packet #2");
    let filled = wire.get("/p/fills_in");
    assert_eq!((filled.status, filled.text()), (418, "tea"));
    assert_eq!(filled.header("Content-Type"), Some("text/plain"));
}

#[test]
fn a_page_answers_head_without_its_body() {
    let server = server();
    let mut wire = Wire::connect(&server);
    for path in ["/p/sub/", "/p/old_style", "/p/sleep", "/p/stream"] {
        let mut waits_for_nothing = || {
            let began = Instant::now();
            wire.send(get(path).replacen("GET", "HEAD", 1));
            assert_eq!(wire.response_to("HEAD").status, 200, "{path}");
            (began.elapsed() < WHOLE).then_some(())
        };
        eventually(&mut waits_for_nothing).unwrap_or_else(|| panic!("{path}: the head waits"));
    }
    let head = wire.send(get("/p/old_style").replacen("GET", "HEAD", 1)).response_to("HEAD");
    assert_eq!(head.header("Content-Length"), Some("39"));
    assert_eq!(wire.get("/p/sub/").text(), "sub");
}

#[test]
fn a_page_streams() {
    let server = server();
    let mut wire = Wire::connect(&server);
    wire.send(get("/p/stream"));
    wire.head().unwrap().unwrap();
    assert_eq!(wire.take(11).unwrap(), b"6\r\nfirst \r\n");
    server.write("pages/go", "");
    assert_eq!(wire.take(16).unwrap(), b"6\r\nsecond\r\n0\r\n\r\n"[..16]);
}

#[test]
fn sources_are_not_shown_and_other_files_not_served() {
    let server = server();
    for path in [
        "/p/data.txt",
        "/p/.hidden",
        "/p/.hidden.py",
        "/p/__pycache__/index.cpython-311.pyc",
        "/p/nowhere",
        "/p/%2e%2e/%2e%2e/secret.py",
        "/p/sub/nowhere.py",
        "/p/index.py/",
        "/p/index.py%00",
        "/p/index.PY",
    ] {
        let response = server.get(path);
        assert!([400, 404].contains(&response.status), "{path}: {}", response.status);
    }
    for path in ["/p/index.py", "/p/index", "/p//index.py", "/p/./index.py"] {
        assert!(!server.get(path).text().contains("def request_handler"), "{path}");
    }
}

#[test]
fn no_other_route_shows_the_source_of_a_page() {
    let config = "[[host]]\nnames = [\"a.test\"]\ndefault = true\nroot = \".\"\nlisting = true\n\
        [[host.route]]\npath = \"/p/\"\npages = \"pages\"\n\
        [[host.route]]\npath = \"/same/\"\nfiles = \"pages\"\nlisting = true\n\
        [[host]]\nnames = [\"b.test\"]\nroot = \"pages\"\nlisting = true\n";
    let page = "def request_handler(d):\n    d.response = [200, 'ran']\n# the secret\n";
    let server = TestServer::new(config, &[("pages/index.py", page), ("pages/data.txt", page)]);
    assert_eq!(server.get("/p/").text(), "ran");
    for host in ["a.test", "b.test"] {
        for path in [
            "/pages/index.py",
            "/pages/data.txt",
            "/pages/",
            "/same/index.py",
            "/same/",
            "/index.py",
            "/%69ndex.py",
            "/pages//index.py",
            "/p/data.txt",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let response = server.ask(request);
            let shown = String::from_utf8_lossy(&response.body).contains("the secret");
            assert!(!shown, "{path} of {host}: {}", response.status);
        }
    }
}

#[test]
fn a_page_that_fails_is_an_error_and_is_told_of() {
    let server = server();
    for (path, says) in [
        ("/p/raises", "KeyError: 'oops'"),
        ("/p/silent", "neither set request_details.response nor sent or returned anything"),
        ("/p/none", "has no function request_handler"),
        ("/p/no_list", "request_details.response is {'a': 'b'}, not [code, body, headers]"),
        ("/p/no_answer", "request_handler returned {'a': 'b'}, which is no answer"),
        ("/p/no_head", "the page sent the beginning of a head, and not the empty line at its end"),
        ("/p/only_lf", "its lines end with CR LF"),
    ] {
        assert_eq!(server.get(path).status, 500, "{path}");
        server.read_until("stderr.txt", says);
    }
}

/// Bodies of pages, and what the client gets: status, `Content-Type`, `X`, body.
const SHAPES: &[(&str, u16, &str, &str, &str)] = &[
    // What is returned.
    ("return 'text'", 200, "html", "", "text"),
    ("return b'bytes \\xff'", 200, "html", "", "bytes \u{fffd}"),
    ("return bytearray(b'bytes')", 200, "html", "", "bytes"),
    ("return memoryview(b'bytes')", 200, "html", "", "bytes"),
    ("return ''", 200, "html", "", ""),
    ("return 404", 404, "html", "", ""),
    ("return (404, {'X': '1'}, 'no')", 404, "html", "1", "no"),
    ("return [404, {'X': '1'}, b'no']", 404, "html", "1", "no"),
    ("return 404, 'no', {'X': '1'}", 404, "html", "1", "no"),
    ("return 'no', 404, {'X': '1'}", 404, "html", "1", "no"),
    ("return 'no', 404", 404, "html", "", "no"),
    ("return 404, 'no'", 404, "html", "", "no"),
    ("return 'yes', {'X': '1'}", 200, "html", "1", "yes"),
    ("return 404, [('X', '1')], 'no'", 404, "html", "1", "no"),
    ("return 404, None, 'no'", 404, "html", "", "no"),
    ("return '404 Not Found', [('X', '1')], 'no'", 404, "html", "1", "no"),
    ("import http; return http.HTTPStatus.GONE, {}, 'gone'", 410, "html", "", "gone"),
    ("return 200, {'content-type': 'text/plain'}, 'a'", 200, "plain", "", "a"),
    ("return ('a' + str(n) for n in range(3))", 200, "html", "", "a0a1a2"),
    ("return 203, {'X': '1'}, iter([b'a', 'b'])", 203, "html", "1", "ab"),
    ("yield 'a'; yield b'b'", 200, "html", "", "ab"),
    ("return 'HTTP/1.1 is a protocol'", 200, "html", "", "HTTP/1.1 is a protocol"),
    // What make_response made: returned, set, sent, left alone.
    ("return make(404, {'X': '1'}, 'no')", 404, "html", "1", "no"),
    ("return make(404, {'X': '1'}, b'no')", 404, "html", "1", "no"),
    ("return make(404, {'X': '1'}, 'no').encode()", 404, "html", "1", "no"),
    ("return make(404, 'no', {'X': '1'})", 404, "html", "1", "no"),
    ("return make(response_code=404, headers={}, body='no')", 404, "html", "", "no"),
    ("return make(404)", 404, "html", "", ""),
    ("return make(200, {}, 'a') + 'b'", 200, "html", "", "ab"),
    ("return 'HTTP/1.0 404 Nothing\\r\\nX: 1\\r\\n\\r\\nno'", 404, "html", "1", "no"),
    ("d.response = make(404, {'X': '1'}, 'no')", 404, "html", "1", "no"),
    ("make(404, {'X': '1'}, 'no')", 404, "html", "1", "no"),
    ("make(404, {'X': '1'}, 'no'); return make(200, {}, 'second')", 404, "html", "1", "no"),
    ("c.send(make(404, {'X': '1'}, 'no'))", 404, "", "1", "no"),
    ("c.low_level.sendall(make(404, {'X': '1'}, 'no').encode())", 404, "", "1", "no"),
    // What is set.
    ("d.response = 'text'", 200, "html", "", "text"),
    ("d.response = b'bytes'", 200, "html", "", "bytes"),
    ("d.response = (404, {'X': '1'}, 'no')", 404, "html", "1", "no"),
    ("d.response = [404, 'no']", 404, "html", "", "no"),
    ("d.response = ['404', 'no']", 404, "html", "", "no"),
    ("d.response = [200, 42, None]", 200, "html", "", "42"),
    ("d.response = [200, '', {}]", 200, "html", "", ""),
    // Mixed: one answer. What was sent goes before what is returned, that before what is set.
    ("c.send(make(200, {}, 'sent')); return 'returned'", 200, "", "", "sent"),
    ("c.send(make(200, {}, 'sent')); return make(404, {}, 'no')", 200, "", "", "sent"),
    ("c.send(make(200, {}, 'sent')); d.response = [404, 'set', {}]", 200, "", "", "sent"),
    ("text = make(200, {}, 'sent'); c.send(text); return text", 200, "", "", "sent"),
    ("return c.send(make(200, {}, 'sent'))", 200, "", "", "sent"),
    ("c.send(make(200, {}, 'sent')); c.close(); return 'returned'", 200, "", "", "sent"),
    ("d.response = [404, 'set', {'X': '1'}]; return d.response", 404, "html", "1", "set"),
    (
        "d.response = [404, 'set', {'X': '1', 'Content-Length': '3'}]; return 'returned'",
        404,
        "html",
        "1",
        "returned",
    ),
    ("d.response[0] = 404; return 'no', {'X': '1'}", 404, "html", "1", "no"),
    (
        "d.response = [404, 'set', {}]; return 203, {'X': '1'}, 'returned'",
        203,
        "html",
        "1",
        "returned",
    ),
    ("make(404, {'X': '1'}, ''); return 'no'", 404, "html", "1", "no"),
    ("make(404, {}, 'made'); d.response = [203, 'set', {}]", 203, "html", "", "set"),
    ("d.response = [404, 'set', {}]; return True", 404, "html", "", "set"),
    ("d.response = {'a': 1}; return 'returned'", 200, "html", "", "returned"),
];

#[test]
fn a_page_may_answer_in_any_way() {
    let pages: Vec<_> = SHAPES
        .iter()
        .enumerate()
        .map(|(n, (body, ..))| {
            let start = "def request_handler(d):\n    c = d.connection; make = c.make_response";
            (format!("pages/shape{n}.py"), format!("{start}\n    {body}\n"))
        })
        .collect();
    let files: Vec<_> = pages.iter().map(|(name, page)| (name.as_str(), page.as_str())).collect();
    let server = TestServer::new(CONFIG, &files);
    let mut wire = Wire::connect(&server);
    for (n, (page, status, kind, x, body)) in SHAPES.iter().enumerate() {
        // One connection: an answer that is sent twice would be found before the next.
        let answer = wire.get(&format!("/p/shape{n}"));
        let found = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(
            (answer.status, found.as_str()),
            (*status, *body),
            "{page}\n{}",
            server.read("stderr.txt")
        );
        assert_eq!(answer.header("X").unwrap_or_default(), *x, "{page}");
        assert!(answer.header("Content-Type").unwrap_or_default().contains(kind), "{page}");
        let head = wire.send(get(&format!("/p/shape{n}")).replacen("GET", "HEAD", 1));
        assert_eq!(head.response_to("HEAD").status, *status, "{page}");
    }
    assert_eq!(server.read("stderr.txt").matches("Traceback").count(), 0);
}

#[test]
fn an_edited_page_counts_at_once() {
    let server = server();
    assert_eq!(server.get("/p/sub/").text(), "sub");
    for n in 0..5 {
        let text = format!("def request_handler(d):\n    d.response = [200, 'edited {n}']\n");
        server.write("pages/sub/index.py", text);
        assert_eq!(server.get("/p/sub/").text(), format!("edited {n}"));
    }
    server.write("pages/sub/index.py", "a mistake");
    assert_eq!(server.get("/p/sub/").status, 500);
    server.read_until("stderr.txt", "SyntaxError");
}

#[test]
fn what_an_edited_module_says_counts_at_once() {
    let server = server();
    std::fs::create_dir(server.path("pages/words")).unwrap();
    let page = "import words.greeting\nfrom shared import name\n\
                def request_handler(d):\n    d.response = [200, words.greeting.text + name()]\n";
    server.write("pages/hello.py", page);
    for n in 0..5 {
        server.write("pages/words/greeting.py", format!("text = 'hello {}'\n", "x".repeat(n)));
        server.write("pages/shared.py", format!("name = lambda: '{n}'\n"));
        assert_eq!(server.get("/p/hello").text(), format!("hello {}{n}", "x".repeat(n)));
    }
    std::fs::remove_file(server.path("pages/shared.py")).unwrap();
    assert_eq!(server.get("/p/hello").status, 500);
    server.read_until("stderr.txt", "No module named 'shared'");
    server.write("pages/shared.py", "name = lambda: 'again'\n");
    assert_eq!(server.get("/p/hello").text(), "hello xxxxagain");
}

#[test]
fn modules_of_every_kind_are_taken_and_taken_anew() {
    let server = server();
    std::fs::create_dir_all(server.path("pages/lib/util")).unwrap();
    let page = "import sys\nclass Odd:\n    def __getattr__(self, name):\n        return self\n\
                sys.modules['odd'] = Odd()\nsys.modules['none'] = None\nimport lib.util.text\n\
                def request_handler(d):\n    d.response = [200, lib.util.text.text]\n";
    server.write("pages/odd.py", page);
    for n in 0..5 {
        server.write("pages/lib/util/text.py", format!("text = 'text {n}'\n"));
        assert_eq!(
            server.get("/p/odd").text(),
            format!("text {n}"),
            "{}",
            server.read("stderr.txt")
        );
    }
}

#[test]
fn a_module_edited_while_its_page_runs_is_seen() {
    let server = server();
    let page = "import slow, time\ndef request_handler(d):\n    text = slow.text\n    \
                open('begun', 'w').close()\n    time.sleep(1)\n    d.response = [200, text]\n";
    server.write("pages/slowly.py", page);
    server.write("pages/slow.py", "text = 'before'\n");
    let mut wire = Wire::connect(&server);
    wire.send(get("/p/slowly"));
    eventually(|| server.path("pages/begun").exists().then_some(())).unwrap();
    server.write("pages/slow.py", "text = 'after'\n");
    assert_eq!(wire.response().text(), "before");
    assert_eq!(server.get("/p/slowly").text(), "after");
}

#[test]
fn slow_pages_get_more_workers() {
    let server = server();
    let mut wires: Vec<_> = (0..6).map(|_| Wire::connect(&server)).collect();
    for wire in &mut wires {
        wire.send(get("/p/stream"));
    }
    for wire in &mut wires {
        wire.head().unwrap().unwrap();
    }
    assert!(eventually(|| Some(server.get("/p/sub/")).filter(|r| r.status == 200)).is_some());
}

/// The library is meant by what is imported, in pages and in the workers themselves: a page's name is
/// a path of a URL.
#[test]
fn pages_named_like_the_library_stop_nothing() {
    let names = ["token", "select", "signal", "http", "socket", "struct", "calendar", "types"];
    let page = "import calendar, http, helper\n\
                def request_handler(d):\n    d.response = [200, f'{helper.x} {calendar.MONDAY}']\n";
    let files: Vec<_> = names.iter().map(|name| (format!("pages/{name}.py"), page)).collect();
    let files = files.iter().map(|(name, page)| (name.as_str(), *page));
    let files: Vec<_> = files.chain([("pages/helper.py", "x = 'helped'")]).collect();
    let server = TestServer::new(CONFIG, &files);
    for name in names {
        let answer = server.get(&format!("/p/{name}"));
        assert_eq!((answer.status, answer.text()), (200, "helped 0"), "{name}");
    }
}
