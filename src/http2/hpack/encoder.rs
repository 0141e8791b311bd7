//! From fields to bytes.

use super::table::{DynamicTable, STATIC};
use super::{TABLE_SIZE, huffman, integer};

/// What we keep of fields that repeat, whatever a client would remember for us.
const KEPT: usize = TABLE_SIZE;

/// The encoder of one direction of a connection. Fields that come with every answer are told once and
/// referred to from then on; all others do not depend on what was told before, so that their bytes can be
/// made once for all connections ([`block_of`]).
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    /// The table's size has changed, and the client was not told: the smallest one since, and the last.
    resized: Option<(usize, usize)>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { table: DynamicTable::new(KEPT), resized: None }
    }
}

impl Encoder {
    /// The client lets the table hold so much (SETTINGS_HEADER_TABLE_SIZE).
    pub fn set_table_size(&mut self, size: usize) {
        let size = size.min(KEPT);
        if size == self.table.limit() && self.resized.is_none() {
            return;
        }
        let smallest = self.resized.map_or(size, |(smallest, _)| smallest.min(size));
        self.resized = Some((smallest, size));
        self.table.set_limit(size);
    }

    /// Begins a block: tells what has changed of the table (RFC 7541 §4.2).
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((smallest, size)) = self.resized.take() {
            if smallest < size {
                integer::encode(smallest, 5, 0x20, out);
            }
            integer::encode(size, 5, 0x20, out);
        }
    }

    /// A field that comes with many answers: told the first time, then an index.
    pub fn indexed(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        if let Some(at) = self.table.find(name, value) {
            return integer::encode(STATIC.len() + 1 + at, 7, 0x80, out);
        }
        literal(name, value, 6, 0x40, out);
        self.table.insert(name, value);
    }
}

/// A field whose bytes are the same on every connection.
pub fn block_of(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    match STATIC.iter().position(|known| *known == (name, value)) {
        Some(at) => integer::encode(at + 1, 7, 0x80, out),
        // Secrets are not to be kept by anybody on the way (RFC 7541 §7.1.3).
        None if name == b"set-cookie" => literal(name, value, 4, 0x10, out),
        None => literal(name, value, 4, 0x00, out),
    }
}

fn literal(name: &[u8], value: &[u8], prefix: u32, flags: u8, out: &mut Vec<u8>) {
    match STATIC.iter().position(|(known, _)| *known == name) {
        Some(at) => integer::encode(at + 1, prefix, flags, out),
        None => {
            out.push(flags);
            text(name, out);
        }
    }
    text(value, out);
}

/// A text, in the shorter of its two forms.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let length = huffman::encoded_len(bytes);
    if length < bytes.len() {
        integer::encode(length, 7, 0x80, out);
        huffman::encode(bytes, out);
    } else {
        integer::encode(bytes.len(), 7, 0, out);
        out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_one_byte() {
        let mut encoder = Encoder::default();
        for lengths in [[10, 24], [1, 1], [1, 1]] {
            for (name, value, length) in [
                ("server", "httpyserver", lengths[0]),
                ("date", "Mon, 21 Oct 2013 20:13:21 GMT", lengths[1]),
            ] {
                let mut block = Vec::new();
                encoder.begin(&mut block);
                encoder.indexed(name.as_bytes(), value.as_bytes(), &mut block);
                assert_eq!(block.len(), length, "{name}");
            }
        }
    }

    #[test]
    fn a_smaller_table_is_told() {
        let mut encoder = Encoder::default();
        let mut block = Vec::new();
        encoder.set_table_size(4096);
        encoder.begin(&mut block);
        assert!(block.is_empty());
        encoder.set_table_size(0);
        encoder.set_table_size(100);
        encoder.begin(&mut block);
        assert_eq!(block, [0x20, 0x3f, 69]);
        block.clear();
        encoder.begin(&mut block);
        assert!(block.is_empty());
    }
}
