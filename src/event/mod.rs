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
mod ready;
mod runq;
mod starts;
mod timers;
mod token;

pub use buffers::{BUFFER_LARGE, BUFFER_SMALL, Buffers};
pub use children::{ChildId, Children, Owner};
pub use clock::Clock;
pub use cx::{Cx, Notice, Wakes};
pub use helped::Helped;
pub use outside::{Busy, Stopper};
pub use ready::Ready;
pub use runq::{Budget, CHUNK, RunQueue};
pub use starts::{Start, Starts};
pub use timers::{Sleeper, Timers};
pub use token::{ConnId, Door, ServiceId, Target};
