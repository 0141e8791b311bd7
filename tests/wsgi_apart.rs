//! What a worker is given, and what it is not: environment, descriptors, rights, Python.

use crate::support::{Start, Wire, eventually, folder, get, run};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const APP: &str = r#"
import os, sys
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    name = environ["PATH_INFO"].strip("/")
    if name == "env":
        lines = ["%s=%s" % pair for pair in sorted(os.environ.items())]
    elif name == "files":
        lines = []
        for number in os.listdir("/proc/self/fd"):
            try:
                lines.append(os.readlink("/proc/self/fd/" + number))
            except OSError:
                pass
    elif name == "user":
        lines = [str(os.getuid()), str(os.getgid()), str(os.getgroups()), os.getcwd(),
                 os.environ.get("USER", ""), os.environ.get("HOME", "")]
    elif name == "group":
        lines = [str(os.getpgid(0) == os.getpid()), str(os.getsid(0) == os.getsid(os.getppid()))]
    return ["\n".join(lines).encode()]
"#;

#[test]
fn a_worker_has_nothing_of_the_servers() {
    let config = "[log]\naccess = \"access.log\"\nerror = \"error.log\"\n\
        [app.a]\nwsgi = \"a\"\nworkers = 1\nenv = { OWN = \"own value\", LANG = \"C.UTF-8\" }\n[[host]]\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", APP)])
        .wrapper("SECRET_KEY=hush DATABASE_URL=hush LANG=de_DE exec \"$@\"")
        .run();
    let env = server.get("/env").text().to_owned();
    // Where `python3` is a script that looks for one, the shell adds some of these.
    let allowed = ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "OWN"];
    let of_shells = ["PWD", "OLDPWD", "SHLVL", "_"];
    for line in env.lines() {
        let name = line.split('=').next().unwrap();
        let known = allowed.contains(&name) || of_shells.contains(&name) || name.contains("PYENV");
        assert!(known, "{line}");
    }
    assert!(env.contains("OWN=own value") && env.contains("LANG=C.UTF-8") && !env.contains("hush"));
    // Connections of others, the listening socket and the logs are none of its business.
    let others: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    let files = server.get("/files").text().to_owned();
    let sockets = files.lines().filter(|file| file.starts_with("socket:")).count();
    assert_eq!(sockets, 1, "its line to the server, and no other:\n{files}");
    for file in files.lines() {
        let known = ["socket:", "pipe:", "/dev/null", "/memfd:board", "/proc/"];
        assert!(known.iter().any(|known| file.starts_with(known)), "{file} in\n{files}");
    }
    drop(others);
    assert!(server.get("/group").text().starts_with("True"), "a process group of its own");
}

#[test]
fn a_worker_runs_as_somebody_else_where_that_is_asked_for() {
    let config =
        "[app.a]\nwsgi = \"a\"\nworkers = 1\nuser = \"nobody\"\nPYTHON[[host]]\napp = \"a\"\n";
    // Python may be where only root can go; then the one of the system is asked.
    let system = Path::new("/usr/bin/python3");
    let python = if system.exists() { "python = \"/usr/bin/python3\"\n" } else { "" };
    let config = config.replace("PYTHON", python);
    let start =
        Start::new(&config, &[("a.py", APP)]).wrapper("USER=server HOME=/server exec \"$@\"");
    std::fs::set_permissions(start.path(), PermissionsExt::from_mode(0o755)).unwrap();
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else: it says so, and does not serve as somebody it should not.
        let said = said_at_start(&start);
        assert!(said.contains("root"), "{said}");
        return;
    }
    let want = std::process::Command::new("id").args(["-u", "nobody"]).output().unwrap().stdout;
    let server = start.run();
    let text = server.get("/user").text().to_owned();
    assert!(text.contains("\nnobody\n") && !text.contains("/server"), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(String::from_utf8(want).unwrap().trim()), "{text}");
    assert_ne!(lines.next(), Some("0"), "{text}");
    assert!(!lines.next().unwrap().split(['[', ',', ']', ' ']).any(|group| group == "0"), "{text}");
}

