#![no_main]
//! What a worker sends: every frame lies in what there is, and the rest begins where it ended.
use httpyserver::handlers::wsgi::wire::{FRAME_MAX, Frame, decode, fields};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some((frame, consumed))) = decode(rest) {
        assert!((12..=rest.len().min(FRAME_MAX)).contains(&consumed));
        if let Frame::Answer { fields: block, body, .. } = frame {
            assert!(block.len() + body.len() < consumed);
            assert!(fields(block).1.flatten().all(|(name, value)| !name.contains(&0) && !value.contains(&0)));
        }
        rest = &rest[consumed..];
    }
});
