//! The handler as a whole, on folders of its own.

use super::testing::{age, body_bytes, cx, entry_of, head_text, request};
use super::*;
use crate::conf::{At, Files, Overwrite, Upload};
use crate::event::{Buffers, ConnId, Cx, TaskId};
use crate::net::{RecvBuffer, Script, Transport};
use crate::serve::testing::Recorded;
use crate::serve::{Alarm, Answer, AnswerState, BodyIn, ExchangeIo, Response, Step};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

struct Site {
    dir: tempfile::TempDir,
    handler: FileHandler,
    cx: Cx,
}

impl Site {
    fn new(change: impl FnOnce(&mut Files)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::of(At::implied(PathBuf::new()));
        change(&mut files);
        let handler = FileHandler::new(Setup {
            root: Rc::new(NamedRoot::new(dir.path())),
            files,
            index: vec!["index.html".into(), "second.html".into()],
            welcome: true,
            yields: false,
            media: Rc::new(MediaTable::new(&conf::Media::default())),
            scripts: None,
            compress: conf::Compress::default(),
            cache: CacheLimits::default(),
        });
        Self { dir, handler, cx: cx() }
    }

    fn uploads(change: impl FnOnce(&mut Upload)) -> Self {
        let mut upload = Upload::default();
        upload.methods = upload.methods.with(Method::Delete);
        upload.max = 200_000;
        change(&mut upload);
        Self::new(|files| files.upload = Some(upload))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file as if it had been there for long.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
        age(&self.path(name));
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn pass(&mut self, millis: u64) {
        let now = self.cx.now() + Duration::from_millis(millis);
        self.cx.clock.set(now, SystemTime::now());
    }

    /// Status and body, or the error's status.
    fn get(&mut self, target: &str) -> (u16, String) {
        match self.run(&request("GET", target, &[("Accept", "text/html")]), b"", 1) {
            Ok(r) => (r.status.code(), String::from_utf8_lossy(&body_bytes(&r)).into_owned()),
            Err(error) => (error.status.code(), String::new()),
        }
    }

    /// Status and headers of a request with a body, which arrives in pieces of `step` bytes.
    fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        step: usize,
    ) -> (u16, String) {
        let length = body.len().to_string();
        let chunked = fields.iter().any(|(name, _)| *name == "Transfer-Encoding");
        let mut fields = fields.to_vec();
        if !chunked && method != "DELETE" {
            fields.push(("Content-Length", &length));
        }
        let request = request(method, target, &fields);
        match self.run(&request, body, step) {
            Ok(response) => (response.status.code(), head_text(&response)),
            Err(error) => (error.status.code(), String::new()),
        }
    }

    fn plan(&mut self, request: &Request) -> Result<Plan, HttpError> {
        self.handler.plan(request, &mut Look::new(&mut self.cx))
    }

    fn run(&mut self, request: &Request, body: &[u8], step: usize) -> Result<Response, HttpError> {
        let mut plan = self.plan(request)?;
        let mut exchange = loop {
            plan = match plan {
                Plan::Respond(response) => return Ok(response),
                Plan::Exchange { exchange, .. } => break exchange,
                Plan::Call { call, .. } => call(request, &mut self.cx)?,
                Plan::Redirect(_) => panic!(),
            };
        };
        let limit = self.handler.body_limit().unwrap_or_default();
        let mut state = request.body(limit);
        let (mut buffer, mut pool) = (RecvBuffer::default(), Buffers::default());
        let mut transport = Transport::Scripted(Script::incoming(body, step).into());
        let (mut answer, mut sink) = (AnswerState::default(), Recorded::default());
        loop {
            let mut alarm = Alarm::default();
            let task = TaskId { conn: ConnId { index: 0, generation: 0 }, stream: 0 };
            let body = BodyIn::new(&mut state, &mut buffer);
            let to = Answer::new(&mut answer, &mut sink, request);
            let mut io = ExchangeIo::new(task, request, body, to, &mut alarm);
            let step = exchange.advance(&mut io, &mut self.cx)?;
            let helped = !state.take_wanted();
            match step {
                Step::Respond(response) => return Ok(response),
                Step::Again => {}
                Step::Wait(_) if helped => std::thread::yield_now(),
                Step::Wait(_) => match buffer.fill(&mut transport, &mut pool) {
                    Ok(filled) if filled.bytes > 0 => {}
                    _ => return Err(HttpError::new(Status::REQUEST_TIMEOUT, "the client left")),
                },
                Step::Done | Step::Redirect(_) | Step::Admitted(_) => panic!(),
            }
        }
    }
}

