//! What the configuration means: which host answers a name, which route a path, with which handler.
//!
//! A [`Site`] is immutable. A reload builds a new one completely and swaps it in; requests in
//! flight finish on the one they began with.

mod build;
mod closed;
mod guard;
mod lookup;
mod registry;
mod scripts;
mod served;

pub use build::build;
pub use guard::{Authorization, Check, Guard};
pub use lookup::{Choice, Decision, PassedOver, Trace, Untraced};
pub use registry::{IntoHandler, Registry};

use crate::conf;
use crate::http::{Headers, MethodSet};
use crate::serve::{ErrorPages, Handler, Service};
use crate::sys::fs::Closed;
use std::collections::HashMap;
use std::rc::Rc;

/// Everything a request can be answered from.
pub struct Site {
    /// `[timeouts]`
    pub timeouts: conf::Timeouts,
    /// `[limits]`
    pub limits: conf::Limits,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// The `Server` header.
    pub server_header: Option<String>,
    /// Pages for requests that never got to a host.
    pub pages: Rc<ErrorPages>,
    /// The hosts, in the order of the file.
    pub hosts: Vec<VirtualHost>,
    /// The Python applications, for whoever starts the server: name, workers and program.
    pub apps: Vec<String>,
    /// What runs beside the requests, to be started and stopped with the site.
    pub services: Vec<Rc<dyn Service>>,
    /// What no route shows, to be asked anew when certificates are renewed without a reload.
    pub closed: Closed,
    exact: HashMap<Box<[u8]>, usize>,
    /// By `.example.org`.
    wildcards: HashMap<Box<[u8]>, usize>,
    default: Option<usize>,
}

/// One virtual host.
pub struct VirtualHost {
    /// Its place among the hosts of its site.
    pub number: u32,
    /// Its first name, for logs and explanations.
    pub name: Rc<str>,
    /// Its own error pages.
    pub pages: Rc<ErrorPages>,
    /// What it does with requests that are not encrypted.
    pub https: conf::Https,
    /// What all of its answers carry: that browsers come back encrypted only.
    pub headers: Option<Rc<Headers>>,
    /// Who may know what is not here; `None`: everybody.
    pub guard: Option<Rc<Guard>>,
    /// Most specific first.
    pub routes: Vec<Route>,
}

/// One route of a host.
pub struct Route {
    /// Its place among the routes of its host.
    pub number: u32,
    /// Ends in `/`: that path and everything below; otherwise exactly that path.
    pub path: Rc<str>,
    /// The methods it is for; `None`: all.
    pub methods: Option<MethodSet>,
    /// Only requests that were sent elsewhere by a program come here.
    pub internal: bool,
    /// Whether it takes paths with an encoded slash.
    pub keeps_slashes: bool,
    /// What it does, in a word, for logs: `files`, `redirect`, `respond`.
    pub kind: &'static str,
    /// Bytes of a request body.
    pub body_limit: u64,
    /// Who may have what it answers; `None`: everybody.
    pub guard: Option<Rc<Guard>>,
    /// What answers.
    pub handler: Rc<dyn Handler>,
}

impl Site {
    /// One host for all names, with these routes: for tests.
    pub(crate) fn of_routes(routes: Vec<(String, Rc<dyn Handler>)>) -> Self {
        let route = |(number, (path, handler)): (usize, (String, Rc<dyn Handler>))| Route {
            number: number as u32,
            path: path.into(),
            methods: None,
            internal: false,
            keeps_slashes: handler.keeps_encoded_slashes(),
            kind: "test",
            body_limit: handler.body_limit().unwrap_or(u64::MAX),
            guard: None,
            handler,
        };
        let routes = routes.into_iter().enumerate().map(route).collect();
        Self {
            timeouts: conf::Timeouts::default(),
            limits: conf::Limits::default(),
            http2: true,
            server_header: None,
            pages: Rc::default(),
            hosts: vec![VirtualHost {
                number: 0,
                name: "*".into(),
                pages: Rc::default(),
                https: conf::Https::Both,
                headers: None,
                guard: None,
                routes,
            }],
            apps: Vec::new(),
            services: Vec::new(),
            exact: HashMap::new(),
            closed: Closed::default(),
            wildcards: HashMap::new(),
            default: Some(0),
        }
    }
}
