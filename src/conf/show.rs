//! A configuration as TOML again, with every default written out.
//!
//! Reading the result gives the same configuration: paths are written as they were resolved, so
//! they do not depend on a folder any more unless that one was relative itself.

use super::User;
use super::model::{
    Access, Action, App, At, CertFiles, Cgi, Config, EncodedSlashes, ErrorKey, Files, Host, Https,
    Level, LogFormat, LogTarget, Overwrite, Program, Python, Redirect, Respond, Route, Tls,
    TlsVersion, Upload, Users, Workers,
};
use super::units::{show_duration, show_size};
use crate::http::{Method, MethodSet};
use std::fmt::Write;
use std::path::Path;

/// The effective configuration, for `-T`.
pub fn effective(config: &Config) -> String {
    let mut out = Out::default();
    server(&mut out, config);
    limits(&mut out, config);
    log(&mut out, config);
    media(&mut out, config);
    tls(&mut out, &config.tls);
    cgi(&mut out, config);
    for app in &config.apps {
        self::app(&mut out, app);
    }
    for host in &config.hosts {
        self::host(&mut out, host);
    }
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
}

impl Out {
    fn header(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.text.push_str(gap);
        self.text.push_str(header);
        self.text.push('\n');
    }

    fn line(&mut self, key: &str, value: impl AsRef<str>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{key} = {}", value.as_ref());
    }
}

fn server(out: &mut Out, config: &Config) {
    let server = &config.server;
    out.header("[server]");
    out.line("listen", list(server.listen.iter().map(|at| at.value.to_string())));
    if let Some(user) = &server.user {
        out.line("user", quote(&user.value));
    }
    if let Some(file) = &server.pid_file {
        out.line("pid_file", path(&file.value));
    }
    out.line("server_header", or_false(server.server_header.as_deref()));
}

fn limits(out: &mut Out, config: &Config) {
    let timeouts = &config.timeouts;
    out.header("[timeouts]");
    for (key, value) in [
        ("handshake", timeouts.handshake),
        ("header", timeouts.header),
        ("body", timeouts.body),
        ("idle", timeouts.idle),
        ("write", timeouts.write),
        ("shutdown", timeouts.shutdown),
    ] {
        out.line(key, quote(&show_duration(value)));
    }
    let limits = &config.limits;
    let bytes = |n: usize| quote(&show_size(n as u64));
    out.header("[limits]");
    out.line("connections", limits.connections.to_string());
    if let Some(per_client) = limits.per_client {
        out.line("per_client", per_client.to_string());
    }
    out.line("request_line", bytes(limits.head.request_line));
    out.line("header_bytes", bytes(limits.head.head));
    out.line("header_count", limits.head.count.to_string());
    out.line("body", quote(&show_size(limits.body)));
    out.line("spool_above", quote(&show_size(limits.spool_above)));
    out.line("spool_total", quote(&show_size(limits.spool_total)));
    out.line("min_rate", quote(&format!("{}/s", show_size(limits.min_rate))));
}

fn log(out: &mut Out, config: &Config) {
    let log = &config.log;
    let level = match log.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    let format = match log.format {
        LogFormat::Common => "common",
        LogFormat::Combined => "combined",
        LogFormat::Json => "json",
        LogFormat::Pretty => "pretty",
    };
    out.header("[log]");
    out.line("level", quote(level));
    out.line("error", target(&log.error));
    out.line("access", log.access.as_ref().map_or("false".to_owned(), target));
    out.line("format", quote(format));
    out.line("skip", list(&log.skip));
}

fn target(target: &At<LogTarget>) -> String {
    match &target.value {
        LogTarget::Stderr => quote("stderr"),
        LogTarget::Stdout => quote("stdout"),
        LogTarget::File(file) => path(file),
    }
}

fn media(out: &mut Out, config: &Config) {
    let media = &config.media;
    out.header("[media]");
    out.line("default", quote(&media.default));
    out.line("charset", or_false(media.charset.as_deref()));
    let types = media.types.iter().map(|(name, kind)| (quote(name), quote(kind)));
    out.line("types", table(types));
    out.header("[compress]");
    out.line("dynamic", list(config.compress.gzip.then_some("gzip")));
    out.line("min", quote(&show_size(config.compress.min)));
}

