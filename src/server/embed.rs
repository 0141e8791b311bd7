//! The front door for programs that bring applications along.

use super::{ConfigSource, Ended, Failure, Origin, Overrides, Running};
use crate::app::{App, Options, Reply, Result as AppResult};
use crate::conf::{self, Action, At, Config, HandlerRef, Level, Listen, Place, Route};
use crate::http::HttpError;
use crate::serve::{self, Handler};
use crate::site::{IntoHandler, Registry};
use http::StatusCode;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;

/// A server for one application, without configuration.
///
/// ```no_run
/// use httpyserver::{App, Failure, Server};
///
/// fn main() -> Result<(), Failure> {
///     let app = App::new().get("/", |_| "Hello, World!");
///     Server::bind("127.0.0.1:8080").app(app).run()
/// }
/// ```
#[must_use = "it serves when it is run"]
pub struct Server {
    config: Config,
    app: App,
    common: Common,
}

/// A server with a configuration, and applications that it can mount.
///
/// ```no_run
/// use httpyserver::{App, Failure, Options, Server};
///
/// // In web.conf: handler = "greeting", and beside it options = { text = "Hello" }.
/// fn greeting(options: &Options) -> httpyserver::Result<App> {
///     let text = options.str("text")?.unwrap_or("Hi").to_owned();
///     Ok(App::new().get("/", move |_| text.clone()))
/// }
///
/// fn main() -> Result<(), Failure> {
///     Server::from_file("web.conf").handler("greeting", greeting).run()
/// }
/// ```
#[must_use = "it serves when it is run"]
pub struct SiteServer {
    origin: Origin,
    common: Common,
}

#[derive(Default)]
struct Common {
    registry: Registry,
    overrides: Overrides,
    mistakes: Vec<String>,
    quiet: bool,
}

/// Something the server is about to answer with an error: a request that failed anywhere, or what
/// is no request at all.
///
/// ```
/// use httpyserver::{App, Reply, Server};
///
/// let server = Server::bind("127.0.0.1:0")
///     .app(App::new().get("/", |_| "fine"))
///     .on_error(|refusal| match refusal.status().as_u16() {
///         400 => Some(Reply::text(format!("What is that? ({})", refusal.path().is_some()))),
///         _ => None,
///     })
///     .quiet();
/// assert!(server.start().is_ok());
/// ```
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    error: &'a HttpError,
    request: Option<&'a serve::Request>,
}

impl<'a> Refusal<'a> {
    /// What the client is told.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     (refusal.status() == 404).then(|| Reply::text("Lost?"))
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.error.status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the log is told. It may name files: not for clients.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     eprintln!("{}", refusal.reason());
    ///     None
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn reason(&self) -> &'a str {
        &self.error.reason
    }

    /// The method; `None` where the head was not understood.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     (refusal.method() == Some("BREW")).then(|| Reply::text("No coffee here."))
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn method(&self) -> Option<&'a str> {
        std::str::from_utf8(self.request?.head.method_text()).ok()
    }

    /// The path; `None` where the head was not understood.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     let page = refusal.path().unwrap_or("/");
    ///     Some(Reply::text(format!("Nothing at {page}.")))
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn path(&self) -> Option<&'a str> {
        std::str::from_utf8(self.request?.path()).ok()
    }

    /// A header of the request.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     refusal.header("accept")?.contains("json").then(|| Reply::json("no"))
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn header(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.request?.head.find(name)?).ok()
    }
}

/// The name under which the only application is known.
const ALONE: &str = "app";

impl Server {
    /// A server that will listen there: `"127.0.0.1:8080"`, `"[::1]:0"`, `"*:80"` for all
    /// addresses, `"unix:/run/web.sock"`.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
    /// assert!(server.address().is_some_and(|address| address.port() != 0));
    /// assert!(Server::bind("no address").start().is_err());
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn bind(address: impl AsRef<str>) -> Self {
        let mut common = Common::default();
        let place = place(address.as_ref()).unwrap_or_else(|why| {
            common.mistakes.push(why);
            Place::Any { port: 0 }
        });
        let mut config = conf::quick(PathBuf::new());
        config.server.listen = vec![At::implied(Listen { secure: false, place })];
        for route in config.hosts.iter_mut().flat_map(|host| &mut host.routes) {
            route.action = mounted(ALONE);
        }
        Self { config, app: App::new(), common }
    }

