//! The framework: applications in Rust, in the manner of Flask.
//!
//! | file | question |
//! |---|---|
//! | `router` | which route has this method and path? (pure) |
//! | `request`, `pairs`, `session` | what does the client say? |
//! | `reply`, `error` | what is it told? |
//! | `serving` | which way does a request go, to an answer or an exchange? |
//! | `compiled` | what happens around handlers, in which order, and what becomes of replies? |
//! | `facts` | what may a request ask of its application? |
//! | `collect`, `upload` | how does a body come in? |
//! | `running` | what takes time, and how does it go on? |
//! | `blocking` | what is done off the loop? |
//! | `stream`, `out`, `broadcast` | how are clients told what happens later? |
//! | `statics`, `options` | files of the program, web.conf |
//!
//! Handlers run on the loop, one at a time, so that what they share needs no locks: `Rc` and
//! `RefCell` will do. They have to return within a millisecond or so; whatever takes longer is
//! given away with [`Request::blocking`].

mod blocking;
mod broadcast;
mod collect;
mod compiled;
mod error;
mod facts;
mod options;
mod out;
mod pairs;
mod reply;
mod request;
mod router;
mod running;
mod serving;
mod session;
mod statics;
mod stream;
mod upload;

pub use blocking::Blocking;
pub use broadcast::{Broadcast, Event, Subscription};
pub use error::{Error, Result, abort};
pub use options::Options;
pub use out::{IntoNext, Next, Out};
pub use pairs::Pairs;
pub use reply::{Html, IntoReply, IntoVerdict, Json, Reply};
pub use request::Request;
pub use session::{Flash, Session};
pub use upload::Upload;

use crate::conf::{Compress, Files, Media};
use crate::handlers::files::{CacheLimits, FileHandler, MediaTable, Setup};
use crate::serve::Handler;
use crate::sys::fs::NamedRoot;
use compiled::{Chain, CompiledApp, CompiledRoute, Scope, Target};
use facts::{Facts, RouteWords};
use router::Router;
use serving::Mounted;
use session::{SecretKey, Sessions};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bytes of a request body, where nobody says otherwise.
const BODY_LIMIT: u64 = 1024 * 1024;

/// An application: routes, and what happens around them. Built by chaining, then mounted in a
/// server.
///
/// ```
/// use httpyserver::{App, Html};
///
/// let app = App::new()
///     .get("/", |_| "Hello, World!")
///     .get("/hello/{name}", |request| format!("Hello, {}!", request.param_str("name")))
///     .error_handler(404, |_, _| Html("<h1>Nothing here</h1>"));
/// let client = app.test();
/// assert_eq!(client.get("/hello/you").send().text(), "Hello, you!");
/// assert_eq!(client.get("/bye").send().text(), "<h1>Nothing here</h1>");
/// ```
#[derive(Default)]
#[must_use]
pub struct App {
    routes: Vec<Route>,
    children: Vec<(String, Self)>,
    scope: Scope,
    secret: Option<Vec<u8>>,
    session_cookie: Option<String>,
    session_age: Option<Duration>,
    keeps_slashes: bool,
    mistakes: Vec<String>,
}

struct Route {
    methods: Vec<String>,
    pattern: String,
    target: Target,
}

/// The methods of a route: `"REPORT"`, `"GET, POST"`, `["GET", "POST"]`, or `http::Method`.
///
/// ```
/// use httpyserver::{App, Method};
///
/// let client = App::new()
///     .route(["LOCK", "UNLOCK"], "/door", |request| request.method().to_string())
///     .route(Method::PATCH, "/door", |_| "patched")
///     .test();
/// assert_eq!(client.request("UNLOCK", "/door").send().text(), "UNLOCK");
/// assert_eq!(client.request("PAINT", "/door").send().status(), 405);
/// ```
pub trait IntoMethods {
    /// Their names.
    fn into_methods(self) -> Vec<String>;
}