fn tls(out: &mut Out, tls: &Tls) {
    let version = match tls.min_version {
        TlsVersion::V12 => "1.2",
        TlsVersion::V13 => "1.3",
    };
    out.header("[tls]");
    out.line("local", tls.local.is_some().to_string());
    out.line("min_version", quote(version));
    out.line("tickets", tls.tickets.to_string());
    out.line("watch", tls.watch.to_string());
    out.line("hsts", hsts(tls.hsts));
    if let Some(ca) = &tls.client_ca {
        let required = ca.required.to_string();
        out.line("client_ca", table([("file", path(&ca.file.value)), ("required", required)]));
    }
    for cert in &tls.certs {
        out.header("[[tls.cert]]");
        out.line("chain", path(&cert.chain.value));
        out.line("key", path(&cert.key.value));
    }
}

fn hsts(hsts: Option<std::time::Duration>) -> String {
    hsts.map_or("false".to_owned(), |span| quote(&show_duration(span)))
}

fn cgi(out: &mut Out, config: &Config) {
    let interpreters = config
        .cgi
        .interpreters
        .iter()
        .map(|by| (quote(&format!(".{}", by.extension)), path(&by.program.value)));
    out.header("[cgi]");
    out.line("interpreter", table(interpreters));
    out.line("env", table(config.cgi.env.iter().map(|(name, value)| (name, quote(value)))));
}

