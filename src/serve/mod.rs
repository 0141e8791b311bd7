//! The contracts between a connection and what answers its requests.
//!
//! A [`Handler`] is given a request whose head is complete and whose body is unread. It returns a
//! [`Plan`]: a complete [`Response`], or an [`Exchange`], which is driven until it is done. Planning
//! has no effect, so that `httpyserver explain` can show the plan that the server performs. A
//! [`Service`] is what handlers need beside requests: workers, processes.

mod answer;
mod body;
mod error_page;
mod exchange;
mod handler;
mod plan;
mod request;
mod response;
mod service;

pub use answer::{
    Answer, AnswerState, connection_lines, fields_sent, lines_sent, write_status_line,
};
pub use body::{BodyIn, BodyState};
pub use error_page::{ErrorHook, ErrorPages, OwnPage};
pub use exchange::{Abort, Alarm, Exchange, ExchangeIo, Step};
pub use handler::Handler;
pub use plan::{Call, Look, Plan, TraceStep};
pub use request::{Peer, Request, Reroute};
pub use response::{Body, Head, Part, Response};
pub use service::{Readiness, Scale, Service};
