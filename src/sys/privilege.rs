//! Giving up rights that are not needed to serve.

use nix::unistd::{Gid, Uid, User, getgrouplist, initgroups, setgid, setuid};
use rustix::fs::getxattr;
use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The number of a user, and of the group that belongs to it; `None`: there is no such user.
pub fn account(name: &str) -> Option<(u32, u32)> {
    let user = User::from_name(name).ok().flatten()?;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

/// Whether the user `name` may read a file, as far as we can tell: where there is no such user or
/// file, or an access list (acl(5)) has its own word, it is not said that it may not.
pub fn may_read(name: &str, file: &Path) -> bool {
    may(name, file, 0o4)
}

/// Whether the user `name` may search a folder for names, and with `write` also make some in it; as
/// far as `may_read` can tell.
pub fn may_enter(name: &str, folder: &Path, write: bool) -> bool {
    may(name, folder, if write { 0o3 } else { 0o1 })
}

fn may(name: &str, file: &Path, right: u32) -> bool {
    let Ok(Some(user)) = User::from_name(name) else { return true };
    let Ok(file) = file.canonicalize() else { return true };
    let groups = CString::new(name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    let groups = groups.unwrap_or_else(|| vec![user.gid]);
    // What is asked for at the end, to search the folders above it.
    user.uid.is_root()
        || file.ancestors().zip([right].into_iter().chain(std::iter::repeat(0o1))).all(
            |(path, right)| {
                let Ok(meta) = path.metadata() else { return true };
                let mode = match () {
                    () if meta.uid() == user.uid.as_raw() => meta.mode() >> 6,
                    () if groups.contains(&Gid::from_raw(meta.gid())) => meta.mode() >> 3,
                    () => meta.mode(),
                };
                mode & right == right || has_access_list(path)
            },
        )
}

fn has_access_list(path: &Path) -> bool {
    // A list that is longer than that is one as well, and an error.
    let found = getxattr(path, "system.posix_acl_access", &mut [0; 1024]);
    matches!(found, Ok(_) | Err(rustix::io::Errno::RANGE))
}

/// Becomes `name`, for good: groups first, then group, then user. Without root it is enough to be
/// that user already.
///
/// # Errors
/// There is no such user, or we may not become it.
pub fn become_user(name: &str) -> io::Result<()> {
    let user = User::from_name(name)?.ok_or_else(|| io::Error::other("there is no such user"))?;
    if Uid::effective() == user.uid && Gid::effective() == user.gid {
        return Ok(());
    }
    let name = CString::new(name).map_err(io::Error::other)?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // Nothing may bring root back: if it does, the change was not for good.
    if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("the rights of root could be taken back"));
    }
    Ok(())
}

/// No program started from here gains rights by being set-uid.
pub fn gain_no_more() {
    // Older kernels do not know it; then there is nothing to be done.
    let _ = rustix::thread::set_no_new_privs(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_may_read_is_told_by_modes_of_the_file_and_of_all_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("inner"), folder.path().join("inner/file"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&file, "").unwrap();
        let own = User::from_uid(Uid::effective()).unwrap().unwrap().name;
        for (outer_mode, inner_mode, file_mode, others) in [
            (0o755, 0o755, 0o644, true),
            (0o711, 0o711, 0o604, true),
            (0o755, 0o755, 0o600, false),
            (0o755, 0o750, 0o644, false),
            (0o700, 0o755, 0o644, false),
        ] {
            for (path, mode) in
                [(folder.path(), outer_mode), (&*inner, inner_mode), (&*file, file_mode)]
            {
                std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            assert!(may_read(&own, &file), "{file_mode:o}");
            if own != "nobody" && account("nobody").is_some() {
                assert_eq!(may_read("nobody", &file), others, "{outer_mode:o} {inner_mode:o}");
            }
        }
        assert!(may_read("no-such-user", &file) && may_read("root", &file));
        assert!(may_read("nobody", Path::new("/nowhere/file")), "another message says that");
    }
}
