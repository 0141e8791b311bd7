//! Panics in the code of applications, wherever it is called from: one transaction ends, with its
//! line in the log, and the server goes on. And the log lines of refusals that a program answers.

use crate::support::{Embedded, eventually};
use httpyserver::{App, Next, Reply, Server};
use std::io::{Read, Write};
use std::path::Path;

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a value that panics at its end");
        }
    }
}

/// A server with the access log in a file of `folder`, as JSON.
fn logged(folder: &Path, more: &str, app: impl FnOnce() -> App + Send + 'static) -> Embedded {
    let config = format!(
        "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[log]\naccess = \"{}/access.log\"\n\
         format = \"json\"\n{more}\n[[host]]\nhandler = \"app\"\n",
        folder.display()
    );
    Embedded::start(move || {
        let large = vec![b'x'; 300 * 1024];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large.txt");
        std::fs::write(&file, large).unwrap();
        Server::from_text(config)
            .app("app", app())
            .on_error(move |refusal| {
                let _keep = &folder;
                (refusal.status().as_u16() < 500).then(|| Reply::file(&file))
            })
            .start()
    })
}

fn happens(mut is_so: impl FnMut() -> bool) {
    assert!(eventually(|| is_so().then_some(())).is_some(), "it has not happened");
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("access.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_stream_that_panics_at_its_end_while_it_is_cut_off_ends_alone() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[timeouts]\nwrite = \"1s\"\n[limits]\nmin_rate = \"0B/s\"";
    let server = logged(folder.path(), more, || {
        App::new().get("/", |_| "fine").get("/stream", |_| {
            let bomb = Bomb;
            let block = [b'x'; 64 * 1024];
            Reply::stream("text/plain", move |out| {
                let _ = &bomb;
                out.write_all(&block)?;
                Ok::<_, std::io::Error>(Next::More)
            })
        })
    });
    let mut deaf = server.connect();
    deaf.write_all(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    happens(|| {
        lines(folder.path()).iter().any(|line| {
            line.contains("/stream") && line.contains("\"status\":200") && line.contains("time-out")
        })
    });
    assert_eq!(server.get("/").body, "fine");
    assert!(server.stop());
}

#[test]
fn an_exchange_that_panics_at_its_end_has_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = logged(folder.path(), "", || {
        App::new().get("/", |_| "fine").get("/late", |_| {
            let bomb = Bomb;
            // The stream ends by itself, and its value panics when the exchange is dropped.
            Reply::stream("text/plain", move |out| {
                let _ = &bomb;
                out.write_all(b"all")?;
                Ok::<_, std::io::Error>(Next::End)
            })
        })
    });
    let answer = server.exchange("GET /late HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    happens(|| lines(folder.path()).len() == 1);
    assert_eq!(server.get("/").body, "fine");
    assert!(server.stop());
    assert_eq!(lines(folder.path()).len(), 2);
}

#[test]
fn refusals_that_a_program_answers_with_a_file_have_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let server = logged(folder.path(), "", || App::new().get("/", |_| "fine"));
    let bad = [
        ("BAD\r\n\r\n", "\"status\":400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", "\"status\":400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: foo\r\n\r\n", "\"status\":417"),
    ];
    for (count, (request, status)) in bad.into_iter().enumerate() {
        let mut client = server.connect();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.len() > 300 * 1024, "{request:?}: {} bytes", answer.len());
        happens(|| lines(folder.path()).len() == count + 1);
        let line = lines(folder.path()).pop().unwrap();
        assert!(line.contains(status) && line.contains("\"bytes_out\":307200"), "{line}");
    }
    assert!(server.stop());
    assert_eq!(lines(folder.path()).len(), 3);
}
