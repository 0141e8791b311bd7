//! Files of a folder, and uploads to it. One question a file:
//!
//! | file | question |
//! |---|---|
//! | `resolve` | which file answers a path? |
//! | `disk` | what lies there? |
//! | `cache` | what do we remember of a URL? |
//! | `entry` | what has to be known of a file to serve it? |
//! | `media` | which type does it have? |
//! | `respond`, `ranges` | what of it is sent? |
//! | `listing`, `welcome` | what is shown where there is no file? |
//! | `compress`, `list` | how is what takes time done beside the loop? |
//! | `one` | what of a file that the program names itself? |
//! | `origin` | does a page of another site ask? |
//! | `upload`, `store` | may it be written, where, and how does it get there? |
//!
//! Architecture invariant: a request that is answered from the cache makes no system call and
//! allocates nothing.

mod cache;
mod compress;
mod disk;
mod entry;
mod list;
mod listing;
mod media;
mod one;
mod origin;
mod place;
mod ranges;
pub mod resolve;
mod respond;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upload;
mod welcome;

pub use cache::CacheLimits;
pub use disk::Disk;
pub use media::MediaTable;
pub use one::OneFile;

use crate::conf;
use crate::handlers::add_slash;
use crate::handlers::script_names::ScriptNames;
use crate::http::{HttpError, Known, Method, MethodSet, Status, prefers_html};
use crate::serve::{Handler, Look, Plan, Request, TraceStep};
use crate::sys::fs::{Meta, NamedRoot, Root, Version};
use cache::{Cache, Lookup};
use compress::Compress;
use entry::{Entry, Recipe, Source};
use list::List;
use resolve::{Question, Resolution, Rules, Seen, Step};
use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// What a [`FileHandler`] is made of.
pub struct Setup {
    /// The folder.
    pub root: Rc<NamedRoot>,
    /// What the route says.
    pub files: conf::Files,
    /// File names tried in a folder.
    pub index: Vec<String>,
    /// Whether a root without index page says that it works.
    pub welcome: bool,
    /// Whether an application answers what is no file.
    pub yields: bool,
    /// The types of files.
    pub media: Rc<MediaTable>,
    /// Which of the files are scripts: these are nobody's to see.
    pub scripts: Option<Rc<ScriptNames>>,
    /// What is compressed.
    pub compress: conf::Compress,
    /// How much is kept in memory.
    pub cache: CacheLimits,
}

/// Serves the files of a folder.
pub struct FileHandler {
    root: Rc<NamedRoot>,
    rules: Rules,
    recipe: Recipe,
    media: Rc<MediaTable>,
    scripts: Option<Rc<ScriptNames>>,
    upload: Option<Rc<conf::Upload>>,
    cache: Rc<RefCell<Cache>>,
    /// That of the root when the cache was empty.
    version: Cell<Version>,
    boundaries: Boundaries,
}

impl FileHandler {
    /// A handler with an empty cache.
    pub fn new(setup: Setup) -> Self {
        let Setup { root, files, index, welcome, yields, media, scripts, compress, cache } = setup;
        Self {
            version: Cell::new(root.version()),
            root,
            rules: Rules {
                hidden: files.hidden,
                clean_urls: files.clean_urls,
                index,
                fallback: files.fallback,
                listing: files.listing,
                welcome,
                yields,
            },
            recipe: Recipe {
                cache_control: files.cache_control,
                gzip: compress.gzip,
                gzip_min: compress.min,
            },
            media,
            scripts,
            upload: files.upload.map(Rc::new),
            cache: Rc::new(RefCell::new(Cache::new(cache))),
            boundaries: Boundaries::default(),
        }
    }

    fn read(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let (path, now) = (request.path(), look.now());
        let root = self.opened(self.root.current(now)).inspect_err(|_| self.note_folder(look))?;
        let known = self.cache.borrow_mut().get(path, now);
        match known {
            Lookup::Fresh(entry) => self.respond(&entry, request, look),
            Lookup::Stale(entry) if self.is_current(&entry, &root, request) => {
                self.cache.borrow_mut().confirm(path, now);
                self.respond(&entry, request, look)
            }
            Lookup::Absent(status, why) => Err(HttpError::new(status, why)),
            Lookup::Stale(before) => self.find_anew(request, Some(&before), look),
            Lookup::Unknown => self.find_anew(request, None, look),
        }
    }

