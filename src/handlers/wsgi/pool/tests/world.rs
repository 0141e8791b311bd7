//! A world around a pool: virtual time, workers and clients that are played, and what must always hold.

use super::super::slot::{FLIGHTS_MAX, STALLED};
use super::super::{Client, Command, Event, Failure, Place, Pool, RequestId, WorkerId};
use crate::conf::{App, At, Program, Workers};
use crate::handlers::wsgi::wire::{Frame, VERSION};
use crate::http::Status;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(super) struct World {
    pub(super) pool: Pool,
    pub(super) now: Instant,
    pub(super) began: Instant,
    pub(super) workers: BTreeMap<WorkerId, Played>,
    /// All requests that ever were, in the order in which they came.
    pub(super) requests: Vec<Asked>,
    /// Which of them has which number.
    numbers: Vec<Option<usize>>,
    pub(super) log: Vec<String>,
    pub(super) given_up: Option<String>,
    /// When each worker was started.
    pub(super) starts: Vec<Instant>,
    /// Programs that may load at once.
    pub(super) permits: usize,
    waits_for_permit: bool,
    /// Workers cannot be started at all.
    pub(super) is_broken: bool,
    armed: BTreeSet<Instant>,
    is_scheduled: bool,
    /// Processes that end.
    ends: Vec<(Instant, u32)>,
}

/// A worker as it is: a process that begins one request after the other.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) pid: u32,
    /// Ids and requests that it has not begun.
    pub(super) todo: VecDeque<(u32, usize)>,
    /// It has said that it begins this one, and not yet looked whether it should.
    looks_at: Option<(u32, usize)>,
    pub(super) at: Option<(u32, usize)>,
    pub(super) has_head: bool,
    begun: u32,
    gone: BTreeMap<u32, u32>,
    revoked: BTreeMap<u32, u32>,
    /// What it has said and was not received.
    pub(super) said: VecDeque<Said>,
    holds_permit: bool,
    pub(super) is_closed: bool,
    pub(super) is_killed: bool,
    pub(super) has_dumped: bool,
    /// It does not end when it is asked to.
    pub(super) is_stubborn: bool,
    pub(super) memory: u64,
    pub(super) starved: Duration,
    /// What was started is a script, which has not started Python yet.
    pub(super) is_script: bool,
}

/// What a worker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ready,
    OtherVersion,
    Failed,
    Head(u32, bool),
    Data(u32, bool),
    Nothing(u32),
    File(u32),
    Error(u32),
    Returned(u32),
    Changed,
}

/// A request as its client knows it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) came: Instant,
    number: RequestId,
    pub(super) outcome: Option<Outcome>,
    pub(super) is_released: bool,
    /// Pieces of the answer that came.
    pub(super) pieces: usize,
    /// The worker that has begun it.
    pub(super) begun_by: Option<u32>,
    /// Its client takes nothing: the worker has to wait.
    pub(super) is_full: bool,
    pub(super) taken: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed(Failure),
    Cut,
    Left,
    Unusable,
}

pub(super) fn client(n: u8) -> Client {
    Some(IpAddr::from([10, 0, 0, n]))
}

impl World {
    /// A pool of so many workers, not begun.
    pub(super) fn new(min: usize, max: usize, change: impl FnOnce(&mut App)) -> Self {
        let spec = Program::Wsgi(At::new("a:b".to_owned(), 0..0));
        let mut app = App::of(At::new("a".to_owned(), 0..0), spec, "/".into());
        app.workers = Workers { min, max };
        change(&mut app);
        let now = Instant::now();
        Self {
            pool: Pool::new(app, now),
            now,
            began: now,
            workers: BTreeMap::new(),
            requests: Vec::new(),
            numbers: Vec::new(),
            log: Vec::new(),
            given_up: None,
            starts: Vec::new(),
            permits: 4,
            waits_for_permit: false,
            is_broken: false,
            armed: BTreeSet::new(),
            is_scheduled: false,
            ends: Vec::new(),
        }
    }

    /// One whose workers are ready.
    pub(super) fn ready(min: usize, max: usize, change: impl FnOnce(&mut App)) -> Self {
        let mut world = Self::new(min, max, change);
        world.on(Event::Begin);
        world.all_ready();
        world
    }

