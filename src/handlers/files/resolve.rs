//! Which file answers a path.
//!
//! Only the decision: what lies where is asked of a [`Tree`], and every question is told to a
//! listener, so that the same code answers requests and explains itself.

use rustix::io::Errno;
use std::io;

/// Where files lie.
pub trait Tree {
    /// An opened file.
    type File;

    /// What lies at a path relative to the root, which is `""`. Files come opened, so that nothing
    /// can change between looking and serving.
    ///
    /// # Errors
    /// It is missing or out of reach.
    fn look(&self, path: &[u8]) -> io::Result<Found<Self::File>>;
}

/// What lies at a path.
#[derive(Debug)]
pub enum Found<F> {
    /// A regular file.
    File(F),
    /// A folder.
    Folder,
    /// Something that is never served: a pipe, a socket, a device.
    Other,
}

/// What a route allows.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Names that begin with a dot are served.
    pub hidden: bool,
    /// `/about` may be answered with `about.html`.
    pub clean_urls: bool,
    /// Names tried in a folder.
    pub index: Vec<String>,
    /// The file that answers pages that match no file.
    pub fallback: Option<String>,
    /// Folders without index page are listed.
    pub listing: bool,
    /// The root without index page says that it works.
    pub welcome: bool,
    /// An application answers what is no file: a folder that has nothing to show is none either.
    pub yields: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The path below the route, without leading slash.
    pub path: &'a [u8],
    /// The path of the URL ends in a slash. For the root of a route, `path` does not tell.
    pub slash: bool,
    /// The client would take a page of HTML.
    pub wants_page: bool,
}

/// What answers.
#[derive(Debug)]
pub enum Resolution<F> {
    /// This file.
    File {
        /// Where it lies.
        path: Vec<u8>,
        /// It.
        file: F,
        /// Nothing was looked for in vain before it: as long as it is the same file, it is the
        /// answer.
        certain: bool,
    },
    /// The file that stands in for pages.
    Fallback {
        /// Where it lies.
        path: Vec<u8>,
        /// It.
        file: F,
    },
    /// The path of the URL with a slash at its end.
    AddSlash,
    /// A page that lists this folder.
    Listing(Vec<u8>),
    /// The page that says that it works.
    Welcome,
    /// Nothing, and why.
    Missing(&'static str),
    /// Something that must not be seen, and why.
    Forbidden(&'static str),
}

/// Why there is no answer, for logs and `explain`.
mod why {
    pub(super) const HIDDEN: &str = "a name that begins with a dot, and `hidden` is off";
    pub(super) const ABSENT: &str = "no such file";
    pub(super) const SLASH: &str = "a file, and the path ends in a slash as that of a folder";
    pub(super) const OTHER: &str = "neither a file nor a folder";
    pub(super) const CLOSED: &str = "a file that the server may not read, or that is kept closed";
    pub(super) const NO_INDEX: &str = "a folder without index page, and `listing` is off";
    pub(super) const INDEX_CLOSED: &str =
        "a folder whose index page the server may not read, or that is kept closed";
    pub(super) const NO_PAGE_WANTED: &str =
        "no such file, and `fallback` is for requests whose Accept names text/html";
}

/// A step on the way to the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the paths are relative to the root
pub enum Step<'a> {
    /// A name begins with a dot.
    Hidden { path: &'a [u8] },
    /// Something was looked for.
    Looked { path: &'a [u8], found: Seen },
    /// Nothing lies there, so that `fallback` is tried.
    FallingBack { path: &'a [u8] },
    /// Nothing lies there, and `fallback` is not for this client.
    NotFallingBack { path: &'a [u8] },
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is its name
pub enum Seen {
    File,
    Folder,
    Other,
    Missing,
    /// A link that is absolute, leads out of the root, or in circles.
    Unfollowed,
    Forbidden,
}

/// Decides what answers a question.
///
/// # Errors
/// What the tree says and has nothing to do with the path: no descriptors, a broken disk.
pub fn resolve<T: Tree>(
    tree: &T,
    rules: &Rules,
    question: Question<'_>,
    trace: &mut dyn FnMut(Step<'_>),
) -> io::Result<Resolution<T::File>> {
    let path = question.path.strip_suffix(b"/").unwrap_or(question.path);
    if !rules.hidden && is_hidden(path) {
        trace(Step::Hidden { path });
        return Ok(Resolution::Missing(why::HIDDEN));
    }
    let mut search = Search { tree, trace };
    let answer = match search.look(path)? {
        Looked::Found(Found::File(_)) if question.slash => Resolution::Missing(why::SLASH),
        Looked::Found(Found::File(file)) => {
            Resolution::File { path: path.to_vec(), file, certain: true }
        }
        Looked::Found(Found::Folder) if !question.slash => match rules.yields {
            true if matches!(search.folder(rules, path)?, Resolution::Forbidden(_)) => {
                Resolution::Missing(why::ABSENT)
            }
            _ => Resolution::AddSlash,
        },
        Looked::Found(Found::Folder) => search.folder(rules, path)?,
        Looked::Found(Found::Other) => Resolution::Forbidden(why::OTHER),
        Looked::Forbidden => Resolution::Forbidden(why::CLOSED),
        Looked::Missing if rules.clean_urls && !question.slash && !path.is_empty() => {
            search.clean_url(path)?
        }
        Looked::Missing => Resolution::Missing(why::ABSENT),
    };
    // A folder that has nothing to show is a page that matches no file, like one that is missing.
    let has_nothing = matches!(answer, Resolution::Missing(_))
        || (question.slash && matches!(answer, Resolution::Forbidden(_) | Resolution::Welcome));
    match &rules.fallback {
        Some(fallback) if question.wants_page && has_nothing => {
            Ok(search.fallback(fallback.as_bytes())?.unwrap_or(answer))
        }
        Some(fallback) if has_nothing => {
            (search.trace)(Step::NotFallingBack { path: fallback.as_bytes() });
            Ok(match answer {
                Resolution::Missing(why::ABSENT) => Resolution::Missing(why::NO_PAGE_WANTED),
                answer => answer,
            })
        }
        _ => Ok(answer),
    }
}

/// Whether a segment begins with a dot. `.well-known` at the root is public (RFC 8615).
pub fn is_hidden(path: &[u8]) -> bool {
    path.split(|b| *b == b'/')
        .enumerate()
        .any(|(at, segment)| segment.starts_with(b".") && !(at == 0 && segment == b".well-known"))
}

/// Whether an error of the file system means that there is no such file, and not that the server
/// is in trouble. Links that lead out, and names no file can have, are no files.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NOENT
                | Errno::NOTDIR
                | Errno::NAMETOOLONG
                | Errno::LOOP
                | Errno::XDEV
                | Errno::INVAL
                | Errno::ILSEQ
        )
    ) || error.kind() == io::ErrorKind::InvalidInput
}

/// Whether an error means that a link was not followed.
pub fn is_unfollowed(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::XDEV))
}

/// Whether an error means that the file must not be read. A socket cannot be opened at all.
pub fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV)
    )
}

