#![no_main]
//! A form in two pieces is the same form, and its content is not more than what came.
use httpyserver::http::multipart::{Scanner, Step};

/// Content of all parts, and whether it ended well.
fn scan(body: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let mut scanner = Scanner::of_content_type(b"multipart/form-data; boundary=X").unwrap();
    let (mut content, mut at, mut there) = (Vec::new(), 0, cut);
    loop {
        at += match scanner.step(&body[at..there]) {
            Err(_) => return (content, false),
            Ok(Step::End) => return (content, true),
            Ok(Step::More) if there < body.len() => {
                there = body.len();
                0
            }
            Ok(Step::More) => return (content, false),
            Ok(Step::Content { take }) => {
                content.extend_from_slice(&body[at..at + take]);
                take
            }
            Ok(Step::Skip { take } | Step::Part { take, .. } | Step::PartEnd { take }) => take,
        };
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = scan(data, data.len());
    assert!(whole.0.len() <= data.len());
    let halves = scan(data, data.len() / 2);
    assert_eq!(halves.1, whole.1);
    assert!(!whole.1 || halves.0 == whole.0);
});
