//! Python applications (PEP 3333) in processes of their own, and pages, which are run by the same.
//!
//! | file | question |
//! |---|---|
//! | `wire` | what do server and worker say to each other? (pure) |
//! | `worker.py`, `pages.py` | the Python side |
//! | `launch` | which Python is started, and with what? |
//! | `exchange` | what is it as a backend of the gateway? |
//! | `heads` | what may an application say in the head of an answer? |
//! | `job` | what has come of it so far, and was not taken yet? |
//! | `pool` | which worker gets it; which ones are started, replaced, ended? (pure) |
//! | `service` | what happens to sockets and processes for that? |
//!
//! A request goes down this list and its answer up: `exchange` makes a `job`, of which
//! `pool` knows the number alone. `pool::requests` keeps it until `pool::dispatch` gives it to a worker,
//! `service::outgoing` sends it. What comes back, `service::receive` puts into the job's inbox, and the
//! exchange is woken.

mod exchange;
mod heads;
mod job;
mod launch;
mod pool;
mod service;
pub mod wire;

use crate::conf::{App, Python};
use crate::event::{Cx, ServiceId};
use crate::handlers::gateway::GatewayExchange;
use crate::http::{HttpError, Method, MethodSet, Status};
use crate::serve::{Handler, Look, Plan, Readiness, Request, Scale, Service, TraceStep};
use crate::sys::fs::NamedRoot;
use crate::sys::process::Ending;
use exchange::{Place, Workers};
use service::AppService;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// An application: its workers, shared by all routes that lead to it.
pub struct Application {
    service: Rc<AppService>,
    spool_above: u64,
}

impl Application {
    /// An application whose workers are not started yet. Bodies of up to `spool_above` bytes wait
    /// in memory for them.
    ///
    /// # Errors
    /// Its user is not known.
    pub fn new(app: &App, spool_above: u64) -> io::Result<Self> {
        Ok(Self { service: Rc::new(AppService::new(app)?), spool_above })
    }

    fn plan(&self, what: &'static str, place: Place) -> Plan {
        let workers = Workers { service: self.service.clone(), place };
        Plan::exchange(what, GatewayExchange::new(workers, self.spool_above))
    }
}

/// What it is, in a line.
impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

impl Service for Application {
    fn start(&self, id: ServiceId, cx: &mut Cx) -> io::Result<()> {
        self.service.start(id, cx);
        Ok(())
    }

    fn on_event(&self, tag: u16, cx: &mut Cx) {
        self.service.event(tag, cx);
    }

    fn flush_batch(&self, cx: &mut Cx) {
        self.service.flush_batch(cx);
    }

    fn readiness(&self) -> Readiness {
        self.service.readiness()
    }

    fn scale(&self, by: Scale, cx: &mut Cx) {
        self.service.scale(by, cx);
    }

    fn child_ended(&self, tag: u32, ending: Ending, cx: &mut Cx) {
        self.service.child_ended(tag, ending, cx);
    }

    fn stop(&self, cx: &mut Cx) {
        self.service.stop(cx);
    }
}

/// An application at a path of a host.
pub struct Mount {
    /// The application.
    pub app: Rc<Application>,
    /// The first name of the host.
    pub server_name: Option<Rc<str>>,
    /// Files that answer instead, where there are any.
    pub files: Option<Rc<dyn Handler>>,
}

impl Handler for Mount {
    fn methods(&self) -> MethodSet {
        MethodSet::ALL
    }

    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        if let Some(files) = &self.files
            && files.methods().contains(request.head.method())
            && request.head.method() != Method::Options
        {
            match files.plan(request, look) {
                Err(error) if is_no_file(&error) => {}
                planned => return planned,
            }
        }
        if look.is_traced() {
            self.note(request, look);
        }
        let place = Place { server_name: self.server_name.clone(), page: None };
        Ok(self.app.plan("the application, which is not started here", place))
    }
}

