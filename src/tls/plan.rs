//! What the configuration asks for, and what comes of it: everything a TLS listener needs.

use super::certificate::{Certificate, Coverage, certificates, read};
use super::choice::{Choice, bare};
use super::secured::Secured;
use super::setup::{Rules, provider};
use super::time::now;
use super::{local, pair};
use crate::conf::{At, CertFiles, ClientCa, Config, Diagnostic, TlsVersion};
use crate::sys::way;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

/// What a configuration says of TLS, to be loaded now and again whenever files change.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each with the names of the host it was given to, if it was.
    files: Vec<(CertFiles, Vec<String>)>,
    /// The names of a certificate of our own making.
    local: Option<(Vec<String>, At<()>)>,
    client_ca: Option<ClientCa>,
    min_version: TlsVersion,
    tickets: bool,
    http2: bool,
    watch: bool,
    /// The names that clients will ask for.
    wanted: Vec<At<String>>,
    /// Whom the server becomes when it has loaded it.
    user: Option<String>,
}

impl Plan {
    /// What `config` asks for; `None` if nothing listens for https.
    pub fn of(config: &Config) -> Option<Self> {
        if !config.server.listen.iter().any(|listen| listen.value.secure) {
            return None;
        }
        let names = |names: &[At<String>]| names.iter().map(|name| name.value.clone()).collect();
        let of_hosts = config
            .hosts
            .iter()
            .filter_map(|host| host.tls.as_ref().map(|files| (files.clone(), names(&host.names))));
        let files = config.tls.certs.iter().map(|files| (files.clone(), Vec::new()));
        let wanted: Vec<_> = config.hosts.iter().flat_map(|host| host.names.clone()).collect();
        Some(Self {
            files: files.chain(of_hosts).collect(),
            local: config.tls.local.clone().map(|at| (local_names(&wanted), at)),
            client_ca: config.tls.client_ca.clone(),
            min_version: config.tls.min_version,
            tickets: config.tls.tickets,
            http2: config.server.h2,
            watch: config.tls.watch,
            wanted,
            user: config.server.user.as_ref().map(|user| user.value.clone()),
        })
    }

    /// Gives what the server has made for itself to the account (user, group) that it becomes.
    pub fn give_to(&self, account: (u32, u32)) {
        if let Some(folder) = folder().filter(|_| self.local.is_some()) {
            // That it could not be kept was said. Reloads go on with what is loaded.
            let _ = local::give_to(&folder, account);
        }
    }

    /// Whether its files are to be watched, and there are any.
    pub fn is_watched(&self) -> bool {
        self.watch && self.paths().next().is_some()
    }

    /// The folders in which files may change, or links be turned, as they lie now.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<_> = self.paths().flat_map(|path| way::folders(path)).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// The files of private keys, as they are named; and the folder of the one of our own making.
    pub fn keys_of(config: &Config) -> impl Iterator<Item = PathBuf> {
        let of_hosts = config.hosts.iter().filter_map(|host| host.tls.as_ref());
        let files = of_hosts.chain(&config.tls.certs).map(|files| files.key.value.clone());
        files.chain(folder().filter(|_| config.tls.local.is_some()))
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.files.iter().flat_map(|(files, _)| [&files.chain, &files.key]);
        pairs.chain(self.client_ca.as_ref().map(|ca| &ca.file)).map(|at| &at.value)
    }

