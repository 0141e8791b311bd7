//! HPACK: fields to bytes and back, with a table on each side (RFC 7541).
//!
//! Ours, because the crates that do this either belong to an asynchronous runtime, copy each field
//! several times, or bound nothing.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod table;

pub use decoder::Decoder;
pub use encoder::{Encoder, block_of};

/// What the table of a side may hold where nothing is said (RFC 9113 §6.5.2).
pub const TABLE_SIZE: usize = 4096;

/// Why a block of fields cannot be decoded. Both sides disagree about the table from then on, so that the
/// connection ends (COMPRESSION_ERROR, RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// It ends in the middle.
    Truncated,
    /// A number is too large.
    Number,
    /// A text is no Huffman code.
    Huffman,
    /// An index of no field.
    Index,
    /// A change of the table's size that is too large, or not at the beginning.
    TableSize,
}
