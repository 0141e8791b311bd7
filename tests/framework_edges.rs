//! Applications where it hurts: what is hostile, what is missing, what the server itself refuses.

use crate::support::{Answer, Embedded, PATIENCE, Wire, eventually};
use httpyserver::{
    App, Cookie, Next, Refusal, Reply, Request, Result, Server, StatusCode, abort, header,
};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

// ---- routes -------------------------------------------------------------------------------------

#[test]
fn paths_that_fit_no_type_are_404_and_methods_that_nobody_takes_405() {
    let server = Embedded::of(|| {
        App::new()
            .get("/int/{n:int}", |request| request.param_str("n").to_owned())
            .get("/uint/{n:uint}", |request| request.param_str("n").to_owned())
            .get("/key/{k:uuid}", |request| request.param_str("k").to_owned())
            .get("/one/{name}", |request| request.param_str("name").to_owned())
            .get("/rest/{all:path}", |request| request.param_str("all").to_owned())
            .get("/small/{n}", |request| request.param::<u8>("n").map(|n| n.to_string()))
            .route("REPORT", "/int/{n:int}", |request: &mut Request<'_>| {
                format!("{} of {}", request.method(), request.param_str("n"))
            })
            .route(["LOCK", "UNLOCK"], "/door", |_| ())
    });
    for (path, status, body) in [
        ("/int/-7", 200, "-7"),
        ("/int/7", 200, "7"),
        ("/int/seven", 404, ""),
        ("/int/7.5", 404, ""),
        ("/int/0x7", 404, ""),
        ("/int/+7", 404, ""),
        ("/int/%37", 200, "7"),
        ("/int/9223372036854775808", 404, ""),
        ("/int/", 404, ""),
        ("/int/7/8", 404, ""),
        ("/uint/-7", 404, ""),
        ("/uint/18446744073709551615", 200, "18446744073709551615"),
        ("/key/123e4567-e89b-12d3-a456-42661417400", 404, ""),
        ("/key/123e4567-e89b-12d3-a456-426614174000", 200, "123e4567-e89b-12d3-a456-426614174000"),
        ("/one/a%20b", 200, "a b"),
        // A slash in a segment would be two meanings of one path.
        ("/one/a%2fb", 400, ""),
        ("/rest/a/b", 200, "a/b"),
        ("/rest/a//b", 200, "a/b"),
        ("/small/256", 404, ""),
        ("/small/255", 200, "255"),
        ("/one/%ff", 404, ""),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(status != 200 || answer.body == body, "{path}: {}", answer.body);
    }
    assert_eq!(server.ask("REPORT", "/int/7", "", b"").body, "REPORT of 7");
    for (method, path, status, allow) in [
        ("POST", "/int/7", 405, "GET, HEAD, OPTIONS, REPORT"),
        ("OPTIONS", "/int/7", 204, "GET, HEAD, OPTIONS, REPORT"),
        ("GET", "/door", 405, "LOCK, OPTIONS, UNLOCK"),
        ("HEAD", "/door", 405, "LOCK, OPTIONS, UNLOCK"),
        ("OPTIONS", "/door", 204, "LOCK, OPTIONS, UNLOCK"),
        ("LOCK", "/door", 204, ""),
        ("lock", "/door", 405, "LOCK, OPTIONS, UNLOCK"),
        // It is known, but not there; what nobody knows anywhere is not implemented.
        ("REPORT", "/nowhere", 404, ""),
        ("BREW", "/nowhere", 501, ""),
        ("OPTIONS", "/nowhere", 404, ""),
        ("POST", "/int/seven", 404, ""),
    ] {
        let answer = server.ask(method, path, "", b"");
        assert_eq!(answer.status, status, "{method} {path}");
        let told = answer.head.lines().find_map(|line| line.strip_prefix("allow: "));
        assert_eq!(told.unwrap_or_default(), allow.to_lowercase(), "{method} {path}");
    }
}

