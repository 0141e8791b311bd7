//! What the configuration asks for, and what comes of it: everything a TLS listener needs.

use super::certificate::{Certificate, Fault, certificates, read};
use super::choice::{Choice, bare};
use super::local;
use crate::conf::{At, CertFiles, ClientCa, Config, Diagnostic, TlsVersion};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Certificates with fewer days left are warned of: the renewal should have happened.
const WARN_DAYS: i64 = 14;

/// Sessions of TLS 1.2 clients that know no tickets.
const SESSIONS: usize = 1024;

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
    watch: bool,
    /// The names that clients will ask for.
    wanted: Vec<At<String>>,
}

/// Certificates, and the configuration of rustls made of them.
pub struct Secured {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    choice: Arc<Choice>,
    resumption: Resumption,
    fingerprint: u64,
}

/// What makes resumption work beyond a reload.
#[derive(Clone)]
struct Resumption {
    tickets: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
    /// Sessions remember who the client is: they are worth nothing under other rules.
    rules: u64,
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
            watch: config.tls.watch,
            wanted,
        })
    }

    /// The folders in which files may change, if they are to be watched.
    pub fn watched(&self) -> Vec<PathBuf> {
        if !self.watch {
            return Vec::new();
        }
        let pairs = self.files.iter().flat_map(|(files, _)| [&files.chain, &files.key]);
        let paths = pairs.chain(self.client_ca.as_ref().map(|ca| &ca.file));
        // A link may be turned, or the file that it leads to be written.
        let both = |at: &At<PathBuf>| [Some(at.value.clone()), at.value.canonicalize().ok()];
        let folder = |path: PathBuf| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => ".".into(),
        };
        let mut folders: Vec<_> = paths.flat_map(both).flatten().map(folder).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Reads the files and builds what listeners need. `keep`: whether a certificate that had to be
    /// made may be written down. Resumption goes on from `former` where the rules are the same.
    ///
    /// # Errors
    /// All that is wrong. Warnings go to `warnings`.
    pub fn load(
        &self,
        former: Option<&Secured>,
        keep: bool,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Secured, Vec<Diagnostic>> {
        let provider = Arc::new(provider());
        let now = now();
        let (mut list, mut errors, mut hasher) = (Vec::new(), Vec::new(), DefaultHasher::new());
        for (files, of_host) in &self.files {
            match load(files, &provider, &mut hasher, warnings) {
                Ok(certificate) => {
                    warn_of_certificate(&certificate, now, &files.chain, warnings);
                    list.push((certificate, of_host.clone()));
                }
                Err(mut found) => errors.append(&mut found),
            }
        }
        if let Some((names, at)) = &self.local {
            let folder = local::state_folder().map(|folder| folder.join(local::FOLDER));
            match local::certificate(names, folder.as_deref(), keep, now, &provider) {
                Ok(local) => {
                    if let Some(why) = local.unkept {
                        let message = format!("the local certificate is not kept: {why}");
                        let help = "set STATE_DIRECTORY to a folder that may be written";
                        let warning =
                            Diagnostic::warning("unkept-certificate", message, at.span.clone());
                        warnings.push(warning.help(help));
                    }
                    list.push((local.certificate, Vec::new()));
                }
                Err(why) => {
                    let message = format!("no local certificate could be made: {why}");
                    errors.push(Diagnostic::error("bad-certificate", message, at.span.clone()));
                }
            }
        }
        let authorities = match self.authorities(&mut hasher) {
            Ok(authorities) => authorities,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let rules = self.rules(authorities.as_ref());
        let choice = Arc::new(Choice::new(list));
        self.warn_of_names(&choice, warnings);
        let resumption = match former.map(|former| &former.resumption) {
            Some(former) if former.rules == rules => former.clone(),
            _ => self.resumption(rules).map_err(|error| vec![unusable(&error)])?,
        };
        let config = self
            .configure(provider, authorities, choice.clone(), &resumption)
            .map_err(|error| vec![unusable(&error)])?;
        Ok(Secured { config: Arc::new(config), choice, resumption, fingerprint: hasher.finish() })
    }

    /// Whether the files are other ones than those that `secured` was made of. An error in reading
    /// counts as a change: loading will say what it is.
    pub fn has_changed(&self, secured: &Secured) -> bool {
        let mut hasher = DefaultHasher::new();
        for (files, _) in &self.files {
            let (Ok((chain, _)), Ok((key, _))) = (read(&files.chain.value), read(&files.key.value))
            else {
                return true;
            };
            (chain, key).hash(&mut hasher);
        }
        if let Some(ca) = &self.client_ca {
            let Ok((pem, _)) = read(&ca.file.value) else { return true };
            pem.hash(&mut hasher);
        }
        hasher.finish() != secured.fingerprint
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

    fn rules(&self, authorities: Option<&RootCertStore>) -> u64 {
        let mut hasher = DefaultHasher::new();
        let required = self.client_ca.as_ref().map(|ca| ca.required);
        (self.tickets, self.min_version == TlsVersion::V13, required).hash(&mut hasher);
        for root in authorities.iter().flat_map(|roots| &roots.roots) {
            (&*root.subject, &*root.subject_public_key_info).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn resumption(&self, rules: u64) -> Result<Resumption, rustls::Error> {
        if !self.tickets {
            let sessions = Arc::new(NoServerSessionStorage {});
            return Ok(Resumption { tickets: None, sessions, rules });
        }
        // It changes its keys every six hours. A ticket is good only for the name that its session
        // was begun with: rustls compares it.
        let tickets = Some(aws_lc_rs::Ticketer::new()?);
        let sessions = ServerSessionMemoryCache::new(SESSIONS);
        Ok(Resumption { tickets, sessions, rules })
    }

    fn configure(
        &self,
        provider: Arc<CryptoProvider>,
        authorities: Option<RootCertStore>,
        choice: Arc<Choice>,
        resumption: &Resumption,
    ) -> Result<ServerConfig, rustls::Error> {
        let versions: &[_] = match self.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?;
        let builder = match authorities {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let optional = self.client_ca.as_ref().is_some_and(|ca| !ca.required);
                let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier =
                    verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(choice);
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        // Early data could be sent again by anybody; zero is the default, and here for all to see.
        config.max_early_data_size = 0;
        config.session_storage = resumption.sessions.clone();
        // One is enough: every connection brings its own, and each costs as much as a small answer.
        config.send_tls13_tickets = usize::from(self.tickets);
        if let Some(tickets) = &resumption.tickets {
            config.ticketer = tickets.clone();
        }
        Ok(config)
    }

    /// Names of hosts whose clients are shown a certificate without the name.
    fn warn_of_names(&self, choice: &Choice, warnings: &mut Vec<Diagnostic>) {
        for name in &self.wanted {
            let covers = |certificate: &Certificate| certificate.covers(bare(&name.value));
            let shown = choice.certificates.get(choice.choose(Some(&name.value)));
            if shown.is_some_and(covers) {
                continue;
            }
            // A host may have been given another certificate than the one with its name.
            let message = match choice.certificates.iter().any(covers) {
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

impl Secured {
    /// The certificate that is shown for a name, for people.
    pub fn describe(&self, name: Option<&str>) -> String {
        let Some(shown) = self.choice.certificates.get(self.choice.choose(name)) else {
            return "no certificate".to_owned();
        };
        let doubt = match name {
            Some(name) if !shown.covers(bare(name)) => ", which does not have the name",
            _ => "",
        };
        let names = shown.names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
        let more = match shown.names.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("certificate for {names}{more}{doubt}; {} days left", shown.days_left(now()))
    }

    /// Whether a client that asked for `shown` when it connected may now ask for `host`: the names
    /// belong to the same certificate. Both without port; `host` in any case.
    pub fn belongs(&self, shown: Option<&str>, host: Option<&[u8]>) -> bool {
        if self.choice.certificates.len() == 1 {
            return true;
        }
        let host = host.map(|host| String::from_utf8_lossy(host).to_ascii_lowercase());
        self.choice.belongs(shown, host.as_deref())
    }
}

/// For the banner: how many there are, and which ends first.
impl fmt::Display for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.choice.certificates;
        let word = if all.len() == 1 { "certificate" } else { "certificates" };
        write!(f, "{} {word}", all.len())?;
        if let Some(first) = all.iter().min_by_key(|certificate| certificate.not_after) {
            let name = first.names.first().map_or("no name", String::as_str);
            match first.days_left(now()) {
                left @ 0.. => write!(f, ", next expiry in {} ({name})", days(left)),
                left => write!(f, ", one expired {} ago ({name})", days(-left)),
            }?;
        }
        Ok(())
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// aws-lc-rs, with suites in the order of browsers: AES with 128 bits is enough for anybody, and
/// costs the least on both sides. Ours is the order that counts.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn load(
    files: &CertFiles,
    provider: &CryptoProvider,
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
    let certificate = Certificate::from_pem(&chain, &key, provider).map_err(|fault| {
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
    (&chain, &key).hash(hasher);
    if mode & 0o004 != 0 {
        let message = format!("everybody may read the key {}", files.key.value.display());
        let help = "chmod 600 keeps it to its owner";
        let warning = Diagnostic::warning("open-key", message, files.key.span.clone());
        warnings.push(warning.help(help));
    }
    Ok(certificate)
}

fn unusable(error: &rustls::Error) -> Diagnostic {
    Diagnostic::error("bad-certificate", format!("TLS cannot be set up: {error}"), 0..0)
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
    let message = match certificate.days_left(now) {
        _ if certificate.not_before > now => format!("{file} is not valid yet"),
        left if left < 0 => format!("{file} expired {} ago", days(-left)),
        left if left < WARN_DAYS => format!("{file} expires in {}", days(left)),
        _ => return,
    };
    warnings.push(Diagnostic::warning("certificate-expires", message, at.span.clone()));
}

fn days(count: i64) -> String {
    match count {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        _ => format!("{count} days"),
    }
}

/// The names of hosts that mean this machine, whatever DNS says, and its own addresses.
fn local_names(wanted: &[At<String>]) -> Vec<String> {
    let always = ["localhost", "*.localhost", "127.0.0.1", "::1"];
    let mut names: Vec<String> = always.map(str::to_owned).into();
    for name in wanted.iter().map(|name| bare(&name.value)) {
        if name.ends_with(".localhost") && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
