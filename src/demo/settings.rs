//! What `options` in web.conf says to the site.

use super::{picture, random};
use crate::sys::file;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the site is to behave.
///
/// ```
/// use httpyserver::demo::{Registration, Settings};
///
/// let settings = Settings { registration: Registration::Closed, ..Settings::new("data".into()) };
/// assert_eq!(settings.bcrypt_cost, 12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the database and the pictures lie. No folder that anything serves.
    pub data: PathBuf,
    /// Who may register.
    pub registration: Registration,
    /// The cost of bcrypt: each step doubles the time.
    pub bcrypt_cost: u32,
}

/// Who may register.
///
/// ```
/// use httpyserver::demo::Registration;
///
/// assert_eq!(Registration::of_name("open"), Some(Registration::Open));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Clients on this machine.
    Loopback,
    /// Everybody.
    Open,
    /// Nobody any more.
    Closed,
}

/// A quarter of a second today.
pub const BCRYPT_COST: u32 = 12;

/// Costs that are taken. Below, a leaked database is guessed in no time; above, logins wait for
/// each other.
pub const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 10..=15;

/// The folder below the state directory.
const FOLDER: &str = "moviequotes";

impl Settings {
    /// The settings of a site that is told nothing but its folder.
    ///
    /// ```
    /// use httpyserver::demo::{Registration, Settings};
    ///
    /// assert_eq!(Settings::new("data".into()).registration, Registration::Loopback);
    /// ```
    pub fn new(data: PathBuf) -> Self {
        Self { data, registration: Registration::Loopback, bcrypt_cost: BCRYPT_COST }
    }

    /// Where a picture lies, as `picture::find`.
    pub(super) fn picture(&self, name: &str) -> Option<(PathBuf, picture::Format)> {
        picture::find(&picture::folder(&self.data), name)
    }
}

impl Registration {
    /// How it is written in web.conf.
    ///
    /// ```
    /// use httpyserver::demo::Registration;
    ///
    /// assert_eq!(Registration::of_name("closed"), Some(Registration::Closed));
    /// assert_eq!(Registration::of_name("everybody"), None);
    /// ```
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "loopback" => Some(Self::Loopback),
            "open" => Some(Self::Open),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }
}

/// The data folder of those who name none: in `STATE_DIRECTORY` (systemd), else where the user's
/// programs keep their state, else where the system does.
pub fn default_data() -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    state_directory(root, |name| env::var_os(name).map(PathBuf::from)).join(FOLDER)
}

fn state_directory(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    // Relative values are to be ignored (XDG Base Directory specification); an unset one is empty.
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    // systemd separates several directories with colons.
    let first = |path: PathBuf| {
        let text = path.to_str().and_then(|text| text.split(':').next()).map(PathBuf::from);
        text.unwrap_or(path)
    };
    let of_user = || {
        let home = || absolute("HOME").filter(|_| !root).map(|home| home.join(".local/state"));
        Some(absolute("XDG_STATE_HOME").or_else(home)?.join("httpyserver"))
    };
    let state = absolute("STATE_DIRECTORY").map(first).or_else(of_user);
    state.unwrap_or_else(|| SYSTEM_STATE.into())
}

/// Where the system's programs keep their state.
const SYSTEM_STATE: &str = "/var/lib/httpyserver";

/// What sessions are signed with.
pub type Key = [u8; 64];

/// The file of the key, in the data folder.
const KEY_FILE: &str = "session.key";

/// The key that was kept, if one was; else a new one, which [`keep_key`] keeps. Loading a
/// configuration writes nothing: it may only be a check, or happen as another user.
///
/// # Errors
/// No random numbers.
pub fn session_key(data: &Path) -> io::Result<Key> {
    let read = file::read(&data.join(KEY_FILE), size_of::<Key>() as u64);
    let kept = read.ok().and_then(|(kept, _)| Key::try_from(kept).ok());
    kept.map_or_else(random::bytes, Ok)
}

/// Keeps the key, so that a restart logs nobody out. One that is kept already stays.
///
/// # Errors
/// The data folder cannot be written.
pub fn keep_key(data: &Path, key: &Key) -> io::Result<()> {
    let path = data.join(KEY_FILE);
    if path.exists() {
        return Ok(());
    }
    // Under another name first: nobody must read half a key.
    let draft = data.join(format!("{KEY_FILE}.{}", random::hex::<8>()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let kept = file.write_all(key).and_then(|()| file.sync_all());
    let kept = kept.and_then(|()| match fs::hard_link(&draft, &path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&draft);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_state_directory() {
        let ask = |root, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            state_directory(root, variable).to_str().unwrap().to_owned()
        };
        let home = ("HOME", "/home/a");
        let xdg = |value| ("XDG_STATE_HOME", value);
        assert_eq!(ask(false, &[home]), "/home/a/.local/state/httpyserver");
        assert_eq!(ask(false, &[home, xdg("/s")]), "/s/httpyserver");
        assert_eq!(ask(false, &[home, xdg("s")]), "/home/a/.local/state/httpyserver");
        assert_eq!(ask(false, &[]), "/var/lib/httpyserver");
        assert_eq!(ask(true, &[home]), "/var/lib/httpyserver");
        assert_eq!(ask(true, &[xdg("/s")]), "/s/httpyserver");
        assert_eq!(ask(false, &[home, ("STATE_DIRECTORY", "/var/lib/x:/y")]), "/var/lib/x");
    }

    #[test]
    fn the_key_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let keys = [session_key(data).unwrap(), session_key(data).unwrap()];
        assert_ne!(keys[0], keys[1]);
        assert_eq!(fs::read_dir(data).unwrap().count(), 0, "asking keeps nothing");
        std::thread::scope(|scope| {
            for key in &keys {
                scope.spawn(|| keep_key(data, key).unwrap());
            }
        });
        let kept = session_key(data).unwrap();
        assert!(keys.contains(&kept));
        assert_eq!(fs::read_dir(data).unwrap().count(), 1, "no drafts are left");
        let mode = fs::metadata(data.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(data.join(KEY_FILE), "short").unwrap();
        assert_ne!(session_key(data).unwrap(), kept, "half a key is none");
    }
}
