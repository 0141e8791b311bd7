//! `[[host]]`: a virtual host.

use super::access::INHERITED;
use super::cgi::BESIDE_CGI;
use super::files::BESIDE_FILES;
use super::route::{ACTIONS, BESIDE_HANDLER, FILES};
use super::tls::{HOST_TLS, HSTS, HTTPS};
use super::{Boolean, Compound, Keys, Kind, List, Nested, Optional, Own, Sparse, key};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Action, At, CertFiles, ErrorKey, Host, Respond};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::conf::toml_text::{quote, table};
use crate::http::Status;

pub(in crate::conf) static HOST: Compound = Compound {
    title: "[[host]]",
    parts: &[
        &HOST_ITSELF,
        &ROOT_FOLDER,
        &BESIDE_FILES,
        &ACTIONS,
        &BESIDE_HANDLER,
        &BESIDE_CGI,
        &INHERITED,
        &ROUTES,
    ],
};

pub(in crate::conf) static HOST_ITSELF: Keys<Host> = Keys {
    title: "[[host]]",
    defaults: Host::default,
    keys: &[
        key("names", at!(Host, names: Sparse(List(rules::host_name))))
            .does("its names")
            .example(r#"["example.org", "*.example.org"]"#),
        key("default", at!(Host, default: Boolean)).does("answer names that no host has"),
        key("welcome", at!(Host, welcome: Boolean))
            .does("show the page that says that it works if `/` has no index page"),
        key("tls", at!(Host, tls: CERTIFICATE))
            .does("the certificate for its names")
            .example(r#"{ cert = "example.org.pem", key = "example.org.key" }"#),
        key("https", at!(Host, https: HTTPS))
            .does("what happens to requests without encryption")
            .example(r#""redirect""#),
        key("hsts", at!(Host, hsts: Optional(HSTS)))
            .does("like that of [tls], for this host alone")
            .example(r#""30d""#)
            .otherwise("that of [tls]"),
        key("index", at!(Host, index: List(rules::file_name)))
            .does("files tried in a folder")
            .example(r#"["index.html", "index.htm"]"#),
        key("errors", at!(Host, errors: ERRORS))
            .does("paths of its pages for errors")
            .example(r#"{ 404 = "/errors/404.html", 5xx = "/errors/5xx.html" }"#),
    ],
};

static ROOT_FOLDER: Keys<Action> = Keys {
    title: "[[host]]",
    defaults: || Action::Respond(Respond::default()),
    keys: &[key("root", at!(Action: FILES))
        .does("the folder of its files")
        .example(r#""/srv/www""#)],
};

static ROUTES: Keys<Host> = Keys {
    title: "[[host]]",
    defaults: Host::default,
    keys: &[key("route", at!(Host, routes: Own::by_hand("an array of tables")))
        .does("its routes")
        .otherwise("none")],
};

const CERTIFICATE: Own<Option<CertFiles>> = Own {
    wanted: "a table",
    read: |reader, item| Nested(&HOST_TLS).read(reader, item).map(Some),
    show: |files| files.as_ref().map(|files| HOST_TLS.inline(files)),
};

const ERRORS: Own<Vec<(ErrorKey, At<String>)>> = Own {
    wanted: "a table such as { 404 = \"/errors/404.html\" }",
    read: errors,
    show: |errors| {
        let entry = |(key, page): &(ErrorKey, At<String>)| {
            let key = match key {
                ErrorKey::Status(status) => status.code().to_string(),
                ErrorKey::Class(hundreds) => format!("{hundreds}xx"),
            };
            (key, quote(&page.value))
        };
        Some(table(errors.iter().map(entry)))
    },
};

fn errors(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(ErrorKey, At<String>)>> {
    let mut pages = Vec::new();
    for item in reader.map(item, "errors", ERRORS.wanted) {
        if item.key == "apps" {
            // Whether pages also replace those of applications: there are none yet.
            Boolean.read(reader, &item);
            continue;
        }
        let Some(key) = error_key(item.key) else {
            let message = format!("`{}` is not what an error page can be for", item.key);
            reader.report(
                Diagnostic::error("bad-error-key", message, item.key_span)
                    .label("expected a status from 400 to 599, 4xx or 5xx"),
            );
            continue;
        };
        if let Some(path) = reader.string(&item, "a string", rules::route_path) {
            pages.push((key, At::new(path, item.span)));
        }
    }
    Some(pages)
}

fn error_key(key: &str) -> Option<ErrorKey> {
    match key {
        "4xx" => Some(ErrorKey::Class(4)),
        "5xx" => Some(ErrorKey::Class(5)),
        _ if key.len() == 3 && key.bytes().all(|b| b.is_ascii_digit()) => {
            let status = Status::new(key.parse().ok()?)?;
            status.is_error().then_some(ErrorKey::Status(status))
        }
        _ => None,
    }
}
