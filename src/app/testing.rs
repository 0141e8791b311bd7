//! A client that asks an application without a socket: for tests.
//!
//! The bytes are the same as over a connection: heads are parsed by the server's parser, answers
//! framed by its `Answer`, blocking work is done by helper threads. Only the socket is missing, and
//! with it whatever the connection itself would say: time-outs and limits of heads.

use super::compiled::Service;
use super::service::Mounted;
use crate::event::{ConnId, Cx, Ready};
use crate::http::chunked::{Decoder, Step as Chunk};
use crate::http::limits::HeadLimits;
use crate::http::{HttpError, Parsed, Status, framing, parse};
use crate::net::{RecvBuffer, SendQueue};
use crate::serve::{
    Abort, Answer as Written, AnswerState, BodyIn, BodyState, ErrorPages, Exchange, ExchangeIo,
    Handler, Outcome, Peer, Request, Response, Step, connection_lines, fields_sent,
    write_status_line,
};
use ::http::StatusCode;
use mio::{Events, Poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Asks an application, and keeps its cookies from answer to answer.
///
/// ```
/// use httpyserver::{App, Cookie, Reply};
///
/// let client = App::new()
///     .get("/set", |_| Reply::text("").with_cookie(Cookie::new("a", "b")))
///     .get("/get", |request| request.cookie("a").unwrap_or("none").to_owned())
///     .test();
/// client.get("/set").send();
/// assert_eq!(client.get("/get").send().text(), "b");
/// ```
pub struct TestClient {
    handler: Mounted,
    mount: String,
    cx: RefCell<Cx>,
    poll: RefCell<Poll>,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// A request being put together. Nothing happens before it is sent.
///
/// ```
/// use httpyserver::App;
///
///
/// let client = App::new().post("/", |request| request.text()).test();
/// let request = client.post("/").header("X-A", "1").body("hello");
/// assert_eq!(request.send().text(), "hello");
/// ```
#[must_use = "nothing is asked before `send`"]
pub struct TestRequest<'c> {
    client: &'c TestClient,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// What came back.
///
/// ```
/// use httpyserver::App;
///
///
/// let answer = App::new().get("/", |_| "hello").test().get("/").send();
/// assert_eq!((answer.status().as_u16(), answer.text().as_str()), (200, "hello"));
/// ```
#[derive(Clone, Debug)]
pub struct TestAnswer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_complete: bool,
}

/// How long an answer may take; an application that hangs should fail its test.
const PATIENCE: Duration = Duration::from_secs(30);

impl TestClient {
    pub(super) fn new(service: Rc<Service>) -> Self {
        let poll = Poll::new();
        #[allow(clippy::expect_used)] // without descriptors no test can go on
        let poll = poll.expect("a poll for the test client");
        #[allow(clippy::expect_used)]
        let registry = poll.registry().try_clone().expect("its registry");
        Self {
            handler: Mounted { service, exact: false },
            mount: "/".into(),
            cx: RefCell::new(Cx::new(registry)),
            poll: RefCell::new(poll),
            cookies: RefCell::default(),
        }
    }

    /// As if the application were mounted below a prefix that ends in a slash; paths are still
    /// those the application sees.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |request| request.url_for("/x")).test().mounted_at("/shop/");
    /// assert_eq!(client.get("/").send().text(), "/shop/x");
    /// ```
    #[must_use]
    pub fn mounted_at(mut self, prefix: &str) -> Self {
        self.mount = format!("{}/", prefix.trim_end_matches('/'));
        self
    }

    /// A request with a method of one's own choice. The path is as it is sent: encoded, with query.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().route("REPORT", "/", |_| "all is well").test();
    /// assert_eq!(client.request("REPORT", "/").send().text(), "all is well");
    /// ```
    pub fn request(&self, method: &str, path: &str) -> TestRequest<'_> {
        TestRequest {
            client: self,
            method: method.to_owned(),
            target: format!("{}{}", self.mount.trim_end_matches('/'), path),
            headers: Vec::new(),
            cookies: Vec::new(),
            body: None,
        }
    }

    /// A GET.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |_| "done").test();
    /// assert_eq!(client.get("/").send().text(), "done");
    /// ```
    pub fn get(&self, path: &str) -> TestRequest<'_> {
        self.request("GET", path)
    }

    /// A HEAD.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let answer = App::new().get("/", |_| "hello").test().head("/").send();
    /// assert_eq!((answer.text().as_str(), answer.header("content-length")), ("", Some("5")));
    /// ```
    pub fn head(&self, path: &str) -> TestRequest<'_> {
        self.request("HEAD", path)
    }

    /// A POST.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().post("/", |_| "done").test();
    /// assert_eq!(client.post("/").send().text(), "done");
    /// ```
    pub fn post(&self, path: &str) -> TestRequest<'_> {
        self.request("POST", path)
    }

    /// A PUT.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().put("/", |_| "done").test();
    /// assert_eq!(client.put("/").send().text(), "done");
    /// ```
    pub fn put(&self, path: &str) -> TestRequest<'_> {
        self.request("PUT", path)
    }

    /// A DELETE.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().delete("/", |_| "done").test();
    /// assert_eq!(client.delete("/").send().text(), "done");
    /// ```
    pub fn delete(&self, path: &str) -> TestRequest<'_> {
        self.request("DELETE", path)
    }

    /// A cookie that the client has.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |request| request.session_mut().set("n", 1)).test();
    /// assert_eq!(client.cookie("session"), None);
    /// client.get("/").send();
    /// assert!(client.cookie("session").is_some());
    /// ```
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// Gives the client a cookie, or takes it away.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |request| request.cookie("a").map(str::to_owned)).test();
    /// client.set_cookie("a", Some("b"));
    /// assert_eq!(client.get("/").send().text(), "b");
    /// client.set_cookie("a", None);
    /// assert_eq!(client.get("/").send().status(), 404);
    /// ```
    pub fn set_cookie(&self, name: &str, value: Option<&str>) {
        let mut cookies = self.cookies.borrow_mut();
        match value {
            Some(value) => cookies.insert(name.to_owned(), value.to_owned()),
            None => cookies.remove(name),
        };
    }

    fn keep_cookies(&self, answer: &TestAnswer) {
        for line in answer.all("set-cookie") {
            let Ok(cookie) = cookie::Cookie::parse(line) else { continue };
            let gone = cookie.max_age().is_some_and(|age| !age.is_positive());
            self.set_cookie(cookie.name(), Some(cookie.value()).filter(|_| !gone));
        }
    }
}

