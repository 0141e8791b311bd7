#![no_main]
//! A block of fields: decoded or refused, and never a head in which a line could be split.
use httpyserver::http::RequestHead;
use httpyserver::http2::head::Fields;
use httpyserver::http2::hpack::Decoder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut decoder, mut fields, mut head) =
        (Decoder::default(), Fields::default(), RequestHead::default());
    for block in data.split(|byte| *byte == 0xff) {
        fields.clear();
        if decoder.decode(block, |name, value| fields.push(name, value)).is_err() {
            return;
        }
        if fields.request(true, &mut head).is_ok() {
            for (name, value) in head.fields() {
                assert!(!name.is_empty() && !value.iter().any(|byte| b"\r\n\0".contains(byte)));
            }
        }
    }
});
