//! The services of the loop, lent to whatever is being driven.

use super::{
    Buffers, ChildId, Children, Clock, ConnId, Door, Owner, PoolId, RunQueue, Target, Timers,
};
use crate::conf::Level;
use crate::sys::process::Process;
use mio::event::Source;
use mio::{Interest, Registry};
use std::io;
use std::time::Instant;

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
    /// Connections that were woken and are not yet marked.
    woken: Vec<ConnId>,
    /// What is to be said on the error log.
    notices: Vec<(Level, String)>,
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
            woken: Vec::new(),
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

    /// Lets a handler's pool hear of a source that lives longer than an exchange.
    ///
    /// # Errors
    /// As `register`.
    pub fn register_pool(
        &self,
        source: &mut impl Source,
        pool: PoolId,
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
    pub fn wake(&mut self, id: ConnId) {
        self.woken.push(id);
    }

    /// Takes one who was woken.
    pub fn pop_woken(&mut self) -> Option<ConnId> {
        self.woken.pop()
    }

    /// Whether somebody was woken.
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Has something said on the error log. For events, not for each request.
    pub fn report(&mut self, level: Level, text: impl Into<String>) {
        self.notices.push((level, text.into()));
    }

    /// Takes what is to be said.
    pub fn take_notices(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.notices)
    }
}