#[test]
fn mistakes_in_methods_are_told() {
    for (methods, told) in [
        ("get", "did you mean GET"),
        ("Post", "did you mean POST"),
        ("TRACE", "TRACE"),
        ("A B C(", "no methods"),
        ("", "no methods"),
    ] {
        let said = App::new().route(methods, "/", |_| "").check().unwrap_err();
        assert!(said.contains(told), "{methods:?}: {said}");
    }
    assert!(App::new().route("report", "/", |_| "").check().is_ok(), "one's own may be small");
}

// ---- files --------------------------------------------------------------------------------------

#[test]
fn hooks_and_error_handlers_count_for_files_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.txt"), "0123456789").unwrap();
    std::fs::write(folder.path().join("sorry.html"), "<h1>Sorry</h1>").unwrap();
    let place = folder.path().to_owned();
    let server = Embedded::of(move || {
        let (sorry, one) = (place.join("sorry.html"), place.join("secret.txt"));
        let missing = place.join("missing");
        App::new()
            .after(|_, reply| {
                reply.set_header("X-Frame-Options", "DENY");
                reply.set_header("Cache-Control", "private");
                let kind = reply.header("content-type").unwrap_or("none").to_owned();
                reply.set_header("X-Type", kind);
            })
            .error_handler(404, move |_, _| Reply::file(&sorry))
            .get("/one", move |_| Reply::file(&one))
            .get("/missing", move |_| Reply::file(&missing))
            .group("/private", move |app| {
                app.before(|request: &mut Request<'_>| {
                    (request.header("x-key") != Some("7")).then(|| abort(403)).map_or(Ok(()), Err)
                })
                .static_folder("/files", &place)
                .static_files("/own", &[("a.css", b"p {}")])
            })
    });
    for path in ["/private/files/secret.txt", "/private/own/a.css", "/private/files/none"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.body.contains("0123"), "{path}");
        assert!(answer.has("X-Frame-Options: DENY"), "{path}: {}", answer.head);
    }
    let key = |path: &str, more: &str| server.ask("GET", path, &format!("X-Key: 7\r\n{more}"), b"");
    for path in ["/private/files/secret.txt", "/one"] {
        let whole = key(path, "");
        assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789"), "{path}");
        for line in [
            "X-Frame-Options: DENY",
            "Cache-Control: private",
            "Content-Length: 10",
            "Accept-Ranges: bytes",
            "X-Type: text/plain; charset=utf-8",
        ] {
            assert!(whole.has(line), "{path} {line}: {}", whole.head);
        }
        for name in ["cache-control: ", "content-length: ", "content-type: ", "date: "] {
            assert_eq!(whole.head.matches(name).count(), 1, "{path} {name}: {}", whole.head);
        }
        let part = key(path, "Range: bytes=2-4\r\n");
        assert_eq!((part.status, part.body.as_str()), (206, "234"), "{path}");
        assert!(part.has("Content-Range: bytes 2-4/10") && part.has("X-Frame-Options: DENY"));
        let several = key(path, "Range: bytes=0-1,8-9\r\n");
        assert_eq!(several.status, 206, "{path}");
        assert!(several.has("X-Frame-Options: DENY") && several.body.contains("89"), "{path}");
        let tag = whole.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let same = key(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{path}");
        assert!(same.has("X-Frame-Options: DENY") && same.has(&format!("etag: {tag}")), "{path}");
        assert_eq!(key(path, "If-Match: \"other\"\r\n").status, 412, "{path}");
        let beyond = key(path, "Range: bytes=99-\r\n");
        assert!(beyond.status == 416 && beyond.has("Content-Range: bytes */10"), "{path}");
        let head = server.ask("HEAD", path, "X-Key: 7\r\n", b"");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert!(head.has("Content-Length: 10") && head.has("X-Frame-Options: DENY"), "{path}");
    }
    assert_eq!(key("/private/own/a.css", "").body, "p {}");
    // A page of a failure is a file with the failure's status, all of it whatever was asked for.
    for path in ["/missing", "/nowhere", "/private/files/none", "/private/own/none"] {
        let answer = key(path, "Range: bytes=0-1\r\n");
        assert_eq!((answer.status, answer.body.as_str()), (404, "<h1>Sorry</h1>"), "{path}");
        assert!(answer.has("Content-Type: text/html; charset=utf-8"), "{path}: {}", answer.head);
    }
}

