//! What an application leaves behind an answer, or beside it: threads that still write, and children.

use crate::support::{Start, TestServer, Wire, eventually, get};

/// One worker, so that whatever is left behind meets the next request.
fn server_of(app: &str, more: &[(&str, &str)]) -> TestServer {
    let config = "[app.late]\nwsgi = \"late\"\nworkers = 1\n[[host]]\napp = \"late\"\n\
        [[host.route]]\npath = \"/p/\"\npages = \"pages\"\n";
    let mut files = vec![("late.py", app), ("pages/none.txt", "")];
    files.extend_from_slice(more);
    Start::new(config, &files).run()
}

/// Requests that begin something in a thread, which goes on once there is a file `go`. What the thread
/// then meets is in a file of the thread's name.
const THREADS: &str = r#"
import os, threading, time

TEXT = [("Content-Type", "text/plain")]

def later(name, act):
    def work():
        while not os.path.exists("go"):
            time.sleep(0.005)
        try:
            act()
            said = "nothing"
        except BaseException as error:
            said = "%s: %s" % (type(error).__name__, error)
        with open(name + ".new", "w") as file:
            file.write(said)
        os.rename(name + ".new", name)
    threading.Thread(target=work, name=name).start()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/leave":
        write = start_response("200 OK", TEXT)
        later("write", lambda: write(b"PRIVATE"))
        later("flush", lambda: write(b""))
        later("start", lambda: start_response("200 OK", [("Set-Cookie", "PRIVATE=1")]))
        later("again", lambda: start_response("200 OK", TEXT, (ValueError, ValueError(), None)))
        return [b"left"]
    if path == "/leave-written":
        write = start_response("200 OK", TEXT)
        write(b"le")
        later("written", lambda: write(b"PRIVATE" * 100000))
        return [b"ft"]
    if path == "/leave-raised":
        write = start_response("200 OK", TEXT)
        later("raised", lambda: write(b"PRIVATE"))
        raise KeyError("on purpose")
    if path == "/leave-file":
        write = start_response("200 OK", TEXT)
        later("file", lambda: write(b"PRIVATE"))
        return environ["wsgi.file_wrapper"](open("late.py", "rb"))
    if path == "/beside":
        # A thread of the request itself may write.
        write = start_response("200 OK", TEXT)
        thread = threading.Thread(target=lambda: write(b"from a thread, "))
        thread.start()
        thread.join()
        return [b"and not"]
    return stream(start_response)

def stream(start_response):
    # Nothing of the next answer exists while threads try to begin it.
    with open("running", "w"):
        pass
    while not os.path.exists("begin"):
        time.sleep(0.005)
    start_response("200 OK", TEXT)
    yield b"mine "
    while not os.path.exists("end"):
        time.sleep(0.005)
    yield b"alone"
"#;

const LATE_PAGE: &str = r#"
import os, threading, time
def request_handler(request_details):
    connection = request_details.connection
    if request_details.uri.query == "sent":
        connection.send(connection.make_response(200, {}, "left"))
    else:
        request_details.response = [200, "left", {}]
    def work():
        while not os.path.exists("../go"):
            time.sleep(0.005)
        try:
            connection.send("PRIVATE")
            said = "nothing"
        except ConnectionError as error:
            said = str(error)
        with open("../page.new", "w") as file:
            file.write(said)
        os.rename("../page.new", "../page")
    threading.Thread(target=work).start()
"#;

fn said(server: &TestServer, name: &str) -> String {
    let there = || server.path(name).exists().then(|| server.read(name));
    eventually(there).unwrap_or_else(|| panic!("{name} says nothing"))
}

#[test]
fn what_a_thread_writes_late_is_in_nobody_elses_answer() {
    let server = server_of(THREADS, &[]);
    assert_eq!(server.get("/leave").text(), "left");
    assert_eq!(server.get("/leave-written").text(), "left");
    assert_eq!(server.get("/leave-raised").status, 500);
    assert_eq!(server.get("/leave-file").text(), THREADS);
    let mut wire = Wire::connect(&server);
    wire.send(get("/stream"));
    said(&server, "running");
    server.write("go", "");
    for name in ["write", "flush", "start", "again", "written", "raised", "file"] {
        let want = "RuntimeError: the answer to this request is complete";
        assert_eq!(said(&server, name), want, "{name}");
    }
    server.write("begin", "");
    server.write("end", "");
    let answer = wire.response();
    assert_eq!((answer.text(), answer.header("Set-Cookie")), ("mine alone", None));
    assert_eq!(server.get("/beside").text(), "from a thread, and not");
}

#[test]
fn what_a_thread_writes_when_nothing_runs_ends_no_worker() {
    let server = server_of(THREADS, &[]);
    assert_eq!(server.get("/leave").text(), "left");
    server.write("go", "");
    for name in ["write", "flush", "start", "again"] {
        assert!(said(&server, name).starts_with("RuntimeError"), "{name}");
    }
    assert_eq!(server.get("/beside").text(), "from a thread, and not");
    let log = server.read("stderr.txt");
    assert!(!log.contains("protocol") && !log.contains("is gone"), "{log}");
}

#[test]
fn what_a_page_sends_late_is_in_nobody_elses_answer() {
    for query in ["sent", "set"] {
        let server = server_of(THREADS, &[("pages/late.py", LATE_PAGE)]);
        assert_eq!(server.get(&format!("/p/late?{query}")).text(), "left");
        server.write("go", "");
        assert_eq!(said(&server, "page"), "the page has closed its connection", "{query}");
        let log = server.read("stderr.txt");
        assert!(!log.contains("protocol"), "{log}");
    }
}

