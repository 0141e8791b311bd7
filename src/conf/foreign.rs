//! Configurations of other servers: how a whole file is recognised, and what their words are here.

/// Words of other servers, in lower case with underscores, and what to write instead.
static WORDS: &[(&str, &str)] = &[
    ("server_name", "`names = [\"example.org\"]` in [[host]]"),
    ("servername", "`names = [\"example.org\"]` in [[host]]"),
    ("serveralias", "another one of `names` in [[host]]"),
    ("server_alias", "another one of `names` in [[host]]"),
    ("vhost", "[[host]]"),
    ("virtualhost", "[[host]]"),
    ("hostname", "`names = [\"example.org\"]` in [[host]]"),
    ("domain", "`names = [\"example.org\"]` in [[host]]"),
    ("location", "[[host.route]] with `path`"),
    ("directory", "[[host.route]] with `path` and `files`"),
    ("alias", "[[host.route]] with `path` and `files`"),
    ("scriptalias", "[[host.route]] with `path` and `cgi`"),
    ("document_root", "`root` in [[host]]"),
    ("documentroot", "`root` in [[host]]"),
    ("docroot", "`root` in [[host]]"),
    ("file_server", "`root` in [[host]], or `files` in [[host.route]]"),
    ("autoindex", "`listing = true`"),
    ("browse", "`listing = true`"),
    ("dir_listing", "`listing = true`"),
    ("directory_listing", "`listing = true`"),
    ("directoryindex", "`index = [\"index.html\"]` in [[host]]"),
    ("index_file_names", "`index = [\"index.html\"]` in [[host]]"),
    ("try_files", "`fallback = \"index.html\"`, and `clean_urls = true` for pages without .html"),
    ("fallbackresource", "`fallback = \"index.html\"`"),
    ("error_page", "`errors = { 404 = \"/404.html\" }` in [[host]]"),
    ("errordocument", "`errors = { 404 = \"/404.html\" }` in [[host]]"),
    ("handle_errors", "`errors = { 404 = \"/404.html\" }` in [[host]]"),
    ("expires", "`cache_control = \"max-age=3600\"`"),
    ("return", "`redirect` or `respond`"),
    ("redir", "`redirect = \"/new/\"`"),
    ("rewrite", "`redirect = \"/new/{rest}\"`; there is nothing that rewrites a path unseen"),
    ("rewriterule", "`redirect = \"/new/{rest}\"`; there is nothing that rewrites a path unseen"),
    ("ssl_certificate", "`chain` in [[tls.cert]]"),
    ("sslcertificatefile", "`chain` in [[tls.cert]]"),
    ("certificate", "`chain` in [[tls.cert]]"),
    ("ssl_certificate_key", "`key` in [[tls.cert]]"),
    ("sslcertificatekeyfile", "`key` in [[tls.cert]]"),
    ("ssl_protocols", "`min_version` in [tls]"),
    ("sslprotocol", "`min_version` in [tls]"),
    ("ssl_client_certificate", "`client_ca` in [tls]"),
    ("ssl", "an address with https:// in `listen`, and [[tls.cert]]"),
    ("sslengine", "an address with https:// in `listen`, and [[tls.cert]]"),
    ("port", "`listen = [\"http://*:8080\"]` in [server]"),
    ("bind", "`listen = [\"http://*:8080\"]` in [server]"),
    ("address", "`listen = [\"http://*:8080\"]` in [server]"),
    ("gzip", "`dynamic = [\"gzip\"]` in [compress]"),
    ("encode", "`dynamic = [\"gzip\"]` in [compress]"),
    ("gzip_min_length", "`min` in [compress]"),
    ("client_max_body_size", "`body` in [limits]"),
    ("limitrequestbody", "`body` in [limits]"),
    ("keepalive_timeout", "`idle` in [timeouts]"),
    ("keepalivetimeout", "`idle` in [timeouts]"),
    ("worker_connections", "`connections` in [limits]"),
    ("maxrequestworkers", "`connections` in [limits]"),
    ("access_log", "`access` in [log]"),
    ("customlog", "`access` in [log]"),
    ("accesslog", "`access` in [log]"),
    ("error_log", "`error` in [log]"),
    ("errorlog", "`error` in [log]"),
    ("loglevel", "`level` in [log]"),
    ("log_format", "`format` in [log]"),
    ("logformat", "`format` in [log]"),
    ("server_tokens", "`server_header = false` in [server]"),
    ("pidfile", "`pid_file` in [server]"),
    ("pid", "`pid_file` in [server]"),
    ("auth_basic", "`auth = { users = \"FILE\" }`"),
    ("auth_basic_user_file", "`auth = { users = \"FILE\" }`"),
    ("authuserfile", "`auth = { users = \"FILE\" }`"),
    ("basic_auth", "`auth = { users = \"FILE\" }`"),
    ("basicauth", "`auth = { users = \"FILE\" }`"),
    ("require", "`allow` or `auth`"),
    ("deny", "`allow`, which lists all that are let in"),
    ("default_type", "`default` in [media]"),
    ("addtype", "`types` in [media]"),
    ("mimetypes", "`types` in [media]"),
    ("addhandler", "`interpreter` in [cgi]"),
    ("wsgiscriptalias", "`app` in a route, and [app.NAME] with `wsgi`"),
    ("dav_methods", "`upload = true`"),
    // What is not there.
    ("proxy_pass", ""),
    ("proxypass", ""),
    ("reverse_proxy", ""),
    ("upstream", ""),
    ("fastcgi_pass", ""),
    ("php_fastcgi", ""),
    ("uwsgi_pass", ""),
    ("headers", ""),
    ("add_header", ""),
    ("limit_req", ""),
    ("worker_processes", ""),
    ("resolver", ""),
    ("http2", ""),
];