// ---- bodies -------------------------------------------------------------------------------------

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_sent() {
    let server = Embedded::of(|| App::new().post("/", |_| "taken"));
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut wire = Wire::to(server.address);
        wire.send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\n{expect}Content-Length: {}\r\n\r\n",
            (1 << 20) + 1
        ));
        // Not a byte of the body was sent, and none was asked for.
        assert_eq!(wire.response().status, 413, "{expect}");
    }
    let mut wire = Wire::to(server.address);
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(wire.response().status, 100);
    assert_eq!(wire.send("ab").response().body, b"taken");
}

const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";

fn part(name: &str, file: Option<&str>, content: &str) -> String {
    let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
}

/// What is said of a form in odd ways arrives: as a file where it is one, and never as other bytes.
#[test]
fn forms_of_odd_clients_lose_nothing() {
    let server = Embedded::of(|| {
        App::new().post("/", |request| {
            let file = request.files().first();
            let file =
                file.map(|f| (f.field().to_owned(), f.filename().to_owned(), f.bytes().ok()));
            let form = request.form();
            format!("{:?} {:?} {:?} {file:?}", form.get("a"), form.bytes("a"), form.get(""))
        })
    });
    let post = |head: &str, content: &[u8]| {
        let body = [b"--XX\r\n", head.as_bytes(), content, b"\r\n--XX--\r\n"].concat();
        let answer = server.ask("POST", "/", MULTIPART, &body);
        assert_eq!(answer.status, 200, "{head}");
        answer.body
    };
    let disposition = "Content-Disposition: form-data; name=";
    for (head, content, want) in [
        (
            format!("{disposition}f; filename*=UTF-8''a%20b.bin\r\n\r\n"),
            &b"\xff\xfe"[..],
            r#"None None None Some(("f", "a b.bin", Some([255, 254])))"#,
        ),
        (
            format!("{disposition}\"dir\\\"; filename=\"a.bin\"\r\n\r\n"),
            b"\xff",
            r#"None None None Some(("dir\\", "a.bin", Some([255])))"#,
        ),
        (
            format!("{disposition}a\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\n"),
            b"\xe9",
            "Some(\"\u{e9}\") Some([233]) None None",
        ),
        (format!("{disposition}a\r\n\r\n"), b"\xe9", r#"Some("\u{fffd}") Some([233]) None None"#),
        (
            format!("{disposition}_charset_\r\n\r\nlatin1\r\n--XX\r\n{disposition}a\r\n\r\n"),
            b"\xe9",
            "Some(\"\u{e9}\") Some([233]) None None",
        ),
        (
            format!("{disposition}a\r\n--XX\r\nContent-Disposition: form-data\r\n\r\n"),
            b"kept",
            r#"Some("") Some([]) Some("kept") None"#,
        ),
    ] {
        let want = want.replace("\\u{fffd}", "\u{fffd}");
        assert_eq!(post(&head, content), want, "{head}");
    }
    let kind = "Content-Type: multipart/form-data; boundary=a$b\r\n";
    let body = format!("--a$b\r\n{disposition}a\r\n\r\n1\r\n--a$b--");
    let answer = server.ask("POST", "/", kind, body.as_bytes());
    assert_eq!(answer.body, "Some(\"1\") Some([49]) None None");
}

#[test]
fn forms_that_want_too_much_are_refused() {
    let server = Embedded::of(|| {
        App::new().body_limit(8 << 20).post("/", |request| {
            format!("{} fields, {} files", request.form().len(), request.files().len())
        })
    });
    let send = |body: &str| {
        let answer = server.ask("POST", "/", MULTIPART, format!("{body}--XX--\r\n").as_bytes());
        (answer.status, answer.body)
    };
    let many = |n: usize, file| (0..n).map(|n| part(&format!("f{n}"), file, "x")).collect();
    let (fields, files): (String, String) = (many(900, None), many(100, Some("a")));
    assert_eq!(send(&fields), (200, "900 fields, 0 files".into()));
    assert_eq!(send(&files), (200, "0 fields, 100 files".into()));
    let empty: String = many(500, Some(""));
    assert_eq!(send(&empty), (200, "0 fields, 0 files".into()), "no file was chosen");
    for (what, body) in [
        ("fields", many(1001, None)),
        ("files", many(101, Some("a"))),
        ("a long field", part("f", None, &"x".repeat((1 << 20) + 1))),
    ] {
        assert_eq!(send(&body).0, 413, "{what}");
    }
    for (what, body) in [
        ("no disposition", "--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n".to_owned()),
        ("a long head", format!("--XX\r\nA: {}\r\n\r\nx\r\n", "x".repeat(9000))),
        ("a long preamble", format!("{}\r\n--XX\r\n\r\n", "x".repeat(2000))),
    ] {
        assert_eq!(send(&body).0, 400, "{what}");
    }
    // In a URL's encoding, too.
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let pairs = "a=b&".repeat(5000);
    let answer = server.ask("POST", "/", kind, pairs.as_bytes());
    assert_eq!(answer.body, "1000 fields, 0 files", "no more are read");
    let long = format!("a={}", "x".repeat(1 << 20));
    let answer = server.ask("POST", "/", kind, long.as_bytes());
    assert_eq!(answer.body, "0 fields, 0 files", "it is data, see below");
}

#[test]
fn a_form_too_long_to_be_read_is_data_and_413_for_who_needs_a_field() {
    let client = App::new()
        .body_limit(4 << 20)
        .post("/need", |request: &mut Request<'_>| -> Result<String> {
            Ok(request.form().require("wanted")?.len().to_string())
        })
        .post("/data", |request: &mut Request<'_>| -> Result<String> {
            let spooled = request.take_spooled().map(|file| file.size());
            Ok(format!("{} {spooled:?} {}", request.data()?.len(), request.form().is_cut()))
        })
        .post("/token", |request: &mut Request<'_>| request.check_csrf())
        .test();
    let kind = "application/x-www-form-urlencoded";
    let ask = |path, body: &str| client.post(path).header("Content-Type", kind).body(body).send();
    let (short, long) = ("wanted=x".to_owned(), format!("wanted={}", "x".repeat(1 << 20)));
    let (many, missing) = (format!("{}wanted=x", "a&".repeat(1000)), "a=b".to_owned());
    for (body, need, token) in
        [(&short, 200, 403), (&missing, 400, 403), (&long, 413, 413), (&many, 413, 413)]
    {
        assert_eq!(ask("/need", body).status(), need, "{} bytes", body.len());
        assert_eq!(ask("/token", body).status(), token, "{} bytes", body.len());
    }
    assert_eq!(ask("/data", &short).text(), "8 None false");
    assert_eq!(ask("/data", &many).text(), "2008 None true");
    assert_eq!(ask("/data", &long).text(), format!("0 Some({}) true", long.len()));
}

