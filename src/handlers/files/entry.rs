//! A file as it is served: its state, its heads rendered once, and its bytes if they are few.

use super::compress::{self, Awaited, HERE_MAX};
use super::media;
use crate::http::conditional::Validators;
use crate::http::etag::{Etag, FileState};
use crate::http::{Headers, Status, date};
use crate::net::{Bytes, FileSlice};
use crate::serve::{Body, PreparedHead, Response};
use crate::sys::fs::{Kind, Meta};
use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files up to this size are kept in memory, and sent with their head in one write.
pub const MEMORY_MAX: u64 = 64 * 1024;

/// Files up to this size are compressed: a few milliseconds, once.
pub const COMPRESS_MAX: u64 = 128 * 1024;

/// A file as it was at one moment. Never changed; a file that changes gets a new one.
#[derive(Debug)]
pub struct Entry {
    /// Where it lies beneath the root.
    pub path: Box<[u8]>,
    /// The state it was read in.
    pub meta: Meta,
    /// The path of the URL cannot mean another file as long as this one is there.
    pub certain: bool,
    /// It was changed so shortly before it was read that another change may show the same times.
    pub racy: bool,
    /// It changed at each attempt to read it, so that these bytes are not to be kept.
    pub torn: bool,
    /// Its `Content-Type`.
    pub media_type: Rc<str>,
    /// What `Last-Modified` says, in Unix seconds; `None` where no date can be relied on.
    pub modified: Option<u64>,
    /// The latest date that `Last-Modified` said of this file or of those before it.
    newest: Option<u64>,
    /// Tells contents apart that the state of the file does not.
    revision: Option<u64>,
    /// As it is.
    pub plain: Variant,
    gzip: Option<OnceCell<Option<Variant>>>,
    /// Those who wait until it is compressed.
    pub awaited: Awaited,
    /// The lines that tell caches how to keep any of its variants.
    shared_lines: Headers,
}

/// One coding of a file.
#[derive(Debug)]
pub struct Variant {
    /// Its tag.
    pub etag: Etag,
    /// The lines that 200 and 206 have in common.
    pub lines: Headers,
    /// Its bytes.
    pub content: Content,
    ok: Rc<PreparedHead>,
    not_modified: Rc<PreparedHead>,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Memory(Rc<[u8]>),
    /// In a file of this size.
    File(Rc<File>, u64),
}

/// How entries are made.
#[derive(Debug)]
pub struct Recipe {
    /// The `Cache-Control` header.
    pub cache_control: Option<String>,
    /// Whether gzip is offered.
    pub gzip: bool,
    /// From how many bytes on.
    pub gzip_min: u64,
}

impl Recipe {
    /// The lines that tell caches how an answer may be kept: those of 304 too.
    fn shared_lines(&self, by_accept: bool, by_coding: bool) -> Headers {
        let mut lines = Headers::new();
        if let Some(value) = &self.cache_control {
            lines.push("Cache-Control", value.as_bytes());
        }
        match (by_accept, by_coding) {
            (true, true) => lines.push("Vary", b"Accept, Accept-Encoding"),
            (true, false) => lines.push("Vary", b"Accept"),
            (false, true) => lines.push("Vary", b"Accept-Encoding"),
            (false, false) => true,
        };
        lines
    }
}

/// A file that was found, and what has to be known of it to serve it.
#[derive(Debug)]
pub struct Source<'a> {
    /// Where it lies beneath the root.
    pub path: &'a [u8],
    /// It, and its state.
    pub file: (File, Meta),
    /// The path of the URL cannot mean another file as long as this one is there.
    pub certain: bool,
    /// It answers only clients whose `Accept` says so: caches have to know that.
    pub by_accept: bool,
    /// Its `Content-Type`.
    pub media_type: Rc<str>,
    /// What was served under this name before.
    pub before: Option<&'a Entry>,
    /// The wall clock in Unix seconds.
    pub now: u64,
}

