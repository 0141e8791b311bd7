//! The turn: wait, mark, drive, and what lies between drives.
//!
//! An event never does work. It sets a bit in the connection its token names and puts it on the run
//! queue; `ClientConnection::drive` does the rest and says whether it lives on.

mod clients;
mod crowd;
mod guarded;
mod orders;
mod services;
#[cfg(test)]
mod simulation;
mod stalls;
mod stopping;
#[cfg(test)]
mod tests;

use super::acceptor::Acceptor;
use super::access_log::AccessLog;
use super::connection::{ClientConnection, Verdict};
use super::control::Order;
use super::drive::{DriveContext, FreeList};
use super::error_log::ErrorLog;
use super::harvester::Harvester;
use super::kernel::{EVENTS, Kernel};
use super::load::{ConfigSource, Loaded};
use super::table::ConnTable;
use super::watch::CertificateWatch;
use crate::conf::Level;
use crate::event::{Budget, ConnId, Cx, Event, Owner, Sleeper, Stopper, Target};
use crate::serve::Abort;
use crate::site::Site;
use crate::tls::{Plan, Secured};
use crowd::Crowd;
use guarded::{Panicked, guarded};
use orders::Pending;
use services::ServiceTable;
use stalls::{Part, Stalls};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stopping::Stopping;

/// Timers obeyed in one turn, so that armed instants in the past cannot starve sockets.
const TIMERS_PER_TURN: usize = 1024;

/// A turn that begins so much later than it should: the process did not run meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// How often events are fetched after a pause: for sixteen thousand connections.
const CATCH_UP_MAX: usize = 16;

/// How long a line of the access log may wait.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The loop and all it owns. The fields are siblings so that each can be lent apart.
pub struct EventLoop {
    kernel: Kernel,
    /// What has happened since the last turn.
    happened: Vec<Event>,
    /// Connections that are driven in this turn.
    due: Vec<ConnId>,
    table: ConnTable,
    cx: Cx,
    site: Rc<Site>,
    services: ServiceTable,
    acceptor: Acceptor,
    harvester: Harvester,
    access: AccessLog,
    errors: ErrorLog,
    free: FreeList,
    reloader: ConfigSource,
    /// What `https` listeners speak with, and what it was loaded from.
    tls: Option<(Plan, Rc<Secured>)>,
    watch: CertificateWatch,
    https_port: Option<u16>,
    /// Connections of each address, counted only where they are limited.
    per_client: HashMap<IpAddr, usize>,
    connections_max: usize,
    crowd: Crowd,
    stalls: Stalls,
    log_due: Option<Instant>,
    stopping: Option<Stopping>,
    /// A reload whose services are not ready yet.
    pending: Option<Pending>,
}

/// How a run ended.
///
/// ```
/// use httpyserver::server::Ended;
/// use httpyserver::{App, Server};
///
/// let mut server = Server::bind("127.0.0.1:0").app(App::new()).quiet().start()?;
/// server.stopper()?.stop();
/// match server.run()? {
///     Ended::Finished => println!("everybody was served"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), httpyserver::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything in flight was finished.
    Finished,
    /// Something was cut off.
    Forced,
    /// An application without which the server is worth nothing did not start.
    AppFailed(String),
}

impl EventLoop {
    /// A loop that serves what was loaded.
    ///
    /// # Errors
    /// The poll or the signals cannot be had, a handler cannot start.
    pub fn new(
        mut kernel: Kernel,
        loaded: Loaded,
        acceptor: Acceptor,
        reloader: ConfigSource,
    ) -> io::Result<Self> {
        let mut cx = Cx::new(kernel.registry().try_clone()?);
        kernel.tick(&mut cx.clock);
        kernel.take_signals()?;
        let Loaded { site, access, errors, connections_max, tls, .. } = loaded;
        let (watch, https_port) = (orders::watch(tls.as_ref(), cx.now()), acceptor.https_port());
        cx.clock.set_server(site.server_header.as_deref());
        cx.spool.set_limit(site.limits.spool_total);
        let mut services = ServiceTable::default();
        let started = services.start(&site, &mut cx)?;
        services.commit(started);
        Ok(Self {
            harvester: Harvester::new(&site.timeouts, cx.now()),
            stalls: Stalls::new(cx.now()),
            site,
            kernel,
            happened: Vec::with_capacity(EVENTS),
            due: Vec::with_capacity(EVENTS),
            table: ConnTable::default(),
            cx,
            services,
            acceptor,
            access,
            errors,
            free: FreeList::default(),
            reloader,
            tls,
            watch,
            https_port,
            per_client: HashMap::new(),
            connections_max,
            crowd: Crowd::default(),
            log_due: None,
            stopping: None,
            pending: None,
        })
    }

