#![no_main]
//! A web.conf of either format: a configuration or messages about it, never neither.
use httpyserver::conf::{Source, load};
use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let source = Source { name: "web.conf".into(), text: text.into() };
    let (config, found) = load(source, Path::new("/srv"), None);
    assert!(config.is_some() != found.has_errors());
    let _ = found.render(true);
});
