//! Clients that nobody here wrote.

use crate::support::TestServer;
use std::process::{Command, Output};

fn server() -> TestServer {
    let config = "[[host]]\nroot = \"root\"\nlisting = true\nupload = { methods = [\"PUT\", \"POST\", \"DELETE\"] }\n";
    let big = "0123456789".repeat(30_000);
    TestServer::new(config, &[("root/a.txt", "hello"), ("root/big.txt", &big), ("up.txt", &big)])
}

/// Runs a program in the server's folder. `None` if there is no such program.
fn run(server: &TestServer, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let url = format!("http://{}", server.address);
    let arguments = arguments.iter().map(|argument| argument.replace("URL", &url));
    let output = Command::new(program).args(arguments).current_dir(server.path("")).output();
    let Output { status, stdout, stderr } = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let text = [stdout, stderr].concat();
    Some((status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn curl() {
    let server = server();
    if run(&server, "curl", &["--version"]).is_none() {
        println!("there is no curl here: not tested");
        return;
    }
    let status = "%{http_code} %{size_download} %{num_connects}\n";
    for (arguments, want) in [
        (&["-s", "URL/a.txt"][..], "hello"),
        (&["-sI", "URL/a.txt"], "Content-Length: 5"),
        (&["-s", "-r", "1-3", "URL/a.txt"], "ell"),
        (&["-s", "--compressed", "-o", "packed", "-w", status, "URL/big.txt"], "200 "),
        (&["-s", "-o", "x1", "-o", "x2", "-w", status, "URL/big.txt", "URL/a.txt"], "200 5 0"),
        (&["-s", "-0", "URL/a.txt"], "hello"),
        (&["-s", "-T", "up.txt", "-w", status, "URL/"], "201 0 1"),
        (&["-s", "-H", "Expect: 100-continue", "-T", "up.txt", "-w", status, "URL/up.txt"], "204 "),
        (
            &["-s", "-H", "Transfer-Encoding: chunked", "-T", "up.txt", "-w", status, "URL/c"],
            "201 ",
        ),
        (&["-s", "--data-binary", "@up.txt", "-w", status, "URL/?name=p.txt"], "201 "),
        (&["-s", "-X", "DELETE", "-w", status, "URL/c"], "204 "),
        (&["-s", "-C", "5", "-o", "resumed", "-w", status, "URL/big.txt"], "206 299995"),
        (&["-s", "--path-as-is", "-w", status, "URL/../a.txt"], "400 "),
        (&["-s", "-L", "-w", status, "URL//a.txt"], "hello"),
    ] {
        let (success, text) = run(&server, "curl", arguments).unwrap();
        assert!(success && text.contains(want), "curl {arguments:?}: {text}");
    }
    assert_eq!(server.read("packed"), server.read("root/big.txt"));
    assert_eq!(server.read("root/up.txt"), server.read("up.txt"));
    assert_eq!(server.read("root/p.txt"), server.read("up.txt"));
}

const PYTHON: &str = r#"
import http.client, sys
host = sys.argv[1].removeprefix("http://")
c = http.client.HTTPConnection(host, timeout=20)
def ask(method, path, body=None, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    c.request(method, path, body, headers, encode_chunked=headers.get("Transfer-Encoding") == "chunked")
    r = c.getresponse()
    return r.status, r.read(), r
for n in range(50):
    assert ask("GET", "/a.txt")[:2] == (200, b"hello")
sock = c.sock
status, body, r = ask("GET", "/big.txt", Range="bytes=10-19")
assert (status, body, r.headers["Content-Range"]) == (206, b"0123456789", "bytes 10-19/300000")
assert ask("HEAD", "/a.txt")[:2] == (200, b"")
assert ask("PUT", "/py.txt", b"data")[0] == 201
assert ask("PUT", "/py.txt", iter([b"chunk", b"ed"]), Transfer_Encoding="chunked")[0] == 204
assert ask("GET", "/py.txt")[:2] == (200, b"chunked")
etag = ask("GET", "/py.txt")[2].headers["ETag"]
assert ask("GET", "/py.txt", If_None_Match=etag)[:2] == (304, b"")
assert ask("POST", "/?name=q.txt", b"x" * 1000000)[2].headers["Location"] == "/q.txt"
assert len(ask("GET", "/q.txt")[1]) == 1000000
assert ask("DELETE", "/q.txt")[0] == 204
assert ask("GET", "/q.txt")[0] == 404
assert ask("OPTIONS", "*")[0] == 204
assert c.sock is sock, "all on one connection"
print("fine")
"#;

#[test]
fn python() {
    let server = server();
    let (success, text) = run(&server, "python3", &["-c", PYTHON, "URL"]).expect("python3");
    assert!(success && text.contains("fine"), "{text}");
}
