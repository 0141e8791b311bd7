//! `httpyserver explain`: what would be answered to a request, and why. Nothing is served: the
//! configuration is read, the request is parsed and goes the way that requests go, up to the plan of
//! a handler, which is shown instead of performed.

mod show;
mod url;

use super::load::{ConfigSource, Failure};
use super::routing::{ConnectionInfo, Next, Routing, route, route_authorized, route_redirect};
use crate::conf::{self, Action, At, Config, Diagnostics, Listen};
use crate::event::Cx;
use crate::http::{HostName, HttpError, Status};
use crate::http1::{Parsed, framing, parse};
use crate::serve::{Look, Peer, Plan, Request, Response, TraceStep, fields_sent};
use crate::site::{Decision, PassedOver, Route, Site, Trace, VirtualHost};
use crate::tls::Secured;
use mio::Poll;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use url::Url;

/// A request that nobody sends.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: String,
    /// `https://example.org/docs/?q=1`; without scheme as in a browser; or a path.
    pub url: String,
    /// More header lines: `Accept: text/html`.
    pub headers: Vec<String>,
    /// Who sends it.
    pub from: IpAddr,
}

/// What came of a question, step by step.
#[derive(Debug)]
pub struct Explanation {
    steps: Vec<PlacedStep>,
    answer: Answer,
}

/// A step, and where the configuration says so: `web.conf:31`.
#[derive(Debug)]
struct PlacedStep {
    step: TraceStep,
    place: String,
}

/// How it ends.
#[derive(Debug)]
enum Answer {
    Known { status: Status, why: String, headers: Vec<(String, String)>, length: u64 },
    UpTo(String),
}

impl ConfigSource {
    /// Explains what a request would be answered.
    ///
    /// # Errors
    /// The configuration is refused, or the question is none.
    pub fn explain(&self, question: &Question) -> Result<Explanation, Failure> {
        let (config, mut diagnostics) = self.read()?;
        let site = self.build(&config, &mut diagnostics)?;
        let tls = self.secure(&config, None, false, &mut diagnostics)?;
        let url = Url::read(&question.url).map_err(Failure::Start)?;
        let poll = Poll::new()?;
        let mut explainer = Explainer {
            config: &config,
            diagnostics: &diagnostics,
            site: &site,
            certificates: tls.as_ref().map(|(_, secured)| &**secured),
            steps: Vec::new(),
            cx: Cx::new(poll.registry().try_clone()?),
        };
        let answer = explainer.walk(&url, question);
        Ok(Explanation { steps: explainer.steps, answer })
    }
}

struct Explainer<'a> {
    config: &'a Config,
    diagnostics: &'a Diagnostics,
    site: &'a Site,
    certificates: Option<&'a Secured>,
    steps: Vec<PlacedStep>,
    cx: Cx,
}

