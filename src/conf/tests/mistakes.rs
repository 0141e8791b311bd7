//! A mistake is shown where it is, with its name and what to do.

use super::{FULL, read, words};
use crate::conf::keys;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What makes a text a site; the tables below have: what comes before, the line with the mistake,
/// its name, what the caret is under, and what the message says.
const HOST: &str = "[[host]]\nroot = \"docroot\"\n";

#[test]
fn in_tables_that_are_there_once() {
    for (header, line, name, place, says) in [
        ("[server]", "listen = 8080", "wrong-type", "8080", "http://*:8080"),
        ("[server]", "listen = []", "bad-listen", "[]", "at least one"),
        ("[server]", "listen = [\"http://*:80\", 1]", "wrong-type", "1", "`listen` in [server]"),
        ("[server]", "listen = \"8080\"", "bad-listen", "\"8080\"", "http://*:8080"),
        ("[server]", "listen = \"https://*:443\"", "no-certificate", "\"https://*:443\"", "TLS"),
        ("[server]", "user = \"\"", "bad-path", "\"\"", "`user`"),
        ("[server]", "server_header = true", "wrong-type", "true", "a string or false"),
        ("[server]", "server_header = \"a\\nb\"", "bad-value", "\"a\\nb\"", "header"),
        ("[server]", "server-header = \"x\"", "unknown-key", "server-header", "underscores"),
        ("[server]", "Listen = \"x\"", "unknown-key", "Listen", "`listen`"),
        ("[server]", "control = \"x\"", "not-yet", "control", "not available in this version"),
        ("[server]", "root = \"x\"", "unknown-key", "root", "[[host]]"),
        ("[timeouts]", "idle = 30", "missing-unit", "30", "\"30s\""),
        ("[timeouts]", "idle = \"30\"", "missing-unit", "\"30\"", "\"30s\""),
        ("[timeouts]", "idle = \"30sec\"", "bad-unit", "\"30sec\"", "\"30s\""),
        ("[timeouts]", "idle = true", "wrong-type", "true", "a duration such as"),
        ("[timeouts]", "idle = -1", "bad-unit", "-1", "whole number"),
        ("[timeouts]", "idle = \"0s\"", "out-of-range", "\"0s\"", "1ms to 30d"),
        ("[timeouts]", "handshake = 1", "missing-unit", "1", "\"1s\""),
        ("[limits]", "connections = 0", "out-of-range", "0", "1 to 1048576"),
        ("[limits]", "connections = -5", "out-of-range", "-5", "`connections`"),
        ("[limits]", "connections = 1.5", "wrong-type", "1.5", "fraction"),
        ("[limits]", "header_bytes = \"64KiB\"", "out-of-range", "\"64KiB\"", "65535B"),
        ("[limits]", "header_count = 256", "out-of-range", "256", "1 to 255"),
        ("[limits]", "body = 1024", "missing-unit", "1024", "\"1024B\""),
        ("[limits]", "body = \"99999999TiB\"", "out-of-range", "\"99999999TiB\"", "`body`"),
        ("[limits]", "min_rate = \"1KiB\"", "missing-unit", "\"1KiB\"", "\"1KiB/s\""),
        ("[log]", "level = \"warn\"", "bad-value", "\"warn\"", "\"warning\""),
        ("[log]", "format = 1", "wrong-type", "1", "\"json\""),
        ("[log]", "access = true", "wrong-type", "true", "false"),
        ("[log]", "error = false", "wrong-type", "false", "stderr"),
        ("[log]", "skip = [\"x\"]", "bad-path", "\"x\"", "\"/x\""),
        ("[media]", "default = \"text\"", "bad-media-type", "\"text\"", "text/html"),
        ("[media]", "charset = \"\"", "bad-value", "\"\"", "charset"),
        ("[media]", "types = []", "wrong-type", "[]", "a table"),
        ("[media]", "types = { \"a.b\" = \"a/b\" }", "bad-value", "\"a.b\"", "dot"),
        ("[media]", "types = { a = 'a/b', \".A\" = 'a/b' }", "duplicate-key", "\".A\"", "`a`"),
        ("[compress]", "dynamic = [\"gzp\"]", "bad-value", "\"gzp\"", "\"gzip\""),
        ("[compress]", "static = [\"br\"]", "not-yet", "\"br\"", "no effect"),
        ("[tls]", "x = 1", "unknown-key", "x", "[tls]"),
        ("[tls]", "tickets = 1", "wrong-type", "1", "true or false"),
        ("[tls]", "min_version = \"1.1\"", "bad-value", "\"1.1\"", "\"1.2\""),
        ("[tls]", "hsts = \"180\"", "missing-unit", "\"180\"", "180"),
        ("[tls]", "cert = 1", "wrong-type", "1", "[[tls.cert]]"),
        ("[[tls.cert]]", "chain = \"a.pem\"", "missing-key", "[[tls.cert]]", "`key`"),
        (
            "[tls]",
            "client_ca = { required = false }",
            "missing-key",
            "{ required = false }",
            "`file`",
        ),
        ("[cgi]", "interpreter = \"x\"", "wrong-type", "\"x\"", "php-cgi"),
        ("[cgi]", "interpreter = { \".a.b\" = \"x\" }", "bad-value", "\".a.b\"", "dot"),
        ("[cgi]", "interpreter = { php = 1 }", "wrong-type", "1", "a string"),
        (
            "[cgi]",
            "interpreter = { php = 'x', \".PHP\" = 'y' }",
            "duplicate-key",
            "\".PHP\"",
            "`php`",
        ),
        ("[cgi]", "env = { \"A-B\" = \"x\" }", "bad-value", "\"A-B\"", "variable"),
        ("[cgi]", "env = { A = \"\\u0000\" }", "bad-value", "\"\\u0000\"", "NUL"),
        ("[cgi]", "timeout = \"1s\"", "unknown-key", "timeout", "cgi_limits"),
        ("[srever]", "user = \"x\"", "unknown-key", "srever", "`server`"),
    ] {
        check(&format!("{header}\n{line}\n{HOST}"), name, place, says);
    }
}

