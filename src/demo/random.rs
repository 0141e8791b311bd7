//! Numbers that nobody can guess, and digests of them.

use aws_lc_rs::{digest, rand};
use std::io;

/// `BYTES` random bytes.
///
/// # Errors
/// The system has none.
pub fn bytes<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// `BYTES` random bytes in hexadecimal digits.
///
/// # Errors
/// As [`bytes`].
pub fn hex<const BYTES: usize>() -> io::Result<String> {
    Ok(bytes::<BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256. Good for secrets that are random already, not for passwords.
pub fn digest(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}
