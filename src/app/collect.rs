//! The body of a request, gathered before its handler is called: in memory as far as that is
//! little, on the disk beyond, forms taken apart as they come.

use super::pairs::{PAIRS_MAX, Pairs};
use super::request::{Form, State};
use super::upload::Upload;
use crate::event::{Cx, Until};
use crate::handlers::gateway::spool::cannot_keep;
use crate::handlers::gateway::{Gather, Sink, Spool, SpoolFile};
use crate::http::charset;
use crate::http::multipart::{self, PartHead, Scanner, Step};
use crate::http::{HttpError, Known, RequestHead, Status};
use crate::serve::ExchangeIo;
use std::cell::OnceCell;
use std::io;

/// Bodies and fields up to this size stay in memory.
const MEMORY_MAX: u64 = 256 * 1024;

/// All fields of a multipart form together, and a form in a URL's encoding: that is taken apart in
/// memory, when it is asked for. A longer one is but data.
const FIELDS_MAX: u64 = 1024 * 1024;

/// Files of one form: each is a descriptor until its request is answered.
const FILES_MAX: usize = 100;

/// A body being gathered.
pub(super) struct Collector {
    gather: Gather<Kind>,
    limit: u64,
}

enum Kind {
    /// Whatever it is, as it is. `application/x-www-form-urlencoded` is what `curl` says of everything it is
    /// told to post.
    Raw {
        spool: Spool<Upload>,
        is_form: bool,
    },
    Multipart(Box<Multipart>),
}

struct Multipart {
    scanner: Scanner,
    /// What has come and is not understood yet: at most the head of a part, or a boundary.
    pending: Vec<u8>,
    part: Part,
    fields: Vec<Field>,
    in_fields: u64,
    files: Vec<Upload>,
}

/// A field as it came. What its bytes mean may be said by a later one.
struct Field {
    name: String,
    charset: Option<String>,
    value: Vec<u8>,
}

enum Part {
    None,
    Field(Field),
    File(Upload),
    /// A file field that was left empty.
    Nothing,
}

/// The field that names the character set of the others (RFC 7578 §4.6).
const CHARSET_FIELD: &str = "_charset_";

impl Collector {
    /// For the body that `head` announces, of at most `limit` bytes.
    pub(super) fn new(head: &RequestHead, limit: u64) -> Result<Self, HttpError> {
        let kind = head.get(Known::ContentType).unwrap_or_default();
        let end = memchr::memchr(b';', kind).unwrap_or(kind.len());
        let is = |name: &str| kind[..end].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        let kind = if multipart::is_form_data(kind) {
            Kind::Multipart(Box::new(Multipart {
                scanner: Scanner::of_content_type(kind)?,
                pending: Vec::new(),
                part: Part::None,
                fields: Vec::new(),
                in_fields: 0,
                files: Vec::new(),
            }))
        } else {
            let is_form = is("application/x-www-form-urlencoded");
            let memory_max = if is_form { FIELDS_MAX } else { MEMORY_MAX };
            Kind::Raw { spool: Spool::new(memory_max), is_form }
        };
        Ok(Self { gather: Gather::new(kind), limit })
    }

    /// As [`Gather::advance`].
    pub(super) fn advance(
        &mut self,
        io: &mut ExchangeIo<'_>,
        cx: &Cx,
    ) -> Result<Option<Until>, HttpError> {
        io.body.limit_to(self.limit);
        self.gather.advance(io, cx)
    }

    /// All has come: hands it to the request.
    pub(super) fn finish(self, state: &mut State) -> Result<(), HttpError> {
        let (kind, reserved) = self.gather.finish();
        state.reserved = reserved;
        match kind {
            Kind::Raw { spool, is_form } => {
                let (memory, file) = spool.into_parts();
                state.form = match (is_form, &file) {
                    (false, _) => Form::Read(Pairs::default()),
                    (true, None) => Form::InData(OnceCell::new()),
                    (true, Some(_)) => Form::Read(Pairs::unread()),
                };
                state.data = file.is_none().then_some(memory);
                state.spooled = file;
            }
            Kind::Multipart(form) => {
                if !form.scanner.is_finished() {
                    let reason = "a form that ends before its last boundary";
                    return Err(HttpError::new(Status::BAD_REQUEST, reason));
                }
                (state.form, state.files) = (Form::Read(pairs(form.fields)), form.files);
            }
        }
        Ok(())
    }
}