#[test]
fn in_hosts_and_routes() {
    let second = "[[host]]\nnames = \"b.org\"\nroot = \"b\"\n";
    let route = "[[host]]\n[[host.route]]\npath = \"/a/\"\n";
    for (before, line, name, place, says) in [
        ("[[host]]\n", "rooot = \"x\"", "unknown-key", "rooot", "`root`"),
        ("[[host]]\n", "root = 5", "wrong-type", "5", "`root` in [[host]]"),
        ("[[host]]\n", "root = \"\"", "bad-path", "\"\"", "empty"),
        (HOST, "listing = \"json\"", "not-yet", "\"json\"", "JSON"),
        (HOST, "listing = 1", "wrong-type", "1", "true or false"),
        (HOST, "names = [\"a:80\"]", "bad-host-name", "\"a:80\"", "\"a\""),
        (HOST, "index = [\"a/b\"]", "bad-path", "\"a/b\"", "file name"),
        (HOST, "errors = { 40 = \"/x\" }", "bad-error-key", "40", "4xx or 5xx"),
        (HOST, "errors = { 404 = \"x\" }", "bad-path", "\"x\"", "\"/x\""),
        (HOST, "errors = { apps = 1 }", "wrong-type", "1", "`apps` in errors"),
        (HOST, "fallback = \"../x\"", "bad-path", "\"../x\"", "below the folder"),
        (HOST, "cache_control = \"\"", "bad-value", "\"\"", "header"),
        (HOST, "upload = 1", "wrong-type", "1", "methods, max"),
        (HOST, "upload = { mx = 1 }", "unknown-key", "mx", "`max`"),
        (HOST, "upload = { methods = [\"GET\"] }", "bad-method", "\"GET\"", "PUT, POST, DELETE"),
        (HOST, "upload = { methods = [] }", "bad-method", "[]", "at least one"),
        (HOST, "upload = { overwrite = \"yes\" }", "bad-value", "\"yes\"", "\"refuse\""),
        (HOST, "redirect = \"/x\"", "several-actions", "redirect", "`redirect` in [[host]]"),
        (HOST, "auth = 1", "wrong-type", "1", "{ users, realm, for }"),
        (HOST, "auth = true", "wrong-type", "true", "or false"),
        (HOST, "auth = {}", "missing-key", "{}", "`users`"),
        (HOST, "auth = { user = \"x\" }", "unknown-key", "user", "`users`"),
        (HOST, "auth = { users = 1 }", "wrong-type", "1", "a file, or a table"),
        (HOST, "auth = { users = {} }", "bad-users", "{}", "nobody"),
        (HOST, "auth = { users = { a = \"secret\" } }", "bad-users", "\"secret\"", "hash-password"),
        (HOST, "auth = { users = { \"a:b\" = \"x\" } }", "bad-users", "\"x\"", "colon"),
        (HOST, "auth = { users = { a = 1 } }", "wrong-type", "1", "a hash"),
        (HOST, "auth = { users = \"\" }", "bad-path", "\"\"", "empty"),
        (HOST, "auth = { users = \"u\", realm = \"a\\\"b\" }", "bad-value", "\"a\\\"b\"", "quotes"),
        (HOST, "auth = { users = \"u\", realm = \"\" }", "bad-value", "\"\"", "ASCII"),
        (HOST, "auth = { users = \"u\", for = [\"put\"] }", "bad-method", "\"put\"", "\"PUT\""),
        (HOST, "auth = { users = \"u\", for = [] }", "bad-method", "[]", "at least one"),
        (HOST, "allow = []", "bad-network", "[]", "nobody"),
        (HOST, "allow = true", "wrong-type", "true", "false"),
        (HOST, "allow = 7", "wrong-type", "7", "array of strings"),
        (
            HOST,
            "allow = [\"::1\", \"10.1.0.0/8\"]",
            "bad-network",
            "\"10.1.0.0/8\"",
            "\"10.0.0.0/8\"",
        ),
        (HOST, "allow = \"10.0.0.0/33\"", "bad-network", "\"10.0.0.0/33\"", "number of bits"),
        (HOST, "allow = \"[::1]:80\"", "bad-network", "\"[::1]:80\"", "\"::1\""),
        (HOST, "allow = \"localhost\"", "bad-network", "\"localhost\"", "\"127.0.0.1\""),
        (HOST, "alow = \"::1\"", "unknown-key", "alow", "`allow`"),
        (HOST, "server_name = \"a.test\"", "unknown-key", "server_name", "`names"),
        (HOST, "ServerName = \"a.test\"", "unknown-key", "ServerName", "`names"),
        (HOST, "alias = \"x\"", "unknown-key", "alias", "[[host.route]]"),
        (HOST, "autoindex = true", "unknown-key", "autoindex", "`listing = true`"),
        (HOST, "try_files = \"x\"", "unknown-key", "try_files", "`fallback"),
        (HOST, "proxy_pass = \"x\"", "unknown-key", "proxy_pass", "nothing that does it"),
        (HOST, "headers = {}", "unknown-key", "headers", "nothing that does it"),
        (HOST, "DocumentRoot = \"x\"", "unknown-key", "DocumentRoot", "`root`"),
        (HOST, "expires = \"1d\"", "unknown-key", "expires", "`cache_control"),
        (route, "reverse_proxy = \"x\"", "unknown-key", "reverse_proxy", "nothing that does it"),
        (route, "files = \"~/site\"", "bad-path", "\"~/site\"", "whole path"),
        (route, "files = \"$HOME/site\"", "bad-path", "\"$HOME/site\"", "variable"),
        (route, "cgi = \"/srv/${NAME}\"", "bad-path", "\"/srv/${NAME}\"", "variable"),
        (
            "[[host]]\nroot = \"x\"\n",
            "[server]\nlisten = 8080",
            "wrong-type",
            "8080",
            "\"http://*:8080\"",
        ),
        (
            "[[host]]\nroot = \"x\"\n",
            "[server]\nlisten = [80]",
            "wrong-type",
            "80",
            "\"http://*:80\"",
        ),
        ("[[host]]\nroot = \"x\"\n", "[server]\nport = 80", "unknown-key", "port", "`listen"),
        ("", "host = 1", "wrong-type", "1", "[[host]]"),
        ("", "[host]", "wrong-type", "[host]", "[[host]]"),
        ("[[host]]\n", "names = \"a.org\"", "no-action", "[[host]]", "`root`"),
        ("[[host]]\nredirect = \"/x\"\n", "hidden = true", "needs-files", "hidden", "`root`"),
        ("[[host]]\n", "cgi = true", "needs-files", "cgi", "`root`"),
        ("[[host]]\nroot = \"a\"\n", "cgi = [\".a.b\"]", "bad-value", "\".a.b\"", "dot"),
        ("[[host]]\nroot = \"a\"\n", "cgi = \"b\"", "several-actions", "cgi", "second"),
        (
            "[[host]]\nroot = \"a\"\nupload = true\n",
            "cgi = true",
            "upload-into-cgi",
            "\"a\"",
            "uploads",
        ),
        ("[[host]]\nroot = \"a\"\n", "default = false", "unnamed-host", "false", "names"),
        (second, "[[host]]\nroot = \"x\"", "unnamed-host", "[[host]]", "default = true"),
        (
            second,
            "[[host]]\nroot = \"x\"\nnames = \"B.org\"",
            "duplicate-host",
            "\"B.org\"",
            "`b.org`",
        ),
        (
            HOST,
            "[[host.route]]\npath = \"/\"\nrespond = \"x\"",
            "shadowed-route",
            "\"/\"",
            "methods",
        ),
        (HOST, "[[host.route]]\nfiles = \"x\"", "missing-key", "[[host.route]]", "path"),
        (HOST, "[[host.route]]\npath = \"/x\"", "no-action", "[[host.route]]", "`files`"),
        (HOST, "[host.route]\npath = \"/x\"", "wrong-type", "[host.route]", "[[host.route]]"),
        (route, "fils = \"x\"", "unknown-key", "fils", "`files`"),
        (route, "cgi = true", "needs-files", "cgi", "`files`"),
        (route, "cgi = 1", "wrong-type", "1", "a string"),
        (route, "cgi = 'x'\ncgi_limits = 4", "wrong-type", "4", "cgi_limits"),
        (
            route,
            "cgi = 'x'\ncgi_limits = { memory = \"1MiB\" }",
            "out-of-range",
            "\"1MiB\"",
            "16MiB",
        ),
        (route, "cgi = 'x'\ncgi_limits = { processes = 0 }", "out-of-range", "0", "1 to 10000"),
        (route, "cgi = 'x'\ncgi_limits = { cpu = \"1ms\" }", "out-of-range", "\"1ms\"", "1s"),
        (route, "cgi = 'x'\nfiles = 'y'", "several-actions", "files", "second action"),
        (route, "files = 'x'\ncgi_limits = {}", "needs-cgi", "cgi_limits", "`cgi`"),
        (route, "redirect = \"{rest}\"", "bad-redirect", "\"{rest}\"", "begins with `/`"),
        (route, "redirect = { status = 301 }", "missing-key", "{ status = 301 }", "`to`"),
        (route, "redirect = { to = \"/\", status = 304 }", "bad-redirect", "304", "308"),
        (route, "redirect = { to = \"/\", status = 700 }", "out-of-range", "700", "599"),
        (route, "respond = { status = 204, body = \"x\" }", "bad-value", "204", "no body"),
        (route, "respond = { type = \"text\" }", "bad-media-type", "\"text\"", "`type`"),
        (route, "files = \"x\"\nmethods = [\"get\"]", "bad-method", "\"get\"", "\"GET\""),
        (route, "files = \"x\"\nmethods = [\"TRACE\"]", "bad-method", "\"TRACE\"", "none of"),
    ] {
        check(&format!("{before}{line}\n"), name, place, says);
    }
}

