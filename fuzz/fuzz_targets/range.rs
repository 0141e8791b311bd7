#![no_main]
//! A Range header over bodies of many sizes: no part is empty or reaches beyond the end.
use httpyserver::http::range::{RangePlan, resolve};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for size in [0, 1, 499, 10_000, u64::MAX - 1, u64::MAX] {
        let parts = match resolve(data, size) {
            RangePlan::Single(part) => vec![part],
            RangePlan::Multi(parts) => parts,
            RangePlan::Full | RangePlan::Unsatisfiable => continue,
        };
        assert!(parts.iter().all(|p| p.len > 0 && p.len <= size && p.start <= size - p.len));
    }
});
