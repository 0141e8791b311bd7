//! Reads answers as a client does, by rules of its own: nothing of the server is used here.

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether it came to its end.
    pub(super) complete: bool,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it has come to an end of its own, and not to that of the connection.
    pub(super) fn has_end(&self) -> bool {
        let framed = ["content-length", "transfer-encoding"];
        self.complete && framed.iter().any(|name| self.header(name).is_some())
    }

    pub(super) fn says_close(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// Takes one answer off the front of `bytes`, which are all there will ever be (the connection has
/// ended) or all there is. `None`: not even a whole head.
pub(super) fn take(bytes: &mut &[u8], to_head: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..end]).expect("a head of text");
    *bytes = &bytes[end + 4..];
    let (first, lines) = text.split_once("\r\n").unwrap_or((text, ""));
    let status = first.strip_prefix("HTTP/1.1 ").expect("a status line").get(..3).unwrap();
    let mut headers = Vec::new();
    for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header line");
        assert!(headers.iter().all(|(n, _)| n != &name.to_lowercase()), "{name} twice");
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let status = status.parse().expect("a status");
    let mut answer = Answer { status, headers, body: Vec::new(), complete: true };
    let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
    let chunked = answer.header("transfer-encoding") == Some("chunked");
    assert!(!(chunked && length.is_some()), "two framings");
    if to_head || status < 200 || status == 204 || status == 304 {
        return Some(answer);
    }
    if chunked {
        answer.complete = take_chunks(bytes, &mut answer.body);
    } else {
        let there = bytes.len().min(length.unwrap_or(usize::MAX));
        answer.complete = length.is_none_or(|length| length == there);
        answer.body = bytes[..there].to_vec();
        *bytes = &bytes[there..];
        assert!(length.is_some() || answer.says_close(), "an answer without an end");
    }
    Some(answer)
}

/// Whether the last chunk was there.
fn take_chunks(bytes: &mut &[u8], body: &mut Vec<u8>) -> bool {
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            *bytes = &[];
            return false;
        };
        let size = std::str::from_utf8(&bytes[..end]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let data = &bytes[end + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        let Some(rest) = data.get(size + 2..) else {
            *bytes = &[];
            return false;
        };
        assert_eq!(&data[size..size + 2], b"\r\n", "the end of a chunk");
        *bytes = rest;
        if size == 0 {
            return true;
        }
    }
}
