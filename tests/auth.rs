//! `auth`: names and passwords.

use crate::support::{Response, Start, TestServer, Wire, eventually, folder, get, run};
use httpyserver::server::{ConfigSource, Origin, Overrides, Question};
use httpyserver::site::Registry;
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

const CONFIG: &str = r#"
[[host]]
root = "root"
auth = { users = "users", realm = "the site" }
cache_control = "public, max-age=60"

  [[host.route]]
  path = "/open/"
  files = "open"
  auth = false

  [[host.route]]
  path = "/inbox/"
  files = "inbox"
  upload = { methods = ["PUT", "DELETE"], max = "10KiB" }
  auth = { users = "others", for = ["PUT", "DELETE"] }

  [[host.route]]
  path = "/both/"
  files = "open"
  allow = "127.0.0.2"

  [[host.route]]
  path = "/cgi/"
  cgi = "cgi"

  [[host.route]]
  path = "/hello/"
  cgi = "cgi"
  auth = false
"#;

const FILES: &[(&str, &str)] = &[
    ("root/index.html", "home"),
    ("open/a.txt", "open"),
    ("inbox/x.txt", "x"),
    (
        "cgi/who",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s %s' \"$REMOTE_USER\" \"$AUTH_TYPE\" \"$HTTP_AUTHORIZATION\"\n",
    ),
    ("cgi/home", "#!/bin/sh\nprintf 'Location: /index.html\\n\\n'\n"),
    ("cgi/away", "#!/bin/sh\nprintf 'Location: /hello/who\\n\\n'\n"),
];

/// A list of users whose passwords are cheap to check.
fn users(pairs: &[(&str, &str)]) -> String {
    let line = |(name, password): &(&str, &str)| {
        format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
    };
    format!("# name:hash\n{}", pairs.iter().map(line).collect::<String>())
}

fn start(config: &str) -> TestServer {
    let (ours, others) =
        (users(&[("ann", "sesame"), ("bob", "pass:w\u{f6}rd")]), users(&[("eve", "apple")]));
    let mut files = FILES.to_vec();
    files.extend([("users", ours.as_str()), ("others", others.as_str())]);
    let start = Start::new(config, &files);
    for script in ["cgi/who", "cgi/home", "cgi/away"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(start.path().join(script), mode).unwrap();
    }
    start.run()
}

fn base64(text: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.chunks(3) {
        let of = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for n in 0..4 {
            let six = alphabet[(bits >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= group.len() { char::from(six) } else { '=' });
        }
    }
    out
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64(format!("{user}:{password}").as_bytes()))
}

