//! The page that lists a folder.
//!
//! Names are written by whoever may upload: each goes through `escape::html` as text and through
//! `escape::segment` as a link, and the page may not run scripts at all.
//!
//! Programs read it too: mirrors, players, file systems over HTTP. Many know no HTML and look for
//! `<a href="name">`, so that is how each link to a file is written, and all elements are ended.

use super::resolve::is_hidden;
use crate::http::{Method, MethodSet, Status, date, escape};
use crate::serve::Response;
use crate::sys::fs::{Folder, FolderReader, Kind, Meta, Name, Names, Root};
use std::cmp::Ordering;
use std::fmt::Write;
use std::io;
use std::rc::Rc;

/// What the page is made of.
pub struct Page {
    /// Where files lie.
    pub root: Rc<Root>,
    /// How it is to look.
    pub view: View,
}

/// What of a page can be made anywhere: by a helper thread, where the folder is large.
#[derive(Clone)]
pub struct View {
    /// The folder, relative to the root.
    pub folder: Vec<u8>,
    /// The path of the URL, decoded; ends in a slash.
    pub url: Vec<u8>,
    /// It is the top of its route: there is nothing above.
    pub is_top: bool,
    /// The order.
    pub sort: Sort,
    /// Whether names that begin with a dot are shown.
    pub hidden: bool,
    /// What may be written here.
    pub upload: MethodSet,
}

/// Names on one page. Each costs a system call.
pub const NAMES_MAX: usize = 10_000;

/// Folders of up to so many names are listed by the loop itself, under a millisecond.
pub const HERE_MAX: usize = 256;

/// No scripts, no other files, no frames: whatever should slip through an escape does nothing.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'";

/// The order of the names in a kind. Folders are always first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By name.
    Name,
    /// Large ones first.
    Size,
    /// New ones first.
    Time,
}

/// What was read of a folder, or of its beginning.
pub struct Read {
    /// What may be on the page.
    pub found: Vec<Found>,
    /// Whether the folder has other names.
    pub more: bool,
}

/// A name, and what it stands for.
pub struct Found {
    name: Vec<u8>,
    meta: Meta,
}

/// A line of the page.
pub struct Line {
    name: Vec<u8>,
    is_folder: bool,
    size: u64,
    modified: i64,
}

impl Page {
    /// Reads at most `max` names and writes the page; `None` if there are more.
    ///
    /// # Errors
    /// The folder may not be read.
    pub fn respond_if_small(&self, folder: &Folder) -> io::Result<Option<Response>> {
        let names = folder.names(HERE_MAX)?;
        if names.more {
            return Ok(None);
        }
        let read = self.view.look(&folder.reader()?, names);
        Ok(Some(self.finish(folder, read)))
    }

    /// Reads the folder and writes the page, however long that takes.
    ///
    /// # Errors
    /// The folder may not be read.
    pub fn respond_at_once(&self, folder: &Folder) -> io::Result<Response> {
        let read = self.view.read(&folder.reader()?)?;
        Ok(self.finish(folder, read))
    }

    fn finish(&self, folder: &Folder, Read { found, more }: Read) -> Response {
        let lines: Vec<Line> =
            found.into_iter().filter_map(|found| self.line(folder, found)).collect();
        respond(self.view.html(&lines, more))
    }

    /// The line of what was found; `None` for what is not to be shown.
    pub fn line(&self, folder: &Folder, found: Found) -> Option<Line> {
        let Found { name, mut meta } = found;
        if !folder.may_show(&name, &meta) {
            return None;
        }
        if meta.kind == Kind::Link {
            // Not to be followed out of the root, not even for a size.
            meta = self.root.probe(&self.view.path_of(&name)).ok()?;
        }
        let Meta { kind, size, modified, .. } = meta;
        let is_folder = kind == Kind::Folder;
        (is_folder || kind == Kind::File).then_some(Line { name, is_folder, size, modified })
    }
}

/// The answer with a page.
pub fn respond(html: String) -> Response {
    let html: Rc<[u8]> = html.into_bytes().into();
    Response::text(Status::OK, "text/html; charset=utf-8", html)
        .with_header("Cache-Control", b"no-cache")
        .with_header("Content-Security-Policy", POLICY.as_bytes())
        .with_header("X-Content-Type-Options", b"nosniff")
}

impl Found {
    /// Whether its line takes a walk to where it leads.
    pub fn is_link(&self) -> bool {
        self.meta.kind == Kind::Link
    }
}

