//! Hearing of changes in folders.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Tells that something has changed in one of a few folders; not what.
#[derive(Debug)]
pub struct FolderWatch {
    inotify: OwnedFd,
}

impl FolderWatch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Those of `inotify_init1`: no descriptor, too many instances of this user.
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify })
    }

    /// Watches a folder: files that are written and closed, renamed into or out of it, linked,
    /// removed, or given other permissions; and the folder itself, which may be moved or removed.
    ///
    /// # Errors
    /// It is not there or may not be read; too many watches.
    pub fn add(&self, folder: &Path) -> io::Result<()> {
        let changes = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.inotify, folder, changes)?;
        Ok(())
    }

    /// Whether something has changed since this was last asked.
    pub fn take(&self) -> bool {
        let (mut changed, mut events) = (false, [0u8; 4096]);
        loop {
            match rustix::io::read(&self.inotify, &mut events[..]) {
                Ok(1..) => changed = true,
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return changed,
            }
        }
    }
}

/// For the poll.
impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn hears_of_writing_renaming_and_linking() {
        let folder = tempfile::tempdir().unwrap();
        let watch = FolderWatch::new().unwrap();
        watch.add(folder.path()).unwrap();
        assert!(!watch.take());
        std::fs::write(folder.path().join("a"), "x").unwrap();
        assert!(watch.take() && !watch.take());
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert!(watch.take());
        std::os::unix::fs::symlink("b", folder.path().join("c")).unwrap();
        assert!(watch.take());
        std::fs::set_permissions(folder.path().join("b"), Permissions::from_mode(0o600)).unwrap();
        assert!(watch.take());
        assert!(watch.add(&folder.path().join("b")).is_err() && FolderWatch::new().is_ok());
    }

    #[test]
    fn hears_of_the_end_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        for is_moved in [true, false] {
            std::fs::create_dir(&own).unwrap();
            let watch = FolderWatch::new().unwrap();
            watch.add(&own).unwrap();
            assert!(!watch.take());
            match is_moved {
                true => std::fs::rename(&own, &other).unwrap(),
                false => std::fs::remove_dir(&own).unwrap(),
            }
            assert!(watch.take());
        }
    }
}
