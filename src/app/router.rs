//! Method and path to route. Pure: patterns and texts, nothing else.
//!
//! A tree of path segments. Where several patterns fit, a fixed segment beats a typed one, a typed
//! one a plain one, and any of them the rest of the path; the order in which routes were added
//! means nothing. A path that fits a better pattern with another method still finds the worse one
//! with its own.

use std::collections::BTreeSet;
use std::ops::Range;

/// Parameters of one pattern.
pub(super) const PARAMS_MAX: usize = 8;

/// Segments of one pattern: the search goes that deep.
const SEGMENTS_MAX: usize = 32;

/// All routes of an application.
#[derive(Debug, Default)]
pub(super) struct Router {
    root: Node,
    leaves: Vec<Leaf>,
}

#[derive(Debug, Default)]
struct Node {
    fixed: Vec<(Box<str>, Self)>,
    typed: Vec<(Kind, Self)>,
    plain: Option<Box<Self>>,
    /// The leaf of what ends here, and of what takes all the rest.
    leaf: Option<usize>,
    rest: Option<usize>,
}

/// One pattern, whatever its parameters are called, with the routes of its methods.
#[derive(Debug, Default)]
struct Leaf {
    routes: Vec<(Box<str>, usize)>,
}

/// What a typed parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Uuid,
    Uint,
    Int,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment<'p> {
    Fixed(&'p str),
    Typed(Kind, &'p str),
    Plain(&'p str),
    Rest(&'p str),
}

/// Where the parameters of a match lie in its path, in the order of the pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    spans: [(u16, u16); PARAMS_MAX],
    len: u8,
}

/// What a method and a path come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This route answers.
    Route(usize, Params),
    /// Nobody takes OPTIONS itself; these methods are there.
    Options(String),
    /// The path has routes, for these methods.
    NotAllowed(String),
    /// The path has routes if a slash is added.
    AddSlash,
    /// No route has the path.
    Missing,
}

impl Router {
    /// Adds route number `route` for one method. Returns the names of its parameters.
    ///
    /// # Errors
    /// What is wrong with the pattern, or that it is taken.
    pub(super) fn add(
        &mut self,
        method: &str,
        pattern: &str,
        route: usize,
    ) -> Result<Vec<Box<str>>, String> {
        let segments = parse(pattern)?;
        let mut names: Vec<Box<str>> = Vec::new();
        let mut node = &mut self.root;
        let mut leaf = None;
        for segment in &segments {
            let (Segment::Typed(_, name) | Segment::Plain(name) | Segment::Rest(name)) = segment
            else {
                let Segment::Fixed(text) = segment else { continue };
                node = child(&mut node.fixed, |own| **own == **text, || (*text).into());
                continue;
            };
            names.push((*name).into());
            match segment {
                Segment::Typed(kind, _) => {
                    // The narrower is tried first, whatever was added first.
                    if !node.typed.iter().any(|(own, _)| own == kind) {
                        node.typed.push((*kind, Node::default()));
                        node.typed.sort_by_key(|(kind, _)| *kind);
                    }
                    node = child(&mut node.typed, |own| own == kind, || *kind);
                }
                Segment::Rest(_) => leaf = Some(&mut node.rest),
                _ => node = node.plain.get_or_insert_default(),
            }
            if leaf.is_some() {
                break;
            }
        }
        let place = match leaf {
            Some(place) => place,
            None => &mut node.leaf,
        };
        let number = *place.get_or_insert(self.leaves.len());
        if number == self.leaves.len() {
            self.leaves.push(Leaf::default());
        }
        // Both branches above leave a leaf of that number.
        let Some(leaf) = self.leaves.get_mut(number) else { return Err("no room".into()) };
        if leaf.routes.iter().any(|(own, _)| **own == *method) {
            return Err(format!("{method} {pattern} is there already"));
        }
        leaf.routes.push((method.into(), route));
        Ok(names)
    }

    /// Whether any route takes this method: 404, not 501, where none of that path does. What HTTP
    /// itself defines is known.
    pub(super) fn knows(&self, method: &str) -> bool {
        let own =
            || self.leaves.iter().flat_map(|leaf| &leaf.routes).any(|(own, _)| **own == *method);
        crate::http::Method::from_token(method.as_bytes()) != crate::http::Method::Extension
            || own()
    }

    /// Who answers `method` on `path`, which begins with a slash.
    pub(super) fn find(&self, method: &str, path: &str) -> Found {
        let mut search = Search { router: self, method, path, allowed: BTreeSet::new() };
        let Some(rest) = path.strip_prefix('/') else { return Found::Missing };
        if path.len() > usize::from(u16::MAX) {
            return Found::Missing;
        }
        let start = path.len() - rest.len();
        if let Some((route, params)) = search.walk(&self.root, start, Params::default()) {
            return Found::Route(route, params);
        }
        if !search.allowed.is_empty() {
            let methods = allow(&search.allowed);
            return match method {
                "OPTIONS" => Found::Options(methods),
                _ => Found::NotAllowed(methods),
            };
        }
        if !path.ends_with('/') {
            let with_slash = format!("{path}/");
            let mut search = Search { path: &with_slash, ..search };
            let found = search.walk(&self.root, start, Params::default());
            // `/x/{rest:path}` takes no empty rest, so that this is always a pattern with a slash.
            if found.is_some() || !search.allowed.is_empty() {
                return Found::AddSlash;
            }
        }
        Found::Missing
    }
}

/// The child for a key, made if it is not there.
fn child<K>(
    children: &mut Vec<(K, Node)>,
    is: impl Fn(&K) -> bool,
    key: impl FnOnce() -> K,
) -> &mut Node {
    let place = children.iter().position(|(own, _)| is(own)).unwrap_or_else(|| {
        children.push((key(), Node::default()));
        children.len() - 1
    });
    &mut children[place].1
}

struct Search<'s> {
    router: &'s Router,
    method: &'s str,
    path: &'s str,
    /// Methods of patterns that fit but for the method.
    allowed: BTreeSet<&'s str>,
}

