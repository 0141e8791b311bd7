//! A handler of one's own, below the framework: `cargo run --example numbers`, then
//!
//! ```text
//! curl http://127.0.0.1:8080/numbers/12                       # answered completely
//! curl -N http://127.0.0.1:8080/numbers/count?to=5            # streamed by an exchange
//! seq 100000 | curl -T - -X POST http://127.0.0.1:8080/numbers/sum   # a body, as it comes
//! ```

use httpyserver::serve::{
    Cx, Exchange, ExchangeIo, Handler, Headers, HttpError, Look, Method, MethodSet, Plan, Request,
    Response, Status, Step,
};
use httpyserver::{App, Failure, Server};
use std::time::{Duration, Instant};

struct Numbers;

impl Handler for Numbers {
    fn methods(&self) -> MethodSet {
        MethodSet::of(&[Method::Get, Method::Head, Method::Post])
    }

    /// Decides, and does nothing yet: what takes time or has an effect is left to an exchange.
    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        match (request.head.method(), request.rest()) {
            (Method::Post, b"sum") => Ok(Plan::exchange("the sum of the body", Sum::default())),
            (Method::Post, _) => {
                Err(HttpError::new(Status::METHOD_NOT_ALLOWED, "only a sum takes a body")
                    .with_header("Allow", "GET, HEAD"))
            }
            (_, b"count") => {
                let to = request.query().and_then(|query| number(query.strip_prefix(b"to=")?));
                Ok(Plan::exchange(
                    "numbers, one after the other",
                    Count { next: 1, to: to.unwrap_or(10), at: look.now() },
                ))
            }
            (_, name) => {
                let found = number(name)
                    .ok_or_else(|| HttpError::new(Status::NOT_FOUND, "this is no number"))?;
                let parity = if found % 2 == 0 { "even" } else { "odd" };
                Ok(Response::text(Status::OK, "text/plain", format!("{parity}\n")).into())
            }
        }
    }
}

/// Counts, a number every tenth of a second.
struct Count {
    next: u64,
    to: u64,
    at: Instant,
}

impl Exchange for Count {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        if !io.answer.is_started() {
            let mut headers = Headers::new();
            headers.push("Content-Type", b"text/plain");
            io.answer.head(Status::OK, &headers, None);
        }
        // The body of an answer to HEAD is left away: nothing has to wait for it.
        while self.next <= self.to && !io.answer.omits_body() {
            // A client that reads slowly holds this up, and nothing else.
            if io.answer.room() == 0 {
                return Ok(Step::Wait(io.answer.until_room()));
            }
            if cx.now() < self.at {
                return Ok(Step::Wait(io.until(self.at)));
            }
            io.answer.write(format!("{}\n", self.next).as_bytes())?;
            (self.next, self.at) = (self.next + 1, cx.now() + Duration::from_millis(100));
        }
        io.answer.finish()?;
        Ok(Step::Done)
    }
}

/// Adds up the numbers of a body, however long it is, and keeps none of it.
#[derive(Default)]
struct Sum {
    total: u64,
    digits: Option<u64>,
}

impl Sum {
    fn take(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'0'..=b'9' => {
                let before = self.digits.unwrap_or(0).checked_mul(10)?;
                self.digits = Some(before.checked_add(u64::from(byte - b'0'))?);
            }
            b' ' | b'\n' | b'\r' => {
                self.total = self.total.checked_add(self.digits.take().unwrap_or(0))?;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Exchange for Sum {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, _: &mut Cx) -> Result<Step, HttpError> {
        // What is not asked for is not received.
        loop {
            let piece = io.body.peek()?;
            let taken = piece.len();
            if taken == 0 {
                break;
            }
            if piece.iter().try_for_each(|byte| self.take(*byte)).is_none() {
                return Err(HttpError::new(Status::BAD_REQUEST, "not numbers of 64 bits"));
            }
            io.body.consume(taken);
        }
        if !io.body.is_finished() {
            return Ok(Step::Wait(io.body.until_more()));
        }
        let total = self.take(b'\n').map(|()| self.total);
        let total =
            total.ok_or_else(|| HttpError::new(Status::BAD_REQUEST, "a sum beyond 64 bits"))?;
        Ok(Step::Respond(Response::text(Status::OK, "text/plain", format!("{total}\n"))))
    }
}

pub(crate) fn server(address: &str) -> Server {
    let app = App::new().get("/", |_| "Try /numbers/12 and /numbers/count.\n");
    Server::bind(address).app(app).handler("/numbers/", Numbers)
}

fn main() -> Result<(), Failure> {
    server("127.0.0.1:8080").run()
}
