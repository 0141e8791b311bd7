//! `[timeouts]` and `[limits]`: how long is waited, and how much clients may use.

use super::{Keys, Number, Optional, Rate, Size, Time, key};
use crate::conf::model::{Limits, Timeouts};
use std::time::Duration;

pub(in crate::conf) static TIMEOUTS: Keys<Timeouts> = Keys {
    title: "[timeouts]",
    defaults: Timeouts::default,
    keys: &[
        key("handshake", at!(Timeouts, handshake: Time::OUT))
            .does("from accept to the end of a TLS handshake"),
        key("header", at!(Timeouts, header: Time::OUT))
            .does("from accept, or from the first byte of a request, to the end of its head"),
        key("body", at!(Timeouts, body: Time::OUT)).does("between two reads of a body"),
        key("idle", at!(Timeouts, idle: Time::OUT)).does("between two requests"),
        key("write", at!(Timeouts, write: Time::OUT))
            .does("while the client takes no byte of an answer"),
        key("shutdown", at!(Timeouts, shutdown: SHUTDOWN))
            .does("from the order to stop until answers in flight are cut off"),
    ],
};

/// Waiting for nothing is a choice here.
const SHUTDOWN: Time = Time { min: Duration::ZERO, max: Time::MONTH };

/// Open connections; each has a descriptor, and Linux gives a process at most 2^20 by default.
const CONNECTIONS: Number = Number { min: 1, max: 1_048_576 };

/// Bytes of a head: more than the shortest request of a browser, and places in it are 16 bits (see
/// `HeadLimits`).
const HEAD: Size = Size { min: 256, max: 65_535 };

/// Header lines of a head (see `HeadLimits`).
const HEADERS: Number = Number { min: 1, max: 255 };

/// Bytes of a body that may wait in memory: every connection can have one.
const SPOOL_ABOVE: Size = Size { min: 0, max: 64 * 1024 * 1024 };

/// Less would let nothing wait.
const SPOOL_TOTAL: Size = Size::from(1024 * 1024);

pub(in crate::conf) static LIMITS: Keys<Limits> = Keys {
    title: "[limits]",
    defaults: Limits::default,
    keys: &[
        key("connections", at!(Limits, connections: CONNECTIONS)).does("open connections at once"),
        key("per_client", at!(Limits, per_client: Optional(CONNECTIONS)))
            .does("open connections of one address")
            .example("100")
            .otherwise("no limit"),
        key("request_line", at!(Limits, head.request_line: HEAD))
            .does("length of a request line; more is 414"),
        key("header_bytes", at!(Limits, head.head: HEAD))
            .does("length of a whole head; more is 431"),
        key("header_count", at!(Limits, head.count: HEADERS)).does("header lines; more is 431"),
        key("body", at!(Limits, body: Size::ANY))
            .does("length of a request body; more is 413 (uploads have their own `max`)"),
        key("spool_above", at!(Limits, spool_above: SPOOL_ABOVE))
            .does("longer bodies for programs wait in a temporary file"),
        key("spool_total", at!(Limits, spool_total: SPOOL_TOTAL))
            .does("all that waits in temporary files; beyond it, senders wait"),
        key("min_rate", at!(Limits, min_rate: Rate))
            .does("slower bodies end after five seconds, slower answers after `timeouts.write`"),
    ],
};
