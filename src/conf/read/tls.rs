//! Whether what is said of encryption fits together.

use super::Reader;
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Config, Host, Https};

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
