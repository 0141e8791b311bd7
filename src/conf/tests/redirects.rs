//! Redirects that lead to themselves, and ones that look so.

use super::{read, words};

/// The lines of the targets that are reported.
fn lost(text: &str) -> Vec<String> {
    let (_, found) = read(text);
    assert!(found.list.iter().all(|d| d.name == "redirect-loop"), "{}", found.render(false));
    assert!(found.list.iter().all(|d| words(d).contains("in a circle")));
    found.list.iter().map(|d| text[d.span.clone()].to_owned()).collect()
}

#[test]
fn circles_are_found_and_ways_out_are_not_taken_for_them() {
    let both = "[server]\nlisten = ['http://*:80', 'https://*:443']\n[tls]\nlocal = true\n";
    for (before, routes, want) in [
        ("", "redirect = '/'", &["'/'"][..]),
        ("", "redirect = '/{rest}'", &["'/{rest}'"]),
        ("", "redirect = '/x'", &["'/x'"]),
        ("", "redirect = '/%78?a=b#c'", &["'/%78?a=b#c'"]),
        ("", "redirect = '/docs/{rest}'", &["'/docs/{rest}'"]),
        ("", "redirect = '/docs/{rest}'\n[[host.route]]\npath = '/docs/'\nrespond = 'x'", &[]),
        ("", "redirect = '/x'\n[[host.route]]\npath = '/x'\nrespond = 'x'", &[]),
        ("", "redirect = '/x'\n[[host.route]]\npath = '/x/'\nrespond = 'x'", &[]),
        // What takes only other methods does not answer a GET.
        (
            "",
            "redirect = '/x'\n[[host.route]]\npath = '/x'\nmethods = ['POST']\nrespond = 'x'",
            &["'/x'"],
        ),
        (
            "",
            "[[host.route]]\npath = '/a'\nredirect = '/b'\n[[host.route]]\npath = '/b'\nredirect = '/a'",
            &["'/b'", "'/a'"],
        ),
        (
            "[server]\nlisten = 'http://*:80'\n",
            "redirect = 'http://a.test/'",
            &["'http://a.test/'"],
        ),
        (
            "[server]\nlisten = 'http://*:80'\n",
            "redirect = 'http://{host}/y'",
            &["'http://{host}/y'"],
        ),
        ("[server]\nlisten = 'http://*:80'\n", "redirect = 'http://b.test/'", &[]),
        ("[server]\nlisten = 'http://*:8080'\n", "redirect = 'http://a.test/'", &[]),
        (
            "[server]\nlisten = 'http://*:8080'\n",
            "redirect = 'http://A.test:8080'",
            &["'http://A.test:8080'"],
        ),
        ("[server]\nlisten = 'http://*:80'\n", "redirect = 'https://a.test/{rest}'", &[]),
        (both, "redirect = 'https://a.test/{rest}'", &["'https://a.test/{rest}'"]),
        (
            both,
            "https = 'redirect'\nredirect = 'http://a.test/{rest}'",
            &["'http://a.test/{rest}'"],
        ),
        (both, "https = 'redirect'\nrespond = 'x'", &[]),
    ] {
        let text = format!("{before}[[host]]\nnames = ['a.test']\n{routes}\n");
        assert_eq!(lost(&text), want, "{text}");
    }
}

#[test]
fn circles_over_hosts_are_found() {
    let host = |name: &str, to: &str| format!("[[host]]\nnames = ['{name}']\nredirect = '{to}'\n");
    let listen = "[server]\nlisten = 'http://*:80'\n";
    let two = host("a.test", "http://b.test/{rest}") + &host("b.test", "http://a.test/{rest}");
    assert_eq!(lost(&(listen.to_owned() + &two)).len(), 2);
    let wild = host("*.a.test", "http://www.a.test/") + &host("a.test", "http://x.a.test");
    assert_eq!(lost(&(listen.to_owned() + &wild)).len(), 2);
    let out =
        host("*.a.test", "http://a.test/{rest}") + "[[host]]\nnames = ['a.test']\nrespond = ''\n";
    assert!(lost(&(listen.to_owned() + &out)).is_empty());
}
