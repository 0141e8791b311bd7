//! What a handler answers.

use super::out::Producer;
use super::{Error, Request};
use crate::event::{Cx, TaskId, TaskWaker, Until};
use crate::handlers::files::OneFile;
use crate::http::bytes::{is_field_byte, is_tchar};
use crate::http::{Headers, HttpError, RequestHead, Status};
use crate::net::Bytes;
use crate::serve::{Body as ServedBody, Head, Response};
use cookie::Cookie;
use http::StatusCode;
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An answer: a status, headers, and a body of one kind or another. Bytes can be written into it.
///
/// ```
/// use httpyserver::{App, Reply, Request, Result};
/// use std::io::Write;
///
/// fn table(_: &mut Request<'_>) -> Result {
///     let mut reply = Reply::new().with_type("text/csv");
///     for n in 1..=3 {
///         writeln!(reply, "{n},{}", n * n)?;
///     }
///     Ok(reply)
/// }
/// let answer = App::new().get("/squares.csv", table).test().get("/squares.csv").send();
/// assert_eq!(answer.header("content-type"), Some("text/csv"));
/// assert_eq!(answer.text(), "1,1\n2,4\n3,9\n");
/// ```
pub struct Reply {
    pub(super) status: Status,
    content_type: Cow<'static, str>,
    pub(super) headers: Headers,
    pub(super) body: Body,
}

pub(super) enum Body {
    Bytes(Bytes),
    /// A file, to be opened when hooks and handlers have had their say.
    File(PathBuf),
    /// A file that was opened, or something else that the server has put together.
    Served(Box<Response>),
    /// Bytes in time.
    Stream(Box<dyn Producer>),
    /// One answer, when something happens.
    Waiting(Box<dyn Waiter>),
    /// One answer, when work off the loop is done.
    Job(Box<dyn Job>),
    Failed(Box<Error>),
}

/// What is said of an answer before it is there.
pub(super) struct Dress {
    pub(super) status: Status,
    pub(super) fields: Headers,
}

/// What waits for something to happen, and then has one answer.
pub(super) trait Waiter {
    /// The answer, if it has happened or if the time is over.
    fn poll(&mut self, waker: &Rc<TaskWaker>, over: bool) -> Option<Reply>;

    /// How long it waits.
    fn patience(&self) -> Duration;
}

/// Work with what follows it. The exchange of its request starts it, and asks when it is woken.
pub(super) trait Job {
    /// Gives it to the helpers.
    fn start(&mut self, task: TaskId, cx: &mut Cx) -> Result<(), Error>;

    /// What to wait for until the work is done.
    fn until_done(&self) -> Result<Until, HttpError>;

    /// The answer, once the work is done.
    fn poll(&mut self, request: &mut Request<'_>) -> Option<Reply>;
}

/// Whatever a handler may return.
///
/// | type | answer |
/// |---|---|
/// | [`Reply`] | itself |
/// | `&'static str`, `String` | 200, `text/plain` |
/// | [`Html`] | 200, `text/html` |
/// | [`Json`] | 200, `application/json` |
/// | `Vec<u8>` | 200, `application/octet-stream` |
/// | `StatusCode`, `()` | that status or 204, no body |
/// | `(StatusCode, R)` | what `R` gives, with that status |
/// | `Option<R>` | 404 for `None` |
/// | `Result<R, E>` | what the error handlers make of it for `Err` |
/// | [`Blocking<R>`](super::Blocking) | what `R` gives, when the work is done |
///
/// ```
/// use httpyserver::{App, Html, StatusCode};
///
/// let client = App::new()
///     .get("/text", |_| "plain")
///     .get("/html", |_| Html("<p>rich</p>"))
///     .get("/teapot", |_| (StatusCode::IM_A_TEAPOT, "short and stout"))
///     .get("/none", |_| None::<String>)
///     .test();
/// assert_eq!(client.get("/html").send().header("content-type"), Some("text/html; charset=utf-8"));
/// assert_eq!(client.get("/teapot").send().status(), 418);
/// assert_eq!(client.get("/none").send().status(), 404);
/// ```
pub trait IntoReply {
    /// The answer.
    fn into_reply(self) -> Reply;
}

/// A page.
///
/// ```
/// let app = httpyserver::App::new().get("/", |_| httpyserver::Html("<h1>Hello</h1>"));
/// assert_eq!(app.test().get("/").send().text(), "<h1>Hello</h1>");
/// ```
#[derive(Clone, Debug)]
pub struct Html<T>(pub T);

/// A value as JSON.
///
/// ```
/// use httpyserver::{App, Json};
///
/// let app = App::new().get("/", |_| Json(vec![1, 2, 3]));
/// assert_eq!(app.test().get("/").send().text(), "[1,2,3]");
/// ```
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// May stand several times: one line does not take the place of another.
const LISTS: [&str; 3] = ["set-cookie", "vary", "link"];

/// Written by the server, and by nobody else.
const NOT_YOURS: [&str; 6] =
    ["content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"];

impl Reply {
    /// 200 and an empty text, to be written into.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// use std::io::Write;
    ///
    /// let app = App::new().get("/", |_| -> httpyserver::Result {
    ///     let mut reply = Reply::new();
    ///     write!(reply, "{} and {}", "this", "that")?;
    ///     Ok(reply)
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "this and that");
    /// ```
    pub fn new() -> Self {
        Self::of(TEXT, Bytes::Owned(Vec::new()))
    }

