//! What routes do: serve and take files, send elsewhere, say something fixed.

pub mod files;
mod redirect;
mod respond;

pub use files::FileHandler;
pub use redirect::RedirectHandler;
pub use respond::RespondHandler;

use crate::http::{Method, MethodSet};

/// The methods of routes that give every request the same answer and do not look at its body.
const ANY_METHOD: MethodSet = MethodSet::of(&[
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Patch,
]);
