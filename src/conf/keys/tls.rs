//! `[tls]`, certificates, and what hosts say of encryption.

use super::{Boolean, Keys, Kind, Nested, OrFalse, Own, Path, Placed, Time, Word, key};
use crate::conf::model::{At, CertFiles, ClientCa, Https, Tls, TlsVersion};
use crate::conf::read::{Item, Reader, tables};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::conf) static TLS: Keys<Tls> = Keys {
    title: "[tls]",
    defaults: Tls::default,
    keys: &[
        key("cert", at!(Tls, certs: CERTS)).does("certificates and their keys").otherwise("none"),
        key("local", at!(Tls, local: LOCAL)).does("make a certificate for names of this machine"),
        key("min_version", at!(Tls, min_version: VERSION)).does("the oldest version of TLS"),
        key("tickets", at!(Tls, tickets: Boolean)).does("resume sessions"),
        key("watch", at!(Tls, watch: Boolean)).does("pick up renewed files as they change"),
        key("hsts", at!(Tls, hsts: HSTS))
            .does("the `Strict-Transport-Security` of hosts that need https")
            .example(r#""180d""#),
        key("client_ca", at!(Tls, client_ca: CLIENT))
            .does("ask clients for a certificate of one of these issuers")
            .example(r#"{ file = "clients.pem", required = false }"#),
    ],
};

const CERTS: Own<Vec<CertFiles>> = Own {
    wanted: "an array of tables",
    read: |reader, item| {
        let certs = tables(reader, item, &CERT);
        Some(certs.into_iter().filter_map(|cert| CERT.whole(reader, cert)).collect())
    },
    show: |_| None,
};

const LOCAL: Own<Option<At<()>>> = Own {
    wanted: "true or false",
    read: |reader, item| {
        let wanted = Boolean.read(reader, item)?;
        Some(wanted.then(|| At::new((), item.span.clone())))
    },
    show: |local| Some(local.is_some().to_string()),
};

const VERSION: Word<TlsVersion> = Word(&[("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)]);

/// Browsers forget it, or are asked again, long before ten years; more is a typo.
pub(super) const HSTS: OrFalse<Time> = OrFalse(
    Time { min: Duration::from_secs(1), max: Duration::from_secs(10 * 366 * 86_400) },
    "a duration such as \"180d\", or false",
);

const CLIENT: Own<Option<ClientCa>> = Own {
    wanted: "a file, or a table",
    read: client_ca,
    show: |ca| ca.as_ref().map(|ca| CLIENT_CA.inline(ca)),
};

/// A file, or a table with the file and whether a certificate is required.
fn client_ca(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Option<ClientCa>> {
    if item.value.is_str() {
        let file = Placed(Path).read(reader, item)?;
        return Some(Some(ClientCa { file, required: true }));
    }
    Nested(&CLIENT_CA).read(reader, item).map(Some)
}

const FILE: Placed<Path> = Placed(Path);

pub(in crate::conf) static CERT: Keys<CertFiles> = Keys {
    title: "[[tls.cert]]",
    defaults: CertFiles::default,
    keys: &[
        key("chain", at!(CertFiles, chain: FILE))
            .does("the certificate and what leads to its issuer")
            .example(r#""/etc/letsencrypt/live/example.org/fullchain.pem""#)
            .needed(""),
        key("key", at!(CertFiles, key: FILE))
            .does("the private key")
            .example(r#""/etc/letsencrypt/live/example.org/privkey.pem""#)
            .needed(""),
    ],
};

pub(in crate::conf) static HOST_TLS: Keys<CertFiles> = Keys {
    title: "tls",
    defaults: CertFiles::default,
    keys: &[
        key("cert", at!(CertFiles, chain: FILE))
            .does("the certificate and what leads to its issuer")
            .example(r#""/etc/ssl/example.org.pem""#)
            .needed(""),
        key("key", at!(CertFiles, key: FILE))
            .does("the private key")
            .example(r#""/etc/ssl/example.org.key""#)
            .needed(""),
    ],
};

pub(in crate::conf) static CLIENT_CA: Keys<ClientCa> = Keys {
    title: "client_ca",
    defaults: || ClientCa { file: At::implied(PathBuf::new()), required: true },
    keys: &[
        key("file", at!(ClientCa, file: FILE))
            .does("the certificates of issuers")
            .example(r#""clients.pem""#)
            .needed(""),
        key("required", at!(ClientCa, required: Boolean)).does("refuse clients without one"),
    ],
};

/// What a host does with requests that are not encrypted.
pub(super) const HTTPS: Word<Https> =
    Word(&[("redirect", Https::Redirect), ("both", Https::Both), ("only", Https::Only)]);
