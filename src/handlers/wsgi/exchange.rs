//! A request that an application answers: its body is gathered, the pool asked, the answer passed
//! on as fast as the client takes it.

use super::backlog::Piece;
use super::heads::{Judged, broken, headers_for_elsewhere};
use super::job::{Inbox, Job, JobBody};
use super::service::AppService;
use super::wire::{self, BodyKind, Call};
use crate::event::{Cx, Until};
use crate::handlers::gateway::{Environ, Gather, Spool, Spooled};
use crate::http::{BodyLength, HttpError, Method, Status, StatusLine};
use crate::net::FileSlice;
use crate::serve::{
    Abort, Body, Exchange, ExchangeIo, Head, InternalRedirect, Request, Response, Step,
};
use std::ops::Range;
use std::rc::Rc;

/// A body that is longer than this goes to the worker as a file, whatever may wait in memory.
const INLINE_MAX: usize = 1024 * 1024;

/// A request and its way through a pool.
pub(super) struct AppExchange {
    service: Rc<AppService>,
    place: Place,
    stage: Stage,
}

/// Where an application answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The first name of its host.
    pub(super) server_name: Option<Rc<str>>,
    /// The page of the request, seen from the folder of the pages.
    pub(super) page: Option<Vec<u8>>,
}

enum Stage {
    /// Its body is still coming.
    Gathering(Gather),
    /// The pool has it.
    Waiting(Rc<Job>),
    /// The head is sent, and the body is on its way.
    Streaming(Rc<Job>),
    Over,
}

impl AppExchange {
    pub(super) fn new(service: Rc<AppService>, place: Place, spool_above: u64) -> Self {
        Self { service, place, stage: Stage::Gathering(Gather::spool(spool_above)) }
    }

