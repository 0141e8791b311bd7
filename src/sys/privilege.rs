//! Giving up rights that are not needed to serve.

use nix::unistd::{Gid, Uid, User, initgroups, setgid, setuid};
use std::ffi::CString;
use std::io;

/// The number of a user, and of the group that belongs to it; `None`: there is no such user.
pub fn account(name: &str) -> Option<(u32, u32)> {
    let user = User::from_name(name).ok().flatten()?;
    Some((user.uid.as_raw(), user.gid.as_raw()))
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
