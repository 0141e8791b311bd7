//! What a request does to the interpreter that it shares with others.

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