#[test]
fn who_leaves_in_the_middle_of_an_upload_leaves_nothing() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(0));
    let count = seen.clone();
    let server = Embedded::of(move || {
        App::new().body_limit(64 << 20).post("/", move |_| {
            *count.lock().unwrap() += 1;
            "done"
        })
    });
    let mut wires = Vec::new();
    for _ in 0..20 {
        let mut wire = Wire::to(server.address);
        let head =
            format!("POST / HTTP/1.1\r\nHost: h\r\n{MULTIPART}Content-Length: 9999999\r\n\r\n");
        wire.send(head).send(part("f", Some("a.bin"), &"x".repeat(300_000)));
        wires.push(wire);
    }
    let drafts = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let temporary = std::env::var("TMPDIR").unwrap_or_else(|_| "/var/tmp".into());
        links.filter(|link| link.starts_with(&temporary) && is_deleted(link)).count()
    };
    eventually(|| (drafts() >= 20).then_some(())).expect("they lie on the disk, without a name");
    drop(wires);
    // Other tests have some of their own for a moment.
    eventually(|| (drafts() == 0).then_some(())).expect("they are gone");
    assert_eq!(*seen.lock().unwrap(), 0, "no handler was called");
    assert_eq!(server.ask("POST", "/", "", b"x").body, "done");
}

