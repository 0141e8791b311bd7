//! Bodies of real clients, and what is in them: `clients.txt`.

use super::tests::scan_as;
use crate::http::charset;

/// A part: its kind, name, file name, type, and content (text of fields, bytes of files).
type Part = (String, String, Option<String>, Option<String>, Vec<u8>);

#[derive(Default)]
struct Case {
    client: String,
    kind: Vec<u8>,
    body: Vec<u8>,
    parts: Vec<Part>,
}

/// `\r`, `\n`, `\t`, `\\` and `\xHH`.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let (byte, len) = match (first, more) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [b'\\', ..]) => (b'\\', 1),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 3)
            }
            (b'\\', _) => panic!("no escape: {text}"),
            (byte, _) => (*byte, 0),
        };
        bytes.push(byte);
        rest = &rest[len..];
    }
    bytes
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let text = |text: &str| String::from_utf8(bytes(text)).unwrap();
    for line in include_str!("clients.txt").lines() {
        let Some((key, value)) = line.split_once(": ").filter(|_| !line.starts_with('#')) else {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
            continue;
        };
        if key == "client" {
            cases.push(Case { client: value.into(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap();
        match key {
            "type" => case.kind = bytes(value),
            "body" => case.body.extend(bytes(value)),
            "field" | "file" => {
                let columns: Vec<_> = value.split(" | ").collect();
                let [name, filename, kind, content] = columns[..] else { panic!("{line}") };
                let maybe = |column: &str| (column != "-").then(|| text(column));
                let part = (text(name), maybe(filename), maybe(kind), bytes(content));
                case.parts.push((key.into(), part.0, part.1, part.2, part.3));
            }
            _ => panic!("{line}"),
        }
    }
    cases
}

fn parts(case: &Case, cuts: &[usize]) -> Vec<Part> {
    let found = scan_as(&case.kind, &case.body, cuts);
    let found = found.unwrap_or_else(|status| panic!("{}: {status}", case.client));
    let part = |(head, content): (super::PartHead, Vec<u8>)| {
        let content = match head.filename {
            Some(_) => content,
            None => charset::decode(head.charset.as_deref(), &content)
                .map_or(content.clone(), |text| text.into_owned().into_bytes()),
        };
        let kind = if head.filename.is_some() { "file" } else { "field" };
        (kind.to_owned(), head.name, head.filename, head.content_type, content)
    };
    found.into_iter().map(part).collect()
}

#[test]
fn bodies_of_real_clients_are_understood() {
    let cases = cases();
    assert!(cases.len() >= 50, "only {} bodies", cases.len());
    for case in &cases {
        assert_eq!(parts(case, &[]), case.parts, "{}", case.client);
        let every: Vec<usize> = (0..case.body.len()).collect();
        assert_eq!(parts(case, &every), case.parts, "{}, byte by byte", case.client);
        for cut in 0..case.body.len() {
            assert_eq!(parts(case, &[cut]), case.parts, "{}, cut at {cut}", case.client);
        }
    }
}