fn request(method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

fn get_as(path: &str, user: &str, password: &str) -> String {
    request("GET", path, &basic(user, password))
}

#[test]
fn right_ones_are_let_in_and_wrong_ones_asked_again() {
    let server = start(CONFIG);
    let right = basic("ann", "sesame");
    for (lines, want) in [
        (String::new(), 401),
        (right.clone(), 200),
        (right.clone(), 200),
        (basic("bob", "pass:w\u{f6}rd"), 200),
        (basic("ann", "Sesame"), 401),
        (basic("ann", "sesame "), 401),
        (basic("ann", ""), 401),
        (basic("Ann", "sesame"), 401),
        (basic("bob", "sesame"), 401),
        (basic("nobody", "sesame"), 401),
        (basic("", ""), 401),
        (basic("eve", "apple"), 401),
        (right.replace("Basic", "bAsIc"), 200),
        (right.replace("Basic", "Bearer"), 401),
        (right.replace("Basic ", "Basic"), 401),
        (right.replace("\r\n", "=\r\n"), 401),
        (right.clone() + &right, 401),
        (right.clone() + &basic("bob", "x"), 401),
        ("Authorization: Basic \r\n".into(), 401),
        ("Authorization: Basic YW5uOnNlc2FtZQA=\r\n".into(), 401),
    ] {
        let answer = server.ask(request("GET", "/", &lines));
        assert_eq!(answer.status, want, "{lines}");
        let challenge = answer.header("WWW-Authenticate");
        let wanted = (want == 401).then_some("Basic realm=\"the site\", charset=\"UTF-8\"");
        assert_eq!(challenge, wanted, "{lines}");
        assert!(
            want == 401 || answer.head.contains("Cache-Control: private\r\n"),
            "{}",
            answer.head
        );
    }
    // A name is not longer in the log than names can be, and escaped once.
    let odd = format!("{}\"\u{e9}\u{202e}{}", "x".repeat(5), "y".repeat(20_000));
    assert_eq!(server.ask(get_as("/", &odd, "x")).status, 401);
    let log = server.read_until("stderr.txt", "for \"xxxxx\"\u{e9}\\xe2\\x80\\xaeyyy");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(log.contains("yyy\"... from 127.0.0.1") && longest < 500, "{longest}");
    // Who guesses is told of, by the name tried and without the password.
    let log = server.read_until("stderr.txt", "for \"nobody\" from 127.0.0.1");
    assert!(log.contains("wrong user name or password for \"ann\""), "{log}");
    let all = log + &server.read("access.log");
    assert!(!all.to_lowercase().contains("sesame"), "{all}");
}

#[test]
fn routes_methods_and_addresses_decide_who_is_asked() {
    let server = start(CONFIG);
    let (ann, eve) = (basic("ann", "sesame"), basic("eve", "apple"));
    for (source, method, path, lines, want) in [
        ("127.0.0.1", "GET", "/open/a.txt", "", 200),
        ("127.0.0.1", "GET", "/op%65n/a.txt", "", 200),
        ("127.0.0.1", "GET", "/open", "", 308),
        ("127.0.0.1", "GET", "/nothing", "", 401),
        ("127.0.0.1", "GET", "/nothing", &*ann, 404),
        ("127.0.0.1", "HEAD", "/", "", 401),
        ("127.0.0.1", "HEAD", "/", &*ann, 200),
        ("127.0.0.1", "OPTIONS", "/", "", 401),
        ("127.0.0.1", "OPTIONS", "/", &*ann, 204),
        ("127.0.0.1", "POST", "/", "", 401),
        ("127.0.0.1", "POST", "/", &*ann, 405),
        ("127.0.0.1", "BREW", "/", "", 401),
        ("127.0.0.1", "GET", "/inbox/x.txt", "", 200),
        ("127.0.0.1", "OPTIONS", "/inbox/x.txt", "", 204),
        ("127.0.0.1", "DELETE", "/inbox/y.txt", "", 401),
        ("127.0.0.1", "DELETE", "/inbox/y.txt", &*ann, 401),
        ("127.0.0.1", "DELETE", "/inbox/y.txt", &*eve, 404),
        ("127.0.0.1", "GET", "/both/a.txt", "", 403),
        ("127.0.0.1", "GET", "/both/a.txt", &*ann, 403),
        ("127.0.0.2", "GET", "/both/a.txt", "", 401),
        ("127.0.0.2", "GET", "/both/a.txt", &*eve, 401),
        ("127.0.0.2", "GET", "/both/a.txt", &*ann, 200),
    ] {
        let mut wire = Wire::from(source, server.address);
        wire.send(request(method, path, lines));
        let answer = wire.response_to(method);
        let status = if matches!(answer.status, 301 | 302 | 307) { 308 } else { answer.status };
        assert_eq!(status, want, "{source} {method} {path} {lines}\n{}", answer.head);
        assert!(answer.status != 401 || answer.header("Allow").is_none(), "{}", answer.head);
    }
}

#[test]
fn an_upload_is_not_read_before_the_password_is_right() {
    let server = start(CONFIG);
    let put = |lines: &str, length: usize| {
        request("PUT", "/inbox/new", &format!("{lines}Content-Length: {length}\r\n"))
    };
    let (eve, wrong) = (basic("eve", "apple"), basic("eve", "pear"));
    let expect = "Expect: 100-continue\r\n";
    for lines in ["", wrong.as_str()] {
        let mut wire = Wire::connect(&server);
        wire.send(put(&format!("{lines}{expect}"), 5));
        // The first thing it hears is the refusal, not that it may go on.
        assert_eq!(wire.response().status, 401);
        let mut wire = Wire::connect(&server);
        wire.send(put(lines, 5)).send("12345");
        assert_eq!(wire.response().status, 401);
        assert_eq!(wire.get("/open/a.txt").status, 200);
        assert!(!server.path("inbox/new").exists());
        // How much may be sent is not for strangers to know.
        assert_eq!(server.ask(put(lines, 1_000_000)).status, 401);
    }
    for (round, status) in [201, 204].into_iter().enumerate() {
        let mut wire = Wire::connect(&server);
        wire.send(put(&format!("{eve}{expect}"), 5));
        assert_eq!(wire.response().status, 100, "round {round}");
        assert_eq!(wire.send("12345").response().status, status);
        assert_eq!(server.read("inbox/new"), "12345");
    }
    // All at once, and in chunks, with credentials that were not seen before.
    for (lines, body) in [
        ("Content-Length: 5\r\n", "abcde"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
    ] {
        let server = start(CONFIG);
        let mut wire = Wire::connect(&server);
        wire.send(
            request("PUT", "/inbox/new", &format!("{eve}{lines}")) + body + &get("/open/a.txt"),
        );
        assert_eq!(wire.response().status, 201, "{lines}");
        assert_eq!(wire.response().body, b"open");
        assert_eq!(server.read("inbox/new"), "abcde");
    }
    assert_eq!(server.ask(put(&eve, 1_000_000)).status, 413);
}

#[test]
fn pipelined_requests_keep_their_order_across_a_check() {
    let server = start(CONFIG);
    let mut wire = Wire::connect(&server);
    let requests = [
        (get("/open/a.txt"), 200),
        (get_as("/", "ann", "wrong"), 401),
        (get_as("/", "ann", "sesame"), 200),
        (get("/"), 401),
        (get_as("/", "ann", "sesame"), 200),
        (get_as("/", "bob", "sesame"), 401),
        (get("/open/a.txt"), 200),
    ];
    wire.send(requests.iter().map(|(request, _)| request.as_str()).collect::<String>());
    for (request, want) in &requests {
        assert_eq!(wire.response().status, *want, "{request}");
    }
    // And byte by byte.
    let mut wire = Wire::connect(&server);
    for byte in get_as("/", "bob", "pass:w\u{f6}rd").bytes() {
        wire.send([byte]);
    }
    assert_eq!(wire.response().status, 200);
}

#[test]
fn who_leaves_during_a_check_leaves_nothing_behind() {
    let server = start(CONFIG);
    for round in 0..100 {
        let mut wire = Wire::connect(&server);
        wire.send(get_as("/", "ann", &format!("wrong {round}")));
        if round % 2 == 0 {
            wire.finish();
        }
    }
    // Those that have left may still be at the front.
    let let_in = eventually(|| {
        let status = server.ask(get_as("/", "ann", "sesame")).status;
        assert!(status == 200 || status == 429, "{status}");
        (status == 200).then_some(())
    });
    assert!(let_in.is_some(), "nobody is let in any more");
}

#[test]
fn changed_users_count_at_once() {
    let server = start(CONFIG);
    let mut wire = Wire::connect(&server);
    let mut ask = |password: &str| wire.send(get_as("/", "ann", password)).response().status;
    assert_eq!((ask("sesame"), ask("sesame"), ask("new")), (200, 200, 401));
    server.write("users", users(&[("ann", "new")]));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert_eq!((ask("sesame"), ask("new")), (401, 200));
    // A list that is gone or damaged opens nothing: what was, stays.
    for damage in [None, Some("ann:new\n"), Some("ann:$apr1$x$y\n"), Some("# nobody\n")] {
        match damage {
            None => std::fs::remove_file(server.path("users")).unwrap(),
            Some(text) => server.write("users", text),
        }
        let before = server.read("stderr.txt").matches("not reloaded").count();
        server.signal(Signal::HUP);
        let said = eventually(|| {
            Some(server.read("stderr.txt"))
                .filter(|said| said.matches("not reloaded").count() > before)
        });
        assert!(said.unwrap().contains("bad-users"));
        assert_eq!((ask("sesame"), ask("new")), (401, 200), "{damage:?}");
    }
    let said = server.read("stderr.txt");
    assert!(said.contains("users:1 has no bcrypt hash"), "{said}");
    assert!(said.contains("hash-password"), "{said}");
}

/// A reload waits neither for a pipe nor for a device without end.
#[test]
fn a_list_of_users_that_is_no_file_holds_nobody_up() {
    let server = start(CONFIG);
    let place = server.path("users");
    for n in 1..=2 {
        std::fs::remove_file(&place).unwrap();
        match n {
            1 => {
                let (at, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR);
                rustix::fs::mkfifoat(at, &place, mode).unwrap();
            }
            _ => std::os::unix::fs::symlink("/dev/zero", &place).unwrap(),
        }
        server.signal(Signal::HUP);
        let said = eventually(|| {
            let said = server.read("stderr.txt");
            (said.matches("not reloaded").count() == n).then_some(said)
        });
        assert!(said.unwrap().contains("no regular file"));
        assert_eq!(server.ask(get_as("/", "ann", "sesame")).status, 200);
    }
}

/// What began before a reload is judged by what was before it, and what comes after by what is.
#[test]
fn a_reload_during_a_check_changes_no_answer() {
    let server = start(CONFIG);
    let list = |password: &str| format!("ann:{}\n", bcrypt::hash(password, 11).unwrap());
    server.write("users", list("old"));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let mut wires: Vec<_> = ["old", "new", "old", "new"]
        .map(|password| {
            let mut wire = Wire::connect(&server);
            wire.send(get_as("/", "ann", password) + &get_as("/", "ann", "new"));
            wire
        })
        .into();
    // It answers this after those have come in, and reads the order after it has answered.
    assert_eq!(server.get("/open/a.txt").status, 200);
    server.write("users", list("new"));
    server.signal(Signal::HUP);
    for (wire, want) in wires.iter_mut().zip([200, 401, 200, 401]) {
        assert_eq!(wire.response().status, want);
    }
    eventually(|| {
        let said = server.read("stderr.txt").matches("reloaded").count();
        (said == 2).then_some(())
    });
    assert_eq!(server.ask(get_as("/", "ann", "new")).status, 200);
    assert_eq!(server.ask(get_as("/", "ann", "old")).status, 401);
}

/// A flood of wrong passwords: who asks for something else does not wait for it, and somebody with
/// the right one gets in meanwhile.
#[test]
fn a_flood_of_wrong_passwords_is_held_off() {
    let slow = bcrypt::hash("sesame", 10).unwrap();
    let server = start(CONFIG);
    server.write("users", format!("ann:{slow}\n"));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let mut flood: Vec<_> = (0..200)
        .map(|n| {
            let mut wire = Wire::from("127.0.0.9", server.address);
            wire.send(get_as("/", "ann", &format!("guess {n}")));
            wire
        })
        .collect();
    let mut quick = Wire::connect(&server);
    for _ in 0..200 {
        assert_eq!(quick.get("/open/a.txt").status, 200);
    }
    assert_eq!(server.ask(get_as("/", "ann", "sesame")).status, 200);
    let statuses: Vec<_> = flood.iter_mut().map(|wire| wire.response().status).collect();
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    let (wrong, busy) = (count(401), count(429));
    assert_eq!(wrong + busy, 200, "{statuses:?}");
    // So many have a place in the line of one address, and more while it moved.
    assert!(wrong >= 18 && busy > 0, "{wrong} wrong, {busy} refused");
    assert_eq!(server.ask(get_as("/", "ann", "sesame")).status, 200);
}

/// Four addresses with sixteen requests each are as many as may wait at all.
#[test]
fn guessing_from_several_addresses_keeps_nobody_else_out() {
    let slow = bcrypt::hash("sesame", 10).unwrap();
    let server = start(CONFIG);
    server.write("users", format!("ann:{slow}\n"));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let guess = |(last, n): (u8, usize)| {
        let mut wire = Wire::from(&format!("127.0.0.{last}"), server.address);
        wire.send(get_as("/", "ann", &format!("guess {n}")));
        wire
    };
    let pairs = (11..=15).flat_map(|last| (0..18).map(move |n| (last, n)));
    let mut flood: Vec<_> = pairs.map(guess).collect();
    assert_eq!(server.ask(get_as("/", "ann", "sesame")).status, 200);
    let statuses: Vec<_> = flood.iter_mut().map(|wire| wire.response().status).collect();
    assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&503), "there was room for all: {statuses:?}");
}

