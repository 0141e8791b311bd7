//! Files of a folder: the right ones, whole, and nothing outside it.

use crate::support::{Start, TestServer, Wire, eventually, get};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn the_usual() {
    let server = TestServer::of_files(&[
        ("root/index.html", "<p>top"),
        ("root/sub/index.html", "<p>sub"),
        ("root/empty/.keep", ""),
        ("root/a.txt", "hello"),
        ("root/a b\u{fc}.txt", "name"),
        ("root/style.css", "p{}"),
        ("root/app.js", "1"),
        ("root/data.json", "{}"),
        ("root/x.svg", "<svg/>"),
        ("root/p.png", "png"),
        ("root/README", "no extension"),
        ("root/.env", "SECRET"),
        ("root/.git/config", "SECRET"),
        ("root/.well-known/x.txt", "known"),
    ]);
    for (path, status, media_type) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/sub/", 200, "text/html; charset=utf-8"),
        ("/a.txt", 200, "text/plain; charset=utf-8"),
        ("/a.txt?query=1", 200, "text/plain; charset=utf-8"),
        ("//a.txt", 200, "text/plain; charset=utf-8"),
        ("/./a.txt", 200, "text/plain; charset=utf-8"),
        ("/%61.txt", 200, "text/plain; charset=utf-8"),
        ("/a%20b%C3%BC.txt", 200, "text/plain; charset=utf-8"),
        ("/style.css", 200, "text/css; charset=utf-8"),
        ("/app.js", 200, "text/javascript; charset=utf-8"),
        ("/data.json", 200, "application/json; charset=utf-8"),
        ("/x.svg", 200, "image/svg+xml; charset=utf-8"),
        ("/p.png", 200, "image/png"),
        ("/README", 200, "application/octet-stream"),
        ("/.well-known/x.txt", 200, "text/plain; charset=utf-8"),
        ("/empty/", 403, ""),
        ("/none", 404, ""),
        ("/a.txt/", 404, ""),
        ("/a.txt/b", 404, ""),
        ("/A.TXT", 404, ""),
        ("/.env", 404, ""),
        ("/%2eenv", 404, ""),
        ("//.env", 404, ""),
        ("/.git/config", 404, ""),
        ("/.git/", 404, ""),
        ("/.git", 404, ""),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}");
        if status == 200 {
            assert_eq!(response.header("Content-Type"), Some(media_type), "{path}");
        }
        assert!(!response.text().contains("SECRET"), "{path}");
    }
}

#[test]
fn folders_get_their_slash_and_never_another_host() {
    let server = TestServer::of_files(&[
        ("root/sub/index.html", ""),
        ("root/evil.example/index.html", ""),
        ("root/a b/index.html", ""),
    ]);
    for (path, status, location) in [
        ("/sub", 301, Some("/sub/")),
        ("/sub?a=1&b=%20", 301, Some("/sub/?a=1&b=%20")),
        ("/a%20b", 301, Some("/a%20b/")),
        ("//sub", 301, Some("/sub/")),
        ("//evil.example", 301, Some("/evil.example/")),
        ("///evil.example", 301, Some("/evil.example/")),
        ("/.//evil.example", 301, Some("/evil.example/")),
        ("//evil.example/../sub", 301, Some("/sub/")),
        ("//other//../evil.example", 301, Some("/evil.example/")),
        ("//evil.example/%2e%2e/%2e%2e", 400, None),
        ("/%5cevil.example", 400, None),
        ("/%2fevil.example", 400, None),
        ("/\\evil.example", 400, None),
        ("/sub?%0d%0aX: y", 400, None),
        ("/sub?%0d%0aX:y", 301, Some("/sub/?%0d%0aX:y")),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("Location")), (status, location), "{path}");
    }
}

#[test]
fn no_spelling_leads_out() {
    let server = TestServer::of_files(&[("root/sub/a.txt", "a"), ("secret.txt", "SECRET")]);
    let ups =
        ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "%u002e."];
    let slashes = ["/", "%2f", "%5c", "\\", "%252f", "//", "/./", "%c0%af"];
    for up in ups {
        for slash in slashes {
            for start in ["/", "/sub/", "/sub/../", "/%2e/", "//"] {
                for path in [
                    format!("{start}{up}{slash}secret.txt"),
                    format!("{start}{up}{slash}{up}{slash}secret.txt"),
                ] {
                    let response = server.get(&path);
                    assert!(
                        matches!(response.status, 400 | 403 | 404),
                        "{path}: {}",
                        response.status
                    );
                    assert!(!response.text().contains("SECRET"), "{path}");
                }
            }
        }
    }
    for path in
        ["/sub/a.txt%00", "/sub%2fa.txt", "/sub\\a.txt", "/sub%5ca.txt", "/%", "/%4", "/%zz"]
    {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
    assert_eq!(server.get(&format!("/{}", "a".repeat(300))).status, 404);
    assert_eq!(server.get(&"/a".repeat(3000)).status, 404);
}

