//! CGI/1.1 (RFC 3875): programs of a folder, each started for one request.
//!
//! | file | question |
//! |---|---|
//! | `among` | what of files that lie among the scripts? |
//! | `locate` | which script answers a path? |
//! | `start` | with which environment, and how? |
//! | `exchange` | what is it as a backend of the gateway? |
//! | `running` | how do body and answer flow, and how long may it take? |
//! | `head` | what does the script answer? |
//! | `diagnosis` | why could it not be started? |

mod among;
mod diagnosis;
mod exchange;
pub mod head;
mod locate;
mod running;
mod start;

pub use among::Among;
pub use locate::RunBy;

use crate::conf;
use crate::event::admission::{Admission, Limits, Order, Place, QueueLimits, TaskQueue};
use crate::event::{Cx, ServiceId, TaskWaker};
use crate::handlers::files::{in_trouble, no_folder};
use crate::handlers::gateway::GatewayExchange;
use crate::handlers::script_names::ScriptNames;
use crate::handlers::{ANY_METHOD, add_slash};
use crate::http::{HttpError, MethodSet, Status};
use crate::serve::{Handler, Look, Plan, Request, Service, TraceStep};
use crate::sys::fs::{NamedRoot, Root};
use crate::sys::process::Ending;
use exchange::Script;
use locate::{Known, Located, locate};
use slab::Slab;
use start::{Start, Which};
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// What a [`CgiHandler`] is made of.
pub struct Setup {
    /// The folder.
    pub root: Rc<NamedRoot>,
    /// What the route says.
    pub cgi: conf::Cgi,
    /// Who runs which scripts.
    pub run_by: Vec<RunBy>,
    /// Which are scripts, where files lie among them; `None`: all that can be started.
    pub names: Option<Rc<ScriptNames>>,
    /// File names tried in a folder: those that are scripts.
    pub index: Vec<String>,
    /// Variables for all of them.
    pub env: Vec<(String, String)>,
    /// Bytes of a body that wait in memory.
    pub spool_above: u64,
    /// The name of the host; `None`: it has none.
    pub server_name: Option<String>,
    /// Routes with files and their folders: where a path of this host lies on the disk. The longest
    /// path first.
    pub places: Vec<(String, PathBuf)>,
}

/// Starts the programs of a folder.
pub struct CgiHandler {
    scripts: Rc<Scripts>,
}

/// What the requests of a route have in common.
struct Scripts {
    setup: Setup,
    queue: Rc<TaskQueue>,
    /// Each has its place until its process has been collected.
    running: RefCell<Slab<(Rc<Run>, Option<Place>)>>,
    /// Under which its processes are known.
    service: Cell<ServiceId>,
    /// Where output is read to, on its way.
    scratch: RefCell<Vec<u8>>,
}

/// A script that runs. Outlives the exchange that started it.
#[derive(Debug)]
struct Run {
    /// How logs call it.
    name: Rc<str>,
    /// Wakes the request that it answers, as long as it does.
    waker: RefCell<Option<TaskWaker>>,
    /// It was told to end.
    dismissed: Cell<bool>,
    ended: Cell<Option<Ending>>,
}

/// Read from a script at once.
const SCRATCH: usize = 64 * 1024;

impl CgiHandler {
    /// A handler that runs nothing yet.
    pub fn new(mut setup: Setup) -> Self {
        if !setup.env.iter().any(|(name, _)| name == "PATH") {
            setup.env.push(("PATH".into(), PATH.into()));
        }
        let conf::CgiLimits { processes, queue, timeout, .. } = setup.cgi.limits;
        let queue = QueueLimits {
            waiting: queue,
            waiting_per_client: usize::MAX,
            longest: Some(timeout),
            order: Order::Arrival,
        };
        let limits = Limits { places: processes, places_per_client: processes, queue };
        let scripts = Scripts {
            queue: Rc::new(TaskQueue::new(Admission::new(limits))),
            running: RefCell::default(),
            service: Cell::new(ServiceId(0)),
            scratch: RefCell::default(),
            setup,
        };
        Self { scripts: Rc::new(scripts) }
    }

    /// What starts its scripts, and hears of their ends.
    pub fn service(&self) -> Rc<dyn Service> {
        self.scripts.clone()
    }

