//! An application as it serves: routes compiled, hooks in order, the way of a request.

use super::collect::Collector;
use super::reply::{Body, Endpoint};
use super::request::State;
use super::router::{Found, Router};
use super::running::Running;
use super::session::{AGE_MAX, SecretKey, Session};
use super::{Error, Reply, Request};
use crate::conf::Level;
use crate::event::Cx;
use crate::handlers::files::FileHandler;
use crate::http::{BodyLength, HttpError, Method, MethodSet, Status, escape};
use crate::net::Bytes;
use crate::serve::{self, Foretold, Handler, Note, Outcome, Response};
use cookie::{Cookie, SameSite};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// A compiled application.
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) routes: Vec<CompiledRoute>,
    /// Prefixes of apps within the app, longest first: whose error handlers a lost path has.
    pub(super) places: Vec<(String, Chain)>,
    pub(super) chain: Chain,
    pub(super) key: Option<SecretKey>,
    /// The key ends with the program, and nobody was told yet.
    pub(super) warns_of_key: Cell<bool>,
    pub(super) session_cookie: String,
    pub(super) session_age: Option<Duration>,
    /// Bytes of a body, the largest of all routes.
    pub(super) body_limit: u64,
}

/// What apps within apps have to say, outermost first.
pub(super) type Chain = Rc<[Rc<Scope>]>;

pub(super) struct CompiledRoute {
    pub(super) pattern: String,
    pub(super) names: Vec<Box<str>>,
    pub(super) target: Target,
    pub(super) chain: Chain,
    /// Nothing but its handler has a say: the fast way.
    pub(super) is_simple: bool,
    pub(super) body_limit: u64,
}

#[derive(Clone)]
pub(super) enum Target {
    Endpoint(Rc<Endpoint>),
    /// A folder, seen from below its prefix.
    Folder(Rc<FileHandler>),
    /// Bytes of the program.
    Embedded(Rc<super::statics::Embedded>),
}

/// What one app says about its routes.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) before: Vec<Box<Before>>,
    pub(super) after: Vec<Box<After>>,
    pub(super) errors: Vec<(Option<u16>, Box<ErrorHandler>)>,
    pub(super) csrf: bool,
    pub(super) body_limit: Option<u64>,
}

