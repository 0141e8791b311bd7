//! Classes of bytes, as tables built at compile time.

const TCHAR: u8 = 1;
const FIELD: u8 = 2;
const PATH: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        let mut bits = 0;
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            bits |= TCHAR;
        }
        if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) {
            bits |= FIELD;
        }
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b':'
                    | b'@'
                    | b'/'
            )
        {
            bits |= PATH;
        }
        class[b] = bits;
        b += 1;
    }
    class
};

/// A byte of a token (RFC 9110 §5.6.2).
pub const fn is_tchar(byte: u8) -> bool {
    CLASS[byte as usize] & TCHAR != 0
}

/// A byte of a field value: HTAB, visible, SP, obs-text (RFC 9110 §5.5).
pub const fn is_field_byte(byte: u8) -> bool {
    CLASS[byte as usize] & FIELD != 0
}

/// A byte that may stand in a path as it is (RFC 3986 §3.3: pchar without `%`, and `/`).
pub const fn is_path_byte(byte: u8) -> bool {
    CLASS[byte as usize] & PATH != 0
}

/// Whether `text` is a token: a method or the name of a field (RFC 9110 §5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_tchar(*b))
}

/// A decimal number of digits only: no sign, no blank, no overflow (SECURITY 3). For lengths and
/// codes: one that 64 bits do not hold is none.
pub fn parse_u64(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// As [`parse_u64`], for positions: one that 64 bits do not hold is beyond every end, as `u64::MAX`.
pub fn parse_saturating(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| parse_u64(digits).unwrap_or(u64::MAX))
}

/// Without blanks and tabs at both ends (OWS, RFC 9110 §5.6.3).
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_only() {
        for (text, want) in [
            (&b"0"[..], Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"+3", None),
            (b"-3", None),
            (b" 3", None),
            (b"3 ", None),
            (b"0x1", None),
            (b"", None),
        ] {
            assert_eq!(parse_u64(text), want, "{}", text.escape_ascii());
        }
        for (text, want) in [
            (&b"7"[..], Some(7)),
            (b"00000000000000000000000000000000000007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", Some(u64::MAX)),
            (b"99999999999999999999999999999999999999", Some(u64::MAX)),
            (b"18446744073709551616x", None),
            (b"+3", None),
            (b"", None),
        ] {
            assert_eq!(parse_saturating(text), want, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn classes() {
        assert!(is_tchar(b'!') && !is_tchar(b' ') && !is_tchar(b':') && !is_tchar(0x80));
        assert!(is_field_byte(b'\t') && is_field_byte(0xff) && !is_field_byte(b'\r'));
        assert!(is_path_byte(b'/') && !is_path_byte(b'%') && !is_path_byte(b'"'));
        assert_eq!(trim(b" \ta b\t "), b"a b");
    }
}
