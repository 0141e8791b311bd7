#![no_main]
//! Frames of HTTP/2: understood or refused, and written as they were read.
use httpyserver::http2::frame::{FrameHead, HEAD_LEN, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Some(head) = FrameHead::parse(rest) {
        assert_eq!(FrameHead::parse(&head.bytes()), Some(head));
        let Some(payload) = rest.get(HEAD_LEN..HEAD_LEN + head.length) else { return };
        let _ = parse(head, payload);
        rest = &rest[HEAD_LEN + head.length..];
    }
});