enum Looked<F> {
    Found(Found<F>),
    Missing,
    Forbidden,
}

struct Search<'a, T> {
    tree: &'a T,
    trace: &'a mut dyn FnMut(Step<'_>),
}

impl<T: Tree> Search<'_, T> {
    fn look(&mut self, path: &[u8]) -> io::Result<Looked<T::File>> {
        let (look, found) = match self.tree.look(path) {
            Ok(found) => {
                let seen = match found {
                    Found::File(_) => Seen::File,
                    Found::Folder => Seen::Folder,
                    Found::Other => Seen::Other,
                };
                (Looked::Found(found), seen)
            }
            Err(error) if is_unfollowed(&error) => (Looked::Missing, Seen::Unfollowed),
            Err(error) if is_missing(&error) => (Looked::Missing, Seen::Missing),
            Err(error) if is_forbidden(&error) => (Looked::Forbidden, Seen::Forbidden),
            Err(error) => return Err(error),
        };
        (self.trace)(Step::Looked { path, found });
        Ok(look)
    }

    fn folder(&mut self, rules: &Rules, folder: &[u8]) -> io::Result<Resolution<T::File>> {
        for (at, name) in rules.index.iter().enumerate() {
            let path = match folder {
                b"" => name.clone().into_bytes(),
                folder => [folder, b"/", name.as_bytes()].concat(),
            };
            match self.look(&path)? {
                Looked::Found(Found::File(file)) => {
                    return Ok(Resolution::File { path, file, certain: at == 0 });
                }
                Looked::Forbidden => return Ok(Resolution::Forbidden(why::INDEX_CLOSED)),
                Looked::Found(_) | Looked::Missing => {}
            }
        }
        Ok(match (rules.listing, rules.welcome && folder.is_empty()) {
            (true, _) => Resolution::Listing(folder.to_vec()),
            (false, true) => Resolution::Welcome,
            (false, false) => Resolution::Forbidden(why::NO_INDEX),
        })
    }

    fn clean_url(&mut self, path: &[u8]) -> io::Result<Resolution<T::File>> {
        let path = [path, b".html"].concat();
        Ok(match self.look(&path)? {
            Looked::Found(Found::File(file)) => Resolution::File { path, file, certain: false },
            Looked::Forbidden => Resolution::Forbidden(why::CLOSED),
            Looked::Found(_) | Looked::Missing => Resolution::Missing(why::ABSENT),
        })
    }

    fn fallback(&mut self, path: &[u8]) -> io::Result<Option<Resolution<T::File>>> {
        (self.trace)(Step::FallingBack { path });
        Ok(match self.look(path)? {
            Looked::Found(Found::File(file)) => {
                Some(Resolution::Fallback { path: path.into(), file })
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths ending in `/` are folders, in `|` pipes, in `!` forbidden, in `@` links that lead out.
    struct Fake(&'static [&'static str]);

    impl Tree for Fake {
        type File = String;

        fn look(&self, path: &[u8]) -> io::Result<Found<String>> {
            let path = std::str::from_utf8(path).unwrap();
            let has = |end: &str| self.0.contains(&format!("{path}{end}").as_str());
            match () {
                () if path.is_empty() || has("/") => Ok(Found::Folder),
                () if has("|") => Ok(Found::Other),
                () if has("!") => Err(Errno::ACCESS.into()),
                () if has("@") => Err(Errno::XDEV.into()),
                () if has("") => Ok(Found::File(path.into())),
                () if path == "disk" => Err(Errno::IO.into()),
                () => Err(Errno::NOENT.into()),
            }
        }
    }

    const TREE: Fake = Fake(&[
        "index.html",
        "a.txt",
        "about.html",
        "sub/",
        "sub/second.html",
        "empty/",
        "pipe|",
        "secret!",
        "out@",
        "page.html@",
        "turned/",
        "turned/index.html@",
        ".env",
        ".git/",
        ".git/config",
        ".well-known/",
        ".well-known/x",
        "spa.html",
        "dir.html/",
        "locked/",
        "locked/index.html!",
        "sub/.well-known/",
        "sub/.well-known/x",
    ]);

    fn rules() -> Rules {
        Rules { index: vec!["index.html".into(), "second.html".into()], ..Rules::default() }
    }

    fn ask(rules: &Rules, url: &str, wants_page: bool) -> String {
        let path = url.strip_prefix('/').unwrap().as_bytes();
        let question = Question { path, slash: url.ends_with('/'), wants_page };
        match resolve(&TREE, rules, question, &mut |_| {}) {
            Ok(Resolution::File { path, file, certain }) => {
                assert_eq!(path, file.as_bytes());
                format!("{file}{}", if certain { "" } else { "?" })
            }
            Ok(Resolution::Fallback { file, .. }) => format!("fallback {file}"),
            Ok(Resolution::Missing(_)) => "Missing".into(),
            Ok(Resolution::Forbidden(_)) => "Forbidden".into(),
            Ok(Resolution::Listing(path)) => format!("list {}", path.escape_ascii()),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn plain_rules() {
        for (url, want) in [
            ("/", "index.html"),
            ("/a.txt", "a.txt"),
            ("/a.txt/", "Missing"),
            ("/sub", "AddSlash"),
            ("/sub/", "sub/second.html?"),
            ("/empty/", "Forbidden"),
            ("/none", "Missing"),
            ("/none/", "Missing"),
            ("/about", "Missing"),
            ("/pipe", "Forbidden"),
            ("/secret", "Forbidden"),
            ("/out", "Missing"),
            ("/turned/", "Forbidden"),
            ("/locked/", "Forbidden"),
            ("/.env", "Missing"),
            ("/.git/config", "Missing"),
            ("/.git/", "Missing"),
            ("/.well-known/x", ".well-known/x"),
            ("/sub/.well-known/x", "Missing"),
        ] {
            assert_eq!(ask(&rules(), url, true), want, "{url}");
        }
        assert!(ask(&rules(), "/disk", true).starts_with("Uncategorized"));
    }

    #[test]
    fn reasons_are_true() {
        let with_fallback = || Rules { fallback: Some("spa.html".into()), ..rules() };
        let gone = || Rules { fallback: Some("gone.html".into()), ..rules() };
        let clean = || Rules { clean_urls: true, ..rules() };
        for (rules, url, wants_page, want) in [
            (rules(), "/empty/", true, why::NO_INDEX),
            (rules(), "/locked/", true, why::INDEX_CLOSED),
            (rules(), "/secret", true, why::CLOSED),
            (rules(), "/pipe", true, why::OTHER),
            (rules(), "/a.txt/", true, why::SLASH),
            (rules(), "/none", true, why::ABSENT),
            (clean(), "/none", true, why::ABSENT),
            (rules(), "/.env", true, why::HIDDEN),
            (with_fallback(), "/none", false, why::NO_PAGE_WANTED),
            (with_fallback(), "/empty/", false, why::NO_INDEX),
            (with_fallback(), "/.env", false, why::HIDDEN),
            (gone(), "/none", true, why::ABSENT),
        ] {
            let path = url.strip_prefix('/').unwrap().as_bytes();
            let question = Question { path, slash: url.ends_with('/'), wants_page };
            match resolve(&TREE, &rules, question, &mut |_| {}).unwrap() {
                Resolution::Missing(why) | Resolution::Forbidden(why) => {
                    assert_eq!(why, want, "{url}");
                }
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_can_be_allowed() {
        let bare = || Rules { index: vec![], ..rules() };
        for (name, rules, url, wants_page, want) in [
            ("hidden", Rules { hidden: true, ..rules() }, "/.env", true, ".env"),
            ("clean", Rules { clean_urls: true, ..rules() }, "/about", true, "about.html?"),
            ("clean folder", Rules { clean_urls: true, ..rules() }, "/dir", true, "Missing"),
            ("clean slash", Rules { clean_urls: true, ..rules() }, "/about/", true, "Missing"),
            ("listing", Rules { listing: true, ..rules() }, "/empty/", true, "list empty"),
            ("welcome", Rules { welcome: true, ..bare() }, "/", true, "Welcome"),
            ("welcome below", Rules { welcome: true, ..bare() }, "/empty/", true, "Forbidden"),
            ("both", Rules { welcome: true, listing: true, ..bare() }, "/", true, "list "),
            ("nothing to show", Rules { yields: true, ..rules() }, "/empty", true, "Missing"),
            ("locked", Rules { yields: true, ..rules() }, "/locked", true, "Missing"),
            ("index", Rules { yields: true, ..rules() }, "/sub", true, "AddSlash"),
            (
                "listed",
                Rules { yields: true, listing: true, ..rules() },
                "/empty",
                true,
                "AddSlash",
            ),
        ] {
            assert_eq!(ask(&rules, url, wants_page), want, "{name}");
        }
    }

    #[test]
    fn the_fallback_is_for_pages_that_match_nothing() {
        let rules = Rules { fallback: Some("spa.html".into()), ..rules() };
        for (url, wants_page, want) in [
            ("/user/7", true, "fallback spa.html"),
            ("/user/7", false, "Missing"),
            ("/empty/", true, "fallback spa.html"),
            ("/a.txt", true, "a.txt"),
            ("/secret", true, "Forbidden"),
            ("/.env", true, "Missing"),
        ] {
            assert_eq!(ask(&rules, url, wants_page), want, "{url} {wants_page}");
        }
    }

    #[test]
    fn steps_are_told() {
        let mut steps = Vec::new();
        let question = Question { path: b"sub/", slash: true, wants_page: true };
        resolve(&TREE, &rules(), question, &mut |step| steps.push(format!("{step:?}"))).unwrap();
        assert_eq!(steps.len(), 3, "{steps:?}");
        for (path, slash) in [("out", false), ("turned/", true), ("page", false)] {
            let question = Question { path: path.as_bytes(), slash, wants_page: true };
            let rules = Rules { clean_urls: true, ..rules() };
            let mut unfollowed = 0;
            resolve(&TREE, &rules, question, &mut |step| {
                unfollowed +=
                    usize::from(matches!(step, Step::Looked { found: Seen::Unfollowed, .. }));
            })
            .unwrap();
            assert_eq!(unfollowed, 1, "{path}");
        }
    }
}
