//! Status codes (RFC 9110 §15), and what is said of them.

use super::bytes::is_field_byte;

/// A three-digit status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl Status {
            $(#[doc = concat!("`", stringify!($code), " ", $reason, "`")]
            pub const $name: Self = Self($code);)*

            /// The standard reason phrase; empty for a code that has none.
            pub fn reason(self) -> &'static str {
                match self.0 { $($code => $reason,)* _ => "" }
            }
        }
    };
}

statuses! {
    100 CONTINUE "Continue"
    101 SWITCHING_PROTOCOLS "Switching Protocols"
    102 PROCESSING "Processing"
    103 EARLY_HINTS "Early Hints"
    200 OK "OK"
    201 CREATED "Created"
    202 ACCEPTED "Accepted"
    203 NON_AUTHORITATIVE "Non-Authoritative Information"
    204 NO_CONTENT "No Content"
    205 RESET_CONTENT "Reset Content"
    206 PARTIAL_CONTENT "Partial Content"
    207 MULTI_STATUS "Multi-Status"
    208 ALREADY_REPORTED "Already Reported"
    226 IM_USED "IM Used"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 FOUND "Found"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    305 USE_PROXY "Use Proxy"
    307 TEMPORARY_REDIRECT "Temporary Redirect"
    308 PERMANENT_REDIRECT "Permanent Redirect"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    402 PAYMENT_REQUIRED "Payment Required"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required"
    408 REQUEST_TIMEOUT "Request Timeout"
    409 CONFLICT "Conflict"
    410 GONE "Gone"
    411 LENGTH_REQUIRED "Length Required"
    412 PRECONDITION_FAILED "Precondition Failed"
    413 CONTENT_TOO_LARGE "Content Too Large"
    414 URI_TOO_LONG "URI Too Long"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable"
    417 EXPECTATION_FAILED "Expectation Failed"
    418 TEAPOT "I'm a teapot"
    421 MISDIRECTED_REQUEST "Misdirected Request"
    422 UNPROCESSABLE_CONTENT "Unprocessable Content"
    423 LOCKED "Locked"
    424 FAILED_DEPENDENCY "Failed Dependency"
    425 TOO_EARLY "Too Early"
    426 UPGRADE_REQUIRED "Upgrade Required"
    428 PRECONDITION_REQUIRED "Precondition Required"
    429 TOO_MANY_REQUESTS "Too Many Requests"
    431 HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large"
    451 LEGAL_REASONS "Unavailable For Legal Reasons"
    499 CLIENT_CLOSED_REQUEST "Client Closed Request"
    500 INTERNAL_SERVER_ERROR "Internal Server Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 GATEWAY_TIMEOUT "Gateway Timeout"
    505 VERSION_NOT_SUPPORTED "HTTP Version Not Supported"
    506 VARIANT_ALSO_NEGOTIATES "Variant Also Negotiates"
    507 INSUFFICIENT_STORAGE "Insufficient Storage"
    508 LOOP_DETECTED "Loop Detected"
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required"
}

impl Status {
    /// A code from outside (a configuration, a script): 100 to 599, otherwise `None`.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The hundreds: 4 for 404.
    pub const fn class(self) -> u16 {
        self.0 / 100
    }

    /// 4xx or 5xx.
    pub const fn is_error(self) -> bool {
        self.0 >= 400
    }

    /// Whether an answer with this status may carry a body at all (RFC 9110 §6.4.1, §15.3.6).
    pub const fn may_have_body(self) -> bool {
        self.has_length() && self.0 != 205
    }

    /// Whether the length of its body has to be told: not where every client knows from the status that
    /// there is none (RFC 9112 §6.3). 205 has none either, and says so.
    pub const fn has_length(self) -> bool {
        !(self.class() == 1 || self.0 == 204 || self.0 == 304)
    }
}

/// A status and what is said of it: the standard phrase, or a program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLine<'a> {
    status: Status,
    reason: &'a [u8],
}

impl<'a> StatusLine<'a> {
    /// Bytes of a reason phrase of a program.
    const REASON_MAX: usize = 128;

    /// With the phrase that a program has said (RFC 9112 §4), if it is one, of reasonable length.
    pub fn said(status: Status, phrase: &'a [u8]) -> Self {
        let phrase = phrase.trim_ascii();
        let is_clean = phrase.iter().copied().all(is_field_byte);
        match phrase.len() {
            1..=Self::REASON_MAX if is_clean => Self { status, reason: phrase },
            _ => status.into(),
        }
    }

    /// The code.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The phrase; empty where none was said of a code that has none.
    pub const fn reason(&self) -> &'a [u8] {
        self.reason
    }
}

impl From<Status> for StatusLine<'_> {
    fn from(status: Status) -> Self {
        Self { status, reason: status.reason().as_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_phrases_are_passed_on() {
        let odd = Status::new(299).unwrap();
        let (full, long) = ([b'x'; StatusLine::REASON_MAX], [b'x'; StatusLine::REASON_MAX + 1]);
        for (status, said, want) in [
            (odd, &b"Odd but fine"[..], &b"Odd but fine"[..]),
            (odd, b"", b""),
            (odd, b" \t", b""),
            (Status::NOT_FOUND, b"Gone fishing", b"Gone fishing"),
            (Status::NOT_FOUND, b" caf\xc3\xa9\tau lait ", b"caf\xc3\xa9\tau lait"),
            (Status::NOT_FOUND, b"", b"Not Found"),
            (Status::NOT_FOUND, b"  ", b"Not Found"),
            (Status::NOT_FOUND, b"a\r\nX: y", b"Not Found"),
            (Status::NOT_FOUND, b"a\0", b"Not Found"),
            (Status::NOT_FOUND, b"a\x7f", b"Not Found"),
            (Status::NOT_FOUND, b"a\x1b[2J", b"Not Found"),
            (Status::NOT_FOUND, &full, &full),
            (Status::NOT_FOUND, &long, b"Not Found"),
        ] {
            let line = StatusLine::said(status, said);
            assert_eq!(line.reason(), want, "{}", said.escape_ascii());
            assert_eq!(line.status(), status);
        }
    }

    #[test]
    fn codes_from_outside_are_checked() {
        assert_eq!(Status::new(404), Some(Status::NOT_FOUND));
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(600), None);
        assert_eq!(Status::NOT_FOUND.reason(), "Not Found");
        assert_eq!(Status::new(498).map(Status::reason), Some(""));
    }

    #[test]
    fn bodies() {
        assert!(Status::OK.may_have_body());
        assert!(!Status::NO_CONTENT.may_have_body());
        assert!(!Status::NOT_MODIFIED.may_have_body());
        assert!(!Status::CONTINUE.may_have_body());
        let reset = Status::new(205).unwrap();
        assert!(!reset.may_have_body() && reset.has_length());
    }
}
