//! Pictures on disk: taken after a look at their first bytes, under names that nobody chose.
//!
//! Everything here blocks and is called on the helper pool. A picture is written before the quote
//! that has it, and removed after; what is left over by a crash is swept when the site starts.

mod probe;

pub use probe::{Format, NoPicture, Probe, probe};

use super::random;
use super::store::Picture;
use crate::app::Upload;
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The largest file that is taken.
pub const MEBIBYTES_MAX: u64 = 8;
/// The same in bytes.
pub const SIZE_MAX: u64 = MEBIBYTES_MAX << 20;

/// Bytes of a name before the dot, in hexadecimal digits: 128 bits.
const NAME_DIGITS: usize = 32;

/// A file that no quote has may belong to one that is being added.
const SWEEP_AGE: Duration = Duration::from_secs(3600);

/// The folder of pictures.
pub struct Pictures {
    folder: PathBuf,
}

/// Why a picture was not taken.
#[derive(Debug)]
pub enum PictureError {
    /// It is none, or too large in pixels.
    Refused(NoPicture),
    /// Its file is larger than [`SIZE_MAX`].
    TooLarge,
    /// The disk could not.
    Io(io::Error),
}

impl Pictures {
    /// The folder `pictures` in `data`, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = folder(data);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Takes a picture that was uploaded.
    ///
    /// # Errors
    /// [`PictureError`]; nothing is left of it.
    pub fn take_upload(&self, upload: Upload, alt: &str) -> Result<Picture, PictureError> {
        if upload.size() > SIZE_MAX {
            return Err(PictureError::TooLarge);
        }
        let mut head = Vec::new();
        upload.reader().take(probe::BYTES as u64).read_to_end(&mut head)?;
        self.take(&head, alt, |path| upload.save_as(path))
    }

    /// Takes a picture that is in memory.
    ///
    /// # Errors
    /// As [`Self::take_upload`].
    pub fn take_bytes(&self, bytes: &[u8], alt: &str) -> Result<Picture, PictureError> {
        if bytes.len() as u64 > SIZE_MAX {
            return Err(PictureError::TooLarge);
        }
        self.take(bytes, alt, |path| fs::write(path, bytes))
    }

    /// Takes the picture that begins with `head`; `save` puts it at a path.
    fn take(
        &self,
        head: &[u8],
        alt: &str,
        save: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Picture, PictureError> {
        let found = probe(head).map_err(PictureError::Refused)?;
        let name =
            format!("{}.{}", random::hex::<{ NAME_DIGITS / 2 }>()?, found.format.extension());
        let path = self.folder.join(&name);
        if let Err(error) = save(&path) {
            let _ = fs::remove_file(&path);
            return Err(PictureError::Io(error));
        }
        Ok(Picture { name, width: found.width, height: found.height, alt: alt.to_owned() })
    }

    /// As [`find`], in this folder.
    pub fn find(&self, name: &str) -> Option<(PathBuf, Format)> {
        find(&self.folder, name)
    }

    /// Removes a picture. One that is gone already is no error, and another error leaves a file to
    /// [`Self::sweep`].
    pub fn remove(&self, name: &str) {
        if let Some((path, _)) = self.find(name) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes what was left over: pictures that are not among `known`, and are an hour old.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sweep(&self, known: &[String], now: SystemTime) -> io::Result<usize> {
        let known: HashSet<&str> = known.iter().map(String::as_str).collect();
        let mut swept = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if known.contains(name) || self.find(name).is_none() {
                continue;
            }
            let age = entry.metadata()?.modified().ok().and_then(|at| now.duration_since(at).ok());
            if age.is_some_and(|age| age >= SWEEP_AGE) && fs::remove_file(entry.path()).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// Where the pictures of a data folder lie.
pub fn folder(data: &Path) -> PathBuf {
    data.join("pictures")
}

/// Where a picture lies and what it is; `None` if its name is not one that we give. Does not block:
/// whether it is there is seen when it is opened.
pub fn find(folder: &Path, name: &str) -> Option<(PathBuf, Format)> {
    let (digits, extension) = name.split_once('.')?;
    let ours = digits.len() == NAME_DIGITS
        && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let format = Format::of_extension(extension)?;
    ours.then(|| (folder.join(name), format))
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(NoPicture::Unknown) => {
                f.write_str("This is not a PNG, JPEG, WebP or GIF picture.")
            }
            Self::Refused(NoPicture::TooManyPixels) => {
                f.write_str("This picture has too many pixels: 40 million are the most.")
            }
            Self::TooLarge => {
                write!(f, "This file is too large: {MEBIBYTES_MAX} MiB are the most.")
            }
            Self::Io(error) => write!(f, "the picture: {error}"),
        }
    }
}

impl From<io::Error> for PictureError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a\x02\x00\x01\x00\x00\x00\x00;";

    fn take(pictures: &Pictures, bytes: &[u8]) -> Result<Picture, PictureError> {
        pictures.take_bytes(bytes, "words")
    }

    #[test]
    fn a_picture_is_taken_found_and_removed() {
        let data = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(data.path()).unwrap();
        let picture = take(&pictures, GIF).unwrap();
        assert_eq!((picture.width, picture.height, picture.alt.as_str()), (2, 1, "words"));
        let (path, format) = pictures.find(&picture.name).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), format), (GIF, Format::Gif));
        pictures.remove(&picture.name);
        pictures.remove(&picture.name);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(data.path()).unwrap();
        assert!(matches!(
            take(&pictures, b"<svg/>"),
            Err(PictureError::Refused(NoPicture::Unknown))
        ));
        let large = vec![0; (SIZE_MAX + 1) as usize];
        assert!(matches!(take(&pictures, &large), Err(PictureError::TooLarge)));
        let full = pictures.take(GIF, "", |path| {
            fs::write(path, "half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(matches!(full, Err(PictureError::Io(_))));
        assert_eq!(fs::read_dir(data.path().join("pictures")).unwrap().count(), 0);
    }

    #[test]
    fn only_our_names_are_found() {
        let data = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(data.path()).unwrap();
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(pictures.find(&format!("{digits}.webp")).is_some());
        for name in [
            String::new(),
            digits.to_owned(),
            format!("{digits}.svg"),
            format!("{digits}.png.html"),
            format!("../{digits}.png"),
            format!("{}.png", &digits[1..]),
            format!("{}.png", digits.to_uppercase()),
            "../quotes.db".to_owned(),
        ] {
            assert!(pictures.find(&name).is_none(), "{name}");
        }
    }

    #[test]
    fn left_overs_are_swept() {
        let data = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(data.path()).unwrap();
        let kept = take(&pictures, GIF).unwrap().name;
        let lost = take(&pictures, GIF).unwrap().name;
        fs::write(data.path().join("pictures/readme.txt"), "").unwrap();
        let now = SystemTime::now();
        assert_eq!(pictures.sweep(std::slice::from_ref(&kept), now).unwrap(), 0, "too young");
        assert_eq!(pictures.sweep(std::slice::from_ref(&kept), now + SWEEP_AGE * 2).unwrap(), 1);
        assert!(pictures.find(&kept).unwrap().0.exists());
        assert!(!pictures.find(&lost).unwrap().0.exists());
        assert!(data.path().join("pictures/readme.txt").exists());
    }
}
