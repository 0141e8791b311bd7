//! What `-t` and the start say of certificates.

use crate::support::{Authority, Issued, eventually, folder};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Checks a configuration of these certificates: the exit code, and what is said.
fn check(place: &Path, certificates: &str, host: &str) -> (Option<i32>, String) {
    let text = format!(
        "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:0\"]\n{certificates}\
         [[host]]\nnames = [\"a.test\"]\nrespond = \"x\"\n{host}"
    );
    check_text(place, &text)
}

fn check_text(place: &Path, text: &str) -> (Option<i32>, String) {
    std::fs::write(place.join("web.conf"), text).unwrap();
    let errors = std::fs::File::create(place.join("errors")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_httpyserver"))
        .args(["-c", "web.conf", "-t"])
        .current_dir(place)
        .env("STATE_DIRECTORY", place.join("state"))
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let status = eventually(|| child.try_wait().unwrap()).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("it hangs: {text}")
    });
    (status.code(), std::fs::read_to_string(place.join("errors")).unwrap())
}

fn pair(chain: &str, key: &str) -> String {
    format!("[[tls.cert]]\nchain = \"{chain}\"\nkey = \"{key}\"\n")
}

#[test]
fn each_mistake_has_its_caret_and_says_what_to_do() {
    let authority = Authority::new();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBAA==\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    let folder = folder(&[("no.pem", "text"), ("enc.key", encrypted), ("folder/x", "")]);
    let place = folder.path();
    authority.issue(&["a.test"], "a").write(place, "a");
    authority.issue(&["b.test"], "b").write(place, "b");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    // Line 4 is the chain, line 5 the key.
    for (chain, key, line, says) in [
        ("none.pem", "a.key", 4, "none.pem cannot be read: No such file"),
        ("a.pem", "none.key", 5, "none.key cannot be read: No such file"),
        ("folder", "a.key", 4, "folder cannot be read: it is no regular file"),
        ("a.pem", "pipe", 5, "pipe cannot be read: it is no regular file"),
        ("no.pem", "a.key", 4, "no.pem: there is no certificate in it\n"),
        ("a.key", "a.pem", 4, "a.key: there is no certificate in it, but a private key"),
        ("a.pem", "a.pem", 5, "a.pem: there is no private key in it, but a certificate"),
        ("a.pem", "no.pem", 5, "no.pem: there is no private key in it\n"),
        ("a.pem", "enc.key", 5, "enc.key: the key is encrypted; `openssl pkey"),
        ("a.pem", "b.key", 5, "a.pem with b.key: the key is not that of the certificate"),
    ] {
        let (code, err) = check(place, &pair(chain, key), "");
        assert_eq!(code, Some(3), "{chain} {key}: {err}");
        assert!(err.contains(&format!("error[bad-certificate]: {says}")), "{chain} {key}: {err}");
        assert!(err.contains(&format!("--> web.conf:{line}:")), "{chain} {key}: {err}");
    }
    // All at once.
    let many = "[tls]\nclient_ca = \"none.pem\"\n".to_owned()
        + &pair("none1.pem", "none2.key")
        + &pair("a.pem", "b.key");
    let (code, err) = check(place, &many, "");
    assert!(code == Some(3) && err.contains("4 errors"), "{err}");
    let (code, err) =
        check(place, &("[tls]\nclient_ca = \"no.pem\"\n".to_owned() + &pair("a.pem", "a.key")), "");
    assert!(code == Some(3) && err.contains("client_ca: no.pem: there is no certificate"), "{err}");
}

#[test]
fn a_chain_is_looked_at_to_its_end() {
    let authority = Authority::new();
    let folder = folder(&[]);
    let place = folder.path();
    let a = authority.issue(&["a.test"], "a");
    a.write(place, "a");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    for (chain, says) in [
        (a.chain.clone() + &authority.pem, None),
        (a.chain.clone() + no_certificate, Some("certificate number 2 in it is damaged")),
        (a.chain[..a.chain.len() / 2].to_owned(), Some("has no end; is it cut?")),
        (a.chain.clone() + &a.chain[..200], Some("has no end; is it cut?")),
    ] {
        std::fs::write(place.join("a.pem"), chain).unwrap();
        let (code, err) = check(place, &pair("a.pem", "a.key"), "");
        assert_eq!(code, Some(if says.is_some() { 3 } else { 0 }), "{err}");
        assert!(err.contains(says.unwrap_or_default()), "{err}");
    }
}

#[test]
fn a_mistake_in_an_address_is_not_followed_by_others_that_come_of_it() {
    let folder = folder(&[]);
    let text = "[server]\nlisten = [\"http://127.0.0.1:0\", \"https://127.0.0.1:99999\"]\n\
        [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n\
        [[host]]\nnames = [\"a.test\"]\nhttps = \"only\"\nrespond = \"x\"\n";
    let (code, err) = check_text(folder.path(), text);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("bad-listen") && !err.contains("nothing listens"), "{err}");
}

