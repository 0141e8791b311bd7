//! A client that asks an application without a listener: for tests.
//!
//! Everything but the listener is the server: the request goes over a socket pair into a
//! `ClientConnection`, which is driven as the event loop drives it, and blocking work is done by
//! helper threads. What a test sees is what a client of the server would see. Only deadlines are the
//! test's own.

use super::access_log::AccessLog;
use super::connection::{ClientConnection, Verdict};
use super::drive::{DriveContext, FreeList};
use crate::app::App;
use crate::event::{Budget, ConnId, Cx, Sleeper};
use crate::http1::chunked::{Decoder, Step as Chunk};
use crate::net::Transport;
use crate::serve::{Abort, Handler, Peer};
use crate::site::Site;
use ::http::StatusCode;
use mio::{Events, Poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
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
    handler: Rc<dyn Handler>,
    mount: String,
    bench: RefCell<Bench>,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// What a loop would lend to connections.
struct Bench {
    cx: Cx,
    poll: Poll,
    site: Rc<Site>,
    log: AccessLog,
    free: FreeList,
    /// Connections so far.
    count: u32,
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

impl App {
    /// A client that asks it without a socket.
    ///
    /// # Panics
    /// Patterns, prefixes or keys are wrong; see `check`.
    ///
    /// ```
    /// let client = httpyserver::App::new().get("/", |request| request.host().to_owned()).test();
    /// assert_eq!(client.get("/").header("Host", "example.org").send().text(), "example.org");
    /// ```
    #[allow(clippy::panic)] // in tests it is right to fail at once
    pub fn test(self) -> TestClient {
        match self.into_mounts() {
            Ok(mounts) => TestClient::new(mounts(false)),
            Err(mistakes) => panic!("{mistakes}"),
        }
    }
}

impl TestClient {
    /// A client of a handler of one's own, mounted at `/`.
    ///
    /// ```
    /// use httpyserver::serve::{Handler, HttpError, Look, Plan, Request, Response, Status};
    /// use httpyserver::testing::TestClient;
    ///
    /// struct Hello;
    ///
    /// impl Handler for Hello {
    ///     fn plan(&self, _: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
    ///         Ok(Response::text(Status::OK, "text/plain", "hello").into())
    ///     }
    /// }
    ///
    /// assert_eq!(TestClient::of_handler(Hello).get("/").send().text(), "hello");
    /// ```
    pub fn of_handler(handler: impl Handler + 'static) -> Self {
        Self::new(Rc::new(handler))
    }

    fn new(handler: Rc<dyn Handler>) -> Self {
        let poll = Poll::new();
        #[allow(clippy::expect_used)] // without descriptors no test can go on
        let poll = poll.expect("a poll for the test client");
        #[allow(clippy::expect_used)]
        let registry = poll.registry().try_clone().expect("its registry");
        let site = Rc::new(Site::of_routes(vec![("/".into(), Rc::clone(&handler))]));
        let bench = Bench {
            cx: Cx::new(registry),
            poll,
            site,
            log: AccessLog::default(),
            free: FreeList::default(),
            count: 0,
        };
        let (bench, cookies) = (RefCell::new(bench), RefCell::default());
        Self { handler, mount: "/".into(), bench, cookies }
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
        let route = (self.mount.clone(), Rc::clone(&self.handler));
        self.bench.get_mut().site = Rc::new(Site::of_routes(vec![route]));
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
        let mut bytes = self.head();
        bytes.extend(self.body.take().unwrap_or_default());
        let client = self.client;
        let bench = &mut *client.bench.borrow_mut();
        let deadline = Instant::now() + patience;
        #[allow(clippy::expect_used)] // without descriptors no test can go on
        let received = bench.ask(bytes, deadline, stop_when_idle).expect("a pair of sockets");
        for notice in bench.cx.take_notices() {
            eprintln!("{}", notice.text);
        }
        let answer = TestAnswer::read(&received, self.method == "HEAD");
        client.keep_cookies(&answer);
        answer
    }
}

impl Bench {
    /// Sends `bytes` and nothing after them, and returns what comes back until the end, the deadline,
    /// or, with `stop_when_idle`, until nothing is left to be done.
    fn ask(
        &mut self,
        bytes: Vec<u8>,
        deadline: Instant,
        stop_when_idle: bool,
    ) -> std::io::Result<Vec<u8>> {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        self.count += 1;
        let id = ConnId { index: 0, generation: self.count % ConnId::GENERATIONS };
        let (transport, peer) =
            (Transport::Plain(theirs.into()), Peer::Ip([127, 0, 0, 1].into(), 1));
        let mut connection = ClientConnection::new(id, transport, peer, 0, false, deadline);
        let (mut unsent, mut received) = (&*bytes, Vec::new());
        loop {
            self.cx.clock.tick();
            let sent = send(&mut ours, &mut unsent)?;
            let verdict = self.drive(&mut connection);
            let before = received.len();
            let has_ended = receive(&mut ours, &mut received)?;
            if has_ended || verdict == Verdict::Close {
                return Ok(received);
            }
            let has_moved = sent || received.len() > before || self.has_more();
            let is_late = Instant::now() >= deadline;
            if is_late || !has_moved && !self.wait(deadline, stop_when_idle) {
                let gone = |cx: &mut DriveContext<'_>| {
                    connection.cut_off(Abort::Gone, "the test client has gone", cx);
                };
                self.lend(gone);
                return Ok(received);
            }
        }
    }

    /// Does what the loop does between two polls.
    fn drive(&mut self, connection: &mut ClientConnection) -> Verdict {
        while let Some((at, sleeper)) = self.cx.timers.pop_due(self.cx.now()) {
            if let Sleeper::Task(task) = sleeper
                && task.conn == connection.id()
            {
                connection.timer_due(task, at);
            }
        }
        self.cx.hear_outside();
        while let Some(task) = self.cx.wakes().pop() {
            if task.conn == connection.id() {
                connection.wake(task);
            }
        }
        // Both are tried: the kernel is not asked what may succeed.
        connection.assume_ready();
        self.lend(|cx| connection.drive(cx))
    }

    fn lend<T>(&mut self, call: impl FnOnce(&mut DriveContext<'_>) -> T) -> T {
        call(&mut DriveContext {
            cx: &mut self.cx,
            site: &self.site,
            log: &mut self.log,
            free: &mut self.free,
            tls: None,
            https_port: None,
            budget: Budget::new(1),
            stopping: false,
        })
    }

    /// Whether the connection has more to do now.
    fn has_more(&mut self) -> bool {
        let mut next = Vec::new();
        self.cx.runq.take(&mut next);
        !next.is_empty() || !self.cx.wakes().is_empty()
    }

    /// Waits for what the connection waits for. False when nothing will come.
    fn wait(&mut self, deadline: Instant, stop_when_idle: bool) -> bool {
        let timer = self.cx.timers.next();
        let is_due = timer.is_some_and(|at| Instant::now() >= at);
        if stop_when_idle && !is_due && !self.cx.has_work_outside() {
            return false;
        }
        let until = timer.map_or(deadline, |at| at.min(deadline));
        let wait = until.saturating_duration_since(Instant::now());
        let mut events = Events::with_capacity(16);
        // Interrupted or not: what matters is looked at after it.
        let _ = self.poll.poll(&mut events, Some(wait));
        true
    }
}

/// Sends what there is room for, and says at its end that nothing follows. Whether anything moved.
fn send(socket: &mut UnixStream, unsent: &mut &[u8]) -> std::io::Result<bool> {
    let before = unsent.len();
    while !unsent.is_empty() {
        match socket.write(unsent) {
            Ok(n) => *unsent = unsent.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The server has closed; what it said before is there to be read.
            Err(_) => *unsent = &[],
        }
    }
    if before > 0 && unsent.is_empty() {
        // A server that has closed knows already.
        let _ = socket.shutdown(Shutdown::Write);
    }
    Ok(unsent.len() < before)
}

/// Receives what there is. True at the end.
fn receive(socket: &mut UnixStream, into: &mut Vec<u8>) -> std::io::Result<bool> {
    match socket.read_to_end(into) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error),
    }
}

impl TestAnswer {
    fn read(mut bytes: &[u8], is_head: bool) -> Self {
        // Answers like `100 Continue` come before the one that is meant.
        while let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n")
            && bytes.get(9) == Some(&b'1')
        {
            bytes = bytes.get(end + 4..).unwrap_or_default();
        }
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
        let value = |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, v)| v);
        let (body, is_complete) =
            match value("content-length").and_then(|v| v.parse::<usize>().ok()) {
                _ if value("transfer-encoding").is_some() => unchunk(body),
                Some(length) => (body.to_vec(), is_head || body.len() == length),
                None => (body.to_vec(), end.is_some()),
            };
        Self {
            // No answer at all shows as a failure that no server has.
            status: status.unwrap_or(StatusCode::NETWORK_AUTHENTICATION_REQUIRED),
            headers,
            body,
            is_complete: is_complete || is_head && end.is_some(),
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

/// The content of a chunked body, and whether its last chunk is there.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
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
            _ => return (body, decoder.is_finished()),
        }
    }
}
