//! Opening files by name without blocking: a FIFO, a device or a terminal in the place of a file
//! must not stop the caller, which may be the event loop.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Flags of every open by name: an open of a FIFO returns at once, and a terminal does not become
/// the one that controls this process.
const AT_ONCE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The mode of a log file that is made, before the umask.
const LOG_MODE: Mode = Mode::from_raw_mode(0o666);

/// Opens whatever has this name for reading.
///
/// # Errors
/// Those of `open`.
pub fn open(path: &Path) -> io::Result<File> {
    Ok(File::from(rustix::fs::open(path, OFlags::RDONLY | AT_ONCE, Mode::empty())?))
}

/// The content of a regular file of at most `max` bytes.
///
/// # Errors
/// It cannot be opened or read, is no regular file, or is longer.
pub fn read(path: &Path, max: u64) -> io::Result<(Vec<u8>, Metadata)> {
    read_open(&open(path)?, max)
}

/// As `read`, of a file that was opened without blocking.
///
/// # Errors
/// As `read`.
pub fn read_open(file: &File, max: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let about = file.metadata()?;
    if !about.is_file() {
        let kind = kind_name(about.file_type());
        return Err(io::Error::other(format!("it is no regular file but {kind}")));
    }
    let mut content = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 > max {
        true => Err(io::Error::other(format!("it is larger than {max} bytes"))),
        false => Ok((content, about)),
    }
}

/// Opens a log for appending: a regular file, which is made where nothing has the name, a FIFO that
/// is being read, a terminal or another character device. Returns whether it was made. Writing to
/// it does not block either.
///
/// # Errors
/// Those of `open`; it is something else, or a FIFO that no process reads.
pub fn open_log(path: &Path) -> io::Result<(File, bool)> {
    let append = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | AT_ONCE;
    let (file, is_new) = match rustix::fs::open(path, append | OFlags::EXCL, LOG_MODE) {
        Ok(made) => (made, true),
        // Without O_EXCL the target of a dangling link is made.
        Err(Errno::EXIST) => match rustix::fs::open(path, append, LOG_MODE) {
            Err(Errno::NXIO) => return Err(nothing_behind(path)),
            opened => (opened?, false),
        },
        Err(error) => return Err(error.into()),
    };
    let file = File::from(file);
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_fifo() || kind.is_char_device() {
        true => Ok((file, is_new)),
        false => Err(io::Error::other(format!("it is {}", kind_name(kind)))),
    }
}

/// Why `open` said `ENXIO`.
fn nothing_behind(path: &Path) -> io::Error {
    io::Error::other(match path.metadata().map(|about| about.file_type()) {
        Ok(kind) if kind.is_fifo() => {
            "it is a FIFO that no process reads; start its reader first, or log to a file"
        }
        Ok(kind) if kind.is_socket() => {
            "it is a socket; for standard output or standard error write \"stdout\" or \"stderr\""
        }
        _ => "there is no device behind it",
    })
}

/// What a name belongs to, in words.
pub fn kind_name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_file() => "a regular file",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mkfifoat};

    fn fifo(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        path
    }

    #[test]
    fn only_regular_files_of_a_sensible_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().0, b"12345");
        let why = |path: &Path| read(path, 4).unwrap_err().to_string();
        assert!(why(&path).contains("larger than 4"));
        let (fifo, folder) = (fifo(folder.path()), folder.path());
        for (place, kind) in [
            (fifo.as_path(), "a FIFO"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/dev/null"), "a device"),
            (folder, "a folder"),
        ] {
            assert_eq!(why(place), format!("it is no regular file but {kind}"));
        }
        assert_eq!(read(&folder.join("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_log_is_a_file_a_device_or_a_fifo_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(open_log(&path).unwrap().1, "it was made");
        assert!(!open_log(&path).unwrap().1, "it was there");
        assert!(!open_log(Path::new("/dev/null")).unwrap().1);
        assert!(open_log(folder.path()).is_err());
        let fifo = fifo(folder.path());
        let why = open_log(&fifo).unwrap_err().to_string();
        assert!(why.contains("FIFO that no process reads"), "{why}");
        let reader = open(&fifo).unwrap();
        assert!(open_log(&fifo).is_ok());
        drop(reader);
        assert!(open_log(&fifo).is_err());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let why = open_log(&socket).unwrap_err().to_string();
        assert!(why.contains("it is a socket"), "{why}");
        std::os::unix::fs::symlink("later", folder.path().join("link")).unwrap();
        open_log(&folder.path().join("link")).unwrap();
        assert!(folder.path().join("later").exists());
    }
}