impl Entry {
    /// Reads what has to be read of an open file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(source: Source<'_>, recipe: &Recipe) -> io::Result<Self> {
        let Source { path, file: (file, meta), certain, by_accept, media_type, before, now } =
            source;
        let read_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let loaded = load(file, meta)?;
        let meta = loaded.meta;
        let before = before.filter(|before| *before.path == *path);
        let revision = revision(before, &loaded, read_at);
        let etag = match revision {
            None => etag_of(&meta),
            Some(number) => etag_of(&meta).with_suffix(&format!("{number:x}")),
        };
        let modified = date_to_say(before, &loaded, now);
        let may_gzip = recipe.gzip
            && (recipe.gzip_min..=COMPRESS_MAX).contains(&loaded.content.len())
            && !loaded.torn
            && media::is_compressible(&media_type);
        let shared_lines = recipe.shared_lines(by_accept, may_gzip);
        let mut lines = validator_lines(modified, &etag);
        lines.push("Accept-Ranges", b"bytes");
        lines.append(&shared_lines);
        let unchanged = unchanged_head(&etag, &shared_lines);
        Ok(Self {
            path: path.into(),
            certain,
            racy: is_racy(&meta, read_at),
            torn: loaded.torn,
            plain: Variant::new(etag, &media_type, lines, unchanged, loaded.content),
            gzip: may_gzip.then(OnceCell::new),
            awaited: Awaited::default(),
            shared_lines,
            media_type,
            modified,
            newest: modified.max(before.and_then(|before| before.newest)),
            revision,
            meta,
        })
    }

    /// What a client that takes gzip gets: the gzip variant, or the plain one where it is not
    /// smaller. `None` where that is not known yet: see [`Compress`](super::compress::Compress).
    pub fn gzip(&self) -> Option<&Variant> {
        let Some(cell) = &self.gzip else { return Some(&self.plain) };
        if cell.get().is_none() && self.plain.content.len() <= HERE_MAX {
            self.compress_at_once();
        }
        cell.get().map(|variant| variant.as_ref().unwrap_or(&self.plain))
    }

    /// Compresses it, however long that takes.
    pub fn compress_at_once(&self) {
        self.compressed(compress::at_once(&self.plain.content));
    }

    /// Takes what it was compressed to; `None` where it cannot be.
    pub fn compressed(&self, bytes: Option<Vec<u8>>) {
        if let Some(cell) = &self.gzip {
            cell.get_or_init(|| self.gzip_of(bytes?));
        }
    }

    /// Whether a request for it should be asked which codings it takes.
    pub fn may_gzip(&self) -> bool {
        self.gzip.is_some()
    }

    /// What it costs to keep: bytes of memory, the variant that may come included.
    pub fn weight(&self) -> usize {
        let body = match &self.plain.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File(..) => 0,
        };
        let variant = if self.may_gzip() { self.plain.content.len() as usize } else { 0 };
        body + variant + self.path.len() + OVERHEAD
    }

    /// Whether a file that was read has the content that this one has; of large files, in the same
    /// state.
    fn has_content_of(&self, loaded: &Loaded) -> bool {
        match (&self.plain.content, &loaded.content) {
            (Content::Memory(own), Content::Memory(other)) => own == other,
            _ => self.meta == loaded.meta,
        }
    }

    /// Whether it keeps a descriptor open.
    pub fn holds_file(&self) -> bool {
        matches!(self.plain.content, Content::File(..))
    }

    fn gzip_of(&self, content: Vec<u8>) -> Option<Variant> {
        if content.len() as u64 >= self.plain.content.len() {
            return None;
        }
        let etag = self.plain.etag.with_suffix("gz");
        let mut lines = validator_lines(self.modified, &etag);
        lines.push("Content-Encoding", b"gzip");
        lines.append(&self.shared_lines);
        let unchanged = unchanged_head(&etag, &self.shared_lines);
        let content = Content::Memory(content.into());
        Some(Variant::new(etag, &self.media_type, lines, unchanged, content))
    }
}

