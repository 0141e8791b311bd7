//! HTTP/2 as pure functions and values: frames, HPACK, windows, heads (RFC 9113, RFC 7541, RFC 9218).
//!
//! Architecture invariant: as in `http1`, nothing here sees a socket, a file, a clock or a log.

pub mod frame;
pub mod head;
pub mod hpack;
pub mod priority;
pub mod settings;
pub mod window;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Why a stream or a connection ends (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    /// Nothing is wrong.
    NoError = 0x0,
    /// The other side does not keep to the protocol.
    Protocol = 0x1,
    /// Something is wrong with us.
    Internal = 0x2,
    /// More was sent than the window allows.
    FlowControl = 0x3,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout = 0x4,
    /// A frame on a stream that is closed already.
    StreamClosed = 0x5,
    /// A frame of a wrong size.
    FrameSize = 0x6,
    /// The request was not looked at, and may be sent again.
    RefusedStream = 0x7,
    /// The answer is not wanted any more.
    Cancel = 0x8,
    /// A block of fields cannot be decoded.
    Compression = 0x9,
    /// The client makes more work than it may.
    EnhanceYourCalm = 0xb,
    /// The encryption is not good enough.
    InadequateSecurity = 0xc,
    /// The request is to be made by HTTP/1.1.
    Http11Required = 0xd,
}

/// A breach of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It ends the connection.
    Connection(ErrorCode, &'static str),
    /// It ends the stream of this number.
    Stream(u32, ErrorCode, &'static str),
}
