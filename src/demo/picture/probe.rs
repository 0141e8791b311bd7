//! What a file is, by its first bytes: a picture that every browser shows, and how large.
//!
//! Neither the name nor the type that a client gives is believed. Pure: bytes in, answer out. The
//! formats: PNG (ISO/IEC 15948), GIF89a, JPEG (ITU-T T.81), WebP (RFC 9649).

/// A format that is taken.
///
/// ```
/// use httpyserver::demo::{Format, probe};
///
/// assert_eq!(probe(b"GIF89a\x02\x00\x01\x00").map(|found| found.format), Ok(Format::Gif));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// image/png
    Png,
    /// image/jpeg
    Jpeg,
    /// image/gif
    Gif,
    /// image/webp
    WebP,
}

/// What is known of a picture.
///
/// ```
/// use httpyserver::demo::probe;
///
/// let found = probe(b"GIF89a\x02\x00\x01\x00").unwrap();
/// assert_eq!((found.width, found.height), (2, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How it is written down.
    pub format: Format,
    /// In pixels; never 0.
    pub width: u32,
    /// In pixels; never 0.
    pub height: u32,
}

/// Why a file is no picture for us.
///
/// ```
/// use httpyserver::demo::{NoPicture, probe};
///
/// assert_eq!(probe(b"<svg onload=alert(1)>"), Err(NoPicture::Unknown));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPicture {
    /// It is something else, or broken at its beginning.
    Unknown,
    /// Unpacked it would fill the memory of who looks at it.
    TooManyPixels,
}

/// How much of a file has to be looked at. A JPEG's size may stand behind a preview and colour
/// profiles.
pub const BYTES: usize = 256 * 1024;

/// 40 megapixels: what good cameras make, and 160 MB unpacked.
const PIXELS_MAX: u64 = 40_000_000;

impl Format {
    /// The ending of its files, and what [`crate::demo`] serves them as.
    ///
    /// ```
    /// use httpyserver::demo::Format;
    ///
    /// assert_eq!(Format::Jpeg.extension(), "jpg");
    /// ```
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::WebP => "webp",
        }
    }

    /// The format that [`Self::extension`] stands for.
    ///
    /// ```
    /// use httpyserver::demo::Format;
    ///
    /// assert_eq!(Format::of_extension("webp"), Some(Format::WebP));
    /// assert_eq!(Format::of_extension("svg"), None);
    /// ```
    pub fn of_extension(extension: &str) -> Option<Self> {
        let all = [Self::Png, Self::Jpeg, Self::Gif, Self::WebP];
        all.into_iter().find(|format| format.extension() == extension)
    }

    /// Its media type.
    ///
    /// ```
    /// use httpyserver::demo::Format;
    ///
    /// assert_eq!(Format::Png.media_type(), "image/png");
    /// ```
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
        }
    }
}

/// Looks at the beginning of a file: 256 KiB, or all of it.
///
/// # Errors
/// [`NoPicture`].
///
/// ```
/// use httpyserver::demo::{NoPicture, probe};
///
/// assert!(probe(b"GIF89a\x02\x00\x01\x00").is_ok());
/// // 65535 pixels each way would fill the memory of who looks at it.
/// assert_eq!(probe(b"GIF89a\xff\xff\xff\xff"), Err(NoPicture::TooManyPixels));
/// ```
pub fn probe(bytes: &[u8]) -> Result<Probe, NoPicture> {
    let (format, size) = if let Some(rest) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        (Format::Png, png(rest))
    } else if let Some(rest) = bytes.strip_prefix(b"\xff\xd8") {
        (Format::Jpeg, jpeg(rest))
    } else if let Some(rest) = bytes.strip_prefix(b"GIF87a").or(bytes.strip_prefix(b"GIF89a")) {
        (Format::Gif, gif(rest))
    } else if let Some(rest) = bytes.strip_prefix(b"RIFF") {
        (Format::WebP, webp(rest))
    } else {
        return Err(NoPicture::Unknown);
    };
    match size {
        Some((0, _) | (_, 0)) | None => Err(NoPicture::Unknown),
        Some((width, height)) if u64::from(width) * u64::from(height) > PIXELS_MAX => {
            Err(NoPicture::TooManyPixels)
        }
        Some((width, height)) => Ok(Probe { format, width, height }),
    }
}

type Size = Option<(u32, u32)>;

/// The first chunk is IHDR, and begins with width and height.
fn png(rest: &[u8]) -> Size {
    let header = rest.strip_prefix(b"\0\0\0\x0dIHDR")?;
    Some((be32(header, 0)?, be32(header, 4)?))
}

fn gif(rest: &[u8]) -> Size {
    Some((le16(rest, 0)?, le16(rest, 2)?))
}