impl<'s> Search<'s> {
    /// Each node is at one depth, and a depth at one place of the path: none is visited twice.
    fn walk(&mut self, node: &'s Node, start: usize, params: Params) -> Option<(usize, Params)> {
        let rest = self.path.get(start..)?;
        let (text, next) = match rest.split_once('/') {
            Some((text, _)) => (text, Some(start + text.len() + 1)),
            None => (rest, None),
        };
        let step = |search: &mut Self, node: &'s Node, params: Params| match next {
            Some(next) => search.walk(node, next, params),
            None => search.arrive(node.leaf, params),
        };
        if let Some((_, below)) = node.fixed.iter().find(|(own, _)| **own == *text)
            && let Some(found) = step(self, below, params)
        {
            return Some(found);
        }
        let taken = params.and(start, text.len());
        for (kind, below) in &node.typed {
            if kind.takes(text)
                && let Some(found) = step(self, below, taken)
            {
                return Some(found);
            }
        }
        if let Some(below) = &node.plain
            && !text.is_empty()
            && let Some(found) = step(self, below, taken)
        {
            return Some(found);
        }
        if node.rest.is_some() && !rest.is_empty() {
            return self.arrive(node.rest, params.and(start, rest.len()));
        }
        None
    }

    fn arrive(&mut self, leaf: Option<usize>, params: Params) -> Option<(usize, Params)> {
        let leaf = self.router.leaves.get(leaf?)?;
        let of = |method: &str| leaf.routes.iter().find(|(own, _)| **own == *method);
        let found = of(self.method).or_else(|| of("GET").filter(|_| self.method == "HEAD"));
        if let Some((_, route)) = found {
            return Some((*route, params));
        }
        self.allowed.extend(leaf.routes.iter().map(|(method, _)| &**method));
        None
    }
}

impl Params {
    fn and(mut self, start: usize, len: usize) -> Self {
        if let Some(span) = self.spans.get_mut(usize::from(self.len)) {
            *span = (start as u16, (start + len) as u16);
            self.len += 1;
        }
        self
    }

    /// The text of parameter number `n` in the path that was matched.
    pub(super) fn get<'p>(&self, n: usize, path: &'p str) -> Option<&'p str> {
        path.get(self.span(n)?)
    }

    /// Where it lies.
    pub(super) fn span(&self, n: usize) -> Option<Range<usize>> {
        let (start, end) = *self.spans.get(..usize::from(self.len))?.get(n)?;
        Some(usize::from(start)..usize::from(end))
    }
}

impl Kind {
    fn takes(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Uint => digits(text) && text.parse::<u64>().is_ok(),
            Self::Int => {
                digits(text.strip_prefix('-').unwrap_or(text)) && text.parse::<i64>().is_ok()
            }
            Self::Uuid => {
                let right = |(n, b): (usize, u8)| match n {
                    8 | 13 | 18 | 23 => b == b'-',
                    _ => b.is_ascii_hexdigit(),
                };
                text.len() == 36 && text.bytes().enumerate().all(right)
            }
        }
    }
}

