//! Chunked bodies (RFC 9112 §7.1), decoded strictly and without a buffer.
//!
//! Nothing is skipped that another decoder might read otherwise: hex digits by hand, CR and LF
//! exactly where they belong (SECURITY 2, 3). Extensions and trailers are checked and dropped.

use super::limits::{CHUNK_EXTENSIONS_MAX, CHUNK_LINE_MAX, TRAILERS_MAX};
use crate::http::{HttpError, Status, bytes};

/// Ends a body that has no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What lies before the reader of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Drop so many framing bytes; there is nothing more to see.
    More {
        /// Always the whole input.
        consumed: usize,
    },
    /// Data lie in the input.
    Data {
        /// Framing bytes to drop first.
        skip: usize,
        /// Bytes of data after them, at least one. Say [`Decoder::took`] when some are taken.
        len: usize,
    },
    /// The body has ended.
    End {
        /// Framing bytes to drop; what follows is the next request.
        consumed: usize,
    },
}

/// Where in a chunked body the reader is. Each framing byte is looked at once, as it comes.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// Digits of the size being read.
    digits: u8,
    /// The size being read, or the data still to come of this chunk.
    remaining: u64,
    /// Bytes of this chunk-size line.
    line: usize,
    /// Bytes of all extensions.
    extensions: usize,
    /// Bytes of the trailer section.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Blanks after the size or an extension, which only a further extension may follow.
    Blank,
    /// Behind a semicolon.
    ExtensionStart,
    ExtensionName,
    /// Blanks after the name of an extension.
    ExtensionBlank,
    /// Behind an equals sign.
    ValueStart,
    ValueToken,
    Quoted,
    QuotedPair,
    /// Behind the closing quote.
    Unquoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Finished,
}

impl Decoder {
    /// A decoder before the first chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at input from the current position on. Errors are fatal.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, HttpError> {
        for (at, byte) in input.iter().enumerate() {
            match self.state {
                State::Finished => return Ok(Step::End { consumed: at }),
                State::Data => {
                    let there = input.len() - at;
                    let len = usize::try_from(self.remaining).unwrap_or(there).min(there);
                    return Ok(Step::Data { skip: at, len });
                }
                _ => self.state = self.after(*byte)?,
            }
        }
        Ok(match self.state {
            State::Finished => Step::End { consumed: input.len() },
            _ => Step::More { consumed: input.len() },
        })
    }

    /// `n` bytes of the data last announced were taken.
    pub fn took(&mut self, n: usize) {
        debug_assert!(self.state == State::Data && n as u64 <= self.remaining);
        self.remaining = self.remaining.saturating_sub(n as u64);
        if self.state == State::Data && self.remaining == 0 {
            self.state = State::DataCr;
        }
    }

    /// Bytes of data that the present chunk has yet to bring: known once its size line is complete.
    pub fn announced(&self) -> u64 {
        if self.state == State::Data { self.remaining } else { 0 }
    }

    /// Whether the body has ended.
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// The state after a framing byte.
    fn after(&mut self, byte: u8) -> Result<State, HttpError> {
        use State::*;
        match self.state {
            Size | Blank | ExtensionStart | ExtensionName | ExtensionBlank | ValueStart
            | ValueToken | Quoted | QuotedPair | Unquoted => self.after_size_byte(byte),
            TrailerStart | TrailerName | TrailerValue | TrailerLf => self.after_trailer_byte(byte),
            SizeLf if byte == b'\n' => {
                self.line = 0;
                Ok(if self.remaining == 0 { TrailerStart } else { Data })
            }
            DataCr if byte == b'\r' => Ok(DataLf),
            DataLf if byte == b'\n' => {
                self.digits = 0;
                Ok(Size)
            }
            LastLf if byte == b'\n' => Ok(Finished),
            DataCr | DataLf => Err(HttpError::bad_request("no CRLF after the data of a chunk")),
            SizeLf | LastLf => Err(HttpError::bad_request("CR without LF in chunked framing")),
            Data | Finished => Ok(self.state), // `step` does not ask
        }
    }

    fn after_size_byte(&mut self, byte: u8) -> Result<State, HttpError> {
        self.line += 1;
        if self.state != State::Size {
            self.extensions += 1;
        }
        if self.line > CHUNK_LINE_MAX || self.extensions > CHUNK_EXTENSIONS_MAX {
            return Err(HttpError::bad_request("chunk extensions too long"));
        }
        match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.push_digit(byte),
            (State::Size, _) if self.digits == 0 => Err(HttpError::bad_request("bad chunk size")),
            (State::Size, b'\r') => Ok(State::SizeLf),
            (State::Size, b';') => Ok(State::ExtensionStart),
            (State::Size, b' ' | b'\t') => Ok(State::Blank),
            (State::Size, _) => Err(HttpError::bad_request("bad chunk size")),
            _ => after_extension_byte(self.state, byte)
                .ok_or_else(|| HttpError::bad_request("bad chunk extension")),
        }
    }

    fn push_digit(&mut self, byte: u8) -> Result<State, HttpError> {
        if self.digits == 0 {
            self.remaining = 0;
        }
        self.digits += 1;
        let digit = char::from(byte).to_digit(16).map(u64::from);
        // Sixteen digits are all that fit; more would only be zeros in front.
        match (digit, self.digits <= 16) {
            (Some(digit), true) => {
                self.remaining = self.remaining << 4 | digit;
                Ok(State::Size)
            }
            _ => Err(HttpError::bad_request("chunk size too large")),
        }
    }

    /// §7.1.2. The fields are dropped: nothing here could use them, and merging them into the
    /// head is how a trailer poses as a header.
    fn after_trailer_byte(&mut self, byte: u8) -> Result<State, HttpError> {
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX {
            return Err(HttpError::fatal(Status::HEADER_FIELDS_TOO_LARGE, "trailers too long"));
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if bytes::is_tchar(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if bytes::is_field_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(HttpError::bad_request("bad trailer")),
        }
    }
}