impl IntoMethods for &str {
    fn into_methods(self) -> Vec<String> {
        self.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

impl<const N: usize> IntoMethods for [&str; N] {
    fn into_methods(self) -> Vec<String> {
        self.iter().map(|name| (*name).to_owned()).collect()
    }
}

impl IntoMethods for ::http::Method {
    fn into_methods(self) -> Vec<String> {
        vec![self.as_str().to_owned()]
    }
}

impl App {
    /// An application without routes.
    ///
    /// ```
    /// let client = httpyserver::App::new().test();
    /// assert_eq!(client.get("/").send().status(), 404);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for methods, standard or one's own, and a pattern. In a pattern a whole
    /// segment may be a parameter: `{name}` takes any text, `{id:int}`, `{n:uint}` and `{key:uuid}`
    /// what looks like one, `{rest:path}` all the rest with its slashes. What is more specific wins,
    /// whatever the order. HEAD comes with GET, and OPTIONS with anything.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let client = App::new()
    ///     .route("GET", "/item/new", |_| "form")
    ///     .route("GET", "/item/{id:int}", |request| format!("number {}", request.param_str("id")))
    ///     .route("GET", "/item/{name}", |_| "by name")
    ///     .route("REPORT", "/item/{rest:path}", |request| request.param_str("rest").to_owned())
    ///     .test();
    /// assert_eq!(client.get("/item/new").send().text(), "form");
    /// assert_eq!(client.get("/item/-7").send().text(), "number -7");
    /// assert_eq!(client.request("REPORT", "/item/a/b").send().text(), "a/b");
    /// let options = client.request("OPTIONS", "/item/new").send();
    /// assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS, REPORT"));
    /// ```
    pub fn route<H, R>(mut self, methods: impl IntoMethods, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        let call = move |request: &mut Request<'_>| handler(request).into_reply();
        let methods = methods.into_methods();
        let is_token = |name: &String| name.bytes().all(crate::http::bytes::is_tchar);
        if methods.is_empty() || !methods.iter().all(is_token) {
            self.mistakes.push(format!("{methods:?} are no methods for {pattern:?}"));
        }
        let meant = |name: &String| {
            let upper = name.to_ascii_uppercase();
            let named = crate::http::Method::from_token(upper.as_bytes());
            (*name != upper && named != crate::http::Method::Extension).then_some(upper)
        };
        for upper in methods.iter().filter_map(meant) {
            let mistake = format!("{pattern:?}: methods have capitals: did you mean {upper}?");
            self.mistakes.push(mistake);
        }
        let refused = |name: &&String| matches!(name.as_str(), "TRACE" | "CONNECT");
        if let Some(name) = methods.iter().find(refused) {
            self.mistakes.push(format!("{name} {pattern:?}: the server refuses {name} itself"));
        }
        let target = Target::Endpoint(Rc::new(call));
        self.routes.push(Route { methods, pattern: pattern.to_owned(), target });
        self
    }

    /// As `route` for GET, and HEAD with it.
    ///
    /// ```
    /// let client = httpyserver::App::new().get("/", |_| "hello").test();
    /// assert_eq!(client.get("/").send().text(), "hello");
    /// assert_eq!(client.head("/").send().header("content-length"), Some("5"));
    /// ```
    pub fn get<H, R>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        self.route("GET", pattern, handler)
    }

    /// As `route` for POST.
    ///
    /// ```
    /// let client = httpyserver::App::new().post("/", |_| "done").test();
    /// assert_eq!(client.request("POST", "/").send().text(), "done");
    /// assert_eq!(client.get("/").send().status(), 405);
    /// ```
    pub fn post<H, R>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        self.route("POST", pattern, handler)
    }

