//! Certificate files that change: when to look at them again.

use crate::event::Target;
use crate::sys::watch::FolderWatch;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A renewal writes several files: they are looked at once it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(500);

/// And at the latest then, for a folder in which something changes all the time.
const LATEST: Duration = Duration::from_secs(2);

/// The folders of the certificates.
#[derive(Debug, Default)]
pub struct CertificateWatch {
    watch: Option<FolderWatch>,
    /// When to look, and when the first of the changes was heard of.
    due: Option<(Instant, Instant)>,
    /// What was last said of files that do not load.
    complaint: String,
}

impl CertificateWatch {
    /// Watches `folders`. Nothing is watched if there are none. It is due once, for what may have
    /// changed since the files were loaded.
    ///
    /// # Errors
    /// A folder cannot be watched.
    pub fn new(folders: &[PathBuf], registry: &Registry, now: Instant) -> io::Result<Self> {
        if folders.is_empty() {
            return Ok(Self::default());
        }
        let watch = FolderWatch::new()?;
        for folder in folders {
            watch.add(folder)?;
        }
        let token = Target::Certificates.token();
        registry.register(&mut SourceFd(&watch.raw_fd()), token, Interest::READABLE)?;
        Ok(Self { watch: Some(watch), due: Some((now + QUIET, now)), complaint: String::new() })
    }

    /// Something has changed.
    pub fn mark(&mut self, now: Instant) {
        if self.watch.as_ref().is_some_and(FolderWatch::take) {
            let first = self.due.map_or(now, |(_, first)| first);
            self.due = Some(((now + QUIET).min(first + LATEST), first));
        }
    }

    /// When there is something to do.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.due.map(|(due, _)| due)
    }

    /// Whether this has not just been said: other files in the folders may change all the time.
    pub fn is_news(&mut self, complaint: &str) -> bool {
        let news = self.complaint != complaint;
        self.complaint = complaint.to_owned();
        news
    }

    /// Whether the files are to be looked at now. Asking forgets it.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|(due, _)| due <= now);
        if due {
            self.due = None;
        }
        due
    }
}
