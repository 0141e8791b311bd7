//! HTTP/1.0 and 1.1: one rendering of what [`http`](crate::http) knows, as pure functions of bytes (RFC 9112).
//!
//! Architecture invariant: as in `http`, nothing here sees a socket, a file, a clock or a log.

pub mod chunked;
pub mod fields;
pub mod framing;
pub mod limits;
pub mod render;
pub mod response;

#[cfg(test)]
mod mutation;
mod parse;

pub use framing::Framing;
pub use parse::{Parsed, parse};
