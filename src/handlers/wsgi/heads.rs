//! The heads of answers: what may an application say, and what becomes of it?
//!
//! Applications say the same again and again. What was made of a head is kept, so that seeing it
//! once more costs one look-up and a comparison.

use super::wire;
use crate::http::{Headers, HttpError, Status, StatusLine};
use crate::http1::fields::{Field, judge};
use crate::serve::PreparedHead;
use std::hash::Hasher;
use std::rc::Rc;

/// The head of an answer, judged.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What it says of its status.
    pub(super) reason: Vec<u8>,
    /// Its lines, without those that are ours to say.
    pub(super) headers: Headers,
    /// The length it promises.
    pub(super) length: Option<u64>,
    /// Where the answer really is.
    pub(super) elsewhere: Option<Vec<u8>>,
    /// The head as it is sent, if the length is known.
    pub(super) prepared: Option<Rc<PreparedHead>>,
}

/// Heads that were judged, by where their bytes lead.
pub(super) struct Heads {
    kept: Vec<Option<Kept>>,
}

struct Kept {
    status: Status,
    fields: Vec<u8>,
    judged: Rc<Judged>,
}

/// Heads that are kept; a power of two.
const KEPT: usize = 64;

/// The longest head that is kept.
const KEPT_LEN: usize = 1024;

impl Default for Heads {
    fn default() -> Self {
        Self { kept: (0..KEPT).map(|_| None).collect() }
    }
}

impl Heads {
    /// Looks at every header line of an answer: `fields` as in [`wire::fields`].
    ///
    /// # Errors
    /// 502: one of them cannot be passed on.
    pub(super) fn judge(&mut self, status: Status, fields: &[u8]) -> Result<Rc<Judged>, HttpError> {
        let Some(place) = self.kept.get_mut(place_of(fields)) else {
            return judge_all(status, fields).map(Rc::new);
        };
        if let Some(kept) = place.as_ref().filter(|k| k.status == status && k.fields == fields) {
            return Ok(kept.judged.clone());
        }
        let judged = Rc::new(judge_all(status, fields)?);
        if fields.len() <= KEPT_LEN {
            let fields = fields.to_vec();
            *place = Some(Kept { status, fields, judged: judged.clone() });
        }
        Ok(judged)
    }
}

/// Where a head would be. It takes the place of the one that is there, so that a bad sequence of
/// heads costs no more than judging them.
fn place_of(fields: &[u8]) -> usize {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(fields);
    hasher.finish() as usize % KEPT
}

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

