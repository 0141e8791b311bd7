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

use super::{Id, id_of};
use crate::sys::way;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
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
        let inherited = former.names.iter().filter(|name| list.inherit(name)).count();
        if inherited > 0 {
            self.0.changes.set(self.0.changes.get() + 1);
        }
    }

    /// Whether nothing is closed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.list.borrow().names.is_empty()
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
        list.ids.contains(&id) || list.beneath.contains(&id)
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
            read_folder(folder, LEVELS_MAX, &mut left, &mut self.beneath);
        }
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

/// What lies in a folder, and in those in it. Nothing that is mounted there: that is at home elsewhere.
fn read_folder(folder: &OwnedFd, levels: usize, left: &mut usize, found: &mut HashSet<Id>) {
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
        found.insert(id);
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if let (true, Some(levels)) = (is_folder, levels.checked_sub(1)) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(inner) = rustix::fs::openat(folder, name, flags, Mode::empty()) {
                read_folder(&inner, levels, left, found);
            }
        }
    }
}
