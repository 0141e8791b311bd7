//! A script at work: its body goes in, its answer comes out, and it ends in any case.

use super::head::{self, Head, Output};
use super::input::Feed;
use super::{Run, SCRATCH, SIGPIPE, Scripts, refused};
use crate::event::{ChildId, Cx, Source};
use crate::handlers::gateway::StderrReader;
use crate::http::{HttpError, Status, StatusLine};
use crate::serve::{ExchangeIo, Step};
use crate::sys::process::Ending;
use crate::sys::spool_budget::Reservation;
use mio::Interest;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A script at work.
pub(super) struct Running {
    child: ChildId,
    run: Rc<Run>,
    feed: Option<Feed>,
    output: Source<File>,
    stderr: StderrReader,
    stage: Stage,
    /// What its body occupies on the disk.
    pub(super) reserved: Option<Reservation>,
    /// When it was last seen to do something, or had no reason to.
    active: Instant,
    /// Its output has ended: until when its own end is waited for, for only that says whether it was
    /// done.
    closed: Option<Instant>,
}

/// How far an answer has come.
enum Stage {
    /// Bytes of an incomplete head, and how many of them were searched.
    Head { bytes: Vec<u8>, scanned: usize },
    /// All of a short answer, none of which has left.
    Whole { head: Head, body: Vec<u8> },
    /// Bytes that are promised, if a length is.
    Body { left: Option<u64> },
}

/// How reading went.
enum Flow {
    /// The script says nothing now.
    Silent,
    /// The client takes nothing now.
    Full,
    /// Its output has ended.
    Ended,
    /// Nobody will see what else it says.
    Enough,
    /// Something else answers.
    Elsewhere(Step),
}

/// How long a script may take to end after its output has. One that is killed closes its output a
/// moment before its end is known; one that goes on after it has closed its output was done.
const CLOSING: Duration = Duration::from_secs(1);

impl Running {
    pub(super) fn new(
        child: ChildId,
        run: Rc<Run>,
        feed: Option<Feed>,
        output: Source<File>,
        stderr: StderrReader,
        now: Instant,
    ) -> Self {
        let stage = Stage::Head { bytes: Vec::new(), scanned: 0 };
        Self { child, run, feed, output, stderr, stage, reserved: None, active: now, closed: None }
    }

    pub(super) fn advance(
        &mut self,
        scripts: &Scripts,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        let mut scratch = scripts.scratch.borrow_mut();
        scratch.resize(SCRATCH, 0);
        let has_ended = self.run.ended.get().is_some();
        if has_ended {
            // Its last words may not have made an event yet.
            self.output.assume_readable();
            self.stderr.pipe.assume_readable();
        }
        self.feed(io, cx)?;
        let heard_all = self.stderr.read(&mut scratch, cx);
        let flow = match self.closed {
            Some(_) => Flow::Ended,
            None => self.read(&mut scratch, io, cx)?,
        };
        match flow {
            Flow::Elsewhere(step) => Ok(step),
            Flow::Enough => self.finish(io),
            Flow::Ended => self.wait_for_end(io, cx),
            // What it has started may hold the pipe; the script itself has said all.
            Flow::Silent if has_ended => self.finish(io),
            flow => {
                let is_full = matches!(flow, Flow::Full);
                let until = match is_full {
                    true => io.answer.until_room(),
                    false => self.output.until_readable(),
                };
                let due = self.watch(is_full, scripts.setup.cgi.limits.timeout, io, cx)?;
                if !heard_all {
                    return Ok(Step::Again);
                }
                Ok(Step::Wait(until.or(due.map(|due| io.until(due)))))
            }
        }
    }