/// There is exactly this mistake, at the last place where `place` is written, on that line.
fn check(text: &str, name: &str, place: &str, says: &str) {
    let (_, found) = read(text);
    assert_eq!(found.list.len(), 1, "{text}\n{}", found.render(false));
    let first = &found.list[0];
    assert_eq!((first.name, &text[first.span.clone()]), (name, place), "{text}");
    assert!(words(first).contains(says), "{text}\n{}", found.render(false));
    let (line, column) = found.position(first.span.start);
    let rendered = found.render(false);
    assert!(rendered.contains(&format!("--> web.conf:{line}:{column}")), "{rendered}");
    assert!(text.lines().nth(line - 1).unwrap().contains(place.lines().next().unwrap()));
}

#[test]
fn two_mistakes_give_two_messages() {
    let text = "[timeouts]\nidle = 5\n[[host]]\nrooot = \"x\"\n[compress]\ndynamic = \"br\"\n";
    let (config, found) = read(text);
    let names: Vec<_> = found.list.iter().map(|d| d.name).collect();
    assert_eq!(names, ["missing-unit", "unknown-key", "not-yet"]);
    assert!(config.is_none());
    assert!(found.render(false).ends_with("web.conf: 2 errors, 1 warning\n"));
}

#[test]
fn both_places_are_shown() {
    let text = "[[host]]\n[[host.route]]\npath = \"/d/\"\nfiles = \"a\"\n\n\n\n\n\
                [[host.route]]\npath = \"/d/\"\nfiles = \"b\"\n";
    let want = "\
error[shadowed-route]: this route can never answer
  --> web.conf:10:8
   |
 3 | path = \"/d/\"
   |        ----- the same path is taken here, for all methods
...
10 | path = \"/d/\"
   |        ^^^^^
   |
   = help: give one of them `methods = [...]` or another path
web.conf: 1 error
";
    assert_eq!(read(text).1.render(false), want);
    let apart = text.replace("files = \"a\"", "files = \"a\"\nmethods = [\"POST\"]");
    let apart = apart.replace("files = \"b\"", "files = \"b\"\nmethods = [\"GET\"]");
    assert!(read(&apart).0.is_some());
}

