//! Windows: how much may be sent, and how much was allowed to the other side (RFC 9113 §5.2).

/// The largest window there is (RFC 9113 §6.9.1).
pub const LARGEST: i64 = (1 << 31) - 1;

/// What windows begin with where nothing is said.
pub const INITIAL: u32 = 65_535;

/// How much may still be sent. Below zero after a change of settings: then nothing, until it has grown
/// above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    /// A window of so many bytes.
    pub fn new(bytes: u32) -> Self {
        Self(i64::from(bytes))
    }

    /// Bytes that may be sent.
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// So much was sent.
    pub fn take(&mut self, bytes: usize) {
        self.0 -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// It grows, or with a change of settings shrinks. False: it would be larger than windows may be.
    #[must_use]
    pub fn grow(&mut self, by: i64) -> bool {
        self.0 += by;
        self.0 <= LARGEST
    }
}

/// What the other side may still send, and what of it was dealt with and not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveWindow {
    size: u32,
    left: i64,
    used: u32,
}

impl ReceiveWindow {
    /// A window of so many bytes.
    pub fn new(size: u32) -> Self {
        Self { size, left: i64::from(size), used: 0 }
    }

    /// So much has come. False: more than was allowed.
    #[must_use]
    pub fn receive(&mut self, bytes: usize) -> bool {
        self.left -= i64::try_from(bytes).unwrap_or(i64::MAX);
        self.left >= 0
    }

    /// So much was dealt with, and may come again.
    pub fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// How much to allow anew, once that is worth a frame: half of the window.
    pub fn update(&mut self) -> Option<u32> {
        if self.used == 0 || self.used < self.size / 2 {
            return None;
        }
        self.left += i64::from(self.used);
        Some(std::mem::take(&mut self.used))
    }

    /// Makes the window larger. Returns by how much.
    pub fn enlarge(&mut self, size: u32) -> u32 {
        let more = size.saturating_sub(self.size);
        self.size += more;
        self.left += i64::from(more);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_shrink_below_zero() {
        let mut window = SendWindow::new(10);
        window.take(10);
        assert!(window.room() == 0 && window.grow(-5) && window.room() == 0);
        assert!(window.grow(5) && window.room() == 0);
        assert!(window.grow(3) && window.room() == 3);
        assert!(window.grow(LARGEST - 3) && !window.grow(1));
    }

    #[test]
    fn half_of_a_receive_window_is_worth_a_frame() {
        let mut window = ReceiveWindow::new(10);
        assert!(window.receive(10) && window.update().is_none());
        window.release(4);
        assert_eq!(window.update(), None);
        window.release(1);
        assert_eq!(window.update(), Some(5));
        assert!(window.receive(5));
        assert_eq!(window.enlarge(12), 2);
        assert!(window.receive(2) && !window.receive(1));
    }
}
