//! One line for every request, refused ones too.

use super::log_sink::LogSink;
use crate::conf::LogFormat;
use crate::event::Clock;
use crate::http::{Known, Status, date, escape};
use crate::serve::Request;
use std::io::{self, Write};
use std::time::Instant;

/// The access log. Without a sink nothing is formatted.
#[derive(Debug, Default)]
pub struct AccessLog {
    sink: Option<LogSink>,
    format: Option<LogFormat>,
    colour: bool,
    skip: Vec<String>,
}

/// What a line is made of.
pub struct Entry<'a> {
    /// The request; one that was refused before it was understood has a request line at most.
    pub request: &'a Request,
    /// How it was answered.
    pub status: Status,
    /// Bytes of its body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were sent.
    pub bytes_out: u64,
    /// When its head was complete.
    pub began: Instant,
    /// The host that answered.
    pub host: Option<&'a str>,
    /// The route that answered.
    pub route: Option<&'a str>,
    /// What answered, in a word.
    pub kind: &'a str,
    /// Why it went wrong, if it did.
    pub error: Option<&'a str>,
}

impl AccessLog {
    /// A log that goes to `sink`. `colour`: for the pretty format.
    pub fn new(sink: Option<LogSink>, format: LogFormat, colour: bool, skip: Vec<String>) -> Self {
        Self { sink, format: Some(format), colour, skip }
    }

    /// Writes one line.
    pub fn record(&mut self, entry: &Entry<'_>, clock: &Clock) {
        let Some(sink) = &mut self.sink else { return };
        if self.skip.iter().any(|path| path.as_bytes() == entry.request.path()) {
            return;
        }
        let line = sink.buffer();
        let start = line.len();
        // Writing to a Vec does not fail.
        let _ = match self.format {
            Some(LogFormat::Json) => json(entry, clock, line),
            Some(LogFormat::Pretty) => pretty(entry, clock, self.colour, line),
            Some(LogFormat::Common) => common(entry, clock, false, line),
            Some(LogFormat::Combined) | None => common(entry, clock, true, line),
        };
        line.push(b'\n');
        sink.line_added(start);
    }

    /// Whether lines wait to be written.
    pub fn has_gathered(&self) -> bool {
        self.sink.as_ref().is_some_and(LogSink::has_gathered)
    }

    /// Whether it goes to a terminal.
    pub fn is_watched(&self) -> bool {
        self.sink.as_ref().is_some_and(LogSink::is_terminal)
    }

    /// Writes the lines that wait.
    pub fn flush(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.flush();
        }
    }

    /// Gives its file to an account, if it was made just now.
    pub fn give_to(&self, account: (u32, u32)) {
        if let Some(sink) = &self.sink {
            sink.give_to(account);
        }
    }

    /// Opens its file again.
    ///
    /// # Errors
    /// As `LogSink::reopen`.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), LogSink::reopen)
    }

    /// Lines lost.
    pub fn dropped(&self) -> u64 {
        self.sink.as_ref().map_or(0, LogSink::dropped)
    }
}

/// Who was let in by a password, else whose certificate the client has shown, as one word: a blank
/// inside would shift the fields.
fn user(request: &Request, out: &mut Vec<u8>) {
    let Some(client) = request.user.as_ref().or(request.client.as_ref()) else {
        return out.push(b'-');
    };
    let start = out.len();
    escape::log(client.as_bytes(), out);
    if memchr::memchr(b' ', out.get(start..).unwrap_or_default()).is_some() {
        for byte in out.split_off(start) {
            match byte {
                b' ' => out.extend_from_slice(b"\\x20"),
                other => out.push(other),
            }
        }
    }
}

