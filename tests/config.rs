//! The command line, and what it says about a configuration.

use crate::support::{Authority, Start, TestServer, folder, repository, run};
use rustix::process::Signal;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const GOOD: &str = "[[host]]\nroot = \"docs\"\n";
const TWO_MISTAKES: &str = "[timeouts]\nidle = 30\n\n[[host]]\nrooot = \"docs\"\n";

#[test]
fn exit_codes() {
    let files = [("good.conf", GOOD), ("bad.conf", TWO_MISTAKES), ("docs/a", ""), ("lone/x", "")];
    let folder = folder(&files);
    for (arguments, code, says) in [
        (&["-c", "good.conf", "-t"][..], 0, "good"),
        (&["-c", "good.conf", "-T"], 0, "[[host]]"),
        (&["-V"], 0, "httpyserver "),
        (&["--help"], 0, "Examples"),
        (&["-h"], 0, "Usage"),
        (&["-c", "bad.conf", "-t"], 3, "2 errors"),
        (&["-c", "bad.conf"], 3, "2 errors"),
        (&["-c", "none.conf"], 3, "none.conf"),
        (&["-c", "none.conf", "-t"], 3, "none.conf"),
        (&["nowhere"], 1, "nowhere"),
        (&["good.conf"], 1, "-c"),
        (&["--bogus"], 2, "--bogus"),
        (&["-p", "70000", "docs"], 2, "70000"),
        (&["-b", "nonsense", "docs"], 2, "nonsense"),
        (&["-c", "good.conf", "docs"], 2, "cannot be used"),
        (&["docs", "lone"], 2, "one folder"),
        (&["docs", "explain"], 2, "explain"),
    ] {
        let (got, out, err) = run(folder.path(), arguments, "");
        assert_eq!(got, Some(code), "{arguments:?}: {out}{err}");
        assert!((out.clone() + &err).contains(says), "{arguments:?}: {out}{err}");
        let quiet = if code == 0 { &err } else { &out };
        assert_eq!(quiet, "", "{arguments:?}: the right stream");
    }
}

#[test]
fn two_mistakes_two_messages_with_carets() {
    let folder = folder(&[("web.conf", TWO_MISTAKES)]);
    let (_, _, err) = run(folder.path(), &["-c", "web.conf", "-t"], "");
    for text in [
        "error[missing-unit]",
        "--> web.conf:2:8",
        "^^ write \"30s\"",
        "error[unknown-key]: `rooot` is not a key of [[host]]",
        "--> web.conf:5:1",
        "^^^^^ did you mean `root`?",
        "web.conf: 2 errors",
    ] {
        assert!(err.contains(text), "no {text:?} in\n{err}");
    }
    assert!(!err.contains('\x1b'), "colour in a pipe:\n{err}");
    let (_, _, coloured) = run(folder.path(), &["-c", "web.conf", "-t", "--color", "always"], "");
    assert!(coloured.contains('\x1b'));
    let (_, _, plain) = run(folder.path(), &["-c", "web.conf", "-t", "--color", "never"], "");
    assert_eq!(plain, err);
}

#[test]
fn standard_input_and_round_trip() {
    let folder = folder(&[("docs/a", "")]);
    let (code, _, _) = run(folder.path(), &["-c", "-", "-t"], GOOD);
    assert_eq!(code, Some(0));
    let (code, _, err) = run(folder.path(), &["-c", "-", "-t"], TWO_MISTAKES);
    assert!(code == Some(3) && err.contains("standard input:5:1"), "{err}");
    for text in [GOOD, "host default docs\nparameter timeout 5\nmedia x text/x\n"] {
        let (code, shown, err) = run(folder.path(), &["-c", "-", "-T"], text);
        assert_eq!(code, Some(0), "{err}");
        let (code, again, err) = run(folder.path(), &["-c", "-", "-T"], &shown);
        assert_eq!(
            (code, again),
            (Some(0), shown),
            "what -T prints is itself a configuration: {err}"
        );
    }
}

#[test]
fn a_port_that_is_taken_names_who_has_it() {
    let server = TestServer::of_files(&[("root/a.txt", "")]);
    let folder = folder(&[("docs/a", "")]);
    let (code, _, err) =
        run(folder.path(), &["-p", &server.address.port().to_string(), "docs"], "");
    assert_eq!(code, Some(1), "{err}");
    let pid = server.pid().as_raw_nonzero().to_string();
    for text in [&*server.address.port().to_string(), "taken by httpyserver", &pid, "-p 0"] {
        assert!(err.contains(text), "no {text:?} in {err}");
    }
}

