//! Answers with a status that has no body (RFC 9110 §6.4.1, §15.3.6), whoever gives them and whatever
//! they bring: nothing of it is sent, and the connection goes on.

use crate::cgi::with_config;
use crate::support::{Wire, get};

const CONFIG: &str = r#"
[app.a]
wsgi = "shapes:app"
[[host]]
root = "root"
  [[host.route]]
  path = "/cgi/"
  cgi = "cgi"
  [[host.route]]
  path = "/app/"
  app = "a"
  [[host.route]]
  path = "/fixed"
  respond = { status = 205 }
"#;

const APP: &str = r#"
def app(environ, start_response):
    status, form = environ["PATH_INFO"].strip("/").split("/")
    headers = [("Content-Type", "text/plain")]
    if form == "length":
        headers.append(("Content-Length", "13"))
    start_response(status + " X", headers)
    return iter([b"forged", b"", b" answer"]) if form == "stream" else [b"forged answer"]
"#;

#[test]
fn nothing_follows_a_head_that_has_no_body() {
    let script = |status: u16, length: &str| {
        format!(
            "#!/bin/sh\nprintf 'Status: {status}\\nContent-Type: a/b\\n{length}\\nforged answer'\n"
        )
    };
    let scripts: Vec<_> = [204, 205, 304]
        .into_iter()
        .flat_map(|status| {
            [
                (format!("{status}-plain"), script(status, "")),
                (format!("{status}-length"), script(status, "Content-Length: 13\\n")),
            ]
        })
        .collect();
    let scripts: Vec<_> = scripts.iter().map(|(name, text)| (&**name, &**text)).collect();
    let app = [("../shapes.py-", APP)];
    let server = with_config(CONFIG, &[&scripts[..], &app].concat());
    for status in [204, 205, 304] {
        let programs =
            ["cgi/S-plain", "cgi/S-length", "app/S/plain", "app/S/length", "app/S/stream"];
        let paths =
            programs.iter().map(|path| format!("/{path}").replace('S', &status.to_string()));
        for path in paths.chain((status == 205).then(|| "/fixed".to_owned())) {
            for version in ["1.1", "1.0"] {
                let mut wire = Wire::connect(&server);
                wire.send(format!(
                    "GET {path} HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
                ));
                let head = wire.head().unwrap().unwrap();
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
                // What follows 204 and 304 is known; an empty body of 205 has to be announced.
                let length = head.contains("\r\nContent-Length: 0\r\n");
                assert_eq!(length, status == 205, "{path}: {head}");
                assert_eq!(head.matches("Content-Length").count(), usize::from(length), "{path}");
                assert!(!head.contains("Transfer-Encoding"), "{path}: {head}");
                let next = wire.send(get("/index.html")).response();
                assert_eq!(next.text(), "index", "{path} HTTP/{version}");
            }
        }
    }
}
