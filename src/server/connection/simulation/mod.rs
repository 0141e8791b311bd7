//! The connection under a scripted socket and a clock that stands still until it is told to move.
//!
//! [`World`] does what `EventLoop` does between two polls, for connections whose sockets are
//! [`Script`]s; events are marked as an edge-triggered kernel marks them. `random` throws seeded
//! clients at it and checks what must always hold; the other modules each look at one question.
//!
//! `HTTPYSERVER_SIM_RUNS=10000` looks for longer, `HTTPYSERVER_SEED=17` looks at one run again.

mod client;
mod deadlines;
mod encryption;
mod ending;
mod flow;
mod random;
mod reader;
mod rng;
mod stage;

use super::{ClientConnection, Timeout, Verdict};
use crate::conf::{LogFormat, LogTarget};
use crate::event::{Budget, ConnId, Cx, Sleeper, TaskId};
use crate::net::{Incoming, Script, Tls, Transport};
use crate::serve::{Abort, Peer};
use crate::server::access_log::AccessLog;
use crate::server::drive::{DriveContext, FreeList};
use crate::server::log_sink::LogSink;
use crate::server::table::ConnTable;
use crate::site::Site;
use mio::Poll;
use stage::Stage;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// A loop without a kernel.
struct World {
    cx: Cx,
    wall: SystemTime,
    site: Rc<Site>,
    stage: Rc<Stage>,
    log: AccessLog,
    log_file: NamedTempFile,
    free: FreeList,
    table: ConnTable,
    stopping: bool,
    /// What became of the sockets of connections that are gone, and whether they were cut off.
    ended: HashMap<ConnId, Ended>,
    _poll: Poll,
}

struct Ended {
    script: Script,
    cut_off: Option<Timeout>,
}

impl World {
    /// A world with the default time-outs, after `settings` has changed what it wants.
    fn new(settings: impl FnOnce(&mut Site)) -> Self {
        let poll = Poll::new().unwrap();
        let mut cx = Cx::new(poll.registry().try_clone().unwrap());
        let wall = UNIX_EPOCH + Duration::from_secs(1_791_640_536);
        cx.clock.set(cx.now(), wall);
        let stage = Stage::new();
        let mut site = stage::site(&stage);
        settings(&mut site);
        let log_file = NamedTempFile::new().unwrap();
        let sink = LogSink::open(LogTarget::File(log_file.path().into())).unwrap();
        Self {
            cx,
            wall,
            site: Rc::new(site),
            stage,
            log: AccessLog::new(Some(sink), LogFormat::Json, false, Vec::new()),
            log_file,
            free: FreeList::default(),
            table: ConnTable::default(),
            stopping: false,
            ended: HashMap::new(),
            _poll: poll,
        }
    }

    /// Accepts a client that takes everything. Its first event says that it may be written to.
    fn connect(&mut self) -> ConnId {
        let head_due = self.cx.now() + self.site.timeouts.header;
        let connection = self.table.insert(|id| {
            let transport = Transport::Scripted(Script::default());
            ClientConnection::new(id, transport, Peer::Local, 80, false, head_due)
        });
        let id = connection.id();
        self.deliver(id);
        id
    }

    /// Accepts a client that speaks TLS.
    fn connect_by_tls(&mut self, tls: Box<Tls>) -> ConnId {
        let due = self.cx.now() + self.site.timeouts.handshake;
        let connection = self.table.insert(|id| {
            ClientConnection::new(id, Transport::Tls(tls), Peer::Local, 443, false, due)
        });
        let id = connection.id();
        self.deliver(id);
        id
    }

    /// The client's end of the connection, dead or alive.
    fn script(&mut self, id: ConnId) -> &mut Script {
        match self.table.get(id) {
            Some(connection) => script_of(&mut connection.link.transport),
            None => &mut self.ended.get_mut(&id).unwrap().script,
        }
    }

    /// Somebody wakes the request number `stream` of a connection.
    fn wake(&self, id: ConnId, stream: u32) {
        self.cx.wakes().wake(TaskId { conn: id, stream });
    }

    fn is_open(&mut self, id: ConnId) -> bool {
        self.table.get(id).is_some()
    }

    /// Marks what the socket's state is, as epoll does at each event: all of it.
    fn deliver(&mut self, id: ConnId) {
        let Some(connection) = self.table.get(id) else { return };
        let script = script_of(&mut connection.link.transport);
        let (readable, writable) = (!script.incoming.is_empty(), script.room != Some(0));
        let (ended, gone) = (script.has_ended(), script.is_gone());
        let ready = connection.ready_mut();
        if readable {
            ready.set_readable();
        }
        if writable {
            ready.set_writable();
        }
        if ended {
            ready.set_ended(gone);
        }
        enqueue(connection, &mut self.cx);
    }