/// Many at once with the same credentials, as a browser asks for the parts of a page.
#[test]
fn many_at_once_are_all_let_in() {
    let server = start(CONFIG);
    let mut wires: Vec<_> = (0..12)
        .map(|_| {
            let mut wire = Wire::connect(&server);
            wire.send(get_as("/", "ann", "sesame"));
            wire
        })
        .collect();
    for wire in &mut wires {
        assert_eq!(wire.response().status, 200);
    }
}

#[test]
fn scripts_and_logs_are_told_who_it_is() {
    let server = start(CONFIG);
    let text = |answer: &Response| String::from_utf8_lossy(&answer.body).trim().to_owned();
    let answer = server.ask(get_as("/cgi/who", "bob", "pass:w\u{f6}rd"));
    assert_eq!((answer.status, text(&answer)), (200, "bob Basic".into()));
    // Where nobody is asked, nobody is believed.
    let answer = server.ask(get_as("/hello/who", "bob", "pass:w\u{f6}rd"));
    assert_eq!((answer.status, text(&answer)), (200, String::new()));
    server.read_until("access.log", "127.0.0.1 - bob [");
    // Nor is somebody whom another place has let in, before an internal redirect.
    let answer = server.ask(get_as("/cgi/away", "ann", "sesame"));
    assert_eq!((answer.status, text(&answer)), (200, String::new()));
    // An internal redirect to a guarded place is asked by its guard.
    assert_eq!(server.ask(get("/hello/home")).status, 401);
    assert_eq!(server.ask(get_as("/hello/home", "ann", "sesame")).body, b"home");
    assert_eq!(server.ask(get_as("/hello/home", "ann", "wrong")).status, 401);
    server.read_until("access.log", "127.0.0.1 - ann [");
}

