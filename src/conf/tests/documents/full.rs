//! `conf/web.conf.full`: every key, in tables that make sense together.

use crate::conf::keys::{ALL, Row};
use std::collections::HashSet;
use std::fmt::Write;

const HEAD: &str = "\
# web.conf with every key of this version. Copy what you need: each key shows its default unless
# its comment says otherwise, and docs/config.md explains it. This file is made from the
# declarations in src/conf/keys by a test, and changed there.
#
# Durations: \"500ms\" \"30s\" \"5m\" \"2h\" \"30d\". Sizes: \"500B\" \"64KiB\" \"10MiB\" \"2GiB\" \"1MB\".
# Relative paths are seen from the folder of this file.
";

/// Which keys stand where. `*` is all keys that the table has beside those after `-`; a key has its
/// default, else its example, unless a value is given. `*` in braces is the same for an inline
/// table, with the examples first.
const OUTLINE: &str = r#"
[server]
listen = ["http://*:8080", "https://*:8443"]
pid_file = "httpyserver.pid"
*
[timeouts]
*
[limits]
*
[log]
skip = ["/healthz"]
*
[media]
types = { wasm = "application/wasm", md = "text/markdown" }
*
[compress]
*
[tls]
hsts = "180d"
client_ca = { * }
* - cert
[[tls.cert]]    # names are read from the certificate
chain = "example.org.pem"
key = "example.org.key"
[cgi]
interpreter = { ".php" = "php-cgi" }
env = { LANG = "C.UTF-8" }
*
[app.blog]    # a Python application (PEP 3333)
dir = "../apps/blog"
venv = "../apps/blog/venv"
workers = { * }
recycle = { * }
env = { DJANGO_SETTINGS_MODULE = "blog.settings" }
* - python
[app.wiki]
wsgi = "wiki:app"
python = "/usr/bin/python3"
workers = 1
[[host]]
names = ["example.org", "www.example.org", "*.static.example.org"]
default = true
welcome = true
https = "redirect"
hsts = "30d"
errors = { 404 = "/errors/404.html", 5xx = "/errors/5xx.html", apps = false }
root = "../docroot/default"
auth = { users = "htpasswd", realm = "example" }
* - tls cgi redirect respond app pages handler options cgi_limits cgi_authorization route
  [[host.route]]
path = "/files/"
files = "../docroot/files"
listing = true
clean_urls = true
upload = { * }
allow = ["192.168.7.0/24"]    # instead of those of the host
auth = { users = "uploaders", * }
  [[host.route]]
path = "/protected/"
internal = true
files = "../docroot/protected"
* - methods listing hidden clean_urls fallback cache_control upload cgi redirect respond app pages handler options cgi_limits cgi_authorization encoded_slashes allow auth
  [[host.route]]
path = "/old/"
methods = ["GET", "HEAD"]
redirect = { to = "/files/{rest}", * }
  [[host.route]]
path = "/cgi/"
cgi = "../docroot/cgi"
cgi_limits = { * }    # what scripts may use; default: no limit of `memory` and `cpu`
cgi_authorization = false
encoded_slashes = "keep"
  [[host.route]]
path = "/healthz"
respond = { status = 200, body = "ok\n", type = "text/plain", * }
allow = false    # everybody, whatever the host says
auth = false    # without a password
  [[host.route]]
path = "/quotes/"
handler = "moviequotes"
options = { data = "../quotes" }
[[host]]
names = ["old.example.org"]
tls = { cert = "old.pem", key = "old.key" }    # the short form of [[tls.cert]]
redirect = "https://example.org/{rest}"    # the whole host
[[host]]
names = ["blog.example.org"]
root = "../apps/blog/static"    # a file if there is one,
app = "blog"    # otherwise the application
  [[host.route]]
path = "/wiki/"
app = "wiki"    # its SCRIPT_NAME is /wiki
  [[host.route]]
