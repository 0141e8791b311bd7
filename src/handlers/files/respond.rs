//! What is sent of a file: all of it, nothing new, or a part; as it is or compressed.

use super::entry::{Entry, Variant};
use super::ranges;
use crate::http::conditional::{self, Verdict};
use crate::http::range::{self, ByteRange, RangePlan};
use crate::http::{Headers, HttpError, Known, Method, RequestHead, Status, accepts_coding};
use crate::serve::{PreparedHead, Response};

/// Answers a GET or HEAD for a file; `None`: once it is compressed. `boundary` makes a text for the lines between parts.
///
/// # Errors
/// 412 for a condition that fails, 416 for a range beyond the end.
pub fn respond(
    entry: &Entry,
    head: &RequestHead,
    boundary: impl FnOnce() -> String,
) -> Result<Option<Response>, HttpError> {
    // A Range only means something to GET (RFC 9110 §14.2), and always bytes of the file itself:
    // parts of two codings must never be put together.
    let range = head.get(Known::Range).filter(|_| head.method() == Method::Get);
    let variant = match range {
        None if entry.may_gzip() => choose(entry, head),
        _ => Some(&entry.plain),
    };
    let Some(variant) = variant else { return Ok(None) };
    answer(entry, variant, range, head, boundary).map(Some)
}

fn answer(
    entry: &Entry,
    variant: &Variant,
    range: Option<&[u8]>,
    head: &RequestHead,
    boundary: impl FnOnce() -> String,
) -> Result<Response, HttpError> {
    if is_plain(head) {
        return Ok(variant.ok());
    }
    let validators = variant.validators(entry.modified);
    match conditional::evaluate(head, Some(&validators)) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(variant.not_modified()),
        Verdict::PreconditionFailed => {
            return Err(HttpError::new(
                Status::PRECONDITION_FAILED,
                "the file does not meet the conditions",
            ));
        }
    }
    let Some(range) = range.filter(|_| conditional::range_applies(head, &validators)) else {
        return Ok(variant.ok());
    };
    let size = variant.content.len();
    match range::resolve(range, size) {
        RangePlan::Full => Ok(variant.ok()),
        RangePlan::Single(part) => Ok(single(entry, part)),
        // All of it would be shorter (CVE-2011-3192 asked for a thousand times everything).
        RangePlan::Multi(parts) if sum(&parts) > size => Ok(variant.ok()),
        RangePlan::Multi(parts) => Ok(ranges::multipart(entry, &parts, &boundary())),
        RangePlan::Unsatisfiable => {
            Err(HttpError::new(Status::RANGE_NOT_SATISFIABLE, "no range lies within the file")
                .with_header("Content-Range", &format!("bytes */{size}")))
        }
    }
}

/// Whether a request asks neither conditions nor for parts: most do not.
fn is_plain(head: &RequestHead) -> bool {
    const SPECIAL: [Known; 5] = [
        Known::IfNoneMatch,
        Known::IfModifiedSince,
        Known::Range,
        Known::IfMatch,
        Known::IfUnmodifiedSince,
    ];
    SPECIAL.iter().all(|name| head.get(*name).is_none())
}

fn choose<'a>(entry: &'a Entry, head: &RequestHead) -> Option<&'a Variant> {
    match accepts_coding(head.all(Known::AcceptEncoding), "gzip") {
        true => entry.gzip(),
        false => Some(&entry.plain),
    }
}

fn single(entry: &Entry, part: ByteRange) -> Response {
    let size = entry.plain.content.len();
    let last = part.start.saturating_add(part.len).saturating_sub(1);
    let (mut first, mut rest) = (Headers::new(), Headers::new());
    first.push("Content-Type", entry.media_type.as_bytes());
    let range = format!("bytes {}-{last}/{size}", part.start);
    rest.push("Content-Range", range.as_bytes());
    rest.append(&entry.plain.lines);
    let head = PreparedHead::new(Status::PARTIAL_CONTENT, &first, part.len, &rest);
    Response::prepared(&head, entry.plain.content.part(part.start, part.len))
}

