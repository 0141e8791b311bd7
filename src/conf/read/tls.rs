//! `[tls]`, and what hosts say of encryption.

use super::global::{set, with};
use super::schema;
use super::table::{Item, Reader, Table, tables};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{At, CertFiles, ClientCa, Config, Host, Https, Tls, TlsVersion};
use crate::conf::rules;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Browsers forget it, or are asked again, long before; more is a typo.
const HSTS_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// `[tls]`
pub(super) fn tls(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Tls {
    with(reader, item, &schema::TLS, |r, table, tls: &mut Tls| {
        if let Some(item) = table.take("cert") {
            let certs = tables(r, &item, &schema::CERT, "[[tls.cert]]");
            tls.certs = certs.into_iter().filter_map(|cert| pair(r, cert, "chain")).collect();
        }
        if let Some(item) = table.take("local") {
            let wanted = r.boolean(&item) == Some(true);
            tls.local = wanted.then(|| At::new((), item.span));
        }
        if let Some(item) = table.take("min_version") {
            let words = [("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)];
            set(&mut tls.min_version, r.choice(&item, &words));
        }
        for (key, place) in [("tickets", &mut tls.tickets), ("watch", &mut tls.watch)] {
            if let Some(item) = table.take(key) {
                set(place, r.boolean(&item));
            }
        }
        if let Some(item) = table.take("hsts") {
            set(&mut tls.hsts, hsts(r, &item));
        }
        if let Some(item) = table.take("client_ca") {
            tls.client_ca = client_ca(r, &item);
        }
    })
}

/// A file, or a table with the file and whether a certificate is required.
fn client_ca(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<ClientCa> {
    if item.value.is_str() {
        return Some(ClientCa { file: reader.path(item)?, required: true });
    }
    let mut table = reader.table(item, &schema::CLIENT_CA)?;
    let file = table.take("file");
    let required = table.take("required").and_then(|item| reader.boolean(&item)).unwrap_or(true);
    let file = needed(reader, &table, file, "file");
    table.finish(reader);
    Some(ClientCa { file: file?, required })
}

/// `tls = { cert, key }` of a host.
pub(super) fn of_host(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<CertFiles> {
    let table = reader.table(item, &schema::HOST_TLS)?;
    pair(reader, table, "cert")
}

/// A certificate and its key.
fn pair(reader: &mut Reader<'_>, mut table: Table<'_>, cert: &'static str) -> Option<CertFiles> {
    let (chain, key) = (table.take(cert), table.take("key"));
    let chain = needed(reader, &table, chain, cert);
    let key = needed(reader, &table, key, "key");
    table.finish(reader);
    Some(CertFiles { chain: chain?, key: key? })
}

fn needed(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    item: Option<Item<'_>>,
    key: &str,
) -> Option<At<PathBuf>> {
    let Some(item) = item else {
        let message = format!("{} needs `{key}`", table.title());
        reader.report(Diagnostic::error("missing-key", message, table.span.clone()));
        return None;
    };
    let path = reader.string(&item, rules::file_path)?;
    Some(At::new(reader.folder.join(path), item.span))
}

/// A duration, or `false` for none.
pub(super) fn hsts(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Option<Duration>> {
    if matches!(item.value, DeValue::Boolean(false)) {
        return Some(None);
    }
    reader.duration(item, Duration::from_secs(1)..=HSTS_MAX).map(Some)
}

/// What a host does with requests that are not encrypted.
pub(super) fn https(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Https> {
    let words = [("redirect", Https::Redirect), ("both", Https::Both), ("only", Https::Only)];
    reader.choice(item, &words)
}

/// A redirect says where to, and that is never what a client made up; and browsers are not told to
/// use https only where http is answered as well.
pub(super) fn redirects_somewhere(reader: &mut Reader<'_>, host: &Host) {
    if host.https == Https::Both && matches!(host.hsts, Some(Some(_))) {
        let message = "`hsts` has no effect on a host that is answered without https, too";
        let help = "give the host `https = \"redirect\"` or `https = \"only\"`";
        reader.report(Diagnostic::warning("unused-hsts", message, host.span.clone()).help(help));
    }
    if host.https == Https::Redirect && host.names.is_empty() {
        let message = "this host sends clients to https, and has no name to send them to";
        let help = "give it `names = [\"example.org\"]`, or `https = \"only\"`";
        reader.report(
            Diagnostic::error("redirect-needs-name", message, host.span.clone()).help(help),
        );
    }
}

/// Who listens for TLS has a certificate, and who asks for https listens for it.
pub(super) fn needs_certificate(reader: &mut Reader<'_>, config: &Config) {
    let tls = &config.tls;
    let of_hosts = config.hosts.iter().filter_map(|host| host.tls.as_ref());
    let first = tls.certs.iter().chain(of_hosts).next();
    let secure = config.server.listen.iter().find(|listen| listen.value.secure);
    // Perhaps that was meant to be for https.
    if secure.is_none() && reader.found.iter().any(|found| found.name == "bad-listen") {
        return;
    }
    match (secure, first) {
        (Some(listen), None) if tls.local.is_none() => {
            let message = "there is no certificate to speak TLS with";
            reader.report(Diagnostic::error("no-certificate", message, listen.span.clone()).help(
                "name one with [[tls.cert]] and `chain` and `key`; for names of this machine \
                     `local = true` in [tls] makes one",
            ));
        }
        (None, Some(cert)) => {
            let message = "this certificate is not used: nothing listens for https";
            let help = "add \"https://*:443\" to `listen` in [server]";
            let span = cert.chain.span.clone();
            reader.report(Diagnostic::warning("unused-certificate", message, span).help(help));
        }
        (None, None) => {
            if let Some(local) = &tls.local {
                let message = "no local certificate is needed: nothing listens for https";
                let help = "add \"https://127.0.0.1:8443\" to `listen` in [server]";
                reader.report(
                    Diagnostic::warning("unused-certificate", message, local.span.clone())
                        .help(help),
                );
            }
        }
        _ => {}
    }
    let asking = config.hosts.iter().find(|host| host.https != Https::Both);
    if let (None, Some(host)) = (secure, asking) {
        let message = "this host wants https, and nothing listens for it";
        let help = "add \"https://*:443\" to `listen` in [server]";
        reader.report(Diagnostic::error("no-https", message, host.span.clone()).help(help));
    }
}
