//! Files that are read whole, when a configuration is.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// The content of a regular file of at most `max` bytes. A reload reads in the middle of serving:
/// nothing here waits for whoever is at the other end of a pipe, or reads a device without end.
///
/// # Errors
/// It cannot be opened or read, is no regular file, or is longer.
pub fn read(path: &Path, max: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut content = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 > max {
        true => Err(io::Error::other(format!("it is larger than {max} bytes"))),
        false => Ok((content, about)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_sensible_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().0, b"12345");
        let why = |path: &Path| read(path, 4).unwrap_err().to_string();
        assert!(why(&path).contains("larger than 4"));
        let pipe = folder.path().join("pipe");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        for no_file in [&pipe, Path::new("/dev/zero"), folder.path()] {
            assert!(why(no_file).contains("no regular file"), "{}", no_file.display());
        }
        assert_eq!(
            read(&folder.path().join("none"), 4).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