fn app(out: &mut Out, app: &App) {
    out.header(&format!("[app.{}]", app.name.value));
    if let Program::Wsgi(wsgi) = &app.program {
        out.line("wsgi", quote(&wsgi.value));
    }
    out.line("dir", path(&app.dir));
    match &app.python {
        Python::Default => {}
        Python::Venv(venv) => out.line("venv", path(&venv.value)),
        Python::Program(python) => out.line("python", path(&python.value)),
    }
    let Workers { min, max } = app.workers;
    out.line("workers", table([("min", min.to_string()), ("max", max.to_string())]));
    out.line("queue", app.queue.to_string());
    for (key, value) in
        [("queue_timeout", app.queue_timeout), ("timeout", app.timeout), ("startup", app.startup)]
    {
        out.line(key, quote(&show_duration(value)));
    }
    let recycle = &app.recycle;
    let entries = [
        ("requests", recycle.requests.map(|n| n.to_string())),
        ("jitter", (recycle.jitter > 0).then(|| recycle.jitter.to_string())),
        ("memory", recycle.memory.map(|n| quote(&show_size(n)))),
        ("age", recycle.age.map(|age| quote(&show_duration(age)))),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
    out.line("recycle", table(entries));
    out.line("env", table(app.env.iter().map(|(name, value)| (quote(name), quote(value)))));
    if let Some(user) = &app.user {
        out.line("user", quote(&user.value));
    }
    out.line("required", app.required.to_string());
    out.line("reload", app.reload.to_string());
}

fn host(out: &mut Out, host: &Host) {
    out.header("[[host]]");
    if !host.names.is_empty() {
        out.line("names", list(host.names.iter().map(|at| &at.value)));
    }
    out.line("default", host.default.to_string());
    out.line("welcome", host.welcome.to_string());
    if let Some(CertFiles { chain, key }) = &host.tls {
        out.line("tls", table([("cert", path(&chain.value)), ("key", path(&key.value))]));
    }
    let https = match host.https {
        Https::Both => "both",
        Https::Redirect => "redirect",
        Https::Only => "only",
    };
    out.line("https", quote(https));
    if let Some(own) = host.hsts {
        out.line("hsts", hsts(own));
    }
    out.line("index", list(&host.index));
    let errors = host.errors.iter().map(|(key, page)| {
        let key = match key {
            ErrorKey::Status(status) => status.code().to_string(),
            ErrorKey::Class(hundreds) => format!("{hundreds}xx"),
        };
        (key, quote(&page.value))
    });
    out.line("errors", table(errors));
    access(out, &host.access, &Access::default());
    for route in &host.routes {
        self::route(out, route, &host.access);
    }
}

fn route(out: &mut Out, route: &Route, outer: &Access) {
    out.header("[[host.route]]");
    out.line("path", quote(&route.path.value));
    if let Some(set) = route.methods {
        out.line("methods", methods(set));
    }
    out.line("internal", route.internal.to_string());
    if let Some(slashes) = route.encoded_slashes {
        let word = match slashes {
            EncodedSlashes::Refuse => "refuse",
            EncodedSlashes::Keep => "keep",
        };
        out.line("encoded_slashes", quote(word));
    }
    access(out, &route.access, outer);
    match &route.action {
        Action::Files(files) => self::files(out, files),
        Action::Cgi(cgi) => scripts(out, cgi),
        Action::App(route) => {
            if let Some(files) = &route.files {
                self::files(out, files);
            }
            out.line("app", quote(&route.app.value));
        }
        Action::Pages(folder) => out.line("pages", path(&folder.value)),
        Action::Redirect(Redirect { to, status }) => {
            out.line(
                "redirect",
                table([("to", quote(&to.value)), ("status", status.code().to_string())]),
            );
        }
        Action::Respond(Respond { status, body, content_type }) => {
            let status = ("status", status.code().to_string());
            out.line(
                "respond",
                table([status, ("body", quote(body)), ("type", quote(content_type))]),
            );
        }
        Action::Handler(handler) => {
            out.line("handler", quote(&handler.name.value));
            if !handler.options.value.is_empty() {
                let options = toml::Value::Table(hidden(&handler.options.value));
                out.line("options", options.to_string());
            }
        }
    }
}

/// What does not hold, though it is said in `outer`, is shown as such.
fn access(out: &mut Out, access: &Access, outer: &Access) {
    if let Some(allow) = &access.allow {
        out.line("allow", list(allow.value.iter().map(ToString::to_string)));
    } else if outer.allow.is_some() {
        out.line("allow", "false");
    }
    if let Some(auth) = &access.auth {
        let users = match &auth.users {
            Users::File(file) => path(&file.value),
            // Whoever has a hash can try passwords at home.
            Users::Inline(users) => {
                let hidden = |user: &At<User>| (quote(&user.value.name), quote("(not shown)"));
                table(users.iter().map(hidden))
            }
        };
        let mut entries = vec![("users", users), ("realm", quote(&auth.realm))];
        entries.extend(auth.methods.map(|set| ("for", methods(set))));
        out.line("auth", table(entries));
    } else if outer.auth.is_some() {
        out.line("auth", "false");
    }
}

/// Options as they may be shown: what is called a secret is left out.
fn hidden(options: &toml::Table) -> toml::Table {
    let is_secret =
        |key: &str| ["secret", "password", "token", "key"].iter().any(|w| key.contains(w));
    let refers = |value: &toml::Value| {
        value.as_str().is_some_and(|text| text.starts_with("env:") || text.starts_with("file:"))
    };
    let shown = |(key, value): (&String, &toml::Value)| {
        let value =
            if is_secret(key) && !refers(value) { "(not shown)".into() } else { value.clone() };
        (key.clone(), value)
    };
    options.iter().map(shown).collect()
}

fn files(out: &mut Out, files: &Files) {
    out.line("files", path(&files.root.value));
    out.line("listing", files.listing.to_string());
    out.line("hidden", files.hidden.to_string());
    out.line("clean_urls", files.clean_urls.to_string());
    if let Some(fallback) = &files.fallback {
        out.line("fallback", quote(fallback));
    }
    if let Some(value) = &files.cache_control {
        out.line("cache_control", quote(value));
    }
    if let Some(upload) = &files.upload {
        out.line("upload", self::upload(upload));
    }
}

fn scripts(out: &mut Out, cgi: &Cgi) {
    let limits = &cgi.limits;
    let mut entries = vec![
        ("timeout", quote(&show_duration(limits.timeout))),
        ("processes", limits.processes.to_string()),
        ("queue", limits.queue.to_string()),
    ];
    entries.extend(limits.memory.map(|bytes| ("memory", quote(&show_size(bytes)))));
    entries.extend(limits.cpu.map(|time| ("cpu", quote(&show_duration(time)))));
    match &cgi.files {
        None => out.line("cgi", path(&cgi.root.value)),
        Some(files) => {
            self::files(out, files);
            let extensions = cgi.extensions.iter().map(|extension| quote(&format!(".{extension}")));
            let extensions: Vec<_> = extensions.collect();
            out.line(
                "cgi",
                if extensions.is_empty() {
                    "true".into()
                } else {
                    format!("[{}]", extensions.join(", "))
                },
            );
        }
    }
    out.line("cgi_limits", table(entries));
    out.line("cgi_authorization", cgi.authorization.to_string());
}

fn upload(upload: &Upload) -> String {
    let overwrite = match upload.overwrite {
        Overwrite::Replace => "replace",
        Overwrite::Refuse => "refuse",
        Overwrite::Rename => "rename",
    };
    table([
        ("methods", methods(upload.methods)),
        ("max", quote(&show_size(upload.max))),
        ("overwrite", quote(overwrite)),
        ("mkdir", upload.mkdir.to_string()),
    ])
}

fn methods(set: MethodSet) -> String {
    list(Method::NAMED.iter().filter(|method| set.contains(**method)).map(|m| m.as_str()))
}

fn or_false(text: Option<&str>) -> String {
    text.map_or("false".to_owned(), quote)
}

fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| quote(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

fn table(entries: impl IntoIterator<Item = (impl AsRef<str>, String)>) -> String {
    let entries: Vec<_> =
        entries.into_iter().map(|(key, value)| format!("{} = {value}", key.as_ref())).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