/// A password that the guard has checked is nothing for applications; one that nobody has asked for
/// is theirs to check.
#[test]
fn applications_see_the_credentials_that_no_guard_has_checked() {
    let app = "def app(environ, start):\n    start('200 OK', [('X-Accel-Redirect', '/open/')] if environ['PATH_INFO'] == '/away' else [])\n    \
        return [(environ.get('REMOTE_USER', '-') + ' ' + environ.get('HTTP_AUTHORIZATION', '-')).encode()]\n";
    let server = TestServer::new(
        "[app.who]\nwsgi = 'who:app'\n[[host]]\napp = 'who'\n\
         auth = { users = 'users', for = ['GET'] }\n\
         [[host.route]]\npath = '/open/'\napp = 'who'\nauth = false\n",
        &[("who.py", app), ("users", &users(&[("ann", "sesame")]))],
    );
    let right = basic("ann", "sesame");
    let value = right.trim().strip_prefix("Authorization: ").unwrap();
    for _ in 0..2 {
        for (method, path, lines, want) in [
            ("GET", "/", &*right, "ann -".to_owned()),
            ("GET", "/away", &right, "- -".to_owned()),
            ("GET", "/open/", &right, format!("- {value}")),
            ("GET", "/open/", "Authorization: Bearer x\r\n", "- Bearer x".to_owned()),
            ("DELETE", "/", &right, format!("- {value}")),
        ] {
            let answer = server.ask(request(method, path, lines));
            assert_eq!((answer.status, answer.text()), (200, &*want), "{method} {path}");
        }
    }
}

