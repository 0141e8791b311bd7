//! The timeouts of a connection.

/// Which timeout fires when the deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// TLS was not agreed on in time.
    Handshake,
    /// The head of a request did not arrive in time.
    Header,
    /// Nothing came of a body.
    Body,
    /// A body that is dropped did not come to its end.
    Discard,
    /// No byte of an answer was taken.
    Write,
    /// No further request.
    Idle,
    /// The client did not close after the server did.
    Linger,
    /// None: an exchange is at work and has its own timer.
    None,
}
