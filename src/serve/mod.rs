//! The contracts between a connection and what answers its requests; also for handlers of one's own.
//!
//! A [`Handler`] is given a request whose head is complete and whose body is unread. It returns a
//! [`Plan`]: a complete [`Response`], or an [`Exchange`], which is driven until it is done. Planning
//! has no effect, so that `httpyserver explain` can show the plan that the server performs. A
//! [`Service`] is what handlers need beside requests: workers, processes.
//!
//! An exchange is pulled: it writes while its answer has room, and reads body when it wants some.
//! It must not block, and names what it waits for. This one counts:
//!
//! ```
//! use httpyserver::serve::{
//!     Cx, Exchange, ExchangeIo, Handler, Headers, HttpError, Look, Plan, Request, Response, Status,
//!     Step,
//! };
//! use httpyserver::testing::TestClient;
//! use std::time::{Duration, Instant};
//!
//! struct Numbers;
//!
//! impl Handler for Numbers {
//!     fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
//!         match request.rest() {
//!             b"" => Ok(Response::text(Status::OK, "text/plain", "count\n").into()),
//!             b"count" => Ok(Plan::exchange("numbers", Count { next: 1, at: look.now() })),
//!             _ => Err(HttpError::new(Status::NOT_FOUND, "no such number")),
//!         }
//!     }
//! }
//!
//! struct Count {
//!     next: u32,
//!     at: Instant,
//! }
//!
//! impl Exchange for Count {
//!     fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
//!         if !io.answer.is_started() {
//!             io.answer.head(Status::OK, &Headers::new(), None);
//!         }
//!         while self.next <= 3 && !io.answer.omits_body() {
//!             if io.answer.room() == 0 {
//!                 return Ok(Step::Wait(io.answer.until_room()));
//!             }
//!             if cx.now() < self.at {
//!                 return Ok(Step::Wait(io.until(self.at)));
//!             }
//!             io.answer.write(format!("{}\n", self.next).as_bytes())?;
//!             (self.next, self.at) = (self.next + 1, cx.now() + Duration::from_millis(10));
//!         }
//!         io.answer.finish()?;
//!         Ok(Step::Done)
//!     }
//! }
//!
//! let client = TestClient::of_handler(Numbers);
//! assert_eq!(client.get("/").send().text(), "count\n");
//! assert_eq!(client.get("/count").send().text(), "1\n2\n3\n");
//! assert_eq!(client.get("/more").send().status(), 404);
//! ```
//!
//! It is mounted by [`Server::handler`](crate::Server::handler), or by name in web.conf:
//! [`SiteServer::handler`](crate::SiteServer::handler).

mod answer;
mod body;
mod error_page;
mod exchange;
mod handler;
mod head;
mod plan;
mod request;
mod response;
mod service;

#[cfg(test)]
pub(crate) use answer::testing;
pub use answer::{Answer, AnswerSink, AnswerState};
pub use body::{BodyIn, BodyState};
pub use error_page::{ErrorHook, ErrorPages, OwnPage};
pub use exchange::{Abort, Alarm, Exchange, ExchangeIo, Step};
pub use handler::Handler;
pub use head::{Head, PreparedHead};
pub use plan::{Call, Look, Plan, TraceStep};
pub use request::{InternalRedirect, Peer, Request};
pub use response::{Body, HSTS, Part, Response, fields_sent};
pub use service::{Readiness, Scale, Service};

// What signatures of handlers name, so that those who write one need no other module.
pub use crate::conf::Level;
pub use crate::event::{Cx, TaskId, Until};
pub use crate::http::{Headers, HttpError, Known, Method, MethodSet, Status};
pub use crate::net::{Bytes, FileSlice};
