//! What a pool wants to have done.

use super::{RequestId, WorkerId};
use crate::conf::Level;
use std::time::{Duration, Instant};

/// Something to be done, in the order in which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Command {
    /// Call for a turn once the connections were driven.
    Schedule,
    /// Call for a turn at this time. Turns that nobody needs are harmless.
    WakeAt(Instant),

    /// Start a worker, and tell what came of it.
    Start(WorkerId),
    /// The worker loads no longer: another program may.
    EndStart(WorkerId),
    /// Nothing more is to be started now: other pools may.
    PassStartsOn,
    /// Tell how much memory a worker occupies.
    MeasureMemory(WorkerId),
    /// Tell how a worker gets on with its start.
    MeasureStart(WorkerId),
    /// Have a worker write down where it is.
    DumpStacks(WorkerId),
    /// Send nothing more to a worker: it ends when it has answered.
    CloseInput(WorkerId),
    /// Ask the process of a worker to end.
    Terminate(WorkerId),
    /// Kill it.
    Kill(WorkerId),

    /// Send a request under an id. What is sent in one turn leaves together.
    Send { request: RequestId, worker: WorkerId, id: u32 },
    /// Tell a worker that nobody waits for this answer.
    MarkGone { worker: WorkerId, id: u32 },
    /// Tell a worker not to begin this request.
    MarkRevoked { worker: WorkerId, id: u32 },
    /// Tell which request a worker has begun last.
    ReadBegun(WorkerId),

    /// What a worker has just said is part of the answer to this request.
    Deliver { request: RequestId },
    /// Answer with an error.
    Fail { request: RequestId, why: Failure },
    /// Cut an answer that its client takes too slowly, for others wait for the worker. It has been held for
    /// this long.
    Cut { request: RequestId, worker: WorkerId, held: Duration },
    /// The request is known no more, and its number may be used again.
    Release { request: RequestId },

    /// Log something about the application.
    Log(Level, String),
    /// Log that a worker is killed because of the time it has spent on a request.
    LogStuck { worker: WorkerId, request: Option<RequestId>, spent: Duration },
    /// The server is of no use without this application, which has failed.
    GiveUp(String),
}

/// Why a request is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Failure {
    /// Too many wait.
    QueueFull,
    /// The application is being stopped.
    Stopped,
    /// It cannot be loaded, and is tried again after so many seconds.
    CannotLoad(u64),
    /// It has waited too long, while workers were busy.
    NoneFree,
    /// It has waited too long, while no worker was ready.
    NoneReady,
    /// Its worker has ended.
    WorkerEnded(String),
    /// Its worker did not answer in time.
    Stuck,
}
