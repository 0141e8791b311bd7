//! The frames between the server and a worker: pure functions of bytes, both directions.
//!
//! Every frame begins with its length (of what follows these four bytes), the id of the request it
//! is about, flags, a kind and a status; numbers are little-endian. What differs from request to
//! request comes first, so that a worker can keep the rest of a head it sends often. `worker.py` has
//! the same layout a second time. The version is checked once, when a worker says that it is ready.
//!
//! Not here: which frames are allowed when; that is `pool`'s to know. A frame that is longer than
//! `FRAME_MAX`, of an unknown kind, or inconsistent in itself, is a fault of the worker, after
//! which it cannot be believed any more.

use crate::http::Status;
use std::fmt;

/// What both sides must agree on.
pub(super) const VERSION: u16 = 2;

/// The longest frame of a worker: a block of headers, and a piece of 64 KiB.
pub const FRAME_MAX: usize = 192 * 1024;

/// The longest block of headers, piece of a body, or text.
const PART_MAX: usize = 64 * 1024;

/// The longest name of an exception, or version of Python.
const WORD_MAX: usize = 256;

/// Length, id, flags, kind and status.
const HEAD: usize = 12;

/// What a worker says. `id` is the number under which the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The application is loaded.
    Ready {
        /// Of these frames.
        version: u16,
        /// The version of Python.
        python: &'a [u8],
    },
    /// It cannot be loaded.
    Failed {
        /// Why, for people, in UTF-8.
        text: &'a [u8],
    },
    /// The head of an answer and the beginning of its body.
    Answer {
        /// Which request it answers.
        id: u32,
        /// Its status: a final one.
        status: Status,
        /// Names and values, each separated from the next by NUL.
        fields: &'a [u8],
        /// What there is of its body.
        body: &'a [u8],
        /// That is all.
        end: bool,
    },
    /// More of the body.
    Data {
        /// Which request it answers.
        id: u32,
        /// The bytes.
        body: &'a [u8],
        /// That is all.
        end: bool,
    },
    /// The rest of the body is part of a file, whose descriptor comes along.
    File {
        /// Which request it answers.
        id: u32,
        /// Where the part begins.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// A request that was not begun, because the one before takes long.
    Returned {
        /// Which one.
        id: u32,
    },
    /// The application raised, or the answer was of no use any more.
    Error {
        /// Which request it was at.
        id: u32,
        /// The name of the exception.
        what: &'a [u8],
    },
    /// A Python source has changed.
    Changed,
}

/// Why a worker cannot be believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A length that no frame has.
    Length(u32),
    /// A kind that there is not.
    Kind(u8),
    /// Parts that do not fit into each other.
    Shape(u8),
    /// A status that is none of a final answer.
    Status(u16),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a frame of {length} bytes"),
            Self::Kind(kind) => write!(f, "a frame of the unknown kind {kind}"),
            Self::Shape(kind) => write!(f, "a frame of kind {kind} that is inconsistent"),
            Self::Status(status) => write!(f, "the status {status}"),
        }
    }
}