/// The value of `Allow`: what is there, and what comes with it.
fn allow(methods: &BTreeSet<&str>) -> String {
    let mut all: BTreeSet<&str> = methods.clone();
    if all.contains("GET") {
        all.insert("HEAD");
    }
    all.insert("OPTIONS");
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn parse(pattern: &str) -> Result<Vec<Segment<'_>>, String> {
    let wrong = |why: &str| Err(format!("the pattern {pattern:?} {why}"));
    let Some(rest) = pattern.strip_prefix('/') else { return wrong("does not begin with a slash") };
    let mut segments = Vec::new();
    let mut names = BTreeSet::new();
    for text in rest.split('/') {
        if matches!(segments.last(), Some(Segment::Rest(_))) {
            return wrong("goes on after a {name:path}, which takes all the rest");
        }
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            if text.contains(['{', '}', '<', '>']) {
                return wrong("has a parameter that is not a whole segment {name} or {name:type}");
            }
            if let Some(why) = unreachable(text) {
                return wrong(why);
            }
            segments.push(Segment::Fixed(text));
            continue;
        };
        let (name, kind) = inner.split_once(':').unwrap_or((inner, ""));
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return wrong("has a parameter whose name is not made of letters, digits and _");
        }
        if !names.insert(name) {
            return wrong("has two parameters of the same name");
        }
        segments.push(match kind {
            "" | "str" => Segment::Plain(name),
            "int" => Segment::Typed(Kind::Int, name),
            "uint" => Segment::Typed(Kind::Uint, name),
            "uuid" => Segment::Typed(Kind::Uuid, name),
            "path" => Segment::Rest(name),
            _ => return wrong("has a type that is none of int, uint, uuid and path"),
        });
    }
    if names.len() > PARAMS_MAX || segments.len() > SEGMENTS_MAX {
        return wrong("has more than 8 parameters or 32 segments");
    }
    if rest.split('/').rev().skip(1).any(str::is_empty) {
        return wrong("has an empty segment, which no path has");
    }
    Ok(segments)
}

