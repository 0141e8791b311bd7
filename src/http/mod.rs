//! What HTTP means, whatever carries it, as pure functions of bytes (RFC 9110).
//!
//! Architecture invariant: nothing here sees a socket, a file, a clock or a log. Time comes in as
//! an argument. Every parser is fed bytes from strangers; none may panic.

pub mod base64;
pub mod bytes;
pub mod charset;
pub mod conditional;
pub mod date;
pub mod escape;
pub mod etag;
pub mod head;
pub mod headers;
pub mod multipart;
pub mod range;
pub mod target;

mod credentials;
mod error;
mod header;
mod host;
mod method;
#[cfg(test)]
pub(crate) mod mutation;
mod negotiate;
mod status;

pub use credentials::Credentials;
pub use error::HttpError;
pub use head::{BodyLength, RequestHead, Span, Version};
pub use header::{Known, list};
pub use headers::Headers;
pub use host::HostName;
pub use method::{Method, MethodSet};
pub use negotiate::{ErrorForm, accepts_coding, error_form, prefers_html};
pub use status::{Status, StatusLine};
