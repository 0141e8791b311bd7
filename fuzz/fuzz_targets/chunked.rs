#![no_main]
//! A chunked body: never more data than input, always an end.
use httpyserver::http1::chunked::{Decoder, Step};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut decoder, mut rest) = (Decoder::new(), data);
    while let Ok(Step::Data { skip, len }) = decoder.step(rest) {
        assert!(len > 0);
        rest = &rest[skip + len..];
        decoder.took(len);
    }
});
