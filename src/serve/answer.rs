//! The answer of an exchange: a head, then a body, then its end. How that is framed is the protocol's.

use super::Request;
use crate::event::{CHUNK, Until};
use crate::http::{Headers, HttpError, Method, Status, StatusLine};
use crate::net::FileSlice;

/// How far an answer has been written.
#[derive(Clone, Debug, Default)]
pub struct AnswerState {
    /// HEAD, or a status that has no body: it is left away.
    omit_body: bool,
    phase: Phase,
    status: Option<Status>,
    sent: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No head yet.
    #[default]
    Unstarted,
    /// The head was written. So many bytes are promised and not yet written.
    Open {
        left: Option<u64>,
    },
    Finished,
}

impl AnswerState {
    /// The answer to `request`, not yet begun.
    pub fn new(request: &Request) -> Self {
        Self { omit_body: request.head.method() == Method::Head, ..Self::default() }
    }

    /// A complete answer, with so many bytes of body on their way.
    pub fn complete(status: Status, sent: u64) -> Self {
        Self { status: Some(status), sent, phase: Phase::Finished, ..Self::default() }
    }

    /// Whether the head was written.
    pub fn is_started(&self) -> bool {
        self.phase != Phase::Unstarted
    }

    /// Whether all that was promised was written.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// The status, once the head was written.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// Bytes of body written.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

/// What a protocol makes of an answer. It is called in order: one head, any number of pieces of the body,
/// one end. Where the body is left away there are no pieces.
pub trait AnswerSink {
    /// Bytes that are queued and not yet sent.
    fn pending(&self) -> u64;

    /// Writes the head of the answer to `request`, with a body of `length` bytes if that is known.
    fn head(
        &mut self,
        line: StatusLine<'_>,
        headers: &Headers,
        length: Option<u64>,
        request: &Request,
    );

    /// Writes a piece of the body; never empty.
    fn write(&mut self, bytes: &[u8]);

    /// Writes a piece of the body that lies in a file; never empty.
    fn file(&mut self, slice: FileSlice);

    /// Writes the end.
    fn finish(&mut self);
}

/// Where an exchange writes its answer: the head once, then the body.
pub struct Answer<'a> {
    state: &'a mut AnswerState,
    sink: &'a mut dyn AnswerSink,
    request: &'a Request,
}

impl<'a> Answer<'a> {
    /// The answer to `request` that `state` describes, written into `sink`.
    pub fn new(
        state: &'a mut AnswerState,
        sink: &'a mut dyn AnswerSink,
        request: &'a Request,
    ) -> Self {
        Self { state, sink, request }
    }

    /// How many bytes may be written now. At 0 the client is slow: wait.
    pub fn room(&self) -> usize {
        CHUNK.saturating_sub(usize::try_from(self.sink.pending()).unwrap_or(usize::MAX))
    }

    /// What to wait for until more may be written.
    pub fn until_room(&self) -> Until {
        if self.room() > 0 { Until::over() } else { Until::armed() }
    }

    /// Whether the head was written.
    pub fn is_started(&self) -> bool {
        self.state.is_started()
    }

    /// Whether the body is left away: to HEAD, and, once the head was written, with a status that
    /// has none. What is written of it then takes no room: a producer without end should finish
    /// after its head.
    pub fn omits_body(&self) -> bool {
        self.state.omit_body
    }

    /// How many bytes of body are promised and not yet written; `None`: no length was promised.
    pub fn left(&self) -> Option<u64> {
        match self.state.phase {
            Phase::Open { left } => left,
            Phase::Unstarted | Phase::Finished => None,
        }
    }

