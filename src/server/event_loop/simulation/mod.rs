//! The real loop over a scripted kernel, in a time that passes when it is told to.
//!
//! [`World`] holds an [`EventLoop`] and its [`Scripted`] kernel; what it does is turns of the loop.
//! Sockets are [`Script`]s; events are told as an edge-triggered kernel tells them. `random` throws
//! seeded clients at the loop, and orders and reloads among them, and checks what must always hold;
//! the other modules each look at one question.
//!
//! `HTTPYSERVER_SIM_RUNS=10000` looks for longer, `HTTPYSERVER_SEED=17` looks at one run again.

mod client;
mod coming;
mod deadlines;
mod encryption;
mod ending;
mod flow;
mod orders;
mod panics;
mod random;
mod reader;
mod rng;
mod stage;
mod stopping;

use super::{Ended, EventLoop};
use crate::conf::{At, Level, Listen, LogFormat, LogTarget, Place};
use crate::event::{ConnId, TaskId};
use crate::net::{Incoming, Script, SharedScript, Tls, Transport};
use crate::server::acceptor::Acceptor;
use crate::server::access_log::AccessLog;
use crate::server::connection::{ClientConnection, Timeout};
use crate::server::control::Order;
use crate::server::error_log::ErrorLog;
use crate::server::kernel::Kernel;
use crate::server::kernel::script::Scripted;
use crate::server::load::{ConfigSource, Failure, Loaded, Origin, Overrides, ScriptedOrigin};
use crate::server::log_sink::LogSink;
use crate::site::Site;
use stage::{ON_PURPOSE, Stage};
use std::cell::{RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tempfile::NamedTempFile;

/// The port that clients come to.
const PORT: u16 = 80;

/// The loop, its kernel, and what can be seen from outside.
struct World {
    event_loop: EventLoop,
    kernel: Scripted,
    stage: Rc<Stage>,
    access: NamedTempFile,
    errors: NamedTempFile,
    clients: Vec<SharedScript>,
    /// Which timeout has ended a connection.
    reaped: HashMap<ConnId, Timeout>,
    /// What the next reloads load.
    loads: Rc<RefCell<VecDeque<Load>>>,
    ended: Option<Ended>,
}

/// What a reload does: makes a site, and says the port it is for.
type Load = Box<dyn FnOnce() -> Result<(Site, u16), Failure>>;

/// A client of the world: its end of the connection is there before and after the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClientId(usize);

impl World {
    /// A world with the default time-outs, after `settings` has changed what it wants.
    fn new(settings: impl FnOnce(&mut Site)) -> Self {
        Self::with_room(1000, settings)
    }

    /// One with room for so many connections.
    fn with_room(connections_max: usize, settings: impl FnOnce(&mut Site)) -> Self {
        let stage = Stage::new();
        let mut site = stage::site(&stage);
        settings(&mut site);
        let [access, errors] = [(); 2].map(|()| NamedTempFile::new().unwrap());
        let load = {
            let paths = [&access, &errors].map(|file| file.path().to_owned());
            move |(site, port)| {
                let [access, errors] = paths.clone().map(|path| sink(LogTarget::File(path)));
                let access = AccessLog::new(Some(access), LogFormat::Json, false, Vec::new());
                let errors = ErrorLog::new(errors, Level::Info);
                let listen = Listen::plain(Place::Any { port });
                Loaded::of_site(site, vec![At::implied(listen)], access, errors, connections_max)
            }
        };
        let (kernel, loads) = (Scripted::new(), Rc::<RefCell<VecDeque<Load>>>::default());
        let (mut acceptor, seen) = (Acceptor::new(), Kernel::Scripted(kernel.clone()));
        let loaded = load((site, PORT));
        let bound = acceptor.bind(&loaded.listen, &seen).unwrap();
        acceptor.adopt(&loaded.listen, bound, &seen).unwrap();
        let prepared = loads.clone();
        let reload = move || {
            let make = prepared.borrow_mut().pop_front().expect("a reload that is prepared");
            make().map(&load)
        };
        let source = ConfigSource {
            origin: Origin::Scripted(ScriptedOrigin(Rc::new(reload))),
            overrides: Overrides::default(),
            registry: Default::default(),
        };
        Self {
            event_loop: EventLoop::new(seen, loaded, acceptor, source).unwrap(),
            kernel,
            stage,
            access,
            errors,
            clients: Vec::new(),
            reaped: HashMap::new(),
            loads,
            ended: None,
        }
    }

    /// A client comes that takes everything, and is accepted.
    fn connect(&mut self) -> ClientId {
        let client = self.come([10, 0, 0, 1]);
        self.settle();
        client
    }

    /// A client comes from that address, and waits to be accepted.
    fn come(&mut self, from: [u8; 4]) -> ClientId {
        let script = SharedScript::default();
        self.come_by(from, script.clone(), Transport::Scripted(script))
    }

    /// A client comes that speaks TLS.
    fn come_by_tls(&mut self, tls: Box<Tls>) -> ClientId {
        self.come_by([10, 0, 0, 1], tls.script().clone(), Transport::Tls(tls))
    }

    fn come_by(&mut self, from: [u8; 4], script: SharedScript, transport: Transport) -> ClientId {
        let number = self.clients.len();
        let peer = SocketAddr::from((Ipv4Addr::from(from), 1024 + number as u16));
        self.clients.push(script);
        self.kernel.connect(PORT, peer, transport);
        ClientId(number)
    }

    /// The client's end of the connection.
    fn script(&self, client: ClientId) -> RefMut<'_, Script> {
        self.clients[client.0].get()
    }

    /// The name of a client's connection, once that is watched.
    fn id(&self, client: ClientId) -> Option<ConnId> {
        self.kernel.id_of(&self.clients[client.0])
    }

    /// The server's end of the connection.
    fn connection(&mut self, client: ClientId) -> Option<&mut ClientConnection> {
        let id = self.id(client)?;
        self.event_loop.table.get(id)
    }

    /// Whether the server's end of the connection is open, or not yet accepted.
    fn is_open(&self, client: ClientId) -> bool {
        self.clients[client.0].holders() > self.holders(client)
    }

    /// How many hold a client's script beside its connection.
    fn holders(&self, client: ClientId) -> usize {
        1 + usize::from(self.id(client).is_some())
    }

    /// Has the kernel tell what a client's socket is ready for.
    fn deliver(&self, client: ClientId) {
        self.kernel.edge(&self.clients[client.0]);
    }

    /// Somebody wakes the request number `stream` of a connection.
    fn wake(&self, client: ClientId, stream: u32) {
        if let Some(conn) = self.id(client) {
            self.event_loop.cx.wakes().wake(TaskId { conn, stream });
        }
    }

    /// Something is ordered, and everything follows from it that follows now.
    fn order(&mut self, order: Order) {
        self.kernel.order(order);
        self.settle();
    }

    /// A reload, which loads what `make` makes.
    fn reload(&mut self, make: impl FnOnce() -> Result<(Site, u16), Failure> + 'static) {
        self.prepare(make);
        self.order(Order::Reload);
    }

    /// What the next reload loads.
    fn prepare(&self, make: impl FnOnce() -> Result<(Site, u16), Failure> + 'static) {
        self.loads.borrow_mut().push_back(Box::new(make));
    }

    /// One turn of the loop; none after its end.
    fn turn(&mut self) {
        if self.ended.is_none() {
            self.ended = self.event_loop.turn().unwrap();
            self.reaped.extend(self.event_loop.harvester.marked().iter().copied());
        }
    }

    /// Turns until nobody has anything left to do now.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            let is_due = self.kernel.has_events() || self.next_wait() == Some(Duration::ZERO);
            if self.ended.is_some() || !is_due {
                return;
            }
        }
        panic!("the loop spins");
    }

    /// How long the loop would wait now, if nothing happened.
    fn next_wait(&self) -> Option<Duration> {
        let behind = self.kernel.now() - self.event_loop.cx.now();
        self.event_loop.wait().map(|wait| wait.saturating_sub(behind))
    }

    /// Time passes, and the loop is not told before its next turn.
    fn pass(&self, span: Duration) {
        self.kernel.pass(span);
    }

    /// Time passes, and the loop does what is due meanwhile.
    fn wait(&mut self, span: Duration) {
        let end = self.kernel.now() + span;
        loop {
            let left = end - self.kernel.now();
            let next = self.next_wait().filter(|wait| *wait < left && self.ended.is_none());
            self.pass(next.unwrap_or(left));
            self.settle();
            if next.is_none() {
                return;
            }
        }
    }

    fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// Which timeout has ended its connection, if one has.
    fn reaped(&self, client: ClientId) -> Option<Timeout> {
        self.reaped.get(&self.id(client)?).copied()
    }

    /// The lines of the access log so far.
    fn log_lines(&mut self) -> Vec<String> {
        self.event_loop.access.flush();
        let text = std::fs::read_to_string(self.access.path()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The error log so far.
    fn errors(&self) -> String {
        std::fs::read_to_string(self.errors.path()).unwrap()
    }
}

/// The end of the server.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if self.ended.is_none() {
            self.event_loop.close_down();
        }
        // Those of the stage's own checks among them.
        let errors = self.errors();
        let is_mistake = |line: &&str| line.contains(" a panic ") && !line.contains(ON_PURPOSE);
        assert_eq!(errors.lines().find(is_mistake), None, "{errors}");
    }
}

