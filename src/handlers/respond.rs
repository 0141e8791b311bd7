//! A fixed answer.

use super::ANY_METHOD;
use crate::conf;
use crate::http::{Headers, HttpError, MethodSet};
use crate::net::Bytes;
use crate::serve::{Body, Handler, Look, Plan, PreparedHead, Request, Response};
use std::rc::Rc;

/// Gives every request the same answer, rendered once.
pub struct RespondHandler {
    head: Rc<PreparedHead>,
    body: Rc<[u8]>,
}

impl RespondHandler {
    /// The answer that `respond` describes.
    pub fn new(respond: conf::Respond) -> Self {
        let conf::Respond { status, body, content_type } = respond;
        let body = if status.may_have_body() { body.into_bytes() } else { Vec::new() };
        let mut type_line = Headers::new();
        if status.may_have_body() {
            // A type that would split the answer is left away.
            type_line.try_push("Content-Type", content_type.as_bytes());
        }
        let head = PreparedHead::new(status, &type_line, body.len() as u64, &Headers::new());
        Self { head, body: body.into() }
    }
}

impl Handler for RespondHandler {
    fn methods(&self) -> MethodSet {
        ANY_METHOD
    }

    fn plan(&self, _: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
        let body = match self.body.is_empty() {
            true => Body::Empty,
            false => Body::Bytes(Bytes::from(Rc::clone(&self.body))),
        };
        Ok(Plan::Respond(Response::prepared(&self.head, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::{cx, head_text, request};
    use crate::http::Status;

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
