//! Applications of every shape, with the checker of the standard library around each: it complains of
//! whatever is not as PEP 3333 says, on either side.

use crate::support::{Response, Start, TestServer, Wire, eventually, get};

/// A view for each shape. `closed` has a line for each iterable that was closed.
const SHAPES: &str = r#"
import gzip, hashlib, io, os, sys, tempfile, warnings
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]

class Closing:
    """An iterable that tells when it is closed."""
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
        closed(self.name)

def closed(name):
    with open("closed", "a") as file:
        file.write(name + "\n")

class Sized(Closing):
    def __len__(self):
        return 2

def list_of_one(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"abc"]

def list_of_many(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"a", b"", b"bc"]

def tuple_of_many(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"a", b"bc")

def no_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return []

def empty_block(environ, start_response):
    start_response("200 OK", TEXT)
    return [b""]

def with_length(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "3")])
    return [b"a", b"bc"]

def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"a"
    yield b"bc"

def generator_that_starts_late(environ, start_response):
    # Nothing of this runs before the first block is asked for.
    yield_first = start_response("200 OK", TEXT)
    yield b""
    yield b"abc"

def generator_of_nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return
    yield

def generator_with_finally(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        yield b"abc"
    finally:
        closed("generator_with_finally")

def closing(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing("closing", [b"a", b"b", b"c"])

def sized(environ, start_response):
    start_response("200 OK", TEXT)
    return Sized("sized", [b"ab", b"c"])

def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"a")
    write(b"bc")
    return []

def written_and_returned(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"a")
    return Closing("written_and_returned", [b"b", b"c"])

def long_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing("long_blocks", [b"x" * 300000, b"y" * 70000, b"z"])

def file_of_the_disk(environ, start_response):
    file = open("data.bin", "rb")
    file.seek(3)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)

def file_in_memory(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"abc"), 2)

def no_content(environ, start_response):
    start_response("204 No Content", [("X-A", "1")])
    return Closing("no_content", [])

def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []

def cookies(environ, start_response):
    start_response("200 OK", TEXT + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"abc"]

