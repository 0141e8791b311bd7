//! A request as handlers see it.

use super::blocking::Blocking;
use super::facts::Facts;
use super::pairs::Pairs;
use super::router::Params;
use super::session::{Flash, Session};
use super::upload::Upload;
use super::{Error, Result};
use crate::conf::Level;
use crate::http::{
    ErrorForm, Known, RequestHead, Status, accepts_coding, error_form, escape, target,
};
use crate::serve;
use crate::sys::spool_budget::Reservation;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::str::FromStr;

/// What a client asks for, and what the application knows of it.
///
/// ```
/// use httpyserver::{App, Request};
///
/// fn show(request: &mut Request<'_>) -> String {
///     format!("{} {} from {}", request.method(), request.path(), request.remote_addr())
/// }
/// let app = App::new().get("/{anything:path}", show);
/// assert_eq!(app.test().get("/a/b").send().text(), "GET /a/b from 127.0.0.1");
/// ```
pub struct Request<'a> {
    raw: &'a serve::Request,
    state: &'a mut State,
    facts: &'a Facts,
}

/// What belongs to a request beside its head. Nothing of it costs anything until it is asked for.
#[derive(Default)]
pub(super) struct State {
    /// How much of the path belongs to the mount; `usize::MAX`: all of it, and the application
    /// sees `/`.
    pub(super) mount: usize,
    pub(super) route: Option<usize>,
    pub(super) params: Params,
    pub(super) data: Option<Vec<u8>>,
    pub(super) spooled: Option<Upload>,
    /// What the body occupies on the disk.
    pub(super) reserved: Option<Reservation>,
    pub(super) form: Form,
    pub(super) files: Vec<Upload>,
    /// What was answered by an error handler: the status of its reply, unless it has one.
    pub(super) failure: Option<Status>,
    /// Seconds since 1970.
    pub(super) now: u64,
    args: OnceCell<Pairs>,
    session: OnceCell<Session>,
    values: Vec<Box<dyn Any>>,
    pub(super) notices: Vec<(Level, String)>,
}

/// The fields of a form.
pub(super) enum Form {
    /// Of several parts, taken apart as they came; or none.
    Read(Pairs),
    /// In a URL's encoding: in the data, and taken apart when somebody asks.
    InData(OnceCell<Pairs>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Read(Pairs::default())
    }
}

impl State {
    /// Of a request at a time in Unix seconds.
    pub(super) fn new(mount: usize, now: u64) -> Self {
        Self { mount, now, ..Self::default() }
    }

    /// The same, of a request for which a route was found.
    pub(super) fn of_route(mount: usize, route: usize, params: Params, now: u64) -> Self {
        Self { mount, route: Some(route), params, now, ..Self::default() }
    }

    /// The session, if anybody has looked at it.
    pub(super) fn touched_session(&self) -> Option<&Session> {
        self.session.get()
    }

