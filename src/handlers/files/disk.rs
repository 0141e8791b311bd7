//! The tree that lies on a disk.

use super::resolve::{Found, Tree};
use crate::handlers::script_names::ScriptNames;
use crate::sys::fs::{Kind, Meta, Root};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

/// Opens what it looks at, beneath a root.
pub struct Disk<'a> {
    /// The root.
    pub root: &'a Root,
    /// Scripts that lie there: they are missing.
    pub scripts: Option<&'a ScriptNames>,
}

impl Disk<'_> {
    /// Whether it is a script by the name that it really has, whichever link led to it.
    fn is_hidden(&self, path: &[u8], file: &File) -> io::Result<bool> {
        let Some(scripts) = self.scripts else { return Ok(false) };
        let is_executable = file.metadata()?.permissions().mode() & 0o111 != 0;
        let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let place = place.as_ref().map_or(path, |place| place.as_os_str().as_bytes());
        Ok(scripts.hide(path, is_executable) || scripts.hide(place, is_executable))
    }
}

impl Tree for Disk<'_> {
    type File = (File, Meta);

    fn look(&self, path: &[u8]) -> io::Result<Found<(File, Meta)>> {
        let file = match self.root.open_beneath(path) {
            Ok(file) => file,
            // A folder that may be entered but not read still has files.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                return match self.root.probe(path)?.kind {
                    Kind::Folder => Ok(Found::Folder),
                    _ => Err(error),
                };
            }
            Err(error) => return Err(error),
        };
        let meta = Meta::of(&file)?;
        Ok(match meta.kind {
            Kind::File if self.is_hidden(path, &file)? => return Err(Errno::NOENT.into()),
            Kind::File => Found::File((file, meta)),
            Kind::Folder => Found::Folder,
            Kind::Link | Kind::Other => Found::Other,
        })
    }
}