    /// All of the body is there: asks the pool.
    fn submit(
        &mut self,
        body: Gather,
        io: &ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Until, HttpError> {
        let request = io.request;
        let has_body = request.body_length != BodyLength::None && !request.is_redirected();
        let spooled = body.spooled()?;
        let length = spooled.len();
        let spooled = match spooled {
            // A frame may be as long as it has to, where there is no room for a file.
            Spooled::Memory(bytes) if bytes.len() > INLINE_MAX => Spool::filed(bytes, cx)?,
            spooled => spooled,
        };
        let job = self.service.admit(io.task, io.request.peer, cx)?;
        let (bytes, kind, file) = match spooled {
            Spooled::Memory(_) if !has_body => (Vec::new(), BodyKind::None, None),
            Spooled::Memory(bytes) => (bytes, BodyKind::Inline, None),
            Spooled::File { file, reserved, .. } => (
                Vec::new(),
                BodyKind::File,
                Some(JobBody { file: Rc::new(file), _reserved: reserved }),
            ),
        };
        let writer = self.describe(request, (kind != BodyKind::None).then_some(length));
        let head_only = request.head.method() == Method::Head;
        let call = writer.finish(&bytes, kind, head_only);
        let Some(call) = call else {
            self.service.cancel(&job, cx);
            return Err(HttpError::new(Status::BAD_REQUEST, "a NUL in a header"));
        };
        job.fill(call, file);
        let until = job.waker.until();
        self.stage = Stage::Waiting(job);
        Ok(until)
    }

    /// The environment, as two blocks.
    fn describe(&self, request: &Request, length: Option<u64>) -> wire::CallWriter {
        let mut writer = Call::begin(self.service.memory());
        let path = request.path();
        // `/` is mounted at "", `/blog/` and `/blog` at "/blog".
        let mount = path.get(..request.mount).unwrap_or(path);
        let script_name = mount.strip_suffix(b"/").unwrap_or(mount);
        let environ = Environ {
            request,
            server_name: self.place.server_name.as_deref(),
            script_name,
            path_info: &request.info_below(script_name.len()),
            content_length: length,
            authorization: !request.credentials_checked,
        };
        let mut values = self.service.memory();
        let mut own: [Range<usize>; OWN.len()] = Default::default();
        environ.each(&mut |name, value| {
            if let Some(place) = OWN.iter().position(|own| own.as_bytes() == name) {
                let start = values.len();
                values.extend_from_slice(value);
                if let Some(range) = own.get_mut(place) {
                    *range = start..values.len();
                }
            } else if name == b"REQUEST_SCHEME" {
                writer.pair(b"wsgi.url_scheme", value);
                writer.pair(name, value);
            } else {
                writer.pair(name, value);
            }
        });
        if let Some(page) = &self.place.page {
            writer.pair(b"httpyserver.page", page);
        }
        let own = own.map(|range| values.get(range).unwrap_or_default());
        let count = if length.is_some() { OWN.len() } else { OWN.len() - 1 };
        writer.own(own.get(..count).unwrap_or_default());
        self.service.give_memory(values);
        writer
    }

    /// The head has come, and perhaps all.
    fn begin(
        &mut self,
        job: Rc<Job>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        let Some((status, judged)) = job.inbox(|inbox| inbox.head.take()) else {
            let ended = job.inbox(|inbox| inbox.end.take());
            return match ended {
                Some(Err(error)) => Err(error),
                Some(Ok(())) => Err(broken("no answer at all")),
                None => {
                    let until = job.waker.until();
                    self.stage = Stage::Waiting(job);
                    Ok(Step::Wait(until))
                }
            };
        };
        if let Some(location) = &judged.elsewhere {
            self.service.cancel(&job, cx);
            let Some(mut elsewhere) = InternalRedirect::to(location) else {
                let what =
                    "X-Accel-Redirect and X-Sendfile name a path of this host, beginning with /";
                return Err(broken(what));
            };
            elsewhere.headers = headers_for_elsewhere(&judged.headers);
            return Ok(Step::Redirect(elsewhere));
        }
        let omits = io.answer.omits_body() || !status.may_have_body();
        if !omits && let Some(response) = job.inbox(|inbox| whole(inbox, status, &judged))? {
            return Ok(Step::Respond(response));
        }
        let mut length = judged.length;
        if length.is_none() && !omits {
            length = job.inbox(|inbox| length_now(inbox));
        }
        io.answer.head(StatusLine::said(status, &judged.reason), &judged.headers, length);
        if omits {
            // What it goes on to say, nobody wants.
            self.service.cancel(&job, cx);
            io.answer.finish()?;
            return Ok(Step::Done);
        }
        self.stage = Stage::Streaming(job.clone());
        self.stream(&job, io, cx)
    }

    /// Passes on what has come, as far as there is room.
    fn stream(
        &self,
        job: &Rc<Job>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        loop {
            let room = io.answer.room();
            if room == 0 {
                // Nothing of an answer that was cut is left to wait with.
                let cut = job
                    .inbox(|inbox| inbox.end.take_if(|end| end.is_err() && inbox.body.len() == 0));
                let wait = Step::Wait(io.answer.until_room());
                return cut.map_or(Ok(()), |end| end).map(|()| wait);
            }
            let answer = &mut io.answer;
            let (moved, was_full) = job.inbox(|inbox| {
                let was_full = inbox.body.is_full();
                let moved = match inbox.body.take(room) {
                    Piece::Memory(bytes) => answer.write(bytes).map(|()| true),
                    Piece::File(slice) => answer.file(slice).map(|()| true),
                    Piece::Nothing => match inbox.file.take() {
                        Some(mut slice) => {
                            // Of a file, as much is sent as was promised (PEP 3333).
                            slice.len = slice.len.min(answer.left().unwrap_or(u64::MAX));
                            answer.file(slice).map(|()| true)
                        }
                        None => Ok(false),
                    },
                };
                (moved, was_full && !inbox.body.is_full())
            });
            if was_full {
                self.service.resume(cx);
            }
            if moved? {
                continue;
            }
            return match job.inbox(|inbox| inbox.end.take()) {
                None => Ok(Step::Wait(job.waker.until())),
                Some(Ok(())) => {
                    io.answer.finish()?;
                    Ok(Step::Done)
                }
                Some(Err(error)) => Err(error),
            };
        }
    }
}

impl Exchange for AppExchange {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Gathering(mut body) => {
                let rest = if io.request.is_redirected() { None } else { body.advance(io, cx)? };
                Ok(Step::Wait(match rest {
                    None => self.submit(body, io, cx)?,
                    Some(until) => {
                        self.stage = Stage::Gathering(body);
                        until
                    }
                }))
            }
            Stage::Waiting(job) => self.begin(job, io, cx),
            Stage::Streaming(job) => {
                self.stage = Stage::Streaming(job.clone());
                self.stream(&job, io, cx)
            }
            Stage::Over => Err(broken("it is over")),
        }
    }

    fn abort(&mut self, _: Abort, cx: &mut Cx) {
        if let Stage::Waiting(job) | Stage::Streaming(job) =
            std::mem::replace(&mut self.stage, Stage::Over)
        {
            self.service.cancel(&job, cx);
        }
    }
}

/// The values that differ from request to request, in the order that `worker.py` knows; the last one
/// only with a body.
const OWN: [&str; 5] =
    ["PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REMOTE_PORT", "CONTENT_LENGTH"];

/// The answer, if all of it is there, in memory.
fn whole(
    inbox: &mut Inbox,
    status: Status,
    judged: &Judged,
) -> Result<Option<Response>, HttpError> {
    if !matches!(inbox.end, Some(Ok(()))) || inbox.file.is_some() {
        return Ok(None);
    }
    // A head without a length says the standard phrase here.
    let says_own = StatusLine::said(status, &judged.reason) != status.into();
    if says_own && judged.prepared.is_none() {
        return Ok(None);
    }
    let there = inbox.body.len();
    if let Some(promised) = judged.length.filter(|promised| *promised != there) {
        return Err(broken(&format!("a Content-Length of {promised} and {there} bytes of body")));
    }
    let Some(body) = inbox.body.take_all() else { return Ok(None) };
    let body = if body.is_empty() { Body::Empty } else { Body::Bytes(body.into()) };
    Ok(Some(match &judged.prepared {
        Some(head) => Response::prepared(head, body),
        None => Response { status, head: Head::Fields(judged.headers.clone()), body },
    }))
}

/// The length of a body that is complete, in a file or not.
fn length_now(inbox: &Inbox) -> Option<u64> {
    let file = inbox.file.as_ref().map_or(0, |slice: &FileSlice| slice.len);
    matches!(inbox.end, Some(Ok(()))).then(|| inbox.body.len() + file)
}
