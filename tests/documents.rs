//! What the documents say is true: examples are there, configurations load, scripts run.

use crate::support::{Start, TestServer, folder, repository, run};
use httpyserver::{App, Server};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The sources of what programs use of the library. All of `src/app` is, beside these.
const LIBRARY: [&str; 6] = [
    "src/server/embed.rs",
    "src/server/mod.rs",
    "src/challenge.rs",
    "src/demo/mod.rs",
    "src/demo/settings.rs",
    "src/demo/picture/probe.rs",
];

/// Public in their files, and re-exported nowhere.
const INNER: [&str; 7] =
    ["BCRYPT_COST", "BCRYPT_COSTS", "BYTES", "default_data", "Key", "session_key", "keep_key"];

/// What a line makes public, by name.
fn public(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let rest = rest.strip_prefix("const fn ").unwrap_or(rest);
    let (kind, rest) = rest.split_once(' ')?;
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static"];
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    kinds.contains(&kind).then_some(name)
}

#[test]
fn every_public_item_of_the_library_has_an_example() {
    let in_app = std::fs::read_dir(repository("src/app")).unwrap();
    let in_app = in_app.map(|entry| entry.unwrap().path());
    let files = LIBRARY.iter().map(|file| repository(file)).chain(in_app);
    let (mut items, mut bare) = (0, Vec::new());
    for file in files.filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let mut has_example = false;
        for line in source.lines().map(str::trim_start) {
            if line.starts_with("///") {
                has_example |= line.contains("```");
            } else if let Some(name) = public(line) {
                items += 1;
                if !has_example && !INNER.contains(&name) {
                    bare.push(format!("{}: {name}", file.display()));
                }
                has_example = false;
            } else if !line.starts_with("#[") {
                has_example = false;
            }
        }
    }
    assert!(bare.is_empty(), "no example in the documentation of:\n{}", bare.join("\n"));
    assert!(items > 200, "only {items} items found: is this test still looking?");
}

/// The fenced blocks of a language in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository(document)).unwrap();
    let start = format!("\n```{language}\n");
    let blocks = text.split(&start).skip(1);
    blocks.map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

/// A configuration of a document, with its folders in this one.
fn moved(toml: &str, folder: &Path) -> String {
    toml.replace("\"/srv/", &format!("\"{}/", folder.display()))
        .replace("\"/var/", &format!("\"{}/var/", folder.display()))
        .replace("env:QUOTES_KEY", "long and random")
}

#[test]
fn the_configurations_of_the_documents_load() {
    let mut loaded = 0;
    for document in ["docs/framework.md", "docs/recipes.md", "docs/demo.md"] {
        for toml in blocks(document, "toml") {
            if toml.starts_with("[dependencies]") {
                continue;
            }
            let folder = folder(&[
                ("www/errors/404.html", "lost"),
                ("www/errors/5xx.html", "broken"),
                ("cgi-bin/hello", ""),
                ("htpasswd", "ann:$2b$04$WsOi1ycG.1ilGxPWDVlOyuzTVzmYvVKyHIEpLoKFKLQCm1iOiX5ES\n"),
                ("site/app.py", "app = None\n"),
                ("site/static/a.css", ""),
                ("site/venv/bin/python3", ""),
                ("site/venv/pyvenv.cfg", ""),
            ]);
            let python = folder.path().join("site/venv/bin/python3");
            std::fs::set_permissions(python, PermissionsExt::from_mode(0o755)).unwrap();
            let listen = match toml.contains("https = ") {
                false => "[server]\nlisten = [\"http://127.0.0.1:0\"]\n",
                true => "[server]\nlisten = [\"https://127.0.0.1:0\"]\n[tls]\nlocal = true\n",
            };
            let conf = format!("{listen}{}", moved(&toml, folder.path()));
            if toml.contains("handler = \"quotes\"") {
                let quotes = |options: &httpyserver::Options| {
                    options.path("db")?;
                    options.secret("secret")?;
                    Ok(App::new())
                };
                let server = Server::from_text(conf).handler("quotes", quotes).quiet();
                assert!(server.start().is_ok(), "{document}:\n{toml}");
            } else {
                std::fs::write(folder.path().join("web.conf"), conf).unwrap();
                let (code, _, said) = run(folder.path(), &["-t", "-c", "web.conf"], "");
                assert_eq!(code, Some(0), "{document}:\n{toml}\n{said}");
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 5, "only {loaded} configurations found");
}

#[test]
fn the_script_of_the_recipes_says_hello() {
    let toml = blocks("docs/recipes.md", "toml");
    let toml = toml.iter().find(|toml| toml.contains("cgi-bin")).unwrap();
    let script = blocks("docs/recipes.md", "sh");
    let script = script.iter().find(|script| script.starts_with("#!")).unwrap();
    let start = Start::new("", &[("cgi-bin/hello", script), ("www/index.html", "home")]);
    let folder = start.path().to_owned();
    let hello = folder.join("cgi-bin/hello");
    std::fs::set_permissions(hello, PermissionsExt::from_mode(0o755)).unwrap();
    let conf = format!(
        "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[log]\naccess = false\n{}",
        moved(toml, &folder)
    );
    std::fs::write(folder.join("web.conf"), conf).unwrap();
    let server: TestServer = start.run();
    assert_eq!(server.get("/cgi-bin/hello").text(), "Hello, 127.0.0.1\n");
    assert_eq!(server.get("/").text(), "home");
}
