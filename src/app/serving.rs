//! An application as it serves: the way of a request, from its route to its answer or its exchange.

use super::collect::Collector;
use super::compiled::{
    CompiledApp, CompiledRoute, Made, Target, admit, finished, guarded, guarded_option, made,
    no_handler, tell,
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
use crate::serve::{self, Handler, Look, Plan, Response, TraceStep};
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

    fn plan(&self, request: &serve::Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let mount = match (self.exact, request.path().get(request.mount.wrapping_sub(1))) {
            (true, _) => usize::MAX,
            (false, Some(b'/')) => request.mount - 1,
            (false, _) => return Ok(Plan::Respond(add_slash(request))),
        };
        self.app.plan(request, mount, look)
    }
}

impl CompiledApp {
    /// Finds the route of a request that has just come. Hooks and handlers are called when the plan
    /// is performed: what they do is not known before.
    fn plan(
        self: &Rc<Self>,
        raw: &serve::Request,
        mount: usize,
        look: &mut Look<'_>,
    ) -> Result<Plan, HttpError> {
        let app = Rc::clone(self);
        let below = raw.path().get(mount..).map_or(Ok("/"), std::str::from_utf8);
        let Ok(path) = below else {
            let error = HttpError::new(Status::NOT_FOUND, "a path that is not UTF-8");
            let what = "the application, to a path that is not UTF-8";
            return Ok(Plan::call(what, move |raw, cx| {
                let state = State::new(mount, cx.clock.unix());
                app.answer(state, None, Reply::failed(error), raw, cx)
            }));
        };
        let (number, params) = match self.router.find(method_text(raw), path) {
            Found::Route(number, params) => (number, params),
            Found::AddSlash if self.chain_of(path).iter().all(|scope| scope.is_quiet()) => {
                return Ok(Plan::Respond(add_slash(raw)));
            }
            other => {
                let what = note_without_route(&other, path, look);
                return Ok(Plan::call(what, move |raw, cx| {
                    let state = State::new(mount, cx.clock.unix());
                    let reply = app.without_route(other, raw);
                    app.answer(state, None, reply, raw, cx)
                }));
            }
        };
        let Some(route) = self.routes.get(number) else {
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, "a route without number"));
        };
        look.note(|| {
            let pattern = self.facts.pattern(number);
            let why = format!("for {path}, body {}", conf::show_size(route.body_limit));
            TraceStep::new("app", format!("route {pattern}"), why)
        });
        if route.is_simple && !matches!(route.target, Target::Endpoint(_)) {
            let name = params.get(0, path).unwrap_or_default();
            return route.plan_file(name, raw, look).or_else(|error| {
                Ok(Plan::call("the error handlers of the application", move |raw, cx| {
                    let state = State::of_route(mount, number, params, cx.clock.unix());
                    app.answer(state, Some(number), Reply::failed(error), raw, cx)
                }))
            });
        }
        Ok(Plan::call("the handler of this route, which is not called here", move |raw, cx| {
            app.begin(State::of_route(mount, number, params, cx.clock.unix()), number, raw, cx)
        }))
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
        mut state: State,
        number: usize,
        raw: &serve::Request,
        cx: &mut Cx,
    ) -> Result<Plan, HttpError> {
        let Some(route) = self.routes.get(number) else {
            return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, "a route without number"));
        };
        let Target::Endpoint(call) = &route.target else {
            return self.begin_files(state, number, raw, cx);
        };
        if !raw.body_length.is_empty() {
            let limited = raw.check_length(route.body_limit);
            let collector = limited.and_then(|()| Collector::new(&raw.head, route.body_limit));
            return match collector {
                Ok(collector) => {
                    let chain = Rc::clone(&route.chain);
                    let running = Running::collect(self, chain, state, collector);
                    Ok(Plan::exchange(ITS_HANDLER, running))
                }
                Err(error) => self.answer(state, Some(number), Reply::failed(error), raw, cx),
            };
        }
        let mut request = Request::new(raw, &mut state, &self.facts);
        let reply = match route.is_simple {
            true => guarded(|| call(&mut request)),
            false => self.call(route, &mut request),
        };
        if route.is_simple
            && matches!(reply.body, Body::Bytes(_))
            && state.touched_session().is_none()
            && state.notices.is_empty()
        {
            return Ok(Plan::Respond(finished(reply)));
        }
        self.answer(state, Some(number), reply, raw, cx)
    }

    /// A route of files, of a folder or of the program, that hooks have their say about, as with any
    /// other: what a group keeps to itself is not to be had by the name of a file.
    fn begin_files(
        self: &Rc<Self>,
        mut state: State,
        number: usize,
        raw: &serve::Request,
        cx: &mut Cx,
    ) -> Result<Plan, HttpError> {
        let Some(route) = self.routes.get(number) else { return Err(no_handler()) };
        let mut request = Request::new(raw, &mut state, &self.facts);
        let reply = match guarded_option(|| admit(route, &mut request)) {
            Some(early) => early,
            None => {
                let name = state.params.get(0, state.path(raw)).unwrap_or_default();
                // What comes after the answer has to see it.
                let mut look = Look::new(cx).with_answer_at_once(true);
                match route.plan_file(name, raw, &mut look) {
                    Ok(Plan::Respond(response)) => Reply::served(response),
                    Ok(plan) => return Ok(plan),
                    Err(error) => Reply::failed(error),
                }
            }
        };
        self.answer(state, Some(number), reply, raw, cx)
    }

    /// Completes a reply, of a route if one was found, and makes an answer of it. A body that was not
    /// asked for is left to the connection.
    fn answer(
        self: &Rc<Self>,
        mut state: State,
        route: Option<usize>,
        reply: Reply,
        raw: &serve::Request,
        cx: &mut Cx,
    ) -> Result<Plan, HttpError> {
        let route = route.and_then(|number| self.routes.get(number));
        let chain = route.map_or_else(|| self.chain_of(state.path(raw)), |route| &route.chain);
        let mut request = Request::new(raw, &mut state, &self.facts);
        let reply = self.complete(chain, &mut request, reply, cx);
        tell(&mut state, cx);
        match made(reply)? {
            Made::Response(response) => Ok(Plan::Respond(response)),
            Made::InTime(reply) => {
                let running = Running::of_reply(self, Rc::clone(chain), state, reply);
                Ok(Plan::exchange(ITS_HANDLER, running))
            }
        }
    }
}

