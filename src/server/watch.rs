//! Certificate files that change: when to look at them again.

use crate::event::{Owner, Source, Sources};
use crate::sys::watch::FolderWatch;
use mio::Interest;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A renewal writes several files: they are looked at once it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(500);

/// And at the latest then, for a folder in which something changes all the time.
const LATEST: Duration = Duration::from_secs(2);

/// And so often without having heard of anything: not every file system tells of changes, nor of
/// those in every folder on the way to a file.
const UNASKED: Duration = Duration::from_secs(60);

/// The folders of the certificates.
#[derive(Debug, Default)]
pub struct CertificateWatch {
    watch: Option<Source<FolderWatch>>,
    /// When to look; `None`: never.
    due: Option<Instant>,
    /// When the first of the changes was heard of that were not looked at.
    heard: Option<Instant>,
    /// What was last said of files that do not load.
    complaint: String,
    /// What was last said of folders that are not watched.
    unwatched: String,
}

impl CertificateWatch {
    /// It is due soon, for what may have changed since the files were loaded.
    pub fn new(now: Instant) -> Self {
        Self { due: Some(now + QUIET), heard: Some(now), ..Self::default() }
    }

    /// Watches `folders` and nothing else from now on: to be called before the files are looked at,
    /// so that no change between the two is missed. What is wrong is returned once.
    pub fn follow(&mut self, folders: &[PathBuf], sources: &Sources) -> Option<String> {
        let mut unwatched = String::new();
        self.watch = watch(folders, sources, &mut unwatched).unwrap_or_else(|error| {
            let _ = write!(unwatched, "\n{error}");
            None
        });
        let is_news = self.unwatched != unwatched;
        self.unwatched.clone_from(&unwatched);
        (is_news && !unwatched.is_empty()).then_some(unwatched)
    }

    /// Something has changed.
    pub fn mark(&mut self, now: Instant) {
        if self.watch.as_ref().is_some_and(|watch| watch.get_ref().take()) {
            let first = *self.heard.get_or_insert(now);
            self.due = Some((now + QUIET).min(first + LATEST));
        }
    }

    /// When there is something to do.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.due
    }

    /// Whether this has not just been said: other files in the folders may change all the time.
    pub fn is_news(&mut self, complaint: &str) -> bool {
        let news = self.complaint != complaint;
        self.complaint = complaint.to_owned();
        news
    }

    /// Nothing is wrong any more: the next complaint is news.
    pub fn settle(&mut self) {
        self.complaint.clear();
    }

    /// Whether the files are to be looked at now. If so, that is taken to be done.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            (self.due, self.heard) = (Some(now + UNASKED), None);
        }
        due
    }
}

/// One watch for all folders that can be watched; the others are named in `unwatched`.
fn watch(
    folders: &[PathBuf],
    sources: &Sources,
    unwatched: &mut String,
) -> io::Result<Option<Source<FolderWatch>>> {
    let watch = FolderWatch::new()?;
    for folder in folders {
        if let Err(error) = watch.add(folder) {
            // Writing to a String does not fail.
            let _ = write!(unwatched, "\n{}: {error}", folder.display());
            // That it may be watched at last is heard of above it, if anywhere.
            let _ = folder.parent().map(|above| watch.add(above));
        }
    }
    sources.add(watch, Owner::Certificates, Interest::READABLE).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_soon_after_changes_and_every_minute_without() {
        let folder = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let sources = Sources::new(poll.registry().try_clone().unwrap());
        let (begin, ms) = (Instant::now(), Duration::from_millis);
        let mut watch = CertificateWatch::new(begin);
        assert!(!watch.take_due(begin + ms(499)) && watch.take_due(begin + ms(500)));
        let missing = folder.path().join("missing");
        let folders = [folder.path().to_owned(), missing.clone()];
        let said = watch.follow(&folders, &sources).unwrap();
        assert!(said.starts_with(&format!("\n{}: ", missing.display())), "{said}");
        assert_eq!(watch.follow(&folders, &sources), None, "it was said");
        watch.mark(begin + ms(600));
        assert_eq!(watch.wakes_at(), Some(begin + ms(60_500)), "nothing has changed");
        assert!(!watch.take_due(begin + ms(60_499)) && watch.take_due(begin + ms(60_500)));
        // Something changes all the time.
        for n in 0..20 {
            std::fs::write(folder.path().join("x"), "x").unwrap();
            watch.mark(begin + ms(70_000 + n * 400));
            assert_eq!(watch.take_due(begin + ms(70_001 + n * 400)), n == 5 || n == 11 || n == 17);
        }
        assert_eq!(CertificateWatch::default().wakes_at(), None);
    }
}
