//! Slows down those who guess passwords.

use std::collections::HashMap;
use std::hash::Hash;

/// How many attempts are remembered; beyond that, those of long ago are forgotten, then all.
const KEYS_MAX: usize = 10_000;

/// Counts what failed, for each `K` (an address, a name), within periods.
pub struct Throttle<K> {
    most: u32,
    period: i64,
    failures: HashMap<K, Failures>,
}

struct Failures {
    count: u32,
    since: i64,
}

impl<K: Hash + Eq> Throttle<K> {
    /// Lets `most` failures happen within `period` seconds.
    pub fn new(most: u32, period: i64) -> Self {
        Self { most, period, failures: HashMap::new() }
    }

    /// How many seconds `key` has to wait until it may try again; `None`: now.
    pub fn wait(&self, key: &K, now: i64) -> Option<i64> {
        let failures = self.failures.get(key)?;
        let left = failures.since + self.period - now;
        (failures.count >= self.most && left > 0).then_some(left)
    }

    /// Counts an attempt: it did not work, or is not known to work yet.
    pub fn failed(&mut self, key: K, now: i64) {
        if self.failures.len() >= KEYS_MAX {
            let period = self.period;
            self.failures.retain(|_, failures| failures.since + period > now);
            if self.failures.len() >= KEYS_MAX {
                self.failures.clear();
            }
        }
        let failures = self.failures.entry(key).or_insert(Failures { count: 0, since: now });
        if failures.since + self.period <= now {
            *failures = Failures { count: 0, since: now };
        }
        failures.count = failures.count.saturating_add(1);
    }

    /// Takes one attempt back: it worked, or could not be made. What failed before still counts.
    pub fn take_back(&mut self, key: &K) {
        if let Some(failures) = self.failures.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    /// It worked, and what failed before does not count any more.
    pub fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_so_many_failures_it_has_to_wait() {
        let mut throttle = Throttle::new(3, 60);
        for second in 0..3 {
            assert_eq!(throttle.wait(&"a", 1000 + second), None);
            throttle.failed("a", 1000 + second);
        }
        assert_eq!(throttle.wait(&"a", 1002), Some(58));
        assert_eq!(throttle.wait(&"b", 1002), None);
        assert_eq!(throttle.wait(&"a", 1060), None);
        throttle.failed("a", 1060);
        assert_eq!(throttle.wait(&"a", 1061), None, "a new period");
        throttle.failed("a", 1061);
        throttle.failed("a", 1061);
        assert_eq!(throttle.wait(&"a", 1061), Some(59));
        throttle.take_back(&"a");
        assert_eq!(throttle.wait(&"a", 1061), None);
        throttle.failed("a", 1061);
        assert_eq!(throttle.wait(&"a", 1061), Some(59), "the others still count");
        throttle.forget(&"a");
        throttle.take_back(&"a");
        assert_eq!(throttle.wait(&"a", 1061), None);
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let mut throttle = Throttle::new(1, 60);
        for key in 0..KEYS_MAX * 3 {
            throttle.failed(key, (key / 10) as i64);
            assert!(throttle.failures.len() <= KEYS_MAX);
        }
    }
}
