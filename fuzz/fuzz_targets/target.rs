#![no_main]
//! A path, decoded once: nothing in it leads up or ends a string early.
use httpyserver::http::target::normalise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut path = Vec::new();
    if normalise(data, &mut path).is_ok() {
        assert!(path.starts_with(b"/") && !path.contains(&0) && !path.contains(&b'\\'));
        assert!(path.split(|b| *b == b'/').all(|segment| segment != b".." && segment != b"."));
    }
});
