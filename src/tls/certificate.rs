//! One certificate with its chain and its key, and what it says of itself.

use crate::sys::file;
use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// A chain or a bundle of authorities is a few kilobytes; more is another file.
const FILE_MAX: u64 = 8 * 1024 * 1024;

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The files of the chain and the key; `None`: it was made here.
    pub(super) files: Option<[PathBuf; 2]>,
    /// Chain and key, as rustls wants them.
    pub(super) certified: Arc<CertifiedKey>,
    /// Names in lower case, wildcards as `*.example.org`, addresses as text.
    pub(super) names: Vec<String>,
    /// The same, to be looked up.
    pub(super) coverage: Coverage,
    /// Those are from its common name, for it has no others. Clients do not look there any more
    /// (RFC 9110 §4.3.4).
    pub(super) is_of_old: bool,
    /// Seconds since 1970 when it begins to be valid.
    pub(super) not_before: i64,
    /// Seconds since 1970 when it ends to be valid.
    pub(super) not_after: i64,
}

/// The content of a file, and its permissions. The error names the file.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, u32), String> {
    let read = file::read(path, FILE_MAX);
    let (content, about) =
        read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok((content, about.mode()))
}

const NO_CERTIFICATE: &str = "there is no certificate in it";

/// The certificates of a PEM text.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(list) if list.is_empty() => Err(NO_CERTIFICATE.into()),
        Ok(list) => check_marks(pem).map(|()| list),
        Err(error) => Err(format!("it is no PEM: {}", in_words(&error))),
    }
}

/// Whether every mark of a block has a line to itself and its partner (RFC 7468 §3): the parser skips
/// what has not, and a certificate would be missing without a word.
fn check_marks(pem: &[u8]) -> Result<(), String> {
    let mut open: Option<&[u8]> = None;
    for (number, line) in (1..).zip(pem.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        let has = |mark: &[u8]| memchr::memmem::find(line, mark).is_some();
        if !has(b"-----BEGIN") && !has(b"-----END") {
            continue;
        }
        let label = |mark: &[u8]| {
            let label = line.strip_prefix(mark)?.strip_suffix(b"-----")?;
            memchr::memmem::find(label, b"--").is_none().then_some(label)
        };
        open = match (open, label(b"-----BEGIN "), label(b"-----END ")) {
            (None, Some(begun), _) => Some(begun),
            (Some(begun), _, Some(ended)) if begun == ended => None,
            (Some(_), Some(_), _) => {
                return Err(format!("line {number} begins a block inside of another one"));
            }
            (_, None, None) => {
                let why =
                    "has more than one mark of a block, or a damaged one; is a line break missing?";
                return Err(format!("line {number} {why}"));
            }
            _ => return Err(format!("line {number} ends a block that does not begin so")),
        };
    }
    match open {
        None => Ok(()),
        Some(_) => Err("a block that begins has no end; is it cut?".into()),
    }
}

/// What is wrong with a PEM text. Bytes of it are shown as text, and only those of its marks.
fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block that begins has no end; is it cut?".into(),
        pem::Error::IllegalSectionStart { .. } => "a line that begins a block is damaged".into(),
        other => other.to_string(),
    }
}

/// What is wrong with a chain and a key, and with which of them.
#[derive(Debug)]
pub(super) enum Fault {
    Chain(String),
    Key(String),
    /// They do not belong together.
    Mismatch,
}

impl Certificate {
    /// Takes PEM texts apart and sees whether they belong together.
    pub(super) fn from_pem(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, Fault> {
        let list = certificates(chain).map_err(|why| {
            let is_a_key = why == NO_CERTIFICATE && holds(chain, KEY);
            Fault::Chain(if is_a_key { format!("{why}, but a private key") } else { why })
        })?;
        let key = private_key(key).map_err(Fault::Key)?;
        for (number, der) in list.iter().enumerate().skip(1) {
            X509Certificate::from_der(der).map_err(|error| {
                let number = number + 1;
                Fault::Chain(format!("certificate number {number} in it is damaged: {error}"))
            })?;
        }
        let first = list.first().map(|first| first.to_vec()).unwrap_or_default();
        let (_, parsed) = X509Certificate::from_der(&first)
            .map_err(|error| Fault::Chain(format!("the certificate is damaged: {error}")))?;
        let (names, is_of_old) = names(&parsed);
        let validity = parsed.validity();
        let (not_before, not_after) =
            (validity.not_before.timestamp(), validity.not_after.timestamp());
        let certified =
            CertifiedKey::from_der(list, key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Fault::Mismatch,
                other => Fault::Key(format!("it cannot be used: {other}")),
            })?;
        let certified = Arc::new(certified);
        let coverage = names.iter().map(String::as_str).collect();
        Ok(Self { files: None, certified, names, coverage, is_of_old, not_before, not_after })
    }

