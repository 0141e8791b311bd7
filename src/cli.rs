//! The command line: what was typed, and what that means.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use httpyserver::challenge;
use httpyserver::conf::{self, Format, Level, Listen, LogFormat, Place};
use httpyserver::server::{ConfigSource, Failure, Origin, Overrides, Question, QuickTls};
use httpyserver::site::Registry;
use std::io::{IsTerminal, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A web server for several sites: files and uploads, scripts, applications in Python and Rust.
#[derive(Debug, Parser)]
#[command(name = "httpyserver", version, disable_version_flag = true)]
#[command(after_help = EXAMPLES, max_term_width = 80, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// The folder to serve, at once and on this machine only
    #[arg(value_name = "DIR", conflicts_with = "config")]
    folder: Option<PathBuf>,

    /// The configuration; - reads it from standard input
    #[arg(short, long, value_name = "FILE", env = "HTTPYSERVER_CONFIG")]
    config: Option<PathBuf>,

    /// Port of every http listener; 0 takes a free one, for https too, and prints it
    #[arg(short, long, value_name = "PORT", env = "HTTPYSERVER_PORT")]
    port: Option<u16>,

    /// Address to listen on instead of those configured: an IP address, ADDR:PORT, * or
    /// unix:/path. May be given several times
    #[arg(short, long, value_name = "ADDR", env = "HTTPYSERVER_BIND")]
    bind: Vec<String>,

    /// Serve the folder by https, with this certificate and key (PEM)
    #[arg(long, value_names = ["CERT", "KEY"], num_args = 2, conflicts_with_all = ["config", "tls_self"])]
    tls: Option<Vec<PathBuf>>,

    /// Serve the folder by https, with a certificate made for this machine
    #[arg(long, conflicts_with = "config")]
    tls_self: bool,

    /// Say everything on the error log
    #[arg(short, long)]
    debug: bool,

    /// Check the configuration and exit: 0 if it is good, 3 if not
    #[arg(short = 't', long)]
    check: bool,

    /// Check the configuration, print it as it takes effect, and exit
    #[arg(short = 'T')]
    show: bool,

    /// No banner and no access log
    #[arg(short, long)]
    quiet: bool,

    /// Say more on the error log; twice as much as -d
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Colour in messages
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "HTTPYSERVER_COLOR")]
    color: Color,

    /// With DIR: ask everybody for this name and password. Others on this machine may see
    /// the command line; --tls-self keeps them from being read on the way
    #[arg(long, value_name = "USER:PASS", conflicts_with = "config")]
    #[arg(value_parser = crate::hash_password::in_memory)]
    auth: Option<(String, String)>,

    /// With DIR: start the programs of its folder of that path
    #[arg(long, value_name = "/PATH", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "/cgi-bin", value_parser = script_path)]
    #[arg(conflicts_with = "config")]
    cgi: Option<String>,

    /// A Python application instead of files; DIR is where its modules are
    #[arg(long, value_name = "MODULE:CALLABLE", value_parser = conf::wsgi_callable)]
    #[arg(conflicts_with = "config")]
    wsgi: Option<String>,

    /// With --wsgi: the virtual environment that has what it imports
    #[arg(long, value_name = "DIR", requires = "wsgi")]
    venv: Option<PathBuf>,

    /// With --wsgi: load it again whenever a source changes
    #[arg(long, requires = "wsgi")]
    reload: bool,

    /// Form of the access log
    #[arg(long, value_name = "FORM", env = "HTTPYSERVER_LOG_FORMAT")]
    log_format: Option<Form>,

    /// Read the file as one of the two formats instead of finding out
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,

    /// Print version and build, and exit
    #[arg(short = 'V', long)]
    version: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a request would be answered, and why; nothing is served or started
    Explain {
        /// As in a browser, or only a path
        url: String,

        /// The configuration; without it ./web.conf, or this folder if there is none
        #[arg(short, long, value_name = "FILE", env = "HTTPYSERVER_CONFIG")]
        config: Option<PathBuf>,

        /// The folder to serve instead
        #[arg(long, value_name = "DIR", conflicts_with = "config")]
        directory: Option<PathBuf>,

        /// The method
        #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
        method: String,

        /// A header line of the request; may be given several times
        #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
        headers: Vec<String>,

        /// The address of the client
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        from: IpAddr,

        /// For programs
        #[arg(long)]
        json: bool,
    },

    /// Ask for a password and print `NAME:HASH`, for the users of an `auth`
    HashPassword {
        /// Whose it is; a line of a pipe is read where standard input is no terminal
        #[arg(default_value = "user")]
        name: String,
    },

    /// Run the application of the stepwise HTTP server challenge
    Challenge {
        /// Where /files/{name} reads and writes
        #[arg(long, value_name = "DIR", default_value = ".")]
        directory: PathBuf,

        /// The port on 127.0.0.1; 0 takes a free one and prints it
        #[arg(short, long, value_name = "PORT", default_value_t = challenge::PORT)]
        port: u16,
    },
}

