//! Files beneath a folder, and nothing outside of it, ever.
//!
//! Everything is opened relative to the descriptor of the folder, with `openat2` and
//! `RESOLVE_BENEATH`: the kernel itself refuses `..`, absolute links and links that lead out, also
//! while somebody swaps folders for links. Where `openat2` is missing (before Linux 5.6, or behind
//! an old seccomp filter) the path is walked segment by segment and no link is followed at all.
//!
//! Architecture invariant: no function here takes a path from a client and hands it to a call that
//! resolves it from the working directory or from `/`.

mod closed;
mod draft;

pub use closed::Closed;
pub use draft::Draft;

use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a path is kept beneath the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By `openat2`. Links are followed as long as they stay beneath.
    Kernel,
    /// Segment by segment. Links are refused.
    Steps,
}

/// An opened folder, the root of everything that is served from it. It stays the same folder when
/// its name comes to mean another one.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    way: Way,
    /// Whether a nameless file can be given a name, which goes by way of `/proc`.
    has_proc: bool,
    /// Where the folder lies, and what is closed.
    closed: Option<(PathBuf, Closed)>,
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
    /// Opens a folder, and finds out how paths can be kept beneath it.
    ///
    /// # Errors
    /// It is missing, not a folder, or may not be entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut root = Self::open_by(path, Way::Kernel)?;
        if let Err(Errno::NOSYS | Errno::PERM) = root.open_fd(b".", OFlags::PATH) {
            root.way = Way::Steps;
        }
        Ok(root)
    }

    /// Opens a folder whose paths are resolved in the given way.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_by(path: &Path, way: Way) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let has_proc = rustix::fs::statat(CWD, "/proc/self/fd", AtFlags::empty()).is_ok();
        Ok(Self { folder, way, has_proc, closed: None })
    }

    /// The same root, in which what is closed is missing by whichever link or name it is reached,
    /// and not replaced.
    #[must_use]
    pub fn without(mut self, closed: Closed) -> Self {
        let place = place_of(&self.folder);
        self.closed = (!closed.is_empty()).then(|| (place.unwrap_or_default(), closed));
        self
    }

    /// Whether what was opened at `path` is closed. `/proc` knows where it really
    /// lies; without it, where it seems to lie has to do.
    fn is_closed(&self, fd: &OwnedFd, path: &[u8]) -> bool {
        let Some((root, closed)) = &self.closed else { return false };
        let named = || root.join(OsStr::from_bytes(path));
        let place = place_of(fd).unwrap_or_else(named);
        // A link may have been turned since: where it leads now is as secret.
        closed.has(&place) || closed.has_links() && closed.has_link(&named()) && !is_folder(fd)
    }

    /// How often something was closed: what was opened before, under another count, may be closed
    /// by now.
    pub fn closings(&self) -> usize {
        self.closed.as_ref().map_or(0, |(_, closed)| closed.count())
    }

    /// Opens what lies at `path`, relative to the root and decoded, for reading; `""` is the root.
    /// Never waits for the other end of a pipe. The caller looks at `Meta::of` what it has got.
    ///
    /// # Errors
    /// It is missing, forbidden, or would lead out (`EXDEV`, `ELOOP`).
    pub fn open_beneath(&self, path: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(File::from(self.open_fd(path, flags)?))
    }

    /// What lies at `path`, without the right to read it.
    ///
    /// # Errors
    /// As `open_beneath`.
    pub fn probe(&self, path: &[u8]) -> io::Result<Meta> {
        let fd = self.open_fd(path, OFlags::PATH)?;
        Ok(Meta::from_stat(&rustix::fs::fstat(&fd)?))
    }

    /// Whether the kernel would let us start what lies at `path`, which was seen to lie beneath.
    pub fn may_execute(&self, path: &[u8]) -> bool {
        let (access, flags) = (Access::EXEC_OK, AtFlags::empty());
        rustix::fs::accessat(&self.folder, dot(path), access, flags).is_ok()
    }

    /// What the name `path` means now: one system call, where `probe` takes three. Links are
    /// followed wherever they lead, so this is only for comparing with what was opened safely: a
    /// file that is equal to one that lay beneath is that file.
    ///
    /// # Errors
    /// It is missing or out of reach.
    pub fn meta_to_compare(&self, path: &[u8]) -> io::Result<Meta> {
        Ok(Meta::from_stat(&rustix::fs::statat(&self.folder, dot(path), AtFlags::empty())?))
    }

    /// The folder at `path`.
    ///
    /// # Errors
    /// As `open_beneath`; `ENOTDIR` for anything that is not a folder.
    pub fn folder(&self, path: &[u8]) -> io::Result<Folder> {
        let fd = self.open_fd(path, OFlags::PATH | OFlags::DIRECTORY)?;
        let closed = self.closed.as_ref().map(|(_, closed)| closed.clone());
        Ok(Folder { fd, has_proc: self.has_proc, closed })
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
            match rustix::fs::mkdirat(&parent.fd, plain(name)?, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.folder(path)
    }

    fn open_fd(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let fd = match self.way {
            Way::Kernel => self.open_by_kernel(path, flags | OFlags::CLOEXEC),
            Way::Steps => self.open_by_steps(path, flags | OFlags::CLOEXEC),
        }?;
        if self.is_closed(&fd, path) { Err(Errno::NOENT) } else { Ok(fd) }
    }

    fn open_by_kernel(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let open = || rustix::fs::openat2(&self.folder, dot(path), flags, Mode::empty(), resolve);
        // EAGAIN: a rename elsewhere made it impossible to prove that `..` stayed beneath.
        for _ in 1..RACES_MAX {
            match open() {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return done,
            }
        }
        open()
    }

    fn open_by_steps(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.len() > PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let open = |at: &OwnedFd, name: &[u8], flags| {
            rustix::fs::openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty())
        };
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut segments = segments(path).peekable();
        let mut at: Option<OwnedFd> = None;
        while let Some(name) = segments.next() {
            let name = plain(name)?;
            let flags = if segments.peek().is_some() { step } else { flags };
            at = Some(open(at.as_ref().unwrap_or(&self.folder), name, flags)?);
        }
        let must_be_folder = path.ends_with(b"/");
        match at {
            None => open(&self.folder, b".", flags),
            Some(fd) if must_be_folder && !is_folder(&fd) => Err(Errno::NOTDIR),
            Some(fd) => Ok(fd),
        }
    }
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
    has_proc: bool,
    closed: Option<Closed>,
}