    /// Hands it its body, as far as it takes it.
    fn feed(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<(), HttpError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        let mut all = false;
        while feed.pipe.is_writable() {
            let piece = match &feed.kept {
                Some((bytes, at)) => bytes.get(*at..).unwrap_or_default(),
                None => io.body.peek()?,
            };
            if piece.is_empty() {
                all = feed.kept.is_some() || io.body.is_finished();
                break;
            }
            match feed.pipe.write(piece) {
                Ok(n) => {
                    self.active = cx.now();
                    match &mut feed.kept {
                        Some((_, at)) => *at += n,
                        None => io.body.consume(n),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let registered = feed.pipe.register(Interest::WRITABLE);
                    registered.map_err(|error| refused(&error, None))?;
                }
                // It does not want to read it. That is its right.
                Err(_) => {
                    all = true;
                    break;
                }
            }
        }
        if all {
            self.feed = None;
        }
        Ok(())
    }

    /// Reads its output, as far as the client takes it.
    fn read(
        &mut self,
        scratch: &mut [u8],
        io: &mut ExchangeIo<'_>,
        cx: &Cx,
    ) -> Result<Flow, HttpError> {
        loop {
            let room = match self.stage {
                Stage::Head { .. } | Stage::Whole { .. } => scratch.len(),
                Stage::Body { .. } => io.answer.room().min(scratch.len()),
            };
            if room == 0 {
                return Ok(Flow::Full);
            }
            let Some(n) = self.receive(scratch.get_mut(..room).unwrap_or_default(), cx)? else {
                return Ok(Flow::Silent);
            };
            let piece = scratch.get(..n).unwrap_or_default();
            match &mut self.stage {
                Stage::Whole { .. } => return Ok(Flow::Ended),
                _ if n == 0 => return Ok(Flow::Ended),
                Stage::Head { bytes, scanned } => {
                    bytes.extend_from_slice(piece);
                    match head::parse(bytes, *scanned) {
                        Output::Partial => *scanned = bytes.len(),
                        Output::Bad(why) => return Err(bad(why)),
                        Output::Head(head, end) => {
                            let body = bytes.split_off(end);
                            if let Some(flow) = self.begin(*head, body, scratch, io, cx)? {
                                return Ok(flow);
                            }
                        }
                    }
                }
                Stage::Body { .. } => self.write(scratch.get(..n).unwrap_or_default(), io)?,
            }
        }
    }

    /// Reads once; `None`: nothing is there, and an event will tell.
    fn receive(&mut self, into: &mut [u8], cx: &Cx) -> Result<Option<usize>, HttpError> {
        match self.output.read(into) {
            Ok(n) => {
                self.active = cx.now();
                Ok(Some(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                let reason = format!("the script's output cannot be read: {error}");
                Err(HttpError::fatal(Status::BAD_GATEWAY, reason))
            }
        }
    }

    /// The head is complete; `body` came with it. A short answer is known whole before its head
    /// leaves: it gets a length, or, if the script has not ended well, is none.
    fn begin(
        &mut self,
        head: Head,
        mut body: Vec<u8>,
        scratch: &mut [u8],
        io: &mut ExchangeIo<'_>,
        cx: &Cx,
    ) -> Result<Option<Flow>, HttpError> {
        if let Some(to) = head.local {
            return Ok(Some(Flow::Elsewhere(Step::Reroute(to))));
        }
        while body.len() < SCRATCH {
            match self.receive(scratch, cx)? {
                Some(0) => {
                    self.stage = Stage::Whole { head, body };
                    return Ok(Some(Flow::Ended));
                }
                Some(n) => body.extend_from_slice(scratch.get(..n).unwrap_or_default()),
                None => break,
            }
        }
        self.start_body(head, &body, None, io)?;
        // Without a reader the script may go on.
        Ok(io.answer.omits_body().then_some(Flow::Enough))
    }

    /// Writes the head and the body so far, of which `known` bytes are all.
    fn start_body(
        &mut self,
        head: Head,
        body: &[u8],
        known: Option<u64>,
        io: &mut ExchangeIo<'_>,
    ) -> Result<(), HttpError> {
        let omits = io.answer.omits_body() || !head.status.may_have_body();
        let there = body.len() as u64;
        // What can be told before anything has left is an error of its own, and no cut.
        let breaks = head.length.filter(|promised| match known {
            Some(all) => *promised != all,
            None => *promised < there,
        });
        if let Some(promised) = breaks.filter(|_| !omits) {
            let how = format!("its Content-Length is {promised}, of {there} bytes");
            return Err(HttpError::new(Status::BAD_GATEWAY, format!("{}: {how}", self.run.name)));
        }
        let length = head.length.or(known);
        io.answer.head(StatusLine::said(head.status, &head.reason), &head.headers, length);
        self.stage = Stage::Body { left: length.filter(|_| !omits) };
        if omits { Ok(()) } else { self.write(body, io) }
    }

    /// Writes part of the body: no more than was promised.
    fn write(&mut self, piece: &[u8], io: &mut ExchangeIo<'_>) -> Result<(), HttpError> {
        let Stage::Body { left } = &mut self.stage else { return Ok(()) };
        let Some(left) = left else { return io.answer.write(piece) };
        let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
        *left -= fits as u64;
        io.answer.write(piece.get(..fits).unwrap_or_default())?;
        if fits < piece.len() {
            return Err(broken("it is longer than its Content-Length"));
        }
        Ok(())
    }

    /// The script has said all, or all that anybody wants.
    fn finish(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        if !self.has_kept_length()
            && let Some(ending) = self.run.ended.get().filter(|ending| was_cut(*ending))
        {
            let how = format!("{}: {ending}, in the middle of its answer", self.run.name);
            return Err(HttpError::new(Status::BAD_GATEWAY, how));
        }
        match std::mem::replace(&mut self.stage, Stage::Body { left: None }) {
            Stage::Head { .. } => return Err(self.headless()),
            Stage::Whole { head, body } => {
                self.start_body(head, &body, Some(body.len() as u64), io)?;
            }
            Stage::Body { left: Some(1..) } => {
                return Err(broken("it is shorter than its Content-Length"));
            }
            Stage::Body { .. } => {}
        }
        io.answer.finish()?;
        Ok(Step::Done)
    }

    /// Whether all of the answer is there by its own word, however the script ends.
    fn has_kept_length(&self) -> bool {
        match &self.stage {
            Stage::Head { .. } => false,
            Stage::Whole { head, body } => head.length == Some(body.len() as u64),
            Stage::Body { left } => *left == Some(0),
        }
    }

    /// When its silence ends, if it is the script that is waited for.
    fn watch(
        &mut self,
        client_is_slow: bool,
        timeout: Duration,
        io: &ExchangeIo<'_>,
        cx: &Cx,
    ) -> Result<Option<Instant>, HttpError> {
        let takes_more = |feed: &Feed| feed.kept.is_none() && feed.pipe.is_writable();
        let body_is_missing = self.feed.as_ref().is_some_and(takes_more) && !io.body.is_finished();
        if client_is_slow || body_is_missing {
            // The connection has time limits of its own for that.
            self.active = cx.now();
            return Ok(None);
        }
        let due = self.active + timeout;
        if due <= cx.now() {
            let reason = format!("{} said nothing for {} s", self.run.name, timeout.as_secs_f32());
            return Err(HttpError::fatal(Status::GATEWAY_TIMEOUT, reason));
        }
        Ok(Some(due))
    }

    /// Its output has ended. Scripts themselves end right after that.
    fn wait_for_end(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        let until = *self.closed.get_or_insert(cx.now() + CLOSING);
        if self.run.ended.get().is_some() || until <= cx.now() || self.has_kept_length() {
            return self.finish(io);
        }
        Ok(Step::Wait(io.until(until)))
    }

    /// It said nothing that is an answer.
    fn headless(&self) -> HttpError {
        let how = match self.run.ended.get() {
            Some(ending) => format!("{}: {ending}, without a complete header", self.run.name),
            None => format!("{}: its output has no complete header", self.run.name),
        };
        HttpError::new(Status::BAD_GATEWAY, how)
    }

    /// The answer is complete. What the script still does is its own business, for a while.
    pub(super) fn leave(&mut self, scripts: &Scripts, cx: &mut Cx) {
        let timeout = scripts.setup.cgi.limits.timeout;
        self.hear_last_words(scripts, cx);
        self.run.waker.take();
        cx.dismiss_at(self.child, cx.now() + timeout);
    }

    pub(super) fn abort(&mut self, scripts: &Scripts, cx: &mut Cx) {
        self.hear_last_words(scripts, cx);
        self.run.waker.take();
        self.run.dismissed.set(true);
        cx.dismiss(self.child);
    }

    /// What it said to its standard error since that was read, before its output was.
    fn hear_last_words(&mut self, scripts: &Scripts, cx: &mut Cx) {
        let mut scratch = scripts.scratch.borrow_mut();
        scratch.resize(SCRATCH, 0);
        self.stderr.read(&mut scratch, cx);
        self.stderr.finish(cx);
    }
}

/// Whether it was ended by something else than itself. A shell says so of its last command with
/// 128 and the number of the signal; that a command has nobody to write to (SIGPIPE) is usual.
/// Any other code is its own business: those of many scripts are those of a last command that was a
/// test, and no server looks at them.
fn was_cut(ending: Ending) -> bool {
    match ending {
        Ending::Signalled(_) => true,
        Ending::Exited(code) => (129..=192).contains(&code) && code != 128 + SIGPIPE,
    }
}

fn bad(why: &'static str) -> HttpError {
    HttpError::new(Status::BAD_GATEWAY, format!("the script's answer is none: {why}"))
}

pub(super) fn broken(why: &'static str) -> HttpError {
    HttpError::fatal(Status::BAD_GATEWAY, format!("the script's answer is broken: {why}"))
}