const EXAMPLES: &str = "Examples:
  httpyserver                     serve ./web.conf, or this folder if there is none
  httpyserver ~/site              serve a folder at http://127.0.0.1:8080/
  httpyserver -c web.conf         serve what the configuration says
  httpyserver -c web.conf -t      look for mistakes in it
  httpyserver --tls-self ~/site   the same at https://127.0.0.1:8443/
  httpyserver -p 0 .              take any free port and print it
  httpyserver --auth me:x ~/site  ask for a password
  httpyserver --cgi .             and start the programs in ./cgi-bin
  httpyserver --wsgi app:app      run a Python application of this folder
  httpyserver hash-password ann   make a line of a list of users
  httpyserver explain URL         say what a request would be answered, and why

Signals: TERM and INT finish what is in flight, twice at once; HUP reads the
configuration again; USR1 opens log files again; QUIT finishes without haste;
TTIN and TTOU add and remove a worker of each application.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Pretty,
    Combined,
    Common,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileFormat {
    Toml,
    Classic,
}

/// What is to be done.
pub(crate) enum Task {
    /// Print this.
    Version(String),
    /// Check a configuration.
    Check(ConfigSource),
    /// Check it and print it.
    Show(ConfigSource),
    /// Explain an answer, as JSON or not.
    Explain(ConfigSource, Question, bool),
    /// Make a line of a list of users for this name.
    HashPassword(String),
    /// Serve the challenge's files from this folder, on this port.
    Challenge(PathBuf, u16),
    /// Serve.
    Serve {
        /// What.
        source: ConfigSource,
        /// Why that, if it was not said.
        why: String,
        /// Without telling.
        quiet: bool,
    },
}

/// Reads the command line. Exits with 2 where it is wrong, as clap does.
pub(crate) fn parse() -> Result<Task, Failure> {
    let args = Args::try_parse().unwrap_or_else(|error| explained(error).exit());
    if args.version {
        return Ok(Task::Version(version()));
    }
    match args.command {
        None => {}
        Some(Command::HashPassword { name }) => return Ok(Task::HashPassword(name)),
        Some(Command::Challenge { directory, port }) => {
            return match directory.is_dir() {
                true => Ok(Task::Challenge(directory, port)),
                false => Err(Failure::Start(format!("{} is not a folder", directory.display()))),
            };
        }
        Some(Command::Explain { url, config, directory, method, headers, from, json }) => {
            let args = Args { folder: directory, config, ..Args::parse_from(["httpyserver"]) };
            let (origin, _) = origin(&args)?;
            let overrides = overrides(&args);
            let source = ConfigSource { origin, overrides, registry: builtin() };
            return Ok(Task::Explain(source, Question { method, url, headers, from }, json));
        }
    }
    let (origin, why) = origin(&args)?;
    let source = ConfigSource { origin, overrides: overrides(&args), registry: builtin() };
    Ok(match (args.check, args.show) {
        (_, true) => Task::Show(source),
        (true, false) => Task::Check(source),
        (false, false) => Task::Serve { source, why, quiet: args.quiet },
    })
}

/// A second folder is taken for a misplaced command, which helps nobody.
fn explained(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let mut command = Args::command();
    if error.kind() != ErrorKind::ArgumentConflict || command.find_subcommand(word).is_some() {
        return error;
    }
    let text = format!(
        "one folder is served at once, and {word:?} is a second one; \
         several are hosts or routes of a web.conf (-c FILE)"
    );
    command.error(ErrorKind::TooManyValues, text)
}

/// The applications that are part of this binary.
fn builtin() -> Registry {
    #[allow(unused_mut)] // where there are none
    let mut registry = Registry::default();
    #[cfg(feature = "demo")]
    registry.add("moviequotes", httpyserver::demo::handler());
    registry
}

/// A failure as it is shown on standard error: a refused configuration speaks for itself.
pub(crate) fn shown(failure: &Failure) -> String {
    match failure {
        Failure::Configuration(text) => text.trim_end().to_owned(),
        Failure::Start(text) => format!("error: {text}"),
    }
}

