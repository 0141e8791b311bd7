//! How applications are named and started: factories, virtual environments, and what visitors are told
//! while one does not start.

use crate::support::{Start, TestServer, Wire, eventually, folder, get, run};
use std::os::unix::fs::symlink;
use std::time::Duration;

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

/// Many applications that begin together do so a few at a time, and all of them come to be ready.
#[test]
fn many_that_start_together_take_turns() {
    let app = r#"
import os, time
mine = "loading-%d" % os.getpid()
open(mine, "w").close()
count = sum(name.startswith("loading-") for name in os.listdir("."))
with open("counts", "a") as file:
    file.write("%d\n" % count)
time.sleep(0.2)
os.unlink(mine)
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"there"]
"#;
    let mut config = String::new();
    for n in 0..6 {
        config += &format!("[app.n{n}]\nwsgi = \"app\"\nworkers = 4\nqueue_timeout = \"60s\"\n");
    }
    // One that is not to be had does not keep the others waiting.
    config += "[app.never]\nwsgi = \"app\"\npython = \"/nowhere/python\"\nworkers = 4\n[[host]]\napp = \"never\"\n";
    for n in 0..6 {
        config += &format!("[[host.route]]\npath = \"/{n}\"\napp = \"n{n}\"\n");
    }
    let server = Start::new(&config, &[("app.py", app)]).run();
    let counts = || {
        let counts: Vec<usize> =
            server.read("counts").lines().map(|line| line.parse().unwrap()).collect();
        (counts.len() == 24).then_some(counts)
    };
    for n in 0..6 {
        assert_eq!(server.get(&format!("/{n}")).text(), "there", "{}", server.read("stderr.txt"));
    }
    let counts = eventually(counts).unwrap_or_else(|| panic!("{}", server.read("stderr.txt")));
    let processors = std::thread::available_parallelism().unwrap().get();
    let most = counts.iter().max().unwrap();
    assert!(*most <= (2 * processors).max(4), "{counts:?}");
}

/// A worker that has no processor most of the time is not late: it has not had its time.
#[test]
fn waiting_for_a_processor_is_not_loading() {
    if !std::path::Path::new("/proc/self/schedstat").exists() {
        return;
    }
    // Two others want the one processor that both are bound to, and come first.
    let bound = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n";
    let app = format!(
        "{bound}import time\nos.nice(10)\nend = time.monotonic() + 3\n\
         while time.monotonic() < end: pass\n\
         def application(environ, start_response):\n    \
         start_response('200 OK', [])\n    return [b'at last']\n"
    );
    let mut busy: Vec<_> = (0..2)
        .map(|_| {
            let program = format!("{bound}while True: pass\n");
            std::process::Command::new("python3").args(["-c", &program]).spawn().unwrap()
        })
        .collect();
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\nstartup = \"2s\"\nqueue_timeout = \"60s\"\n\
        [[host]]\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", &app)]).run();
    let text = server.get("/").text().to_owned();
    for child in &mut busy {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(text, "at last", "{}", server.read("stderr.txt"));
    assert!(!server.read("stderr.txt").contains("did not start"), "{}", server.read("stderr.txt"));
}

/// A burst waits as it would in gunicorn's queue, as long as a request may take.
#[test]
fn the_queue_is_patient() {
    let config = "[app.a]\nwsgi = \"a\"\n[[host]]\napp = \"a\"\n";
    let (_, shown, _) = run(folder(&[]).path(), &["-T", "-c", "-"], config);
    assert!(shown.contains("queue_timeout = \"30s\"") && shown.contains("queue = 64"), "{shown}");
    let app = "import os, time\ndef application(e, s):\n    \
        while not os.path.exists('go'): time.sleep(0.01)\n    \
        s('200 OK', [])\n    return [b'done']\n";
    let server = Start::new(config, &[("a.py", app)]).run();
    let mut wires: Vec<_> = (0..40).map(|_| Wire::connect(&server)).collect();
    for wire in &mut wires {
        wire.send(get("/"));
    }
    assert!(wires.iter_mut().all(|wire| wire.is_silent(Duration::from_millis(20))));
    server.write("go", "");
    for wire in &mut wires {
        assert_eq!(wire.response().text(), "done");
    }
}