/// `host - user [time] "request" status bytes`, and with `combined` `"referer" "agent"`.
fn common(entry: &Entry<'_>, clock: &Clock, combined: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let head = &entry.request.head;
    let mut number = itoa::Buffer::new();
    entry.request.peer.write_to(out);
    out.extend_from_slice(b" - ");
    user(entry.request, out);
    out.extend_from_slice(b" [");
    out.extend_from_slice(clock.log_date());
    out.extend_from_slice(b"] \"");
    escape::log(some_text(head.request_line()), out);
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(number.format(entry.status.code()).as_bytes());
    out.push(b' ');
    match entry.bytes_out {
        0 => out.push(b'-'),
        bytes => out.extend_from_slice(number.format(bytes).as_bytes()),
    }
    if combined {
        for header in [Known::Referer, Known::UserAgent] {
            out.extend_from_slice(b" \"");
            escape::log(some_text(head.get(header).unwrap_or_default()), out);
            out.push(b'"');
        }
    }
    Ok(())
}

fn pretty(entry: &Entry<'_>, clock: &Clock, colour: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let head = &entry.request.head;
    let now = date::civil(clock.unix());
    let (on, off) = match (colour, entry.status.class()) {
        (false, _) => ("", ""),
        (true, 2) => ("\x1b[32m", "\x1b[0m"),
        (true, 3) => ("\x1b[36m", "\x1b[0m"),
        (true, 4) => ("\x1b[33m", "\x1b[0m"),
        (true, _) => ("\x1b[31m", "\x1b[0m"),
    };
    write!(
        out,
        "{:02}:{:02}:{:02} {on}{}{off} ",
        now.hour,
        now.minute,
        now.second,
        entry.status.code()
    )?;
    if head.method_text().is_empty() {
        escape::log(some_text(head.request_line()), out);
    } else {
        escape::log(head.method_text(), out);
        out.push(b' ');
        if let Some(host) = entry.host {
            escape::log(host.as_bytes(), out);
        }
        escape::log(head.target(), out);
    }
    write!(out, "  {}", size(entry.bytes_out))?;
    let micros = (clock.now() - entry.began).as_micros();
    if micros > 0 {
        write!(out, " in {}.{:03} ms", micros / 1000, micros % 1000)?;
    }
    write!(out, "  {}  {}", entry.kind, entry.request.peer)?;
    if let Some(error) = entry.error {
        out.extend_from_slice(b"  (");
        escape::log(error.as_bytes(), out);
        out.push(b')');
    }
    Ok(())
}

fn json(entry: &Entry<'_>, clock: &Clock, out: &mut Vec<u8>) -> io::Result<()> {
    let head = &entry.request.head;
    out.extend_from_slice(b"{\"ts\":\"");
    date::iso8601(clock.unix(), clock.millis(), out);
    write!(out, "\",\"client\":\"{}\"", entry.request.peer)?;
    text_field("method", Some(head.method_text()), out);
    let scheme = if entry.request.secure { "https" } else { "http" };
    text_field("scheme", Some(scheme.as_bytes()), out);
    text_field("host", head.authority(), out);
    text_field("path", Some(head.raw_path()), out);
    text_field("query", head.query(), out);
    text_field("proto", Some(head.version().as_str().as_bytes()), out);
    // What was refused before it was understood has none of the above.
    let refused = head.method_text().is_empty().then(|| head.request_line());
    text_field("refused", refused, out);
    write!(
        out,
        ",\"status\":{},\"bytes_in\":{},\"bytes_out\":{},\"dur_us\":{}",
        entry.status.code(),
        entry.bytes_in,
        entry.bytes_out,
        (clock.now() - entry.began).as_micros()
    )?;
    text_field("vhost", entry.host.map(str::as_bytes), out);
    text_field("route", entry.route.map(str::as_bytes), out);
    text_field("kind", Some(entry.kind.as_bytes()), out);
    text_field("tls", entry.request.tls_version.map(str::as_bytes), out);
    text_field("tls_client", entry.request.client.as_deref().map(str::as_bytes), out);
    text_field("user", entry.request.user.as_deref().map(str::as_bytes), out);
    text_field("referer", head.get(Known::Referer), out);
    text_field("agent", head.get(Known::UserAgent), out);
    text_field("err", entry.error.map(str::as_bytes), out);
    out.push(b'}');
    Ok(())
}

