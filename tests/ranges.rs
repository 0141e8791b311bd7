//! Parts of files.

use crate::support::{Response, TestServer, Wire, corpus};

const SIZE: usize = 200_000;

fn content() -> String {
    (0..SIZE).map(|n| char::from(b'a' + (n % 26) as u8)).collect()
}

fn ask(server: &TestServer, path: &str, headers: &str) -> Response {
    server.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"))
}

/// `/small` is kept in memory, `/large` sent from the disk.
fn server() -> TestServer {
    let content = content();
    TestServer::of_files(&[("root/small.txt", &content[..100]), ("root/large.txt", &content)])
}

#[test]
fn one_range() {
    let (server, content) = (server(), content());
    for (path, size) in [("/small.txt", 100), ("/large.txt", SIZE)] {
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=10-19", 10, 19),
            ("bytes=90-", 90, size - 1),
            ("bytes=-5", size - 5, size - 1),
            ("bytes=50-99999999", 50, size - 1),
            ("bytes=-99999999", 0, size - 1),
            ("Bytes=0-0", 0, 0),
        ] {
            let response = ask(&server, path, &format!("Range: {range}"));
            // A range that is everything may be answered with everything.
            if response.status == 200 && last - first + 1 == size {
                assert_eq!(response.text(), &content[..size]);
                continue;
            }
            assert_eq!(response.status, 206, "{path} {range}");
            assert_eq!(response.text(), &content[first..=last], "{path} {range}");
            let line = format!("bytes {first}-{last}/{size}");
            assert_eq!(response.header("Content-Range"), Some(&*line), "{path} {range}");
        }
    }
}

#[test]
fn ranges_that_are_none() {
    let server = server();
    for (range, status) in [
        ("bytes=100-", 416),
        ("bytes=100-200", 416),
        ("bytes=-0", 416),
        ("bytes=18446744073709551615-", 416),
        ("bytes=18446744073709551616-", 416),
        ("bytes=99999999999999999999-", 416),
        ("bytes=99999999999999999999-99999999999999999998", 200),
        ("bytes=5-2", 200),
        ("bytes=", 200),
        ("bytes=a-b", 200),
        ("bytes=+1-2", 200),
        ("lines=1-2", 200),
        ("1-2", 200),
    ] {
        let response = ask(&server, "/small.txt", &format!("Range: {range}"));
        assert_eq!(response.status, status, "{range}");
        if response.status == 416 {
            assert_eq!(response.header("Content-Range"), Some("bytes */100"), "{range}");
        }
    }
    assert_eq!(ask(&server, "/none", "Range: bytes=0-1").status, 404);
    let head = "HEAD /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    assert_eq!(Wire::connect(&server).send(head).response_to("HEAD").status, 200);
}

#[test]
fn several_ranges() {
    let (server, content) = (server(), content());
    for (path, size) in [("/small.txt", 100), ("/large.txt", SIZE)] {
        let response = ask(&server, path, "Range: bytes=0-1,26-28,-3");
        assert_eq!(response.status, 206, "{path}");
        let media_type = response.header("Content-Type").unwrap();
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = String::new();
        for (first, last) in [(0, 1), (26, 28), (size - 3, size - 1)] {
            let start = if expected.is_empty() { "" } else { "\r\n" };
            expected += &format!(
                "{start}--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n{}",
                &content[first..=last]
            );
        }
        expected += &format!("\r\n--{boundary}--\r\n");
        assert_eq!(response.text(), expected, "{path}");
    }
}

#[test]
fn never_more_than_the_file() {
    let server = server();
    let killer = (0..1000).map(|n| format!("{n}-")).collect::<Vec<_>>().join(",");
    let whole = vec!["0-"; 30].join(",");
    for range in [killer, whole, "0-0,".repeat(500)] {
        let response = ask(&server, "/large.txt", &format!("Range: bytes={range}"));
        assert!(matches!(response.status, 200 | 206 | 416), "{}", response.status);
        assert!(response.body.len() <= SIZE + 1000, "{} bytes", response.body.len());
    }
}

#[test]
fn the_corpus_of_ranges() {
    let server = server();
    for (name, range) in corpus("range") {
        if range.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            continue;
        }
        let request = [b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: ", &range[..], b"\r\n\r\n"];
        let response = server.ask(request.concat());
        assert!(matches!(response.status, 200 | 206 | 400 | 416), "{name}: {}", response.status);
    }
}

#[test]
fn if_range() {
    let (server, content) = (server(), content());
    let first = server.get("/small.txt");
    let (etag, modified) = (first.header("ETag").unwrap(), first.header("Last-Modified").unwrap());
    for (condition, status) in [
        (etag.to_owned(), 206),
        ("\"x\"".to_owned(), 200),
        (format!("W/{etag}"), 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT".to_owned(), 200),
    ] {
        let headers = format!("Range: bytes=0-4\r\nIf-Range: {condition}");
        let response = ask(&server, "/small.txt", &headers);
        assert_eq!(response.status, status, "{condition}");
        let length = if status == 206 { 5 } else { 100 };
        assert_eq!(response.text(), &content[..length], "{condition}");
    }
    // The date is a strong validator only once it is some time past.
    let headers = format!("Range: bytes=0-4\r\nIf-Range: {modified}");
    assert!(matches!(ask(&server, "/small.txt", &headers).status, 200 | 206));
}