    /// Looks in the folder that the root means by now.
    fn find_anew(
        &self,
        request: &Request,
        before: Option<&Entry>,
        look: &mut Look<'_>,
    ) -> Result<Plan, HttpError> {
        let root = self.opened(self.root.renewed(look.now()));
        let root = root.inspect_err(|_| self.note_folder(look))?;
        self.cache.borrow_mut().forget(request.path());
        let found = self.find(&root, request, before, look);
        if look.is_traced()
            && found.as_ref().is_err_and(|error| error.status == Status::NOT_FOUND)
            && let Some(near) = self.near(&root, request.rest())
        {
            look.note(|| TraceStep::new("", "", format!("did you mean /{near}?")));
        }
        found
    }

    fn note_folder(&self, look: &mut Look<'_>) {
        let path = self.root.path().display();
        look.note(|| TraceStep::new("folder", path.to_string(), "not there, or out of reach"));
    }

    /// The folder that the root means. Nothing stays in the cache that was found in another one, or
    /// before something was closed.
    fn opened(&self, root: io::Result<Rc<Root>>) -> Result<Rc<Root>, HttpError> {
        let version = self.root.version();
        if self.version.replace(version) != version {
            self.cache.borrow_mut().clear();
        }
        root.map_err(no_folder)
    }

    fn respond(
        &self,
        entry: &Rc<Entry>,
        request: &Request,
        look: &Look<'_>,
    ) -> Result<Plan, HttpError> {
        let respond = || respond::respond(entry, &request.head, || self.boundaries.next());
        Ok(match respond()? {
            Some(response) => Plan::Respond(response),
            None if look.is_at_once() => {
                entry.compress_at_once();
                Plan::Respond(respond()?.unwrap_or_else(|| entry.plain.ok()))
            }
            None => Plan::exchange("the file, compressed", Compress::new(Rc::clone(entry))),
        })
    }

    /// Whether an entry is what would be found if it were looked for. Its way is walked again: what
    /// is closed by now is asked of each folder on it.
    fn is_current(&self, entry: &Entry, root: &Root, request: &Request) -> bool {
        if entry.racy {
            return false;
        }
        if entry.certain {
            return root.probe(&entry.path).is_ok_and(|meta| meta == entry.meta);
        }
        match self.resolve(root, request, &mut |_| {}) {
            Ok(Resolution::File { path, file: (_, meta), .. }) => {
                *path == *entry.path && meta == entry.meta
            }
            _ => false,
        }
    }

    /// What answers a request, and in `trace` each step on the way.
    fn resolve(
        &self,
        root: &Root,
        request: &Request,
        trace: &mut dyn FnMut(Step<'_>),
    ) -> io::Result<Resolution<(File, Meta)>> {
        let question = Question {
            path: request.rest(),
            slash: request.path().ends_with(b"/"),
            wants_page: request.head.method().is_read()
                && prefers_html(request.head.get(Known::Accept)),
        };
        let disk = Disk { root, scripts: self.scripts.as_deref() };
        resolve::resolve(&disk, &self.rules, question, trace)
    }

    /// Looks on the disk, and notes each step. `before` is what the path was answered with until now.
    fn find(
        &self,
        root: &Rc<Root>,
        request: &Request,
        before: Option<&Entry>,
        look: &mut Look<'_>,
    ) -> Result<Plan, HttpError> {
        let trace = &mut |step: Step<'_>| {
            if let Step::Looked { path, found: Seen::Unfollowed } = step {
                let path = root.path().join(OsStr::from_bytes(path));
                let path = path.to_string_lossy().into_owned();
                look.log(conf::Level::Info, format!("{}: {UNFOLLOWED}", path.escape_debug()));
            }
            look.note(|| note(root, step));
        };
        match self.resolve(root, request, trace).map_err(in_trouble)? {
            Resolution::File { path, file, certain } => {
                let entry =
                    self.make(Source { certain, before, ..self.source(&path, file, look) })?;
                self.cache.borrow_mut().insert(request.path(), Rc::clone(&entry), look.now());
                self.respond(&entry, request, look)
            }
            Resolution::Fallback { path, file } => {
                self.respond(&self.fallback(&path, file, look)?, request, look)
            }
            Resolution::AddSlash => {
                Ok(Plan::Respond(add_slash(request, Status::MOVED_PERMANENTLY)))
            }
            Resolution::Listing(folder) => self.list(root, folder.to_vec(), request, look),
            Resolution::Welcome => Ok(Plan::Respond(welcome::page())),
            Resolution::Missing(why) => Err(self.absent(request, Status::NOT_FOUND, why, look)),
            Resolution::Forbidden(why) => Err(self.absent(request, Status::FORBIDDEN, why, look)),
        }
    }

