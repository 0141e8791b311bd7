//! The documents say what the code does: what can be made from the declarations of the keys is,
//! the rest is held against them.

mod full;
mod rows;
mod tables;

use super::{CLASSIC, FULL, read};
use crate::conf::keys::ALL;
use std::collections::BTreeSet;
use std::path::Path;
use toml::de::{DeTable, DeValue};

const CONFIG: &str = include_str!("../../../../docs/config.md");
const ERRORS: &str = include_str!("../../../../docs/errors.md");

/// The sources that make diagnostics.
fn sources() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conf");
    let folders = [folder.clone(), folder.join("keys"), folder.join("read"), folder.join("rules")];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let files = files.map(|file| file.unwrap().path());
    let sources = files.filter(|file| file.extension().is_some_and(|e| e == "rs"));
    let text = sources.map(|file| std::fs::read_to_string(file).unwrap());
    text.map(|text| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()).collect()
}

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

/// Compares a document with what it is to be, or writes it if that is asked for.
fn is_up_to_date(path: &str, committed: &str, made: &str) {
    if std::env::var_os("HTTPYSERVER_WRITE_DOCS").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), made).unwrap();
        return;
    }
    let differs = committed.lines().zip(made.lines()).position(|(old, new)| old != new);
    assert!(
        committed == made,
        "{path} is not what src/conf/keys says, from line {} on. Write it anew:\n\n    \
         HTTPYSERVER_WRITE_DOCS=1 cargo test --lib documents\n",
        differs.map_or(committed.lines().count().min(made.lines().count()), |n| n) + 1
    );
}

#[test]
fn the_tables_of_keys_are_up_to_date() {
    is_up_to_date("docs/config.md", CONFIG, &tables::document(CONFIG));
}

#[test]
fn the_full_file_is_up_to_date() {
    is_up_to_date("conf/web.conf.full", FULL, &full::file());
}

#[test]
fn every_key_says_what_it_does() {
    for schema in ALL {
        for row in schema.rows() {
            let (title, name) = (schema.title(), row.name);
            assert!(!row.about.what.is_empty(), "{title} {name}");
            let has_value = row.example().or_else(|| row.default_written()).is_some();
            let is_table = row.kind.contains("tables");
            assert!(has_value || is_table || row.kind == "a table", "{title} {name}: no example");
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
    for key in ALL.iter().flat_map(|schema| schema.names()) {
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
    let sources = sources();
    let used: BTreeSet<_> = sources.iter().flat_map(|source| names_in(source)).collect();
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