pub(super) type Before = dyn Fn(&mut Request<'_>) -> Option<Reply>;
pub(super) type After = dyn Fn(&mut Request<'_>, &mut Reply);
pub(super) type ErrorHandler = dyn Fn(&mut Request<'_>, &Error) -> Reply;

/// An application at its place in a site.
pub(crate) struct Mounted {
    pub(super) service: Rc<Service>,
    /// The route is for one path, not for everything below.
    pub(super) exact: bool,
}

impl Handler for Mounted {
    fn methods(&self) -> MethodSet {
        MethodSet::ALL
    }

    fn body_limit(&self) -> Option<u64> {
        Some(self.service.body_limit)
    }

    fn handle(&self, request: &serve::Request, cx: &mut Cx) -> Result<Outcome, HttpError> {
        let mount = match (self.exact, request.path().get(request.mount.wrapping_sub(1))) {
            (true, _) => usize::MAX,
            (false, Some(b'/')) => request.mount - 1,
            (false, _) => return Ok(Outcome::Respond(add_slash(request))),
        };
        self.service.serve(request, mount, cx)
    }

    fn explain(
        &self,
        request: &serve::Request,
        _: &mut Cx,
        notes: &mut Vec<Note>,
    ) -> Result<Foretold, HttpError> {
        let path = match (self.exact, request.path().get(request.mount.wrapping_sub(1))) {
            (true, _) => &b"/"[..],
            (false, Some(b'/')) => request.path().get(request.mount - 1..).unwrap_or_default(),
            (false, _) => return Ok(Foretold::Response(add_slash(request))),
        };
        let path = std::str::from_utf8(path)
            .map_err(|_| HttpError::new(Status::NOT_FOUND, "a path that is not UTF-8"))?;
        match self.service.router.find(method_text(request), path) {
            Found::Route(number, _) => {
                let pattern = self.service.pattern(number);
                notes.push(Note::new("app", format!("route {pattern}"), format!("for {path}")));
                Ok(Foretold::UpTo("the handler of this route, which is not called here".into()))
            }
            Found::AddSlash => Ok(Foretold::Response(add_slash(request))),
            Found::NotAllowed(allow) => {
                notes.push(Note::new("app", path, format!("its methods: {allow}")));
                Ok(Foretold::UpTo("the application, to a method that its route has not".into()))
            }
            Found::Options(_) | Found::Missing => {
                notes.push(Note::new("app", path, "no route of the application"));
                Ok(Foretold::UpTo("the application, to a path that it does not know".into()))
            }
        }
    }
}

impl Service {
    pub(super) fn names(&self, route: usize) -> &[Box<str>] {
        self.routes.get(route).map(|route| &*route.names).unwrap_or_default()
    }

    pub(super) fn pattern(&self, route: usize) -> &str {
        self.routes.get(route).map(|route| &*route.pattern).unwrap_or_default()
    }

    /// The way of a request that has just come.
    pub(super) fn serve(
        self: &Rc<Self>,
        raw: &serve::Request,
        mount: usize,
        cx: &mut Cx,
    ) -> Result<Outcome, HttpError> {
        let mut state = State::new(mount, cx.clock.unix());
        let whole = raw.path().get(if mount == usize::MAX { 0 } else { mount }..);
        if whole.is_none_or(|path| std::str::from_utf8(path).is_err()) {
            return Err(HttpError::new(Status::NOT_FOUND, "a path that is not UTF-8"));
        }
        let method = method_text(raw);
        let error = match self.router.find(method, state.path(raw)) {
            Found::Route(number, params) => {
                (state.route, state.params) = (Some(number), params);
                return self.begin(number, raw, state, cx);
            }
            Found::Options(allow) => {
                let response = Response::new(Status::NO_CONTENT);
                return Ok(Outcome::Respond(response.with_header("Allow", allow.as_bytes())));
            }
            Found::AddSlash => return Ok(Outcome::Respond(add_slash(raw))),
            Found::NotAllowed(allow) => {
                HttpError::new(Status::METHOD_NOT_ALLOWED, "the route does not take this method")
                    .with_header("Allow", &allow)
            }
            Found::Missing if !self.router.knows(method) => {
                HttpError::new(Status::NOT_IMPLEMENTED, "a method that nobody here knows")
            }
            Found::Missing => HttpError::new(Status::NOT_FOUND, "no route has this path"),
        };
        // A body that nobody wanted is left to the connection.
        let chain = self.chain_of(state.path(raw)).clone();
        let mut request = Request::new(raw, &mut state, self);
        let reply = self.complete(&chain, &mut request, Reply::failed(error), cx);
        self.settle(state, chain, reply, cx)
    }

    /// A route was found: with a body it waits for that, otherwise it answers.
    fn begin(
        self: &Rc<Self>,
        number: usize,
        raw: &serve::Request,
        mut state: State,
        cx: &mut Cx,
    ) -> Result<Outcome, HttpError> {
        let Some(route) = self.routes.get(number) else {
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, "a route without number"));
        };
        let Target::Endpoint(call) = &route.target else {
            return self.begin_files(route, raw, state, cx);
        };
        if !matches!(raw.framing.body, BodyLength::None | BodyLength::Length(0)) {
            let limited = raw.check_length(route.body_limit);
            let collector = limited.and_then(|()| Collector::new(&raw.head, route.body_limit));
            return match collector {
                Ok(collector) => {
                    let chain = Rc::clone(&route.chain);
                    Ok(Outcome::Start(Box::new(Running::collect(self, chain, state, collector))))
                }
                Err(error) => {
                    let mut request = Request::new(raw, &mut state, self);
                    let reply = self.complete(&route.chain, &mut request, Reply::failed(error), cx);
                    self.settle(state, Rc::clone(&route.chain), reply, cx)
                }
            };
        }
        let mut request = Request::new(raw, &mut state, self);
        if route.is_simple {
            let reply = guarded(|| call(&mut request));
            if matches!(reply.body, Body::Bytes(_))
                && state.touched_session().is_none()
                && state.notices.is_empty()
            {
                return Ok(Outcome::Respond(finished(reply)));
            }
            let mut request = Request::new(raw, &mut state, self);
            let reply = self.complete(&route.chain, &mut request, reply, cx);
            return self.settle(state, Rc::clone(&route.chain), reply, cx);
        }
        let reply = self.call(route, &mut request);
        let reply = self.complete(&route.chain, &mut request, reply, cx);
        self.settle(state, Rc::clone(&route.chain), reply, cx)
    }

    /// A route of files, of a folder or of the program. Hooks and error handlers have their say as
    /// with any other: what a group keeps to itself is not to be had by the name of a file.
    fn begin_files(
        self: &Rc<Self>,
        route: &CompiledRoute,
        raw: &serve::Request,
        mut state: State,
        cx: &mut Cx,
    ) -> Result<Outcome, HttpError> {
        let early = match route.is_simple {
            true => None,
            false => {
                let mut request = Request::new(raw, &mut state, self);
                guarded_option(|| admit(route, &mut request))
            }
        };
        let name = state.params.get(0, state.path(raw)).unwrap_or_default();
        let served = match (&route.target, early) {
            (_, Some(reply)) => Err(reply),
            (Target::Folder(folder), None) => {
                let mut below = raw.clone();
                below.mount = raw.path().len() - name.len();
                folder.handle(&below, cx).map_err(Reply::failed)
            }
            (Target::Embedded(files), None) => {
                files.respond(name, &raw.head).map(Outcome::Respond).map_err(Reply::failed)
            }
            (Target::Endpoint(_), None) => Err(Reply::failed(no_handler())),
        };
        let reply = match served {
            Ok(Outcome::Respond(response)) if !route.is_simple => Reply::served(response),
            Ok(outcome) => return Ok(outcome),
            Err(reply) => reply,
        };
        let mut request = Request::new(raw, &mut state, self);
        let reply = self.complete(&route.chain, &mut request, reply, cx);
        self.settle(state, Rc::clone(&route.chain), reply, cx)
    }

    /// Hooks, then the handler.
    fn call(&self, route: &CompiledRoute, request: &mut Request<'_>) -> Reply {
        let Target::Endpoint(call) = &route.target else {
            return Reply::failed(no_handler());
        };
        guarded(|| admit(route, request).unwrap_or_else(|| call(request)))
    }

    /// As `call`, for a route by number: the body has come.
    pub(super) fn call_number(&self, request: &mut Request<'_>) -> Reply {
        let route = request.state().route.and_then(|number| self.routes.get(number));
        match route {
            Some(route) => self.call(route, request),
            None => Reply::failed(HttpError::new(Status::INTERNAL_SERVER_ERROR, "no route")),
        }
    }

    /// What happens to every reply that is more than work: error handlers, `after` hooks, the
    /// session's cookie.
    pub(super) fn complete(
        &self,
        chain: &[Rc<Scope>],
        request: &mut Request<'_>,
        mut reply: Reply,
        cx: &Cx,
    ) -> Reply {
        if matches!(reply.body, Body::Job(_) | Body::Waiting(_)) {
            return reply;
        }
        let now = cx.clock.unix();
        reply = reply.opened(Some(request.raw_head()), now);
        if let Body::Failed(error) = reply.body {
            reply = guarded(|| handled(chain, request, error)).opened(None, now);
        }
        let after = chain.iter().rev().flat_map(|scope| scope.after.iter().rev());
        for after in after {
            let failed = guarded_option(|| {
                after(request, &mut reply);
                None
            });
            if let Some(failed) = failed {
                reply = failed;
            }
        }
        if let Some(cookie) = self.session_line(request) {
            reply.headers.try_push("Set-Cookie", cookie.as_bytes());
        }
        reply
    }

    /// From a completed reply to what the connection does.
    pub(super) fn settle(
        self: &Rc<Self>,
        mut state: State,
        chain: Chain,
        reply: Reply,
        cx: &mut Cx,
    ) -> Result<Outcome, HttpError> {
        tell(&mut state, cx);
        match made(reply)? {
            Made::Response(response) => Ok(Outcome::Respond(response)),
            Made::InTime(reply) => {
                Ok(Outcome::Start(Box::new(Running::of_reply(self, chain, state, reply))))
            }
        }
    }

    fn chain_of(&self, path: &str) -> &Chain {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let place = self.places.iter().find(|(prefix, _)| covers(prefix));
        place.map_or(&self.chain, |(_, chain)| chain)
    }

    pub(super) fn open_session(&self, request: &Request<'_>) -> Session {
        let age = self.session_age.unwrap_or(AGE_MAX);
        self.key
            .as_ref()
            .zip(request.cookie(&self.session_cookie))
            .and_then(|(key, text)| Session::open(text, key, request.now(), age))
            .unwrap_or_default()
    }

    /// The cookie of a session that was changed.
    fn session_line(&self, request: &mut Request<'_>) -> Option<String> {
        let now = request.now();
        let session = request.state().touched_session().filter(|session| session.has_changed())?;
        let key = self.key.as_ref()?;
        let (empty, sealed) = (session.is_empty(), session.seal(key, now));
        if self.warns_of_key.replace(false) {
            let warning =
                "sessions are signed with a key that ends with the program: set secret_key";
            request.tell(Level::Warning, warning);
        }
        let mut path = request.script_root().into_owned();
        path.push('/');
        let mut cookie = Cookie::build((self.session_cookie.as_str(), ""))
            .path(path)
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(request.is_secure())
            .build();
        match sealed {
            _ if empty => cookie.make_removal(),
            Some(sealed) => {
                cookie.set_value(sealed);
                if let Some(age) = self.session_age {
                    let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                    cookie.set_max_age(cookie::time::Duration::seconds(seconds));
                }
            }
            None => {
                request.tell(Level::Warning, "a session is too long for a cookie and was not kept");
                return None;
            }
        }
        Some(cookie.to_string())
    }
}

/// What a completed reply is: an answer, or something that takes time.
pub(super) enum Made {
    Response(Response),
    InTime(Reply),
}

/// Makes the answer, if it can be made now.
pub(super) fn made(mut reply: Reply) -> Result<Made, HttpError> {
    Ok(match std::mem::replace(&mut reply.body, Body::Bytes(Bytes::Static(b""))) {
        Body::Bytes(bytes) => Made::Response(reply.into_response(bytes)),
        Body::Served(response) => Made::Response(reply.dressed(*response)),
        // They are opened when a reply is completed.
        Body::File(_) => {
            let reason = "a file that nobody opened";
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, reason));
        }
        Body::Failed(error) => {
            let mut error = error.into_http();
            if !reply.headers.is_empty() {
                error.headers.get_or_insert_default().append(&reply.headers);
            }
            return Err(error);
        }
        body @ (Body::Job(_) | Body::Stream(_) | Body::Waiting(_)) => {
            reply.body = body;
            Made::InTime(reply)
        }
    })
}

