//! Handlers and exchanges that play a part, and watch how they are treated.

use crate::event::{Cx, TaskId, TaskWaker};
use crate::http::{Headers, HttpError, Method, MethodSet, Status};
use crate::net::FileSlice;
use crate::serve::{
    Abort, Body, Exchange, ExchangeIo, Handler, InternalRedirect, Look, Plan, Request, Response,
    Step,
};
use crate::site::Site;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the handler of a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// A short text.
    Fixed,
    /// 20 KiB that are shared.
    Shared,
    /// A file.
    File,
    /// 403
    Refuse,
    /// Another path's answer.
    Redirect,
    /// The same, once an exchange has begun.
    RedirectLate,
    /// By way of another exchange.
    RedirectTwice,
    /// Waits a while, as for a password to be checked, and then is asked again; as `Echo`.
    Admit,
    /// The request body, with its length.
    Echo,
    /// As `Echo`, of at most [`SMALL_LIMIT`] bytes.
    EchoSmall,
    /// The request body as it comes, without length.
    EchoStream,
    /// Lines, each after a while.
    Ticks,
    /// An answer when somebody else says so, or after a while.
    Wake,
    /// One byte a call.
    Slow,
    /// All there is room for, always.
    Flood,
    /// Fails before its head.
    DieEarly,
    /// Fails after its head.
    DieLate,
    /// Promises more than it has.
    LieShort,
    /// Has more than it promises.
    LieLong,
    /// Says that it is done when it is not.
    LieDone,
    /// Answers without a look at the body.
    Ignore,
    /// Answers with a text in the middle of the body.
    Midway,
    /// As `Midway`, with a file.
    MidwayFile,
    /// Panics before there is an exchange.
    PanicAtOnce,
    /// Panics before its head.
    PanicEarly,
    /// Panics after its head.
    PanicLate,
    /// All there is room for, and panics when it is dropped.
    PanicInDrop,
}

/// What those say who panic on purpose: all other panics are mistakes.
pub(super) const ON_PURPOSE: &str = "as it should";

impl Act {
    pub(super) const ALL: [Self; 26] = [
        Self::Fixed,
        Self::Shared,
        Self::File,
        Self::Refuse,
        Self::Redirect,
        Self::RedirectLate,
        Self::RedirectTwice,
        Self::Admit,
        Self::Echo,
        Self::EchoSmall,
        Self::EchoStream,
        Self::Ticks,
        Self::Wake,
        Self::Slow,
        Self::Flood,
        Self::DieEarly,
        Self::DieLate,
        Self::LieShort,
        Self::LieLong,
        Self::LieDone,
        Self::Ignore,
        Self::Midway,
        Self::MidwayFile,
        Self::PanicAtOnce,
        Self::PanicEarly,
        Self::PanicLate,
    ];

    /// Whether the connection does not outlive it.
    pub(super) fn ends_badly(self) -> bool {
        matches!(
            self,
            Self::DieLate | Self::LieShort | Self::LieLong | Self::LieDone | Self::PanicLate
        )
    }

    /// The way to it.
    fn redirect(self) -> InternalRedirect {
        InternalRedirect { path: self.path().into_bytes(), query: None, headers: Headers::new() }
    }

    /// Where it plays.
    pub(super) fn path(self) -> String {
        format!("/{self:?}")
    }
}

pub(super) const FIXED: &[u8] = b"as always\n";
pub(super) const SHARED_LEN: usize = 20 * 1024;
pub(super) const FILE_LEN: usize = 200 * 1024;
pub(super) const SMALL_LIMIT: u64 = 1000;
pub(super) const TICK: &[u8] = b"tick\n";
pub(super) const AWAKE: &[u8] = b"awake\n";
pub(super) const IGNORED: &[u8] = b"I did not listen\n";
pub(super) const MIDWAY: &[u8] = b"that is enough\n";
/// What a liar promises, and half of which it writes.
pub(super) const PROMISED: usize = 1000;

/// What all who play have in common.
pub(super) struct Stage {
    pub(super) shared: Rc<[u8]>,
    pub(super) file: Rc<File>,
    /// Who waits for somebody to say so, and to whom it was said.
    pub(super) waiting: RefCell<Vec<Rc<TaskWaker>>>,
    pub(super) granted: RefCell<HashSet<TaskId>>,
    /// Exchanges begun, ended by themselves, aborted, dropped.
    pub(super) begun: Cell<usize>,
    pub(super) over: Cell<usize>,
    pub(super) aborts: RefCell<Vec<Abort>>,
    pub(super) dropped: Cell<usize>,
    /// The `n` of every request that reached a handler.
    pub(super) handled: RefCell<Vec<usize>>,
}

