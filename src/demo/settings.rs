//! What `options` in web.conf says to the site.

use super::{picture, random};
use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How the site is to behave.
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
    pub fn new(data: PathBuf) -> Self {
        Self { data, registration: Registration::Loopback, bcrypt_cost: BCRYPT_COST }
    }

    /// Where a picture lies, as [`picture::find`].
    pub fn picture(&self, name: &str) -> Option<(PathBuf, picture::Format)> {
        picture::find(&picture::folder(&self.data), name)
    }
}

impl Registration {
    /// How it is written in web.conf.
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
/// programs keep their state. `None`: there is no such place.
pub fn default_data() -> Option<PathBuf> {
    let root = rustix::process::geteuid().is_root();
    state_directory(root, |name| env::var_os(name).map(PathBuf::from)).map(|at| at.join(FOLDER))
}

fn state_directory(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // Relative values are to be ignored (XDG Base Directory specification); an unset one is empty.
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    // systemd separates several directories with colons.
    let first = |path: PathBuf| {
        let text = path.to_str().and_then(|text| text.split(':').next()).map(PathBuf::from);
        text.unwrap_or(path)
    };
    absolute("STATE_DIRECTORY").map(first).or_else(|| {
        if root && absolute("XDG_STATE_HOME").is_none() {
            return Some("/var/lib/httpyserver".into());
        }
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        absolute("XDG_STATE_HOME").or_else(home).map(|state| state.join("httpyserver"))
    })
}

/// The key that sessions are signed with: made at the first start, kept in the data folder, so that
/// a restart logs nobody out.
///
/// # Errors
/// It can neither be read nor written.
pub fn session_key(data: &Path) -> io::Result<Vec<u8>> {
    let path = data.join("session.key");
    if let Some(key) = read_key(&path)? {
        return Ok(key);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    // Under another name first: nobody must read half a key. Linking it fails if another process
    // was faster, and then theirs counts.
    let draft = data.join(format!("session.key.{}", random::hex::<8>()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file
        .write_all(&random::bytes::<KEY_BYTES>()?)
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
    let _ = fs::remove_file(&draft);
    written?;
    read_key(&path)?.ok_or_else(|| io::Error::other("session.key is not what was written"))
}

const KEY_BYTES: usize = 64;

fn read_key(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(key) if key.len() == KEY_BYTES => Ok(Some(key)),
        Ok(_) => Err(io::Error::other("session.key is damaged; remove it to get a new one")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
            state_directory(root, variable).map(|path| path.to_str().unwrap().to_owned())
        };
        let home = ("HOME", "/home/a");
        assert_eq!(ask(false, &[home]).as_deref(), Some("/home/a/.local/state/httpyserver"));
        assert_eq!(
            ask(false, &[home, ("XDG_STATE_HOME", "/s")]).as_deref(),
            Some("/s/httpyserver")
        );
        assert_eq!(
            ask(false, &[home, ("XDG_STATE_HOME", "s")]).as_deref(),
            Some("/home/a/.local/state/httpyserver")
        );
        assert_eq!(ask(false, &[]), None);
        assert_eq!(ask(true, &[home]).as_deref(), Some("/var/lib/httpyserver"));
        assert_eq!(ask(true, &[("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/httpyserver"));
        assert_eq!(
            ask(false, &[home, ("STATE_DIRECTORY", "/var/lib/x:/y")]).as_deref(),
            Some("/var/lib/x")
        );
    }

    #[test]
    fn the_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new/data");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| session_key(&data).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && key.len() == KEY_BYTES));
        assert_ne!(keys[0], session_key(&folder.path().join("other")).unwrap());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no drafts are left");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data.join("session.key")), mode(&data)), (0o600, 0o700));
        fs::write(data.join("session.key"), "short").unwrap();
        assert!(session_key(&data).is_err());
    }
}
