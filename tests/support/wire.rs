//! A client that knows as little of HTTP as possible: bytes out, one answer in.

use super::{PATIENCE, TestServer};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection. Reading gives up after [`PATIENCE`].
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and header lines.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A GET of HTTP/1.1 for a path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

impl Wire {
    pub(crate) fn connect(server: &TestServer) -> Self {
        Self::to(server.address)
    }

    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// From an address of this machine, such as 127.0.0.2.
    pub(crate) fn from(source: &str, address: SocketAddr) -> Self {
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        let domain = socket2::Domain::for_address(source);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends. A server that has closed meanwhile is no error here: what it said will be read.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The next answer, which is not one to HEAD.
    pub(crate) fn response(&mut self) -> Response {
        self.try_response("GET").unwrap().expect("an answer, not the end")
    }

    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method).unwrap().expect("an answer, not the end")
    }

    /// Sends a GET and reads its answer.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.send(get(path)).response()
    }

    /// The next answer; `None` if the connection ends instead.
    pub(crate) fn try_response(&mut self, method: &str) -> io::Result<Option<Response>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let mut response = Response { status: status_of(&head), head, body: Vec::new() };
        let status = response.status;
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(Some(response));
        }
        response.body = match response.header("Content-Length") {
            Some(length) => self.take(length.parse().unwrap())?,
            None if response.header("Transfer-Encoding") == Some("chunked") => self.chunks()?,
            None => self.rest()?,
        };
        Ok(Some(response))
    }

    /// A head up to its blank line.
    pub(crate) fn head(&mut self) -> io::Result<Option<String>> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if self.fill()? => {}
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        };
        let head = self.buffer.drain(..end).collect();
        Ok(Some(String::from_utf8(head).unwrap()))
    }

    /// That many bytes.
    pub(crate) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Everything up to the end. An error if the connection was reset.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the connection ends, with nothing before the end.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.rest(), Ok(rest) if rest.is_empty())
    }

    /// Whether nothing comes for so long, not even the end.
    pub(crate) fn is_silent(&mut self, span: Duration) -> bool {
        self.stream.set_read_timeout(Some(span)).unwrap();
        let filled = self.fill();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(filled, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// The body of an answer whose head was read already.
    pub(crate) fn rest_of_chunks(&mut self) -> Vec<u8> {
        self.chunks().unwrap()
    }

    /// The same; an error if the connection ends before it does.
    pub(crate) fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(self.take(1)?);
            }
            let size = std::str::from_utf8(&line).unwrap().trim_end();
            let size = usize::from_str_radix(size, 16).unwrap();
            body.extend(self.take(size)?);
            self.take(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Receives once. False at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 64 * 1024];
        let received = loop {
            match self.stream.read(&mut piece) {
                // The whole test may be stopped for a while, and go on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.extend_from_slice(&piece[..received]);
        Ok(received > 0)
    }
}

impl Response {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn status_of(head: &str) -> u16 {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|after| after.get(..3));
    status.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"))
}
