//! The Huffman code of HPACK (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers, in the order of their symbols. So
//! the lengths are all that has to be written down, and the tables follow from them.

use super::HpackError;

/// Symbols: all bytes, and the end of the string.
const SYMBOLS: usize = 257;
const END: usize = 256;
const LONGEST: usize = 30;

/// How many bits each symbol has.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// What follows from the lengths.
struct Code {
    /// The code of each symbol.
    codes: [u32; SYMBOLS],
    /// The symbols, by the length of their codes.
    symbols: [u16; SYMBOLS],
    /// For each length the first code, and where its symbols begin.
    first: [u32; LONGEST + 2],
    begin: [u16; LONGEST + 2],
    /// For each byte the symbol whose code it begins with, and the length of that code; 0 for a longer one.
    short: [(u8, u8); 256],
}

static CODE: Code = Code::build();

impl Code {
    const fn build() -> Self {
        let mut code = Self {
            codes: [0; SYMBOLS],
            symbols: [0; SYMBOLS],
            first: [0; LONGEST + 2],
            begin: [0; LONGEST + 2],
            short: [(0, 0); 256],
        };
        let (mut next, mut count, mut length) = (0, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = next;
            code.begin[length] = count;
            let mut symbol = 0;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as usize == length {
                    code.codes[symbol] = next;
                    code.symbols[count as usize] = symbol as u16;
                    code.mark_short(symbol, next, length);
                    next += 1;
                    count += 1;
                }
                symbol += 1;
            }
            length += 1;
        }
        code.first[LONGEST + 1] = next << 1;
        code.begin[LONGEST + 1] = count;
        code
    }

    const fn mark_short(&mut self, symbol: usize, code: u32, length: usize) {
        if length > 8 {
            return;
        }
        let mut byte = (code as usize) << (8 - length);
        let end = byte + (1 << (8 - length));
        while byte < end {
            self.short[byte] = (symbol as u8, length as u8);
            byte += 1;
        }
    }

    /// The symbol that 32 bits begin with, and how many of them it has.
    fn symbol(&self, bits: u32) -> Option<(u16, u32)> {
        let (symbol, length) = self.short[(bits >> 24) as usize];
        if length > 0 {
            return Some((u16::from(symbol), u32::from(length)));
        }
        for length in 9..=LONGEST {
            let code = bits >> (32 - length);
            let of_length = u32::from(self.begin[length + 1] - self.begin[length]);
            if let Some(at) = code.checked_sub(self.first[length]).filter(|at| *at < of_length) {
                let symbol = self.symbols.get(usize::from(self.begin[length]) + at as usize)?;
                return Some((*symbol, length as u32));
            }
        }
        None
    }
}

/// Decodes `bytes` to the end of `out`.
///
/// # Errors
/// The padding is longer than seven bits or not all ones, or the end of the string is among them
/// (RFC 7541 §5.2).
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut bytes = bytes.iter();
    loop {
        while count <= 56
            && let Some(byte) = bytes.next()
        {
            bits |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        if count == 0 {
            return Ok(());
        }
        // Ones behind the end stand for padding: no symbol but the end of the string is made of them.
        let ahead = (bits >> 32) as u32 | u32::MAX.checked_shr(count).unwrap_or(0);
        match CODE.symbol(ahead) {
            Some((symbol, length)) if length <= count => {
                let symbol = u8::try_from(symbol).map_err(|_| HpackError::Huffman)?;
                out.push(symbol);
                bits <<= length;
                count -= length;
            }
            _ if count < 8 && (bits >> 56) as u8 | 0xff >> count == 0xff => return Ok(()),
            _ => return Err(HpackError::Huffman),
        }
    }
}

/// The number of bytes that `bytes` are encoded to.
pub fn encoded_len(bytes: &[u8]) -> usize {
    let bits: usize = bytes.iter().map(|byte| usize::from(LENGTHS[usize::from(*byte)])).sum();
    bits.div_ceil(8)
}

/// Encodes `bytes` to the end of `out`.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u64, 0_u32);
    for byte in bytes {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        bits |= u64::from(CODE.codes[usize::from(*byte)]) << (64 - length - count);
        count += length;
        while count >= 8 {
            out.push((bits >> 56) as u8);
            bits <<= 8;
            count -= 8;
        }
    }
    if count > 0 {
        out.push((bits >> 56) as u8 | 0xff >> count);
    }
}

const _: () = assert!(LENGTHS[END] as usize == LONGEST);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, HpackError> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, code) in [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-key", "25a849e95ba97d7f"),
            ("custom-value", "25a849e95bb8e8b4bf"),
            ("302", "6402"),
            ("private", "aec3771a4b"),
            ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
            ("https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
            (
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            ),
        ] {
            let code: Vec<u8> = (0..code.len() / 2)
                .map(|at| u8::from_str_radix(&code[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            assert_eq!(decoded(&code).unwrap(), text.as_bytes(), "{text}");
            let mut out = Vec::new();
            encode(text.as_bytes(), &mut out);
            assert_eq!((out.len(), out), (encoded_len(text.as_bytes()), code), "{text}");
        }
    }

    #[test]
    fn padding_is_short_and_all_ones() {
        // `a` is 00011.
        assert_eq!(decoded(&[0b0001_1111]).unwrap(), b"a");
        assert_eq!(decoded(&[0b0001_1110]), Err(HpackError::Huffman));
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(HpackError::Huffman));
        assert_eq!(decoded(&[0xff]), Err(HpackError::Huffman));
        // The end of the string.
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(HpackError::Huffman));
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut code = Vec::new();
            encode(&bytes, &mut code);
            prop_assert_eq!(code.len(), encoded_len(&bytes));
            prop_assert_eq!(decoded(&code).unwrap(), bytes);
        }

        /// Whatever is decoded is the only code of it.
        #[test]
        fn every_text_has_one_code(code in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(text) = decoded(&code) {
                let mut again = Vec::new();
                encode(&text, &mut again);
                prop_assert_eq!(again, code);
            }
        }
    }
}
