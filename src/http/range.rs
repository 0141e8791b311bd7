//! Byte ranges (RFC 9110 §14.1.2, §14.2).

use super::bytes;

/// Ranges of one request after which the header is ignored: a handful is what viewers ask for
/// (CVE-2011-3192 was a thousand).
pub const RANGES_MAX: usize = 32;

/// A part of a body: within it, and not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// How many bytes, at least one.
    pub len: u64,
}

/// What a Range header comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangePlan {
    /// The header is ignored: 200 with everything.
    Full,
    /// 206 with one part.
    Single(ByteRange),
    /// 206 with several parts, in the order asked for, which neither overlap nor touch.
    Multi(Vec<ByteRange>),
    /// 416
    Unsatisfiable,
}

/// What a Range header asks of a body of `size` bytes. Never more than the body holds, however
/// often it asks (CVE-2011-3192): too many ranges, or more bytes than there are, give it whole.
pub fn resolve(header: &[u8], size: u64) -> RangePlan {
    // Some clients send a Range with every request; an empty file then is no reason for a 416.
    let Some(specs) = byte_specs(header).filter(|_| size > 0) else {
        return RangePlan::Full;
    };
    let mut ranges = Vec::new();
    let (mut count, mut sum) = (0, 0u64);
    for spec in super::list(specs) {
        count += 1;
        let Some(wanted) = read_spec(spec).filter(|_| count <= RANGES_MAX) else {
            return RangePlan::Full;
        };
        let Some(range) = wanted.within(size) else { continue };
        sum = sum.saturating_add(range.len);
        if sum > size {
            return RangePlan::Full;
        }
        add(&mut ranges, range);
    }
    match ranges.as_slice() {
        [] if count == 0 => RangePlan::Full,
        [] => RangePlan::Unsatisfiable,
        [range] => RangePlan::Single(*range),
        _ => RangePlan::Multi(ranges),
    }
}

/// What follows `bytes=`; the unit in any case (§14.1).
fn byte_specs(header: &[u8]) -> Option<&[u8]> {
    let (unit, specs) = header.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(specs)
}

/// One range as it was asked for.
enum Spec {
    /// `3-5`, or `3-` with no last byte.
    From(u64, Option<u64>),
    /// `-5`
    Last(u64),
}

/// `None` for a mistake in the syntax, which voids the whole header.
fn read_spec(spec: &[u8]) -> Option<Spec> {
    let dash = memchr::memchr(b'-', spec)?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    match (first, last) {
        ([], _) => Some(Spec::Last(bytes::parse_saturating(last)?)),
        (_, []) => Some(Spec::From(bytes::parse_saturating(first)?, None)),
        _ => {
            let is_ordered = magnitude(first) <= magnitude(last);
            let (first, last) = (bytes::parse_saturating(first)?, bytes::parse_saturating(last)?);
            is_ordered.then_some(Spec::From(first, Some(last)))
        }
    }
}

/// What orders numbers of any length.
fn magnitude(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    (digits.len(), digits)
}

impl Spec {
    /// The part of a body of `size` bytes, at least one, that is meant; `None` if it has none.
    fn within(self, size: u64) -> Option<ByteRange> {
        match self {
            Self::From(first, _) if first >= size => None,
            Self::From(first, last) => {
                let last = last.unwrap_or(u64::MAX).min(size - 1);
                Some(ByteRange { start: first, len: last - first + 1 })
            }
            Self::Last(0) => None,
            Self::Last(len) => {
                let len = len.min(size);
                Some(ByteRange { start: size - len, len })
            }
        }
    }
}

