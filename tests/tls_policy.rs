//! What hosts want: https or not, and under which name.

use crate::support::{Authority, Start, TestServer, TlsWire};
use rustls::ClientConfig;
use std::sync::Arc;

const LISTEN: &str = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
    [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n[[tls.cert]]\nchain = \"b.pem\"\nkey = \"b.key\"\n";

fn start(hosts: &str) -> (TestServer, Arc<ClientConfig>) {
    let authority = Authority::new();
    let start = Start::new(&format!("{LISTEN}{hosts}"), &[("root/index.html", "home")]);
    authority.issue(&["a.test", "*.a.test", "127.0.0.1", "::1"], "a").write(start.path(), "a");
    authority.issue(&["b.test", "deep.a.test"], "b").write(start.path(), "b");
    (start.run(), Arc::new(authority.client()))
}

#[test]
fn every_method_and_form_is_led_to_the_same_place() {
    let hosts = "[[host]]\nnames = [\"a.test\", \"*.a.test\"]\ndefault = true\n\
        https = \"redirect\"\nroot = \"root\"\nupload = true\n";
    let (server, _) = start(hosts);
    let port = server.secure.port();
    for (request, to) in [
        ("GET / HTTP/1.1\r\nHost: a.test\r\n", "a.test/"),
        ("HEAD /x HTTP/1.1\r\nHost: A.Test:8080\r\n", "A.Test/x"),
        ("POST /form?a=b HTTP/1.1\r\nHost: x.a.test\r\nContent-Length: 4\r\n", "x.a.test/form?a=b"),
        ("PUT /new HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n", "a.test/new"),
        ("OPTIONS /x HTTP/1.1\r\nHost: a.test\r\n", "a.test/x"),
        ("GET / HTTP/1.0\r\n", "a.test/"),
        ("GET http://a.test/y HTTP/1.1\r\nHost: a.test\r\n", "a.test/y"),
        ("GET //evil.test/ HTTP/1.1\r\nHost: a.test\r\n", "a.test/evil.test/"),
        (
            "GET /a;b=1/%3B//'c'/x/../d?e='[] HTTP/1.1\r\nHost: a.test\r\n",
            "a.test/a;b=1/%3B//'c'/d?e='[]",
        ),
        ("GET /@zz%2fs HTTP/1.1\r\nHost: a.test\r\n", "a.test/@zz%2fs"),
        ("GET /%5C%0D%0ASet-Cookie:x HTTP/1.1\r\nHost: a.test\r\n", ""),
        ("GET /%22%3E?\"> HTTP/1.1\r\nHost: a.test\r\n", "a.test/%22%3E?%22%3E"),
        ("GET / HTTP/1.1\r\nHost: evil.test\r\n", "a.test/"),
        ("GET / HTTP/1.1\r\nHost: a.test.\r\n", "a.test/"),
    ] {
        let mut wire = crate::support::Wire::connect(&server);
        let method = request.split(' ').next().unwrap();
        let body = if request.contains("chunked") { "0\r\n\r\n" } else { "" };
        wire.send(format!("{request}\r\n{body}"));
        if method == "POST" {
            wire.send("a=bc");
        }
        let response = wire.response_to(method);
        let want = match to.split_once('/') {
            Some((name, path)) => (308, Some(format!("https://{name}:{port}/{path}"))),
            None => (400, None),
        };
        let got = (response.status, response.header("Location").map(str::to_owned));
        assert_eq!(got, want, "{request}");
        assert_eq!(response.header("Strict-Transport-Security"), None);
    }
    assert!(!server.path("root/new").exists(), "nothing is done on the way");
    // What is about the server and not about a place of it.
    assert_eq!(server.ask("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n").status, 204);
}

#[test]
fn the_name_of_a_request_has_many_spellings_and_one_certificate() {
    let hosts = "[[host]]\nnames = [\"a.test\", \"*.a.test\"]\ndefault = true\nrespond = \"a\"\n\
        [[host]]\nnames = [\"b.test\", \"deep.a.test\"]\nrespond = \"b\"\n";
    let (server, client) = start(hosts);
    for (shown, host, status, body) in [
        ("a.test", "a.test.", 200, "a"),
        ("a.test", "A.TEST:1", 200, "a"),
        ("a.test", "x.a.test", 200, "a"),
        ("x.a.test", "y.a.test", 200, "a"),
        ("a.test", "127.0.0.1", 200, "a"),
        ("a.test", "[::1]:8443", 200, "a"),
        // The wildcard of the first has that name as well, so it may be asked for.
        ("a.test", "deep.a.test", 200, "b"),
        ("deep.a.test", "b.test", 200, "b"),
        ("deep.a.test", "a.test", 421, ""),
        ("b.test", "B.test.:9", 200, "b"),
        ("b.test", "a.test", 421, ""),
        ("b.test", "x.y", 421, ""),
        // By address: a client that sends no name is shown the first.
        ("127.0.0.1", "127.0.0.1:8443", 200, "a"),
        ("127.0.0.1", "a.test", 200, "a"),
        ("127.0.0.1", "b.test", 421, ""),
    ] {
        // The second connection is resumed: the name is remembered, and counts the same.
        for _ in 0..2 {
            let mut wire = TlsWire::connect(&server, &client, shown);
            let response = wire.get(host, "/").unwrap();
            assert_eq!(response.status, status, "{shown} {host}");
            assert!(status != 200 || response.text() == body, "{shown} {host}");
            // It can be asked for what it may ask for, on the same connection.
            if shown == "b.test" {
                assert_eq!(wire.get("b.test", "/").unwrap().status, 200);
            }
        }
    }
    // In the line of the request, which counts more than the field.
    let mut wire = TlsWire::connect(&server, &client, "b.test");
    let request = "GET https://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n";
    assert_eq!(wire.ask(request).unwrap().status, 421);
    // The name lives here: the page does not say otherwise.
    let refused = wire.get("a.test", "/").unwrap();
    let text = refused.text();
    assert!(text.contains("Open a new one") && !text.contains("No site"), "{text}");
    server.read_until("access.log", "\" 421 ");
}

#[test]
fn a_port_may_come_to_speak_tls_at_a_reload() {
    // A free one; if somebody takes it meanwhile, there are others.
    let authority = Authority::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = |scheme: &str| {
        LISTEN
            .replace(
                "\"http://127.0.0.1:0\", ",
                "\"http://127.0.0.1:0\", \"https://127.0.0.1:0\", ",
            )
            .replacen("\"https://127.0.0.1:0\"", &format!("\"{scheme}://127.0.0.1:{port}\""), 1)
            + "[[host]]\nnames = [\"a.test\"]\ndefault = true\nrespond = \"a\"\n"
    };
    let start = Start::new(&config("http"), &[]);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    authority.issue(&["b.test"], "b").write(start.path(), "b");
    let server = start.run();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let client = Arc::new(authority.client());
    let mut kept = crate::support::Wire::to(address);
    assert_eq!(kept.get("/").status, 200);
    server.configure(&config("https"));
    server.signal(rustix::process::Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let mut wire = TlsWire::to(address, &client, "a.test");
    assert_eq!(wire.get("a.test", "/").unwrap().text(), "a");
    assert_eq!(kept.get("/").status, 200, "a former client goes on");
    assert_eq!(crate::support::Wire::to(address).get("/").status, 400);
    server.configure(&config("http"));
    server.signal(rustix::process::Signal::HUP);
    crate::support::eventually(|| {
        (crate::support::Wire::to(address).get("/").status == 200).then_some(())
    })
    .expect("it is plain again");
    assert_eq!(wire.get("a.test", "/").unwrap().text(), "a");
}
