//! The way to a file: which links and folders decide where its name leads.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// The folder in which the file of this name lies, and those of all links on the way to it. Where
/// something on the way is not there, the folder in which it is missing.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let Followed { links, folder, .. } = follow(path);
    let above = |link: &PathBuf| link.parent().map(Path::to_path_buf);
    links.iter().filter_map(above).chain(folder).collect()
}

/// Where a name leads.
#[derive(Debug, Default)]
pub struct Followed {
    /// The links that are followed, each by the name that it really has.
    pub links: Vec<PathBuf>,
    /// The folder at the end, in which the file lies or something is missing.
    pub folder: Option<PathBuf>,
    /// The name that the file really has, or would have if it were there.
    pub file: Option<PathBuf>,
}

/// Follows a name link by link.
pub fn follow(path: &Path) -> Followed {
    let mut at = std::env::current_dir().unwrap_or_else(|_| ".".into());
    let mut followed = Followed::default();
    // The last is the next.
    let mut left = parts(path);
    while let Some(part) = left.pop() {
        let next = at.join(&part);
        if part == ".." {
            // No link is part of `at`.
            at.pop();
        } else if let Ok(target) = fs::read_link(&next) {
            followed.links.push(next);
            if followed.links.len() > LINKS_MAX {
                break;
            }
            left.extend(parts(&target));
        } else if left.is_empty() || !fs::symlink_metadata(&next).is_ok_and(|meta| meta.is_dir()) {
            followed.file = left.is_empty().then_some(next);
            followed.folder = Some(at);
            break;
        } else {
            at = next;
        }
    }
    followed
}

/// The parts of a path, the last one first. The root is one as well: joined to anything, it is what
/// remains.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.rev().map(Component::as_os_str).map(OsStr::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for name in ["v1", "etc", "mid", "store", "deep/deeper"] {
            fs::create_dir_all(top.join(name)).unwrap();
        }
        for name in ["v1/c.pem", "store/1.pem", "deep/deeper/c.pem"] {
            fs::write(top.join(name), "").unwrap();
        }
        for (target, link) in [
            (Path::new("v1"), "current"),
            (Path::new("../mid/cur.pem"), "etc/c.pem"),
            (&top.join("store/1.pem"), "mid/cur.pem"),
            (Path::new("round"), "round"),
            (Path::new("etc/../deep/./deeper"), "crooked"),
        ] {
            symlink(target, top.join(link)).unwrap();
        }
        for (name, want) in [
            ("v1/c.pem", &["v1"][..]),
            ("v1/missing.pem", &["v1"]),
            ("missing/c.pem", &[""]),
            ("current/c.pem", &["", "v1"]),
            ("current/../current/c.pem", &["", "", "v1"]),
            ("etc/c.pem", &["etc", "mid", "store"]),
            ("crooked/c.pem", &["", "deep/deeper"]),
            ("v1/c.pem/x", &["v1"]),
        ] {
            let want: Vec<_> = want.iter().map(|name| top.join(name)).collect();
            // Without the slash that an empty name leaves.
            let want: Vec<PathBuf> = want.iter().map(|path| path.components().collect()).collect();
            assert_eq!(folders(&top.join(name)), want, "{name}");
        }
        let names = ["current", "etc/c.pem", "mid/cur.pem"].map(|name| top.join(name));
        assert_eq!(follow(&top.join("current/../etc/c.pem")).links, names);
        let file = follow(&top.join("etc/c.pem")).file;
        assert_eq!(file, Some(top.join("store/1.pem")));
        assert_eq!(follow(&top.join("missing/c.pem")).file, None);
        assert_eq!(folders(&top.join("round")).len(), LINKS_MAX + 1, "a ring has an end");
        assert_eq!(folders(Path::new("/nowhere/c.pem")), [Path::new("/")]);
    }
}
