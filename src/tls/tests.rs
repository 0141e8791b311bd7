use super::certificate::Certificate;
use super::choice::Choice;
use super::{Plan, local};
use crate::conf::{Source, load};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn issue(names: &[&str]) -> Certificate {
    issue_with(names, &KeyPair::generate().unwrap())
}

fn issue_with(names: &[&str], key: &KeyPair) -> Certificate {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let chain = CertificateParams::new(names).unwrap().self_signed(key).unwrap().pem();
    let provider = aws_lc_rs::default_provider();
    Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes(), &provider).unwrap()
}

fn choice() -> Choice {
    Choice::new(vec![
        (issue(&["first.test", "*.Example.org"]), vec![]),
        (issue(&["deep.example.org", "*.deep.example.org", "127.0.0.1", "::1"]), vec![]),
        (issue(&["odd.test", "first.test"]), vec!["given.test".into(), "*.given.test".into()]),
    ])
}

#[test]
fn exact_beats_wildcard_beats_the_first() {
    let choice = choice();
    for (name, want) in [
        (None, 0),
        (Some("first.test"), 0),
        (Some("nobody.test"), 0),
        (Some("a.example.org"), 0),
        (Some("deep.example.org"), 1),
        (Some("x.deep.example.org"), 1),
        // No wildcard of a certificate stands for two labels.
        (Some("x.y.deep.example.org"), 0),
        (Some(".deep.example.org"), 0),
        (Some("127.0.0.1"), 1),
        (Some("[::1]"), 1),
        (Some("odd.test"), 2),
        // As clients say it that end all names with the dot of the root.
        (Some("odd.test."), 2),
        (Some("a.example.org."), 0),
        // What a host was given, it gets, as deep as its own wildcard goes.
        (Some("given.test"), 2),
        (Some("a.b.given.test"), 2),
    ] {
        assert_eq!(choice.choose(name), want, "{name:?}");
    }
}

#[test]
fn a_request_belongs_to_the_certificate_that_was_shown() {
    let choice = choice();
    for (shown, asked, want) in [
        (Some("first.test"), Some("a.example.org"), true),
        (Some("a.example.org"), Some("deep.example.org"), true), // the wildcard has that name, too
        (Some("a.example.org"), Some("x.deep.example.org"), false),
        (Some("deep.example.org"), Some("first.test"), false),
        (Some("odd.test"), Some("first.test"), true), // both have it
        (Some("odd.test."), Some("odd.test"), true),
        (Some("odd.test"), None, false),
        (None, None, true),
        (None, Some("nobody.test"), true),
        (None, Some("odd.test"), false),
    ] {
        assert_eq!(choice.belongs(shown, asked), want, "{shown:?} {asked:?}");
    }
}

