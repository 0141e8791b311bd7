//! Bytes from and to one client. No HTTP words here.

mod recv;
mod segment;
mod send;
mod tls;
mod transport;

pub use recv::RecvBuffer;
pub use segment::{Bytes, FileSlice};
pub use send::{Flushed, SendQueue};
pub use tls::Tls;
#[cfg(test)]
pub(crate) use tls::tests::Keys;
pub use transport::{Filled, Transport};
#[cfg(test)]
pub use transport::{Incoming, Script, SharedScript};
