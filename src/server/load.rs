//! From a file or a folder, and the command line, to what the loop serves. Used at the start, by
//! `-t`, and by every reload.

use super::acceptor::Bound;
use super::access_log::AccessLog;
use super::error_log::ErrorLog;
use super::log_sink::LogSink;
use super::places;
use crate::conf::{
    self, At, CertFiles, Config, Diagnostic, Diagnostics, Format, Level, Listen, LogFormat, Place,
    Source,
};
use crate::site::{self, Registry, Site};
use crate::sys::pid_file::PidFile;
use crate::sys::{culprit, file, privilege, socket};
use crate::tls::{Plan, Secured};
use rustix::io::Errno;
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where a configuration comes from, and what the command line says on top of it.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    /// Where it comes from.
    pub origin: Origin,
    /// What the command line says.
    pub overrides: Overrides,
    /// What the program brings along.
    pub registry: Registry,
}

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file, read again at each reload.
    File(PathBuf),
    /// A text read from standard input.
    Text(String),
    /// No configuration: a folder to serve.
    Folder(PathBuf),
    /// One that the program has made.
    Made(Box<Config>),
    /// What a test makes.
    #[cfg(test)]
    Scripted(ScriptedOrigin),
}

/// What a test makes at each reload.
#[cfg(test)]
#[derive(Clone)]
pub struct ScriptedOrigin(pub Rc<dyn Fn() -> Result<Loaded, Failure>>);

#[cfg(test)]
impl fmt::Debug for ScriptedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a test")
    }
}

/// What the command line says on top of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The port of every TCP listener.
    pub port: Option<u16>,
    /// Addresses instead of those configured.
    pub bind: Vec<Listen>,
    /// How much is said.
    pub level: Option<Level>,
    /// No access log.
    pub quiet: bool,
    /// The form of the access log.
    pub log_format: Option<LogFormat>,
    /// Which of the two formats the file has, where that is not to be guessed.
    pub format: Option<Format>,
    /// Colour in messages and in the pretty log.
    pub colour: bool,
    /// TLS, for a folder.
    pub tls: Option<QuickTls>,
    /// Without a configuration: the path of scripts, between slashes. They lie in the folder of
    /// that path below the one that is served.
    pub cgi: Option<String>,
    /// A Python application of the folder that answers instead of files: `module:callable`.
    pub wsgi: Option<String>,
    /// The virtual environment that has what it imports.
    pub venv: Option<PathBuf>,
    /// Whether its sources are watched.
    pub reload: bool,
    /// Without a configuration: who is let in.
    pub auth: Option<conf::Auth>,
}

/// What a folder is served with, instead of plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuickTls {
    /// A certificate and its key.
    Files(PathBuf, PathBuf),
    /// A certificate of our own making.
    Local,
}

/// Why it does not start, or does not reload.
///
/// ```
/// use httpyserver::{Failure, Server};
///
/// let failure = Server::from_text("[[host]]\n").start().map(drop).unwrap_err();
/// assert!(matches!(failure, Failure::Configuration(_)), "{failure}");
/// ```
pub enum Failure {
    /// The configuration is refused; the text shows where and why.
    Configuration(String),
    /// Something it asks for cannot be had.
    Start(String),
}

/// Everything the loop needs, built and not yet in use.
pub struct Loaded {
    pub(super) site: Rc<Site>,
    pub(super) listen: Vec<At<Listen>>,
    pub(super) access: AccessLog,
    pub(super) errors: ErrorLog,
    pub(super) connections_max: usize,
    pub(super) warnings: String,
    /// What the `https` listeners need, and how to load it again.
    pub(super) tls: Option<(Plan, Rc<Secured>)>,
    user: Option<At<String>>,
    pid_file: Option<At<PathBuf>>,
}

/// The size of a configuration: a hundred thousand hosts take some ten megabytes.
const CONFIG_MAX: u64 = 64 << 20;

/// Where a folder is served with TLS.
const QUICK_HTTPS: u16 = 8443;

