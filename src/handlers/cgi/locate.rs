//! Which script answers a path, and where in the path it ends (RFC 3875 §3.3).
//!
//! A script is found by walking down the folder, segment by segment, to the first thing that is a
//! file; what follows it is its `PATH_INFO`. Nothing here opens a script for reading, nor does
//! anything that answers: its text cannot be an answer, however its path is spelled (SECURITY 22).

use crate::handlers::files::resolve::{is_forbidden, is_missing};
use crate::handlers::script_names::{Named, ScriptNames};
use crate::sys::fs::{Kind, Root};
use std::io;
use std::path::PathBuf;

/// A place where scripts may lie.
pub trait Tree {
    /// What lies at a path relative to the root, which is `""`.
    ///
    /// # Errors
    /// It is missing or out of reach.
    fn kind(&self, path: &[u8]) -> io::Result<Kind>;

    /// Whether the server may start it as a program.
    fn is_executable(&self, path: &[u8]) -> bool;
}

impl Tree for Root {
    fn kind(&self, path: &[u8]) -> io::Result<Kind> {
        Ok(self.probe(path)?.kind)
    }

    fn is_executable(&self, path: &[u8]) -> bool {
        self.may_execute(path)
    }
}

/// Who runs scripts with an extension, which is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunBy {
    /// Without dot.
    pub extension: String,
    /// Its absolute path.
    pub program: PathBuf,
}

/// What is known of scripts.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Who runs them.
    pub by: &'a [RunBy],
    /// Which they are, where files lie among them; `None`: whatever can be started.
    pub names: Option<&'a ScriptNames>,
}

impl Known<'_> {
    fn is_file(&self, path: &[u8]) -> bool {
        self.names.is_some_and(|names| names.judge(path) != Named::Script)
    }
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub enum Located<'a> {
    /// A script: so many bytes of the path name it; the rest is for it.
    Script {
        /// Bytes of the path that are the script's.
        end: usize,
        /// Its interpreter; `None`: it runs by itself.
        by: Option<&'a RunBy>,
        /// The path is a folder's, and this is the script in it.
        index: Option<&'a str>,
    },
    /// The path of a folder with such a script, without its slash.
    AddSlash,
    /// Nothing that anybody may know of.
    Missing,
    /// A file that is not executable, and has no interpreter.
    NoProgram,
    /// Something that is no script; why, for the log.
    Forbidden(&'static str),
}

/// Finds the script that `path` leads to: relative to the root of `tree`, decoded and normalised,
/// without a slash at its beginning. `slash`: the whole path ends in one. `index`: names that are
/// tried in folders.
///
/// # Errors
/// The file system is in trouble.
pub fn locate<'a>(
    tree: &impl Tree,
    known: Known<'a>,
    index: &'a [String],
    path: &[u8],
    slash: bool,
) -> io::Result<Located<'a>> {
    let mut end = 0;
    loop {
        let rest = path.get(end..).unwrap_or_default();
        let start = end + usize::from(end > 0 && rest.starts_with(b"/"));
        let segment = path.get(start..).unwrap_or_default();
        let length = memchr::memchr(b'/', segment).unwrap_or(segment.len());
        if length == 0 {
            return Ok(folder(tree, known, index, path, slash));
        }
        if segment.starts_with(b".") {
            return Ok(Located::Missing);
        }
        end = start + length;
        let so_far = path.get(..end).unwrap_or_default();
        match tree.kind(so_far) {
            Ok(Kind::Folder) => {}
            // A file among scripts is for others to answer.
            Ok(Kind::File) if known.is_file(so_far) => return Ok(Located::Missing),
            Ok(Kind::File) => return Ok(judge(tree, known.by, so_far)),
            Ok(Kind::Link | Kind::Other) => return Ok(Located::Forbidden("not a regular file")),
            Err(error) if is_missing(&error) => return Ok(Located::Missing),
            Err(error) if is_forbidden(&error) => {
                return Ok(Located::Forbidden("a folder that may not be entered"));
            }
            Err(error) => return Err(error),
        }
    }
}

fn judge<'a>(tree: &impl Tree, by: &'a [RunBy], path: &[u8]) -> Located<'a> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let extension = memchr::memrchr(b'.', name).and_then(|dot| name.get(dot + 1..));
    let interpreter = extension.and_then(|extension| {
        by.iter().find(|by| by.extension.as_bytes().eq_ignore_ascii_case(extension))
    });
    if interpreter.is_none() && !tree.is_executable(path) {
        return Located::NoProgram;
    }
    Located::Script { end: path.len(), by: interpreter, index: None }
}