/// A path for each way to have a child.
const FORKS: &str = r#"
import concurrent.futures, multiprocessing, os, subprocess, sys, time

TEXT = [("Content-Type", "text/plain")]
WORKER = os.getpid()

def code_of(child):
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode()

def exits(start_response):
    child = os.fork()
    if child == 0:
        sys.exit(3)
    start_response("200 OK", TEXT)
    return [code_of(child)]

def exits_with_words(start_response):
    child = os.fork()
    if child == 0:
        sys.exit("the last words of a child")
    start_response("200 OK", TEXT)
    return [code_of(child)]

def raises(start_response):
    child = os.fork()
    if child == 0:
        raise KeyError("in the child")
    start_response("200 OK", TEXT)
    return [code_of(child)]

def returns(start_response):
    child = os.fork()
    start_response("200 OK", TEXT)
    return [b"child" if child == 0 else code_of(child)]

def returns_much(start_response):
    child = os.fork()
    start_response("200 OK", TEXT)
    return [b"x" * 300000] if child == 0 else [b"", code_of(child)]

def writes(start_response):
    write = start_response("200 OK", TEXT)
    child = os.fork()
    if child == 0:
        write(b"child")
    return [code_of(child)]

def yields(start_response):
    start_response("200 OK", TEXT)
    yield b"code "
    child = os.fork()
    yield b"child" if child == 0 else code_of(child)

def sends_file(start_response):
    child = os.fork()
    start_response("200 OK", TEXT)
    if child == 0:
        return FILE_WRAPPER(open("late.py", "rb"))
    return [code_of(child)]

def double(n):
    return 2 * n

def in_pool(start_response, method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        found = pool.map(double, range(5))
    start_response("200 OK", TEXT)
    return [repr(found).encode()]

def in_executor(start_response):
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        found = list(pool.map(double, range(5)))
    start_response("200 OK", TEXT)
    return [repr(found).encode()]

def in_command(start_response):
    done = subprocess.run(["cat"], input=b"a command", stdout=subprocess.PIPE,
                          preexec_fn=os.setpgrp)
    start_response("200 OK", TEXT)
    return [done.stdout]

def as_daemon(start_response):
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            while not os.path.exists("go"):
                time.sleep(0.005)
            with open("daemon.new", "w") as file:
                file.write("done")
            os.rename("daemon.new", "daemon")
        sys.exit()
    start_response("200 OK", TEXT)
    return [code_of(child)]

def application(environ, start_response):
    global FILE_WRAPPER
    FILE_WRAPPER = environ["wsgi.file_wrapper"]
    name, _, argument = environ["PATH_INFO"].strip("/").partition("/")
    if name == "worker":
        start_response("200 OK", TEXT)
        return [b"%d %d" % (os.getpid(), WORKER)]
    return globals()[name](start_response, *([argument] if argument else []))
"#;

#[test]
fn a_forked_child_that_comes_back_is_no_second_worker() {
    let server = server_of(FORKS, &[]);
    let worker = server.get("/worker").text().to_owned();
    for (path, body) in [
        ("/exits", "3"),
        ("/exits_with_words", "1"),
        ("/raises", "1"),
        ("/returns", "0"),
        ("/returns_much", "1"),
        ("/writes", "1"),
        ("/yields", "code 1"),
        ("/sends_file", "1"),
    ] {
        // Several at once, so that there are answers and requests that a child must not touch.
        let mut wire = Wire::connect(&server);
        wire.send([get("/worker"), get(path), get("/worker"), get("/worker")].concat());
        assert_eq!(wire.response().text(), worker, "{path}");
        assert_eq!(wire.response().text(), body, "{path}");
        assert_eq!(wire.response().text(), worker, "{path}");
        assert_eq!(wire.response().text(), worker, "{path}");
    }
    server.read_until("stderr.txt", "the last words of a child");
    let log = server.read_until("stderr.txt", "KeyError: 'in the child'");
    assert!(!log.contains("protocol") && !log.contains("is gone"), "{log}");
}

#[test]
fn children_that_applications_want_work() {
    let server = server_of(FORKS, &[]);
    let worker = server.get("/worker").text().to_owned();
    for (path, body) in [
        ("/in_pool/fork", "[0, 2, 4, 6, 8]"),
        ("/in_pool/spawn", "[0, 2, 4, 6, 8]"),
        ("/in_pool/forkserver", "[0, 2, 4, 6, 8]"),
        ("/in_executor", "[0, 2, 4, 6, 8]"),
        ("/in_command", "a command"),
        ("/as_daemon", "0"),
        ("/worker", &worker),
    ] {
        assert_eq!(server.get(path).text(), body, "{path}");
    }
    server.write("go", "");
    assert_eq!(said(&server, "daemon"), "done");
    assert_eq!(server.get("/worker").text(), worker);
    let log = server.read("stderr.txt");
    assert!(!log.contains("protocol") && !log.contains("is gone"), "{log}");
}

#[test]
fn a_child_forked_while_the_application_loads_is_no_worker() {
    for child in ["sys.exit(0)", "raise KeyError('in the child')", "pass"] {
        let app = format!(
            "import os, sys\nchild = os.fork()\nif child == 0:\n    {child}\nelse:\n    os.waitpid(child, 0)\n\
             def application(environ, start_response):\n    start_response('200 OK', [])\n    \
             return [b'parent' if child else b'child']\n"
        );
        let server = server_of(&app, &[]);
        for _ in 0..4 {
            assert_eq!(server.get("/").text(), "parent", "{child}");
        }
        let log = server.read("stderr.txt");
        assert!(!log.contains("cannot be loaded") && !log.contains("protocol"), "{log}");
    }
}