impl Mount {
    fn note(&self, request: &Request, look: &mut Look<'_>) {
        let path = request.path();
        let mount = path.get(..request.mount).unwrap_or(path);
        let mount = mount.strip_suffix(b"/").unwrap_or(mount);
        let info = request.info_below(mount.len());
        let quoted = |path: &[u8]| format!("{:?}", String::from_utf8_lossy(path));
        let names = format!("SCRIPT_NAME {}, PATH_INFO {}", quoted(mount), quoted(&info));
        let app = self.app.to_string();
        let app = app.split_whitespace().collect::<Vec<_>>().join(" ");
        look.note(|| TraceStep::new("app", app, names));
    }
}

/// A folder without index page is no file either.
fn is_no_file(error: &HttpError) -> bool {
    [Status::NOT_FOUND, Status::FORBIDDEN].contains(&error.status)
}

/// The pages of a folder: a `.py` file answers for its path, with or without the extension, and
/// `index.py` for its folder. Nothing else of the folder is served.
pub struct Pages {
    /// The workers that run them.
    pub app: Rc<Application>,
    /// The folder.
    pub root: Rc<NamedRoot>,
    /// The first name of the host.
    pub server_name: Option<Rc<str>>,
}

impl Pages {
    /// The page that answers. Each name that is looked for is noted.
    fn find(&self, request: &Request, look: &mut Look<'_>) -> Option<Vec<u8>> {
        let root = self.root.current(look.now()).ok()?;
        // An encoded slash belongs to a name, and no page has such a name.
        let names = Some(page_names(request.rest())).filter(|_| !request.has_encoded_slash());
        names.unwrap_or_default().into_iter().find(|name| {
            let file = root.open_beneath(name);
            let is_there = file.and_then(|file| file.metadata()).is_ok_and(|data| data.is_file());
            let why = if is_there { "found" } else { "not there" };
            look.note(|| TraceStep::new("page", format!("/{}", name.escape_ascii()), why));
            is_there
        })
    }
}

impl Handler for Pages {
    fn methods(&self) -> MethodSet {
        MethodSet::ALL
    }

    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let Some(page) = self.find(request, look) else {
            return Err(HttpError::new(Status::NOT_FOUND, "no such page"));
        };
        let place = Place { server_name: self.server_name.clone(), page: Some(page) };
        Ok(self.app.plan("the page, which is not run here", place))
    }
}

/// The files that may answer for a path below a folder of pages, best first. `path` is decoded and
/// normalised, without its first slash.
pub fn page_names(path: &[u8]) -> Vec<Vec<u8>> {
    let is_private = |part: &[u8]| part.starts_with(b".") || part.starts_with(b"__");
    if path.split(|b| *b == b'/').any(is_private) {
        return Vec::new();
    }
    match path {
        b"" => vec![b"index.py".to_vec()],
        _ if path.ends_with(b"/") => vec![[path, b"index.py"].concat()],
        _ if path.ends_with(b".py") => vec![path.to_vec()],
        _ => vec![[path, b".py"].concat(), [path, b"/index.py"].concat()],
    }
}

/// Where the Python of an application is; `None`: nowhere.
pub fn find_python(python: &Python) -> Option<PathBuf> {
    launch::find(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_pages() {
        for (path, want) in [
            ("", &["index.py"][..]),
            ("sub/", &["sub/index.py"]),
            ("a", &["a.py", "a/index.py"]),
            ("a.py", &["a.py"]),
            ("sub/a.txt", &["sub/a.txt.py", "sub/a.txt/index.py"]),
            ("a.py/", &["a.py/index.py"]),
            (".a", &[]),
            ("sub/.a.py", &[]),
            (".sub/a", &[]),
            ("__init__.py", &[]),
            ("__pycache__/a.cpython-311", &[]),
        ] {
            let names = page_names(path.as_bytes());
            assert_eq!(
                names,
                want.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(),
                "{path}"
            );
        }
    }

    #[test]
    fn damaged_paths_lead_to_pages_or_nowhere() {
        crate::http::mutation::damaged("page", |input, _| {
            let mut path = Vec::new();
            if crate::http::target::normalise(input, &mut path).is_err() {
                return;
            }
            for name in page_names(&path[1..]) {
                assert!(name.ends_with(b".py") && !name.contains(&0));
                let parts = name.split(|b| *b == b'/');
                assert!(parts.into_iter().all(|part| !part.starts_with(b".") && !part.is_empty()));
            }
        });
    }
}
