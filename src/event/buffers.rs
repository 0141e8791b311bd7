//! Receive buffers, borrowed by a connection only while it has something incomplete.

/// Enough for any ordinary request head, and for the heads of a pipeline.
pub const BUFFER_SMALL: usize = 16 * 1024;

/// For bodies and for large heads: one chunk.
pub const BUFFER_LARGE: usize = super::CHUNK;

/// Buffers kept of each size; what a burst needed beyond that goes back to the allocator.
const KEEP: usize = 64;

/// A pool of buffers, last in first out, so that the one given is the one still in the cache.
#[derive(Debug, Default)]
pub struct Buffers {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
    scratch: Vec<u8>,
}

impl Buffers {
    /// A buffer of [`BUFFER_SMALL`] initialised bytes.
    pub fn small(&mut self) -> Box<[u8]> {
        self.small.pop().unwrap_or_else(|| vec![0; BUFFER_SMALL].into())
    }

    /// A buffer of [`BUFFER_LARGE`] initialised bytes.
    pub fn large(&mut self) -> Box<[u8]> {
        self.large.pop().unwrap_or_else(|| vec![0; BUFFER_LARGE].into())
    }

    /// One chunk of memory for the length of a call: whoever comes next overwrites it.
    pub fn scratch(&mut self) -> &mut [u8] {
        if self.scratch.is_empty() {
            self.scratch = vec![0; super::CHUNK];
        }
        &mut self.scratch
    }

    /// Takes a buffer back.
    pub fn give_back(&mut self, buffer: Box<[u8]>) {
        let shelf = match buffer.len() {
            BUFFER_SMALL => &mut self.small,
            BUFFER_LARGE => &mut self.large,
            _ => return,
        };
        if shelf.len() < KEEP {
            shelf.push(buffer);
        }
    }
}
