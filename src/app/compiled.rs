//! An application, compiled: what happens around its handlers, and what comes of their replies.

use super::facts::Facts;
use super::reply::{Body, Endpoint};
use super::request::State;
use super::router::Router;
use super::{Error, Reply, Request};
use crate::conf::Level;
use crate::event::Cx;
use crate::handlers::files::FileHandler;
use crate::http::{HttpError, Status};
use crate::net::Bytes;
use crate::serve::Response;
use cookie::{Cookie, SameSite};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A compiled application.
pub(super) struct CompiledApp {
    pub(super) router: Router,
    pub(super) routes: Vec<CompiledRoute>,
    /// Prefixes of apps within the app, longest first: whose error handlers a lost path has.
    pub(super) places: Vec<(String, Chain)>,
    pub(super) chain: Chain,
    /// Whether it takes paths with an encoded slash.
    pub(super) keeps_slashes: bool,
    pub(super) facts: Facts,
}

/// What apps within apps have to say, outermost first.
pub(super) type Chain = Rc<[Rc<Scope>]>;

pub(super) struct CompiledRoute {
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

impl Scope {
    /// Whether it has no say but about failures.
    pub(super) fn is_quiet(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && !self.csrf
    }
}

pub(super) type Before = dyn Fn(&mut Request<'_>) -> Option<Reply>;
pub(super) type After = dyn Fn(&mut Request<'_>, &mut Reply);
pub(super) type ErrorHandler = dyn Fn(&mut Request<'_>, &Error) -> Reply;

impl CompiledApp {
    /// What apps within the app have to say of a path that no route has.
    pub(super) fn chain_of(&self, path: &str) -> &Chain {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let place = self.places.iter().find(|(prefix, _)| covers(prefix));
        place.map_or(&self.chain, |(_, chain)| chain)
    }

    /// Hooks, then the handler.
    pub(super) fn call(&self, route: &CompiledRoute, request: &mut Request<'_>) -> Reply {
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

    /// What happens to every reply: error handlers, `after` hooks, the session's cookie. To one that
    /// is yet to come, error handlers apart, when it has come.
    pub(super) fn complete(
        &self,
        chain: &[Rc<Scope>],
        request: &mut Request<'_>,
        mut reply: Reply,
        cx: &Cx,
    ) -> Reply {
        let now = cx.clock.unix();
        reply = reply.opened(Some(request.raw_head()), now);
        if let Body::Failed(error) = reply.body {
            reply = match request.state().failure.replace(error.own_status()) {
                None => guarded(|| handled(chain, request, *error)).opened(None, now),
                // That of the error handler, which took its time and failed.
                Some(_) => Reply::failed(*error),
            };
        }
        if matches!(reply.body, Body::Job(_) | Body::Waiting(_)) {
            return reply;
        }
        if let Some(failure) = request.state().failure
            && reply.status == Status::OK
        {
            reply.status = failure;
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

    /// The cookie of a session that was changed.
    fn session_line(&self, request: &mut Request<'_>) -> Option<String> {
        let now = request.now();
        let session = request.state().touched_session().filter(|session| session.has_changed())?;
        let sessions = &self.facts.sessions;
        let key = sessions.key.as_ref()?;
        let (empty, sealed) = (session.is_empty(), session.seal(key, now));
        if sessions.warns_of_key.replace(false) {
            let warning =
                "sessions are signed with a key that ends with the program: set secret_key";
            request.tell(Level::Warning, warning);
        }
        let mut cookie = Cookie::build((sessions.cookie.as_str(), ""))
            .path(request.cookie_path())
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(request.is_secure())
            .build();
        match sealed {
            _ if empty => cookie.make_removal(),
            Some(sealed) => {
                cookie.set_value(sealed);
                if let Some(age) = sessions.age {
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
pub(super) fn finished(mut reply: Reply) -> Response {
    let bytes = match &mut reply.body {
        Body::Bytes(bytes) => std::mem::replace(bytes, Bytes::Static(b"")),
        _ => Bytes::Static(b""),
    };
    reply.into_response(bytes)
}

/// Says on the error log what handlers wanted to say.
pub(super) fn tell(state: &mut State, cx: &mut Cx) {
    for (level, notice) in state.notices.drain(..) {
        cx.complain(level, notice);
    }
}

/// What the error handlers make of an error; innermost first, those of a status before those of
/// all. A panic in one is not given to another.
fn handled(chain: &[Rc<Scope>], request: &mut Request<'_>, error: Error) -> Reply {
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
            if let Some(headers) = error.headers() {
                reply.headers.append(headers);
            }
            return reply;
        }
    }
    Reply::failed(error)
}

/// What comes before a handler: tokens of forms and hooks, outermost first. An answer is the answer.
pub(super) fn admit(route: &CompiledRoute, request: &mut Request<'_>) -> Option<Reply> {
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

pub(super) fn no_handler() -> HttpError {
    HttpError::new(Status::INTERNAL_SERVER_ERROR, "no handler")
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
