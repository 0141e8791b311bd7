//! Clients: what they send, and what they have to get for it.

use super::reader::{self, Answer};
use super::rng::Rng;
use super::stage::{self, Act, Stage};
use std::collections::VecDeque;

/// A client: what it still has to send, and what it has asked for.
pub(super) struct Client {
    pub(super) outbox: VecDeque<Piece>,
    pub(super) asks: Vec<Ask>,
}

/// What a client does next.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// Waits a while for `100 Continue`.
    Hesitate,
    End,
    Reset,
}

/// One request and what it has to get.
#[derive(Debug)]
pub(super) struct Ask {
    act: Act,
    is_head: bool,
    is_http10: bool,
    body: Vec<u8>,
    /// The head, and the body as it is framed.
    text: (Vec<u8>, Vec<u8>),
    expects: bool,
    want: Want,
}

/// What has to come of a request.
#[derive(Debug)]
struct Want {
    statuses: Vec<u16>,
    /// `None`: whatever.
    body: Option<Vec<u8>>,
    closes: Closes,
    /// It may, or has to, break off.
    cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closes {
    /// Ends the connection and says so.
    Must,
    /// Leaves the connection open.
    Never,
    /// The connection may end after it, and then says so.
    May,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    May,
    Must,
}

/// Heads that get an error and nothing after it.
const BAD: [&str; 7] = [
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "\0\x01\x02\r\n\r\n",
    "GET  /x HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /Echo HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
    "GET /x HTTP/3.1\r\nHost: h\r\n\r\n",
];

impl Client {
    /// A client with up to six requests, of which the first has the number `n`.
    pub(super) fn random(rng: &mut Rng, n: usize, stage: &Stage) -> Self {
        let count = rng.below(7);
        let mut asks: Vec<_> =
            (0..count).map(|k| Ask::random(rng, n + k, k + 1 == count, stage)).collect();
        if rng.chance(10) {
            asks.push(Ask::bad(rng));
        }
        let mut client = Self { outbox: VecDeque::new(), asks };
        let mut text = Vec::new();
        for ask in &client.asks {
            text.extend_from_slice(&ask.text.0);
            if ask.expects && rng.chance(60) {
                client.outbox.push_back(Piece::Bytes(std::mem::take(&mut text)));
                client.outbox.push_back(Piece::Hesitate);
            }
            text.extend_from_slice(&ask.text.1);
        }
        let broken = client.asks.iter().any(|ask| ask.want.cut == Cut::May);
        let truncated = rng.chance(15);
        if truncated {
            text.truncate(rng.below(text.len() + 1));
            // From which request on something is missing is not looked into: anything goes.
            client.asks.iter_mut().for_each(|ask| ask.want.cut = Cut::May);
        }
        client.outbox.push_back(Piece::Bytes(text));
        match rng.below(100) {
            0..15 => client.outbox.push_back(Piece::End),
            15..20 => client.outbox.push_back(Piece::Reset),
            20..60 if truncated => client.outbox.push_back(Piece::Reset),
            _ if truncated || broken => client.outbox.push_back(Piece::End),
            _ => {}
        }
        client
    }

    /// The heads of its requests.
    pub(super) fn asked(&self) -> String {
        self.asks.iter().map(|ask| String::from_utf8_lossy(&ask.text.0)).collect()
    }