fn said_at_start(start: &Start) -> String {
    let (_, out, err) = run(start.path(), &["-c", "web.conf", "-t"], "");
    out + &err
}

#[test]
fn a_python_that_is_too_old_is_told_of() {
    let site = "import sys\nsys.version_info = (3, 8, 1, 'final', 0)\n";
    let config = "[app.a]\nwsgi = \"a\"\nenv = { PYTHONPATH = \"old\" }\n[[host]]\nrespond = \"fine\"\n\
        [[host.route]]\npath = \"/a/\"\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", APP), ("old/sitecustomize.py", site)]).run();
    server.read_until("stderr.txt", "Python 3.8 is too old: 3.9 or newer is needed");
    assert_eq!(server.get("/a/").status, 503);
    assert_eq!(server.get("/").text(), "fine");
}

/// A program that is no Python, a Python that is not there: told of before the start, with the line.
#[test]
fn a_python_that_is_not_there_is_found_by_the_check() {
    for key in ["python = \"no/python\"", "venv = \"empty\""] {
        let config = format!("[app.a]\nwsgi = \"a\"\n{key}\n[[host]]\napp = \"a\"\n");
        let start = Start::new(&config, &[("a.py", APP), ("empty/x", "")]);
        let said = said_at_start(&start);
        assert!(said.contains("web.conf:3:") && said.contains('^'), "{said}");
    }
    let config = "[app.a]\nwsgi = \"a\"\npython = \"/bin/true\"\n[[host]]\nrespond = \"fine\"\n\
        [[host.route]]\npath = \"/a/\"\napp = \"a\"\n";
    let server = Start::new(config, &[("a.py", APP)]).run();
    server.read_until("stderr.txt", "before it was ready");
    assert_eq!(server.get("/a/").status, 503);
    assert_eq!(server.get("/").text(), "fine");
}

#[test]
fn a_file_is_answered_elsewhere_only_where_a_route_has_it() {
    let app = r#"
def application(environ, start_response):
    header, _, value = environ["QUERY_STRING"].partition("=")
    if header == "again":
        header, value = "X-Accel-Redirect", "/?again"
    start_response("200 OK", [("Content-Type", "text/x"), ("Set-Cookie", "a=1"), (header, value)])
    return [b"not this"]
"#;
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\n[[host]]\nnames = [\"localhost\"]\ndefault = true\napp = \"a\"\n\
        [[host.route]]\npath = \"/kept/\"\nfiles = \"kept\"\n\
        [[host]]\nnames = [\"other.test\"]\nroot = \"secret\"\n";
    let files = [("a.py", app), ("kept/a b.txt", "the file"), ("secret/s", "the secret")];
    let server = Start::new(config, &files).run();
    let mut wire = Wire::connect(&server);
    let etag = wire.get("/kept/a%20b.txt").header("ETag").unwrap().to_owned();
    let same = format!(
        "GET /?X-Accel-Redirect=/kept/a%20b.txt HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n"
    );
    assert_eq!(wire.send(same).response().status, 304);
    for header in ["X-Accel-Redirect", "X-Sendfile", "x-accel-redirect"] {
        let answer = wire.get(&format!("/?{header}=/kept/a%20b.txt"));
        assert_eq!((answer.status, answer.text()), (200, "the file"), "{header}");
        let ranged = format!(
            "GET /?{header}=/kept/a%20b.txt HTTP/1.1\r\nHost: localhost\r\nRange: bytes=4-\r\n\r\n"
        );
        let ranged = wire.send(ranged).response();
        assert_eq!((ranged.status, ranged.text()), (206, "file"));
        let post = format!(
            "POST /?{header}=/kept/a%20b.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert_eq!(wire.send(post).response().text(), "the file");
        let named = format!("/?{header}=/kept/a%20b.txt");
        let named = wire.get(&named);
        assert_eq!(named.header("Set-Cookie"), Some("a=1"), "what a file cannot know is kept");
        assert_eq!(named.header("Content-Type"), Some("text/plain; charset=utf-8"));
        // The next answer has nothing of it.
        assert_eq!(wire.get("/kept/a%20b.txt").header("Set-Cookie"), None);
    }
    for (value, status) in [
        ("/kept/none", 404),
        ("/kept/../secret/s", 502),
        ("/kept/%2e%2e/secret/s", 502),
        ("//other.test/s", 502),
        ("http://other.test/s", 502),
        ("kept/a", 502),
        ("", 502),
        // It leads to itself, again and again.
        ("/?again", 500),
    ] {
        let answer = wire.get(&format!("/?X-Accel-Redirect={value}"));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("the secret") && !text.contains("the file"), "{value}: {text}");
        assert!(answer.status == status || answer.status == 400, "{value}: {}", answer.status);
    }
}

#[test]
fn a_configuration_of_the_current_folder_finds_its_application() {
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\n[[host]]\napp = \"a\"\n";
    let files = folder(&[("a.py", APP), ("web.conf", config)]);
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["-c", "web.conf"]).run();
    assert_eq!(server.get("/user").text().lines().nth(3), Some(place.to_str().unwrap()));
    assert!(!server.read("stderr.txt").contains("warning"), "{}", server.read("stderr.txt"));
}

