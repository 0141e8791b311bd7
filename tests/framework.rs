//! Applications over the real loop: a server of this process, asked over sockets.

use crate::support::{Answer, Embedded, eventually};
use httpyserver::{
    App, Broadcast, Event, Html, Json, Next, Reply, Request, Result, Server, StatusCode, abort,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn hello_and_what_comes_with_it() {
    let server = Embedded::of(|| {
        App::new().get("/", |_| "Hello, World!").post("/", |_| "posted").route(
            "REPORT",
            "/",
            |_| Html("<p>report</p>"),
        )
    });
    let hello = server.get("/");
    assert_eq!((hello.status, hello.body.as_str()), (200, "Hello, World!"));
    assert!(
        hello.has("Content-Length: 13") && hello.has("Content-Type: text/plain; charset=utf-8")
    );
    let head = server.ask("HEAD", "/", "", b"");
    assert!(head.status == 200 && head.body.is_empty() && head.has("Content-Length: 13"));
    assert_eq!(server.ask("REPORT", "/", "", b"").body, "<p>report</p>");
    let options = server.ask("OPTIONS", "/", "", b"");
    assert!(options.status == 204 && options.has("Allow: GET, HEAD, OPTIONS, POST, REPORT"));
    let wrong = server.ask("DELETE", "/", "", b"");
    assert!(wrong.status == 405 && wrong.has("Allow: GET, HEAD, OPTIONS, POST, REPORT"));
    assert_eq!(server.ask("PAINT", "/", "", b"").status, 405);
    assert_eq!(server.ask("PAINT", "/nothing", "", b"").status, 501);
    assert_eq!(server.ask("TRACE", "/", "", b"").status, 405);
    assert_eq!(server.get("/nothing").status, 404);
    // Kept connections and pipelines, as with files.
    let two =
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(server.exchange(two).matches("Hello, World!").count(), 2);
}

#[test]
fn a_panic_is_a_500_and_nothing_more() {
    let server = Embedded::of(|| {
        App::new()
            .get("/panic", |_| -> &'static str { panic!("as it should") })
            .get("/late", |request| request.blocking(|| -> String { panic!("off the loop") }))
            .get("/then", |request| {
                request.blocking(|| 1).then(|_, _| -> String { panic!("after the work") })
            })
            .get("/stream", |_| {
                let mut n = 0;
                Reply::stream("text/plain", move |out| {
                    n += 1;
                    assert!(n < 3, "in the middle");
                    out.comment("x");
                    Next::After(Duration::from_millis(1))
                })
            })
            .get("/", |_| "alive")
    });
    for path in ["/panic", "/late", "/then"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 500, "{path}");
        assert!(!answer.body.contains("as it should") && !answer.body.contains("loop"));
    }
    let cut = server.get("/stream");
    assert!(cut.status == 200 && !cut.body.ends_with("0\r\n\r\n"), "{}", cut.body);
    assert_eq!(server.get("/").body, "alive");
}

#[test]
fn bodies_are_limited_however_they_come() {
    let server = Embedded::of(|| {
        App::new()
            .body_limit(1000)
            .post("/", |request| request.data().map(|data| data.len().to_string()))
            .group("/large", |app| {
                app.body_limit(2 << 20).post("/", |request| {
                    let spooled = request.take_spooled().map(|file| file.bytes().unwrap());
                    spooled.map_or("in memory".to_owned(), |bytes| bytes.len().to_string())
                })
            })
    });
    assert_eq!(server.ask("POST", "/", "", &[b'x'; 1000]).body, "1000");
    assert_eq!(server.ask("POST", "/", "", &[b'x'; 1001]).status, 413);
    let chunked = |size: usize| {
        let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", size, "x".repeat(size));
        server.exchange(format!(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ))
    };
    assert!(chunked(1000).ends_with("1000"));
    assert!(chunked(1001).starts_with("HTTP/1.1 413"));
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let announced = server.exchange(format!("{head}3e9\r\n"));
    assert!(announced.starts_with("HTTP/1.1 413"), "before any of it has come: {announced}");
    let large = server.ask("POST", "/large/", "", &vec![b'x'; 1 << 20]);
    assert_eq!(large.body, (1 << 20).to_string());
    assert_eq!(server.ask("POST", "/large/", "", b"x").body, "in memory");
}

#[test]
fn forms_with_files_and_forms_that_are_none() {
    let server = Embedded::of(|| {
        App::new().body_limit(4 << 20).post("/", |request| -> Result<String> {
            let file = request.take_file("f").ok_or_else(|| abort(400))?;
            let sum: u64 = file.bytes()?.iter().map(|b| u64::from(*b)).sum();
            let title = request.form().get("title").unwrap_or_default();
            Ok(format!("{title} {} {} {sum}", file.filename(), file.size()))
        })
    });
    let kind = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let sum: u64 = content.iter().map(|b| u64::from(*b)).sum();
    let body = |content: &[u8], end: &str| {
        let start = "--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nA cat\r\n--XX\r\n\
            Content-Disposition: form-data; name=\"f\"; filename=\"c.png\"\r\n\r\n";
        [start.as_bytes(), content, end.as_bytes()].concat()
    };
    let answer = server.ask("POST", "/", kind, &body(&content, "\r\n--XX--\r\n"));
    assert_eq!(answer.body, format!("A cat c.png 3000000 {sum}"), "{}", answer.head);
    for (headers, body) in [
        (kind, body(b"cut", "\r\n--X")),
        (kind, body(b"cut", "\r\n--XXgarbage")),
        (kind, b"no boundary at all".to_vec()),
        ("Content-Type: multipart/form-data\r\n", body(b"", "\r\n--XX--")),
        (kind, b"--XX\r\n\r\n\r\n--XX--".to_vec()),
    ] {
        let answer = server.ask("POST", "/", headers, &body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(server.ask("POST", "/", kind, &vec![b'x'; 5 << 20]).status, 413);
}

#[test]
fn sessions_cannot_be_forged_and_forms_of_others_are_refused() {
    let server = Embedded::of(|| {
        App::new()
            .secret_key("not to be guessed")
            .get("/in", |request| {
                request.session_mut().set("user", "ali");
                request.csrf_token()
            })
            .get("/who", |request| request.session().get_str("user").unwrap_or("?").to_owned())
            .group("/form", |app| app.csrf_protect().post("/", |_| "done"))
    });
    let login = server.get("/in");
    let line = login.head.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(line.contains("httponly") && line.contains("samesite=lax") && line.contains("path=/"));
    // The head was lowered for comparing; the cookie is needed as it came.
    let raw = server.exchange("GET /in HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let cookie = raw.split("Set-Cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let token = raw.split("\r\n\r\n").nth(1).unwrap().to_owned();
    let who = |cookie: &str| server.ask("GET", "/who", &format!("Cookie: {cookie}\r\n"), b"").body;
    assert_eq!(who(&cookie), "ali");
    assert_eq!(who(&format!("other=1; {cookie}")), "ali");
    assert_eq!(who(""), "?");
    let other = if cookie.ends_with('A') { "B" } else { "A" };
    assert_eq!(who(&format!("{}{other}", &cookie[..cookie.len() - 1])), "?");
    assert_eq!(who("session=eyJ1c2VyIjoicm9vdCJ9.9999999999."), "?");
    let post = |cookie: &str, body: &str| {
        let headers =
            format!("Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        server.ask("POST", "/form/", &headers, body.as_bytes()).status
    };
    assert_eq!(post(&cookie, &format!("csrf_token={token}")), 200);
    assert_eq!(post(&cookie, "csrf_token=wrong"), 403);
    assert_eq!(post(&cookie, "x=1"), 403);
    assert_eq!(post("", &format!("csrf_token={token}")), 403);
    let header = format!("Cookie: {cookie}\r\nX-CSRF-Token: {token}\r\n");
    assert_eq!(server.ask("POST", "/form/", &header, b"").status, 200);
}

/// Reads lines of an event stream until one begins like this.
fn line(reader: &mut impl BufRead, wanted: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream ended before {wanted:?}");
        if line.starts_with(wanted) {
            return line.trim_end().to_owned();
        }
    }
}

fn events(server: &Embedded, headers: &str) -> BufReader<TcpStream> {
    let mut socket = server.connect();
    let head = format!("GET /events HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    line(&mut reader, "Content-Type: text/event-stream");
    reader
}

fn chat() -> App {
    let room = Broadcast::new(100);
    let (said, heard, polled, count) = (room.clone(), room.clone(), room.clone(), room);
    App::new()
        .post("/say", move |request| -> Result<String> {
            Ok(said.send(Event::data(request.text()?).named("said")))
        })
        .get("/events", move |request| Reply::events(heard.subscribe(request.last_event_id())))
        .get("/waiting", move |_| count.waiting().to_string())
        .get("/poll", move |request| {
            let patience = request.args().parse("ms").unwrap_or(20_000);
            let since = request.args().get("since");
            Reply::long_poll(polled.subscribe(since), Duration::from_millis(patience), |events| {
                Json(events.iter().map(|event| event.data.clone()).collect::<Vec<_>>())
            })
        })
}

#[test]
fn what_one_says_others_hear() {
    let server = Embedded::of(chat);
    let (mut one, mut two) = (events(&server, ""), events(&server, ""));
    let waiting = |n: &str| eventually(|| (server.get("/waiting").body == n).then_some(()));
    waiting("2").expect("two clients wait");
    let id = server.ask("POST", "/say", "", b"hello\nworld").body;
    for reader in [&mut one, &mut two] {
        assert_eq!(line(reader, "id: "), format!("id: {id}"));
        assert_eq!(line(reader, "event: "), "event: said");
        assert_eq!(line(reader, "data: "), "data: hello");
        assert_eq!(line(reader, "data: "), "data: world");
    }
    // Who leaves is forgotten, and who comes again gets what was missed.
    // A reset is noticed at once, an end by the next sign of life.
    rustix::net::sockopt::set_socket_linger(two.get_ref(), Some(Duration::ZERO)).unwrap();
    drop(two);
    waiting("1").expect("one has left");
    server.ask("POST", "/say", "", b"missed");
    let mut again = events(&server, &format!("Last-Event-ID: {id}\r\n"));
    assert_eq!(line(&mut again, "data: "), "data: missed");
    let all = server.get("/poll?since=all");
    assert_eq!(all.body, r#"["hello\nworld","missed"]"#);
    assert_eq!(server.get("/poll?ms=50").body, "[]", "nothing came in time");
}

#[test]
fn a_long_poll_ends_when_something_happens() {
    let server = Embedded::of(chat);
    let mut socket = server.connect();
    socket.write_all(b"GET /poll HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    eventually(|| (server.get("/waiting").body == "1").then_some(())).expect("it waits");
    server.ask("POST", "/say", "", b"now");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"["now"]"#), "{answer}");
}

#[test]
fn a_stop_ends_streams_that_wait() {
    let server = Embedded::of(chat);
    let mut stream = events(&server, "");
    eventually(|| (server.get("/waiting").body == "1").then_some(())).expect("it waits");
    assert!(server.stop(), "everything was finished");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
}

#[test]
fn a_slow_reader_costs_no_memory_and_a_gone_one_nothing() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    struct Gone(Arc<Mutex<bool>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let gone = Arc::new(Mutex::new(false));
    let flag = gone.clone();
    let server = Embedded::of(move || {
        App::new().get("/flood", move |_| {
            let guard = Gone(flag.clone());
            Reply::stream("text/plain", move |out| -> std::io::Result<Next> {
                let _alive = &guard;
                out.write_all(&[b'x'; 10_000])?;
                WRITTEN.fetch_add(10_000, Ordering::Relaxed);
                Ok(Next::More)
            })
        })
    });
    let mut socket = server.connect();
    socket.write_all(b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut first = [0; 1000];
    socket.read_exact(&mut first).unwrap();
    // The kernel's buffers are filled, then ours, then nothing is asked for any more.
    let still = || {
        let before = WRITTEN.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(300));
        (WRITTEN.load(Ordering::Relaxed) == before).then_some(before)
    };
    let written = eventually(still).expect("it stops writing");
    assert!(written < 20 << 20, "{written} bytes for a client that reads nothing");
    assert!(!*gone.lock().unwrap());
    drop(socket);
    eventually(|| gone.lock().unwrap().then_some(())).expect("the stream is dropped");
}

#[test]
fn work_off_the_loop_holds_nobody_up_and_has_its_bounds() {
    let gate = Arc::new(Mutex::new(()));
    let begun = Arc::new(AtomicUsize::new(0));
    let closed = gate.lock().unwrap();
    let (theirs, count) = (gate.clone(), begun.clone());
    let server = Embedded::of(move || {
        App::new()
            .get("/slow", move |request| {
                let (gate, begun) = (theirs.clone(), count.clone());
                let work = move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    drop(gate.lock());
                };
                request.blocking(work).then(|_, ()| "slow")
            })
            .get("/", |_| "quick")
    });
    let mut sockets = Vec::new();
    for _ in 0..90 {
        let mut socket = server.connect();
        socket.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        sockets.push((socket, Vec::new()));
    }
    // 64 wait, and up to four are at work; the others are told to come again.
    let refused = eventually(|| {
        for (socket, answer) in &mut sockets {
            let _ = socket.read_to_end(answer);
        }
        let told = sockets.iter().filter(|(_, answer)| answer.ends_with(b"moment.\n"));
        let told: Vec<_> = told.map(|(_, answer)| String::from_utf8_lossy(answer)).collect();
        assert!(told.iter().all(|answer| answer.starts_with("HTTP/1.1 503")));
        assert!(told.iter().all(|answer| answer.contains("\r\nRetry-After: 1\r\n")));
        (told.len() >= 90 - 68).then_some(told.len())
    });
    assert!((22..=26).contains(&refused.expect("some are refused")), "{refused:?}");
    assert_eq!(server.get("/").body, "quick", "nobody else waits");
    // Their clients leave: what waits is not begun. They reset their connections; who only ends its
    // side still gets its answer.
    for (socket, _) in sockets {
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(server.get("/").body, "quick", "by now the server has heard of it");
    drop(closed);
    let next = || Some(server.get("/slow")).filter(|answer| answer.status == 200);
    assert_eq!(eventually(next).expect("it is served").body, "slow");
    assert!(begun.load(Ordering::SeqCst) < 20, "{begun:?}");
}

#[test]
fn the_server_s_own_failures_can_be_answered_too() {
    let server = Embedded::new(|| {
        Server::bind("127.0.0.1:0").app(App::new().get("/", |_| "fine")).on_error(|refusal| {
            let status = refusal.status();
            if status == StatusCode::NOT_FOUND {
                return None;
            }
            let known = refusal.path().is_some();
            Some(
                Reply::text(format!("mine: {} {known}", status.as_u16())).with_header("X-Own", "1"),
            )
        })
    });
    for (request, want) in [
        ("GARBAGE\r\n\r\n".to_owned(), "mine: 400 false"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "mine: 400 "),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9000)), "mine: 414 false"),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "x".repeat(40_000)),
            "mine: 431 false",
        ),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n".to_owned(), "mine: 501 "),
        ("GET / HTTP/2.5\r\nHost: h\r\n\r\n".to_owned(), "mine: 505 false"),
    ] {
        let answer = Answer::of(&server.exchange(&request));
        assert!(answer.body.starts_with(want), "{want}: {} {}", answer.head, answer.body);
        assert!(answer.has("X-Own: 1"));
    }
    let wrong = server.ask("POST", "/", "", b"");
    assert!(
        wrong.status == 405
            && wrong.body == "mine: 405 true"
            && wrong.has("Allow: GET, HEAD, OPTIONS")
    );
    let missing = server.get("/missing");
    assert!(missing.status == 404 && !missing.has("X-Own: 1"), "left to the server");
}

#[test]
fn an_application_in_a_site() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.txt"), "0123456789").unwrap();
    let config = format!(
        "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[log]\naccess = false\n[[host]]\n\
         respond = \"the site\"\n[[host.route]]\npath = \"/app/\"\nhandler = \"one\"\n\
         options = {{ folder = {:?}, word = \"hi\" }}\n\
         [[host.route]]\npath = \"/exactly\"\nhandler = \"two\"\n",
        folder.path()
    );
    fn one(options: &httpyserver::Options) -> Result<App> {
        let folder = options.path("folder")?.unwrap_or_default();
        let word = options.str("word")?.unwrap_or("none").to_owned();
        let file = folder.join("text.txt");
        Ok(App::new()
            .get("/", move |_| word.clone())
            .get("/url", |request| request.url_for("/a b?c=d"))
            .get("/file", move |_| Reply::file(&file))
            .get("/slash/", |_| "slash")
            .static_folder("/media", folder))
    }
    let server = Embedded::of_site(move || {
        let two =
            App::new().get("/", |request: &mut Request<'_>| request.script_root().into_owned());
        Server::from_text(config).handler("one", one).app("two", two)
    });
    assert_eq!(server.get("/").body, "the site");
    assert_eq!(server.get("/app/").body, "hi");
    let bare = server.get("/app");
    assert!(bare.status == 308 && bare.has("Location: /app/"), "{}", bare.head);
    let slash = server.get("/app/slash?x=1");
    assert!(slash.status == 308 && slash.has("Location: /app/slash/?x=1"), "{}", slash.head);
    assert_eq!(server.get("/app/url").body, "/app/a%20b?c=d");
    assert_eq!(server.get("/exactly").body, "/exactly");
    for path in ["/app/file", "/app/media/text.txt"] {
        let part = server.ask("GET", path, "Range: bytes=2-4\r\n", b"");
        assert_eq!((part.status, part.body.as_str()), (206, "234"), "{path}");
        let whole = server.get(path);
        assert_eq!(whole.body, "0123456789");
        let tag = whole.head.lines().find(|line| line.starts_with("etag: ")).unwrap();
        let again = format!("If-None-Match: {}\r\n", tag.strip_prefix("etag: ").unwrap());
        assert_eq!(server.ask("GET", path, &again, b"").status, 304, "{path}");
    }
    assert_eq!(server.get("/app/media/../../../text.txt").status, 400);
    assert_eq!(server.get("/app/x/../media/text.txt").status, 200);
    assert_eq!(server.get("/app/media/none.txt").status, 404);
    assert!(server.stop());
}

#[test]
fn mistakes_of_handlers_are_found_before_the_start() {
    let start = |config: &str| {
        let config = format!("[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\n{config}\n");
        let make = |options: &httpyserver::Options| {
            options.integer("size")?;
            Ok(App::new())
        };
        let server = Server::from_text(config).handler("quotes", make).quiet();
        server.start().map(drop).map_err(|failure| failure.to_string())
    };
    assert_eq!(start("handler = \"quotes\"\noptions = { size = 1 }"), Ok(()));
    for (config, wants) in [
        ("handler = \"quote\"", ["unknown-handler", "did you mean `quotes`?"]),
        ("handler = \"other-thing\"", ["unknown-handler", "it has: quotes"]),
        ("handler = \"quotes\"\noptions = { sise = 1 }", ["bad-options", "no option `sise`"]),
        ("handler = \"quotes\"\noptions = { size = \"x\" }", ["bad-options", "a whole number"]),
        ("handler = \"quotes\"\noptions = 7", ["wrong-type", "a table such as"]),
        ("root = \".\"\noptions = {}", ["needs-handler", "`handler`"]),
    ] {
        let said = start(config).unwrap_err();
        assert!(wants.iter().all(|want| said.contains(want)), "{config}: {said}");
    }
    let bad = Server::bind("127.0.0.1:0").app(App::new().get("no-slash", |_| "")).quiet();
    assert!(bad.start().is_err());
    assert!(Server::bind("nowhere").quiet().start().is_err());
}
