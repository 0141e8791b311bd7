//! Settings (RFC 9113 §6.5).

use super::window::{self, INITIAL};
use super::{Breach, ErrorCode, hpack};

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// What a client asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What our encoder may have it remember.
    pub header_table_size: usize,
    /// What each stream's window begins with.
    pub initial_window: u32,
    /// Bytes of a frame's payload.
    pub max_frame: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_table_size: hpack::TABLE_SIZE,
            initial_window: INITIAL,
            max_frame: super::frame::PAYLOAD_MAX,
        }
    }
}

impl Settings {
    /// Takes what a SETTINGS frame says.
    ///
    /// # Errors
    /// A value that is none: the connection ends.
    pub fn apply(&mut self, payload: &[u8]) -> Result<(), Breach> {
        let refused =
            |code| Err(Breach::Connection(code, "a setting that may not have this value"));
        for setting in payload.chunks_exact(6) {
            let &[a, b, c, d, e, f] = setting else { continue };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                HEADER_TABLE_SIZE => {
                    self.header_table_size = usize::try_from(value).unwrap_or(usize::MAX);
                }
                ENABLE_PUSH | NO_RFC7540_PRIORITIES if value > 1 => {
                    return refused(ErrorCode::Protocol);
                }
                INITIAL_WINDOW_SIZE if i64::from(value) > window::LARGEST => {
                    return refused(ErrorCode::FlowControl);
                }
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return refused(ErrorCode::Protocol);
                }
                MAX_FRAME_SIZE => self.max_frame = usize::try_from(value).unwrap_or(usize::MAX),
                // What a client can take of fields is advice, and the rest we do not know.
                _ => {}
            }
        }
        Ok(())
    }
}

/// What we ask of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSettings {
    /// Streams at once.
    pub streams: u32,
    /// What each stream's window begins with.
    pub initial_window: u32,
    /// Bytes of the fields of a request, as HPACK counts them.
    pub head: u32,
}

impl OwnSettings {
    /// As the payload of a SETTINGS frame.
    pub fn payload(self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(24);
        for (name, value) in [
            (MAX_CONCURRENT_STREAMS, self.streams),
            (INITIAL_WINDOW_SIZE, self.initial_window),
            (MAX_HEADER_LIST_SIZE, self.head),
            (NO_RFC7540_PRIORITIES, 1),
        ] {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(name: u16, value: u32) -> Result<Settings, Breach> {
        let mut settings = Settings::default();
        settings.apply(&[&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).map(|()| settings)
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(applied(HEADER_TABLE_SIZE, 0).unwrap().header_table_size, 0);
        assert_eq!(applied(INITIAL_WINDOW_SIZE, 7).unwrap().initial_window, 7);
        assert_eq!(applied(MAX_FRAME_SIZE, 1 << 14).unwrap().max_frame, 1 << 14);
        for (name, value, code) in [
            (ENABLE_PUSH, 2, ErrorCode::Protocol),
            (INITIAL_WINDOW_SIZE, 1 << 31, ErrorCode::FlowControl),
            (MAX_FRAME_SIZE, (1 << 14) - 1, ErrorCode::Protocol),
            (MAX_FRAME_SIZE, 1 << 24, ErrorCode::Protocol),
            (NO_RFC7540_PRIORITIES, 2, ErrorCode::Protocol),
        ] {
            assert!(matches!(applied(name, value), Err(Breach::Connection(is, _)) if is == code));
        }
        assert_eq!(applied(0x7777, 1), Ok(Settings::default()));
    }
}