impl CompiledRoute {
    /// The answer of a route of files to a request for one.
    fn plan_file(
        &self,
        name: &str,
        raw: &serve::Request,
        look: &mut Look<'_>,
    ) -> Result<Plan, HttpError> {
        match &self.target {
            Target::Folder(folder) => {
                let mut below = raw.clone();
                below.mount = raw.path().len() - name.len();
                folder.plan(&below, look)
            }
            Target::Embedded(_) if raw.has_encoded_slash() => {
                Err(HttpError::new(Status::NOT_FOUND, "no file has such a name"))
            }
            Target::Embedded(files) => files.respond(name, &raw.head).map(Plan::Respond),
            Target::Endpoint(_) => Err(no_handler()),
        }
    }
}

/// What is said of a plan after its handler was called.
const ITS_HANDLER: &str = "the handler of this route";

/// Notes that the router found no route, and returns what the answer is up to.
fn note_without_route(found: &Found, path: &str, look: &mut Look<'_>) -> &'static str {
    let (why, what) = match found {
        Found::NotAllowed(allow) => {
            (format!("its methods: {allow}"), "the application, to a method that its route has not")
        }
        Found::AddSlash => ("it has a slash at its end".to_owned(), "the hooks of the application"),
        Found::Route(..) | Found::Options(_) | Found::Missing => (
            "no route of the application".to_owned(),
            "the application, to a path that it does not know",
        ),
    };
    look.note(|| TraceStep::new("app", path, why));
    what
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