#[test]
fn the_command_line_serves_and_watches_an_application() {
    let app =
        |n: u32| format!("def app(e, s):\n    s('200 OK', [])\n    return [b'version {n}']\n");
    let files = folder(&[("site/app.py", &app(1)), ("site/helper.py", "x = 1\n")]);
    let place = files.path().to_owned();
    let server = Start::quick(files, &place, &["--wsgi", "app:app", "--reload", "site"]).run();
    assert_eq!(server.get("/").text(), "version 1");
    server.write("site/app.py", app(2) + "# changed\n");
    let changed = || (server.get("/").text() == "version 2").then_some(());
    assert!(eventually(changed).is_some());
    let mut wire = Wire::connect(&server);
    assert_eq!(wire.send(get("/a?b")).response().text(), "version 2");
}

#[test]
fn a_required_application_ends_the_server_however_it_fails() {
    for (app, says) in [
        ("raise ValueError('no')", "ValueError: no"),
        ("import os\nos._exit(7)", "ended with code 7"),
        ("import time\ntime.sleep(1000)", "did not start in 2s"),
        ("application = 3", "cannot be called"),
        ("x = (", "SyntaxError"),
    ] {
        let config =
            "[app.a]\nwsgi = \"a\"\nrequired = true\nstartup = \"2s\"\n[[host]]\napp = \"a\"\n";
        let mut server = Start::new(config, &[("a.py", app)]).run();
        assert_eq!(server.wait().code(), Some(4), "{app}");
        let log = server.read("stderr.txt");
        assert!(log.contains(says) && log.contains("required"), "{app}: {log}");
    }
}

/// A Python puts the folder it is started in before its library.
#[test]
fn modules_named_like_the_library_stop_no_worker() {
    let names = ["token", "select", "signal", "http", "socket", "struct", "traceback", "types"];
    let files: Vec<_> =
        names.iter().map(|name| (format!("{name}.py"), "raise KeyError(__file__)")).collect();
    let files = files.iter().map(|(name, text)| (name.as_str(), *text));
    let app = "import helper\ndef application(e, s):\n    s('200 OK', [])\n    return [helper.x]\n";
    let own = [("a.py", app), ("helper.py", "x = b'helped'"), ("calendar.py", "x = 1")];
    let files: Vec<_> = files.chain(own).collect();
    let config = "[app.a]\nwsgi = \"a\"\nworkers = 1\n[[host]]\napp = \"a\"\n";
    let server = Start::new(config, &files).run();
    assert_eq!(server.get("/").text(), "helped");
    // What an application imports is its own, where the worker has not needed it.
    server.write(
        "a.py",
        "import calendar\n".to_owned() + &app.replace("helper.x", "b'%d' % calendar.x"),
    );
    server.signal(rustix::process::Signal::HUP);
    assert!(eventually(|| (server.get("/").text() == "1").then_some(())).is_some());
}