    /// What is wrong with the chain behind it, in words: each certificate has to be that of the issuer
    /// of the one before (RFC 8446 §4.4.2). That an issuer is missing can be said only of a certificate
    /// that tells where to fetch it: one that clients trust themselves is rightly left out.
    pub(super) fn chain_fault(&self) -> Option<String> {
        let chain = &self.certified.cert;
        let parsed = chain.iter().map(|der| X509Certificate::from_der(der).map(|(_, one)| one));
        let parsed: Vec<_> = parsed.collect::<Result<_, _>>().ok()?;
        for (number, two) in (1..).zip(parsed.windows(2)) {
            let [one, next] = two else { break };
            if chain.get(number) == chain.get(number - 1) {
                return Some(format!("its certificate number {} is there twice", number + 1));
            }
            if one.issuer().as_raw() != next.subject().as_raw() {
                return Some(format!(
                    "its certificate number {} is not that of the issuer of the one before, {:?}",
                    number + 1,
                    one.issuer().to_string()
                ));
            }
        }
        let only = parsed.first().filter(|_| parsed.len() == 1)?;
        let is_issued = only.issuer().as_raw() != only.subject().as_raw();
        let points_at_issuer = only.extensions().iter().any(|extension| {
            use x509_parser::oid_registry::OID_PKIX_AUTHORITY_INFO_ACCESS;
            extension.oid == OID_PKIX_AUTHORITY_INFO_ACCESS
        });
        let name = only.issuer().to_string();
        (is_issued && points_at_issuer)
            .then(|| format!("the certificate of its issuer is missing, {name:?}"))
    }

    /// What kind of key it has.
    pub(super) fn kind(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }

    /// Days until it ends to be valid, as of `now`; negative once it has.
    pub(super) fn days_left(&self, now: i64) -> i64 {
        (self.not_after - now).div_euclid(86_400)
    }

    /// Whether clients that want `name` will take it.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.coverage.has(name)
    }
}

/// Names of certificates, to be looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    names: HashSet<Box<str>>,
    /// `.example.org` of `*.example.org`.
    suffixes: HashSet<Box<str>>,
}

