//! The way down from a root: folder by folder, by descriptors.
//!
//! Each step opens one name in a folder that was reached from the root, and follows no link: links
//! are read and their targets walked in the same manner, so that no race and no spelling leads out.
//! `..`, which only links have, goes up the names that led here, from the root again. It needs
//! neither `openat2` nor `/proc`, and every folder on the way is compared with those that are closed.

use super::{Closed, Id, Kind, id_of, plain, segments};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// What is wanted of the thing at the end.
#[derive(Clone, Copy)]
pub(super) enum Want {
    /// A descriptor, opened with these flags.
    Descriptor(OFlags),
    /// What it is.
    State,
}

/// What lies at the end.
pub(super) struct End {
    /// If it was wanted.
    pub(super) fd: Option<OwnedFd>,
    pub(super) stat: Stat,
}

/// As many links as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Steps on one way, those of links and of ways begun again included.
const STEPS_MAX: usize = 4096;

/// As the kernel has it.
const PATH_MAX: usize = 4096;

pub(super) struct Walk<'r> {
    root: (&'r OwnedFd, Id),
    closed: Option<&'r Closed>,
    /// The folder that was reached; the root if there is none.
    at: Option<(OwnedFd, Id)>,
    /// The names that lead to it.
    names: Vec<Vec<u8>>,
    /// What is still to be walked; the last is the next.
    left: Vec<Vec<u8>>,
    must_be_folder: bool,
    /// The folder that was reached, or one on the way to it, has scripts that are closed.
    is_mixed: bool,
    /// The last step followed a link that leads to something closed.
    by_closed_link: bool,
    links: usize,
}

impl<'r> Walk<'r> {
    /// `path` is relative to the root, which is `""`.
    pub(super) fn new(
        root: (&'r OwnedFd, Id),
        closed: Option<&'r Closed>,
        path: &[u8],
    ) -> Result<Self, Errno> {
        if path.len() > PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let left = segments(path).rev().map(|name| Ok(plain(name)?.to_vec()));
        Ok(Self {
            root,
            closed,
            at: None,
            names: Vec::new(),
            left: left.collect::<Result<_, Errno>>()?,
            must_be_folder: path.ends_with(b"/"),
            is_mixed: closed.is_some_and(|closed| closed.is_mixed(root.1)),
            by_closed_link: false,
            links: 0,
        })
    }

    /// Goes to the end.
    ///
    /// `EXDEV`: a link is absolute, or leads out of the root. `ELOOP`: links have no end.
    pub(super) fn run(mut self, want: Want) -> Result<End, Errno> {
        for _ in 0..STEPS_MAX {
            let Some(name) = self.left.pop() else {
                let end = look(self.folder(), b".", want)?;
                return self.judge(end, b".");
            };
            match name.as_slice() {
                b"." => {}
                b".." => self.up()?,
                _ if !self.left.is_empty() => self.enter(name)?,
                _ => match look(self.folder(), &name, want) {
                    Ok(end) if kind(&end) != Kind::Link => return self.judge(end, &name),
                    Ok(_) | Err(Errno::LOOP) => self.follow(&name)?,
                    Err(error) => return Err(error),
                },
            }
        }
        Err(Errno::LOOP)
    }

    fn folder(&self) -> &OwnedFd {
        self.at.as_ref().map_or(self.root.0, |(fd, _)| fd)
    }

    fn folder_id(&self) -> Id {
        self.at.as_ref().map_or(self.root.1, |(_, id)| *id)
    }

    fn enter(&mut self, name: Vec<u8>) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(self.folder(), &*name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOTDIR | Errno::LOOP) => return self.follow(&name),
            Err(error) => return Err(error),
        };
        let id = id_of(&rustix::fs::fstat(&fd)?);
        self.refuse_closed(id, &name)?;
        self.is_mixed |= self.closed.is_some_and(|closed| closed.is_mixed(id));
        self.at = Some((fd, id));
        self.names.push(name);
        Ok(())
    }

    /// To the folder above.
    fn up(&mut self) -> Result<(), Errno> {
        self.names.pop().ok_or(Errno::XDEV)?;
        self.at = None;
        self.is_mixed = self.closed.is_some_and(|closed| closed.is_mixed(self.root.1));
        self.left.extend(self.names.drain(..).rev());
        Ok(())
    }

    /// `ENOTDIR`: it is no link.
    fn follow(&mut self, name: &[u8]) -> Result<(), Errno> {
        let target = rustix::fs::readlinkat(self.folder(), name, Vec::new());
        let target = target.map_err(|e| if e == Errno::INVAL { Errno::NOTDIR } else { e })?;
        let target = target.to_bytes();
        self.links += 1;
        match target.first() {
            _ if self.links > LINKS_MAX => return Err(Errno::LOOP),
            Some(b'/') => return Err(Errno::XDEV),
            None => return Err(Errno::NOENT),
            Some(_) => {}
        }
        if self.left.is_empty() {
            self.must_be_folder |= target.ends_with(b"/");
            let folder = self.folder_id();
            self.by_closed_link |= self.closed.is_some_and(|c| c.has_place(folder, name, true));
        }
        self.left.extend(segments(target).rev().map(<[u8]>::to_vec));
        Ok(())
    }

    fn judge(&self, end: End, name: &[u8]) -> Result<End, Errno> {
        self.refuse_closed(id_of(&end.stat), name)?;
        let is_folder = kind(&end) == Kind::Folder;
        let is_executable = end.stat.st_mode & 0o111 != 0;
        let is_script = || self.closed.is_some_and(|c| c.is_script(name, is_executable));
        match is_folder {
            false if self.is_mixed && is_script() => Err(Errno::NOENT),
            // A link may have been turned since: where it leads now is as secret.
            false if self.by_closed_link => Err(Errno::NOENT),
            false if self.must_be_folder => Err(Errno::NOTDIR),
            _ => Ok(end),
        }
    }

    fn refuse_closed(&self, id: Id, name: &[u8]) -> Result<(), Errno> {
        let Some(closed) = self.closed else { return Ok(()) };
        let is_closed = closed.has(id) || closed.has_place(self.folder_id(), name, false);
        if is_closed { Err(Errno::NOENT) } else { Ok(()) }
    }
}

fn kind(end: &End) -> Kind {
    Kind::of(FileType::from_raw_mode(end.stat.st_mode))
}

/// What a name in a folder stands for; it may be a link.
fn look(folder: &OwnedFd, name: &[u8], want: Want) -> Result<End, Errno> {
    match want {
        Want::Descriptor(flags) => {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(folder, name, flags, Mode::empty())?;
            Ok(End { stat: rustix::fs::fstat(&fd)?, fd: Some(fd) })
        }
        Want::State => {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(End { stat, fd: None })
        }
    }
}
