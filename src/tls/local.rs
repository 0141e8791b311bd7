//! A certificate of our own making, for names of this machine: made at the first start, and kept, so
//! that a browser has to be told only once to trust it.

use super::certificate::{Certificate, read};
use crate::http::date;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustix::fs::OFlags;
use rustls::crypto::CryptoProvider;
use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// What browsers take: a little more than a year.
const VALID_DAYS: u64 = 397;

/// It is made anew when fewer days than this are left.
const RENEW_DAYS: i64 = 30;

/// With more names than so many it takes over none that nobody asks for now.
const NAMES_MAX: usize = 100;

/// Where things are kept from one start to the next: `STATE_DIRECTORY` of systemd, the system's
/// place for root, the user's for others. `None` where there is no home.
pub fn state_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folders) = std::env::var_os("STATE_DIRECTORY") {
        // systemd names several, if a unit has them, with colons between (systemd.exec(5)).
        let first = folders.as_bytes().split(|byte| *byte == b':').find(|name| !name.is_empty());
        if let Some(first) = first {
            return Some(OsStr::from_bytes(first).into());
        }
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

/// The certificate for `names`: the one kept in `folder`, or `former`, which served until now, if one
/// of them still serves; or else a new one, which is kept there if `keep`. Configurations with other
/// names share the folder: the new one is for the names of the one kept as well, and has its key.
pub(super) fn certificate(
    names: &[String],
    folder: Option<&Path>,
    former: Option<&Certificate>,
    keep: bool,
    now: i64,
    provider: &CryptoProvider,
) -> Result<Local, String> {
    let is_young = |certificate: &Certificate| certificate.days_left(now) >= RENEW_DAYS;
    let serves = |certificate: &Certificate| {
        is_young(certificate) && names.iter().all(|name| certificate.coverage.is_one(name))
    };
    let kept = folder.and_then(|folder| kept(folder, provider));
    let known = kept.as_ref().map(|(kept, _)| kept).into_iter().chain(former);
    if let Some(certificate) = known.clone().find(|known| serves(known)).cloned() {
        return Ok(Local { certificate, unkept: None });
    }
    let mut names = names.to_vec();
    for name in known.flat_map(|known| &known.names) {
        if names.len() < NAMES_MAX && !names.contains(name) {
            names.push(name.clone());
        }
    }
    let key =
        kept.filter(|(kept, _)| is_young(kept)).and_then(|(_, key)| KeyPair::from_pem(&key).ok());
    let (chain, key) = make(names, key, now).map_err(|error| error.to_string())?;
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

/// What lies in the folder, and the text of its key.
fn kept(folder: &Path, provider: &CryptoProvider) -> Option<(Certificate, String)> {
    let (chain, _) = read(&folder.join(CHAIN)).ok()?;
    let (key, mode) = read(&folder.join(KEY)).ok()?;
    // What others could read, they may have read.
    if mode & 0o077 != 0 {
        return None;
    }
    let certificate = Certificate::from_pem(&chain, &key, provider).ok()?;
    Some((certificate, String::from_utf8(key).ok()?))
}

/// The texts of a certificate and of its key.
fn make(
    names: Vec<String>,
    key: Option<KeyPair>,
    now: i64,
) -> Result<(String, String), rcgen::Error> {
    let key = key.map_or_else(KeyPair::generate, Ok)?;
    let mut params = CertificateParams::new(names)?;
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

/// Gives what is kept in `folder` to the account (user, group) that the server becomes: it reads it
/// again at each reload, and renews it. The folder may have been that account's before: nothing that
/// is a link, of either kind, is given away.
pub(super) fn give_to(folder: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    let nofollow = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    for name in [KEY, CHAIN] {
        let file = OpenOptions::new().read(true).custom_flags(nofollow).open(folder.join(name))?;
        let meta = file.metadata()?;
        if meta.is_file() && meta.nlink() == 1 {
            fchown(file, Some(user), Some(group))?;
        }
    }
    lchown(folder, Some(user), Some(group))
}

const CHAIN: &str = "local.pem";
const KEY: &str = "local.key";

/// Both files appear whole or not at all; the key is its owner's only, from its first byte on.
fn store(folder: &Path, chain: &str, key: &str) -> io::Result<()> {
    // The state folder itself may be entered by the account that the server becomes.
    folder.parent().map_or(Ok(()), std::fs::create_dir_all)?;
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
