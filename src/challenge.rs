//! The stepwise HTTP server challenge, as an application of the framework: `httpyserver challenge`.
//!
//! This file doubles as the shortest tour of the framework. Each step of the challenge is a function
//! that takes a [`Request`] and returns something that can be a reply. What the challenge asks of the
//! server itself needs no code here: connections are answered concurrently and stay open between
//! requests, or close when the client asks for it; 404 where no route fits, 405 where the method
//! does not; HEAD wherever there is GET.
//!
//! ```console
//! $ httpyserver challenge --directory /tmp/data
//! $ curl -i http://127.0.0.1:4221/echo/hello
//! ```

use crate::{App, IntoReply, Reply, Request, Result, StatusCode, abort};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the challenge's tester looks for the server.
///
/// ```
/// assert_eq!(httpyserver::challenge::PORT, 4221);
/// ```
pub const PORT: u16 = 4221;

/// How long a posted file may be, in bytes.
const FILE_MAX: u64 = 64 << 20;

/// The application is a table: method, path, function. Functions get what is the request's own;
/// what they need besides, like the folder here, is captured by a closure.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let client = httpyserver::challenge::app(folder.path()).test();
/// assert_eq!(client.get("/echo/abc").send().text(), "abc");
/// assert_eq!(client.post("/files/note").body("text").send().status(), 201);
/// assert_eq!(client.get("/files/note").send().text(), "text");
/// ```
pub fn app(directory: impl Into<PathBuf>) -> App {
    let directory = directory.into();
    let stored = directory.clone();
    App::new()
        .get("/", |_| StatusCode::OK)
        .get("/echo/{text:path}", echo)
        .get("/user-agent", user_agent)
        .get("/files/{name}", move |request| download(&stored, request))
        .post("/files/{name}", move |request| upload(&directory, request))
        .body_limit(FILE_MAX)
}

/// `/echo/{text}`: a part of the path is the answer, compressed for who takes gzip.
fn echo(request: &mut Request<'_>) -> Result {
    let text = request.param_str("text");
    let reply = match request.accepts_coding("gzip") {
        true => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text.as_bytes())?;
            Reply::bytes("text/plain", gzip.finish()?).with_header("Content-Encoding", "gzip")
        }
        false => Reply::bytes("text/plain", text),
    };
    // A cache in between keeps the two apart.
    Ok(reply.with_header("Vary", "Accept-Encoding"))
}

/// `/user-agent`: a header of the request is the answer.
fn user_agent(request: &mut Request<'_>) -> Reply {
    let agent = request.header("user-agent").unwrap_or_default();
    Reply::bytes("text/plain", agent)
}

/// GET `/files/{name}`: a file, or 404. The kernel sends it, and a client may ask for a part, or
/// whether it has changed.
fn download(directory: &Path, request: &Request<'_>) -> Result {
    let path = directory.join(file_name(request)?);
    Ok(Reply::file(path).with_type("application/octet-stream"))
}

/// POST `/files/{name}`: the body becomes the file, unless it is a form of several parts, as
/// `curl -F` sends: that is no file, but may hold some. Disks can be slow, so the work is given to a
/// helper thread; the server answers others meanwhile, and `then` goes on with the result.
fn upload(directory: &Path, request: &mut Request<'_>) -> Result {
    let path = directory.join(file_name(request)?);
    let kind =
        request.headers().get("content-type").map(|kind| kind.as_bytes().to_ascii_lowercase());
    if kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data")) {
        return Err(abort(415));
    }
    // What is long lies in a file already; what is short is in memory.
    let spooled = request.take_spooled();
    let short = request.data()?.into_owned();
    let work = move || match spooled {
        Some(file) => file.save_as(&path),
        None => std::fs::write(&path, short),
    };
    let created = |_: &mut Request<'_>, written: std::io::Result<()>| -> Result {
        written?;
        Ok(StatusCode::CREATED.into_reply())
    };
    Ok(request.blocking(work).then(created))
}

/// The file's name. `{name}` matches one part of the path, so there is no slash in it; it is decoded
/// by now, and what remains to be refused are names that mean another folder, hide, or are longer
/// than any file's.
fn file_name<'a>(request: &Request<'a>) -> Result<&'a str> {
    match request.param_str("name") {
        "" => Err(abort(404)),
        name if name.starts_with('.') || name.contains(['/', '\\', '\0']) => Err(abort(404)),
        name if name.len() > 255 => Err(abort(404)),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn every_step_answers() {
        let folder = tempfile::tempdir().unwrap();
        let client = app(folder.path()).test();
        let root = client.get("/").send();
        assert_eq!((root.status().as_u16(), root.text().as_str()), (200, ""));
        assert_eq!(client.get("/nothing").send().status(), 404);
        assert_eq!(client.get("/echo/a%20b/c").send().text(), "a b/c");
        let agent = client.get("/user-agent").header("User-Agent", "mango/1").send();
        assert_eq!(
            (agent.text().as_str(), agent.header("content-type")),
            ("mango/1", Some("text/plain"))
        );
        let packed = client.get("/echo/banana").header("Accept-Encoding", "x, gzip").send();
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        GzDecoder::new(packed.bytes()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "banana");
        assert_eq!(client.post("/files/a.txt").body("12345").send().status(), 201);
        let file = client.get("/files/a.txt").send();
        assert_eq!(file.header("content-type"), Some("application/octet-stream"));
        assert_eq!((file.text().as_str(), file.header("content-length")), ("12345", Some("5")));
        assert_eq!(client.request("DELETE", "/files/a.txt").send().status(), 405);
    }

    #[test]
    fn long_files_arrive_whole() {
        let folder = tempfile::tempdir().unwrap();
        let client = app(folder.path()).test();
        let long: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(client.post("/files/long").body(long.clone()).send().status(), 201);
        assert_eq!(std::fs::read(folder.path().join("long")).unwrap(), long);
        assert_eq!(client.get("/files/long").send().bytes(), long);
    }

    #[test]
    fn what_curl_calls_a_form_is_a_file_and_a_form_of_parts_empties_none() {
        let folder = tempfile::tempdir().unwrap();
        let client = app(folder.path()).test();
        let kept = || std::fs::read(folder.path().join("x")).unwrap();
        for length in [2 << 20, 700_000, 5] {
            // Of these, a form would have more fields than anybody reads.
            let body = b"a&".repeat(length / 2);
            let post = client.post("/files/x").body(body.clone());
            let answer = post.header("Content-Type", "application/x-www-form-urlencoded").send();
            assert_eq!(answer.status(), 201, "{length}");
            assert!(kept() == body, "{length}");
        }
        let parts = client.post("/files/x").multipart(&[], &[("file", "x", "text/plain", b"new")]);
        assert_eq!(parts.send().status(), 415);
        assert_eq!(kept(), b"a&a&");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        let client = app(&inner).test();
        for name in [
            "..%2fsecret",
            "../secret",
            "%2e%2e%2fsecret",
            ".hidden",
            "../..",
            "a%00b",
            "..%5csecret",
        ] {
            let got = client.get(&format!("/files/{name}")).send().status();
            assert!(got.is_client_error(), "GET {name}: {got}");
            let put = client.post(&format!("/files/{name}")).body("y").send().status();
            assert!(put.is_client_error(), "POST {name}: {put}");
        }
        assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 0);
    }
}