#[test]
fn what_a_path_gets() {
    let mut site = Site::new(|_| {});
    assert!(site.get("/").1.contains("It works"));
    site.write("index.html", "home");
    fs::create_dir(site.path("sub")).unwrap();
    site.write("sub/second.html", "second");
    for (target, status, body) in [
        ("/", 200, "home"),
        ("/sub", 301, ""),
        ("/sub/", 200, "second"),
        ("/none", 404, ""),
        ("/.env", 404, ""),
        ("/sub/second.html/", 404, ""),
        ("/a%20b?x", 404, ""),
    ] {
        assert_eq!(site.get(target), (status, body.to_string()), "{target}");
        assert_eq!(site.get(target), (status, body.to_string()), "{target} again");
    }
}

#[test]
fn a_folder_gets_its_slash_and_no_other_host() {
    let mut site = Site::new(|_| {});
    fs::create_dir_all(site.path("a b/c'\"")).unwrap();
    fs::create_dir(site.path("a;b=1,(2)!$&'*+:@")).unwrap();
    for (target, want) in [
        ("/a%20b", "Location: /a%20b/\r\n"),
        ("//a%20b?x=1&y=%22", "Location: /a%20b/?x=1&y=%22\r\n"),
        ("/a%20b/c'%22", "Location: /a%20b/c'%22/\r\n"),
        ("/a%20b/c%27%22?d='[;", "Location: /a%20b/c%27%22/?d='[;\r\n"),
        ("/a;b=1,(2)!$&'*+:@", "Location: /a;b=1,(2)!$&'*+:@/\r\n"),
        ("/a%3bb%3D1,(2)!$&'*+:%40", "Location: /a%3bb%3D1,(2)!$&'*+:%40/\r\n"),
        ("//evil.test/..//./a%20b", "Location: /a%20b/\r\n"),
    ] {
        let outcome = site.plan(&request("GET", target, &[]));
        let Ok(Plan::Respond(response)) = outcome else { panic!("{target}") };
        assert_eq!(head_text(&response), want);
    }
}

#[test]
fn other_methods_are_told_which_there_are() {
    for (mut site, allow) in [
        (Site::new(|_| {}), "GET, HEAD, OPTIONS"),
        (Site::uploads(|_| {}), "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    ] {
        let Err(error) = site.plan(&request("PATCH", "/", &[])) else { panic!() };
        assert_eq!(error.status, Status::METHOD_NOT_ALLOWED);
        assert_eq!(error.headers.unwrap().get("Allow"), Some(allow.as_bytes()));
    }
}

#[test]
fn files_that_change_are_served_as_they_are_after_a_second() {
    let mut site = Site::new(|_| {});
    site.write("a.txt", "one");
    assert_eq!(site.get("/a.txt").1, "one");
    site.write("new", "two");
    fs::rename(site.path("new"), site.path("a.txt")).unwrap();
    assert_eq!(site.get("/a.txt").1, "one", "believed for a second");
    site.pass(1000);
    assert_eq!(site.get("/a.txt").1, "two", "replaced");
    site.write("a.txt", "t");
    site.pass(1000);
    assert_eq!(site.get("/a.txt").1, "t", "truncated in place");
    site.write("a.txt", "longer".repeat(20_000));
    site.pass(1000);
    assert_eq!(site.get("/a.txt").1.len(), 120_000, "grown out of memory");
    fs::remove_file(site.path("a.txt")).unwrap();
    site.pass(1000);
    assert_eq!(site.get("/a.txt").0, 404, "gone");
    site.write("a.txt", "back");
    assert_eq!(site.get("/a.txt").0, 404, "believed for a second too");
    site.pass(1000);
    assert_eq!(site.get("/a.txt").1, "back");
    fs::remove_file(site.path("a.txt")).unwrap();
    fs::create_dir(site.path("a.txt")).unwrap();
    site.pass(1000);
    assert_eq!(site.get("/a.txt").0, 301, "a folder now");
}

#[test]
fn a_file_changed_within_the_step_of_its_clock_is_read_again() {
    let mut site = Site::new(|_| {});
    fs::write(site.path("a.txt"), "one").unwrap();
    let modified = fs::metadata(site.path("a.txt")).unwrap().modified().unwrap();
    assert_eq!(site.get("/a.txt").1, "one");
    fs::write(site.path("a.txt"), "two").unwrap();
    File::options().write(true).open(site.path("a.txt")).unwrap().set_modified(modified).unwrap();
    site.pass(1000);
    assert_eq!(site.get("/a.txt").1, "two");
}

/// The tag and date of `/a.txt`, once the second is over in which it is believed.
fn validators(site: &mut Site) -> (String, Option<String>) {
    site.pass(1000);
    let Ok(Plan::Respond(response)) = site.plan(&request("GET", "/a.txt", &[])) else { panic!() };
    let head = head_text(&response);
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(": ").to_owned())
    };
    (value("ETag").unwrap(), value("Last-Modified"))
}

