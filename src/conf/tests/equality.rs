//! Texts that mean the same give the same configuration.

use super::{CLASSIC, FULL, good, read, without_places};
use crate::conf::{Action, Config, Format, Listen, LogFormat, Place, effective, quick, sniff};
use std::fmt::Write;

#[test]
fn classic_and_tables_of_the_same_site_are_equal() {
    let document = include_str!("../../../docs/classic.md");
    let blocks: Vec<_> = document.split("```").skip(1).step_by(2).collect();
    let classic = good(blocks[0]);
    let tables = good(blocks[1].trim_start_matches("toml"));
    assert_eq!(without_places(classic), without_places(tables));
}

#[test]
fn what_is_shown_is_read_back() {
    let small = "[[host]]\nroot = \"docroot\"\n";
    let odd = "[server]\nserver_header = false\nlisten = [\"unix:a b.sock\", \"http://[::1]:0\"]\n\
        [log]\naccess = false\nerror = \"e.log\"\n[media]\ncharset = false\n\
        [compress]\ndynamic = []\n[limits]\nper_client = 7\nbody = \"0B\"\nmin_rate = \"0B/s\"\n\
        [cgi]\ninterpreter = { php = \"php-cgi\", \".Py\" = \"bin/python\" }\nenv = { A_1 = \"x\" }\n\
        [[host]]\nnames = \"*.A.org\"\nerrors = { 5xx = \"/5\", 404 = \"/4\", 4xx = \"/x\" }\n\
        respond = \"\\\"quoted\\\" \\\\ \\u0001 \\t\\r\\n ä\"\n\
        [[host.route]]\npath = \"/\\\"/\"\nfiles = \"C\"\nupload = true\n\
        [[host.route]]\npath = \"/m/\"\nfiles = \"D\"\ncgi = [\".PL\", \"py\"]\n\
        [[host.route]]\npath = \"/n/\"\nfiles = \"D\"\ncgi = true\n\
        [[host.route]]\npath = \"/c/\"\ncgi = \"D\"\ncgi_limits = { memory = \"16MiB\" }\n\
        [[host.route]]\npath = \"/r\"\nallow = [\"::ffff:10.0.0.0/104\", \"unix\"]\n\
        auth = { users = \"u/p\", realm = \"a b\", for = [\"GET\", \"PUT\"] }\nmethods = [\"GET\"]\nredirect = \"/x?{query}\"\n\
        [[host]]\nnames = \"b\"\nallow = \"::1\"\nauth = { users = \"u\" }\n\
        [[host.route]]\npath = \"/a\"\nrespond = \"\"\n\
        [[host.route]]\npath = \"/b\"\nrespond = \"\"\nallow = false\nauth = false\n";
    let parameters = format!("{CLASSIC}\nparameter timeout 0.5\n");
    for config in [good(FULL), good(small), good(odd), good(&parameters), quick("/srv".into())] {
        let shown = effective(&config);
        let again = good(&shown);
        assert_eq!(without_places(again), without_places(config), "{shown}");
    }
}