/// Segments, each with its length, until the one that begins a frame.
fn jpeg(mut rest: &[u8]) -> Size {
    loop {
        rest = rest.strip_prefix(b"\xff")?;
        // Any number of 0xff may come before a marker (B.1.1.2).
        while let Some(after) = rest.strip_prefix(b"\xff") {
            rest = after;
        }
        let (&marker, after) = rest.split_first()?;
        match marker {
            // SOF0 to SOF15 but DHT, JPG and DAC: precision, height, width.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(after, 5)?, be16(after, 3)?));
            }
            // TEM, and RST0 to RST7, have no length; SOI, EOI and SOS come before no frame.
            0x01 | 0xd0..=0xd7 => rest = after,
            0x00 | 0xd8..=0xda => return None,
            _ => {
                let length = usize::try_from(be16(after, 0)?).ok().filter(|length| *length >= 2)?;
                rest = after.get(length..)?;
            }
        }
    }
}

/// A RIFF file whose first chunk says which of the three kinds it is.
fn webp(rest: &[u8]) -> Size {
    let chunk = rest.get(4..)?.strip_prefix(b"WEBP")?;
    let (kind, data) = (chunk.get(..4)?, chunk.get(8..)?);
    match kind {
        // Lossy: a key frame's start code, then 14 bits each (RFC 6386 §9.1).
        b"VP8 " => {
            let frame = data.get(3..)?.strip_prefix(b"\x9d\x01\x2a")?;
            Some((le16(frame, 0)? & 0x3fff, le16(frame, 2)? & 0x3fff))
        }
        // Lossless: a signature, then 14 bits each, less one.
        b"VP8L" => {
            let bits = data.strip_prefix(b"\x2f")?;
            let bits = le16(bits, 0)? | le16(bits, 2)? << 16;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        // Extended: flags, then 24 bits each, less one.
        b"VP8X" => Some((le24(data, 4)? + 1, le24(data, 7)? + 1)),
        _ => None,
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from_be_bytes(four))
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from(u16::from_be_bytes(two)))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from(u16::from_le_bytes(two)))
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c]: [u8; 3] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\0\0\x03\x08\x06\0\0\0";
    const GIF: &[u8] = b"GIF89a\x02\x01\x03\x00\x00\x00\x00";
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe0\0\x04JF\xff\xff\xdb\0\x03x\xff\xc2\0\x11\x08\0\x03\x01\x02\x03";
    const LOSSY: &[u8] = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a\x02\x41\x03\x40";
    const LOSSLESS: &[u8] = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x01\x81\0\x10";
    const EXTENDED: &[u8] = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\x10\0\0\0\x01\x01\0\x02\0\0";

    #[test]
    fn formats_and_sizes() {
        for (bytes, format) in [
            (PNG, Format::Png),
            (GIF, Format::Gif),
            (JPEG, Format::Jpeg),
            (LOSSY, Format::WebP),
            (LOSSLESS, Format::WebP),
            (EXTENDED, Format::WebP),
        ] {
            let (width, height) = (0x102, 3);
            assert_eq!(
                probe(bytes),
                Ok(Probe { format, width, height }),
                "{}",
                bytes.escape_ascii()
            );
            assert_eq!(Format::of_extension(format.extension()), Some(format));
        }
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [
            &b""[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!doctype html><script>",
            b"%PDF-1.7",
            b"BM\0\0",
            b"GIF88a\x01\0\x01\0",
            b"GIF89a\0\0\x01\0",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"RIFF\0\0\0\0WEBPVP9 \0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT\0\0\0\x01\0\0\0\x01",
            b"\xff\xd8\xff\xda\0\x02",
            b"\xff\xd8\xff\xe0\0\x01\xff\xc0\0\x11\x08\0\x01\0\x01",
            b"\xff\xd8\xff\xff\xff\xff",
        ] {
            assert_eq!(probe(bytes), Err(NoPicture::Unknown), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_refused() {
        let mut bytes = PNG.to_vec();
        bytes[16..24].copy_from_slice(b"\0\x01\0\0\0\x01\0\0");
        assert_eq!(probe(&bytes), Err(NoPicture::TooManyPixels));
        bytes[16..24].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(probe(&bytes), Err(NoPicture::TooManyPixels));
    }

    #[test]
    fn a_cut_file_is_refused() {
        for bytes in [PNG, GIF, JPEG, LOSSY, LOSSLESS, EXTENDED] {
            for cut in 0..10 {
                assert_eq!(probe(&bytes[..cut]), Err(NoPicture::Unknown));
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            start in prop::sample::select(vec![PNG, GIF, JPEG, LOSSY, LOSSLESS, EXTENDED, b""]),
            keep in 0usize..40,
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = start[..keep.min(start.len())].to_vec();
            bytes.extend_from_slice(&rest);
            if let Ok(found) = probe(&bytes) {
                prop_assert!(found.width > 0 && found.height > 0);
                prop_assert!(u64::from(found.width) * u64::from(found.height) <= PIXELS_MAX);
            }
        }
    }
}
