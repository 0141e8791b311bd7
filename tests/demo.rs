//! The demo site: with the framework's test client, and through the running server.

use crate::support::{TestServer, Wire, corpus, eventually};
use httpyserver::App;
use httpyserver::demo::{Registration, Settings, probe, site};
use httpyserver::testing::{TestAnswer, TestClient};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

const PASSWORD: &str = "correct horse battery";

/// A GIF of 2 × 1 pixels.
const GIF: &[u8] = b"GIF89a\x02\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x02\x00\x01\x00\x00\x02\x02D\x0a\x00;";

/// A site in a folder of its own, whose passwords cost little.
struct Site {
    folder: tempfile::TempDir,
    client: TestClient,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = app(folder.path()).test();
        Self { folder, client }
    }

    /// The same site in another browser.
    fn other(&self) -> TestClient {
        app(self.folder.path()).test()
    }
}

fn settings(folder: &Path) -> Settings {
    Settings { bcrypt_cost: 4, ..Settings::new(folder.join("data")) }
}

fn app(folder: &Path) -> App {
    site(settings(folder)).unwrap()
}

/// What follows `before` in a page, up to `end`.
fn after<'a>(page: &'a str, before: &str, end: char) -> &'a str {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}"));
    rest.split(end).next().unwrap()
}

fn token(client: &TestClient, path: &str) -> String {
    let page = client.get(path).send().text();
    after(&page, "name=\"csrf_token\" value=\"", '"').to_owned()
}

fn register(client: &TestClient, name: &str) -> TestAnswer {
    let token = token(client, "/register");
    let fields = [("csrf_token", token.as_str()), ("name", name), ("password", PASSWORD)];
    client.post("/register").form(&fields).send()
}

fn login(client: &TestClient, name: &str, password: &str) -> TestAnswer {
    let token = token(client, "/login");
    let fields = [("csrf_token", token.as_str()), ("name", name), ("password", password)];
    client.post("/login").form(&fields).send()
}

type File<'a> = (&'a str, &'a str, &'a str, &'a [u8]);