impl Folder {
    /// What a name stands for, itself: a link is a link.
    ///
    /// # Errors
    /// It is missing or out of reach.
    pub fn look(&self, name: &[u8]) -> io::Result<Meta> {
        let stat = rustix::fs::statat(&self.fd, plain(name)?, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Meta::from_stat(&stat))
    }

    /// The names in it with what they stand for, where the file system tells without being asked
    /// for each; at most `max`, and whether there are more.
    ///
    /// # Errors
    /// It may not be read.
    pub fn names(&self, max: usize) -> io::Result<Names> {
        let mut names = Vec::new();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?;
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
        let place = place_of(&self.fd).map(|folder| folder.join(OsStr::from_bytes(name)));
        let is_closed = place.is_some_and(|place| closed.is_named(&place));
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

/// As the kernel has it.
const PATH_MAX: usize = 4096;

/// Attempts at a path that is being renamed under our feet.
const RACES_MAX: usize = 4;

/// The way to say "the folder itself" in a path.
fn dot(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|segment| !segment.is_empty())
}

/// A name that cannot lead anywhere else.
fn plain(name: &[u8]) -> Result<&[u8], Errno> {
    let leads_away = matches!(name, b"" | b"." | b"..") || name.contains(&b'/');
    if leads_away { Err(Errno::INVAL) } else { Ok(name) }
}

/// Where an open file really lies.
fn place_of(fd: &OwnedFd) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

fn is_folder(fd: &impl AsFd) -> bool {
    rustix::fs::fstat(fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    const WAYS: [Way; 2] = [Way::Kernel, Way::Steps];

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
        for way in WAYS {
            let root = Root::open_by(&dir.path().join("site"), way).unwrap();
            assert_eq!(read(&root, "a.txt").unwrap(), "a");
            assert_eq!(read(&root, "sub/b.txt").unwrap(), "b");
            assert_eq!(read(&root, "in").is_ok(), way == Way::Kernel, "links only with openat2");
            assert_eq!(read(&root, "sub/up").is_ok(), way == Way::Kernel);
            for path in [
                "..",
                "../secret",
                "sub/../../secret",
                "out",
                "absolute",
                "parent/secret",
                "/etc/passwd",
                "loop",
                "a.txt/",
                "a.txt/b",
                "none",
                "nul\0",
            ] {
                // A walk has no root but its own: an absolute path is relative to it.
                assert!(read(&root, path).is_err(), "{way:?} {path}");
                let seen = root.probe(path.as_bytes()).map(|meta| meta.kind);
                let is_harmless =
                    seen.is_err() || matches!((seen, way), (Ok(Kind::Link), Way::Steps));
                assert!(is_harmless, "{way:?} {path}");
            }
            assert!(root.open_beneath(&b"x/".repeat(4000)).is_err());
        }
    }

    #[test]
    fn closed_folders_are_missing_by_every_name() {
        let dir = tree();
        let site = dir.path().join("site");
        symlink("sub/b.txt", site.join("link")).unwrap();
        symlink("sub", site.join("folder")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub"));
        for way in WAYS {
            let root = Root::open_by(&site, way).unwrap().without(closed.clone());
            assert_eq!(read(&root, "a.txt").unwrap(), "a");
            for path in ["sub/b.txt", "link", "folder/b.txt", "sub//b.txt", "sub/up", "sub"] {
                // A link from within to a file outside is what it leads to.
                let leads_out = path == "sub/up" && way == Way::Kernel;
                assert_eq!(root.open_beneath(path.as_bytes()).is_ok(), leads_out, "{way:?} {path}");
            }
            assert!(root.folder(b"sub").is_err() && root.folder(b"folder").is_err());
            assert!(root.make_folders(b"sub/new").is_err());
            assert!(!site.join("sub/new").exists());
            let beneath = Root::open_by(&site.join("sub"), way).unwrap().without(closed.clone());
            assert!(beneath.open_beneath(b"b.txt").is_err() && beneath.open_beneath(b"").is_err());
        }
    }

    #[test]
    fn a_closed_file_is_missing_and_stays() {
        let dir = tree();
        let site = dir.path().join("site");
        symlink("sub/b.txt", site.join("link")).unwrap();
        let closed = Closed::default();
        closed.close(&site.join("sub/b.txt"));
        for way in WAYS {
            let root = Root::open_by(&site, way).unwrap().without(closed.clone());
            assert!(read(&root, "sub/b.txt").is_err() && read(&root, "link").is_err(), "{way:?}");
            let sub = root.folder(b"sub").unwrap();
            let denied = |done: io::Result<()>| {
                assert_eq!(done.unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{way:?}");
            };
            denied(sub.remove(b"b.txt"));
            let mut draft = sub.draft().unwrap();
            denied(draft.publish_new(&sub, b"b.txt"));
            denied(draft.publish_over(&sub, b"b.txt"));
            draft.publish_over(&sub, b"c.txt").unwrap();
            sub.remove(b"c.txt").unwrap();
        }
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
        let before = root.closings();
        closed.close(&site.join("link"));
        assert!(read(&root, "sub/c.txt").is_err() && read(&root, "sub/b.txt").is_err());
        assert_ne!(root.closings(), before);
        let before = root.closings();
        closed.close(&site.join("link"));
        assert_eq!(root.closings(), before, "nothing new");
    }

    #[test]
    fn pipes_do_not_block_and_folders_are_folders() {
        let dir = tree();
        for way in WAYS {
            let root = Root::open_by(&dir.path().join("site"), way).unwrap();
            let fifo = root.open_beneath(b"fifo").unwrap();
            assert_eq!(Meta::of(&fifo).unwrap().kind, Kind::Other);
            for path in ["", "sub", "sub/"] {
                assert_eq!(root.probe(path.as_bytes()).unwrap().kind, Kind::Folder, "{path}");
            }
            assert!(root.folder(b"a.txt").is_err());
        }
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
        for way in WAYS {
            let root = Root::open_by(&dir.path().join("site"), way).unwrap();
            let path = format!("made-{way:?}/x/y");
            root.make_folders(path.as_bytes()).unwrap();
            assert!(dir.path().join("site").join(path).is_dir());
            assert!(root.make_folders(b"a.txt/x").is_err());
            assert!(root.make_folders(b"new/../../x").is_err());
            assert!(root.make_folders(&b"x/".repeat(DEPTH_MAX + 1)).is_err());
        }
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
            for (way, path) in WAYS.iter().flat_map(|way| paths.iter().map(move |p| (way, p))) {
                let root = Root::open_by(&dir.path().join("site"), *way).unwrap();
                let Ok(mut file) = root.open_beneath(path.as_bytes()) else { continue };
                if Meta::of(&file).unwrap().kind == Kind::File {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    prop_assert!(text == "a" || text == "b", "{way:?} {path} gave {text}");
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
