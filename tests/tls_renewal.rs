//! Certificates that are renewed, and ones that cannot be used.

use crate::support::{Authority, Issued, Start, TestServer, TlsWire, within};
use rustix::process::Signal;
use std::fs::{create_dir, remove_dir_all, rename};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CONFIG: &str = "[server]\nlisten = \"https://127.0.0.1:0\"\n\
    [[tls.cert]]\nchain = \"certs/a.pem\"\nkey = \"certs/a.key\"\n[[host]]\nrespond = \"in\"\n";

fn start(config: &str) -> (TestServer, Authority) {
    let authority = Authority::new();
    let start = Start::new(config, &[("certs/here", "")]);
    authority.issue(&["a.test"], "first").write(&start.path().join("certs"), "a");
    (start.run(), authority)
}

/// As `eventually`, within less than the minute after which files are looked at unasked.
fn taken_up<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    within(Duration::from_secs(50), ask)
}

/// The certificate that a new client is shown.
fn shown(server: &TestServer, authority: &Authority) -> Vec<u8> {
    let mut config = authority.client();
    config.resumption = rustls::client::Resumption::disabled();
    let mut wire = TlsWire::connect(server, &Arc::new(config), "a.test");
    wire.get("a.test", "/").unwrap();
    wire.stream.conn.peer_certificates().unwrap()[0].to_vec()
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
            taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(()))
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
    taken_up(|| (shown(&server, &authority) == other.der()).then_some(())).expect("taken up");
}

#[test]
fn without_watching_it_takes_a_signal() {
    let (server, authority) = start(&CONFIG.replace("[[tls", "[tls]\nwatch = false\n[[tls"));
    let renewed = authority.issue(&["a.test"], "second");
    renewed.write(&server.path("certs"), "a");
    std::thread::sleep(Duration::from_millis(1200));
    assert_ne!(shown(&server, &authority), renewed.der());
    server.signal(Signal::HUP);
    taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(())).expect("taken up");
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
            symlink(format!("../archive/a{n}.{extension}"), &draft).unwrap();
            rename(draft, link).unwrap();
        }
        issued
    };
    turn(1);
    let server = start.run();
    for n in 2..4 {
        let renewed = turn(n);
        taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(()))
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
    symlink("one", certs.join("data")).unwrap();
    for name in ["a.pem", "a.key"] {
        symlink(format!("data/{name}"), certs.join(name)).unwrap();
    }
    let server = start.run();
    let becomes = |issued: &Issued, what: &str| {
        taken_up(|| (shown(&server, &authority) == issued.der()).then_some(()))
            .unwrap_or_else(|| panic!("{what}: never shown"));
    };
    create_dir(certs.join("two")).unwrap();
    let second = authority.issue(&["a.test"], "two");
    second.write(&certs.join("two"), "a");
    symlink("two", certs.join("draft")).unwrap();
    rename(certs.join("draft"), certs.join("data")).unwrap();
    remove_dir_all(certs.join("one")).unwrap();
    becomes(&second, "the link was turned");
    let third = authority.issue(&["a.test"], "three");
    third.write(&certs.join("two"), "a");
    becomes(&third, "written where the link leads now");
}

/// Files in `store/1`, what leads to them, and what a renewal with those of `store/2` does.
fn is_taken_up(what: &str, prepare: impl FnOnce(&Path), renew: impl FnOnce(&Path)) {
    let authority = Authority::new();
    let start = Start::new(CONFIG, &[("store/1/here", ""), ("store/2/here", "")]);
    let place = start.path().to_owned();
    let renewed = authority.issue(&["a.test"], "second");
    authority.issue(&["a.test"], "first").write(&place.join("store/1"), "a");
    renewed.write(&place.join("store/2"), "a");
    prepare(&place);
    let server = start.run();
    // The first look is over.
    std::thread::sleep(Duration::from_millis(700));
    renew(&place);
    taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(())).unwrap_or_else(|| {
        panic!("{what}: not shown in less than the minute that is its time unasked")
    });
}

#[test]
fn a_link_to_the_folder_that_is_turned_is_followed() {
    let turn = |place: &Path, to: &str| {
        symlink(to, place.join("draft")).unwrap();
        rename(place.join("draft"), place.join("certs")).unwrap();
    };
    is_taken_up("a linked folder", |place| turn(place, "store/1"), |place| turn(place, "store/2"));
}

#[test]
fn a_link_in_the_middle_of_others_is_followed() {
    let turn = |place: &Path, to: &str| {
        for name in ["a.key", "a.pem"] {
            symlink(format!("../store/{to}/{name}"), place.join("draft")).unwrap();
            rename(place.join("draft"), place.join("middle").join(name)).unwrap();
        }
    };
    let prepare = |place: &Path| {
        for folder in ["certs", "middle"] {
            create_dir(place.join(folder)).unwrap();
        }
        for name in ["a.key", "a.pem"] {
            symlink(format!("../middle/{name}"), place.join("certs").join(name)).unwrap();
        }
        turn(place, "1");
    };
    is_taken_up("the middle link", prepare, |place| turn(place, "2"));
}

