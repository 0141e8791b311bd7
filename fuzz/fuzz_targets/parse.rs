#![no_main]
//! A request head and its framing, from any bytes.
use httpyserver::http::RequestHead;
use httpyserver::http1::{Parsed, framing, limits::HeadLimits, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut head = RequestHead::default();
    if let Parsed::Complete(taken) = parse(data, 0, &HeadLimits::default(), &mut head) {
        assert!(taken <= data.len());
        let _ = framing::frame(&head);
    }
});
