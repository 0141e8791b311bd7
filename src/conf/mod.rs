//! `web.conf`: from text to a typed [`Config`], or to [`Diagnostics`] that show the mistake.
//!
//! Architecture invariant: text and values only. Files are read by the caller, folders are looked
//! at by `site::build`.

mod classic;
mod diagnostic;
mod foreign;
mod keys;
mod load;
mod model;
mod network;
mod read;
mod render;
mod rules;
mod show;
mod toml_text;
mod units;
mod users;

#[cfg(test)]
mod tests;

pub(crate) use diagnostic::summary;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Source};
pub use keys::closest;
pub use load::{load, quick, sniff, wsgi_callable};
pub use model::*;
pub use network::Network;
pub use show::effective;
pub(crate) use units::{show_duration, show_size};
pub use users::{User, check_hash, check_name, check_name_of_line, read_users};