fn judge_all(status: Status, fields: &[u8]) -> Result<Judged, HttpError> {
    let (reason, pairs) = wire::fields(fields);
    let mut judged = Judged { reason: reason.to_vec(), ..Judged::default() };
    for pair in pairs {
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
            Some(Field::ContentLength(length)) => {
                let length = length.ok_or_else(|| broken("a Content-Length that is none"))?;
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
    if let Some(length) = judged.length.filter(|_| status.may_have_body()) {
        let line = StatusLine::said(status, reason);
        judged.prepared = Some(PreparedHead::new(line, &judged.headers, length, &Headers::new()));
    }
    Ok(judged)
}

/// Of what an application says with `X-Accel-Redirect`, that which a file cannot know.
pub(super) fn headers_for_elsewhere(headers: &Headers) -> Headers {
    const KEPT: [&str; 5] =
        ["Cache-Control", "Content-Disposition", "Content-Language", "Set-Cookie", "Vary"];
    let mut kept = Headers::new();
    for (name, value) in headers.iter() {
        let known = KEPT.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if let Some(known) = known {
            kept.push(known, value);
        }
    }
    kept
}

/// 502: what an application has said is no answer.
pub(super) fn broken(how: &str) -> HttpError {
    HttpError::new(Status::BAD_GATEWAY, format!("the application's answer is broken: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a worker says: what is passed on has no line that the application did not name.
    #[test]
    fn damaged_heads_split_no_answer() {
        crate::http::mutation::damaged("wire", |stream, _| {
            let Ok(Some((wire::Frame::Answer { status, fields, .. }, _))) = wire::decode(stream)
            else {
                return;
            };
            let Ok(judged) = judge_all(status, fields) else { return };
            let others = headers_for_elsewhere(&judged.headers);
            for block in [judged.headers.as_bytes(), others.as_bytes()] {
                let ends = block.windows(2).filter(|pair| pair == b"\r\n").count();
                let marks = block.iter().filter(|byte| b"\r\n\0".contains(byte)).count();
                assert_eq!(marks, ends * 2);
            }
            assert!(
                judged.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case(b"connection"))
            );
        });
    }

    #[test]
    fn header_lines_are_judged() {
        let judged = judge_all(
            Status::OK,
            b"Fine\0Content-Type\0text/x\0Set-Cookie\0a=1\0set-cookie\0b=2\0Date\0x\0\
            Content-Length\x0012\0X-Latin\0caf\xe9",
        )
        .unwrap();
        let lines =
            &b"Content-Type: text/x\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Latin: caf\xe9\r\n"
                [..];
        assert_eq!(judged.headers.as_bytes(), lines);
        assert_eq!((judged.length, judged.elsewhere), (Some(12), None));
        let whole = [b"HTTP/1.1 200 Fine\r\n", lines, b"Content-Length: 12\r\n"].concat();
        assert_eq!(judged.prepared.as_ref().map(|head| head.http1()), Some(&*whole));
        let judged = judge_all(Status::OK, b"\0x-accel-redirect\0/files/a").unwrap();
        assert_eq!(judged.elsewhere.as_deref(), Some(&b"/files/a"[..]));
        for bad in [
            &b"\0Connection\0close"[..],
            b"\0transfer-encoding\0chunked",
            b"\0Upgrade\0h2c",
            b"\0A",
            b"\0A B\0c",
            b"\0A\0b\r\nC: d",
            b"\0Content-Length\0+1",
            b"\0Content-Length\x001\0Content-Length\x002",
            b"\0Content-Length\x0099999999999999999999",
            b"\0Content-Length\0",
        ] {
            assert!(judge_all(Status::OK, bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_head_without_length_or_body_is_not_prepared() {
        for (status, fields) in [
            (Status::OK, &b"OK\0Content-Type\0text/x"[..]),
            (Status::NO_CONTENT, b"\0Content-Length\x000"),
            (Status::NOT_MODIFIED, b"\0Content-Length\x0012"),
        ] {
            assert!(judge_all(status, fields).unwrap().prepared.is_none(), "{status:?}");
        }
    }

    #[test]
    fn what_is_kept_is_what_would_be_judged() {
        let mut heads = Heads::default();
        // Many more than there are places, twice, with one that is in between again and again.
        for n in (0..4 * KEPT).chain(0..4 * KEPT) {
            let fields = format!("\0X-N\0{n}\0Content-Length\0{n}").into_bytes();
            for status in [Status::OK, Status::NOT_FOUND] {
                let judged = heads.judge(status, &fields).unwrap();
                let want = judge_all(status, &fields).unwrap();
                assert_eq!(judged.headers, want.headers);
                assert_eq!((judged.length, &judged.prepared), (Some(n as u64), &want.prepared));
            }
            let same = heads.judge(Status::OK, b"\0A\x001").unwrap();
            assert_eq!(same.headers.as_bytes(), b"A: 1\r\n");
            assert!(heads.judge(Status::OK, b"\0Connection\0close").is_err());
        }
        let long = [b"\0X\0".to_vec(), vec![b'x'; 2 * KEPT_LEN]].concat();
        assert!(heads.judge(Status::OK, &long).is_ok());
        assert!(heads.kept.iter().flatten().all(|kept| kept.fields.len() <= KEPT_LEN));
    }
}
