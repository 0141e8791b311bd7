//! What no root shows, and no upload replaces.
//!
//! Closed things are known by what they are (device and inode), not by where they lie: a folder that
//! is renamed, mounted elsewhere or reached by a link is the same folder, and a file with a second
//! name is the same file. Their names are closed too, as a name in a folder that is known in the same
//! way: what is put there by renaming is closed before anybody has seen it.
//!
//! What lies in a closed folder is met beneath it on the way down from a root. That a file of it has a
//! second name elsewhere, or a folder of it is mounted elsewhere, shows only in the folder itself,
//! which is read for it (`beneath`).
//!
//! A folder may be mixed: its scripts are closed and its other files are not. It is known in the same
//! way, and names in it, wherever it is met, are judged as those of scripts or not.

use super::{Id, id_of};
use crate::sys::way;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Files and folders that are closed. Clones are one list: what is closed later is closed for all
/// roots that have it.
#[derive(Clone, Debug, Default)]
pub struct Closed(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How often something was added.
    changes: Cell<u64>,
    list: RefCell<List>,
}

#[derive(Debug, Default)]
struct List {
    names: Vec<Name>,
    number: HashMap<PathBuf, usize>,
    /// Which of the names is asked next.
    next: usize,
    ids: HashSet<Id>,
    /// What lies in those that are folders.
    beneath: HashSet<Id>,
    /// When they were read.
    read: Option<Instant>,
    /// Names in folders.
    places: HashMap<Id, HashSet<Place>>,
    kept: usize,
    mixed: Mixed,
}

/// Whether a file is closed in a mixed folder: by its name, and whether it may be executed.
type Judge = Rc<dyn Fn(&[u8], bool) -> bool>;

/// Folders whose scripts are closed.
#[derive(Default)]
struct Mixed {
    /// Where they lie, and what they were at any time.
    folders: Vec<(PathBuf, Vec<(Id, OwnedFd)>)>,
    /// They, and the folders that were ever seen in them.
    ids: HashSet<Id>,
    /// The scripts in them: for their second names elsewhere.
    scripts: HashSet<Id>,
    judge: Option<Judge>,
}

impl std::fmt::Debug for Mixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixed").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// A path that was closed.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// What it led to when it was last asked.
    current: Option<Id>,
    /// What it led to at any time, as long as that is there.
    things: Vec<Thing>,
}

#[derive(Debug)]
struct Thing {
    id: Id,
    is_folder: bool,
    /// As long as it is open, nothing else gets its inode.
    kept: Option<OwnedFd>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    name: Vec<u8>,
    is_link: bool,
}

/// Descriptors that are kept. Without one, a thing is as closed; but once it is deleted, so is what
/// gets its inode, until the next reload.
const KEPT_MAX: usize = 64;

/// Names that are asked at once what they mean now: some 50 µs.
const ASKED_MAX: usize = 32;

/// How long the content of closed folders is believed to be the same.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Names in closed folders that are read: some 2 ms each second in which anything is looked for.
const BENEATH_MAX: usize = 2000;

/// Levels of folders that are read.
const LEVELS_MAX: usize = 16;

impl Closed {
    /// Closes the file, or the folder with all that is in it, to which `path` leads now; its name;
    /// and the links on the way. What was closed before stays so.
    pub fn close(&self, path: &Path) {
        let mut list = self.0.list.borrow_mut();
        if list.close(path) {
            self.0.changes.set(self.0.changes.get() + 1);
        }
    }

    /// Closes the scripts in `folders`: the files for which `judge` says so.
    pub fn close_scripts(
        &self,
        folders: impl IntoIterator<Item = PathBuf>,
        judge: impl Fn(&[u8], bool) -> bool + 'static,
    ) {
        let mut list = self.0.list.borrow_mut();
        list.mixed.folders.extend(folders.into_iter().map(|path| (path, Vec::new())));
        list.mixed.judge = Some(Rc::new(judge));
        list.read_folders();
    }

    /// Whether scripts in this folder are closed.
    pub(super) fn is_mixed(&self, folder: Id) -> bool {
        self.0.list.borrow().mixed.ids.contains(&folder)
    }

