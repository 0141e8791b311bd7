//! The tables of keys in `docs/config.md`.

use crate::conf::keys::{ALL, ROOT, Row, Schema};

const END: &str = "<!-- end of the keys -->\n";

/// The document with its tables made anew. Everything else in it is written by hand.
pub(super) fn document(old: &str) -> String {
    let mut text = old.to_owned();
    for schema in ALL {
        let begin = format!("<!-- the keys of {}, from src/conf/keys -->\n", schema.title());
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once(END).unwrap();
        text = format!("{before}{begin}\n{}\n{END}{after}", table(schema));
    }
    text
}

fn table(schema: &dyn Schema) -> String {
    let rows: Vec<_> = schema.rows().iter().map(|row| cells(schema, row)).collect();
    let heads = ["key", "type", "default", "what it does", "example"];
    // A column in which nothing stands is left out.
    let used: Vec<_> = (0..5).filter(|n| rows.iter().any(|row| !row[*n].is_empty())).collect();
    let line = |cells: &[String; 5]| {
        let cells: Vec<_> = used.iter().map(|n| format!(" {} ", cells[*n])).collect();
        format!("|{}|\n", cells.join("|"))
    };
    let head = line(&heads.map(str::to_owned));
    let rule = format!("|{}\n", "---|".repeat(used.len()));
    head + &rule + &rows.iter().map(line).collect::<String>()
}

fn cells(schema: &dyn Schema, row: &Row) -> [String; 5] {
    let name = format!("`{}`", row.name);
    let key = match anchor(schema, row.name) {
        Some(anchor) => format!("[{name}](#{anchor})"),
        None => name,
    };
    let default = if schema.title() == ROOT.title { String::new() } else { row.default_said() };
    let example = row.example().map(|example| format!("`{example}`")).unwrap_or_default();
    [key, row.kind_said(), default, row.about.what.to_owned(), example]
}

/// The section about a key that is a table.
fn anchor(schema: &dyn Schema, key: &str) -> Option<&'static str> {
    let titles = || ALL.iter().map(|schema| schema.title());
    let bare = schema.title().trim_matches(['[', ']']);
    let outer = if schema.title().starts_with('[') { format!("{bare}.{key}") } else { "".into() };
    let is_of_root = |title: &&str| {
        let first = title.trim_matches(['[', ']']).split('.').next();
        schema.title() == ROOT.title && title.starts_with('[') && first == Some(key)
    };
    let title = titles()
        .find(is_of_root)
        .or_else(|| titles().find(|title| title.trim_matches(['[', ']']) == outer))
        .or_else(|| titles().find(|title| *title == key))?;
    Some(match title {
        "[server]" => "server",
        "[timeouts]" => "timeouts",
        "[limits]" => "limits",
        "[log]" => "log",
        "[media]" => "media",
        "[compress]" => "compress",
        "[tls]" => "tls",
        "[[tls.cert]]" => "tlscert",
        "[cgi]" => "cgi",
        "[app.NAME]" => "appname",
        "[[host]]" => "host",
        "[[host.route]]" => "hostroute",
        // The second section of that name.
        "tls" => "tls-1",
        other => other,
    })
}