impl View {
    /// Reads the folder.
    ///
    /// # Errors
    /// It may not be read.
    pub fn read(&self, folder: &FolderReader) -> io::Result<Read> {
        Ok(self.look(folder, folder.names(NAMES_MAX)?))
    }

    fn look(&self, folder: &FolderReader, Names { names, more }: Names) -> Read {
        let names = names.into_iter().filter(|name| self.may_show(name));
        let found = names.filter_map(|Name { name, .. }| {
            let meta = folder.look(&name).ok()?;
            Some(Found { name, meta })
        });
        Read { found: found.collect(), more }
    }

    fn may_show(&self, Name { name, kind }: &Name) -> bool {
        // A path with one of these is refused before it gets to any file.
        let has_url = !name.iter().any(|b| b.is_ascii_control() || *b == b'\\');
        has_url && *kind != Some(Kind::Other) && (self.hidden || !is_hidden(&self.path_of(name)))
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        match &*self.folder {
            b"" => name.to_vec(),
            folder => [folder, b"/", name].concat(),
        }
    }

    /// The text of the page.
    pub fn html(&self, lines: &[Line], more: bool) -> String {
        let mut lines: Vec<&Line> = lines.iter().collect();
        lines.sort_unstable_by(|a, b| self.sort.compare(a, b));
        self.write(&lines, more)
    }

    fn write(&self, lines: &[&Line], more: bool) -> String {
        let title = escape::html_bytes(&self.url);
        let mut page = String::with_capacity(2048 + lines.len() * 190);
        let _ = write!(page, "{HEAD}<title>{title}</title>\n{STYLE}</head><body><h1>");
        self.breadcrumbs(&mut page);
        page.push_str("</h1>\n<table>\n<thead><tr>");
        for (kind, key, label) in [
            (Sort::Name, "name", "Name"),
            (Sort::Size, "size", "Size"),
            (Sort::Time, "time", "Changed (UTC)"),
        ] {
            let mark = if kind == self.sort { " aria-sort=\"ascending\"" } else { "" };
            let _ = write!(page, "<th{mark}><a href=\"?sort={key}\">{label}</a></th>");
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        if !self.is_top {
            page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
        }
        for line in lines {
            line.write(&mut page);
        }
        page.push_str("</tbody></table>\n");
        if lines.is_empty() {
            page.push_str("<p>Nothing here.</p>\n");
        }
        if more {
            let _ = writeln!(page, "<p>Only {NAMES_MAX} names are shown; there are more.</p>");
        }
        self.upload_note(&mut page);
        page.push_str("</body></html>\n");
        page
    }

    /// Each folder on the way as a link. Relative to the root of the host, with one slash.
    fn breadcrumbs(&self, page: &mut String) {
        let mut link = b"/".to_vec();
        page.push_str("<a href=\"/\">/</a>");
        for segment in self.url.split(|b| *b == b'/').filter(|segment| !segment.is_empty()) {
            escape::path(segment, &mut link);
            link.push(b'/');
            let href = escape::html_bytes(&link);
            let _ = write!(page, "<a href=\"{href}\">{}</a>/", escape::html_bytes(segment));
        }
    }

    fn upload_note(&self, page: &mut String) {
        if self.upload.contains(Method::Put) {
            page.push_str(
                "<p class=\"note\">To add a file: <code>curl -T FILE URL-of-this-page</code></p>\n",
            );
        } else if self.upload.contains(Method::Post) {
            page.push_str(
                "<p class=\"note\">To add a file: \
                 <code>curl --data-binary @FILE 'URL-of-this-page?name=FILE'</code></p>\n",
            );
        }
    }
}

impl Line {
    fn write(&self, page: &mut String) {
        let slash = if self.is_folder { "/" } else { "" };
        let mut href = Vec::with_capacity(self.name.len() + 2);
        if self.name.contains(&b':') {
            // What is before the colon would otherwise be a scheme: `javascript:...`.
            href.extend_from_slice(b"./");
        }
        escape::segment(&self.name, &mut href);
        let (href, text) = (escape::html_bytes(&href), escape::html_bytes(&self.name));
        let _ = write!(page, "<tr><td><a href=\"{href}{slash}\">{text}{slash}</a></td><td>");
        if !self.is_folder {
            write_size(self.size, page);
        }
        page.push_str("</td><td>");
        write_time(self.modified, page);
        page.push_str("</td></tr>\n");
    }
}

impl Sort {
    /// What `?sort=` asks for.
    pub fn of_query(query: &[u8]) -> Self {
        match query.split(|b| *b == b'&').find_map(|pair| pair.strip_prefix(b"sort=")) {
            Some(b"size") => Self::Size,
            Some(b"time") => Self::Time,
            _ => Self::Name,
        }
    }

