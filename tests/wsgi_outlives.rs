//! What a request does to the interpreter that it shares with others, and how an application is named.

use crate::support::{Start, Wire, eventually, get};

const APP: &str = r#"
import builtins, gc, io, logging, os, signal, sys, traceback
from urllib.parse import unquote

def application(environ, start_response):
    # Without built-ins, which the request before may have changed.
    code = environ["QUERY_STRING"]
    if code:
        exec(unquote(code), {"environ": environ, **globals()})
        raise ValueError("after it")
    environ["wsgi.errors"].write("errors work\n")
    start_response("200 OK", [])
    return [b"%d" % os.getpid()]
"#;

#[test]
fn a_worker_outlives_whatever_a_request_does_to_the_interpreter() {
    for code in [
        "builtins.len = builtins.type = builtins.isinstance = None",
        "builtins.__dict__.pop('len')",
        "logging.shutdown()",
        "os.chdir('/'); os.umask(0o777)",
        "os.environ.clear()",
        "gc.disable()",
        "sys.modules.clear()",
        "traceback.format_exception = None",
        "sys.excepthook = None; sys.path.clear()",
        "sys.stdout.close()",
        "sys.stderr.close()",
        "sys.stdin.close()",
        "sys.stderr.buffer.close()",
        "sys.stderr.detach()",
        "environ['wsgi.errors'].close()",
        "sys.stdout = sys.stderr = None",
        "sys.stdout = sys.stderr = open(os.devnull); sys.stderr.close()",
        "del sys.stderr, sys.stdout",
        "[os.close(n) for n in (0, 1, 2)]",
        "sys.exit(3)",
        "raise KeyboardInterrupt",
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 13, 15)]",
        "sys.settrace(lambda *args: 1 / 0)",
        "sys.setrecursionlimit(60)",
    ] {
        let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\n[[host]]\napp = \"a\"\n";
        let server = Start::new(config, &[("a.py", APP)]).run();
        let mut wire = Wire::connect(&server);
        let pid = wire.send(get("/")).response().text().to_owned();
        let quoted: String = code.bytes().map(|b| format!("%{b:02x}")).collect();
        let answer = wire.send(get(&format!("/?{quoted}"))).response();
        assert_eq!(answer.status, 500, "{code}");
        let mut wire = Wire::connect(&server);
        let next = wire.send(get("/")).response();
        assert_eq!((next.status, next.text()), (200, pid.as_str()), "{code}");
        let is_told = || {
            let log = server.read("stderr.txt");
            (log.matches("errors work").count() == 2).then_some(log)
        };
        let log = eventually(is_told).unwrap_or_else(|| panic!("{code}: wsgi.errors is lost"));
        let raised = ["after it", "SystemExit", "KeyboardInterrupt", "ZeroDivision"];
        let says = raised.iter().any(|word| log.contains(word));
        assert!(says || log.contains("cannot be printed"), "{code}: {log}");
        assert!(!log.contains(" is gone"), "{code}: {log}");
    }
}

#[test]
fn a_factory_is_called_with_literals() {
    let app = r#"
class Site:
    @staticmethod
    def make(*args, **words):
        def application(environ, start_response):
            start_response("200 OK", [])
            return [repr((args, sorted(words.items()))).encode()]
        return application
create_app = Site.make
def bad():
    return 3
"#;
    for (spec, status, says) in [
        ("a:create_app()", 200, "((), [])"),
        ("a:create_app( )", 200, "((), [])"),
        ("a:Site.make('x:y', 2, debug=True)", 200, "(('x:y', 2), [('debug', True)])"),
        ("a:create_app({'a': [1, None]}, -1)", 200, "(({'a': [1, None]}, -1), [])"),
        ("a:bad()", 503, "cannot be called"),
        ("a:missing()", 503, "did you mean a:create_app"),
        ("a:create_app(open('x'))", 503, "malformed node"),
        ("a:create_app()()", 503, "more than one call"),
        ("a:create_app(**{})", 503, "`**`"),
        ("a:create_app(,)", 503, "SyntaxError"),
    ] {
        let config = format!("[app.a]\nwsgi = \"{spec}\"\n[[host]]\napp = \"a\"\n");
        let server = Start::new(&config, &[("a.py", app)]).run();
        let answer = server.get("/");
        if status == 200 {
            assert_eq!((answer.status, answer.text()), (200, says), "{spec}");
        } else {
            assert_eq!(answer.status, status, "{spec}");
            assert!(server.read_until("stderr.txt", says).contains(says), "{spec}");
            // Nobody is told that trying again in a moment would help.
            assert!(!answer.text().contains("busy"), "{spec}: {}", answer.text());
        }
    }
}