    /// All workers that load are ready.
    pub(super) fn all_ready(&mut self) {
        for _ in 0..20 {
            let loading: Vec<_> =
                self.workers.iter().filter(|(_, it)| it.holds_permit).map(|(id, _)| *id).collect();
            loading.iter().for_each(|worker| self.says(*worker, &[Said::Ready]));
            if loading.is_empty() {
                return;
            }
        }
        panic!("more and more workers are started");
    }

    // What happens.

    pub(super) fn on(&mut self, event: Event<'_>) {
        self.tell(event, None);
        self.settle();
    }

    /// A request comes. Returns its place among all.
    pub(super) fn ask(&mut self, from: u8) -> usize {
        let request = self.numbers.iter().position(Option::is_none).unwrap_or_else(|| {
            self.numbers.push(None);
            self.numbers.len() - 1
        });
        let asked = Asked {
            came: self.now,
            number: RequestId(request),
            outcome: None,
            is_released: false,
            pieces: 0,
            begun_by: None,
            is_full: false,
            taken: 0,
        };
        self.numbers[request] = Some(self.requests.len());
        self.requests.push(asked);
        let waiting = self.pool.requests.queue.len();
        let had_room = waiting < self.pool.app.queue + self.pool.room();
        self.tell(Event::Arrived { request: RequestId(request), client: client(from) }, None);
        assert!(had_room || self.pool.requests.queue.len() <= waiting, "more wait than may");
        self.requests.len() - 1
    }

    /// Several come at once.
    pub(super) fn ask_all(&mut self, from: &[u8]) -> Vec<usize> {
        let all = from.iter().map(|from| self.ask(*from)).collect();
        self.settle();
        all
    }

    /// The client of a request goes away.
    pub(super) fn leave(&mut self, n: usize) {
        if self.requests[n].outcome.is_none() {
            self.requests[n].outcome = Some(Outcome::Left);
            self.on(Event::Left { request: self.requests[n].number });
        }
    }

    /// A worker says something, and is heard.
    pub(super) fn says(&mut self, worker: WorkerId, all: &[Said]) {
        self.workers.get_mut(&worker).unwrap().said.extend(all);
        self.receive(worker);
        self.settle();
    }

    /// A worker begins the next request, unless it is told not to. Returns which one.
    pub(super) fn begin(&mut self, worker: WorkerId) -> Option<usize> {
        self.look(worker);
        self.run(worker)
    }

    /// A worker says that it begins the next request.
    pub(super) fn look(&mut self, worker: WorkerId) {
        let Some(played) = self.workers.get_mut(&worker) else { return };
        if played.looks_at.is_none() && played.at.is_none() && !played.is_killed {
            played.looks_at = played.todo.pop_front();
            played.begun = played.looks_at.map_or(played.begun, |(id, _)| id);
        }
    }

    /// It looks whether it should, and runs it.
    pub(super) fn run(&mut self, worker: WorkerId) -> Option<usize> {
        let played = self.workers.get_mut(&worker)?;
        let (id, request) = played.looks_at.take_if(|_| !played.is_killed)?;
        let is_marked = |marks: &BTreeMap<u32, u32>| marks.get(&(id % 64)) == Some(&id);
        if is_marked(&played.gone) || is_marked(&played.revoked) {
            played.said.push_back(Said::Returned(id));
            return None;
        }
        played.at = Some((id, request));
        played.has_head = false;
        let before = self.requests[request].begun_by.replace(played.pid);
        assert_eq!(before, None, "request {request} is begun a second time");
        Some(request)
    }

    /// A worker begins the next request and answers it.
    pub(super) fn answer(&mut self, worker: WorkerId) -> Option<usize> {
        let request = self.begin(worker)?;
        self.finish(worker);
        Some(request)
    }

    /// It answers what it is at.
    pub(super) fn finish(&mut self, worker: WorkerId) {
        let Some(played) = self.workers.get_mut(&worker) else { return };
        let Some((id, _)) = played.at.take() else { return };
        let said = if played.has_head { Said::Data(id, true) } else { Said::Head(id, true) };
        self.says(worker, &[said]);
    }