    /// Folders first; then what was asked for, large and new ones first; then by name.
    fn compare(self, a: &Line, b: &Line) -> Ordering {
        let by_key = match self {
            Self::Name => Ordering::Equal,
            Self::Size => b.size.cmp(&a.size),
            Self::Time => b.modified.cmp(&a.modified),
        };
        b.is_folder.cmp(&a.is_folder).then(by_key).then_with(|| a.name.cmp(&b.name))
    }
}

/// `512 B`, `1.5 KiB`: two digits are enough to compare.
fn write_size(size: u64, page: &mut String) {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        let _ = write!(page, "{size} B");
        return;
    }
    let mut tenths = u128::from(size) * 10 / 1024;
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        if tenths < 10_240 || units.peek().is_none() {
            let _ = match tenths {
                0..100 => write!(page, "{}.{} {unit}", tenths / 10, tenths % 10),
                _ => write!(page, "{} {unit}", tenths / 10),
            };
            return;
        }
        tenths /= 1024;
    }
}

fn write_time(unix: i64, page: &mut String) {
    let at = date::civil(u64::try_from(unix).unwrap_or(0));
    let _ = write!(
        page,
        "{:04}-{:02}-{:02} {:02}:{:02}",
        at.year, at.month, at.day, at.hour, at.minute
    );
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
";

const STYLE: &str = "<style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
h1{font-size:1.3em;overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse}
th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #8883}
td:first-child{overflow-wrap:anywhere}
td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
a{text-decoration:none}a:hover,a:focus{text-decoration:underline}
.note{opacity:.75}
</style>
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::body_bytes;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn page(dir: &Path, query: &str, hidden: bool) -> String {
        let root = Root::open(dir).unwrap();
        let view = View {
            folder: Vec::new(),
            url: b"/a <b>/".to_vec(),
            is_top: false,
            sort: Sort::of_query(query.as_bytes()),
            hidden,
            upload: MethodSet::of(&[Method::Put]),
        };
        let folder = root.folder(b"").unwrap();
        let page = Page { root: Rc::new(root), view };
        let response = page.respond_if_small(&folder).unwrap().unwrap();
        let at_once = page.respond_at_once(&folder).unwrap();
        assert_eq!(body_bytes(&response), body_bytes(&at_once));
        String::from_utf8(body_bytes(&response)).unwrap()
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["<img src=x onerror=alert(1)>.txt", "javascript:alert(1)", "a'b\"c&d", "%2e?#"]
        {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let html = page(dir.path(), "", false);
        for line in html.lines() {
            assert!(!line.contains("<img") && !line.contains("<b>"), "{line}");
            assert!(!line.contains("href=\"javascript"), "{line}");
        }
        assert!(html.contains("href=\"./javascript:alert%281%29\""), "{html}");
        assert!(html.contains("href=\"%252e%3F%23\""), "{html}");
        assert!(html.contains("href=\"a%27b%22c%26d\""), "{html}");
        assert!(html.contains("&lt;img"));
        assert!(!html.contains("a'b"), "a quote would end the attribute");
        assert!(html.contains("curl -T"));
    }

    #[test]
    fn order_and_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("zoo")).unwrap();
        fs::write(at("big"), vec![0; 3000]).unwrap();
        fs::write(at("small"), "x").unwrap();
        fs::write(at(".env"), "x").unwrap();
        fs::write(at("control\n"), "x").unwrap();
        symlink("/etc/passwd", at("out")).unwrap();
        symlink("small", at("link")).unwrap();
        let order = |query, hidden| -> Vec<String> {
            let html = page(dir.path(), query, hidden);
            let names = html.lines().filter_map(|line| line.strip_prefix("<tr><td><a href=\""));
            let names = names.map(|rest| rest.split('"').next().unwrap().to_string());
            names.filter(|name| name != "../").collect()
        };
        assert_eq!(order("", false), ["zoo/", "big", "link", "small"]);
        assert_eq!(order("sort=size", false), ["zoo/", "big", "link", "small"]);
        assert_eq!(order("sort=name", true), ["zoo/", ".env", "big", "link", "small"]);
    }

    #[test]
    fn sizes_are_readable() {
        for (size, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024, "1.0 MiB"),
            (5 * 1024 * 1024 * 1024, "5.0 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            let mut text = String::new();
            write_size(size, &mut text);
            assert_eq!(text, want);
        }
    }
}