impl Stage {
    pub(super) fn new() -> Rc<Self> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&pattern(FILE_LEN)).unwrap();
        Rc::new(Self {
            shared: pattern(SHARED_LEN).into(),
            file: Rc::new(file),
            waiting: RefCell::default(),
            granted: RefCell::default(),
            begun: Cell::new(0),
            over: Cell::new(0),
            aborts: RefCell::default(),
            dropped: Cell::new(0),
            handled: RefCell::default(),
        })
    }

    fn file_slice(&self) -> FileSlice {
        FileSlice { file: self.file.clone(), offset: 0, len: FILE_LEN as u64, reserved: None }
    }
}

/// Bytes in which a shift would be seen.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| ((n + n / 251) % 251) as u8).collect()
}

/// A site with a route for each act.
pub(super) fn site(stage: &Rc<Stage>) -> Site {
    let route = |act: Act| -> (String, Rc<dyn Handler>) {
        (act.path(), Rc::new(Player { act, stage: stage.clone() }))
    };
    Site::of_routes(Act::ALL.into_iter().chain([Act::PanicInDrop]).map(route).collect())
}

struct Player {
    act: Act,
    stage: Rc<Stage>,
}

impl Handler for Player {
    fn methods(&self) -> MethodSet {
        MethodSet::of(&[Method::Get, Method::Head, Method::Post])
    }

    fn body_limit(&self) -> Option<u64> {
        Some(if self.act == Act::EchoSmall { SMALL_LIMIT } else { 1 << 20 })
    }

    fn plan(&self, request: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
        let number = |name| argument(request.head.query().unwrap_or_default(), name);
        let is_again = request.user.is_some();
        if !is_again && !matches!(self.act, Act::Redirect | Act::RedirectLate | Act::RedirectTwice)
        {
            self.stage.handled.borrow_mut().push(number("n"));
        }
        let response = Response::new(Status::OK);
        Ok(match self.act {
            Act::Fixed => Plan::Respond(response.with_body(FIXED.to_vec())),
            Act::Shared => Plan::Respond(response.with_body(self.stage.shared.clone())),
            Act::File => {
                let body = Body::File(self.stage.file_slice());
                Plan::Respond(Response { body, ..response })
            }
            Act::Refuse => return Err(HttpError::new(Status::FORBIDDEN, "never")),
            Act::Redirect => Plan::Redirect(Act::Fixed.redirect()),
            Act::PanicAtOnce => panic!("{ON_PURPOSE}"),
            act => {
                self.stage.begun.set(self.stage.begun.get() + 1);
                let actor = Actor {
                    act: if is_again { Act::Echo } else { act },
                    count: number("count"),
                    pause: Duration::from_millis(number("ms") as u64),
                    due: None,
                    done: 0,
                    kept: Vec::new(),
                    waker: None,
                    life: Life::Working,
                    stage: self.stage.clone(),
                };
                Plan::exchange("an act", actor)
            }
        })
    }
}

/// The number behind `name=` in a query; 0 without.
fn argument(query: &[u8], name: &str) -> usize {
    let query = String::from_utf8_lossy(query);
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// An exchange that does what its act says.
struct Actor {
    act: Act,
    count: usize,
    pause: Duration,
    due: Option<Instant>,
    done: usize,
    kept: Vec<u8>,
    waker: Option<Rc<TaskWaker>>,
    life: Life,
    stage: Rc<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Working,
    /// Has failed: an abort has to come.
    Failed,
    /// Done: nothing may come.
    Over,
    Aborted,
}

impl Exchange for Actor {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        assert_eq!(self.life, Life::Working, "advanced after its end");
        let step = self.play(io, cx);
        self.life = match &step {
            Err(_) => Life::Failed,
            Ok(Step::Done) if self.act == Act::LieDone => Life::Failed,
            Ok(Step::Done | Step::Respond(_) | Step::Redirect(_) | Step::Admitted(_)) => {
                self.stage.over.set(self.stage.over.get() + 1);
                Life::Over
            }
            Ok(Step::Again | Step::Wait(_)) => Life::Working,
        };
        step
    }

    fn abort(&mut self, why: Abort, _: &mut Cx) {
        assert!(matches!(self.life, Life::Working | Life::Failed), "aborted when {:?}", self.life);
        assert!(self.life == Life::Working || why == Abort::Failed, "failed, aborted as {why:?}");
        self.life = Life::Aborted;
        self.stage.aborts.borrow_mut().push(why);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.stage.dropped.set(self.stage.dropped.get() + 1);
        if !std::thread::panicking() {
            assert!(self.act != Act::PanicInDrop, "{ON_PURPOSE}");
            let ended = matches!(self.life, Life::Over | Life::Aborted);
            assert!(ended, "{:?} was dropped when {:?}", self.act, self.life);
        }
    }
}

