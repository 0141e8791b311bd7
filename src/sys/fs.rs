//! Files beneath a folder, and nothing outside of it, ever.
//!
//! Everything is opened by walking down from the descriptor of the folder, name by name (`walk`): `..`,
//! absolute links and links that lead out are refused, also while somebody swaps folders for links,
//! and what is closed is missing wherever it lies (`closed`).
//!
//! Architecture invariant: no function here takes a path from a client and hands it to a call that
//! resolves it from the working directory or from `/`.

mod closed;
mod draft;
mod named;
mod walk;

pub use closed::Closed;
pub use draft::Draft;
pub use named::{NamedRoot, RootPool, Version};

use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use walk::{End, Walk, Want};

/// An opened folder, the root of everything that is served from it. It stays the same folder when
/// its name comes to mean another one; [`NamedRoot`] follows the name.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    id: Id,
    path: PathBuf,
    place: OnceCell<PathBuf>,
    /// Whether a nameless file can be given a name, which goes by way of `/proc`.
    has_proc: bool,
    closed: Option<Closed>,
    above: Cell<Option<Above>>,
}

/// What is known of the folders above a root.
#[derive(Clone, Copy, Debug)]
struct Above {
    is_closed: bool,
    /// How much was closed when they were looked at, and when that was.
    changes: u64,
    looked: Instant,
}

/// What a file or folder is, whatever its name: device and inode.
pub(crate) type Id = (u64, u64);

// The widths of these fields differ between architectures.
#[allow(clippy::unnecessary_cast)]
fn id_of(stat: &Stat) -> Id {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link that was not followed.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// What is known of a file without reading it. Two equal ones are the same file in the same state:
/// the time of its last change of any sort, permissions too, is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When its content changed: seconds since 1970.
    pub modified: i64,
    /// And nanoseconds.
    pub modified_nanos: u32,
    /// When anything of it changed, which nobody can set back: seconds since 1970.
    pub changed: i64,
    /// And nanoseconds.
    pub changed_nanos: u32,
}