/// The first frame of `bytes` and its length; `None` while it is incomplete.
///
/// # Errors
/// No frame begins like this.
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Fault> {
    let Some(length) = u32_at(bytes, 0) else { return Ok(None) };
    let whole = (length as usize).saturating_add(4);
    if !(HEAD..=FRAME_MAX).contains(&whole) {
        return Err(Fault::Length(length));
    }
    let Some(frame) = bytes.get(..whole) else { return Ok(None) };
    let (Some(id), Some([flags, kind]), Some(status)) =
        (u32_at(frame, 4), array_at(frame, 8), array_at(frame, 10).map(u16::from_le_bytes))
    else {
        return Err(Fault::Length(length));
    };
    let (rest, end) = (frame.get(HEAD..).unwrap_or_default(), flags & END != 0);
    let shape = Fault::Shape(kind);
    let frame = match kind {
        1 if rest.len() <= WORD_MAX => Frame::Ready { version: status, python: rest },
        2 if rest.len() <= PART_MAX => Frame::Failed { text: rest },
        3 => {
            let length = u32_at(rest, 0).ok_or(shape)? as usize;
            let rest = rest.get(4..).unwrap_or_default();
            let (fields, body) = rest.split_at_checked(length).ok_or(shape)?;
            if fields.len() > PART_MAX || body.len() > PART_MAX {
                return Err(shape);
            }
            let known = Status::new(status).filter(|known| known.class() >= 2);
            let status = known.ok_or(Fault::Status(status))?;
            Frame::Answer { id, status, fields, body, end }
        }
        4 if rest.len() <= PART_MAX => Frame::Data { id, body: rest, end },
        5 => {
            let offset = array_at(rest, 0).map(u64::from_le_bytes).ok_or(shape)?;
            let len = array_at(rest, 8).map(u64::from_le_bytes).ok_or(shape)?;
            // Offsets of files are signed.
            offset.checked_add(len).filter(|end| *end <= i64::MAX as u64).ok_or(shape)?;
            Frame::File { id, offset, len }
        }
        6 if rest.is_empty() => Frame::Returned { id },
        7 if rest.len() <= WORD_MAX => Frame::Error { id, what: rest },
        8 if rest.is_empty() => Frame::Changed,
        1..=8 => return Err(shape),
        _ => return Err(Fault::Kind(kind)),
    };
    Ok(Some((frame, whole)))
}

/// The answer is complete with this frame.
const END: u8 = 1;

/// A name and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// What an answer says of its status, and names and values of its header lines; `None` for a name
/// without its value.
pub fn fields(block: &[u8]) -> (&[u8], impl Iterator<Item = Option<Pair<'_>>>) {
    let mut parts = block.split(|b| *b == 0);
    let reason = parts.next().unwrap_or_default();
    let pairs = std::iter::from_fn(move || {
        let name = parts.next()?;
        Some(parts.next().map(|value| (name, value)))
    });
    (reason, pairs)
}

/// What a worker is told first: words separated by NUL.
pub(super) fn setup(words: &[&[u8]]) -> Vec<u8> {
    let text = words.join(&0);
    let mut frame = Vec::with_capacity(HEAD + text.len());
    frame.extend_from_slice(&frame_head(HEAD - 4 + text.len(), 1, 0, VERSION, 0));
    frame.extend_from_slice(&text);
    frame
}

/// How the body of a request reaches the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// There is none.
    None,
    /// In the frame.
    Inline,
    /// As a file whose descriptor comes along.
    File,
}

/// A request, ready to be sent under any id: the frame is kept, because a worker may give it back.
///
/// Its environment has two blocks. `common` is names and values that a client's requests have in
/// common; a worker remembers what it made of such a block, and seeing it again costs one look-up.
/// `own` is the values that differ from request to request, in an order that both sides know; with a
/// body there is one more.
#[derive(Debug, Default)]
pub(super) struct Call {
    frame: Vec<u8>,
}

/// Length, id, flags, kind, status, and the lengths of the two blocks.
const CALL_HEAD: usize = 20;

impl Call {
    /// Begins a request in memory that may have served another.
    pub(super) fn begin(mut memory: Vec<u8>) -> CallWriter {
        memory.clear();
        memory.resize(CALL_HEAD, 0);
        CallWriter { frame: memory, pairs: 0, common: None }
    }

    /// The frame, under this id.
    pub(super) fn under(&mut self, id: u32) -> &[u8] {
        if let Some(place) = self.frame.get_mut(ID..ID + 4) {
            place.copy_from_slice(&id.to_le_bytes());
        }
        &self.frame
    }

    /// The first of the common values and the third of the own ones, for people: method and target.
    pub(super) fn label(&self) -> String {
        let common = u32_at(&self.frame, 12).unwrap_or_default() as usize;
        let own = u32_at(&self.frame, 16).unwrap_or_default() as usize;
        let blocks = self.frame.get(CALL_HEAD..).unwrap_or_default();
        let (common, rest) = blocks.split_at_checked(common).unwrap_or_default();
        let nth = |block: &[u8], n| {
            let word = block.split(|b| *b == 0).nth(n).unwrap_or_default();
            word.escape_ascii().to_string()
        };
        format!("{} {}", nth(common, 1), nth(rest.get(..own).unwrap_or_default(), 2))
    }