/// Descriptors that are not clients: listeners, logs, files being sent, and some to spare; where
/// there are few, a quarter of them.
const DESCRIPTORS_RESERVED: u64 = 256;

impl ConfigSource {
    /// Reads the configuration and applies the command line to it.
    ///
    /// # Errors
    /// It cannot be read, or has mistakes: all of them, shown.
    pub fn read(&self) -> Result<(Config, Diagnostics), Failure> {
        let (config, mut diagnostics) = match &self.origin {
            Origin::Folder(folder) => {
                let source = Source { name: folder.display().to_string(), text: String::new() };
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                let mut config = conf::quick(folder.clone());
                if let (Some(path), Some(host)) = (&self.overrides.cgi, config.hosts.first_mut()) {
                    let cgi = conf::Cgi::of(At::implied(folder.join(path.trim_matches('/'))));
                    let path = At::implied(path.clone());
                    let action = conf::Action::Cgi(cgi);
                    host.routes.push(conf::Route::new(path, action));
                }
                if let Some(wsgi) = &self.overrides.wsgi {
                    let Overrides { venv, reload, .. } = &self.overrides;
                    config.serve_app(folder, wsgi, venv.as_deref(), *reload);
                }
                for host in &mut config.hosts {
                    let routes = host.routes.iter_mut().map(|route| &mut route.access);
                    for access in routes.chain([&mut host.access]) {
                        access.auth.clone_from(&self.overrides.auth);
                    }
                }
                (Some(config), Diagnostics::new(source))
            }
            Origin::Made(config) => {
                let source = Source { name: "this program".into(), text: String::new() };
                (Some((**config).clone()), Diagnostics::new(source))
            }
            #[cfg(test)]
            Origin::Scripted(_) => unreachable!("it is loaded without being read"),
            Origin::Text(text) => {
                let source = Source { name: "standard input".into(), text: text.clone() };
                conf::load(source, self.folder(), self.overrides.format)
            }
            Origin::File(path) => {
                let text = read_text(path)?;
                let source = Source { name: path.display().to_string(), text };
                conf::load(source, self.folder(), self.overrides.format)
            }
        };
        match config {
            Some(mut config) => {
                self.overrides.apply(&mut config);
                if self.overrides.tls.is_some() {
                    warn_of_plain(&config, &mut diagnostics);
                }
                Ok((config, diagnostics))
            }
            None => Err(Failure::Configuration(diagnostics.render(self.overrides.colour))),
        }
    }

    /// Reads the configuration and builds its site, and nothing more: no socket, no log file.
    /// Returns the warnings, shown.
    ///
    /// # Errors
    /// As `read`; or a path that the start would take is that of something else.
    pub fn check(&self) -> Result<(Config, String), Failure> {
        let (config, mut diagnostics) = self.read()?;
        places::check(&config, &mut diagnostics);
        self.build(&config, &mut diagnostics)?;
        self.secure(&config, None, false, &mut diagnostics)?;
        Ok((config, diagnostics.render(self.overrides.colour)))
    }

