//! What is never served, by whichever name, link or mount it is reached: scripts, pages, keys, lists
//! of users and the configuration.

use crate::cgi::text;
use crate::support::{Authority, Start, TestServer, eventually, get, run};
use rustix::process::Signal;
use std::fs::{self, Permissions, hard_link, rename};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// No list of users may be empty.
const HASH: &str = "ann:$2b$04$abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq\n";

/// A site with everything in it that is closed, and another one of the folder around it.
const CONFIG: &str = r#"
[server]
listen = ["http://127.0.0.1:0", "https://127.0.0.1:0"]
[[tls.cert]]
chain = "site/a.pem"
key = "site/a.key"
[[host]]
names = ["site.test"]
root = "site"
listing = true
auth = { users = "site/.users", for = ["DELETE"] }
  [[host.route]]
  path = "/cgi-bin/"
  cgi = "site/cgi-bin"
  [[host.route]]
  path = "/pages/"
  pages = "site/pages"
[[host]]
names = ["around.test"]
default = true
root = "."
listing = true
"#;

/// Without programs, into whose folders no upload may go.
const UPLOADS: &str = r#"
[[host]]
names = ["around.test"]
default = true
root = "."
auth = { users = "site/.users", for = ["PATCH"] }
upload = { methods = ["PUT", "DELETE"], mkdir = true }
"#;

const SECRETS: [&str; 5] =
    ["cgi-bin/script", "cgi-bin/deep/part.sh", "pages/index.py", "a.key", ".users"];

fn start() -> Start {
    let script = text("echo ran");
    let start = Start::new(
        CONFIG,
        &[
            ("site/a.txt", "plain"),
            ("site/sub/b.txt", "plain"),
            ("site/.users", HASH),
            ("site/cgi-bin/script", &script),
            ("site/cgi-bin/deep/part.sh", "text"),
            ("site/pages/index.py", "def request_handler(request_details): pass\n"),
        ],
    );
    let place = start.path().join("site");
    fs::set_permissions(place.join("cgi-bin/script"), Permissions::from_mode(0o755)).unwrap();
    Authority::new().issue(&["site.test"], "a").write(&place, "a");
    start
}

fn status(server: &TestServer, host: &str, path: &str) -> u16 {
    server.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status
}

fn put(server: &TestServer, path: &str) -> u16 {
    let head = format!("PUT {path} HTTP/1.1\r\nHost: around.test\r\nContent-Length: 1\r\n\r\nx");
    server.ask(head).status
}

fn delete(server: &TestServer, path: &str) -> u16 {
    server.ask(format!("DELETE {path} HTTP/1.1\r\nHost: around.test\r\n\r\n")).status
}

/// Nothing that is closed is shown below any of `prefixes`, nor written over.
fn check(server: &TestServer, prefixes: &[&str]) {
    for prefix in prefixes {
        for secret in SECRETS {
            let path = format!("/{prefix}/{secret}");
            assert_eq!(status(server, "around.test", &path), 404, "{path}");
        }
        assert_eq!(status(server, "around.test", &format!("/{prefix}/a.txt")), 200, "{prefix}");
        let listing = server.get(&format!("/{prefix}/"));
        let shows = |name: &str| listing.text().contains(&format!("{name}</a>"));
        assert!(shows("a.txt") && !shows("a.key") && !shows(".users"), "{}", listing.text());
        assert!(!shows("cgi-bin/") && !shows("pages/"), "{}", listing.text());
    }
}

#[test]
fn renaming_opens_nothing() {
    let server = start().run();
    check(&server, &["site"]);
    rename(server.path("site"), server.path("site.old")).unwrap();
    check(&server, &["site.old"]);
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "not reloaded");
    check(&server, &["site.old"]);
    let is_gone = || (status(&server, "site.test", "/a.txt") == 404).then_some(());
    eventually(is_gone).expect("the folder is not there");
    for secret in SECRETS {
        let there = status(&server, "site.test", &format!("/{secret}"));
        assert_ne!(there, 200, "{secret}");
    }
    // Another site takes its place, with other secrets in the same places.
    fs::create_dir_all(server.path("site/cgi-bin/deep")).unwrap();
    fs::create_dir_all(server.path("site/pages")).unwrap();
    for name in SECRETS.iter().chain(&["a.txt"]) {
        server.write(&format!("site/{name}"), "new");
    }
    check(&server, &["site", "site.old"]);
    fs::remove_dir_all(server.path("site")).unwrap();
    rename(server.path("site.old"), server.path("site")).unwrap();
    check(&server, &["site"]);
    rename(server.path("site/cgi-bin"), server.path("site/moved")).unwrap();
    rename(server.path("site/a.key"), server.path("site/moved.key")).unwrap();
    for path in ["/site/moved/script", "/site/moved/deep/part.sh", "/site/moved.key"] {
        assert_eq!(status(&server, "around.test", path), 404, "{path}");
    }
}

