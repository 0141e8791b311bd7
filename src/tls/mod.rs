//! Certificates: from files, or of our own making, to what rustls is configured with. No sockets.
//!
//! A [`Secured`] is immutable. Renewed files and reloads build another one, and connections that
//! were accepted with the former keep it.

mod certificate;
mod choice;
mod local;
mod plan;
mod subject;

pub use local::state_folder;
pub use plan::{Plan, Secured};
pub use subject::subject_of;

/// Who does the arithmetic, for `-V`.
pub const PROVIDER: &str = "rustls with aws-lc-rs";

#[cfg(test)]
mod tests;
