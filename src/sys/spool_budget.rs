//! How much may wait on the disk in all: bodies that are being gathered, and answers that clients have
//! not taken yet.
//!
//! Whoever puts bytes into a temporary file reserves them first, and gives them back with the file. What
//! does not fit waits where it is: in the socket of the client, or in the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The total, shared by all that is kept on the disk. May be used by helper threads.
#[derive(Clone, Debug)]
pub struct SpoolBudget(Arc<State>);

#[derive(Debug)]
struct State {
    limit: AtomicU64,
    used: AtomicU64,
    /// It was reached, and that was not told yet.
    is_news: AtomicBool,
    /// It was told, and there was not much room since.
    is_told: AtomicBool,
}

/// One file may have this part of all: nobody takes everything.
const SHARE: u64 = 4;

impl SpoolBudget {
    /// Of so many bytes.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(State {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            is_news: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
        }))
    }

    /// Allows so many bytes from now on. What is there stays.
    pub fn set_limit(&self, limit: u64) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes allowed.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// What one answer may have of them.
    pub fn share(&self) -> u64 {
        self.limit() / SHARE
    }

    /// Bytes reserved.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// A reservation of nothing.
    pub fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: AtomicU64::new(0) }
    }

    /// Whether the limit was reached since this was asked last: once, until half of it is free again.
    pub fn take_reached(&self) -> bool {
        self.0.is_news.load(Ordering::Relaxed) && self.0.is_news.swap(false, Ordering::Relaxed)
    }
}

/// Bytes that lie in a file; given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: SpoolBudget,
    bytes: AtomicU64,
}

impl Reservation {
    /// Bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Reserves more, if there is room.
    #[must_use]
    pub fn grow(&self, more: u64) -> bool {
        let State { limit, used, is_news, is_told } = &*self.budget.0;
        let limit = limit.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= limit);
        if used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            self.bytes.fetch_add(more, Ordering::Relaxed);
            return true;
        }
        if !is_told.swap(true, Ordering::Relaxed) {
            is_news.store(true, Ordering::Relaxed);
        }
        false
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let State { limit, used, is_told, .. } = &*self.budget.0;
        let bytes = self.bytes();
        let before = used.fetch_sub(bytes, Ordering::Relaxed);
        if before - bytes <= limit.load(Ordering::Relaxed) / 2 {
            is_told.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_comes_back_and_the_limit_is_told_once() {
        let budget = SpoolBudget::new(100);
        let (one, two) = (budget.reserve(), budget.reserve());
        assert!(one.grow(60) && two.grow(40) && budget.used() == 100);
        assert!(!budget.take_reached());
        for _ in 0..3 {
            assert!(!one.grow(1) && !two.grow(u64::MAX));
        }
        assert!(budget.take_reached() && !budget.take_reached());
        drop(two);
        assert!(!one.grow(41) && one.grow(40) && (one.bytes(), budget.used()) == (100, 100));
        assert!(!budget.take_reached(), "there was never much room");
        drop(one);
        assert_eq!(budget.used(), 0);
        budget.set_limit(10);
        assert!(!budget.reserve().grow(11) && budget.take_reached());
    }
}
