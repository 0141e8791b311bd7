//! The contract between a connection and what answers its requests.
//!
//! A [`Handler`] is given a request whose head is complete and whose body is unread. It answers
//! with a complete [`Response`], or starts an [`Exchange`], which is driven until it is done.
//! There is no third way: whatever cannot be answered at once is an exchange.

mod answer;
mod body;
mod error_page;
mod exchange;
mod explain;
mod handler;
mod request;
mod response;
mod service;

pub use answer::{
    Answer, AnswerState, connection_lines, fields_sent, lines_sent, write_status_line,
};
pub use body::{BodyIn, BodyState};
pub use error_page::{ErrorHook, ErrorPages, OwnPage};
pub use exchange::{Abort, Alarm, Exchange, ExchangeIo, Step};
pub use explain::{Foretold, Note};
pub use handler::{Handler, Outcome};
pub use request::{Peer, Request, Reroute};
pub use response::{Body, Head, Part, Response};
pub use service::{Readiness, Scale, Service};
