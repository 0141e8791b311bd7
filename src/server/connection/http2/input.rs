//! What a client sends: frames, one after the other.

use super::stream::OpenStream;
use super::{Http2, Phase, STREAMS_MAX, WINDOW};
use crate::http::BodyLength;
use crate::http2::frame::{self, Frame, FrameHead, HEAD_LEN, PAYLOAD_MAX, kind};
use crate::http2::head::{HeadError, SIZE_MAX, expects_continue};
use crate::http2::priority::Priority;
use crate::http2::settings::Settings;
use crate::http2::{Breach, ErrorCode, PREFACE};
use crate::net::{RecvBuffer, Tls};
use crate::serve::Abort;
use crate::server::connection::link::Link;
use crate::server::drive::DriveContext;
use crate::server::routing::ConnectionInfo;
use crate::server::transaction::End;

/// A block of fields that is not complete.
#[derive(Debug)]
pub(super) struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    frames: u32,
}

/// Frames of one block: a client that needs more has fields that are too long, or none at all
/// (CVE-2024-27316).
const BLOCK_FRAMES_MAX: u32 = 16;

impl Http2 {
    /// Takes one frame, if it is there. False: it is not complete.
    pub(super) fn read_frame(
        &mut self,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<bool, Breach> {
        let mut recv = std::mem::take(&mut link.recv);
        let result = self.take_frame(&mut recv, link, cx);
        link.recv = recv;
        result
    }

    fn take_frame(
        &mut self,
        recv: &mut RecvBuffer,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<bool, Breach> {
        if self.phase == Phase::Preface {
            let unread = recv.unread();
            if !PREFACE.starts_with(unread.get(..PREFACE.len()).unwrap_or(unread)) {
                return Err(Breach::Connection(ErrorCode::Protocol, "no preface"));
            }
            if unread.len() < PREFACE.len() {
                return Ok(false);
            }
            recv.consume(PREFACE.len());
            self.phase = Phase::Open;
        }
        let Some(head) = FrameHead::parse(recv.unread()) else { return Ok(false) };
        if head.length > PAYLOAD_MAX {
            return Err(Breach::Connection(ErrorCode::FrameSize, "a frame that is too long"));
        }
        let Some(payload) = recv.unread().get(HEAD_LEN..HEAD_LEN + head.length) else {
            return Ok(false);
        };
        let result = self.understand(head, payload, link, cx);
        recv.consume(HEAD_LEN + head.length);
        result.map(|()| true)
    }

    fn understand(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), Breach> {
        if !self.has_settings && (head.kind != kind::SETTINGS || head.flags & frame::ACK != 0) {
            return Err(Breach::Connection(ErrorCode::Protocol, "SETTINGS do not come first"));
        }
        if let Some(block) = &self.block
            && (head.kind != kind::CONTINUATION || head.stream != block.stream)
        {
            return Err(Breach::Connection(
                ErrorCode::Protocol,
                "a frame inside a block of fields",
            ));
        }
        match frame::parse(head, payload)? {
            Frame::Data { data, ends_stream } => self.take_data(head, data, ends_stream, link, cx),
            Frame::Headers { fragment, ends_headers, ends_stream } => {
                self.check_new_block(head.stream, ends_stream)?;
                let bytes = fragment.to_vec();
                self.block = Some(Block { stream: head.stream, ends_stream, bytes, frames: 1 });
                self.end_block(ends_headers, link, cx)
            }
            Frame::Continuation { fragment, ends_headers } => {
                let Some(block) = &mut self.block else {
                    let why = "CONTINUATION of nothing";
                    return Err(Breach::Connection(ErrorCode::Protocol, why));
                };
                block.bytes.extend_from_slice(fragment);
                block.frames += 1;
                if block.bytes.len() > SIZE_MAX || block.frames > BLOCK_FRAMES_MAX {
                    let why = "a block of fields without end";
                    return Err(Breach::Connection(ErrorCode::EnhanceYourCalm, why));
                }
                self.end_block(ends_headers, link, cx)
            }
            Frame::Reset(_) => self.take_reset(head.stream, cx),
            Frame::Settings(settings) => self.take_settings(settings, link, cx),
            Frame::Ping(opaque) => {
                self.calm.spend(1)?;
                let (out, _) = link.output(cx.free);
                out.append(|out| frame::write(kind::PING, frame::ACK, 0, &opaque, out));
                Ok(())
            }
            Frame::WindowUpdate(more) => self.take_window(head.stream, more),
            Frame::PriorityUpdate { stream, value } => {
                self.calm.spend(1)?;
                if let Some(open) = self.stream(stream) {
                    open.priority = Priority::parse(value);
                }
                Ok(())
            }
            Frame::Priority | Frame::Unknown => self.calm.spend(1),
            Frame::SettingsAck | Frame::PingAck | Frame::GoAway(_) => self.calm.spend(1),
        }
    }

    /// Part of a body. What is not read waits, as much as the window allows.
    fn take_data(
        &mut self,
        head: FrameHead,
        data: &[u8],
        ends_stream: bool,
        _: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), Breach> {
        if !self.receive_window.receive(head.length) {
            let why = "more than the window of the connection allows";
            return Err(Breach::Connection(ErrorCode::FlowControl, why));
        }
        if data.is_empty() && !ends_stream {
            self.calm.spend(1)?;
        }
        let (id, last) = (head.stream, self.last);
        let Some(stream) = self.stream(id) else {
            if id > last {
                return Err(Breach::Connection(ErrorCode::Protocol, "DATA on an idle stream"));
            }
            // It was reset or answered, and the client had not heard of it.
            self.receive_window.release(head.length);
            return self.calm.spend(1);
        };
        if stream.input_ended {
            return Err(Breach::Stream(id, ErrorCode::StreamClosed, "DATA after the end"));
        }
        if !stream.receive_window.receive(head.length) {
            let why = "more than the window of the stream allows";
            return Err(Breach::Stream(id, ErrorCode::FlowControl, why));
        }
        stream.received += data.len() as u64;
        let is_wrong = |announced: u64| match ends_stream {
            true => stream.received != announced,
            false => stream.received > announced,
        };
        if stream.announced.is_some_and(is_wrong) {
            let why = "another length than the content-length";
            return Err(Breach::Stream(id, ErrorCode::Protocol, why));
        }
        let mut unread = head.length;
        if !stream.transaction.is_answered() {
            let mut rest = data;
            // The window is no larger than a buffer: all of it fits.
            while !rest.is_empty() && stream.recv.has_room() {
                let fed = stream.recv.feed(rest, &mut cx.cx.buffers);
                rest = rest.get(fed..).unwrap_or_default();
            }
            unread -= data.len() - rest.len();
        }
        stream.receive_window.release(unread);
        stream.input_ended = ends_stream;
        stream.is_runnable = true;
        self.receive_window.release(unread);
        Ok(())
    }

    /// Whether a block may begin on this stream.
    fn check_new_block(&mut self, id: u32, ends_stream: bool) -> Result<(), Breach> {
        let last = self.last;
        match self.stream(id) {
            Some(stream) if stream.input_ended => {
                Err(Breach::Connection(ErrorCode::StreamClosed, "fields after the end"))
            }
            Some(_) if !ends_stream => {
                Err(Breach::Connection(ErrorCode::Protocol, "fields inside a body"))
            }
            Some(_) => Ok(()),
            None if id.is_multiple_of(2) => {
                Err(Breach::Connection(ErrorCode::Protocol, "a stream with an even number"))
            }
            None if id <= last => {
                Err(Breach::Connection(ErrorCode::StreamClosed, "a stream that is closed"))
            }
            None => Ok(()),
        }
    }

    /// Acts on a block once it is complete.
    fn end_block(
        &mut self,
        is_complete: bool,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), Breach> {
        if !is_complete {
            return Ok(());
        }
        let Some(Block { stream, ends_stream, bytes, .. }) = self.block.take() else {
            return Ok(());
        };
        let fields = &mut self.fields;
        fields.clear();
        // Decoded in any case: both sides have to agree on the table.
        self.decoder
            .decode(&bytes, |name, value| fields.push(name, value))
            .map_err(|_| Breach::Connection(ErrorCode::Compression, "a block that is no HPACK"))?;
        if self.stream(stream).is_none() {
            return self.open(stream, ends_stream, link, cx);
        }
        match self.fields.check_trailers() {
            Err(HeadError::Malformed(why)) => {
                return Err(Breach::Stream(stream, ErrorCode::Protocol, why));
            }
            Ok(()) | Err(HeadError::Refused(_)) => {}
        }
        let Some(open) = self.stream(stream) else { return Ok(()) };
        if open.announced.is_some_and(|announced| announced != open.received) {
            let why = "another length than the content-length";
            return Err(Breach::Stream(stream, ErrorCode::Protocol, why));
        }
        (open.input_ended, open.is_runnable) = (true, true);
        Ok(())
    }

    /// A request: its transaction begins.
    fn open(
        &mut self,
        id: u32,
        ends_stream: bool,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), Breach> {
        self.last = id;
        if self.going_away || self.streams.len() >= STREAMS_MAX {
            self.calm.spend(1)?;
            return Err(Breach::Stream(id, ErrorCode::RefusedStream, "no further stream now"));
        }
        let mut transaction = cx.free.transaction();
        let length = self.fields.request(ends_stream, &mut transaction.request.head);
        if let Err(HeadError::Malformed(why)) = length {
            transaction.discard(cx);
            self.calm.spend(5)?;
            return Err(Breach::Stream(id, ErrorCode::Protocol, why));
        }
        link.describe(&mut transaction.request);
        self.answered = self.answered.saturating_add(1);
        let mut stream =
            Box::new(OpenStream::new(id, transaction, self.peer.initial_window, WINDOW));
        stream.input_ended = ends_stream;
        let request = &mut stream.transaction.request;
        if let Some(value) = request.head.find("priority") {
            stream.priority = Priority::parse(value);
        }
        let refused = match length {
            Ok(length) => {
                request.body_length = length;
                request.expects_continue = expects_continue(&request.head, length);
                None
            }
            Err(HeadError::Refused(error)) => Some(error),
            Err(HeadError::Malformed(_)) => None,
        };
        stream.announced = match stream.transaction.request.body_length {
            BodyLength::Length(length) => Some(length),
            BodyLength::None | BodyLength::Unknown => None,
        };
        // Among the others before a handler is asked, so that it is found wherever that fails.
        self.streams.push(stream);
        self.begin(refused, link, cx);
        Ok(())
    }

    /// Begins the transaction of the stream that was opened last.
    fn begin(
        &mut self,
        refused: Option<crate::http::HttpError>,
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) {
        let now = cx.cx.now();
        let Some((stream, mut lent, transport)) = self.lend_last(link, cx) else { return };
        let info = ConnectionInfo {
            shown: transport.tls().and_then(Tls::server_name),
            certificates: cx.tls,
            https_port: cx.https_port,
            now,
        };
        match refused {
            None => stream.begin(&info, &mut lent, cx),
            Some(error) => stream.refuse(error, &mut lent, cx),
        }
        if let Some(stream) = self.streams.last_mut() {
            stream.is_runnable = !stream.transaction.is_answered();
        }
        self.current = None;
    }

    fn take_reset(&mut self, id: u32, cx: &mut DriveContext<'_>) -> Result<(), Breach> {
        if id > self.last {
            return Err(Breach::Connection(ErrorCode::Protocol, "RST_STREAM on an idle stream"));
        }
        // Opened and reset at once, many of them: work without an answer (CVE-2023-44487).
        self.calm.spend(5)?;
        self.end_stream(
            id,
            End::Cut { why: Abort::Gone, reason: Some("client gone"), unsent: 0 },
            cx,
        );
        Ok(())
    }

    fn take_settings(
        &mut self,
        settings: &[u8],
        link: &mut Link,
        cx: &mut DriveContext<'_>,
    ) -> Result<(), Breach> {
        if self.has_settings {
            self.calm.spend(2)?;
        }
        self.has_settings = true;
        let before: Settings = self.peer;
        self.peer.apply(settings)?;
        let more = i64::from(self.peer.initial_window) - i64::from(before.initial_window);
        if more != 0 {
            for stream in &mut self.streams {
                if !stream.send_window.grow(more) {
                    let why = "a window that is too large";
                    return Err(Breach::Connection(ErrorCode::FlowControl, why));
                }
            }
        }
        self.encoder.set_table_size(self.peer.header_table_size);
        let (out, _) = link.output(cx.free);
        out.append(|out| frame::write(kind::SETTINGS, frame::ACK, 0, &[], out));
        Ok(())
    }

    fn take_window(&mut self, id: u32, more: u32) -> Result<(), Breach> {
        self.calm.spend_little()?;
        let (more, last) = (i64::from(more), self.last);
        if id == 0 {
            return match self.send_window.grow(more) {
                true => Ok(()),
                false => {
                    let why = "a window that is too large";
                    Err(Breach::Connection(ErrorCode::FlowControl, why))
                }
            };
        }
        match self.stream(id).map(|stream| stream.send_window.grow(more)) {
            Some(false) => {
                Err(Breach::Stream(id, ErrorCode::FlowControl, "a window that is too large"))
            }
            None if id > last => {
                Err(Breach::Connection(ErrorCode::Protocol, "WINDOW_UPDATE on an idle stream"))
            }
            Some(true) | None => Ok(()),
        }
    }
}