    /// The path as the application sees it.
    pub(super) fn path<'r>(&self, raw: &'r serve::Request) -> &'r str {
        match self.mount {
            usize::MAX => "/",
            mount => {
                let path = raw.path().get(mount..).unwrap_or_default();
                // What is not UTF-8 has no route: only error handlers and hooks see this.
                std::str::from_utf8(path).unwrap_or("/")
            }
        }
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(raw: &'a serve::Request, state: &'a mut State, facts: &'a Facts) -> Self {
        Self { raw, state, facts }
    }

    pub(super) fn now(&self) -> u64 {
        self.state.now
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.state
    }

    /// The method. May be compared with a text: `request.method() == "REPORT"`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.method().to_string());
    /// assert_eq!(app.test().get("/").send().text(), "GET");
    /// ```
    pub fn method(&self) -> Method {
        // Both take the tokens of RFC 9110 §5.6.2.
        Method::from_bytes(self.raw.head.method_text()).unwrap_or_default()
    }

    /// The method, as it was sent.
    pub(super) fn method_text(&self) -> &'a str {
        std::str::from_utf8(self.raw.head.method_text()).unwrap_or_default()
    }

    pub(super) fn raw_head(&self) -> &'a RequestHead {
        &self.raw.head
    }

    /// The path below where the application is mounted, decoded; begins with a slash.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/{name}", |request| request.path().to_owned());
    /// assert_eq!(app.test().get("/a%20b?c=d").send().text(), "/a b");
    /// ```
    pub fn path(&self) -> &'a str {
        self.state.path(self.raw)
    }

    /// Where the application is mounted: `""`, or `/quotes` if it is at `/quotes/`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.script_root().into_owned());
    /// assert_eq!(app.test().mounted_at("/quotes/").get("/").send().text(), "/quotes");
    /// ```
    pub fn script_root(&self) -> Cow<'a, str> {
        let path = self.raw.path();
        String::from_utf8_lossy(path.get(..self.state.mount).unwrap_or(path))
    }

    /// The `Path` of the session's cookie: all that belongs to the application, as it stands in
    /// URLs. One that is mounted at a single path has no more than that: with a slash behind it, the
    /// path itself would not match (RFC 6265 §5.1.4).
    pub(super) fn cookie_path(&self) -> String {
        let mut path = Vec::new();
        escape::path(self.script_root().as_bytes(), &mut path);
        if self.state.mount != usize::MAX {
            path.push(b'/');
        }
        String::from_utf8_lossy(&path).into_owned()
    }

    /// The URL of a path of the application, with the prefix it is mounted at, and encoded: for
    /// every link and redirect. A query may follow the path.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// let inner = App::new().get("/here", |request| request.url_for("/there?x=1"));
    /// let app = App::new().mount("/sub", inner);
    /// // Apps within apps are one application; only the server's mount is a prefix.
    /// assert_eq!(app.test().get("/sub/here").send().text(), "/there?x=1");
    /// let app = App::new().get("/here", |request| request.url_for("/there"));
    /// assert_eq!(app.test().mounted_at("/quotes/").get("/here").send().text(), "/quotes/there");
    /// let app = App::new().get("/here", |request| request.url_for("//other.test/a;b=1"));
    /// assert_eq!(app.test().get("/here").send().text(), "/other.test/a;b=1");
    /// ```
    pub fn url_for(&self, path: &str) -> String {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let whole = [self.script_root().as_bytes(), path.as_bytes()].concat();
        let mut url = Vec::with_capacity(whole.len() + 8);
        escape::path(escape::one_leading_slash(&whole), &mut url);
        let mut url = String::from_utf8_lossy(&url).into_owned();
        if let Some(query) = query {
            url.push('?');
            url.push_str(query);
        }
        url
    }

    /// The URL of this request, without scheme and host, encoded as it was sent, with its query: where a
    /// client may be sent back to. (`url_for` would take a `?` of a decoded path for the beginning of a query.)
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/{name}", |request| request.url());
    /// let client = app.test().mounted_at("/sub/");
    /// assert_eq!(client.get("/what%3F%20now?a=b+c").send().text(), "/sub/what%3F%20now?a=b+c");
    /// assert_eq!(client.get("/a;b=%3B").send().text(), "/sub/a;b=%3B");
    /// ```
    pub fn url(&self) -> String {
        let mut url = Vec::new();
        escape::sent(escape::one_leading_slash(self.raw.sent_path()), &mut url);
        if let Some(query) = self.raw.query().filter(|query| !query.is_empty()) {
            url.push(b'?');
            escape::sent_query(query, &mut url);
        }
        String::from_utf8_lossy(&url).into_owned()
    }

    /// A parameter of the route's pattern, as another type.
    ///
    /// # Errors
    /// 404 if it is no such thing; 500 if the pattern has no such parameter.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result};
    ///
    /// fn double(request: &mut Request<'_>) -> Result<String> {
    ///     Ok((request.param::<u32>("n")? * 2).to_string())
    /// }
    /// let client = App::new().get("/double/{n}", double).test();
    /// assert_eq!(client.get("/double/21").send().text(), "42");
    /// assert_eq!(client.get("/double/x").send().status(), 404);
    /// ```
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.find_param(name).ok_or_else(|| {
            let reason = format!("the route has no parameter {name:?}");
            Error::of_status(Status::INTERNAL_SERVER_ERROR, reason)
        })?;
        text.parse().map_err(|_| {
            Error::of_status(Status::NOT_FOUND, format!("{text:?} is no good value for {name:?}"))
        })
    }

    /// A parameter of the route's pattern as it is; empty if the pattern has none of that name.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/{name}", |request| request.param_str("name").to_owned());
    /// assert_eq!(app.test().get("/ali").send().text(), "ali");
    /// ```
    pub fn param_str(&self, name: &str) -> &'a str {
        self.find_param(name).unwrap_or_default()
    }

    fn find_param(&self, name: &str) -> Option<&'a str> {
        let names = self.facts.names(self.state.route?);
        let place = names.iter().position(|own| **own == *name)?;
        if !self.raw.has_encoded_slash() {
            return self.state.params.get(place, self.path());
        }
        let span = self.state.params.span(place)?;
        let above = self.raw.path().len() - self.path().len();
        std::str::from_utf8(self.raw.unslashed(span.start + above..span.end + above)).ok()
    }

    /// The pattern of the route that answers.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/{name}", |request| request.route().unwrap_or("none").to_owned());
    /// assert_eq!(app.test().get("/ali").send().text(), "/{name}");
    /// ```
    pub fn route(&self) -> Option<&str> {
        self.state.route.map(|route| self.facts.pattern(route))
    }

    /// The query.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.args().get("q").unwrap_or("none").to_owned());
    /// assert_eq!(app.test().get("/?q=a+b").send().text(), "a b");
    /// ```
    pub fn args(&self) -> &Pairs {
        self.state
            .args
            .get_or_init(|| Pairs::of_urlencoded(self.raw.head.query().unwrap_or_default()))
    }

    /// The query as it was sent, without `?`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.query_string().to_owned());
    /// assert_eq!(app.test().get("/?q=a+b").send().text(), "q=a+b");
    /// ```
    pub fn query_string(&self) -> &'a str {
        self.raw.head.query().and_then(|query| std::str::from_utf8(query).ok()).unwrap_or_default()
    }

    /// The fields of a form, of either kind; empty if the body is none. A form in a URL's encoding
    /// of more than 1 MiB is not read, whatever `body_limit` says: `require` then answers 413, and
    /// [`Pairs::is_cut`] tells.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| request.form().get("name").unwrap_or("none").to_owned());
    /// assert_eq!(app.test().post("/").form(&[("name", "ali")]).send().text(), "ali");
    /// ```
    pub fn form(&self) -> &Pairs {
        match &self.state.form {
            Form::Read(form) => form,
            Form::InData(form) => form.get_or_init(|| {
                Pairs::of_urlencoded(self.state.data.as_deref().unwrap_or_default())
            }),
        }
    }

    /// The files of a form that have not been taken.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| request.files().len().to_string());
    /// assert_eq!(app.test().post("/").multipart(&[], &[("f", "a.txt", "text/plain", b"hello")]).send().text(), "1");
    /// ```
    pub fn files(&self) -> &[Upload] {
        &self.state.files
    }

    /// The first file of a form's field. A field that was left empty has none.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| request.file("f").map(|file| file.size().to_string()));
    /// assert_eq!(app.test().post("/").multipart(&[], &[("f", "a.txt", "text/plain", b"hello")]).send().text(), "5");
    /// ```
    pub fn file(&self, field: &str) -> Option<&Upload> {
        self.state.files.iter().find(|file| file.field == field)
    }

    /// Takes the first file of a form's field.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result, abort};
    ///
    /// fn sum(request: &mut Request<'_>) -> Result<String> {
    ///     let file = request.take_file("f").ok_or_else(|| abort(400))?;
    ///     // The file is ours now: it may be moved to a helper, or kept with `save_as`.
    ///     Ok(file.bytes()?.iter().map(|byte| u32::from(*byte)).sum::<u32>().to_string())
    /// }
    /// let request = App::new().post("/", sum).test();
    /// let answer = request.post("/").multipart(&[], &[("f", "a", "text/plain", b"\x01\x02")]).send();
    /// assert_eq!(answer.text(), "3");
    /// ```
    pub fn take_file(&mut self, field: &str) -> Option<Upload> {
        let place = self.state.files.iter().position(|file| file.field == field)?;
        Some(self.state.files.remove(place))
    }

    /// The body as it came, whatever type it says it has; only of a multipart form, whose parts are
    /// in `form` and `files`, nothing is here. What `take_spooled` would take is read from the disk.
    ///
    /// # Errors
    /// It cannot be read.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| request.data().map(|data| data.len().to_string()));
    /// assert_eq!(app.test().post("/").body([0, 1, 2]).send().text(), "3");
    /// ```
    pub fn data(&self) -> Result<Cow<'_, [u8]>> {
        Ok(match (&self.state.data, &self.state.spooled) {
            (Some(data), _) => Cow::Borrowed(data),
            (None, Some(file)) => Cow::Owned(file.bytes()?),
            (None, None) => Cow::Borrowed(&[]),
        })
    }

    /// Takes a body of more than 256 KiB (1 MiB if it says that it is a form in a URL's encoding) as
    /// the file it lies in, so that it need not be read.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| match request.take_spooled() {
    ///     Some(file) => format!("{} bytes on the disk", file.size()),
    ///     None => "in memory".into(),
    /// });
    /// let client = app.test();
    /// assert_eq!(client.post("/").body("short").send().text(), "in memory");
    /// assert_eq!(client.post("/").body(vec![0; 300_000]).send().text(), "300000 bytes on the disk");
    /// ```
    pub fn take_spooled(&mut self) -> Option<Upload> {
        self.state.spooled.take()
    }

    /// The body as text.
    ///
    /// # Errors
    /// 400 if it is not UTF-8.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| request.text());
    /// assert_eq!(app.test().post("/").body("hello").send().text(), "hello");
    /// ```
    pub fn text(&self) -> Result<String> {
        String::from_utf8(self.data()?.into_owned())
            .map_err(|_| Error::of_status(Status::BAD_REQUEST, "the body is not UTF-8"))
    }

    /// The body, which has to be JSON and say so.
    ///
    /// # Errors
    /// 415 if it is not `application/json` or `…+json`; 400 if it is no JSON, or no `T`.
    ///
    /// ```
    /// use httpyserver::{App, Json, Request, Result};
    ///
    /// fn sum(request: &mut Request<'_>) -> Result<Json<i64>> {
    ///     Ok(Json(request.json::<Vec<i64>>()?.iter().sum()))
    /// }
    /// let client = App::new().post("/sum", sum).test();
    /// assert_eq!(client.post("/sum").json(&[20, 22]).send().text(), "42");
    /// assert_eq!(client.post("/sum").json("no").send().status(), 400);
    /// assert_eq!(client.post("/sum").body("[1]").send().status(), 415);
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !kind.ends_with("+json") {
            return Err(Error::of_status(Status::UNSUPPORTED_MEDIA_TYPE, "JSON is wanted"));
        }
        serde_json::from_slice(&self.data()?)
            .map_err(|error| Error::of_status(Status::BAD_REQUEST, error.to_string()))
    }

    /// The first value of a header; `None` if it is missing or no text.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.header("accept").unwrap_or("none").to_owned());
    /// assert_eq!(app.test().get("/").header("Accept", "text/*").send().text(), "text/*");
    /// ```
    pub fn header(&self, name: impl AsRef<str>) -> Option<&'a str> {
        self.raw.head.find(name.as_ref()).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in the ecosystem's own map. Made at each call.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.headers().len().to_string());
    /// assert_eq!(app.test().get("/").header("X-A", "1").header("X-B", "2").send().text(), "3");
    /// ```
    pub fn headers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in self.raw.head.fields() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }

    /// Whether the client takes a body in this coding: `gzip`, `br`. Without `Accept-Encoding` it
    /// does not. An answer that depends on it says so by `Vary`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.accepts_coding("gzip").to_string());
    /// let client = app.test();
    /// let ask = |accepted| client.get("/").header("Accept-Encoding", accepted).send().text();
    /// assert_eq!((ask("br, gzip").as_str(), ask("gzip;q=0").as_str()), ("true", "false"));
    /// ```
    pub fn accepts_coding(&self, coding: &str) -> bool {
        accepts_coding(self.raw.head.all(Known::AcceptEncoding), coding)
    }

    /// A cookie's value, as it was sent.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.cookie("a").unwrap_or("none").to_owned());
    /// assert_eq!(app.test().get("/").cookie("a", "b").send().text(), "b");
    /// ```
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let lines = self.raw.head.all(Known::Cookie);
        let mut pairs = lines
            .filter_map(|line| std::str::from_utf8(line).ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(own, _)| own.trim() == name)?;
        let value = value.trim();
        Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value))
    }

    /// What the client is remembered by.
    ///
    /// ```
    /// let app = httpyserver::App::new()
    ///     .get("/", |request| request.session().get_str("user").unwrap_or("stranger").to_owned());
    /// assert_eq!(app.test().get("/").send().text(), "stranger");
    /// ```
    pub fn session(&self) -> &Session {
        let sessions = &self.facts.sessions;
        let open = || sessions.open(self.cookie(&sessions.cookie), self.now());
        self.state.session.get_or_init(open)
    }

    /// The session, to be changed: the answer then sets its cookie anew.
    ///
    /// ```
    /// let client = httpyserver::App::new()
    ///     .get("/in", |request| request.session_mut().set("user", "ali"))
    ///     .get("/", |request| request.session().get_str("user").unwrap_or("stranger").to_owned())
    ///     .test();
    /// client.get("/in").send();
    /// assert_eq!(client.get("/").send().text(), "ali");
    /// ```
    pub fn session_mut(&mut self) -> &mut Session {
        self.session();
        // It was put there by the line above.
        if self.state.session.get().is_none() {
            let _ = self.state.session.set(Session::default());
        }
        match self.state.session.get_mut() {
            Some(session) => session,
            None => unreachable!("the session was just made"),
        }
    }

    /// A message for the page the client sees next.
    ///
    /// ```
    /// use httpyserver::{App, Reply, Request};
    ///
    /// fn save(request: &mut Request<'_>) -> Reply {
    ///     request.flash("Saved.");
    ///     Reply::redirect(request.url_for("/"))
    /// }
    /// fn index(request: &mut Request<'_>) -> String {
    ///     request.flashes().into_iter().map(|flash| flash.message).collect()
    /// }
    /// let client = App::new().post("/save", save).get("/", index).test();
    /// client.post("/save").send();
    /// assert_eq!(client.get("/").send().text(), "Saved.");
    /// assert_eq!(client.get("/").send().text(), "", "they are shown once");
    /// ```
    pub fn flash(&mut self, message: impl Into<String>) {
        self.flash_as("message", message);
    }

    /// As `flash`, of another kind.
    ///
    /// ```
    /// let client = httpyserver::App::new()
    ///     .post("/", |request| request.flash_as("error", "That did not work."))
    ///     .get("/", |request| request.flashes().pop().map(|flash| flash.category))
    ///     .test();
    /// client.post("/").send();
    /// assert_eq!(client.get("/").send().text(), "error");
    /// ```
    pub fn flash_as(&mut self, category: &str, message: impl Into<String>) {
        self.session_mut().flash(category, message.into());
    }

    /// Takes the messages that were left for this page.
    ///
    /// ```
    /// let client = httpyserver::App::new()
    ///     .post("/", |request| request.flash("Saved."))
    ///     .get("/", |request| request.flashes().len().to_string())
    ///     .test();
    /// client.post("/").send();
    /// assert_eq!(client.get("/").send().text(), "1");
    /// assert_eq!(client.get("/").send().text(), "0");
    /// ```
    pub fn flashes(&mut self) -> Vec<Flash> {
        if !self.session().has_flashes() {
            return Vec::new();
        }
        self.session_mut().take_flashes()
    }

    /// What forms of this session have to send back, in a field `csrf_token` or a header
    /// `X-CSRF-Token`: another site cannot know it.
    ///
    /// ```
    /// use httpyserver::{App, Request};
    ///
    /// let client = App::new()
    ///     .csrf_protect()
    ///     .get("/form", |request| request.csrf_token())
    ///     .post("/form", |_| "done")
    ///     .test();
    /// let token = client.get("/form").send().text();
    /// assert_eq!(client.post("/form").send().status(), 403);
    /// assert_eq!(client.post("/form").form(&[("csrf_token", &token)]).send().text(), "done");
    /// ```
    pub fn csrf_token(&mut self) -> String {
        self.session_mut().csrf_token()
    }

    /// Refuses a request that did not come from a form of this session.
    ///
    /// # Errors
    /// 403 without the right token; 413 if the form that may hold it is too long to be read.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result};
    ///
    /// fn pay(request: &mut Request<'_>) -> Result<&'static str> {
    ///     request.check_csrf()?;
    ///     Ok("paid")
    /// }
    /// let client = App::new().get("/", |request| request.csrf_token()).post("/pay", pay).test();
    /// let token = client.get("/").send().text();
    /// assert_eq!(client.post("/pay").send().status(), 403);
    /// assert_eq!(client.post("/pay").header("X-CSRF-Token", &token).send().text(), "paid");
    /// ```
    pub fn check_csrf(&self) -> Result<()> {
        let given = self.form().get("csrf_token").or_else(|| self.header("x-csrf-token"));
        match given {
            Some(token) if self.session().is_csrf_token(token) => Ok(()),
            Some(_) => Err(Error::of_status(Status::FORBIDDEN, "a CSRF token of another session")),
            None if self.form().is_cut() => Err(Pairs::too_long()),
            None => Err(Error::of_status(Status::FORBIDDEN, "no CSRF token")),
        }
    }

    /// The client's address, without port; `unix` for a Unix socket.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.remote_addr());
    /// assert_eq!(app.test().get("/").send().text(), "127.0.0.1");
    /// ```
    pub fn remote_addr(&self) -> String {
        self.raw.peer.to_string()
    }

    /// `https` or `http`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.scheme());
    /// assert_eq!(app.test().get("/").send().text(), "http");
    /// ```
    pub fn scheme(&self) -> &'static str {
        if self.raw.secure { "https" } else { "http" }
    }

    /// Whether it came encrypted.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.is_secure().to_string());
    /// assert_eq!(app.test().get("/").send().text(), "false");
    /// ```
    pub fn is_secure(&self) -> bool {
        self.raw.secure
    }

    /// Whose certificate the client has shown, if `client_ca` asks for one: `CN=Ada, O=Example`, with
    /// special characters escaped (RFC 4514 §2.4).
    ///
    /// ```
    /// let app = httpyserver::App::new()
    ///     .get("/", |request| request.client_certificate().unwrap_or("nobody").to_owned());
    /// assert_eq!(app.test().get("/").send().text(), "nobody");
    /// ```
    pub fn client_certificate(&self) -> Option<&'a str> {
        self.raw.client.as_deref()
    }

    /// Who has proved by a password to be who, where the route of `web.conf` that leads to the
    /// application has `auth`.
    ///
    /// ```
    /// use httpyserver::{App, Request};
    ///
    /// fn hello(request: &mut Request<'_>) -> String {
    ///     format!("hello, {}", request.user().unwrap_or("stranger"))
    /// }
    /// assert_eq!(App::new().get("/", hello).test().get("/").send().text(), "hello, stranger");
    /// ```
    pub fn user(&self) -> Option<&'a str> {
        self.raw.user.as_deref()
    }

    /// The host and port it was sent to, as the client says.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.host().to_owned());
    /// assert_eq!(app.test().get("/").header("Host", "example.org:8080").send().text(), "example.org:8080");
    /// ```
    pub fn host(&self) -> &'a str {
        self.raw
            .head
            .authority()
            .and_then(|host| std::str::from_utf8(host).ok())
            .unwrap_or_default()
    }

    /// Whether the client would rather have JSON than a page.
    ///
    /// ```
    /// use httpyserver::{App, Html, IntoReply, Json, Reply, Request};
    ///
    /// fn greet(request: &mut Request<'_>) -> Reply {
    ///     if request.accepts_json() { Json("hello").into_reply() } else { Html("hello").into_reply() }
    /// }
    /// let client = App::new().get("/", greet).test();
    /// let answer = client.get("/").header("Accept", "application/json").send();
    /// assert_eq!(answer.text(), "\"hello\"");
    /// ```
    pub fn accepts_json(&self) -> bool {
        error_form(self.raw.head.get(Known::Accept)) == ErrorForm::Json
    }

    /// The id of the last event that a client of an event stream has seen.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.last_event_id().unwrap_or("none").to_owned());
    /// assert_eq!(app.test().get("/").header("Last-Event-ID", "7").send().text(), "7");
    /// ```
    pub fn last_event_id(&self) -> Option<&'a str> {
        self.header("last-event-id").filter(|id| !id.is_empty())
    }

    /// `text` if it is the path of a page of this server, for a redirect to where a client came
    /// from: not of another one, however it is written.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    /// let client = App::new()
    ///     .get("/go", |request| {
    ///         let next = request.args().get("next").and_then(|next| request.local_url(next));
    ///         Reply::redirect(next.unwrap_or("/"))
    ///     })
    ///     .test();
    /// assert_eq!(client.get("/go?next=/a?b=c").send().header("location"), Some("/a?b=c"));
    /// for other in ["https://evil.test", "//evil.test", "/%5Cevil.test", "/%09/evil.test"] {
    ///     assert_eq!(client.get(&format!("/go?next={other}")).send().header("location"), Some("/"));
    /// }
    /// ```
    pub fn local_url<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix('/')?;
        let bad =
            rest.starts_with(['/', '\\']) || text.chars().any(|c| c.is_control() || c == '\\');
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let mut normal = Vec::new();
        (!bad && target::normalise(path.as_bytes(), &mut normal).is_ok()).then_some(text)
    }

    /// A value that a hook has left for this request.
    ///
    /// ```
    /// use httpyserver::{App, Request};
    ///
    /// struct User(&'static str);
    /// let app = App::new()
    ///     .before(|request| request.set_g(User("ali")))
    ///     .get("/", |request| request.g::<User>().map(|user| user.0));
    /// assert_eq!(app.test().get("/").send().text(), "ali");
    /// ```
    pub fn g<T: 'static>(&self) -> Option<&T> {
        self.state.values.iter().find_map(|value| value.downcast_ref())
    }

    /// Leaves a value for whoever deals with this request next, in place of one of its type.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    /// struct Began(std::time::Instant);
    /// let app = App::new()
    ///     .before(|request| request.set_g(Began(std::time::Instant::now())))
    ///     .after(|request, reply| {
    ///         let took = request.g::<Began>().map_or(0, |began| began.0.elapsed().as_millis());
    ///         reply.set_header("Server-Timing", format!("app;dur={took}"));
    ///     })
    ///     .get("/", |_| "hello");
    /// assert!(app.test().get("/").send().header("server-timing").unwrap().starts_with("app;dur="));
    /// ```
    pub fn set_g<T: 'static>(&mut self, value: T) {
        self.state.values.retain(|old| !old.is::<T>());
        self.state.values.push(Box::new(value));
    }

    /// A line for the error log.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let who = request.remote_addr();
    ///     request.log(format!("{who} was here"));
    /// });
    /// assert_eq!(app.test().get("/").send().status(), 204);
    /// ```
    pub fn log(&mut self, text: impl Into<String>) {
        self.tell(Level::Info, text);
    }

    pub(super) fn tell(&mut self, level: Level, text: impl Into<String>) {
        self.state.notices.push((level, text.into()));
    }

    /// Gives work that takes long or waits (a database, a password hash, a file) to a helper
    /// thread. What is returned is an answer of a handler: at once if `work` gives one, or by
    /// [`Blocking::then`]. Beyond some waiting work, clients get 503.
    ///
    /// ```
    /// let app = httpyserver::App::new()
    ///     .get("/", |request| request.blocking(|| std::fs::read_to_string("/proc/self/comm")));
    /// assert!(!app.test().get("/").send().text().is_empty());
    /// ```
    pub fn blocking<T, W>(&self, work: W) -> Blocking<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        Blocking::new(work)
    }
}
