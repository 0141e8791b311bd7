//! The tree that lies on a disk.

use super::resolve::{Found, Tree};
use crate::sys::fs::{Kind, Meta, Root};
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// Opens what it looks at, beneath a root.
pub struct Disk<'a>(pub &'a Root);

impl Tree for Disk<'_> {
    type File = (File, Meta);

    fn look(&self, path: &[u8]) -> io::Result<Found<(File, Meta)>> {
        let file = match self.0.open_beneath(path) {
            Ok(file) => file,
            // A folder that may be entered but not read still has files.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                return match self.0.probe(path)?.kind {
                    Kind::Folder => Ok(Found::Folder),
                    _ => Err(error),
                };
            }
            Err(error) => return Err(error),
        };
        let meta = Meta::of(&file)?;
        Ok(match meta.kind {
            Kind::File => Found::File((file, meta)),
            Kind::Folder => Found::Folder,
            Kind::Link | Kind::Other => Found::Other,
        })
    }
}
