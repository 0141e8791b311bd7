#![no_main]
//! What a script answers: the same however it is cut, and no line that could split an answer.
use httpyserver::handlers::cgi::head::parse;
use httpyserver::handlers::gateway::relay::ParsedHead;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = parse(data, 0);
    let half = data.len() / 2;
    if parse(&data[..half], 0) == ParsedHead::Partial {
        assert_eq!(parse(data, half), whole);
    }
    if let ParsedHead::Complete(head, end) = whole {
        assert!(end <= data.len());
        assert!(head.headers.iter().all(|(_, value)| !value.iter().any(|b| b"\r\n\0".contains(b))));
    }
});
