//! Folders of routes: their names are followed anew, and those nobody asks for cost nothing.

use crate::support::{Start, TestServer, eventually, run};
use std::fs::{self, rename};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

fn turn(place: &Path, target: &str, link: &str) {
    symlink(target, place.join("draft")).unwrap();
    rename(place.join("draft"), place.join(link)).unwrap();
}

#[test]
fn a_release_is_turned_by_its_link_and_in_one_piece() {
    for (root, link) in [("now", "now"), ("now/www", "now"), ("www/in", "www/in")] {
        let config = format!(
            "[[host]]\nnames = [\"a\"]\ndefault = true\nroot = \"{root}\"\n[[host]]\nnames = [\"b\"]\nroot = \"{root}\"\n"
        );
        let start = Start::new(&config, &[("www/here", ""), ("both.txt", "none")]);
        let place = start.path().to_owned();
        let base = if link == "now" { "" } else { "www/" };
        let below = if root == "now/www" { "www/" } else { "" };
        for name in ["r1", "r2"] {
            let folder = place.join(base).join(name).join(below);
            fs::create_dir_all(&folder).unwrap();
            for file in ["both.txt", "style.css", &format!("only-{name}.txt")] {
                fs::write(folder.join(file), name).unwrap();
            }
        }
        turn(&place, "r1", link);
        let server = start.run();
        for path in ["/both.txt", "/style.css", "/only-r1.txt"] {
            assert_eq!(server.get(path).text(), "r1", "{root} {path}");
        }
        assert_eq!(server.get("/only-r2.txt").status, 404);
        turn(&place, "r2", link);
        let is_new = || (server.get("/both.txt").text() == "r2").then_some(());
        eventually(is_new).expect("the new release");
        // From there on nothing is of the former one, whatever was asked for before.
        for (path, status) in [("/style.css", 200), ("/only-r2.txt", 200), ("/only-r1.txt", 404)] {
            let answer = server.get(path);
            assert_eq!(answer.status, status, "{root} {path}");
            assert!(status == 404 || answer.text() == "r2", "{root} {path}");
            let url = format!("http://localhost{path}");
            let (_, told, _) = run(&place, &["explain", "-c", "web.conf", &url], "");
            assert!(told.contains(&status.to_string()), "{told}");
        }
        let other = server.ask("GET /style.css HTTP/1.1\r\nHost: b\r\n\r\n");
        assert_eq!(other.text(), "r2");
        fs::remove_dir_all(place.join(base).join("r1")).unwrap();
        assert_eq!(server.get("/both.txt").text(), "r2");
    }
}

#[test]
fn a_folder_that_is_made_again_is_served() {
    let start = Start::new("[[host]]\nroot = \"www\"\n", &[]);
    let server = start.run();
    assert!(server.banner.contains("missing-root"), "{}", server.banner);
    assert_eq!(server.get("/a.txt").status, 404);
    for text in ["one", "two"] {
        fs::create_dir(server.path("www")).unwrap();
        server.write("www/a.txt", text);
        let is_served = || (server.get("/a.txt").text() == text).then_some(());
        eventually(is_served).expect("it is there");
        fs::remove_dir_all(server.path("www")).unwrap();
        eventually(|| (server.get("/a.txt").status == 404).then_some(())).expect("it is gone");
    }
}

#[test]
fn many_hosts_need_few_descriptors() {
    const HOSTS: usize = 400;
    let mut config = String::new();
    for n in 0..HOSTS {
        // Half of them share a folder.
        let root = if n % 2 == 0 { "shared".to_owned() } else { format!("own/{n}") };
        config += &format!("[[host]]\nnames = [\"h{n}\"]\nroot = \"{root}\"\n");
    }
    let start = Start::new(&config, &[("shared/a.txt", "shared")]);
    for n in (1..HOSTS).step_by(2) {
        fs::create_dir_all(start.path().join(format!("own/{n}"))).unwrap();
        fs::write(start.path().join(format!("own/{n}/a.txt")), format!("own {n}")).unwrap();
    }
    let server = start.wrapper("ulimit -n 128 && exec \"$@\"").run();
    let ask = |server: &TestServer, n: usize| {
        server.ask(format!("GET /a.txt HTTP/1.1\r\nHost: h{n}\r\n\r\n")).text().to_owned()
    };
    for n in 0..HOSTS {
        let want = if n % 2 == 0 { "shared".to_owned() } else { format!("own {n}") };
        assert_eq!(ask(&server, n), want);
    }
    assert!(server.descriptors() < 64, "{}", server.descriptors());
}

#[test]
fn a_link_that_is_not_followed_is_told_of() {
    let config = "[[host]]\nroot = \"root\"\n[log]\naccess = \"access.log\"\nlevel = \"info\"\n";
    let start = Start::new(config, &[("root/a.txt", "a"), ("root/sub/b.txt", ""), ("out", "")]);
    let root = start.path().join("root");
    symlink(root.join("a.txt"), root.join("abs.txt")).unwrap();
    symlink("../out", root.join("leads-out.txt")).unwrap();
    symlink("loop.txt", root.join("loop.txt")).unwrap();
    symlink(root.join("a.txt"), root.join("sub/index.html")).unwrap();
    let place = start.path().to_owned();
    let server = start.run();
    for (path, link) in [
        ("/abs.txt", "abs.txt"),
        ("/leads-out.txt", "leads-out.txt"),
        ("/loop.txt", "loop.txt"),
        ("/sub/", "sub/index.html"),
    ] {
        assert!(server.get(path).status >= 403, "{path}");
        let said = server.read_until("stderr.txt", &format!("root/{link}: a link"));
        assert!(said.contains("not followed (docs/config.md, \"Links\")"), "{said}");
        let url = format!("http://localhost{path}");
        let (_, told, _) = run(&place, &["explain", "-c", "web.conf", &url], "");
        assert!(told.contains("not followed"), "{told}");
        assert!(!told.contains(&format!("did you mean {path}?")), "{told}");
    }
    let (_, told, _) = run(&place, &["explain", "-c", "web.conf", "http://localhost/b.txt"], "");
    assert!(told.contains("did you mean /a.txt?"), "{told}");
    let documented = fs::read_to_string(crate::support::repository("docs/config.md")).unwrap();
    assert!(documented.contains("## Links\n"));
}

/// Whatever is opened when descriptors run out, it is not to blame.
#[test]
fn a_start_without_descriptors_says_so() {
    let config = "[server]\nlisten = \"http://127.0.0.1:0\"\n[log]\naccess = \"access.log\"\n\
        error = \"error.log\"\n[[host]]\nroot = \"www\"\n";
    let folder = crate::support::folder(&[("web.conf", config), ("www/a", "")]);
    let mut refused = 0;
    for limit in 4..64 {
        let script = format!("ulimit -n {limit} && exec \"$0\" -c web.conf");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_httpyserver")])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = lines.map_while(Result::ok).any(|line| line == "ready");
        let _ = child.kill();
        let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        if is_ready {
            assert!(refused > 0);
            return;
        }
        // With still fewer, the loader of the program finds no library.
        if !said.contains("error while loading") {
            assert!(said.contains("too few descriptors") && said.contains("ulimit -n"), "{said}");
            refused += 1;
        }
    }
    panic!("it does not start");
}