impl Root {
    /// Opens a folder.
    ///
    /// # Errors
    /// It is missing, not a folder, or may not be entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let id = id_of(&rustix::fs::fstat(&folder)?);
        let has_proc = rustix::fs::statat(CWD, "/proc/self/fd", AtFlags::empty()).is_ok();
        let (path, place) = (path.to_owned(), OnceCell::new());
        Ok(Self { folder, id, path, place, has_proc, closed: None, above: Cell::default() })
    }

    /// The same root, in which what is closed is missing by whichever link or name it is reached,
    /// and not replaced.
    #[must_use]
    pub fn without(mut self, closed: Closed) -> Self {
        self.closed = (!closed.is_empty()).then_some(closed);
        // Now, while the server may still look where it will not be able to.
        self.is_closed();
        self
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies: its path without links.
    pub fn place(&self) -> &Path {
        self.place.get_or_init(|| {
            let place = self.path.canonicalize().ok();
            let is_it =
                |place: &PathBuf| rustix::fs::stat(place).is_ok_and(|s| id_of(&s) == self.id);
            place.filter(is_it).unwrap_or_else(|| self.path.clone())
        })
    }

    /// Whether the root lies in a folder that is closed. Asked anew once a second, and whenever more is
    /// closed.
    fn is_closed(&self) -> bool {
        let Some(closed) = &self.closed else { return false };
        let (known, changes) = (self.above.get(), closed.changes());
        if let Some(above) = known
            && above.changes == changes
            && above.looked.elapsed() < CHECK_EVERY
        {
            return above.is_closed;
        }
        // A folder that may not be entered any more tells nothing new.
        let before = known.is_some_and(|above| above.is_closed);
        let is_closed = is_below(&self.folder, closed).unwrap_or(before);
        self.above.set(Some(Above { is_closed, changes, looked: Instant::now() }));
        is_closed
    }

    /// Opens what lies at `path`, relative to the root and decoded, for reading; `""` is the root.
    /// Never waits for the other end of a pipe. The caller looks at `Meta::of` what it has got.
    ///
    /// # Errors
    /// It is missing, forbidden, or would lead out (`EXDEV`, `ELOOP`).
    pub fn open_beneath(&self, path: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(File::from(self.descriptor(path, flags)?.0))
    }

    /// What lies at `path`, without the right to read it.
    ///
    /// # Errors
    /// As `open_beneath`.
    pub fn probe(&self, path: &[u8]) -> io::Result<Meta> {
        Ok(Meta::from_stat(&self.walk(path, Want::State)?.stat))
    }

    /// Whether something lies at `path` that is missing only because it is closed.
    pub fn hides(&self, path: &[u8]) -> bool {
        let unclosed = || Walk::new((&self.folder, self.id), None, path)?.run(Want::State);
        self.closed.is_some() && self.probe(path).is_err() && unclosed().is_ok()
    }

    /// Whether the kernel would let us start what lies at `path`, which was seen to lie beneath.
    pub fn may_execute(&self, path: &[u8]) -> bool {
        let (access, flags) = (Access::EXEC_OK, AtFlags::empty());
        rustix::fs::accessat(&self.folder, dot(path), access, flags).is_ok()
    }

    /// Whether names in it may be opened, and with `write` also made.
    pub fn may_enter(&self, write: bool) -> bool {
        let access = if write { Access::EXEC_OK | Access::WRITE_OK } else { Access::EXEC_OK };
        rustix::fs::accessat(&self.folder, ".", access, AtFlags::empty()).is_ok()
    }

    /// The folder at `path`.
    ///
    /// # Errors
    /// As `open_beneath`; `ENOTDIR` for anything that is not a folder.
    pub fn folder(&self, path: &[u8]) -> io::Result<Folder> {
        let (fd, stat) = self.descriptor(path, OFlags::PATH)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR.into());
        }
        let closed = self.closed.clone();
        Ok(Folder { fd, id: id_of(&stat), has_proc: self.has_proc, closed })
    }

    /// The folder at `path`, made with the folders above it where they are missing.
    ///
    /// # Errors
    /// As `folder`; and `ENAMETOOLONG` beyond [`DEPTH_MAX`] levels.
    pub fn make_folders(&self, path: &[u8]) -> io::Result<Folder> {
        match self.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let segments: Vec<&[u8]> = segments(path).collect();
        if segments.len() > DEPTH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        for end in 1..=segments.len() {
            let Some((name, above)) = segments.get(..end).and_then(<[_]>::split_last) else {
                break;
            };
            let parent = self.folder(&above.join(&b'/'))?;
            let name = parent.changeable(name)?;
            match rustix::fs::mkdirat(&parent.fd, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.folder(path)
    }

    fn descriptor(&self, path: &[u8], flags: OFlags) -> Result<(OwnedFd, Stat), Errno> {
        let End { fd, stat } = self.walk(path, Want::Descriptor(flags))?;
        Ok((fd.ok_or(Errno::BADF)?, stat))
    }

    fn walk(&self, path: &[u8], want: Want) -> Result<End, Errno> {
        if self.is_closed() {
            return Err(Errno::NOENT);
        }
        Walk::new((&self.folder, self.id), self.closed.as_ref(), path)?.run(want)
    }
}

/// Whether a folder is closed or lies in one that is, as far up as it can be followed.
fn is_below(folder: &OwnedFd, closed: &Closed) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = id_of(&rustix::fs::stat("/")?);
    let mut at = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
    for _ in 0..LEVELS_MAX {
        let id = id_of(&rustix::fs::fstat(&at)?);
        if id == top || closed.has(id) {
            return Ok(closed.has(id));
        }
        at = rustix::fs::openat(&at, "..", flags, Mode::empty())?;
    }
    Ok(false)
}

impl Meta {
    /// What an open file is.
    ///
    /// # Errors
    /// What `fstat` says; it has no reason to.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from_stat(&rustix::fs::fstat(file)?))
    }

    // The widths of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn from_stat(stat: &Stat) -> Self {
        Self {
            kind: Kind::of(FileType::from_raw_mode(stat.st_mode)),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            modified: stat.st_mtime as i64,
            modified_nanos: stat.st_mtime_nsec as u32,
            changed: stat.st_ctime as i64,
            changed_nanos: stat.st_ctime_nsec as u32,
        }
    }
}

impl Kind {
    fn of(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// A folder beneath the root, in which names are looked at, made and removed. Names are single
/// segments; others are refused with `EINVAL`.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    id: Id,
    has_proc: bool,
    closed: Option<Closed>,
}

impl Folder {
    /// What a name stands for, itself: a link is a link.
    ///
    /// # Errors
    /// It is missing or out of reach.
    pub fn look(&self, name: &[u8]) -> io::Result<Meta> {
        look(&self.fd, name)
    }

