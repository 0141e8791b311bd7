//! Numbers with a prefix (RFC 7541 §5.1).

use super::HpackError;

/// No number that means anything here is longer.
const LARGEST: usize = 1 << 28;

/// The number that begins with the lowest `prefix` bits of the first byte, and what follows it.
///
/// # Errors
/// It does not end, or it is too large to mean anything.
pub fn decode(bytes: &[u8], prefix: u32) -> Result<(usize, &[u8]), HpackError> {
    let (first, mut rest) = bytes.split_first().ok_or(HpackError::Truncated)?;
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value < mask {
        return Ok((value, rest));
    }
    for shift in (0..).step_by(7) {
        let (byte, more) = rest.split_first().ok_or(HpackError::Truncated)?;
        rest = more;
        if shift > 28 {
            return Err(HpackError::Number);
        }
        value += usize::from(byte & 0x7f) << shift;
        if value > LARGEST {
            return Err(HpackError::Number);
        }
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok((value, rest))
}

/// Writes a number whose first byte has `flags` above its `prefix` bits.
pub fn encode(value: usize, prefix: u32, flags: u8, out: &mut Vec<u8>) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        return out.push(flags | value as u8);
    }
    out.push(flags | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (value, prefix, bytes) in
            [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8, &[42])]
        {
            let mut out = Vec::new();
            encode(value, prefix, 0, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(decode(bytes, prefix), Ok((value, &[][..])));
        }
    }

    #[test]
    fn numbers_that_mean_nothing_are_refused() {
        assert_eq!(decode(&[], 5), Err(HpackError::Truncated));
        assert_eq!(decode(&[31, 0x80], 5), Err(HpackError::Truncated));
        assert_eq!(decode(&[31, 0xff, 0xff, 0xff, 0xff, 0xff, 1], 5), Err(HpackError::Number));
        assert_eq!(
            decode(&[31, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 5),
            Err(HpackError::Number)
        );
    }

    proptest! {
        #[test]
        fn numbers_go_round(value in 0..LARGEST, prefix in 1u32..=8, more in any::<u8>()) {
            let mut out = Vec::new();
            encode(value, prefix, 0, &mut out);
            out.push(more);
            prop_assert_eq!(decode(&out, prefix), Ok((value, &[more][..])));
        }
    }
}
