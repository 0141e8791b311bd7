//! A certificate of our own making, for names of this machine: made at the first start, and kept, so
//! that a browser has to be told only once to trust it.

use super::certificate::{Certificate, read};
use crate::http::date;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::crypto::CryptoProvider;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What browsers take: a little more than a year.
const VALID_DAYS: u64 = 397;

/// It is made anew when fewer days than this are left.
const RENEW_DAYS: i64 = 30;

/// Where things are kept from one start to the next: `STATE_DIRECTORY` of systemd, the system's
/// place for root, the user's for others. `None` where there is no home.
pub fn state_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("STATE_DIRECTORY") {
        return Some(folder);
    }
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/httpyserver".into());
    }
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Some(state?.join("httpyserver"))
}

/// A certificate, and what to say of it.
pub(super) struct Local {
    pub(super) certificate: Certificate,
    /// It could not be kept: the next start will make another one.
    pub(super) unkept: Option<String>,
}

/// The certificate for `names`: the one kept in `folder`, if it still serves, or a new one, which is
/// kept there if `keep`.
pub(super) fn certificate(
    names: &[String],
    folder: Option<&Path>,
    keep: bool,
    now: i64,
    provider: &CryptoProvider,
) -> Result<Local, String> {
    if let Some(kept) = folder.and_then(|folder| kept(folder, provider))
        && kept.days_left(now) >= RENEW_DAYS
        && names.iter().all(|name| kept.names.contains(name))
    {
        return Ok(Local { certificate: kept, unkept: None });
    }
    let (chain, key) = make(names, now).map_err(|error| error.to_string())?;
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes(), provider)
        .map_err(|fault| format!("{fault:?}"))?;
    let unkept = match folder {
        _ if !keep => None,
        None => Some("there is no folder to keep it in".into()),
        Some(folder) => store(folder, &chain, &key)
            .err()
            .map(|error| format!("{} cannot be written: {error}", folder.display())),
    };
    Ok(Local { certificate, unkept })
}

fn kept(folder: &Path, provider: &CryptoProvider) -> Option<Certificate> {
    let (chain, _) = read(&folder.join(CHAIN)).ok()?;
    let (key, mode) = read(&folder.join(KEY)).ok()?;
    // What others could read, they may have read.
    if mode & 0o077 != 0 {
        return None;
    }
    Certificate::from_pem(&chain, &key, provider).ok()
}

fn make(names: &[String], now: i64) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "httpyserver on this machine");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = u64::try_from(now).unwrap_or_default();
    // Clocks differ: it is valid since yesterday.
    let day = |unix| {
        let date = date::civil(unix);
        rcgen::date_time_ymd(date.year.into(), date.month, date.day)
    };
    params.not_before = day(now.saturating_sub(86_400));
    params.not_after = day(now + VALID_DAYS * 86_400);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// In the state folder. Uploads may lie beside it: a name with a dot is served to nobody, unless the
/// configuration asks for it.
pub(super) const FOLDER: &str = ".tls";

const CHAIN: &str = "local.pem";
const KEY: &str = "local.key";

/// Both files appear whole or not at all; the key is its owner's only, from its first byte on.
fn store(folder: &Path, chain: &str, key: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (name, text, mode) in [(KEY, key, 0o600), (CHAIN, chain, 0o644)] {
        let draft = folder.join(format!(".{name}.{}", std::process::id()));
        let _ = std::fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&draft, folder.join(name))?;
    }
    Ok(())
}
