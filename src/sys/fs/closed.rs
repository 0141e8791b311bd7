//! What no root shows, and no upload replaces.

use crate::sys::way;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files and folders that are closed. Clones are one list: what is closed later is closed for all
/// roots that have it.
#[derive(Clone, Debug, Default)]
pub struct Closed(Rc<RefCell<List>>);

#[derive(Debug, Default)]
struct List {
    /// As they really lie.
    places: Vec<PathBuf>,
    /// The names of links that lead there.
    links: Vec<PathBuf>,
}

impl Closed {
    /// Closes the file, or the folder with all that is in it, to which `path` leads now, and the
    /// links on the way. What is not there is left out; what was closed before stays so.
    pub fn close(&self, path: &Path) {
        let mut list = self.0.borrow_mut();
        if let Ok(place) = path.canonicalize() {
            add(&mut list.places, place);
        }
        way::links(path).into_iter().for_each(|link| add(&mut list.links, link));
    }

    /// Whether nothing is closed.
    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// It never gets smaller.
    pub(super) fn count(&self) -> usize {
        let list = self.0.borrow();
        list.places.len() + list.links.len()
    }

    /// Whether what really lies at `place` is closed.
    pub(super) fn has(&self, place: &Path) -> bool {
        self.0.borrow().places.iter().any(|closed| place.starts_with(closed))
    }

    /// Whether links lead to anything that is closed.
    pub(super) fn has_links(&self) -> bool {
        !self.0.borrow().links.is_empty()
    }

    /// Whether a link of this name led to something that is closed.
    pub(super) fn has_link(&self, name: &Path) -> bool {
        self.0.borrow().links.iter().any(|link| link == name)
    }

    /// Whether this name is that of something closed, or of a link to it.
    pub(super) fn is_named(&self, name: &Path) -> bool {
        self.0.borrow().places.iter().any(|place| place == name) || self.has_link(name)
    }
}

fn add(list: &mut Vec<PathBuf>, path: PathBuf) {
    if !list.contains(&path) {
        list.push(path);
    }
}