    /// Whether a name that was looked at may be shown: what is closed may not.
    pub fn may_show(&self, name: &[u8], meta: &Meta) -> bool {
        let has = |closed: &Closed| {
            closed.has((meta.device, meta.inode)) || closed.has_place(self.id, name, false)
        };
        !self.closed.as_ref().is_some_and(has)
    }

    /// What reads its names, here or on another thread.
    ///
    /// # Errors
    /// No descriptor for it.
    pub fn reader(&self) -> io::Result<FolderReader> {
        Ok(FolderReader(self.fd.try_clone()?))
    }

    /// As [`FolderReader::names`].
    ///
    /// # Errors
    /// It may not be read.
    pub fn names(&self, max: usize) -> io::Result<Names> {
        names(&self.fd, max)
    }

    /// Removes a name that is not a folder's.
    ///
    /// # Errors
    /// It is missing, a folder (`EISDIR`), or must not be removed.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, self.changeable(name)?, AtFlags::empty())?)
    }

    /// A plain name whose meaning may be changed: not that of a closed file, nor of a link to one.
    fn changeable<'a>(&self, name: &'a [u8]) -> Result<&'a [u8], Errno> {
        let name = plain(name)?;
        let Some(closed) = &self.closed else { return Ok(name) };
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_closed = stat.is_ok_and(|stat| closed.has(id_of(&stat)))
            || [true, false].iter().any(|is_link| closed.has_place(self.id, name, *is_link));
        if is_closed { Err(Errno::ACCESS) } else { Ok(name) }
    }

    /// Begins a new file that nobody sees until it is published, in the file system of this folder.
    ///
    /// # Errors
    /// The folder may not be written to, or the disk is full.
    pub fn draft(&self) -> io::Result<Draft> {
        Draft::begin(&self.fd, self.has_proc)
    }
}

/// Reads the names in a folder, and what they stand for. It does not know what is closed:
/// [`Folder::may_show`] does.
#[derive(Debug)]
pub struct FolderReader(OwnedFd);

impl FolderReader {
    /// As [`Folder::look`].
    ///
    /// # Errors
    /// It is missing or out of reach.
    pub fn look(&self, name: &[u8]) -> io::Result<Meta> {
        look(&self.0, name)
    }

    /// The names in it with what they stand for, where the file system tells without being asked
    /// for each; at most `max`, and whether there are more.
    ///
    /// # Errors
    /// It may not be read.
    pub fn names(&self, max: usize) -> io::Result<Names> {
        names(&self.0, max)
    }
}

fn look(folder: &OwnedFd, name: &[u8]) -> io::Result<Meta> {
    let stat = rustix::fs::statat(folder, plain(name)?, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Meta::from_stat(&stat))
}

fn names(folder: &OwnedFd, max: usize) -> io::Result<Names> {
    let mut names = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == max {
            return Ok(Names { names, more: true });
        }
        let kind = match entry.file_type() {
            FileType::Unknown => None,
            known => Some(Kind::of(known)),
        };
        names.push(Name { name: name.to_vec(), kind });
    }
    Ok(Names { names, more: false })
}

/// Some of the names in a folder.
#[derive(Debug)]
pub struct Names {
    /// In no order.
    pub names: Vec<Name>,
    /// Whether there are others.
    pub more: bool,
}

/// A name in a folder.
#[derive(Debug)]
pub struct Name {
    /// A single segment.
    pub name: Vec<u8>,
    /// What it stands for, if the folder says so.
    pub kind: Option<Kind>,
}

/// Levels of folders that one upload may make.
pub const DEPTH_MAX: usize = 32;

/// How long a path is believed to mean the same folder, and to lie in the same ones.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Levels above a root that are looked at.
const LEVELS_MAX: usize = 256;

/// The way to say "the folder itself" in a path.
fn dot(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

fn segments(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|segment| !segment.is_empty())
}

