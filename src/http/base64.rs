//! Base64 for URLs and cookies, without padding (RFC 4648 §5), and that of header fields, with it (§4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// As text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let of = |n: usize| u32::from(group.get(n).copied().unwrap_or_default());
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for n in 0..=group.len() {
            let six = bits >> (18 - 6 * n) & 63;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

/// The bytes of a text; `None` for one that `encode` would not have made: each value has one text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for (n, c) in group.iter().enumerate() {
            let six = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits |= u32::from(six) << (18 - 6 * n);
        }
        let [_, first, second, third] = bits.to_be_bytes();
        let (whole, left) = match group.len() {
            4 => (3, 0),
            3 => (2, bits & 0xff),
            2 => (1, bits & 0xffff),
            _ => return None,
        };
        if left != 0 {
            return None;
        }
        bytes.extend_from_slice(&[first, second, third][..whole]);
    }
    Some(bytes)
}

/// The bytes of a text in the alphabet with `+` and `/`, and all its padding.
pub fn decode_padded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) || text.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        return None;
    }
    let bare = text.strip_suffix(b"=").unwrap_or(text);
    let bare = if bare.len() < text.len() { bare.strip_suffix(b"=").unwrap_or(bare) } else { bare };
    let plain = |byte: &u8| match byte {
        b'+' => '-',
        b'/' => '_',
        byte => char::from(*byte),
    };
    decode(&bare.iter().map(plain).collect::<String>())
}

/// As `decode_padded` reads it.
#[cfg(test)]
pub(crate) fn encode_padded(bytes: &[u8]) -> String {
    let mut text = encode(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_texts() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        for wrong in ["A", "Zg==", "Zh", "Zm9", "a b", "+/", "\u{e4}\u{e4}"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn goes_round(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn with_padding_too(text in "[A-Za-z0-9+/=]{0,20}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(bytes) = decode_padded(text.as_bytes()) {
                prop_assert_eq!(encode_padded(&bytes), text);
            }
            prop_assert_eq!(decode_padded(encode_padded(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn each_value_has_one_text(text in "[A-Za-z0-9_-]{0,20}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
