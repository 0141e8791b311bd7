//! What runs beside the requests: programs that live longer than one of them.

use crate::event::{Cx, ServiceId};
use crate::sys::process::Ending;
use std::io;

/// Something that handlers share and that has a life of its own: the workers of an application, the
/// scripts of a folder. The loop starts and stops it with the site that it belongs to, and tells it
/// of its own events.
pub trait Service {
    /// Called once after a (re)load, before the first request: start workers, warm caches. `id` is
    /// the number under which its own descriptors and children are registered.
    ///
    /// # Errors
    /// The load is refused, and what served before goes on.
    fn start(&self, id: ServiceId, cx: &mut Cx) -> io::Result<()>;

    /// Something happened to the descriptor that was registered with this tag.
    fn on_event(&self, _tag: u16, _cx: &mut Cx) {}

    /// It was scheduled by `Cx::schedule` or `Timers::arm_service`, perhaps long ago. The
    /// connections have been driven: what they wanted of it can be done together.
    fn flush_batch(&self, _cx: &mut Cx) {}

    /// Whether it can answer. A reload waits for those that are starting, and is given up if one
    /// has failed.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    /// The operator wants one worker more, or fewer.
    fn scale(&self, _by: Scale, _cx: &mut Cx) {}

    /// A child that was adopted for this service has ended, and is collected.
    fn child_ended(&self, _tag: u32, _ending: Ending, _cx: &mut Cx) {}

    /// Its last request has ended and no other will come.
    fn stop(&self, _cx: &mut Cx) {}
}

/// How far a service has come with its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It answers.
    Ready,
    /// It will answer, or fail.
    Starting,
    /// It does not answer, and goes on trying: why.
    Failed(String),
}

/// How the number of workers is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By one more.
    More,
    /// By one fewer.
    Fewer,
}
