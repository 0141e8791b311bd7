//! How long the loop was held, and by what.
//!
//! Everybody waits while a step is done, so that a step should be short: [`LONG`] is too long. Two
//! readings of the clock a turn tell what sort of step was the longest. With `level = "debug"`
//! every step is measured, processor time as well, and each that is too long has a line.

use crate::server::kernel::Kernel;
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// What the loop does in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Marking what the events are about, children that have ended, timers.
    Events,
    /// Driving connections: all of a turn, or one where every step is measured.
    Connections,
    /// What handlers do once a turn.
    Handlers,
    /// Taking clients in.
    Accept,
    /// Ending those whose time is up.
    TimeOuts,
    /// What signals order: a reload, a report.
    Orders,
    /// Certificates, the end of a reload, logs; and where only turns are measured, `Accept` and
    /// `TimeOuts` too.
    Rest,
}

/// Their names, in order.
const NAMES: [&str; 7] =
    ["events", "connections", "handlers", "accept", "time-outs", "orders", "the rest of the turn"];

/// A step that takes longer is one too long.
const LONG: Duration = Duration::from_millis(5);

/// Lines about steps in a second.
const LINES_MAX: u32 = 20;

/// The longest step of each sort since somebody looked.
#[derive(Debug)]
pub(super) struct Stalls {
    /// Every step is measured.
    detailed: bool,
    /// When the last step ended.
    at: Instant,
    processor: Duration,
    longest: [Held; NAMES.len()],
    /// How many were too long.
    long: u64,
    /// When the second began in which lines are counted.
    second: Instant,
    lines: u32,
}

/// How long a step took.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    took: Duration,
    /// Of the processor, where that was measured.
    processor: Duration,
}

impl Stalls {
    /// Nothing was long yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            detailed: false,
            at: now,
            processor: Duration::ZERO,
            longest: Default::default(),
            long: 0,
            second: now,
            lines: 0,
        }
    }

    /// A turn begins.
    pub(super) fn begin(&mut self, now: Instant, detailed: bool) {
        (self.detailed, self.at) = (detailed, now);
        if detailed {
            self.processor = processor();
        }
    }

    /// As `end`, where every step is measured.
    pub(super) fn end_small(&mut self, part: Part, kernel: &Kernel) -> Option<String> {
        if self.detailed { self.end(part, kernel.now()) } else { None }
    }

    /// A step has ended, now. Returns what there is to say of it.
    pub(super) fn end(&mut self, part: Part, now: Instant) -> Option<String> {
        let mut held =
            Held { took: now.saturating_duration_since(self.at), processor: Duration::ZERO };
        self.at = now;
        if self.detailed {
            let until = processor();
            held.processor = until.saturating_sub(self.processor);
            self.processor = until;
        }
        self.note(part, held)
    }

    fn note(&mut self, part: Part, held: Held) -> Option<String> {
        let longest = self.longest.get_mut(part as usize)?;
        longest.took = longest.took.max(held.took);
        longest.processor = longest.processor.max(held.processor);
        if held.took < LONG {
            return None;
        }
        self.long += 1;
        if self.at.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.lines) = (self.at, 0);
        }
        self.lines += 1;
        let is_said = self.detailed && self.lines <= LINES_MAX;
        let name = NAMES.get(part as usize)?;
        is_said.then(|| format!("the loop was held for {} by {name}", self.shown(held)))
    }

    /// The longest steps; they are forgotten.
    pub(super) fn report(&mut self) -> String {
        let mut text = format!("{} steps of the loop took over 5 ms; longest:", self.long);
        let mut comma = "";
        for (name, held) in NAMES.iter().zip(&self.longest) {
            if !held.took.is_zero() {
                let _ = write!(text, "{comma} {name} {}", self.shown(*held));
                comma = ",";
            }
        }
        (self.long, self.longest) = (0, Default::default());
        text
    }

    fn shown(&self, Held { took, processor }: Held) -> String {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        match self.detailed {
            true => {
                format!("{:.1} ms ({:.1} ms of processor time)", millis(took), millis(processor))
            }
            false => format!("{:.1} ms", millis(took)),
        }
    }
}

/// Processor time of this thread: however busy the machine is, it grows only with what is done.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_each_sort_is_told_once() {
        let mut stalls = Stalls::new(Instant::now());
        let held = |millis| Held { took: Duration::from_millis(millis), ..Held::default() };
        assert_eq!(stalls.note(Part::Connections, held(2)), None);
        assert_eq!(stalls.note(Part::Connections, held(1)), None);
        assert_eq!(stalls.note(Part::Rest, held(12)), None, "only with `debug`");
        assert_eq!(
            stalls.report(),
            "1 steps of the loop took over 5 ms; longest: connections 2.0 ms, \
             the rest of the turn 12.0 ms"
        );
        assert_eq!(stalls.report(), "0 steps of the loop took over 5 ms; longest:");
    }

    #[test]
    fn lines_are_bounded() {
        let mut stalls = Stalls::new(Instant::now());
        stalls.begin(Instant::now(), true);
        let held = Held { took: LONG, processor: LONG };
        let said = (0..1000).filter_map(|_| stalls.note(Part::Handlers, held)).collect::<Vec<_>>();
        assert_eq!(said.len(), LINES_MAX as usize);
        let want = "the loop was held for 5.0 ms (5.0 ms of processor time) by handlers";
        assert_eq!(said.first().map(String::as_str), Some(want));
        assert!(stalls.report().starts_with("1000 steps"));
    }
}