/// A folder is answered by the first of the names that is a script there.
fn folder<'a>(
    tree: &impl Tree,
    known: Known<'a>,
    index: &'a [String],
    path: &[u8],
    slash: bool,
) -> Located<'a> {
    let bare = path.strip_suffix(b"/").unwrap_or(path);
    for name in index {
        let gap: &[u8] = if bare.is_empty() { b"" } else { b"/" };
        let file = [bare, gap, name.as_bytes()].concat();
        if name.starts_with('.') || !matches!(tree.kind(&file), Ok(Kind::File)) {
            continue;
        }
        if known.is_file(&file) {
            return Located::Missing;
        }
        match judge(tree, known.by, &file) {
            Located::Script { by, .. } => {
                let script = Located::Script { end: path.len(), by, index: Some(name) };
                return if slash { script } else { Located::AddSlash };
            }
            // Among files it is the index by its name; who has put it there wants to know.
            other if known.names.is_some() => return other,
            _ => {}
        }
    }
    if known.names.is_some() {
        return Located::Missing;
    }
    Located::Forbidden("a folder of scripts is not listed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    /// Names ending in `/` are folders, in `*` executable, in `|` pipes, in `!` out of reach.
    struct Fake(&'static [&'static str]);

    impl Tree for Fake {
        fn kind(&self, path: &[u8]) -> io::Result<Kind> {
            let path = std::str::from_utf8(path).unwrap();
            let has = |end: &str| self.0.contains(&format!("{path}{end}").as_str());
            match () {
                () if has("/") => Ok(Kind::Folder),
                () if has("|") => Ok(Kind::Other),
                () if has("!") => Err(Errno::ACCESS.into()),
                () if has("") || has("*") => Ok(Kind::File),
                () if path == "disk" => Err(Errno::IO.into()),
                () => Err(Errno::NOENT.into()),
            }
        }

        fn is_executable(&self, path: &[u8]) -> bool {
            self.0.contains(&format!("{}*", std::str::from_utf8(path).unwrap()).as_str())
        }
    }

    #[test]
    fn a_path_is_cut_at_the_script() {
        let tree = Fake(&[
            "a*",
            "sub/",
            "sub/b.sh*",
            "sub/deep/",
            "text.txt",
            "page.php",
            "x.PHP*",
            "fifo|",
            "closed!",
            ".hidden*",
            "sub/.git/",
            "sub/.git/hook*",
            "php",
        ]);
        let by = [RunBy { extension: "php".into(), program: "/usr/bin/php-cgi".into() }];
        let script = |end, by| Located::Script { end, by, index: None };
        let look = |path: &str| {
            let slash = path.is_empty() || path.ends_with('/');
            locate(&tree, Known { by: &by, names: None }, &[], path.as_bytes(), slash)
        };
        let php = || Some(&by[0]);
        for (path, want) in [
            ("a", script(1, None)),
            ("a/", script(1, None)),
            ("a/info/.more", script(1, None)),
            ("sub/b.sh/x", script(8, None)),
            ("page.php", script(8, php())),
            ("page.php/a/b", script(8, php())),
            ("x.PHP", script(5, php())),
        ] {
            assert_eq!(look(path).unwrap(), want, "{path}");
        }
        for path in
            [".hidden", "sub/.git/hook", "none", "sub/none/b.sh", "a.sh", "A", "a ", "sub/.", "."]
        {
            let found = look(path).unwrap();
            assert_eq!(found, Located::Missing, "{path}");
        }
        for path in ["", "sub", "sub/", "sub/deep", "text.txt", "php", "fifo", "closed", "closed/x"]
        {
            let found = look(path).unwrap();
            let refused = matches!(found, Located::Forbidden(_) | Located::NoProgram);
            assert!(refused, "{path}: {found:?}");
        }
        assert!(look("disk").is_err());
    }

    #[test]
    fn folders_have_an_index() {
        let tree = Fake(&["index.html", "index.php", "sub/", "sub/index.html", "sub/run*", "x/"]);
        let by = [RunBy { extension: "php".into(), program: "/usr/bin/php-cgi".into() }];
        let index = ["index.html", "index.php", "run", ".hidden"].map(str::to_owned);
        let known = Known { by: &by, names: None };
        let look =
            |path: &str, slash| locate(&tree, known, &index, path.as_bytes(), slash).unwrap();
        let script = |end, by, index| Located::Script { end, by, index: Some(index) };
        assert_eq!(look("", true), script(0, Some(&by[0]), "index.php"));
        assert_eq!(look("sub/", true), script(4, None, "run"));
        assert_eq!(look("", false), Located::AddSlash);
        assert_eq!(look("sub", false), Located::AddSlash);
        assert!(matches!(look("x/", true), Located::Forbidden(_)));
    }

    #[test]
    fn among_files_a_name_says_what_is_a_script() {
        let tree = Fake(&[
            "index.html",
            "index.php",
            "a.png",
            "run*",
            "old.php~",
            "x.cgi",
            "y.cgi*",
            "wiki/",
            "wiki/index.php",
            "plain/",
            "plain/index.html",
            "plain/index.php",
            "d.php/",
            "d.php/a.css",
        ]);
        let by = [RunBy { extension: "php".into(), program: "/usr/bin/php-cgi".into() }];
        let names = ScriptNames::new(["php".to_owned()]);
        let index = ["index.html", "index.php"].map(str::to_owned);
        let known = Known { by: &by, names: Some(&names) };
        let look =
            |path: &str, slash| locate(&tree, known, &index, path.as_bytes(), slash).unwrap();
        let script = |end, by, index| Located::Script { end, by, index };
        assert_eq!(look("index.php/a/b", false), script(9, Some(&by[0]), None));
        assert_eq!(look("y.cgi", false), script(5, None, None));
        assert_eq!(look("x.cgi", false), Located::NoProgram);
        assert_eq!(look("wiki/", true), script(5, Some(&by[0]), Some("index.php")));
        for path in ["", "a.png", "run", "old.php~", "plain/", "none.php", "d.php/a.css", "d.php/"]
        {
            assert_eq!(
                look(path, path.ends_with('/') || path.is_empty()),
                Located::Missing,
                "{path}"
            );
        }
    }
}