fn is_deleted(link: &Path) -> bool {
    link.to_string_lossy().ends_with(" (deleted)")
}

/// Run by the test below, in a process of its own: memory is measured there.
#[test]
#[ignore = "a server for another test"]
fn serve_for_a_large_upload() {
    if std::env::var_os("HTTPYSERVER_TEST_SERVES").is_none() {
        return;
    }
    let app = App::new().body_limit(2 << 30).post(
        "/form",
        |request: &mut Request<'_>| -> Result<String> {
            let file = request.take_file("f").ok_or_else(|| abort(400))?;
            Ok(format!("{} bytes", file.size()))
        },
    );
    let app = app
        .post("/raw", |request| request.take_spooled().map_or(0, |file| file.size()).to_string());
    let mut server = Server::bind("127.0.0.1:0").app(app).quiet().start().unwrap();
    println!("\nlistening {}", server.address().unwrap());
    let stopper = server.stopper().unwrap();
    std::thread::spawn(move || {
        // Ends with whoever started it.
        let _ = std::io::stdin().read(&mut [0]);
        stopper.stop();
    });
    server.run().unwrap();
}

#[test]
fn a_large_upload_does_not_lie_in_memory() {
    const SIZE: usize = 256 << 20;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "framework_edges::serve_for_a_large_upload", "--ignored", "--nocapture"])
        .env("HTTPYSERVER_TEST_SERVES", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(
            std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0,
            "it did not start"
        );
        if let Some(address) = line.strip_prefix("listening ") {
            break address.trim().parse().unwrap();
        }
    };
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    let before = memory();
    let piece = vec![b'x'; 1 << 20];
    let start = part("f", Some("large.bin"), "");
    let start = start.strip_suffix("\r\n").unwrap();
    let end = "\r\n--XX--\r\n";
    for (path, kind, start, end, told) in [
        ("/form", MULTIPART, start, end, format!("{SIZE} bytes")),
        ("/raw", "", "", "", SIZE.to_string()),
    ] {
        let mut wire = Wire::to(address);
        let length = start.len() + SIZE + end.len();
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\n{kind}Content-Length: {length}\r\n\r\n"
        ));
        wire.send(start);
        for _ in 0..SIZE / piece.len() {
            wire.stream.write_all(&piece).unwrap();
        }
        let answer = wire.send(end).response();
        assert_eq!(String::from_utf8_lossy(&answer.body), told, "{path}");
    }
    let grown = memory().saturating_sub(before);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(grown < 16 << 20, "{grown} bytes more for an upload of {SIZE}");
}

// ---- cookies and sessions -----------------------------------------------------------------------