/// Adds a range and unites it with those it overlaps or touches (§15.3.7.2). The others neither
/// overlap nor touch each other, so that whatever touches the union touches `range` or one of
/// those united with it already; one pass is enough.
fn add(ranges: &mut Vec<ByteRange>, mut range: ByteRange) {
    ranges.retain(|other| {
        let (end, other_end) = (range.start + range.len, other.start + other.len);
        let apart = other.start > end || range.start > other_end;
        if !apart {
            let start = range.start.min(other.start);
            range = ByteRange { start, len: end.max(other_end) - start };
        }
        apart
    });
    ranges.push(range);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn single(start: u64, len: u64) -> RangePlan {
        RangePlan::Single(ByteRange { start, len })
    }

    fn multi(ranges: &[(u64, u64)]) -> RangePlan {
        let range = |(start, len): &(u64, u64)| ByteRange { start: *start, len: *len };
        RangePlan::Multi(ranges.iter().map(range).collect())
    }

    #[test]
    fn table() {
        for (header, want) in [
            ("bytes=0-0", single(0, 1)),
            ("bytes=0-", single(0, 10)),
            ("BYTES=2-5", single(2, 4)),
            ("bytes= 2-5 ", single(2, 4)),
            ("bytes=9-99", single(9, 1)),
            ("bytes=9-18446744073709551615", single(9, 1)),
            ("bytes=-3", single(7, 3)),
            ("bytes=-99", single(0, 10)),
            ("bytes=10-", RangePlan::Unsatisfiable),
            ("bytes=18446744073709551615-", RangePlan::Unsatisfiable),
            ("bytes=-0", RangePlan::Unsatisfiable),
            ("bytes=-0,20-30", RangePlan::Unsatisfiable),
            ("bytes=0-0,20-30", single(0, 1)),
            ("bytes=0-1,4-5", multi(&[(0, 2), (4, 2)])),
            ("bytes=8-,0-1", multi(&[(8, 2), (0, 2)])),
            ("bytes=0-1,,\t4-5,", multi(&[(0, 2), (4, 2)])),
            ("bytes=0-1,2-3", single(0, 4)),
            ("bytes=0-3,2-5", single(0, 6)),
            ("bytes=0-1,4-5,2-3", single(0, 6)),
            ("bytes=0-1,8-9,2-3", multi(&[(8, 2), (0, 4)])),
            ("bytes=0-,0-0", RangePlan::Full),
            ("bytes=5-2", RangePlan::Full),
            ("bytes=0-1,5-2", RangePlan::Full),
            ("bytes=", RangePlan::Full),
            ("bytes=,", RangePlan::Full),
            ("bytes=-", RangePlan::Full),
            ("bytes=a-b", RangePlan::Full),
            ("bytes=+1-2", RangePlan::Full),
            ("bytes=1--2", RangePlan::Full),
            ("bytes=1 - 2", RangePlan::Full),
            // Numbers of any length are numbers (RFC 9110 §14.1.1: 1*DIGIT).
            ("bytes=0-18446744073709551616", single(0, 10)),
            ("bytes=7-99999999999999999999999999999999", single(7, 3)),
            ("bytes=18446744073709551616-", RangePlan::Unsatisfiable),
            ("bytes=18446744073709551616-18446744073709551617", RangePlan::Unsatisfiable),
            ("bytes=18446744073709551617-18446744073709551616", RangePlan::Full),
            ("bytes=18446744073709551616-5", RangePlan::Full),
            ("bytes=-18446744073709551616", single(0, 10)),
            ("bytes=-99999999999999999999999999999999", single(0, 10)),
            ("bytes=000000000000000000000000000002-5", single(2, 4)),
            ("bytes=0-0,18446744073709551616-", single(0, 1)),
            ("bytes=18446744073709551616x-", RangePlan::Full),
            ("bytes 0-1", RangePlan::Full),
            ("bytes =0-1", RangePlan::Full),
            ("lines=0-1", RangePlan::Full),
            ("", RangePlan::Full),
        ] {
            assert_eq!(resolve(header.as_bytes(), 10), want, "{header}");
        }
        for header in ["bytes=0-", "bytes=-1", "bytes=5-"] {
            assert_eq!(resolve(header.as_bytes(), 0), RangePlan::Full, "{header}");
        }
        let last = u64::MAX - 1;
        assert_eq!(resolve(b"bytes=18446744073709551614-", u64::MAX), single(last, 1));
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let header = |count: usize| {
            let specs: Vec<_> = (0..count).map(|i| format!("{}-{0}", i * 2)).collect();
            format!("bytes={}", specs.join(","))
        };
        let plan = resolve(header(RANGES_MAX).as_bytes(), 1000);
        assert!(matches!(plan, RangePlan::Multi(ranges) if ranges.len() == RANGES_MAX));
        assert_eq!(resolve(header(RANGES_MAX + 1).as_bytes(), 1000), RangePlan::Full);
    }

    /// The ranges of a plan, none for the others.
    fn ranges_of(plan: RangePlan) -> Vec<ByteRange> {
        match plan {
            RangePlan::Single(range) => vec![range],
            RangePlan::Multi(ranges) => ranges,
            RangePlan::Full | RangePlan::Unsatisfiable => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn ranges_lie_within_and_sum_up(
            header in "bytes=([0-9]{0,3}-[0-9]{0,3},?){1,6}",
            size in 0..500u64,
        ) {
            let ranges = ranges_of(resolve(header.as_bytes(), size));
            prop_assert!(ranges.iter().all(|r| r.len > 0 && r.start + r.len <= size));
            prop_assert!(ranges.iter().map(|r| r.len).sum::<u64>() <= size);
        }

        /// Uniting keeps exactly the bytes, and leaves no two ranges that touch.
        #[test]
        fn united_ranges_hold_the_same_bytes(
            wanted in prop::collection::vec((0..60u64, 1..9u64), 0..9),
        ) {
            let mut ranges = Vec::new();
            let mut bytes = [false; 80];
            for (start, len) in wanted {
                add(&mut ranges, ByteRange { start, len });
                bytes[start as usize..][..len as usize].fill(true);
            }
            for (at, there) in (0u64..).zip(bytes) {
                let holders = ranges.iter().filter(|r| (r.start..r.start + r.len).contains(&at));
                prop_assert_eq!(holders.count(), usize::from(there));
            }
            ranges.sort_by_key(|r| r.start);
            prop_assert!(ranges.windows(2).all(|w| w[0].start + w[0].len < w[1].start));
        }
    }
}
