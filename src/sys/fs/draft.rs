//! Files that are written before they are seen.
//!
//! A draft has no name at all where the file system can do that (`O_TMPFILE`), otherwise one that
//! begins with a dot. It is given its name in one step; dropped before, it leaves nothing behind.

use super::Folder;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A file being written that has no name yet, or one that begins with a dot and goes with it.
#[derive(Debug)]
pub struct Draft {
    file: File,
    named: Option<Named>,
}

/// A temporary name, removed when this is dropped.
#[derive(Debug)]
struct Named {
    folder: OwnedFd,
    name: Vec<u8>,
}

impl Draft {
    /// A new one in the file system of `folder`.
    pub(super) fn begin(folder: &OwnedFd, has_proc: bool) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        if has_proc {
            match rustix::fs::openat(folder, ".", flags | OFlags::TMPFILE, FILE_MODE) {
                Ok(fd) => return Ok(Self { file: File::from(fd), named: None }),
                // Not every file system has nameless files.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Self::begin_named(folder)
    }

    fn begin_named(folder: &OwnedFd) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        let name = temporary_name();
        let fd = rustix::fs::openat(folder, name.as_slice(), flags, FILE_MODE)?;
        Ok(Self { file: File::from(fd), named: Some(Named { folder: folder.try_clone()?, name }) })
    }

    /// Where to write.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it a name that is free.
    ///
    /// # Errors
    /// `AlreadyExists`: the name is taken.
    pub fn publish_new(&self, folder: &Folder, name: &[u8]) -> io::Result<()> {
        Ok(self.link(&folder.fd, folder.changeable(name)?)?)
    }

    /// Gives it a name, in place of what has it now.
    ///
    /// # Errors
    /// `IsADirectory`: a folder has it.
    pub fn publish_over(&mut self, folder: &Folder, name: &[u8]) -> io::Result<()> {
        let name = folder.changeable(name)?;
        match self.link(&folder.fd, name) {
            Err(Errno::EXIST) => {}
            done => return Ok(done?),
        }
        // A link cannot replace, a rename can: so it is linked beside its place first.
        if self.named.is_none() {
            let temporary = temporary_name();
            self.link(&folder.fd, &temporary)?;
            self.named = Some(Named { folder: folder.fd.try_clone()?, name: temporary });
        }
        if let Some(named) = &self.named {
            rustix::fs::renameat(&named.folder, named.name.as_slice(), &folder.fd, name)?;
        }
        // The temporary name is gone; dropping `Named` must not meet a later one of that name.
        if let Some(mut named) = self.named.take() {
            named.name.clear();
        }
        Ok(())
    }

    fn link(&self, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        match &self.named {
            Some(named) => rustix::fs::linkat(
                &named.folder,
                named.name.as_slice(),
                folder,
                name,
                AtFlags::empty(),
            ),
            None => {
                let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, nameless, folder, name, AtFlags::SYMLINK_FOLLOW)
            }
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // There is nobody to tell; a name that cannot be removed begins with a dot.
            let _ = rustix::fs::unlinkat(&self.folder, self.name.as_slice(), AtFlags::empty());
        }
    }
}

/// Of new files, before the umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// A name nobody can guess or already has: the hasher is keyed by the system's randomness.
fn temporary_name() -> Vec<u8> {
    format!(".httpyserver-{:016x}.tmp", RandomState::new().build_hasher().finish()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::Root;
    use std::io::{ErrorKind, Write};

    #[test]
    fn drafts_appear_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sub")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let (top, folder) = (root.folder(b"").unwrap(), root.folder(b"sub").unwrap());
        for nameless in [true, false] {
            let begin =
                || if nameless { folder.draft() } else { Draft::begin_named(&folder.fd) }.unwrap();
            let name = format!("new-{nameless}");
            let draft = begin();
            draft.file().write_all(b"one").unwrap();
            assert!(folder.look(name.as_bytes()).is_err());
            draft.publish_new(&folder, name.as_bytes()).unwrap();
            let error = draft.publish_new(&folder, name.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            drop(draft);
            let mut draft = begin();
            draft.file().write_all(b"two").unwrap();
            draft.publish_over(&folder, name.as_bytes()).unwrap();
            drop(draft);
            let text = std::fs::read_to_string(dir.path().join("sub").join(&name)).unwrap();
            assert_eq!(text, "two");
            let mut draft = begin();
            assert!(draft.publish_over(&top, b"sub").is_err(), "a folder has the name");
            assert!(draft.publish_over(&folder, b"../x").is_err());
        }
        for folder in [top, folder] {
            let names = folder.names(100).unwrap().names;
            assert!(names.iter().all(|n| !n.name.starts_with(b".")), "{names:?}");
        }
    }
}
