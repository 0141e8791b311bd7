//! A transaction of one request, for tests of the gateway.

use crate::event::{Buffers, ConnId, Cx, TaskId};
use crate::handlers::files::testing;
use crate::net::RecvBuffer;
use crate::serve::testing::Recorded;
use crate::serve::{Alarm, Answer, AnswerState, BodyIn, BodyState, ExchangeIo, Request};
use std::time::{Duration, SystemTime};

pub(super) struct Transaction {
    pub(super) cx: Cx,
    pub(super) task: TaskId,
    request: Request,
    body: BodyState,
    arrived: RecvBuffer,
    pub(super) answer: AnswerState,
    recorded: Recorded,
}

impl Transaction {
    pub(super) fn new(method: &str, fields: &[(&str, &str)]) -> Self {
        let request = testing::request(method, "/", fields);
        Self {
            cx: testing::cx(),
            task: TaskId { conn: ConnId { index: 0, generation: 0 }, stream: 0 },
            body: request.body(u64::MAX),
            answer: AnswerState::new(&request),
            request,
            arrived: RecvBuffer::default(),
            recorded: Recorded::default(),
        }
    }

    /// Bytes of the body that have come.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        assert_eq!(self.arrived.feed(bytes, &mut Buffers::default()), bytes.len());
    }

    /// So much time has passed.
    pub(super) fn pass(&mut self, seconds: u64) {
        let now = self.cx.now() + Duration::from_secs(seconds);
        self.cx.clock.set(now, SystemTime::now());
    }

    pub(super) fn with<T>(&mut self, run: impl FnOnce(&mut ExchangeIo<'_>, &mut Cx) -> T) -> T {
        let body = BodyIn::new(&mut self.body, &mut self.arrived);
        let answer = Answer::new(&mut self.answer, &mut self.recorded, &self.request);
        let mut alarm = Alarm::default();
        let mut io = ExchangeIo::new(self.task, &self.request, body, answer, &mut alarm);
        run(&mut io, &mut self.cx)
    }

    /// What the client gets: the length that is promised, if one is, a bar and the body.
    pub(super) fn sent(&self) -> String {
        let Recorded { head: Some((200, _, length)), body, .. } = &self.recorded else {
            return String::new();
        };
        let length = length.map(|length| length.to_string()).unwrap_or_default();
        format!("{length}|{}", str::from_utf8(body).unwrap())
    }
}
