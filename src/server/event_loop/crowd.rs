//! What the log is told of clients for whom there is no place: a line now and then, with counts.

use crate::conf::Level;
use crate::event::Cx;
use std::time::{Duration, Instant};

/// How often the log is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Clients that found no place.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// How often others waited because all connections were taken.
    pub(super) full: u64,
    /// Clients sent away because their address has as many connections as it may have.
    pub(super) per_client: u64,
    told: (u64, u64),
    due: Option<Instant>,
}

impl Crowd {
    /// Writes down what has happened since the last line, if that was long enough ago.
    pub(super) fn report(&mut self, connections_max: usize, cx: &mut Cx) {
        let now = cx.now();
        if let Some(text) = self.news(connections_max, now) {
            cx.report(Level::Warning, text);
        }
    }

    fn news(&mut self, connections_max: usize, now: Instant) -> Option<String> {
        let (full, per_client) = (self.full - self.told.0, self.per_client - self.told.1);
        if full + per_client == 0 || self.due.is_some_and(|due| now < due) {
            return None;
        }
        self.told = (self.full, self.per_client);
        self.due = Some(now + TELL_EVERY);
        let mut parts = Vec::new();
        if full > 0 {
            parts.push(format!(
                "all {connections_max} connections are taken, others wait ({full} times)"
            ));
        }
        if per_client > 0 {
            let what = "connections refused: their address has as many as `per_client` allows";
            parts.push(format!("{per_client} {what}"));
        }
        Some(parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_now_and_then() {
        let (mut crowd, start) = (Crowd::default(), Instant::now());
        assert_eq!(crowd.news(5, start), None);
        crowd.full += 1;
        assert!(crowd.news(5, start).unwrap().contains("all 5 connections are taken"));
        assert_eq!(crowd.news(5, start + TELL_EVERY * 2), None, "nothing new");
        crowd.full += 3;
        crowd.per_client += 7;
        let text = crowd.news(5, start + TELL_EVERY).unwrap();
        assert!(text.contains("(3 times); 7 connections refused"), "{text}");
        crowd.full += 1;
        assert_eq!(crowd.news(5, start + TELL_EVERY + TELL_EVERY / 2), None, "too soon");
        assert!(crowd.news(5, start + TELL_EVERY * 2).is_some());
    }
}
