//! Chance that can be repeated.

/// Xorshift64*, seeded so that neighbouring seeds have nothing in common.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..4 {
            rng.next();
        }
        rng
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 16) % limit.max(1) as u64) as usize
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Mostly small, at times large.
    pub(super) fn size(&mut self) -> usize {
        let limit = self.pick(&[3, 100, 100, 5000, 5000, 20_000, 70_000]);
        if self.chance(1) { 300_000 } else { self.below(limit) }
    }

    /// Bytes in which a shift or a repetition would be seen.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let first = self.below(251);
        (0..len).map(|n| ((first + n + n / 251) % 251) as u8).collect()
    }
}