    /// A file of which nothing else is known.
    fn source<'a>(&self, path: &'a [u8], file: (File, Meta), look: &Look<'_>) -> Source<'a> {
        Source {
            path,
            file,
            certain: false,
            by_accept: false,
            media_type: self.media.of_path(path),
            before: None,
            now: look.unix(),
        }
    }

    fn make(&self, source: Source<'_>) -> Result<Rc<Entry>, HttpError> {
        Entry::new(source, &self.recipe).map(Rc::new).map_err(in_trouble)
    }

    /// The entry of the file that stands in for pages. Kept once, under its own name, however many
    /// URLs it answers: the name has no slash before it, so no URL has it.
    fn fallback(
        &self,
        path: &[u8],
        file: (File, Meta),
        look: &Look<'_>,
    ) -> Result<Rc<Entry>, HttpError> {
        let before = match self.cache.borrow_mut().get(path, look.now()) {
            Lookup::Fresh(entry) | Lookup::Stale(entry) => Some(entry),
            Lookup::Absent(..) | Lookup::Unknown => None,
        };
        if let Some(entry) = &before
            && entry.meta == file.1
            && !entry.racy
        {
            return Ok(Rc::clone(entry));
        }
        let source = self.source(path, file, look);
        let entry = self.make(Source { by_accept: true, before: before.as_deref(), ..source })?;
        self.cache.borrow_mut().insert(path, Rc::clone(&entry), look.now());
        Ok(entry)
    }

    fn list(
        &self,
        root: &Rc<Root>,
        folder: Vec<u8>,
        request: &Request,
        look: &Look<'_>,
    ) -> Result<Plan, HttpError> {
        let query = request.query().unwrap_or_default();
        let sort = listing::Sort::of_query(query);
        if let Some(page) = self.cache.borrow().page(request.path(), sort, look.now()) {
            return Ok(Plan::Respond(page));
        }
        let view = listing::View {
            folder,
            url: request.path().to_vec(),
            is_top: request.rest().is_empty(),
            sort,
            hidden: self.rules.hidden,
            upload: self.upload.as_ref().map(|upload| upload.methods).unwrap_or_default(),
        };
        let page = listing::Page { root: Rc::clone(root), view };
        let folder = root.folder(&page.view.folder).map_err(unreadable)?;
        Ok(match page.respond_if_small(&folder).map_err(unreadable)? {
            Some(response) => Plan::Respond(response),
            None if look.is_at_once() => {
                Plan::Respond(page.respond_at_once(&folder).map_err(unreadable)?)
            }
            None => {
                let list = List::new(page, folder, Rc::clone(&self.cache));
                Plan::exchange("the list of a large folder", list)
            }
        })
    }

    /// A path in the same folder that may have been meant.
    fn near(&self, root: &Root, asked: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(asked.strip_suffix(b"/").unwrap_or(asked)).ok()?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let found = root.folder(folder.as_bytes()).and_then(|f| f.names(NEAR_MAX)).ok()?;
        let names = found.names.iter().filter_map(|name| str::from_utf8(&name.name).ok());
        let names = names.filter(|n| self.rules.hidden || !resolve::is_hidden(n.as_bytes()));
        let names: Vec<&str> = names.collect();
        // Who writes no extension means a name without, or one of clean URLs.
        let bare = !name.contains('.');
        let stem = |name| str::split_once(name, '.').map_or(name, |(stem, _)| stem);
        let compared: Vec<&str> =
            names.iter().map(|&name| if bare { stem(name) } else { name }).collect();
        let close = conf::closest(name, &compared)?;
        let (near, _) = names.iter().zip(&compared).find(|(_, compared)| **compared == close)?;
        let near = if folder.is_empty() { (*near).to_owned() } else { format!("{folder}/{near}") };
        // What was asked for, and what would not be shown either, is no help.
        (near.as_bytes() != asked && root.probe(near.as_bytes()).is_ok()).then_some(near)
    }

    /// An error that is remembered, unless the next one to ask might get the fallback.
    fn absent(
        &self,
        request: &Request,
        status: Status,
        reason: &'static str,
        look: &Look<'_>,
    ) -> HttpError {
        if self.rules.fallback.is_none() {
            self.cache.borrow_mut().insert_absent(request.path(), (status, reason), look.now());
        }
        HttpError::new(status, reason)
    }
}