    /// Loads the certificates, if anything listens for https.
    pub(super) fn secure(
        &self,
        config: &Config,
        former: Option<&Secured>,
        keep: bool,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<(Plan, Rc<Secured>)>, Failure> {
        let Some(plan) = Plan::of(config) else { return Ok(None) };
        let mut warnings = Vec::new();
        let loaded = plan.load(former, keep, &mut warnings);
        warnings.into_iter().for_each(|warning| diagnostics.push(warning));
        match loaded {
            Ok(secured) => Ok(Some((plan, Rc::new(secured)))),
            Err(errors) => {
                errors.into_iter().for_each(|error| diagnostics.push(error));
                Err(Failure::Configuration(diagnostics.render(self.overrides.colour)))
            }
        }
    }

    /// Reads the configuration and builds everything it asks for but the listeners. Resumption of
    /// TLS sessions goes on from `former`.
    ///
    /// # Errors
    /// As `read`; or a log file cannot be opened.
    pub fn load(&self, former: Option<&Secured>) -> Result<Loaded, Failure> {
        #[cfg(test)]
        if let Origin::Scripted(ScriptedOrigin(make)) = &self.origin {
            return make();
        }
        let (config, mut diagnostics) = self.read()?;
        let site = Rc::new(self.build(&config, &mut diagnostics)?);
        let tls = self.secure(&config, former, true, &mut diagnostics)?;
        let open = |target: &At<conf::LogTarget>| {
            LogSink::open(target.value.clone()).map_err(|error| {
                let path = match &target.value {
                    conf::LogTarget::File(path) => path.display().to_string(),
                    conf::LogTarget::Stdout => "standard output".to_owned(),
                    conf::LogTarget::Stderr => "standard error".to_owned(),
                };
                no_descriptor(&error).unwrap_or_else(|| {
                    Failure::Start(format!("the log {path} cannot be opened: {error}"))
                })
            })
        };
        let access = config.log.access.as_ref().map(open).transpose()?;
        let errors = open(&config.log.error)?;
        let colour = self.overrides.colour
            && config
                .log
                .access
                .as_ref()
                .is_some_and(|at| !matches!(at.value, conf::LogTarget::File(_)));
        Ok(Loaded {
            site,
            connections_max: config.limits.connections.min(possible_connections().0),
            listen: config.server.listen,
            access: AccessLog::new(access, config.log.format, colour, config.log.skip),
            errors: ErrorLog::new(errors, config.log.level),
            warnings: diagnostics.render(self.overrides.colour),
            tls,
            user: config.server.user,
            pid_file: config.server.pid_file,
        })
    }

    /// Builds the site. What only shows while it is built can be a mistake too.
    pub(super) fn build(
        &self,
        config: &Config,
        diagnostics: &mut Diagnostics,
    ) -> Result<Site, Failure> {
        if let Some(user) = &config.server.user
            && privilege::account(&user.value).is_none()
        {
            let what = format!("there is no user {:?}", user.value);
            diagnostics.push(Diagnostic::error("missing-user", what, user.span.clone()));
        }
        warn_of_descriptors(config.limits.connections, diagnostics);
        let site = site::build(config, self.file(), &self.registry, diagnostics);
        match diagnostics.has_errors() {
            false => Ok(site),
            true => Err(Failure::Configuration(diagnostics.render(self.overrides.colour))),
        }
    }

    /// The file that it is read from.
    fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Text(_) | Origin::Folder(_) | Origin::Made(_) => None,
            #[cfg(test)]
            Origin::Scripted(_) => None,
        }
    }

    /// What relative paths are relative to.
    fn folder(&self) -> &Path {
        match &self.origin {
            Origin::File(path) => path.parent().unwrap_or(Path::new("")),
            Origin::Text(_) | Origin::Made(_) => Path::new(""),
            #[cfg(test)]
            Origin::Scripted(_) => Path::new(""),
            Origin::Folder(folder) => folder,
        }
    }
}

impl Overrides {
    fn apply(&self, config: &mut Config) {
        if !self.bind.is_empty() {
            config.server.listen = self.bind.iter().cloned().map(At::implied).collect();
        }
        let quick = config.format == Format::Quick;
        if let Some(tls) = self.tls.as_ref().filter(|_| quick) {
            for listen in &mut config.server.listen {
                let place = std::mem::replace(&mut listen.value.place, Place::Any { port: 0 });
                listen.value = match place {
                    Place::Unix(_) => Listen::plain(place),
                    Place::Addr(mut address) if self.bind.is_empty() => {
                        address.set_port(QUICK_HTTPS);
                        Listen::secure(Place::Addr(address))
                    }
                    _ => Listen::secure(place),
                };
            }
            match tls {
                QuickTls::Local => config.tls.local = Some(At::implied(())),
                QuickTls::Files(chain, key) => config.tls.certs.push(CertFiles {
                    chain: At::implied(chain.clone()),
                    key: At::implied(key.clone()),
                }),
            }
        }
        if let Some(wanted) = self.port {
            // Port 0 is any free one for all; another one cannot be had twice.
            let moves = |listen: &Listen| quick || wanted == 0 || !listen.secure;
            for listen in config.server.listen.iter_mut().filter(|at| moves(&at.value)) {
                match &mut listen.value.place {
                    Place::Any { port } => *port = wanted,
                    Place::Addr(address) => address.set_port(wanted),
                    Place::Unix(_) => {}
                }
            }
        }
        if let Some(level) = self.level {
            config.log.level = level;
        }
        if self.quiet {
            config.log.access = None;
        }
        if let Some(format) = self.log_format {
            config.log.format = format;
        }
    }
}

