//! What the pure parts of a request cost. `cargo bench`; the whole server is measured by
//! `scripts/bench`.

use divan::{Bencher, black_box};
use httpyserver::http::{RequestHead, range, target};
use httpyserver::http1::limits::HeadLimits;
use httpyserver::http1::{chunked, framing, parse};

fn main() {
    divan::main();
}

const SHORT: &[u8] = b"GET /1k.txt HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

const BROWSER: &[u8] = b"GET /guide HTTP/1.1\r\nHost: localhost:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\nReferer: http://localhost:8080/\r\nSec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";

#[divan::bench(args = ["short", "browser"])]
fn parse_and_frame(bencher: Bencher<'_, '_>, kind: &str) {
    let request = if kind == "short" { SHORT } else { BROWSER };
    let (limits, mut head) = (HeadLimits::default(), RequestHead::default());
    bencher.bench_local(|| {
        let parsed = parse(black_box(request), 0, &limits, &mut head);
        (parsed, framing::frame(&head).is_ok())
    });
}

#[divan::bench]
fn normalise_an_encoded_path(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        target::normalise(black_box(b"/a%20folder/./with//odd%2Dspelling.html"), &mut out).is_ok()
    });
}

#[divan::bench]
fn resolve_three_ranges() -> range::RangePlan {
    range::resolve(black_box(b"bytes=0-99, 500-599, -100"), black_box(10_000))
}

#[divan::bench]
fn decode_a_chunk_of_1_kib(bencher: Bencher<'_, '_>) {
    let mut body = b"400\r\n".to_vec();
    body.extend_from_slice(&[b'x'; 1024]);
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    bencher.bench_local(|| {
        let (mut decoder, mut at) = (chunked::Decoder::new(), 0);
        while let Ok(step) = decoder.step(black_box(&body[at..])) {
            match step {
                chunked::Step::Data { skip, len } => {
                    decoder.took(len);
                    at += skip + len;
                }
                chunked::Step::More { consumed } => at += consumed,
                chunked::Step::End { .. } => break,
            }
        }
        at
    });
}
