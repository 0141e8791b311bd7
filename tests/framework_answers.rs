//! What comes of the replies of handlers, hooks and error handlers: as it is sent, over sockets.

use crate::support::{Embedded, Wire, eventually};
use httpyserver::{
    App, Broadcast, Json, Next, Options, Reply, Request, Result, Server, StatusCode, abort,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    let test = make().test();
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

/// Whatever is said of an answer, it may be there already or not.
#[test]
fn status_headers_and_cookies_of_a_reply_that_takes_time_are_sent() {
    let server = Embedded::of(|| {
        let live = Broadcast::new(1);
        App::new()
            .get("/work", |request| (StatusCode::CREATED, request.blocking(|| "made")))
            .get("/then", |request| {
                let reply = request.blocking(|| 5).then(|_, n| {
                    let reply = Reply::text(n.to_string()).with_header("X-Mine", "inner");
                    reply.with_cookie(("inner", "1")).with_header("X-Other", "inner")
                });
                let reply = reply.with_status(StatusCode::ACCEPTED).with_header("X-Mine", "outer");
                reply.with_cookie(("outer", "1")).with_type("text/x-outer")
            })
            .get("/twice", |request| {
                let reply = request
                    .blocking(|| 5)
                    .then(|request, n| request.blocking(move || n + 1).then(|_, n| n.to_string()));
                reply.with_status(StatusCode::ACCEPTED).with_header("X-Mine", "outer")
            })
            .get("/poll", move |_| {
                let patience = Duration::from_millis(1);
                let reply = Reply::long_poll(live.subscribe(None), patience, |_| "nothing");
                reply.with_status(StatusCode::ACCEPTED).with_header("X-Mine", "outer")
            })
            .get("/failed", |request| (StatusCode::CREATED, request.blocking(|| None::<String>)))
    });
    let made = server.get("/work");
    assert_eq!((made.status, made.body.as_str()), (201, "made"));
    let then = server.get("/then");
    assert_eq!((then.status, then.body.as_str()), (202, "5"));
    for line in ["X-Mine: outer", "X-Other: inner", "Content-Type: text/x-outer"] {
        assert!(then.has(line), "{line} in {}", then.head);
    }
    assert!(then.has("Set-Cookie: inner=1") && then.has("Set-Cookie: outer=1"), "{}", then.head);
    assert!(!then.has("X-Mine: inner") && !then.has("Content-Type: text/plain; charset=utf-8"));
    for (path, body) in [("/twice", "6"), ("/poll", "nothing")] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (202, body), "{path}");
        assert!(answer.has("X-Mine: outer"), "{path}: {}", answer.head);
    }
    assert_eq!(server.get("/failed").status, 404, "a failure is none the less");
}

// ---- failures, hooks and error handlers ---------------------------------------------------------

#[test]
fn an_error_handler_that_takes_its_time_answers_with_the_status_of_the_error() {
    let hooked = Arc::new(AtomicUsize::new(0));
    let counted = hooked.clone();
    let server = Embedded::of(move || {
        let live = Broadcast::new(1);
        App::new()
            .after(move |_, reply| {
                counted.fetch_add(1, Ordering::Relaxed);
                let status = reply.status().as_u16().to_string();
                reply.set_header("X-Seen", status);
            })
            .error_handler(404, |request, _| request.blocking(|| "slow page"))
            .error_handler(410, move |_, _| {
                Reply::long_poll(live.subscribe(None), Duration::from_millis(1), |_| "polled")
            })
            .error_handler(401, |request, _| {
                request.blocking(|| ()).then(|_, ()| Reply::redirect("/login"))
            })
            .error_handler(500, |request, _| request.blocking(|| -> String { panic!("again") }))
            .get("/{code:uint}", |request: &mut Request<'_>| -> Result<String> {
                Err(abort(request.param::<u16>("code")?))
            })
            .get("/slow", |request| request.blocking(|| None::<String>))
            .get("/fine", |request| request.blocking(|| "fine"))
    });
    for (path, status, body) in [
        ("/404", 404, "slow page"),
        ("/nothing", 404, "slow page"),
        ("/slow", 404, "slow page"),
        ("/410", 410, "polled"),
        ("/401", 303, ""),
        ("/fine", 200, "fine"),
    ] {
        hooked.store(0, Ordering::Relaxed);
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}");
        assert!(answer.has(&format!("X-Seen: {status}")), "{path}: {}", answer.head);
        assert_eq!(hooked.load(Ordering::Relaxed), 1, "{path}: a hook is called once");
    }
    assert_eq!(server.get("/500").status, 500, "what fails in it is not given to it again");
}

