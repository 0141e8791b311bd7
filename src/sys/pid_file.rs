//! The file that holds the id of this process: written at the start, removed at the end.

use super::file;
use super::fs::Root;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A process id takes at most seven digits on Linux.
const TEXT_MAX: u64 = 32;

/// A pid file of this process, removed when this is dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes it, in place of one of a former process. It appears whole.
    ///
    /// # Errors
    /// Its folder is missing or may not be written to, or as `check`.
    pub fn write(path: &Path) -> io::Result<Self> {
        check(path)?;
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.as_bytes();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Root::open(parent.unwrap_or(Path::new(".")))?.folder(b"")?;
        let text = format!("{}\n", std::process::id());
        let mut draft = folder.draft()?;
        draft.file().write_all(text.as_bytes())?;
        draft.publish_over(&folder, name)?;
        Ok(Self { path: path.to_owned(), text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Another instance may have written its own meanwhile.
        let is_own = file::read(&self.path, TEXT_MAX)
            .is_ok_and(|(content, _)| content == self.text.as_bytes());
        if is_own {
            // The account that the server has become may not be allowed to: then it stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a pid file may be written here: nothing has the name, or an earlier pid file. A path
/// that was meant for something else must not cost that file.
///
/// # Errors
/// Something else has the name.
pub fn check(path: &Path) -> io::Result<()> {
    let kind = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        about => about?.file_type(),
    };
    if !kind.is_file() {
        return Err(io::Error::other(format!("{} is there already", file::kind_name(kind))));
    }
    let is_pid = |text: &[u8]| text.iter().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace());
    match file::read(path, TEXT_MAX) {
        Ok((content, _)) if is_pid(&content) => Ok(()),
        Err(error) if error.kind() != ErrorKind::Other => Err(error),
        _ => Err(io::Error::other("a file that holds no process id is there already")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::os::unix::fs::symlink;

    #[test]
    fn it_holds_the_pid_and_goes_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let own = format!("{}\n", std::process::id());
        for former in [None, Some(""), Some("4194304\n"), Some("17")] {
            if let Some(former) = former {
                std::fs::write(&path, former).unwrap();
            }
            let file = PidFile::write(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), own, "{former:?}");
            drop(file);
            assert!(!path.exists(), "{former:?}");
        }
        let file = PidFile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n", "that of another process");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no drafts are left");
    }

    #[test]
    fn nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("text"), "root:x:0\n").unwrap();
        std::fs::write(place("long"), "1".repeat(100)).unwrap();
        symlink("text", place("link")).unwrap();
        symlink("none", place("dangling")).unwrap();
        mkfifoat(CWD, place("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
        std::fs::create_dir(place("folder")).unwrap();
        for name in ["text", "long", "link", "dangling", "fifo", "folder"] {
            let before = place(name).symlink_metadata().unwrap();
            let why = PidFile::write(&place(name)).unwrap_err().to_string();
            assert!(why.ends_with("is there already"), "{name}: {why}");
            let after = place(name).symlink_metadata().unwrap();
            assert_eq!((before.len(), before.file_type()), (after.len(), after.file_type()));
        }
        assert!(PidFile::write(&place("none/pid")).is_err());
    }
}
