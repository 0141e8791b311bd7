#![no_main]
//! A path, decoded once: nothing in it leads up or ends a string early, and what programs and redirects
//! are told of it is the same place.
use httpyserver::http::target::{normalise, resolve_parents};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut path = Vec::new();
    let Ok(spelling) = normalise(data, &mut path) else { return };
    assert!(path.starts_with(b"/") && !path.contains(&0) && !path.contains(&b'\\'));
    assert!(path.split(|b| *b == b'/').all(|segment| segment != b".." && segment != b"."));
    let (mut sent, mut again) = (Vec::new(), Vec::new());
    resolve_parents(data, &mut sent);
    let resolved = normalise(&sent, &mut again).expect("what was resolved is a path");
    assert!(!resolved.parents);
    // `..` may have left the name with the encoded slash; percent signs are then spelt otherwise.
    assert!(resolved.encoded_slashes != spelling.encoded_slashes || again == path);
});
