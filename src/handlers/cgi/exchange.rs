//! A request that a script answers: one process, which gets the body and says the answer.

use super::Scripts;
use super::running::Running;
use super::start::{Start, Which};
use crate::event::Cx;
use crate::event::admission::{Place, TaskQueue};
use crate::handlers::gateway::exchange::cannot_begin;
use crate::handlers::gateway::{Backend, Begun, RequestBody};
use crate::http::HttpError;
use crate::serve::{ExchangeIo, Step};
use rustix::io::Errno;
use std::rc::Rc;
use std::time::Duration;

/// The script that answers a request.
pub(super) struct Script {
    pub(super) scripts: Rc<Scripts>,
    pub(super) which: Which,
}

/// How often a script that is being written is tried again, and after which time.
const BUSY: Duration = Duration::from_millis(20);

impl Backend for Script {
    type Call = Box<Running>;

    const STREAMS: bool = true;

    const PLACE: &'static str = "process";

    fn queue(&self) -> Option<&Rc<TaskQueue>> {
        Some(&self.scripts.queue)
    }

    fn begin(
        &mut self,
        body: RequestBody,
        place: Option<Place>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Begun<Box<Running>>, HttpError> {
        let start = Start { scripts: &self.scripts, request: io.request, which: &self.which };
        match start.run(body, place, io.task, cx) {
            Ok(running) => Ok(Begun::Call(Box::new(running))),
            Err((error, body)) => match Errno::from_io_error(&error) {
                // It was there a moment ago, so it will soon be complete.
                Some(Errno::TXTBSY) => Ok(Begun::Later(body, cx.now() + BUSY)),
                _ => {
                    let why =
                        start.diagnose(&error).map_or_else(String::new, |why| format!(": {why}"));
                    let reason = format!("the script cannot be started: {error}{why}");
                    Err(cannot_begin(&error, reason))
                }
            },
        }
    }

    fn advance(
        &mut self,
        running: &mut Box<Running>,
        io: &mut ExchangeIo<'_>,
        cx: &mut Cx,
    ) -> Result<Step, HttpError> {
        running.advance(&self.scripts, io, cx)
    }

    fn finish(&mut self, running: Box<Running>, cx: &mut Cx) {
        running.leave(&self.scripts, cx);
    }

    fn abort(&mut self, running: Box<Running>, cx: &mut Cx) {
        running.abort(&self.scripts, cx);
    }
}