impl Explainer<'_> {
    /// The way of a request, from the listener to its answer.
    fn walk(&mut self, url: &Url, question: &Question) -> Answer {
        let port = self.listener(url);
        let shown = HostName::parse(url.authority.as_bytes())
            .map(|host| String::from_utf8_lossy(host.name).to_ascii_lowercase());
        if url.secure
            && let Some(certificates) = self.certificates
        {
            let which = certificates.describe(shown.as_deref());
            self.tell(TraceStep::new("tls", which, "by the name asked for"), None);
        }
        let mut request = Request::default();
        request.peer = Peer::Ip(question.from, 0);
        (request.secure, request.port) = (url.secure, port);
        let text = url.request(&question.method, &question.headers);
        match parse(text.as_bytes(), 0, &self.site.limits.head, &mut request.head) {
            Parsed::Complete(_) => {}
            Parsed::Partial => {
                let error = HttpError::bad_request("an empty line ends the request too early");
                return self.refused(&error, &request, None);
            }
            Parsed::Refused(error) => return self.refused(&error, &request, None),
        }
        let secure = self.config.server.listen.iter().filter(|at| at.value.secure);
        let https_port = secure.map(|at| at.value.port()).min_by_key(|port| *port != 443);
        let info = ConnectionInfo {
            shown: shown.as_deref().filter(|_| url.secure),
            certificates: self.certificates,
            https_port,
            now: self.cx.now(),
        };
        let mut heard = RoutingTrace::default();
        let mut routing = match framing::frame(&request.head) {
            Ok(framing) => {
                request.body_length = framing.body;
                route(&mut request, self.site, &info, &mut heard)
            }
            Err(error) => return self.refused(&error, &request, None),
        };
        self.tell_choice(&heard, &routing, &request);
        if let Ok(Next::Verify(check)) = &routing.next {
            routing = match check.make(&request) {
                Ok(user) => route_authorized(&mut request, self.site, user),
                Err(error) => Routing { next: Err(error), ..routing },
            };
        }
        let (host, plan) = self.plan(routing, &mut request);
        match plan {
            Ok(Plan::Respond(response)) => known(&response, &request, String::new()),
            Ok(plan) => Answer::UpTo(plan.to_string()),
            Err(error) => self.refused(&error, &request, host),
        }
    }

    /// The plan of the handler, and the host whose pages its errors have.
    fn plan<'s>(
        &mut self,
        mut routing: Routing<'s>,
        request: &mut Request,
    ) -> (Option<&'s VirtualHost>, Result<Plan, HttpError>)
    where
        Self: 's,
    {
        loop {
            let (host, route) = (routing.host, routing.route);
            let is_asked = matches!(routing.next, Ok(Next::Ask(_)));
            let mut steps = Vec::new();
            let plan = routing.plan(request, &mut Look::traced(&mut self.cx, &mut steps));
            steps.into_iter().for_each(|step| self.tell(step, None));
            if let Some(route) = route.filter(|_| is_asked) {
                self.limits(route);
            }
            match plan {
                Ok(Plan::Redirect(to)) => {
                    let path = String::from_utf8_lossy(&to.path).into_owned();
                    self.tell(TraceStep::new("", path, "an internal redirect"), None);
                    routing = route_redirect(request, self.site, to, self.cx.now());
                }
                plan => return (host, plan),
            }
        }
    }

    fn refused(&self, error: &HttpError, request: &Request, host: Option<&VirtualHost>) -> Answer {
        let pages = host.map_or(&self.site.pages, |host| &host.pages);
        known(&pages.answer(error, Some(request)), request, error.reason.to_string())
    }

    /// Adds a step, and where it is written.
    fn tell(&mut self, step: TraceStep, span: Option<&Range<usize>>) {
        let place = span.filter(|span| !span.is_empty()).map(|span| {
            let (line, _) = self.diagnostics.position(span.start);
            format!("{}:{line}", self.diagnostics.source.name)
        });
        self.steps.push(PlacedStep { step, place: place.unwrap_or_default() });
    }

    /// Who takes the connection. Returns the port, as requests know it.
    fn listener(&mut self, url: &Url) -> u16 {
        let all = &self.config.server.listen;
        let speaks = |listen: &Listen| listen.secure == url.secure;
        let port = url.port;
        let exact = all.iter().find(|at| speaks(&at.value) && Some(at.value.port()) == port);
        // A question may leave the port out, or ask as if it were behind another server.
        let found = exact.or_else(|| all.iter().find(|at| speaks(&at.value)));
        let why = match (exact, port) {
            (Some(_), _) | (_, None) => String::new(),
            (None, Some(port)) => format!("none listens on port {port}: as if it came by this one"),
        };
        match found {
            Some(at) => {
                let (note, port) =
                    (TraceStep::new("listener", at.value.to_string(), why), at.value.port());
                self.tell(note, Some(&at.span));
                port
            }
            None => {
                let scheme = if url.secure { "https" } else { "http" };
                let why = "nobody could connect; as if somebody could";
                self.tell(TraceStep::new("listener", format!("none for {scheme}"), why), None);
                port.unwrap_or(0)
            }
        }
    }

    /// Which host and which route, and why not the others.
    fn tell_choice(&mut self, heard: &RoutingTrace<'_>, routing: &Routing<'_>, request: &Request) {
        let config = self.config;
        let of_host = |host: &VirtualHost| {
            let number = self.site.hosts.iter().position(|other| std::ptr::eq(other, host));
            number.and_then(|number| config.hosts.get(number))
        };
        let Some(host) = routing.host else {
            for why in heard.host.iter() {
                self.tell(TraceStep::new("host", "none", *why), None);
            }
            return;
        };
        let Some(conf_host) = of_host(host) else { return };
        let why = heard.host.unwrap_or_default();
        self.tell(TraceStep::new("host", format!("{:?}", host.name), why), Some(&conf_host.span));
        let Some(chosen) = routing.route else {
            for (route, why) in heard.passed.iter().rev().take(SHOWN) {
                let what = format!("not {}", route.path);
                self.tell(TraceStep::new("", what, passed_over(*why)), None);
            }
            let (guard, span) = match heard.held {
                Some(route) => (&route.guard, written(conf_host, route).map(|own| &own.access)),
                None => (&host.guard, Some(&conf_host.access)),
            };
            if let Some(guard) = guard {
                let asked = format!("asked from {}", request.peer);
                let why = match heard.held {
                    Some(route) => format!("{asked}; nothing goes past that of {}", route.path),
                    None => format!("{asked}; of the whole host"),
                };
                let span = span.and_then(conf::Access::span);
                self.tell(TraceStep::new("access", guard.to_string(), why), span);
            }
            return;
        };
        for (route, why) in &heard.passed {
            if *why != PassedOver::OtherPath {
                let what = format!("not {}", route.path);
                self.tell(TraceStep::new("", what, passed_over(*why)), None);
            }
        }
        let written = |route: &Route| written(conf_host, route);
        let does = written(chosen).map(|own| describe(&own.action)).unwrap_or_default();
        let what = format!("{} → {does}", chosen.path);
        let why = if chosen.path.ends_with('/') { "longest path" } else { "exactly this path" };
        let span = written(chosen).map(|own| &own.path.span);
        self.tell(TraceStep::new("route", what, why), span);
        if let Some(guard) = &chosen.guard {
            let what = guard.to_string();
            let span = written(chosen).and_then(|own| own.access.span());
            self.tell(TraceStep::new("access", what, format!("asked from {}", request.peer)), span);
        }
        let others = host.routes.iter().skip_while(|route| !std::ptr::eq(*route, chosen)).skip(1);
        for other in others.filter(|other| other.covers(request.path())).take(SHOWN) {
            let span = written(other).map(|own| &own.path.span);
            self.tell(TraceStep::new("", format!("not {}", other.path), "less specific"), span);
        }
    }

    fn limits(&mut self, route: &Route) {
        let timeouts = &self.site.timeouts;
        let shown = conf::show_duration;
        let what = match route.body_limit {
            u64::MAX => "body as its handler has it".to_owned(),
            limit => format!("body {}", conf::show_size(limit)),
        };
        let why = format!("idle {}, write {}", shown(timeouts.idle), shown(timeouts.write));
        self.tell(TraceStep::new("limits", what, why), None);
    }
}

