//! Which files among others are scripts, by their names: their text is never an answer. Pure.

/// Extensions of scripts, without dot, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptNames {
    extensions: Vec<String>,
}

/// What a name says of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is a script.
    Script,
    /// It has the text of one: `a.php~`, `a.php.bak`, `a.phps`.
    Copy,
    /// Neither.
    Other,
}

/// Scripts wherever files and scripts lie together.
const ALWAYS: [&str; 1] = ["cgi"];

/// Extensions that have the text of scripts with another one, which nobody runs here.
const RELATED: [(&str, &[&str]); 5] = [
    ("cgi", &["fcgi"]),
    ("php", &["php3", "php4", "php5", "php7", "php8", "phtml", "phps", "pht", "phar", "inc"]),
    ("pl", &["pm", "plx"]),
    ("py", &["pyc", "pyo", "pyw"]),
    ("rb", &["rbw"]),
];

/// What begins like a script's name and ends so is a page, a style or a picture: `index.pl.html` is
/// one in Polish.
const CONTENT: [&str; 22] = [
    "html", "htm", "xhtml", "css", "js", "mjs", "svg", "png", "gif", "jpg", "jpeg", "webp", "avif",
    "ico", "woff", "woff2", "ttf", "otf", "mp3", "mp4", "webm", "pdf",
];

impl ScriptNames {
    /// Those with these extensions, and those that are scripts anyway.
    pub fn new(extensions: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<String> =
            ALWAYS.map(str::to_owned).into_iter().chain(extensions).collect();
        all.sort();
        all.dedup();
        Self { extensions: all }
    }

    /// What the last segment of `path` says.
    pub fn judge(&self, path: &[u8]) -> Named {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_ascii_lowercase();
        let last = memchr::memrchr(b'.', &name).and_then(|dot| name.get(dot + 1..));
        let is_last = |known: &str| last == Some(known.as_bytes());
        if self.extensions.iter().any(|extension| is_last(extension)) {
            return Named::Script;
        }
        if CONTENT.into_iter().any(is_last) {
            return Named::Other;
        }
        let related = RELATED.iter().filter(|(of, _)| self.extensions.iter().any(|e| e == of));
        let mut known = related.flat_map(|(_, all)| *all);
        let mut all = self.extensions.iter().map(String::as_str);
        match all.any(|e| continues(&name, e)) || known.any(|e| continues(&name, e)) {
            true => Named::Copy,
            false => Named::Other,
        }
    }

    /// Whether a file is not shown: a script, a copy of one, or a program that is no content by its
    /// name.
    pub fn hide(&self, path: &[u8], is_executable: bool) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_ascii_lowercase();
        let ends =
            |known: &str| name.strip_suffix(known.as_bytes()).is_some_and(|n| n.ends_with(b"."));
        self.judge(path) != Named::Other || is_executable && !CONTENT.into_iter().any(ends)
    }
}

/// Whether a name has this extension, with nothing or something that is no letter or digit after it.
fn continues(name: &[u8], extension: &str) -> bool {
    memchr::memchr_iter(b'.', name).any(|dot| {
        let after = name.get(dot + 1..).and_then(|after| after.strip_prefix(extension.as_bytes()));
        after.is_some_and(|after| after.first().is_none_or(|b| !b.is_ascii_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_has_the_text_of_a_script() {
        let names = ScriptNames::new(["php".to_owned(), "pl".to_owned()]);
        for (name, want) in [
            ("index.php", Named::Script),
            ("sub/Index.PHP", Named::Script),
            ("x.cgi", Named::Script),
            ("x.tar.php", Named::Script),
            (".php", Named::Script),
            ("index.php~", Named::Copy),
            ("index.php.bak", Named::Copy),
            ("index.php.txt", Named::Copy),
            ("index.php.gz", Named::Copy),
            ("index.PHP.", Named::Copy),
            ("index.php ", Named::Copy),
            ("index.php_old", Named::Copy),
            ("#index.php#", Named::Copy),
            (".index.php.swp", Named::Copy),
            ("index.php::$DATA", Named::Copy),
            ("index.phps", Named::Copy),
            ("index.phtml", Named::Copy),
            ("index.php5", Named::Copy),
            ("common.inc", Named::Copy),
            ("Module.pm", Named::Copy),
            ("x.fcgi", Named::Copy),
            ("index.pl.html", Named::Other),
            ("a.png", Named::Other),
            ("php", Named::Other),
            ("x.phpx", Named::Other),
            ("x.py", Named::Other),
            ("x.php/style.css", Named::Other),
            ("README", Named::Other),
            ("", Named::Other),
        ] {
            assert_eq!(names.judge(name.as_bytes()), want, "{name}");
        }
        for (name, is_executable, hidden) in [
            ("run.sh", true, true),
            ("install.sh", false, false),
            ("tool", true, true),
            ("a.png", true, false),
            ("a.php", false, true),
        ] {
            assert_eq!(names.hide(name.as_bytes(), is_executable), hidden, "{name}");
        }
    }
}