#[test]
fn cookies_go_out_with_all_that_is_said_of_them() {
    use httpyserver::cookie::{SameSite, time::Duration as Span};
    let client = App::new()
        .get("/set", |_| {
            let cookie = Cookie::build(("taste", "sweet"))
                .domain("example.org")
                .path("/jar")
                .max_age(Span::hours(1))
                .secure(true)
                .http_only(true)
                .same_site(SameSite::Strict)
                .partitioned(true);
            Reply::text("").with_cookie(cookie).with_cookie(Cookie::new("plain", "1"))
        })
        .get("/gone", |_| Reply::text("").without_cookie("plain"))
        .get("/see", |request| {
            format!("{:?} {:?}", request.cookie("plain"), request.cookie("quoted"))
        })
        .get("/split/{how:path}", |request: &mut Request<'_>| {
            let how = request.param_str("how");
            let (name, value) = how.split_once('=').unwrap();
            Reply::text("").with_cookie(Cookie::new(name.to_owned(), value.to_owned()))
        })
        .get("/lines", |_| Reply::text("").with_cookie(Cookie::new("a", "b\r\nX-A: 1")))
        .get("/path", |_| {
            Reply::text("").with_cookie(Cookie::build(("a", "b")).path("/; Domain=evil.test"))
        })
        .test();
    let set = client.get("/set").send();
    let lines: Vec<_> = set.all("set-cookie").collect();
    for attribute in [
        "taste=sweet",
        "HttpOnly",
        "SameSite=Strict",
        "Partitioned",
        "Secure",
        "Path=/jar",
        "Domain=example.org",
        "Max-Age=3600",
    ] {
        assert!(lines[0].split("; ").any(|own| own == attribute), "{attribute}: {lines:?}");
    }
    assert_eq!(lines[1], "plain=1");
    let seen = client.get("/see").header("Cookie", "x=y; plain=1; quoted=\"q\"").send();
    assert_eq!(seen.text(), "Some(\"1\") Some(\"q\")");
    let gone = client.get("/gone").send();
    let line = gone.header("set-cookie").unwrap();
    assert!(line.starts_with("plain=; ") && line.contains("Max-Age=0"), "{line}");
    assert_eq!(client.cookie("plain"), None);
    // Nothing gets into a cookie that would be read as an attribute, or as another header.
    for how in ["a=b%3b%20Domain=evil.test", "a%3b=b", "=b", "a%20b=c"] {
        let answer = client.get(&format!("/split/{how}")).send();
        assert_eq!((answer.status().as_u16(), answer.header("set-cookie")), (500, None), "{how}");
    }
    for path in ["/path", "/lines"] {
        let answer = client.get(path).send();
        assert_eq!((answer.status().as_u16(), answer.header("x-a")), (500, None), "{path}");
    }
    assert_eq!(client.get("/split/a=b").send().header("set-cookie"), Some("a=b"));
}

#[test]
fn sessions_of_another_key_or_time_are_none() {
    let app = |key: &str, age: u64| {
        App::new()
            .secret_key(key)
            .session_age(Duration::from_secs(age))
            .get("/in", |request| request.session_mut().set("user", "ali"))
            .get("/who", |request| request.session().get_str("user").unwrap_or("?").to_owned())
            .get("/token", |request| request.csrf_token())
            .get("/out", |request| request.session_mut().clear())
            .group("/form", |app| app.csrf_protect().post("/", |_| "done"))
            .test()
    };
    let (mine, other, brief) = (app("one", 60), app("two", 60), app("one", 1));
    let line = mine.get("/in").send().header("set-cookie").unwrap().to_owned();
    assert!(line.contains("Max-Age=60"), "{line}");
    let cookie = mine.cookie("session").unwrap();
    let who = |client: &httpyserver::testing::TestClient, cookie: &str| {
        client.get("/who").cookie("session", cookie).send().text()
    };
    let fresh = app("one", 60);
    assert_eq!(who(&fresh, &cookie), "ali");
    assert_eq!(who(&other, &cookie), "?", "another key");
    for cut in [1, 2, cookie.len() / 2, cookie.len() - 1] {
        assert_eq!(who(&fresh, &cookie[..cut]), "?", "cut at {cut}");
    }
    assert_eq!(who(&fresh, &format!("{cookie}{cookie}")), "?");
    let expired = || (who(&brief, &cookie) == "?").then_some(());
    assert!(eventually(expired).is_some(), "it lasts for a second");
    assert_eq!(who(&fresh, &cookie), "ali", "and for a minute elsewhere");
    // A token belongs to its session.
    let theirs = app("one", 60).get("/token").send().text();
    let own = mine.get("/token").send().text();
    let post = |token: &str| mine.post("/form/").form(&[("csrf_token", token)]).send().status();
    assert_eq!((post(&theirs).as_u16(), post(&own).as_u16()), (403, 200));
    // Logged out: the cookie is taken away.
    let out = mine.get("/out").send();
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(mine.cookie("session"), None);
}

