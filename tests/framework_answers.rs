//! What comes of the replies of handlers, hooks and error handlers: as it is sent, over sockets.

use crate::support::{Embedded, Wire, eventually};
use httpyserver::{App, Json, Next, Reply, Request, Result, StatusCode, abort};
use std::sync::Arc;
use std::time::Duration;

// ---- statuses -----------------------------------------------------------------------------------

#[test]
fn a_text_with_a_status_that_has_no_body_is_not_taken_for_the_next_answer() {
    let make = || {
        App::new()
            .get("/304", |_| (StatusCode::NOT_MODIFIED, "HTTP/1.1 200 OK\r\n\r\nforged"))
            .get("/204", |_| (StatusCode::NO_CONTENT, Json(1)))
            .get("/late", |_| Reply::text("late").with_status(StatusCode::NO_CONTENT))
            .get("/stream", |_| {
                let reply = Reply::stream("text/plain", |out| {
                    out.comment("nobody asked");
                    Next::End
                });
                reply.with_status(StatusCode::NO_CONTENT)
            })
            .get("/next", |_| "the next answer")
    };
    let server = Embedded::of(make);
    for (path, status) in [("/304", 304), ("/204", 204), ("/late", 204), ("/stream", 204)] {
        let mut wire = Wire::to(server.address);
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        wire.send(get(path) + &get("/next"));
        let bare = wire.response();
        assert_eq!((bare.status, bare.body.as_slice()), (status, &b""[..]), "{path}");
        let next = wire.response();
        assert_eq!((next.status, next.body.as_slice()), (200, &b"the next answer"[..]), "{path}");
        assert_eq!(make().test().get(path).send().text(), "", "{path}");
    }
}

#[test]
fn a_status_that_ends_no_request_or_that_nobody_knows_is_a_500() {
    fn code(request: &mut Request<'_>) -> Result<StatusCode> {
        Ok(StatusCode::from_u16(request.param("code")?)?)
    }
    let server = Embedded::of(|| {
        App::new()
            .get("/alone/{code:uint}", code)
            .get("/text/{code:uint}", |request| code(request).map(|code| (code, "with a text")))
            .get("/abort/{code:uint}", |request| -> Result<String> {
                Err(abort(request.param::<u16>("code")?))
            })
            .get("/work/{code:uint}", |request: &mut Request<'_>| {
                let code = code(request);
                request.blocking(move || code)
            })
    });
    for kind in ["alone", "text", "abort", "work"] {
        for code in [100, 101, 103, 199, 600, 999] {
            let answer = server.get(&format!("/{kind}/{code}"));
            assert_eq!(answer.status, 500, "{kind} {code}");
            assert!(!answer.body.contains("with a text"), "{kind} {code}");
        }
    }
    for code in [204, 304, 302] {
        assert_eq!(server.get(&format!("/abort/{code}")).status, 500, "no failure: {code}");
        assert_eq!(server.get(&format!("/alone/{code}")).status, code);
    }
}

// ---- replies that take time ---------------------------------------------------------------------

#[test]
fn a_stream_that_never_writes_holds_nobody_up() {
    let alive = Arc::new(());
    let held = alive.clone();
    let make = move || {
        let held = held.clone();
        let silent = move |_: &mut Request<'_>| {
            let held = held.clone();
            Reply::stream("text/plain", move |_| {
                let _held = &held;
                Next::More
            })
        };
        // Work in pieces, of which only the last has something to say.
        let slow = |_: &mut Request<'_>| {
            let mut left = 100;
            Reply::stream("text/plain", move |out| {
                left -= 1;
                if left > 0 {
                    return Next::More;
                }
                out.comment("done");
                Next::End
            })
        };
        App::new().get("/silent", silent).get("/slow", slow).get("/", |_| "alive")
    };
    let test = make.clone()().test();
    assert!(!test.get("/silent").for_at_most(Duration::from_millis(20)).is_complete());
    drop(test);
    let server = Embedded::of(make);
    let mut silent = Wire::to(server.address);
    silent.send("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(silent.head().unwrap().unwrap().contains("chunked"));
    assert_eq!(server.get("/").body, "alive");
    assert!(server.get("/slow").body.contains(": done"));
    // The test and the closure of the route hold one each.
    assert_eq!(Arc::strong_count(&alive), 3);
    // Closed with nothing read and a linger of nothing: a reset, which the server is told.
    let socket = socket2::SockRef::from(&silent.stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(silent);
    eventually(|| (Arc::strong_count(&alive) == 2).then_some(())).expect("it has left");
    assert!(server.stop());
}
