//! What all backends that answer requests have in common, however they are spoken to.
//!
//! | file | question |
//! |---|---|
//! | `exchange` | what happens to a request, from its body to the end of its answer? |
//! | `gather` | when is the body there, and is there room for it? |
//! | `spool` | where does it wait until the backend can have it? |
//! | `body` | how does the backend get it? |
//! | `environ` | what is the backend told of the request? |
//! | `relay` | how does the answer get to the client? |
//! | `backlog` | where does it wait, where the client is slower than the backend may be held? |
//! | `silence` | how long may the backend say nothing? |
//! | `stderr` | what does a program write to its standard error? |

pub mod backlog;
pub mod body;
pub mod environ;
pub mod exchange;
pub mod gather;
pub mod relay;
pub mod silence;
pub mod spool;
pub mod stderr;
#[cfg(test)]
mod testing;

pub use backlog::Backlog;
pub use body::{Feed, RequestBody};
pub use environ::Environ;
pub use exchange::{Backend, Begun, GatewayExchange};
pub use gather::{Gather, Sink};
pub use relay::{AnswerHead, Relay};
pub use silence::Silence;
pub use spool::{Spool, SpoolFile, Spooled};
pub use stderr::{Allowance, StderrReader};