// ---- streams ------------------------------------------------------------------------------------

#[test]
fn a_stream_is_not_begun_for_head_and_ends_with_its_client() {
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let server = Embedded::of(move || {
        App::new().get("/ticks", move |_| {
            let held = held.clone();
            Reply::stream("text/plain", move |out| -> std::io::Result<Next> {
                let _held = &held;
                writeln!(out, "tick")?;
                Ok(Next::After(Duration::from_millis(20)))
            })
        })
    });
    let head = server.ask("HEAD", "/ticks", "", b"");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.has("Content-Type: text/plain"), "{}", head.head);
    // The closure of the route holds one, and the test.
    let streams = || std::sync::Arc::strong_count(&alive) - 2;
    let mut wires: Vec<_> = (0..5).map(|_| Wire::to(server.address)).collect();
    for wire in &mut wires {
        wire.send("GET /ticks HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(wire.head().unwrap().unwrap().contains("chunked"));
        assert_eq!(wire.take(10).unwrap(), b"5\r\ntick\n\r\n");
    }
    assert_eq!(streams(), 5);
    wires.truncate(2);
    eventually(|| (streams() == 2).then_some(())).expect("three have left");
    for wire in &mut wires {
        assert_eq!(wire.take(10).unwrap(), b"5\r\ntick\n\r\n", "the others go on");
    }
}

// ---- the server's own failures ------------------------------------------------------------------

/// Whatever fails, in a voice of our own.
fn mine(refusal: &Refusal<'_>) -> Option<Reply> {
    let known = refusal.method().zip(refusal.path());
    let of = known.map_or("nothing".into(), |(method, path)| format!("{method} {path}"));
    assert!(!refusal.reason().is_empty(), "the log is told why");
    Some(
        Reply::text(format!("mine: {} of {of}", refusal.status().as_u16()))
            .with_header("X-Own", "1"),
    )
}

#[test]
fn every_failure_may_be_answered_by_the_program() {
    let server = Embedded::new(|| {
        let app = App::new()
            .get("/", |_| "fine")
            .post("/", |_| "posted")
            .get("/panic", |_| -> &'static str { panic!("as it should") })
            .get("/error", |_| -> Result<String> { Ok("x".parse::<i32>()?.to_string()) })
            .get("/teapot", |_| -> Result<String> { Err(abort(418)) })
            .get("/late", |request| request.blocking(|| -> String { panic!("off the loop") }));
        Server::bind("127.0.0.1:0").app(app).on_error(mine).configure(|config| {
            config.timeouts.idle = Duration::from_millis(300);
            config.timeouts.header = Duration::from_secs(1);
            config.timeouts.body = Duration::from_millis(300);
        })
    });
    let long = "x".repeat(40_000);
    for (request, status, of) in [
        ("\x16\x03\x01\x02\x00\x01\x00".to_owned() + &long[..100] + "\r\n\r\n", 400, "nothing"),
        ("GARBAGE\r\n\r\n".to_owned(), 400, "nothing"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, ""),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n".to_owned(), 400, ""),
        ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n".to_owned(), 400, "nothing"),
        ("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400, ""),
        ("GET /../x HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400, ""),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", &long[..9000]), 414, "nothing"),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}\r\n\r\n"), 431, "nothing"),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405, ""),
        ("GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_owned(), 505, "nothing"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n".to_owned(), 413, "POST /"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            400,
            "POST /",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br, chunked\r\n\r\n".to_owned(),
            501,
            "",
        ),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n".to_owned(), 417, ""),
        // Time: half of a head, half of a body.
        ("GET / HTTP/1.1\r\nHo".to_owned(), 408, "nothing"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf".to_owned(), 408, "POST /"),
    ] {
        let answer = Answer::of(&server.exchange(&request));
        let shown = &request[..request.len().min(60)];
        assert_eq!(answer.status, status, "{shown:?}: {} {}", answer.head, answer.body);
        assert!(answer.body.starts_with(&format!("mine: {status} of {of}")), "{}", answer.body);
        assert!(answer.has("X-Own: 1"), "{shown:?}: {}", answer.head);
    }
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("DELETE", "/", 405),
        ("BREW", "/nothing", 501),
        ("GET", "/panic", 500),
        ("GET", "/error", 500),
        ("GET", "/late", 500),
        ("GET", "/teapot", 418),
    ] {
        let answer = server.ask(method, path, "", b"");
        assert_eq!(answer.body, format!("mine: {status} of {method} {path}"), "{}", answer.head);
        assert_eq!(answer.status, status);
        assert!(status != 405 || answer.has("Allow: GET, HEAD, OPTIONS, POST"), "{}", answer.head);
    }
    assert_eq!(server.get("/").body, "fine");
}

