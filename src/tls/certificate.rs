//! One certificate with its chain and its key, and what it says of itself.

use crate::conf::CertFiles;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// A chain or a bundle of authorities is a few kilobytes; more is another file.
const FILE_MAX: u64 = 8 * 1024 * 1024;

/// A certificate that can be shown.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Chain and key, as rustls wants them.
    pub(super) certified: Arc<CertifiedKey>,
    /// Names in lower case, wildcards as `*.example.org`, addresses as text.
    pub(super) names: Vec<String>,
    /// Seconds since 1970 when it begins to be valid.
    pub(super) not_before: i64,
    /// Seconds since 1970 when it ends to be valid.
    pub(super) not_after: i64,
}

/// What a pair of files holds, and whether everybody may read the key.
pub(super) struct Files {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) key_is_open: bool,
}

impl Files {
    /// Reads both. The error names the file.
    pub(super) fn read(files: &CertFiles) -> Result<Self, String> {
        let (chain, _) = read(&files.chain.value)?;
        let (key, mode) = read(&files.key.value)?;
        Ok(Self { chain, key, key_is_open: mode & 0o004 != 0 })
    }
}

/// The content of a file, and its permissions. The error names the file.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, u32), String> {
    let mut content = Vec::new();
    let mode = File::open(path)
        .and_then(|file| {
            let meta = file.metadata()?;
            if !meta.is_file() || meta.len() > FILE_MAX {
                return Err(std::io::Error::other("it is no file of a sensible size"));
            }
            file.take(FILE_MAX).read_to_end(&mut content)?;
            Ok(meta.mode())
        })
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok((content, mode))
}

/// The certificates of a PEM text.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(list) if list.is_empty() => Err("there is no certificate in it".into()),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("it is no PEM: {error}")),
    }
}

impl Certificate {
    /// Takes PEM texts apart and sees whether they belong together.
    pub(super) fn from_pem(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let chain = certificates(chain).map_err(|why| format!("the certificate: {why}"))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| format!("the key: there is none in it ({error})"))?;
        let first = chain.first().map(|first| first.to_vec()).unwrap_or_default();
        let (_, parsed) = X509Certificate::from_der(&first)
            .map_err(|error| format!("the certificate is damaged: {error}"))?;
        let (names, validity) = (names(&parsed), parsed.validity());
        let (not_before, not_after) =
            (validity.not_before.timestamp(), validity.not_after.timestamp());
        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    "the key is not that of the certificate".to_owned()
                }
                other => format!("certificate or key cannot be used: {other}"),
            })?;
        Ok(Self { certified: Arc::new(certified), names, not_before, not_after })
    }

    /// Days until it ends to be valid, as of `now`; negative once it has.
    pub(super) fn days_left(&self, now: i64) -> i64 {
        (self.not_after - now).div_euclid(86_400)
    }

    /// Whether clients that want `name` will take it.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|own| match own.strip_prefix('*') {
            _ if own == name => true,
            // Exactly one label (RFC 6125 §6.4.3).
            Some(suffix) => name
                .strip_suffix(suffix)
                .is_some_and(|label| !label.is_empty() && !label.contains(['.', '*'])),
            None => false,
        })
    }
}

/// The alternative names; the common name where a certificate of old has none.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    if names.is_empty() {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(ip.to_string())
}

/// Whose certificate this is, as one line: `CN=Ada, O=Example`. Its signature was checked before;
/// what the line says is for logs and handlers. `None` if it is damaged.
pub fn subject_of(der: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some(parsed.subject().to_string())
}
