#![no_main]
//! The files that may answer for a path below a folder of pages: Python files, none hidden, none outside.
use httpyserver::handlers::wsgi::page_names;
use httpyserver::http::target::normalise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut path = Vec::new();
    if normalise(data, &mut path).is_ok() {
        for name in page_names(&path[1..]) {
            assert!(name.ends_with(b".py") && !name.starts_with(b"/"));
            assert!(name.split(|b| *b == b'/').all(|part| !part.starts_with(b".") && !part.is_empty()));
        }
    }
});