    /// See `Running::stopper`.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        self.cx.stopper()
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// The kernel tells of no events.
    pub fn run(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.turn()? {
                return Ok(ended);
            }
        }
    }

    /// Waits, does what is to be done now, and says whether that was all.
    fn turn(&mut self) -> io::Result<Option<Ended>> {
        let is_ordered = self.hear()?;
        self.see_to_children();
        self.expire_timers();
        self.mark_woken();
        self.end_small(Part::Events);
        self.drive_all();
        self.flush_batches();
        self.accept();
        self.end_small(Part::Accept);
        self.harvest();
        self.end_small(Part::TimeOuts);
        if is_ordered {
            for _ in 0..self.cx.take_stops() {
                self.obey(Order::Stop);
            }
            for order in self.kernel.take_orders() {
                self.obey(order);
            }
            self.end_step(Part::Orders);
        }
        self.renew_certificates();
        self.settle_reload();
        self.see_to_logs();
        self.end_step(Part::Rest);
        Ok(self.end())
    }

    /// Waits for events and marks what they are about. Returns whether something was ordered.
    fn hear(&mut self) -> io::Result<bool> {
        let mut happened = std::mem::take(&mut self.happened);
        let (wait, since) = (self.wait(), self.cx.now());
        self.kernel.wait(wait, &mut happened)?;
        self.kernel.tick(&mut self.cx.clock);
        self.stalls.begin(self.cx.now(), self.errors.says(Level::Debug));
        let mut is_ordered = self.mark_all(&happened);
        if wait.is_some_and(|wait| self.cx.now() > since + wait + PAUSE) {
            // The process was stopped, or had no processor: the events at hand are older than the
            // clock. What has come since is marked as well, before anybody's time is judged: data
            // that lies in a pipe is no silence.
            for _ in 0..CATCH_UP_MAX {
                self.kernel.wait(Some(Duration::ZERO), &mut happened)?;
                is_ordered |= self.mark_all(&happened);
                if happened.len() < EVENTS {
                    break;
                }
            }
        }
        self.happened = happened;
        Ok(is_ordered)
    }

    /// Whether the run has ended, and how.
    fn end(&mut self) -> Option<Ended> {
        let ended = if let Some(finished) = self.has_stopped() {
            if finished { Ended::Finished } else { Ended::Forced }
        } else {
            let (service, what) = self.cx.take_failure()?;
            self.services.serves(service).then_some(Ended::AppFailed(what))?
        };
        self.close_down();
        Some(ended)
    }

    /// How long the poll may wait: not at all when somebody has more to do, for ever when nothing
    /// is open, nothing is to be written and no certificate is to be looked at.
    fn wait(&self) -> Option<Duration> {
        if !self.cx.runq.is_empty() || !self.cx.wakes().is_empty() || self.cx.has_called() {
            return Some(Duration::ZERO);
        }
        let now = self.cx.now();
        let sweep = (!self.table.is_empty()).then(|| self.harvester.next());
        let stop = self.stopping.as_ref().and_then(Stopping::next);
        let retire = self.services.has_retiring().then(|| now + LOG_EVERY);
        let accept = self.acceptor.wakes_at(now);
        let children = self.cx.children.next(now);
        let (renew, errors) = (self.watch.wakes_at(), self.errors.wakes_at());
        [sweep, stop, retire, accept, renew, errors, self.log_due, children, self.cx.timers.next()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(now))
    }

    /// Sets the bits that events are about. Returns whether something was ordered.
    fn mark_all(&mut self, happened: &[Event]) -> bool {
        let mut is_ordered = false;
        for event in happened {
            is_ordered |= self.mark(*event);
        }
        is_ordered
    }

    fn mark(&mut self, Event { target, readiness }: Event) -> bool {
        match target {
            Target::Connection(id) => {
                if let Some(connection) = self.table.get(id) {
                    connection.ready_mut().add(readiness);
                    enqueue(connection, &mut self.cx);
                }
            }
            Target::Source(id) => {
                if let Some(owner) = self.cx.sources().mark(id, readiness) {
                    self.tell(owner);
                }
            }
            Target::Listener(number) => self.acceptor.mark(number),
            Target::Outside => {
                self.cx.hear_outside();
                return true;
            }
            Target::Signals => return true,
        }
        false
    }

    /// Something has happened to a source of `owner`.
    fn tell(&mut self, owner: Owner) {
        match owner {
            Owner::Task(task) => {
                if let Some(connection) = self.table.get(task.conn) {
                    connection.touch(task);
                    enqueue(connection, &mut self.cx);
                }
            }
            Owner::Service(service, tag) => self.services.event(service, tag, &mut self.cx),
            Owner::Child(number) => self.cx.children.collect(number),
            Owner::Certificates => self.watch.mark(self.cx.now()),
        }
    }

    /// Ends children whose time has come, and tells services of those that have ended.
    fn see_to_children(&mut self) {
        self.cx.children.see_to(self.cx.now());
        while let Some((parent, ending)) = self.cx.children.pop_ended() {
            self.services.child_ended(parent, ending, &mut self.cx);
        }
    }

    fn expire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            let Some((at, sleeper)) = self.cx.timers.pop_due(self.cx.now()) else { break };
            let task = match sleeper {
                Sleeper::Task(task) => task,
                Sleeper::Service(service) => {
                    self.cx.schedule(service);
                    continue;
                }
            };
            if let Some(connection) = self.table.get(task.conn)
                && connection.timer_due(task, at)
            {
                enqueue(connection, &mut self.cx);
            }
        }
    }

    /// What services do once a turn, for all connections together.
    fn flush_batches(&mut self) {
        if self.cx.has_called() {
            for service in self.cx.take_called() {
                self.services.flush_batch(service, &mut self.cx);
            }
            self.end_step(Part::Handlers);
        }
    }

    /// A step has ended: see [`Stalls`].
    fn end_step(&mut self, part: Part) {
        if let Some(text) = self.stalls.end(part, self.kernel.now()) {
            self.cx.report(Level::Debug, text);
        }
    }

    /// As `end_step`, where every step is measured.
    fn end_small(&mut self, part: Part) {
        if let Some(text) = self.stalls.end_small(part, &self.kernel) {
            self.cx.report(Level::Debug, text);
        }
    }

    fn mark_woken(&mut self) {
        while let Some(task) = self.cx.wakes().pop() {
            if let Some(connection) = self.table.get(task.conn)
                && connection.wake(task)
            {
                enqueue(connection, &mut self.cx);
            }
        }
    }

    /// Drives those whose turn it is.
    fn drive_all(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.cx.runq.take(&mut due);
        for id in &due {
            self.drive(*id, due.len());
            if let Some(text) = self.stalls.end_small(Part::Connections, &self.kernel) {
                let peer = self.table.get(*id).map(|connection| connection.peer());
                let of = peer.map(|peer| format!(" of {peer}")).unwrap_or_default();
                self.cx.report(Level::Debug, text + &of);
            }
        }
        self.due = due;
        self.end_step(Part::Connections);
    }

    /// Drives one connection. A panic in it ends its transaction; the other connections go on.
    fn drive(&mut self, id: ConnId, company: usize) {
        let mut verdict = self.call(id, company, ClientConnection::drive);
        if let Some(Err(panicked)) = &verdict {
            let text = format!("a panic while a request was answered: {}", panicked.text);
            self.cx.report(Level::Error, text);
            verdict = self.call(id, company, ClientConnection::recover);
        }
        let Some(connection) = self.table.get(id) else { return };
        match verdict {
            // Its answer was promised to be followed by others before the stop began.
            Some(Ok(Verdict::Keep)) if self.stopping.is_some() && connection.is_done() => {
                self.cut_off(id, Abort::Shutdown, "the server stopped");
            }
            Some(Ok(Verdict::Keep)) if connection.register_once() => {
                if self.kernel.watch_client(connection.transport(), id).is_err() {
                    // No memory for a watch: no event would ever come.
                    self.remove(id);
                }
            }
            Some(Ok(Verdict::Keep)) => {}
            Some(Ok(Verdict::Close) | Err(_)) | None => self.remove(id),
        }
    }

    /// Calls into one connection with all that it may use; `None`: there is no such connection.
    fn call<T>(
        &mut self,
        id: ConnId,
        company: usize,
        call: impl FnOnce(&mut ClientConnection, &mut DriveContext<'_>) -> T,
    ) -> Option<Result<T, Panicked>> {
        let connection = self.table.get(id)?;
        let mut cx = DriveContext {
            cx: &mut self.cx,
            site: &self.site,
            log: &mut self.access,
            free: &mut self.free,
            tls: self.tls.as_ref().map(|(_, secured)| &**secured),
            https_port: self.https_port,
            budget: Budget::new(company),
            stopping: self.stopping.is_some(),
        };
        Some(guarded(|| call(connection, &mut cx)))
    }

    /// Says what there is to say, and writes the access log at most a second after its lines were
    /// made; at once when somebody watches.
    fn see_to_logs(&mut self) {
        for notice in self.cx.take_notices() {
            self.errors.say(&self.cx.clock, &notice);
        }
        self.errors.catch_up(&self.cx.clock);
        self.errors.flush();
        if !self.access.has_gathered() {
            // A reload has written them, or whoever opened the file again.
            self.log_due = None;
            return;
        }
        let now = self.cx.now();
        let due = *self.log_due.get_or_insert(now + LOG_EVERY);
        if now >= due || self.access.is_watched() {
            self.access.flush();
            self.log_due = None;
        }
    }
}

/// Puts a connection on the run queue, once.
fn enqueue(connection: &mut ClientConnection, cx: &mut Cx) {
    if connection.enqueue() {
        cx.runq.push(connection.id());
    }
}
