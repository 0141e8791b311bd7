//! Frames (RFC 9113 §4.1 and §6).

use super::{Breach, ErrorCode};

/// Bytes of a frame's head.
pub const HEAD_LEN: usize = 9;

/// The longest payload that has to be taken (RFC 9113 §4.2). We ask for no more.
pub const PAYLOAD_MAX: usize = 16 * 1024;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of its payload.
    pub length: usize,
    /// Its kind, as it came.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
}

/// The kinds of frames.
#[allow(missing_docs)] // they are those of RFC 9113 §6 and RFC 9218 §7.1
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// Nothing of this stream follows.
pub const END_STREAM: u8 = 0x1;
/// An answer to SETTINGS or PING.
pub const ACK: u8 = 0x1;
/// The block of fields is complete.
pub const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A frame, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Part of a body. `padding` counts towards the windows as well.
    Data {
        /// The bytes.
        data: &'a [u8],
        /// Nothing follows them.
        ends_stream: bool,
    },
    /// The beginning of a block of fields.
    Headers {
        /// Part of the block.
        fragment: &'a [u8],
        /// The block is complete.
        ends_headers: bool,
        /// No body follows it.
        ends_stream: bool,
    },
    /// The old tree of priorities: of no meaning any more.
    Priority,
    /// The stream ends.
    Reset(u32),
    /// Settings, six bytes each.
    Settings(&'a [u8]),
    /// Ours were taken.
    SettingsAck,
    /// To be sent back.
    Ping([u8; 8]),
    /// Ours came back.
    PingAck,
    /// The client opens no further streams.
    GoAway(u32),
    /// The window becomes larger.
    WindowUpdate(u32),
    /// More of a block of fields.
    Continuation {
        /// Part of the block.
        fragment: &'a [u8],
        /// The block is complete.
        ends_headers: bool,
    },
    /// How urgent a stream is (RFC 9218 §7.1).
    PriorityUpdate {
        /// The stream that it is about.
        stream: u32,
        /// The field value.
        value: &'a [u8],
    },
    /// What we do not know is to be ignored (RFC 9113 §4.1).
    Unknown,
}

impl FrameHead {
    /// The head that `bytes` begin with, if all of it is there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<HEAD_LEN>()?;
        Some(Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        })
    }

    /// As bytes.
    pub fn bytes(self) -> [u8; HEAD_LEN] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Understands a frame whose payload is complete.
///
/// # Errors
/// Its size or its stream is not one that frames of its kind have (RFC 9113 §6).
pub fn parse(head: FrameHead, payload: &[u8]) -> Result<Frame<'_>, Breach> {
    let on_stream = || match head.stream {
        0 => Err(Breach::Connection(ErrorCode::Protocol, "a frame that needs a stream")),
        _ => Ok(()),
    };
    let on_connection = || match head.stream {
        0 => Ok(()),
        _ => Err(Breach::Connection(ErrorCode::Protocol, "a frame of the connection on a stream")),
    };
    let wrong_size = Breach::Connection(ErrorCode::FrameSize, "a frame of a wrong size");
    match head.kind {
        kind::DATA => {
            on_stream()?;
            let data = without_padding(head, payload)?;
            Ok(Frame::Data { data, ends_stream: head.has(END_STREAM) })
        }
        kind::HEADERS => {
            on_stream()?;
            let block = without_padding(head, payload)?;
            let fragment = match head.has(PRIORITY) {
                true => block.get(5..).ok_or(wrong_size)?,
                false => block,
            };
            let (ends_headers, ends_stream) = (head.has(END_HEADERS), head.has(END_STREAM));
            Ok(Frame::Headers { fragment, ends_headers, ends_stream })
        }
        kind::PRIORITY => {
            on_stream()?;
            match payload.len() {
                5 => Ok(Frame::Priority),
                _ => Err(Breach::Stream(
                    head.stream,
                    ErrorCode::FrameSize,
                    "PRIORITY of a wrong size",
                )),
            }
        }
        kind::RST_STREAM => {
            on_stream()?;
            word(payload).map(Frame::Reset).ok_or(wrong_size)
        }
        kind::SETTINGS => {
            on_connection()?;
            match (head.has(ACK), payload.len()) {
                (true, 0) => Ok(Frame::SettingsAck),
                (false, length) if length % 6 == 0 => Ok(Frame::Settings(payload)),
                _ => Err(wrong_size),
            }
        }
        kind::PUSH_PROMISE => {
            Err(Breach::Connection(ErrorCode::Protocol, "a client promises to push"))
        }
        kind::PING => {
            on_connection()?;
            let opaque = payload.try_into().map_err(|_| wrong_size)?;
            Ok(if head.has(ACK) { Frame::PingAck } else { Frame::Ping(opaque) })
        }
        kind::GOAWAY => {
            on_connection()?;
            let code = payload.get(4..8).and_then(word).ok_or(wrong_size)?;
            Ok(Frame::GoAway(code))
        }
        kind::WINDOW_UPDATE => {
            let more = word(payload).ok_or(wrong_size)? & 0x7fff_ffff;
            match (more, head.stream) {
                (0, 0) => Err(Breach::Connection(ErrorCode::Protocol, "a window that grows by 0")),
                (0, stream) => {
                    Err(Breach::Stream(stream, ErrorCode::Protocol, "a window that grows by 0"))
                }
                _ => Ok(Frame::WindowUpdate(more)),
            }
        }
        kind::CONTINUATION => {
            on_stream()?;
            Ok(Frame::Continuation { fragment: payload, ends_headers: head.has(END_HEADERS) })
        }
        kind::PRIORITY_UPDATE => {
            on_connection()?;
            let (stream, value) = payload.split_at_checked(4).ok_or(wrong_size)?;
            let stream = word(stream).ok_or(wrong_size)? & 0x7fff_ffff;
            match stream {
                0 => Err(Breach::Connection(ErrorCode::Protocol, "a priority of no stream")),
                _ => Ok(Frame::PriorityUpdate { stream, value }),
            }
        }
        _ => Ok(Frame::Unknown),
    }
}

