//! Files and scripts in one folder: each answers as what its name says it is.

use crate::support::{Start, TestServer, Wire, eventually, get};
use rustix::process::Signal;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

const SECRET: &str = "SECRET";

/// Scripts ending in `.run` are run by the shell, and `.cgi` by themselves.
fn server(more: &str) -> TestServer {
    let says = "#!/bin/sh\n# SECRET\nprintf 'X: y\\n\\n'; echo \"$SCRIPT_NAME|$PATH_INFO|$REQUEST_METHOD\"\n";
    let config = format!(
        "[cgi]\ninterpreter = {{ \".run\" = \"/bin/sh\" }}\n[[host]]\nnames = [\"localhost\", \"h\"]\ndefault = true\n\
         root = \"root\"\ncgi = true\nindex = [\"index.html\", \"index.run\"]\n{more}\n\
         [[host]]\nnames = [\"above.test\"]\nroot = \".\"\n\
         [[host]]\nnames = [\"within.test\"]\nroot = \"root/sub\"\n"
    );
    let names = [
        "root/index.run",
        "root/own.cgi",
        "root/off.cgi",
        "root/Upper.RUN",
        "root/old.run~",
        "root/old.run.bak",
        "root/old.run.txt",
        "root/.old.run.swp",
        "root/old.cgi.1",
        "root/tool",
        "root/sub/index.run",
        "root/sub/deep.cgi",
        "root/.hidden/x.run",
        "root/mixed/index.run",
    ];
    let mut files: Vec<_> = names.iter().map(|name| (*name, says)).collect();
    files.extend([
        ("root/style.css", "css"),
        ("root/index.run.html", "page"),
        ("root/mixed/index.html", "first"),
        ("root/mixed/a.txt", "text"),
        ("root/empty/a.txt", "text"),
        ("root/.git/config", SECRET),
        ("other/own.run", "honest"),
    ]);
    let start = Start::new(&config, &files);
    for name in ["root/own.cgi", "root/tool", "root/sub/deep.cgi", "root/style.css"] {
        std::fs::set_permissions(start.path().join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let root = start.path().join("root");
    symlink("index.run", root.join("link.txt")).unwrap();
    symlink("sub", root.join("way")).unwrap();
    symlink("style.css", root.join("link.css")).unwrap();
    start.run()
}

#[test]
fn names_say_what_is_run_and_what_is_served() {
    let server = server("");
    for (path, want) in [
        ("/style.css", "css"),
        ("/link.css", "css"),
        ("/index.run.html", "page"),
        ("/", "/index.run||GET\n"),
        ("/index.run", "/index.run||GET\n"),
        ("/index.run/a/b", "/index.run|/a/b|GET\n"),
        ("/own.cgi/x", "/own.cgi|/x|GET\n"),
        ("/Upper.RUN", "/Upper.RUN||GET\n"),
        ("/sub/", "/sub/index.run||GET\n"),
        ("/way/deep.cgi", "/way/deep.cgi||GET\n"),
        ("/mixed/", "first"),
        ("/mixed/a.txt", "text"),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.text()), (200, want), "{path}");
    }
    for (path, status) in
        [("/sub", 301), ("/mixed", 301), ("/none", 404), ("/empty/", 403), ("/off.cgi", 403)]
    {
        assert_eq!(server.get(path).status, status, "{path}");
    }
    let post = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.ask(post("/own.cgi")).text(), "/own.cgi||POST\n");
    assert_eq!(server.ask(post("/style.css")).status, 405);
}