fn sum(parts: &[ByteRange]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::entry::MEMORY_MAX;
    use crate::handlers::files::testing::{body_bytes, entry_of, head_text, request};
    use std::rc::Rc;

    const TEXT: &[u8; 2600] = &[b'e'; 2600];

    fn entry(name: &str, content: &[u8]) -> (tempfile::TempDir, Rc<Entry>) {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry_of(dir.path(), name, content);
        (dir, entry)
    }

    fn ask(entry: &Entry, method: &str, fields: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
        match respond(entry, &request(method, "/a", fields).head, || "B".into()) {
            Ok(None) => panic!("not compressed"),
            Ok(Some(r)) => (r.status.code(), head_text(&r), body_bytes(&r)),
            Err(e) => {
                let headers = e.headers.unwrap_or_default();
                let text = String::from_utf8(headers.as_bytes().to_vec()).unwrap();
                (e.status.code(), text, Vec::new())
            }
        }
    }

    #[test]
    fn a_plain_get() {
        let (_dir, entry) = entry("a.txt", b"hello");
        let (status, head, body) = ask(&entry, "GET", &[]);
        assert_eq!((status, &body[..]), (200, &b"hello"[..]));
        let etag = std::str::from_utf8(entry.plain.etag.as_bytes()).unwrap();
        for line in [
            "HTTP/1.1 200 OK\r\n",
            "\r\nContent-Type: text/plain; charset=utf-8\r\n",
            "\r\nContent-Length: 5\r\n",
            "\r\nLast-Modified: ",
            &format!("\r\nETag: {etag}\r\n"),
            "\r\nAccept-Ranges: bytes\r\n",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        assert!(!head.contains("Vary") && !head.contains("\r\n\r\n") && head.ends_with("\r\n"));
    }

    #[test]
    fn conditions() {
        let (_dir, entry) = entry("a.txt", b"hello");
        let etag = std::str::from_utf8(entry.plain.etag.as_bytes()).unwrap();
        for (name, value, want) in [
            ("If-None-Match", etag, 304),
            ("If-None-Match", "*", 304),
            ("If-None-Match", "\"other\"", 200),
            ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT", 304),
            ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT", 200),
            ("If-Match", etag, 200),
            ("If-Match", "\"other\"", 412),
            ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT", 412),
        ] {
            let (status, head, body) = ask(&entry, "GET", &[(name, value)]);
            assert_eq!(status, want, "{name}: {value}");
            if status == 304 {
                assert!(head.contains(etag) && !head.contains("Content-Length") && body.is_empty());
            }
        }
    }

    #[test]
    fn ranges_of_files_in_memory_and_on_disk() {
        let large: Vec<u8> = (0..MEMORY_MAX + 10).map(|n| (n % 251) as u8).collect();
        for content in [&large[..500], &large[..]] {
            let (_dir, entry) = entry("a.bin", content);
            let size = content.len();
            assert_eq!(entry.holds_file(), size > 500);
            for (header, start, len) in
                [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 10), ("bytes=-5", size - 5, 5)]
            {
                let (status, head, body) = ask(&entry, "GET", &[("Range", header)]);
                assert_eq!((status, &body[..]), (206, &content[start..start + len]), "{header}");
                let line = format!("Content-Range: bytes {start}-{}/{size}\r\n", start + len - 1);
                assert!(head.contains(&line), "{head}");
                assert!(head.contains(&format!("Content-Length: {len}\r\n")));
                assert_eq!(ask(&entry, "HEAD", &[("Range", header)]).0, 200, "only for GET");
            }
            let far = format!("bytes={size}-");
            let (status, head, _) = ask(&entry, "GET", &[("Range", &far)]);
            assert_eq!((status, head), (416, format!("Content-Range: bytes */{size}\r\n")));
            for (if_range, want) in [
                (std::str::from_utf8(entry.plain.etag.as_bytes()).unwrap(), 206),
                ("\"other\"", 200),
                ("Sat, 01 Jan 2000 00:00:00 GMT", 200),
            ] {
                let fields = [("Range", "bytes=1-2"), ("If-Range", if_range)];
                assert_eq!(ask(&entry, "GET", &fields).0, want, "{if_range}");
            }
        }
    }

    #[test]
    fn gzip_is_a_variant_of_its_own() {
        let (_dir, entry) = entry("a.txt", TEXT);
        let (_, plain, body) = ask(&entry, "GET", &[]);
        assert!(body == TEXT && plain.contains("Vary: Accept-Encoding\r\n"));
        assert!(!plain.contains("Content-Encoding"));
        let (_, head, body) = ask(&entry, "GET", &[("Accept-Encoding", "br, gzip")]);
        assert!(body.len() < 200 && head.contains("Content-Encoding: gzip\r\n"), "{head}");
        assert!(head.contains("Vary: Accept-Encoding\r\n") && head.contains("-gz\"\r\n"));
        let mut unpacked = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&body[..]);
        std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
        assert_eq!(unpacked, TEXT);
        let ranged = [("Accept-Encoding", "gzip"), ("Range", "bytes=0-4")];
        let (status, head, body) = ask(&entry, "GET", &ranged);
        assert_eq!((status, &body[..]), (206, &b"eeeee"[..]));
        assert!(!head.contains("Content-Encoding") && !head.contains("-gz\""));
        let tag = entry.plain.etag.with_suffix("gz");
        let tag = std::str::from_utf8(tag.as_bytes()).unwrap();
        let again = [("Accept-Encoding", "gzip"), ("If-None-Match", tag)];
        assert_eq!(ask(&entry, "GET", &again).0, 304);
        assert_eq!(ask(&entry, "GET", &[("If-None-Match", tag)]).0, 200);
        assert_eq!(ask(&entry, "GET", &[("Accept-Encoding", "gzip;q=0")]).2, TEXT);
    }

    #[test]
    fn what_gzip_does_not_help_is_sent_as_it_is() {
        for (name, content) in [("a.png", &TEXT[..]), ("a.txt", &TEXT[..10]), ("a.txt", b"")] {
            let (_dir, entry) = entry(name, content);
            let (_, head, body) = ask(&entry, "GET", &[("Accept-Encoding", "gzip")]);
            assert!(!head.contains("Vary") && body == content, "{name}");
        }
    }
}