/// Whether a condition lets `/a.txt` be sent again.
fn is_sent_again(site: &mut Site, name: &str, value: &str) -> bool {
    let get = request("GET", "/a.txt", &[(name, value)]);
    let Ok(Plan::Respond(response)) = site.plan(&get) else { panic!() };
    response.status == Status::OK
}

/// Writes in place and sets the date.
fn put(site: &Site, content: &str, modified: i64) {
    fs::write(site.path("a.txt"), content).unwrap();
    let age = Duration::from_secs(modified.unsigned_abs());
    let time = std::time::UNIX_EPOCH;
    let time = if modified < 0 { time - age } else { time + age };
    File::options().write(true).open(site.path("a.txt")).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_that_is_replaced_has_no_validator_of_the_one_before() {
    // 70,000 bytes are not kept in memory.
    for size in [3, 70_000] {
        for modified in [-5, 0, 1, 315_532_801, 1_500_000_000] {
            let mut site = Site::new(|_| {});
            put(&site, &"a".repeat(size), modified);
            let (tag, date) = validators(&mut site);
            assert_eq!(date.is_some(), modified == 1_500_000_000, "{modified}");
            assert!(!is_sent_again(&mut site, "If-None-Match", &tag));
            let since = date.as_deref().unwrap_or("Thu, 01 Jan 1970 00:00:01 GMT");
            assert_eq!(is_sent_again(&mut site, "If-Modified-Since", since), date.is_none());

            put(&site, &"b".repeat(size), modified);
            let (new_tag, new_date) = validators(&mut site);
            assert_ne!(tag, new_tag, "{size} {modified}");
            assert_eq!(new_date, None, "it would say that nothing has changed");
            assert!(is_sent_again(&mut site, "If-None-Match", &tag));
            assert!(is_sent_again(&mut site, "If-Modified-Since", since));
            assert!(is_sent_again(&mut site, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"));
        }
    }
}

#[test]
fn dates_grow_from_one_content_to_the_next() {
    let mut site = Site::new(|_| {});
    for (content, modified, is_dated) in [
        ("first", 1_500_000_000, true),
        ("older", 1_400_000_000, false),
        ("still older than the first", 1_450_000_000, false),
        ("newer", 1_500_000_001, true),
        ("newer", 1_500_000_001, true),
        ("newer", 1_300_000_000, true),
        ("other", 1_500_000_001, false),
        ("other", 1_500_000_001, false),
        ("last", 1_500_000_002, true),
    ] {
        put(&site, content, modified);
        assert_eq!(validators(&mut site).1.is_some(), is_dated, "{content} {modified}");
    }
    let in_a_century = 1_500_000_000 + 100 * 365 * 86_400;
    put(&site, "from the future", in_a_century);
    let (_, date) = validators(&mut site);
    let date = crate::http::date::parse(date.unwrap().as_bytes()).unwrap();
    assert!(date <= site.cx.clock.unix(), "RFC 9110 §8.8.2.1");
}

#[test]
fn a_better_answer_is_found_when_it_appears() {
    let mut site = Site::new(|files| files.fallback = Some("spa.html".into()));
    site.write("second.html", "second");
    site.write("spa.html", "spa");
    assert_eq!(site.get("/").1, "second");
    assert_eq!(site.get("/page").1, "spa");
    assert_eq!(site.get("/other").1, "spa");
    site.write("index.html", "first");
    site.write("page", "page");
    site.pass(1000);
    assert_eq!(site.get("/").1, "first");
    assert_eq!(site.get("/page").1, "page");
}

#[test]
fn a_hit_shares_everything() {
    let mut site = Site::new(|_| {});
    site.write("a.txt", "hello");
    site.get("/a.txt");
    fs::remove_file(site.path("a.txt")).unwrap();
    let Lookup::Fresh(entry) = site.handler.cache.borrow_mut().get(b"/a.txt", site.cx.now()) else {
        panic!()
    };
    assert!(entry.certain);
    assert_eq!(site.get("/a.txt").1, "hello", "without a look at the disk");
}

#[test]
fn puts_create_and_replace() {
    let mut site = Site::uploads(|_| {});
    let body: Vec<u8> = (0..150_000).map(|n| (n % 251) as u8).collect();
    for (step, want) in [(1000, 201), (200_000, 204)] {
        let (status, head) = site.send("PUT", "/a.bin", &[], &body, step);
        assert_eq!(status, want);
        assert!(head.contains("ETag: \""));
        assert_eq!(fs::read(site.path("a.bin")).unwrap(), body);
    }
    assert_eq!(site.get("/a.bin").0, 200);
    assert_eq!(site.send("PUT", "/a.bin", &[], b"new", 10).0, 204);
    assert_eq!(site.get("/a.bin").1, "new", "at once");
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(site.send("PUT", "/c", &chunked, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 1).0, 201);
    assert_eq!(fs::read(site.path("c")).unwrap(), b"abcde");
    assert_eq!(site.send("PUT", "/empty", &[], b"", 1).0, 201);
    assert_eq!(site.send("DELETE", "/c", &[], b"", 1).0, 204);
    assert_eq!(site.send("DELETE", "/c", &[], b"", 1).0, 404);
    assert_eq!(site.names(), ["a.bin", "empty"]);
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(site.path("empty")).unwrap());
    assert_eq!(mode & 0o7133, 0, "{mode:o}");
}

#[test]
fn what_must_not_be_written_is_refused_and_leaves_nothing() {
    let mut site = Site::uploads(|_| {});
    fs::create_dir(site.path("folder")).unwrap();
    site.write("file", "x");
    let big = vec![0; 200_001];
    let long = format!("/{}", "n".repeat(300));
    for (method, target, fields, body, want) in [
        ("PUT", "/folder", vec![], &b"x"[..], 409),
        ("PUT", "/folder/", vec![], b"x", 409),
        ("PUT", "/", vec![], b"x", 409),
        ("PUT", "/.htaccess", vec![], b"x", 403),
        ("PUT", "/.git/config", vec![], b"x", 403),
        ("PUT", "/none/a", vec![], b"x", 409),
        ("DELETE", "/none/a", vec![], b"", 404),
        ("DELETE", "/file/a", vec![], b"", 404),
        ("DELETE", "/file/", vec![], b"", 404),
        ("DELETE", "/none/", vec![], b"", 404),
        ("DELETE", "/", vec![], b"", 409),
        ("PUT", "/file/a", vec![], b"x", 409),
        ("PUT", "/big", vec![], &big, 413),
        ("PUT", "/part", vec![("Content-Range", "bytes 0-0/2")], b"x", 400),
        ("PUT", &long, vec![], b"x", 400),
        ("PUT", "/file", vec![("If-None-Match", "*")], b"x", 412),
        ("PUT", "/file", vec![("If-Match", "\"other\"")], b"x", 412),
        ("PUT", "/new", vec![("If-Match", "*")], b"x", 412),
        ("PUT", "/chunks", vec![("Transfer-Encoding", "chunked")], b"x\r\n", 400),
        ("POST", "/?name=..", vec![], b"x", 403),
        ("POST", "/?name=.x", vec![], b"x", 403),
        ("POST", "/?name=a%2Fb", vec![], b"x", 400),
        ("POST", "/?name=a%00", vec![], b"x", 400),
        ("POST", "/?name=", vec![], b"x", 400),
        ("POST", "/", vec![("Content-Type", "multipart/form-data; boundary=x")], b"x", 415),
        ("DELETE", "/folder", vec![], b"", 409),
        ("DELETE", "/folder/", vec![], b"", 409),
        ("DELETE", "/file", vec![("If-Match", "\"other\"")], b"", 412),
    ] {
        assert_eq!(site.send(method, target, &fields, body, 1000).0, want, "{method} {target}");
    }
    let chunks = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000)).repeat(4);
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(site.send("PUT", "/chunks", &chunked, chunks.as_bytes(), 1000).0, 413);
    let no_length = request("PUT", "/a", &[]);
    assert_eq!(site.run(&no_length, b"", 1).unwrap_err().status, Status::LENGTH_REQUIRED);
    let cut = request("PUT", "/cut", &[("Content-Length", "100")]);
    assert_eq!(site.run(&cut, b"only this", 3).unwrap_err().status, Status::REQUEST_TIMEOUT);
    assert_eq!(site.names(), ["file", "folder"]);
}