/// Routes that were left, of those that would be shown.
const SHOWN: usize = 8;

/// How a route is written in the configuration.
fn written<'c>(host: &'c conf::Host, route: &Route) -> Option<&'c conf::Route> {
    let same = |own: &&conf::Route| own.path.value == *route.path && own.methods == route.methods;
    host.routes.iter().find(same)
}

/// Writes down what is decided.
#[derive(Default)]
struct RoutingTrace<'s> {
    host: Option<&'static str>,
    passed: Vec<(&'s Route, PassedOver)>,
    held: Option<&'s Route>,
}

impl<'s> Trace<'s> for RoutingTrace<'s> {
    fn decided(&mut self, decision: Decision<'s>) {
        match decision {
            Decision::ExactName(_) => self.host = Some("exact name"),
            Decision::Wildcard(_) => self.host = Some("longest wildcard that covers the name"),
            Decision::Default(_) => self.host = Some("default: no host has the name"),
            Decision::NoHost => self.host = Some("no host has the name, and none is the default"),
            Decision::Passed(route, why) => self.passed.push((route, why)),
            Decision::Held(route) => self.held = Some(route),
            Decision::Chosen(_) => {}
        }
    }
}

fn known(response: &Response, request: &Request, why: String) -> Answer {
    let length = response.body.len();
    let mut headers = show::header_lines(response, length);
    for added in request.response_headers() {
        headers.extend(fields_sent(response.status, added, None).iter().map(show::pair));
    }
    Answer::Known { status: response.status, why, headers, length }
}

fn passed_over(why: PassedOver) -> &'static str {
    match why {
        PassedOver::OtherPath => "another path",
        PassedOver::OtherMethod => "for other methods",
        PassedOver::Internal => "`internal`: not for clients",
    }
}

/// What a route does, in words of the configuration.
fn describe(action: &Action) -> String {
    let shown = |folder: &At<PathBuf>| {
        let real = folder.value.canonicalize();
        real.unwrap_or_else(|_| folder.value.clone()).display().to_string()
    };
    match action {
        Action::Files(files) => format!("files of {}", shown(&files.root)),
        Action::Cgi(cgi) if cgi.files.is_some() => {
            format!("files and scripts of {}", shown(&cgi.root))
        }
        Action::Cgi(cgi) => format!("scripts of {}", shown(&cgi.root)),
        Action::Redirect(redirect) => {
            format!("redirect {} {}", redirect.status.code(), redirect.to.value)
        }
        Action::Respond(respond) => format!("respond {}", respond.status.code()),
        Action::App(route) => match &route.files {
            Some(files) => {
                format!("files of {}, else the application {}", shown(&files.root), route.app.value)
            }
            None => format!("the application {}", route.app.value),
        },
        Action::Pages(folder) => format!("pages of {}", shown(folder)),
        Action::Handler(handler) => format!("the handler {}", handler.name.value),
    }
}
