//! A file as it is served: its state, its heads rendered once, and its bytes if they are few.

use super::media;
use crate::http::conditional::Validators;
use crate::http::etag::Etag;
use crate::http::{Headers, Status, date};
use crate::net::{Bytes, FileSlice};
use crate::serve::{Body, Head, Response, write_status_line};
use crate::sys::fs::{Kind, Meta};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files up to this size are kept in memory, and sent with their head in one write.
pub const MEMORY_MAX: u64 = 64 * 1024;

/// Files up to this size are compressed here: a few milliseconds, once.
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
    /// What `Last-Modified` says, in Unix seconds.
    pub modified: u64,
    /// As it is.
    pub plain: Variant,
    gzip: Option<OnceCell<Option<Variant>>>,
    /// The `Cache-Control` and `Vary` lines of all its variants.
    shared_lines: Headers,
}

/// One coding of a file.
#[derive(Debug)]
pub struct Variant {
    /// Its tag.
    pub etag: Etag,
    /// The lines that 200, 206 and 304 have in common.
    pub lines: Headers,
    /// Its bytes.
    pub content: Content,
    ok: Rc<[u8]>,
    not_modified: Rc<[u8]>,
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

impl Entry {
    /// Reads what has to be read of an open file. `now` is the wall clock in Unix seconds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(
        path: &[u8],
        (file, meta): (File, Meta),
        certain: bool,
        media_type: Rc<str>,
        recipe: &Recipe,
        now: u64,
    ) -> io::Result<Self> {
        let racy_since = SystemTime::now();
        let loaded = load(file, meta)?;
        let meta = loaded.meta;
        let etag = Etag::of_file(meta.size, meta.modified, meta.modified_nanos, meta.inode);
        // A date in the future would say more than anybody knows (RFC 9110 §8.8.2.1).
        let modified = u64::try_from(meta.modified).unwrap_or(0).min(now);
        let size = loaded.content.len();
        let may_gzip = recipe.gzip
            && (recipe.gzip_min..=COMPRESS_MAX).contains(&size)
            && !loaded.torn
            && media::is_compressible(&media_type);
        let mut shared_lines = Headers::new();
        if let Some(value) = &recipe.cache_control {
            shared_lines.push("Cache-Control", value.as_bytes());
        }
        if may_gzip {
            shared_lines.push("Vary", b"Accept-Encoding");
        }
        let mut lines = validator_lines(modified, &etag);
        lines.push("Accept-Ranges", b"bytes");
        lines.append(&shared_lines);
        Ok(Self {
            path: path.into(),
            certain,
            racy: is_racy(&meta, racy_since),
            torn: loaded.torn,
            plain: Variant::new(etag, &media_type, lines, loaded.content),
            gzip: may_gzip.then(OnceCell::new),
            shared_lines,
            media_type,
            modified,
            meta,
        })
    }

    /// The gzip variant, computed at the first call; `None` where it is not smaller.
    pub fn gzip(&self) -> Option<&Variant> {
        self.gzip.as_ref()?.get_or_init(|| self.compress()).as_ref()
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

    /// Whether it keeps a descriptor open.
    pub fn holds_file(&self) -> bool {
        matches!(self.plain.content, Content::File(..))
    }

    fn compress(&self) -> Option<Variant> {
        let content = match &self.plain.content {
            Content::Memory(bytes) => deflate(bytes).ok()?,
            Content::File(file, size) => {
                let mut bytes = vec![0; usize::try_from(*size).ok()?];
                file.read_exact_at(&mut bytes, 0).ok()?;
                deflate(&bytes).ok()?
            }
        };
        if content.len() as u64 >= self.plain.content.len() {
            return None;
        }
        let etag = self.plain.etag.with_suffix("gz");
        let mut lines = validator_lines(self.modified, &etag);
        lines.push("Content-Encoding", b"gzip");
        lines.append(&self.shared_lines);
        Some(Variant::new(etag, &self.media_type, lines, Content::Memory(content.into())))
    }
}

impl Variant {
    fn new(etag: Etag, media_type: &str, lines: Headers, content: Content) -> Self {
        let mut type_line = Headers::new();
        type_line.push("Content-Type", media_type.as_bytes());
        let mut ok = Vec::with_capacity(256);
        write_status_line(Status::OK, &mut ok);
        ok.extend_from_slice(type_line.as_bytes());
        ok.extend_from_slice(b"Content-Length: ");
        ok.extend_from_slice(itoa::Buffer::new().format(content.len()).as_bytes());
        ok.extend_from_slice(b"\r\n");
        ok.extend_from_slice(lines.as_bytes());
        let mut not_modified = Vec::with_capacity(192);
        write_status_line(Status::NOT_MODIFIED, &mut not_modified);
        not_modified.extend_from_slice(lines.as_bytes());
        Self { etag, lines, content, ok: ok.into(), not_modified: not_modified.into() }
    }

    /// All of it.
    pub fn ok(&self) -> Response {
        Response {
            status: Status::OK,
            head: Head::Prebuilt(Rc::clone(&self.ok)),
            body: self.content.all(),
        }
    }

    /// That it has not changed.
    pub fn not_modified(&self) -> Response {
        Response {
            status: Status::NOT_MODIFIED,
            head: Head::Prebuilt(Rc::clone(&self.not_modified)),
            body: Body::Empty,
        }
    }

    /// What conditions are compared with.
    pub fn validators(&self, modified: u64) -> Validators<'_> {
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
                Body::File(FileSlice { file: Rc::clone(file), offset: start, len })
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

fn is_racy(meta: &Meta, read_at: SystemTime) -> bool {
    let read_at = read_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let modified = u128::try_from(meta.modified).unwrap_or(0) * 1_000_000_000
        + u128::from(meta.modified_nanos);
    modified + TIMESTAMP_STEP_NANOS > read_at
}

fn validator_lines(modified: u64, etag: &Etag) -> Headers {
    let mut lines = Headers::new();
    lines.push("Last-Modified", &date::format(modified));
    lines.push("ETag", etag.as_bytes());
    lines
}

fn deflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn shared(bytes: &Rc<[u8]>, start: u64, len: u64) -> Bytes {
    let end = usize::try_from(start.saturating_add(len)).unwrap_or(usize::MAX).min(bytes.len());
    let range: Range<usize> = usize::try_from(start).unwrap_or(usize::MAX).min(end)..end;
    Bytes::Shared(Rc::clone(bytes), range)
}