#[test]
fn only_regular_files_within_the_root() {
    let server = TestServer::of_files(&[
        ("root/a.txt", "hello"),
        ("root/locked.txt", "locked"),
        ("out/secret.txt", "SECRET"),
    ]);
    let root = server.path("root");
    symlink("a.txt", root.join("inside.txt")).unwrap();
    symlink("../out/secret.txt", root.join("out.txt")).unwrap();
    symlink("/etc/passwd", root.join("absolute.txt")).unwrap();
    symlink("../out", root.join("folder")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::set_permissions(root.join("locked.txt"), Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    let locked = if File::open(root.join("locked.txt")).is_ok() { 200 } else { 403 };
    for (path, allowed) in [
        ("/inside.txt", &[200][..]),
        ("/out.txt", &[403, 404]),
        ("/absolute.txt", &[403, 404]),
        ("/folder/secret.txt", &[403, 404]),
        ("/folder/", &[403, 404]),
        ("/loop", &[403, 404]),
        ("/fifo", &[403]),
        ("/socket", &[403]),
        ("/locked.txt", &[locked]),
    ] {
        let response = server.get(path);
        assert!(allowed.contains(&response.status), "{path}: {}", response.status);
        assert!(
            !response.text().contains("SECRET") && !response.text().contains("root:"),
            "{path}"
        );
    }
}

#[test]
fn a_replaced_file_is_seen() {
    let server = TestServer::of_files(&[("root/a.txt", "old"), ("root/gone.txt", "old")]);
    for content in ["new, and longer", "nex, and longer", "x"] {
        assert_eq!(server.get("/gone.txt").text(), "old");
        server.get("/a.txt");
        server.write("next", content);
        fs::rename(server.path("next"), server.path("root/a.txt")).unwrap();
        assert!(eventually(|| (server.get("/a.txt").text() == content).then_some(())).is_some());
    }
    fs::remove_file(server.path("root/gone.txt")).unwrap();
    assert!(eventually(|| (server.get("/gone.txt").status == 404).then_some(())).is_some());
    server.write("root/gone.txt", "back");
    assert!(eventually(|| (server.get("/gone.txt").status == 200).then_some(())).is_some());
}

const LARGE: u64 = 64 * 1024 * 1024;

#[test]
fn a_file_cut_while_it_is_served_ends_the_connection_and_adds_nothing() {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    let file = File::create(server.path("root/large.bin")).unwrap();
    file.set_len(LARGE).unwrap();
    let mut wire = Wire::connect(&server);
    wire.send(get("/large.bin") + &get("/a.txt"));
    let head = wire.head().unwrap().unwrap();
    assert!(head.contains(&format!("Content-Length: {LARGE}\r\n")));
    wire.take(100_000).unwrap();
    file.set_len(100_000).unwrap();
    let mut rest = 0;
    // The connection ends, by a reset or not; what is left in the sockets' buffers still comes.
    while wire.take(1).is_ok() {
        rest += 1;
    }
    assert!(100_000 + rest < LARGE, "as many as promised, though the file is short");
    assert_eq!(server.get("/a.txt").text(), "hello");
}

#[test]
fn a_growing_file_is_sent_as_long_as_promised() {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    File::create(server.path("root/large.bin")).unwrap().set_len(LARGE).unwrap();
    let mut wire = Wire::connect(&server);
    wire.send(get("/large.bin"));
    wire.head().unwrap().unwrap();
    let mut file = OpenOptions::new().append(true).open(server.path("root/large.bin")).unwrap();
    file.write_all(&[b'x'; 1000]).unwrap();
    let body = wire.take(LARGE as usize).unwrap();
    assert!(body.iter().all(|byte| *byte == 0));
    assert_eq!(wire.get("/a.txt").text(), "hello", "the next answer begins where the file ends");
}

#[test]
fn the_configuration_is_neither_served_nor_written_over() {
    let config = "[[host]]\nroot = \".\"\nupload = { methods = [\"PUT\", \"DELETE\"] }\n";
    let start = Start::new(config, &[("a.txt", "a")]);
    symlink("web.conf", start.path().join("link.txt")).unwrap();
    let server = start.run();
    assert_eq!(server.get("/a.txt").text(), "a");
    for path in ["/web.conf", "/link.txt"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    let put = "PUT /web.conf HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(server.ask(put).status, 403);
    assert_eq!(server.ask(get("/web.conf").replacen("GET", "DELETE", 1)).status, 403);
    assert!(server.read("web.conf").contains("[[host]]"));
}

/// No list of users may be empty.
const HASH: &str = "ann:$2b$04$abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq\n";

#[test]
fn a_configuration_and_a_list_that_are_links_are_not_written_over_either() {
    let config = "[[host]]\nroot = \".\"\nupload = { methods = [\"PUT\", \"DELETE\"] }\n\
        [[host.route]]\npath = \"/in/\"\nfiles = \".\"\nauth = { users = \"now/.users\" }\n";
    let start = Start::new(config, &[("v1/.users", HASH), ("v1/b.txt", "b")]);
    let place = start.path().to_owned();
    fs::rename(place.join("web.conf"), place.join("real.conf")).unwrap();
    symlink("real.conf", place.join("web.conf")).unwrap();
    symlink("v1", place.join("now")).unwrap();
    let server = start.run();
    for path in ["/web.conf", "/real.conf", "/now"] {
        for method in ["PUT", "DELETE"] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
            let status = server.ask(head).status;
            assert!(matches!(status, 403 | 409), "{method} {path}: {status}");
        }
    }
    assert!(place.join("web.conf").is_symlink() && place.join("now").is_symlink());
    assert_eq!(server.get("/now/b.txt").text(), "b", "the folder is not closed");
}