#[test]
fn quick_mode() {
    let files = [("pics/a.txt", "hello"), ("pics/.env", "SECRET")];
    for (arguments, why) in [(&["pics"][..], ""), (&[], "because there is no web.conf")] {
        let folder = folder(&files);
        let place =
            if arguments.is_empty() { folder.path().join("pics") } else { folder.path().into() };
        let server = Start::quick(folder, &place, arguments).run();
        assert!(server.banner.contains(why), "{}", server.banner);
        assert!(server.banner.contains("http://127.0.0.1:"), "{}", server.banner);
        assert!(server.address.ip().is_loopback() && server.address.port() != 0);
        let listing = server.get("/");
        assert!(listing.status == 200 && listing.text().contains("a.txt"), "{}", listing.text());
        assert!(!listing.text().contains(".env"));
        assert_eq!(server.get("/a.txt").text(), "hello");
        assert_eq!(server.get("/.env").status, 404);
        assert_eq!(
            server.ask("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").status,
            405
        );
    }
}

#[test]
fn the_help_fits_a_terminal() {
    for option in ["-h", "--help"] {
        let (_, out, _) = run(Path::new("/"), &[option], "");
        for line in out.lines() {
            assert!(line.chars().count() <= 80, "{option}: {line}");
        }
    }
}

