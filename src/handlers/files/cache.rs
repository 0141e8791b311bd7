//! Files that were served lately, by the path of their URL.
//!
//! A hit costs one look into a table. What an entry says is believed for a second; then the one
//! who asks has to compare it with the disk (`FileHandler` does) and tell `confirm` or `forget`.
//! That something is missing is remembered for a second too, in a table of its own, so that who
//! asks for random paths pushes nothing out.

use super::entry::Entry;
use super::listing::Sort;
use crate::http::Status;
use crate::serve::Response;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Files. A URL more costs a path, an entry and two heads: about 2 KiB.
    pub entries: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Files that are kept open, for those too large for memory.
    pub descriptors: usize,
    /// Paths known to be missing.
    pub absent: usize,
    /// How long a file is believed to be unchanged.
    pub check_every: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 12_000,
            bytes: 64 * 1024 * 1024,
            descriptors: 512,
            absent: 1024,
            check_every: Duration::from_secs(1),
        }
    }
}

/// What is remembered of a path.
#[derive(Debug)]
pub enum Lookup {
    /// This file, surely.
    Fresh(Rc<Entry>),
    /// This file, if it is still the same.
    Stale(Rc<Entry>),
    /// That it was answered with this error, for this reason.
    Absent(Status, &'static str),
    /// Nothing.
    Unknown,
}

/// The table. Entries lie in a ring; a hand goes round it and takes those that nobody asked for
/// since it came by the last time (second chance).
#[derive(Debug)]
pub struct Cache {
    limits: CacheLimits,
    index: HashMap<Rc<[u8]>, usize>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
    descriptors: usize,
    absent: HashMap<Box<[u8]>, (Refusal, Instant)>,
    pages: Vec<Page>,
    /// How often something may have changed that listings show.
    changes: u64,
}

/// Status and reason.
type Refusal = (Status, &'static str);

/// The listing of a large folder.
#[derive(Debug)]
struct Page {
    url: Box<[u8]>,
    sort: Sort,
    response: Response,
    made: Instant,
}

/// Listings that are kept: of up to 10,000 names, some MiB each.
const PAGES_MAX: usize = 8;

#[derive(Debug)]
struct Slot {
    key: Rc<[u8]>,
    entry: Rc<Entry>,
    checked: Instant,
    used: bool,
}

impl Cache {
    /// An empty one.
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            index: HashMap::new(),
            slots: Vec::new(),
            hand: 0,
            bytes: 0,
            descriptors: 0,
            absent: HashMap::new(),
            pages: Vec::new(),
            changes: 0,
        }
    }

    /// What is remembered of `key`.
    pub fn get(&mut self, key: &[u8], now: Instant) -> Lookup {
        let Some(slot) = self.index.get(key).and_then(|at| self.slots.get_mut(*at)) else {
            return self.get_absent(key, now);
        };
        slot.used = true;
        let entry = Rc::clone(&slot.entry);
        let checked = slot.checked;
        if self.is_fresh(checked, now) { Lookup::Fresh(entry) } else { Lookup::Stale(entry) }
    }

    /// The file of `key` was found unchanged.
    pub fn confirm(&mut self, key: &[u8], now: Instant) {
        if let Some(slot) = self.index.get(key).and_then(|at| self.slots.get_mut(*at)) {
            slot.checked = now;
        }
    }

    /// Remembers a file.
    pub fn insert(&mut self, key: &[u8], entry: Rc<Entry>, now: Instant) {
        self.forget(key);
        if entry.torn || !self.make_room(&entry) {
            return;
        }
        self.bytes += entry.weight();
        self.descriptors += usize::from(entry.holds_file());
        let key: Rc<[u8]> = Rc::from(key);
        self.index.insert(Rc::clone(&key), self.slots.len());
        // Unused at first: what is asked for once goes before what is asked for twice.
        self.slots.push(Slot { key, entry, checked: now, used: false });
    }