#[test]
fn a_key_that_may_not_be_read_is_said_to_be_so() {
    let authority = Authority::new();
    let folder = folder(&[]);
    let place = folder.path();
    authority.issue(&["a.test"], "a").write(place, "a");
    let set = |mode| {
        std::fs::set_permissions(place.join("a.key"), PermissionsExt::from_mode(mode)).unwrap();
    };
    for (mode, warned) in
        [(0o600, false), (0o640, false), (0o400, false), (0o644, true), (0o604, true)]
    {
        set(mode);
        let (code, err) = check(place, &pair("a.pem", "a.key"), "");
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(err.contains("warning[open-key]: everybody may read the key a.key"), warned);
        assert_eq!(err.contains("chmod 600"), warned, "{mode:o}: {err}");
    }
    // To the superuser nothing is closed.
    if !rustix::process::geteuid().is_root() {
        set(0);
        let (code, err) = check(place, &pair("a.pem", "a.key"), "");
        assert!(
            code == Some(3) && err.contains("a.key cannot be read: Permission denied"),
            "{err}"
        );
    }
}

#[test]
fn a_key_that_the_account_may_not_read_is_warned_of() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let authority = Authority::new();
    let folder = folder(&[]);
    let place = folder.path();
    authority.issue(&["a.test"], "a").write(place, "a");
    let set = |name: &str, mode| {
        std::fs::set_permissions(place.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    set("", 0o755);
    set("a.pem", 0o644);
    for (mode, warned) in [(0o600, true), (0o604, false)] {
        set("a.key", mode);
        // The text begins in `[server]`.
        let (code, err) =
            check(place, &("user = \"nobody\"\n".to_owned() + &pair("a.pem", "a.key")), "");
        assert_eq!(code, Some(0), "{err}");
        let says = err.contains("warning[withheld-certificate]: `nobody` may not read a.key");
        assert_eq!(says, warned, "{mode:o}: {err}");
    }
}

#[test]
fn names_are_held_against_the_certificate_that_is_shown() {
    let authority = Authority::new();
    let folder = folder(&[]);
    let place = folder.path();
    let write = |names: &[&str], name: &str| authority.issue(names, name).write(place, name);
    write(&["a.test"], "a");
    write(&["b.test", "*.b.test"], "b");
    write(&[], "a.test");
    let own = |pair: &str| format!("tls = {{ cert = \"{pair}.pem\", key = \"{pair}.key\" }}\n");
    let wild = "[[host]]\nnames = [\"*.b.test\", \"x.b.test\", \"x.y.b.test\"]\nrespond = \"b\"\n";
    for (certificates, host, warns) in [
        (pair("a.pem", "a.key"), String::new(), &[][..]),
        (pair("b.pem", "b.key"), String::new(), &["no certificate has the name `a.test`"]),
        (String::new(), own("a"), &[]),
        // Another one has the name, and is not the one that is shown.
        (
            pair("a.pem", "a.key"),
            own("b"),
            &["the certificate for `a.test` does not have that name"],
        ),
        (
            pair("a.pem", "a.key") + &pair("b.pem", "b.key"),
            wild.to_owned(),
            &["no certificate has the name `x.y.b.test`"],
        ),
        // Its common name is right, which helps nobody.
        (
            pair("a.test.pem", "a.test.key"),
            String::new(),
            &["a.test.pem has its names in a place where clients do not look"],
        ),
    ] {
        let (code, err) = check(place, &certificates, &host);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(err.matches("warning[").count(), warns.len(), "{certificates}{host}: {err}");
        assert!(warns.iter().all(|warning| err.contains(warning)), "{err}");
    }
}

#[test]
fn the_end_of_a_certificate_is_announced() {
    let authority = Authority::new();
    let folder = folder(&[]);
    let place = folder.path();
    let now = std::time::SystemTime::now();
    let days = |days: i64| {
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        since.saturating_add_signed(days * 86_400 + 3600)
    };
    let issue = |from: i64, until: i64| -> Issued {
        authority.issue_within(&["a.test"], "a", days(from), days(until))
    };
    for (from, until, says) in [
        (-9, 14, ""),
        (-9, 13, "warning[certificate-expires]: a.pem expires in 13 days"),
        (-9, 1, "warning[certificate-expires]: a.pem expires in 1 day\n"),
        (-9, 0, "warning[certificate-expires]: a.pem expires in less than a day"),
        (-9, -1, "warning[certificate-expires]: a.pem expired 1 day ago"),
        (-90, -8, "warning[certificate-expires]: a.pem expired 8 days ago"),
        (1, 90, "warning[certificate-expires]: a.pem is not valid yet"),
    ] {
        issue(from, until).write(place, "a");
        let (code, err) = check(place, &pair("a.pem", "a.key"), "");
        assert_eq!(code, Some(0), "{from} {until}: {err}");
        assert_eq!(err.is_empty(), says.is_empty(), "{from} {until}: {err}");
        assert!(err.contains(says), "{from} {until}: {err}");
    }
}
