//! Bytes from and to one client. No HTTP words here.

mod recv;
mod segment;
mod send;
mod transport;

pub use recv::{Filled, RecvBuffer};
pub use segment::{Bytes, FileSlice};
pub use send::{Flushed, SendQueue};
pub use transport::Transport;
#[cfg(test)]
pub use transport::{Incoming, Script};