path = "/pages/"
pages = "../docroot/pages"
[[host]]
names = ["closed.example.org"]
respond = { status = 503, body = "closed for the season\n" }
"#;

/// The whole file.
pub(super) fn file() -> String {
    let mut text = HEAD.to_owned();
    let mut explained = HashSet::new();
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in OUTLINE.lines().skip(1) {
        match blocks.last_mut() {
            Some(block) if !line.trim_start().starts_with('[') => block.push(line),
            _ => blocks.push(vec![line]),
        }
    }
    for block in blocks {
        let (header, lines) = block.split_first().unwrap();
        text += "\n";
        self::block(&mut text, &mut explained, header, lines);
    }
    text
}

/// A line of the outline: key, value, comment.
type Given<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

fn parts(line: &str) -> Given<'_> {
    let (line, comment) = match line.split_once("    # ") {
        Some((line, comment)) => (line, Some(comment)),
        None => (line, None),
    };
    let (key, value) = line.split_once(" = ").map_or((line, None), |(key, v)| (key, Some(v)));
    (key, value, comment)
}

fn block(text: &mut String, explained: &mut HashSet<&'static str>, header: &str, lines: &[&str]) {
    let (header, _, comment) = parts(header);
    let bare = header.trim_start();
    let indent = &header[..header.len() - bare.len()];
    let title = if bare.starts_with("[app.") { "[app.NAME]" } else { bare };
    let rows = ALL.iter().find(|schema| schema.title() == title).unwrap().rows();
    let (all, given): (Vec<&str>, Vec<&str>) = lines.iter().partition(|l| l.starts_with('*'));
    let given: Vec<_> = given.into_iter().map(parts).collect();
    push(text, header, comment.unwrap_or_default());
    let wanted: Vec<(&Row, Given<'_>)> = match all.first() {
        Some(all) => {
            let but: Vec<_> = all.split(' ').skip(2).collect();
            let rows = rows.iter().filter(|row| !but.contains(&row.name));
            let of = |row: &Row| given.iter().find(|(key, ..)| *key == row.name).copied();
            rows.map(|row| (row, of(row).unwrap_or((row.name, None, None)))).collect()
        }
        None => {
            let row =
                |key| rows.iter().find(|row| row.name == key).unwrap_or_else(|| panic!("{key}"));
            given.into_iter().map(|given| (row(given.0), given)).collect()
        }
    };
    for (row, (key, value, comment)) in wanted {
        let value = match value {
            Some(value) => filled(key, value),
            None => row.default_written().or_else(|| row.example()).unwrap(),
        };
        let first = explained.insert(row.about.what);
        let comment = match comment {
            Some(comment) => comment.to_owned(),
            None if first => row.comment(&value),
            None => String::new(),
        };
        push(text, &format!("{indent}{key} = {value}"), &comment);
    }
}

fn push(text: &mut String, line: &str, comment: &str) {
    let _ = match comment {
        "" => writeln!(text, "{line}"),
        _ if line.len() < 40 => writeln!(text, "{line:40}# {comment}"),
        _ => writeln!(text, "{line}    # {comment}"),
    };
}

/// A value with the keys that `*` stands for.
fn filled(key: &str, value: &str) -> String {
    let Some(given) = value.strip_prefix("{ ").and_then(|value| value.strip_suffix("* }")) else {
        return value.to_owned();
    };
    let rows = ALL.iter().find(|schema| schema.title() == key).unwrap().rows();
    let is_given = |row: &&Row| !given.contains(&format!("{} = ", row.name));
    let entry = |row: &Row| {
        format!("{} = {}", row.name, row.example().or_else(|| row.default_written()).unwrap())
    };
    let rest: Vec<_> = rows.iter().filter(is_given).map(entry).collect();
    let entries = format!("{given}{}", rest.join(", "));
    format!("{{ {} }}", entries.trim_end_matches(", "))
}
