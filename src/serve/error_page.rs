//! From a refused request to the page that says so.

use super::{Head, Request, Response};
use crate::http::{ErrorForm, Headers, HttpError, Known, Status, error_form, escape};
use crate::net::Bytes;
use std::fmt;
use std::rc::Rc;

/// What a program that embeds the server says to failures instead of the server: `None` leaves it
/// to the pages. There is no request where its head was not understood.
pub type ErrorHook = Rc<dyn Fn(&HttpError, Option<&Request>) -> Option<Response>>;

/// The pages a host has of its own; every other error gets a built-in one.
#[derive(Clone, Default)]
pub struct ErrorPages {
    hook: Option<ErrorHook>,
    by_status: Vec<(Status, OwnPage)>,
    by_class: Vec<(u16, OwnPage)>,
}

/// A page read when the configuration was loaded.
#[derive(Clone, Debug)]
pub struct OwnPage {
    /// Its media type.
    pub media_type: Rc<str>,
    /// Its bytes.
    pub body: Rc<[u8]>,
}

impl ErrorPages {
    /// Uses `page` for a status.
    pub fn for_status(&mut self, status: Status, page: OwnPage) {
        self.by_status.push((status, page));
    }

    /// Uses `page` for a class (4 or 5) where the status has none of its own.
    pub fn for_class(&mut self, class: u16, page: OwnPage) {
        self.by_class.push((class, page));
    }

    /// Asks `hook` before any page.
    pub fn ask_first(&mut self, hook: ErrorHook) {
        self.hook = Some(hook);
    }

    /// The answer to a request that failed, or to what is no request: the hook's, or the page's.
    pub fn answer(&self, error: &HttpError, request: Option<&Request>) -> Response {
        let own = self.hook.as_ref().and_then(|hook| hook(error, request));
        own.unwrap_or_else(|| {
            self.respond(error, request.and_then(|request| request.head.get(Known::Accept)))
        })
    }

    /// The page of a failure. A host's own page comes first; otherwise the client's
    /// `Accept` decides between a page, JSON (RFC 9457) and a line of text, with the advice of the
    /// error or that of its status. Nothing of the request and nothing of `error.reason` is repeated
    /// to the client.
    pub fn respond(&self, error: &HttpError, accept: Option<&[u8]>) -> Response {
        let status = error.status;
        let mut headers = error.headers.as_deref().cloned().unwrap_or_default();
        let body = match self.own(status) {
            Some(page) => {
                headers.push("Content-Type", page.media_type.as_bytes());
                Bytes::from(page.body.clone())
            }
            None => {
                let advice = error.advice.unwrap_or_else(|| advice(error));
                built_in(status, advice, accept, &mut headers)
            }
        };
        headers.push("Cache-Control", b"no-store");
        Response { head: Head::Fields(headers), ..Response::new(status) }.with_body(body)
    }

    fn own(&self, status: Status) -> Option<&OwnPage> {
        let exact = self.by_status.iter().find(|(s, _)| *s == status).map(|(_, page)| page);
        let class = || self.by_class.iter().find(|(c, _)| *c == status.class());
        exact.or_else(|| class().map(|(_, page)| page))
    }
}

impl fmt::Debug for ErrorPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hook, by_status, by_class } = self;
        let hook = hook.is_some();
        write!(f, "ErrorPages {{ hook: {hook}, {by_status:?}, {by_class:?} }}")
    }
}

fn built_in(status: Status, advice: &str, accept: Option<&[u8]>, headers: &mut Headers) -> Bytes {
    let (code, reason) = (status.code(), status.reason());
    match error_form(accept) {
        ErrorForm::Html => {
            headers.push("Content-Type", b"text/html; charset=utf-8");
            Bytes::Owned(page(code, &escape::html(reason), &escape::html(advice)).into_bytes())
        }
        ErrorForm::Json => {
            headers.push("Content-Type", b"application/problem+json");
            // None of the three can hold a quote or a control byte: they are texts of this program.
            let json = format!(
                "{{\"type\":\"about:blank\",\"status\":{code},\"title\":\"{reason}\",\"detail\":\"{advice}\"}}\n"
            );
            Bytes::Owned(json.into_bytes())
        }
        ErrorForm::Text => {
            headers.push("Content-Type", b"text/plain; charset=utf-8");
            Bytes::Owned(format!("{code} {reason}\n{advice}\n").into_bytes())
        }
    }
}

fn page(code: u16, reason: &str, advice: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{code} {reason}</title><style>\
         :root{{color-scheme:light dark}}\
         body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:16vh auto 0;padding:0 1.5rem}}\
         p.c{{font-size:4rem;font-weight:700;line-height:1;margin:0;opacity:.35}}\
         h1{{margin:.4rem 0 .6rem}}</style></head>\
         <body><p class=\"c\">{code}</p><h1>{reason}</h1><p>{advice}</p></body></html>\n"
    )
}

