//! A request that an application answers: its body is gathered, the pool asked, the answer passed
//! on as fast as the client takes it.

use super::job::{Inbox, Job, Piece};
use super::pool::Pool;
use super::wire::{self, BodyKind, Call};
use crate::event::Cx;
use crate::handlers::gateway::fields::{Field, judge};
use crate::handlers::gateway::{Environ, Spool, Spooled};
use crate::http::{BodyLength, Headers, HttpError, Known, Method, Status};
use crate::net::FileSlice;
use crate::serve::{Abort, Body, Exchange, ExchangeIo, Head, Request, Reroute, Response, Step};
use std::ops::Range;
use std::rc::Rc;

/// A body that is longer than this goes to the worker as a file, whatever may wait in memory.
const INLINE_MAX: usize = 1024 * 1024;

/// A request and its way through a pool.
pub(super) struct AppExchange {
    pool: Rc<Pool>,
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
    Gathering(Spool),
    /// The pool has it.
    Waiting(Rc<Job>),
    /// The head is sent, and the body is on its way.
    Streaming(Rc<Job>),
    Over,
}

/// The head of an answer, judged.
struct Judged {
    headers: Headers,
    length: Option<u64>,
    /// Where the answer really is.
    elsewhere: Option<Vec<u8>>,
}

impl AppExchange {
    pub(super) fn new(pool: Rc<Pool>, place: Place, spool_above: u64) -> Self {
        Self { pool, place, stage: Stage::Gathering(Spool::new(spool_above)) }
    }

    /// All of the body is there: asks the pool.
    fn submit(&mut self, spool: Spool, io: &ExchangeIo<'_>, cx: &mut Cx) -> Result<(), HttpError> {
        let request = io.request;
        let announced = !matches!(request.framing.body, BodyLength::None)
            || request.head.get(Known::ContentLength).is_some();
        let has_body = announced && !request.is_rerouted();
        let length = spool.len();
        let spooled = match spool.finish()? {
            Spooled::Memory(bytes) if bytes.len() > INLINE_MAX => {
                let mut file = Spool::new(0);
                let kept =
                    |error| HttpError::fatal(Status::INSUFFICIENT_STORAGE, format!("{error}"));
                file.push(&bytes).map_err(kept)?;
                file.finish()?
            }
            spooled => spooled,
        };
        self.pool.admit(cx.now())?;
        let writer = self.describe(request, has_body.then_some(length));
        let head_only = request.head.method() == Method::Head;
        let (call, file) = match spooled {
            Spooled::Memory(bytes) => {
                let kind = if has_body { BodyKind::Inline } else { BodyKind::None };
                (writer.finish(&bytes, kind, head_only), None)
            }
            Spooled::File { file, .. } => {
                (writer.finish(b"", BodyKind::File, head_only), Some(Rc::new(file)))
            }
        };
        let job = Rc::new(Job::new(io.id, call, file, cx.now()));
        self.pool.submit(job.clone(), cx);
        self.stage = Stage::Waiting(job);
        Ok(())
    }

    /// The environment, as two blocks.
    fn describe(&self, request: &Request, length: Option<u64>) -> wire::CallWriter {
        let mut writer = Call::begin(self.pool.memory());
        let path = request.path();
        // `/` is mounted at "", `/blog/` and `/blog` at "/blog".
        let mount = path.get(..request.mount).unwrap_or(path);
        let script_name = mount.strip_suffix(b"/").unwrap_or(mount);
        let environ = Environ {
            request,
            server_name: self.place.server_name.as_deref(),
            script_name,
            path_info: path.get(script_name.len()..).unwrap_or_default(),
            content_length: length,
            authorization: true,
        };
        let mut values = Vec::with_capacity(256);
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
        writer.own(&own.map(|range| values.get(range).unwrap_or_default()));
        writer
    }

    /// The head has come, and perhaps all.
    fn begin(
        &mut self,
        job: Rc<Job>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        let Some((status, fields)) = job.inbox(|inbox| inbox.head.take()) else {
            let ended = job.inbox(|inbox| inbox.end.take());
            return match ended {
                Some(Err(error)) => Err(error),
                Some(Ok(())) => Err(broken("no answer at all")),
                None => {
                    *io.wake_expected = true;
                    self.stage = Stage::Waiting(job);
                    Ok(Step::Wait)
                }
            };
        };
        let judged = match judge_all(&fields) {
            Ok(judged) => judged,
            Err(error) => {
                self.pool.cancel(&job);
                return Err(error);
            }
        };
        if let Some(location) = &judged.elsewhere {
            self.pool.cancel(&job);
            let elsewhere = Reroute::to(location);
            return elsewhere.map(Step::Reroute).ok_or_else(|| {
                broken("X-Accel-Redirect and X-Sendfile name a path of this host, beginning with /")
            });
        }
        let omits = io.answer.omits_body() || !status.may_have_body();
        if !omits && let Some(response) = job.inbox(|inbox| whole(inbox, status, &judged))? {
            return Ok(Step::Respond(response));
        }
        let mut length = judged.length;
        if length.is_none() && !omits {
            length = job.inbox(|inbox| length_now(inbox));
        }
        io.answer.head(status, &judged.headers, length);
        if omits {
            // What it goes on to say, nobody wants.
            self.pool.cancel(&job);
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
                return Ok(Step::Wait);
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
                self.pool.resume(cx);
            }
            if moved? {
                continue;
            }
            return match job.inbox(|inbox| inbox.end.take()) {
                None => {
                    *io.wake_expected = true;
                    Ok(Step::Wait)
                }
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
            Stage::Gathering(mut spool) => {
                if io.request.is_rerouted() || spool.gather(&mut io.body)? {
                    self.submit(spool, io, cx)?;
                    *io.wake_expected = true;
                } else {
                    self.stage = Stage::Gathering(spool);
                }
                Ok(Step::Wait)
            }
            Stage::Waiting(job) => self.begin(job, io, cx),
            Stage::Streaming(job) => {
                self.stage = Stage::Streaming(job.clone());
                self.stream(&job, io, cx)
            }
            Stage::Over => Err(broken("it is over")),
        }
    }

