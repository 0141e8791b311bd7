//! `httpyserver challenge`, as the challenge's tester meets it.

use crate::support::{Start, TestServer, Wire, folder, get};

fn server() -> TestServer {
    let folder = folder(&[("data/hello.txt", "Hello!")]);
    let place = folder.path().to_owned();
    Start::quick(folder, &place, &["challenge", "--directory", "data"]).run()
}

#[test]
fn one_connection_carries_all_the_steps() {
    let server = server();
    let mut wire = Wire::connect(&server);
    let mut ask = |request: &str| {
        wire.send(request);
        wire.response()
    };
    let root = ask(&get("/"));
    assert_eq!((root.status, root.body.as_slice()), (200, &b""[..]));
    assert_eq!(ask(&get("/echo/mango")).body, b"mango");
    let agent = ask("GET /user-agent HTTP/1.1\r\nHost: x\r\nUser-Agent: foobar/1.2.3\r\n\r\n");
    assert_eq!(agent.body, b"foobar/1.2.3");
    assert_eq!(ask(&get("/files/hello.txt")).body, b"Hello!");
    assert_eq!(ask(&get("/files/none")).status, 404);
    let post = "POST /files/new HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345";
    assert_eq!(ask(post).status, 201);
    assert_eq!(server.read("data/new"), "12345");
    let last = ask("GET /echo/bye HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(last.header("Connection"), Some("close"));
    assert!(wire.is_closed());
}

#[test]
fn connections_do_not_wait_for_each_other() {
    let server = server();
    let mut slow: Vec<_> = (0..5).map(|_| Wire::connect(&server)).collect();
    for wire in &mut slow {
        wire.send("GET /echo/slow HTTP/1.1\r\n");
    }
    assert_eq!(server.get("/echo/fast").body, b"fast");
    for wire in &mut slow {
        wire.send("Host: x\r\n\r\n");
        assert_eq!(wire.response().body, b"slow");
    }
}