    /// Whether a file of this name is a script, in a mixed folder.
    pub(super) fn is_script(&self, name: &[u8], is_executable: bool) -> bool {
        let judge = self.0.list.borrow().mixed.judge.clone();
        judge.is_some_and(|judge| judge(name, is_executable))
    }

    /// Asks some of the names whether they lead to something else now, each in its turn; and reads
    /// the folders, if that was not done within a second.
    pub fn refresh(&self) {
        self.ask(ASKED_MAX);
        let mut list = self.0.list.borrow_mut();
        if list.read.is_none_or(|read| read.elapsed() >= READ_EVERY) {
            list.read_folders();
        }
    }

    /// Asks and reads all of them.
    pub fn refresh_all(&self) {
        self.ask(usize::MAX);
        self.0.list.borrow_mut().read_folders();
    }

    fn ask(&self, max: usize) {
        let mut list = self.0.list.borrow_mut();
        let mut changed = false;
        for _ in 0..max.min(list.names.len()) {
            let at = list.next;
            list.next = (at + 1) % list.names.len();
            let Some(name) = list.names.get(at) else { break };
            let Ok(stat) = rustix::fs::stat(&name.path) else { continue };
            if name.current != Some(id_of(&stat)) {
                let path = name.path.clone();
                changed |= list.close(&path);
            }
        }
        if changed {
            self.0.changes.set(self.0.changes.get() + 1);
        }
    }

    /// Goes on with what names led to that lead nowhere now: a folder that was renamed is as secret
    /// after a reload.
    pub fn inherit(&self, former: &Self) {
        let mut list = self.0.list.borrow_mut();
        let former = former.0.list.borrow();
        list.mixed.ids.extend(&former.mixed.ids);
        let inherited = former.names.iter().filter(|name| list.inherit(name)).count();
        if inherited > 0 {
            self.0.changes.set(self.0.changes.get() + 1);
        }
    }

    /// Whether nothing is closed.
    pub(super) fn is_empty(&self) -> bool {
        let list = self.0.list.borrow();
        list.names.is_empty() && list.mixed.folders.is_empty()
    }

    /// Grows with each thing or name that is closed.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.get()
    }

    /// Descriptors that it holds.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.0.list.borrow().kept
    }

    /// Whether this file or folder is closed.
    pub(super) fn has(&self, id: Id) -> bool {
        let list = self.0.list.borrow();
        list.ids.contains(&id) || list.beneath.contains(&id) || list.mixed.scripts.contains(&id)
    }

    /// Whether this name in a folder is that of something closed; or, if `is_link`, of a link that
    /// led to something closed.
    pub(super) fn has_place(&self, folder: Id, name: &[u8], is_link: bool) -> bool {
        let list = self.0.list.borrow();
        let places = list.places.get(&folder);
        places.is_some_and(|places| places.contains(&Place { name: name.to_vec(), is_link }))
    }
}

impl List {
    /// Returns whether it is news.
    fn close(&mut self, path: &Path) -> bool {
        let followed = way::follow(path);
        let links = followed.links.iter().map(|link| (link, true));
        let names = links.chain(followed.file.iter().map(|file| (file, false)));
        let mut is_news =
            names.fold(false, |news, (name, link)| self.add_place(name, link) || news);
        let at = *self.number.entry(path.to_owned()).or_insert_with(|| {
            self.names.push(Name { path: path.to_owned(), current: None, things: Vec::new() });
            self.names.len() - 1
        });
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let known = opened.and_then(|fd| Ok((rustix::fs::fstat(&fd)?, fd)));
        let (Ok((stat, fd)), Some(name)) = (known, self.names.get_mut(at)) else { return is_news };
        let id = id_of(&stat);
        name.current = Some(id);
        if name.things.iter().all(|thing| thing.id != id) {
            let is_first = self.ids.insert(id);
            let kept = (is_first && self.kept < KEPT_MAX).then_some(fd);
            self.kept += usize::from(kept.is_some());
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            name.things.push(Thing { id, is_folder, kept });
            self.forget_deleted(at);
            self.read = None;
            is_news = true;
        }
        is_news
    }