    /// As `route` for PUT.
    ///
    /// ```
    /// let client = httpyserver::App::new().put("/", |_| "done").test();
    /// assert_eq!(client.request("PUT", "/").send().text(), "done");
    /// assert_eq!(client.get("/").send().status(), 405);
    /// ```
    pub fn put<H, R>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        self.route("PUT", pattern, handler)
    }

    /// As `route` for DELETE.
    ///
    /// ```
    /// let client = httpyserver::App::new().delete("/", |_| "done").test();
    /// assert_eq!(client.request("DELETE", "/").send().text(), "done");
    /// assert_eq!(client.get("/").send().status(), 405);
    /// ```
    pub fn delete<H, R>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        self.route("DELETE", pattern, handler)
    }

    /// As `route` for PATCH.
    ///
    /// ```
    /// let client = httpyserver::App::new().patch("/", |_| "done").test();
    /// assert_eq!(client.request("PATCH", "/").send().text(), "done");
    /// assert_eq!(client.get("/").send().status(), 405);
    /// ```
    pub fn patch<H, R>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> R + 'static,
        R: IntoReply,
    {
        self.route("PATCH", pattern, handler)
    }

    /// Puts another application below a prefix, with its own hooks, error handlers and limits
    /// inside of those that are here. Sessions are those of the outermost application: what another
    /// says of them (`secret_key`, `session_cookie`, `session_age`) is a mistake.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let api = App::new().get("/version", |_| "1");
    /// let client = App::new().mount("/api", api).test();
    /// assert_eq!(client.get("/api/version").send().text(), "1");
    /// ```
    pub fn mount(mut self, prefix: &str, app: Self) -> Self {
        let prefix = self.check_prefix(prefix);
        self.children.push((prefix.to_owned(), app));
        self
    }

    /// A prefix without the slash at its end.
    fn check_prefix<'p>(&mut self, prefix: &'p str) -> &'p str {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.contains(['{', '}'])) {
            self.mistakes.push(format!(
                "{prefix:?} is no prefix: it begins with a slash, and has no parameters"
            ));
        }
        prefix
    }

    /// As `mount`, with an application that is made in place.
    ///
    /// ```
    /// use httpyserver::{abort, App, Request, Result};
    ///
    /// fn only_admins(request: &mut Request<'_>) -> Result<()> {
    ///     if request.header("x-admin").is_some() { Ok(()) } else { Err(abort(403)) }
    /// }
    /// let client = App::new()
    ///     .get("/", |_| "for all")
    ///     .group("/admin", |app| app.before(only_admins).get("/", |_| "for some"))
    ///     .test();
    /// assert_eq!(client.get("/").send().text(), "for all");
    /// assert_eq!(client.get("/admin/").send().status(), 403);
    /// ```
    pub fn group(self, prefix: &str, build: impl FnOnce(Self) -> Self) -> Self {
        self.mount(prefix, build(Self::new()))
    }

    /// Has `hook` called before every handler of this application, and before its files; what it
    /// answers, if it does, is the answer. The body of the request has been read by then.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result, abort};
    ///
    /// let client = App::new()
    ///     .before(|request: &mut Request<'_>| -> Result<()> {
    ///         if request.header("x-key").is_some() { Ok(()) } else { Err(abort(401)) }
    ///     })
    ///     .get("/", |_| "inside")
    ///     .test();
    /// assert_eq!(client.get("/").send().status(), 401);
    /// assert_eq!(client.get("/").header("X-Key", "7").send().text(), "inside");
    /// ```
    pub fn before<H, V>(mut self, hook: H) -> Self
    where
        H: Fn(&mut Request<'_>) -> V + 'static,
        V: IntoVerdict,
    {
        self.scope.before.push(Box::new(move |request| hook(request).into_verdict()));
        self
    }

    /// Has `hook` called with every answer of this application, those of its error handlers and of
    /// its files included.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let app = App::new()
    ///     .after(|_, reply| {
    ///         reply.set_header("X-Frame-Options", "DENY");
    ///     })
    ///     .get("/", |_| "framed?");
    /// assert_eq!(app.test().get("/").send().header("x-frame-options"), Some("DENY"));
    /// ```
    pub fn after(mut self, hook: impl Fn(&mut Request<'_>, &mut Reply) + 'static) -> Self {
        self.scope.after.push(Box::new(hook));
        self
    }

    /// What is answered to failures of one status, whoever failed: a handler, the router (404, 405),
    /// the body (400, 413), a file that is missing. A reply that sets no status of its own gets
    /// that of the failure.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    /// let client = App::new()
    ///     .error_handler(500, |_, error| Reply::text(format!("sorry: {}", error.reason())))
    ///     .get("/panic", |_| -> &'static str { panic!("the cat is out") })
    ///     .test();
    /// let answer = client.get("/panic").send();
    /// assert_eq!(answer.status(), 500);
    /// assert_eq!(answer.text(), "sorry: a handler panicked: the cat is out");
    /// ```
    pub fn error_handler<S, H, R>(mut self, status: S, handler: H) -> Self
    where
        S: TryInto<::http::StatusCode>,
        H: Fn(&mut Request<'_>, &Error) -> R + 'static,
        R: IntoReply,
    {
        match status.try_into() {
            Ok(status) => {
                let handler = move |request: &mut Request<'_>, error: &Error| {
                    handler(request, error).into_reply()
                };
                self.scope.errors.push((Some(status.as_u16()), Box::new(handler)));
            }
            Err(_) => self.mistakes.push("an error handler of a status that is none".into()),
        }
        self
    }

    /// What is answered to failures whose status has no handler of its own.
    ///
    /// ```
    /// use httpyserver::{App, Json};
    ///
    /// let app = App::new().default_error_handler(|_, error| Json(error.status().as_u16()));
    /// assert_eq!(app.test().get("/missing").send().text(), "404");
    /// ```
    pub fn default_error_handler<H, R>(mut self, handler: H) -> Self
    where
        H: Fn(&mut Request<'_>, &Error) -> R + 'static,
        R: IntoReply,
    {
        let handler =
            move |request: &mut Request<'_>, error: &Error| handler(request, error).into_reply();
        self.scope.errors.push((None, Box::new(handler)));
        self
    }

    /// Files of the program below a prefix, by name: `include_bytes!`.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let client = App::new().static_files("/static", &[("app.css", b"p { color: red }")]).test();
    /// let answer = client.get("/static/app.css").send();
    /// assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
    /// let tag = answer.header("etag").unwrap().to_owned();
    /// assert_eq!(client.get("/static/app.css").header("If-None-Match", &tag).send().status(), 304);
    /// ```
    pub fn static_files(
        mut self,
        prefix: &str,
        files: &'static [(&'static str, &'static [u8])],
    ) -> Self {
        let target = Target::Embedded(Rc::new(statics::Embedded::new(files)));
        self.add_below(prefix, target);
        self
    }

    /// Files of a folder below a prefix, as the server's own routes with files have them: with
    /// ranges, conditions and a cache; no listings, no hidden files.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    /// let client = App::new().static_folder("/media", folder.path()).test();
    /// assert_eq!(client.get("/media/a.txt").send().text(), "hello");
    /// assert_eq!(client.get("/media/../a.txt").send().status(), 404);
    /// assert_eq!(client.get("/../media/a.txt").send().status(), 400);
    /// ```
    pub fn static_folder(mut self, prefix: &str, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        let root = Rc::new(NamedRoot::new(folder));
        match root.current(Instant::now()) {
            Ok(_) => {
                let handler = FileHandler::new(Setup {
                    root,
                    files: Files::of(crate::conf::At::implied(folder.to_owned())),
                    index: Vec::new(),
                    welcome: false,
                    yields: false,
                    media: Rc::new(MediaTable::new(&Media::default())),
                    scripts: None,
                    compress: Compress::default(),
                    cache: CacheLimits::default(),
                });
                self.add_below(prefix, Target::Folder(Rc::new(handler)));
            }
            Err(error) => self.mistakes.push(format!("{}: {error}", folder.display())),
        }
        self
    }

    fn add_below(&mut self, prefix: &str, target: Target) {
        let pattern = format!("{}/{{path:path}}", self.check_prefix(prefix));
        self.routes.push(Route { methods: vec!["GET".into()], pattern, target });
    }

    /// Bytes of a request body; 413 beyond. Of apps within apps, the innermost that says something
    /// is asked. 1 MiB where nobody does.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let client = App::new().body_limit(3).post("/", |_| "short enough").test();
    /// assert_eq!(client.post("/").body("abc").send().status(), 200);
    /// assert_eq!(client.post("/").body("abcd").send().status(), 413);
    /// ```
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.scope.body_limit = Some(bytes);
        self
    }

    /// Takes paths with an encoded slash, which are refused with 400 otherwise. It belongs to the name
    /// around it: routes are found by segments in which it is still `%2F` (and a percent sign `%25`), and
    /// so says `Request::path`; a parameter has it decoded, so treat one like any other text of a client
    /// where it names a file. Ask the outermost application; `encoded_slashes` in web.conf outdoes it.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let package = |request: &mut httpyserver::Request<'_>| request.param_str("name").to_owned();
    /// let client = App::new().keep_encoded_slashes().get("/npm/{name}", package).test();
    /// assert_eq!(client.get("/npm/@zz%2fscoped").send().text(), "@zz/scoped");
    /// assert_eq!(client.get("/npm/@zz/scoped").send().status(), 404);
    /// let client = App::new().get("/npm/{name}", package).test();
    /// assert_eq!(client.get("/npm/@zz%2fscoped").send().status(), 400);
    /// ```
    pub fn keep_encoded_slashes(mut self) -> Self {
        self.keeps_slashes = true;
        self
    }

    /// What sessions are signed with: long, random, and the same after a restart. Without one, a
    /// key is made that ends with the program, and all sessions with it.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let app = |key: &str| {
    ///     App::new()
    ///         .secret_key(key)
    ///         .get("/in", |request| request.session_mut().set("user", "ali"))
    ///         .get("/", |request| request.session().contains("user").to_string())
    ///         .test()
    /// };
    /// let (client, other) = (app("one"), app("another"));
    /// client.get("/in").send();
    /// let cookie = client.cookie("session").unwrap();
    /// assert_eq!(client.get("/").send().text(), "true");
    /// assert_eq!(other.get("/").cookie("session", &cookie).send().text(), "false");
    /// ```
    pub fn secret_key(mut self, secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        if secret.is_empty() {
            self.mistakes.push("the secret key is empty".into());
        }
        self.secret = Some(secret.to_vec());
        self
    }

    /// Refuses what would change something (not GET, HEAD or OPTIONS) without the token of
    /// [`Request::csrf_token`], before hooks and handlers of this application are called.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let client = App::new()
    ///     .csrf_protect()
    ///     .get("/", |request| request.csrf_token())
    ///     .post("/", |_| "changed")
    ///     .test();
    /// let token = client.get("/").send().text();
    /// assert_eq!(client.post("/").send().status(), 403);
    /// assert_eq!(client.post("/").form(&[("csrf_token", &token)]).send().text(), "changed");
    /// ```
    pub fn csrf_protect(mut self) -> Self {
        self.scope.csrf = true;
        self
    }

    /// The name of the session's cookie: `session`, unless another is set.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let client = App::new()
    ///     .session_cookie("shop")
    ///     .get("/", |request| request.session_mut().set("seen", true))
    ///     .test();
    /// client.get("/").send();
    /// assert!(client.cookie("shop").is_some());
    /// ```
    pub fn session_cookie(mut self, name: &str) -> Self {
        if name.is_empty() || !name.bytes().all(crate::http::bytes::is_tchar) {
            self.mistakes.push(format!("{name:?} is no name for a cookie"));
        }
        self.session_cookie = Some(name.to_owned());
        self
    }

    /// How long a session lasts after its last change; otherwise until the browser is closed, and
    /// 31 days at most.
    ///
    /// ```
    /// use httpyserver::App;
    /// use std::time::Duration;
    ///
    /// let client = App::new()
    ///     .session_age(Duration::from_secs(3600))
    ///     .get("/", |request| request.session_mut().set("seen", true))
    ///     .test();
    /// assert!(client.get("/").send().header("set-cookie").unwrap().contains("Max-Age=3600"));
    /// ```
    pub fn session_age(mut self, age: Duration) -> Self {
        self.session_age = Some(age);
        self
    }

    /// All routes, as a table for people.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |_| "").route("GET, POST", "/add", |_| "");
    /// assert_eq!(app.routes(), "GET        /\nGET, POST  /add\n");
    /// ```
    pub fn routes(&self) -> String {
        let mut rows = Vec::new();
        self.rows("", &mut rows);
        let width = rows.iter().map(|(methods, _)| methods.len()).max().unwrap_or(0);
        let mut table = String::new();
        for (methods, pattern) in rows {
            // Writing to a String does not fail.
            let _ = writeln!(table, "{methods:width$}  {pattern}");
        }
        table
    }

    fn rows(&self, prefix: &str, rows: &mut Vec<(String, String)>) {
        for route in &self.routes {
            rows.push((route.methods.join(", "), format!("{prefix}{}", route.pattern)));
        }
        for (below, child) in &self.children {
            child.rows(&format!("{prefix}{below}"), rows);
        }
    }

    /// Compiles it. All mistakes of patterns, prefixes and keys come at once.
    fn compile(mut self) -> std::result::Result<Rc<CompiledApp>, String> {
        let mut parts = Parts::default();
        let keeps_slashes = self.keeps_slashes;
        let (secret, cookie, age) =
            (self.secret.take(), self.session_cookie.take(), self.session_age.take());
        let chain = parts.add(self, "", &[]);
        if !parts.mistakes.is_empty() {
            return Err(parts.mistakes.join("\n"));
        }
        let Parts { router, routes, words, mut places, .. } = parts;
        places.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let key = secret.as_deref().map(SecretKey::new).or_else(SecretKey::random);
        let sessions = Sessions {
            key,
            warns_of_key: Cell::new(secret.is_none()),
            cookie: cookie.unwrap_or_else(|| "session".into()),
            age,
        };
        Ok(Rc::new(CompiledApp {
            router,
            routes,
            places,
            chain,
            keeps_slashes,
            facts: Facts { routes: words, sessions },
        }))
    }

    /// Whether its patterns, prefixes and keys are good.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("item", |_| "").get("/{a}/{a}", |_| "");
    /// let mistakes = app.check().unwrap_err();
    /// assert_eq!(mistakes.lines().count(), 2);
    /// ```
    pub fn check(self) -> std::result::Result<(), String> {
        self.compile().map(drop)
    }

    /// What makes a handler of a site of it: for a route for one path (true), or for all below.
    pub(crate) fn into_mounts(
        self,
    ) -> std::result::Result<impl Fn(bool) -> Rc<dyn Handler> + 'static, String> {
        let app = self.compile()?;
        Ok(move |exact| -> Rc<dyn Handler> { Rc::new(Mounted { app: Rc::clone(&app), exact }) })
    }
}