#[test]
fn json_logs_and_python_applications_are_told_too() {
    let app = "def app(environ, start):\n    start('200 OK', [])\n    \
        return [(environ.get('REMOTE_USER', '-') + ' ' + environ.get('AUTH_TYPE', '-')).encode()]\n";
    let hash = bcrypt::hash("sesame", 4).unwrap();
    let config = format!(
        "[log]\naccess = 'access.log'\nformat = 'json'\n[server]\nlisten = 'http://127.0.0.1:0'\n\
         [app.who]\nwsgi = 'who:app'\n[[host]]\napp = 'who'\n\
         auth = {{ users = {{ ann = '{hash}' }}, for = ['GET'] }}\n"
    );
    let server = TestServer::new(&config, &[("who.py", app)]);
    for _ in 0..2 {
        let mut wire = Wire::connect(&server);
        assert_eq!(wire.send(get_as("/", "ann", "sesame")).response().body, b"ann Basic");
        assert_eq!(
            wire.send(request("POST", "/", "Content-Length: 0\r\n")).response().body,
            b"- -"
        );
        assert_eq!(wire.send(get("/")).response().status, 401);
    }
    let log = server.read_until("access.log", "\"status\":401");
    assert!(log.contains("\"user\":\"ann\""), "{log}");
}

const METHODS: &str = r#"
[[host]]
names = ["open.test"]
default = true
root = "inbox"
upload = { methods = ["PUT", "DELETE"] }

  [[host.route]]
  path = "/admin/"
  respond = "admin"
  methods = ["GET", "POST"]
  auth = { users = "users" }

  [[host.route]]
  path = "/near/"
  respond = "near"
  methods = ["GET"]
  allow = "127.0.0.2"

  [[host.route]]
  path = "/put/"
  files = "inbox"
  upload = true
  methods = ["PUT"]
  auth = { users = "users", for = ["PUT"] }

  [[host.route]]
  path = "/two/"
  respond = "guarded"
  methods = ["GET"]
  auth = { users = "users" }

  [[host.route]]
  path = "/two/"
  respond = { body = "open" }
  methods = ["POST"]

[[host]]
names = ["same.test"]
root = "inbox"
upload = { methods = ["PUT"] }
auth = { users = "users" }

  [[host.route]]
  path = "/get/"
  respond = "got"
  methods = ["GET"]

[[host]]
names = ["bare.test"]
auth = { users = "users" }

  [[host.route]]
  path = "/get/"
  respond = "got"
  methods = ["GET"]

  [[host.route]]
  path = "/open/"
  respond = "open"
  methods = ["GET"]
  auth = false
"#;

