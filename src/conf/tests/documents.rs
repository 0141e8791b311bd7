//! The documents say what the code does.

use super::{CLASSIC, FULL, read};
use crate::conf::read::schema;
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};

const CONFIG: &str = include_str!("../../../docs/config.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");

/// The sources that make diagnostics.
const SOURCES: [&str; 14] = [
    include_str!("../read/access.rs"),
    include_str!("../read/app.rs"),
    include_str!("../classic.rs"),
    include_str!("../load.rs"),
    include_str!("../rules.rs"),
    include_str!("../read/mod.rs"),
    include_str!("../read/cgi.rs"),
    include_str!("../read/global.rs"),
    include_str!("../read/host.rs"),
    include_str!("../read/redirects.rs"),
    include_str!("../read/route.rs"),
    include_str!("../read/table.rs"),
    include_str!("../read/tls.rs"),
    include_str!("../read/value.rs"),
];

/// Sections of a document: heading and text.
fn sections(document: &str) -> impl Iterator<Item = (&str, &str)> {
    document.split("\n#").skip(1).filter_map(|part| {
        let (heading, text) = part.split_once('\n')?;
        Some((heading.trim_start_matches('#').trim(), text))
    })
}

#[test]
fn the_samples_are_without_mistakes() {
    for text in [FULL, CLASSIC] {
        let (config, found) = read(text);
        assert!(config.is_some() && found.list.is_empty(), "{}", found.render(false));
    }
}

#[test]
fn every_key_is_documented_in_its_section() {
    for schema in schema::ALL {
        let (_, text) = sections(CONFIG)
            .find(|(heading, _)| *heading == schema.title)
            .unwrap_or_else(|| panic!("no section {}", schema.title));
        for key in schema.keys {
            assert!(text.contains(&format!("| `{key}` |")), "{} {key}", schema.title);
        }
    }
}

/// All keys of a tree.
fn keys<'t>(table: &'t DeTable<'t>, found: &mut BTreeSet<&'t str>) {
    for (key, value) in table {
        found.insert(key.get_ref());
        let below: Vec<_> = match value.get_ref() {
            DeValue::Table(table) => vec![table],
            DeValue::Array(array) => array.iter().filter_map(|v| v.get_ref().as_table()).collect(),
            _ => Vec::new(),
        };
        below.into_iter().for_each(|table| keys(table, found));
    }
}

#[test]
fn the_full_file_has_every_key() {
    let tree = DeTable::parse(FULL).unwrap();
    let mut found = BTreeSet::new();
    keys(tree.get_ref(), &mut found);
    for key in schema::ALL.iter().flat_map(|schema| schema.keys) {
        assert!(found.contains(key), "{key}");
    }
}

/// Short names in the source: the first string after one of the words that introduce one.
fn names_in(source: &str) -> BTreeSet<&str> {
    let introductions = ["Diagnostic::error(", "Diagnostic::warning(", "Fault::new(", "name: "];
    // Those that are chosen before they are used.
    let mut names = BTreeSet::from(["missing-unit", "bad-unit", "duplicate-key"]);
    for introduction in introductions {
        for after in source.split(introduction).skip(1) {
            let name = after.trim_start().strip_prefix('"').and_then(|t| t.split('"').next());
            names.extend(name);
        }
    }
    names
}

#[test]
fn every_message_is_documented_and_its_examples_give_it() {
    let documented: BTreeSet<_> = sections(ERRORS).map(|(name, _)| name).collect();
    let used: BTreeSet<_> = SOURCES.iter().flat_map(|source| names_in(source)).collect();
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    // What follows is about folders and files that a configuration names: see `site::build`.
    let (of_text, _) = ERRORS.split_once("\n# ").unwrap();
    for (name, text) in sections(of_text) {
        let blocks: Vec<_> = text.split("```").skip(1).step_by(2).collect();
        assert!(!blocks.is_empty(), "{name} has no example");
        for block in blocks {
            let (_, example) = block.split_once('\n').unwrap();
            let (_, found) = read(example);
            let names: Vec<_> = found.list.iter().map(|d| d.name).collect();
            assert_eq!(names, [name], "{example}\n{}", found.render(false));
        }
    }
}
