//! The certificate of our own making: for names of this machine, kept where nobody else looks.

use crate::support::{Authority, Start, TestServer, TlsWire, names_below, repository};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// A client that was told to trust the certificate in the state folder.
fn believer(state: &Path) -> Arc<rustls::ClientConfig> {
    let mut believer = Authority::new();
    believer.pem = std::fs::read_to_string(state.join(".tls/local.pem")).unwrap();
    Arc::new(believer.client())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_command_of_the_readme_serves_https_as_well() {
    let server = Start::shipped().run();
    let client = believer(&server.path("state"));
    // Browsers and OpenSSL do not take `*.localhost`, so the names are in it one by one.
    for (name, path) in [
        ("localhost", "/"),
        ("www.localhost", "/"),
        ("gallery.localhost", "/"),
        ("files.localhost", "/"),
        ("cgi.localhost", "/hello.sh"),
        #[cfg(feature = "demo")]
        ("demo.localhost", "/"),
    ] {
        let mut wire = TlsWire::connect(&server, &client, name);
        let host = format!("{name}:{}", server.secure.port());
        let head = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(wire.ask(&head).unwrap().status, 200, "{name}");
    }
    let plain = server.ask("GET / HTTP/1.1\r\nHost: gallery.localhost\r\n\r\n");
    assert_eq!(plain.status, 200);
    assert!(server.banner.contains("1 certificate, next expiry in 39"), "{}", server.banner);
    let folder = server.path("state/.tls");
    assert_eq!((mode(&folder), mode(&folder.join("local.key"))), (0o700, 0o600));
}

#[test]
fn it_is_kept_from_one_start_to_the_next() {
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\n[tls]\nlocal = true\n\
        [[host]]\nnames = [\"a.localhost\"]\nrespond = \"in\"\n";
    let start = Start::new(config, &[]);
    let key = start.path().join("state/.tls/local.key");
    let server = start.run();
    let first = std::fs::read(&key).unwrap();
    let ask = |server: &TestServer, name: &str| {
        let mut wire = TlsWire::connect(server, &believer(&server.path("state")), name);
        wire.get(name, "/").unwrap().text().to_owned()
    };
    assert_eq!(ask(&server, "a.localhost"), "in");
    server.signal(rustix::process::Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    assert_eq!(std::fs::read(&key).unwrap(), first);
    // Another name is another certificate, of the same key.
    let pem = server.path("state/.tls/local.pem");
    let first_pem = std::fs::read(&pem).unwrap();
    server.configure(&config.replace("a.localhost", "b.localhost"));
    server.signal(rustix::process::Signal::HUP);
    crate::support::eventually(|| (std::fs::read(&pem).unwrap() != first_pem).then_some(()))
        .expect("a new one is kept");
    assert_eq!(std::fs::read(&key).unwrap(), first);
    crate::support::eventually(|| {
        let mut wire = TlsWire::connect(&server, &believer(&server.path("state")), "b.localhost");
        wire.get("b.localhost", "/").ok()
    })
    .expect("the new one is shown");
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn without_a_place_for_it_there_is_one_all_the_same() {
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\n[tls]\nlocal = true\n\
        [[host]]\nnames = [\"localhost\"]\nrespond = \"in\"\n";
    let start = Start::new(config, &[("state", "a file where the folder should be")]);
    let server = start.run();
    assert!(server.banner.contains("unkept-certificate"), "{}", server.banner);
    let mut wire = TlsWire::connect(&server, &Arc::new(Authority::new().client()), "localhost");
    let error = wire.get("localhost", "/").unwrap_err();
    assert!(error.to_string().contains("certificate"), "it shows one: {error}");
}

/// A server that gives up root, what it shows to a client, and what it shows after a reload.
fn shown_before_and_after_a_reload(state_mode: u32) -> (TestServer, Vec<u8>, Vec<u8>) {
    let config = "[server]\nlisten = \"https://127.0.0.1:0\"\nuser = \"nobody\"\n\
        [tls]\nlocal = true\n[[host]]\nnames = [\"localhost\"]\nrespond = \"in\"\n";
    let start = Start::new(config, &[("state/here", ""), ("access.log", "")]);
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(start.path(), 0o755);
    open(&start.path().join("access.log"), 0o666);
    open(&start.path().join("state"), state_mode);
    let server = start.run();
    let shown = || {
        let mut wire = TlsWire::connect(&server, &believer(&server.path("state")), "localhost");
        wire.get("localhost", "/").expect("it is the one that was kept");
        wire.stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown();
    server.signal(rustix::process::Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let after = shown();
    (server, before, after)
}

#[test]
fn a_reload_shows_the_same_certificate_to_whoever_gave_up_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // The state folder may be entered by that account, or not.
    for mode in [0o755, 0o700] {
        let (server, before, after) = shown_before_and_after_a_reload(mode);
        assert_eq!(before, after, "{mode:o}");
        let said = server.read("stderr.txt");
        assert!(!said.contains("unkept-certificate"), "{mode:o}: {said}");
        let key = std::fs::metadata(server.path("state/.tls/local.key")).unwrap();
        assert_ne!(key.uid(), 0, "it is whose it has to be, {mode:o}");
    }
}

#[test]
fn no_private_key_lies_in_the_repository() {
    // So that this file is none of those that it finds.
    let word = ["PRIVATE", "KEY-----"].join(" ");
    let mut seen = 0;
    for folder in ["conf", "docroot", "docs", "examples", "fuzz", "scripts", "src", "tests"] {
        for path in names_below(&repository(folder)) {
            let skip = path.starts_with(repository("fuzz/target")) || !path.is_file();
            let Some(content) = (!skip).then(|| std::fs::read(&path).ok()).flatten() else {
                continue;
            };
            seen += 1;
            let found = memchr::memmem::find(&content, format!("BEGIN {word}").as_bytes());
            assert!(found.is_none(), "{}", path.display());
        }
    }
    assert!(seen > 100);
}
