//! The turn: wait, mark, drive, and what lies between drives.
//!
//! An event never does work. It sets a bit in the connection its token names and puts it on the run
//! queue; `ClientConnection::drive` does the rest and says whether it lives on.

use super::acceptor::{Acceptor, Bound, Incoming};
use super::access_log::AccessLog;
use super::connection::{ClientConnection, Expiry, Spares, Turn, Verdict};
use super::control::{Control, Order};
use super::error_log::ErrorLog;
use super::harvester::{Harvester, longest_idle};
use super::load::{ConfigSource, Failure, Loaded, cannot_listen, cannot_listen_everywhere};
use super::table::ConnTable;
use super::watch::CertificateWatch;
use crate::conf::{Diagnostic, Level};
use crate::event::{Budget, ConnId, Cx, Door, Owner, PoolId, Sleeper, Stopper, Target};
use crate::net::{Tls, Transport};
use crate::serve::{Abort, Handler, Peer, Readiness, Scale};
use crate::site::Site;
use crate::sys::process::Ending;
use crate::tls::{Plan, Secured};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// Timers obeyed in one turn, so that armed instants in the past cannot starve sockets.
const TIMERS_PER_TURN: usize = 1024;

/// A turn that begins so much later than it should: the process did not run meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// How often events are fetched after a pause: for sixteen thousand connections.
const CATCH_UP_MAX: usize = 16;

/// How long a line of the access log may wait.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Idle connections closed at once when the table is full.
const EVICT: usize = 64;

/// The loop and all it owns. The fields are siblings so that each can be lent apart.
pub struct EventLoop {
    poll: Poll,
    table: ConnTable,
    cx: Cx,
    site: Rc<Site>,
    handlers: HandlerPools,
    acceptor: Acceptor,
    harvester: Harvester,
    control: Control,
    access: AccessLog,
    errors: ErrorLog,
    spares: Spares,
    reloader: ConfigSource,
    /// What `https` listeners speak with, and what it was loaded from.
    tls: Option<(Plan, Rc<Secured>)>,
    watch: CertificateWatch,
    https_port: Option<u16>,
    /// Connections of each address, counted only where they are limited.
    per_client: HashMap<IpAddr, usize>,
    connections_max: usize,
    log_due: Option<Instant>,
    stopping: Option<Stopping>,
    /// A reload whose handlers are not ready yet.
    pending: Option<Pending>,
}

/// How a run ended.
///
/// ```
/// use httpyserver::{App, Server};
///
///
/// use httpyserver::server::Ended;
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

/// A reload that waits for its handlers: everything else about it is done.
struct Pending {
    loaded: Loaded,
    bound: Bound,
    handlers: SiteHandlers,
}

/// A stop in progress.
struct Stopping {
    /// When what is left is cut off; `None`: never.
    deadline: Option<Instant>,
}

/// The handlers that are started, by the number of their pool, with the site they belong to: the
/// present one, and former ones whose last requests have not ended.
#[derive(Default)]
struct HandlerPools {
    present: Option<SiteHandlers>,
    retiring: Vec<SiteHandlers>,
    /// Of a reload that waits for them.
    starting: Vec<(PoolId, Rc<dyn Handler>)>,
    next: u16,
}

type SiteHandlers = (Rc<Site>, Vec<(PoolId, Rc<dyn Handler>)>);