impl Actor {
    fn play(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        match self.act {
            Act::Admit => Ok(self.admit(io, cx)),
            Act::Echo | Act::EchoSmall => self.echo(io),
            Act::EchoStream => Self::echo_stream(io),
            Act::Ticks => self.ticks(io, cx),
            Act::Wake => self.wake(io, cx),
            Act::Slow => self.slow(io),
            Act::Flood | Act::PanicInDrop => self.flood(io),
            Act::PanicEarly => panic!("{ON_PURPOSE}"),
            Act::PanicLate => {
                io.answer.head(Status::OK, &Headers::new(), Some(PROMISED as u64));
                io.answer.write(&pattern(PROMISED / 2))?;
                panic!("{ON_PURPOSE}");
            }
            Act::DieEarly => self.die_early(io, cx),
            Act::DieLate => {
                io.answer.head(Status::OK, &Headers::new(), Some(PROMISED as u64));
                io.answer.write(&pattern(PROMISED / 2))?;
                Err(HttpError::new(Status::BAD_GATEWAY, "died late"))
            }
            Act::LieShort => {
                io.answer.head(Status::OK, &Headers::new(), Some(PROMISED as u64));
                io.answer.write(&pattern(PROMISED / 2))?;
                io.answer.finish()?;
                Ok(Step::Done)
            }
            Act::LieLong => {
                io.answer.head(Status::OK, &Headers::new(), Some(PROMISED as u64));
                io.answer.write(&pattern(PROMISED + 1))?;
                Ok(Step::Done)
            }
            Act::LieDone => {
                io.answer.head(Status::OK, &Headers::new(), Some(PROMISED as u64));
                io.answer.write(&pattern(PROMISED / 2))?;
                Ok(Step::Done)
            }
            Act::Ignore => whole(io, IGNORED),
            Act::Midway | Act::MidwayFile => self.midway(io),
            Act::RedirectLate => Ok(Step::Redirect(Act::Fixed.redirect())),
            Act::RedirectTwice => Ok(Step::Redirect(Act::RedirectLate.redirect())),
            Act::Fixed
            | Act::Shared
            | Act::File
            | Act::Refuse
            | Act::Redirect
            | Act::PanicAtOnce => {
                unreachable!("answered at once")
            }
        }
    }

    /// Streams where the length is known, gathers first where it is not.
    fn echo(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        if !io.answer.is_started() {
            let Some(left) = io.body.left().filter(|_| self.kept.is_empty()) else {
                return self.echo_gathered(io);
            };
            io.answer.head(Status::OK, &Headers::new(), Some(left));
        }
        if !self.kept.is_empty() {
            return self.write_kept(io);
        }
        pass_on(io)
    }

    fn echo_gathered(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        loop {
            let piece = io.body.peek()?;
            if piece.is_empty() {
                break;
            }
            self.kept.extend_from_slice(piece);
            let n = piece.len();
            io.body.consume(n);
        }
        if !io.body.is_finished() {
            return Ok(Step::Wait(io.body.until_more()));
        }
        io.answer.head(Status::OK, &Headers::new(), Some(self.kept.len() as u64));
        self.write_kept(io)
    }

    fn write_kept(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        // An answer to HEAD has room for ever.
        while self.done < self.kept.len() {
            let n = io.answer.room().min(self.kept.len() - self.done);
            if n == 0 {
                return Ok(Step::Wait(io.answer.until_room()));
            }
            io.answer.write(&self.kept[self.done..self.done + n])?;
            self.done += n;
        }
        io.answer.finish()?;
        Ok(Step::Done)
    }

