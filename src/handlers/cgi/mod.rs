//! CGI/1.1 (RFC 3875): programs of a folder, each started for one request.
//!
//! | file | question |
//! |---|---|
//! | `locate` | which script answers a path? |
//! | `gate` | may it be started now? |
//! | `start` | with which environment, and how? |
//! | `exchange` | what has to happen before it runs, and when is it over? |
//! | `running` | how do body and answer flow, and how long may it take? |
//! | `input` | what does it read? |
//! | `head` | what does the script answer? |
//! | `complaints` | what does it write to its standard error? |
//! | `diagnosis` | why could it not be started? |

mod complaints;
mod diagnosis;
mod exchange;
mod gate;
pub mod head;
mod input;
mod locate;
mod running;
mod start;

pub use locate::RunBy;

use crate::conf;
use crate::event::{ConnId, Cx, PoolId};
use crate::handlers::files::{in_trouble, no_folder};
use crate::handlers::{ANY_METHOD, add_slash};
use crate::http::{BodyLength, HttpError, MethodSet, Status};
use crate::serve::{Foretold, Handler, Note, Outcome, Request};
use crate::sys::fs::{NamedRoot, Root};
use crate::sys::process::Ending;
use exchange::Script;
use gate::Gate;
use input::Input;
use locate::{Located, locate};
use rustix::io::Errno;
use slab::Slab;
use start::Which;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// What a [`CgiHandler`] is made of.
pub struct Setup {
    /// The folder.
    pub root: Rc<NamedRoot>,
    /// What the route says.
    pub cgi: conf::Cgi,
    /// Who runs which scripts.
    pub run_by: Vec<RunBy>,
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
    gate: RefCell<Gate>,
    running: RefCell<Slab<Rc<Run>>>,
    pool: Cell<PoolId>,
    /// Where output is read to, on its way.
    scratch: RefCell<Vec<u8>>,
}

/// A script that runs. Outlives the exchange that started it.
#[derive(Debug)]
struct Run {
    /// How logs call it.
    name: String,
    /// The connection it answers, as long as it does.
    exchange: Cell<Option<ConnId>>,
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
        let limits = &setup.cgi.limits;
        let scripts = Scripts {
            gate: RefCell::new(Gate::new(limits.processes, limits.queue)),
            running: RefCell::default(),
            pool: Cell::new(PoolId(0)),
            scratch: RefCell::default(),
            setup,
        };
        Self { scripts: Rc::new(scripts) }
    }
}

impl CgiHandler {
    fn locate(&self, root: &Root, request: &Request) -> io::Result<Located<'_>> {
        let setup = &self.scripts.setup;
        let (rest, slash) = (request.rest(), request.path().ends_with(b"/"));
        let located = locate(root, &setup.run_by, &setup.index, rest, slash)?;
        // An encoded slash belongs to a name, and no script has such a name.
        let is_name = |end| rest.get(..end).is_some_and(|name| name.contains(&b'%'));
        match located {
            Located::Script { end, .. } if request.has_encoded_slash() && is_name(end) => {
                Ok(Located::Missing)
            }
            located => Ok(located),
        }
    }
}

/// Where scripts look for programs, and where interpreters are looked for.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl Handler for CgiHandler {
    fn start(&self, pool: PoolId, _: &mut Cx) -> io::Result<()> {
        self.scripts.pool.set(pool);
        Ok(())
    }

    /// Whether a script has an answer to a method is the script's to say.
    fn methods(&self) -> MethodSet {
        ANY_METHOD
    }

    fn handle(&self, request: &Request, cx: &mut Cx) -> Result<Outcome, HttpError> {
        let setup = &self.scripts.setup;
        let root = setup.root.current(cx.now()).map_err(no_folder)?;
        let which = match self.locate(&root, request).map_err(in_trouble)? {
            Located::Script { end, by, index } => Which {
                end,
                by: by.map(|by| by.program.clone()),
                index: index.map(str::to_owned),
                root,
            },
            Located::AddSlash => {
                return Ok(Outcome::Respond(add_slash(request, Status::MOVED_PERMANENTLY)));
            }
            Located::Missing => return Err(HttpError::new(Status::NOT_FOUND, "no such script")),
            Located::NoProgram => {
                let path = String::from_utf8_lossy(request.path()).into_owned();
                cx.complain(conf::Level::Warning, format!("{}: {NO_PROGRAM}", path.escape_debug()));
                return Err(HttpError::new(Status::FORBIDDEN, NO_PROGRAM));
            }
            Located::Forbidden(why) => return Err(HttpError::new(Status::FORBIDDEN, why)),
        };
        let input = match request.framing.body {
            _ if request.is_rerouted() => Input::None,
            BodyLength::None => Input::None,
            BodyLength::Length(length) if length > setup.spool_above => Input::Stream(length),
            BodyLength::Length(_) | BodyLength::Chunked => Input::gather(setup.spool_above),
        };
        Ok(Outcome::Start(Box::new(Script::new(self.scripts.clone(), which, input))))
    }

    fn explain(
        &self,
        request: &Request,
        cx: &mut Cx,
        notes: &mut Vec<Note>,
    ) -> Result<Foretold, HttpError> {
        let setup = &self.scripts.setup;
        let root = setup.root.current(cx.now()).map_err(no_folder)?;
        let rest = request.rest();
        let (end, by, index) = match self.locate(&root, request).map_err(in_trouble)? {
            Located::Script { end, by, index } => (end, by, index),
            Located::AddSlash => {
                return Ok(Foretold::Response(add_slash(request, Status::MOVED_PERMANENTLY)));
            }
            Located::Missing => return Err(HttpError::new(Status::NOT_FOUND, "no such script")),
            Located::NoProgram => return Err(HttpError::new(Status::FORBIDDEN, NO_PROGRAM)),
            Located::Forbidden(why) => return Err(HttpError::new(Status::FORBIDDEN, why)),
        };
        let own = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        let script = root.place().join(own + index.unwrap_or_default());
        let by = by.map_or_else(|| "by itself".into(), |by| by.program.display().to_string());
        notes.push(Note::new("script", script.display().to_string(), format!("run {by}")));
        let after = match index {
            Some(_) => String::new(),
            None => {
                let below = rest.len() - end;
                let info = request.info_below(request.path().len() - below);
                String::from_utf8_lossy(&info).into_owned()
            }
        };
        notes.push(Note::new("", format!("PATH_INFO {after:?}"), ""));
        Ok(Foretold::UpTo("the script, which is not started here".into()))
    }

    fn child_ended(&self, tag: u32, ending: Ending, cx: &mut Cx) {
        let run = self.scripts.running.borrow_mut().try_remove(tag as usize);
        let Some(run) = run else { return };
        run.ended.set(Some(ending));
        if let Some(id) = run.exchange.get() {
            cx.wake(id);
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
        self.scripts.gate.borrow_mut().leave(cx);
    }
}

const SIGPIPE: i32 = 13;

/// Of a file among scripts that is none. Whoever has put it there may have meant it to be one.
const NO_PROGRAM: &str = "a file that is not executable, and nobody runs its extension";

/// What a client is told of a script that cannot be started; `why` is for the log.
fn refused(error: &io::Error, why: Option<String>) -> HttpError {
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let reason = format!("the script cannot be started: {error}{why}");
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOSPC) => {
            HttpError::new(Status::SERVICE_UNAVAILABLE, reason).with_header("Retry-After", "1")
        }
        _ => HttpError::new(Status::INTERNAL_SERVER_ERROR, reason),
    }
}

impl Scripts {
    fn env(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.setup.env.iter().map(|(name, value)| (name.into(), value.into()))
    }
}