#[test]
fn errors_of_syntax_come_with_the_others_that_do_not_follow_from_them() {
    for (text, want) in [
        ("[[host]]\nroot = docroot\n", &["syntax"][..]),
        ("[server\nuser = \"x\"\n[[host]]\nroot = \"a\"\n", &["syntax"]),
        ("[[host]]\nroot = \n", &["syntax"]),
        ("[[host]]\nroot = \"a\nindx = 1\n", &["syntax", "unknown-key"]),
        ("[[host]]\nroot = \"a\"\nroot = \"b\"\nlist = 1\n", &["duplicate-key", "unknown-key"]),
        ("[[host]]\nroot = \"a\"\n[log]\n[log]\n", &["duplicate-key"]),
    ] {
        let (config, found) = read(text);
        let names: Vec<_> = found.list.iter().map(|d| d.name).collect();
        assert!(config.is_none(), "{text}");
        assert_eq!(names, want, "{text}\n{}", found.render(false));
        assert!(found.list.iter().all(|d| !d.span.is_empty()), "{text}");
    }
}

/// Every key of the tree that a schema has, and where it is.
fn keys<'t>(table: &'t DeTable<'t>, found: &mut Vec<(&'t str, Range<usize>)>) {
    for (key, value) in table {
        if keys::ALL.iter().any(|schema| schema.names().contains(&key.get_ref().as_ref())) {
            found.push((key.get_ref(), key.span()));
        }
        // What is in these tables is free.
        if matches!(key.get_ref().as_ref(), "types" | "errors") {
            continue;
        }
        match value.get_ref() {
            DeValue::Table(table) => keys(table, found),
            DeValue::Array(array) => {
                array.iter().filter_map(|v| v.get_ref().as_table()).for_each(|t| keys(t, found));
            }
            _ => {}
        }
    }
}

