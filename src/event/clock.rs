//! The time, read once a turn of the loop.

use crate::http::date;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The instant all deadlines are measured with, and the wall clock that goes into answers and
/// logs. The wall clock is read again only when the monotonic one says that a second has passed.
#[derive(Debug)]
pub struct Clock {
    now: Instant,
    unix: u64,
    next_second: Instant,
    /// `Server` line (may be empty) and `Date` line, as every head ends with them.
    common: Rc<[u8]>,
    server_line: Vec<u8>,
    /// The date as access logs write it.
    log_date: Vec<u8>,
}

impl Clock {
    /// A clock that shows the present.
    pub fn new() -> Self {
        let now = Instant::now();
        let mut clock = Self {
            now,
            unix: 0,
            next_second: now,
            common: Rc::from([]),
            server_line: Vec::new(),
            log_date: Vec::new(),
        };
        clock.set(now, SystemTime::now());
        clock
    }

    /// Reads the time again: one clock call a turn, a second one each second.
    pub fn tick(&mut self) {
        self.now = Instant::now();
        if self.now >= self.next_second {
            self.set(self.now, SystemTime::now());
        }
    }

    /// Shows a given time: what `tick` does, for tests that bring their own.
    pub fn set(&mut self, now: Instant, wall: SystemTime) {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = now;
        self.unix = since.as_secs();
        let rest = 1_000_000_000 - u64::from(since.subsec_nanos());
        self.next_second = now + Duration::from_nanos(rest);
        self.render();
    }

    /// The monotonic time of this turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Seconds since 1970 of this turn.
    pub fn unix(&self) -> u64 {
        self.unix
    }

    /// Milliseconds of the current second, as of this turn.
    pub fn millis(&self) -> u32 {
        1000 - (self.next_second.saturating_duration_since(self.now).as_millis() as u32)
            .clamp(1, 1000)
    }

    /// Sets what the `Server` header says; `None` sends none.
    pub fn set_server(&mut self, name: Option<&str>) {
        self.server_line =
            name.map(|n| format!("Server: {n}\r\n").into_bytes()).unwrap_or_default();
        self.render();
    }

    /// The lines that every response head carries: `Server`, if one is set, and `Date`.
    pub fn common_headers(&self) -> &Rc<[u8]> {
        &self.common
    }

    /// The date of this turn as the common log format has it: `10/Oct/2026:13:55:36 +0000`.
    pub fn log_date(&self) -> &[u8] {
        &self.log_date
    }

    fn render(&mut self) {
        self.log_date.clear();
        date::clf(self.unix, &mut self.log_date);
        let date = date::format(self.unix);
        self.common = [&*self.server_line, b"Date: ", &date, b"\r\n"].concat().into();
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_headers_follow_the_wall_clock() {
        let mut clock = Clock::new();
        clock.set(Instant::now(), UNIX_EPOCH + Duration::from_millis(784_111_777_500));
        assert_eq!(&**clock.common_headers(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        clock.set_server(Some("x"));
        assert_eq!(
            &**clock.common_headers(),
            b"Server: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        );
        assert_eq!(clock.next_second - clock.now, Duration::from_millis(500));
    }
}
