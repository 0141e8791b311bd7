//! What a client is sent: bodies in frames, as windows and priorities have it.

use super::Http2;
use super::stream::OpenStream;
use crate::event::CHUNK;
use crate::http2::ErrorCode;
use crate::http2::frame::{self, END_STREAM, FrameHead, kind};
use crate::server::connection::link::Link;
use crate::server::drive::DriveContext;
use crate::server::transaction::End;

/// One frame of a body. Others have their turn after it, and a client can use it before the next is there.
const PIECE: usize = 16 * 1024;

impl Http2 {
    /// Queues frames as long as there is room. Returns whether there were some.
    pub(super) fn queue_bodies(&mut self, link: &mut Link, cx: &mut DriveContext<'_>) -> bool {
        let mut has_queued = false;
        while link.pending() < CHUNK as u64 {
            let Some(place) = self.next_to_send() else { break };
            has_queued = true;
            if self.queue_frame(place, link, cx) {
                self.end_answered(place, link, cx);
            }
        }
        has_queued
    }

    /// The stream whose turn it is: the most urgent ones first, of those the ones that came first, and
    /// those that may share in turns (RFC 9218 §10).
    fn next_to_send(&mut self) -> Option<usize> {
        let room = self.send_window.room();
        let after = self.shared_last;
        let rank = |(place, stream): &(usize, &OpenStream)| {
            let shares = stream.priority.incremental;
            (stream.priority.urgency, shares, shares && stream.id <= after, *place)
        };
        let streams = self.streams.iter().map(|stream| &**stream).enumerate();
        let ready = streams.filter(|(_, stream)| stream.can_send(room));
        let (place, stream) = ready.min_by_key(rank)?;
        if stream.priority.incremental {
            self.shared_last = stream.id;
        }
        Some(place)
    }

    /// Queues a frame of a body. Returns whether it was the last one.
    fn queue_frame(&mut self, place: usize, link: &mut Link, cx: &mut DriveContext<'_>) -> bool {
        let (room, max) = (self.send_window.room(), self.peer.max_frame.min(PIECE));
        let Some(stream) = self.streams.get_mut(place) else { return false };
        let output = &mut stream.output;
        if output.is_ended {
            return true;
        }
        let pending = usize::try_from(output.queue.pending()).unwrap_or(usize::MAX);
        let length = pending.min(room).min(stream.send_window.room()).min(max);
        let is_last = output.is_complete && length == pending;
        if is_last && stream.transaction.is_cut() {
            // What is missing has to be seen.
            let (out, _) = link.output(cx.free);
            output.queue.move_to(out, 0);
            out.append(|out| frame::reset(stream.id, ErrorCode::Internal, out));
            output.is_ended = true;
            return true;
        }
        let flags = if is_last { END_STREAM } else { 0 };
        let head = FrameHead { length, kind: kind::DATA, flags, stream: stream.id };
        let (out, _) = link.output(cx.free);
        out.copy(&head.bytes());
        output.queue.move_to(out, length);
        output.is_ended = is_last;
        stream.send_window.take(length);
        self.send_window.take(length);
        // There is room for more of the answer.
        stream.is_runnable |= !stream.transaction.is_answered();
        is_last
    }

    /// All of an answer is queued.
    fn end_answered(&mut self, place: usize, link: &mut Link, cx: &mut DriveContext<'_>) {
        let Some(stream) = self.streams.get(place) else { return };
        let (id, is_read) = (stream.id, stream.input_ended);
        if !is_read {
            // The rest of the body is not wanted, and nothing is wrong with that (RFC 9113 §8.1).
            let (out, _) = link.output(cx.free);
            out.append(|out| frame::reset(id, ErrorCode::NoError, out));
        }
        self.calm.earn();
        self.end_stream(id, End::Delivered, cx);
    }

    /// Allows a client to send what was dealt with.
    pub(super) fn queue_window_updates(&mut self, link: &mut Link, cx: &mut DriveContext<'_>) {
        let mut updates: Vec<(u32, u32)> = Vec::new();
        for stream in &mut self.streams {
            let open = !stream.input_ended;
            if let Some(more) = stream.receive_window.update().filter(|_| open) {
                updates.push((stream.id, more));
            }
        }
        if let Some(more) = self.receive_window.update() {
            updates.push((0, more));
        }
        if updates.is_empty() {
            return;
        }
        let (out, _) = link.output(cx.free);
        out.append(|out| {
            updates.iter().for_each(|(stream, more)| frame::window_update(*stream, *more, out));
        });
    }
}

impl OpenStream {
    /// Whether a frame can be made of what is there, with so much room on the connection.
    fn can_send(&self, room: usize) -> bool {
        let output = &self.output;
        if output.is_ended {
            return self.transaction.is_answered();
        }
        let has_room = room > 0 && self.send_window.room() > 0;
        match output.queue.pending() {
            0 => output.is_complete && self.transaction.is_answered(),
            _ => has_room,
        }
    }
}