#[test]
fn conditions_are_those_of_the_file_that_is_served() {
    let mut site = Site::uploads(|_| {});
    let text = "text ".repeat(1000);
    assert_eq!(site.send("PUT", "/a.txt", &[("If-None-Match", "*")], text.as_bytes(), 999).0, 201);
    for coding in ["identity", "gzip"] {
        let get = request("GET", "/a.txt", &[("Accept-Encoding", coding)]);
        let head = head_text(&site.run(&get, b"", 1).unwrap());
        assert_eq!(head.contains("Content-Encoding: gzip"), coding == "gzip");
        let etag = head.split("ETag: ").nth(1).unwrap().lines().next().unwrap();
        let fields = [("If-Match", etag)];
        assert_eq!(site.send("PUT", "/a.txt", &fields, text.as_bytes(), 999).0, 204, "{coding}");
        assert_eq!(site.send("PUT", "/a.txt", &fields, b"x", 9).0, 412, "{coding} again");
    }
}

#[test]
fn posts_find_names() {
    let mut site = Site::uploads(|upload| upload.overwrite = Overwrite::Rename);
    for want in ["a.txt", "a-1.txt", "a-2.txt"] {
        let (status, head) = site.send("POST", "/?name=a.txt", &[], want.as_bytes(), 9);
        assert_eq!(status, 201);
        assert!(head.contains(&format!("Location: /{want}\r\n")), "{head}");
        assert_eq!(fs::read_to_string(site.path(want)).unwrap(), want);
    }
    assert_eq!(site.send("PUT", "/a.txt", &[], b"x", 9).0, 409);
    let (status, head) = site.send("POST", "/", &[("Content-Type", "image/png")], b"x", 9);
    assert!(status == 201 && head.contains("Location: /upload-"), "{head}");
    assert_eq!(site.names().len(), 4);

    let mut site = Site::uploads(|upload| upload.overwrite = Overwrite::Refuse);
    let (status, head) = site.send("POST", "/a%20b", &[], b"1", 9);
    assert!(status == 201 && head.contains("Location: /a%20b\r\n"), "{head}");
    assert_eq!(site.send("POST", "/a%20b", &[], b"2", 9).0, 409);
    assert_eq!(fs::read(site.path("a b")).unwrap(), b"1");
}

