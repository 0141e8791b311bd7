#![no_main]
//! The beginning of an uploaded file: whatever is taken for a picture has a size within the limits.
use httpyserver::demo::probe;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(found) = probe(data) {
        assert!((1..=40_000_000).contains(&(u64::from(found.width) * u64::from(found.height))));
    }
});
