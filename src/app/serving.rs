//! An application as it serves: the way of a request, from its route to its answer or its exchange.

use super::collect::Collector;
use super::compiled::{
    Chain, CompiledApp, CompiledRoute, Made, Target, admit, finished, guarded, guarded_option,
    made, no_handler, tell,
};
use super::reply::Body;
use super::request::State;
use super::router::Found;
use super::running::Running;
use super::{Reply, Request};
use crate::conf;
use crate::event::Cx;
use crate::handlers;
use crate::http::{HttpError, Method, MethodSet, Status};
use crate::http1::BodyLength;
use crate::serve::{self, Foretold, Handler, Note, Outcome, Response};
use std::rc::Rc;

/// An application at its place in a site.
pub(crate) struct Mounted {
    pub(super) app: Rc<CompiledApp>,
    /// The route is for one path, not for everything below.
    pub(super) exact: bool,
}

impl Handler for Mounted {
    fn methods(&self) -> MethodSet {
        MethodSet::ALL
    }

    /// Each route has its own, and error handlers have their say when it is passed.
    fn body_limit(&self) -> Option<u64> {
        Some(u64::MAX)
    }

    fn keeps_encoded_slashes(&self) -> bool {
        self.app.keeps_slashes
    }

    fn handle(&self, request: &serve::Request, cx: &mut Cx) -> Result<Outcome, HttpError> {
        let mount = match (self.exact, request.path().get(request.mount.wrapping_sub(1))) {
            (true, _) => usize::MAX,
            (false, Some(b'/')) => request.mount - 1,
            (false, _) => return Ok(Outcome::Respond(add_slash(request))),
        };
        self.app.serve(request, mount, cx)
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
        match self.app.router.find(method_text(request), path) {
            Found::Route(number, _) => {
                let pattern = self.app.facts.pattern(number);
                let limit = self.app.routes.get(number).map_or(0, |route| route.body_limit);
                let why = format!("for {path}, body {}", conf::show_size(limit));
                notes.push(Note::new("app", format!("route {pattern}"), why));
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

impl CompiledApp {
    /// The way of a request that has just come.
    pub(super) fn serve(
        self: &Rc<Self>,
        raw: &serve::Request,
        mount: usize,
        cx: &mut Cx,
    ) -> Result<Outcome, HttpError> {
        let mut state = State::new(mount, cx.clock.unix());
        let whole = raw.path().get(if mount == usize::MAX { 0 } else { mount }..);
        let reply = match whole.map(std::str::from_utf8) {
            Some(Ok(_)) => match self.router.find(method_text(raw), state.path(raw)) {
                Found::Route(number, params) => {
                    (state.route, state.params) = (Some(number), params);
                    return self.begin(number, raw, state, cx);
                }
                other => self.without_route(other, raw),
            },
            _ => Reply::failed(HttpError::new(Status::NOT_FOUND, "a path that is not UTF-8")),
        };
        // A body that nobody wanted is left to the connection.
        let chain = self.chain_of(state.path(raw)).clone();
        let mut request = Request::new(raw, &mut state, &self.facts);
        let reply = self.complete(&chain, &mut request, reply, cx);
        self.settle(state, chain, reply, cx)
    }

    /// What the router itself answers.
    fn without_route(&self, found: Found, raw: &serve::Request) -> Reply {
        let (status, why) = match found {
            Found::Options(allow) => {
                let response = Response::new(Status::NO_CONTENT);
                return Reply::served(response.with_header("Allow", allow.as_bytes()));
            }
            Found::AddSlash => return Reply::served(add_slash(raw)),
            Found::NotAllowed(allow) => {
                let (status, why) =
                    (Status::METHOD_NOT_ALLOWED, "the route does not take this method");
                return Reply::failed(HttpError::new(status, why).with_header("Allow", &allow));
            }
            Found::Missing if !self.router.knows(method_text(raw)) => {
                (Status::NOT_IMPLEMENTED, "a method that nobody here knows")
            }
            Found::Route(..) | Found::Missing => (Status::NOT_FOUND, "no route has this path"),
        };
        Reply::failed(HttpError::new(status, why))
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
                    let mut request = Request::new(raw, &mut state, &self.facts);
                    let reply = self.complete(&route.chain, &mut request, Reply::failed(error), cx);
                    self.settle(state, Rc::clone(&route.chain), reply, cx)
                }
            };
        }
        let mut request = Request::new(raw, &mut state, &self.facts);
        if route.is_simple {
            let reply = guarded(|| call(&mut request));
            if matches!(reply.body, Body::Bytes(_))
                && state.touched_session().is_none()
                && state.notices.is_empty()
            {
                return Ok(Outcome::Respond(finished(reply)));
            }
            let mut request = Request::new(raw, &mut state, &self.facts);
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
                let mut request = Request::new(raw, &mut state, &self.facts);
                guarded_option(|| admit(route, &mut request))
            }
        };
        let name = state.params.get(0, state.path(raw)).unwrap_or_default();
        let served = match (&route.target, early) {
            (_, Some(reply)) => Err(reply),
            (Target::Folder(folder), None) => {
                let mut below = raw.clone();
                below.mount = raw.path().len() - name.len();
                match route.is_simple || !below.head.method().is_read() {
                    true => folder.handle(&below, cx),
                    // What comes after the answer has to see it.
                    false => folder.respond_at_once(&below, cx).map(Outcome::Respond),
                }
                .map_err(Reply::failed)
            }
            (Target::Embedded(_), None) if raw.has_encoded_slash() => {
                Err(Reply::failed(HttpError::new(Status::NOT_FOUND, "no file has such a name")))
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
        let mut request = Request::new(raw, &mut state, &self.facts);
        let reply = self.complete(&route.chain, &mut request, reply, cx);
        self.settle(state, Rc::clone(&route.chain), reply, cx)
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
}

fn method_text(raw: &serve::Request) -> &str {
    match raw.head.method() {
        Method::Extension => std::str::from_utf8(raw.head.method_text()).unwrap_or_default(),
        named => named.as_str(),
    }
}

/// 308, so that a form is sent again.
fn add_slash(raw: &serve::Request) -> Response {
    handlers::add_slash(raw, Status::PERMANENT_REDIRECT)
}