    /// A server of a configuration file, which is read again at HUP.
    ///
    /// ```
    /// use httpyserver::Server;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let file = folder.path().join("web.conf");
    /// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nrespond = \"hello\"\n";
    /// std::fs::write(&file, config).unwrap();
    /// assert!(Server::from_file(&file).quiet().start().is_ok());
    /// assert!(Server::from_file("/no/such/file").start().is_err());
    /// ```
    pub fn from_file(path: impl Into<PathBuf>) -> SiteServer {
        SiteServer { origin: Origin::File(path.into()), common: Common::default() }
    }

    /// A server of a configuration in a text.
    ///
    /// ```
    /// let server = httpyserver::Server::from_text(
    ///     "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nrespond = \"hello\"\n",
    /// );
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn from_text(text: impl Into<String>) -> SiteServer {
        SiteServer { origin: Origin::Text(text.into()), common: Common::default() }
    }

    /// What it serves.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new().get("/", |_| "hello"));
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// Has a handler of your own answer a path, and all below if it ends in a slash; the application
    /// has the others. See [`serve`](crate::serve) for how to write one.
    ///
    /// ```
    /// use httpyserver::serve::{Handler, HttpError, Look, Plan, Request, Response, Status};
    /// use httpyserver::{App, Server};
    ///
    /// struct Now;
    ///
    /// impl Handler for Now {
    ///     fn plan(&self, _: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
    ///         let text = format!("{}\n", look.unix());
    ///         Ok(Response::text(Status::OK, "text/plain", text).into())
    ///     }
    /// }
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).handler("/now", Now);
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn handler(mut self, path: &str, handler: impl Handler + 'static) -> Self {
        if !path.starts_with('/') {
            self.common.mistakes.push(format!("{path:?} is no path: it begins with a slash"));
        }
        self.common.registry.add_handler(path, Rc::new(handler));
        let action = mounted(path);
        for host in &mut self.config.hosts {
            host.routes.retain(|route| route.path.value != path);
            host.routes.push(Route::new(At::implied(path.to_owned()), action.clone()));
        }
        self
    }

    /// Changes limits, time-outs, logs: everything that web.conf could say.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    /// use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).configure(|config| {
    ///     config.timeouts.idle = Duration::from_secs(5);
    ///     config.log.access = None;
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Has `hook` asked what to answer wherever the server would answer with an error of its own,
    /// be it to what is no request. `None` leaves it to the server. The status stays, unless the
    /// reply sets another.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).on_error(|refusal| {
    ///     Some(Reply::text(format!("{}, sorry.\n", refusal.status())))
    /// });
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn on_error(mut self, hook: impl Fn(&Refusal<'_>) -> Option<Reply> + 'static) -> Self {
        self.common.on_error(hook);
        self
    }

    /// Says nothing: no banner, no access log, errors only.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// assert!(Server::bind("127.0.0.1:0").app(App::new()).quiet().start().is_ok());
    /// ```
    pub fn quiet(mut self) -> Self {
        self.common.be_quiet();
        self
    }

    /// Listens, and has not yet answered anybody.
    ///
    /// # Errors
    /// The address is taken or is none, or a pattern of the application is wrong.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    ///
    /// let server = Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
    /// println!("listening on {:?}", server.address());
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn start(mut self) -> Result<Running, Failure> {
        if let Err(mistake) = self.common.registry.add_made(ALONE, self.app) {
            self.common.mistakes.push(mistake);
        }
        self.common.start(Origin::Made(Box::new(self.config)))
    }

    /// Listens, and serves until it is told to stop.
    ///
    /// # Errors
    /// As `start`; or the poll fails.
    ///
    /// ```no_run
    /// use httpyserver::{App, Server};
    ///
    /// Server::bind("127.0.0.1:8080").app(App::new().get("/", |_| "hello")).run()?;
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn run(self) -> Result<(), Failure> {
        let quiet = self.common.quiet;
        serve_and_tell(self.start()?, quiet)
    }
}

impl SiteServer {
    /// Registers an application, or a [`Handler`] of your own: `handler = "name"` mounts it, and
    /// `make` is called with the options beside it, again at each reload.
    ///
    /// ```
    /// use httpyserver::{App, Options, Result, Server};
    ///
    /// fn hello(options: &Options) -> Result<App> {
    ///     let word = options.str("word")?.unwrap_or("hello").to_owned();
    ///     Ok(App::new().get("/", move |_| word.clone()))
    /// }
    /// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nhandler = \"hello\"\n";
    ///
    /// assert!(Server::from_text(config).handler("hello", hello).quiet().start().is_ok());
    /// let typo = format!("{config}options = {{ wird = \"hi\" }}\n");
    /// assert!(Server::from_text(typo).handler("hello", hello).quiet().start().is_err());
    /// ```
    pub fn handler<M: IntoHandler>(
        mut self,
        name: &str,
        make: impl Fn(&Options) -> AppResult<M> + 'static,
    ) -> Self {
        self.common.registry.add(name, make);
        self
    }

