//! What an exchange waits for.

/// Something that is armed and will have its exchange advanced again. It can only be had from what
/// is armed: a source, an instant, a waker, work of a helper, the body, room in the send queue. So
/// waiting for nothing cannot be written.
#[must_use = "it is what `Step::Wait` takes"]
#[derive(Debug)]
pub struct Until {
    is_over: bool,
}

impl Until {
    /// For those that arm something; `tests/layers.rs` knows them.
    pub(crate) const fn armed() -> Self {
        Self { is_over: false }
    }

    /// What was to be waited for is there already: the exchange is advanced again, after others.
    pub(crate) const fn over() -> Self {
        Self { is_over: true }
    }

    /// Whichever of the two comes first, if there is another one.
    pub fn or(self, other: impl Into<Option<Self>>) -> Self {
        Self { is_over: self.is_over || other.into().is_some_and(|other| other.is_over) }
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}