    /// The memory, for another.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.frame
    }
}

/// A request that is being written.
pub(super) struct CallWriter {
    frame: Vec<u8>,
    /// Pairs in the common block.
    pairs: usize,
    /// Where the common block ended.
    common: Option<usize>,
}

impl CallWriter {
    /// Adds a pair to the common block.
    pub(super) fn pair(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(self.common.is_none(), "the common block has ended");
        self.frame.reserve(name.len() + value.len() + 2);
        if self.pairs > 0 {
            self.frame.push(0);
        }
        self.pairs += 1;
        self.frame.extend_from_slice(name);
        self.frame.push(0);
        self.frame.extend_from_slice(value);
    }

    /// Adds the own block, and ends the common one.
    pub(super) fn own(&mut self, values: &[&[u8]]) {
        self.common = Some(self.frame.len());
        for (n, value) in values.iter().enumerate() {
            if n > 0 {
                self.frame.push(0);
            }
            let clean = memchr::memchr(0, value).is_none();
            self.frame.extend_from_slice(if clean { value } else { b"" });
        }
    }

    /// Adds the body, and completes the frame. `None`: there is a NUL in a name or a value, which
    /// would shift all that follows. Nothing that was parsed has one.
    pub(super) fn finish(mut self, body: &[u8], kind: BodyKind, head_only: bool) -> Option<Call> {
        let common = self.common.unwrap_or(self.frame.len());
        let own = self.frame.len() - common;
        let block = self.frame.get(CALL_HEAD..common)?;
        if memchr::memchr_iter(0, block).count() != (2 * self.pairs).saturating_sub(1) {
            return None;
        }
        self.frame.extend_from_slice(body);
        let flags = match kind {
            BodyKind::None => 0,
            BodyKind::Inline => 1,
            BodyKind::File => 2,
        } | if head_only { 4 } else { 0 };
        let length = self.frame.len() - 4;
        let (head, rest) = self.frame.split_first_chunk_mut::<HEAD>()?;
        *head = frame_head(length, 2, flags, 0, 0);
        let lengths = rest.first_chunk_mut::<{ CALL_HEAD - HEAD }>()?;
        let number = |n: usize| (n as u32).to_le_bytes();
        let ([a, b, c, d], [e, f, g, h]) = (number(common - CALL_HEAD), number(own));
        *lengths = [a, b, c, d, e, f, g, h];
        Some(Call { frame: self.frame })
    }
}

/// Where the id is.
const ID: usize = 4;