/// What the directed tests say: something happens, and everything that follows from it now.
impl World {
    fn say(&mut self, client: ClientId, bytes: &[u8]) {
        self.script(client).arrive(bytes);
        self.deliver(client);
        self.settle();
    }

    fn say_end(&mut self, client: ClientId) {
        self.script(client).incoming.push_back(Incoming::End);
        self.deliver(client);
        self.settle();
    }

    fn say_reset(&mut self, client: ClientId) {
        self.script(client).reset();
        self.deliver(client);
        self.settle();
    }

    /// The client takes so much more, or from now on everything.
    fn take(&mut self, client: ClientId, room: Option<usize>) {
        self.script(client).room = room;
        self.deliver(client);
        self.settle();
    }

    /// What the client has got since it was last asked.
    fn heard(&self, client: ClientId) -> String {
        let sent = std::mem::take(&mut self.script(client).sent);
        String::from_utf8_lossy(&sent).into_owned()
    }

    /// Those who wait for somebody are told.
    fn grant(&self) {
        for waker in self.stage.waiting.take() {
            self.stage.granted.borrow_mut().insert(waker.task());
            waker.wake();
        }
    }
}

fn sink(target: LogTarget) -> LogSink {
    LogSink::open(target).unwrap()
}

/// Turns in which everything that can be done is done.
const TURNS_MAX: usize = 100_000;
