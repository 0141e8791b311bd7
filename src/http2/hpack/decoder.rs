//! From bytes to fields.

use super::table::{DynamicTable, STATIC};
use super::{HpackError, TABLE_SIZE, huffman, integer};
use std::borrow::Cow;

/// The decoder of one direction of a connection. Its memory is bounded by the table's size and by the
/// longest block.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// What we allow the table.
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: DynamicTable::new(TABLE_SIZE), limit: TABLE_SIZE }
    }
}

impl Decoder {
    /// Decodes a complete block, and tells each field to `tell` in order.
    ///
    /// # Errors
    /// The block is none: nothing on this connection can be decoded any more.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        mut tell: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), HpackError> {
        let mut may_resize = true;
        while let Some(first) = block.first().copied() {
            if first & 0xe0 == 0x20 {
                let (size, rest) = integer::decode(block, 5)?;
                if size > self.limit || !may_resize {
                    return Err(HpackError::TableSize);
                }
                self.table.set_limit(size);
                block = rest;
                continue;
            }
            may_resize = false;
            block = match first {
                0x80.. => {
                    let (index, rest) = integer::decode(block, 7)?;
                    let (name, value) = self.field(index)?;
                    tell(name, value);
                    rest
                }
                0x40.. => self.literal(block, 6, true, &mut tell)?,
                _ => self.literal(block, 4, false, &mut tell)?,
            };
        }
        Ok(())
    }

    /// A field with a text of its own. Returns what follows it.
    fn literal<'b>(
        &mut self,
        block: &'b [u8],
        prefix: u32,
        is_kept: bool,
        tell: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<&'b [u8], HpackError> {
        let (index, rest) = integer::decode(block, prefix)?;
        let (name, rest) = match index {
            0 => text(rest)?,
            _ => (Cow::Owned(self.field(index)?.0.to_vec()), rest),
        };
        let (value, rest) = text(rest)?;
        tell(&name, &value);
        if is_kept {
            self.table.insert(&name, &value);
        }
        Ok(rest)
    }

    fn field(&self, index: usize) -> Result<(&[u8], &[u8]), HpackError> {
        let known = index.checked_sub(1).ok_or(HpackError::Index)?;
        match STATIC.get(known) {
            Some((name, value)) => Ok((name, value)),
            None => self.table.get(known - STATIC.len()).ok_or(HpackError::Index),
        }
    }
}

/// A text, and what follows it.
fn text(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), HpackError> {
    let is_huffman = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let (length, rest) = integer::decode(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
    if !is_huffman {
        return Ok((Cow::Borrowed(text), rest));
    }
    // The shortest code has five bits.
    let mut decoded = Vec::with_capacity(text.len() * 8 / 5);
    huffman::decode(text, &mut decoded)?;
    Ok((Cow::Owned(decoded), rest))
}

#[cfg(test)]
mod tests {
    use super::super::Encoder;
    use super::*;
    use proptest::prelude::*;

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
        let mut fields = Vec::new();
        decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
        Ok(fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// A block, the fields that it is, and what the table holds then.
    type Example<'e> = (&'e str, &'e [(&'e str, &'e str)], usize);

    fn check(limit: usize, blocks: &[Example<'_>]) {
        let mut decoder = Decoder::default();
        decoder.table.set_limit(limit);
        for (block, fields, size) in blocks {
            let want: Fields = fields
                .iter()
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect();
            assert_eq!(decoded(&mut decoder, &hex(block)).unwrap(), want, "{block}");
            assert_eq!(decoder.table.size(), *size, "{block}");
        }
    }

    /// RFC 7541 §C.2.
    #[test]
    fn single_fields() {
        let key = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
        check(4096, &[(key, &[("custom-key", "custom-header")], 55)]);
        check(4096, &[("040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")], 0)]);
        check(
            4096,
            &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &[("password", "secret")], 0)],
        );
        check(4096, &[("82", &[(":method", "GET")], 0)]);
    }

    const REQUESTS: [&[(&str, &str)]; 3] = [
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
    ];

    /// RFC 7541 §C.3 and §C.4.
    #[test]
    fn requests() {
        check(
            4096,
            &[
                ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUESTS[0], 57),
                ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1], 110),
                (
                    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                    REQUESTS[2],
                    164,
                ),
            ],
        );
        check(
            4096,
            &[
                ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0], 57),
                ("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1], 110),
                ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUESTS[2], 164),
            ],
        );
    }

    const RESPONSES: [&[(&str, &str)]; 3] = [
        &[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        &[
            (":status", "307"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        &[
            (":status", "200"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            ("location", "https://www.example.com"),
            ("content-encoding", "gzip"),
            ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        ],
    ];

    /// RFC 7541 §C.6, with a table that holds 256 bytes.
    #[test]
    fn responses() {
        check(
            256,
            &[
                (
                    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
                     2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                    RESPONSES[0],
                    222,
                ),
                ("4883 640e ffc1 c0bf", RESPONSES[1], 222),
                (
                    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
                     77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
                     9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                    RESPONSES[2],
                    215,
                ),
            ],
        );
    }

    #[test]
    fn broken_blocks_are_refused() {
        for (block, error) in [
            ("80", HpackError::Index),
            ("be", HpackError::Index),
            ("ff", HpackError::Truncated),
            ("40", HpackError::Truncated),
            ("4003 6162", HpackError::Truncated),
            ("4001 6101", HpackError::Truncated),
            ("3fe2 1f", HpackError::TableSize),
            ("8220", HpackError::TableSize),
            ("4081 ff00", HpackError::Huffman),
            ("ffff ffff ffff ffff", HpackError::Number),
        ] {
            assert_eq!(decoded(&mut Decoder::default(), &hex(block)), Err(error), "{block}");
        }
        assert_eq!(decoded(&mut Decoder::default(), &hex("20 3fe1 1f 82")).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            blocks in proptest::collection::vec(
                proptest::collection::vec(("[a-z-]{1,12}", "[ -~]{0,30}", any::<bool>()), 0..8),
                0..8,
            ),
            size in 0usize..300,
        ) {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            encoder.set_table_size(size);
            for fields in blocks {
                let mut block = Vec::new();
                encoder.begin(&mut block);
                for (name, value, is_kept) in &fields {
                    match is_kept {
                        true => encoder.indexed(name.as_bytes(), value.as_bytes(), &mut block),
                        false => super::super::block_of(name.as_bytes(), value.as_bytes(), &mut block),
                    }
                }
                let want: Fields = fields
                    .iter()
                    .map(|(n, v, _)| (n.clone().into_bytes(), v.clone().into_bytes()))
                    .collect();
                prop_assert_eq!(decoded(&mut decoder, &block), Ok(want));
                prop_assert!(decoder.table.size() <= size);
            }
        }

        #[test]
        fn nothing_that_comes_is_too_much(block in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut decoder = Decoder::default();
            let _ = decoded(&mut decoder, &block);
            prop_assert!(decoder.table.size() <= TABLE_SIZE);
        }
    }
}