#[test]
fn of_a_name_there_is_one_of_each_kind_and_rsa_comes_last() {
    let rsa = |names: &[&str]| {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        issue_with(names, &key)
    };
    let list = vec![
        (rsa(&["a.test", "b.test"]), vec![]),
        (issue(&["b.test", "a.test"]), vec![]),
        (issue(&["a.test"]), vec![]),
        (rsa(&["*.w.test"]), vec![]),
        (issue(&["*.w.test"]), vec![]),
        (rsa(&["given.test"]), vec!["given.test".into()]),
        (issue(&["given.test"]), vec![]),
    ];
    let choice = Choice::new(list);
    for (name, want) in [
        (Some("a.test"), 1),
        (Some("b.test"), 1),
        (Some("x.w.test"), 4),
        (Some("nobody.test"), 1),
        (None, 1),
        // A host was given that one.
        (Some("given.test"), 5),
    ] {
        assert_eq!(choice.choose(name), want, "{name:?}");
    }
    assert!(choice.belongs(Some("a.test"), Some("nobody.test")), "as with one for all of them");
    assert_eq!(choice.never_shown().collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn a_local_certificate_is_kept_until_it_does_not_serve() {
    const DAY: i64 = 86_400;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("state");
    let provider = aws_lc_rs::default_provider();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let now = 1_800_000_000;
    let get = |wanted: &[&str], keep, now| {
        let local =
            local::certificate(&names(wanted), Some(&place), None, keep, now, &provider).unwrap();
        assert_eq!(local.unkept, None);
        (local.certificate.certified.end_entity_cert().unwrap().to_vec(), local.certificate)
    };
    let (_, checked) = get(&["localhost"], false, now);
    assert!(!place.exists() && checked.covers("localhost"), "to check is to write nothing");
    let (first, certificate) = get(&["localhost", "*.localhost", "::1"], true, now);
    assert_eq!(certificate.names, ["localhost", "*.localhost", "::1"]);
    assert!((395..=397).contains(&certificate.days_left(now)), "{}", certificate.days_left(now));
    assert!(certificate.not_before < now);
    let key = std::fs::metadata(place.join("local.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(get(&["localhost"], true, now + 300 * DAY).0, first, "kept");
    let key_file = || std::fs::read(place.join("local.key")).unwrap();
    let first_key = key_file();
    let (second, certificate) = get(&["localhost", "new.localhost"], true, now);
    assert_ne!(second, first, "a name was missing");
    // Whoever else shares the folder is served by it as well.
    assert_eq!(certificate.names, ["localhost", "new.localhost", "*.localhost", "::1"]);
    assert_eq!(key_file(), first_key);
    assert_eq!(get(&["localhost", "*.localhost", "::1"], true, now).0, second, "no war");
    assert_ne!(get(&["localhost"], true, now + 370 * DAY).0, second, "it was about to end");
    assert_ne!(key_file(), first_key, "nor is its key for ever");
    let many: Vec<_> = (0..150).map(|n| format!("n{n}.localhost")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    get(&many[..90], true, now);
    assert_eq!(get(&many[80..120], true, now).1.names.len(), 100, "there is an end to it");
    assert_eq!(get(&many, true, now).1.names.len(), 150, "but not to what is asked for");
    std::fs::write(place.join("local.key"), "garbage").unwrap();
    get(&["localhost"], true, now);
    assert!(std::fs::read_to_string(place.join("local.key")).unwrap().contains("PRIVATE KEY"));
    let nowhere = Path::new("/proc/nowhere");
    let get = |former: Option<&Certificate>, now| {
        let names = names(&["localhost"]);
        local::certificate(&names, Some(nowhere), former, true, now, &provider).unwrap()
    };
    let made = get(None, now);
    assert!(made.unkept.unwrap().contains("/proc/nowhere"));
    let served = made.certificate;
    let again = get(Some(&served), now);
    assert!(Arc::ptr_eq(&again.certificate.certified, &served.certified) && again.unkept.is_none());
    let renewed = get(Some(&served), now + 380 * DAY);
    assert!(!Arc::ptr_eq(&renewed.certificate.certified, &served.certified));
}

#[test]
fn a_plan_names_what_it_needs() {
    let text = "[server]\nlisten = ['http://*:1', 'https://*:2']\n[tls]\nlocal = true\n\
        client_ca = 'ca/c.pem'\n[[tls.cert]]\nchain = 'a/x.pem'\nkey = 'b/x.key'\n\
        [[host]]\nnames = ['a.localhost', '*.b.localhost', 'c.test']\nrespond = 'x'\n";
    let config = |text: &str| {
        let source = Source { name: "web.conf".into(), text: text.into() };
        load(source, Path::new("/nowhere"), None).0.unwrap()
    };
    let plan = Plan::of(&config(text)).unwrap();
    assert!(plan.is_watched());
    assert_eq!(plan.folders(), [Path::new("/")], "where it would come to be");
    let errors = plan.load(None, false, &mut Vec::new()).unwrap_err();
    let said: Vec<_> = errors.iter().map(|error| (error.name, error.span.is_empty())).collect();
    assert_eq!(said, [("bad-certificate", false); 3], "all at once, each with its place");
    let unwatched = text.replace("local = true", "local = true\nwatch = false");
    assert!(!Plan::of(&config(&unwatched)).unwrap().is_watched());
    let only_local = "[server]\nlisten = 'https://*:2'\n[tls]\nlocal = true\n\
        [[host]]\nnames = ['a.localhost', '*.b.localhost', 'c.test']\nrespond = 'x'\n";
    let mut warnings = Vec::new();
    let secured = Plan::of(&config(only_local)).unwrap().load(None, false, &mut warnings).unwrap();
    let warned: Vec<_> = warnings.iter().map(|warning| &*warning.message).collect();
    assert_eq!(warned, ["no certificate has the name `c.test`"]);
    assert!(secured.to_string().starts_with("1 certificate, next expiry in 39"), "{secured}");
    assert!(secured.belongs(Some("x"), Some(b"y")), "there is only one");
    assert!(Plan::of(&config("[[host]]\nrespond = 'x'\n")).is_none());
}

/// Every short name of a message is explained.
#[test]
fn messages_are_documented() {
    let documented = include_str!("../../docs/errors.md");
    let source = concat!(include_str!("plan.rs"), include_str!("pair.rs"));
    let mut seen = 0;
    for after in source.split("Diagnostic::").skip(1) {
        let Some((_, after)) = after.split_once('"') else { continue };
        let name = after.split('"').next().unwrap();
        if name.contains('-') && !name.contains(' ') {
            assert!(documented.contains(&format!("\n## {name}\n")), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}