impl Handler for FileHandler {
    fn methods(&self) -> MethodSet {
        let read = MethodSet::of(&[Method::Get, Method::Head]);
        match &self.upload {
            Some(upload) => [Method::Put, Method::Post, Method::Delete]
                .into_iter()
                .filter(|method| upload.methods.contains(*method))
                .fold(read, MethodSet::with),
            None => read,
        }
    }

    fn body_limit(&self) -> Option<u64> {
        self.upload.as_ref().map(|upload| upload.max)
    }

    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let method = request.head.method();
        refuse_slash_in_name(request)?;
        if method.is_read() {
            return self.read(request, look);
        }
        match &self.upload {
            Some(rules) if self.methods().contains(method) => {
                let target = upload::Target {
                    root: self.opened(self.root.renewed(look.now()))?,
                    rules: Rc::clone(rules),
                    hidden: self.rules.hidden,
                    cache: Rc::clone(&self.cache),
                };
                let what = "the upload, if name, size and sender are right";
                Ok(Plan::call(what, move |request, cx| target.begin(request, cx)))
            }
            _ => {
                let allow = self.methods().with(Method::Options).to_string();
                Err(HttpError::new(Status::METHOD_NOT_ALLOWED, "files do not take this method")
                    .with_header("Allow", &allow))
            }
        }
    }
}

/// An encoded slash belongs to a name, and no file has such a name.
fn refuse_slash_in_name(request: &Request) -> Result<(), HttpError> {
    match request.has_encoded_slash() {
        true => Err(HttpError::new(Status::NOT_FOUND, "no file has a name with a slash")),
        false => Ok(()),
    }
}

/// A step of looking for a file, as a person reads it.
fn note(root: &Root, step: Step<'_>) -> TraceStep {
    let shown = |path: &[u8]| format!("/{}", path.escape_ascii());
    match step {
        Step::Hidden { path } => {
            TraceStep::new("file", shown(path), "a name that begins with a dot: not shown")
        }
        Step::Looked { path, found } => TraceStep::new(
            "file",
            shown(path),
            match found {
                Seen::File => "found",
                Seen::Folder => "a folder",
                Seen::Other => "neither file nor folder",
                Seen::Missing if root.hides(path) => CLOSED,
                Seen::Missing => "not there",
                Seen::Unfollowed => UNFOLLOWED,
                Seen::Forbidden => "may not be read",
            },
        ),
        Step::FallingBack { path } => {
            TraceStep::new("file", shown(path), "`fallback`, for pages that match no file")
        }
        Step::NotFallingBack { path } => TraceStep::new(
            "file",
            shown(path),
            "`fallback` is not tried: the request's Accept does not name text/html",
        ),
    }
}

/// Of a link, for logs and explanations.
const UNFOLLOWED: &str = "a link that is absolute, leads out of the root, or in circles: \
     not followed (docs/config.md, \"Links\")";

/// Of what explanations only may tell of.
const CLOSED: &str = "closed: never served, by whatever name (docs/config.md, \"Closed files\")";

/// Names of a folder that are compared with one that is not there.
const NEAR_MAX: usize = 1000;

/// Texts for the lines between parts: not to be guessed, so that nobody can write a file that
/// contains one.
#[derive(Default)]
struct Boundaries {
    key: RandomState,
    count: Cell<u64>,
}

impl Boundaries {
    fn next(&self) -> String {
        self.count.set(self.count.get().wrapping_add(1));
        format!("part-{:016x}", self.key.hash_one(self.count.get()))
    }
}

/// The folder of a route is not there, or may not be entered.
pub(crate) fn no_folder(error: io::Error) -> HttpError {
    match resolve::is_missing(&error) || resolve::is_forbidden(&error) {
        true => HttpError::new(Status::NOT_FOUND, "the folder of this route is missing"),
        false => in_trouble(error),
    }
}

/// A folder cannot be listed.
fn unreadable(error: io::Error) -> HttpError {
    match resolve::is_forbidden(&error) {
        true => HttpError::new(Status::FORBIDDEN, "a folder that the server may not read"),
        false => in_trouble(error),
    }
}

/// An error that the path is not to blame for: no descriptors, no memory, a broken disk.
pub(crate) fn in_trouble(error: io::Error) -> HttpError {
    use rustix::io::Errno;
    let status = match Errno::from_io_error(&error) {
        // AGAIN: somebody renamed folders faster than paths could be proven to stay beneath.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => {
            Status::SERVICE_UNAVAILABLE
        }
        _ => Status::INTERNAL_SERVER_ERROR,
    };
    HttpError::new(status, format!("a file cannot be read: {error}"))
}