fn frame_head(length: usize, kind: u8, flags: u8, status: u16, id: u32) -> [u8; HEAD] {
    let ([a, b, c, d], [e, f, g, h]) = ((length as u32).to_le_bytes(), id.to_le_bytes());
    let [low, high] = status.to_le_bytes();
    [a, b, c, d, e, f, g, h, flags, kind, low, high]
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, status: u16, id: u32, rest: &[u8]) -> Vec<u8> {
        let head = frame_head(HEAD - 4 + rest.len(), kind, flags, status, id);
        [&head, rest].concat()
    }

    #[test]
    fn frames_of_a_worker() {
        let answer = |head: u32, rest: &[u8]| [&head.to_le_bytes()[..], rest].concat();
        let numbers = |offset: u64, len: u64| [offset.to_le_bytes(), len.to_le_bytes()].concat();
        let ok = Status::OK;
        for (name, bytes, want) in [
            (
                "ready",
                frame(1, 0, 1, 0, b"3.9.1"),
                Ok(Frame::Ready { version: 1, python: b"3.9.1" }),
            ),
            ("failed", frame(2, 0, 1, 0, b"why"), Ok(Frame::Failed { text: b"why" })),
            (
                "whole answer",
                frame(3, 1, 200, 7, &answer(3, b"A\x001body")),
                Ok(Frame::Answer {
                    id: 7,
                    status: ok,
                    fields: b"A\x001",
                    body: b"body",
                    end: true,
                }),
            ),
            (
                "empty answer",
                frame(3, 0, 200, 7, &answer(0, b"")),
                Ok(Frame::Answer { id: 7, status: ok, fields: b"", body: b"", end: false }),
            ),
            ("data", frame(4, 0, 0, 7, b"x"), Ok(Frame::Data { id: 7, body: b"x", end: false })),
            ("end", frame(4, 1, 0, 7, b""), Ok(Frame::Data { id: 7, body: b"", end: true })),
            (
                "file",
                frame(5, 1, 0, 7, &numbers(5, 6)),
                Ok(Frame::File { id: 7, offset: 5, len: 6 }),
            ),
            ("returned", frame(6, 0, 0, 7, b""), Ok(Frame::Returned { id: 7 })),
            ("error", frame(7, 1, 0, 7, b"E"), Ok(Frame::Error { id: 7, what: b"E" })),
            ("changed", frame(8, 0, 0, 0, b""), Ok(Frame::Changed)),
            (
                "headers beyond the frame",
                frame(3, 0, 200, 7, &answer(4, b"abc")),
                Err(Fault::Shape(3)),
            ),
            ("no length of headers", frame(3, 0, 200, 7, b"abc"), Err(Fault::Shape(3))),
            ("interim", frame(3, 0, 103, 7, &answer(0, b"")), Err(Fault::Status(103))),
            ("no status", frame(3, 0, 0, 7, &answer(0, b"")), Err(Fault::Status(0))),
            ("file without numbers", frame(5, 0, 0, 7, &[0; 15]), Err(Fault::Shape(5))),
            ("file beyond all", frame(5, 0, 0, 7, &numbers(u64::MAX, 1)), Err(Fault::Shape(5))),
            ("file of 2^63", frame(5, 0, 0, 7, &numbers(1 << 62, 1 << 62)), Err(Fault::Shape(5))),
            ("long version", frame(1, 0, 2, 0, &[b'3'; WORD_MAX + 1]), Err(Fault::Shape(1))),
            ("long text", frame(2, 0, 2, 0, &[b'x'; PART_MAX + 1]), Err(Fault::Shape(2))),
            ("long piece", frame(4, 0, 0, 7, &[b'x'; PART_MAX + 1]), Err(Fault::Shape(4))),
            ("returned, with more", frame(6, 0, 0, 7, b"x"), Err(Fault::Shape(6))),
            ("long name", frame(7, 1, 0, 7, &[b'E'; WORD_MAX + 1]), Err(Fault::Shape(7))),
            ("changed, with more", frame(8, 0, 0, 0, b"x"), Err(Fault::Shape(8))),
            ("kind 0", frame(0, 0, 0, 7, b""), Err(Fault::Kind(0))),
            ("kind 9", frame(9, 0, 0, 7, b""), Err(Fault::Kind(9))),
            ("too short", vec![7, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7], Err(Fault::Length(7))),
            ("too long", vec![255, 255, 255, 255], Err(Fault::Length(u32::MAX))),
        ] {
            let want = want.map(|frame| Some((frame, bytes.len())));
            assert_eq!(decode(&bytes), want, "{name}");
            if want.is_ok() {
                for cut in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..cut]), Ok(None), "{name} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn fields_come_in_pairs() {
        let read = |block: &[u8]| {
            let (reason, pairs) = fields(block);
            assert_eq!(reason, b"Fine");
            pairs
                .map(|pair| pair.map(|(n, v)| format!("{}={}", n.escape_ascii(), v.escape_ascii())))
                .collect::<Vec<_>>()
        };
        assert_eq!(read(b"Fine"), []);
        assert_eq!(read(b"Fine\0A\x001\0B\0"), [Some("A=1".into()), Some("B=".into())]);
        assert_eq!(read(b"Fine\0A\x001\0B"), [Some("A=1".into()), None]);
    }

    #[test]
    fn a_call_has_its_blocks_in_order() {
        let mut writer = Call::begin(b"what was there".to_vec());
        writer.pair(b"A", b"PUT");
        writer.pair(b"B", b"");
        writer.own(&[b"/", b"x\0y", b"/?x"]);
        let mut call = writer.finish(b"body", BodyKind::Inline, true).unwrap();
        let bytes = call.under(0x0102_0304).to_vec();
        assert_eq!(u32_at(&bytes, 0), Some(bytes.len() as u32 - 4));
        assert_eq!(bytes[4..12], [4, 3, 2, 1, 1 | 4, 2, 0, 0]);
        assert_eq!((u32_at(&bytes, 12), u32_at(&bytes, 16)), (Some(8), Some(6)));
        assert_eq!(&bytes[20..], b"A\0PUT\0B\0/\0\0/?xbody");
        assert_eq!(call.under(9)[4..8], [9, 0, 0, 0]);
        assert_eq!(call.label(), "PUT /?x");
    }

    #[test]
    fn nothing_shifts_what_follows() {
        for (name, value) in [("B\0C", "2"), ("B", "2\0D"), ("\0", "")] {
            let mut writer = Call::begin(Vec::new());
            writer.pair(b"A", b"1");
            writer.pair(name.as_bytes(), value.as_bytes());
            writer.own(&[b"/"]);
            assert!(writer.finish(b"", BodyKind::None, false).is_none(), "{name:?} {value:?}");
        }
        let call = Call::begin(Vec::new()).finish(b"", BodyKind::None, false);
        assert_eq!(call.map(|call| call.label()), Some(" ".to_owned()));
    }

    /// Seeds and damaged ones: found frames lie in what there is, and how the stream is cut does not
    /// matter.
    #[test]
    fn damaged_frames_are_frames_or_faults() {
        crate::http::mutation::damaged("wire", |stream, random| {
            let read = |stream: &[u8]| {
                let (mut at, mut found) = (0, Vec::new());
                loop {
                    match decode(stream.get(at..).unwrap_or_default()) {
                        Ok(Some((frame, consumed))) => {
                            assert!((HEAD..=FRAME_MAX.min(stream.len() - at)).contains(&consumed));
                            if let Frame::Answer { fields: block, .. } = frame {
                                let clean = |part: &[u8]| !part.contains(&0);
                                let (reason, mut pairs) = fields(block);
                                assert!(clean(reason));
                                assert!(
                                    pairs
                                        .all(|pair| pair.is_none_or(|(n, v)| clean(n) && clean(v)))
                                );
                            }
                            found.push(format!("{frame:?}"));
                            at += consumed;
                        }
                        end => return (at, found, end.err()),
                    }
                }
            };
            let (at, found, fault) = read(stream);
            let cut = random.below(stream.len() + 1);
            let (before, mut begun, early) = read(&stream[..cut]);
            assert!(before <= at && (early.is_none() || early == fault));
            begun.extend(read(&stream[before..]).1);
            assert_eq!(begun, found);
        });
    }

    proptest! {
        /// Whatever a worker sends: no panic, and never a frame longer than what there is.
        #[test]
        fn anything_is_a_frame_a_fault_or_a_beginning(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
            length in 0u32..80, kind in 0u8..10, honest in any::<bool>(),
        ) {
            if honest && bytes.len() >= 12 {
                bytes[..4].copy_from_slice(&length.to_le_bytes());
                bytes[9] = kind;
            }
            if let Ok(Some((_, consumed))) = decode(&bytes) {
                prop_assert!((HEAD..=bytes.len()).contains(&consumed));
            }
            let _ = fields(&bytes).1.count();
        }

        /// Frames are found one after the other, however the stream is cut.
        #[test]
        fn cuts_do_not_matter(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            step in 1usize..50,
        ) {
            let stream: Vec<u8> = bodies.iter().enumerate()
                .flat_map(|(n, body)| frame(4, 0, 0, n as u32, body)).collect();
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some((Frame::Data { body, .. }, consumed)) = decode(&buffer).unwrap() {
                    found.push(body.to_vec());
                    buffer.drain(..consumed);
                }
            }
            prop_assert_eq!(found, bodies);
        }
    }
}