impl TestRequest<'_> {
    /// With a header.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |request| request.header("x-a").map(str::to_owned)).test();
    /// assert_eq!(client.get("/").header("X-A", "1").send().text(), "1");
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a cookie beside those that the client has; for this request only.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().get("/", |request| request.cookie("a").map(str::to_owned)).test();
    /// assert_eq!(client.get("/").cookie("a", "b").send().text(), "b");
    /// assert_eq!(client.get("/").send().status(), 404);
    /// ```
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let client = App::new().post("/", |request| request.text()).test();
    /// assert_eq!(client.post("/").body("hello").send().text(), "hello");
    /// ```
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With the fields of a form.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let app = App::new().post("/", |request| request.form().get("a").map(str::to_owned));
    /// assert_eq!(app.test().post("/").form(&[("a", "x & y")]).send().text(), "x & y");
    /// ```
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    /// With fields, and files as field, name, type and content.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let app = App::new().post("/", |request| {
    ///     let name = request.file("f").map_or("none", |file| file.filename());
    ///     format!("{} {name}", request.form().get("a").unwrap_or("none"))
    /// });
    /// let file = ("f", "cat.png", "image/png", &b"meow"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[("a", "1")], &[file]).send().text(), "1 cat.png");
    /// ```
    pub fn multipart(self, fields: &[(&str, &str)], files: &[(&str, &str, &str, &[u8])]) -> Self {
        const BOUNDARY: &str = "----boundary-of-a-test";
        let mut body = Vec::new();
        // Writing to a Vec does not fail.
        for (name, value) in fields {
            let _ = write!(
                body,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        for (name, filename, kind, content) in files {
            let _ = write!(
                body,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; \
                 filename=\"{filename}\"\r\nContent-Type: {kind}\r\n\r\n"
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        let _ = write!(body, "--{BOUNDARY}--\r\n");
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.header("Content-Type", &kind).body(body)
    }

    /// With a value as JSON.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let app = App::new().post("/", |request| request.json::<Vec<u8>>().map(|all| all.len().to_string()));
    /// assert_eq!(app.test().post("/").json(&[1, 2, 3]).send().text(), "3");
    /// ```
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.header("Content-Type", "application/json").body(body)
    }

    /// Asks, and waits for all of the answer: work off the loop is done, a stream comes to its end.
    ///
    /// # Panics
    /// There is no complete answer within 30 seconds.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let app = App::new().get("/", |request| request.blocking(|| "worked for"));
    /// assert_eq!(app.test().get("/").send().text(), "worked for");
    /// ```
    #[allow(clippy::panic)] // a test that hangs should fail
    pub fn send(self) -> TestAnswer {
        let target = self.target.clone();
        let answer = self.run(PATIENCE, false);
        if !answer.is_complete {
            panic!("{target}: no complete answer within {PATIENCE:?}");
        }
        answer
    }

    /// Asks, and returns what there is when the answer waits for something that has not happened:
    /// an event, an instant. Work off the loop is waited for.
    ///
    /// ```
    /// use httpyserver::{App, Broadcast, Event, Reply};
    ///
    /// let news = Broadcast::new(10);
    /// news.send(Event::data("one"));
    /// let app = App::new().get("/", move |_| Reply::events(news.subscribe(Some("all"))));
    /// let answer = app.test().get("/").until_idle();
    /// assert!(answer.text().ends_with("data: one\n\n") && !answer.is_complete());
    /// ```
    pub fn until_idle(self) -> TestAnswer {
        self.run(PATIENCE, true)
    }

    /// Asks, and returns what there is after a while, or all of it if that is sooner.
    ///
    /// ```
    /// use httpyserver::{App, Next, Reply};
    /// use std::time::Duration;
    ///
    /// let app = App::new().get("/", |_| {
    ///     Reply::event_stream(|out| {
    ///         out.comment("tick");
    ///         Next::After(Duration::from_secs(60))
    ///     })
    /// });
    /// assert_eq!(app.test().get("/").for_at_most(Duration::from_millis(10)).text(), ": tick\n\n");
    /// ```
    pub fn for_at_most(self, patience: Duration) -> TestAnswer {
        self.run(patience, false)
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if !has("host") {
            line("Host", "localhost");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let mut cookies = self.client.cookies.borrow().clone();
        cookies.extend(self.cookies.iter().cloned());
        if !cookies.is_empty() {
            let pairs: Vec<_> =
                cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            line("Cookie", &pairs.join("; "));
        }
        if let Some(body) = &self.body
            && !has("transfer-encoding")
        {
            line("Content-Length", &body.len().to_string());
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn run(mut self, patience: Duration, stop_when_idle: bool) -> TestAnswer {
        let head = self.head();
        let body = self.body.take().unwrap_or_default();
        let client = self.client;
        let mut request = Request::default();
        request.peer = Peer::Ip([127, 0, 0, 1].into(), 1);
        let limits = HeadLimits::default();
        let parsed = match parse(&head, 0, &limits, &mut request.head) {
            Parsed::Complete(_) => framing::frame(&request.head).and_then(|framing| {
                request.framing = framing;
                request.settle_path()
            }),
            Parsed::Partial => Err(HttpError::bad_request("an incomplete head")),
            Parsed::Refused(error) => Err(error),
        };
        request.mount = client.mount.len().min(request.path().len());
        let mut cx = client.cx.borrow_mut();
        cx.clock.tick();
        let is_refused = request.has_encoded_slash() && !client.handler.keeps_encoded_slashes();
        let outcome = parsed.and_then(|()| match is_refused {
            true => Err(HttpError::new(Status::BAD_REQUEST, "encoded slash in the path")),
            false => client.handler.handle(&request, &mut cx),
        });
        let (bytes, is_complete) = match outcome {
            Ok(Outcome::Respond(response)) => (whole(response, &request), true),
            Ok(Outcome::Start(exchange)) => {
                let mut turn = Turn {
                    client,
                    request: &request,
                    exchange,
                    body: &body,
                    deadline: Instant::now() + patience,
                    stop_when_idle,
                };
                turn.run(&mut cx)
            }
            Ok(Outcome::Reroute(_)) => (Vec::new(), false),
            Err(error) => {
                (whole(ErrorPages::default().answer(&error, Some(&request)), &request), true)
            }
        };
        for notice in cx.take_notices() {
            eprintln!("{}", notice.text);
        }
        drop(cx);
        let answer = TestAnswer::read(&bytes, is_complete);
        client.keep_cookies(&answer);
        answer
    }
}

/// An exchange on its way.
struct Turn<'t> {
    client: &'t TestClient,
    request: &'t Request,
    exchange: Box<dyn Exchange>,
    body: &'t [u8],
    deadline: Instant,
    stop_when_idle: bool,
}

impl Turn<'_> {
    /// What was sent, and whether it is all.
    fn run(&mut self, cx: &mut Cx) -> (Vec<u8>, bool) {
        let id = ConnId { index: 0, generation: 1 };
        let mut body = BodyState::new(self.request.framing.body, u64::MAX);
        let mut state = AnswerState::new(self.request);
        let (mut recv, mut queue, mut ready) =
            (RecvBuffer::default(), SendQueue::default(), Ready::default());
        let (mut sent, mut timer) = (Vec::new(), None);
        loop {
            cx.clock.tick();
            let mut wake_expected = false;
            let mut io = ExchangeIo {
                id,
                request: self.request,
                ready: &mut ready,
                body: BodyIn::new(&mut body, &mut recv),
                answer: Written::new(&mut state, &mut queue, cx.clock.standing_lines()),
                timer: &mut timer,
                wake_expected: &mut wake_expected,
            };
            let step = self.exchange.advance(&mut io, cx);
            let moved = !queue.is_empty();
            sent.extend(queue.take_all().unwrap_or_default());
            match step {
                Ok(Step::Again) if Instant::now() < self.deadline => {}
                Ok(Step::Again) => {
                    self.exchange.abort(Abort::Gone, cx);
                    return (sent, false);
                }
                Ok(Step::Wait) => {
                    let wants = body.take_wanted() && !body.is_finished();
                    if wants && !self.body.is_empty() {
                        let fed = recv.feed(self.body, &mut cx.buffers);
                        self.body = self.body.get(fed..).unwrap_or_default();
                    } else if wants {
                        // The client has sent less than it promised, and closes.
                        return (sent, false);
                    } else if !moved && !self.wait(id, timer, cx, &mut ready) {
                        self.exchange.abort(Abort::Gone, cx);
                        return (sent, false);
                    }
                }
                // No application does.
                Ok(Step::Reroute(_) | Step::Admitted(_)) => return (sent, false),
                Ok(Step::Done) => return (sent, true),
                Ok(Step::Respond(response)) => {
                    sent.extend(whole(response, self.request));
                    return (sent, true);
                }
                Err(error) if state.is_started() => {
                    self.exchange.abort(Abort::Failed, cx);
                    cx.report(crate::conf::Level::Error, error.to_string());
                    return (sent, false);
                }
                Err(error) => {
                    let page = ErrorPages::default().answer(&error, Some(self.request));
                    sent.extend(whole(page, self.request));
                    return (sent, true);
                }
            }
        }
    }

    /// Waits for what the exchange waits for. False when that takes too long.
    fn wait(&self, id: ConnId, timer: Option<Instant>, cx: &Cx, ready: &mut Ready) -> bool {
        let mut events = Events::with_capacity(16);
        loop {
            cx.hear_outside();
            let mut woken = false;
            while let Some(other) = cx.pop_woken() {
                woken |= other == id;
            }
            if woken {
                ready.set_woken();
                return true;
            }
            let now = Instant::now();
            if timer.is_some_and(|at| now >= at) {
                ready.set_timer();
                return true;
            }
            if now >= self.deadline || self.stop_when_idle && !cx.has_work_outside() {
                return false;
            }
            let until = timer.map_or(self.deadline, |at| at.min(self.deadline));
            let wait = until.saturating_duration_since(now);
            let mut poll = self.client.poll.borrow_mut();
            // Interrupted or not: what matters is looked at above.
            let _ = poll.poll(&mut events, Some(wait));
        }
    }
}

/// A complete answer as bytes.
fn whole(response: Response, request: &Request) -> Vec<u8> {
    use crate::serve::{Body, Head, Part};
    let mut queue = SendQueue::default();
    let may_have_body = response.status.may_have_body();
    let length = if may_have_body { response.body.len() } else { 0 };
    queue.append(|head| match &response.head {
        Head::Prebuilt(lines) => head.extend_from_slice(lines),
        Head::Fields(fields) => {
            write_status_line(response.status, head);
            head.extend_from_slice(fields_sent(response.status, fields, b"").as_bytes());
            if response.status.has_length() {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
        }
    });
    queue.copy(connection_lines(true, false));
    if may_have_body && request.head.method() != crate::http::Method::Head {
        match response.body {
            Body::Empty => {}
            Body::Bytes(bytes) => queue.share(bytes),
            Body::File(slice) => queue.file(slice),
            Body::Parts(parts) => parts.into_iter().for_each(|part| match part {
                Part::Bytes(bytes) => queue.share(bytes),
                Part::File(slice) => queue.file(slice),
            }),
        }
    }
    queue.take_all().unwrap_or_default()
}

impl TestAnswer {
    fn read(bytes: &[u8], is_complete: bool) -> Self {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 4..]),
            None => (bytes, &[][..]),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let code = lines.next().and_then(|line| line.get(9..12)?.parse::<u16>().ok());
        let status = code.and_then(|code| StatusCode::from_u16(code).ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let body = if chunked { unchunk(body) } else { body.to_vec() };
        Self {
            // No answer at all shows as a failure that no server has.
            status: status.unwrap_or(StatusCode::NETWORK_AUTHENTICATION_REQUIRED),
            headers,
            body,
            is_complete,
        }
    }

    /// The status. May be compared with a number.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// assert_eq!(App::new().test().get("/").send().status(), 404);
    /// ```
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first value of a header.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// let answer = App::new().get("/", |_| "hello").test().get("/").send();
    /// assert_eq!(answer.header("Content-Length"), Some("5"));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a header.
    ///
    /// ```
    /// use httpyserver::{App, Cookie, Reply};
    ///
    /// let app = App::new().get("/", |_| {
    ///     Reply::text("").with_cookie(Cookie::new("a", "1")).with_cookie(Cookie::new("b", "2"))
    /// });
    /// let answer = app.test().get("/").send();
    /// assert_eq!(answer.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    /// ```
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// The body.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// assert_eq!(App::new().get("/", |_| vec![0, 159]).test().get("/").send().bytes(), [0, 159]);
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// ```
    /// use httpyserver::App;
    ///
    ///
    /// assert_eq!(App::new().get("/", |_| "hello").test().get("/").send().text(), "hello");
    /// ```
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value.
    ///
    /// # Errors
    /// It is no such JSON.
    ///
    /// ```
    /// use httpyserver::{App, Json};
    ///
    /// let answer = App::new().get("/", |_| Json([1, 2])).test().get("/").send();
    /// assert_eq!(answer.json::<Vec<u32>>().unwrap(), [1, 2]);
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Whether the answer came to its end: not cut off, not given up.
    ///
    /// ```
    /// use httpyserver::{App, Next, Reply};
    ///
    /// let app = App::new().get("/", |_| {
    ///     Reply::stream("text/plain", |_| Err::<Next, _>(std::io::Error::other("the tape broke")))
    /// });
    /// assert!(!app.test().get("/").until_idle().is_complete());
    /// ```
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let (mut decoder, mut body) = (Decoder::new(), Vec::new());
    loop {
        match decoder.step(bytes) {
            Ok(Chunk::Data { skip, len }) => {
                body.extend_from_slice(bytes.get(skip..skip + len).unwrap_or_default());
                bytes = bytes.get(skip + len..).unwrap_or_default();
                decoder.took(len);
            }
            Ok(Chunk::More { consumed }) if consumed > 0 => {
                bytes = bytes.get(consumed..).unwrap_or_default();
            }
            _ => return body,
        }
    }
}
