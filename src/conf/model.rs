//! What a configuration says, typed, with defaults filled in and the place of everything that
//! a later check may have to point at.
//!
//! Not here: whether a folder exists, which address a name has. `site::build` asks that.

use super::{Network, User};
use crate::http::{Method, MethodSet, Status};
use crate::http1::limits::HeadLimits;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A value and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Bytes of the configuration's text; empty for a default or the command line.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// A value with its place.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// A value that is written nowhere: a default, or the command line's.
    pub fn implied(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

/// Which of the two formats a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The tables of today.
    Toml,
    /// The `host` / `media` / `parameter` lines of 2013.
    Classic,
    /// No file: a folder given on the command line.
    Quick,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it came from.
    pub format: Format,
    /// `[server]`
    pub server: Server,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[media]`
    pub media: Media,
    /// `[compress]`
    pub compress: Compress,
    /// `[tls]`
    pub tls: Tls,
    /// `[cgi]`
    pub cgi: Programs,
    /// `[app.NAME]`, in the order of the file.
    pub apps: Vec<App>,
    /// `[[host]]`, in the order of the file.
    pub hosts: Vec<Host>,
}

/// `[app.NAME]`: a Python application and its workers.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// What routes call it, and where that is written.
    pub name: At<String>,
    /// What it is.
    pub program: Program,
    /// The folder that its modules are in, and that it runs in.
    pub dir: PathBuf,
    /// What it is run with.
    pub python: Python,
    /// How many processes.
    pub workers: Workers,
    /// Requests that may wait for a worker.
    pub queue: usize,
    /// How long each may wait.
    pub queue_timeout: Duration,
    /// How long a worker may be at one request without answering anything.
    pub timeout: Duration,
    /// How long a worker may take to load the application.
    pub startup: Duration,
    /// When workers are replaced.
    pub recycle: Recycle,
    /// What its environment has beside the little that every program gets.
    pub env: Vec<(String, String)>,
    /// Whom its workers run as.
    pub user: Option<At<String>>,
    /// Whether the server is worth nothing without it.
    pub required: bool,
    /// Whether its sources are watched.
    pub reload: bool,
}

/// What the workers of an application run.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// `module:callable`
    Wsgi(At<String>),
    /// The pages of its folder.
    Pages,
}

/// The Python of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Python {
    /// The `python3` that is found in `PATH`.
    Default,
    /// That of a virtual environment.
    Venv(At<PathBuf>),
    /// This program.
    Program(At<PathBuf>),
}

/// How many workers an application has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// So many always.
    pub min: usize,
    /// So many when requests wait.
    pub max: usize,
}

/// `recycle = { ... }`: when a worker is replaced by a fresh one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recycle {
    /// After so many answers,
    pub requests: Option<u64>,
    /// and up to so many more, so that not all are replaced at once.
    pub jitter: u64,
    /// When it occupies more bytes of memory than this.
    pub memory: Option<u64>,
    /// After this time.
    pub age: Option<Duration>,
}

impl App {
    /// An application with the defaults, that runs in `dir`.
    pub fn of(name: At<String>, program: Program, dir: PathBuf) -> Self {
        Self {
            name,
            program,
            dir,
            python: Python::Default,
            workers: Workers { min: 2, max: 2 },
            queue: 64,
            queue_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            startup: Duration::from_secs(20),
            recycle: Recycle::default(),
            env: Vec::new(),
            user: None,
            required: false,
            reload: false,
        }
    }

    /// The pages of a folder: each may take its time, so there are more workers when it is needed.
    pub fn of_pages(dir: PathBuf) -> Self {
        let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = At::implied(format!("pages:{folder}"));
        Self { workers: Workers { min: 2, max: 16 }, ..Self::of(name, Program::Pages, dir) }
    }
}

/// `app = "..."`: the application of a route, and the files that come first.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRoute {
    /// The name of the application.
    pub app: At<String>,
    /// Files of the same route: one that is there answers instead.
    pub files: Option<Files>,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where to listen; never empty.
    pub listen: Vec<At<Listen>>,
    /// The account to become after binding.
    pub user: Option<At<String>>,
    /// Where to write the process id.
    pub pid_file: Option<At<PathBuf>>,
    /// The `Server` header; `None` sends none.
    pub server_header: Option<String>,
}

/// One address to listen on, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// Whether TLS is spoken there (`https://`).
    pub secure: bool,
    /// The address.
    pub place: Place,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `http://*:80`: all addresses of both families, one socket.
    Any {
        /// The port; 0 means any free one.
        port: u16,
    },
    /// `http://127.0.0.1:8080`
    Addr(SocketAddr),
    /// `unix:/run/web.sock`
    Unix(PathBuf),
}

