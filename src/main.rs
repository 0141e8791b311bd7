//! Command line to exit code; everything else is in the library.

mod cli;
mod hash_password;

use cli::Task;
use httpyserver::server::{Ended, Failure, Running, Server};
use std::io::Write;
use std::process::ExitCode;

/// Asked to stop and did, or the check passed.
const OK: u8 = 0;
/// Could not start.
const START: u8 = 1;
/// The configuration is refused.
const CONFIGURATION: u8 = 3;
/// An application that is required did not start.
const APPLICATION: u8 = 4;
/// Stopped by force: not all that was in flight could be finished.
const FORCED: u8 = 5;

fn main() -> ExitCode {
    let code = match run() {
        Ok(code) => code,
        Err(failure) => {
            complain(&format!("{}\n", cli::shown(&failure)));
            match failure {
                Failure::Configuration(_) => CONFIGURATION,
                Failure::Start(_) => START,
            }
        }
    };
    ExitCode::from(code)
}

fn run() -> Result<u8, Failure> {
    let task = cli::parse()?;
    match task {
        Task::Version(text) => print(&text),
        Task::Check(source) => {
            let (_, warnings) = source.check()?;
            complain(&warnings);
            print("the configuration is good\n")
        }
        Task::Show(source) => {
            let (config, warnings) = source.check()?;
            complain(&warnings);
            print(&httpyserver::conf::effective(&config))
        }
        Task::Explain(source, question, json) => {
            let explanation = source.explain(&question)?;
            print(&if json { explanation.to_json() } else { explanation.to_string() })
        }
        Task::HashPassword(name) => print(&hash_password::line(&name)?),
        Task::Challenge(directory, port) => {
            let address = format!("127.0.0.1:{port}");
            Server::bind(address).app(httpyserver::challenge::app(directory)).run()?;
            Ok(OK)
        }
        Task::Serve { source, why, quiet } => {
            let server = Running::bind(source)?;
            if !quiet {
                print(&why)?;
                print(server.banner())?;
            }
            Ok(match server.run()? {
                Ended::Finished => OK,
                Ended::Forced => FORCED,
                Ended::AppFailed(what) => {
                    complain(&format!("error: {what}\n"));
                    APPLICATION
                }
            })
        }
    }
}

/// As `print`, on standard error: the exit code tells what is to be told even so.
fn complain(text: &str) {
    let mut out = std::io::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints, and does not mind a reader that has left.
fn print(text: &str) -> Result<u8, Failure> {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(OK)
}