/// What is served: what was said, else ./web.conf, else this folder.
fn origin(args: &Args) -> Result<(Origin, String), Failure> {
    if let Some(folder) = &args.folder {
        if !folder.is_dir() {
            let hint = if folder.is_file() { "; to run a configuration, use -c" } else { "" };
            return Err(Failure::Start(format!("{} is not a folder{hint}", folder.display())));
        }
        return Ok((Origin::Folder(folder.clone()), String::new()));
    }
    match args.config.as_deref() {
        Some(path) if path == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Ok((Origin::Text(text), String::new()))
        }
        Some(path) => Ok((Origin::File(path.into()), String::new())),
        None if args.cgi.is_some() || args.wsgi.is_some() || args.auth.is_some() => {
            Ok((Origin::Folder(".".into()), String::new()))
        }
        None if Path::new("web.conf").is_file() && quick_tls(args).is_none() => Ok((
            Origin::File("web.conf".into()),
            "serving ./web.conf, because it is there and nothing else was asked for\n".into(),
        )),
        None => Ok((
            Origin::Folder(".".into()),
            match quick_tls(args) {
                Some(_) => String::new(),
                None => "serving this folder, because there is no web.conf in it\n".into(),
            },
        )),
    }
}

fn quick_tls(args: &Args) -> Option<QuickTls> {
    match args.tls.as_deref() {
        Some([chain, key]) => Some(QuickTls::Files(chain.clone(), key.clone())),
        _ => args.tls_self.then_some(QuickTls::Local),
    }
}

fn overrides(args: &Args) -> Overrides {
    let level = match (args.debug, args.verbose) {
        (true, _) | (_, 1..) => Some(Level::Debug),
        _ => None,
    };
    let port = args.port.unwrap_or(if quick_tls(args).is_some() { 8443 } else { 8080 });
    Overrides {
        port: args.port,
        bind: args.bind.iter().map(|text| listen(text, port)).collect(),
        level,
        quiet: args.quiet,
        log_format: args.log_format.map(|form| match form {
            Form::Pretty => LogFormat::Pretty,
            Form::Combined => LogFormat::Combined,
            Form::Common => LogFormat::Common,
            Form::Json => LogFormat::Json,
        }),
        format: args.format.map(|format| match format {
            FileFormat::Toml => Format::Toml,
            FileFormat::Classic => Format::Classic,
        }),
        colour: wants_colour(args.color),
        tls: quick_tls(args),
        cgi: args.cgi.clone(),
        wsgi: args.wsgi.clone(),
        venv: args.venv.clone(),
        reload: args.reload,
        auth: args.auth.as_ref().map(|(name, hash)| conf::Auth::of_one(name, hash)),
    }
}

/// Where scripts are: a path of the URL, which is a folder of the served one.
fn script_path(text: &str) -> Result<String, String> {
    let path = format!("/{}/", text.trim_matches('/'));
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    if segments.clone().count() == 0 || segments.clone().any(|segment| segment.starts_with('.')) {
        return Err("it is a path below the folder that is served: try /cgi-bin".to_owned());
    }
    Ok(path)
}

/// An address to listen on, as typed. Exits with 2 where it is none.
fn listen(text: &str, port: u16) -> Listen {
    let secure = text.starts_with("https://");
    let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let bare = bare.unwrap_or(text).trim_end_matches('/');
    Listen { secure, place: place(text, bare, port) }
}

fn place(text: &str, bare: &str, port: u16) -> Place {
    if let Some(path) = bare.strip_prefix("unix:") {
        return Place::Unix(path.into());
    }
    if bare == "*" {
        return Place::Any { port };
    }
    if let Some(port) = bare.strip_prefix("*:").and_then(|port| port.parse().ok()) {
        return Place::Any { port };
    }
    let bare = bare.replace("localhost", "127.0.0.1");
    if let Ok(address) = bare.parse() {
        return Place::Addr(address);
    }
    match bare.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => Place::Addr((ip, port).into()),
        Err(_) => Args::command()
            .error(
                ErrorKind::ValueValidation,
                format!("{text:?} is no address: try 127.0.0.1, 0.0.0.0:8080, [::1]:8080, * or unix:/path"),
            )
            .exit(),
    }
}

/// NO_COLOR and CLICOLOR_FORCE decide where the option does not, then whether somebody watches.
fn wants_colour(color: Color) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if is_set("NO_COLOR") => false,
        Color::Auto if is_set("CLICOLOR_FORCE") => true,
        Color::Auto => std::io::stderr().is_terminal() && std::io::stdout().is_terminal(),
    }
}

fn version() -> String {
    let demo = if cfg!(feature = "demo") { ", the demo site" } else { "" };
    format!(
        "httpyserver {}\nplatform: {} {}\n\
         features: virtual hosts, files, uploads, redirects, gzip, TLS, CGI, WSGI, applications in Rust{demo}\n\
         tls: {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        httpyserver::tls::PROVIDER,
    )
}