#[test]
fn folders_are_made_only_for_uploads_that_succeed() {
    let mut site = Site::uploads(|upload| upload.mkdir = true);
    site.write("file", "x");
    let cut = request("PUT", "/cut/a", &[("Content-Length", "100")]);
    assert!(site.run(&cut, b"only this", 3).is_err());
    assert_eq!(site.send("PUT", "/x/y/z", &[], b"deep", 9).0, 201);
    assert_eq!(site.send("PUT", "/file/a", &[], b"x", 9).0, 409);
    assert_eq!(site.send("PUT", &"/d".repeat(60), &[], b"x", 9).0, 409);
    assert_eq!(fs::read(site.path("x/y/z")).unwrap(), b"deep");
    assert_eq!(site.names(), ["file", "x"]);
}

#[test]
fn large_listings_are_made_once_a_second() {
    let mut site = Site::uploads(|_| {});
    site.handler.rules.listing = true;
    for n in 0..600 {
        fs::write(site.path(&format!("f{n:03}")), "").unwrap();
    }
    assert!(site.get("/").1.contains("f599"));
    fs::write(site.path("g"), "").unwrap();
    assert!(!site.get("/").1.contains("\"g\""), "kept");
    assert!(site.get("/?sort=time").1.contains("\"g\""), "another page");
    site.pass(1000);
    assert!(site.get("/").1.contains("\"g\""));
    assert_eq!(site.send("PUT", "/h", &[], b"", 1).0, 201);
    assert!(site.get("/").1.contains("\"h\""), "an upload is seen at once");
}

#[test]
fn a_file_is_compressed_once_for_all_who_wait_for_it() {
    let mut site = Site::new(|_| {});
    site.write("a.txt", "text ".repeat(20_000));
    age(&site.path("a.txt"));
    site.pass(2000);
    let get = request("GET", "/a.txt", &[("Accept-Encoding", "gzip")]);
    let Ok(Plan::Exchange { exchange: left, .. }) = site.plan(&get) else { panic!() };
    drop(left);
    let response = site.run(&get, b"", 1).unwrap();
    assert!(head_text(&response).contains("Content-Encoding: gzip\r\n"));
    let packed = body_bytes(&response);
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
    decoder.read_to_string(&mut text).unwrap();
    assert_eq!(text, "text ".repeat(20_000));
    let known = Entry::gzip;
    let entry = entry_of(&site.path(""), "b.txt", text.as_bytes());
    assert!(known(&entry).is_none(), "this takes long");
    entry.compress_at_once();
    assert!(known(&entry).is_some());
}