/// What a key of another server is here: a sentence.
pub(super) fn word(key: &str) -> Option<String> {
    let plain = key.to_ascii_lowercase().replace(['-', '.'], "_");
    let (_, here) = WORDS.iter().find(|(word, _)| *word == plain)?;
    Some(match *here {
        "" => "another server has it; there is nothing that does it here".to_owned(),
        here => format!("another server has it; here it is {here}"),
    })
}

/// Whose form a text has that has none of ours, by the first line that says something.
pub(super) fn form(text: &str) -> Option<&'static str> {
    let lines = || text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    let mut said = lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = said.next()?;
    let word = first.split_whitespace().next().unwrap_or_default();
    let ends = |mark: &str| lines().any(|line| line.ends_with(mark));
    let is_known = |words: &[&str]| words.contains(&word.to_ascii_lowercase().as_str());
    let apache = [
        "servername",
        "serverroot",
        "serveradmin",
        "documentroot",
        "listen",
        "loadmodule",
        "include",
        "includeoptional",
        "errorlog",
        "customlog",
        "options",
        "allowoverride",
        "rewriteengine",
        "rewriterule",
        "directoryindex",
        "define",
        "timeout",
        "keepalive",
        "user",
        "group",
        "serveralias",
        "redirect",
        "alias",
        "scriptalias",
        "require",
        "addtype",
        "addhandler",
    ];
    if first.starts_with("<?xml") || first.starts_with("<configuration") {
        return Some("XML");
    }
    // Caddy has a block without a name before its sites.
    if first == "{" && said.next().is_some_and(|line| !line.starts_with(['"', '}', '/'])) {
        return Some("Caddy's form");
    }
    if first.starts_with('{') || first.starts_with("[{") || matches!(first, "[" | "[]") {
        return Some("JSON");
    }
    if first.starts_with('<') {
        return Some("Apache's form");
    }
    let lighttpd =
        ["modules", "document-root", "port", "username", "groupname", "errorlog", "bind"];
    let is_option = |key: &str| lighttpd.iter().any(|option| key.starts_with(option));
    if first.strip_prefix("server.").is_some_and(is_option) || first.starts_with("$HTTP[") {
        return Some("lighttpd's form");
    }
    // A block of one line ends as none of Caddy's does.
    let is_block = |line: &str| line.contains('{') && line.ends_with('}');
    let nginx = ["events", "http", "server", "upstream", "location", "stream", "map"];
    if ends(";") && (first.ends_with([';', '{']) || ends("{"))
        || is_known(&nginx) && is_block(first)
    {
        return Some("nginx's form");
    }
    if first.ends_with('{') {
        return Some("Caddy's form");
    }
    // A Caddyfile of one site may leave the braces out: an address, and directives.
    let caddy =
        ["file_server", "reverse_proxy", "root", "respond", "encode", "redir", "php_fastcgi"];
    let is_address = !first.contains(char::is_whitespace) && !first.contains('=');
    let directive = said.next().and_then(|line| line.split_whitespace().next());
    if is_address && directive.is_some_and(|word| caddy.contains(&word)) {
        return Some("Caddy's form");
    }
    if first == "---"
        || first.split_once(':').is_some_and(|(key, rest)| {
            !key.contains(char::is_whitespace) && (rest.is_empty() || rest.starts_with(' '))
        })
    {
        return Some("YAML");
    }
    is_known(&apache).then_some("Apache's form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::keys::ALL;

    #[test]
    fn what_is_named_instead_are_keys() {
        let names: Vec<_> = ALL.iter().flat_map(|schema| schema.names()).collect();
        for (word, here) in WORDS {
            let quoted = here.split('`').skip(1).step_by(2);
            for key in quoted.map(|text| text.split(" = ").next().unwrap_or_default()) {
                assert!(names.contains(&key), "{word}: {key}");
            }
        }
    }

    #[test]
    fn forms() {
        for (text, want) in [
            ("", None),
            ("hello world", None),
            ("host default docroot", None),
            ("worker_processes 1;\nevents { }\n", Some("nginx's form")),
            ("# c\nuser www-data;\n", Some("nginx's form")),
            ("server {\n  listen 80;\n}\n", Some("nginx's form")),
            ("server\n{\n  listen 80;\n}\n", Some("nginx's form")),
            ("<VirtualHost *:80>\nServerName a\n</VirtualHost>", Some("Apache's form")),
            ("ServerName example.org\n", Some("Apache's form")),
            ("Listen 80\n", Some("Apache's form")),
            ("example.org {\n  root * /srv\n  file_server\n}\n", Some("Caddy's form")),
            (":80 {\n  respond \"x\"\n}\n", Some("Caddy's form")),
            ("{\n  admin off\n}\nexample.org {\n  file_server\n}\n", Some("Caddy's form")),
            (":8080\nfile_server\n", Some("Caddy's form")),
            ("localhost\n\nreverse_proxy localhost:9000\n", Some("Caddy's form")),
            ("events {}\nhttp {\n  server { listen 80; }\n}\n", Some("nginx's form")),
            ("upstream x { server y; }\n", Some("nginx's form")),
            ("location / { root x; }\n", Some("nginx's form")),
            ("{\n  // note\n  \"server\": {}\n}", Some("JSON")),
            ("{\n  \"server\": {}\n}", Some("JSON")),
            ("{\"server\": 1}", Some("JSON")),
            ("[{\"host\": 1}]", Some("JSON")),
            ("server:\n  listen: 80\n", Some("YAML")),
            ("---\nhosts:\n", Some("YAML")),
            ("root: /srv\n", Some("YAML")),
            ("<?xml version=\"1.0\"?>\n", Some("XML")),
            ("server.modules = (\n  \"mod_access\"\n)\n", Some("lighttpd's form")),
            ("$HTTP[\"host\"] == \"a\" {\n}\n", Some("lighttpd's form")),
        ] {
            assert_eq!(form(text), want, "{text}");
        }
    }
}