    /// One turn of the loop, without the poll.
    fn turn(&mut self) {
        while let Some((at, sleeper)) = self.cx.timers.pop_due(self.cx.now()) {
            if let Sleeper::Task(task) = sleeper
                && let Some(connection) = self.table.get(task.conn)
                && connection.timer_due(task, at)
            {
                enqueue(connection, &mut self.cx);
            }
        }
        while let Some(task) = self.cx.wakes().pop() {
            if let Some(connection) = self.table.get(task.conn)
                && connection.wake(task)
            {
                enqueue(connection, &mut self.cx);
            }
        }
        let mut turn = Vec::new();
        self.cx.runq.take(&mut turn);
        for id in &turn {
            self.drive(*id, turn.len());
        }
    }

    /// Turns until nobody has anything left to do now.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            if self.cx.runq.is_empty() && self.cx.wakes().is_empty() {
                return;
            }
        }
        panic!("the loop spins");
    }

    fn drive(&mut self, id: ConnId, company: usize) {
        let Some(connection) = self.table.get(id) else { return };
        let mut turn = DriveContext {
            cx: &mut self.cx,
            site: &self.site,
            log: &mut self.log,
            free: &mut self.free,
            budget: Budget::new(company),
            tls: None,
            https_port: None,
            stopping: self.stopping,
        };
        if connection.drive(&mut turn) == Verdict::Close {
            self.remove(id, None);
        }
    }

    fn remove(&mut self, id: ConnId, cut_off: Option<Timeout>) {
        let Some(mut connection) = self.table.remove(id) else { return };
        let script = std::mem::take(script_of(&mut connection.link.transport));
        self.ended.insert(id, Ended { script, cut_off });
    }

    /// Lets time pass, and nothing else happen.
    fn pass(&mut self, span: Duration) {
        self.wall += span;
        self.cx.clock.set(self.cx.now() + span, self.wall);
    }

    /// Reaps whose time is up.
    fn sweep(&mut self) {
        let (now, min_rate) = (self.cx.now(), self.site.limits.min_rate);
        let overdue = |c: &mut ClientConnection| Some((c.id(), c.overdue(now, min_rate)?));
        let doomed: Vec<_> = self.table.iter_mut().filter_map(overdue).collect();
        for (id, expiry) in doomed {
            self.cut_off(id, Abort::Timeout, "time-out");
            self.remove(id, Some(expiry));
        }
    }

    fn cut_off(&mut self, id: ConnId, why: Abort, reason: &str) {
        let Some(connection) = self.table.get(id) else { return };
        let mut turn = DriveContext {
            cx: &mut self.cx,
            site: &self.site,
            log: &mut self.log,
            free: &mut self.free,
            budget: Budget::new(1),
            tls: None,
            https_port: None,
            stopping: true,
        };
        connection.cut_off(why, reason, &mut turn);
    }

    /// The lines of the access log so far.
    fn log_lines(&mut self) -> Vec<String> {
        self.log.flush();
        let text = std::fs::read_to_string(self.log_file.path()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// The end of the server.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for id in self.table.everybody() {
            self.cut_off(id, Abort::Shutdown, "the server stopped");
        }
    }
}

/// What the directed tests say: something happens, and everything that follows from it now.
impl World {
    fn say(&mut self, id: ConnId, bytes: &[u8]) {
        self.script(id).arrive(bytes);
        self.deliver(id);
        self.settle();
    }

    fn say_end(&mut self, id: ConnId) {
        self.script(id).incoming.push_back(Incoming::End);
        self.deliver(id);
        self.settle();
    }

    fn say_reset(&mut self, id: ConnId) {
        self.script(id).reset();
        self.deliver(id);
        self.settle();
    }

    /// The client takes so much more, or from now on everything.
    fn take(&mut self, id: ConnId, room: Option<usize>) {
        self.script(id).room = room;
        self.deliver(id);
        self.settle();
    }

    /// Time passes, timers come, and the harvester looks.
    fn wait(&mut self, span: Duration) {
        self.pass(span);
        self.settle();
        self.sweep();
    }

    fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// What the client has got since it was last asked.
    fn heard(&mut self, id: ConnId) -> String {
        let sent = std::mem::take(&mut self.script(id).sent);
        String::from_utf8_lossy(&sent).into_owned()
    }

    /// What it was guilty of, if it was reaped.
    fn reaped(&self, id: ConnId) -> Option<Timeout> {
        self.ended.get(&id)?.cut_off
    }
}

fn script_of(transport: &mut Transport) -> &mut Script {
    match transport {
        Transport::Scripted(script) => script,
        Transport::Tls(tls) => tls.script(),
        Transport::Plain(_) => unreachable!("every socket here is a script"),
    }
}

fn enqueue(connection: &mut ClientConnection, cx: &mut Cx) {
    if connection.enqueue() {
        cx.runq.push(connection.id());
    }
}

/// Turns in which everything that can be done is done.
const TURNS_MAX: usize = 100_000;