/// A name that cannot lead anywhere else.
fn plain(name: &[u8]) -> Result<&[u8], Errno> {
    let leads_away = matches!(name, b"" | b"." | b"..") || name.contains(&b'/');
    if leads_away { Err(Errno::INVAL) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    /// `site/` with a file, a folder, and links in and out; `secret` beside it.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(site.join("a.txt"), "a").unwrap();
        std::fs::write(site.join("sub/b.txt"), "b").unwrap();
        symlink("a.txt", site.join("in")).unwrap();
        symlink("../a.txt", site.join("sub/up")).unwrap();
        symlink("../secret", site.join("out")).unwrap();
        symlink(dir.path().join("secret"), site.join("absolute")).unwrap();
        symlink("..", site.join("parent")).unwrap();
        symlink("loop", site.join("loop")).unwrap();
        let status = std::process::Command::new("mkfifo").arg(site.join("fifo")).status().unwrap();
        assert!(status.success());
        dir
    }

    fn read(root: &Root, path: &str) -> io::Result<String> {
        let mut text = String::new();
        root.open_beneath(path.as_bytes())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn nothing_outside_is_reached() {
        let dir = tree();
        let root = Root::open(&dir.path().join("site")).unwrap();
        for (path, want) in [("a.txt", "a"), ("sub/b.txt", "b"), ("in", "a"), ("sub/up", "a")] {
            assert_eq!(read(&root, path).unwrap(), want, "{path}");
        }
        for path in [
            "..",
            "../secret",
            "sub/../../secret",
            "out",
            "absolute",
            "parent/secret",
            "parent",
            "/etc/passwd",
            "loop",
            "a.txt/",
            "a.txt/b",
            "in/",
            "none",
            "nul\0",
        ] {
            // A walk has no root but its own: an absolute path is relative to it.
            assert!(read(&root, path).is_err(), "{path}");
            assert!(root.probe(path.as_bytes()).is_err(), "{path}");
        }
        assert!(root.open_beneath(&b"x/".repeat(4000)).is_err());
    }

    /// What the kernel makes of links that stay beneath.
    #[test]
    fn links_mean_what_they_mean_to_the_kernel() {
        let dir = tree();
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("x/y")).unwrap();
        std::fs::write(site.join("x/c.txt"), "c").unwrap();
        for (target, link) in [
            ("x/y", "deep"),
            ("deep/..", "above"),
            ("deep/../c.txt", "crooked"),
            ("./x/./y/../../a.txt", "dots"),
            ("a.txt/", "file-slash"),
            ("sub/", "folder-slash"),
            ("x/y/../../../site/a.txt", "out-and-in"),
            ("none", "dangling"),
        ] {
            symlink(target, site.join(link)).unwrap();
        }
        for n in 0..45 {
            let target = if n == 0 { "a.txt".to_owned() } else { format!("l{}", n - 1) };
            symlink(target, site.join(format!("l{n}"))).unwrap();
        }
        let root = Root::open(&site).unwrap();
        for path in [
            "above/c.txt",
            "crooked",
            "deep/../c.txt",
            "dots",
            "file-slash",
            "folder-slash/b.txt",
            "dangling",
            "l39",
            "l40",
        ] {
            let by_kernel = std::fs::read_to_string(site.join(path));
            let is_plain = !path.contains("..");
            match (read(&root, path), by_kernel) {
                (Ok(text), Ok(want)) => assert!(is_plain && text == want, "{path}"),
                (Err(error), by_kernel) => {
                    let is_same = by_kernel.is_err_and(|want| want.kind() == error.kind());
                    assert!(is_same || !is_plain, "{path}: {error}");
                }
                (Ok(_), Err(error)) => panic!("{path}: {error}"),
            }
        }
        let error = read(&root, "out-and-in").unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::XDEV), "out is out");
    }

    #[test]
    fn closed_folders_are_missing_by_every_name() {
        let dir = tree();
        let site = dir.path().join("site");
        symlink("sub/b.txt", site.join("link")).unwrap();
        symlink("sub", site.join("folder")).unwrap();
        std::fs::create_dir_all(site.join("sub/inner")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub"));
        let root = Root::open(&site).unwrap().without(closed.clone());
        assert_eq!(read(&root, "a.txt").unwrap(), "a");
        for path in ["sub/b.txt", "link", "folder/b.txt", "sub//b.txt", "sub/up", "sub", "folder"] {
            assert!(root.open_beneath(path.as_bytes()).is_err(), "{path}");
            assert!(root.probe(path.as_bytes()).is_err(), "{path}");
        }
        assert!(root.hides(b"sub/b.txt") && root.hides(b"link"));
        assert!(!root.hides(b"sub/none") && !root.hides(b"none") && !root.hides(b"out"));
        assert!(root.folder(b"sub").is_err() && root.folder(b"folder").is_err());
        assert!(root.make_folders(b"sub/new").is_err());
        assert!(!site.join("sub/new").exists());
        for inner in ["sub", "sub/inner"] {
            let beneath = Root::open(&site.join(inner)).unwrap().without(closed.clone());
            assert!(beneath.open_beneath(b"b.txt").is_err() && beneath.folder(b"").is_err());
        }
        let folder = root.folder(b"").unwrap();
        assert!(!folder.may_show(b"sub", &folder.look(b"sub").unwrap()));
    }

    #[test]
    fn what_is_closed_stays_closed_wherever_it_is_moved() {
        let dir = tree();
        let site = dir.path().join("site");
        std::fs::write(site.join("key"), "key").unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub"));
        closed.close(&site.join("key"));
        std::fs::hard_link(site.join("key"), site.join("second")).unwrap();
        let old = dir.path().join("old");
        std::fs::rename(&site, &old).unwrap();
        let root = Root::open(&old).unwrap().without(closed.clone());
        let is_closed = |root: &Root, path: &str| read(root, path).is_err();
        for path in ["sub/b.txt", "key", "second"] {
            assert!(is_closed(&root, path), "{path}");
        }
        std::fs::rename(&old, &site).unwrap();
        assert!(is_closed(&root, "sub/b.txt") && is_closed(&root, "key"));
        for (from, to) in [("sub", "moved"), ("key", "other")] {
            std::fs::rename(site.join(from), site.join(to)).unwrap();
        }
        assert!(is_closed(&root, "moved/b.txt") && is_closed(&root, "other"));
        // What takes their places is as secret, before anybody has asked.
        std::fs::write(site.join("draft"), "new key").unwrap();
        std::fs::rename(site.join("draft"), site.join("key")).unwrap();
        std::fs::create_dir(site.join("sub")).unwrap();
        std::fs::write(site.join("sub/script"), "text").unwrap();
        assert!(is_closed(&root, "key") && is_closed(&root, "sub/script"));
        let changes = closed.changes();
        closed.refresh();
        assert_ne!(closed.changes(), changes);
        std::fs::rename(site.join("key"), site.join("third")).unwrap();
        assert!(is_closed(&root, "third") && is_closed(&root, "other") && !is_closed(&root, "in"));
    }

    #[test]
    fn second_names_of_what_lies_in_a_closed_folder_are_closed() {
        let dir = tree();
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("sub/inner")).unwrap();
        std::fs::write(site.join("sub/inner/c.txt"), "c").unwrap();
        std::fs::hard_link(site.join("a.txt"), site.join("other")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub"));
        closed.refresh();
        let root = Root::open(&site).unwrap().without(closed);
        for (from, to) in [("sub/b.txt", "b"), ("sub/inner/c.txt", "c")] {
            std::fs::hard_link(site.join(from), site.join(to)).unwrap();
            assert!(read(&root, to).is_err(), "{to}");
        }
        assert_eq!(read(&root, "other").unwrap(), "a");
    }

    #[test]
    fn a_closed_file_that_is_deleted_gives_its_inode_back() {
        let dir = tree();
        let key = dir.path().join("key");
        let closed = Closed::default();
        for n in 0..200 {
            std::fs::write(dir.path().join("draft"), format!("{n}")).unwrap();
            std::fs::rename(dir.path().join("draft"), &key).unwrap();
            closed.close(&key);
        }
        assert!(closed.kept() <= 2, "{}", closed.kept());
    }

    #[test]
    fn a_closed_file_is_missing_and_stays() {
        let dir = tree();
        let site = dir.path().join("site");
        symlink("sub/b.txt", site.join("link")).unwrap();
        std::fs::hard_link(site.join("sub/b.txt"), site.join("sub/second.txt")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub/b.txt"));
        closed.close(&site.join("sub/none.txt"));
        closed.close(&site.join("scripts"));
        let root = Root::open(&site).unwrap().without(closed);
        assert!(read(&root, "sub/b.txt").is_err() && read(&root, "link").is_err());
        let sub = root.folder(b"sub").unwrap();
        let denied = |done: io::Result<()>| {
            assert_eq!(done.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        };
        denied(root.make_folders(b"scripts/x").map(drop));
        let mut draft = sub.draft().unwrap();
        for name in [&b"b.txt"[..], b"second.txt", b"none.txt"] {
            if name != b"none.txt" {
                denied(sub.remove(name));
            }
            denied(draft.publish_new(&sub, name));
            denied(draft.publish_over(&sub, name));
        }
        draft.publish_over(&sub, b"c.txt").unwrap();
        sub.remove(b"c.txt").unwrap();
        assert_eq!(std::fs::read(site.join("sub/b.txt")).unwrap(), b"b");
    }

    #[test]
    fn links_that_lead_to_a_closed_file_stay_and_are_missing_wherever_they_are_turned() {
        let dir = tree();
        let site = dir.path().join("site");
        symlink("sub", site.join("folder")).unwrap();
        symlink("folder/b.txt", site.join("link")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("link"));
        let root = Root::open(&site).unwrap().without(closed.clone());
        let top = root.folder(b"").unwrap();
        for name in ["link", "folder"] {
            let error = top.remove(name.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
        std::fs::write(site.join("sub/c.txt"), "c").unwrap();
        assert_eq!(read(&root, "folder/c.txt").unwrap(), "c", "the folder has other files");
        std::fs::remove_file(site.join("link")).unwrap();
        symlink("sub/c.txt", site.join("link")).unwrap();
        assert!(read(&root, "link").is_err());
        // It does not know yet that this is what the link leads to.
        assert_eq!(read(&root, "sub/c.txt").unwrap(), "c");
        let before = closed.changes();
        closed.refresh();
        assert!(read(&root, "sub/c.txt").is_err() && read(&root, "sub/b.txt").is_err());
        assert_ne!(closed.changes(), before);
        let before = closed.changes();
        closed.close(&site.join("link"));
        closed.refresh_all();
        assert_eq!(closed.changes(), before, "nothing new");
    }

    #[test]
    fn pipes_do_not_block_and_folders_are_folders() {
        let dir = tree();
        let root = Root::open(&dir.path().join("site")).unwrap();
        let fifo = root.open_beneath(b"fifo").unwrap();
        assert_eq!(Meta::of(&fifo).unwrap().kind, Kind::Other);
        for path in ["", "sub", "sub/"] {
            assert_eq!(root.probe(path.as_bytes()).unwrap().kind, Kind::Folder, "{path}");
        }
        assert!(root.folder(b"a.txt").is_err());
    }

    #[test]
    fn names_are_read_up_to_a_limit() {
        let dir = tree();
        let folder = Root::open(&dir.path().join("site")).unwrap().folder(b"sub").unwrap();
        let Names { mut names, more } = folder.names(100).unwrap();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(!more && names.len() == 2, "{names:?}");
        assert_eq!((&names[0].name[..], names[0].kind), (&b"b.txt"[..], Some(Kind::File)));
        assert_eq!((&names[1].name[..], names[1].kind), (&b"up"[..], Some(Kind::Link)));
        assert!(folder.names(1).unwrap().more);
    }

    #[test]
    fn folders_are_made_and_bounded() {
        let dir = tree();
        let root = Root::open(&dir.path().join("site")).unwrap();
        root.make_folders(b"made/x/y").unwrap();
        assert!(dir.path().join("site/made/x/y").is_dir());
        assert!(root.make_folders(b"a.txt/x").is_err());
        assert!(root.make_folders(b"new/../../x").is_err());
        assert!(root.make_folders(&b"x/".repeat(DEPTH_MAX + 1)).is_err());
        assert!(!dir.path().join("x").exists());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20,
            failure_persistence: None,
            ..Default::default()
        })]

        /// Whatever the path, what is opened is one of the files beneath.
        #[test]
        fn any_path_stays_beneath(paths in proptest::collection::vec(any_path(), 100)) {
            let dir = tree();
            let root = Root::open(&dir.path().join("site")).unwrap();
            for path in &paths {
                let Ok(mut file) = root.open_beneath(path.as_bytes()) else { continue };
                if Meta::of(&file).unwrap().kind == Kind::File {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    prop_assert!(text == "a" || text == "b", "{path} gave {text}");
                }
            }
        }
    }

    fn any_path() -> impl Strategy<Value = String> {
        let segments = vec![
            "..", ".", "", "a.txt", "sub", "b.txt", "in", "up", "out", "absolute", "parent",
            "secret", "site", "proc", "self", "root", "loop", "..\\..", "%2e%2e",
        ];
        proptest::collection::vec(proptest::sample::select(segments), 0..8)
            .prop_map(|parts| parts.join("/"))
    }
}
