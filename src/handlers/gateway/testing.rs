//! A transaction of one request, for tests of the gateway.

use crate::event::{Buffers, ConnId, Cx, TaskId};
use crate::handlers::files::testing;
use crate::net::{RecvBuffer, Script, SendQueue, Transport};
use crate::serve::{Alarm, Answer, AnswerState, BodyIn, BodyState, ExchangeIo, Request};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

pub(super) struct Transaction {
    pub(super) cx: Cx,
    pub(super) task: TaskId,
    request: Request,
    body: BodyState,
    arrived: RecvBuffer,
    pub(super) answer: AnswerState,
    queue: SendQueue,
}

impl Transaction {
    pub(super) fn new(method: &str, fields: &[(&str, &str)]) -> Self {
        let request = testing::request(method, "/", fields);
        Self {
            cx: testing::cx(),
            task: TaskId { conn: ConnId { index: 0, generation: 0 }, stream: 0 },
            body: BodyState::new(request.framing.body, u64::MAX),
            answer: AnswerState::new(&request),
            request,
            arrived: RecvBuffer::default(),
            queue: SendQueue::default(),
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
        let lines: Rc<[u8]> = Rc::from(*b"");
        let body = BodyIn::new(&mut self.body, &mut self.arrived);
        let answer = Answer::new(&mut self.answer, &mut self.queue, &lines);
        let mut alarm = Alarm::default();
        let mut io = ExchangeIo::new(self.task, &self.request, body, answer, &mut alarm);
        run(&mut io, &mut self.cx)
    }

    /// What the client gets.
    pub(super) fn sent(&mut self) -> String {
        let mut transport = Transport::Scripted(Script::default());
        let budget = &mut crate::event::Budget::new(1);
        self.queue.flush(&mut transport, budget, &mut Buffers::default()).unwrap();
        let Transport::Scripted(script) = transport else { unreachable!() };
        String::from_utf8(script.sent).unwrap()
    }
}