/// `httpyserver -t 2>&1 | head -1`: the code says what it would have said.
#[test]
fn a_reader_that_has_left_changes_no_exit_code() {
    let warned = "[[host]]\nroot = 'nowhere'\n";
    let folder = folder(&[("bad.conf", "[[host]]\nrooot = 1\n"), ("warned.conf", warned)]);
    for (arguments, code) in [
        (&["-t", "-c", "bad.conf"][..], 3),
        (&["-t", "-c", "warned.conf"], 0),
        (&["-T", "-c", "warned.conf"], 0),
        (&["-t", "-c", "none.conf"], 3),
        (&["hash-password", ""], 1),
    ] {
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_httpyserver"));
        command.args(arguments).current_dir(folder.path()).stdin(std::process::Stdio::null());
        let status = command.stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn the_shipped_files_are_good() {
    for name in ["web.conf", "web.conf.classic"] {
        let (code, _, err) = run(&repository("conf"), &["-c", name, "-t"], "");
        assert_eq!(code, Some(0), "{name}: {err}");
    }
    // This one names certificates, which nobody ships.
    let folder = folder(&[]);
    let full = std::fs::read_to_string(repository("conf/web.conf.full")).unwrap();
    // Applications are parts of a program, and this one may be built without any.
    let (mut without, mut taken) = (String::new(), 0);
    for line in full.lines() {
        let key = line.trim_start();
        taken += usize::from(key.starts_with("handler = "));
        if cfg!(feature = "demo") {
            without = without + line + "\n";
        } else if key.starts_with("handler = ") {
            without += "respond = \"\"\n";
        } else if !key.starts_with("options = ") {
            without = without + line + "\n";
        }
    }
    assert_eq!(taken, 1);
    // Every machine has this user.
    let without = without.replace("\"www-data\"", "\"root\"");
    std::fs::write(folder.path().join("full.conf"), without).unwrap();
    let authority = Authority::new();
    authority.issue(&["example.org", "www.example.org"], "a").write(folder.path(), "example.org");
    authority.issue(&["old.example.org"], "b").write(folder.path(), "old");
    std::fs::write(folder.path().join("clients.pem"), &authority.pem).unwrap();
    let users = format!("ann:{}\n", bcrypt::hash("sesame", 4).unwrap());
    for file in ["htpasswd", "uploaders"] {
        std::fs::write(folder.path().join(file), &users).unwrap();
    }
    let (code, _, err) = run(folder.path(), &["-c", "full.conf", "-t"], "");
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("closed.example.org") && !err.contains("`old.example.org`"), "{err}");
}

#[test]
fn what_would_keep_it_from_starting_is_found_and_nothing_is_made() {
    let folder = folder(&[("docs/a", ""), ("logs/x", "")]);
    let listing = || {
        let names = std::fs::read_dir(folder.path())
            .unwrap()
            .chain(std::fs::read_dir(folder.path().join("logs")).unwrap());
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    for (lines, code, says) in [
        ("[log]\nerror = \"logs/e\"\naccess = \"logs/a\"", 0, "good"),
        ("[log]\nerror = \"none/e\"", 3, "error[missing-folder]"),
        ("[log]\naccess = \"docs/a/x\"", 3, "error[missing-folder]"),
        ("[log]\nerror = \"logs\"", 3, "error[missing-folder]"),
        ("[server]\nlisten = \"unix:none/web.sock\"", 3, "error[missing-folder]"),
        ("[server]\nlisten = \"unix:logs/web.sock\"", 0, "good"),
        ("[server]\npid_file = \"none/pid\"", 3, "error[missing-folder]"),
        ("[server]\nlisten = \"http://192.0.2.1:0\"", 0, "warning[missing-address]"),
        ("[server]\nlisten = \"http://127.0.0.1:0\"", 0, "good"),
    ] {
        let before = listing();
        let text = format!("{lines}\n{GOOD}");
        let (got, out, err) = run(folder.path(), &["-c", "-", "-t"], &text);
        assert_eq!(got, Some(code), "{text}{out}{err}");
        assert!((out + &err).contains(says), "{text}{err}");
        assert_eq!(listing(), before, "{text}");
    }
    let documented = std::fs::read_to_string(repository("docs/errors.md")).unwrap();
    for name in ["missing-folder", "missing-address", "unwritable-path", "withheld-port"] {
        assert!(documented.contains(&format!("\n## {name}\n")), "{name}");
    }
}

#[test]
fn too_few_descriptors_are_told_before_the_start() {
    let folder = folder(&[("docs/a", "")]);
    let check = |limits: &str, connections: usize| {
        let text = format!("[limits]\nconnections = {connections}\n{GOOD}");
        std::fs::write(folder.path().join("web.conf"), text).unwrap();
        let script = format!("ulimit {limits}; exec \"$0\" -c web.conf -t");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_httpyserver")])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = check("-n 256", 10_000);
    assert!(told.contains("warning[few-descriptors]: 192 connections are possible"), "{told}");
    assert_eq!(check("-n 256", 192), "");
    assert_eq!(check("-Sn 256", 193), "", "the soft limit is raised");
}

#[test]
fn a_user_that_nobody_has_is_found_before_the_start() {
    let text = "[server]\nuser = \"no-such-user\"\n[[host]]\nroot = \"docs\"\n";
    let folder = folder(&[("web.conf", text), ("docs/a", "")]);
    for arguments in [&["-c", "web.conf", "-t"][..], &["-c", "web.conf"]] {
        let (code, _, err) = run(folder.path(), arguments, "");
        assert_eq!(code, Some(3), "{err}");
        assert!(err.contains("error[missing-user]") && err.contains("web.conf:2:8"), "{err}");
    }
}

#[test]
fn logs_can_be_opened_again_after_root_was_given_up() {
    let text = "[server]\nlisten = \"http://127.0.0.1:0\"\nuser = \"nobody\"\n[log]\n\
                access = \"access.log\"\nerror = \"error.log\"\n[[host]]\nroot = \"root\"\n";
    let start = Start::new(text, &[("root/a", "a")]);
    if !rustix::process::geteuid().is_root() {
        // Then it cannot become anybody, and says so instead of going on as it is.
        let (code, _, err) = run(start.path(), &["-c", "web.conf"], "");
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("cannot become the user"), "{err}");
        return;
    }
    std::fs::set_permissions(start.path(), Permissions::from_mode(0o755)).unwrap();
    let server = start.run();
    server.signal(Signal::HUP);
    server.read_until("error.log", "reloaded");
    assert!(!server.read("error.log").contains("cannot"), "{}", server.read("error.log"));
}

#[test]
fn certificates_are_checked_before_the_start() {
    let authority = Authority::new();
    let folder = folder(&[("root/x", ""), ("garbage.pem", "no PEM"), ("garbage.key", "no PEM")]);
    let a = authority.issue(&["a.test"], "a");
    a.write(folder.path(), "a");
    authority.issue(&["b.test"], "b").write(folder.path(), "b");
    authority.issue_until(&["a.test"], "old", 2020).write(folder.path(), "old");
    let check = |chain: &str, key: &str| {
        let text = format!(
            "[server]\nlisten = \"https://127.0.0.1:0\"\n[[tls.cert]]\nchain = \"{chain}\"\n\
             key = \"{key}\"\n[[host]]\nnames = [\"a.test\"]\nroot = \"root\"\n"
        );
        std::fs::write(folder.path().join("web.conf"), text).unwrap();
        let (code, _, err) = run(folder.path(), &["-c", "web.conf", "-t"], "");
        (code, err)
    };
    for (chain, key, code, says) in [
        ("a.pem", "a.key", 0, ""),
        ("a.pem", "b.key", 3, "error[bad-certificate]: a.pem with b.key: the key is not that"),
        ("b.pem", "b.key", 0, "warning[name-without-certificate]"),
        ("old.pem", "old.key", 0, "warning[certificate-expires]: old.pem expired"),
        ("none.pem", "a.key", 3, "none.pem cannot be read"),
        ("garbage.pem", "a.key", 3, "no certificate in it"),
        ("a.pem", "garbage.key", 3, "no private key in it"),
        ("a.key", "a.pem", 3, "no certificate in it"),
    ] {
        let (got, err) = check(chain, key);
        assert_eq!(got, Some(code), "{chain} {key}: {err}");
        assert!(err.contains(says), "{chain} {key}: {err}");
    }
    let open = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("a.key"), open).unwrap();
    assert!(check("a.pem", "a.key").1.contains("warning[open-key]"));
    // To check is to leave everything as it is.
    let (code, _, err) = run(&repository("conf"), &["-c", "web.conf", "-t"], "");
    assert_eq!(code, Some(0), "{err}");
}