/// Who protects a place for some methods has not opened it for the others, and a host with `auth`
/// says to nobody what it has not.
#[test]
fn other_methods_do_not_get_past_a_guard() {
    let server = start(METHODS);
    let source = ConfigSource {
        origin: Origin::File(server.path("web.conf")),
        overrides: Overrides::default(),
        registry: Registry::default(),
    };
    for (host, method, path, stranger, ann) in [
        ("open.test", "GET", "/admin/x.txt", 401, 200),
        ("open.test", "PUT", "/admin/x.txt", 401, 405),
        ("open.test", "DELETE", "/admin/x.txt", 401, 405),
        ("open.test", "BREW", "/admin/x.txt", 401, 405),
        ("open.test", "OPTIONS", "/admin/x.txt", 401, 204),
        ("open.test", "PUT", "/%61dmin/x.txt", 401, 405),
        ("open.test", "PUT", "/near/x.txt", 403, 403),
        ("open.test", "POST", "/near/x.txt", 403, 403),
        ("open.test", "PUT", "/two/x.txt", 401, 405),
        ("open.test", "DELETE", "/none.txt", 404, 404),
        // What is asked of some methods only is open for the others.
        ("open.test", "GET", "/put/x.txt", 404, 404),
        ("open.test", "PUT", "/put/x.txt", 401, 204),
        // The same guard on both sides: nothing is gone past.
        ("same.test", "POST", "/get/x", 401, 405),
        ("same.test", "GET", "/get/x", 401, 200),
        ("bare.test", "POST", "/get/x", 401, 405),
        ("bare.test", "BREW", "/get/x", 401, 405),
        ("bare.test", "GET", "/nothing", 401, 404),
        ("bare.test", "PUT", "/nothing", 401, 404),
        ("bare.test", "GET", "/open/", 200, 200),
        ("bare.test", "POST", "/open/", 401, 405),
    ] {
        for (credentials, want) in [(String::new(), stranger), (basic("ann", "sesame"), ann)] {
            let lines = format!("Host: {host}\r\n{credentials}");
            let question = Question {
                method: method.into(),
                url: format!("http://{host}{path}"),
                headers: credentials.lines().map(str::to_owned).collect(),
                from: "127.0.0.1".parse().unwrap(),
            };
            let told: Value =
                serde_json::from_str(&source.explain(&question).unwrap().to_json()).unwrap();
            let has_note =
                told["steps"].as_array().unwrap().iter().any(|step| step["about"] == "access");
            assert_eq!(has_note, stranger == 401 || stranger == 403, "{told:#}");
            if let Some(status) = told["answer"]["status"].as_u64() {
                assert_eq!(status, want, "{told:#}");
            }
            let body = if method == "PUT" { "Content-Length: 1\r\n\r\nx" } else { "\r\n" };
            let answer = server.ask(format!("{method} {path} HTTP/1.1\r\n{lines}{body}"));
            let said = format!("{host} {method} {path} {want}\n{}", answer.head);
            assert_eq!(u64::from(answer.status), want, "{said}");
            let says_what = want == 405 || method == "OPTIONS" && want == 204;
            assert_eq!(answer.header("Allow").is_some(), says_what, "{said}");
        }
    }
    let allow = |host: &str, method: &str, path: &str| {
        let lines = format!("Host: {host}\r\n{}", basic("ann", "sesame"));
        let answer = server.ask(format!("{method} {path} HTTP/1.1\r\n{lines}\r\n"));
        answer.header("Allow").map(str::to_owned)
    };
    assert_eq!(allow("open.test", "PUT", "/admin/x").unwrap(), "GET, HEAD, POST, OPTIONS");
    assert_eq!(allow("open.test", "PUT", "/two/x").unwrap(), "GET, HEAD, POST, OPTIONS");
    assert_eq!(allow("bare.test", "PUT", "/get/x").unwrap(), "GET, HEAD, OPTIONS");
    // What was sent with it is dropped, and the connection goes on.
    let mut wire = Wire::connect(&server);
    let chunked = "Transfer-Encoding: chunked\r\n";
    for credentials in [basic("ann", "wrong"), basic("bob", "pass:w\u{f6}rd")] {
        wire.send(request("PUT", "/admin/x", &format!("{credentials}{chunked}")));
        wire.send("5\r\nabcde\r\n0\r\n\r\n");
        assert!([401, 405].contains(&wire.response().status));
        assert_eq!(wire.get("/x.txt").status, 200);
    }
    assert!(!server.path("inbox/admin").exists());
}

const ELSEWHERE: &str = r#"
def app(environ, start):
    start("200 OK", [
        ("X-Accel-Redirect", environ["QUERY_STRING"]),
        ("Cache-Control", "public, max-age=600"),
        ("Set-Cookie", "a=1"),
    ])
    return [b""]
"#;