/// `[timeouts]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of a TLS handshake.
    pub handshake: Duration,
    /// From accept, or from the first byte of a request, to the end of its head.
    pub header: Duration,
    /// Between two reads of a body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// While the client takes no byte of an answer.
    pub write: Duration,
    /// From the order to stop until answers in flight are cut off.
    pub shutdown: Duration,
}

/// What may wait on the disk where nothing else is said: a part of what the smallest servers have free,
/// and four answers of 256 MiB that nobody takes.
pub const SPOOL_TOTAL: u64 = 1024 * 1024 * 1024;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address; `None`: no limit.
    pub per_client: Option<usize>,
    /// Request heads.
    pub head: HeadLimits,
    /// Bytes of a request body, where a route does not say otherwise.
    pub body: u64,
    /// Bytes of a body that waits for a program in memory; longer ones wait in a file.
    pub spool_above: u64,
    /// Bytes that may wait on the disk in all: bodies for programs, and answers for slow clients.
    pub spool_total: u64,
    /// Bytes a second below which a transfer is ended, after a grace of five seconds.
    pub min_rate: u64,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much is said on the error log.
    pub level: Level,
    /// Where errors go.
    pub error: At<LogTarget>,
    /// Where accesses go; `None`: nowhere.
    pub access: Option<At<LogTarget>>,
    /// The form of an access line.
    pub format: LogFormat,
    /// Paths whose requests are not logged.
    pub skip: Vec<String>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is its name
pub enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// The form of an access line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Common Log Format.
    Common,
    /// Common, and referer and user agent.
    Combined,
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Pretty,
}

/// `[media]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The type of an extension that nobody knows.
    pub default: String,
    /// The charset added to text types that have none; `None` adds none.
    pub charset: Option<String>,
    /// Extensions, lower case, without dot, and their types; before `mime_guess`.
    pub types: Vec<(String, String)>,
}

/// `[compress]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// Codings computed here.
    pub gzip: bool,
    /// Files shorter than this are sent as they are.
    pub min: u64,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `[[tls.cert]]`, in the order of the file.
    pub certs: Vec<CertFiles>,
    /// A certificate of our own making for the hosts of this machine.
    pub local: Option<At<()>>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Whether sessions may be resumed.
    pub tickets: bool,
    /// Whether renewed files are picked up as they change.
    pub watch: bool,
    /// How long browsers are told to come back with TLS only; `None`: they are not.
    pub hsts: Option<Duration>,
    /// Who may say who they are.
    pub client_ca: Option<ClientCa>,
}

/// Two files: a certificate with its chain, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertFiles {
    /// The certificate and what leads to its issuer, as PEM.
    pub chain: At<PathBuf>,
    /// The private key, as PEM.
    pub key: At<PathBuf>,
}

/// `client_ca`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// The certificates that those of clients must lead to, as PEM.
    pub file: At<PathBuf>,
    /// Whether a client without one is refused.
    pub required: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

/// What a host does with requests that are not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Https {
    /// Answers them like the others.
    Both,
    /// Sends them to the same place with https.
    Redirect,
    /// Does not answer them.
    Only,
}

/// `[[host]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Lower case; `*.example.org` is a wildcard. May be empty for the default.
    pub names: Vec<At<String>>,
    /// Answers names that no host has.
    pub default: bool,
    /// What to show when the root has no index page: the page that says that it works.
    pub welcome: bool,
    /// File names tried in a folder.
    pub index: Vec<String>,
    /// Its own certificate.
    pub tls: Option<CertFiles>,
    /// What it does with requests that are not encrypted.
    pub https: Https,
    /// How long browsers are told to come back with TLS only, where that differs from `[tls]`;
    /// `Some(None)`: they are not.
    pub hsts: Option<Option<Duration>>,
    /// Own pages for errors.
    pub errors: Vec<(ErrorKey, At<String>)>,
    /// Who may have what its routes answer that do not say their own, and know what is not there.
    pub access: Access,
    /// Its routes. `root` has become a route `/` with files.
    pub routes: Vec<Route>,
    /// Where the host's table begins.
    pub span: Range<usize>,
}

/// What an error page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKey {
    /// `404`
    Status(Status),
    /// `4xx` or `5xx`: the hundreds.
    Class(u16),
}

