//! What the server has to say of itself.

use super::log_sink::LogSink;
use crate::conf::Level;
use crate::event::Clock;
use crate::http::{date, escape};
use std::io;

/// The error log: a line an event, written at once.
#[derive(Debug)]
pub struct ErrorLog {
    sink: LogSink,
    level: Level,
}

impl ErrorLog {
    /// A log that says what is at least as grave as `level`.
    pub fn new(sink: LogSink, level: Level) -> Self {
        Self { sink, level }
    }

    /// Says something, if it is grave enough. Several lines stay several lines.
    pub fn say(&mut self, clock: &Clock, level: Level, text: &str) {
        if level > self.level {
            return;
        }
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
        self.sink.flush();
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
}