fn send_quote(
    client: &TestClient,
    path: &str,
    fields: &[(&str, &str)],
    files: &[File<'_>],
) -> TestAnswer {
    let token = token(client, "/quotes/new");
    let mut all = vec![("csrf_token", token.as_str())];
    all.extend_from_slice(fields);
    client.post(path).multipart(&all, files).send()
}

/// Adds a quote, and returns its path.
fn add(client: &TestClient, text: &str) -> String {
    let answer = send_quote(client, "/quotes/new", &[("text", text), ("film", "A Film")], &[]);
    assert_eq!(answer.status(), 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

fn location(answer: &TestAnswer) -> &str {
    answer.header("location").unwrap_or_default()
}

#[test]
fn a_stranger_reads() {
    let site = Site::new();
    let list = site.client.get("/").send();
    assert_eq!(list.status(), 200);
    assert_eq!(list.text().matches("<article").count(), 12);
    assert_eq!(list.header("set-cookie"), None, "reading begins no session");
    assert_eq!(site.client.get("/?page=2").send().text().matches("<article").count(), 2);
    let found = site.client.get("/?q=%20kansas%20toto").send().text();
    assert!(found.contains("One quote") && found.contains("The Wizard of Oz"), "{found}");
    assert_eq!(site.client.get("/quotes/1").send().status(), 200);
    for missing in
        ["/quotes/99", "/quotes/-1", "/quotes/x", "/quotes/99999999999999999999", "/nowhere"]
    {
        let answer = site.client.get(missing).send();
        assert_eq!(answer.status(), 404, "{missing}");
        assert!(answer.text().contains("There is nothing here"), "{missing}");
    }
}

#[test]
fn every_answer_is_guarded() {
    let site = Site::new();
    for path in [
        "/",
        "/login",
        "/live",
        "/api",
        "/api/quotes",
        "/nowhere",
        "/static/quotes.css",
        "/static/none",
        "/pictures/none.gif",
    ] {
        let answer = site.client.get(path).send();
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy:?}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        assert!(
            !answer.text().contains(" style=") && !answer.text().contains(" onclick="),
            "{path}"
        );
        assert_eq!(answer.all("content-security-policy").count(), 1, "{path}");
    }
}

#[test]
fn what_was_typed_is_shown_as_text() {
    let site = Site::new();
    let page = site.client.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").send().text();
    assert!(!page.contains("<script>"), "{page}");
    register(&site.client, "anna");
    let quote = add(&site.client, "<script>alert(1)</script>");
    for path in [quote.as_str(), "/", "/live", &format!("{quote}/edit"), &format!("{quote}/delete")]
    {
        let page = site.client.get(path).send().text();
        assert!(page.contains("alert(1)") && !page.contains("<script>alert"), "{path}");
    }
}

#[test]
fn registering_logging_out_and_in() {
    let site = Site::new();
    let client = &site.client;
    let wanted = client.get("/quotes/new").send();
    assert_eq!(location(&wanted), "/login?next=%2Fquotes%2Fnew");
    assert_eq!(location(&register(client, "Anna")), "/");
    assert!(client.get("/").send().text().contains("Welcome, Anna."));
    assert!(!client.get("/").send().text().contains("Welcome"), "said once");
    let cookie = client.cookie("quotes").unwrap();

    let taken = site.other();
    let answer = register(&taken, "aNNA");
    assert_eq!(answer.status(), 422);
    assert!(answer.text().contains("Somebody has this name already."));

    let csrf = token(client, "/quotes/new");
    assert_eq!(location(&client.post("/logout").form(&[("csrf_token", &csrf)]).send()), "/");
    assert_eq!(client.get("/quotes/new").send().status(), 303);
    // A copy of the cookie is worth nothing: the login itself has ended.
    client.set_cookie("quotes", Some(&cookie));
    assert_eq!(client.get("/quotes/new").send().status(), 303);

    for (name, password) in
        [("anna", "correct horse"), ("nobody", PASSWORD), ("anna", ""), ("", "")]
    {
        let answer = login(&site.other(), name, password);
        assert_eq!(answer.status(), 403, "{name} {password}");
        assert!(answer.text().contains("The name or the password is wrong."));
        assert!(!answer.text().contains(PASSWORD), "it is not shown again");
    }
    assert_eq!(location(&login(client, "ANNA", PASSWORD)), "/");
    assert_eq!(client.get("/quotes/new").send().status(), 200);
}

#[test]
fn a_login_leads_back_but_nowhere_else() {
    let site = Site::new();
    register(&site.client, "anna");
    for (next, led) in [
        ("/quotes/new", "/quotes/new"),
        ("/?q=a&page=2", "/?q=a&page=2"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
    ] {
        let client = site.other();
        let csrf = token(&client, "/login");
        let fields = [
            ("csrf_token", csrf.as_str()),
            ("name", "anna"),
            ("password", PASSWORD),
            ("next", next),
        ];
        assert_eq!(location(&client.post("/login").form(&fields).send()), led, "{next}");
    }
}

#[test]
fn a_login_is_a_session_of_its_own() {
    let site = Site::new();
    register(&site.client, "anna");
    // Somebody has put their own cookie and token into a browser, and waits for its owner to log in.
    let planted = site.other();
    let csrf = token(&planted, "/login");
    let before = planted.cookie("quotes").unwrap();
    let victim = site.other();
    victim.set_cookie("quotes", Some(&before));
    let fields = [("csrf_token", csrf.as_str()), ("name", "anna"), ("password", PASSWORD)];
    assert_eq!(victim.post("/login").form(&fields).send().status(), 303);
    assert_ne!(victim.cookie("quotes").unwrap(), before);
    assert_eq!(victim.get("/quotes/new").send().status(), 200);
    // What was planted is no login, and its token no token any more.
    assert_eq!(planted.get("/quotes/new").send().status(), 303);
    let add = [("csrf_token", csrf.as_str()), ("text", "t"), ("film", "f")];
    assert_eq!(victim.post("/quotes/new").form(&add).send().status(), 403);
    // A link or a picture of another site ends no login.
    assert_eq!(victim.get("/logout").send().status(), 405);
    assert_eq!(victim.get("/quotes/new").send().status(), 200);
    // Logging in again ends the login before, also for a copy of its cookie.
    let old = victim.cookie("quotes").unwrap();
    login(&victim, "anna", PASSWORD);
    let copy = site.other();
    copy.set_cookie("quotes", Some(&old));
    assert_eq!(copy.get("/quotes/new").send().status(), 303);
    assert_eq!(victim.get("/quotes/new").send().status(), 200);
}

#[test]
fn guessing_is_slowed_down() {
    let site = Site::new();
    register(&site.client, "anna");
    let guesser = site.other();
    let statuses: Vec<u16> =
        (0..12).map(|n| login(&guesser, "anna", &format!("guess {n}")).status().as_u16()).collect();
    assert_eq!(statuses, [[403; 10].as_slice(), &[429; 2]].concat());
    let refused = login(&guesser, "anna", PASSWORD);
    assert_eq!(refused.status(), 429, "even with the right one");
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 300);
}

#[test]
fn a_login_of_ones_own_buys_no_more_guesses() {
    let site = Site::new();
    register(&site.client, "anna");
    register(&site.client, "eve");
    let guesser = site.other();
    for n in 0..9 {
        assert_eq!(login(&guesser, &format!("somebody{n}"), "a guess").status(), 403, "{n}");
    }
    for _ in 0..3 {
        assert_eq!(login(&guesser, "eve", PASSWORD).status(), 303, "what works costs nothing");
    }
    assert_eq!(login(&guesser, "somebody9", "a guess").status(), 403);
    assert_eq!(login(&guesser, "anna", PASSWORD).status(), 429);
}

#[test]
fn registration_is_for_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    for (registration, passed_on, may) in [
        (Registration::Loopback, false, true),
        (Registration::Loopback, true, false),
        (Registration::Open, true, true),
        (Registration::Closed, false, false),
    ] {
        let settings = Settings { registration, ..settings(folder.path()) };
        let client = site(settings).unwrap().test();
        let ask = |path| {
            let request = client.get(path);
            if passed_on { request.header("X-Forwarded-For", "192.0.2.7") } else { request }.send()
        };
        assert_eq!(ask("/register").status(), if may { 200 } else { 403 }, "{registration:?}");
        assert_eq!(ask("/login").text().contains("New here?"), may, "{registration:?}");
        let csrf = token(&client, "/login");
        let name = format!("user-{registration:?}-{passed_on}");
        let fields = [("csrf_token", csrf.as_str()), ("name", &name), ("password", PASSWORD)];
        let request = client.post("/register").form(&fields);
        let request = if passed_on { request.header("Via", "1.1 proxy") } else { request };
        assert_eq!(request.send().status(), if may { 303 } else { 403 }, "{registration:?}");
    }
}

#[test]
fn a_form_without_its_token_changes_nothing() {
    let site = Site::new();
    register(&site.client, "anna");
    let quote = add(&site.client, "stays");
    let others = site.other();
    let foreign = token(&others, "/login");
    for path in [
        "/quotes/new",
        "/logout",
        "/account/token",
        &format!("{quote}/edit"),
        &format!("{quote}/delete"),
    ] {
        for token in ["", "x", &foreign] {
            let fields = [("csrf_token", token), ("text", "t"), ("film", "f")];
            assert_eq!(
                site.client.post(path).form(&fields).send().status(),
                403,
                "{path} {token:?}"
            );
            assert_eq!(
                site.client.post(path).multipart(&fields, &[]).send().status(),
                403,
                "{path}"
            );
        }
        assert_eq!(site.client.post(path).send().status(), 403, "{path}");
    }
    assert_eq!(site.client.get(&quote).send().status(), 200);
    assert_eq!(site.client.get("/quotes/new").send().status(), 200, "still logged in");
}

#[test]
fn quotes_are_added_changed_and_deleted() {
    let site = Site::new();
    let client = &site.client;
    register(client, "anna");
    let mistakes =
        send_quote(client, "/quotes/new", &[("text", " "), ("film", "Kept"), ("year", "1")], &[]);
    assert_eq!(mistakes.status(), 422);
    assert!(
        mistakes.text().contains("Write what is said.")
            && mistakes.text().contains("value=\"Kept\"")
    );

    let quote = add(client, "A walrus.");
    assert!(client.get(&quote).send().text().contains("Added. Thank you!"));
    assert!(client.get("/?q=walrus").send().text().contains("One quote"));
    let edit = format!("{quote}/edit");
    assert!(client.get(&edit).send().text().contains("A walrus."));
    let fields = [("text", "A narwhal."), ("film", "B"), ("year", "1999"), ("character", "C")];
    assert_eq!(location(&send_quote(client, &edit, &fields, &[])), quote);
    let page = client.get(&quote).send().text();
    assert!(
        page.contains("A narwhal.") && page.contains("1999") && !page.contains("walrus."),
        "{page}"
    );

    let ben = site.other();
    register(&ben, "ben");
    assert_eq!(ben.get(&edit).send().status(), 403);
    assert_eq!(send_quote(&ben, &edit, &fields, &[]).status(), 403);
    assert_eq!(send_quote(&ben, &format!("{quote}/delete"), &[], &[]).status(), 403);
    assert_eq!(send_quote(&ben, "/quotes/1/delete", &[], &[]).status(), 403, "a first one");
    assert!(!ben.get(&quote).send().text().contains("/edit"));

    assert_eq!(location(&send_quote(client, &format!("{quote}/delete"), &[], &[])), "/");
    assert_eq!(client.get(&quote).send().status(), 404);
}

#[test]
fn pictures_are_taken_by_what_they_are() {
    let site = Site::new();
    let client = &site.client;
    register(client, "anna");
    let fields = [("text", "t"), ("film", "f"), ("picture_alt", "two dots")];
    let kept = || std::fs::read_dir(site.folder.path().join("data/pictures")).unwrap().count();

    let path = location(&send_quote(
        client,
        "/quotes/new",
        &fields,
        &[("picture", "x.html", "text/html", GIF)],
    ))
    .to_owned();
    let page = client.get(&path).send().text();
    let address = after(&page, "class=\"picture\" src=\"", '"').to_owned();
    assert!(page.contains("alt=\"two dots\" width=\"2\" height=\"1\""), "{page}");
    let picture = client.get(&address).send();
    assert_eq!((picture.bytes(), picture.header("content-type")), (GIF, Some("image/gif")));
    assert_eq!(picture.header("x-content-type-options"), Some("nosniff"));
    assert!(picture.header("cache-control").unwrap().contains("immutable"));
    let tag = picture.header("etag").unwrap().to_owned();
    assert_eq!(client.get(&address).header("If-None-Match", &tag).send().status(), 304);

    for (what, bytes) in
        [("svg", &b"<svg onload=alert(1)>"[..]), ("html", b"<!doctype html>"), ("gif", b"GIF89a")]
    {
        let file = ("picture", "a.png", "image/png", bytes);
        let answer = send_quote(client, "/quotes/new", &fields, &[file]);
        assert_eq!(answer.status(), 422, "{what}");
        assert!(answer.text().contains("This is not a PNG, JPEG, WebP or GIF picture."), "{what}");
    }
    let file = ("picture", "a.gif", "image/gif", GIF);
    let undescribed = send_quote(client, "/quotes/new", &fields[..2], &[file]);
    assert!(undescribed.text().contains("Describe the picture"));
    let large = [GIF, &vec![0; 9 << 20]].concat();
    let answer =
        send_quote(client, "/quotes/new", &fields, &[("picture", "a.gif", "image/gif", &large)]);
    assert!(answer.status() == 422 && answer.text().contains("too large"), "{}", answer.status());
    let huge = [GIF, &vec![0; 11 << 20]].concat();
    let answer =
        send_quote(client, "/quotes/new", &fields, &[("picture", "a.gif", "image/gif", &huge)]);
    assert_eq!(answer.status(), 413);
    assert_eq!(kept(), 1, "what was refused is not kept");

    let edit = format!("{path}/edit");
    send_quote(client, &edit, &[("text", "t"), ("film", "f"), ("picture_alt", "other words")], &[]);
    assert!(client.get(&path).send().text().contains("alt=\"other words\""));
    send_quote(client, &edit, &fields, &[file]);
    assert_eq!((client.get(&address).send().status().as_u16(), kept()), (404, 1), "replaced");
    send_quote(client, &edit, &[("text", "t"), ("film", "f"), ("remove_picture", "yes")], &[]);
    assert!(kept() == 0 && !client.get(&path).send().text().contains("<img class"));
    send_quote(client, &edit, &fields, &[file]);
    send_quote(client, &format!("{path}/delete"), &[], &[]);
    assert_eq!(kept(), 0, "it goes with its quote");

    for name in ["..%2fquotes.db", "session.key", "0123456789abcdef0123456789abcdef.gif", ".gif"] {
        let answer = client.get(&format!("/pictures/{name}")).send();
        assert!(answer.status().is_client_error(), "{name}");
    }
}

#[test]
fn the_same_in_json() {
    let site = Site::new();
    let client = &site.client;
    register(client, "anna");
    let csrf = token(client, "/account");
    let page = client.post("/account/token").form(&[("csrf_token", &csrf)]).send();
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let token = after(&page.text(), "id=\"token\">", '<').to_owned();
    let bearer = format!("Bearer {token}");
    let program = site.other();
    let ask = |method: &str, path: &str, body: &Value| {
        program.request(method, path).header("Authorization", &bearer).json(body).send()
    };

    let list: Value = program.get("/api/quotes?q=kansas").send().json().unwrap();
    assert_eq!((&list["total"], &list["quotes"][0]["year"]), (&json!(1), &json!(1939)));

    let added = ask("POST", "/api/quotes", &json!({"text": "Hello.", "film": "F", "year": 1987}));
    assert_eq!(added.status(), 201, "{}", added.text());
    let path = location(&added).to_owned();
    let quote: Value = added.json().unwrap();
    assert_eq!((&quote["url"], &quote["added_by"]), (&json!(path), &json!("anna")));
    assert_eq!(program.get(&path).send().json::<Value>().unwrap(), quote);

    let changed = ask("PUT", &path, &json!({"text": "Bye.", "film": "F"}));
    let quote: Value = changed.json().unwrap();
    assert_eq!((&quote["text"], &quote["year"]), (&json!("Bye."), &json!(null)));

    let address = format!("{path}/picture?alt=a%20picture");
    let picture = program.put(&address).header("Authorization", &bearer).body(GIF).send();
    let quote: Value = picture.json().unwrap();
    assert_eq!((picture.status().as_u16(), &quote["picture"]["alt"]), (200, &json!("a picture")));
    let file = program.get(quote["picture"]["url"].as_str().unwrap()).send();
    assert_eq!(file.bytes(), GIF);
    assert_eq!(
        ask("PUT", &path, &json!({"text": "x", "film": "F"})).status(),
        422,
        "no description"
    );
    assert_eq!(ask("DELETE", &format!("{path}/picture"), &Value::Null).status(), 204);
    assert_eq!(ask("DELETE", &format!("{path}/picture"), &Value::Null).status(), 404);

    assert_eq!(ask("DELETE", &path, &Value::Null).status(), 204);
    assert_eq!(ask("DELETE", &path, &Value::Null).status(), 404);
    assert_eq!(ask("DELETE", "/api/quotes/1", &Value::Null).status(), 403, "a first one");

    let csrf = self::token(client, "/account");
    client.post("/account/token").form(&[("csrf_token", &csrf), ("revoke", "yes")]).send();
    assert_eq!(ask("POST", "/api/quotes", &json!({"text": "t", "film": "f"})).status(), 401);
}

#[test]
fn mistakes_in_json() {
    let site = Site::new();
    let client = &site.client;
    let good = json!({"text": "t", "film": "f"});
    let stranger = client.post("/api/quotes").json(&good).send();
    assert_eq!(stranger.status(), 401);
    assert_eq!(stranger.header("www-authenticate"), Some("Bearer realm=\"quotes\""));
    let forged = client.post("/api/quotes").header("Authorization", "Bearer mq_0").json(&good);
    assert_eq!(forged.send().status(), 401);

    register(client, "anna");
    assert_eq!(client.post("/api/quotes").json(&good).send().status(), 403, "a session, no token");
    let csrf = token(client, "/account");
    let post = |body: &[u8], kind: &str| {
        let request = client.post("/api/quotes").header("X-CSRF-Token", &csrf);
        request.header("Content-Type", kind).body(body).send()
    };
    for (body, kind, status) in [
        (&b"{\"text\": \"t\", \"film\": \"f\"}"[..], "application/json", 201),
        (b"{\"text\": \"t\", \"film\": \"\"}", "application/json", 422),
        (b"{\"text\": \"t\", \"movie\": \"\"}", "application/json", 400),
        (b"{\"text\": ", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"text=t&film=f", "application/x-www-form-urlencoded", 415),
        (&[b'['; 70_000], "application/json", 413),
        (&[b'['; 60_000], "application/json", 400),
    ] {
        let answer = post(body, kind);
        assert_eq!(answer.status(), status, "{} {}", body.escape_ascii(), answer.text());
        if status != 201 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{status}");
            assert_eq!(answer.json::<Value>().unwrap()["status"], status);
        }
    }
    let answer: Value = post(b"{\"year\": 1}", "application/json").json().unwrap();
    let fields: Vec<_> =
        answer["problems"].as_array().unwrap().iter().map(|p| &p["field"]).collect();
    assert_eq!(fields, ["text", "film", "year"]);
    assert_eq!(client.request("PATCH", "/api/quotes").send().status(), 405);
    let missing = client.get("/api/nothing").send();
    assert_eq!(
        (missing.status().as_u16(), missing.header("content-type")),
        (404, Some("application/problem+json"))
    );
}

