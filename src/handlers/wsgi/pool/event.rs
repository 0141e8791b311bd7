//! What can happen to a pool.

use super::super::wire::Frame;
use super::{Client, RequestId, WorkerId};
use crate::serve::Scale;
use std::time::Duration;

/// Something that has happened. What is said of a worker that is not there is ignored.
#[derive(Clone, Debug)]
pub(in super::super) enum Event<'a> {
    /// The pool is to start its workers.
    Begin,
    /// The connections were driven, an instant that was asked for has come, or a start may be granted.
    Scheduled,
    /// One worker more or fewer is wanted.
    Scale(Scale),
    /// All workers are to end.
    Stop,

    /// A request came. It is known by this number until it is released.
    Arrived { request: RequestId, client: Client },
    /// Nobody waits for a request any more.
    Left { request: RequestId },
    /// What was delivered of an answer is none.
    Unusable { request: RequestId },

    /// A worker whose start was asked for is a process now.
    Started { worker: WorkerId, pid: u32 },
    /// It could not be started.
    NotStarted { worker: WorkerId, why: &'a str },
    /// It may not be started yet: other programs load. There is a turn when it may.
    Deferred { worker: WorkerId },
    /// How much memory a worker occupies.
    Occupies { worker: WorkerId, bytes: u64 },
    /// How a worker gets on with its start: how long its process has waited for a processor, and whether its
    /// Python runs.
    Loads { worker: WorkerId, waited: Duration, runs: bool },
    /// The process of a worker has ended: how, and the id of the request that it had begun last. What it said
    /// before was told.
    Ended { worker: WorkerId, begun: u32, how: &'a str },

    /// A worker says something.
    Said { worker: WorkerId, frame: Frame<'a> },
    /// What a worker says is none of the protocol.
    Broke { worker: WorkerId, why: String },
    /// The id of the request that a worker has begun last, by its own account.
    Begun { worker: WorkerId, id: u32 },
    /// Whether the socket to a worker takes no more for now.
    Full { worker: WorkerId, is_full: bool },
    /// A worker has to wait until the client of the request that it is at has taken more; `taken`: bytes of
    /// the answer that it has taken. Told each time that it is still so.
    Held { worker: WorkerId, taken: u64 },
    /// It no longer has to.
    Resumed { worker: WorkerId },
    /// A worker has closed its socket: nothing more comes.
    Closed { worker: WorkerId },
    /// All that a worker has said for now was told.
    Received { worker: WorkerId },
}
