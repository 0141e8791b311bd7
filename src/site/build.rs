//! From what the configuration says to what requests are answered from: folders opened, pages
//! read, routes sorted. Nothing is looked up by name at request time that can be resolved here.

use super::{Route, Site, VirtualHost, lookup};
use crate::conf::{self, Action, At, Config, Diagnostic, Diagnostics, ErrorKey};
use crate::event::Cx;
use crate::handlers::files::{CacheLimits, FileHandler, MediaTable, Setup};
use crate::handlers::{RedirectHandler, RespondHandler};
use crate::http::{HttpError, Method, MethodSet, Status};
use crate::serve::{ErrorPages, Handler, Outcome, OwnPage, Request};
use crate::sys::fs::Root;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// An error page is part of every answer that uses it, and kept in memory.
const OWN_PAGE_MAX: u64 = 256 * 1024;

/// Builds the site of a configuration. `folder` is the one its relative paths are relative to. What
/// is wrong but can be lived with (a folder that is not there) becomes a warning.
pub fn build(config: &Config, folder: &Path, diagnostics: &mut Diagnostics) -> Site {
    let media = Rc::new(MediaTable::new(&config.media));
    let mut builder = Builder { config, folder, media, diagnostics, handlers: Vec::new() };
    let hosts: Vec<_> = config.hosts.iter().map(|host| builder.host(host)).collect();
    let handlers = builder.handlers;
    let (exact, wildcards) = names(&config.hosts);
    let only = (config.hosts.len() == 1 && config.hosts[0].names.is_empty()).then_some(0);
    Site {
        timeouts: config.timeouts.clone(),
        limits: config.limits.clone(),
        server_header: config.server.server_header.clone(),
        pages: Rc::default(),
        hosts,
        handlers,
        exact,
        wildcards,
        default: config.hosts.iter().position(|host| host.default).or(only),
    }
}

type Names = (HashMap<Box<[u8]>, usize>, Vec<(Box<[u8]>, usize)>);

/// Who has which name: exact ones, and wildcards with the longest first.
fn names(hosts: &[conf::Host]) -> Names {
    let (mut exact, mut wildcards) = (HashMap::new(), Vec::new());
    for (number, host) in hosts.iter().enumerate() {
        for name in &host.names {
            match name.value.strip_prefix('*') {
                Some(suffix) => wildcards.push((suffix.as_bytes().into(), number)),
                None => {
                    exact.insert(name.value.as_bytes().into(), number);
                }
            }
        }
    }
    wildcards.sort_by_key(|(suffix, _): &(Box<[u8]>, usize)| std::cmp::Reverse(suffix.len()));
    (exact, wildcards)
}

struct Builder<'a> {
    config: &'a Config,
    folder: &'a Path,
    media: Rc<MediaTable>,
    diagnostics: &'a mut Diagnostics,
    handlers: Vec<Rc<dyn Handler>>,
}

impl Builder<'_> {
    fn host(&mut self, host: &conf::Host) -> VirtualHost {
        let mut routes: Vec<_> = host.routes.iter().map(|route| self.route(host, route)).collect();
        lookup::sort(&mut routes);
        let name = host.names.first().map_or("*", |name| &name.value);
        VirtualHost { name: name.into(), pages: Rc::new(self.pages(host)), routes }
    }

    fn route(&mut self, host: &conf::Host, route: &conf::Route) -> Route {
        let (kind, handler): (_, Rc<dyn Handler>) = match &route.action {
            Action::Files(files) => ("files", self.files(host, files)),
            Action::Redirect(redirect) => {
                ("redirect", Rc::new(RedirectHandler::new(redirect.clone())))
            }
            Action::Respond(respond) => ("respond", Rc::new(RespondHandler::new(respond.clone()))),
        };
        self.handlers.push(handler.clone());
        Route {
            path: route.path.value.as_str().into(),
            methods: route.methods,
            kind,
            body_limit: handler.body_limit().unwrap_or(self.config.limits.body),
            handler,
        }
    }

    fn files(&mut self, host: &conf::Host, files: &conf::Files) -> Rc<dyn Handler> {
        let Some(root) = self.root(&files.root) else { return Rc::new(NoFolder) };
        Rc::new(FileHandler::new(Setup {
            root: Rc::new(root),
            files: files.clone(),
            index: host.index.clone(),
            welcome: host.welcome,
            media: self.media.clone(),
            compress: self.config.compress.clone(),
            cache: CacheLimits::default(),
        }))
    }

    fn root(&mut self, path: &At<PathBuf>) -> Option<Root> {
        match Root::open(&path.value) {
            Ok(root) => Some(root),
            Err(error) => {
                let what = format!("{} cannot be served: {error}", path.value.display());
                self.diagnostics.push(
                    Diagnostic::warning("missing-root", what, path.span.clone())
                        .label("its files are answered with 404 until the next reload"),
                );
                None
            }
        }
    }

    fn pages(&mut self, host: &conf::Host) -> ErrorPages {
        let mut pages = ErrorPages::default();
        for (key, path) in &host.errors {
            match self.page(host, &path.value) {
                Ok(page) => match key {
                    ErrorKey::Status(status) => pages.for_status(*status, page),
                    ErrorKey::Class(class) => pages.for_class(*class, page),
                },
                Err(error) => self.diagnostics.push(
                    Diagnostic::warning(
                        "missing-page",
                        format!("the error page {} cannot be read: {error}", path.value),
                        path.span.clone(),
                    )
                    .label("the built-in page is shown instead"),
                ),
            }
        }
        pages
    }

    /// A page that begins with `/` lies in the host's root, as its URL says; another is a file
    /// beside the configuration.
    fn page(&self, host: &conf::Host, path: &str) -> std::io::Result<OwnPage> {
        let file = match path.strip_prefix('/') {
            Some(beneath) => {
                let root = host.routes.iter().find_map(|route| match &route.action {
                    Action::Files(files) if route.path.value == "/" => Some(&files.root.value),
                    _ => None,
                });
                let root = root.ok_or_else(|| std::io::Error::other("the host has no root"))?;
                Root::open(root)?.open_beneath(beneath.as_bytes())?
            }
            None => std::fs::File::open(self.folder.join(path))?,
        };
        let mut body = Vec::new();
        file.take(OWN_PAGE_MAX + 1).read_to_end(&mut body)?;
        if body.len() as u64 > OWN_PAGE_MAX {
            return Err(std::io::Error::other("it is larger than 256 KiB"));
        }
        let media_type = self.media.of_path(path.as_bytes());
        Ok(OwnPage { media_type, body: body.into() })
    }
}

/// Stands in for a folder that is not there.
struct NoFolder;

impl Handler for NoFolder {
    fn methods(&self) -> MethodSet {
        MethodSet::of(&[Method::Get, Method::Head])
    }

    fn handle(&self, _: &Request, _: &mut Cx) -> Result<Outcome, HttpError> {
        Err(HttpError::new(Status::NOT_FOUND, "the folder of this route is missing"))
    }
}