    /// Writes the head. A `length` is a promise. What says where the body ends, and whether the connection
    /// goes on, is added by the protocol; `headers` must not say it.
    pub fn head<'s>(
        &mut self,
        line: impl Into<StatusLine<'s>>,
        headers: &Headers,
        length: Option<u64>,
    ) {
        debug_assert!(!self.is_started(), "a second head");
        let line = line.into();
        let status = line.status();
        let length = if status.may_have_body() { length } else { Some(0) };
        self.state.status = Some(status);
        self.state.omit_body |= !status.may_have_body();
        self.state.phase = Phase::Open { left: length };
        self.sink.head(line, headers, length, self.request);
    }

    /// Writes part of the body.
    ///
    /// # Errors
    /// More than the length that was promised: nothing of it is written, and the answer is broken.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.account(bytes.len() as u64)?;
        if !self.state.omit_body {
            self.sink.write(bytes);
        }
        Ok(())
    }

    /// Writes part of a file as part of the body: it is sent by the kernel.
    ///
    /// # Errors
    /// As `write`.
    pub fn file(&mut self, slice: FileSlice) -> Result<(), HttpError> {
        self.account(slice.len)?;
        if !self.state.omit_body && slice.len > 0 {
            self.sink.file(slice);
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// Fewer bytes than were promised, or no head at all: the connection closes, so that the client
    /// sees that something is missing.
    pub fn finish(&mut self) -> Result<(), HttpError> {
        match self.state.phase {
            Phase::Unstarted => return Err(broken("it ended without a head")),
            Phase::Open { left: Some(1..) } if !self.state.omit_body => {
                return Err(broken("it is shorter than its Content-Length"));
            }
            Phase::Open { .. } => self.sink.finish(),
            Phase::Finished => {}
        }
        self.state.phase = Phase::Finished;
        Ok(())
    }

    fn account(&mut self, bytes: u64) -> Result<(), HttpError> {
        match &mut self.state.phase {
            Phase::Unstarted | Phase::Finished => return Err(broken("body outside of an answer")),
            Phase::Open { left: Some(left) } => {
                *left = left
                    .checked_sub(bytes)
                    .ok_or_else(|| broken("it is longer than its Content-Length"))?;
            }
            Phase::Open { left: None } => {}
        }
        if !self.state.omit_body {
            self.state.sent += bytes;
        }
        Ok(())
    }
}

fn broken(how: &'static str) -> HttpError {
    HttpError::fatal(Status::BAD_GATEWAY, format!("the answer is broken: {how}"))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An answer as it was written, of which the client takes nothing.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Recorded {
        pub(crate) head: Option<(u16, Headers, Option<u64>)>,
        pub(crate) body: Vec<u8>,
        pub(crate) ended: bool,
    }

    impl AnswerSink for Recorded {
        fn pending(&self) -> u64 {
            self.body.len() as u64
        }

        fn head(
            &mut self,
            line: StatusLine<'_>,
            headers: &Headers,
            length: Option<u64>,
            _: &Request,
        ) {
            assert!(self.head.is_none());
            self.head = Some((line.status().code(), headers.clone(), length));
        }

        fn write(&mut self, bytes: &[u8]) {
            self.body.extend_from_slice(bytes);
        }

        fn file(&mut self, slice: FileSlice) {
            self.body.resize(self.body.len() + slice.len as usize, b'f');
        }

        fn finish(&mut self) {
            assert!(!self.ended);
            self.ended = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Recorded;
    use super::*;

    #[test]
    fn lies_about_the_length_are_found() {
        let (request, mut sink) = (Request::default(), Recorded::default());
        let mut state = AnswerState::new(&request);
        let mut answer = Answer::new(&mut state, &mut sink, &request);
        assert!(answer.write(b"x").is_err());
        assert!(answer.finish().is_err());
        answer.head(Status::OK, &Headers::new(), Some(2));
        answer.write(b"x").unwrap();
        assert_eq!(answer.left(), Some(1));
        assert!(answer.finish().is_err());
        assert!(answer.write(b"yz").is_err());
        answer.write(b"y").unwrap();
        answer.finish().unwrap();
        assert!(state.is_finished() && state.sent() == 2 && sink.ended && sink.body == b"xy");
    }

    #[test]
    fn a_body_that_is_left_away_is_not_written() {
        let request = Request::default();
        for (status, wants) in [(Status::NO_CONTENT, Some(0)), (Status::RESET_CONTENT, Some(0))] {
            let (mut state, mut sink) = (AnswerState::new(&request), Recorded::default());
            let mut answer = Answer::new(&mut state, &mut sink, &request);
            answer.head(status, &Headers::new(), None);
            assert!(answer.omits_body() && answer.write(b"x").is_err());
            answer.finish().unwrap();
            assert_eq!(sink.head, Some((status.code(), Headers::new(), wants)));
            assert!(sink.body.is_empty() && sink.ended && state.sent() == 0);
        }
        let (mut state, mut sink) = (AnswerState::new(&request), Recorded::default());
        state.omit_body = true;
        let mut answer = Answer::new(&mut state, &mut sink, &request);
        answer.head(Status::OK, &Headers::new(), Some(5));
        answer.write(b"x").unwrap();
        answer.finish().unwrap();
        assert!(sink.body.is_empty() && sink.ended && state.sent() == 0);
    }
}
