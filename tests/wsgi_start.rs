//! How applications are named and started: factories, virtual environments, and what visitors are told
//! while one does not start.

use crate::support::{Start, TestServer, Wire, folder, get};
use std::os::unix::fs::symlink;

const FACTORIES: &str = r#"
made = []
def make(*args, **kwargs):
    made.append((args, kwargs))
    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr((args, kwargs, len(made))).encode()]
    return application

class Package:
    make = staticmethod(make)

def make_nothing():
    return 7

def make_no_arguments():
    return make()

def broken():
    raise OSError("no such database")
"#;

fn app_of(wsgi: &str) -> TestServer {
    let config = format!(
        "[app.f]\nwsgi = '{wsgi}'\nworkers = 1\n[[host]]\napp = \"f\"\n\
         [[host.route]]\npath = \"/fine\"\nrespond = \"fine\"\n"
    );
    Start::new(&config, &[("f.py", FACTORIES)]).run()
}

#[test]
fn a_factory_is_called_with_literals_only() {
    for (wsgi, says) in [
        ("f:make()", "((), {}, 1)"),
        (r#"f:make("x", -1.5, debug=True)"#, "(('x', -1.5), {'debug': True}, 1)"),
        (
            r#"f:make([1, {"a:b": None}], y=("(", b")"))"#,
            "(([1, {'a:b': None}],), {'y': ('(', b')')}, 1)",
        ),
        ("f:Package.make( )", "((), {}, 1)"),
        ("f:make_no_arguments()", "((), {}, 1)"),
    ] {
        let server = app_of(wsgi);
        for _ in 0..2 {
            assert_eq!(server.get("/").text(), says, "{wsgi}: {}", server.read("stderr.txt"));
        }
    }
    for (wsgi, why) in [
        ("f:make_nothing()", "f:make_nothing() is int, which cannot be called"),
        ("f:make(open)", "the arguments (open) are not all literals"),
        ("f:make(*[1])", "the arguments (*[1]) are not all literals"),
        ("f:make(**{})", "the arguments (**{}) have a `**`"),
        ("f:make(__import__(\"os\").getcwd())", "are not all literals"),
        ("f:make()()", "()() is not the arguments of one call"),
        ("f:make(1) + f(2)", "(1) + f(2) is not the arguments of one call"),
        ("f:make(,)", "(,) is not the arguments of one call"),
        ("f:broken()", "OSError: no such database"),
        ("f:make_no_arguments(1)", "takes 0 positional arguments but 1 was given"),
        ("f:make_no_arguments", "hint: if it makes the application, write f:make_no_arguments()"),
        ("f:mak()", "hint: did you mean f:make?"),
    ] {
        let server = app_of(wsgi);
        server.read_until("stderr.txt", why);
        assert_eq!(server.get("/fine").text(), "fine", "{wsgi}");
    }
}

/// Visitors are told what is the matter, and not that the server is busy; the reason is for the log.
#[test]
fn an_application_that_does_not_start_is_no_busy_server() {
    let server = app_of("f:broken()");
    // Those that came while it was starting, and those that come later.
    let mut waiting = Wire::connect(&server);
    let first = waiting.send(get("/")).response();
    server.read_until("stderr.txt", "no such database");
    for answer in [first, server.get("/"), server.get("/other")] {
        assert_eq!(answer.status, 503);
        assert!(answer.header("Retry-After").is_some());
        assert!(answer.text().contains("does not start"), "{}", answer.text());
        assert!(!answer.text().contains("busy") && !answer.text().contains("database"));
    }
    // One that takes its time is told of as such.
    let config =
        "[app.s]\nwsgi = \"s\"\nworkers = 1\nqueue_timeout = \"300ms\"\n[[host]]\napp = \"s\"\n";
    let slow = "import time\ntime.sleep(60)\n";
    let server = Start::new(config, &[("s.py", slow)]).run();
    let answer = server.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("still starting"), "{}", answer.text());
}

#[test]
fn the_command_line_names_a_virtual_environment() {
    let app = "import sys, only_there\ndef application(e, s):\n    s('200 OK', [])\n    \
               return [sys.prefix.encode()]\n";
    let files = folder(&[("app.py", app), ("venv/bin/.keep", "")]);
    let say = "import sys; print(sys.base_prefix, sys.executable, *sys.version_info[:2])";
    let which = std::process::Command::new("python3").args(["-c", say]).output().unwrap();
    let said = String::from_utf8(which.stdout).unwrap();
    let words: Vec<&str> = said.split_whitespace().collect();
    let venv = files.path().join("venv");
    std::fs::write(venv.join("pyvenv.cfg"), format!("home = {}/bin\n", words[0])).unwrap();
    symlink(words[1], venv.join("bin/python3")).unwrap();
    let packages = venv.join(format!("lib/python{}.{}/site-packages", words[2], words[3]));
    std::fs::create_dir_all(&packages).unwrap();
    std::fs::write(packages.join("only_there.py"), "").unwrap();
    let (place, want) = (files.path().to_owned(), venv.to_str().unwrap().to_owned());
    let server = Start::quick(files, &place, &["--wsgi", "app", "--venv", "venv"]).run();
    assert_eq!(server.get("/").text(), want, "{}", server.read("stderr.txt"));
    // Without it, the hint says how.
    let files = folder(&[("app.py", app)]);
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["--wsgi", "app"]).run();
    server.read_until("stderr.txt", "`venv` (--venv) names the virtual environment that has it");
    // One that is not there is no reason to take another Python.
    let files = folder(&[("app.py", "def application(e, s): pass\n")]);
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["--wsgi", "app", "--venv", "nowhere"]).run();
    server.read_until("stderr.txt", "a worker cannot be started with");
    assert!(server.banner.contains("nowhere is no virtual environment"), "{}", server.banner);
}
