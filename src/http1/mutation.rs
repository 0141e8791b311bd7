//! Damaged heads and chunks: see [`crate::http::mutation`].

use super::chunked::{Decoder, Step};
use super::limits::HeadLimits;
use super::{Parsed, framing, parse};
use crate::http::mutation::{check_path, damaged};
use crate::http::target::normalise;
use crate::http::{BodyLength, RequestHead, Version};

#[test]
fn heads() {
    damaged("parse", |input, random| {
        let limits = HeadLimits::default();
        let mut head = RequestHead::default();
        let whole = verdict(&parse(input, 0, &limits, &mut head));
        if let Ok(Some(taken)) = whole {
            assert!(taken > 0 && taken <= input.len());
            check_framing(&head);
            let mut path = Vec::new();
            if normalise(head.raw_path(), &mut path).is_ok() {
                check_path(&path);
                assert!(!head.has_plain_path() || path == head.raw_path());
            }
        }
        let cut = random.below(input.len() + 1);
        let first = verdict(&parse(&input[..cut], 0, &limits, &mut head));
        let in_two = match first {
            Ok(None) => verdict(&parse(input, cut, &limits, &mut head)),
            decided => decided,
        };
        assert_eq!(in_two, whole, "cut at {cut}");
    });
}

#[test]
fn chunks() {
    damaged("chunked", |input, random| {
        let whole = decode(input, usize::MAX);
        assert!(whole.0.len() <= input.len());
        assert_eq!(decode(input, 1 + random.below(9)), whole);
    });
}

/// Bytes taken, nothing yet, or the status of the refusal.
fn verdict(parsed: &Parsed) -> Result<Option<usize>, u16> {
    match parsed {
        Parsed::Partial => Ok(None),
        Parsed::Complete(taken) => Ok(Some(*taken)),
        Parsed::Refused(error) => Err(error.status.code()),
    }
}

fn check_framing(head: &RequestHead) {
    match framing::frame(head) {
        Err(error) => assert!(error.close, "a framing error is fatal"),
        Ok(framing) => {
            let chunked = framing.body == BodyLength::Unknown;
            assert!(!chunked || head.version() == Version::Http11);
            assert!(!framing.expects_continue || !framing.body.is_empty());
        }
    }
}

/// The data of a chunked body that arrives in pieces of `step`; whether it ended well, and how much
/// of the input belonged to it.
fn decode(input: &[u8], step: usize) -> (Vec<u8>, Result<Option<usize>, u16>) {
    let (mut decoder, mut data, mut at) = (Decoder::new(), Vec::new(), 0);
    let mut there = 0;
    loop {
        match decoder.step(&input[at..there]) {
            Err(error) => return (data, Err(error.status.code())),
            Ok(Step::End { consumed }) => return (data, Ok(Some(at + consumed))),
            Ok(Step::Data { skip, len }) => {
                assert!(len > 0 && at + skip + len <= there);
                data.extend_from_slice(&input[at + skip..at + skip + len]);
                decoder.took(len);
                at += skip + len;
            }
            Ok(Step::More { consumed }) => {
                assert_eq!(consumed, there - at);
                if there == input.len() {
                    return (data, Ok(None));
                }
                at = there;
                there = there.saturating_add(step).min(input.len());
            }
        }
    }
}