/// What happened, and what the reader can do.
fn advice(error: &HttpError) -> &'static str {
    let status = error.status;
    match status {
        Status::BAD_REQUEST if error.close => {
            "The server did not understand this request, so it ended the connection."
        }
        Status::BAD_REQUEST => "The server did not understand this request.",
        Status::UNAUTHORIZED => "This page asks for a user name and a password.",
        Status::FORBIDDEN => "You may not see this, or may not do this here.",
        Status::NOT_FOUND => {
            "There is nothing at this address. It may have moved: try the start page."
        }
        Status::METHOD_NOT_ALLOWED => "This address does not answer requests of that kind.",
        Status::REQUEST_TIMEOUT => "The request took too long to arrive. Please try again.",
        Status::CONFLICT => "This cannot be done as things are here now.",
        Status::LENGTH_REQUIRED => "The request must say how long its body is.",
        Status::PRECONDITION_FAILED => {
            "What is here is not what the request expects: it may have changed."
        }
        Status::CONTENT_TOO_LARGE => "What you sent is larger than this server takes.",
        Status::URI_TOO_LONG => "The address is too long.",
        Status::RANGE_NOT_SATISFIABLE => "No part that was asked for lies within this file.",
        Status::EXPECTATION_FAILED => "The server cannot do what the request expects of it.",
        Status::MISDIRECTED_REQUEST => {
            "No site of that name lives on this server. Check the host name in the address."
        }
        Status::TOO_MANY_REQUESTS => "Too many requests at once. Please wait a moment.",
        Status::HEADER_FIELDS_TOO_LARGE => {
            "The request headers are too large. Deleting cookies may help."
        }
        Status::NOT_IMPLEMENTED => "The server does not know how to do that.",
        Status::SERVICE_UNAVAILABLE => "The server is busy. Please try again in a moment.",
        Status::GATEWAY_TIMEOUT => "The program that makes this page took too long.",
        Status::BAD_GATEWAY => "The program that makes this page failed.",
        Status::VERSION_NOT_SUPPORTED => "This server speaks HTTP/1.0 and HTTP/1.1.",
        Status::INSUFFICIENT_STORAGE => "There is no room left to store this.",
        _ if status.class() == 5 => {
            "Something went wrong on the server. It has been written to its log."
        }
        _ => "The server could not answer this request.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: &Response) -> String {
        let super::super::Body::Bytes(bytes) = &response.body else { panic!("no body") };
        String::from_utf8(bytes.as_slice().to_vec()).unwrap()
    }

    #[test]
    fn the_form_follows_accept_and_the_reason_stays_inside() {
        let pages = ErrorPages::default();
        let error = HttpError::new(Status::NOT_FOUND, "/srv/secret is not there");
        let advised = HttpError::new(Status::NOT_FOUND, "").with_advice("Ask elsewhere.");
        for (accept, start) in [
            (None, "404 Not Found\n"),
            (Some("*/*"), "404 Not Found\n"),
            (Some("text/html,*/*;q=0.8"), "<!doctype html>"),
            (Some("application/json"), "{\"type\""),
        ] {
            let text = body(&pages.respond(&error, accept.map(str::as_bytes)));
            assert!(text.starts_with(start), "{accept:?}: {text}");
            assert!(!text.contains("secret"));
            assert!(text.len() < 2048);
            let text = body(&pages.respond(&advised, accept.map(str::as_bytes)));
            assert!(text.contains("Ask elsewhere.") && !text.contains("start page"), "{text}");
        }
    }

    #[test]
    fn a_page_says_that_the_connection_has_ended_where_it_has() {
        let page = |error| body(&ErrorPages::default().respond(&error, None));
        let ended = page(HttpError::bad_request("no request line"));
        assert!(ended.ends_with("so it ended the connection.\n"), "{ended}");
        let kept = page(HttpError::new(Status::BAD_REQUEST, "no JSON"));
        assert_eq!(kept, "400 Bad Request\nThe server did not understand this request.\n");
    }

    #[test]
    fn own_pages_by_status_before_class() {
        let own = |text: &'static str| OwnPage {
            media_type: "text/html".into(),
            body: text.as_bytes().into(),
        };
        let mut pages = ErrorPages::default();
        pages.for_class(4, own("class"));
        pages.for_status(Status::NOT_FOUND, own("exact"));
        let text = |status| body(&pages.respond(&HttpError::new(status, ""), None));
        assert_eq!(text(Status::NOT_FOUND), "exact");
        assert_eq!(text(Status::FORBIDDEN), "class");
        assert!(text(Status::BAD_GATEWAY).starts_with("502"));
    }
}