/// `,"name":"value"`, or null.
fn text_field(name: &str, value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    let Some(value) = value else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    for character in String::from_utf8_lossy(value).chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if escape::steers(c) => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn some_text(text: &[u8]) -> &[u8] {
    if text.is_empty() { b"-" } else { text }
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Parsed, limits::HeadLimits, parse};
    use crate::serve::Peer;
    use std::time::{Duration, UNIX_EPOCH};

    fn line(format: LogFormat, raw: &[u8]) -> String {
        let mut clock = Clock::new();
        clock.set(Instant::now(), UNIX_EPOCH + Duration::from_millis(1_791_640_536_250));
        let mut request = Request::default();
        request.peer = Peer::Ip([192, 0, 2, 7].into(), 9);
        if raw.starts_with(b"GET /known") {
            request.client = Some("CN=Ada \"x\", O=E".into());
            request.tls_version = Some("TLSv1.3");
        }
        let Parsed::Complete(_) = parse(raw, 0, &HeadLimits::default(), &mut request.head) else {
            panic!("not a request")
        };
        let entry = Entry {
            request: &request,
            status: Status::OK,
            bytes_in: 0,
            bytes_out: 2326,
            began: clock.now(),
            host: Some("example.org"),
            route: Some("/"),
            kind: "files",
            error: None,
        };
        let mut out = Vec::new();
        match format {
            LogFormat::Json => json(&entry, &clock, &mut out),
            LogFormat::Pretty => pretty(&entry, &clock, false, &mut out),
            LogFormat::Common => common(&entry, &clock, false, &mut out),
            LogFormat::Combined => common(&entry, &clock, true, &mut out),
        }
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn who_has_shown_a_certificate_is_the_user() {
        let raw = b"GET /known HTTP/1.1\r\nHost: h\r\n\r\n";
        let common = line(LogFormat::Common, raw);
        assert!(common.starts_with(r"192.0.2.7 - CN=Ada\x20\x22x\x22,\x20O=E ["), "{common}");
        let json = line(LogFormat::Json, raw);
        let tls = r#""tls":"TLSv1.3","tls_client":"CN=Ada \"x\", O=E""#;
        assert!(json.contains(tls), "{json}");
    }

    const HOSTILE: &[u8] =
        b"GET /a\"b\\?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: x\"y\\z\xff\r\n\r\n";

    #[test]
    fn combined_is_exactly_combined() {
        let raw = b"GET /x HTTP/1.1\r\nHost: h\r\nReferer: r\r\nUser-Agent: a b\r\n\r\n";
        let combined = line(LogFormat::Combined, raw);
        assert_eq!(
            combined,
            "192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] \"GET /x HTTP/1.1\" 200 2326 \"r\" \"a b\""
        );
        assert!(combined.starts_with(&line(LogFormat::Common, raw)));
    }

    #[test]
    fn nothing_a_client_sends_ends_a_field() {
        let raw = String::from_utf8_lossy(HOSTILE).replace("b\\?", "b?").into_bytes();
        let combined = line(LogFormat::Combined, &raw);
        assert_eq!(combined.matches('"').count(), 6, "{combined}");
        let json = line(LogFormat::Json, &raw);
        assert!(json.contains(r#""agent":"x\"y\\z"#), "{json}");
        assert!(json.contains(r#""ts":"2026-10-10T13:55:36.250Z""#), "{json}");
        assert!(json.contains(r#""query":"q=1""#) && json.contains(r#""err":null"#), "{json}");
    }

    #[test]
    fn pretty_is_short() {
        let raw = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(
            line(LogFormat::Pretty, raw),
            "13:55:36 200 GET example.org/x  2.3 KiB  files  192.0.2.7"
        );
    }
}
