//! Requests with conditions, and gzip.

use crate::support::{Response, TestServer};

fn ask(server: &TestServer, path: &str, headers: &str) -> Response {
    server.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"))
}

#[test]
fn validators_of_files() {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    let first = server.get("/a.txt");
    let etag = first.header("ETag").unwrap().to_owned();
    let modified = first.header("Last-Modified").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let (old, new) = ("Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    for (headers, status) in [
        (format!("If-None-Match: {etag}"), 304),
        (format!("If-None-Match: W/{etag}"), 304),
        (format!("If-None-Match: \"x\", {etag}"), 304),
        ("If-None-Match: *".into(), 304),
        ("If-None-Match: \"x\"".into(), 200),
        (format!("If-Modified-Since: {modified}"), 304),
        (format!("If-Modified-Since: {new}"), 304),
        (format!("If-Modified-Since: {old}"), 200),
        ("If-Modified-Since: yesterday".into(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {new}"), 200),
        (format!("If-Match: {etag}"), 200),
        ("If-Match: *".into(), 200),
        ("If-Match: \"x\"".into(), 412),
        (format!("If-Match: W/{etag}"), 412),
        (format!("If-Unmodified-Since: {new}"), 200),
        (format!("If-Unmodified-Since: {old}"), 412),
    ] {
        let response = ask(&server, "/a.txt", &headers);
        assert_eq!(response.status, status, "{headers}");
        if status == 304 {
            assert_eq!(response.header("ETag"), Some(&*etag), "{headers}");
            assert_eq!(response.header("Content-Length"), None, "{headers}");
        }
    }
    assert_eq!(ask(&server, "/none", "If-None-Match: *").status, 404);
}

#[test]
fn another_content_has_another_tag() {
    let server = TestServer::of_files(&[("root/a.txt", "one")]);
    let before = server.get("/a.txt").header("ETag").unwrap().to_owned();
    server.write("new", "two");
    std::fs::rename(server.path("new"), server.path("root/a.txt")).unwrap();
    let changed = crate::support::eventually(|| {
        let response = ask(&server, "/a.txt", &format!("If-None-Match: {before}"));
        (response.status == 200).then_some(response)
    });
    assert_ne!(changed.unwrap().header("ETag"), Some(&*before));
}

#[test]
fn what_describes_a_body_is_not_in_a_304() {
    let server = TestServer::of_files(&[("root/long.txt", &"all work ".repeat(300))]);
    for coding in ["gzip", "identity"] {
        let coding = format!("Accept-Encoding: {coding}");
        let tag = ask(&server, "/long.txt", &coding).header("ETag").unwrap().to_owned();
        for method in ["GET", "HEAD"] {
            let again = server.ask(format!(
                "{method} /long.txt HTTP/1.1\r\nHost: a\r\n{coding}\r\nIf-None-Match: {tag}\r\n\r\n"
            ));
            assert_eq!((again.status, again.header("ETag")), (304, Some(&*tag)));
            let lines = again.head.lines().skip(1);
            let mut names: Vec<_> =
                lines.filter_map(|line| Some(line.split_once(": ")?.0)).collect();
            names.sort_unstable();
            assert_eq!(names, ["Date", "ETag", "Server", "Vary"], "{coding} {method}");
        }
    }
}

#[test]
fn a_file_rewritten_in_place_with_its_old_date_has_another_tag_and_no_date() {
    let server = TestServer::of_files(&[("root/a.txt", "one")]);
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    let put = |content: &str| {
        server.write("root/a.txt", content);
        let file = std::fs::File::options().write(true).open(server.path("root/a.txt")).unwrap();
        file.set_modified(date).unwrap();
    };
    put("one");
    let before = crate::support::eventually(|| {
        let response = server.get("/a.txt");
        let date = response.header("Last-Modified").map(str::to_owned);
        (date.as_deref() == Some("Fri, 14 Jul 2017 02:40:00 GMT")).then_some(response)
    });
    let tag = before.unwrap().header("ETag").unwrap().to_owned();
    put("two");
    let condition = format!("If-None-Match: {tag}");
    let changed = crate::support::eventually(|| {
        Some(ask(&server, "/a.txt", &condition)).filter(|response| response.status == 200)
    });
    let changed = changed.unwrap();
    assert_eq!((changed.text(), changed.header("Last-Modified")), ("two", None));
    let by_date = "If-Modified-Since: Fri, 14 Jul 2017 02:40:00 GMT";
    assert_eq!(ask(&server, "/a.txt", by_date).status, 200);
    let part = format!("Range: bytes=1-\r\nIf-Range: {tag}");
    assert_eq!(ask(&server, "/a.txt", &part).status, 200, "not two halves of two files");
}

#[test]
fn gzip_where_it_helps() {
    let text = "all work and no play ".repeat(200);
    let server = TestServer::of_files(&[
        ("root/long.txt", &text),
        ("root/short.txt", "short"),
        ("root/long.png", &text),
    ]);
    let coding = |path, headers| {
        let response = ask(&server, path, headers);
        assert_eq!(response.status, 200, "{path}");
        response.header("Content-Encoding").map(str::to_owned)
    };
    let gzip = Some("gzip".to_owned());
    assert_eq!(coding("/long.txt", "Accept-Encoding: gzip, br"), gzip);
    assert_eq!(coding("/long.txt", "Accept-Encoding: *"), gzip);
    assert_eq!(coding("/long.txt", "Accept-Encoding: gzip;q=0"), None);
    assert_eq!(coding("/long.txt", "Accept-Encoding: br"), None);
    assert_eq!(coding("/long.txt", "Accept: */*"), None);
    assert_eq!(coding("/short.txt", "Accept-Encoding: gzip"), None);
    assert_eq!(coding("/long.png", "Accept-Encoding: gzip"), None);

    let plain = ask(&server, "/long.txt", "Accept: */*");
    let packed = ask(&server, "/long.txt", "Accept-Encoding: gzip");
    assert!(packed.body.len() < plain.body.len() / 4 && packed.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(packed.header("Vary"), Some("Accept-Encoding"));
    assert_eq!(plain.header("Vary"), Some("Accept-Encoding"), "caches must know it from both");
    assert_ne!(packed.header("ETag"), plain.header("ETag"));
    let tag = packed.header("ETag").unwrap();
    let again =
        ask(&server, "/long.txt", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}"));
    assert_eq!(again.status, 304);
    let range = ask(&server, "/long.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-9");
    assert_eq!((range.status, range.text()), (206, &text[..10]), "ranges are of the file itself");
}

#[test]
fn a_client_that_prefers_identity_gets_it() {
    let text = "all work and no play ".repeat(200);
    let server = TestServer::of_files(&[("root/long.txt", &text)]);
    for (accepted, coding) in [
        ("gzip;q=0.2, identity;q=1", None),
        ("gzip;q=0.2, *;q=1", None),
        ("identity;q=0.2, gzip;q=1", Some("gzip")),
        ("gzip;q=0.2", Some("gzip")),
        ("*, gzip;q=18446744073709551616", None),
    ] {
        let response = ask(&server, "/long.txt", &format!("Accept-Encoding: {accepted}"));
        assert_eq!(response.header("Content-Encoding"), coding, "{accepted}");
        assert_eq!(response.header("Vary"), Some("Accept-Encoding"), "{accepted}");
    }
}