#[test]
fn reloads_and_second_names_open_nothing() {
    let start = start();
    let place = start.path().to_owned();
    for (from, to) in [
        ("site/a.key", "key.txt"),
        ("site/.users", "users.txt"),
        ("web.conf", "conf.txt"),
        ("site/cgi-bin/script", "script.txt"),
        ("site/cgi-bin/deep/part.sh", "part.txt"),
    ] {
        hard_link(place.join(from), place.join(to)).unwrap();
    }
    hard_link(place.join("site/a.txt"), place.join("second.txt")).unwrap();
    symlink("site/cgi-bin", place.join("by-link")).unwrap();
    symlink("site/cgi-bin/deep", place.join("by-deep-link")).unwrap();
    let server = start.run();
    for reloaded in [false, true] {
        check(&server, &["site"]);
        for path in [
            "key.txt",
            "users.txt",
            "conf.txt",
            "script.txt",
            "part.txt",
            "by-link/script",
            "by-deep-link/part.sh",
            "web.conf",
        ] {
            assert_eq!(status(&server, "around.test", &format!("/{path}")), 404, "{path}");
            let listing = server.get("/");
            assert!(!listing.text().contains(&format!("{path}</a>")), "{}", listing.text());
        }
        assert_eq!(status(&server, "around.test", "/second.txt"), 200);
        if !reloaded {
            server.signal(Signal::HUP);
            server.read_until("stderr.txt", "reloaded\n");
        }
    }
}

#[test]
fn uploads_replace_nothing_that_is_closed() {
    let start = Start::new(UPLOADS, &[("site/.users", HASH), ("a.txt", "a")]);
    let place = start.path().to_owned();
    hard_link(place.join("site/.users"), place.join("users.txt")).unwrap();
    hard_link(place.join("web.conf"), place.join("conf.txt")).unwrap();
    let server = start.run();
    let url = "http://around.test/conf.txt";
    let (_, told, _) = run(&place, &["explain", "-c", "web.conf", url], "");
    assert!(told.contains("closed: never served") && told.contains("404"), "{told}");
    for moved in [false, true] {
        let list = if moved { "/old/.users" } else { "/site/.users" };
        for path in [list, "/users.txt", "/conf.txt", "/web.conf"] {
            assert_eq!((put(&server, path), delete(&server, path)), (403, 403), "{path}");
            assert_eq!(server.get(path).status, 404, "{path}");
        }
        if !moved {
            rename(server.path("site"), server.path("old")).unwrap();
        }
    }
    assert_eq!((put(&server, "/a.txt"), delete(&server, "/a.txt")), (204, 204));
    assert_eq!(fs::read_to_string(server.path("old/.users")).unwrap(), HASH);
}

#[test]
fn a_folder_that_was_renamed_stays_closed_through_reloads() {
    let config = "[[host]]\nroot = \".\"\n[[host.route]]\npath = \"/run/\"\ncgi = \"site/cgi\"\n";
    let server = TestServer::new(config, &[("site/cgi/run", "x"), ("site/a.txt", "a")]);
    rename(server.path("site"), server.path("old")).unwrap();
    for reload in 1..=2 {
        server.signal(Signal::HUP);
        let done =
            || (server.read("stderr.txt").matches("reloaded\n").count() == reload).then_some(());
        eventually(done).expect("it reloads");
        assert_eq!(server.get("/old/a.txt").text(), "a");
        assert_eq!(server.get("/old/cgi/run").status, 404);
    }
}

/// What is kept in memory is asked again, too.
#[test]
fn what_becomes_closed_is_forgotten() {
    let config = "[[host]]\nroot = \".\"\n[[host.route]]\npath = \"/run/\"\ncgi = \"now\"\n";
    let start = Start::new(config, &[("one/x", "one"), ("two/x.txt", "two")]);
    let place = start.path().to_owned();
    symlink("one", place.join("now")).unwrap();
    let server = start.run();
    assert_eq!(server.get("/two/x.txt").text(), "two");
    symlink("two", place.join("draft")).unwrap();
    rename(place.join("draft"), place.join("now")).unwrap();
    eventually(|| (server.get("/two/x.txt").status == 404).then_some(())).expect("it is closed");
    assert_eq!(server.get("/one/x").status, 404, "it was closed, and stays so");
    // And by the way to it alone: the file is the same one.
    let deep = "[[host]]\nroot = \".\"\n[[host.route]]\npath = \"/run/\"\ncgi = \"cgi\"\n";
    let server = TestServer::new(deep, &[("cgi/run", "x"), ("plain/x.txt", "text")]);
    symlink("plain", server.path("way")).unwrap();
    assert_eq!(server.get("/way/x.txt").text(), "text");
    rename(server.path("plain"), server.path("cgi/plain")).unwrap();
    fs::remove_file(server.path("way")).unwrap();
    symlink("cgi/plain", server.path("way")).unwrap();
    eventually(|| (server.get("/way/x.txt").status == 404).then_some(())).expect("it is closed");
}