/// `[[host.route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Ends in `/`: this path and everything below; otherwise exactly this path. Decoded.
    pub path: At<String>,
    /// The methods it is for; `None`: all.
    pub methods: Option<MethodSet>,
    /// Clients cannot ask for it: only programs of the server send requests here.
    pub internal: bool,
    /// What becomes of an encoded slash in a path; `None`: what its handler says, which refuses it
    /// unless it says otherwise.
    pub encoded_slashes: Option<EncodedSlashes>,
    /// Who may have what it answers.
    pub access: Access,
    /// What it does.
    pub action: Action,
}

/// What becomes of a path with an encoded slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlashes {
    /// 400.
    Refuse,
    /// It belongs to the name around it, and stays encoded.
    Keep,
}

/// Who may have what a route answers: what the route says, else what its host says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// The clients that may; `None`: all.
    pub allow: Option<At<Vec<Client>>>,
    /// Who has to say who it is; `None`: nobody.
    pub auth: Option<Auth>,
}

/// `auth = { users, realm, for }`
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Who is let in.
    pub users: Users,
    /// What browsers show when they ask for the password.
    pub realm: String,
    /// The methods it is asked for with; `None`: all.
    pub methods: Option<MethodSet>,
    /// Where it is written.
    pub span: Range<usize>,
}

/// Where the users of an `auth` are.
#[derive(Clone, Debug, PartialEq)]
pub enum Users {
    /// In a file of `name:hash` lines.
    File(At<PathBuf>),
    /// Here.
    Inline(Vec<At<User>>),
}

/// Clients that are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Those of a Unix socket, which have no address.
    Unix,
    /// Those of a network; of a single address, too.
    Network(Network),
}

/// As it is written in a configuration.
impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// `[cgi]`: what all scripts have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programs {
    /// Who runs scripts with a given extension.
    pub interpreters: Vec<Interpreter>,
    /// Variables that scripts are given.
    pub env: Vec<(String, String)>,
}

/// Who runs scripts with an extension, be they executable or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpreter {
    /// Lower case, without dot.
    pub extension: String,
    /// A path; or a bare name, to be looked for in `PATH`.
    pub program: At<PathBuf>,
}

/// `cgi = "..."` and the keys beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cgi {
    /// The folder of the scripts.
    pub root: At<PathBuf>,
    /// What they may use.
    pub limits: CgiLimits,
    /// Whether they are told the client's credentials.
    pub authorization: bool,
    /// The files that lie among them, if these are served.
    pub files: Option<Files>,
    /// What scripts among files are known by, besides `.cgi` and what has an interpreter.
    pub extensions: Vec<String>,
}

/// `cgi_limits = { ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgiLimits {
    /// How long a script may be silent, and a request may wait for a process.
    pub timeout: Duration,
    /// Scripts at once.
    pub processes: usize,
    /// Requests that may wait for one of them to end.
    pub queue: usize,
    /// Bytes of address space of one script.
    pub memory: Option<u64>,
    /// Processor time of one script.
    pub cpu: Option<Duration>,
}

/// What a route does: exactly one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Files of a folder, and uploads to it where allowed.
    Files(Files),
    /// Programs of a folder.
    Cgi(Cgi),
    /// Another place.
    Redirect(Redirect),
    /// A fixed answer.
    Respond(Respond),
    /// A Python application.
    App(AppRoute),
    /// The Python pages of a folder.
    Pages(At<PathBuf>),
    /// An application of this program.
    Handler(HandlerRef),
}

impl Action {
    /// The files that it serves, be it alone, among scripts or before an application.
    pub fn files(&self) -> Option<&Files> {
        match self {
            Self::Files(files) => Some(files),
            Self::App(route) => route.files.as_ref(),
            Self::Cgi(cgi) => cgi.files.as_ref(),
            _ => None,
        }
    }
}

/// `handler = "..."` and `options = { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerRef {
    /// The name it is registered under.
    pub name: At<String>,
    /// What it is told, as it is written: only the application knows what it means.
    pub options: At<toml::Table>,
    /// What relative paths in the options are relative to.
    pub folder: PathBuf,
}

/// `files = "..."` and the keys beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    /// The folder.
    pub root: At<PathBuf>,
    /// Whether a folder without index page is listed.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Whether `/about` is answered with `about.html`.
    pub clean_urls: bool,
    /// The file that answers pages that match no file (single page applications).
    pub fallback: Option<String>,
    /// The `Cache-Control` header of its files.
    pub cache_control: Option<String>,
    /// What may be written to it.
    pub upload: Option<Upload>,
}