#[test]
fn an_after_hook_sees_the_status_of_a_failure() {
    let server = Embedded::of(|| {
        App::new()
            .after(|_, reply| {
                let status = reply.status().as_u16().to_string();
                reply.set_header("X-Seen", status);
            })
            .get("/none", |_| None::<String>)
            .get("/abort", |_| -> Result<String> { Err(abort(403)) })
            .get("/panic", |_| -> String { panic!("as it should") })
            .get("/status", |_| StatusCode::CONFLICT)
            .get("/header", |_| Reply::text("x").with_header("X", "a\nb"))
            .get("/late", |request| request.blocking(|| StatusCode::CONFLICT))
    });
    for (path, status) in [
        ("/none", 404),
        ("/nowhere", 404),
        ("/abort", 403),
        ("/panic", 500),
        ("/status", 409),
        ("/header", 500),
        ("/late", 409),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.has(&format!("X-Seen: {status}")), "{path}: {}", answer.head);
    }
}

#[test]
fn a_body_that_is_too_long_is_answered_by_the_error_handler() {
    let server = Embedded::of(|| {
        App::new().error_handler(413, |_, _| "too much").post("/", |_| "taken").group(
            "/small",
            |app| {
                app.body_limit(3).error_handler(413, |_, _| "too much for this").post("/", |_| "")
            },
        )
    });
    for (path, length, text) in [
        ("/", (1_u64 << 20) + 1, "too much"),
        ("/", u64::MAX, "too much"),
        ("/small/", 4, "too much for this"),
        ("/small/", 1 << 40, "too much for this"),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut wire = Wire::to(server.address);
            let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\n{expect}");
            wire.send(format!("{head}Content-Length: {length}\r\n\r\n"));
            // Not a byte of the body was sent, and none was asked for.
            let answer = wire.response();
            assert_eq!((answer.status, answer.body.as_slice()), (413, text.as_bytes()), "{length}");
        }
    }
    let chunks = "4\r\nabcd\r\n0\r\n\r\n";
    let head = "POST /small/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = Wire::to(server.address).send([head, chunks].concat()).response();
    assert_eq!((answer.status, answer.body.as_slice()), (413, &b"too much for this"[..]));
}

#[test]
fn what_the_router_answers_passes_hooks_and_error_handlers_too() {
    let server = Embedded::of(|| {
        App::new()
            .after(|_, reply| {
                reply.set_header("X-Seen", "yes");
            })
            .error_handler(404, |_, _| "nothing here")
            .get("/item", |_| "item")
            .get("/folder/", |_| "folder")
    });
    let options = server.ask("OPTIONS", "/item", "", b"");
    assert!(options.status == 204 && options.has("X-Seen: yes"), "{}", options.head);
    assert!(options.has("Allow: GET, HEAD, OPTIONS"), "{}", options.head);
    let slash = server.get("/folder?a=b");
    assert!(slash.status == 308 && slash.has("X-Seen: yes"), "{}", slash.head);
    assert!(slash.has("Location: /folder/?a=b"), "{}", slash.head);
    for path in ["/%ff", "/item/%c3%28", "/other"] {
        let lost = server.get(path);
        assert_eq!((lost.status, lost.body.as_str()), (404, "nothing here"), "{path}");
        assert!(lost.has("X-Seen: yes"), "{path}: {}", lost.head);
    }
}

