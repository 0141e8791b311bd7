//! How much work without an answer a client may make.

use crate::http2::{Breach, ErrorCode};

/// What a client may spend at once: far more than any browser does in a page, and some milliseconds of work.
const MOST: u32 = 4000;

/// What an answer earns: a client that works may go on for ever.
const ANSWER: u32 = 40;

/// A small account: frames that ask for work and get nowhere are paid from it, answers fill it.
#[derive(Debug)]
pub(super) struct Calm {
    left: u32,
    /// Parts of one that were spent.
    small: u32,
}

impl Default for Calm {
    fn default() -> Self {
        Self { left: MOST / 4, small: 0 }
    }
}

impl Calm {
    /// Work that is worth `price` frames.
    pub(super) fn spend(&mut self, price: u32) -> Result<(), Breach> {
        match self.left.checked_sub(price) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let why = "more work than it may ask for";
                Err(Breach::Connection(ErrorCode::EnhanceYourCalm, why))
            }
        }
    }

    /// What belongs to the work of every answer: many of it are worth one.
    pub(super) fn spend_little(&mut self) -> Result<(), Breach> {
        self.small += 1;
        if self.small < 16 {
            return Ok(());
        }
        self.small = 0;
        self.spend(1)
    }

    /// A request was answered, or so much of an answer was taken that it stands for one.
    pub(super) fn earn(&mut self) {
        self.left = (self.left + ANSWER).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_pay_for_what_goes_with_them() {
        let mut calm = Calm::default();
        for _ in 0..100_000 {
            (0..8).for_each(|_| calm.spend(5).unwrap());
            calm.earn();
        }
        assert!((0..=MOST).any(|_| calm.spend(1).is_err()));
        let mut calm = Calm::default();
        assert!((0..=MOST * 16).any(|_| calm.spend_little().is_err()));
    }
}