    fn locate(&self, root: &Root, request: &Request) -> Result<Located<'_>, HttpError> {
        let setup = &self.scripts.setup;
        let (rest, slash) = (request.rest(), request.path().ends_with(b"/"));
        let scripts = Known { by: &setup.run_by, names: setup.names.as_deref() };
        let located = locate(root, scripts, &setup.index, rest, slash).map_err(in_trouble)?;
        // An encoded slash belongs to a name, and no script has such a name.
        let is_name = |end| rest.get(..end).is_some_and(|name| name.contains(&b'%'));
        match located {
            Located::Script { end, .. } if request.has_encoded_slash() && is_name(end) => {
                Ok(Located::Missing)
            }
            located => Ok(located),
        }
    }

    /// The script that answers whatever path it is given; `None`: it may not be started.
    fn locate_stand_in(&self, script: &str, now: Instant) -> Result<Option<Which>, HttpError> {
        let setup = &self.scripts.setup;
        let root = setup.root.current(now).map_err(no_folder)?;
        let scripts = Known { by: &setup.run_by, names: setup.names.as_deref() };
        match locate(&*root, scripts, &[], script.as_bytes(), false).map_err(in_trouble)? {
            Located::Script { by, .. } => {
                Ok(Some(Which { stands_in: true, ..Which::found(root, 0, by, Some(script)) }))
            }
            Located::NoProgram => Ok(None),
            _ => Err(HttpError::new(Status::NOT_FOUND, NO_FALLBACK)),
        }
    }

    fn plan_stand_in(
        &self,
        script: &str,
        request: &Request,
        look: &mut Look<'_>,
    ) -> Result<Plan, HttpError> {
        match self.locate_stand_in(script, look.now())? {
            Some(which) => Ok(self.plan_script(which, request, look)),
            None => Err(no_program(request, look)),
        }
    }

    fn plan_script(&self, which: Which, request: &Request, look: &mut Look<'_>) -> Plan {
        if look.is_traced() {
            self.note(&which, request, look);
        }
        let script = Script { scripts: self.scripts.clone(), which };
        let exchange = GatewayExchange::new(script, self.scripts.setup.spool_above);
        Plan::exchange("the script, which is not started here", exchange)
    }

    fn note(&self, which: &Which, request: &Request, look: &mut Look<'_>) {
        let start = Start { scripts: &self.scripts, request, which };
        let by =
            which.by.as_ref().map_or_else(|| "by itself".into(), |by| by.display().to_string());
        let script = start.script().display().to_string();
        look.note(|| TraceStep::new("script", script, format!("run {by}")));
        let info = format!("PATH_INFO {:?}", String::from_utf8_lossy(&start.info()));
        look.note(|| TraceStep::new("", info, ""));
    }
}

/// Where scripts look for programs, and where interpreters are looked for.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl Handler for CgiHandler {
    /// Whether a script has an answer to a method is the script's to say.
    fn methods(&self) -> MethodSet {
        ANY_METHOD
    }

    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let root = self.scripts.setup.root.current(look.now()).map_err(no_folder)?;
        let which = match self.locate(&root, request)? {
            Located::Script { end, by, index } => Which::found(root, end, by, index),
            Located::AddSlash => {
                return Ok(Plan::Respond(add_slash(request, Status::MOVED_PERMANENTLY)));
            }
            Located::Missing => return Err(HttpError::new(Status::NOT_FOUND, "no such script")),
            Located::NoProgram => return Err(no_program(request, look)),
            Located::Forbidden(why) => return Err(HttpError::new(Status::FORBIDDEN, why)),
        };
        Ok(self.plan_script(which, request, look))
    }
}

impl Service for Scripts {
    fn start(&self, id: ServiceId, _: &mut Cx) -> io::Result<()> {
        self.service.set(id);
        Ok(())
    }

    fn child_ended(&self, tag: u32, ending: Ending, cx: &mut Cx) {
        let run = self.running.borrow_mut().try_remove(tag as usize);
        let Some((run, _place)) = run else { return };
        run.ended.set(Some(ending));
        if let Some(waker) = run.waker.take() {
            waker.wake();
        }
        let level = match ending {
            // A script whose reader has gone is ended by SIGPIPE: that is no news.
            Ending::Exited(0) | Ending::Signalled(SIGPIPE) => None,
            Ending::Exited(_) => Some(conf::Level::Info),
            Ending::Signalled(_) => Some(conf::Level::Error),
        };
        if let Some(level) = level.filter(|_| !run.dismissed.get()) {
            cx.complain(level, format!("{}: {ending}", run.name));
        }
    }
}

const SIGPIPE: i32 = 13;

/// Of a file among scripts that is none. Whoever has put it there may have meant it to be one.
const NO_PROGRAM: &str = "a file that is not executable, and nobody runs its extension";

/// Of a `fallback` that is none.
const NO_FALLBACK: &str = "no such file, and no script at `fallback`";

fn no_program(request: &Request, look: &mut Look<'_>) -> HttpError {
    let path = String::from_utf8_lossy(request.path()).into_owned();
    look.log(conf::Level::Warning, format!("{}: {NO_PROGRAM}", path.escape_debug()));
    HttpError::new(Status::FORBIDDEN, NO_PROGRAM)
}

impl Scripts {
    fn env(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.setup.env.iter().map(|(name, value)| (name.into(), value.into()))
    }
}
