//! Certificates: from files, or of our own making, to what rustls is configured with. No sockets.
//!
//! A [`Secured`] is immutable. Renewed files and reloads build another one, and connections that
//! were accepted with the former keep it.

mod certificate;
mod choice;
mod local;
mod pair;
mod plan;
mod secured;
mod setup;
mod subject;
mod time;

pub use local::state_folder;
pub use plan::Plan;
pub use secured::Secured;
pub use subject::subject_of;

/// Who does the arithmetic, for `-V`.
pub const PROVIDER: &str = "rustls with aws-lc-rs";

#[cfg(test)]
mod tests;
