//! A fixed answer.

use super::ANY_METHOD;
use crate::conf;
use crate::http::{HttpError, MethodSet, Status};
use crate::http1::render;
use crate::net::Bytes;
use crate::serve::{Body, Handler, Head, Look, Plan, Request, Response};
use std::io::Write;
use std::rc::Rc;

/// Gives every request the same answer, rendered once.
pub struct RespondHandler {
    status: Status,
    head: Rc<[u8]>,
    body: Rc<[u8]>,
}

impl RespondHandler {
    /// The answer that `respond` describes.
    pub fn new(respond: conf::Respond) -> Self {
        let conf::Respond { status, body, content_type } = respond;
        let body = if status.may_have_body() { body.into_bytes() } else { Vec::new() };
        let mut head = Vec::new();
        render::status_line(status, &mut head);
        // A type that would split the answer is left away, as `Headers::push` does.
        if status.may_have_body() && content_type.bytes().all(crate::http::bytes::is_field_byte) {
            let _ = write!(head, "Content-Type: {content_type}\r\n");
        }
        if status.has_length() {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        Self { status, head: head.into(), body: body.into() }
    }
}

impl Handler for RespondHandler {
    fn methods(&self) -> MethodSet {
        ANY_METHOD
    }

    fn plan(&self, _: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
        Ok(Plan::Respond(Response {
            status: self.status,
            head: Head::Prebuilt(Rc::clone(&self.head)),
            body: match self.body.is_empty() {
                true => Body::Empty,
                false => Body::Bytes(Bytes::from(Rc::clone(&self.body))),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::{cx, head_text, request};

    #[test]
    fn table() {
        for (status, body, media, head, sent) in [
            (
                200,
                "ok\n",
                "text/plain",
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n",
                "ok\n",
            ),
            (204, "ignored", "text/plain", "HTTP/1.1 204 No Content\r\n", ""),
            (418, "", "a/b\r\nX: y", "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n", ""),
        ] {
            let handler = RespondHandler::new(conf::Respond {
                status: Status::new(status).unwrap(),
                body: body.into(),
                content_type: media.into(),
            });
            let plan = handler.plan(&request("GET", "/healthz", &[]), &mut Look::new(&mut cx()));
            let Ok(Plan::Respond(response)) = plan else { panic!("{status}") };
            assert_eq!(head_text(&response), head);
            let Body::Bytes(bytes) = &response.body else {
                assert_eq!(sent, "");
                continue;
            };
            assert_eq!(bytes.as_slice(), sent.as_bytes());
        }
    }
}