#[test]
fn it_may_be_mounted_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let client = app(folder.path()).test().mounted_at("/films/");
    let page = client.get("/").send().text();
    for (before, address) in page.match_indices("href=\"").chain(page.match_indices("action=\"")) {
        let rest = &page[before + address.len()..];
        assert!(rest.starts_with("/films/") || rest.starts_with('#'), "{}", &rest[..40]);
    }
    assert_eq!(client.get("/static/quotes.css").send().status(), 200);
    assert_eq!(location(&register(&client, "anna")), "/films/");
    let quote = add(&client, "Somewhere else.");
    assert!(quote.starts_with("/films/quotes/"), "{quote}");
    let list: Value = client.get("/api/quotes").send().json().unwrap();
    assert_eq!(list["quotes"][0]["url"], quote.replace("/quotes/", "/api/quotes/"));
}

#[test]
fn a_disk_that_fails_is_no_page_of_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "a file where a folder should be").unwrap();
    let client = app(folder.path()).test();
    let answer = client.get("/").send();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().contains("Something broke") && !answer.text().contains("data"));
    std::fs::remove_file(folder.path().join("data")).unwrap();
    assert_eq!(client.get("/").send().status(), 200, "it is looked for again");
}

#[test]
fn who_writes_while_somebody_else_does_for_long_may_try_again() {
    let site = Site::new();
    register(&site.client, "anna");
    let csrf = token(&site.client, "/quotes/new");
    let other = rusqlite::Connection::open(site.folder.path().join("data/quotes.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let fields = [("csrf_token", csrf.as_str()), ("text", "It waits."), ("film", "F")];
    let answer = site.client.post("/quotes/new").form(&fields).send();
    assert_eq!((answer.status().as_u16(), answer.header("retry-after")), (503, Some("5")));
    assert_eq!(site.client.get("/").send().status(), 200, "readers do not wait");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(site.client.post("/quotes/new").form(&fields).send().status(), 303);
}

#[test]
fn damaged_pictures_are_refused_or_have_a_size() {
    let seeds = corpus("picture");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    };
    for (name, bytes) in &seeds {
        assert_eq!(probe(bytes).map(|found| (found.width, found.height)), Ok((258, 3)), "{name}");
    }
    for _ in 0..20_000 {
        let mut bytes = seeds[random(seeds.len())].1.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len() + 1);
            match random(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, [0, 0xff, 0x7f, 0xc0][random(4)]),
                2 if at < bytes.len() => bytes[at] ^= 1 << random(8),
                _ => bytes.extend_from_slice(&seeds[random(seeds.len())].1),
            }
        }
        if let Ok(found) = probe(&bytes) {
            let pixels = u64::from(found.width) * u64::from(found.height);
            assert!((1..=40_000_000).contains(&pixels), "{}", bytes.escape_ascii());
        }
    }
}

