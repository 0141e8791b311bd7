//! Why a connection ends.

use std::io;

/// Why a connection ends without its last answer being complete, or with nothing left to send.
#[derive(Debug)]
pub(super) enum CloseReason {
    /// All is sent.
    Done,
    /// The client reset the connection, or it broke.
    Reset,
    /// An answer could not be completed; the log says why.
    Broken(String),
    /// A mistake in this program: its states do not fit together.
    Impossible(String),
}

impl CloseReason {
    pub(super) fn of_send(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::UnexpectedEof => {
                Self::Broken("the file was cut while it was sent".into())
            }
            _ => Self::Broken(error.to_string()),
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Reset => Some("client gone"),
            Self::Broken(why) => Some(why),
            Self::Impossible(_) => Some("an impossible state"),
        }
    }
}
