//! Handlers that a program brings along: those of `examples/numbers.rs`, and by name in web.conf.

use crate::support::Embedded;
use httpyserver::serve::{Handler, HttpError, Look, Plan, Request, Response, Status, TraceStep};
use httpyserver::server::{ConfigSource, Origin, Overrides, Question};
use httpyserver::site::Registry;
use httpyserver::{App, Options, Server};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

#[path = "../examples/numbers.rs"]
#[expect(dead_code, reason = "its `main` is not called")]
mod numbers;

#[test]
fn a_handler_of_ones_own_answers_streams_and_reads_bodies() {
    let server = Embedded::new(|| numbers::server("127.0.0.1:0"));
    let even = server.get("/numbers/12");
    assert_eq!((even.status, even.body.as_str()), (200, "even\n"));
    assert!(even.has("content-length: 5"), "{even:?}");
    assert_eq!(server.get("/").body, "Try /numbers/12 and /numbers/count.\n");
    assert_eq!(server.get("/numbers/none").status, 404);
    assert!(server.ask("OPTIONS", "/numbers/", "", b"").head.contains("post"));
    assert_eq!(server.ask("PUT", "/numbers/1", "", b"x").status, 405);

    let counted = server.get("/numbers/count?to=3");
    assert!(counted.has("transfer-encoding: chunked"), "{counted:?}");
    assert_eq!(counted.body, "2\r\n1\n\r\n2\r\n2\n\r\n2\r\n3\n\r\n0\r\n\r\n");
    let head = server.ask("HEAD", "/numbers/count?to=1000000", "", b"");
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    let all: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(server.ask("POST", "/numbers/sum", "", all.as_bytes()).body, "200010000\n");
    assert_eq!(server.ask("POST", "/numbers/sum", "", b"one").status, 400);
}

#[test]
fn a_stream_arrives_as_it_is_written_and_the_connection_goes_on() {
    let server = Embedded::new(|| numbers::server("127.0.0.1:0"));
    let mut socket = server.connect();
    socket.write_all(b"GET /numbers/count?to=2 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut read_until = |end: &str| {
        while !text.ends_with(end) {
            let mut buffer = [0; 1024];
            let read = socket.read(&mut buffer).unwrap();
            assert!(read > 0, "{text}");
            text += std::str::from_utf8(&buffer[..read]).unwrap();
        }
    };
    read_until("2\r\n1\n\r\n");
    read_until("0\r\n\r\n");
    socket.write_all(b"GET /numbers/7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n\r\nodd\n"), "{rest}");
}

/// Says its text; counts, sends elsewhere and fails where its path says so.
struct Speaker {
    text: String,
    calls: Rc<Cell<u32>>,
}

impl Handler for Speaker {
    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        look.note(|| TraceStep::new("speaker", self.text.clone(), "as it was told"));
        let (text, calls) = (self.text.clone(), Rc::clone(&self.calls));
        match request.rest() {
            b"counted" => Ok(Plan::call("a text with a number", move |_, _| {
                calls.set(calls.get() + 1);
                let body = format!("{text} {}\n", calls.get());
                Ok(Response::text(Status::OK, "text/plain", body).into())
            })),
            b"else" => Ok(Plan::Redirect(
                httpyserver::serve::InternalRedirect::to(b"/say/").expect("a path of this host"),
            )),
            b"fails" => Err(HttpError::new(Status::NOT_FOUND, "nothing to say")),
            _ => Ok(Response::text(Status::OK, "text/plain", text).into()),
        }
    }
}

const CONFIG: &str = r#"
[server]
listen = ["http://127.0.0.1:0"]
[[host]]
respond = "home"
[[host.route]]
path = "/say/"
handler = "speaker"
options = { text = "hello" }
[[host.route]]
path = "/app/"
handler = "app"
"#;

fn speaker(options: &Options) -> httpyserver::Result<Speaker> {
    let text = options.str("text")?.unwrap_or("nothing").to_owned();
    Ok(Speaker { text, calls: Rc::default() })
}

#[test]
fn web_conf_mounts_a_handler_by_name_beside_applications() {
    let server = Embedded::of_site(|| {
        let app = App::new().get("/", |_| "an application");
        Server::from_text(CONFIG).handler("speaker", speaker).app("app", app)
    });
    for (path, status, body) in [
        ("/say/", 200, "hello"),
        ("/say/counted", 200, "hello 1\n"),
        ("/say/counted", 200, "hello 2\n"),
        ("/say/else", 200, "hello"),
        ("/app/", 200, "an application"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}");
    }
    assert_eq!(server.get("/say/fails").status, 404);
    // It takes no body by itself: the methods are GET and HEAD.
    let refused = server.ask("POST", "/say/", "", b"text");
    assert!(refused.status == 405 && refused.has("allow: GET, HEAD, OPTIONS"), "{refused:?}");
}

#[test]
fn explain_shows_the_plan_and_does_not_perform_it() {
    let calls = Rc::new(Cell::new(0));
    let mut registry = Registry::default();
    let counted = Rc::clone(&calls);
    registry.add("speaker", move |options: &Options| {
        Ok(Speaker { calls: Rc::clone(&counted), ..speaker(options)? })
    });
    registry.add("app", |_: &Options| Ok(App::new()));
    let (origin, overrides) = (Origin::Text(CONFIG.to_owned()), Overrides::default());
    let source = ConfigSource { origin, overrides, registry };
    for (url, words) in [
        ("/say/", &["speaker", "as it was told", "200 OK"][..]),
        ("/say/counted", &["a text with a number"]),
        ("/say/else", &["an internal redirect", "200 OK"]),
        ("/say/fails", &["404", "nothing to say"]),
    ] {
        let question = Question {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let told = source.explain(&question).unwrap().to_string();
        for word in words {
            assert!(told.contains(word), "{url}: {word:?} in {told}");
        }
    }
    assert_eq!(calls.get(), 0);
}