/// `upload = { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Some of PUT, POST, DELETE.
    pub methods: MethodSet,
    /// Bytes of one file.
    pub max: u64,
    /// What happens to a file that is there already.
    pub overwrite: Overwrite,
    /// Whether missing folders are made.
    pub mkdir: bool,
    /// Where it is written.
    pub span: Range<usize>,
}

/// What an upload does to a file of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It takes its place.
    Replace,
    /// It is kept; the new one is refused with 409.
    Refuse,
    /// It is kept; the new one gets a free name, told in `Location` (POST; PUT is refused).
    Rename,
}

/// `redirect = { to, status }`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The target, with `{rest}`, `{host}` and `{query}` to be filled in.
    pub to: At<String>,
    /// 301, 302, 303, 307 or 308.
    pub status: Status,
}

/// `respond = { status, body, type }`
#[derive(Clone, Debug, PartialEq)]
pub struct Respond {
    /// The status.
    pub status: Status,
    /// The body, as it is.
    pub body: String,
    /// Its media type.
    pub content_type: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![At::implied(Listen::plain(Place::Any { port: 8080 }))],
            user: None,
            pid_file: None,
            server_header: Some("httpyserver".into()),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_client: None,
            head: HeadLimits::default(),
            body: 1024 * 1024,
            spool_above: 256 * 1024,
            spool_total: SPOOL_TOTAL,
            min_rate: 500,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            error: At::implied(LogTarget::Stderr),
            access: Some(At::implied(LogTarget::Stdout)),
            format: LogFormat::Combined,
            skip: Vec::new(),
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            default: "application/octet-stream".into(),
            charset: Some("utf-8".into()),
            types: Vec::new(),
        }
    }
}

impl Default for Compress {
    fn default() -> Self {
        Self { gzip: true, min: 1024 }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certs: Vec::new(),
            local: None,
            min_version: TlsVersion::V12,
            tickets: true,
            watch: true,
            hsts: None,
            client_ca: None,
        }
    }
}

impl Listen {
    /// An address where HTTP is spoken as it is.
    pub fn plain(place: Place) -> Self {
        Self { secure: false, place }
    }

    /// An address where TLS is spoken.
    pub fn secure(place: Place) -> Self {
        Self { secure: true, place }
    }

    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Any { port } => *port,
            Place::Addr(address) => address.port(),
            Place::Unix(_) => 0,
        }
    }
}

/// As it is written in a configuration.
impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        match &self.place {
            Place::Any { port } => write!(f, "{scheme}://*:{port}"),
            Place::Addr(address) => write!(f, "{scheme}://{address}"),
            Place::Unix(path) => write!(f, "unix:{}", path.to_string_lossy()),
        }
    }
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            methods: MethodSet::of(&[Method::Put, Method::Post]),
            max: 1024 * 1024 * 1024,
            overwrite: Overwrite::Replace,
            mkdir: false,
            span: 0..0,
        }
    }
}

impl Default for CgiLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), processes: 16, queue: 64, memory: None, cpu: None }
    }
}

impl Cgi {
    /// A folder of scripts, with the defaults.
    pub fn of(root: At<PathBuf>) -> Self {
        let limits = CgiLimits::default();
        Self { root, limits, authorization: false, files: None, extensions: Vec::new() }
    }
}

impl Auth {
    /// One user, for all methods.
    pub fn of_one(name: &str, hash: &str) -> Self {
        let user = User { name: name.to_owned(), hash: hash.to_owned() };
        let users = Users::Inline(vec![At::implied(user)]);
        Self { users, realm: "restricted".to_owned(), methods: None, span: 0..0 }
    }
}

impl Access {
    /// Where it is written.
    pub fn span(&self) -> Option<&Range<usize>> {
        let allow = self.allow.as_ref().map(|at| &at.span);
        allow.or_else(|| self.auth.as_ref().map(|auth| &auth.span))
    }
}

impl Route {
    /// For all methods and for everybody.
    pub fn new(path: At<String>, action: Action) -> Self {
        let access = Access::default();
        Self { path, methods: None, internal: false, encoded_slashes: None, access, action }
    }
}

impl Files {
    /// A folder, served with the defaults.
    pub fn of(root: At<PathBuf>) -> Self {
        Self {
            root,
            listing: false,
            hidden: false,
            clean_urls: false,
            fallback: None,
            cache_control: None,
            upload: None,
        }
    }
}
