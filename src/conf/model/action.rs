//! What a route does.

use super::{AppRoute, At, Cgi};
use crate::http::{Method, MethodSet, Status};
use std::ops::Range;
use std::path::PathBuf;

/// What a route does: exactly one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Files of a folder, and uploads to it where allowed.
    Files(Files),
    /// Programs of a folder.
    Cgi(Cgi),
    /// Another place.
    Redirect(Redirect),
    /// A fixed answer.
    Respond(Respond),
    /// A Python application.
    App(AppRoute),
    /// The Python pages of a folder.
    Pages(At<PathBuf>),
    /// An application of this program.
    Handler(HandlerRef),
}

impl Action {
    /// The files that it serves, if any, to be changed.
    pub fn files_mut(&mut self) -> Option<&mut Files> {
        match self {
            Self::Files(files) => Some(files),
            Self::App(route) => route.files.as_mut(),
            Self::Cgi(cgi) => cgi.files.as_mut(),
            _ => None,
        }
    }

    /// The files that it serves, be it alone, among scripts or before an application.
    pub fn files(&self) -> Option<&Files> {
        match self {
            Self::Files(files) => Some(files),
            Self::App(route) => route.files.as_ref(),
            Self::Cgi(cgi) => cgi.files.as_ref(),
            _ => None,
        }
    }
}

/// `handler = "..."` and `options = { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerRef {
    /// The name it is registered under.
    pub name: At<String>,
    /// What it is told, as it is written: only the application knows what it means.
    pub options: At<toml::Table>,
    /// What relative paths in the options are relative to.
    pub folder: PathBuf,
}

/// `files = "..."` and the keys beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    /// The folder.
    pub root: At<PathBuf>,
    /// Whether a folder without index page is listed.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Whether `/about` is answered with `about.html`.
    pub clean_urls: bool,
    /// The file that answers pages that match no file (single page applications).
    pub fallback: Option<String>,
    /// The `Cache-Control` header of its files.
    pub cache_control: Option<String>,
    /// What may be written to it.
    pub upload: Option<Upload>,
}

impl Files {
    /// A folder, served with the defaults.
    pub fn of(root: At<PathBuf>) -> Self {
        Self {
            root,
            listing: false,
            hidden: false,
            clean_urls: false,
            fallback: None,
            cache_control: None,
            upload: None,
        }
    }
}

/// `upload = { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Some of PUT, POST, DELETE.
    pub methods: MethodSet,
    /// Bytes of one file.
    pub max: u64,
    /// What happens to a file that is there already.
    pub overwrite: Overwrite,
    /// Whether missing folders are made.
    pub mkdir: bool,
    /// Where it is written.
    pub span: Range<usize>,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            methods: MethodSet::of(&[Method::Put, Method::Post]),
            max: 1024 * 1024 * 1024,
            overwrite: Overwrite::Replace,
            mkdir: false,
            span: 0..0,
        }
    }
}

/// What an upload does to a file of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It takes its place.
    Replace,
    /// It is kept; the new one is refused with 409.
    Refuse,
    /// It is kept; the new one gets a free name, told in `Location` (POST; PUT is refused).
    Rename,
}

/// `redirect = { to, status }`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The target, with `{rest}`, `{host}` and `{query}` to be filled in.
    pub to: At<String>,
    /// 301, 302, 303, 307 or 308.
    pub status: Status,
}

impl Redirect {
    /// A redirect with the usual status.
    pub fn to(to: At<String>) -> Self {
        Self { to, status: Status::FOUND }
    }
}

/// `respond = { status, body, type }`
#[derive(Clone, Debug, PartialEq)]
pub struct Respond {
    /// The status.
    pub status: Status,
    /// The body, as it is.
    pub body: String,
    /// Its media type.
    pub content_type: String,
}

impl Default for Respond {
    fn default() -> Self {
        let content_type = "text/plain; charset=utf-8".to_owned();
        Self { status: Status::OK, body: String::new(), content_type }
    }
}