    fn abort(&mut self, _: Abort, _: &mut Cx) {
        if let Stage::Waiting(job) | Stage::Streaming(job) =
            std::mem::replace(&mut self.stage, Stage::Over)
        {
            self.pool.cancel(&job);
        }
    }
}

/// The values that differ from request to request, in the order that `worker.py` knows.
const OWN: [&str; 6] =
    ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REMOTE_PORT", "CONTENT_LENGTH"];

/// Header lines of one connection, which applications must not send (PEP 3333, RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Looks at every header line of an answer.
fn judge_all(fields: &[u8]) -> Result<Judged, HttpError> {
    let mut judged = Judged { headers: Headers::new(), length: None, elsewhere: None };
    for pair in wire::fields(fields) {
        let (name, value) = pair.ok_or_else(|| broken("a header without a value"))?;
        let value = value.trim_ascii();
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let shown = || name.escape_ascii().to_string();
        match judge(name, value) {
            None => return Err(broken(&format!("the header {:?} cannot be sent", shown()))),
            _ if HOP_BY_HOP.iter().any(|other| is(other)) => {
                let why = format!("the hop-by-hop header {}, which PEP 3333 forbids", shown());
                return Err(broken(&why));
            }
            Some(Field::ContentLength) => {
                let length =
                    digits(value).ok_or_else(|| broken("a Content-Length that is none"))?;
                if judged.length.is_some_and(|other| other != length) {
                    return Err(broken("two different Content-Lengths"));
                }
                judged.length = Some(length);
            }
            Some(Field::Keep) if is("X-Accel-Redirect") || is("X-Sendfile") => {
                judged.elsewhere = Some(value.to_vec());
            }
            Some(Field::Keep) => {
                if let Ok(name) = std::str::from_utf8(name) {
                    judged.headers.push(name, value);
                }
            }
            Some(Field::Drop | Field::TransferEncoding) => {}
        }
    }
    Ok(judged)
}

/// A length: digits and nothing else.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The answer, if all of it is there, in memory.
fn whole(
    inbox: &mut Inbox,
    status: Status,
    judged: &Judged,
) -> Result<Option<Response>, HttpError> {
    if !matches!(inbox.end, Some(Ok(()))) || inbox.file.is_some() {
        return Ok(None);
    }
    let there = inbox.body.len();
    if let Some(promised) = judged.length.filter(|promised| *promised != there) {
        return Err(broken(&format!("a Content-Length of {promised} and {there} bytes of body")));
    }
    let Some(body) = inbox.body.take_all() else { return Ok(None) };
    Ok(Some(Response {
        status,
        head: Head::Fields(judged.headers.clone()),
        body: if body.is_empty() { Body::Empty } else { Body::Bytes(body.into()) },
    }))
}

/// The length of a body that is complete, in a file or not.
fn length_now(inbox: &Inbox) -> Option<u64> {
    let file = inbox.file.as_ref().map_or(0, |slice: &FileSlice| slice.len);
    matches!(inbox.end, Some(Ok(()))).then(|| inbox.body.len() + file)
}

fn broken(how: &str) -> HttpError {
    HttpError::new(Status::BAD_GATEWAY, format!("the application's answer is broken: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_are_judged() {
        let judged = judge_all(
            b"Content-Type\0text/x\0Set-Cookie\0a=1\0set-cookie\0b=2\0Date\0x\0\
            Content-Length\x0012\0X-Latin\0caf\xe9",
        )
        .unwrap();
        assert_eq!(
            judged.headers.as_bytes(),
            b"Content-Type: text/x\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Latin: caf\xe9\r\n"
        );
        assert_eq!((judged.length, judged.elsewhere), (Some(12), None));
        let judged = judge_all(b"x-accel-redirect\0/files/a").unwrap();
        assert_eq!(judged.elsewhere.as_deref(), Some(&b"/files/a"[..]));
        for bad in [
            &b"Connection\0close"[..],
            b"transfer-encoding\0chunked",
            b"Upgrade\0h2c",
            b"A",
            b"A B\0c",
            b"A\0b\r\nC: d",
            b"Content-Length\0+1",
            b"Content-Length\x001\0Content-Length\x002",
            b"Content-Length\x0099999999999999999999",
            b"Content-Length\0",
        ] {
            assert!(judge_all(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