    /// As `handler`, with an application that needs no options and is the same after a reload.
    ///
    /// ```
    /// use httpyserver::{App, Server};
    ///
    /// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nhandler = \"hello\"\n";
    /// let hello = App::new().get("/", |_| "hello");
    /// assert!(Server::from_text(config).app("hello", hello).quiet().start().is_ok());
    /// ```
    pub fn app(mut self, name: &str, app: App) -> Self {
        if let Err(mistake) = self.common.registry.add_made(name, app) {
            self.common.mistakes.push(mistake);
        }
        self
    }

    /// As [`Server::on_error`].
    ///
    /// ```
    /// use httpyserver::{App, Reply, Server};
    ///
    /// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nhandler = \"hello\"\n";
    ///
    /// let server = Server::from_text(config)
    ///     .app("hello", App::new())
    ///     .on_error(|refusal| (refusal.status() == 421).then(|| Reply::text("Who is that?")));
    /// assert!(server.quiet().start().is_ok());
    /// ```
    pub fn on_error(mut self, hook: impl Fn(&Refusal<'_>) -> Option<Reply> + 'static) -> Self {
        self.common.on_error(hook);
        self
    }

    /// As [`Server::quiet`].
    ///
    /// ```
    /// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nrespond = \"hello\"\n";
    /// assert!(httpyserver::Server::from_text(config).quiet().start().is_ok());
    /// ```
    pub fn quiet(mut self) -> Self {
        self.common.be_quiet();
        self
    }

    /// As [`Server::start`].
    ///
    /// # Errors
    /// The configuration is refused, or something it asks for cannot be had.
    ///
    /// ```
    /// let failure = httpyserver::Server::from_text("[[hust]]\n").start().map(drop).unwrap_err();
    /// assert!(failure.to_string().contains("did you mean"), "{failure}");
    /// ```
    pub fn start(self) -> Result<Running, Failure> {
        self.common.start(self.origin)
    }

    /// As [`Server::run`].
    ///
    /// # Errors
    /// As `start`; or the poll fails.
    ///
    /// ```no_run
    /// httpyserver::Server::from_file("web.conf").run()?;
    /// # Ok::<(), httpyserver::Failure>(())
    /// ```
    pub fn run(self) -> Result<(), Failure> {
        let quiet = self.common.quiet;
        serve_and_tell(self.start()?, quiet)
    }
}

impl Common {
    fn on_error(&mut self, hook: impl Fn(&Refusal<'_>) -> Option<Reply> + 'static) {
        self.registry.on_error(Rc::new(move |error, request| {
            // What panics here leaves the answer to the server.
            let ask = || hook(&Refusal { error, request });
            let reply = catch_unwind(AssertUnwindSafe(ask)).ok()??;
            reply.into_error_response(error)
        }));
    }

    fn be_quiet(&mut self) {
        self.quiet = true;
        self.overrides.quiet = true;
        self.overrides.level = Some(Level::Error);
    }

    fn start(self, origin: Origin) -> Result<Running, Failure> {
        if !self.mistakes.is_empty() {
            return Err(Failure::Start(self.mistakes.join("\n")));
        }
        Running::bind(ConfigSource { origin, overrides: self.overrides, registry: self.registry })
    }
}

/// What a route does that has the handler of that name.
fn mounted(name: &str) -> Action {
    Action::Handler(HandlerRef {
        name: At::implied(name.to_owned()),
        options: At::implied(toml::Table::new()),
        folder: PathBuf::new(),
    })
}

fn serve_and_tell(server: Running, quiet: bool) -> Result<(), Failure> {
    if !quiet {
        // Nobody may be reading.
        let _ = std::io::stdout().write_all(server.banner().as_bytes());
    }
    match server.run()? {
        Ended::AppFailed(what) => Err(Failure::Start(what)),
        Ended::Finished | Ended::Forced => Ok(()),
    }
}

fn place(text: &str) -> Result<Place, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if let Some(path) = bare.strip_prefix("unix:") {
        return Ok(Place::Unix(path.into()));
    }
    if let Some(port) = bare.strip_prefix("*:").and_then(|port| port.parse().ok()) {
        return Ok(Place::Any { port });
    }
    bare.replace("localhost", "127.0.0.1")
        .parse()
        .map(Place::Addr)
        .map_err(|_| format!("{text:?} is no address: try 127.0.0.1:8080, *:8080 or unix:/path"))
}
