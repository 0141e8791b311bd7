//! How long a backend may be silent. The clock stands while something else is waited for: the connection has
//! time limits of its own for a slow client and a missing body.

use crate::http::{HttpError, Status};
use std::time::{Duration, Instant};

/// The silence of a backend.
#[derive(Debug)]
pub struct Silence {
    since: Instant,
    longest: Duration,
}

impl Silence {
    /// It begins now and may last so long.
    pub fn new(now: Instant, longest: Duration) -> Self {
        Self { since: now, longest }
    }

    /// The backend has done something, or has no reason to.
    pub fn end(&mut self, now: Instant) {
        self.since = now;
    }

    /// When it has lasted too long.
    ///
    /// # Errors
    /// 504: it has. `name` is how logs call the backend.
    pub fn until(&self, now: Instant, name: &str) -> Result<Instant, HttpError> {
        let due = self.since + self.longest;
        if now < due {
            return Ok(due);
        }
        let reason = format!("{name} said nothing for {} s", self.longest.as_secs_f32());
        Err(HttpError::fatal(Status::GATEWAY_TIMEOUT, reason))
    }
}