/// The state after a byte behind the size: `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, the value a
/// token or quoted (§7.1.1). No blanks before CRLF.
fn after_extension_byte(state: State, byte: u8) -> Option<State> {
    use State::*;
    let next = match (state, byte) {
        (Quoted, b'"') => Unquoted,
        (Quoted, b'\\') => QuotedPair,
        (Quoted | QuotedPair, _) => return bytes::is_field_byte(byte).then_some(Quoted),
        (ExtensionName | ValueToken | Unquoted, b'\r') => SizeLf,
        (Blank | ExtensionName | ExtensionBlank | ValueToken | Unquoted, b';') => ExtensionStart,
        (ExtensionName | ExtensionBlank, b'=') => ValueStart,
        (ExtensionName | ExtensionBlank, b' ' | b'\t') => ExtensionBlank,
        (Blank | ValueToken | Unquoted, b' ' | b'\t') => Blank,
        (ExtensionStart | ValueStart, b' ' | b'\t') => state,
        (ExtensionStart | ExtensionName, _) if bytes::is_tchar(byte) => ExtensionName,
        (ValueStart, b'"') => Quoted,
        (ValueStart | ValueToken, _) if bytes::is_tchar(byte) => ValueToken,
        _ => return None,
    };
    Some(next)
}

/// Adds the line that begins a chunk of `len` bytes. Not for 0, which would end the body.
pub fn size_line(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0);
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|place| {
        let digit = (len >> (place * 4) & 0xf) as u8;
        if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
    }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes input that arrives in pieces that end at `cuts`: the data and how many bytes the
    /// body took (`None` without an end), or the status.
    fn decode(
        input: &[u8],
        cuts: impl IntoIterator<Item = usize>,
        take_max: usize,
    ) -> Result<(Vec<u8>, Option<usize>), u16> {
        let (mut decoder, mut data, mut at) = (Decoder::new(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([input.len()]) {
            loop {
                let step = decoder.step(&input[at..cut]).map_err(|error| {
                    assert!(error.close);
                    error.status.code()
                })?;
                match step {
                    Step::More { consumed } => {
                        at += consumed;
                        assert_eq!(at, cut);
                        break;
                    }
                    Step::Data { skip, len } => {
                        assert!(len > 0 && skip + len <= cut - at);
                        let taken = len.min(take_max);
                        data.extend_from_slice(&input[at + skip..][..taken]);
                        decoder.took(taken);
                        at += skip + taken;
                    }
                    Step::End { consumed } => {
                        assert!(decoder.is_finished());
                        return Ok((data, Some(at + consumed)));
                    }
                }
            }
        }
        assert!(!decoder.is_finished());
        Ok((data, None))
    }

    /// Decodes whole, byte by byte and with every single cut.
    fn decode_all_ways(input: &[u8]) -> Result<(Vec<u8>, Option<usize>), u16> {
        let whole = decode(input, [], usize::MAX);
        let text = input.escape_ascii();
        assert_eq!(decode(input, 0..input.len(), usize::MAX), whole, "by byte: {text}");
        assert_eq!(decode(input, [], 1), whole, "taken by byte: {text}");
        for cut in 0..input.len() {
            assert_eq!(decode(input, [cut], usize::MAX), whole, "{cut}: {text}");
        }
        whole
    }

    #[test]
    fn good_bodies() {
        for (input, data, left) in [
            ("0\r\n\r\n", "", 0),
            ("0\r\n\r\nGET", "", 3),
            ("000\r\n\r\n", "", 0),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 0),
            ("3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0", 0),
            ("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 0),
            ("0000000000000001\r\na\r\n0\r\n\r\n", "a", 0),
            ("1;a\r\nx\r\n0;b=c\r\n\r\n", "x", 0),
            ("1 ; a = b ;c\r\nx\r\n0\r\n\r\n", "x", 0),
            ("1;a=\"\\\";\u{e4}\"\r\nx\r\n0\r\n\r\n", "x", 0),
            ("1;a=\"\";b = \"c\" ; d\r\nx\r\n0;e=!\r\n\r\n", "x", 0),
            ("1;\t a\t=\t\"b\\\\\"\r\nx\r\n0\r\n\r\n", "x", 0),
            ("0\r\nA: b\r\nC:\r\n\r\n!", "", 1),
            ("1;a;b=c ;d = \"\" ; e\r\nx\r\n0;f=g\r\n\r\n", "x", 0),
            ("1\t;\ta\t=\tb\r\nx\r\n0\r\n\r\n", "x", 0),
            ("1;!#$%&'*+-.^_`|~0=~\r\nx\r\n0\r\n\r\n", "x", 0),
            ("1;a=\"; b=c\\\"\\\\\"\r\nx\r\n0\r\n\r\n", "x", 0),
        ] {
            let want = (data.as_bytes().to_vec(), Some(input.len() - left));
            assert_eq!(decode_all_ways(input.as_bytes()), Ok(want), "{input:?}");
        }
    }

    #[test]
    fn bad_bodies() {
        for input in [
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "+1\r\n",
            "-1\r\n",
            " 1\r\n",
            "0x1\r\n",
            "1_0\r\n",
            "00000000000000001\r\n",
            "10000000000000000\r\n",
            "1 \r\nx",
            "1\t\r\n",
            "1 1\r\n",
            "1\nx",
            "1\rx",
            "1\r\rx",
            "2;\r\n",
            "2;;\r\n",
            "2;;;==\r\n",
            "2;=b\r\n",
            "2;a=\r\n",
            "20;invalid=\r\n",
            "2;a==b\r\n",
            "2;a b\r\n",
            "2;a=b c\r\n",
            "2;a=\"b\"c\r\n",
            "2;a=b\"c\"\r\n",
            "2;\"a\"=b\r\n",
            "2;a =\r\n",
            "2;a \r\n",
            "2;a=b \r\n",
            "2;a=\"b\" \r\n",
            "2;a=\"b\r\n",
            "2;a@b\r\n",
            "2;\u{e4}\r\n",
            "0;\r\n",
            "1;a\nx",
            "1;a\rx",
            "1;\0\r\n",
            "1;a=\"\r\n",
            "1;a=\"\\\r\n",
            "1;a=\"\n\"\r\n",
            "1;\x7f",
            "1\r\nxy",
            "1\r\nx\n",
            "1\r\nx\ry",
            "1\r\nx0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            "0\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\n: b\r\n",
            "0\r\na\r\n",
            "0\r\na : b\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\rc",
            "0\r\na: \0",
            "0\r\na: b\r\n c\r\n",
            "1;\r\n",
            "1;;a\r\n",
            "1;a;\r\n",
            "1;;;==\r\n",
            "1;=\r\n",
            "1;=b\r\n",
            "1;a=\r\n",
            "1;a==b\r\n",
            "1;a=;b\r\n",
            "1;a=b=c\r\n",
            "1;a=b c\r\n",
            "1;a b\r\n",
            "1;a \r\n",
            "1;a=b \r\n",
            "1; \r\n",
            "1;\"a\"\r\n",
            "1;a=\"b\"c\r\n",
            "1;a=\"b\" \r\n",
            "1;a=b\"c\"\r\n",
            "1;a=\"b\"\"c\"\r\n",
            "1;\u{e4}\r\n",
            "1;a=\u{e4}\r\n",
            "1;a=(b)\r\n",
            "1;a=\"\\\0\"\r\n",
            "1 a\r\n",
            "1,2\r\n",
            "1=a\r\n",
        ] {
            assert_eq!(decode_all_ways(input.as_bytes()), Err(400), "{input:?}");
        }
    }

    #[test]
    fn the_largest_size_is_not_lost() {
        let got = decode(b"ffffffffffffffff\r\nabc", [], usize::MAX);
        assert_eq!(got, Ok((b"abc".to_vec(), None)));
    }

    #[test]
    fn limits() {
        let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "a".repeat(extension));
        let end = |trailer: usize| format!("0\r\na:{}\r\n\r\n", "b".repeat(trailer));
        let many = |count: usize| chunk(1000).repeat(count) + "0\r\n\r\n";
        for (name, input, want) in [
            ("line", chunk(CHUNK_LINE_MAX - 3) + &end(0), None),
            ("line too long", chunk(CHUNK_LINE_MAX - 2) + &end(0), Some(400)),
            ("all extensions", many(16), None),
            ("all extensions too long", many(17), Some(400)),
            ("trailers", end(TRAILERS_MAX - 5), None),
            ("trailers too long", end(TRAILERS_MAX - 4), Some(431)),
        ] {
            let whole = decode(input.as_bytes(), [], usize::MAX);
            assert_eq!(whole.as_ref().err().copied(), want, "{name}");
            assert_eq!(decode(input.as_bytes(), 0..input.len(), 1), whole, "{name}");
        }
    }

    #[test]
    fn size_lines() {
        for (len, want) in
            [(1, "1\r\n"), (16, "10\r\n"), (500, "1f4\r\n"), (0xabcdef, "abcdef\r\n")]
        {
            let mut out = Vec::new();
            size_line(len, &mut out);
            assert_eq!(out, want.as_bytes());
        }
        assert!(size_of::<Decoder>() <= 40);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut input = Vec::new();
            for chunk in &chunks {
                size_line(chunk.len(), &mut input);
                input.extend_from_slice(chunk);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(LAST_CHUNK);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).collect();
            cuts.sort_unstable();
            let want = (chunks.concat(), Some(input.len()));
            prop_assert_eq!(decode(&input, cuts, usize::MAX), Ok(want));
        }

        #[test]
        fn no_input_panics(input in "[0-9a-f\r\n; :x\"]{0,40}") {
            let _ = decode_all_ways(input.as_bytes());
        }
    }
}
