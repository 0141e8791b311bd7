//! How quick is a worker?

use std::time::{Duration, Instant};

/// A worker whose requests take less than this is quick: a round trip would cost it a good part.
const QUICK: Duration = Duration::from_millis(1);

/// How long requests take a worker, as far as that can be seen from here.
#[derive(Debug)]
pub(super) struct Latency {
    /// When it began the request it is at, as far as we know, or last moved.
    pub(super) since: Instant,
    /// Microseconds a request, the last ones counting most; 0 while nothing is known.
    micros: u64,
}

impl Latency {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, micros: u64::MAX / 16 }
    }

    /// It has something to do again.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// `count` requests were answered since.
    pub(super) fn answered(&mut self, now: Instant, count: u32) {
        let spent = now.saturating_duration_since(self.since).as_micros();
        let each = u64::try_from(spent).unwrap_or(u64::MAX / 16) / u64::from(count.max(1));
        // The first one counts alone, and nothing counts for ever.
        let before = if self.micros > 1_000_000_000 { each } else { self.micros };
        self.micros = (before * 7 + each) / 8;
        self.since = now;
    }

    /// One took so long that others were given back: it has to prove again that it is quick.
    pub(super) fn was_slow(&mut self) {
        self.micros = self.micros.clamp(8 * QUICK.as_micros() as u64, 1_000_000_000);
    }

    pub(super) fn is_quick(&self) -> bool {
        self.micros < QUICK.as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_proves_that_it_is_quick() {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut latency = Latency::new(start);
        assert!(!latency.is_quick());
        latency.begin(at(1000));
        latency.answered(at(1100), 1);
        assert!(latency.is_quick() && latency.micros == 100);
        latency.answered(at(1100 + 16 * 10), 16);
        assert_eq!(latency.micros, 88);
        latency.begin(at(10_000));
        latency.answered(at(60_000), 1);
        assert!(!latency.is_quick());
        for n in 0..30 {
            latency.begin(at(100_000 + n * 1000));
            latency.answered(at(100_050 + n * 1000), 1);
        }
        assert!(latency.is_quick());
        latency.was_slow();
        assert!(!latency.is_quick());
    }
}
