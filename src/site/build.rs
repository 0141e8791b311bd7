//! From what the configuration says to what requests are answered from: folders opened, pages
//! read, routes sorted. Nothing is looked up by name at request time that can be resolved here.

use super::guard::Locks;
use super::scripts::Shared;
use super::served::ServedFolders;
use super::{Guard, Registry, Route, Site, VirtualHost, closed, lookup, scripts};
use crate::app::Options;
use crate::conf::{self, Action, At, Config, Diagnostic, Diagnostics, ErrorKey, Https};
use crate::handlers::cgi::{Among, RunBy};
use crate::handlers::files::{CacheLimits, FileHandler, MediaTable, Setup};
use crate::handlers::script_names::{Named, ScriptNames};
use crate::handlers::wsgi::{self, Application, Mount, Pages};
use crate::handlers::{CgiHandler, RedirectHandler, RespondHandler};
use crate::http::{Headers, HttpError, Method, MethodSet, Status};
use crate::serve::{ErrorPages, HSTS, Handler, Look, OwnPage, Plan, Request, Service};
use crate::sys::file;
use crate::sys::fs::{Closed, NamedRoot, Root, RootPool};
use crate::sys::privilege::may_enter;
use crate::sys::socket::raise_descriptor_limit;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// However many routes share the cache, each has room for this.
const CACHE_ENTRIES_MIN: usize = 100;
const CACHE_BYTES_MIN: usize = 1024 * 1024;

/// An error page is part of every answer that uses it, and kept in memory.
const OWN_PAGE_MAX: u64 = 256 * 1024;

/// Builds the site of a configuration. What is wrong but can be lived with (a folder that is not
/// there) becomes a warning. `file` is where the configuration was read from.
pub fn build(
    config: &Config,
    file: Option<&Path>,
    registry: &Registry,
    diagnostics: &mut Diagnostics,
) -> Site {
    let media = Rc::new(MediaTable::new(&config.media));
    let closed = closed::places(config, file);
    let shared = Shared::of(config);
    shared.close_scripts(&closed);
    let run_by = scripts::interpreters(config, diagnostics);
    let mut builder = Builder {
        config,
        registry,
        media,
        diagnostics,
        services: Vec::new(),
        apps: HashMap::new(),
        told: Vec::new(),
        roots: RootPool::new(folders_open(), closed.clone()),
        closed,
        run_by,
        shared,
        locks: Locks::default(),
        served: OnceCell::new(),
        entered: HashMap::new(),
        cache: share_of_cache(config),
    };
    let used = used_apps(config);
    let apps = config.apps.iter().filter(|app| used.contains(app.name.value.as_str()));
    apps.for_each(|app| builder.app(app));
    let hosts = (0..).zip(&config.hosts).map(|(number, host)| builder.host(number, host));
    let hosts: Vec<_> = hosts.collect();
    let Builder { services, told: apps, closed, .. } = builder;
    diagnostics.sort();
    let (exact, wildcards) = names(&config.hosts);
    let only = (config.hosts.len() == 1 && config.hosts[0].names.is_empty()).then_some(0);
    Site {
        timeouts: config.timeouts.clone(),
        limits: config.limits.clone(),
        http2: config.server.h2,
        server_header: config.server.server_header.clone(),
        pages: Rc::new(hooked(registry)),
        hosts,
        apps,
        services,
        closed,
        exact,
        wildcards,
        default: config.hosts.iter().position(|host| host.default).or(only),
    }
}

/// Pages that ask the program's own hook first.
fn hooked(registry: &Registry) -> ErrorPages {
    let mut pages = ErrorPages::default();
    if let Some(hook) = registry.error_hook() {
        pages.ask_first(Rc::clone(hook));
    }
    pages
}

type Names = HashMap<Box<[u8]>, usize>;

/// Who has which name: exact ones, and what follows the `*` of wildcards.
fn names(hosts: &[conf::Host]) -> (Names, Names) {
    let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
    for (number, host) in hosts.iter().enumerate() {
        for name in &host.names {
            match name.value.strip_prefix('*') {
                Some(suffix) => wildcards.insert(suffix.as_bytes().into(), number),
                None => exact.insert(name.value.as_bytes().into(), number),
            };
        }
    }
    (exact, wildcards)
}