    /// Reads the files and builds what listeners need. `keep`: whether a certificate that had to be
    /// made may be written down. Resumption goes on from `former` where the rules are the same, and
    /// so do certificates that may not be read any more.
    ///
    /// # Errors
    /// All that is wrong. Warnings go to `warnings`.
    pub fn load(
        &self,
        former: Option<&Secured>,
        keep: bool,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Secured, Vec<Diagnostic>> {
        let (provider, now) = (Arc::new(provider()), now());
        let (mut list, mut errors, mut hasher) = (Vec::new(), Vec::new(), DefaultHasher::new());
        let loaded = former.map_or(&[][..], Secured::certificates);
        let by_files = loaded.iter().filter_map(|one| Some((one.files.as_ref()?, one))).rev();
        let by_files: HashMap<&[PathBuf; 2], &Certificate> = by_files.collect();
        for (files, of_host) in &self.files {
            if let Some(kept) = pair::keep(files, &by_files, &mut hasher, warnings) {
                list.push((kept, of_host.clone()));
                continue;
            }
            match pair::load(files, &provider, now, &mut hasher, warnings) {
                Ok(certificate) => list.push((certificate, of_host.clone())),
                Err(mut found) => errors.append(&mut found),
            }
            if let (Some(user), None) = (&self.user, former) {
                pair::warn_of_user(files, user, warnings);
            }
        }
        if let Some((names, at)) = &self.local {
            // The one that was not read from files.
            let former = loaded.iter().find(|loaded| loaded.files.is_none());
            match make_local(names, at, former, keep, now, &provider, warnings) {
                Ok(certificate) => list.push((certificate, Vec::new())),
                Err(error) => errors.push(error),
            }
        }
        let authorities = self.authorities(&mut hasher).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let choice = Arc::new(Choice::new(list));
        self.warn_of_names(&choice, warnings);
        self.warn_of_duplicates(&choice, warnings);
        let rules = Rules {
            authorities,
            required: self.client_ca.as_ref().is_some_and(|ca| ca.required),
            min_version: self.min_version,
            tickets: self.tickets,
            http2: self.http2,
        };
        let unusable = |error: rustls::Error| {
            let message = format!("TLS cannot be set up: {error}");
            vec![Diagnostic::error("bad-certificate", message, 0..0)]
        };
        let former = former.map(|former| &former.resumption);
        let resumption = rules.resumption(former).map_err(unusable)?;
        let config = rules.configure(provider, choice.clone(), &resumption).map_err(unusable)?;
        Ok(Secured { config: Arc::new(config), choice, resumption, fingerprint: hasher.finish() })
    }

    /// Whether the files are other ones than those that `secured` was made of, or may not be read
    /// any more.
    ///
    /// # Errors
    /// One cannot be read; loading will say which, and why.
    pub fn has_changed(&self, secured: &Secured) -> Result<bool, String> {
        let mut hasher = DefaultHasher::new();
        for (files, _) in &self.files {
            pair::hash(files, &mut hasher)?;
        }
        if let Some(ca) = &self.client_ca {
            let (pem, _) = read(&ca.file.value)?;
            pem.hash(&mut hasher);
        }
        Ok(hasher.finish() != secured.fingerprint)
    }

    /// The authorities that clients' certificates must lead to.
    #[allow(clippy::result_large_err)] // once a load; a box would only be in the way
    fn authorities(&self, hasher: &mut DefaultHasher) -> Result<Option<RootCertStore>, Diagnostic> {
        let Some(ca) = &self.client_ca else { return Ok(None) };
        let bad = |why: String| {
            let message = format!("client_ca: {why}");
            Diagnostic::error("bad-certificate", message, ca.file.span.clone())
        };
        let (pem, _) = read(&ca.file.value).map_err(bad)?;
        pem.hash(hasher);
        let named = |why| bad(format!("{}: {why}", ca.file.value.display()));
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&pem).map_err(named)? {
            roots.add(certificate).map_err(|error| named(error.to_string()))?;
        }
        Ok(Some(roots))
    }

    /// Certificates that nobody is shown: others have their names.
    fn warn_of_duplicates(&self, choice: &Choice, warnings: &mut Vec<Diagnostic>) {
        // The files come first, in their order.
        for (files, _) in choice.never_shown().filter_map(|number| self.files.get(number)) {
            let message = format!("nobody is shown {}", files.chain.value.display());
            let warning =
                Diagnostic::warning("duplicate-certificate", message, files.chain.span.clone());
            warnings.push(warning.label("others are shown for all of its names"));
        }
    }

    /// Names of hosts whose clients are shown a certificate without the name.
    fn warn_of_names(&self, choice: &Choice, warnings: &mut Vec<Diagnostic>) {
        let names = choice.certificates.iter().flat_map(|one| &one.names);
        let all: Coverage = names.map(String::as_str).collect();
        for name in &self.wanted {
            let covers = |certificate: &Certificate| certificate.covers(bare(&name.value));
            let shown = choice.certificates.get(choice.choose(Some(&name.value)));
            if shown.is_some_and(covers) {
                continue;
            }
            // A host may have been given another certificate than the one with its name.
            let message = match all.has(bare(&name.value)) {
                true => format!("the certificate for `{}` does not have that name", name.value),
                false => format!("no certificate has the name `{}`", name.value),
            };
            let at = name.span.clone();
            warnings.push(
                Diagnostic::warning("name-without-certificate", message, at)
                    .label("whoever asks for it by https is shown one without it"),
            );
        }
    }
}

/// The certificate of our own making, kept in the state folder.
#[allow(clippy::result_large_err)] // as above
fn make_local(
    names: &[String],
    at: &At<()>,
    former: Option<&Certificate>,
    keep: bool,
    now: i64,
    provider: &CryptoProvider,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Certificate, Diagnostic> {
    let local = local::certificate(names, folder().as_deref(), former, keep, now, provider);
    let local = local.map_err(|why| {
        let message = format!("no local certificate could be made: {why}");
        Diagnostic::error("bad-certificate", message, at.span.clone())
    })?;
    if let Some(why) = local.unkept {
        let message = format!("the local certificate is not kept: {why}");
        let help = "set STATE_DIRECTORY to a folder that may be written";
        let warning = Diagnostic::warning("unkept-certificate", message, at.span.clone());
        warnings.push(warning.help(help));
    }
    Ok(local.certificate)
}

/// Where it is kept.
fn folder() -> Option<PathBuf> {
    local::state_folder().map(|folder| folder.join(local::FOLDER))
}

/// The names of hosts that mean this machine, whatever DNS says, and its own addresses.
fn local_names(wanted: &[At<String>]) -> Vec<String> {
    let always = ["localhost", "*.localhost", "127.0.0.1", "::1"];
    let wanted = wanted.iter().map(|name| bare(&name.value));
    let names = always.into_iter().chain(wanted.filter(|name| name.ends_with(".localhost")));
    let mut known = HashSet::new();
    names.filter(|name| known.insert(*name)).map(str::to_owned).collect()
}
