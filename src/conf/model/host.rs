//! `[[host]]` and `[[host.route]]`.

use super::{Access, Action, At, CertFiles, Https};
use crate::http::{MethodSet, Status};
use std::ops::Range;
use std::time::Duration;

/// `[[host]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Lower case; `*.example.org` is a wildcard. May be empty for the default.
    pub names: Vec<At<String>>,
    /// Answers names that no host has.
    pub default: bool,
    /// What to show when the root has no index page: the page that says that it works.
    pub welcome: bool,
    /// File names tried in a folder.
    pub index: Vec<String>,
    /// Its own certificate.
    pub tls: Option<CertFiles>,
    /// What it does with requests that are not encrypted.
    pub https: Https,
    /// How long browsers are told to come back with TLS only, where that differs from `[tls]`;
    /// `Some(None)`: they are not.
    pub hsts: Option<Option<Duration>>,
    /// Own pages for errors.
    pub errors: Vec<(ErrorKey, At<String>)>,
    /// Who may have what its routes answer that do not say their own, and know what is not there.
    pub access: Access,
    /// Its routes. `root` has become a route `/` with files.
    pub routes: Vec<Route>,
    /// Where the host's table begins.
    pub span: Range<usize>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            default: false,
            welcome: false,
            index: vec!["index.html".to_owned()],
            tls: None,
            https: Https::Both,
            hsts: None,
            errors: Vec::new(),
            access: Access::default(),
            routes: Vec::new(),
            span: 0..0,
        }
    }
}

/// What an error page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKey {
    /// `404`
    Status(Status),
    /// `4xx` or `5xx`: the hundreds.
    Class(u16),
}

/// `[[host.route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Ends in `/`: this path and everything below; otherwise exactly this path. Decoded.
    pub path: At<String>,
    /// The methods it is for; `None`: all.
    pub methods: Option<MethodSet>,
    /// Clients cannot ask for it: only programs of the server send requests here.
    pub internal: bool,
    /// What becomes of an encoded slash in a path; `None`: what its handler says, which refuses it
    /// unless it says otherwise.
    pub encoded_slashes: Option<EncodedSlashes>,
    /// Who may have what it answers.
    pub access: Access,
    /// What it does.
    pub action: Action,
}

impl Route {
    /// For all methods and for everybody.
    pub fn new(path: At<String>, action: Action) -> Self {
        let access = Access::default();
        Self { path, methods: None, internal: false, encoded_slashes: None, access, action }
    }
}

/// What becomes of a path with an encoded slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlashes {
    /// 400.
    Refuse,
    /// It belongs to the name around it, and stays encoded.
    Keep,
}