struct Builder<'a> {
    config: &'a Config,
    registry: &'a Registry,
    media: Rc<MediaTable>,
    diagnostics: &'a mut Diagnostics,
    services: Vec<Rc<dyn Service>>,
    /// What no route shows.
    closed: Closed,
    roots: RootPool,
    /// Who runs scripts.
    run_by: Vec<RunBy>,
    shared: Shared,
    locks: Locks,
    /// Which folders are served, once somebody asks.
    served: OnceCell<ServedFolders<'a>>,
    /// Whether folders may be entered, and written into where that is asked.
    entered: HashMap<(PathBuf, bool), (bool, bool)>,
    /// What each route with files may remember.
    cache: CacheLimits,
    apps: HashMap<String, Rc<Application>>,
    /// See `Site::apps`.
    told: Vec<String>,
}

impl<'a> Builder<'a> {
    fn served(&self) -> &ServedFolders<'a> {
        self.served.get_or_init(|| ServedFolders::of(self.config))
    }

    fn host(&mut self, number: u32, host: &conf::Host) -> VirtualHost {
        let hsts = self.hsts(host);
        let mut routes: Vec<_> =
            host.routes.iter().map(|route| self.route(host, route, hsts.as_ref())).collect();
        lookup::sort(&mut routes);
        (0..).zip(&mut routes).for_each(|(number, route)| route.number = number);
        let name = host.names.first().map_or("*", |name| &name.value);
        VirtualHost {
            number,
            name: name.into(),
            pages: Rc::new(self.pages(host)),
            https: host.https,
            guard: self.guard(host, &host.access, hsts.as_ref()),
            headers: hsts,
            routes,
        }
    }

    /// Only for hosts that are reached encrypted alone: browsers would not find the others any more
    /// (RFC 6797).
    fn hsts(&self, host: &conf::Host) -> Option<Rc<Headers>> {
        let span = host.hsts.unwrap_or(self.config.tls.hsts)?;
        let mut headers = Headers::new();
        headers.push(HSTS, format!("max-age={}", span.as_secs()).as_bytes());
        (host.https != Https::Both).then(|| headers.into())
    }

    fn route(
        &mut self,
        host: &conf::Host,
        route: &conf::Route,
        hsts: Option<&Rc<Headers>>,
    ) -> Route {
        let (kind, handler): (_, Rc<dyn Handler>) = match &route.action {
            Action::Files(files) => ("files", self.files(host, files, false)),
            Action::Cgi(cgi) => ("cgi", self.scripts(host, cgi)),
            Action::App(route) => ("wsgi", self.mount(host, route)),
            Action::Pages(folder) => ("pages", self.pages_of(host, folder)),
            Action::Redirect(redirect) => {
                ("redirect", Rc::new(RedirectHandler::new(redirect.clone())))
            }
            Action::Respond(respond) => ("respond", Rc::new(RespondHandler::new(respond.clone()))),
            Action::Handler(handler) => {
                ("handler", self.handler(handler, !route.path.value.ends_with('/')))
            }
        };
        Route {
            // That follows from all routes of the host: see `host`.
            number: 0,
            path: route.path.value.as_str().into(),
            methods: route.methods,
            internal: route.internal,
            keeps_slashes: match route.encoded_slashes {
                Some(slashes) => slashes == conf::EncodedSlashes::Keep,
                None => handler.keeps_encoded_slashes(),
            },
            kind,
            body_limit: handler.body_limit().unwrap_or(self.config.limits.body),
            guard: self.guard(host, &route.access, hsts),
            handler,
        }
    }

    fn guard(
        &mut self,
        host: &conf::Host,
        access: &conf::Access,
        hsts: Option<&Rc<Headers>>,
    ) -> Option<Rc<Guard>> {
        let auth = access.auth.as_ref();
        let lock = auth.map(|auth| {
            let served = || self.served.get_or_init(|| ServedFolders::of(self.config));
            self.locks.of(auth, host, self.config, served, self.diagnostics)
        });
        Guard::of(access, lock, hsts).map(Rc::new)
    }

    /// An application of the program. One that is not there, or does not like its options, is a
    /// mistake like others: nothing is served in its place.
    fn handler(&mut self, wanted: &conf::HandlerRef, exact: bool) -> Rc<dyn Handler> {
        let conf::HandlerRef { name, options, folder } = wanted;
        let Some(make) = self.registry.get(&name.value) else {
            let message = format!("this program has no handler `{}`", name.value);
            let names: Vec<_> = self.registry.names().collect();
            let diagnostic = Diagnostic::error("unknown-handler", message, name.span.clone());
            self.diagnostics.push(match conf::closest(&name.value, &names) {
                Some(close) => diagnostic.label(format!("did you mean `{close}`?")),
                None if names.is_empty() => diagnostic.label("it has none at all"),
                None => diagnostic.label(format!("it has: {}", names.join(", "))),
            });
            return Rc::new(NoFolder);
        };
        self.check_data(wanted);
        let given = Options::new(options.value.clone(), folder).at_exact(exact);
        make(&given).unwrap_or_else(|why| {
            let message = format!("the handler `{}` refuses: {why}", name.value);
            let span =
                if options.span.is_empty() { name.span.clone() } else { options.span.clone() };
            self.diagnostics.push(Diagnostic::error("bad-options", message, span));
            Rc::new(NoFolder)
        })
    }

    /// What an application keeps in its folder `data`, keys and passwords among it, is nobody
    /// else's: no route may serve it as files.
    fn check_data(&mut self, wanted: &conf::HandlerRef) {
        let Some(data) = wanted.options.value.get("data").and_then(toml::Value::as_str) else {
            return;
        };
        let data = wanted.folder.join(data);
        let roots = self.served().above_as_written(&data);
        let found: Vec<_> = roots
            .map(|(root, _)| {
                let message =
                    format!("the data of the handler `{}` would be served", wanted.name.value);
                Diagnostic::error("served-data", message, wanted.options.span.clone())
                    .also(root.files.root.span.clone(), "by the files of this route")
                    .help("choose a folder for `data` that lies outside of it")
            })
            .collect();
        self.diagnostics.list.extend(found);
    }

    fn scripts(&mut self, host: &conf::Host, cgi: &conf::Cgi) -> Rc<dyn Handler> {
        let root = self.roots.private(&cgi.root.value);
        self.warn_of_missing(&root, &cgi.root);
        let names = cgi.files.is_some().then(|| self.shared.names());
        let run_by = self.run_by.clone();
        let scripts = scripts::handler(self.config, host, cgi, root, run_by, names.clone());
        self.services.push(scripts.service());
        match (&cgi.files, names) {
            (Some(files), Some(names)) => self.among(host, files, scripts, names),
            _ => Rc::new(scripts),
        }
    }

    /// Files and scripts of one folder.
    fn among(
        &mut self,
        host: &conf::Host,
        files: &conf::Files,
        scripts: CgiHandler,
        names: Rc<ScriptNames>,
    ) -> Rc<dyn Handler> {
        let is_script = |name: &str| names.judge(name.as_bytes()) == Named::Script;
        let fallback = files.fallback.clone().filter(|name| is_script(name));
        let has_index = host.index.iter().any(|name| is_script(name));
        let mut own = files.clone();
        own.fallback = own.fallback.filter(|_| fallback.is_none());
        let hidden = files.hidden;
        let files = self.files(host, &own, false);
        Rc::new(Among { scripts, files, names, has_index, fallback, hidden })
    }

    /// Files. With `yields` an application answers what is none.
    fn files(&mut self, host: &conf::Host, files: &conf::Files, yields: bool) -> Rc<dyn Handler> {
        self.shared.warn_of_closed(&files.root, self.diagnostics);
        let root = self.roots.public(&files.root.value);
        self.warn_of_missing(&root, &files.root);
        self.doubts_of_folder(files);
        Rc::new(FileHandler::new(Setup {
            root,
            files: files.clone(),
            index: host.index.clone(),
            welcome: host.welcome,
            yields,
            media: self.media.clone(),
            scripts: self.shared.names_in(&files.root.value),
            compress: self.config.compress.clone(),
            cache: self.cache,
        }))
    }

    /// What will keep a folder from being served, or uploads out of it.
    fn doubts_of_folder(&mut self, files: &conf::Files) {
        let Ok(root) = Root::open(&files.root.value) else { return };
        let (place, path) = (&files.root, &files.root.value);
        let user = self.config.server.user.as_ref().map(|user| user.value.as_str());
        let write = files.upload.is_some();
        let may =
            |write| root.may_enter(write) && user.is_none_or(|user| may_enter(user, path, write));
        let known = self.entered.entry((path.clone(), write));
        let (enters, writes) = *known.or_insert_with(|| (may(false), !write || may(true)));
        let whom = user.map_or_else(|| "this account".to_owned(), |user| format!("`{user}`"));
        if !enters {
            let message = format!("{whom} may not enter {}", path.display());
            let diagnostic = Diagnostic::warning("withheld-root", message, place.span.clone());
            let help = "the folder, and those above it, need the right to search them (x)";
            self.diagnostics.push(diagnostic.label("nothing in it can be served").help(help));
            return;
        }
        if !writes {
            let message = format!("{whom} may not write into {}", path.display());
            let diagnostic = Diagnostic::warning("withheld-root", message, place.span.clone());
            self.diagnostics.push(diagnostic.label("uploads are answered with 403"));
        }
        let missing = |path: &&String| root.probe(path.trim_start_matches('/').as_bytes()).is_err();
        if let Some(fallback) = files.fallback.as_ref().filter(missing) {
            let message = format!("the fallback {fallback} is not in {}", path.display());
            self.diagnostics.push(
                Diagnostic::warning("missing-page", message, place.span.clone())
                    .label("pages that match no file are answered with 404"),
            );
        }
    }

    /// An application that some route leads to: its workers are shared by all that do.
    fn app(&mut self, app: &conf::App) {
        let name = &app.name.value;
        self.doubts(app);
        self.shown_sources(app);
        match Application::new(app, self.config.limits.spool_above) {
            Ok(app) => {
                let app = Rc::new(app);
                self.told.push(app.to_string());
                self.services.push(app.clone());
                self.apps.insert(name.clone(), app);
            }
            Err(error) => {
                let span = app.user.as_ref().unwrap_or(&app.name).span.clone();
                let what = format!("the application {name} cannot run: {error}");
                self.diagnostics.push(Diagnostic::warning("missing-user", what, span));
            }
        }
    }

    /// What will keep its workers from starting.
    fn doubts(&mut self, app: &conf::App) {
        let name = &app.name.value;
        if wsgi::find_python(&app.python).is_none() {
            let (what, span) = match &app.python {
                conf::Python::Default => {
                    ("there is no python3 in PATH".to_owned(), app.name.span.clone())
                }
                conf::Python::Venv(path) => (
                    format!("{} is no virtual environment", path.value.display()),
                    path.span.clone(),
                ),
                conf::Python::Program(path) => {
                    (format!("there is no {}", path.value.display()), path.span.clone())
                }
            };
            let diagnostic = Diagnostic::warning("missing-python", what, span);
            self.diagnostics.push(diagnostic.label(format!("{name} cannot run without")));
        }
        if !app.dir.is_dir() {
            let what = format!("{} is no folder", app.dir.display());
            let diagnostic = Diagnostic::warning("missing-dir", what, app.name.span.clone());
            self.diagnostics.push(diagnostic.label("its `dir`, where it runs"));
        }
    }

    /// Warns of routes that show the source of an application, and whatever else lies beside it, as
    /// files.
    fn shown_sources(&mut self, app: &conf::App) {
        let Ok(dir) = app.dir.canonicalize() else { return };
        let roots = self.served().above_as_it_lies(&dir).filter(|(root, _)| !root.internal);
        let found: Vec<_> = roots
            .map(|(root, _)| {
                let message = format!("the source of the application {} is served", app.name.value);
                Diagnostic::warning("served-source", message, root.files.root.span.clone())
                    .label(format!("its `dir`, {}, lies in this folder", dir.display()))
                    .also(app.name.span.clone(), "the application")
                    .help("serve a folder that has only what everybody may see: \"static\", say")
            })
            .collect();
        self.diagnostics.list.extend(found);
    }

    fn mount(&mut self, host: &conf::Host, route: &conf::AppRoute) -> Rc<dyn Handler> {
        let Some(app) = self.apps.get(&route.app.value).cloned() else {
            return Rc::new(NoFolder);
        };
        let files = route.files.as_ref().map(|files| self.files(host, files, true));
        Rc::new(Mount { app, server_name: first_name(host), files })
    }

    /// The pages of a folder; folders that several routes share have the same workers.
    fn pages_of(&mut self, host: &conf::Host, folder: &At<PathBuf>) -> Rc<dyn Handler> {
        // Closed to everybody else, but not to its own route.
        let root = self.roots.private(&folder.value);
        self.warn_of_missing(&root, folder);
        let app = conf::App::of_pages(folder.value.clone());
        let key = format!("pages {}", folder.value.display());
        if !self.apps.contains_key(&key) {
            self.doubts(&app);
            if let Ok(app) = Application::new(&app, self.config.limits.spool_above) {
                let app = Rc::new(app);
                self.told.push(app.to_string());
                self.services.push(app.clone());
                self.apps.insert(key.clone(), app);
            }
        }
        let Some(app) = self.apps.get(&key).cloned() else { return Rc::new(NoFolder) };
        Rc::new(Pages { app, root, server_name: first_name(host) })
    }

    /// A folder may be missing for a while: what is mounted later is served then.
    fn warn_of_missing(&mut self, root: &Rc<NamedRoot>, path: &At<PathBuf>) {
        let Err(error) = root.check() else { return };
        let what = format!("{} cannot be served: {error}", path.value.display());
        self.diagnostics.push(
            Diagnostic::warning("missing-root", what, path.span.clone())
                .label("its files are answered with 404 until it is there"),
        );
    }

    fn pages(&mut self, host: &conf::Host) -> ErrorPages {
        let mut pages = hooked(self.registry);
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

    /// The file that the host would answer the page's path with: pages are named by their URL.
    fn page(&self, host: &conf::Host, path: &str) -> std::io::Result<OwnPage> {
        let folders = host.routes.iter().filter_map(|route| {
            Some((path.strip_prefix(&*route.path.value)?, route.action.files()?))
        });
        let (beneath, files) = folders
            .min_by_key(|(beneath, _)| beneath.len())
            .ok_or_else(|| std::io::Error::other("no route with files has this path"))?;
        let names = self.shared.names_in(&files.root.value);
        if names.is_some_and(|names| names.judge(beneath.as_bytes()) != Named::Other) {
            return Err(std::io::Error::other("it is a script"));
        }
        let root = Root::open(&files.root.value)?.without(self.closed.clone());
        let file = root.open_beneath(beneath.as_bytes())?;
        let (body, _) = file::read_open(&file, OWN_PAGE_MAX)?;
        let media_type = self.media.of_path(path.as_bytes());
        Ok(OwnPage { media_type, body: body.into() })
    }
}

