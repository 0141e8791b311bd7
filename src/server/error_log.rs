//! What the server has to say of itself.

use super::log_sink::LogSink;
use crate::conf::Level;
use crate::event::{Clock, Notice};
use crate::http::{date, escape};
use std::io;
use std::time::{Duration, Instant};

/// Events of requests written in a second. More are counted only: a flood of requests that fail must
/// not fill the disk as well, nor hide what the server says of itself.
const EVENTS_MAX: u32 = 2000;
const SECOND: Duration = Duration::from_secs(1);

/// The error log: a line an event, written in the turn in which it happened.
#[derive(Debug)]
pub struct ErrorLog {
    sink: LogSink,
    level: Level,
    /// When the second began in which events of requests are counted.
    since: Option<Instant>,
    written: u32,
    left_out: u32,
    /// Something was said since the last flush.
    is_news: bool,
}

impl ErrorLog {
    /// A log that says what is at least as grave as `level`.
    pub fn new(sink: LogSink, level: Level) -> Self {
        Self { sink, level, since: None, written: 0, left_out: 0, is_news: false }
    }

    /// Whether it says what is as grave as this.
    pub fn says(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Says something, if it is grave enough. Several lines stay several lines.
    pub fn say(&mut self, clock: &Clock, notice: &Notice) {
        if !self.says(notice.level) {
            return;
        }
        if notice.of_request {
            self.catch_up(clock);
            // Who asks for everything gets everything.
            if self.written >= EVENTS_MAX && self.level < Level::Debug {
                self.left_out += 1;
                return;
            }
            self.written += 1;
        }
        self.write(clock, notice.level, &notice.text);
    }

    /// Begins another second when one is over, and says how much was left out in it.
    pub fn catch_up(&mut self, clock: &Clock) {
        let now = clock.now();
        if self.since.is_some_and(|since| now < since + SECOND) {
            return;
        }
        (self.since, self.written) = (Some(now), 0);
        self.tell_left_out(clock);
    }

    /// Says what there is to say, before it is closed.
    pub fn finish(&mut self, clock: &Clock) {
        self.tell_left_out(clock);
        self.flush();
    }

    fn tell_left_out(&mut self, clock: &Clock) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            let text = format!("{left_out} more events were left out");
            self.write(clock, Level::Warning, &text);
        }
    }

    /// When there is something to be said although nothing happens.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.since.filter(|_| self.left_out > 0).map(|since| since + SECOND)
    }

    fn write(&mut self, clock: &Clock, level: Level, text: &str) {
        let word = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        let line = self.sink.buffer();
        let start = line.len();
        date::iso8601(clock.unix(), clock.millis(), line);
        line.push(b' ');
        line.extend_from_slice(word.as_bytes());
        for (n, part) in text.lines().enumerate() {
            line.extend_from_slice(if n == 0 { b" " } else { b"\n    " });
            // What a client sent may be in it; the rest is meant for people to read as it is.
            let mut escaped = Vec::with_capacity(part.len());
            escape::log(part.as_bytes(), &mut escaped);
            line.extend(String::from_utf8_lossy(&escaped).replace("\\x22", "\"").bytes());
        }
        line.push(b'\n');
        self.sink.line_added(start);
        self.is_news = true;
    }

    /// Writes what was said in this turn.
    pub fn flush(&mut self) {
        // What could not be written before waits for company: a full disk is not asked each turn.
        if std::mem::take(&mut self.is_news) {
            self.sink.flush();
        }
    }

    /// Gives its file to an account, if it was made just now.
    pub fn give_to(&self, account: (u32, u32)) {
        self.sink.give_to(account);
    }

    /// Opens its file again.
    ///
    /// # Errors
    /// As `LogSink::reopen`.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.sink.reopen()
    }

    /// Lines lost.
    pub fn dropped(&self) -> u64 {
        self.sink.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::LogTarget;
    use std::time::UNIX_EPOCH;

    fn said(level: Level, seconds: u64, each: u32) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = LogSink::open(LogTarget::File(path.clone())).unwrap();
        let (mut log, mut clock, start) =
            (ErrorLog::new(sink, level), Clock::new(), Instant::now());
        for second in 0..=seconds {
            clock.set(start + SECOND * second as u32, UNIX_EPOCH + SECOND * second as u32);
            assert_eq!(log.wakes_at().is_some(), log.left_out > 0);
            log.catch_up(&clock);
            let count = if second < seconds { each } else { 0 };
            for n in 0..count {
                let (level, text) = (Level::Error, format!("{second}/{n}"));
                log.say(&clock, &Notice { level, text, of_request: true });
            }
            let (level, text) = (Level::Error, "of the server".to_owned());
            log.say(&clock, &Notice { level, text, of_request: false });
        }
        let (level, text) = (Level::Error, "too many".to_owned());
        for _ in 0..EVENTS_MAX + 1 {
            log.say(&clock, &Notice { level, text: text.clone(), of_request: true });
        }
        log.finish(&clock);
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_flood_is_counted_and_hides_nothing_else() {
        let lines = said(Level::Warning, 2, EVENTS_MAX + 7);
        for second in [1, 2] {
            let told = format!("00:0{second}.");
            let told = lines.iter().find(|line| line.contains(&told) && line.contains(" warning "));
            let told = told.unwrap();
            assert!(told.ends_with(" warning 7 more events were left out"), "{told}");
        }
        assert_eq!(lines.iter().filter(|line| line.ends_with("of the server")).count(), 3);
        let last = lines.last().unwrap();
        assert!(last.ends_with(" warning 1 more events were left out"), "{last}");
        assert_eq!(lines.len() as u32, 3 * (EVENTS_MAX + 2));
    }

    #[test]
    fn what_is_no_flood_is_written() {
        let written = |level, each| {
            let lines = said(level, 1, each);
            lines.iter().filter(|line| line.contains("0/")).count() as u32
        };
        assert_eq!(written(Level::Warning, EVENTS_MAX), EVENTS_MAX);
        assert_eq!(written(Level::Debug, EVENTS_MAX + 7), EVENTS_MAX + 7);
    }
}