impl Loaded {
    /// What a test serves.
    #[cfg(test)]
    pub(super) fn of_site(
        site: Site,
        listen: Vec<At<Listen>>,
        access: AccessLog,
        errors: ErrorLog,
        connections_max: usize,
    ) -> Self {
        let (site, warnings) = (Rc::new(site), String::new());
        let (tls, user, pid_file) = (None, None, None);
        Self { site, listen, access, errors, connections_max, warnings, tls, user, pid_file }
    }

    /// After binding: writes the process id, then gives up what is no longer needed to serve.
    pub(super) fn settle_in(&self) -> Result<Option<PidFile>, Failure> {
        let pid_file = self.pid_file.as_ref().map(|path| {
            let path = &path.value;
            PidFile::write(path).map_err(|error| {
                let text = format!("the pid file {} cannot be written: {error}", path.display());
                Failure::Start(text)
            })
        });
        let pid_file = pid_file.transpose()?;
        if let Some(user) = &self.user {
            if let Some(account) = privilege::account(&user.value) {
                self.access.give_to(account);
                self.errors.give_to(account);
                if let Some((plan, _)) = &self.tls {
                    plan.give_to(account);
                }
            }
            privilege::become_user(&user.value).map_err(|error| {
                Failure::Start(format!("cannot become the user {:?}: {error}", user.value))
            })?;
        }
        privilege::gain_no_more();
        Ok(pid_file)
    }

    /// What whoever starts the server sees.
    pub(super) fn banner<'a>(
        &self,
        source: &ConfigSource,
        addresses: impl Iterator<Item = (&'a socket::ListenAddress, bool)>,
        missing: &str,
    ) -> String {
        let origin = match &source.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Text(_) => "standard input".into(),
            Origin::Made(_) => "embedded".into(),
            #[cfg(test)]
            Origin::Scripted(_) => "test".into(),
            Origin::Folder(folder) => format!("folder {}", folder.display()),
        };
        let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
        let mut text = format!("httpyserver {version}  ·  {origin}  ·  pid {pid}\n");
        for (address, secure) in addresses {
            let scheme = if secure { "https" } else { "http" };
            let _ = match address {
                socket::ListenAddress::Ip(at) if at.ip().is_unspecified() => {
                    writeln!(
                        text,
                        "  {scheme:<7} all addresses, port {0}: {scheme}://localhost:{0}/",
                        at.port()
                    )
                }
                socket::ListenAddress::Ip(at) => {
                    writeln!(text, "  {scheme:<7} {scheme}://{at}/")
                }
                socket::ListenAddress::Unix(path) => {
                    writeln!(text, "  {scheme:<7} unix:{}", path.display())
                }
            };
        }
        if let Some((_, secured)) = &self.tls {
            let _ = writeln!(text, "  tls     {secured}");
        }
        for host in &self.site.hosts {
            let routes = host.routes.len();
            let word = if routes == 1 { "route" } else { "routes" };
            let _ = writeln!(text, "  host    {:<32} {routes} {word}", host.name);
        }
        for app in &self.site.apps {
            let _ = writeln!(text, "  app     {app}");
        }
        text + missing + &self.warnings + "ready\n"
    }
}

/// The clients for which there are descriptors, and how many descriptors there are: as many as this
/// process may ask for.
fn possible_connections() -> (usize, u64) {
    let descriptors = socket::raise_descriptor_limit();
    let reserved = DESCRIPTORS_RESERVED.min(descriptors / 4);
    let possible = descriptors.saturating_sub(reserved).max(1);
    (usize::try_from(possible).unwrap_or(usize::MAX), descriptors)
}