/// The payload without its padding (RFC 9113 §6.1).
fn without_padding(head: FrameHead, payload: &[u8]) -> Result<&[u8], Breach> {
    if !head.has(PADDED) {
        return Ok(payload);
    }
    let too_long = Breach::Connection(ErrorCode::Protocol, "padding that is longer than its frame");
    let (padding, rest) = payload.split_first().ok_or(too_long)?;
    let length = rest.len().checked_sub(usize::from(*padding)).ok_or(too_long)?;
    Ok(rest.get(..length).unwrap_or_default())
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// A whole frame with this payload.
pub fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&FrameHead { length: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

/// RST_STREAM.
pub fn reset(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    write(kind::RST_STREAM, 0, stream, &(code as u32).to_be_bytes(), out);
}

/// GOAWAY: streams after `last` were not looked at.
pub fn go_away(last: u32, code: ErrorCode, why: &str, out: &mut Vec<u8>) {
    let payload = [&last.to_be_bytes(), &(code as u32).to_be_bytes(), why.as_bytes()].concat();
    write(kind::GOAWAY, 0, 0, &payload, out);
}

/// WINDOW_UPDATE.
pub fn window_update(stream: u32, more: u32, out: &mut Vec<u8>) {
    write(kind::WINDOW_UPDATE, 0, stream, &more.to_be_bytes(), out);
}

/// HEADERS with as many CONTINUATION as the block needs.
pub fn headers(stream: u32, ends_stream: bool, block: &[u8], max: usize, out: &mut Vec<u8>) {
    let mut rest = block;
    let mut kind = kind::HEADERS;
    loop {
        let (piece, more) = rest.split_at(rest.len().min(max));
        let mut flags = if more.is_empty() { END_HEADERS } else { 0 };
        if ends_stream && kind == kind::HEADERS {
            flags |= END_STREAM;
        }
        write(kind, flags, stream, piece, out);
        if more.is_empty() {
            return;
        }
        (rest, kind) = (more, kind::CONTINUATION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Frame<'_>, Breach> {
        parse(FrameHead { length: payload.len(), kind, flags, stream }, payload)
    }

    fn code(result: Result<Frame<'_>, Breach>) -> ErrorCode {
        match result.unwrap_err() {
            Breach::Connection(code, _) | Breach::Stream(_, code, _) => code,
        }
    }

    #[test]
    fn heads_go_round() {
        let head = FrameHead { length: 0x01_02_03, kind: 9, flags: 5, stream: 0x7fff_fffe };
        assert_eq!(FrameHead::parse(&head.bytes()), Some(head));
        assert_eq!(FrameHead::parse(&head.bytes()[..8]), None);
        let mut reserved = head.bytes();
        reserved[5] |= 0x80;
        assert_eq!(FrameHead::parse(&reserved), Some(head), "the reserved bit has no meaning");
    }

    #[test]
    fn padding_is_left_out() {
        let data = |data| Ok(Frame::Data { data, ends_stream: false });
        assert_eq!(parsed(kind::DATA, 0, 1, b"abc"), data(b"abc"));
        assert_eq!(parsed(kind::DATA, PADDED, 1, b"\x02abc"), data(b"a"));
        assert_eq!(parsed(kind::DATA, PADDED, 1, b"\x03abc"), data(b""));
        assert_eq!(code(parsed(kind::DATA, PADDED, 1, b"\x04abc")), ErrorCode::Protocol);
        assert_eq!(code(parsed(kind::DATA, PADDED, 1, b"")), ErrorCode::Protocol);
        let flags = PADDED | PRIORITY | END_HEADERS | END_STREAM;
        assert_eq!(
            parsed(kind::HEADERS, flags, 1, b"\x01\0\0\0\0\0abc"),
            Ok(Frame::Headers { fragment: b"ab", ends_headers: true, ends_stream: true })
        );
        assert_eq!(code(parsed(kind::HEADERS, PRIORITY, 1, b"abcd")), ErrorCode::FrameSize);
    }

    #[test]
    fn sizes_and_streams_are_checked() {
        for (kind, stream, length, error) in [
            (kind::DATA, 0, 1, ErrorCode::Protocol),
            (kind::HEADERS, 0, 1, ErrorCode::Protocol),
            (kind::PRIORITY, 0, 5, ErrorCode::Protocol),
            (kind::PRIORITY, 1, 4, ErrorCode::FrameSize),
            (kind::RST_STREAM, 0, 4, ErrorCode::Protocol),
            (kind::RST_STREAM, 1, 5, ErrorCode::FrameSize),
            (kind::SETTINGS, 1, 6, ErrorCode::Protocol),
            (kind::SETTINGS, 0, 5, ErrorCode::FrameSize),
            (kind::PUSH_PROMISE, 1, 8, ErrorCode::Protocol),
            (kind::PING, 1, 8, ErrorCode::Protocol),
            (kind::PING, 0, 7, ErrorCode::FrameSize),
            (kind::GOAWAY, 1, 8, ErrorCode::Protocol),
            (kind::GOAWAY, 0, 7, ErrorCode::FrameSize),
            (kind::WINDOW_UPDATE, 1, 3, ErrorCode::FrameSize),
            (kind::WINDOW_UPDATE, 1, 4, ErrorCode::Protocol),
            (kind::WINDOW_UPDATE, 0, 4, ErrorCode::Protocol),
            (kind::CONTINUATION, 0, 1, ErrorCode::Protocol),
            (kind::PRIORITY_UPDATE, 1, 8, ErrorCode::Protocol),
            (kind::PRIORITY_UPDATE, 0, 3, ErrorCode::FrameSize),
            (kind::PRIORITY_UPDATE, 0, 8, ErrorCode::Protocol),
        ] {
            assert_eq!(code(parsed(kind, 0, stream, &vec![0; length])), error, "{kind} {length}");
        }
        assert_eq!(code(parsed(kind::SETTINGS, ACK, 0, &[0; 6])), ErrorCode::FrameSize);
        assert_eq!(parsed(0x77, 0xff, 5, b"?"), Ok(Frame::Unknown));
    }

    proptest! {
        #[test]
        fn a_block_is_cut_and_put_together(
            block in proptest::collection::vec(any::<u8>(), 0..200),
            max in 1usize..50,
            ends in any::<bool>(),
        ) {
            let mut out = Vec::new();
            headers(3, ends, &block, max, &mut out);
            let (mut rest, mut together, mut complete, mut count) = (&*out, Vec::new(), false, 0);
            while let Some(head) = FrameHead::parse(rest) {
                let payload = &rest[HEAD_LEN..HEAD_LEN + head.length];
                prop_assert!(!complete && payload.len() <= max && head.stream == 3);
                match parse(head, payload).unwrap() {
                    Frame::Headers { fragment, ends_headers, ends_stream } if count == 0 => {
                        together.extend_from_slice(fragment);
                        complete = ends_headers;
                        prop_assert_eq!(ends_stream, ends);
                    }
                    Frame::Continuation { fragment, ends_headers } if count > 0 => {
                        together.extend_from_slice(fragment);
                        complete = ends_headers;
                    }
                    other => panic!("{other:?}"),
                }
                count += 1;
                rest = &rest[HEAD_LEN + head.length..];
            }
            prop_assert!(complete && rest.is_empty());
            prop_assert_eq!(together, block);
        }

        #[test]
        fn nothing_that_comes_panics(
            kind in 0u8..0x12,
            flags in any::<u8>(),
            stream in 0u32..3,
            payload in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let _ = parsed(kind, flags, stream, &payload);
        }
    }
}
