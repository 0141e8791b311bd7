//! Limits on what one message may make the parsers do, each with its reason.

/// Limits of a request head. Set by `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line without its CRLF; more is 414.
    pub request_line: usize,
    /// Bytes of the whole head; more is 431. At most 65,535, so that places in it fit 16 bits.
    pub head: usize,
    /// Header lines; more is 431. At most 255.
    pub count: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { request_line: 8 * 1024, head: 32 * 1024, count: 100 }
    }
}

/// Empty lines taken before a request line. RFC 9112 §2.2 asks for one, for old clients that end
/// a body with CRLF; more is somebody trying something.
pub const EMPTY_LINES_MAX: usize = 2;

/// Extensions of one chunk-size line. Nobody uses them; hyper caps them too.
pub const CHUNK_LINE_MAX: usize = 4 * 1024;

/// Extensions of all chunks of a body together, so that a body of one-byte chunks with long
/// extensions is not a way to send much for little.
pub const CHUNK_EXTENSIONS_MAX: usize = 16 * 1024;

/// Trailer section of a chunked body.
pub const TRAILERS_MAX: usize = 4 * 1024;

/// Bytes of the head of a response, with its blank line.
pub const RESPONSE_HEAD_MAX: usize = 32 * 1024;

/// Lines of the head of a response.
pub const RESPONSE_LINES_MAX: usize = 200;
