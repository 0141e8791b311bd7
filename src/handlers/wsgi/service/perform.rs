//! What is done for each command of the pool?

use super::super::launch::{Child, Started};
use super::super::pool::{Command, Event, RequestId, WorkerId};
use super::process::{Mark, WorkerProcess};
use super::{AppService, Inner, schedule};
use crate::conf::Level;
use crate::event::{Cx, Owner, Parent, ServiceId, Source, Start};
use crate::http::{HttpError, Status};
use crate::sys::process;
use mio::Interest;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

impl AppService {
    /// Tells the pool what has happened, and does what it wants.
    pub(super) fn on(&self, inner: &mut Inner, event: Event<'_>, cx: &mut Cx) {
        inner.pool.on(event, cx.now());
        while let Some(command) = inner.pool.pop_command() {
            self.perform(inner, command, cx);
        }
    }

    /// Does one thing. What comes of it at once is told to the pool, whose commands are performed by the
    /// caller.
    pub(super) fn perform(&self, inner: &mut Inner, command: Command, cx: &mut Cx) {
        match command {
            Command::Schedule => schedule(inner.id, cx),
            Command::WakeAt(at) => {
                if let Some(id) = inner.id {
                    cx.timers.arm_service(at, id);
                }
            }
            Command::PassStartsOn => cx.starts.pass_on(),
            Command::Start(worker) => self.start_worker(inner, worker, cx),
            Command::Send { request, worker, id } => inner.send(request, worker, id),
            Command::Fail { request, why } => {
                if let Some(job) = inner.job(request) {
                    job.fail(self.error(why));
                    if job.is_filled() {
                        job.waker.wake();
                    }
                }
            }
            Command::Cut { request, worker, held } => self.cut(inner, (request, worker), held, cx),
            Command::Release { request } => {
                if let Some(job) = inner.jobs.try_remove(request.0) {
                    inner.give_memory(job.take_memory());
                }
            }
            // What is delivered is known to `receive` alone.
            Command::Deliver { .. } => {}
            Command::Log(level, text) => cx.report(level, self.say(&text)),
            Command::LogStuck { worker, request, spent } => {
                let label = request.and_then(|request| inner.job(request)).map(|job| job.label());
                let (name, label) = (inner.pool.name(worker), label.unwrap_or_default());
                let spent = spent.as_secs_f64();
                let text = format!(
                    "{name} spent {spent:.1} s on {label}, is killed and replaced; it was here:"
                );
                cx.report(Level::Error, self.say(&text));
            }
            Command::GiveUp(why) => {
                if let Some(id) = inner.id {
                    cx.give_up(id, self.say(&why));
                }
            }
            Command::EndStart(worker)
            | Command::MeasureMemory(worker)
            | Command::MeasureStart(worker)
            | Command::DumpStacks(worker)
            | Command::CloseInput(worker)
            | Command::Terminate(worker)
            | Command::Kill(worker)
            | Command::ReadBegun(worker)
            | Command::MarkGone { worker, .. }
            | Command::MarkRevoked { worker, .. } => inner.perform_on(worker, &command, cx),
        }
    }

    fn start_worker(&self, inner: &mut Inner, worker: WorkerId, cx: &mut Cx) {
        let start = inner.id.and_then(|id| cx.starts.begin(id));
        let event = match start.map(|start| self.spawn(inner, worker, start, cx)) {
            None => Event::Deferred { worker },
            Some(Ok(pid)) => Event::Started { worker, pid },
            Some(Err(error)) => {
                let python = self.recipe.python().display();
                let text = format!("a worker cannot be started with {python}: {error}");
                cx.report(Level::Error, self.say(&text));
                inner.pool.on(Event::NotStarted { worker, why: &text }, cx.now());
                return;
            }
        };
        inner.pool.on(event, cx.now());
    }

