//! Several parts of a file in one answer: `multipart/byteranges` (RFC 9110 §14.6).

use super::entry::Entry;
use crate::http::range::ByteRange;
use crate::http::{Headers, Status};
use crate::net::Bytes;
use crate::serve::{Body, Head, Part, Response};

/// The answer with these parts, which lie within the file.
pub fn multipart(entry: &Entry, ranges: &[ByteRange], boundary: &str) -> Response {
    let content = &entry.plain.content;
    let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
    for (at, range) in ranges.iter().enumerate() {
        let head = format!(
            "{}--{boundary}\r\nContent-Type: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
            if at == 0 { "" } else { "\r\n" },
            entry.media_type,
            range.start,
            range.start.saturating_add(range.len).saturating_sub(1),
            content.len(),
        );
        parts.push(Part::Bytes(Bytes::Owned(head.into_bytes())));
        match content.part(range.start, range.len) {
            Body::Bytes(bytes) => parts.push(Part::Bytes(bytes)),
            Body::File(slice) => parts.push(Part::File(slice)),
            Body::Empty | Body::Parts(_) => debug_assert!(false, "part of a file is neither"),
        }
    }
    parts.push(Part::Bytes(Bytes::Owned(format!("\r\n--{boundary}--\r\n").into_bytes())));
    let mut headers = Headers::new();
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    headers.push("Content-Type", media_type.as_bytes());
    headers.append(&entry.plain.lines);
    Response {
        status: Status::PARTIAL_CONTENT,
        head: Head::Fields(headers),
        body: Body::Parts(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::{body_bytes, entry_of};

    #[test]
    fn parts_are_framed() {
        let dir = tempfile::tempdir().unwrap();
        for size in [100, 100_000] {
            let content: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
            let entry = entry_of(dir.path(), "a.txt", &content);
            let parts = [ByteRange { start: 0, len: 2 }, ByteRange { start: 26, len: 3 }];
            let response = multipart(&entry, &parts, "B");
            let expected = format!(
                "--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/{size}\
                 \r\n\r\nab\r\n--B\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes 26-28/{size}\r\n\r\nabc\r\n--B--\r\n"
            );
            assert_eq!(String::from_utf8(body_bytes(&response)).unwrap(), expected);
            assert_eq!(response.body.len(), expected.len() as u64);
            let Head::Fields(headers) = response.head else { panic!() };
            assert_eq!(headers.get("content-type"), Some(&b"multipart/byteranges; boundary=B"[..]));
        }
    }
}
