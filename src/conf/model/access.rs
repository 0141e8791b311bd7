//! `allow` and `auth`, of hosts and routes.

use super::At;
use crate::conf::{Network, User};
use crate::http::MethodSet;
use std::ops::Range;
use std::path::PathBuf;

/// Who may have what a route answers: what the route says, else what its host says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// The clients that may; `None`: all.
    pub allow: Option<At<Vec<Client>>>,
    /// Who has to say who it is; `None`: nobody.
    pub auth: Option<Auth>,
}

impl Access {
    /// Where it is written.
    pub fn span(&self) -> Option<&Range<usize>> {
        let allow = self.allow.as_ref().map(|at| &at.span);
        allow.or_else(|| self.auth.as_ref().map(|auth| &auth.span))
    }
}

/// `auth = { users, realm, for }`
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Who is let in.
    pub users: Users,
    /// What browsers show when they ask for the password.
    pub realm: String,
    /// The methods it is asked for with; `None`: all.
    pub methods: Option<MethodSet>,
    /// Where it is written.
    pub span: Range<usize>,
}

impl Auth {
    /// One user, for all methods.
    pub fn of_one(name: &str, hash: &str) -> Self {
        let user = User { name: name.to_owned(), hash: hash.to_owned() };
        Self { users: Users::Inline(vec![At::implied(user)]), ..Self::default() }
    }
}

impl Default for Auth {
    fn default() -> Self {
        let users = Users::Inline(Vec::new());
        Self { users, realm: "restricted".to_owned(), methods: None, span: 0..0 }
    }
}

/// Where the users of an `auth` are.
#[derive(Clone, Debug, PartialEq)]
pub enum Users {
    /// In a file of `name:hash` lines.
    File(At<PathBuf>),
    /// Here.
    Inline(Vec<At<User>>),
}

/// Clients that are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Those of a Unix socket, which have no address.
    Unix,
    /// Those of a network; of a single address, too.
    Network(Network),
}

/// As it is written in a configuration.
impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Network(network) => network.fmt(f),
        }
    }
}
