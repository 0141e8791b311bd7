//! Which host answers.

use crate::support::{Start, TestServer, Wire};

const CONFIG: &str = r#"
[[host]]
names = ["example.org", "www.example.org"]
respond = "exact"
[[host]]
names = ["*.example.org"]
respond = "wildcard"
[[host]]
names = ["*.deep.example.org"]
respond = "deep"
[[host]]
names = ["127.0.0.1", "[::1]"]
respond = "address"
"#;

fn asked(server: &TestServer, host: &str) -> (u16, String) {
    let response = server.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    (response.status, response.text().to_owned())
}

#[test]
fn names() {
    let default =
        format!("{CONFIG}[[host]]\nnames = [\"d\"]\ndefault = true\nrespond = \"default\"\n");
    let (with, without) = (TestServer::new(&default, &[]), TestServer::new(CONFIG, &[]));
    for (host, want) in [
        ("example.org", "exact"),
        ("EXAMPLE.Org", "exact"),
        ("example.org:8080", "exact"),
        ("example.org.", "exact"),
        ("www.example.org", "exact"),
        ("a.example.org", "wildcard"),
        ("a.b.example.org", "wildcard"),
        ("deep.example.org", "wildcard"),
        ("x.deep.example.org", "deep"),
        ("A.Deep.example.org:1", "deep"),
        ("127.0.0.1", "address"),
        ("[::1]:80", "address"),
        ("notexample.org", "default"),
        ("example.org.evil", "default"),
        (".example.org", "default"),
        ("org", "default"),
    ] {
        let (status, text) = asked(&with, host);
        // A name that begins with a dot is not one: refusing it is right as well.
        if host == ".example.org" && status == 400 {
            continue;
        }
        assert_eq!((status, &*text), (200, want), "{host}");
        let (status, text) = asked(&without, host);
        match want {
            "default" => assert_eq!(status, 421, "{host}: {text}"),
            _ => assert_eq!((status, &*text), (200, want), "{host}"),
        }
    }
}

#[test]
fn a_host_nobody_has_is_explained_and_the_connection_goes_on() {
    let server = TestServer::new(CONFIG, &[]);
    let mut wire = Wire::connect(&server);
    wire.send("GET / HTTP/1.1\r\nHost: other\r\nAccept: text/html\r\n\r\n");
    let response = wire.response();
    assert_eq!(response.status, 421);
    assert!(response.text().contains("host name") && !response.text().contains("other<"));
    wire.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_eq!(wire.response().text(), "exact");
    wire.send("GET http://a.example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_eq!(wire.response().text(), "wildcard", "the target's host counts");
    wire.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(wire.response().status, 421, "HTTP/1.0 without Host");
}

#[test]
fn bad_names_are_refused() {
    let server = TestServer::new(CONFIG, &[]);
    for host in
        ["", " ", "a b", "a/b", "u@example.org", "example.org:x", "[::1", "a\\b", "a,b", ":"]
    {
        assert_eq!(asked(&server, host).0, 400, "{host:?}");
    }
}

#[test]
fn the_file_of_2013() {
    let files = [
        ("default/index.html", "default"),
        ("example/index.html", "example"),
        ("example/a.txt", "text"),
        ("example/a.weird", "weird"),
        ("empty/.keep", ""),
    ];
    let server = Start::new("[server]\n[log]\n", &files);
    let text = "# a comment\nhost default default\nhost example.org example\nhost new empty\n\
                media txt text/special\nparameter timeout 5\n";
    std::fs::write(server.path().join("web.conf"), text).unwrap();
    let server = server.arguments(&["-p", "0"]).run();
    assert!(server.banner.contains("all addresses"), "{}", server.banner);
    assert_eq!(asked(&server, "example.org:8080"), (200, "example".into()));
    assert_eq!(asked(&server, "Example.org"), (200, "example".into()));
    assert_eq!(asked(&server, "anything"), (200, "default".into()));
    assert!(asked(&server, "new").1.contains("It works"));
    for (path, media_type) in
        [("/a.txt", "text/special"), ("/a.weird", "text/plain"), ("/", "text/html")]
    {
        let response = server.ask(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        assert_eq!(response.header("Content-Type"), Some(media_type), "{path}");
    }
}
