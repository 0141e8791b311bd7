//! Files that come in.

use crate::support::{Response, Start, TestServer, Wire, eventually, names_below};
use std::time::Duration;

const CONFIG: &str = r#"
[timeouts]
body = "400ms"
[[host]]
root = "root"
  [[host.route]]
  path = "/up/"
  files = "up"
  listing = true
  upload = { methods = ["PUT", "POST", "DELETE"], max = "100KiB" }
  [[host.route]]
  path = "/keep/"
  files = "up"
  upload = { overwrite = "refuse", mkdir = true }
  [[host.route]]
  path = "/rename/"
  files = "up"
  upload = { overwrite = "rename" }
"#;

fn server() -> TestServer {
    TestServer::new(CONFIG, &[("up/old.txt", "old"), ("up/sub/x", ""), ("root/a.txt", "")])
}

fn send(server: &TestServer, line: &str, headers: &str, body: &str) -> Response {
    let length = body.len();
    server.ask(format!(
        "{line} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ))
}

/// The files of the folder that takes uploads, also those that nobody is meant to see.
fn files(server: &TestServer) -> usize {
    names_below(&server.path("up")).iter().filter(|path| path.is_file()).count()
}

#[test]
fn conflicts_say_what_is_in_the_way() {
    let server = server();
    std::fs::create_dir(server.path("up/empty")).unwrap();
    for (line, status, text) in [
        ("PUT /up/none/a.txt", 409, "The folder for this file is not there."),
        ("PUT /up/none/a.txt", 409, "upload = { mkdir = true }"),
        ("POST /up/none/?name=a.txt", 409, "The folder for this file is not there."),
        ("PUT /up/old.txt/a", 409, "A part of the address is a file"),
        ("PUT /up/empty", 409, "A folder has that name."),
        ("PUT /up/empty/", 409, "The address names a folder."),
        ("PUT /keep/old.txt", 409, "A file of that name is here already"),
        ("DELETE /up/empty", 409, "only files are deleted"),
        ("DELETE /up/empty/", 409, "only files are deleted"),
        ("DELETE /up/", 409, "only files are deleted"),
        ("DELETE /up/none", 404, "nothing at this address"),
        ("DELETE /up/none/a", 404, "nothing at this address"),
        ("DELETE /up/old.txt/", 404, "nothing at this address"),
    ] {
        let response = send(&server, line, "", "x");
        assert_eq!(response.status, status, "{line}");
        assert!(response.text().contains(text), "{line}: {}", response.text());
    }
    assert_eq!(send(&server, "PUT /keep/made/a.txt", "", "x").status, 201, "with mkdir");
    assert!(server.path("up/empty").is_dir() && server.path("up/old.txt").is_file());
}

#[test]
fn put_post_and_delete() {
    let server = server();
    let put = |path: &str, body| send(&server, &format!("PUT {path}"), "", body);
    let created = put("/up/new.txt", "one");
    assert_eq!((created.status, server.read("up/new.txt").as_str()), (201, "one"));
    assert_eq!(server.get("/up/new.txt").header("ETag"), created.header("ETag"));
    assert_eq!(put("/up/new.txt", "two").status, 204);
    assert_eq!(server.get("/up/new.txt").text(), "two", "at once, though it was in the cache");
    assert_eq!(put("/up/empty", "").status, 201);
    assert_eq!(put("/up/a%20%C3%BC", "x").status, 201);
    assert_eq!(server.read("up/a \u{fc}"), "x");

    let posted = send(&server, "POST /up/", "Content-Type: image/png\r\n", "png");
    let location = posted.header("Location").unwrap();
    assert_eq!(posted.status, 201);
    assert!(location.starts_with("/up/") && location.ends_with(".png"), "{location}");
    assert_eq!(server.get(location).text(), "png");
    let posted = send(&server, "POST /up/?name=b%20c.txt", "", "named");
    assert_eq!((posted.status, posted.header("Location")), (201, Some("/up/b%20c.txt")));

    let delete = |path: &str| send(&server, &format!("DELETE {path}"), "", "").status;
    assert_eq!(delete("/up/new.txt"), 204);
    assert_eq!(server.get("/up/new.txt").status, 404);
    assert_eq!(delete("/up/new.txt"), 404);
    assert_eq!(delete("/up/sub"), 409);
    assert_eq!(delete("/keep/old.txt"), 405);
    assert_eq!(put("/a.txt", "x").status, 405, "not a route for uploads");
}

/// It stalled until its time-out when part of the body lay in the socket before it was asked for.
#[test]
fn an_upload_larger_than_a_buffer_does_not_stall() {
    let server = server();
    for size in [4_000, 9_000, 65_535, 65_536, 65_537, 70_000, 102_400] {
        let (body, head) = ("x".repeat(size), "PUT /up/large HTTP/1.1\r\nHost: a\r\n");
        let chunks = format!("{size:x}\r\n{body}\r\n0\r\n\r\n");
        let mut wire = Wire::connect(&server);
        for (headers, body) in [
            (format!("Content-Length: {size}"), &body),
            ("Transfer-Encoding: chunked".into(), &chunks),
        ] {
            wire.send(format!("{head}{headers}\r\n\r\n{body}"));
            assert!(matches!(wire.response().status, 201 | 204), "{size}, {headers}");
            wire.send(format!("{head}{headers}\r\nExpect: 100-continue\r\n\r\n"));
            assert_eq!(wire.response().status, 100, "{size}, {headers}");
            assert_eq!(wire.send(body).response().status, 204, "{size}, {headers}");
            assert_eq!(wire.get("/up/large").body.len(), size);
        }
    }
}

#[test]
fn names_that_are_taken() {
    let server = server();
    assert_eq!(send(&server, "PUT /keep/old.txt", "", "x").status, 409);
    assert_eq!(send(&server, "PUT /rename/old.txt", "", "x").status, 409);
    let posted = send(&server, "POST /rename/?name=old.txt", "", "second");
    assert_eq!((posted.status, posted.header("Location")), (201, Some("/rename/old-1.txt")));
    assert_eq!(server.read("up/old.txt"), "old");
    assert_eq!(send(&server, "PUT /keep/deep/er/x.txt", "", "x").status, 201);
    assert_eq!(send(&server, "PUT /up/none/x.txt", "", "x").status, 409);
    assert_eq!(send(&server, "PUT /up/old.txt/x.txt", "", "x").status, 409);
}

#[test]
fn conditions() {
    let server = server();
    let etag = server.get("/up/old.txt").header("ETag").unwrap().to_owned();
    for (headers, status) in [
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        ("If-None-Match: *\r\n".into(), 412),
        (format!("If-Match: {etag}\r\n"), 204),
        (format!("If-Match: {etag}\r\n"), 412),
    ] {
        assert_eq!(send(&server, "PUT /up/old.txt", &headers, "new").status, status, "{headers}");
    }
    assert_eq!(send(&server, "PUT /up/fresh", "If-None-Match: *\r\n", "x").status, 201);
    assert_eq!(send(&server, "PUT /up/fresher", "If-Match: *\r\n", "x").status, 412);
    assert_eq!(send(&server, "DELETE /up/fresh", "If-Match: \"x\"\r\n", "").status, 412);
}

#[test]
fn names_that_are_refused() {
    let server = server();
    let before = files(&server);
    for (path, status) in [
        ("/up/../../x", 400),
        ("/up/%2e%2e/%2e%2e/x", 400),
        ("/up/..%2fx", 400),
        ("/up/a%2fb", 400),
        ("/up/a%5cb", 400),
        ("/up/a%00b", 400),
        ("/up/a%0ab", 400),
        ("/up/.hidden", 403),
        ("/up/.sub/x", 403),
        ("/up/sub", 409),
        ("/up/sub/", 409),
        ("/up/", 409),
    ] {
        assert_eq!(send(&server, &format!("PUT {path}"), "", "x").status, status, "{path}");
    }
    for name in ["..", ".", ".x", "a/b", "..%2fx", "%2e%2e", "a%00", "a%5cb", "", &"x".repeat(300)]
    {
        let status = send(&server, &format!("POST /up/?name={name}"), "", "x").status;
        assert!(matches!(status, 400 | 403), "{name}: {status}");
    }
    for headers in ["Content-Range: bytes 0-0/9\r\n", "Content-Range: x\r\n"] {
        assert_eq!(send(&server, "PUT /up/old.txt", headers, "x").status, 400);
    }
    assert_eq!(server.ask("PUT /up/x HTTP/1.1\r\nHost: a\r\n\r\n").status, 411);
    std::os::unix::fs::symlink(server.path("root"), server.path("up/out")).unwrap();
    let status = send(&server, "PUT /up/out/x", "", "x").status;
    assert!(matches!(status, 403 | 404 | 409), "through a link: {status}");
    assert_eq!((files(&server), names_below(&server.path("root")).len()), (before, 1));
}

#[test]
fn too_large_by_length_and_by_chunks() {
    let server = server();
    let before = files(&server);
    let mut wire = Wire::connect(&server);
    wire.send("PUT /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n\r\n");
    assert_eq!(wire.response().status, 413, "before the body");
    assert!(wire.is_closed());
    let mut wire = Wire::connect(&server);
    wire.send("PUT /up/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..110 {
        wire.send(format!("400\r\n{}\r\n", "x".repeat(1024)));
    }
    assert_eq!(wire.send("0\r\n\r\n").response().status, 413);
    assert!(wire.is_closed());
    // At the line that says so, as with a length: none of its data has come.
    for line in ["19001\r\n", "19001;a=b\r\n", "ffffffffffffffff\r\n", "1\r\nx\r\n19000\r\n"] {
        let mut wire = Wire::connect(&server);
        wire.send("PUT /up/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(wire.send(line).response().status, 413, "{line:?}");
        assert!(wire.is_closed());
    }
    let fits = "x".repeat(102_400);
    assert_eq!(files(&server), before);
    assert_eq!(send(&server, "PUT /up/x", "", &fits).status, 201);
}

#[test]
fn a_client_that_sends_on_still_sees_that_it_is_too_large() {
    let server = server();
    let body = vec![b'x'; 5 << 20];
    for headers in ["Content-Length: 5242880", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::connect(&server);
        wire.send(format!("PUT /up/x HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"));
        if headers.ends_with("chunked") {
            wire.send("500000\r\n");
        }
        assert_eq!(wire.send(&body).response().status, 413, "{headers}");
    }
}

#[test]
fn what_another_site_asks_for_is_refused() {
    let server = server();
    for (headers, status) in [
        ("Origin: http://a\r\n", 204),
        ("Origin: http://a\r\nSec-Fetch-Site: same-origin\r\n", 204),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: http://a.evil.example\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(send(&server, "PUT /up/old.txt", headers, "x").status, status, "{headers}");
        let deleted = send(&server, "DELETE /up/sub/none", headers, "").status;
        assert_eq!(deleted, if status == 403 { 403 } else { 404 }, "{headers}");
        let posted = send(&server, "POST /up/", headers, "x").status;
        assert_eq!(posted, if status == 403 { 403 } else { 201 }, "{headers}");
        let read = server.ask(format!("GET /up/old.txt HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        assert_eq!(read.status, 200, "reading is for everybody: {headers}");
    }
}

#[test]
fn what_breaks_off_leaves_nothing() {
    let server = server();
    let (before, descriptors) = (files(&server), server.descriptors());
    let half = "Content-Length: 50000\r\n\r\nhalf";
    let chunk = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let broken = "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX";
    for n in 0..100 {
        let body = [half, chunk, broken][n % 3];
        let mut wire = Wire::connect(&server);
        wire.send(format!("PUT /up/x{n} HTTP/1.1\r\nHost: a\r\n{body}"));
        match n % 4 {
            // Reset, by closing with an answer unread or by the linger option.
            0 => {
                rustix::net::sockopt::set_socket_linger(&wire.stream, Some(Duration::ZERO)).unwrap()
            }
            1 => drop(wire.finish().rest()),
            _ => {}
        }
    }
    let gone = eventually(|| (server.descriptors() <= descriptors).then_some(()));
    assert!(gone.is_some(), "{} descriptors, {descriptors} before", server.descriptors());
    assert_eq!(files(&server), before, "{:?}", names_below(&server.path("up")));
    assert_eq!(send(&server, "PUT /up/old.txt", "", "still works").status, 204);
}

#[test]
fn an_upload_that_stalls_is_ended_and_the_old_file_stays() {
    let server = server();
    let before = files(&server);
    let mut wire = Wire::connect(&server);
    wire.send("PUT /up/old.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nhalf");
    let end = wire.rest();
    assert!(end.is_err() || end.is_ok_and(|rest| !rest.starts_with(b"HTTP/1.1 2")));
    assert_eq!((files(&server), server.read("up/old.txt").as_str()), (before, "old"));
}

#[test]
fn readers_see_the_old_file_until_the_new_one_is_whole() {
    let server = server();
    let mut wire = Wire::connect(&server);
    wire.send("PUT /up/old.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nnew");
    for _ in 0..10 {
        assert_eq!(server.get("/up/old.txt").text(), "old");
    }
    assert_eq!(wire.send("new").response().status, 204);
    assert_eq!(server.get("/up/old.txt").text(), "newnew");
}

/// A disk of its own for the server alone, which is gone with it.
const SMALL_DISK: &str =
    "exec unshare -m sh -c 'mount -t tmpfs -o size=64k none up && exec \"$@\"' sh \"$@\"";
/// Where that is not possible: no file may be larger than so many blocks, and no signal for it.
const SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let can_mount = std::process::Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"])
        .status()
        .is_ok_and(|status| status.success());
    let (wrapper, want) = if can_mount { (SMALL_DISK, 507) } else { (SMALL_FILES, 413) };
    if !can_mount {
        println!("no right to mount a small disk: a limit on the size of files stands in for it");
    }
    let server = Start::new(CONFIG, &[("up/sub/x", ""), ("root/a.txt", "")]).wrapper(wrapper).run();
    let body = "x".repeat(90_000);
    for _ in 0..3 {
        assert_eq!(send(&server, "PUT /up/large", "", &body).status, want);
    }
    assert_eq!(server.get("/up/large").status, 404);
    assert_eq!(send(&server, "PUT /up/small", "", "x").status, 201, "room for small ones");
    assert_eq!(server.get("/up/small").text(), "x");
    assert!(!server.get("/up/").text().contains("large"));
}