/// An application that sends a request to a guarded place speaks for those only who may go there, and
/// never louder than the guard.
#[test]
fn what_is_sent_on_to_a_guarded_place_is_private_too() {
    let server = TestServer::new(
        "[app.elsewhere]\nwsgi = 'elsewhere:app'\n[[host]]\nroot = 'root'\n\
         [[host.route]]\npath = '/to/'\napp = 'elsewhere'\n\
         [[host.route]]\npath = '/private/'\nfiles = 'root'\nauth = { users = 'users' }\n\
         [[host.route]]\npath = '/near/'\nfiles = 'root'\nallow = '127.0.0.2'\n",
        &[
            ("elsewhere.py", ELSEWHERE),
            ("root/index.html", "home"),
            ("users", &users(&[("ann", "sesame")])),
        ],
    );
    let ask = |lines: &str, to: &str| server.ask(request("GET", &format!("/to/?{to}"), lines));
    let (right, wrong) = (basic("ann", "sesame"), basic("ann", "x"));
    for round in 0..2 {
        for (lines, to, want) in [
            (&*right, "/private/index.html", 200),
            (&right, "/to/?/private/index.html", 200),
            ("", "/index.html", 200),
            ("", "/private/index.html", 401),
            (&wrong, "/private/index.html", 401),
            ("", "/to/?/private/index.html", 401),
            (&right, "/near/index.html", 403),
        ] {
            let answer = ask(lines, to);
            let head = &answer.head;
            assert_eq!(answer.status, want, "round {round} {to} {head}");
            let is_private = head.contains("Cache-Control: private\r\n");
            assert_eq!(is_private, want == 200 && to != "/index.html", "{to} {head}");
            for line in ["Cache-Control: public", "Set-Cookie"] {
                assert_eq!(head.contains(line), want == 200, "{to} {head}");
            }
        }
    }
}

#[test]
fn explain_agrees_with_what_is_served() {
    let server = start(CONFIG);
    let source = ConfigSource {
        origin: Origin::File(server.path("web.conf")),
        overrides: Overrides::default(),
        registry: Registry::default(),
    };
    let lines = [
        "",
        &basic("ann", "sesame"),
        &basic("ann", "x"),
        &basic("no", "x"),
        "Authorization: x\r\n",
    ];
    for line in lines {
        for (source_ip, method, path) in [
            ("127.0.0.1", "GET", "/"),
            ("127.0.0.1", "OPTIONS", "/"),
            ("127.0.0.1", "GET", "/open/a.txt"),
            ("127.0.0.1", "DELETE", "/inbox/none"),
            ("127.0.0.2", "GET", "/both/a.txt"),
            ("127.0.0.1", "GET", "/both/a.txt"),
        ] {
            let question = Question {
                method: method.into(),
                url: path.into(),
                headers: line.lines().map(str::to_owned).collect(),
                from: source_ip.parse().unwrap(),
            };
            let told: Value =
                serde_json::from_str(&source.explain(&question).unwrap().to_json()).unwrap();
            let mut wire = Wire::from(source_ip, server.address);
            wire.send(request(method, path, line));
            let served = wire.response_to(method);
            if let Some(status) = told["answer"]["status"].as_u64() {
                assert_eq!(
                    u64::from(served.status),
                    status,
                    "{source_ip} {method} {path} {line}: {told:#}"
                );
            } else {
                assert_ne!(served.status, 401, "{told:#}");
            }
            let is_guarded = path != "/open/a.txt";
            let notes = told["steps"].as_array().unwrap().iter();
            let note = notes.into_iter().find(|step| step["about"] == "access");
            assert_eq!(note.is_some(), is_guarded, "{told:#}");
        }
    }
}

/// A hidden name keeps it from clients, but not a link to it.
#[test]
fn a_list_of_users_is_not_served_by_a_link_either() {
    let list = users(&[("ann", "sesame")]);
    let start = Start::new(
        "[[host]]\nroot = 'root'\n[[host.route]]\npath = '/in/'\nfiles = 'root'\n\
         auth = { users = 'root/.users' }\n",
        &[("root/.users", &list), ("root/a.txt", "a")],
    );
    std::os::unix::fs::symlink(".users", start.path().join("root/b.txt")).unwrap();
    let server = start.run();
    assert_eq!(server.get("/a.txt").status, 200);
    assert_eq!(server.get("/.users").status, 404);
    let answer = server.get("/b.txt");
    assert!([403, 404].contains(&answer.status), "{}", answer.head);
}

#[test]
fn hashes_are_made_and_taken() {
    let (code, line, _) = run(Path::new("/"), &["hash-password", "ann"], "open sesame\n");
    assert_eq!(code, Some(0));
    assert!(line.starts_with("ann:$2b$12$") && line.ends_with('\n'), "{line}");
    let config = "[[host]]\nroot = 'root'\nauth = { users = 'users' }\n";
    let server = TestServer::new(config, &[("root/index.html", "home"), ("users", &line)]);
    assert_eq!(server.ask(get_as("/", "ann", "open sesame")).status, 200);
    assert_eq!(server.ask(get_as("/", "ann", "open sesame\n")).status, 401);
    for (name, input) in [
        ("a:b", "x"),
        ("", "x"),
        ("#a", "x"),
        (" a", "x"),
        ("a", ""),
        ("a", "a\tb"),
        ("a", &"x".repeat(73)),
    ] {
        let (code, out, error) = run(Path::new("/"), &["hash-password", name], input);
        assert_eq!((out.as_str(), code), ("", Some(1)), "{name:?} {input:?}");
        assert!(error.starts_with("error: "), "{error}");
    }
}

