//! The few Linux calls, over rustix: safe types, nothing of HTTP.

pub mod fs;
pub mod socket;
