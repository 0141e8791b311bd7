//! What a client sees when it cannot have what it wants.

use crate::support::TestServer;

#[test]
fn own_pages_by_status_then_class() {
    let config = r#"
[[host]]
names = ["own"]
root = "root"
errors = { 404 = "/e/404.html", 4xx = "/e/4xx.html", 5xx = "/e/5xx.html" }
  [[host.route]]
  path = "/missing-folder/"
  files = "no-such-folder"
[[host]]
names = ["plain"]
default = true
root = "root"
errors = { 404 = "/no/such/page.html" }
"#;
    let files = [
        ("root/e/404.html", "<h1>own 404"),
        ("root/e/4xx.html", "<h1>own 4xx"),
        ("root/e/5xx.html", "<h1>own 5xx"),
    ];
    let server = TestServer::new(config, &files);
    for (line, host, status, body) in [
        ("GET /none", "own", 404, "<h1>own 404"),
        ("GET /missing-folder/x", "own", 404, "<h1>own 404"),
        ("GET /e/", "own", 403, "<h1>own 4xx"),
        ("POST /e/404.html", "own", 405, "<h1>own 4xx"),
        ("BREW /e/404.html", "own", 501, "<h1>own 5xx"),
        ("GET /e/404.html", "own", 200, "<h1>own 404"),
        ("GET /none", "plain", 404, "404 Not Found\n"),
        ("GET /e/", "plain", 403, "403 Forbidden\n"),
    ] {
        let response = server.ask(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.status, status, "{line} of {host}");
        assert!(response.text().starts_with(body), "{line} of {host}: {}", response.text());
        if status >= 400 {
            assert_eq!(response.header("Cache-Control"), Some("no-store"), "{line}");
        }
    }
    assert!(
        server.banner.contains("page.html"),
        "a page that is missing is told: {}",
        server.banner
    );
    assert!(server.banner.contains("no-such-folder"), "and a folder: {}", server.banner);
}

#[test]
fn the_form_is_the_clients_choice() {
    let server = TestServer::of_files(&[("root/a.txt", "")]);
    for (accept, media_type, start) in [
        ("", "text/plain; charset=utf-8", "404 Not Found"),
        ("Accept: */*\r\n", "text/plain; charset=utf-8", "404 Not Found"),
        ("Accept: text/html\r\n", "text/html; charset=utf-8", "<!doctype html>"),
        ("Accept: text/html,application/xml;q=0.9,*/*;q=0.8\r\n", "text/html; charset=utf-8", "<!"),
        ("Accept: application/json\r\n", "application/problem+json", "{"),
        ("Accept: application/problem+json\r\n", "application/problem+json", "{"),
        ("Accept: text/html;q=0.1, application/json\r\n", "application/problem+json", "{"),
        ("Accept: nonsense;;q=\r\n", "text/plain; charset=utf-8", "404 Not Found"),
    ] {
        let response = server.ask(format!("GET /none HTTP/1.1\r\nHost: a\r\n{accept}\r\n"));
        assert_eq!(response.header("Content-Type"), Some(media_type), "{accept}");
        assert!(response.text().starts_with(start), "{accept}: {}", response.text());
        assert!(response.body.len() < 2048, "{accept}");
    }
}

/// Nothing that is nobody's business, and nothing of the request, whoever sent it to whom.
#[test]
fn nothing_leaks() {
    let server = TestServer::of_files(&[("root/a.txt", "")]);
    let folder = server.path("").to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION");
    for accept in ["text/html", "application/json", "*/*"] {
        for request in [
            "GET /<script>alert(1)</script> HTTP/1.1\r\nHost: a\r\n",
            "GET /none?<script> HTTP/1.1\r\nHost: <script>\r\n",
            "GET /.. HTTP/1.1\r\nHost: a\r\n",
            "BREW / HTTP/1.1\r\nHost: a\r\n",
            "<script> / HTTP/1.1\r\nHost: a\r\n",
            "PUT /a.txt HTTP/1.1\r\nHost: a\r\nExpect: <script>\r\n",
            "GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=<script>-\r\nIf-Match: \"<script>\"\r\n",
        ] {
            let response = server.ask(format!("{request}Accept: {accept}\r\n\r\n"));
            let text = response.head.clone() + response.text();
            assert!(response.status >= 400, "{request}");
            for leak in ["<script>", &folder, version, "src/", "panic"] {
                assert!(!text.contains(leak), "{leak} in the answer to {request}: {text}");
            }
        }
    }
}

#[test]
fn listings_escape_names() {
    let name = "<img src=x onerror=alert(1)>\"'&.txt";
    let files = [(&*format!("root/{name}"), "text"), ("root/javascript:x", "")];
    let server = TestServer::new("[[host]]\nroot = \"root\"\nlisting = true\n", &files);
    let response = server.get("/");
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
    let page = response.text();
    assert!(page.contains("javascript:x") && !page.contains("<img"), "{page}");
    let links = page.split("href=").skip(1).map(|link| link.trim_start_matches(['"', '\'']));
    assert!(
        links.clone().count() >= 2 && !links.into_iter().any(|l| l.starts_with("java")),
        "{page}"
    );
    let encoded = "/%3Cimg%20src=x%20onerror=alert(1)%3E%22'&.txt";
    assert_eq!(server.get(encoded).text(), "text");
}
