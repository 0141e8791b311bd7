//! A server of this process, with an application.

use super::PATIENCE;
use httpyserver::server::Ended;
use httpyserver::{App, Failure, Running, Server, SiteServer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A server in a thread of its own, stopped when this is dropped.
pub(crate) struct Embedded {
    pub(crate) address: SocketAddr,
    stopper: httpyserver::event::Stopper,
    thread: Option<JoinHandle<bool>>,
}

impl Embedded {
    /// `make` is called in the thread: applications stay where they are made.
    pub(crate) fn new(make: impl FnOnce() -> Server + Send + 'static) -> Self {
        Self::start(|| make().quiet().start())
    }

    pub(crate) fn of_site(make: impl FnOnce() -> SiteServer + Send + 'static) -> Self {
        Self::start(|| make().quiet().start())
    }

    pub(crate) fn start(start: impl FnOnce() -> Result<Running, Failure> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut server = start().unwrap();
            sender.send((server.address().unwrap(), server.stopper().unwrap())).unwrap();
            server.run().unwrap() == Ended::Finished
        });
        let (address, stopper) = receiver.recv_timeout(PATIENCE).unwrap();
        Self { address, stopper, thread: Some(thread) }
    }

    pub(crate) fn of(make: impl FnOnce() -> App + Send + 'static) -> Self {
        Self::new(move || Server::bind("127.0.0.1:0").app(make()))
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Sends bytes, and reads until the server closes.
    pub(crate) fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect();
        // What is refused may not be read to its end, and a reset is an end like others here.
        let _ = socket.write_all(bytes.as_ref());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = match body {
            [] => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}{length}\r\n"
        );
        Answer::of(&self.exchange([head.as_bytes(), body].concat()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    pub(crate) fn stop(mut self) -> bool {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stopper.stop();
            self.stopper.stop();
            let _ = thread.join();
        }
    }
}

/// One answer, whose head is in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|own| own == line.to_ascii_lowercase())
    }
}