/// What a route with files may remember: together they have the memory of one, and an eighth of
/// the descriptors of the process.
fn share_of_cache(config: &Config) -> CacheLimits {
    let routes = config.hosts.iter().flat_map(|host| &host.routes);
    let sharing = routes.filter(|route| route.action.files().is_some()).count().max(1);
    let descriptors = usize::try_from(raise_descriptor_limit() / 8).unwrap_or(usize::MAX);
    let whole = CacheLimits::default();
    CacheLimits {
        entries: (whole.entries / sharing).max(CACHE_ENTRIES_MIN),
        bytes: (whole.bytes / sharing).max(CACHE_BYTES_MIN),
        descriptors: (descriptors / sharing).clamp(1, whole.descriptors),
        ..whole
    }
}

/// The names of the applications that routes lead to.
fn used_apps(config: &Config) -> HashSet<&str> {
    let routes = config.hosts.iter().flat_map(|host| &host.routes);
    let names = routes.filter_map(|route| match &route.action {
        Action::App(route) => Some(route.app.value.as_str()),
        _ => None,
    });
    names.collect()
}

/// Folders of routes that are kept open: a sixteenth of the descriptors of the process.
fn folders_open() -> usize {
    usize::try_from(raise_descriptor_limit() / 16).unwrap_or(usize::MAX).clamp(8, 256)
}