    fn spawn(
        &self,
        inner: &mut Inner,
        worker: WorkerId,
        start: Start,
        cx: &mut Cx,
    ) -> io::Result<u32> {
        let Some(service) = inner.id else { return Err(io::ErrorKind::NotConnected.into()) };
        let Started { process, errors, socket, line } = self.recipe.start()?;
        inner.serial = inner.serial.wrapping_add(1);
        let serial = inner.serial;
        let slot = u16::try_from(worker.0 * 2).unwrap_or(u16::MAX - 1);
        let pid = process.pid();
        // From here on the child is the loop's: whatever fails below, it is collected.
        let child = Child { id: cx.adopt(process, Parent { service, tag: serial }), pid };
        let sources = sources(socket, errors.into(), (service, slot), cx);
        let (socket, errors) = sources.inspect_err(|_| cx.kill(child.id))?;
        let who = format!("app {} (pid {pid})", self.app.name.value);
        if inner.workers.len() <= worker.0 {
            inner.workers.resize_with(worker.0 + 1, || None);
        }
        if let Some(free) = inner.workers.get_mut(worker.0) {
            *free = Some(WorkerProcess::new(serial, (child, start), (socket, line), (errors, who)));
        }
        self.flush(inner, worker, cx);
        Ok(pid)
    }

    /// Cuts an answer for which a worker waits in vain.
    fn cut(
        &self,
        inner: &Inner,
        (request, worker): (RequestId, WorkerId),
        held: Duration,
        cx: &mut Cx,
    ) {
        let Some(job) = inner.job(request) else { return };
        let text = format!(
            "{} waited {:.1} s for {} to take its answer to {}, which is cut: others wait for a \
             worker, and there is no room to keep it",
            inner.pool.name(worker),
            held.as_secs_f64(),
            job.peer,
            job.label()
        );
        job.cut(HttpError::new(Status::SERVICE_UNAVAILABLE, "it was taken too slowly"));
        job.waker.wake();
        cx.complain(Level::Warning, self.say(&text));
    }

    /// Sends what the socket of a worker takes.
    pub(super) fn flush(&self, inner: &mut Inner, worker: WorkerId, cx: &mut Cx) {
        let Some(process) = inner.process(worker) else { return };
        process.flush();
        let is_full = !process.socket.is_writable();
        if std::mem::replace(&mut process.was_full, is_full) != is_full {
            self.on(inner, Event::Full { worker, is_full }, cx);
        }
    }
}

impl Inner {
    /// Puts a request among what is to be sent to a worker.
    fn send(&mut self, request: RequestId, worker: WorkerId, id: u32) {
        let Self { jobs, workers, .. } = self;
        let process = workers.get_mut(worker.0).and_then(Option::as_mut);
        if let Some((job, process)) = jobs.get(request.0).zip(process) {
            job.send(id, |frame, file| process.out.push(frame, file));
        }
    }

    /// What concerns one process.
    fn perform_on(&mut self, worker: WorkerId, command: &Command, cx: &mut Cx) {
        let Self { workers, pool, .. } = self;
        let Some(process) = workers.get_mut(worker.0).and_then(Option::as_mut) else { return };
        let Child { id: child, pid } = process.child;
        match command {
            Command::EndStart(_) => process.start = None,
            Command::CloseInput(_) => process.close_input(),
            Command::Terminate(_) => cx.dismiss(child),
            Command::Kill(_) => cx.kill(child),
            Command::DumpStacks(_) => process.dump_stacks(),
            Command::MarkGone { id, .. } => process.mark(Mark::Gone, *id),
            Command::MarkRevoked { id, .. } => process.mark(Mark::Revoked, *id),
            Command::ReadBegun(_) => {
                pool.on(Event::Begun { worker, id: process.begun() }, cx.now());
            }
            Command::MeasureMemory(_) => {
                if let Some(bytes) = process::resident(pid) {
                    pool.on(Event::Occupies { worker, bytes }, cx.now());
                }
            }
            Command::MeasureStart(_) => {
                let waited = process::waited_for_processor(pid).unwrap_or_default();
                let runs = process.is_loading();
                pool.on(Event::Loads { worker, waited, runs }, cx.now());
            }
            _ => {}
        }
    }
}

/// The socket and the standard error of the worker at `slot`.
fn sources(
    socket: OwnedFd,
    errors: File,
    (service, slot): (ServiceId, u16),
    cx: &Cx,
) -> io::Result<(Source<OwnedFd>, Source<File>)> {
    let both = Interest::READABLE | Interest::WRITABLE;
    let socket = cx.source(socket, Owner::Service(service, slot), both)?;
    let errors = cx.source(errors, Owner::Service(service, slot + 1), Interest::READABLE)?;
    Ok((socket, errors))
}
