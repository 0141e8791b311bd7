//! `httpyserver hash-password`: from a password to the line of a list of users.

use httpyserver::conf::{check_name, check_name_of_line};
use httpyserver::server::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};

/// A quarter of a second of one core for each try; each more is twice as long.
const COST: u32 = 12;

/// What `--auth` costs: a hash that lives as long as the process and is written nowhere need not
/// hold against whoever finds it.
const COST_IN_MEMORY: u32 = 6;

/// What bcrypt reads of a password. Longer ones are refused rather than cut in silence.
const BYTES_MAX: usize = 72;

/// Asks for a password, twice and without echo at a terminal, and makes the line.
pub(crate) fn line(name: &str) -> Result<String, Failure> {
    check_name_of_line(name).map_err(|why| fault(&format!("{name:?} {why}")))?;
    let password = if std::io::stdin().is_terminal() { asked()? } else { read_line()? };
    let hash = hash(&password, COST)?;
    Ok(format!("{name}:{hash}\n"))
}

/// The name and the hash of `USER:PASS`.
pub(crate) fn in_memory(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or("it is USER:PASS")?;
    check_name(name).map_err(|why| format!("it {why}"))?;
    let hash = hash(password, COST_IN_MEMORY).map_err(|failure| match failure {
        Failure::Start(text) | Failure::Configuration(text) => text,
    })?;
    Ok((name.to_owned(), hash))
}

fn hash(password: &str, cost: u32) -> Result<String, Failure> {
    if password.is_empty() {
        return Err(fault("the password is empty"));
    }
    if password.len() > BYTES_MAX {
        return Err(fault("the password is longer than the 72 bytes that bcrypt reads"));
    }
    if password.chars().any(char::is_control) {
        return Err(fault("the password has a control character in it, which cannot be sent"));
    }
    bcrypt::hash(password, cost).map_err(|error| fault(&error.to_string()))
}

fn asked() -> Result<String, Failure> {
    let quiet = Quiet::new()?;
    let password = prompt("Password: ")?;
    let again = prompt("Again: ")?;
    drop(quiet);
    if password != again {
        return Err(fault("those were two different passwords"));
    }
    Ok(password)
}

/// On standard error: standard output is the line, which may go to a file.
fn prompt(text: &str) -> Result<String, Failure> {
    let mut out = std::io::stderr();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let line = read_line();
    out.write_all(b"\n")?;
    line
}

/// One line of standard input without its end.
fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let bare = line.strip_suffix('\n').unwrap_or(&line);
    Ok(bare.strip_suffix('\r').unwrap_or(bare).to_owned())
}

/// A terminal without echo, until it is dropped.
struct Quiet(Termios);

impl Quiet {
    fn new() -> Result<Self, Failure> {
        let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)
            .map_err(std::io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing else can be done for a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn fault(text: &str) -> Failure {
    Failure::Start(text.to_owned())
}