impl Variant {
    fn new(
        etag: Etag,
        media_type: &str,
        lines: Headers,
        not_modified: Rc<PreparedHead>,
        content: Content,
    ) -> Self {
        let mut type_line = Headers::new();
        type_line.push("Content-Type", media_type.as_bytes());
        let ok = PreparedHead::new(Status::OK, &type_line, content.len(), &lines);
        Self { etag, lines, content, ok, not_modified }
    }

    /// All of it.
    pub fn ok(&self) -> Response {
        Response::prepared(&self.ok, self.content.all())
    }

    /// That it has not changed.
    pub fn not_modified(&self) -> Response {
        Response::prepared(&self.not_modified, Body::Empty)
    }

    /// What conditions are compared with.
    pub fn validators(&self, modified: Option<u64>) -> Validators<'_> {
        Validators { etag: self.etag.as_bytes(), modified }
    }
}

impl Content {
    /// Bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    /// Part of it as a body; `start` and `len` lie within it.
    pub fn part(&self, start: u64, len: u64) -> Body {
        match self {
            Self::Memory(bytes) => Body::Bytes(shared(bytes, start, len)),
            Self::File(file, _) => read_if_short(file, start, len).unwrap_or_else(|| {
                Body::File(FileSlice { file: Rc::clone(file), offset: start, len, reserved: None })
            }),
        }
    }

    fn all(&self) -> Body {
        match self.len() {
            0 => Body::Empty,
            len => self.part(0, len),
        }
    }
}

/// A few bytes of a file: read, they leave in one `send` with the head. `None` if they are many, or
/// not all there any more, which whoever sends them has to find out.
fn read_if_short(file: &File, start: u64, len: u64) -> Option<Body> {
    if len > READ_MAX {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, start).ok()?;
    Some(Body::Bytes(bytes.into()))
}

/// Up to here a copy costs less than the second system call.
const READ_MAX: u64 = 8 * 1024;

/// For an entry's structures, heads and places in the cache.
const OVERHEAD: usize = 2048;

/// Attempts at a file that is being written.
const ATTEMPTS: usize = 3;

/// How fine the times of files are, at the worst: two changes within it may look like one.
const TIMESTAMP_STEP_NANOS: u128 = 1_000_000_000;

struct Loaded {
    content: Content,
    meta: Meta,
    torn: bool,
}

/// The bytes of a small file, or the file itself. A length that is promised is the number of bytes
/// that were read, whatever the file does meanwhile.
fn load(file: File, mut meta: Meta) -> io::Result<Loaded> {
    debug_assert_eq!(meta.kind, Kind::File);
    let mut bytes = Vec::new();
    for _ in 0..ATTEMPTS {
        if meta.size > MEMORY_MAX {
            let size = meta.size;
            return Ok(Loaded { content: Content::File(Rc::new(file), size), meta, torn: false });
        }
        bytes = read(&file, meta.size)?;
        let after = Meta::of(&file)?;
        if after == meta && bytes.len() as u64 == meta.size {
            return Ok(Loaded { content: Content::Memory(bytes.into()), meta, torn: false });
        }
        meta = after;
    }
    meta.size = bytes.len() as u64;
    Ok(Loaded { content: Content::Memory(bytes.into()), meta, torn: true })
}

/// Up to `size` bytes and one more, which would show that the file has grown.
fn read(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0) + 1];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The tag under which a file in this state is served.
pub fn etag_of(meta: &Meta) -> Etag {
    Etag::of_file(&FileState {
        size: meta.size,
        modified: (meta.modified, meta.modified_nanos),
        changed: (meta.changed, meta.changed_nanos),
        inode: meta.inode,
    })
}

/// When a file was modified, in Unix seconds. `None` for dates that no file for the web can have:
/// builds that are to be reproducible give every file the same, 0 or 1 (Guix, Nix) or the first
/// day of ZIP and FAT in 1980, and a client that asked by it would keep what was replaced.
pub fn modified_of(meta: &Meta) -> Option<u64> {
    u64::try_from(meta.modified).ok().filter(|seconds| *seconds >= DATES_FROM)
}