impl Coverage {
    /// Whether this is one of the names.
    pub(super) fn is_one(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether one of the names is this one, or covers it.
    pub(super) fn has(&self, name: &str) -> bool {
        // Exactly one label (RFC 6125 §6.4.3).
        let first = name.find('.').and_then(|dot| name.split_at_checked(dot));
        self.is_one(name)
            || first.is_some_and(|(label, suffix)| {
                !label.is_empty() && !label.contains('*') && self.suffixes.contains(suffix)
            })
    }
}

impl<'a> FromIterator<&'a str> for Coverage {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Self {
        let mut coverage = Self::default();
        for name in names {
            coverage.names.insert(name.into());
            coverage.suffixes.extend(name.strip_prefix('*').map(Box::from));
        }
        coverage
    }
}

/// How a block of PEM begins that holds a private key of any kind.
const KEY: &str = "PRIVATE KEY-----";

fn holds(pem: &[u8], what: &str) -> bool {
    memchr::memmem::find(pem, what.as_bytes()).is_some()
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let key = PrivateKeyDer::from_pem_slice(pem);
    let key = key.map_err(|error| {
        if holds(pem, "BEGIN ENCRYPTED PRIVATE KEY") || holds(pem, "Proc-Type: 4,ENCRYPTED") {
            return "the key is encrypted; `openssl pkey -in FILE` writes it without its password"
                .into();
        }
        match error {
            _ if holds(pem, "BEGIN CERTIFICATE") => {
                "there is no private key in it, but a certificate".into()
            }
            pem::Error::NoItemsFound => "there is no private key in it".into(),
            other => format!("the key is damaged: {}", in_words(&other)),
        }
    })?;
    check_marks(pem).map(|()| key)
}

/// The alternative names; the common name where a certificate of old has none, which is said.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, bool) {
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
    let is_of_old = names.is_empty();
    if is_of_old {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    (names, is_of_old)
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_blocks_have_lines_to_themselves() {
        let of = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
        let (cert, key) = (of("CERTIFICATE"), of("PRIVATE KEY"));
        for (text, want) in [
            (format!("{cert}\n{cert}\n"), ""),
            (format!("{cert}\n{cert}"), ""),
            (format!("{cert}\n{cert}\n").replace('\n', "\r\n"), ""),
            (format!("leaf\n{cert} \n\nintermediate\n{cert}\ntrailing text"), ""),
            (format!("{cert}\n{key}\n{cert}\n"), ""),
            (format!("{cert}{cert}\n"), "line 3 has more than one mark"),
            (format!("{cert}{key}\n"), "line 3 has more than one mark"),
            (format!("{cert} {cert}\n"), "line 3 has more than one mark"),
            (format!("{cert}x\n"), "line 3 has more than one mark"),
            (format!("text{cert}\n"), "line 1 has more than one mark"),
            (format!("{cert}\n{}", &cert[..40]), "is it cut?"),
            (format!("{}\n{cert}", &cert[..32]), "line 3 begins a block inside"),
            (cert.replace("END CERTIFICATE", "END KEY"), "line 3 ends a block"),
            (format!("-----END CERTIFICATE-----\n{cert}"), "line 1 ends a block"),
        ] {
            let got = check_marks(text.as_bytes()).err().unwrap_or_default();
            assert!(got.contains(want) && want.is_empty() == got.is_empty(), "{text}: {got}");
        }
    }

    #[test]
    fn a_chain_that_lost_a_line_break_is_refused_whole() {
        let issue = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (leaf, above) = (issue("a.test").cert.pem(), issue("b.test").cert.pem());
        assert_eq!(certificates((leaf.clone() + &above).as_bytes()).map(|list| list.len()), Ok(2));
        let joined = leaf.trim_end().to_owned() + &above;
        assert!(certificates(joined.as_bytes()).unwrap_err().contains("line break"));
    }

    #[test]
    fn a_chain_leads_from_issuer_to_issuer() {
        use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
        let authority = |name: &str| {
            let mut params = CertificateParams::new([]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (root_key, mid_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (root, mid) = (authority("root"), authority("mid"));
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(root, root_key);
        let mid_pem = mid.signed_by(&mid_key, &root).unwrap().pem();
        let mid = Issuer::new(mid, mid_key);
        let key = KeyPair::generate().unwrap();
        let leaf = |fetch: bool| {
            let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
            let access =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], vec![48, 0]);
            params.custom_extensions.extend(fetch.then_some(access));
            params.signed_by(&key, &mid).unwrap().pem()
        };
        let provider = crate::tls::setup::provider();
        for (chain, want) in [
            (leaf(false), ""),
            (leaf(true), "issuer is missing"),
            (leaf(true) + &mid_pem, ""),
            (leaf(false) + &mid_pem + &root_pem, ""),
            (leaf(false) + &root_pem, "number 2 is not that of the issuer"),
            (leaf(false) + &mid_pem + &mid_pem, "number 3 is there twice"),
            (leaf(false) + &root_pem + &mid_pem, "number 2 is not"),
        ] {
            let pem = key.serialize_pem();
            let one = Certificate::from_pem(chain.as_bytes(), pem.as_bytes(), &provider).unwrap();
            let fault = one.chain_fault().unwrap_or_default();
            assert!(fault.contains(want) && want.is_empty() == fault.is_empty(), "{want}: {fault}");
        }
    }
}
