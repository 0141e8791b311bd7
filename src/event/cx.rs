//! The services of the loop, lent to whatever is being driven.

use super::outside::{Busy, Outside, Stopper};
use super::{
    Buffers, ChildId, Children, Clock, Owner, Parent, RunQueue, ServiceId, Source, Sources, Starts,
    TaskId, TaskWaker, Timers, Wakes,
};
use crate::conf::{Level, SPOOL_TOTAL};
use crate::sys::process::Process;
use crate::sys::spool_budget::SpoolBudget;
use mio::{Interest, Registry};
use std::io;
use std::os::fd::AsFd;
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
    sources: Sources,
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
    /// Tasks that were woken and are not yet told.
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

impl Cx {
    /// Services on top of a poll's registry.
    pub fn new(registry: Registry) -> Self {
        Self {
            sources: Sources::new(registry),
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

    /// Has the poll tell `owner` of a descriptor: see [`Sources::add`].
    ///
    /// # Errors
    /// What `epoll_ctl` says: no memory, too many watches.
    pub fn source<F: AsFd>(
        &self,
        io: F,
        owner: Owner,
        interest: Interest,
    ) -> io::Result<Source<F>> {
        self.sources.add(io, owner, interest)
    }

    /// What the poll knows.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The registry, for listeners, signals and sockets of clients.
    pub fn registry(&self) -> &Registry {
        self.sources.registry()
    }

    /// Takes charge of a program: it will be collected when it ends, and its parent told.
    pub fn adopt(&mut self, process: Process, parent: Parent) -> ChildId {
        self.children.adopt(process, parent, &self.sources)
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

    /// A promise to wake a task.
    pub fn waker(&self, task: TaskId) -> TaskWaker {
        TaskWaker::new(task, &self.wakes)
    }

    /// Tasks that were woken and not yet told.
    pub fn wakes(&self) -> &Rc<Wakes> {
        &self.wakes
    }

    /// Has `work`, which may block, done by a helper thread. `task` is woken when it is done, or has
    /// panicked: `work` brings its result to where the exchange looks for it.
    ///
    /// # Errors
    /// Too much work waits already, or there are no threads to be had.
    pub fn help(&mut self, task: TaskId, work: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        self.outside.help(self.sources.registry(), task, work, self.clock.now())
    }

    /// Wakes those whose work is done: another thread has said that there are some.
    pub fn hear_outside(&self) {
        self.outside.take_finished(|task| self.wakes.wake(task));
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
        self.outside.stopper(self.sources.registry())
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