/// A letter doubled, one lost, two exchanged, in capitals.
fn typos(key: &str) -> [String; 4] {
    let (head, last) = key.split_at(key.len() - 1);
    let (start, before_last) = head.split_at(head.len() - 1);
    let middle = key.len() / 2;
    let lost = format!("{}{}", &key[..middle], &key[middle + 1..]);
    [format!("{key}{last}"), lost, format!("{start}{last}{before_last}"), key.to_uppercase()]
}

#[test]
fn a_typo_in_any_key_of_the_full_file_is_found() {
    let tree = DeTable::parse(FULL).unwrap();
    let mut all = Vec::new();
    keys(tree.get_ref(), &mut all);
    assert!(all.len() > 60);
    for (key, span) in all {
        for typo in typos(key).into_iter().filter(|typo| typo != key && typo.len() > 1) {
            let text = format!("{}{typo}{}", &FULL[..span.start], &FULL[span.end..]);
            let (config, found) = read(&text);
            let place = span.start..span.start + typo.len();
            let hit = found.list.iter().find(|d| d.span == place);
            let hit = hit.unwrap_or_else(|| panic!("{typo}: {}", found.render(false)));
            assert!(config.is_none());
            assert_eq!(hit.name, "unknown-key", "{typo}");
            assert_eq!(hit.label, Some(format!("did you mean `{key}`?")), "{typo}");
        }
    }
}