fn first_name(host: &conf::Host) -> Option<Rc<str>> {
    host.names.first().map(|name| name.value.as_str().into())
}

/// Stands in for a folder that is not there.
struct NoFolder;

impl Handler for NoFolder {
    fn methods(&self) -> MethodSet {
        MethodSet::of(&[Method::Get, Method::Head])
    }

    fn plan(&self, _: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
        Err(HttpError::new(Status::NOT_FOUND, "the folder of this route is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Source, load};
    use crate::site::{Decision, PassedOver, Trace, Untraced};
    use std::path::Path;

    fn site(text: &str, folder: &Path) -> (Site, Vec<&'static str>) {
        let source = Source { name: "web.conf".into(), text: text.into() };
        let (config, mut diagnostics) = load(source, folder, None);
        let config = config.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
        let site = build(&config, None, &Registry::default(), &mut diagnostics);
        (site, diagnostics.list.iter().map(|diagnostic| diagnostic.name).collect())
    }

    #[test]
    fn what_is_missing_is_a_documented_warning() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[[host]]\nroot = \"nowhere\"\nerrors = { 404 = \"/none.html\" }\n";
        let (_, warnings) = site(text, folder.path());
        assert_eq!(warnings, ["missing-root", "missing-page"]);
        let documented = include_str!("../../docs/errors.md");
        for name in warnings.iter().chain(&[
            "unreadable",
            "not-utf8",
            "missing-interpreter",
            "plain-passwords",
            "served-source",
        ]) {
            assert!(documented.contains(&format!("\n## {name}\n")), "{name}");
        }
    }

    #[test]
    fn folders_that_do_not_do_what_is_asked_of_them_are_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [("open", 0o755), ("mine", 0o700)] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("app.html"), "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        let user = "[server]\nuser = 'nobody'\n";
        let is_other = crate::sys::privilege::account("nobody")
            .is_some_and(|(uid, _)| uid != rustix::process::geteuid().as_raw());
        for (before, lines, want) in [
            ("", "root = 'open'\nfallback = 'app.html'", None),
            ("", "root = 'open'\nfallback = 'none.html'", Some("missing-page")),
            ("", "root = 'mine'\nupload = true", None),
            (user, "root = 'open'", None),
            (user, "root = 'open'\nupload = true", Some("withheld-root").filter(|_| is_other)),
            (user, "root = 'mine'", Some("withheld-root").filter(|_| is_other)),
        ] {
            let (_, warnings) = site(&format!("{before}[[host]]\n{lines}\n"), folder.path());
            assert_eq!(warnings, want.as_slice(), "{before} {lines}");
        }
        let documented = include_str!("../../docs/errors.md");
        assert!(documented.contains("\n## withheld-root\n"));
    }

    #[test]
    fn sources_that_are_served_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("blog/static")).unwrap();
        for (root, dir, warned) in [
            (".", ".", true),
            (".", "blog", true),
            ("blog", "blog", true),
            ("blog/static", "blog", false),
            ("blog/static", ".", false),
        ] {
            let text = format!(
                "[app.blog]\nwsgi = 'blog'\ndir = '{dir}'\n[[host]]\nroot = '{root}'\napp = 'blog'\n"
            );
            let (_, warnings) = site(&text, folder.path());
            let warnings: Vec<_> = warnings.iter().filter(|w| **w == "served-source").collect();
            assert_eq!(warnings.len(), usize::from(warned), "{root} {dir}");
        }
    }

    #[test]
    fn an_error_page_is_found_by_its_url() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("www/404.html", "root"), ("pages/5xx.html", "route")] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let text = "
            [[host]]
            root = 'www'
            errors = { 404 = '/404.html', 5xx = '/errors/5xx.html' }
            [[host.route]]
            path = '/errors/'
            files = 'pages'
        ";
        let (site, warnings) = site(text, folder.path());
        assert!(warnings.is_empty(), "{warnings:?}");
        for (status, want) in [(Status::NOT_FOUND, &b"root"[..]), (Status::BAD_GATEWAY, b"route")] {
            let response = site.hosts[0].pages.respond(&HttpError::new(status, ""), None);
            let crate::serve::Body::Bytes(bytes) = response.body else { panic!("no body") };
            assert_eq!(bytes.as_slice(), want);
        }
    }

    const HOSTS: &str = "
        [[host]]
        names = ['example.org', '*.example.org']
        respond = 'a'
        [[host]]
        names = ['*.deep.example.org', '[::1]']
        respond = 'b'
        [[host]]
        names = ['other.test']
        default = true
        respond = 'c'
    ";

    #[test]
    fn exact_beats_wildcard_beats_default() {
        let (site, _) = site(HOSTS, Path::new("."));
        for (authority, name, matched) in [
            (Some("example.org"), "example.org", true),
            (Some("EXAMPLE.org.:8080"), "example.org", true),
            (Some("www.example.org"), "example.org", true),
            (Some("a.b.example.org"), "example.org", true),
            (Some("x.deep.example.org"), "*.deep.example.org", true),
            (Some("deep.example.org"), "example.org", true),
            (Some("notexample.org"), "other.test", false),
            (Some("[::1]:80"), "*.deep.example.org", true),
            (None, "other.test", false),
        ] {
            let (host, exact) =
                site.choose_host(authority.map(str::as_bytes), &mut Untraced).ok().unwrap();
            assert_eq!((&*host.name, exact), (name, matched), "{authority:?}");
        }
        assert!(site.choose_host(Some(b"a b"), &mut Untraced).is_err());
    }

    #[test]
    fn without_a_default_an_unknown_name_is_misdirected() {
        let text = "[[host]]\nnames = ['a.test']\nrespond = 'a'\n";
        let (site, _) = site(text, Path::new("."));
        let Err(error) = site.choose_host(Some(b"b.test"), &mut Untraced) else { panic!() };
        assert_eq!(error.status, Status::MISDIRECTED_REQUEST);
    }

    struct Steps(Vec<String>);

    impl<'s> Trace<'s> for Steps {
        fn decided(&mut self, decision: Decision<'s>) {
            self.0.push(match decision {
                Decision::Chosen(route) => format!("chosen {}", route.path),
                Decision::Held(route) => format!("held {}", route.path),
                Decision::Passed(route, PassedOver::OtherPath) => format!("path {}", route.path),
                Decision::Passed(route, PassedOver::OtherMethod) => {
                    format!("method {}", route.path)
                }
                Decision::Passed(route, PassedOver::Internal) => format!("internal {}", route.path),
                Decision::ExactName(_) | Decision::Wildcard(_) | Decision::Default(_) => {
                    "host".into()
                }
                Decision::NoHost => "no host".into(),
            });
        }
    }

    const ROUTES: &str = "
        [[host]]
        respond = 'root'
        [[host.route]]
        path = '/docs/'
        respond = 'docs'
        [[host.route]]
        path = '/docs/api/'
        methods = ['GET']
        redirect = '/elsewhere'
        [[host.route]]
        path = '/docs/api'
        respond = 'exact'
    ";

    #[test]
    fn the_most_specific_route_answers_whatever_the_order() {
        let (site, _) = site(ROUTES, Path::new("."));
        let host = &site.hosts[0];
        for (method, path, want) in [
            (Method::Get, "/", "/"),
            (Method::Get, "/docsx", "/"),
            (Method::Get, "/docs", "/docs/"),
            (Method::Get, "/docs/x", "/docs/"),
            (Method::Get, "/docs/api", "/docs/api"),
            (Method::Get, "/docs/api/", "/docs/api/"),
            (Method::Post, "/docs/api/x", "/docs/"),
            (Method::Options, "/docs/api/x", "/docs/api/"),
        ] {
            let choice = host.choose_route(method, path.as_bytes(), false, &mut Untraced);
            let route = choice.route.ok().unwrap();
            assert_eq!(&*route.path, want, "{path}");
        }
        let mut steps = Steps(Vec::new());
        let _ = host.choose_route(Method::Post, b"/docs/api/x", false, &mut steps);
        assert_eq!(steps.0, ["path /docs/api", "method /docs/api/", "chosen /docs/"]);
    }

    const INTERNAL: &str = "
        [[host]]
        respond = 'root'
        [[host.route]]
        path = '/files/'
        internal = true
        methods = ['GET']
        respond = 'internal'
        [[host.route]]
        path = '/both/'
        internal = true
        methods = ['GET']
        respond = 'internal'
        [[host.route]]
        path = '/both/'
        methods = ['POST']
        respond = 'public'
    ";

    #[test]
    fn an_internal_route_is_there_for_nobody_outside() {
        let (site, _) = site(INTERNAL, Path::new("."));
        let host = &site.hosts[0];
        for (method, path, inside, want) in [
            (Method::Get, "/files/x", true, "/files/"),
            (Method::Get, "/files/x", false, "404"),
            (Method::Get, "/files", false, "404"),
            (Method::Head, "/files/x", false, "404"),
            (Method::Options, "/files/x", false, "/"),
            (Method::Get, "/filesx", false, "/"),
            (Method::Get, "/both/", true, "/both/ GET"),
            (Method::Get, "/both/", false, "404"),
            (Method::Post, "/both/", false, "/both/ POST"),
            (Method::Options, "/both/", false, "/both/ POST"),
        ] {
            let choice = host.choose_route(method, path.as_bytes(), inside, &mut Untraced);
            let got = match choice.route {
                Ok(route) => match route.methods {
                    Some(methods) => format!("{} {methods}", route.path),
                    None => route.path.to_string(),
                },
                Err(error) => error.status.code().to_string(),
            };
            assert!(got.starts_with(want), "{method:?} {path} {inside}: {got}");
        }
    }
}