    fn echo_stream(io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        if !io.answer.is_started() {
            io.answer.head(Status::OK, &Headers::new(), None);
        }
        pass_on(io)
    }

    /// Looks at the clock: it may be called too early.
    fn ticks(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        match self.due {
            None => io.answer.head(Status::OK, &Headers::new(), None),
            Some(due) if cx.now() < due => return Ok(Step::Wait(io.until(due))),
            Some(_) => {
                io.answer.write(TICK)?;
                self.done += 1;
            }
        }
        if self.done >= self.count {
            io.answer.finish()?;
            return Ok(Step::Done);
        }
        let due = cx.now() + self.pause;
        self.due = Some(due);
        Ok(Step::Wait(io.until(due)))
    }

    fn admit(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Step {
        let due = *self.due.get_or_insert(cx.now() + self.pause);
        if cx.now() < due {
            return Step::Wait(io.until(due));
        }
        Step::Admitted("whoever".into())
    }

    /// Looks at the clock and never at the timer's bit.
    fn wake(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        let due = *self.due.get_or_insert(cx.now() + self.pause);
        let waker = self.waker.get_or_insert_with(|| {
            let waker = Rc::new(cx.waker(io.task));
            self.stage.waiting.borrow_mut().push(waker.clone());
            waker
        });
        io.take_woken();
        let is_granted = self.stage.granted.borrow_mut().remove(&io.task);
        if !is_granted && (self.count == 0 || cx.now() < due) {
            let woken = waker.until();
            return Ok(Step::Wait(if self.count > 0 { woken.or(io.until(due)) } else { woken }));
        }
        self.stage.waiting.borrow_mut().retain(|waker| waker.task() != io.task);
        whole(io, AWAKE)
    }

    fn slow(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        if !io.answer.is_started() {
            io.answer.head(Status::OK, &Headers::new(), None);
        }
        if self.done == self.count {
            io.answer.finish()?;
            return Ok(Step::Done);
        }
        if io.answer.room() == 0 {
            return Ok(Step::Wait(io.answer.until_room()));
        }
        io.answer.write(&pattern(self.count)[self.done..=self.done])?;
        self.done += 1;
        Ok(Step::Again)
    }

    fn flood(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        if !io.answer.is_started() {
            io.answer.head(Status::OK, &Headers::new(), Some(self.count as u64));
            self.kept = pattern(self.count);
        }
        self.write_kept(io)
    }

    /// At once, or after a while.
    fn die_early(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        let due = *self.due.get_or_insert(cx.now() + self.pause);
        if self.count > 0 && cx.now() < due {
            return Ok(Step::Wait(io.until(due)));
        }
        Err(HttpError::new(Status::BAD_GATEWAY, "died early"))
    }

    fn midway(&self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        while io.body.received() < self.count as u64 && !io.body.is_finished() {
            let n = io.body.peek()?.len();
            if n == 0 {
                if io.body.is_finished() {
                    break;
                }
                return Ok(Step::Wait(io.body.until_more()));
            }
            io.body.consume(n);
        }
        let mut response = Response::new(Status::OK).with_body(MIDWAY.to_vec());
        if self.act == Act::MidwayFile {
            response.body = Body::File(self.stage.file_slice());
        }
        Ok(Step::Respond(response))
    }
}

/// The body, as far as it is there and there is room for it.
fn pass_on(io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
    loop {
        let room = io.answer.room();
        if room == 0 {
            return Ok(Step::Wait(io.answer.until_room()));
        }
        let piece = io.body.peek()?;
        if piece.is_empty() {
            break;
        }
        let piece = piece[..piece.len().min(room)].to_vec();
        io.answer.write(&piece)?;
        io.body.consume(piece.len());
    }
    if !io.body.is_finished() {
        return Ok(Step::Wait(io.body.until_more()));
    }
    io.answer.finish()?;
    Ok(Step::Done)
}

/// An answer of one piece.
fn whole(io: &mut ExchangeIo<'_>, text: &[u8]) -> Result<Step, HttpError> {
    io.answer.head(Status::OK, &Headers::new(), Some(text.len() as u64));
    io.answer.write(text)?;
    io.answer.finish()?;
    Ok(Step::Done)
}
