//! One stream of a connection: a transaction, its body on the way in, its answer on the way out.

use crate::event::{Clock, TaskId};
use crate::http::{Headers, Method, Status, StatusLine, headers};
use crate::http2::frame;
use crate::http2::hpack::{Encoder, block_of};
use crate::http2::priority::Priority;
use crate::http2::window::{ReceiveWindow, SendWindow};
use crate::net::{FileSlice, RecvBuffer, SendQueue};
use crate::serve::{AnswerSink, BodyState, Head, Request, Response, fields_sent};
use crate::server::transaction::{Lent, Stream, Transaction};
use std::rc::Rc;

/// A stream that is open. What it receives and has not been read waits in `recv`, at most its window.
pub(super) struct OpenStream {
    pub(super) id: u32,
    pub(super) transaction: Box<Transaction>,
    pub(super) recv: RecvBuffer,
    pub(super) output: Output,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    pub(super) priority: Priority,
    /// Bytes of its body that have come, of those that were announced.
    pub(super) received: u64,
    pub(super) announced: Option<u64>,
    /// The client has ended its side.
    pub(super) input_ended: bool,
    /// Something has come that its exchange may wait for.
    pub(super) is_runnable: bool,
}

/// What of an answer waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The body, as far as it was written.
    pub(super) queue: SendQueue,
    /// All of it was written.
    pub(super) is_complete: bool,
    /// The end of the stream has left with its head.
    pub(super) is_ended: bool,
}

impl OpenStream {
    pub(super) fn new(
        id: u32,
        transaction: Box<Transaction>,
        send_window: u32,
        receive_window: u32,
    ) -> Self {
        Self {
            id,
            transaction,
            recv: RecvBuffer::default(),
            output: Output::default(),
            send_window: SendWindow::new(send_window),
            receive_window: ReceiveWindow::new(receive_window),
            priority: Priority::default(),
            received: 0,
            announced: None,
            input_ended: false,
            is_runnable: false,
        }
    }
}

/// What a connection lends the transaction of a stream.
pub(super) struct Http2Stream<'a> {
    pub(super) task: TaskId,
    pub(super) recv: &'a mut RecvBuffer,
    pub(super) sink: Sink<'a>,
}

/// Makes frames of a head, and keeps the body until the windows have room for it.
pub(super) struct Sink<'a> {
    pub(super) encoder: &'a mut Encoder,
    /// The queue of the connection.
    pub(super) out: &'a mut SendQueue,
    pub(super) output: &'a mut Output,
    pub(super) max_frame: usize,
    /// `Server` and `Date`.
    pub(super) common_headers: Rc<[u8]>,
    pub(super) stream: u32,
}

impl Stream for Http2Stream<'_> {
    type Sink<'s>
        = Sink<'s>
    where
        Self: 's;

    fn lend(&mut self, _: &Request, _: &BodyState, _: &Clock) -> Lent<'_, Self::Sink<'_>> {
        Lent { task: self.task, recv: self.recv, sink: self.sink.lend() }
    }

    fn respond(&mut self, response: Response, request: &Request, _: &BodyState, _: &Clock) -> u64 {
        let may_have_body = response.status.may_have_body();
        let length = if may_have_body { response.body.len() } else { 0 };
        let omits = length == 0 || request.head.method() == Method::Head;
        match &response.head {
            Head::Prepared(_) => {
                self.sink.write_head(response.status, response.head.iter(), None, omits, request);
            }
            Head::Fields(fields) => {
                let fields = fields_sent(response.status, fields, request.host_headers.as_deref());
                let said = response.status.has_length().then_some(length);
                self.sink.write_head(response.status, fields.iter(), said, omits, request);
            }
        }
        self.sink.output.is_complete = true;
        if omits {
            return 0;
        }
        response.body.queue_into(&mut self.sink.output.queue);
        length
    }

    fn send_continue(&mut self) {
        let mut block = Vec::new();
        self.sink.encoder.begin(&mut block);
        block_of(b":status", b"100", &mut block);
        self.sink.queue_block(&block, false);
    }

    /// Each request has a stream of its own: what follows cannot be taken for the next one.
    fn end_input(&mut self) {}
}

impl Sink<'_> {
    fn lend(&mut self) -> Sink<'_> {
        Sink {
            encoder: self.encoder,
            out: self.out,
            output: self.output,
            max_frame: self.max_frame,
            common_headers: Rc::clone(&self.common_headers),
            stream: self.stream,
        }
    }

    /// Queues the head of an answer. `ends`: no body follows.
    fn write_head<'h>(
        &mut self,
        status: Status,
        fields: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        length: Option<u64>,
        ends: bool,
        request: &Request,
    ) {
        let mut block = Vec::with_capacity(256);
        self.encoder.begin(&mut block);
        let mut number = itoa::Buffer::new();
        block_of(b":status", number.format(status.code()).as_bytes(), &mut block);
        let mut name_buffer = Vec::with_capacity(32);
        let mut lower = |name: &[u8], then: &mut dyn FnMut(&[u8])| {
            name_buffer.clear();
            name_buffer.extend(name.iter().map(u8::to_ascii_lowercase));
            then(&name_buffer);
        };
        for (name, value) in fields {
            lower(name, &mut |name| block_of(name, value, &mut block));
        }
        if let Some(length) = length {
            block_of(b"content-length", number.format(length).as_bytes(), &mut block);
        }
        for (name, value) in headers::pairs(&self.common_headers) {
            lower(name, &mut |name| self.encoder.indexed(name, value, &mut block));
        }
        for more in request.response_headers() {
            for (name, value) in fields_sent(status, more, None).iter() {
                lower(name, &mut |name| block_of(name, value, &mut block));
            }
        }
        self.output.is_ended = ends;
        self.queue_block(&block, ends);
    }

    fn queue_block(&mut self, block: &[u8], ends: bool) {
        let (stream, max) = (self.stream, self.max_frame);
        self.out.append(|out| frame::headers(stream, ends, block, max, out));
    }
}

impl AnswerSink for Sink<'_> {
    fn pending(&self) -> u64 {
        self.output.queue.pending()
    }

    fn head(
        &mut self,
        line: StatusLine<'_>,
        headers: &Headers,
        length: Option<u64>,
        request: &Request,
    ) {
        let status = line.status();
        let fields = fields_sent(status, headers, request.host_headers.as_deref());
        let said = length.filter(|_| status.has_length());
        let ends = length == Some(0) || request.head.method() == Method::Head;
        self.write_head(status, fields.iter(), said, ends, request);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.output.queue.copy(bytes);
    }

    fn file(&mut self, slice: FileSlice) {
        self.output.queue.file(slice);
    }

    fn finish(&mut self) {
        self.output.is_complete = true;
    }
}