    /// Reads all that the client got. `whole`: nothing happened that excuses a missing answer.
    pub(super) fn check(&self, mut sent: &[u8], whole: bool) -> Result<(), String> {
        let mut excused = !whole;
        for ask in &self.asks {
            let mut answer = reader::take(&mut sent, ask.is_head);
            while answer.as_ref().is_some_and(|answer| answer.status == 100) {
                if !ask.expects {
                    return Err(format!("{ask:?} was told to continue"));
                }
                answer = reader::take(&mut sent, ask.is_head);
            }
            let Some(answer) = answer else {
                if ask.want.cut != Cut::May && !excused {
                    return Err(format!("{:?} got no answer", ask.act));
                }
                return Ok(());
            };
            if answer.status == 408 && !whole {
                break;
            }
            ask.check(&answer, whole).map_err(|why| {
                let body = ask.body.len();
                let (status, headers) = (answer.status, &answer.headers);
                format!("{why}: {:?}, body {body}: {status} {headers:?}", ask.act)
            })?;
            if !answer.complete || answer.says_close() {
                break;
            }
            // Who does not say that it closes answers the next request.
            excused |= ask.want.cut == Cut::May || ask.act.ends_badly();
        }
        if sent.is_empty() || !whole {
            return Ok(());
        }
        Err(format!("{} bytes too many: {:?}", sent.len(), String::from_utf8_lossy(sent)))
    }
}

impl Ask {
    fn random(rng: &mut Rng, n: usize, last: bool, stage: &Stage) -> Self {
        let mut act = rng.pick(&Act::ALL);
        // Those who end the connection leave the others little to do.
        if act.ends_badly() && !last {
            act = rng.pick(&Act::ALL);
        }
        let (is_head, is_http10) = (rng.chance(10), rng.chance(10));
        let body_len = if rng.chance(55) { 0 } else { rng.size() };
        let chunked = body_len > 0 && !is_http10 && rng.chance(40);
        let expects = body_len > 0 && !is_http10 && rng.chance(10);
        let closes = rng.chance(if last { 50 } else { 3 });
        let count_max = match act {
            Act::Flood => rng.pick(&[1000, 100_000, 300_000, 2 << 20]),
            Act::Slow => 60,
            Act::Midway | Act::MidwayFile => 2 * body_len + 1,
            _ => 5,
        };
        let (count, ms) = (rng.below(count_max), rng.below(40));
        let method = if is_head { "HEAD" } else { rng.pick(&["GET", "POST"]) };
        let version = if is_http10 { "1.0" } else { "1.1" };
        let mut head = format!(
            "{method} {}?n={n}&count={count}&ms={ms} HTTP/{version}\r\nHost: h\r\n",
            act.path()
        );
        let mut persistent = !is_http10;
        if closes {
            head += "Connection: close\r\n";
            persistent = false;
        } else if is_http10 && rng.chance(70) {
            head += "Connection: keep-alive\r\n";
            persistent = true;
        }
        if expects {
            head += "Expect: 100-continue\r\n";
        }
        let body = rng.bytes(body_len);
        let broken = chunked && last && rng.chance(20);
        let framed = if chunked {
            head += "Transfer-Encoding: chunked\r\n";
            let mut framed = chunks(&body, rng);
            if broken {
                framed.truncate(rng.below(framed.len()));
                framed.extend_from_slice(b"\r\rzz\r\n\0");
            }
            framed
        } else {
            if body_len > 0 {
                head += &format!("Content-Length: {body_len}\r\n");
            }
            body.clone()
        };
        head += "\r\n";
        let ask = Asked { act, is_head, is_http10, chunked, expects, persistent, count };
        let mut want = ask.want(&body, stage);
        if broken {
            want.statuses.extend([400, 413]);
            want.body = None;
            (want.closes, want.cut) = (Closes::May, Cut::May);
        }
        Self { act, is_head, is_http10, body, text: (head.into(), framed), expects, want }
    }

    fn bad(rng: &mut Rng) -> Self {
        let want = Want {
            statuses: vec![400, 501, 505],
            body: None,
            closes: Closes::Must,
            cut: Cut::Never,
        };
        Self {
            act: Act::Refuse,
            is_head: false,
            is_http10: false,
            body: Vec::new(),
            text: (rng.pick(&BAD).into(), Vec::new()),
            expects: false,
            want,
        }
    }

    fn check(&self, answer: &Answer, whole: bool) -> Result<(), &'static str> {
        let want = &self.want;
        if !want.statuses.contains(&answer.status) {
            return Err("another status");
        }
        if !answer.complete && want.cut == Cut::Never && whole {
            return Err("broken off");
        }
        if answer.complete && want.cut == Cut::Must && !self.is_head {
            return Err("should have been broken off");
        }
        let expected = want.body.as_deref().filter(|_| !self.is_head);
        let exact = match want.cut {
            Cut::Must if whole => true,
            Cut::Never if whole => answer.complete,
            _ => answer.has_end(),
        };
        if !expected.is_none_or(|body| match exact {
            true => answer.body == body,
            false => body.starts_with(&answer.body),
        }) {
            return Err("another body");
        }
        // The end of the server may come at any time when not all is well.
        match (want.closes, answer.says_close()) {
            (Closes::Must, false) if whole => return Err("does not say that it closes"),
            (Closes::Never, true) if whole => return Err("closes"),
            _ => {}
        }
        let kept_alive = answer.header("connection") == Some("keep-alive");
        if kept_alive != (self.is_http10 && !answer.says_close()) {
            return Err("keep-alive is for HTTP/1.0 only, and there always");
        }
        Ok(())
    }
}