#[test]
fn a_name_that_nobody_has_may_be_answered_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lost.html"), "<h1>Lost?</h1>").unwrap();
    let lost = folder.path().join("lost.html");
    let server = Embedded::of_site(move || {
        let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\n\
            names = [\"here.test\"]\nhandler = \"site\"\n";
        Server::from_text(config).app("site", App::new().get("/", |_| "here")).on_error(
            move |refusal| match refusal.status() {
                StatusCode::MISDIRECTED_REQUEST => Some(Reply::file(&lost)),
                // A panic in the hook, or a reply that takes time, leaves it to the server.
                StatusCode::BAD_REQUEST => panic!("in the hook"),
                _ => Some(Reply::stream("text/plain", |_| Next::End)),
            },
        )
    });
    let ask = |host: &str, path: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n"
        );
        Answer::of(&server.exchange(request))
    };
    assert_eq!(ask("here.test", "/").body, "here");
    let lost = ask("there.test", "/");
    assert_eq!((lost.status, lost.body.as_str()), (421, "<h1>Lost?</h1>"));
    assert!(lost.has("Content-Type: text/html; charset=utf-8"), "{}", lost.head);
    assert_eq!(lost.head.matches("content-length").count(), 1, "{}", lost.head);
    for (path, status) in [("/nothing", 404), ("/%zz", 400)] {
        let answer = ask("here.test", path);
        assert!(answer.status == status && !answer.body.is_empty(), "{path}: {}", answer.head);
    }
}

#[test]
fn helpers_are_kept_busy_and_others_do_not_notice() {
    let server = Embedded::of(|| {
        App::new().get("/", |_| "quick").get("/slow", |request| {
            request.blocking(|| {
                let until = Instant::now() + Duration::from_millis(100);
                let mut n = 1u64;
                while Instant::now() < until {
                    n = std::hint::black_box(n.wrapping_mul(3));
                }
                n.to_string()
            })
        })
    });
    let mut slow: Vec<_> = (0..12).map(|_| Wire::to(server.address)).collect();
    for wire in &mut slow {
        wire.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(server.get("/").body, "quick");
    }
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    for wire in &mut slow {
        assert_eq!(wire.response().status, 200);
    }
}

#[test]
fn the_ecosystem_s_names_are_at_hand() {
    let client = App::new()
        .get("/", |request: &mut Request<'_>| {
            let all = request.headers();
            assert_eq!(all.get(header::ACCEPT).unwrap(), "text/plain");
            assert_eq!(request.header(header::ACCEPT), Some("text/plain"));
            Reply::text(request.method().to_string()).with_header(header::ETAG, "\"1\"")
        })
        .test();
    let answer = client.get("/").header("Accept", "text/plain").send();
    assert_eq!((answer.text().as_str(), answer.header("etag")), ("GET", Some("\"1\"")));
}