/// The second day of 1980, so that the first is over in every time zone.
const DATES_FROM: u64 = 315_619_200;

/// What `Last-Modified` says. It has to grow from one content to the next, for conditions compare
/// dates with `<=`: a file that takes the place of one that was not older, or has the same date
/// again, has none.
fn date_to_say(before: Option<&Entry>, loaded: &Loaded, now: u64) -> Option<u64> {
    // A date in the future would say more than anybody knows (RFC 9110 §8.8.2.1).
    let date = modified_of(&loaded.meta).map(|modified| modified.min(now));
    let Some(before) = before else { return date };
    let is_reliable = before.modified.is_some() && before.has_content_of(loaded);
    date.filter(|_| is_reliable || date > before.newest)
}

/// A number for the tag of a content that the state of its file does not tell from another: one of
/// a file that was being written, or that was changed twice within the step of its clock.
fn revision(before: Option<&Entry>, loaded: &Loaded, read_at: u128) -> Option<u64> {
    let number = Some(read_at as u64);
    match before.filter(|before| before.meta == loaded.meta) {
        _ if loaded.torn => number,
        Some(before) if !before.has_content_of(loaded) => number,
        Some(before) => before.revision,
        None => None,
    }
}

/// Whether nothing that was read since `read_at` can look like something else.
fn is_racy(meta: &Meta, read_at: u128) -> bool {
    let changed =
        u128::try_from(meta.changed).unwrap_or(0) * 1_000_000_000 + u128::from(meta.changed_nanos);
    changed + TIMESTAMP_STEP_NANOS > read_at
}

fn validator_lines(modified: Option<u64>, etag: &Etag) -> Headers {
    let mut lines = Headers::new();
    if let Some(modified) = modified {
        lines.push("Last-Modified", &date::format(modified));
    }
    lines.push("ETag", etag.as_bytes());
    lines
}

/// The head of a 304: the tag and what caches go by, nothing of the body that it does not have
/// (RFC 9110 §15.4.5).
fn unchanged_head(etag: &Etag, shared_lines: &Headers) -> Rc<PreparedHead> {
    PreparedHead::new(Status::NOT_MODIFIED, &validator_lines(None, etag), 0, shared_lines)
}

fn shared(bytes: &Rc<[u8]>, start: u64, len: u64) -> Bytes {
    let end = usize::try_from(start.saturating_add(len)).unwrap_or(usize::MAX).min(bytes.len());
    let range: Range<usize> = usize::try_from(start).unwrap_or(usize::MAX).min(end)..end;
    Bytes::Shared(Rc::clone(bytes), range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::entry_of;

    #[test]
    fn contents_that_the_state_of_a_file_does_not_tell_apart_get_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let before = entry_of(dir.path(), "a.txt", b"one");
        let loaded = |content: &[u8], meta, torn| Loaded {
            content: Content::Memory(content.into()),
            meta,
            torn,
        };
        let later = Meta { changed_nanos: before.meta.changed_nanos ^ 1, ..before.meta };
        for (content, meta, torn, want) in [
            (&b"one"[..], before.meta, false, None),
            (b"two", before.meta, false, Some(7)),
            (b"two", later, false, None),
            (b"two", later, true, Some(7)),
        ] {
            assert_eq!(revision(Some(&before), &loaded(content, meta, torn), 7), want);
        }
        assert_eq!(revision(None, &loaded(b"one", before.meta, true), 7), Some(7));
    }

    #[test]
    fn a_304_has_what_caches_go_by_and_nothing_of_the_body() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry_of(dir.path(), "a.txt", &[b'e'; 3000]);
        for variant in [&entry.plain, entry.gzip().unwrap()] {
            let response = variant.not_modified();
            let head = crate::handlers::files::testing::head_text(&response);
            let tag = std::str::from_utf8(variant.etag.as_bytes()).unwrap();
            let want =
                format!("HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\nVary: Accept-Encoding\r\n");
            assert_eq!(head, want);
        }
    }
}
