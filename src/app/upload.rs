//! Files of forms, and large bodies: on the disk, without a name, until somebody keeps them.

use crate::sys::fs::{Draft, Root};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that came with a form. It lies on the disk without a name, and is gone with this value
/// unless it is kept by `save_as`. May be moved to helper threads.
///
/// ```
/// use httpyserver::{App, Request, Result};
///
/// fn add(request: &mut Request<'_>) -> Result<String> {
///     let picture = request.take_file("picture").ok_or(httpyserver::abort(400))?;
///     Ok(format!("{} is {} bytes of {}", picture.filename(), picture.size(), picture.content_type()))
/// }
/// let client = App::new().post("/add", add).test();
/// let answer = client
///     .post("/add")
///     .multipart(&[("title", "A cat")], &[("picture", "../../cat.png", "image/png", b"meow")])
///     .send();
/// assert_eq!(answer.text(), "cat.png is 4 bytes of image/png");
/// ```
#[derive(Debug)]
pub struct Upload {
    pub(super) field: String,
    pub(super) filename: String,
    pub(super) content_type: String,
    pub(super) draft: Draft,
    pub(super) size: u64,
}

impl Upload {
    /// A file to be written. In TMPDIR, or else in /var/tmp: /tmp may be memory.
    pub(super) fn begin(field: String, filename: &str, content_type: String) -> io::Result<Self> {
        let folder = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
        let folder = folder.map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        let draft = Root::open(&folder)?.folder(b"")?.draft()?;
        let filename = plain_name(filename).to_owned();
        Ok(Self { field, filename, content_type, draft, size: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.draft.file().write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The name of its field.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     request.take_file("f").map(|file| file.field().to_owned())
    /// });
    /// let file = ("f", "../a.txt", "text/plain", &b"hello"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[], &[file]).send().text(), "f");
    /// ```
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The name the client gave it: what follows its last slash or backslash, without control
    /// characters; never `.` or `..`; empty if nothing is left. Still a stranger's text: a name of
    /// one's own is better to store it under.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     request.take_file("f").map(|file| file.filename().to_owned())
    /// });
    /// let file = ("f", "../a.txt", "text/plain", &b"hello"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[], &[file]).send().text(), "a.txt");
    /// ```
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The type the client says it has.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     request.take_file("f").map(|file| file.content_type().to_owned())
    /// });
    /// let file = ("f", "../a.txt", "text/plain", &b"hello"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[], &[file]).send().text(), "text/plain");
    /// ```
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Its length in bytes.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     request.take_file("f").map(|file| file.size().to_string())
    /// });
    /// let file = ("f", "../a.txt", "text/plain", &b"hello"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[], &[file]).send().text(), "5");
    /// ```
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     request.take_file("f").map(|file| file.bytes().map(|bytes| bytes.len().to_string()))
    /// });
    /// let file = ("f", "../a.txt", "text/plain", &b"hello"[..]);
    /// assert_eq!(app.test().post("/").multipart(&[], &[file]).send().text(), "5");
    /// ```
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
        self.draft.file().read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Reads it from its beginning.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result, abort};
    /// use std::io::Read;
    ///
    /// fn start(request: &mut Request<'_>) -> Result<String> {
    ///     let file = request.take_file("f").ok_or_else(|| abort(400))?;
    ///     let mut start = [0; 3];
    ///     file.reader().read_exact(&mut start)?;
    ///     Ok(String::from_utf8_lossy(&start).into_owned())
    /// }
    /// let client = App::new().post("/", start).test();
    /// let answer = client.post("/").multipart(&[], &[("f", "a", "text/plain", b"GIF89a")]).send();
    /// assert_eq!(answer.text(), "GIF");
    /// ```
    pub fn reader(&self) -> impl Read + '_ {
        Reader { file: self.draft.file(), at: 0 }
    }

    /// Gives it a name, in place of what has it. Within a file system nothing is copied, and the
    /// name appears at once with all of the file.
    ///
    /// # Errors
    /// There is no such folder, or it may not be written to.
    ///
    /// ```
    /// # use httpyserver::{App, Request, Result};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("kept.txt");
    /// let kept = path.clone();
    /// let app = App::new().post("/", move |request: &mut Request<'_>| -> Result<()> {
    ///     if let Some(file) = request.take_file("f") {
    ///         file.save_as(&kept)?;
    ///     }
    ///     Ok(())
    /// });
    /// app.test().post("/").multipart(&[], &[("f", "a", "text/plain", b"hello")]).send();
    /// assert_eq!(std::fs::read_to_string(path).unwrap(), "hello");
    /// ```
    pub fn save_as(mut self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.as_bytes();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Root::open(parent.unwrap_or(Path::new(".")))?.folder(b"")?;
        match self.draft.publish_over(&folder, name) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut copy = folder.draft()?;
                io::copy(&mut self.reader(), &mut copy.file())?;
                copy.publish_over(&folder, name)
            }
            done => done,
        }
    }
}

struct Reader<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A name without the path some clients put before it.
fn plain_name(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.chars().any(char::is_control) || matches!(name, "." | "..") { "" } else { name }
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn names_lose_their_paths() {
        for (name, want) in [
            ("a.png", "a.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\a\\b.png", "b.png"),
            ("..", ""),
            ("a/..", ""),
            ("a\0b", ""),
            ("a\r\nb", ""),
            ("", ""),
            (" \u{e4}.txt ", "\u{e4}.txt"),
        ] {
            assert_eq!(plain_name(name), want, "{name:?}");
        }
    }
}
