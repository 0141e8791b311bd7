//! The services of the loop, lent to whatever is being driven.

use super::outside::{Busy, Outside, Stopper};
use super::{
    Buffers, ChildId, Children, Clock, ConnId, Door, Owner, RunQueue, ServiceId, Starts, Target,
    Timers,
};
use crate::conf::{Level, SPOOL_TOTAL};
use crate::sys::process::Process;
use crate::sys::spool_budget::SpoolBudget;
use mio::event::Source;
use mio::{Interest, Registry};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

/// Something for the error log.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How grave it is.
    pub level: Level,
    /// What is said.
    pub text: String,
    /// A request has caused it, so that clients decide how many there are.
    pub of_request: bool,
}

/// Everything a connection, an exchange or a handler may ask of the loop. One a process.
#[derive(Debug)]
pub struct Cx {
    registry: Registry,
    /// The time of this turn.
    pub clock: Clock,
    /// Instants asked for.
    pub timers: Timers,
    /// Who is to be driven.
    pub runq: RunQueue,
    /// Receive buffers to lend.
    pub buffers: Buffers,
    /// Programs that were started.
    pub children: Children,
    /// How many programs load at once.
    pub starts: Starts,
    /// What may wait on the disk.
    pub spool: SpoolBudget,
    /// The server stops: what has no end of its own should come to one.
    pub stopping: bool,
    /// Connections that were woken and are not yet marked.
    wakes: Rc<Wakes>,
    /// What other threads do for the loop, and may ask of it.
    outside: Outside,
    /// Services whose `flush_batch` is to be called, each once.
    called: Vec<ServiceId>,
    /// Without this service the server is worth nothing, and it has failed: why.
    failure: Option<(ServiceId, String)>,
    /// What is to be said on the error log.
    notices: Vec<Notice>,
}

/// Connections to be driven soon. Shared by those who wake others from where there is no [`Cx`].
#[derive(Debug, Default)]
pub struct Wakes(RefCell<Vec<ConnId>>);

impl Wakes {
    /// As [`Cx::wake`].
    pub fn wake(&self, id: ConnId) {
        self.0.borrow_mut().push(id);
    }
}

impl Cx {
    /// Services on top of a poll's registry.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            clock: Clock::new(),
            timers: Timers::default(),
            runq: RunQueue::default(),
            buffers: Buffers::default(),
            children: Children::default(),
            starts: Starts::default(),
            spool: SpoolBudget::new(SPOOL_TOTAL),
            stopping: false,
            wakes: Rc::default(),
            outside: Outside::default(),
            called: Vec::new(),
            failure: None,
            notices: Vec::new(),
        }
    }

    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Lets a connection's door hear of a source: once, for both directions it has, for life.
    ///
    /// # Errors
    /// What `epoll_ctl` says: no memory, too many watches.
    pub fn register(
        &self,
        source: &mut impl Source,
        id: ConnId,
        door: Door,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.register(source, Target::Connection(id, door).token(), interest)
    }

    /// Lets a service hear of a source that lives longer than an exchange.
    ///
    /// # Errors
    /// As `register`.
    pub fn register_pool(
        &self,
        source: &mut impl Source,
        pool: ServiceId,
        slot: u16,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.register(source, Target::Pool(pool, slot).token(), interest)
    }

    /// The registry, for listeners and signals.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes charge of a program: it will be collected when it ends, and its owner told.
    pub fn adopt(&mut self, process: Process, owner: Owner) -> ChildId {
        self.children.adopt(process, owner, &self.registry)
    }

    /// Asks a child to end, with all it has started, and kills them if they have not two seconds
    /// later. Nothing happens to one that has ended.
    pub fn dismiss(&mut self, child: ChildId) {
        self.children.dismiss(child, self.clock.now());
    }

    /// Kills a child with all it has started.
    pub fn kill(&mut self, child: ChildId) {
        self.children.kill(child);
    }

    /// Dismisses a child at `at`, unless it has ended by then; the last call counts.
    pub fn dismiss_at(&mut self, child: ChildId, at: Instant) {
        self.children.dismiss_at(child, at);
    }

    /// Has a connection driven soon: its exchange finds `woken` set. A connection that is gone is
    /// not reached.
    pub fn wake(&self, id: ConnId) {
        self.wakes.wake(id);
    }

    /// The list that `wake` adds to, for whoever wakes without being lent this.
    pub fn wakes(&self) -> &Rc<Wakes> {
        &self.wakes
    }

    /// Takes one who was woken.
    pub fn pop_woken(&self) -> Option<ConnId> {
        self.wakes.0.borrow_mut().pop()
    }

    /// Whether somebody was woken.
    pub fn has_woken(&self) -> bool {
        !self.wakes.0.borrow().is_empty()
    }

    /// Has `work`, which may block, done by a helper thread. `id` is woken when it is done, or has
    /// panicked: `work` brings its result to where the exchange looks for it.
    ///
    /// # Errors
    /// Too much work waits already, or there are no threads to be had.
    pub fn help(&mut self, id: ConnId, work: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        self.outside.help(&self.registry, id, work, self.clock.now())
    }

    /// Wakes those whose work is done: another thread has said that there are some.
    pub fn hear_outside(&self) {
        self.outside.take_finished(|id| self.wakes.wake(id));
    }

    /// Whether helpers have something to do, or have done what was not yet heard of. For clients
    /// that live in the same process.
    pub fn has_work_outside(&self) -> bool {
        self.outside.has_work()
    }

    /// What another thread can stop the loop with.
    ///
    /// # Errors
    /// No descriptor for it.
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        self.outside.stopper(&self.registry)
    }

    /// How often other threads asked for a stop; asking forgets it.
    pub fn take_stops(&self) -> u32 {
        self.outside.take_stops()
    }

    /// Has `Service::flush_batch` called once the connections of this turn were driven: what they
    /// all want of the service is then done together.
    pub fn schedule(&mut self, service: ServiceId) {
        if !self.called.contains(&service) {
            self.called.push(service);
        }
    }

    /// Takes the services that are scheduled.
    pub fn take_called(&mut self) -> Vec<ServiceId> {
        for service in self.starts.take_called() {
            self.schedule(service);
        }
        std::mem::take(&mut self.called)
    }

    /// Whether a service is scheduled.
    pub fn has_called(&self) -> bool {
        !self.called.is_empty() || self.starts.has_called()
    }

    /// Says that a service has failed without which there is no point in going on.
    pub fn give_up(&mut self, service: ServiceId, why: String) {
        self.failure = Some((service, why));
    }

    /// Takes the service that has failed, and why.
    pub fn take_failure(&mut self) -> Option<(ServiceId, String)> {
        self.failure.take()
    }

    /// Has something said on the error log that concerns the server.
    pub fn report(&mut self, level: Level, text: impl Into<String>) {
        self.notices.push(Notice { level, text: text.into(), of_request: false });
    }

    /// Has something said of a request or by a program: of many in a second, some are only counted.
    pub fn complain(&mut self, level: Level, text: impl Into<String>) {
        self.notices.push(Notice { level, text: text.into(), of_request: true });
    }

    /// Takes what is to be said.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        if self.spool.take_reached() {
            let text = format!(
                "`limits.spool_total` is reached: {} bytes of bodies and answers wait on the disk; \
                 what comes beyond them waits in its sender until there is room",
                self.spool.used()
            );
            self.report(Level::Warning, text);
        }
        std::mem::take(&mut self.notices)
    }
}