    /// Remembers that `key` was answered with an error.
    pub fn insert_absent(&mut self, key: &[u8], refusal: Refusal, now: Instant) {
        if self.absent.len() >= self.limits.absent {
            // None of them is worth keeping longer than it takes to ask again.
            self.absent.clear();
        }
        self.absent.insert(key.into(), (refusal, now));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::new(self.limits) };
    }

    /// Forgets what is remembered of `key`.
    pub fn forget(&mut self, key: &[u8]) {
        self.absent.remove(key);
        if let Some(at) = self.index.get(key) {
            self.remove(*at);
        }
    }

    /// The listing of a folder, if one was made a moment ago.
    pub fn page(&self, url: &[u8], sort: Sort, now: Instant) -> Option<Response> {
        let page = self.pages.iter().find(|page| *page.url == *url && page.sort == sort)?;
        self.is_fresh(page.made, now).then(|| page.response.clone())
    }

    /// A number that is another one when a listing that is being made may be out of date.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Remembers a listing.
    pub fn insert_page(&mut self, url: &[u8], sort: Sort, response: Response, now: Instant) {
        let mut pages = std::mem::take(&mut self.pages);
        pages.retain(|page| self.is_fresh(page.made, now));
        pages.truncate(PAGES_MAX - 1);
        pages.push(Page { url: url.into(), sort, response, made: now });
        self.pages = pages;
    }

    /// Forgets every URL that was answered with the file at `path`, and everything that was
    /// missing or listed: it may be there now.
    pub fn forget_file(&mut self, path: &[u8]) {
        self.absent.clear();
        self.pages.clear();
        self.changes += 1;
        let mut at = 0;
        while let Some(slot) = self.slots.get(at) {
            if *slot.entry.path == *path { self.remove(at) } else { at += 1 }
        }
    }

    fn is_fresh(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) < self.limits.check_every
    }

    fn get_absent(&self, key: &[u8], now: Instant) -> Lookup {
        match self.absent.get(key) {
            Some(((status, why), since)) if self.is_fresh(*since, now) => {
                Lookup::Absent(*status, why)
            }
            _ => Lookup::Unknown,
        }
    }

    /// Takes out what nobody asked for, until there is room for `entry`. Returns whether there is.
    fn make_room(&mut self, entry: &Entry) -> bool {
        // Two rounds: the first takes away the second chances.
        for _ in 0..=2 * self.slots.len() {
            let needs_descriptor =
                entry.holds_file() && self.descriptors >= self.limits.descriptors;
            let has_room = self.slots.len() < self.limits.entries
                && self.bytes + entry.weight() <= self.limits.bytes;
            if has_room && !needs_descriptor {
                return true;
            }
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else { return false };
            let helps = !has_room || slot.entry.holds_file();
            if helps && !std::mem::take(&mut slot.used) {
                // The last one takes its place; it is looked at when the hand comes by again.
                self.remove(self.hand);
            }
            self.hand += 1;
        }
        false
    }

    fn remove(&mut self, at: usize) {
        if at >= self.slots.len() {
            return;
        }
        let slot = self.slots.swap_remove(at);
        self.index.remove(&slot.key);
        self.bytes -= slot.entry.weight();
        self.descriptors -= usize::from(slot.entry.holds_file());
        if let Some(moved) = self.slots.get(at).and_then(|slot| self.index.get_mut(&slot.key)) {
            *moved = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::entry_of;

    fn limits() -> CacheLimits {
        CacheLimits { entries: 10, bytes: 100_000, descriptors: 2, absent: 4, ..Default::default() }
    }

    fn key(n: usize) -> Vec<u8> {
        format!("/{n}").into_bytes()
    }

    fn is_known(cache: &mut Cache, n: usize, now: Instant) -> bool {
        matches!(cache.get(&key(n), now), Lookup::Fresh(_))
    }

    #[test]
    fn stays_within_its_limits_and_keeps_what_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (mut cache, now) = (Cache::new(limits()), Instant::now());
        let small = entry_of(dir.path(), "small", &[b'x'; 100]);
        for n in 0..1000 {
            cache.insert(&key(n), Rc::clone(&small), now);
            is_known(&mut cache, 3, now);
            assert!(cache.slots.len() <= 10 && cache.index.len() == cache.slots.len());
            assert_eq!(cache.bytes, cache.slots.iter().map(|s| s.entry.weight()).sum::<usize>());
        }
        assert!(is_known(&mut cache, 3, now), "asked for all the time");
        assert!(is_known(&mut cache, 999, now), "the newest");
        for slot in 0..cache.slots.len() {
            assert_eq!(cache.index[&cache.slots[slot].key], slot);
        }
    }

    #[test]
    fn descriptors_and_bytes_have_limits_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let (mut cache, now) = (Cache::new(limits()), Instant::now());
        let (small, large) =
            (entry_of(dir.path(), "s", b"x"), entry_of(dir.path(), "l", &[b'x'; 100_000]));
        assert!(large.holds_file() && !small.holds_file());
        cache.insert(&key(0), small, now);
        for n in 1..6 {
            cache.insert(&key(n), Rc::clone(&large), now);
        }
        assert!(cache.descriptors <= 2 && is_known(&mut cache, 0, now), "{cache:?}");
        let half = entry_of(dir.path(), "h", &[b'x'; 60_000]);
        cache.insert(&key(7), Rc::clone(&half), now);
        cache.insert(&key(8), half, now);
        assert!(cache.bytes <= 100_000 && is_known(&mut cache, 8, now));
    }

    #[test]
    fn missing_paths_push_nothing_out_and_are_asked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut cache, now) = (Cache::new(limits()), Instant::now());
        cache.insert(&key(0), entry_of(dir.path(), "a", b"a"), now);
        for n in 1..100 {
            cache.insert_absent(&key(n), (Status::NOT_FOUND, "why"), now);
            assert!(cache.absent.len() <= 4);
        }
        assert!(is_known(&mut cache, 0, now));
        assert!(matches!(cache.get(&key(99), now), Lookup::Absent(Status::NOT_FOUND, "why")));
        let later = now + Duration::from_secs(1);
        assert!(matches!(cache.get(&key(99), later), Lookup::Unknown));
        assert!(matches!(cache.get(&key(0), later), Lookup::Stale(_)));
        cache.confirm(&key(0), later);
        assert!(is_known(&mut cache, 0, later));
        cache.insert_absent(&key(5), (Status::NOT_FOUND, "why"), later);
        cache.forget_file(b"a");
        assert!(matches!(cache.get(&key(0), later), Lookup::Unknown));
        assert!(matches!(cache.get(&key(5), later), Lookup::Unknown));
        assert_eq!((cache.bytes, cache.slots.len()), (0, 0));
    }
}