    /// Forgets what a name led to and is nowhere any more: a key that is renewed every hour costs
    /// no descriptor each time.
    fn forget_deleted(&mut self, at: usize) {
        let Some(name) = self.names.get_mut(at) else { return };
        let is_deleted = |thing: &Thing| {
            let stat = thing.kept.as_ref().and_then(|fd| rustix::fs::fstat(fd).ok());
            stat.is_some_and(|stat| stat.st_nlink == 0)
        };
        let before = name.things.len();
        name.things.retain(|thing| !is_deleted(thing));
        if name.things.len() < before {
            let things = || self.names.iter().flat_map(|name| &name.things);
            self.ids = things().map(|thing| thing.id).collect();
            self.kept = things().filter(|thing| thing.kept.is_some()).count();
        }
    }

    /// Returns whether it is news.
    fn inherit(&mut self, former: &Name) -> bool {
        let at = self.number.get(&former.path);
        let own = at.and_then(|at| self.names.get_mut(*at)).filter(|name| name.current.is_none());
        let Some(own) = own else { return false };
        for Thing { id, is_folder, kept } in &former.things {
            let kept = kept.as_ref().filter(|_| self.kept < KEPT_MAX);
            let kept = kept.and_then(|fd| fd.try_clone().ok());
            self.kept += usize::from(kept.is_some());
            self.ids.insert(*id);
            own.things.push(Thing { id: *id, is_folder: *is_folder, kept });
        }
        self.read = None;
        true
    }

    fn read_folders(&mut self) {
        self.beneath.clear();
        let mut left = BENEATH_MAX;
        let folders = self.names.iter().flat_map(|name| &name.things).filter(|t| t.is_folder);
        for folder in folders.filter_map(|thing| thing.kept.as_ref()) {
            read_folder(folder, LEVELS_MAX, &mut left, &mut |id, _, _| {
                self.beneath.insert(id);
            });
        }
        self.mixed.read();
        self.read = Some(Instant::now());
    }

    /// Returns whether it is news.
    fn add_place(&mut self, name: &Path, is_link: bool) -> bool {
        let (Some(folder), Some(name)) = (name.parent(), name.file_name()) else { return false };
        let Ok(stat) = rustix::fs::stat(folder) else { return false };
        let places = self.places.entry(id_of(&stat)).or_default();
        let place = Place { name: name.as_bytes().to_vec(), is_link };
        places.insert(place)
    }
}

impl Mixed {
    /// Asks where the folders lie now, and reads what is in them and in what they were before.
    fn read(&mut self) {
        let Some(judge) = self.judge.clone() else { return };
        let (mut scripts, mut left) = (HashSet::new(), BENEATH_MAX);
        for (path, things) in &mut self.folders {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            if let Ok(fd) = rustix::fs::openat(CWD, &*path, flags, Mode::empty())
                && let Ok(id) = rustix::fs::fstat(&fd).map(|stat| id_of(&stat))
                && self.ids.insert(id) | things.iter().all(|(known, _)| *known != id)
                && things.len() < RELEASES_MAX
            {
                things.push((id, fd));
            }
            for (_, folder) in things {
                read_folder(folder, LEVELS_MAX, &mut left, &mut |id, stat, name| {
                    let is_executable = stat.st_mode & 0o111 != 0;
                    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                        self.ids.insert(id);
                    } else if judge(name, is_executable) {
                        scripts.insert(id);
                    }
                });
            }
        }
        self.scripts = scripts;
    }
}

/// Folders that one name has led to, of which the descriptors are kept.
const RELEASES_MAX: usize = 16;

/// What lies in a folder, and in those in it. Nothing that is mounted there: that is at home elsewhere.
fn read_folder(
    folder: &OwnedFd,
    levels: usize,
    left: &mut usize,
    found: &mut impl FnMut(Id, &Stat, &[u8]),
) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(folder, ".", flags, Mode::empty());
    let Ok(entries) = readable.and_then(Dir::new) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Some(fewer) = left.checked_sub(1) else { return };
        *left = fewer;
        let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let id = id_of(&stat);
        if entry.ino() != id.1 {
            continue;
        }
        found(id, &stat, name.to_bytes());
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if let (true, Some(levels)) = (is_folder, levels.checked_sub(1)) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(inner) = rustix::fs::openat(folder, name, flags, Mode::empty()) {
                read_folder(&inner, levels, left, found);
            }
        }
    }
}
