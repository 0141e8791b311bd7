//! A request on its way to a worker, and what has come of it: filled by the service of its application,
//! emptied by its exchange.

use super::heads::Judged;
use super::pool::RequestId;
use super::wire::Call;
use crate::event::{Cx, TaskId, TaskWaker};
use crate::handlers::gateway::Backlog;
use crate::http::{HttpError, Status};
use crate::net::FileSlice;
use crate::serve::Peer;
use crate::sys::spool_budget::Reservation;
use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;

/// A request that an application is asked to answer.
#[derive(Debug)]
pub(super) struct Job {
    /// What the pool calls it, until it is released.
    pub(super) request: RequestId,
    /// Wakes the task that waits for it.
    pub(super) waker: TaskWaker,
    /// Its client.
    pub(super) peer: Peer,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    /// What is sent; `None`: it is not complete yet.
    call: Option<Call>,
    /// A body that is too long for the frame.
    body: Option<JobBody>,
    inbox: Inbox,
}

/// A body in a file, and what that occupies.
#[derive(Debug)]
pub(super) struct JobBody {
    pub(super) file: Rc<File>,
    pub(super) _reserved: Option<Reservation>,
}

/// What has come of an answer and was not taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Status and header lines, until they are taken.
    pub(super) head: Option<(Status, Rc<Judged>)>,
    /// The body.
    pub(super) body: Backlog,
    /// A file that is the rest of the body.
    pub(super) file: Option<FileSlice>,
    /// How it ended, once it has.
    pub(super) end: Option<Result<(), HttpError>>,
}

impl Job {
    pub(super) fn new(request: RequestId, (task, peer): (TaskId, Peer), cx: &Cx) -> Self {
        let inbox = Inbox { head: None, body: Backlog::new(&cx.spool), file: None, end: None };
        let state = RefCell::new(State { call: None, body: None, inbox });
        Self { request, waker: cx.waker(task), peer, state }
    }

    /// What is to be sent. From now on its task is woken when something has come of it.
    pub(super) fn fill(&self, call: Call, body: Option<JobBody>) {
        let state = &mut *self.state.borrow_mut();
        (state.call, state.body) = (Some(call), body);
    }

    /// Whether its task waits for what comes of it.
    pub(super) fn is_filled(&self) -> bool {
        self.state.borrow().call.is_some()
    }

    /// Shows the request under this id, and the file that goes with it.
    pub(super) fn send(&self, id: u32, send: impl FnOnce(&[u8], Option<&Rc<File>>)) {
        let State { call, body, .. } = &mut *self.state.borrow_mut();
        if let Some(call) = call {
            send(call.under(id), body.as_ref().map(|body| &body.file));
        }
    }

    /// Method and path, for people.
    pub(super) fn label(&self) -> String {
        self.state.borrow().call.as_ref().map(Call::label).unwrap_or_default()
    }

    /// The memory of the request, which is not sent again.
    pub(super) fn take_memory(&self) -> Vec<u8> {
        let state = &mut *self.state.borrow_mut();
        state.body = None;
        state.call.take().map(Call::into_memory).unwrap_or_default()
    }

    /// Lets the exchange, or the service, look at what has come.
    pub(super) fn inbox<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        look(&mut self.state.borrow_mut().inbox)
    }

    /// Bytes of its answer that its client has taken, if its worker has to wait until these are more.
    pub(super) fn full_at(&self) -> Option<u64> {
        let body = &self.state.borrow().inbox.body;
        body.is_full().then(|| body.drained())
    }

    /// What has come of it is of no interest, and occupies nothing.
    pub(super) fn give_up(&self) {
        self.inbox(|inbox| (inbox.head, inbox.file, _) = (None, None, inbox.body.clear()));
    }

    /// Ends it with an error, and drops what its client has not taken.
    pub(super) fn cut(&self, error: HttpError) {
        self.give_up();
        self.inbox(|inbox| inbox.end = Some(Err(error)));
    }

    /// Ends it with an error.
    pub(super) fn fail(&self, error: HttpError) {
        self.inbox(|inbox| _ = inbox.end.get_or_insert(Err(error)));
    }
}