impl Sink for Kind {
    fn fits_in_memory(&self, len: u64) -> bool {
        match self {
            Self::Raw { spool, .. } => spool.fits_in_memory(len),
            // Which of its bytes are those of files turns out when they are taken apart.
            Self::Multipart(_) => false,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        match self {
            Self::Raw { spool, .. } => spool.take(piece),
            Self::Multipart(form) => form.take(piece),
        }
    }
}

/// A body that is no form has no names.
impl SpoolFile for Upload {
    fn begin() -> io::Result<Self> {
        Self::begin(String::new(), "", String::new())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)
    }
}

impl Multipart {
    fn take(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        // What is left of the bytes before is little, so that this copies each byte once.
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut at = 0;
        loop {
            let rest = pending.get(at..).unwrap_or_default();
            at += match self.scanner.step(rest)? {
                Step::More => break,
                Step::End => {
                    at = pending.len();
                    break;
                }
                Step::Skip { take } => take,
                Step::Part { take, head } => {
                    self.part = self.begin(head)?;
                    take
                }
                Step::Content { take } => {
                    self.content(rest.get(..take).unwrap_or_default())?;
                    take
                }
                Step::PartEnd { take } => {
                    self.end();
                    take
                }
            };
        }
        self.pending = pending;
        self.pending.drain(..at);
        Ok(())
    }

    fn begin(&self, head: PartHead) -> Result<Part, HttpError> {
        match &head.filename {
            None if self.fields.len() >= PAIRS_MAX => Err(too_long()),
            None => {
                let (name, charset, value) = (head.name, head.charset, Vec::new());
                Ok(Part::Field(Field { name, charset, value }))
            }
            // A file field that nobody filled in comes without name and content.
            Some(filename) if filename.is_empty() => Ok(Part::Nothing),
            Some(_) if self.files.len() >= FILES_MAX => Err(too_long()),
            Some(filename) => {
                let kind = head.content_type.unwrap_or_else(|| "application/octet-stream".into());
                Upload::begin(head.name, filename, kind)
                    .map(Part::File)
                    .map_err(|error| cannot_keep(&error))
            }
        }
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match &mut self.part {
            Part::Field(Field { value, .. }) => {
                self.in_fields += bytes.len() as u64;
                if self.in_fields > FIELDS_MAX {
                    return Err(too_long());
                }
                value.extend_from_slice(bytes);
                Ok(())
            }
            Part::File(file) => file.write(bytes).map_err(|error| cannot_keep(&error)),
            Part::Nothing | Part::None => Ok(()),
        }
    }

    fn end(&mut self) {
        match std::mem::replace(&mut self.part, Part::None) {
            // A boundary too many makes a part of nothing.
            Part::Field(field) if field.name.is_empty() && field.value.is_empty() => {}
            Part::Field(field) => self.fields.push(field),
            Part::File(file) => self.files.push(file),
            Part::Nothing | Part::None => {}
        }
    }
}

/// The text of fields: in the character set that each names, or that the form names, or UTF-8.
/// Where it is not UTF-8 the bytes are kept beside it.
fn pairs(fields: Vec<Field>) -> Pairs {
    let common = fields.iter().find(|field| field.name == CHARSET_FIELD);
    let common = common.and_then(|field| std::str::from_utf8(&field.value).ok().map(str::to_owned));
    let mut pairs = Pairs::default();
    for Field { name, charset, value } in fields {
        let charset = charset.as_deref().or(common.as_deref());
        match charset::decode(charset, &value) {
            Some(text) if text.as_bytes() == value => pairs.push(name, text.into_owned()),
            Some(text) => pairs.push_bytes(name, text.into_owned(), value),
            None => {
                pairs.push_bytes(name, String::from_utf8_lossy(&value).into_owned(), value.clone());
            }
        }
    }
    pairs
}

fn too_long() -> HttpError {
    HttpError::fatal(
        Status::CONTENT_TOO_LARGE,
        "the fields or files of a form are too long or too many",
    )
}
