//! Certificates that are renewed, and ones that cannot be used.

use crate::support::{Authority, Issued, Start, TestServer, TlsWire, eventually};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const CONFIG: &str = "[server]\nlisten = \"https://127.0.0.1:0\"\n\
    [[tls.cert]]\nchain = \"certs/a.pem\"\nkey = \"certs/a.key\"\n[[host]]\nrespond = \"in\"\n";

fn start(config: &str) -> (TestServer, Authority) {
    let authority = Authority::new();
    let start = Start::new(config, &[("certs/here", "")]);
    authority.issue(&["a.test"], "first").write(&start.path().join("certs"), "a");
    (start.run(), authority)
}

/// The certificate that a new client is shown.
fn shown(server: &TestServer, authority: &Authority) -> Vec<u8> {
    let mut config = authority.client();
    config.resumption = rustls::client::Resumption::disabled();
    let mut wire = TlsWire::connect(server, &Arc::new(config), "a.test");
    wire.get("a.test", "/").unwrap();
    wire.stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn der(issued: &Issued) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap().to_vec()
}

#[test]
fn renewed_files_are_taken_up_under_load_without_a_failed_request() {
    let (server, authority) = start(CONFIG);
    let config = Arc::new(authority.client());
    let (done, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let answered = AtomicUsize::new(0);
    let mut kept = TlsWire::connect(&server, &config, "a.test");
    assert_eq!(kept.get("a.test", "/").unwrap().status, 200);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let mut wire = TlsWire::connect(&server, &config, "a.test");
                    for _ in 0..5 {
                        match wire.get("a.test", "/") {
                            Ok(response) if response.status == 200 => {
                                answered.fetch_add(1, Ordering::Relaxed)
                            }
                            _ => failed.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                }
            });
        }
        for name in ["second", "third"] {
            let renewed = authority.issue(&["a.test"], name);
            renewed.write(&server.path("certs"), "a");
            eventually(|| (shown(&server, &authority) == der(&renewed)).then_some(()))
                .unwrap_or_else(|| panic!("{name} is never shown"));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(failed.into_inner(), 0);
    assert!(answered.into_inner() > 10);
    assert_eq!(kept.get("a.test", "/").unwrap().status, 200, "a former connection goes on");
}

#[test]
fn what_does_not_load_does_not_count() {
    let (server, authority) = start(CONFIG);
    let before = shown(&server, &authority);
    let other = authority.issue(&["a.test"], "other");
    std::fs::write(server.path("certs/a.key"), &other.key).unwrap();
    server.read_until("stderr.txt", "do not load; the old ones stay");
    server.read_until("stderr.txt", "the key is not that of the certificate");
    assert_eq!(shown(&server, &authority), before);
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "not reloaded");
    assert_eq!(shown(&server, &authority), before);
    // The other half arrives.
    std::fs::write(server.path("certs/a.pem"), &other.chain).unwrap();
    eventually(|| (shown(&server, &authority) == der(&other)).then_some(())).expect("taken up");
}

#[test]
fn without_watching_it_takes_a_signal() {
    let (server, authority) = start(&CONFIG.replace("[[tls", "[tls]\nwatch = false\n[[tls"));
    let renewed = authority.issue(&["a.test"], "second");
    renewed.write(&server.path("certs"), "a");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_ne!(shown(&server, &authority), der(&renewed));
    server.signal(Signal::HUP);
    eventually(|| (shown(&server, &authority) == der(&renewed)).then_some(())).expect("taken up");
}