// ---- sessions -----------------------------------------------------------------------------------

#[test]
fn a_session_comes_back_wherever_the_application_is_mounted() {
    fn counting(_: &Options) -> Result<App> {
        Ok(App::new().secret_key("key").get("/", |request: &mut Request<'_>| {
            let seen = request.session().get::<u32>("seen").unwrap_or(0) + 1;
            request.session_mut().set("seen", seen);
            seen.to_string()
        }))
    }
    let paths = ["/my app/", "/zähler/", "/plain/", "/count", "/one more"];
    let mut text =
        "[server]\nlisten = \"http://127.0.0.1:0\"\n[[host]]\ndefault = true\n".to_owned();
    for path in paths {
        text += &format!("[[host.route]]\npath = \"{path}\"\nhandler = \"counting\"\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.conf");
    std::fs::write(&file, text).unwrap();
    let server = Embedded::of_site(move || Server::from_file(&file).handler("counting", counting));
    for (path, cookie_path) in [
        ("/my%20app/", "/my%20app/"),
        ("/z%C3%A4hler/", "/z%C3%A4hler/"),
        ("/plain/", "/plain/"),
        ("/count", "/count"),
        ("/one%20more", "/one%20more"),
    ] {
        let first = Wire::to(server.address).get(path);
        assert_eq!((first.status, first.body.as_slice()), (200, &b"1"[..]), "{path}");
        let line = first.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
        let told = line.split("; ").find_map(|part| part.strip_prefix("Path=")).unwrap();
        assert_eq!(told, cookie_path, "{line}");
        // As a browser matches paths, which it has as they were sent.
        assert!(path == told || path.starts_with(told) && told.ends_with('/'), "{line}");
        let cookie = format!("Cookie: {}\r\n", line.split(';').next().unwrap());
        assert_eq!(server.ask("GET", path, &cookie, b"").body, "2", "{path}");
    }
}

#[test]
fn sessions_of_an_application_within_another_are_a_mistake() {
    let child = || App::new().get("/", |_| "");
    for (child, what) in [
        (child().secret_key("other"), "secret_key"),
        (child().session_cookie("other"), "session_cookie"),
        (child().session_age(Duration::from_secs(1)), "session_age"),
        (App::new().group("/deeper", |app| app.secret_key("other")), "secret_key"),
    ] {
        let mistakes = App::new().secret_key("key").mount("/child", child).check().unwrap_err();
        assert!(mistakes.contains(what) && mistakes.contains("\"/child"), "{mistakes}");
    }
    let whole = App::new().secret_key("key").session_cookie("own").mount("/child", child());
    assert_eq!(whole.check(), Ok(()));
}

#[test]
fn a_type_that_would_break_the_head_is_a_500() {
    let server = Embedded::of(|| {
        App::new()
            .get("/with", |_| Reply::text("x").with_type("a\r\nX-Forged: 1"))
            .get("/set", |_| Reply::text("x").with_header("Content-Type", "a\nb"))
            .get("/bytes", |_| Reply::bytes("a\nb", *b"x"))
            .get("/stream", |_| Reply::stream("a\nb", |_| Next::End))
    });
    for path in ["/with", "/set", "/bytes", "/stream"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 500, "{path}");
        assert!(!answer.head.contains("forged"), "{path}");
    }
}

#[test]
fn patterns_and_prefixes_that_no_path_has_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    for (app, what) in [
        (App::new().get("/a?b", |_| ""), "query"),
        (App::new().get("/a%20b", |_| ""), "percent-encoded"),
        (App::new().group("/..", |app| app.get("/x", |_| "")), ".."),
        (App::new().static_folder("/u/{n}", folder.path()), "prefix"),
        (App::new().static_files("/u/{n}", &[]), "prefix"),
    ] {
        let mistakes = app.check().unwrap_err();
        assert!(mistakes.contains(what), "{what}: {mistakes}");
    }
}
