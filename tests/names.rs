//! Names that the server opens, and what lies there instead of a file: nothing blocks it, and
//! nothing that belongs to something else is lost.

use crate::support::{Start, TestServer, eventually, folder, repository, run};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

const LISTEN: &str = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n";
const HELLO: &str = "[[host]]\nrespond = \"hello\"\n";

fn fifo(path: impl AsRef<Path>) {
    mkfifoat(CWD, path.as_ref(), Mode::RUSR | Mode::WUSR).unwrap();
}

/// The end that is read, which does not wait for a writer.
fn reader(path: impl AsRef<Path>) -> File {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    rustix::fs::open(path.as_ref(), flags, Mode::empty()).unwrap().into()
}

/// Starts the binary and waits for its end: exit code and errors.
fn ends<A: AsRef<OsStr>>(folder: &Path, arguments: &[A]) -> (Option<i32>, String) {
    let errors = File::create(folder.join("stderr.txt")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_httpyserver"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let status = eventually(|| child.try_wait().unwrap());
    let _ = child.kill();
    let said = std::fs::read_to_string(folder.join("stderr.txt")).unwrap();
    (status.unwrap_or_else(|| panic!("it hangs: {said}")).code(), said)
}

/// After a signal that has to be refused: the log says so, requests are answered, TERM is obeyed.
fn goes_on(mut server: TestServer, signal: Signal, says: &str) {
    server.signal(signal);
    server.read_until("stderr.txt", says);
    assert_eq!(server.get("/").text(), "hello", "{says}");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{says}");
}

#[test]
fn a_start_does_not_wait_for_the_other_end_of_a_fifo() {
    let tls = "[server]\nlisten = [\"https://127.0.0.1:0\"]\n[[tls.cert]]\nchain = \"chain\"\nkey = \"key\"\n";
    for (name, config, code, says) in [
        ("web.conf", String::new(), 3, "no regular file but a FIFO; `-c -` reads"),
        (
            "log",
            format!("{LISTEN}{HELLO}[log]\naccess = \"log\"\n"),
            1,
            "FIFO that no process reads",
        ),
        (
            "log",
            format!("{LISTEN}{HELLO}[log]\nerror = \"log\"\n"),
            1,
            "FIFO that no process reads",
        ),
        ("pid", format!("{LISTEN}pid_file = \"pid\"\n{HELLO}"), 1, "a FIFO is there already"),
        ("sock", format!("[server]\nlisten = \"unix:sock\"\n{HELLO}"), 1, "a FIFO is there"),
        ("users", format!("{LISTEN}{HELLO}auth = {{ users = \"users\" }}\n"), 3, "regular file"),
        ("chain", format!("{tls}{HELLO}"), 3, "FIFO"),
        ("key", format!("{tls}{HELLO}"), 3, "FIFO"),
    ] {
        let folder = folder(&[]);
        std::fs::write(folder.path().join("web.conf"), &config).unwrap();
        let _ = std::fs::remove_file(folder.path().join(name));
        fifo(folder.path().join(name));
        let (found, said) = ends(folder.path(), &["-c", "web.conf"]);
        assert_eq!(found, Some(code), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
    }
}

#[test]
fn a_log_may_be_a_fifo_that_is_read() {
    let config = format!("{HELLO}[log]\naccess = \"log\"\nerror = \"log\"\n");
    let start = Start::new(&config, &[]);
    fifo(start.path().join("log"));
    let mut log = reader(start.path().join("log"));
    let mut server = start.run();
    assert_eq!(server.get("/first").text(), "hello");
    server.signal(Signal::USR1);
    assert_eq!(server.get("/second").text(), "hello");
    let mut text = String::new();
    let both = eventually(|| {
        let mut some = [0; 4096];
        let n = log.read(&mut some).unwrap_or_default();
        text += std::str::from_utf8(&some[..n]).unwrap();
        (text.contains("GET /first ") && text.contains("GET /second ")).then_some(())
    });
    assert!(both.is_some(), "{text}");
    // Nothing reads on: what does not fit waits, and then is dropped.
    for _ in 0..200 {
        assert_eq!(server.get(&format!("/{}", "x".repeat(4000))).text(), "hello");
    }
    drop(log);
    assert_eq!(server.get("/").text(), "hello", "without a reader");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn signals_are_obeyed_whatever_has_the_names() {
    let start = |config: &str| TestServer::new(config, &[]);
    let replace = |server: &TestServer, name: &str| {
        let _ = std::fs::remove_file(server.path(name));
        fifo(server.path(name));
    };
    let server = start(HELLO);
    replace(&server, "web.conf");
    goes_on(server, Signal::HUP, "not reloaded");
    for signal in [Signal::HUP, Signal::USR1] {
        let server = start(HELLO);
        replace(&server, "access.log");
        goes_on(server, signal, "FIFO that no process reads");
    }
    let server = start(HELLO);
    replace(&server, "users");
    server.configure(&format!("{HELLO}auth = {{ users = \"users\" }}\n"));
    goes_on(server, Signal::HUP, "no regular file but a FIFO");
    let server = start(HELLO);
    replace(&server, "web.sock");
    server.configure(&format!("[server]\nlisten = [\"unix:web.sock\"]\n{HELLO}"));
    goes_on(server, Signal::HUP, "a FIFO is there");
    let server = start(HELLO);
    std::fs::create_dir(server.path("www")).unwrap();
    replace(&server, "www/404.html");
    server.configure("[[host]]\nroot = \"www\"\nerrors = { 404 = \"/404.html\" }\n");
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "404.html");
    assert_eq!(server.get("/none").status, 404);
}

#[test]
fn no_request_waits_for_the_other_end_of_a_fifo() {
    let config = "[[host]]\n[[host.route]]\npath = \"/f/\"\nfiles = \"f\"\nlisting = true\n\
        [[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n\
        [[host.route]]\npath = \"/pages/\"\npages = \"pages\"\n";
    let server = TestServer::new(
        config,
        &[("f/a.css", "a"), ("f/d/x", ""), ("cgi/x", ""), ("pages/x.py", "")],
    );
    for name in ["f/fifo", "f/a.css.gz", "f/d/index.html", "cgi/fifo", "pages/fifo.py"] {
        fifo(server.path(name));
    }
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(server.path("cgi/fifo"), mode).unwrap();
    for (path, statuses) in [
        ("/f/fifo", [403, 404]),
        ("/f/a.css", [200, 200]),
        ("/f/d/", [200, 403]),
        ("/f/", [200, 200]),
        ("/cgi/fifo", [403, 404]),
        ("/pages/fifo", [404, 404]),
    ] {
        let status = server.get(path).status;
        assert!(statuses.contains(&status), "{path}: {status}");
    }
}

#[test]
fn a_unix_socket_takes_the_place_of_nothing_else() {
    let config = format!("[server]\nlisten = [\"http://127.0.0.1:0\", \"unix:web.sock\"]\n{HELLO}");
    let folder = folder(&[("web.conf", &config), ("web.sock", "text"), ("other", "text")]);
    let path = folder.path().join("web.sock");
    let refused = |says: &str| {
        let (code, said) = ends(folder.path(), &["-c", "web.conf"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("web.sock") && said.contains(says), "{said}");
    };
    let checked = |says: &str| {
        let (code, _, said) = run(folder.path(), &["-t", "-c", "web.conf"], "");
        assert_eq!(code, Some(if says.is_empty() { 0 } else { 3 }), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(says.is_empty() || said.contains("error[taken-path]"), "{said}");
    };
    refused("a regular file is there");
    checked("a regular file is there");
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
    std::fs::remove_file(&path).unwrap();
    symlink("other", &path).unwrap();
    refused("a symbolic link is there");
    checked("a symbolic link is there");
    std::fs::remove_file(&path).unwrap();
    let live = UnixListener::bind(&path).unwrap();
    refused("another process listens there");
    checked("");
    drop(live);
    checked("");
    assert!(path.symlink_metadata().unwrap().file_type().is_socket());
}

#[test]
fn an_instance_removes_only_the_socket_that_it_bound() {
    let config = format!("[server]\nlisten = [\"http://127.0.0.1:0\", \"unix:web.sock\"]\n{HELLO}");
    let http = format!("{LISTEN}{HELLO}");
    // By its end, and by a reload without it.
    for ends in [true, false] {
        let mut server = TestServer::new(&config, &[]);
        let path = server.path("web.sock");
        std::fs::rename(&path, server.path("moved")).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        if ends {
            server.signal(Signal::TERM);
            assert_eq!(server.wait().code(), Some(0));
        } else {
            server.configure(&http);
            server.signal(Signal::HUP);
            server.read_until("stderr.txt", "reloaded");
        }
        assert!(UnixStream::connect(&path).is_ok());
        drop(other);
    }
    let mut server = TestServer::new(&config, &[]);
    server.configure(&http);
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert!(!server.path("web.sock").exists());
    server.configure(&config);
    server.signal(Signal::HUP);
    assert!(eventually(|| UnixStream::connect(server.path("web.sock")).ok()).is_some());
    server.signal(Signal::TERM);
    server.wait();
    assert!(!server.path("web.sock").exists());
}

#[test]
fn the_pid_file_lives_as_long_as_the_server() {
    let config = format!("{LISTEN}pid_file = \"pid\"\n{HELLO}");
    let pid = |server: &TestServer| format!("{}\n", server.pid().as_raw_nonzero());
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        // One that was left by a process that was killed.
        let mut server = TestServer::new(&config, &[("pid", "4194304\n")]);
        assert_eq!(server.read("pid"), pid(&server));
        server.signal(Signal::HUP);
        server.read_until("stderr.txt", "reloaded");
        assert_eq!(server.read("pid"), pid(&server));
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!server.path("pid").exists(), "{signal:?}");
    }
    let mut server = TestServer::new(&config, &[]);
    server.write("pid", "1\n");
    server.signal(Signal::TERM);
    server.wait();
    assert_eq!(server.read("pid"), "1\n", "that of another instance");
}

#[test]
fn a_pid_file_takes_the_place_of_nothing_else() {
    let config = format!("{LISTEN}pid_file = \"web.conf\"\n{HELLO}");
    let folder = folder(&[("web.conf", &config)]);
    let (code, said) = ends(folder.path(), &["-c", "web.conf"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("holds no process id"), "{said}");
    let (code, _, said) = run(folder.path(), &["-t", "-c", "web.conf"], "");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("error[taken-path]") && said.contains("web.conf:3:12"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.path().join("web.conf")).unwrap(), config);
}

/// The script of conf/logrotate, with its places in `folder`.
fn postrotate(folder: &Path) -> String {
    let text = std::fs::read_to_string(repository("conf/logrotate")).unwrap();
    let (_, script) = text.split_once("    postrotate\n").unwrap();
    let (script, _) = script.split_once("    endscript\n").unwrap();
    let folder = folder.to_str().unwrap();
    script
        .replace("/run/httpyserver/", &format!("{folder}/run/"))
        .replace("/run/systemd", &format!("{folder}/systemd"))
}

#[test]
fn rotated_logs_are_told_of_by_the_pid_file_or_by_systemd() {
    let config = format!("{LISTEN}pid_file = \"run/pid\"\n{HELLO}");
    // As systemd has known it since there are units, and nothing newer.
    let systemctl = "#!/bin/sh\n[ \"$*\" = 'show --property=MainPID httpyserver.service' ] || exit 1\n\
        echo MainPID=$(cat main-pid)\n";
    let server = TestServer::new(&config, &[("run/a", ""), ("bin/systemctl", systemctl)]);
    std::fs::set_permissions(server.path("bin/systemctl"), PermissionsExt::from_mode(0o755))
        .unwrap();
    let script = postrotate(&server.path("."));
    let rotate = || {
        let path = format!("{}:/usr/bin:/bin", server.path("bin").display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("PATH", path).current_dir(server.path("."));
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let quiet = (Some(0), String::new());
    let is_told = |way: &str| {
        std::fs::rename(server.path("access.log"), server.path("access.log.1")).unwrap();
        assert_eq!(rotate(), quiet, "{way}");
        assert!(eventually(|| server.path("access.log").exists().then_some(())).is_some(), "{way}");
    };
    is_told("by the pid file");
    let pid = server.read("run/pid");
    std::fs::remove_file(server.path("run/pid")).unwrap();
    let (code, said) = rotate();
    assert!(code == Some(1) && said.contains("was not told"), "{said}");
    std::fs::create_dir_all(server.path("systemd/system")).unwrap();
    server.write("main-pid", &pid);
    is_told("by systemd");
    server.write("main-pid", "0\n");
    assert_eq!(rotate(), quiet, "it does not run");
    // A process that is not the server is not signalled: USR1 would end it.
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    server.write("run/pid", format!("{}\n", other.id()));
    assert_eq!(rotate(), quiet, "a pid file that was left");
    other.kill().unwrap();
    assert_eq!(other.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    std::fs::remove_file(server.path("run/pid")).unwrap();
    server.write("bin/systemctl", "#!/bin/sh\necho broken >&2\nexit 1\n");
    let (code, said) = rotate();
    assert!(code != Some(0) && said.contains("broken"), "what fails is not hidden: {said}");
}
