//! A request that an application answers: a worker gets all of it at once, and its answer is passed on as
//! fast as the client takes it.

use super::heads::{Judged, broken, headers_for_elsewhere};
use super::job::{Inbox, Job, JobBody};
use super::service::AppService;
use super::wire::{self, BodyKind, Call};
use crate::event::Cx;
use crate::event::admission;
use crate::handlers::gateway::{Backend, Begun, Environ, RequestBody, Spool, Spooled};
use crate::http::{BodyLength, HttpError, Method, Status, StatusLine};
use crate::net::FileSlice;
use crate::serve::{Answer, Body, ExchangeIo, Head, InternalRedirect, Request, Response, Step};
use std::ops::Range;
use std::rc::Rc;

/// A body that is longer than this goes to the worker as a file, whatever may wait in memory.
const INLINE_MAX: usize = 1024 * 1024;

/// The workers that answer a request.
pub(super) struct Workers {
    pub(super) service: Rc<AppService>,
    pub(super) place: Place,
}

/// A request that they were given.
pub(super) struct AppCall {
    job: Rc<Job>,
    /// The head is sent, and the body is on its way.
    is_begun: bool,
}

/// Where an application answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The first name of its host.
    pub(super) server_name: Option<Rc<str>>,
    /// The page of the request, seen from the folder of the pages.
    pub(super) page: Option<Vec<u8>>,
}

impl Workers {
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
    fn answer(
        &self,
        call: &mut AppCall,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        let job = &call.job;
        let Some((status, judged)) = job.inbox(|inbox| inbox.head.take()) else {
            return match job.inbox(|inbox| inbox.end.take()) {
                Some(Err(error)) => Err(error),
                Some(Ok(())) => Err(broken("no answer at all")),
                None => Ok(Step::Wait(job.waker.until())),
            };
        };
        if let Some(location) = &judged.elsewhere {
            self.service.cancel(job, cx);
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
            self.service.cancel(job, cx);
            io.answer.finish()?;
            return Ok(Step::Done);
        }
        call.is_begun = true;
        self.stream(&call.job, io, cx)
    }

    /// Passes on what has come, as far as there is room.
    fn stream(
        &self,
        job: &Rc<Job>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        loop {
            if io.answer.room() == 0 {
                // Nothing of an answer that was cut is left to wait with.
                let is_cut = |end: &mut Result<(), _>| end.is_err();
                let cut = job.inbox(|inbox| match inbox.body.is_empty() {
                    true => inbox.end.take_if(is_cut),
                    false => None,
                });
                let wait = Step::Wait(io.answer.until_room());
                return cut.map_or(Ok(()), |end| end).map(|()| wait);
            }
            let answer = &mut io.answer;
            let (moved, was_full) = job.inbox(|inbox| {
                let was_full = inbox.body.is_full();
                let moved = pass_on(inbox, answer);
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

impl Backend for Workers {
    type Call = AppCall;

    const STREAMS: bool = false;

    const PLACE: &'static str = "worker";

    /// Asks the pool, which has a queue of its own: a worker takes several requests at once.
    fn begin(
        &mut self,
        body: RequestBody,
        _: Option<admission::Place>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Begun<AppCall>, HttpError> {
        let request = io.request;
        // Also where the request says that it has a body of no bytes.
        let says_none = request.body_length != BodyLength::None && !request.is_redirected();
        let length = body.length().or_else(|| says_none.then_some(0));
        let body = match body {
            // A frame may be as long as it has to, where there is no room for a file.
            RequestBody::Gathered(Spooled::Memory(bytes)) if bytes.len() > INLINE_MAX => {
                Spool::filed(bytes, cx)?
            }
            RequestBody::Gathered(body) => body,
            RequestBody::None | RequestBody::Streamed(_) => Spooled::Memory(Vec::new()),
        };
        let job = self.service.admit(io.task, request.peer, cx)?;
        let (bytes, kind, file) = match body {
            Spooled::Memory(_) if length.is_none() => (Vec::new(), BodyKind::None, None),
            Spooled::Memory(bytes) => (bytes, BodyKind::Inline, None),
            Spooled::File { file, reserved, .. } => {
                let body = JobBody { file: Rc::new(file), _reserved: reserved };
                (Vec::new(), BodyKind::File, Some(body))
            }
        };
        let writer = self.describe(request, length);
        let head_only = request.head.method() == Method::Head;
        let Some(call) = writer.finish(&bytes, kind, head_only) else {
            self.service.cancel(&job, cx);
            return Err(HttpError::new(Status::BAD_REQUEST, "a NUL in a header"));
        };
        job.fill(call, file);
        Ok(Begun::Call(AppCall { job, is_begun: false }))
    }

    fn advance(
        &mut self,
        call: &mut AppCall,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        match call.is_begun {
            true => self.stream(&call.job, io, cx),
            false => self.answer(call, io, cx),
        }
    }

    fn abort(&mut self, call: AppCall, cx: &mut Cx) {
        self.service.cancel(&call.job, cx);
    }
}

/// Passes on what there is room for. `false`: nothing is left.
fn pass_on(inbox: &mut Inbox, answer: &mut Answer<'_>) -> Result<bool, HttpError> {
    if inbox.body.pass_on(answer)? {
        return Ok(true);
    }
    let Some(mut slice) = inbox.file.take() else { return Ok(false) };
    // Of a file, as much is sent as was promised (PEP 3333).
    slice.len = slice.len.min(answer.left().unwrap_or(u64::MAX));
    answer.file(slice).map(|()| true)
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