// ---- through the running server -----------------------------------------------------------------

const CONF: &str = r#"
[[host]]
names = ["demo.localhost"]
  [[host.route]]
  path    = "/"
  handler = "moviequotes"
  options = { data = "data", bcrypt_cost = 10 }
"#;

fn demo() -> TestServer {
    TestServer::new(CONF, &[])
}

/// A browser of the simplest kind: one request, a cookie.
fn exchange(server: &TestServer, head: &str, cookie: &str, body: &str) -> (u16, String, String) {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let length = if body.is_empty() {
        String::new()
    } else {
        format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    let request = format!(
        "{head} HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\n{cookie}{length}\r\n{body}"
    );
    let answer = server.ask(request);
    let cookie = answer.header("set-cookie").map(|line| line.split(';').next().unwrap().to_owned());
    (answer.status, cookie.unwrap_or_default(), answer.text().to_owned())
}

/// Registers a user; returns the cookie of the session, and its token.
fn enter(server: &TestServer) -> (String, String) {
    let (_, cookie, page) = exchange(server, "GET /register", "", "");
    let csrf = after(&page, "name=\"csrf_token\" value=\"", '"');
    let form = format!("csrf_token={csrf}&name=anna&password=correct+horse+battery");
    let (status, cookie, _) = exchange(server, "POST /register", &cookie, &form);
    assert_eq!(status, 303);
    let (_, again, page) = exchange(server, "GET /account", &cookie, "");
    let cookie = if again.is_empty() { cookie } else { again };
    (cookie, after(&page, "name=\"csrf_token\" value=\"", '"').to_owned())
}

fn watch(server: &TestServer, last: &str) -> BufReader<TcpStream> {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let request = format!("GET /live/events HTTP/1.1\r\nHost: demo.localhost\r\n{last}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
    reader
}

/// Reads until `text` has come.
fn hear(reader: &mut BufReader<TcpStream>, text: &str) -> String {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(text) {
        let mut some = [0; 4096];
        let n = reader.read(&mut some).unwrap_or_else(|e| panic!("{text} did not come: {e}"));
        assert!(n > 0, "the stream ended before {text}");
        heard.extend_from_slice(&some[..n]);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn watchers_hear_of_quotes_also_after_a_reload() {
    let server = demo();
    let (cookie, csrf) = enter(&server);
    let mut watcher = watch(&server, "");
    let add = |text: &str| {
        let form = format!("csrf_token={csrf}&text={text}&film=F");
        let (status, ..) = exchange(&server, "POST /quotes/new", &cookie, &form);
        assert_eq!(status, 303);
    };
    add("first-line");
    let heard = hear(&mut watcher, "first-line");
    assert!(heard.contains("event: added"), "{heard}");

    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reload");
    let mut fresh = watch(&server, "");
    add("second-line");
    hear(&mut fresh, "second-line");
    hear(&mut watcher, "second-line");

    // Other settings of the site make no other site.
    server.configure(&CONF.replace("bcrypt_cost = 10", "bcrypt_cost = 11"));
    server.signal(Signal::HUP);
    let reloads = || server.read("stderr.txt").matches("reloaded").count();
    eventually(|| (reloads() == 2).then_some(())).expect("a second reload");
    add("third-line");
    hear(&mut watcher, "third-line");
}

#[test]
fn a_restart_logs_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let conf = CONF.replace("\"data\"", &format!("{:?}", folder.path().join("data")));
    let first = TestServer::new(&conf, &[]);
    let (cookie, _) = enter(&first);
    drop(first);
    let second = TestServer::new(&conf, &[]);
    let (status, _, page) = exchange(&second, "GET /account", &cookie, "");
    assert!(status == 200 && page.contains("<h1>anna</h1>"), "{status} {page}");
}

#[test]
fn checking_a_configuration_writes_nothing() {
    let folder = crate::support::folder(&[("web.conf", CONF)]);
    let binary = env!("CARGO_BIN_EXE_httpyserver");
    let check = |conf: &str| {
        std::fs::write(folder.path().join("web.conf"), conf).unwrap();
        std::process::Command::new(binary)
            .arg("-t")
            .arg("-c")
            .arg(folder.path().join("web.conf"))
            .output()
            .unwrap()
    };
    assert!(check(CONF).status.success());
    assert!(!folder.path().join("data").exists());
    for (wrong, told) in [
        (CONF.replace("= 10", "= 4"), "from 10 to 15"),
        (CONF.replace("bcrypt_cost = 10", "registration = \"all\""), "loopback"),
        (CONF.replace("bcrypt_cost", "bcrypt_costs"), "bcrypt_costs"),
        (CONF.replace("\"data\"", "7"), "data"),
        (format!("{CONF}\n[[host]]\nnames = [\"a.localhost\"]\nroot = \".\"\n"), "served-data"),
    ] {
        let output = check(&wrong);
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{wrong}: {said}");
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn files_are_quick_while_passwords_are_checked() {
    let server = TestServer::new(
        &format!("{CONF}\n[[host]]\nnames = [\"files.localhost\"]\nroot = \"root\"\n"),
        &[("root/a.txt", "quick")],
    );
    let (_, cookie, page) = exchange(&server, "GET /login", "", "");
    let csrf = after(&page, "name=\"csrf_token\" value=\"", '"').to_owned();
    let request = "GET /a.txt HTTP/1.1\r\nHost: files.localhost\r\n\r\n";
    std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..8)
            .map(|n| {
                let form = format!("csrf_token={csrf}&name=nobody{n}&password=guess+number+{n}");
                let (server, cookie) = (&server, &cookie);
                scope.spawn(move || exchange(server, "POST /login", cookie, &form).0)
            })
            .collect();
        let mut files = Wire::connect(&server);
        let mut answers = 0;
        while !guesses.iter().all(|guess| guess.is_finished()) {
            assert_eq!(files.send(request).response().text(), "quick");
            answers += 1;
        }
        // There would be one for each guess if they were checked by the loop.
        assert!(answers > 16, "{answers} answers meanwhile");
        for guess in guesses {
            assert!([403, 429].contains(&guess.join().unwrap()));
        }
    });
}
