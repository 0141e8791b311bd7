//! Damaged configurations give messages, never a panic.

use super::{CLASSIC, FULL, read_as};
use crate::conf::{Format, effective};

/// Splitmix64: the same damage on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

const PIECES: [&str; 24] = [
    "\"",
    "'''",
    "\"\"\"",
    "[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    "\n",
    "\r",
    "\r\n",
    "\0",
    "\t",
    "\u{feff}",
    "ä",
    "日本",
    "\u{1b}[31m",
    "\\u00",
    "#",
    "99999999999999999999",
    "-1",
    "1979-05-27",
    "true",
];

/// One damage: a piece put in, a stretch taken out, or a stretch moved.
fn damage(text: &str, random: &mut Random) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = random.below(chars.len() + 1);
    let end = (at + random.below(20)).min(chars.len());
    let part = |range: std::ops::Range<usize>| chars[range].iter().collect::<String>();
    let (before, middle, after) = (part(0..at), part(at..end), part(end..chars.len()));
    match random.below(4) {
        0 => before + &after,
        1 => format!("{before}{middle}{middle}{after}"),
        2 => format!("{before}{}{after}", PIECES[random.below(PIECES.len())]),
        _ => format!("{before}{}{middle}{after}", PIECES[random.below(PIECES.len())]),
    }
}

#[test]
fn five_thousand_damaged_files() {
    let lines: Vec<&str> = FULL.lines().collect();
    for seed in 0..5000 {
        let mut random = Random(seed);
        // Stretches of the full file, so that most damages meet something.
        let start = random.below(lines.len());
        let some = lines[start..(start + 12).min(lines.len())].join("\n");
        let mut text = if seed % 4 == 0 { CLASSIC.to_owned() } else { some };
        for _ in 0..=random.below(4) {
            text = damage(&text, &mut random);
        }
        let format = [None, Some(Format::Toml), Some(Format::Classic)][random.below(3)];
        let result = std::panic::catch_unwind(|| {
            let (config, found) = read_as(&text, format);
            assert_eq!(config.is_none(), found.has_errors());
            let _ = config.map(|config| effective(&config));
            assert_eq!(found.render(true).is_empty(), found.list.is_empty());
            // What is written may be anything, what is printed obeys nobody.
            assert!(!found.render(false).contains(['\u{1b}', '\0', '\r']));
        });
        assert!(result.is_ok(), "seed {seed}: {text:?}");
    }
}