impl EventLoop {
    /// A loop that serves what was loaded.
    ///
    /// # Errors
    /// The poll or the signals cannot be had, a handler cannot start.
    pub fn new(
        poll: Poll,
        loaded: Loaded,
        acceptor: Acceptor,
        reloader: ConfigSource,
    ) -> io::Result<Self> {
        let mut cx = Cx::new(poll.registry().try_clone()?);
        let control = Control::new(poll.registry())?;
        let Loaded { site, access, errors, connections_max, tls, .. } = loaded;
        let (watch, https_port) = (watch(tls.as_ref(), &mut cx), acceptor.https_port());
        cx.clock.set_server(site.server_header.as_deref());
        let mut handlers = HandlerPools::default();
        let started = handlers.start(&site, &mut cx)?;
        handlers.commit(started);
        Ok(Self {
            harvester: Harvester::new(&site.timeouts, cx.now()),
            site,
            poll,
            table: ConnTable::default(),
            cx,
            handlers,
            acceptor,
            control,
            access,
            errors,
            spares: Spares::default(),
            reloader,
            tls,
            watch,
            https_port,
            per_client: HashMap::new(),
            connections_max,
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
    /// The poll itself fails.
    pub fn run(&mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS);
        let mut turn = Vec::with_capacity(EVENTS);
        loop {
            let wait = self.wait();
            let since = self.cx.now();
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.cx.clock.tick();
            let mut ordered = false;
            for event in &events {
                ordered |= self.mark(event);
            }
            if wait.is_some_and(|wait| self.cx.now() > since + wait + PAUSE) {
                ordered |= self.catch_up(&mut events)?;
            }
            self.see_to_children();
            self.expire_timers();
            self.mark_woken();
            self.cx.runq.take(&mut turn);
            let company = turn.len();
            for id in &turn {
                self.drive(*id, company);
            }
            self.turn_handlers();
            self.accept();
            self.harvest();
            if ordered {
                for _ in 0..self.cx.take_stops() {
                    self.obey(Order::Stop);
                }
                for order in self.control.take() {
                    self.obey(order);
                }
            }
            self.renew_certificates();
            self.settle_reload();
            self.see_to_logs();
            if let Some(finished) = self.has_stopped() {
                self.close_down();
                return Ok(if finished { Ended::Finished } else { Ended::Forced });
            }
            if let Some((pool, what)) = self.cx.take_failure()
                && self.handlers.serves(pool)
            {
                self.close_down();
                return Ok(Ended::AppFailed(what));
            }
        }
    }

    /// After a pause of the whole process (it was stopped, or had no processor), the events at hand
    /// are older than the clock. What has come since is marked as well, before anybody's time is
    /// judged: data that lies in a pipe is no silence. Returns as [`mark`](Self::mark) does.
    fn catch_up(&mut self, events: &mut Events) -> io::Result<bool> {
        let mut ordered = false;
        for _ in 0..CATCH_UP_MAX {
            match self.poll.poll(events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &*events {
                ordered |= self.mark(event);
            }
            if events.iter().count() < EVENTS {
                break;
            }
        }
        Ok(ordered)
    }

    /// How long the poll may wait: not at all when somebody has more to do, for ever when nothing
    /// is open and nothing is to be written.
    fn wait(&self) -> Option<Duration> {
        if !self.cx.runq.is_empty() || self.cx.has_woken() || self.cx.has_called() {
            return Some(Duration::ZERO);
        }
        let now = self.cx.now();
        let sweep = (!self.table.is_empty()).then(|| self.harvester.next());
        let stop = self.stopping.as_ref().and_then(|stopping| stopping.deadline);
        let retire = (!self.handlers.retiring.is_empty()).then(|| now + LOG_EVERY);
        let accept = self.acceptor.wakes_at(now);
        let children = self.cx.children.next(now);
        let renew = self.watch.wakes_at();
        [sweep, stop, retire, accept, renew, self.log_due, children, self.cx.timers.next()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(now))
    }

    /// Sets the bits an event is about. Returns whether signals have arrived.
    fn mark(&mut self, event: &mio::event::Event) -> bool {
        match Target::from_token(event.token()) {
            Some(Target::Connection(id, door)) => {
                if let Some(connection) = self.table.get(id) {
                    connection.ready_mut().mark(door, event);
                    enqueue(connection, &mut self.cx);
                }
            }
            Some(Target::Listener(number)) => self.acceptor.mark(number),
            Some(Target::Child(number)) => self.cx.children.collect(number),
            Some(Target::Pool(pool, slot)) => self.handlers.event(pool, slot, &mut self.cx),
            Some(Target::Certificates) => self.watch.mark(self.cx.now()),
            Some(Target::Outside) => {
                self.cx.hear_outside();
                return true;
            }
            Some(Target::Signals) => return true,
            None => {}
        }
        false
    }

    /// Ends children whose time has come, and tells handlers of those that have ended.
    fn see_to_children(&mut self) {
        self.cx.children.see_to(self.cx.now());
        while let Some((owner, ending)) = self.cx.children.pop_ended() {
            self.handlers.child_ended(owner, ending, &mut self.cx);
        }
    }

    fn expire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            let Some((at, sleeper)) = self.cx.timers.pop_due(self.cx.now()) else { break };
            let id = match sleeper {
                Sleeper::Connection(id) => id,
                Sleeper::Pool(pool) => {
                    self.cx.call_pool(pool);
                    continue;
                }
            };
            if let Some(connection) = self.table.get(id)
                && connection.timer_due(at)
            {
                enqueue(connection, &mut self.cx);
            }
        }
    }

    /// What handlers do once a turn, for all connections together.
    fn turn_handlers(&mut self) {
        if self.cx.has_called() {
            for pool in self.cx.take_called() {
                self.handlers.turn(pool, &mut self.cx);
            }
        }
    }

    fn mark_woken(&mut self) {
        while let Some(id) = self.cx.pop_woken() {
            if let Some(connection) = self.table.get(id) {
                connection.ready_mut().set_woken();
                enqueue(connection, &mut self.cx);
            }
        }
    }

    /// Drives one connection. A panic in it ends it, and nobody else.
    fn drive(&mut self, id: ConnId, company: usize) {
        let Some(connection) = self.table.get(id) else { return };
        let mut turn = Turn {
            cx: &mut self.cx,
            site: &self.site,
            log: &mut self.access,
            spares: &mut self.spares,
            tls: self.tls.as_ref().map(|(_, secured)| &**secured),
            https_port: self.https_port,
            budget: Budget::new(company),
            stopping: self.stopping.is_some(),
        };
        let verdict = catch_unwind(AssertUnwindSafe(|| connection.drive(&mut turn)));
        match verdict {
            // Its answer was promised to be followed by others before the stop began.
            Ok(Verdict::Keep) if self.stopping.is_some() && connection.is_done() => {
                self.cut_off(id, Abort::Shutdown, "the server stopped");
            }
            Ok(Verdict::Keep) if connection.register_once() => {
                let fd = connection.transport().raw_fd();
                let both = Interest::READABLE | Interest::WRITABLE;
                if self.cx.register(&mut SourceFd(&fd), id, Door::Client, both).is_err() {
                    // No memory for a watch: it would never be heard of.
                    self.remove(id);
                }
            }
            Ok(Verdict::Keep) => {}
            Ok(Verdict::Close) => self.remove(id),
            Err(_) => {
                self.cx.report(Level::Error, "a panic ended a connection; please report it");
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: ConnId) {
        let Some(connection) = self.table.remove(id) else { return };
        forget_count(&connection, &mut self.per_client);
        self.acceptor.resume();
    }

    fn accept(&mut self) {
        let now = self.cx.now();
        let Some(wakes_at) = self.acceptor.wakes_at(now) else { return };
        if wakes_at > now {
            return;
        }
        let mut room = self.connections_max.saturating_sub(self.table.len());
        if room == 0 {
            if !self.acceptor.somebody_waits() {
                return;
            }
            let count = EVICT.min(self.connections_max / 16).max(1);
            for id in longest_idle(&mut self.table, count) {
                self.cut_off(id, Abort::Shutdown, "making room");
            }
            room = self.connections_max.saturating_sub(self.table.len());
        }
        if room == 0 {
            self.acceptor.pause(now);
            return;
        }
        let tls = self.tls.as_ref().map(|(_, secured)| secured.config.clone());
        let due = (now + self.site.timeouts.header, now + self.site.timeouts.handshake);
        let (table, cx, per_client) = (&mut self.table, &mut self.cx, &mut self.per_client);
        let allowed = self.site.limits.per_client;
        let complaint = self.acceptor.accept(now, room, |incoming| {
            welcome(incoming, tls.as_ref(), due, allowed, table, cx, per_client);
        });
        if let Some(error) = complaint {
            self.cx.report(Level::Error, format!("cannot accept: {error}; trying again"));
        }
    }

    fn harvest(&mut self) {
        let now = self.cx.now();
        let doomed = self.harvester.mark(&mut self.table, now, self.site.limits.min_rate).to_vec();
        for (id, expiry) in doomed {
            let reason = match expiry {
                Expiry::Handshake => "time-out: handshake",
                Expiry::Header => "time-out: header",
                Expiry::Body => "time-out: body",
                Expiry::Write => "time-out: write",
                Expiry::Idle | Expiry::Linger | Expiry::None => "time-out",
            };
            self.cut_off(id, Abort::Timeout, reason);
        }
        self.handlers.retire(&mut self.cx);
    }

    /// Ends a connection from outside.
    fn cut_off(&mut self, id: ConnId, why: Abort, reason: &str) {
        if let Some(connection) = self.table.get(id) {
            let mut turn = Turn {
                cx: &mut self.cx,
                site: &self.site,
                log: &mut self.access,
                spares: &mut self.spares,
                tls: None,
                https_port: None,
                budget: Budget::new(1),
                stopping: true,
            };
            connection.cut_off(why, reason, &mut turn);
        }
        self.remove(id);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Reload => self.reload(),
            Order::Reopen => self.reopen(),
            Order::Report => self.report(),
            Order::More => self.handlers.scale(Scale::More, &mut self.cx),
            Order::Fewer => self.handlers.scale(Scale::Fewer, &mut self.cx),
            Order::Stop if self.stopping.is_some() => {
                self.stopping = Some(Stopping { deadline: Some(self.cx.now()) });
            }
            Order::Stop => self.stop(Some(self.cx.now() + self.site.timeouts.shutdown)),
            // Whoever asked for a stop in time gets it.
            Order::StopPatiently if self.stopping.is_some() => {}
            Order::StopPatiently => self.stop(None),
        }
    }

    /// Accepts nobody any more, closes who is idle, lets the others finish.
    fn stop(&mut self, deadline: Option<Instant>) {
        self.give_reload_up("the server stops");
        self.stopping = Some(Stopping { deadline });
        self.cx.stopping = true;
        self.accept();
        self.acceptor.close();
        let everybody: Vec<_> = self.table.iter_mut().map(|connection| connection.id()).collect();
        for id in everybody {
            // What lies in the socket is still answered: it was sent before anybody could know.
            if let Some(connection) = self.table.get(id) {
                connection.poke();
            }
            self.drive(id, usize::MAX);
            if self.table.get(id).is_some_and(|connection| connection.is_idle()) {
                self.cut_off(id, Abort::Shutdown, "the server stopped");
            }
        }
        let left = self.table.len();
        self.cx.report(Level::Info, format!("stopping; {left} connections still at work"));
    }

    fn has_stopped(&self) -> Option<bool> {
        let stopping = self.stopping.as_ref()?;
        if self.table.is_empty() {
            return Some(true);
        }
        stopping.deadline.is_some_and(|at| self.cx.now() >= at).then_some(false)
    }

    fn close_down(&mut self) {
        let everybody: Vec<_> = self.table.iter_mut().map(|connection| connection.id()).collect();
        for id in everybody {
            self.cut_off(id, Abort::Shutdown, "the server stopped");
        }
        self.handlers.stop_all(&mut self.cx);
        self.cx.children.kill_all();
        self.access.flush();
        self.see_to_logs();
    }

    /// Builds everything new before anything old is touched. A failure changes nothing.
    fn reload(&mut self) {
        self.give_reload_up("another one begins");
        let former = self.tls.as_ref().map(|(_, secured)| &**secured);
        match self.reloader.load(former).and_then(|loaded| self.prepare(loaded)) {
            // Most sites are ready at once.
            Ok(pending) => {
                self.pending = Some(pending);
                self.settle_reload();
            }
            Err(failure) => self.not_reloaded(&failure),
        }
    }

    /// Binds and starts what was loaded, beside what serves now.
    fn prepare(&mut self, loaded: Loaded) -> Result<Pending, Failure> {
        let listen = &loaded.listen;
        let bound = self.acceptor.bind(listen).map_err(|(at, error)| cannot_listen(&at, &error))?;
        let handlers = self.handlers.start(&loaded.site, &mut self.cx)?;
        Ok(Pending { loaded, bound, handlers })
    }

    /// Puts what was prepared in the place of what served before, once it is ready.
    fn settle_reload(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        match readiness(&pending.handlers) {
            Readiness::Starting => self.pending = Some(pending),
            Readiness::Failed(what) => {
                self.handlers.discard(&pending.handlers, &mut self.cx);
                self.not_reloaded(&Failure::Start(what));
            }
            Readiness::Ready => match self.swap(pending) {
                Ok(warnings) => {
                    let text = format!("reloaded\n{warnings}");
                    self.cx.report(Level::Info, text.trim_end());
                }
                Err(failure) => self.not_reloaded(&failure),
            },
        }
    }

    fn give_reload_up(&mut self, why: &str) {
        if let Some(pending) = self.pending.take() {
            self.handlers.discard(&pending.handlers, &mut self.cx);
            self.cx.report(Level::Warning, format!("the reload is given up: {why}"));
        }
    }

    fn not_reloaded(&mut self, failure: &Failure) {
        let text = format!("not reloaded, what served before goes on\n{failure}");
        self.cx.report(Level::Error, text.trim_end());
    }

    /// Returns the warnings.
    fn swap(&mut self, pending: Pending) -> Result<String, Failure> {
        let Pending { loaded, bound, handlers } = pending;
        let Loaded { site, listen, access, errors, connections_max, warnings, tls, .. } = loaded;
        let warnings = cannot_listen_everywhere(&bound) + &warnings;
        if let Err(error) = self.acceptor.adopt(&listen, bound, self.cx.registry()) {
            self.handlers.discard(&handlers, &mut self.cx);
            return Err(error.into());
        }
        self.https_port = self.acceptor.https_port();
        self.handlers.commit(handlers);
        self.access.flush();
        (self.access, self.errors) = (access, errors);
        self.cx.clock.set_server(site.server_header.as_deref());
        self.harvester = Harvester::new(&site.timeouts, self.cx.now());
        self.connections_max = connections_max;
        self.site = site;
        self.watch = watch(tls.as_ref(), &mut self.cx);
        self.tls = tls;
        Ok(warnings)
    }

    /// Takes up renewed certificate files. If they do not load, the old ones stay.
    fn renew_certificates(&mut self) {
        if !self.watch.take_due(self.cx.now()) {
            return;
        }
        let Some((plan, secured)) = &mut self.tls else { return };
        if !plan.has_changed(secured) {
            return;
        }
        let mut found = Vec::new();
        let renewed = plan.load(Some(secured), true, &mut found);
        let with = |text: String, found: &[Diagnostic]| {
            found.iter().fold(text, |text, one| text + "\n" + &one.message)
        };
        match renewed {
            Ok(renewed) => {
                let text = format!("certificate files have changed: {renewed}");
                *secured = Rc::new(renewed);
                // Links may have been turned: the files may lie elsewhere now.
                self.watch = watch(self.tls.as_ref(), &mut self.cx);
                self.cx.report(Level::Info, with(text, &found));
            }
            Err(errors) => {
                let text = "certificate files have changed and do not load; the old ones stay";
                let text = with(text.into(), &errors);
                if self.watch.is_news(&text) {
                    self.cx.report(Level::Error, text);
                }
            }
        }
    }

    fn reopen(&mut self) {
        for result in [self.access.reopen(), self.errors.reopen()] {
            if let Err(error) = result {
                self.cx.report(Level::Error, format!("cannot reopen a log file: {error}"));
            }
        }
    }

    fn report(&mut self) {
        let (open, dropped) = (self.table.len(), self.access.dropped());
        let idle = self.table.iter_mut().filter(|connection| connection.is_idle()).count();
        let text = format!("{open} connections, {idle} of them idle; {dropped} log lines dropped");
        self.cx.report(Level::Info, text);
    }

    /// Says what there is to say, and writes the access log at most a second after its lines were
    /// made; at once when somebody watches.
    fn see_to_logs(&mut self) {
        for (level, text) in self.cx.take_notices() {
            self.errors.say(&self.cx.clock, level, &text);
        }
        if !self.access.has_gathered() {
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

impl HandlerPools {
    /// Starts the handlers of a site, beside those that serve.
    fn start(&mut self, site: &Rc<Site>, cx: &mut Cx) -> io::Result<SiteHandlers> {
        let mut started: Vec<(PoolId, Rc<dyn Handler>)> = Vec::new();
        for handler in &site.handlers {
            let pool = PoolId(self.next);
            self.next = self.next.wrapping_add(1);
            if let Err(error) = handler.start(pool, cx) {
                self.discard(&(site.clone(), started), cx);
                return Err(error);
            }
            self.starting.push((pool, handler.clone()));
            started.push((pool, handler.clone()));
        }
        Ok((site.clone(), started))
    }

    /// Lets the handlers of a site serve; those of the one before retire.
    fn commit(&mut self, started: SiteHandlers) {
        self.starting.clear();
        if let Some(former) = self.present.replace(started) {
            self.retiring.push(former);
        }
    }

    /// Gives up what was started and never served.
    fn discard(&mut self, started: &SiteHandlers, cx: &mut Cx) {
        self.starting.clear();
        started.1.iter().for_each(|(_, handler)| handler.stop(cx));
    }

    /// Whether a handler is one that serves, not one that a reload has started.
    fn serves(&self, pool: PoolId) -> bool {
        self.present.iter().flat_map(|(_, handlers)| handlers).any(|(id, _)| *id == pool)
    }

    fn turn(&self, pool: PoolId, cx: &mut Cx) {
        if let Some(handler) = self.of(pool) {
            handler.turn(cx);
        }
    }

    fn scale(&self, by: Scale, cx: &mut Cx) {
        let handlers = self.present.iter().flat_map(|(_, handlers)| handlers);
        handlers.for_each(|(_, handler)| handler.scale(by, cx));
    }

    /// Stops the handlers of former sites whose last request has ended.
    fn retire(&mut self, cx: &mut Cx) {
        self.retiring.retain(|(site, handlers)| {
            let in_use = Rc::strong_count(site) > 1;
            if !in_use {
                handlers.iter().for_each(|(_, handler)| handler.stop(cx));
            }
            in_use
        });
    }

    fn stop_all(&mut self, cx: &mut Cx) {
        for (_, handlers) in self.retiring.drain(..).chain(self.present.take()) {
            handlers.iter().for_each(|(_, handler)| handler.stop(cx));
        }
    }

    fn event(&self, pool: PoolId, slot: u16, cx: &mut Cx) {
        if let Some(handler) = self.of(pool) {
            handler.pool_event(slot, cx);
        }
    }

    fn child_ended(&self, owner: Owner, ending: Ending, cx: &mut Cx) {
        if let Some(handler) = self.of(owner.pool) {
            handler.child_ended(owner.tag, ending, cx);
        }
    }

    fn of(&self, pool: PoolId) -> Option<Rc<dyn Handler>> {
        let all = self.present.iter().chain(&self.retiring).flat_map(|(_, handlers)| handlers);
        let mut all = all.chain(&self.starting);
        all.find(|(id, _)| *id == pool).map(|(_, handler)| handler.clone())
    }
}

/// How far all of them have come.
fn readiness((_, handlers): &SiteHandlers) -> Readiness {
    let mut all = Readiness::Ready;
    for (_, handler) in handlers {
        match handler.readiness() {
            Readiness::Ready => {}
            Readiness::Starting => all = Readiness::Starting,
            failed @ Readiness::Failed(_) => return failed,
        }
    }
    all
}

/// Puts a connection on the run queue, once.
fn enqueue(connection: &mut ClientConnection, cx: &mut Cx) {
    if connection.enqueue() {
        cx.runq.push(connection.id());
    }
}

/// Watches the files of the certificates. Without it, HUP takes them up.
fn watch(tls: Option<&(Plan, Rc<Secured>)>, cx: &mut Cx) -> CertificateWatch {
    let folders = tls.map(|(plan, _)| plan.watched()).unwrap_or_default();
    CertificateWatch::new(&folders, cx.registry(), cx.now()).unwrap_or_else(|error| {
        cx.report(Level::Warning, format!("certificates are not watched: {error}"));
        CertificateWatch::default()
    })
}

/// Takes a client in. It is driven before the poll hears of it: a connection that ends with its
/// first answer never needs the registration, which the others keep for life.
fn welcome(
    incoming: Incoming,
    tls: Option<&Arc<ServerConfig>>,
    (head_due, handshake_due): (Instant, Instant),
    allowed: Option<usize>,
    table: &mut ConnTable,
    cx: &mut Cx,
    per_client: &mut HashMap<IpAddr, usize>,
) {
    let peer = incoming.accepted.peer.map_or(Peer::Local, |at| Peer::Ip(at.ip(), at.port()));
    let counted = match (allowed, peer) {
        (Some(allowed), Peer::Ip(ip, _)) => {
            let count = per_client.entry(ip).or_default();
            if *count >= allowed {
                return;
            }
            *count += 1;
            true
        }
        _ => false,
    };
    let plain = Transport::Plain(incoming.accepted.socket);
    let (transport, due) = match (incoming.secure, tls) {
        (false, _) => (plain, head_due),
        // Never in the clear where TLS was promised.
        (true, None) => return,
        (true, Some(config)) => match Tls::new(plain, config.clone()) {
            Ok(tls) => (Transport::Tls(Box::new(tls)), handshake_due),
            Err(error) => {
                cx.report(Level::Error, format!("TLS cannot be spoken: {error}"));
                return;
            }
        },
    };
    let connection =
        table.insert(|id| ClientConnection::new(id, transport, peer, incoming.port, counted, due));
    enqueue(connection, cx);
}

fn forget_count(connection: &ClientConnection, per_client: &mut HashMap<IpAddr, usize>) {
    let Peer::Ip(ip, _) = connection.peer() else { return };
    if let Some(count) = per_client.get_mut(&ip).filter(|_| connection.is_counted()) {
        *count -= 1;
        if *count == 0 {
            per_client.remove(&ip);
        }
    }
}
