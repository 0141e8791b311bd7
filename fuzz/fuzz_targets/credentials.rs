#![no_main]
//! The value of an Authorization header: what is taken has a name without colon, and both without
//! control characters.
use httpyserver::http::Credentials;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(read) = Credentials::basic(data) {
        assert!(!read.user().contains(':'));
        assert!(!read.user().chars().chain(read.password().chars()).any(char::is_control));
        assert_eq!(read.as_bytes().len(), read.user().len() + 1 + read.password().len());
    }
});