#[test]
fn the_text_of_a_script_is_never_an_answer() {
    let server = server("hidden = true\nlisting = true");
    let paths = [
        "/index.run",
        "/off.cgi",
        "/own.cgi",
        "/Upper.RUN",
        "/old.run~",
        "/old.run.bak",
        "/old.run.txt",
        "/.old.run.swp",
        "/old.cgi.1",
        "/tool",
        "/link.txt",
        "/sub/index.run",
        "/way/index.run",
        "/sub/deep.cgi",
        "/.hidden/x.run",
        "/index%2Erun",
        "/index.run/",
        "/./index.run",
        "//index.run",
        "/index.run%20",
        "/index.run.",
        "/index.run%00",
        "/index.run;a",
        "/%69ndex.run?a",
    ];
    for host in ["localhost", "above.test", "within.test"] {
        for path in paths {
            for (method, line) in [
                ("GET", ""),
                ("HEAD", ""),
                ("POST", "Content-Length: 0\r\n"),
                ("GET", "Range: bytes=0-\r\n"),
            ] {
                for below in ["", "/root", "/sub/.."] {
                    let mut wire = Wire::connect(&server);
                    wire.send(format!(
                        "{method} {below}{path} HTTP/1.0\r\nHost: {host}\r\n{line}\r\n"
                    ));
                    let answer = wire.rest().unwrap_or_default();
                    let shown = String::from_utf8_lossy(&answer);
                    assert!(!shown.contains(SECRET), "{method} {host} {below}{path}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_front_controller_answers_what_is_no_file() {
    let server = server("fallback = \"index.run\"");
    for (path, want) in [
        ("/some/page", "/index.run|/some/page|GET\n"),
        ("/none.css", "/index.run|/none.css|GET\n"),
        ("/empty/", "/index.run|/empty/|GET\n"),
        ("/none.run/x", "/index.run|/none.run/x|GET\n"),
        ("/style.css", "css"),
        ("/own.cgi", "/own.cgi||GET\n"),
    ] {
        assert_eq!(server.get(path).text(), want, "{path}");
    }
    let post = "POST /some/page HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(server.ask(post).text(), "/index.run|/some/page|POST\n");
    for path in ["/.git/config", "/.none", "/.hidden/x.run"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_same_folder_twice_is_files_and_scripts() {
    let files = [("root/a.txt", "text"), ("root/x.run", "printf 'X: y\\n\\nran'\n")];
    let config = "[cgi]\ninterpreter = { \".run\" = \"/bin/sh\" }\n[[host]]\nroot = \"root\"\ncgi = \"root/\"\n";
    let server = TestServer::new(config, &files);
    assert_eq!(server.get("/a.txt").text(), "text");
    assert_eq!(server.get("/x.run").text(), "ran");
}

/// By whichever name and wherever a script is reached later: its folder is known by what it is.
#[test]
fn scripts_stay_closed_where_their_folder_is_moved_or_linked() {
    let server = server("[[host]]\nnames = [\"other.test\"]\nroot = \"other\"\n");
    let other = server.path("other");
    let ask = |path: &str| {
        let answer = server.ask(format!("GET {path} HTTP/1.1\r\nHost: other.test\r\n\r\n"));
        assert!(!answer.text().contains(SECRET), "{path}: {}", answer.text());
        answer.status
    };
    assert_eq!(ask("/own.run"), 200, "a script's name where none are closed");
    // What has a second name is found when the folder is read, once a second.
    std::fs::hard_link(server.path("root/index.run"), other.join("hard.txt")).unwrap();
    let closed = || {
        let request = "GET /hard.txt HTTP/1.1\r\nHost: other.test\r\n\r\n";
        (server.ask(request).status == 404).then_some(())
    };
    assert!(eventually(closed).is_some(), "by a second name");
    std::fs::rename(server.path("root"), other.join("moved")).unwrap();
    let moved = |when: &str| {
        assert_eq!(ask("/moved/style.css"), 200, "{when}");
        for path in ["index.run", "own.cgi", "old.run~", "link.txt", "tool", "sub/deep.cgi"] {
            assert_eq!(ask(&format!("/moved/{path}")), 404, "{path} {when}");
        }
    };
    moved("moved");
    std::fs::rename(other.join("moved/sub"), other.join("sub")).unwrap();
    assert_eq!((ask("/sub/deep.cgi"), ask("/sub/index.run")), (404, 404), "a folder of it alone");
    std::fs::rename(other.join("sub"), other.join("moved/sub")).unwrap();
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    moved("after a reload");
    std::fs::rename(other.join("moved"), server.path("root")).unwrap();
    assert_eq!(server.ask(get("/sub/deep.cgi")).text(), "/sub/deep.cgi||GET\n");
}