/// An answer of bytes.
fn finished(mut reply: Reply) -> Response {
    let bytes = match &mut reply.body {
        Body::Bytes(bytes) => std::mem::replace(bytes, Bytes::Static(b"")),
        _ => Bytes::Static(b""),
    };
    reply.into_response(bytes)
}

/// Says on the error log what handlers wanted to say.
pub(super) fn tell(state: &mut State, cx: &mut Cx) {
    for (level, notice) in state.notices.drain(..) {
        cx.report(level, notice);
    }
}

/// What the error handlers make of an error; innermost first, those of a status before those of
/// all. A panic in one is not given to another.
fn handled(chain: &[Rc<Scope>], request: &mut Request<'_>, error: Box<Error>) -> Reply {
    let code = error.own_status().code();
    for wanted in [Some(code), None] {
        for scope in chain.iter().rev() {
            let Some((_, handler)) = scope.errors.iter().rev().find(|(own, _)| *own == wanted)
            else {
                continue;
            };
            let mut reply = handler(request, &error);
            if error.own_status().class() == 5 && error.own_status() != Status::NOT_IMPLEMENTED {
                request.tell(Level::Error, format!("{}: {error}", request.path().escape_debug()));
            }
            if reply.status == Status::OK {
                reply.status = error.own_status();
            }
            if let Some(headers) = error.headers() {
                reply.headers.append(headers);
            }
            return reply;
        }
    }
    Reply::of_body(Body::Failed(error))
}

