//! Status codes (RFC 9110 §15).

/// A three-digit status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl Status {
            $(#[doc = concat!("`", stringify!($code), " ", $reason, "`")]
            pub const $name: Self = Self($code);)*

            /// The reason phrase; empty for a code that has none here.
            pub fn reason(self) -> &'static str {
                match self.0 { $($code => $reason,)* _ => "" }
            }
        }
    };
}

statuses! {
    100 CONTINUE "Continue"
    101 SWITCHING_PROTOCOLS "Switching Protocols"
    200 OK "OK"
    201 CREATED "Created"
    202 ACCEPTED "Accepted"
    204 NO_CONTENT "No Content"
    206 PARTIAL_CONTENT "Partial Content"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 FOUND "Found"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    307 TEMPORARY_REDIRECT "Temporary Redirect"
    308 PERMANENT_REDIRECT "Permanent Redirect"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
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
    426 UPGRADE_REQUIRED "Upgrade Required"
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
    507 INSUFFICIENT_STORAGE "Insufficient Storage"
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

    /// Whether an answer with this status may carry a body at all (RFC 9110 §6.4.1).
    pub const fn may_have_body(self) -> bool {
        !(self.class() == 1 || self.0 == 204 || self.0 == 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
