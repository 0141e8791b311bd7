//! What runs an application: turns what happens into events of its `pool`, and performs what that commands.
//!
//! | file | question |
//! |---|---|
//! | `mod` | what is asked of an application, by the loop and by exchanges? |
//! | `perform` | what is done for each command? |
//! | `failures` | what are clients told whose requests fail? |
//! | `process` | what is there of a worker: its process, its socket, the page that it shares with us? |
//! | `receive` | what comes from a worker, and which job is it for? |
//! | `outgoing` | what is to be sent to a worker? |
//! | `stderr` | what becomes of what a worker writes to its standard error? |
//!
//! Nothing is decided here: see `pool`.

mod failures;
mod outgoing;
mod perform;
mod process;
mod receive;
mod stderr;

use super::heads::Heads;
use super::job::Job;
use super::launch::Recipe;
use super::pool::{Event, Pool, RequestId, WorkerId};
use crate::conf::{App, Workers};
use crate::event::{Cx, ServiceId, TaskId};
use crate::http::HttpError;
use crate::serve::{Peer, Readiness, Scale};
use crate::sys::process::Ending;
use process::WorkerProcess;
use slab::Slab;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Instant;

/// The workers of one application, and the requests that it is to answer.
pub(super) struct AppService {
    app: App,
    recipe: Recipe,
    inner: RefCell<Inner>,
}

struct Inner {
    /// The number of this handler, once it is started.
    id: Option<ServiceId>,
    pool: Pool,
    /// What the pool knows as requests, by number,
    jobs: Slab<Rc<Job>>,
    /// and as workers.
    workers: Vec<Option<WorkerProcess>>,
    /// Counts all workers that ever were: their children are known by it.
    serial: u32,
    heads: Heads,
    /// Memories of requests, for others.
    spare: Vec<Vec<u8>>,
}

/// Memories that are kept, and the longest one.
const SPARE_MAX: usize = 64;
const SPARE_LEN: usize = 64 * 1024;

impl AppService {
    /// The service of `app`, not started.
    ///
    /// # Errors
    /// See `Recipe::new`.
    pub(super) fn new(app: &App) -> io::Result<Self> {
        let inner = Inner {
            id: None,
            pool: Pool::new(app.clone(), Instant::now()),
            jobs: Slab::new(),
            workers: Vec::new(),
            serial: 0,
            heads: Heads::default(),
            spare: Vec::new(),
        };
        Ok(Self { app: app.clone(), recipe: Recipe::new(app)?, inner: RefCell::new(inner) })
    }

    /// Starts the workers.
    pub(super) fn start(&self, id: ServiceId, cx: &mut Cx) {
        keep_freed_memory();
        let inner = &mut *self.inner.borrow_mut();
        inner.id = Some(id);
        self.on(inner, Event::Begin, cx);
    }

    pub(super) fn readiness(&self) -> Readiness {
        match self.inner.borrow().pool.readiness() {
            Readiness::Failed(why) => Readiness::Failed(self.say(&why)),
            other => other,
        }
    }

    /// Memory for a request, perhaps warm.
    pub(super) fn memory(&self) -> Vec<u8> {
        self.inner.borrow_mut().spare.pop().unwrap_or_default()
    }

    /// Memory that is no longer needed.
    pub(super) fn give_memory(&self, memory: Vec<u8>) {
        self.inner.borrow_mut().give_memory(memory);
    }

    /// Admits a request, which is to be filled at once, or cancelled. When it was, its task is woken
    /// when something has come of it.
    ///
    /// # Errors
    /// 503: too many wait, or no worker could answer.
    pub(super) fn admit(
        &self,
        task: TaskId,
        peer: Peer,
        cx: &mut Cx,
    ) -> Result<Rc<Job>, HttpError> {
        let inner = &mut *self.inner.borrow_mut();
        let entry = inner.jobs.vacant_entry();
        let request = RequestId(entry.key());
        let job = Rc::new(Job::new(request, (task, peer), cx));
        entry.insert(job.clone());
        self.on(inner, Event::Arrived { request, client: peer.network() }, cx);
        match job.inbox(|inbox| inbox.end.take()) {
            Some(Err(refused)) => Err(refused),
            _ => Ok(job),
        }
    }