/// What compiling gathers.
#[derive(Default)]
struct Parts {
    router: Router,
    routes: Vec<CompiledRoute>,
    words: Vec<RouteWords>,
    places: Vec<(String, Chain)>,
    mistakes: Vec<String>,
}

impl Parts {
    fn add(&mut self, app: App, prefix: &str, outer: &[Rc<Scope>]) -> Chain {
        let App { routes, children, scope, secret, session_cookie, session_age, .. } = app;
        self.mistakes.extend(app.mistakes);
        if app.keeps_slashes && !outer.is_empty() {
            let asks = format!("the application at {prefix:?} asks for encoded slashes");
            self.mistakes.push(format!("{asks}: the outermost application does that"));
        }
        // Those of the outermost have been taken out.
        let of_sessions = [
            ("secret_key", secret.is_some()),
            ("session_cookie", session_cookie.is_some()),
            ("session_age", session_age.is_some()),
        ];
        for (what, _) in of_sessions.into_iter().filter(|(_, is_set)| *is_set) {
            let sets = format!("the application at {prefix:?} sets a {what} of its own");
            self.mistakes.push(format!("{sets}: sessions are those of the outermost application"));
        }
        let chain: Chain = outer.iter().cloned().chain([Rc::new(scope)]).collect();
        let limit = chain.iter().rev().find_map(|scope| scope.body_limit).unwrap_or(BODY_LIMIT);
        for Route { methods, pattern, target } in routes {
            let pattern = format!("{prefix}{pattern}");
            let number = self.routes.len();
            let mut names = Vec::new();
            for method in &methods {
                match self.router.add(method, &pattern, number) {
                    Ok(own) => names = own,
                    Err(mistake) => {
                        self.mistakes.push(mistake);
                        break;
                    }
                }
            }
            self.words.push(RouteWords { pattern, names });
            self.routes.push(CompiledRoute {
                is_simple: chain.iter().all(|scope| scope.is_quiet()),
                target,
                chain: Rc::clone(&chain),
                body_limit: limit,
            });
        }
        for (below, child) in children {
            let prefix = format!("{prefix}{below}");
            let inner = self.add(child, &prefix, &chain);
            self.places.push((prefix, inner));
        }
        chain
    }
}
