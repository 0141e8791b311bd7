//! Roots by name: the folder that a path means now.
//!
//! A path is followed anew each second, links in it too, so that a release that is turned by one link
//! is served within a second. Whoever asks holds one [`Root`] for the whole of a request: what was
//! begun in one folder does not end in another. Folders that nobody asks for cost no descriptor.

use super::{CHECK_EVERY, Closed, Id, Root};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Instant;

/// Roots by their paths, of which only so many are open.
#[derive(Clone, Debug)]
pub struct RootPool(Rc<Pool>);

#[derive(Debug)]
struct Pool {
    closed: Closed,
    roots: RefCell<HashMap<(PathBuf, bool), Weak<NamedRoot>>>,
    /// Those that are open, the first opened first.
    open: RefCell<VecDeque<Weak<NamedRoot>>>,
    open_max: usize,
}

/// A folder by its path.
#[derive(Debug)]
pub struct NamedRoot {
    path: PathBuf,
    closed: Option<Closed>,
    pool: Option<Rc<Pool>>,
    opened: RefCell<Option<Opened>>,
    /// What it was when it was last open.
    id: Cell<Option<Id>>,
    /// How often it was another folder.
    turns: Cell<u64>,
}

#[derive(Debug)]
struct Opened {
    root: Rc<Root>,
    checked: Instant,
}

/// The state of a root that answers were found in: under another one they have to be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    turns: u64,
    closings: u64,
}

impl RootPool {
    /// A pool that keeps at most `open_max` folders open. `closed` is what its public ones do not
    /// show.
    pub fn new(open_max: usize, closed: Closed) -> Self {
        let (roots, open) = (RefCell::default(), RefCell::default());
        Self(Rc::new(Pool { closed, roots, open, open_max: open_max.max(1) }))
    }

    /// The root of files that are served or uploaded.
    pub fn public(&self, path: &Path) -> Rc<NamedRoot> {
        self.root(path, true)
    }

    /// A root that nothing is closed in: of scripts, and of pages.
    pub fn private(&self, path: &Path) -> Rc<NamedRoot> {
        self.root(path, false)
    }

    fn root(&self, path: &Path, is_public: bool) -> Rc<NamedRoot> {
        let mut roots = self.0.roots.borrow_mut();
        let place = roots.entry((path.to_owned(), is_public)).or_default();
        place.upgrade().unwrap_or_else(|| {
            let closed = (is_public && !self.0.closed.is_empty()).then(|| self.0.closed.clone());
            let pool = Some(Rc::clone(&self.0));
            let root = Rc::new(NamedRoot { closed, pool, ..NamedRoot::new(path) });
            *place = Rc::downgrade(&root);
            root
        })
    }
}

impl Pool {
    fn has_room(&self) -> bool {
        self.open.borrow().len() < self.open_max
    }

    /// Closes the folder that has been open for the longest time, if there are too many.
    fn opened(&self, root: &Rc<NamedRoot>) {
        let mut open = self.open.borrow_mut();
        open.push_back(Rc::downgrade(root));
        while open.len() > self.open_max {
            if let Some(first) = open.pop_front().and_then(|first| first.upgrade())
                && !Rc::ptr_eq(&first, root)
            {
                first.opened.take();
            }
        }
    }
}

impl NamedRoot {
    /// One of its own, in no pool.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            closed: None,
            pool: None,
            opened: RefCell::default(),
            id: Cell::default(),
            turns: Cell::default(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is such a folder now. It is kept open if there is room: the server may give up
    /// the right to open it.
    ///
    /// # Errors
    /// It is missing, no folder, or may not be entered.
    pub fn check(self: &Rc<Self>) -> io::Result<()> {
        match self.pool.as_ref().is_some_and(|pool| pool.has_room()) {
            true => self.ask(Instant::now()).map(drop),
            false => Root::open(&self.path).map(drop),
        }
    }

    /// The folder that the path meant a second ago at the most. Without a system call if it was
    /// asked within that second.
    ///
    /// # Errors
    /// It is missing, no folder, or may not be entered.
    pub fn current(self: &Rc<Self>, now: Instant) -> io::Result<Rc<Root>> {
        if let Some(opened) = &*self.opened.borrow()
            && now.saturating_duration_since(opened.checked) < CHECK_EVERY
        {
            return Ok(Rc::clone(&opened.root));
        }
        self.renewed(now)
    }

    /// The folder that the path means now, in which everything is closed whose name says so now.
    ///
    /// # Errors
    /// As `current`.
    pub fn renewed(self: &Rc<Self>, now: Instant) -> io::Result<Rc<Root>> {
        if let Some(closed) = &self.closed {
            closed.refresh();
        }
        self.ask(now)
    }

    fn ask(self: &Rc<Self>, now: Instant) -> io::Result<Rc<Root>> {
        let known = self.opened.borrow().as_ref().map(|opened| Rc::clone(&opened.root));
        let root = match (self.reopen(known.as_deref()), known) {
            (Ok(None), Some(root)) => root,
            (Ok(Some(root)), _) => self.turned_to(root),
            (Ok(None), None) => return Err(Errno::NOENT.into()),
            // It cannot be asked: another user's folder is above it since rights were given up.
            (Err(error), Some(root)) if !is_gone(&error) => root,
            (Err(error), _) => {
                self.gone();
                return Err(error);
            }
        };
        let is_new = self.opened.borrow().is_none();
        *self.opened.borrow_mut() = Some(Opened { root: Rc::clone(&root), checked: now });
        if let Some(pool) = self.pool.as_ref().filter(|_| is_new) {
            pool.opened(self);
        }
        Ok(root)
    }

    /// The folder that the path means, if it is not the one that is open.
    fn reopen(&self, known: Option<&Root>) -> io::Result<Option<Root>> {
        if let Some(known) = known
            && super::id_of(&rustix::fs::stat(&self.path)?) == known.id
        {
            return Ok(None);
        }
        let root = Root::open(&self.path)?;
        Ok(Some(match &self.closed {
            Some(closed) => root.without(closed.clone()),
            None => root,
        }))
    }

    fn turned_to(&self, root: Root) -> Rc<Root> {
        if self.id.replace(Some(root.id)).is_some_and(|id| id != root.id) {
            self.turns.set(self.turns.get() + 1);
            // What is closed may be reached by the same link.
            self.closed.iter().for_each(Closed::refresh_all);
        }
        Rc::new(root)
    }

    fn gone(&self) {
        self.opened.take();
        if self.id.take().is_some() {
            self.turns.set(self.turns.get() + 1);
        }
    }

    /// What has to be equal for an answer that was found before to be one now.
    pub fn version(&self) -> Version {
        let closings = self.closed.as_ref().map_or(0, Closed::changes);
        Version { turns: self.turns.get(), closings }
    }
}

/// Whether an error means that there is no such folder.
fn is_gone(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE))
}