def second_thoughts(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise ValueError("before anything is sent")
    except ValueError:
        start_response("409 Conflict", TEXT + [("X-Second", "yes")], sys.exc_info())
    return [b"abc"]

def too_late(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"a" * 300000
    try:
        raise LookupError("after the head")
    except LookupError:
        start_response("500 Oops", TEXT, sys.exc_info())
    yield b"not to be seen"

def raises(environ, start_response):
    raise LookupError("at once")

def raises_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise LookupError("after start_response")

def raises_at_the_first(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing("raises_at_the_first", [LookupError("at the first block")])

def raises_in_the_middle(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing("raises_in_the_middle", [b"a" * 300000, LookupError("in the middle")])

def endless(environ, start_response):
    import time
    start_response("200 OK", TEXT)
    def forever():
        while True:
            yield b"x" * 1000
            time.sleep(0.002)
    return Closing("endless", forever())

def digest(environ, start_response, data):
    start_response("200 OK", TEXT + [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [hashlib.sha256(data).hexdigest().encode()]

def reads_all(environ, start_response):
    # The checker asks for a size, as servers before `wsgi.input_terminated` did.
    data = environ["wsgi.input"].read(1 << 30)
    assert environ["wsgi.input"].read(1) == b""
    return digest(environ, start_response, data)

def reads_pieces(environ, start_response):
    pieces = []
    while True:
        pieces.append(environ["wsgi.input"].read(1021))
        if not pieces[-1]:
            return digest(environ, start_response, b"".join(pieces))

def reads_lines(environ, start_response):
    lines = []
    while True:
        lines.append(environ["wsgi.input"].readline(777))
        assert len(lines[-1]) <= 777 and b"\n" not in lines[-1][:-1]
        if not lines[-1]:
            return digest(environ, start_response, b"".join(lines))

def reads_lists(environ, start_response):
    lines = environ["wsgi.input"].readlines(5000)
    while True:
        more = environ["wsgi.input"].readlines()
        if not more:
            return digest(environ, start_response, b"".join(lines))
        lines += more

def iterates(environ, start_response):
    return digest(environ, start_response, b"".join(environ["wsgi.input"]))

def reads_nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"abc"]

SHAPES = {name: validator(value) for name, value in list(globals().items())
          if callable(value) and getattr(value, "__code__", None)
          and value.__code__.co_varnames[:2] == ("environ", "start_response")
          and value.__code__.co_argcount == 2}

def application(environ, start_response):
    warnings.simplefilter("error")
    return SHAPES[environ["PATH_INFO"].rsplit("/", 1)[1]](environ, start_response)

# Not for the checker, which knows files only as iterables.

def plain(environ, start_response):
    wrapper = environ["wsgi.file_wrapper"]
    name = environ["PATH_INFO"].strip("/")
    headers = TEXT[:]
    if name == "part":
        # The rest of the file is longer than what is promised: that much is sent, and no more.
        file = open("data.bin", "rb")
        file.seek(100)
        headers.append(("Content-Length", "50"))
    elif name == "short":
        file = open("data.bin", "rb")
        headers.append(("Content-Length", "5000"))
    elif name == "gzip":
        # Has the descriptor of a regular file, and other bytes than are in it.
        with gzip.open("data.gz", "wb") as packed:
            packed.write(b"unpacked" * 1000)
        file = gzip.open("data.gz", "rb")
    elif name == "temporary":
        file = tempfile.NamedTemporaryFile()
        file.write(b"temporary" * 1000)
        file.seek(9)
    elif name == "text":
        file = open("data.bin")
    elif name == "past":
        file = open("data.bin", "rb")
        file.seek(5000)
    elif name == "made_up":
        # Regular, and empty by what it says of itself.
        file = open("/proc/self/status", "rb")
    elif name == "empty":
        file = tempfile.TemporaryFile()
    elif name == "pipe":
        read, write = os.pipe()
        os.write(write, b"through a pipe")
        os.close(write)
        file = open(read, "rb")
    elif name == "reads_only":
        class Reads:
            parts = [b"has only ", b"read", b""]
            def read(self, size):
                return self.parts.pop(0) if self.parts else b""
            def close(self):
                closed("reads_only")
        file = Reads()
    elif name == "after_write":
        write = start_response("200 OK", headers)
        write(b"first, ")
        file = open("data.bin", "rb")
        file.seek(990)
        return wrapper(file)
    elif name == "subclass":
        class Wrapped(wrapper):
            def __next__(self):
                return super().__next__().replace(b"0", b"o")
        start_response("200 OK", headers)
        return Wrapped(open("data.bin", "rb"))
    start_response("200 OK", headers)
    return wrapper(file)
"#;

fn server() -> TestServer {
    let config = "[app.shapes]\nwsgi = \"shapes\"\nworkers = 1\n\
        [app.plain]\nwsgi = \"shapes:plain\"\nworkers = 1\n\
        [limits]\nbody = \"8MiB\"\nspool_above = \"64KiB\"\n\
        [[host]]\napp = \"shapes\"\n\
        [[host.route]]\npath = \"/mounted/\"\napp = \"shapes\"\n\
        [[host.route]]\npath = \"/plain/\"\napp = \"plain\"\n";
    let data = "0123456789".repeat(100);
    Start::new(config, &[("shapes.py", SHAPES), ("data.bin", &data)]).run()
}

/// How often an iterable of that name was closed.
fn closed(server: &TestServer, name: &str) -> usize {
    server.read("closed").lines().filter(|line| *line == name).count()
}

fn is_closed(server: &TestServer, name: &str, times: usize) {
    let seen = eventually(|| (closed(server, name) >= times).then_some(()));
    assert!(seen.is_some(), "{name} was closed {} times, not {times}", closed(server, name));
    assert_eq!(closed(server, name), times, "{name}");
}

fn fine(server: &TestServer, name: &str, response: &Response) {
    let log = server.read("stderr.txt");
    assert!(response.status < 500, "{name}: {}\n{log}", response.status);
    assert!(!log.contains("AssertionError") && !log.contains("Warning"), "{name}:\n{log}");
}

#[test]
fn answers_of_every_shape_pass_the_checker() {
    let server = server();
    let rest = "3456789".to_owned() + &"0123456789".repeat(99);
    for (name, status, body, closes) in [
        ("list_of_one", 200, "abc", 0),
        ("list_of_many", 200, "abc", 0),
        ("tuple_of_many", 200, "abc", 0),
        ("no_blocks", 200, "", 0),
        ("empty_block", 200, "", 0),
        ("with_length", 200, "abc", 0),
        ("generator", 200, "abc", 0),
        ("generator_that_starts_late", 200, "abc", 0),
        ("generator_of_nothing", 200, "", 0),
        ("generator_with_finally", 200, "abc", 1),
        ("closing", 200, "abc", 1),
        ("sized", 200, "abc", 1),
        ("written", 200, "abc", 0),
        ("written_and_returned", 200, "abc", 1),
        ("file_of_the_disk", 200, &rest, 0),
        ("file_in_memory", 200, "abc", 0),
        ("no_content", 204, "", 1),
        ("not_modified", 304, "", 0),
        ("cookies", 200, "abc", 0),
        ("second_thoughts", 409, "abc", 0),
        ("reads_nothing", 200, "abc", 0),
    ] {
        let mut wire = Wire::connect(&server);
        for mount in ["", "/mounted"] {
            let response = wire.get(&format!("{mount}/{name}"));
            fine(&server, name, &response);
            assert_eq!((response.status, response.text()), (status, body), "{name}");
            let head = get(&format!("{mount}/{name}")).replacen("GET", "HEAD", 1);
            let response = wire.send(head).response_to("HEAD");
            fine(&server, name, &response);
            assert_eq!(response.status, status, "HEAD {name}");
            let old = format!("GET {mount}/{name} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            let mut other = Wire::connect(&server);
            assert_eq!(other.send(old).response().text(), body, "{name} of HTTP/1.0");
        }
        // Once for each of the six, and neither more nor less.
        is_closed(&server, name, closes * 6);
    }
    let cookies = server.get("/cookies").head;
    assert!(cookies.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), "{cookies}");
    assert_eq!(server.get("/second_thoughts").header("X-Second"), Some("yes"));
    let long = server.get("/long_blocks").body;
    assert_eq!((long.len(), long.last()), (370_001, Some(&b'z')));
    is_closed(&server, "long_blocks", 1);
}

#[test]
fn bodies_are_read_in_every_way() {
    let server = server();
    for length in [0, 1, 3000, 64 * 1024, 64 * 1024 + 1, 1_500_000] {
        let body: Vec<u8> = (0..length).map(|n: usize| (n * n % 127) as u8).collect();
        let want = sha256(&server, &body);
        let mut chunked = Vec::new();
        for piece in body.chunks(10_007) {
            chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
            chunked.extend(piece.iter().chain(b"\r\n"));
        }
        chunked.extend(b"0\r\n\r\n");
        let mut wire = Wire::connect(&server);
        for name in ["reads_all", "reads_pieces", "reads_lines", "reads_lists", "iterates"] {
            for (framing, bytes) in [
                (format!("Content-Length: {length}"), &body),
                ("Transfer-Encoding: chunked".to_owned(), &chunked),
            ] {
                let head = format!("POST /{name} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
                let response = wire.send([head.as_bytes(), bytes].concat()).response();
                let name = format!("{name} of {framing}");
                fine(&server, &name, &response);
                assert_eq!(response.text(), want, "{name}");
                // Decoded, a chunked body has a length like any other.
                assert_eq!(response.header("X-Length"), Some(length.to_string().as_str()));
            }
        }
        // Who does not read leaves nothing for the next request.
        let head =
            format!("POST /reads_nothing HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(wire.send([head.as_bytes(), &body].concat()).response().text(), "abc");
        assert_eq!(wire.get("/iterates").text(), sha256(&server, b""));
    }
}

/// By the Python that is there anyway.
fn sha256(server: &TestServer, bytes: &[u8]) -> String {
    server.write("bytes", bytes);
    let program =
        "import hashlib; print(hashlib.sha256(open('bytes', 'rb').read()).hexdigest(), end='')";
    let output = std::process::Command::new("python3")
        .args(["-c", program])
        .current_dir(server.path("."))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn whatever_goes_wrong_the_iterable_is_closed() {
    let server = server();
    for (name, status, closes) in
        [("raises", 500, 0), ("raises_after_start", 500, 0), ("raises_at_the_first", 500, 1)]
    {
        let mut wire = Wire::connect(&server);
        assert_eq!(wire.get(&format!("/{name}")).status, status, "{name}");
        assert_eq!(wire.get("/list_of_one").text(), "abc", "the connection goes on after {name}");
        is_closed(&server, name, closes);
    }
    for (name, closes) in [("raises_in_the_middle", 1), ("too_late", 0)] {
        let mut wire = Wire::connect(&server);
        wire.send(get(&format!("/{name}")));
        assert!(wire.try_response("GET").is_err(), "{name} must be cut, not look whole");
        is_closed(&server, name, closes);
    }
    let log = server.read_until("stderr.txt", "LookupError: after the head");
    assert!(!log.contains("not to be seen"));
    for (reads, times) in [(0, 1), (20_000, 2)] {
        let mut wire = Wire::connect(&server);
        wire.send(get("/endless"));
        wire.take(reads).unwrap();
        drop(wire);
        is_closed(&server, "endless", times);
    }
    assert_eq!(server.get("/list_of_one").text(), "abc");
}

#[test]
fn files_are_what_they_read_as() {
    let server = server();
    let mut wire = Wire::connect(&server);

    let want = "0123456789".repeat(5);
    let part = wire.get("/plain/part");
    assert_eq!((part.header("Content-Length"), part.text()), (Some("50"), want.as_str()));
    assert_eq!(wire.get("/plain/gzip").text(), "unpacked".repeat(1000));
    assert_eq!(wire.get("/plain/temporary").text(), "temporary".repeat(999));
    assert_eq!(wire.get("/plain/past").text(), "");
    assert!(wire.get("/plain/made_up").text().contains("VmRSS:"));
    assert_eq!(wire.get("/plain/empty").text(), "");
    assert_eq!(wire.get("/plain/pipe").text(), "through a pipe");
    assert_eq!(wire.get("/plain/reads_only").text(), "has only read");
    is_closed(&server, "reads_only", 1);
    assert_eq!(wire.get("/plain/after_write").text(), "first, 0123456789");
    assert!(wire.get("/plain/subclass").text().starts_with("o123456789o"));
    assert_eq!(wire.get("/plain/text").status, 500);
    let mut other = Wire::connect(&server);
    other.send(get("/plain/short"));
    match other.try_response("GET") {
        Ok(Some(response)) => assert_eq!(response.status, 502),
        Ok(None) => panic!("no answer"),
        Err(_) => {}
    }
}

#[test]
fn what_is_said_of_a_status_is_passed_on() {
    const APP: &str = r#"
from urllib.parse import parse_qs
def application(environ, start_response):
    length = [("Content-Length", "1")] if environ["PATH_INFO"] == "/length" else []
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
    write = start_response(query["s"][0], [("Content-Type", "text/plain")] + length)
    if environ["PATH_INFO"] == "/slow":
        write(b"")
    return [b"x"]
"#;
    let config = "[app.a]\nwsgi = \"a:application\"\n[[host]]\napp = \"a\"\n";
    let server = TestServer::new(config, &[("a.py", APP)]);
    let long = format!("404%20{}", "x".repeat(129));
    for (said, line) in [
        ("299%20Odd%20but%20fine", "299 Odd but fine"),
        ("404%20NOT%20FOUND", "404 NOT FOUND"),
        ("404%20", "404 Not Found"),
        ("404%20a%0D%0AX:%20y", "404 Not Found"),
        ("404%20a%00b", "404 Not Found"),
        ("299%20", "299 "),
        (&*long, "404 Not Found"),
    ] {
        for path in ["/", "/length", "/slow"] {
            let response = server.get(&format!("{path}?s={said}"));
            let first = response.head.lines().next().unwrap();
            assert_eq!(first, format!("HTTP/1.1 {line}"), "{path} {said}");
            assert_eq!((response.text(), response.header("X")), ("x", None), "{path} {said}");
        }
    }
}
