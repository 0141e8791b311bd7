//! Clients that say who they are.

use crate::support::{Authority, PATIENCE, Start, TlsWire, eventually};
use httpyserver::{App, Server};
use rustix::process::Signal;
use rustls::HandshakeKind;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, mpsc};

fn start(required: &str) -> (crate::support::TestServer, Authority) {
    let authority = Authority::new();
    let config = format!(
        "[server]\nlisten = \"https://127.0.0.1:0\"\n[log]\naccess = \"access.log\"\n\
         format = \"json\"\n[tls]\nclient_ca = {required}\n\
         [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n[[host]]\nrespond = \"in\"\n"
    );
    let start = Start::new(&config, &[]);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    std::fs::write(start.path().join("clients.pem"), &authority.pem).unwrap();
    (start.run(), authority)
}

#[test]
fn a_required_certificate_is_required() {
    let (server, authority) = start("\"clients.pem\"");
    let mut nobody = TlsWire::connect(&server, &Arc::new(authority.client()), "a.test");
    assert!(nobody.get("a.test", "/").is_err());
    let stranger = Authority::new().issue(&[], "Eve");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = Arc::new(authority.client_of(Some(&stranger), &[version]));
        assert!(TlsWire::connect(&server, &config, "a.test").get("a.test", "/").is_err());
        let ada = authority.issue(&[], "Ada \"the\" Client");
        let config = Arc::new(authority.client_of(Some(&ada), &[version]));
        // The second time it is resumed, and still Ada.
        for _ in 0..2 {
            let mut wire = TlsWire::connect(&server, &config, "a.test");
            assert_eq!(wire.get("a.test", "/").unwrap().text(), "in");
        }
    }
    let log = server.read_until("access.log", "Ada");
    let lines =
        log.lines().filter(|line| line.contains(r#""tls_client":"CN=Ada \\\"the\\\" Client""#));
    assert!(lines.count() >= 1, "{log}");
    assert!(log.contains(r#""tls":"TLSv1.3""#), "{log}");
}

#[test]
fn an_optional_one_is_optional_but_never_wrong() {
    let (server, authority) = start("{ file = \"clients.pem\", required = false }");
    let mut nobody = TlsWire::connect(&server, &Arc::new(authority.client()), "a.test");
    assert_eq!(nobody.get("a.test", "/").unwrap().text(), "in");
    let stranger = Authority::new().issue(&[], "Eve");
    let config = authority.client_of(Some(&stranger), rustls::ALL_VERSIONS);
    assert!(TlsWire::connect(&server, &Arc::new(config), "a.test").get("a.test", "/").is_err());
}

/// One that is trusted, with the name Ada.
fn ada(authority: &Authority) -> Arc<rustls::ClientConfig> {
    let issued = authority.issue(&[], "Ada");
    Arc::new(authority.client_of(Some(&issued), rustls::ALL_VERSIONS))
}

#[test]
fn scripts_and_python_are_told_who_it_is() {
    let authority = Authority::new();
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
        [tls]\nclient_ca = { file = \"clients.pem\", required = false }\n\
        [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n\
        [app.who]\nwsgi = \"who:application\"\nworkers = 1\n\
        [[host]]\n[[host.route]]\npath = \"/cgi/\"\ncgi = \"cgi\"\n\
        [[host.route]]\npath = \"/wsgi/\"\napp = \"who\"\n";
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n\
        printf '%s %s %s %s' \"$REMOTE_USER\" \"$AUTH_TYPE\" \"$HTTPS\" \"$SSL_PROTOCOL\"\n";
    let python = "def application(environ, start_response):\n\
        \x20   keys = ('REMOTE_USER', 'AUTH_TYPE', 'HTTPS', 'SSL_PROTOCOL')\n\
        \x20   body = ' '.join(environ.get(key, '') for key in keys).encode()\n\
        \x20   start_response('200 OK', [('Content-Length', str(len(body)))])\n\
        \x20   return [body]\n";
    let start = Start::new(config, &[("cgi/who", script), ("who.py", python)]);
    std::fs::set_permissions(start.path().join("cgi/who"), Permissions::from_mode(0o755)).unwrap();
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    std::fs::write(start.path().join("clients.pem"), &authority.pem).unwrap();
    let server = start.run();
    let ask = |config: &Arc<rustls::ClientConfig>, path: &str| {
        let mut wire = TlsWire::connect(&server, config, "a.test");
        // What a client says of itself does not count.
        let claims = "REMOTE_USER: Eve\r\nRemote-User: Eve\r\nAuth-Type: none";
        let request = format!("GET {path} HTTP/1.0\r\nHost: a.test\r\n{claims}\r\n\r\n");
        wire.whole(&request).unwrap()
    };
    let (ada, nobody) = (ada(&authority), Arc::new(authority.client()));
    for path in ["/cgi/who", "/wsgi/"] {
        let (known, unknown) = (ask(&ada, path), ask(&nobody, path));
        assert!(known.ends_with("\r\n\r\nCN=Ada CLIENT_CERT on TLSv1.3"), "{path}: {known}");
        assert!(unknown.ends_with("\r\n\r\n  on TLSv1.3"), "{path}: {unknown}");
        let plain = server.ask(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(plain.text().trim(), "", "{path}");
    }
}

#[test]
fn handlers_in_rust_see_who_it_is() {
    let authority = Authority::new();
    let folder = crate::support::folder(&[("clients.pem", &authority.pem)]);
    authority.issue(&["a.test"], "a").write(folder.path(), "a");
    let place = folder.path().display();
    let config = format!(
        "[server]\nlisten = \"https://127.0.0.1:0\"\n[log]\naccess = false\n\
         [tls]\nclient_ca = {{ file = \"{place}/clients.pem\", required = false }}\n\
         [[tls.cert]]\nchain = \"{place}/a.pem\"\nkey = \"{place}/a.key\"\n\
         [[host]]\nhandler = \"who\"\n"
    );
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let who = App::new().get("/", |request| {
            let client = request.client_certificate().unwrap_or("nobody");
            format!("{client} by {}", request.scheme())
        });
        let mut server = Server::from_text(config).app("who", who).quiet().start().unwrap();
        sender.send((server.address().unwrap(), server.stopper().unwrap())).unwrap();
        server.run().unwrap();
    });
    let (address, stopper) = receiver.recv_timeout(PATIENCE).unwrap();
    let (ada, nobody) = (ada(&authority), Arc::new(authority.client()));
    // In turns: nobody inherits a name.
    for (config, says) in
        [(&ada, "CN=Ada by https"), (&nobody, "nobody by https"), (&ada, "CN=Ada by https")]
    {
        let mut wire = TlsWire::to(address, config, "a.test");
        assert_eq!(wire.get("a.test", "/").unwrap().text(), says);
    }
    stopper.stop();
    thread.join().unwrap();
}

#[test]
fn a_name_is_in_the_lines_of_its_own_requests_only() {
    let authority = Authority::new();
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
        [log]\naccess = \"access.log\"\nformat = \"json\"\n[tls]\nclient_ca = \"clients.pem\"\n\
        [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n[[host]]\nrespond = \"in\"\n";
    let start = Start::new(config, &[("clients.pem", &authority.pem)]);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    let server = start.run();
    let ada = ada(&authority);
    let mut count = 0;
    for (target, plain) in [("/", "/"), ("/", "no request"), ("no request", "/"), ("no", "no")] {
        let mut wire = TlsWire::connect(&server, &ada, "a.test");
        let status = wire.get("a.test", target).unwrap().status;
        let other = server.ask(format!("GET {plain} HTTP/1.1\r\nHost: a.test\r\n\r\n")).status;
        assert_eq!((status == 200, other == 200), (target == "/", plain == "/"));
        crate::support::Wire::to(server.secure).get("/");
        count += 3;
    }
    let lines = || Some(server.read("access.log")).filter(|log| log.lines().count() >= count);
    let log = eventually(lines).unwrap();
    assert_eq!(log.matches(r#""scheme":"https""#).count(), 4, "{log}");
    for line in log.lines() {
        let encrypted = line.contains(r#""scheme":"https""#);
        assert_eq!(line.contains(r#""tls_client":"CN=Ada""#), encrypted, "{line}");
        assert_eq!(line.contains(r#""tls":"TLSv1.3""#), encrypted, "{line}");
        assert_eq!(line.contains(r#""tls_client":null,"#), !encrypted, "{line}");
    }
}

#[test]
fn a_session_is_worth_nothing_under_other_rules() {
    let (server, authority) = start("{ file = \"clients.pem\", required = false }");
    let (nobody, ada) = (Arc::new(authority.client()), ada(&authority));
    let ask = |config: &Arc<rustls::ClientConfig>| {
        let mut wire = TlsWire::connect(&server, config, "a.test");
        let answer = wire.get("a.test", "/").map(|response| response.status);
        answer.map(|status| (status, wire.stream.conn.handshake_kind().unwrap()))
    };
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        assert_eq!(ask(&nobody).unwrap(), (200, kind));
        assert_eq!(ask(&ada).unwrap(), (200, kind));
    }
    // Everybody needs one now: a ticket of before does not stand for it.
    let config = server.read("web.conf");
    server.configure(&config.replace("required = false", "required = true"));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert!(ask(&nobody).is_err());
    assert_eq!(ask(&ada).unwrap(), (200, HandshakeKind::Full));
    assert_eq!(ask(&ada).unwrap(), (200, HandshakeKind::Resumed));
    // Others are trusted now, which is heard of without a signal.
    let others = Authority::new();
    server.write("clients.pem", &others.pem);
    server.read_until("stderr.txt", "certificate files have changed");
    assert!(ask(&ada).is_err(), "what she resumes was begun under another authority");
    let bob = others.issue(&[], "Bob");
    let bob = Arc::new(authority.client_of(Some(&bob), rustls::ALL_VERSIONS));
    assert_eq!(ask(&bob).unwrap(), (200, HandshakeKind::Full));
}
