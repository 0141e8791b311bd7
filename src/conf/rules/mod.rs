//! Which texts are allowed where: addresses and names of hosts, paths and targets, and other words.
//!
//! Pure functions of the text; both formats use them.

mod addresses;
mod paths;
mod words;

pub(super) use addresses::{Taken, client, host_name, listen};
pub(super) use paths::{file_below, file_name, file_path, redirect_target, route_path};
pub(super) use words::{
    app_name, charset, extension, header_value, media_type, realm, shell_variable, variable_name,
    variable_value, wsgi_callable,
};

/// Why a text is not allowed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::conf) struct Fault {
    /// The short name of the diagnostic.
    pub name: &'static str,
    /// What is wrong, as the end of a sentence that begins with the text: "has a port".
    pub why: String,
    /// What to write instead, if that can be said.
    pub instead: Option<String>,
}

impl Fault {
    fn new(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, why: why.into(), instead: None }
    }

    fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = Some(text.into());
        self
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// RFC 9110 §5.6.2.
fn token(text: &str) -> bool {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is)
}

/// `Ok` or what to write instead, or the name of the fault.
#[cfg(test)]
fn verdict<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Fault { instead: Some(text), .. }) => format!("write {text}"),
        Err(Fault { name, .. }) => name.to_owned(),
    }
}