/// Says how many connections there can be, where that is fewer than were asked for.
fn warn_of_descriptors(wanted: usize, diagnostics: &mut Diagnostics) {
    let (possible, descriptors) = possible_connections();
    if possible < wanted {
        let message = format!(
            "{possible} connections are possible, not {wanted}: this process may have \
             {descriptors} descriptors"
        );
        let help = "raise `ulimit -Hn`, or LimitNOFILE= of the systemd unit; or lower `connections` \
                    in [limits]";
        let warning = Diagnostic::warning("few-descriptors", message, 0..0);
        diagnostics.push(warning.help(help));
    }
}

/// Listeners without TLS, where the command line asks for it.
fn warn_of_plain(config: &Config, diagnostics: &mut Diagnostics) {
    for listen in config.server.listen.iter().filter(|listen| !listen.value.secure) {
        if let Place::Unix(path) = &listen.value.place {
            let message = format!("unix:{} is served without TLS", path.display());
            let help = "whoever asks by a Unix socket is on this machine; TLS needs an address";
            let warning = Diagnostic::warning("plain-socket", message, listen.span.clone());
            diagnostics.push(warning.help(help));
        }
    }
}

/// A listener that cannot be had: which, why, and who has it.
pub(super) fn cannot_listen(at: &At<Listen>, error: &io::Error) -> Failure {
    if let Some(failure) = no_descriptor(error) {
        return failure;
    }
    let port = at.value.port();
    let name = match &at.value.place {
        Place::Any { port } => format!("port {port}"),
        Place::Addr(address) => address.to_string(),
        Place::Unix(path) => format!("unix:{}", path.display()),
    };
    Failure::Start(match error.kind() {
        io::ErrorKind::AddrInUse if matches!(at.value.place, Place::Unix(_)) => {
            format!("{name} is taken: another process listens there, or begins to")
        }
        io::ErrorKind::AddrInUse => {
            let who =
                culprit::of_port(port).map_or_else(|| "another process".into(), |c| c.to_string());
            format!("{name} is taken by {who}; use -p 0 for a free one")
        }
        io::ErrorKind::PermissionDenied if port != 0 && port < 1024 => {
            format!("{name}: ports below 1024 need root or CAP_NET_BIND_SERVICE; use -p 8080")
        }
        _ => format!("cannot listen on {name}: {error}"),
    })
}

/// The listeners that are left out, as warnings.
pub(super) fn cannot_listen_everywhere(bound: &Bound) -> String {
    let warn = |(listen, error): &(Listen, io::Error)| {
        let (Failure::Start(text) | Failure::Configuration(text)) =
            cannot_listen(&At::implied(listen.clone()), error);
        format!("  warning {text}\n")
    };
    bound.missing.iter().map(warn).collect()
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let (bytes, _) = file::read(path, CONFIG_MAX).map_err(|error| {
        // One from a pipe could not be read again by a reload.
        let is_other = path.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir());
        let hint = if is_other { "; `-c -` reads standard input" } else { "" };
        Failure::Configuration(format!("error[unreadable]: {}: {error}{hint}\n", path.display()))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Configuration(format!(
            "error[not-utf8]: {} is not UTF-8 text: byte {at}\n",
            path.display()
        ))
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) => f.write_str(text.trim_end()),
            Self::Start(text) => f.write_str(text),
        }
    }
}

/// As `Display`: it is what a `main` shows that returns it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        no_descriptor(&error).unwrap_or_else(|| Self::Start(error.to_string()))
    }
}

/// What is opened when descriptors run out is not to blame for it.
fn no_descriptor(error: &io::Error) -> Option<Failure> {
    let what = match Errno::from_io_error(error)? {
        Errno::MFILE => {
            format!("the {} that this process may have", socket::raise_descriptor_limit())
        }
        Errno::NFILE => "those of the whole system".to_owned(),
        _ => return None,
    };
    let help = "more are given by `ulimit -n`, or LimitNOFILE= of systemd";
    Some(Failure::Start(format!("there are too few descriptors, {what}: {help}")))
}