/// Why no path, or none that anybody would think of, has this segment.
fn unreachable(text: &str) -> Option<&'static str> {
    let is_escape = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if matches!(text, "." | "..") {
        return Some("has a segment . or .., which no path has when it is asked for");
    }
    if text.contains(['?', '#']) {
        return Some("goes on after the path: a query is read with `args`");
    }
    if text.match_indices('%').any(|(at, _)| is_escape(at)) {
        return Some("is percent-encoded, and paths are decoded before they are compared");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn router(patterns: &[&str]) -> Router {
        let mut router = Router::default();
        for (number, pattern) in patterns.iter().enumerate() {
            let (method, pattern) = pattern.split_once(' ').unwrap();
            router.add(method, pattern, number).unwrap();
        }
        router
    }

    /// The pattern that answers, with its parameters.
    fn answer(patterns: &[&str], asked: &str) -> String {
        let (method, path) = asked.split_once(' ').unwrap();
        match router(patterns).find(method, path) {
            Found::Route(number, params) => {
                let texts = (0..).map_while(|n| params.get(n, path));
                [patterns[number]].into_iter().chain(texts).collect::<Vec<_>>().join(" ")
            }
            Found::Options(allow) => format!("options {allow}"),
            Found::NotAllowed(allow) => format!("not {allow}"),
            Found::AddSlash => "slash".into(),
            Found::Missing => "missing".into(),
        }
    }

    const PATTERNS: [&str; 16] = [
        "GET /",
        "GET /{rest:path}",
        "GET /item/{name}",
        "GET /item/{id:int}",
        "GET /item/{id:uint}",
        "GET /item/new",
        "POST /item/{id:int}",
        "DELETE /item/{any:path}",
        "GET /a/{x}/c",
        "GET /a/b/{y}",
        "GET /a/{x}/{y}/d",
        "REPORT /item/new",
        "GET /key/{k:uuid}",
        "HEAD /own",
        "OPTIONS /own",
        "GET /slash/",
    ];

    #[test]
    fn who_answers() {
        for (asked, want) in [
            ("GET /", "GET /"),
            ("GET /item/new", "GET /item/new"),
            ("GET /item/12", "GET /item/{id:uint} 12"),
            ("GET /item/-12", "GET /item/{id:int} -12"),
            ("GET /item/99999999999999999999999", "GET /item/{name} 99999999999999999999999"),
            ("GET /item/+1", "GET /item/{name} +1"),
            ("GET /item/a", "GET /item/{name} a"),
            ("GET /item/", "GET /{rest:path} item/"),
            ("GET /item/a/b", "GET /{rest:path} item/a/b"),
            ("POST /item/5", "POST /item/{id:int} 5"),
            ("DELETE /item/5", "DELETE /item/{any:path} 5"),
            ("DELETE /item/5/6", "DELETE /item/{any:path} 5/6"),
            ("REPORT /item/new", "REPORT /item/new"),
            ("HEAD /item/new", "GET /item/new"),
            ("HEAD /own", "HEAD /own"),
            ("OPTIONS /own", "OPTIONS /own"),
            ("OPTIONS /item/new", "options DELETE, GET, HEAD, OPTIONS, REPORT"),
            ("PAINT /item/new", "not DELETE, GET, HEAD, OPTIONS, REPORT"),
            ("GET /a/b/c", "GET /a/b/{y} c"),
            ("GET /a/z/c", "GET /a/{x}/c z"),
            ("GET /a/b/q/d", "GET /a/{x}/{y}/d b q"),
            (
                "GET /key/123e4567-e89b-12d3-a456-42661417400",
                "GET /{rest:path} key/123e4567-e89b-12d3-a456-42661417400",
            ),
            ("GET /slash/", "GET /slash/"),
            ("POST /", "not GET, HEAD, OPTIONS"),
        ] {
            assert_eq!(answer(&PATTERNS, asked), want, "{asked}");
        }
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        assert_eq!(
            answer(&PATTERNS, &format!("GET /key/{uuid}")),
            format!("GET /key/{{k:uuid}} {uuid}")
        );
        assert_eq!(answer(&["GET /x/"], "GET /x"), "slash");
        assert_eq!(answer(&["GET /x/"], "POST /x"), "slash");
        assert_eq!(answer(&["GET /x"], "GET /x/"), "missing");
        assert_eq!(answer(&["GET /x/{r:path}"], "GET /x/"), "missing");
        assert_eq!(answer(&["GET /x/{r:path}"], "GET /x"), "missing");
        assert_eq!(answer(&["GET /{a}"], "GET /"), "missing");
    }

    #[test]
    fn patterns_that_are_none() {
        for pattern in [
            "",
            "x",
            "/{",
            "/}",
            "/{}",
            "/{a b}",
            "/{a}/{a}",
            "/x{a}",
            "/{a}x",
            "/{a:float}",
            "/{a:path}/b",
            "/a//b",
            "//",
            "/<a>",
            "/a?b",
            "/a#b",
            "/a%20b",
            "/%E4",
            "/../x",
            "/x/.",
            "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}",
        ] {
            assert!(Router::default().add("GET", pattern, 0).is_err(), "{pattern}");
        }
        for pattern in ["/a b", "/100%", "/%x", "/...", "/.well-known", "/zähler"] {
            assert!(Router::default().add("GET", pattern, 0).is_ok(), "{pattern}");
        }
        let mut router = router(&["GET /{a}"]);
        assert!(router.add("GET", "/{b}", 1).is_err(), "the same pattern by another name");
        assert!(router.add("POST", "/{b}", 1).is_ok());
    }

    proptest! {
        #[test]
        fn a_path_made_of_a_pattern_finds_one_and_its_parameters_are_the_path_s(
            segments in proptest::collection::vec(("[a-c]{1,2}", any::<bool>()), 1..6),
            others in proptest::collection::vec("(/([ab]|\\{x\\}|\\{n:int\\})){1,4}", 0..6),
        ) {
            let mut router = Router::default();
            for (number, other) in others.iter().enumerate() {
                // Two parameters of the same name are refused; so are doubles.
                let _ = router.add("GET", other, number);
            }
            let mut pattern = String::new();
            let mut path = String::new();
            for (n, (text, is_parameter)) in segments.iter().enumerate() {
                let own = if *is_parameter { format!("/{{p{n}}}") } else { format!("/{text}") };
                pattern += &own;
                path = path + "/" + text;
            }
            let added = router.add("GET", &pattern, 100);
            match router.find("GET", &path) {
                Found::Route(number, params) => {
                    if number == 100 {
                        let names = added.unwrap();
                        let texts: Vec<_> = (0..names.len()).filter_map(|n| params.get(n, &path)).collect();
                        let want: Vec<_> = segments.iter().filter(|s| s.1).map(|s| s.0.as_str()).collect();
                        prop_assert_eq!(texts, want);
                    }
                }
                found => prop_assert!(false, "{pattern} {path}: {found:?}"),
            }
        }

        #[test]
        fn no_path_panics(path in "[/a-z0-9\\-\u{e4}]{0,40}") {
            let _ = router(&PATTERNS).find("GET", &path);
        }
    }
}