/// What comes before a handler: tokens of forms and hooks, outermost first. An answer is the answer.
fn admit(route: &CompiledRoute, request: &mut Request<'_>) -> Option<Reply> {
    for scope in route.chain.iter() {
        let is_safe = matches!(request.method_text(), "GET" | "HEAD" | "OPTIONS" | "TRACE");
        if scope.csrf
            && !is_safe
            && let Err(error) = request.check_csrf()
        {
            return Some(Reply::failed(error));
        }
        let early = scope.before.iter().find_map(|before| before(request));
        if early.is_some() {
            return early;
        }
    }
    None
}

/// Calls something of the application. A panic in it is an error like others.
pub(super) fn guarded(call: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| panicked(&*panic))
}

/// As `guarded`, of what may have nothing to say.
pub(super) fn guarded_option(call: impl FnOnce() -> Option<Reply>) -> Option<Reply> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Some(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Reply {
    let reason = format!("a handler panicked: {}", message(panic));
    Reply::failed(Error::of_status(Status::INTERNAL_SERVER_ERROR, reason))
}

fn no_handler() -> HttpError {
    HttpError::new(Status::INTERNAL_SERVER_ERROR, "no handler")
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

fn method_text(raw: &serve::Request) -> &str {
    match raw.head.method() {
        Method::Extension => std::str::from_utf8(raw.head.method_text()).unwrap_or_default(),
        named => named.as_str(),
    }
}

/// The same URL with a slash at its end: 308, so that a form is sent again.
fn add_slash(raw: &serve::Request) -> Response {
    let mut location = Vec::new();
    escape::path(raw.path(), &mut location);
    location.push(b'/');
    if let Some(query) = raw.head.query() {
        location.push(b'?');
        location.extend(query.iter().filter(|b| b.is_ascii_graphic()));
    }
    Response::new(Status::PERMANENT_REDIRECT).with_header("Location", &location)
}
