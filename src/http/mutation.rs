//! Damaged inputs: the seeds of the fuzz targets, each damaged a few thousand times, in every run
//! of the tests. Whatever comes, nothing panics, and what is accepted keeps its promises.

use super::range::{RANGES_MAX, RangePlan, resolve};
use super::target::{is_plain, normalise, resolve_parents};
use std::path::Path;

/// Damages of each corpus.
const ROUNDS: u64 = 5000;

/// What means something to one of the parsers.
const PIECES: [&[u8]; 43] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%2e",
    b"%2F",
    b"%00",
    b"%5c",
    b"..",
    b"/",
    b"//",
    b"/../",
    b"\\",
    b"?",
    b"#",
    b"\xff",
    b"\x7f",
    b"-",
    b",",
    b"=",
    b"bytes=",
    b"0-0",
    b"18446744073709551615",
    b"9",
    b"f",
    b";",
    b"\"",
    b"0\r\n\r\n",
    b";a=b",
    b"gzip, chunked",
    b"HTTP/1.2",
    b"GET ",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"Host: h\r\n",
    b"Content-Length: 1\r\n",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
];

#[test]
fn paths() {
    damaged("target", |input, _| {
        let mut path = Vec::new();
        let slashes = normalise(input, &mut path).map(|spelling| spelling.encoded_slashes);
        let accepted = slashes.is_ok();
        if accepted {
            check_path(&path);
            assert!(path.len() <= input.len());
            let (mut sent, mut again) = (Vec::new(), Vec::new());
            resolve_parents(input, &mut sent);
            let resolved = normalise(&sent, &mut again).unwrap();
            assert!(!resolved.parents);
            assert!(slashes.is_ok_and(|own| own != resolved.encoded_slashes) || again == path);
        }
        assert!(!is_plain(input) || accepted && path == input);
    });
}

#[test]
fn ranges() {
    damaged("range", |input, random| {
        for size in [0, 1, 499, 10_000, random.next(), u64::MAX] {
            let mut parts = match resolve(input, size) {
                RangePlan::Single(part) => vec![part],
                RangePlan::Multi(parts) => parts,
                RangePlan::Full | RangePlan::Unsatisfiable => continue,
            };
            assert!(parts.iter().all(|p| p.len > 0 && p.len <= size && p.start <= size - p.len));
            parts.sort_by_key(|part| part.start);
            let apart = |two: &[super::range::ByteRange]| two[0].start + two[0].len < two[1].start;
            assert!(parts.windows(2).all(apart) && parts.len() <= RANGES_MAX);
        }
    });
}

#[test]
fn credentials() {
    use super::Credentials;
    damaged("credentials", |input, _| {
        let Some(read) = Credentials::basic(input) else { return };
        assert!(!read.user().contains(':'));
        assert_eq!(format!("{}:{}", read.user(), read.password()).as_bytes(), read.as_bytes());
        assert!(!read.as_bytes().iter().any(u8::is_ascii_control));
        // No other text in Base64 is the same.
        let again = super::base64::encode_padded(read.as_bytes());
        assert!(input.ends_with(again.as_bytes()));
    });
}

#[test]
fn forms() {
    damaged("multipart", |input, random| {
        let whole = scan(input, input.len());
        assert!(whole.0.len() <= input.len());
        let (content, end) = scan(input, random.below(input.len() + 1));
        assert_eq!(end, whole.1);
        assert!(end != Ok(true) || content == whole.0);
    });
}

/// The content of all parts of a form of which `cut` bytes come first, and whether it ended; or
/// the status of the refusal.
fn scan(input: &[u8], cut: usize) -> (Vec<u8>, Result<bool, u16>) {
    use super::multipart::{Scanner, Step};
    let mut scanner = Scanner::of_content_type(b"multipart/form-data; boundary=X").unwrap();
    let (mut content, mut at, mut there) = (Vec::new(), 0, cut);
    loop {
        at += match scanner.step(&input[at..there]) {
            Err(error) => return (content, Err(error.status.code())),
            Ok(Step::End) => return (content, Ok(true)),
            Ok(Step::More) if there == input.len() => return (content, Ok(false)),
            Ok(Step::More) => {
                there = input.len();
                0
            }
            Ok(Step::Content { take }) => {
                assert!(take > 0 && at + take <= there);
                content.extend_from_slice(&input[at..at + take]);
                take
            }
            Ok(Step::Skip { take } | Step::PartEnd { take }) => {
                assert!(take > 0 && at + take <= there);
                take
            }
            // A part may have no head.
            Ok(Step::Part { take, .. }) => {
                assert!(at + take <= there);
                take
            }
        };
    }
}

/// What holds for every path that was normalised.
pub(crate) fn check_path(path: &[u8]) {
    assert!(path.starts_with(b"/") && !path.windows(2).any(|two| two == b"//"));
    assert!(!path.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'));
    assert!(path.split(|byte| *byte == b'/').all(|segment| segment != b".." && segment != b"."));
}

/// Calls `check` with the seeds of a corpus and with damaged ones, and names what it fails with.
pub(crate) fn damaged(
    corpus: &str,
    check: impl Fn(&[u8], &mut Random) + std::panic::RefUnwindSafe,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let mut paths: Vec<_> =
        folder.read_dir().expect(corpus).map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for round in 0..ROUNDS + seeds.len() as u64 {
        let mut random = Random(round);
        let input = match seeds.get(round as usize) {
            Some(seed) => seed.clone(),
            None => damage(&seeds, &mut random),
        };
        let result = std::panic::catch_unwind(|| check(&input, &mut Random(round)));
        assert!(result.is_ok(), "{corpus}, round {round}: {:?}", String::from_utf8_lossy(&input));
    }
}

/// A seed after a few damages.
fn damage(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        let part = bytes[at..end].to_vec();
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, part)),
            2 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].iter().copied())),
            3 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

/// Splitmix64: the same damage on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
