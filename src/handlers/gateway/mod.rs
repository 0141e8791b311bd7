//! What all programs that answer requests have in common, however they are spoken to.
//!
//! | file | question |
//! |---|---|
//! | `environ` | what is a program told of a request? |
//! | `fields` | which header lines of its answer are passed on? |
//! | `gather` | when is the body of a request there, and is there room for it? |
//! | `spool` | where does it wait until the program can have it? |
//! | `stderr` | what does it write to its standard error? |

pub mod environ;
pub mod fields;
pub mod gather;
pub mod spool;
pub mod stderr;

pub use environ::Environ;
pub use gather::{Gather, Sink};
pub use spool::{Spool, SpoolFile, Spooled};
pub use stderr::{Allowance, StderrReader};