#[test]
fn a_folder_that_is_moved_or_made_again_is_followed() {
    let prepare = |place: &Path| rename(place.join("store/1"), place.join("certs")).unwrap();
    is_taken_up("swapped", prepare, |place| {
        rename(place.join("certs"), place.join("old")).unwrap();
        rename(place.join("store/2"), place.join("certs")).unwrap();
    });
    is_taken_up("removed and made again", prepare, |place| {
        remove_dir_all(place.join("certs")).unwrap();
        // Longer than a look waits for quiet.
        std::thread::sleep(Duration::from_secs(1));
        create_dir(place.join("certs")).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        for name in ["a.key", "a.pem"] {
            let from = place.join("store/2").join(name);
            std::fs::copy(from, place.join("certs").join(name)).unwrap();
        }
    });
}

/// The new key was an ordinary file, and served, until it was one.
#[test]
fn a_renewed_key_is_not_served() {
    let authority = Authority::new();
    let config = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
        [[tls.cert]]\nchain = \"certs/a.pem\"\nkey = \"certs/a.key\"\n[[host]]\nroot = \".\"\n";
    let start = Start::new(config, &[("certs/here", ""), ("store/here", "")]);
    let place = start.path().to_owned();
    let turn = |n: usize| {
        let issued = authority.issue(&["a.test"], "a");
        issued.write(&place.join("store"), &format!("{n}"));
        issued
    };
    let link = |n: usize| {
        for extension in ["key", "pem"] {
            symlink(format!("../store/{n}.{extension}"), place.join("draft")).unwrap();
            rename(place.join("draft"), place.join(format!("certs/a.{extension}"))).unwrap();
        }
    };
    turn(1);
    link(1);
    symlink("certs/a.key", place.join("alias")).unwrap();
    let server = start.run();
    let renewed = turn(2);
    assert_eq!(server.get("/store/2.key").status, 200, "nothing says what it is");
    link(2);
    assert_eq!(server.get("/certs/a.key").status, 404, "before it is noticed");
    taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(())).expect("taken up");
    for path in ["/certs/a.key", "/alias", "/store/1.key", "/store/2.key"] {
        let is_closed = || (server.get(path).status == 404).then_some(());
        taken_up(is_closed).unwrap_or_else(|| panic!("{path} is served"));
    }
    assert_eq!(server.get("/certs/a.pem").status, 200, "a chain is for everybody");
}

/// As certbot leaves it: only root may read the key, and the server has given root up.
#[test]
fn what_only_root_may_read_goes_on_through_reloads() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // One of our own making lies beside it, and may be read again.
    let config = CONFIG.replace("\n[[tls", "\nuser = \"nobody\"\n[tls]\nlocal = true\n[[tls");
    let authority = Authority::new();
    let start = Start::new(&config, &[("certs/here", ""), ("access.log", "")]);
    authority.issue(&["a.test"], "first").write(&start.path().join("certs"), "a");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    open(start.path(), 0o755);
    open(&start.path().join("access.log"), 0o666);
    open(&start.path().join("certs"), 0o700);
    let server = start.run();
    assert!(server.banner.contains("withheld-certificate"), "{}", server.banner);
    let before = shown(&server, &authority);
    let certs = server.path("certs");
    let said = server.read_until("stderr.txt", "a.pem may no longer be read");
    assert!(said.contains(&format!("{}: Permission denied", certs.display())), "{said}");
    assert!(said.contains("certificates stay as they are"), "{said}");
    assert!(!said.contains("changed"), "{said}");
    server.configure(&config.replace("\"in\"", "\"new\""));
    server.signal(Signal::HUP);
    server.read_until("stderr.txt", "reloaded\n");
    assert_eq!(shown(&server, &authority), before);
    // It is given the right, and sees what there is now.
    let renewed = authority.issue(&["a.test"], "second");
    renewed.write(&certs, "a");
    for name in ["a.pem", "a.key"] {
        open(&certs.join(name), 0o644);
    }
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(shown(&server, &authority), before);
    open(&certs, 0o755);
    taken_up(|| (shown(&server, &authority) == renewed.der()).then_some(())).expect("taken up");
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
        std::thread::sleep(Duration::from_millis(600));
    }
    assert_eq!(complaints(), said, "{}", server.read("stderr.txt"));
    // One that has ended is worse than none that is new: it is taken, and said.
    let old = authority.issue_until(&["a.test"], "old", 2020);
    old.write(&server.path("certs"), "a");
    server.read_until("stderr.txt", "certs/a.pem expired");
    let renewed = authority.issue(&["a.test"], "new");
    renewed.write(&server.path("certs"), "a");
    taken_up(|| {
        let mut config = authority.client();
        config.resumption = rustls::client::Resumption::disabled();
        let mut wire = TlsWire::connect(&server, &Arc::new(config), "a.test");
        wire.get("a.test", "/").ok()
    })
    .expect("the new one is taken up");
    assert_eq!(shown(&server, &authority), renewed.der());
}
