//! The form of 2013, and the five faults of the server that had it, as far as a configuration can
//! have them.

use super::{CLASSIC, good, read, read_as, words};
use crate::conf::{Action, Config, Format, Listen, Place, Severity};
use std::path::Path;
use std::time::Duration;

/// Names and folders of the hosts.
fn hosts(config: &Config) -> Vec<(String, String)> {
    let folder = |action: &Action| match action {
        Action::Files(files) => files.root.value.display().to_string(),
        _ => String::new(),
    };
    let hosts = config.hosts.iter();
    hosts.map(|h| (h.names[0].value.clone(), folder(&h.routes[0].action))).collect()
}

#[test]
fn the_sample_is_read() {
    let config = good(CLASSIC);
    assert_eq!(config.format, Format::Classic);
    assert_eq!(config.server.listen[0].value, Listen::plain(Place::Any { port: 8080 }));
    assert_eq!(config.timeouts.idle, Duration::from_secs(5));
    assert_eq!(config.timeouts.header, Duration::from_secs(5));
    assert_eq!(config.media.default, "text/plain");
    assert_eq!(config.media.charset, None);
    assert!(config.media.types.contains(&("py".into(), "text/x-script.python".into())));
    assert_eq!(config.hosts.iter().filter(|host| host.default).count(), 1);
    assert!(config.hosts.iter().all(|host| host.welcome));
    assert_eq!(hosts(&config)[2], ("en_us.localhost".into(), "/etc/web/../docroot/en".into()));
}

#[test]
fn last_line_wins() {
    let (config, found) = read(
        "\u{feff}\n# a comment\r\nhost default a\r\nmedia .TXT text/a\nhost  b.org\tb # note\n\
         media txt text/b\nhost DEFAULT c\nparameter timeout 5\nparameter timeout 0.25\n",
    );
    let config = config.unwrap();
    assert_eq!(config.media.types, [("txt".to_owned(), "text/b".to_owned())]);
    assert_eq!(config.timeouts.write, Duration::from_millis(250));
    let want = [("default", "/etc/web/c"), ("b.org", "/etc/web/b")];
    assert_eq!(hosts(&config), want.map(|(name, root)| (name.to_owned(), root.to_owned())));
    assert_eq!(found.warnings(), 3);
    assert!(found.list.iter().all(|d| d.name == "repeated-line" && !d.also.is_empty()));
}

#[test]
fn mistakes_are_shown() {
    for (line, severity, name, place, says) in [
        ("hots a.org b", Severity::Warning, "unknown-word", "hots", "`host`"),
        ("zebra", Severity::Warning, "unknown-word", "zebra", "skipped"),
        ("parameter color blue", Severity::Warning, "unknown-parameter", "color", "`timeout`"),
        ("host a.org b c", Severity::Warning, "extra-word", "c", "three words"),
        ("host a.org:8080 b", Severity::Warning, "bad-host-name", "a.org:8080", "`a.org`"),
        ("host a.org", Severity::Error, "missing-word", "host a.org", "DOCROOT"),
        ("media", Severity::Error, "missing-word", "media", "EXTENSION"),
        ("host a..org b", Severity::Error, "bad-host-name", "a..org", "host name"),
        ("media txt text", Severity::Error, "bad-media-type", "text", "text/html"),
        ("parameter timeout 0", Severity::Error, "bad-value", "0", "above 0"),
        ("parameter timeout -1", Severity::Error, "bad-value", "-1", "seconds"),
        ("parameter timeout inf", Severity::Error, "bad-value", "inf", "seconds"),
        ("parameter timeout 1e300", Severity::Error, "bad-value", "1e300", "seconds"),
        ("parameter timeout 9999999", Severity::Error, "bad-value", "9999999", "30 days"),
    ] {
        let text = format!("host default docroot\n  {line}\n");
        let (config, found) = read_as(&text, Some(Format::Classic));
        assert_eq!(found.list.len(), 1, "{line}: {}", found.render(false));
        let first = &found.list[0];
        assert_eq!((first.severity, first.name), (severity, name), "{line}");
        assert_eq!(&text[first.span.clone()], place, "{line}");
        assert!(words(first).contains(says), "{line}: {first:?}");
        assert_eq!(config.is_some(), severity == Severity::Warning, "{line}");
    }
}

/// It looked for the host `default` again and again, until the stack was full.
#[test]
fn fault_1_no_default_host_is_no_recursion() {
    let config = good("host example.org docroot\n");
    assert!(config.hosts.iter().all(|host| !host.default));
    assert!(read("media txt text/plain\n").1.list.iter().any(|d| d.name == "no-host"));
}

/// It compared `localhost:8080` with `localhost`, so files named hosts with ports.
#[test]
fn fault_2_ports_are_no_part_of_names() {
    let (config, found) = read("host localhost:8080 a\nhost [::1]:8080 b\n");
    let names: Vec<_> = hosts(&config.unwrap()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["localhost", "[::1]"]);
    assert_eq!(found.warnings(), 2);
}

/// A word that was not there was an exception, for lines as for methods.
#[test]
fn fault_3_missing_words_do_not_crash() {
    for text in ["host", "host ", "media txt", "parameter", "parameter timeout", "host\na b c"] {
        let (config, found) = read_as(text, Some(Format::Classic));
        assert!(
            config.is_none() && found.list[0].name == "missing-word",
            "{text:?}: {}",
            found.render(false)
        );
    }
}

/// A client that took nothing was written to without pause and for ever.
#[test]
fn fault_4_slow_readers_have_a_time_out() {
    let config = good("host default a\nparameter timeout 1.5\n");
    assert_eq!(config.timeouts.write, Duration::from_millis(1500));
    assert!(good("host default a\n").timeouts.write > Duration::ZERO);
}

/// Hosts and types were attributes of a class: a second configuration added to the first.
#[test]
fn fault_5_configurations_share_nothing() {
    let first = good("host default a\nmedia x text/x\nparameter timeout 1\n");
    let second = good("host b.org b\n");
    assert!(second.media.types.is_empty());
    assert_eq!((first.hosts.len(), second.hosts.len()), (1, 1));
    assert_ne!(first.timeouts, second.timeouts);
    assert_eq!(Path::new(&hosts(&second)[0].1), Path::new("/etc/web/b"));
}