#[test]
fn routes_have_the_access_of_their_host_unless_they_say_their_own() {
    let config = good(
        "[[host]]\nroot = \"r\"\nallow = \"10.0.0.0/8\"\n\
         [[host.route]]\npath = \"/a\"\nrespond = \"\"\n\
         [[host.route]]\npath = \"/b\"\nrespond = \"\"\nallow = [\"::1\", \"unix\"]\n\
         [[host.route]]\npath = \"/c\"\nrespond = \"\"\nallow = false\n",
    );
    let allowed = |route: &crate::conf::Route| {
        let allow = route.access.allow.as_ref()?;
        Some(allow.value.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    let all: Vec<_> = config.hosts[0].routes.iter().map(allowed).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(all, [text("10.0.0.0/8"), text("10.0.0.0/8"), text("::1 unix"), None]);
}

#[test]
fn hashes_are_not_shown() {
    let hash = "$2b$04$abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq";
    let config =
        good(&format!("[[host]]\nroot = 'r'\nauth = {{ users = {{ ann = '{hash}' }} }}\n"));
    let shown = effective(&config);
    assert!(shown.contains("\"ann\"") && !shown.contains("$2b$"), "{shown}");
    assert!(shown.contains("realm = \"restricted\""), "{shown}");
}

#[test]
fn hashes_are_not_shown_in_a_table_that_cannot_be_read() {
    let ann = "$2y$10$abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq";
    let bob = ann.replace("$2y$10$ab", "$2a$04$cd");
    for table in [
        format!("[host.auth.users]\nann = '{ann}'\nann = \"{bob}\"\n"),
        format!("[host.auth]\nusers = {{ ann = \"{ann}\" bob = '{bob}' }}\n"),
        format!("[host.auth]\nuser = {{ ann = '{ann}', bob = '{bob}' }}\n"),
        format!("[host.auth]\nusers = {{ ann = {ann} }}\nusers = '{bob}\n"),
    ] {
        let (config, found) = read(&format!("[[host]]\nroot = 'r'\n{table}"));
        let shown = found.render(false);
        assert!(config.is_none() && shown.contains("ann"), "{shown}");
        assert!(!shown.contains("uAi4G"), "{shown}");
    }
}

#[test]
fn a_default_host_among_others_needs_no_names() {
    let config =
        good("[[host]]\nnames = \"a.org\"\nroot = \"a\"\n[[host]]\ndefault = true\nroot = \"b\"\n");
    let defaults: Vec<_> = config.hosts.iter().map(|host| host.default).collect();
    assert_eq!(defaults, [false, true]);
}

#[test]
fn the_smallest_file_is_a_site() {
    let config = good("[[host]]\nroot = \"docroot\"\n");
    let host = &config.hosts[0];
    assert!(host.default && !host.welcome && host.names.is_empty());
    assert_eq!(host.index, ["index.html"]);
    let Action::Files(files) = &host.routes[0].action else { panic!("{host:?}") };
    assert_eq!(files.root.value.to_str(), Some("/etc/web/docroot"));
    assert!(!files.listing && !files.hidden && files.upload.is_none());
}

#[test]
fn places_point_at_what_they_belong_to() {
    let config: Config = good(FULL);
    assert_eq!(&FULL[config.server.listen[0].span.clone()], "\"http://*:8080\"");
    assert_eq!(&FULL[config.hosts[0].span.clone()], "[[host]]");
    assert_eq!(&FULL[config.hosts[0].names[1].span.clone()], "\"www.example.org\"");
    assert_eq!(&FULL[config.hosts[0].routes[0].path.span.clone()], "\"../docroot/default\"");
    assert_eq!(&FULL[config.hosts[0].routes[1].path.span.clone()], "\"/files/\"");
}

#[test]
fn quick_is_for_this_machine() {
    let config = quick("site".into());
    assert_eq!(config.format, Format::Quick);
    let loopback = Place::Addr(([127, 0, 0, 1], 8080).into());
    assert_eq!(config.server.listen[0].value, Listen::plain(loopback));
    assert_eq!(config.log.format, LogFormat::Pretty);
    assert!(config.hosts[0].default && config.hosts[0].welcome);
}

#[test]
fn the_first_meaningful_line_decides() {
    let long = "[[host]]\nrespond = \"\"\"\nhost a b\n\"\"\"\n";
    for (text, want) in [
        ("host default a", Ok(Format::Classic)),
        ("\n# x\n\tmedia txt text/plain", Ok(Format::Classic)),
        ("\u{feff}parameter timeout 5", Ok(Format::Classic)),
        ("[[host]]", Ok(Format::Toml)),
        ("\u{feff}# x\r\n  [server]\r\n", Ok(Format::Toml)),
        ("host = []", Ok(Format::Toml)),
        ("server.user = \"x\"", Ok(Format::Toml)),
        (long, Ok(Format::Toml)),
        ("host default a\nzebra\n", Ok(Format::Classic)),
        ("", Err(("unknown-format", ""))),
        ("# only this", Err(("unknown-format", ""))),
        ("server example.org", Err(("unknown-format", "server example.org"))),
        ("host", Err(("unknown-format", "host"))),
        ("host default a\n[server]\n", Err(("mixed-formats", "[server]"))),
        ("host default a\nuser = 1\n", Err(("mixed-formats", "user = 1"))),
        ("[server] # '''\nmedia txt text/plain\n", Err(("mixed-formats", "media txt text/plain"))),
    ] {
        let found = sniff(text);
        let found = found.as_ref().map_err(|d| (d.name, &text[d.span.clone()]));
        assert_eq!(found.copied(), want, "{text:?}");
    }
}

/// Long, valid, and in time: no check may be slower than what it checks.
#[test]
fn many_hosts_are_read() {
    let mut text = String::new();
    for n in 0..1000 {
        let _ = writeln!(text, "[[host]]\nnames = [\"h{n}.org\"]\nroot = \"r{n}\"");
    }
    assert_eq!(read(&text).0.map(|config| config.hosts.len()), Some(1000));
}