    /// A worker makes itself known as quick: it answers some at once.
    pub(super) fn hasten(&mut self, worker: WorkerId) {
        for _ in 0..40 {
            self.ask_all(&[200]);
            self.answer(worker).unwrap();
        }
        assert!(self.pool.slot(worker).unwrap().latency.is_quick());
    }

    /// The process of a worker ends.
    pub(super) fn end(&mut self, worker: WorkerId, how: &str) {
        self.receive(worker);
        if let Some(played) = self.workers.remove(&worker) {
            self.is_scheduled |= played.holds_permit && std::mem::take(&mut self.waits_for_permit);
            self.ends.retain(|(_, pid)| *pid != played.pid);
            self.tell(Event::Ended { worker, begun: played.begun, how }, None);
            self.settle();
        }
    }

    /// Time goes on.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        loop {
            let end = self.ends.iter().map(|(at, _)| *at).min();
            let next = self.armed.first().copied().into_iter().chain(end).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            while self.armed.first().is_some_and(|at| *at <= self.now) {
                self.armed.pop_first();
                self.is_scheduled = true;
            }
            let is_due = |(at, _): &&(Instant, u32)| *at <= self.now;
            let due: Vec<u32> = self.ends.iter().filter(is_due).map(|(_, pid)| *pid).collect();
            for pid in due {
                let worker = self.workers.iter().find(|(_, it)| it.pid == pid).map(|(id, _)| *id);
                worker.into_iter().for_each(|worker| self.end(worker, "signal 9"));
                self.ends.retain(|(_, other)| *other != pid);
            }
            self.settle();
        }
        self.now = until;
    }

    pub(super) fn advance_ms(&mut self, by: u64) {
        self.advance(Duration::from_millis(by));
    }

    // What is done about it.

    fn tell(&mut self, event: Event<'_>, said: Option<Said>) {
        self.pool.on(event, self.now);
        while let Some(command) = self.pool.pop_command() {
            self.perform(command, said);
        }
    }

    /// The turns that were asked for.
    fn settle(&mut self) {
        for _ in 0..100 {
            if !std::mem::take(&mut self.is_scheduled) {
                self.check();
                return;
            }
            for worker in self.workers.keys().copied().collect::<Vec<_>>() {
                if self.pool.is_waiting(worker) {
                    self.receive(worker);
                }
            }
            self.tell(Event::Scheduled, None);
        }
        panic!("it never comes to rest");
    }

    /// What `service::receive` does.
    pub(super) fn receive(&mut self, worker: WorkerId) {
        if !self.pool.listens_to(worker) {
            return;
        }
        if self.full_at(worker).is_none() && self.pool.is_waiting(worker) {
            self.tell(Event::Resumed { worker }, None);
        }
        loop {
            if let Some(taken) = self.full_at(worker) {
                self.tell(Event::Held { worker, taken }, None);
                break;
            }
            let Some(played) = self.workers.get_mut(&worker) else { return };
            let Some(said) = played.said.pop_front() else { break };
            if let Said::Returned(_) = said {
                let id = played.begun;
                self.tell(Event::Begun { worker, id }, None);
            }
            self.tell(Event::Said { worker, frame: said.frame() }, Some(said));
        }
        self.tell(Event::Received { worker }, None);
    }

    fn full_at(&self, worker: WorkerId) -> Option<u64> {
        let asked = self.asked(self.pool.answering(worker)?);
        asked.is_full.then_some(asked.taken)
    }

    fn asked(&self, request: RequestId) -> &Asked {
        &self.requests[self.numbers[request.0].expect("a number that is released")]
    }

    fn asked_mut(&mut self, request: RequestId) -> &mut Asked {
        &mut self.requests[self.numbers[request.0].expect("a number that is released")]
    }

    fn ends_with(&mut self, request: RequestId, outcome: Outcome) {
        // Whoever is told to try again must not find that it was done already.
        let is_done = self.asked(request).begun_by.is_some();
        let may_be_done = !matches!(
            outcome,
            Outcome::Failed(Failure::QueueFull | Failure::NoneFree | Failure::NoneReady)
                | Outcome::Failed(Failure::CannotLoad(_) | Failure::Stopped)
        );
        assert!(may_be_done || !is_done, "{request:?} was begun: {outcome:?}");
        let before = self.asked_mut(request).outcome.replace(outcome);
        assert_eq!(before, None, "{request:?} ends twice");
    }

    fn perform(&mut self, command: Command, said: Option<Said>) {
        match command {
            Command::Schedule => self.is_scheduled = true,
            Command::WakeAt(at) => _ = self.armed.insert(at),
            Command::PassStartsOn => {}
            Command::Start(worker) => self.start(worker),
            Command::Send { request, worker, id } => self.send(request, worker, id),
            Command::Deliver { request } => {
                let said = said.expect("nothing was said");
                assert_eq!(self.asked(request).outcome, None);
                self.asked_mut(request).pieces += 1;
                match said {
                    Said::Head(_, true) | Said::Data(_, true) | Said::File(_) => {
                        self.ends_with(request, Outcome::Answered);
                    }
                    Said::Error(_) => {
                        self.ends_with(request, Outcome::Unusable);
                        self.tell(Event::Unusable { request }, None);
                    }
                    _ => {}
                }
            }
            Command::Fail { request, why } => self.ends_with(request, Outcome::Failed(why)),
            Command::Cut { request, .. } => {
                self.ends_with(request, Outcome::Cut);
                self.asked_mut(request).is_full = false;
            }
            Command::Release { request } => {
                let asked = self.asked_mut(request);
                assert!(asked.outcome.is_some() && !asked.is_released, "{request:?} is lost");
                asked.is_released = true;
                self.numbers[request.0] = None;
            }
            Command::Log(_, text) => self.log.push(text),
            Command::LogStuck { worker, .. } => self.log.push(format!("{worker:?} is stuck")),
            Command::GiveUp(why) => self.given_up = Some(why),
            Command::EndStart(worker) => {
                let played = self.workers.get_mut(&worker);
                if played.is_some_and(|played| std::mem::take(&mut played.holds_permit)) {
                    self.is_scheduled |= std::mem::take(&mut self.waits_for_permit);
                }
            }
            other => self.perform_on(&other),
        }
    }

    /// What concerns one process.
    fn perform_on(&mut self, command: &Command) {
        let now = self.now;
        let (Command::MeasureMemory(worker)
        | Command::MeasureStart(worker)
        | Command::DumpStacks(worker)
        | Command::CloseInput(worker)
        | Command::Terminate(worker)
        | Command::Kill(worker)
        | Command::ReadBegun(worker)
        | Command::MarkGone { worker, .. }
        | Command::MarkRevoked { worker, .. }) = *command
        else {
            panic!("{command:?}")
        };
        let Some(played) = self.workers.get_mut(&worker) else { return };
        let pid = played.pid;
        match *command {
            Command::MeasureMemory(_) => {
                let bytes = played.memory;
                self.pool.on(Event::Occupies { worker, bytes }, now);
            }
            Command::MeasureStart(_) => {
                let (waited, runs) = (played.starved, !played.is_script);
                self.pool.on(Event::Loads { worker, waited, runs }, now);
            }
            Command::DumpStacks(_) => played.has_dumped = true,
            Command::CloseInput(_) => {
                played.is_closed = true;
                if !played.is_stubborn {
                    self.ends.push((now + Duration::from_millis(5), pid));
                }
            }
            Command::Terminate(_) => {
                let grace = if played.is_stubborn { 2000 } else { 1 };
                self.ends.push((now + Duration::from_millis(grace), pid));
            }
            Command::Kill(_) => {
                played.is_killed = true;
                self.ends.push((now + Duration::from_millis(3), pid));
            }
            Command::ReadBegun(_) => {
                let id = played.begun;
                self.pool.on(Event::Begun { worker, id }, now);
            }
            Command::MarkGone { id, .. } => _ = played.gone.insert(id % 64, id),
            Command::MarkRevoked { id, .. } => _ = played.revoked.insert(id % 64, id),
            _ => {}
        }
    }

    fn start(&mut self, worker: WorkerId) {
        let loading = self.workers.values().filter(|it| it.holds_permit).count();
        assert!(loading <= self.permits);
        let event = if self.is_broken {
            Event::NotStarted { worker, why: "no such program" }
        } else if loading == self.permits {
            self.waits_for_permit = true;
            Event::Deferred { worker }
        } else {
            let pid = self.starts.len() as u32 + 1;
            self.starts.push(self.now);
            let played = Played { pid, holds_permit: true, ..Played::default() };
            assert!(self.workers.insert(worker, played).is_none(), "{worker:?} is there already");
            Event::Started { worker, pid }
        };
        self.pool.on(event, self.now);
    }

    fn send(&mut self, request: RequestId, worker: WorkerId, id: u32) {
        let n = self.numbers[request.0].expect("a number that is released");
        assert_eq!(self.requests[n].outcome, None);
        let played = self.workers.get_mut(&worker).expect("no such worker");
        assert!(!played.is_closed && !played.is_killed && !played.holds_permit);
        played.todo.push_back((id, n));
        let slot = self.pool.slot(worker).unwrap();
        let is_stuck = slot.held_since.is_some() || slot.busy_for(self.now) >= STALLED;
        let most = if is_stuck || !slot.latency.is_quick() { 1 } else { FLIGHTS_MAX };
        assert!(slot.load() <= most, "{} for a worker that may have {most}", slot.load());
        assert!(id.wrapping_sub(slot.flights.front().unwrap().id) < 64, "a mark for two");
    }

    /// What must always hold when nothing is at hand.
    fn check(&self) {
        let App { queue_timeout, timeout, .. } = self.pool.app;
        let in_flight = FLIGHTS_MAX * self.starts.len();
        assert!(self.pool.requests.queue.len() <= self.pool.app.queue + in_flight);
        let armed = self.armed.first().copied();
        for asked in self.requests.iter().filter(|asked| !asked.is_released) {
            let known = self.pool.requests.get(asked.number).expect("a request is lost");
            let by = match known.place {
                Place::Queued => self.now.max(asked.came + queue_timeout),
                Place::Sent(..) => self.now + timeout.max(Duration::from_secs(6)),
            };
            assert!(
                armed.is_some_and(|at| at <= by),
                "{asked:?} waits for nothing: {:?} {known:?} {armed:?} {by:?}",
                self.pool
            );
        }
        let loading = self.workers.values().filter(|it| it.holds_permit).count();
        assert!(loading <= self.permits);
        let free = !self.pool.requests.queue.is_empty() && self.pool.room() > 0;
        assert!(!free, "requests wait beside a worker that is free");
    }

    // What has come of it.

    pub(super) fn outcome(&self, n: usize) -> Option<Outcome> {
        self.requests[n].outcome.clone()
    }

    pub(super) fn failed(&self, n: usize) -> Option<Failure> {
        match self.outcome(n) {
            Some(Outcome::Failed(why)) => Some(why),
            _ => None,
        }
    }

    pub(super) fn has_logged(&self, text: &str) -> bool {
        self.log.iter().any(|line| line.contains(text))
    }

    /// Requests that a worker has and has not answered.
    pub(super) fn of(&self, worker: usize) -> Vec<usize> {
        let Some(played) = self.workers.get(&WorkerId(worker)) else { return Vec::new() };
        played.at.iter().chain(&played.todo).map(|(_, request)| *request).collect()
    }

    pub(super) fn since_began(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}

impl Played {
    pub(super) fn is_loading(&self) -> bool {
        self.holds_permit
    }
}

impl Said {
    pub(super) fn frame(self) -> Frame<'static> {
        let status = Status::OK;
        match self {
            Self::Ready => Frame::Ready { version: VERSION, python: b"3" },
            Self::OtherVersion => Frame::Ready { version: VERSION + 1, python: b"3" },
            Self::Failed => Frame::Failed { text: b"no module\nnamed so" },
            Self::Head(id, end) => Frame::Answer { id, status, fields: b"", body: b"", end },
            Self::Data(id, end) => Frame::Data { id, body: b"x", end },
            Self::Nothing(id) => Frame::Data { id, body: b"", end: false },
            Self::File(id) => Frame::File { id, offset: 0, len: 1 },
            Self::Error(id) => Frame::Error { id, what: b"KeyError" },
            Self::Returned(id) => Frame::Returned { id },
            Self::Changed => Frame::Changed,
        }
    }
}