    fn of(content_type: impl Into<Cow<'static, str>>, body: Bytes) -> Self {
        Self {
            status: Status::OK,
            content_type: content_type.into(),
            headers: Headers::new(),
            body: Body::Bytes(body),
        }
    }

    pub(super) fn of_body(body: Body) -> Self {
        Self { body, ..Self::of("", Bytes::Static(b"")) }
    }

    pub(super) fn failed(error: impl Into<Error>) -> Self {
        let error = error.into();
        Self { status: error.own_status(), ..Self::of_body(Body::Failed(Box::new(error))) }
    }

    /// Text.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let answer = App::new().get("/", |_| Reply::text("hello")).test().get("/").send();
    /// assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    /// ```
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(TEXT, Bytes::Owned(text.into().into_bytes()))
    }

    /// A page.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let answer = App::new().get("/", |_| Reply::html("<p>hello</p>")).test().get("/").send();
    /// assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    /// ```
    pub fn html(page: impl Into<String>) -> Self {
        Self::of(HTML, Bytes::Owned(page.into().into_bytes()))
    }

    /// Bytes of some type.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let app = App::new().get("/dot.gif", |_| Reply::bytes("image/gif", *b"GIF89a"));
    /// assert_eq!(app.test().get("/dot.gif").send().header("content-type"), Some("image/gif"));
    /// ```
    pub fn bytes(content_type: impl Into<Cow<'static, str>>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::of("", Bytes::Owned(bytes.into())).with_type(content_type)
    }

    /// A value as JSON. What cannot be written as JSON is a 500.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let app = App::new().get("/", |_| Reply::json(&[("a", 1)]));
    /// assert_eq!(app.test().get("/").send().text(), r#"[["a",1]]"#);
    /// ```
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Self::of("application/json", Bytes::Owned(json)),
            Err(error) => Self::failed(error),
        }
    }

    /// An askama template. One that fails is a 500.
    ///
    /// ```
    /// use httpyserver::{App, Reply, askama};
    ///
    /// #[derive(askama::Template)]
    /// #[template(source = "<p>Hello {{ name }}!</p>", ext = "html")]
    /// struct Hello<'a> {
    ///     name: &'a str,
    /// }
    /// let app = App::new().get("/", |_| Reply::template(&Hello { name: "<you>" }));
    /// assert_eq!(app.test().get("/").send().text(), "<p>Hello &#60;you&#62;!</p>");
    /// ```
    pub fn template<T: askama::Template>(template: &T) -> Self {
        match template.render() {
            Ok(page) => Self::html(page),
            Err(error) => Self::failed(error),
        }
    }

    /// Elsewhere, by GET: 303, what a form is answered with. Build the URL with
    /// [`Request::url_for`], so that it is right wherever the application is mounted.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    /// let app = App::new().post("/add", |request| Reply::redirect(request.url_for("/list")));
    /// let answer = app.test().post("/add").send();
    /// assert_eq!((answer.status().as_u16(), answer.header("location")), (303, Some("/list")));
    /// ```
    pub fn redirect(url: impl AsRef<str>) -> Self {
        Self::redirect_with(StatusCode::SEE_OTHER, url)
    }

    /// Elsewhere, with a status of one's own. What has no place in a URL is percent-encoded: nothing
    /// can be added to the head through it.
    ///
    /// ```
    /// use httpyserver::{App, Reply, StatusCode};
    ///
    /// let app = App::new().get("/old", |request| {
    ///     Reply::redirect_with(StatusCode::PERMANENT_REDIRECT, request.url_for("/new"))
    /// });
    /// let answer = app.test().get("/old").send();
    /// assert_eq!((answer.status().as_u16(), answer.header("location")), (308, Some("/new")));
    /// ```
    pub fn redirect_with(status: StatusCode, url: impl AsRef<str>) -> Self {
        let mut location = Vec::with_capacity(url.as_ref().len());
        for byte in url.as_ref().bytes() {
            match byte {
                0x21..=0x7e if !b"\"<>\\^`{|}".contains(&byte) => location.push(byte),
                _ => {
                    let _ = write!(location, "%{byte:02X}");
                }
            }
        }
        let mut reply = Self::of_body(Body::Bytes(Bytes::Static(b"")));
        reply.headers.try_push("Location", &location);
        reply.with_status(status)
    }

    /// A file, with ranges and conditions; 404 if it is not there. Its type follows from its name.
    /// With a status of its own (a page of a 404) it is sent whole.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// std::fs::write(folder.path().join("a.txt"), "0123456789").unwrap();
    /// let path = folder.path().join("a.txt");
    /// let client = App::new().get("/a", move |_| Reply::file(&path)).test();
    /// let part = client.get("/a").header("Range", "bytes=2-4").send();
    /// assert_eq!((part.status().as_u16(), part.text()), (206, "234".into()));
    /// ```
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of_body(Body::File(path.into()))
    }

    /// A status and nothing else.
    ///
    /// ```
    /// use httpyserver::{App, Reply, StatusCode};
    ///
    /// let app = App::new().put("/", |_| Reply::status_only(StatusCode::CREATED));
    /// assert_eq!(app.test().put("/").send().status(), 201);
    /// ```
    pub fn status_only(status: StatusCode) -> Self {
        Self::of_body(Body::Bytes(Bytes::Static(b""))).with_status(status)
    }

    /// The status.
    ///
    /// ```
    /// assert_eq!(httpyserver::Reply::text("hello").status(), 200);
    /// ```
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Sets the status. One that ends no request (100 to 199) or that nobody knows (600 and beyond)
    /// makes the answer a 500. What has no body by its status (204, 304) is sent without one.
    ///
    /// ```
    /// use httpyserver::{Reply, StatusCode};
    ///
    /// let mut reply = Reply::text("made");
    /// reply.set_status(StatusCode::CREATED);
    /// assert_eq!(reply.status(), 201);
    /// ```
    pub fn set_status(&mut self, status: StatusCode) -> &mut Self {
        match Status::new(status.as_u16()).filter(|status| status.class() > 1) {
            Some(status) => self.status = status,
            None => self.fail(format!("{} is no status of an answer", status.as_u16())),
        }
        self
    }

    /// Sets a header in place of what it was. Headers that frame the message (`Content-Length`,
    /// `Transfer-Encoding`, `Connection`) and `Date` and `Server` are the server's own and left as
    /// they are. A name or value that would break the head makes the answer a 500.
    ///
    /// ```
    /// use httpyserver::{App, Reply, header};
    ///
    /// let app = App::new().get("/", |_| {
    ///     let mut reply = Reply::text("hello");
    ///     reply.set_header(header::CACHE_CONTROL, "no-store").set_header("X-Mood", "good");
    ///     reply
    /// });
    /// let answer = app.test().get("/").send();
    /// assert_eq!(answer.header("cache-control"), Some("no-store"));
    /// ```
    pub fn set_header(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        self.headers.remove(name.as_ref());
        self.add_header(name, value)
    }

    /// As `set_header`, beside lines of the same name that are there already.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let app = App::new().get("/", |_| {
    ///     let mut reply = Reply::text("hello");
    ///     reply.add_header("Link", "</a.css>; rel=preload").add_header("Link", "</b.js>; rel=preload");
    ///     reply
    /// });
    /// assert_eq!(app.test().get("/").send().all("link").count(), 2);
    /// ```
    pub fn add_header(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.eq_ignore_ascii_case("content-type") {
            self.set_type(Cow::Owned(value.to_owned()));
        } else if NOT_YOURS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            // Two lines of them would be two meanings.
        } else if !self.headers.try_push(name, value.as_bytes()) {
            self.fail(format!("the header {name:?} has a value that no header may have"));
        }
        self
    }

    /// What was asked of it cannot be sent.
    fn fail(&mut self, reason: String) {
        self.status = Status::INTERNAL_SERVER_ERROR;
        self.body = Body::Failed(Box::new(Error::of_status(self.status, reason)));
    }

    /// Adds a cookie, with all the attributes it has. One whose value would be read as more
    /// attributes (it has a semicolon) makes the answer a 500.
    ///
    /// ```
    /// use httpyserver::{App, Cookie, Reply};
    ///
    /// let app = App::new().get("/", |_| {
    ///     let mut reply = Reply::text("have one");
    ///     reply.set_cookie(Cookie::build(("taste", "sweet")).path("/").http_only(true));
    ///     reply
    /// });
    /// let answer = app.test().get("/").send();
    /// assert_eq!(answer.header("set-cookie"), Some("taste=sweet; HttpOnly; Path=/"));
    /// ```
    pub fn set_cookie<'c>(&mut self, cookie: impl Into<Cookie<'c>>) -> &mut Self {
        let cookie = cookie.into();
        let parts = [Some(cookie.value()), cookie.path(), cookie.domain()];
        let is_name = !cookie.name().is_empty() && cookie.name().bytes().all(is_tchar);
        if !is_name || parts.into_iter().flatten().any(|part| part.contains([';', ','])) {
            self.fail(format!("the cookie {:?} would be read as something else", cookie.name()));
            return self;
        }
        self.add_header("Set-Cookie", cookie.to_string())
    }

    /// As `set_status`, by value.
    ///
    /// ```
    /// use httpyserver::{Reply, StatusCode};
    ///
    /// assert_eq!(Reply::text("late").with_status(StatusCode::GONE).status(), 410);
    /// ```
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.set_status(status);
        self
    }

    /// As `set_header`, by value.
    ///
    /// ```
    /// let reply = httpyserver::Reply::text("hello").with_header("X-Mood", "good");
    /// assert_eq!(reply.header("x-mood"), Some("good"));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.set_header(name, value);
        self
    }

    /// Sets the `Content-Type`.
    ///
    /// ```
    /// let reply = httpyserver::Reply::text("a,b").with_type("text/csv");
    /// assert_eq!(reply.header("content-type"), Some("text/csv"));
    /// ```
    #[must_use]
    pub fn with_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.set_type(content_type.into());
        self
    }

    fn set_type(&mut self, content_type: Cow<'static, str>) {
        match content_type.bytes().all(is_field_byte) {
            true => self.content_type = content_type,
            false => self.fail("the Content-Type has a value that no header may have".to_owned()),
        }
    }

    /// As `set_cookie`, by value.
    ///
    /// ```
    /// use httpyserver::{Cookie, Reply};
    ///
    /// let reply = Reply::text("").with_cookie(Cookie::build(("lang", "en")).path("/").secure(true));
    /// assert_eq!(reply.header("set-cookie"), Some("lang=en; Secure; Path=/"));
    /// ```
    #[must_use]
    pub fn with_cookie<'c>(mut self, cookie: impl Into<Cookie<'c>>) -> Self {
        self.set_cookie(cookie);
        self
    }

    /// Has the client forget a cookie of this name that was set for the path `/`.
    ///
    /// ```
    /// use httpyserver::{App, Reply};
    ///
    ///
    /// let client = App::new().get("/", |_| Reply::text("").without_cookie("lang")).test();
    /// client.set_cookie("lang", Some("en"));
    /// client.get("/").send();
    /// assert_eq!(client.cookie("lang"), None);
    /// ```
    #[must_use]
    pub fn without_cookie(self, name: &str) -> Self {
        let mut cookie = Cookie::build((name, "")).path("/").build();
        cookie.make_removal();
        self.with_cookie(cookie)
    }

    /// Has the client save it under a name rather than show it.
    ///
    /// ```
    /// let reply = httpyserver::Reply::text("a,b").with_download("Zähler.csv");
    /// let wanted = "attachment; filename=\"Z_hler.csv\"; filename*=UTF-8''Z%C3%A4hler.csv";
    /// assert_eq!(reply.header("content-disposition"), Some(wanted));
    /// ```
    #[must_use]
    pub fn with_download(self, name: &str) -> Self {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_graphic() && !"\"\\/%".contains(c) { c } else { '_' })
            .collect();
        let mut encoded = Vec::new();
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => encoded.push(byte),
                _ => {
                    let _ = write!(encoded, "%{byte:02X}");
                }
            }
        }
        let encoded = String::from_utf8_lossy(&encoded);
        // Both forms (RFC 6266 §4.3): the second for whoever understands it.
        let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
        self.with_header("Content-Disposition", value)
    }

    /// The value of a header that was set, or that a file has: for `after` hooks.
    ///
    /// ```
    /// let reply = httpyserver::Reply::html("<p>").with_header("ETag", "\"1\"");
    /// assert_eq!(reply.header("etag"), Some("\"1\""));
    /// assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let own = match name.eq_ignore_ascii_case("content-type") {
            true => Some(&*self.content_type).filter(|value| !value.is_empty()),
            false => self.headers.get(name).and_then(|value| std::str::from_utf8(value).ok()),
        };
        own.or_else(|| self.served_header(name))
    }

    /// A header of a file that was opened.
    fn served_header(&self, name: &str) -> Option<&str> {
        let Body::Served(response) = &self.body else { return None };
        response.head.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// What the server has put together.
    pub(super) fn served(response: Response) -> Self {
        let status = response.status;
        Self { status, ..Self::of_body(Body::Served(Box::new(response))) }
    }

    /// Opens the file it names, if it does. `head` is who asks for it. One that cannot be opened is
    /// a failure, as any other.
    pub(super) fn opened(mut self, head: Option<&RequestHead>, now: u64) -> Self {
        let Body::File(path) = &self.body else { return self };
        let media_type = Some(&*self.content_type).filter(|own| !own.is_empty());
        let head = head.filter(|_| self.status == Status::OK);
        match (OneFile { path, media_type, head, now }).respond() {
            Ok(response) => {
                if self.status == Status::OK {
                    self.status = response.status;
                }
                // It is in the response, unless there is no body for it to speak of.
                self.content_type = "".into();
                self.body = Body::Served(Box::new(response));
                self
            }
            Err(error) => Self::failed(error),
        }
    }

    /// What the server has put together, with what handlers and hooks have added to it.
    pub(super) fn dressed(self, response: Response) -> Response {
        let own = self.fields();
        if own.is_empty() && self.status == response.status {
            return response;
        }
        let mut headers = response.head.into_fields();
        lay_over(&mut headers, &own);
        Response { status: self.status, head: Head::Fields(headers), body: response.body }
    }

    /// With what was said of it before it was there. That has the last word, as it would have if the
    /// reply had been there at once.
    pub(super) fn dressed_in(mut self, dress: &Dress) -> Self {
        if dress.status != Status::OK {
            self.status = dress.status;
        }
        let mut fields = dress.fields.clone();
        if let Some(own) = fields.get("content-type") {
            self.content_type = String::from_utf8_lossy(own).into_owned().into();
            fields.remove("content-type");
        }
        lay_over(&mut self.headers, &fields);
        self
    }

    /// The headers as they are sent.
    pub(super) fn fields(&self) -> Headers {
        let mut fields = Headers::new();
        if !self.content_type.is_empty() {
            fields.try_push("Content-Type", self.content_type.as_bytes());
        }
        fields.append(&self.headers);
        fields
    }

    /// The bytes of the body, where it is such: for `after` hooks that look at it or change it.
    ///
    /// ```
    /// let app = httpyserver::App::new()
    ///     .after(|_, reply| {
    ///         if let Some(body) = reply.body_mut() {
    ///             body.make_ascii_uppercase();
    ///         }
    ///     })
    ///     .get("/", |_| "hello");
    /// assert_eq!(app.test().get("/").send().text(), "HELLO");
    /// ```
    pub fn body_mut(&mut self) -> Option<&mut Vec<u8>> {
        let Body::Bytes(bytes) = &mut self.body else { return None };
        if !matches!(bytes, Bytes::Owned(_)) {
            *bytes = Bytes::Owned(bytes.as_slice().to_vec());
        }
        match bytes {
            Bytes::Owned(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// As the answer to a failure outside of applications: bytes, or a file. Its status is the
    /// failure's unless it has one.
    pub(crate) fn into_error_response(mut self, error: &HttpError) -> Option<Response> {
        if self.status == Status::OK {
            self.status = error.status;
        }
        if let Some(headers) = &error.headers {
            self.headers.append(headers);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self = self.opened(None, now.as_secs());
        match std::mem::replace(&mut self.body, Body::Bytes(Bytes::Static(b""))) {
            Body::Bytes(bytes) => Some(self.into_response(bytes)),
            Body::Served(response) => Some(self.dressed(*response)),
            _ => None,
        }
    }

    /// A complete answer of bytes.
    pub(super) fn into_response(self, bytes: Bytes) -> Response {
        let head = Head::Fields(self.fields());
        let body = if bytes.is_empty() { ServedBody::Empty } else { ServedBody::Bytes(bytes) };
        Response { status: self.status, head, body }
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts `own` in the place of headers of the same name; what may stand several times goes beside.
fn lay_over(headers: &mut Headers, own: &Headers) {
    for (name, _) in own.iter() {
        let name = String::from_utf8_lossy(name);
        if !LISTS.iter().any(|list| list.eq_ignore_ascii_case(&name)) {
            headers.remove(&name);
        }
    }
    headers.append(own);
}

/// What is written becomes the body, after what is there.
impl Write for Reply {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(body) = self.body_mut() else {
            return Err(io::Error::other("this reply has a body that cannot be written to"));
        };
        body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Reply {
        Reply::of(TEXT, Bytes::Static(self.as_bytes()))
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Reply {
        Reply::text(self)
    }
}

impl IntoReply for Cow<'static, str> {
    fn into_reply(self) -> Reply {
        match self {
            Cow::Borrowed(text) => text.into_reply(),
            Cow::Owned(text) => text.into_reply(),
        }
    }
}

impl IntoReply for Vec<u8> {
    fn into_reply(self) -> Reply {
        Reply::of(BYTES, Bytes::Owned(self))
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Reply {
        Reply::status_only(StatusCode::NO_CONTENT)
    }
}

impl IntoReply for StatusCode {
    fn into_reply(self) -> Reply {
        if self.is_client_error() || self.is_server_error() {
            return Reply::failed_with(self);
        }
        Reply::status_only(self)
    }
}

impl Reply {
    fn failed_with(status: StatusCode) -> Self {
        Self::failed(Error::new(status, "the handler said so"))
    }
}

impl<R: IntoReply> IntoReply for (StatusCode, R) {
    fn into_reply(self) -> Reply {
        self.1.into_reply().with_status(self.0)
    }
}

impl<R: IntoReply> IntoReply for Option<R> {
    fn into_reply(self) -> Reply {
        match self {
            Some(reply) => reply.into_reply(),
            None => Reply::failed_with(StatusCode::NOT_FOUND),
        }
    }
}

impl<R: IntoReply, E: Into<Error>> IntoReply for Result<R, E> {
    fn into_reply(self) -> Reply {
        match self {
            Ok(reply) => reply.into_reply(),
            Err(error) => Reply::failed(error),
        }
    }
}

impl<T: Into<String>> IntoReply for Html<T> {
    fn into_reply(self) -> Reply {
        Reply::html(self.0)
    }
}

impl<T: serde::Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Reply {
        Reply::json(&self.0)
    }
}

/// What a `before` hook may return: nothing, an answer in place of the handler's, or a failure.
///
/// ```
/// use httpyserver::{App, Reply, Request};
///
/// let app = App::new()
///     .before(|request: &mut Request<'_>| {
///         (request.header("x-key") != Some("7")).then(|| Reply::text("no key"))
///     })
///     .get("/", |_| "inside");
/// let client = app.test();
/// assert_eq!(client.get("/").send().text(), "no key");
/// assert_eq!(client.get("/").header("X-Key", "7").send().text(), "inside");
/// ```
pub trait IntoVerdict {
    /// An answer, if there is to be one already.
    fn into_verdict(self) -> Option<Reply>;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Option<Reply> {
        None
    }
}

impl IntoVerdict for Option<Reply> {
    fn into_verdict(self) -> Option<Reply> {
        self
    }
}

impl<V: IntoVerdict, E: Into<Error>> IntoVerdict for Result<V, E> {
    fn into_verdict(self) -> Option<Reply> {
        match self {
            Ok(verdict) => verdict.into_verdict(),
            Err(error) => Some(Reply::failed(error)),
        }
    }
}

/// What a route does. Every function and closure of this form is one.
pub(super) type Endpoint = dyn Fn(&mut Request<'_>) -> Reply;