/// A release that is turned by one link has its scripts closed with the first look at it.
#[test]
fn a_folder_of_scripts_is_closed_where_its_link_leads_now() {
    let config = "[[host]]\nroot = \"now\"\n[[host.route]]\npath = \"/run/\"\ncgi = \"now/cgi\"\n";
    let script = |name: &str| text(&format!("echo {name}; pwd"));
    let (one, two) = (script("one"), script("two"));
    let start = Start::new(
        config,
        &[("one/cgi/s", &one), ("two/cgi/s", &two), ("one/a.txt", "one"), ("two/a.txt", "two")],
    );
    let place = start.path().to_owned();
    for name in ["one", "two"] {
        let path = place.join(name).join("cgi/s");
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    symlink("one", place.join("now")).unwrap();
    let server = start.run();
    assert!(server.get("/run/s").text().starts_with("one\n"));
    assert_eq!(server.get("/cgi/s").status, 404);
    symlink("two", place.join("draft")).unwrap();
    rename(place.join("draft"), place.join("now")).unwrap();
    assert_eq!(server.get("/cgi/s").status, 404);
    eventually(|| (server.get("/a.txt").text() == "two").then_some(())).expect("the new release");
    assert_eq!(server.get("/cgi/s").status, 404);
    let ran = eventually(|| Some(server.get("/run/s")).filter(|r| r.text().starts_with("two\n")));
    let folder = place.join("two/cgi").canonicalize().unwrap();
    assert_eq!(ran.unwrap().text(), format!("two\n{}\n", folder.display()));
}

/// Where namespaces are to be had without being root, or as root.
fn can_unshare() -> bool {
    Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success())
}

#[test]
fn without_proc_the_same_is_closed() {
    if !can_unshare() {
        return;
    }
    let wrapper = "exec unshare -rm sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh \"$@\"";
    let start = start().wrapper(wrapper);
    symlink("site/cgi-bin/script", start.path().join("link")).unwrap();
    hard_link(start.path().join("web.conf"), start.path().join("conf.txt")).unwrap();
    let server = start.run();
    check(&server, &["site"]);
    for path in ["/link", "/conf.txt"] {
        assert_eq!(status(&server, "around.test", path), 404, "{path}");
    }
    rename(server.path("site"), server.path("site.old")).unwrap();
    check(&server, &["site.old"]);
}

#[test]
fn mounts_open_nothing() {
    if !can_unshare() {
        return;
    }
    let wrapper = "exec unshare -rm sh -c 'mkdir m1 m2 m3 && : > m4 &&
        mount --bind site/cgi-bin m1 && mount --bind site m2 &&
        mount --bind site/cgi-bin/deep m3 && mount --bind site/a.key m4 && exec \"$@\"' sh \"$@\"";
    let server = start().wrapper(wrapper).run();
    check(&server, &["site", "m2"]);
    for path in ["/m1/script", "/m1/deep/part.sh", "/m3/part.sh", "/m4"] {
        assert_eq!(status(&server, "around.test", path), 404, "{path}");
    }
}

#[test]
fn the_key_of_our_own_making_is_closed() {
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
        [tls]\nlocal = true\n[[host]]\nroot = \".\"\nhidden = true\n\
        upload = { methods = [\"PUT\", \"DELETE\"], mkdir = true }\n";
    let server = Start::new(config, &[("a.txt", "a")]).run();
    let key = Path::new("state/.tls/local.key");
    let before = fs::read(server.path("state/.tls/local.key")).unwrap();
    assert_eq!(server.get("/a.txt").status, 200);
    for name in ["local.key", "local.pem", "new.key"] {
        let path = format!("/state/.tls/{name}");
        assert_eq!(server.get(&path).status, 404, "{path}");
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert!(server.ask(head).status >= 400, "{path}");
        assert!(server.ask(get(&path).replacen("GET", "DELETE", 1)).status >= 400, "{path}");
    }
    assert_eq!(fs::read(server.path("state/.tls/local.key")).unwrap(), before, "{}", key.display());
    assert!(!server.path("state/.tls/new.key").exists());
    rename(server.path("state"), server.path("other")).unwrap();
    assert_eq!(server.get("/other/.tls/local.key").status, 404);
}

/// A key that is renewed by renaming is closed before it is noticed.
#[test]
fn a_renewed_key_is_closed_at_once() {
    let server = start().run();
    let key = server.path("site/a.key");
    for n in 0..5 {
        let draft = server.path("draft");
        fs::write(&draft, format!("key {n}")).unwrap();
        rename(&draft, &key).unwrap();
        hard_link(&key, server.path(&format!("copy{n}"))).unwrap();
        for path in ["/site/a.key".to_owned(), format!("/copy{n}")] {
            assert_eq!(status(&server, "around.test", &path), 404, "{path}");
        }
    }
    for n in 0..5 {
        assert_eq!(status(&server, "around.test", &format!("/copy{n}")), 404, "{n}");
    }
}
