//! A module imports only from layers before its own (`src/lib.rs` has the list).

use crate::support::{names_below, repository};

const LAYERS: [&str; 15] = [
    "http",
    "http1",
    "http2",
    "conf",
    "sys",
    "event",
    "net",
    "tls",
    "serve",
    "handlers",
    "app",
    "site",
    "server",
    "demo",
    "challenge",
];

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

/// The layers that a source names after `crate::`, also in lists: `crate::{a, b::c}`.
fn imports(source: &str) -> Vec<String> {
    let mut imports = Vec::new();
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    for after in code.split("crate::").skip(1) {
        let list = after.strip_prefix('{').and_then(|list| list.split('}').next());
        for item in list.unwrap_or(after).split(if list.is_some() { ',' } else { '\0' }) {
            let word = item.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next();
            imports.push(word.unwrap_or_default().to_owned());
        }
    }
    imports
}

#[test]
fn nothing_is_imported_from_above() {
    let src = repository("src");
    let mut seen = 0;
    for path in
        names_below(&src).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"))
    {
        let inner = path.strip_prefix(&src).unwrap();
        let first = inner.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let Some(own) = rank(first.trim_end_matches(".rs")) else { continue };
        for import in imports(&std::fs::read_to_string(&path).unwrap()) {
            let Some(other) = rank(&import) else { continue };
            assert!(other <= own, "{} imports from {import}, a layer above it", inner.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} imports found: is this test still looking?");
}

/// Other protocols frame otherwise: what is HTTP/1 of a head is rendered and read in `http1` alone.
#[test]
fn framing_is_written_and_read_in_one_layer() {
    const WORDS: [&str; 7] = [
        "Transfer-Encoding: chunked",
        "Content-Length: ",
        "Connection: ",
        "Known::ContentLength",
        "Known::TransferEncoding",
        "Known::Connection",
        "Known::Expect",
    ];
    let src = repository("src");
    let mut own = 0;
    for path in names_below(&src).iter().filter(|path| path.extension() == Some("rs".as_ref())) {
        let inner = path.strip_prefix(&src).unwrap();
        let is_test = ["tests.rs", "tests", "simulation", "mutation.rs"]
            .iter()
            .any(|name| inner.components().any(|part| part.as_os_str() == *name));
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        for word in WORDS.iter().filter(|word| !is_test && code.contains(**word)) {
            // HTTP/2 reads lengths and expectations as well, of heads of its own.
            let is_known = inner.starts_with("http1") || inner.starts_with("http2");
            assert!(is_known, "{} says {word:?}", inner.display());
            own += usize::from(inner.starts_with("http1"));
        }
    }
    assert_eq!(own, WORDS.len(), "is this test still looking?");
}

#[test]
fn every_module_has_its_layer() {
    let lib = std::fs::read_to_string(repository("src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let mut sorted = LAYERS;
    sorted.sort_unstable();
    assert_eq!(modules.collect::<Vec<_>>(), sorted);
    let table = lib.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next());
    assert_eq!(table.collect::<Vec<_>>(), LAYERS, "the table in its documentation");
}

#[test]
fn imports_are_found() {
    let source =
        "use crate::http::X;\n// crate::no\nuse crate::{net::Y, site};\nfn f() { crate::sys::g() }";
    assert_eq!(imports(source), ["http", "net", "site", "sys"]);
}

/// `Until` stands for something armed, so that only what arms something makes one.
#[test]
fn only_what_arms_something_is_waited_for() {
    let src = repository("src");
    let makers =
        ["event/source.rs", "event/waker.rs", "event/helped.rs", "event/admission/place.rs"];
    let lenders = ["serve/exchange.rs", "serve/body.rs", "serve/answer.rs"];
    let mut found = Vec::new();
    for path in names_below(&src) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.contains("Until::armed()") {
            found.push(path.strip_prefix(&src).unwrap().to_string_lossy().into_owned());
        }
    }
    let mut known = [makers.as_slice(), &lenders].concat();
    known.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, known);
}
