//! What every moving thing may ask of the loop: an address for its events, a wake-up, an instant,
//! the time, a buffer.
//!
//! Not here: the loop itself (`server::event_loop`) and anything that knows HTTP.

pub mod admission;
mod buffers;
mod children;
mod clock;
mod cx;
mod helped;
mod outside;
mod readiness;
mod runq;
mod source;
mod starts;
mod timers;
mod token;
mod until;
mod waker;

pub use buffers::{BUFFER_LARGE, BUFFER_SMALL, Buffers};
pub use children::{ChildId, Children, Parent};
pub use clock::Clock;
pub use cx::{Cx, Notice};
pub use helped::Helped;
pub use outside::{Busy, Stopper};
pub use readiness::Readiness;
pub use runq::{Budget, CHUNK, RunQueue};
pub use source::{Owner, Source, SourceId, Sources};
pub use starts::{Start, Starts};
pub use timers::{Sleeper, Timers};
pub use token::{ConnId, Event, ServiceId, Target, TaskId};
pub use until::Until;
pub use waker::{TaskWaker, Wakes};
