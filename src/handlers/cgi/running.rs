//! A script at work: its body goes in, its answer comes out, and it ends in any case.

use super::{Run, SCRATCH, SIGPIPE, Scripts};
use crate::event::{ChildId, Cx, Source};
use crate::handlers::gateway::{Feed, Relay, Silence, StderrReader};
use crate::http::HttpError;
use crate::serve::{ExchangeIo, InternalRedirect, Step};
use crate::sys::process::Ending;
use crate::sys::spool_budget::Reservation;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A script at work.
pub(super) struct Running {
    pub(super) child: ChildId,
    pub(super) run: Rc<Run>,
    pub(super) feed: Option<Feed<File>>,
    pub(super) output: Source<File>,
    pub(super) stderr: StderrReader,
    pub(super) relay: Relay,
    pub(super) silence: Silence,
    /// What its body occupies on the disk.
    pub(super) _reserved: Option<Reservation>,
    /// Its output has ended: until when its own end is waited for, for only that says whether it was
    /// done.
    pub(super) closed: Option<Instant>,
}

/// How reading went.
enum Flow {
    /// The script says nothing now.
    Silent,
    /// The client takes nothing now.
    Full,
    /// Its output has ended.
    Ended,
    /// What else it says is left away.
    Enough,
    /// Something else answers.
    Elsewhere(InternalRedirect),
}

/// How long a script may take to end after its output has. One that is killed closes its output a
/// moment before its end is known; one that goes on after it has closed its output was done.
const CLOSING: Duration = Duration::from_secs(1);

impl Running {
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
        let (is_full, until) = match flow {
            Flow::Elsewhere(to) => return Ok(Step::Redirect(to)),
            Flow::Enough => return self.finish(io),
            Flow::Ended => return self.wait_for_end(io, cx),
            // What it has started may hold the pipe; the script itself has said all.
            Flow::Silent if has_ended => return self.finish(io),
            Flow::Silent => (false, self.output.until_readable()),
            Flow::Full => (true, io.answer.until_room()),
        };
        if is_full || self.feed.as_ref().is_some_and(|feed| feed.waits_for_client(io)) {
            self.silence.end(cx.now());
            return Ok(if heard_all { Step::Wait(until) } else { Step::Again });
        }
        let due = self.silence.until(cx.now(), &self.run.name)?;
        Ok(if heard_all { Step::Wait(until.or(io.until(due))) } else { Step::Again })
    }

    /// Hands it its body, as far as it takes it.
    fn feed(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<(), HttpError> {
        if let Some(feed) = &mut self.feed
            && feed.advance(io, &mut self.silence, cx.now())?
        {
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
            if self.relay.is_enough(&io.answer) {
                return Ok(Flow::Enough);
            }
            let room = self.relay.room(&io.answer).min(scratch.len());
            if room == 0 {
                return Ok(Flow::Full);
            }
            match self.output.read(scratch.get_mut(..room).unwrap_or_default()) {
                Ok(n) => {
                    self.silence.end(cx.now());
                    let piece = scratch.get(..n).unwrap_or_default();
                    if piece.is_empty() {
                        return Ok(Flow::Ended);
                    }
                    if let Some(to) = self.relay.take(piece, &mut io.answer)? {
                        return Ok(Flow::Elsewhere(to));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.relay.pause(&mut io.answer)?;
                    return match self.relay.is_enough(&io.answer) {
                        true => Ok(Flow::Enough),
                        false => Ok(Flow::Silent),
                    };
                }
                Err(error) => {
                    let how = format!("its output cannot be read: {error}");
                    return Err(self.relay.broken(&how));
                }
            }
        }
    }

    /// The script has said all, or all that is wanted.
    fn finish(&mut self, io: &mut ExchangeIo<'_>) -> Result<Step, HttpError> {
        let ended = self.run.ended.get();
        if let Some(ending) = ended.filter(|ending| was_cut(*ending))
            && !self.relay.has_kept_length(&io.answer)
        {
            return Err(self.relay.broken(&format!("{ending}, in the middle of its answer")));
        }
        if !self.relay.has_head() {
            return Err(self.relay.broken(&match ended {
                Some(ending) => format!("{ending}, without a complete header"),
                None => "its output has no complete header".to_owned(),
            }));
        }
        self.relay.finish(&mut io.answer)?;
        Ok(Step::Done)
    }

    /// Its output has ended. Scripts themselves end right after that.
    fn wait_for_end(&mut self, io: &mut ExchangeIo<'_>, cx: &Cx) -> Result<Step, HttpError> {
        let until = *self.closed.get_or_insert(cx.now() + CLOSING);
        let has_ended = self.run.ended.get().is_some() || until <= cx.now();
        match has_ended || self.relay.has_kept_length(&io.answer) {
            true => self.finish(io),
            false => Ok(Step::Wait(io.until(until))),
        }
    }

    /// The answer is complete. What the script still does is its own business, for a while.
    pub(super) fn leave(mut self, scripts: &Scripts, cx: &mut Cx) {
        let timeout = scripts.setup.cgi.limits.timeout;
        self.hear_last_words(scripts, cx);
        self.run.waker.take();
        cx.dismiss_at(self.child, cx.now() + timeout);
    }

    pub(super) fn abort(mut self, scripts: &Scripts, cx: &mut Cx) {
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
