//! The two files of a certificate: what they hold, and what is wrong with them, in words.

use super::certificate::{Certificate, Fault, read};
use super::time::days;
use crate::conf::{At, CertFiles, Diagnostic};
use crate::sys::privilege::may_read;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustls::crypto::CryptoProvider;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hash;
use std::path::PathBuf;

/// Certificates with fewer days left are warned of: the renewal should have happened.
const WARN_DAYS: i64 = 14;

/// A key that everybody on the machine may read.
const READ_BY_ALL: u32 = 0o004;

/// Reads both files. What they hold goes into `hasher`.
///
/// # Errors
/// What is wrong with each. What could be better goes to `warnings`.
pub(super) fn load(
    files: &CertFiles,
    provider: &CryptoProvider,
    now: i64,
    hasher: &mut DefaultHasher,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Certificate, Vec<Diagnostic>> {
    let bad =
        |at: &At<PathBuf>, why: String| Diagnostic::error("bad-certificate", why, at.span.clone());
    let ((chain, _), (key, mode)) = match (read(&files.chain.value), read(&files.key.value)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            let chain = chain.err().map(|why| bad(&files.chain, why));
            return Err(chain
                .into_iter()
                .chain(key.err().map(|why| bad(&files.key, why)))
                .collect());
        }
    };
    let named = |at: &At<PathBuf>, why: &str| bad(at, format!("{}: {why}", at.value.display()));
    let mut certificate = Certificate::from_pem(&chain, &key, provider).map_err(|fault| {
        vec![match fault {
            Fault::Chain(why) => named(&files.chain, &why),
            Fault::Key(why) => named(&files.key, &why),
            Fault::Mismatch => {
                let both =
                    format!("{} with {}", files.chain.value.display(), files.key.value.display());
                bad(&files.key, format!("{both}: the key is not that of the certificate"))
                    .also(files.chain.span.clone(), "the certificate")
            }
        }]
    })?;
    certificate.files = Some([files.chain.value.clone(), files.key.value.clone()]);
    (&chain, &key).hash(hasher);
    if mode & READ_BY_ALL != 0 {
        let message = format!("everybody may read the key {}", files.key.value.display());
        let help = "chmod 600 keeps it to its owner";
        let warning = Diagnostic::warning("open-key", message, files.key.span.clone());
        warnings.push(warning.help(help));
    }
    warn_of_certificate(&certificate, now, &files.chain, warnings);
    Ok(certificate)
}

/// The certificate that was `loaded` from these files before they could no longer be read: the
/// account that the server has become may not.
pub(super) fn keep(
    files: &CertFiles,
    loaded: &HashMap<&[PathBuf; 2], &Certificate>,
    hasher: &mut DefaultHasher,
    warnings: &mut Vec<Diagnostic>,
) -> Option<Certificate> {
    let withheld = withheld(files)?;
    let kept = *loaded.get(&[files.chain.value.clone(), files.key.value.clone()])?;
    WITHHELD.hash(hasher);
    let message = format!(
        "{} may no longer be read; what was loaded from it goes on",
        withheld.value.display()
    );
    let warning = Diagnostic::warning(WITHHELD, message, withheld.span.clone());
    warnings.push(warning.help("give the account the right to read it, or restart after renewals"));
    Some(kept.clone())
}

/// Warns of what `user`, whom the server is about to become, will not be able to read again.
pub(super) fn warn_of_user(files: &CertFiles, user: &str, warnings: &mut Vec<Diagnostic>) {
    let read_once = [&files.chain, &files.key].into_iter().find(|at| !may_read(user, &at.value));
    if let Some(at) = read_once {
        let message = format!("`{user}` may not read {}", at.value.display());
        let warning = Diagnostic::warning(WITHHELD, message, at.span.clone());
        warnings.push(
            warning
                .label("it is read at the start, and a renewed one only by a restart")
                .help("give that account, or a group of it, the right to read it"),
        );
    }
}

/// The name of warnings of files that may not be read again.
pub(super) const WITHHELD: &str = "withheld-certificate";

/// The first of the files that is there, perhaps, and may not be read.
fn withheld(files: &CertFiles) -> Option<&At<PathBuf>> {
    let denied = |at: &&At<PathBuf>| access(&at.value, Access::READ_OK) == Err(Errno::ACCESS);
    [&files.chain, &files.key].into_iter().find(denied)
}

/// Goes on with what makes the files different from others.
///
/// # Errors
/// One of them cannot be read, and not because it may not.
pub(super) fn hash(files: &CertFiles, hasher: &mut DefaultHasher) -> Result<(), String> {
    if withheld(files).is_some() {
        WITHHELD.hash(hasher);
        return Ok(());
    }
    let ((chain, _), (key, _)) = (read(&files.chain.value)?, read(&files.key.value)?);
    (chain, key).hash(hasher);
    Ok(())
}

/// What clients will not like about a certificate, now or soon.
fn warn_of_certificate(
    certificate: &Certificate,
    now: i64,
    at: &At<PathBuf>,
    warnings: &mut Vec<Diagnostic>,
) {
    let file = at.value.display();
    if certificate.is_of_old {
        let message = format!("{file} has its names in a place where clients do not look for them");
        let help = "have one issued with alternative names (subjectAltName)";
        let warning = Diagnostic::warning("name-without-certificate", message, at.span.clone());
        warnings.push(warning.help(help));
    }
    if let Some(why) = certificate.chain_fault() {
        let warning =
            Diagnostic::warning("broken-chain", format!("{file}: {why}"), at.span.clone());
        let help = "the file has the certificate first, then that of its issuer, and so on; many \
                    clients refuse what they cannot follow";
        warnings.push(warning.help(help));
    }
    let message = match certificate.days_left(now) {
        _ if certificate.not_before > now => format!("{file} is not valid yet"),
        left if left < 0 => format!("{file} expired {} ago", days(-left)),
        left if left < WARN_DAYS => format!("{file} expires in {}", days(left)),
        _ => return,
    };
    warnings.push(Diagnostic::warning("certificate-expires", message, at.span.clone()));
}