#[test]
fn a_folder_can_have_a_password() {
    let folder = folder(FILES);
    let place = folder.path().join("root");
    let server = Start::quick(folder, &place, &["--auth", "me:s:cret", "."]).run();
    assert_eq!(server.get("/").status, 401);
    assert_eq!(server.ask(get_as("/", "me", "s:cret")).body, b"home");
    assert_eq!(server.ask(get_as("/", "me", "s")).status, 401);
    assert!(!server.banner.contains("s:cret"));
    let (code, _, error) = run(Path::new("/"), &["--auth", "me", "."], "");
    assert_eq!(code, Some(2), "{error}");
}

/// Excerpts of the configuration go to the log: neither hashes nor what was meant to be one.
#[test]
fn what_is_wrong_with_users_is_said_without_their_hashes() {
    let hash = bcrypt::hash("sesame", 4).unwrap();
    for (auth, name, code) in [
        (format!("auth = {{ users = {{ ann = \"{hash}\" }} }}"), "plain-passwords", 0),
        (format!("auth = {{ users = {{ ann = \"{hash}\" }}, relm = 1 }}"), "unknown-key", 3),
        (format!("auth = {{ users = {{ ann = \"{hash}\", eve = 'h1dden' }} }}"), "bad-users", 3),
        ("auth = { users = { 'e:e' = 'h1dden' } }".into(), "bad-users", 3),
        (format!("auth.users.ann = '{hash}'\nauth.users.eve = 'h1dden'"), "bad-users", 3),
        ("auth = { users = { eve = [\n'h1dden'\n] } }".into(), "wrong-type", 3),
    ] {
        let config = format!("[server]\nlisten = 'http://*:0'\n[[host]]\nroot = '.'\n{auth}\n");
        let folder = folder(&[("web.conf", &config)]);
        let (got, out, error) = run(folder.path(), &["-t", "-c", "web.conf"], "");
        let said = out + &error;
        assert!(got == Some(code) && said.contains(name), "{said}");
        assert!(!said.contains("h1dden") && !said.contains(&hash[..12]), "{said}");
    }
}

#[test]
fn what_makes_a_password_worth_nothing_is_told() {
    let folder =
        folder(&[("root/users", &users(&[("a", "b")])), ("root/.users", &users(&[("a", "b")]))]);
    let check = |listen: &str, file: &str, more: &str| {
        let config = format!(
            "[server]\nlisten = '{listen}'\n[tls]\nlocal = true\n[[host]]\nnames = ['localhost']\n\
             root = 'root'\nauth = {{ users = '{file}' }}\n{more}"
        );
        std::fs::write(folder.path().join("web.conf"), config).unwrap();
        let (code, out, error) = run(folder.path(), &["-t", "-c", "web.conf"], "");
        (out + &error, code)
    };
    let (said, code) = check("http://127.0.0.1:0", "root/.users", "");
    assert!(code == Some(0) && !said.contains("plain-passwords"), "{said}");
    let (said, code) = check("http://*:0", "root/.users", "");
    assert!(code == Some(0) && said.contains("plain-passwords"), "{said}");
    let (said, code) = check("http://127.0.0.1:0", "root/users", "");
    assert!(code == Some(3) && said.contains("served-data"), "{said}");
    let (said, code) = check("http://127.0.0.1:0", "root/.users", "hidden = true\n");
    assert!(code == Some(3) && said.contains("served-data"), "{said}");
    // By whatever way it lies there.
    std::fs::create_dir_all(folder.path().join("root/.well-known")).unwrap();
    std::fs::copy(folder.path().join("root/users"), folder.path().join("root/.well-known/users"))
        .unwrap();
    for (link, to) in [("linked", "root"), ("pw", "root/users"), ("root/.pw", "users")] {
        std::os::unix::fs::symlink(to, folder.path().join(link)).unwrap();
    }
    for (file, root) in [
        ("./root/users", "root"),
        ("root/../root/users", "root"),
        ("linked/users", "root"),
        ("pw", "root"),
        ("root/.pw", "root"),
        ("root/users", "linked"),
        ("root/.well-known/users", "root"),
    ] {
        let route = format!("[[host.route]]\npath = '/x/'\nfiles = '{root}'\n");
        let (said, code) = check("http://127.0.0.1:0", file, &route);
        assert!(code == Some(3) && said.contains("served-data"), "{file} {root} {said}");
    }
    let (said, code) = check("http://127.0.0.1:0", "nowhere", "");
    assert!(code == Some(3) && said.contains("bad-users") && said.contains("nowhere"), "{said}");
}