    /// Nobody waits for a job any more.
    pub(super) fn cancel(&self, job: &Rc<Job>, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        job.give_up();
        let request = job.request;
        // Another one may have its number, if it was released.
        if inner.jobs.get(request.0).is_some_and(|known| Rc::ptr_eq(known, job)) {
            self.on(inner, Event::Left { request }, cx);
        }
    }

    /// A job whose worker had to wait can take more.
    pub(super) fn resume(&self, cx: &mut Cx) {
        schedule(self.inner.borrow().id, cx);
    }

    /// Something happened to a descriptor of a worker: even slots are sockets, odd ones logs.
    pub(super) fn event(&self, slot: u16, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        let worker = WorkerId(usize::from(slot / 2));
        if slot % 2 == 1 {
            self.read_log(inner, worker, cx);
            return;
        }
        self.flush(inner, worker, cx);
        self.receive(inner, worker, cx);
    }

    /// Once a turn, if there is something to do.
    pub(super) fn flush_batch(&self, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        for worker in (0..inner.workers.len()).map(WorkerId) {
            let has_more = inner.process(worker).is_some_and(|process| process.has_more);
            if has_more || inner.pool.is_waiting(worker) {
                self.receive(inner, worker, cx);
            }
        }
        self.read_logs(inner, cx);
        self.on(inner, Event::Scheduled, cx);
        // What many connections have asked for leaves together.
        for worker in (0..inner.workers.len()).map(WorkerId) {
            self.flush(inner, worker, cx);
        }
    }

    pub(super) fn scale(&self, by: Scale, cx: &mut Cx) {
        self.on(&mut self.inner.borrow_mut(), Event::Scale(by), cx);
    }

    /// A worker has ended, and is collected.
    pub(super) fn child_ended(&self, serial: u32, ending: Ending, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        let is_it = |it: &Option<WorkerProcess>| it.as_ref().is_some_and(|it| it.serial == serial);
        let Some(worker) = inner.workers.iter().position(is_it).map(WorkerId) else { return };
        // What it said before its end still counts.
        self.receive(inner, worker, cx);
        let Some(mut process) = inner.workers.get_mut(worker.0).and_then(Option::take) else {
            return;
        };
        process.finish_log(cx);
        let (begun, how) = (process.begun(), ending.to_string());
        // Its right to load ends with it.
        drop(process);
        self.on(inner, Event::Ended { worker, begun, how: &how }, cx);
    }

    /// Ends all workers.
    pub(super) fn stop(&self, cx: &mut Cx) {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(id) = inner.id {
            cx.starts.forget(id);
        }
        self.on(inner, Event::Stop, cx);
    }

    fn say(&self, text: &str) -> String {
        format!("app {}: {text}", self.app.name.value)
    }
}

impl fmt::Display for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workers { min, max } = self.app.workers;
        let python = self.recipe.python().display();
        let name = &self.app.name.value;
        match (min, max) {
            (1, 1) => write!(f, "{name:<32} 1 worker, {python}"),
            _ if min == max => write!(f, "{name:<32} {min} workers, {python}"),
            _ => write!(f, "{name:<32} {min} to {max} workers, {python}"),
        }
    }
}

impl Inner {
    fn process(&mut self, worker: WorkerId) -> Option<&mut WorkerProcess> {
        self.workers.get_mut(worker.0)?.as_mut()
    }

    fn job(&self, request: RequestId) -> Option<&Rc<Job>> {
        self.jobs.get(request.0)
    }

    /// Keeps memory for others, unless there is enough of it.
    fn give_memory(&mut self, mut memory: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && (1..=SPARE_LEN).contains(&memory.capacity()) {
            memory.clear();
            self.spare.push(memory);
        }
    }
}

/// Has the turn of a handler come.
fn schedule(id: Option<ServiceId>, cx: &mut Cx) {
    if let Some(id) = id {
        cx.schedule(id);
    }
}

/// Has the allocator keep what bodies leave behind for the next ones. Answers to sixty requests come at
/// once, and are gone at once: glibc would give their memory back to the kernel each time and have it
/// cleared again, at a third of the cost of a request with 10 KiB. It goes by the longest block that was
/// freed (`M_TRIM_THRESHOLD` in mallopt(3) becomes twice that), which nothing has written to here.
fn keep_freed_memory() {
    drop(std::hint::black_box(vec![0u8; 2 * 1024 * 1024]));
}