/// What decides about the answer.
struct Asked {
    act: Act,
    is_head: bool,
    is_http10: bool,
    chunked: bool,
    expects: bool,
    persistent: bool,
    count: usize,
}

impl Asked {
    fn want(&self, body: &[u8], stage: &Stage) -> Want {
        let (status, content) = self.content(body, stage);
        let too_long = self.act == Act::EchoSmall && body.len() as u64 > stage::SMALL_LIMIT;
        let cut = match self.act {
            // A HEAD shows no body that could be too short.
            Act::DieLate | Act::LieDone | Act::LieLong | Act::PanicLate => Cut::Must,
            Act::LieShort if !self.is_head => Cut::Must,
            _ => Cut::Never,
        };
        Want { statuses: vec![status], body: content, closes: self.closes(body, too_long), cut }
    }

    fn content(&self, body: &[u8], stage: &Stage) -> (u16, Option<Vec<u8>>) {
        let content = match self.act {
            Act::EchoSmall if body.len() as u64 > stage::SMALL_LIMIT => return (413, None),
            Act::Refuse => return (403, None),
            Act::DieEarly => return (502, None),
            Act::PanicAtOnce | Act::PanicEarly => return (500, None),
            Act::Fixed | Act::Redirect | Act::RedirectLate | Act::RedirectTwice => {
                stage::FIXED.into()
            }
            Act::Shared => stage.shared.to_vec(),
            Act::File | Act::MidwayFile => stage::pattern(stage::FILE_LEN),
            Act::Admit | Act::Echo | Act::EchoSmall | Act::EchoStream => body.to_vec(),
            Act::Ticks => stage::TICK.repeat(self.count),
            Act::Wake => stage::AWAKE.into(),
            Act::Slow | Act::Flood => stage::pattern(self.count),
            Act::DieLate | Act::LieShort | Act::LieDone | Act::PanicLate => {
                stage::pattern(stage::PROMISED / 2)
            }
            Act::LieLong => Vec::new(),
            Act::Ignore => stage::IGNORED.into(),
            Act::Midway => stage::MIDWAY.into(),
            Act::PanicInDrop => unreachable!("nobody asks for it at random"),
        };
        (200, Some(content))
    }

    fn closes(&self, body: &[u8], too_long: bool) -> Closes {
        let without_length = matches!(self.act, Act::EchoStream | Act::Ticks | Act::Slow);
        // The others write their head before they have read.
        let reads_first =
            matches!(self.act, Act::Admit | Act::Echo | Act::EchoSmall) && self.chunked;
        let panics = matches!(self.act, Act::PanicAtOnce | Act::PanicEarly);
        if !self.persistent || self.is_http10 && without_length || too_long || panics {
            Closes::Must
        } else if self.is_head && self.act.ends_badly() && self.act != Act::LieShort {
            Closes::May
        } else if reads_first || body.is_empty() {
            Closes::Never
        } else if self.expects || !self.chunked && body.len() > 250_000 {
            Closes::May
        } else {
            Closes::Never
        }
    }
}

/// `body` in chunks of any size, now and then with an extension, and a trailer.
fn chunks(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let (mut framed, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let n = rest.len().min(1 + rng.size());
        framed.extend_from_slice(format!("{n:x}").as_bytes());
        framed.extend_from_slice(if rng.chance(5) { b";a=b\r\n" } else { b"\r\n" });
        framed.extend_from_slice(&rest[..n]);
        framed.extend_from_slice(b"\r\n");
        rest = &rest[n..];
    }
    framed.extend_from_slice(if rng.chance(20) { b"0\r\nX: y\r\n\r\n" } else { b"0\r\n\r\n" });
    framed
}