#[test]
fn sessions_outlive_a_reload() {
    let (server, authority) = start(CONFIG);
    let config = Arc::new(authority.client());
    let mut wire = TlsWire::connect(&server, &config, "a.test");
    wire.get("a.test", "/").unwrap();
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded");
    let mut wire = TlsWire::connect(&server, &config, "a.test");
    wire.get("a.test", "/").unwrap();
    assert_eq!(wire.stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
}

/// As certbot does it: what is named are links, and a renewal turns them.
#[test]
fn links_that_are_turned_are_followed() {
    let authority = Authority::new();
    let start =
        Start::new(&CONFIG.replace("certs/", "live/"), &[("live/here", ""), ("archive/here", "")]);
    let place = start.path().to_owned();
    let turn = |n: usize| {
        let issued = authority.issue(&["a.test"], "a");
        issued.write(&place.join("archive"), &format!("a{n}"));
        for extension in ["key", "pem"] {
            let (link, draft) = (place.join(format!("live/a.{extension}")), place.join("draft"));
            std::os::unix::fs::symlink(format!("../archive/a{n}.{extension}"), &draft).unwrap();
            std::fs::rename(draft, link).unwrap();
        }
        issued
    };
    turn(1);
    let server = start.run();
    for n in 2..4 {
        let renewed = turn(n);
        eventually(|| (shown(&server, &authority) == der(&renewed)).then_some(()))
            .unwrap_or_else(|| panic!("number {n} is never shown"));
    }
}

/// As Kubernetes does it: a link to a folder is turned, and the old folder is removed. What is
/// written into the new one is heard of as well.
#[test]
fn a_folder_that_is_turned_is_followed() {
    let authority = Authority::new();
    let start = Start::new(CONFIG, &[("certs/one/here", "")]);
    let certs = start.path().join("certs");
    authority.issue(&["a.test"], "one").write(&certs.join("one"), "a");
    std::os::unix::fs::symlink("one", certs.join("data")).unwrap();
    for name in ["a.pem", "a.key"] {
        std::os::unix::fs::symlink(format!("data/{name}"), certs.join(name)).unwrap();
    }
    let server = start.run();
    let becomes = |issued: &Issued, what: &str| {
        eventually(|| (shown(&server, &authority) == der(issued)).then_some(()))
            .unwrap_or_else(|| panic!("{what}: never shown"));
    };
    std::fs::create_dir(certs.join("two")).unwrap();
    let second = authority.issue(&["a.test"], "two");
    second.write(&certs.join("two"), "a");
    std::os::unix::fs::symlink("two", certs.join("draft")).unwrap();
    std::fs::rename(certs.join("draft"), certs.join("data")).unwrap();
    std::fs::remove_dir_all(certs.join("one")).unwrap();
    becomes(&second, "the link was turned");
    let third = authority.issue(&["a.test"], "three");
    third.write(&certs.join("two"), "a");
    becomes(&third, "written where the link leads now");
}

#[test]
fn what_is_wrong_is_said_once_and_with_its_path() {
    let (server, authority) = start(CONFIG);
    let before = shown(&server, &authority);
    let complaints = || server.read("stderr.txt").matches("do not load").count();
    for (file, content, says) in [
        ("a.key", Some("rubbish"), "certs/a.key: there is no private key in it"),
        ("a.pem", Some("rubbish"), "certs/a.pem: there is no certificate in it"),
        ("a.key", None, "certs/a.key cannot be read: No such file"),
    ] {
        let path = server.path("certs").join(file);
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        server.read_until("stderr.txt", says);
        assert_eq!(shown(&server, &authority), before, "{says}");
    }
    // Other files come and go; it has been said.
    let said = complaints();
    for n in 0..3 {
        server.write("certs/other", n.to_string());
        std::thread::sleep(std::time::Duration::from_millis(600));
    }
    assert_eq!(complaints(), said, "{}", server.read("stderr.txt"));
    // One that has ended is worse than none that is new: it is taken, and said.
    let old = authority.issue_until(&["a.test"], "old", 2020);
    old.write(&server.path("certs"), "a");
    server.read_until("stderr.txt", "certs/a.pem expired");
    let renewed = authority.issue(&["a.test"], "new");
    renewed.write(&server.path("certs"), "a");
    eventually(|| {
        let mut config = authority.client();
        config.resumption = rustls::client::Resumption::disabled();
        let mut wire = TlsWire::connect(&server, &Arc::new(config), "a.test");
        wire.get("a.test", "/").ok()
    })
    .expect("the new one is taken up");
    assert_eq!(shown(&server, &authority), der(&renewed));
}
