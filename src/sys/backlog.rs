//! What the kernel still holds of what was written to a socket: not sent, or sent and not confirmed.
//!
//! Whether a slow client takes something cannot be seen from writing: room is told of only when
//! half of what waits has left, which at some kilobytes a second takes longer than anybody's
//! patience. sock_diag(7) says it: a question and an answer for one socket, found by its addresses,
//! however many sockets the machine has.

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, getpeername, getsockname, recv,
    sendto, socket_with,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Lengths of a message's header, of the question behind it, and of the answer.
const HEADER: usize = 16;
const QUESTION: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;

/// `SOCK_DIAG_BY_FAMILY`, the kind of both.
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;

/// Where an answer says how much waits to be sent or confirmed (`idiag_wqueue`).
const WAITING: usize = HEADER + 60;

/// Whom the kernel is asked by, for several sockets.
#[derive(Debug, Default)]
pub struct Backlog {
    netlink: Option<OwnedFd>,
    /// It is not there, or not for us.
    is_missing: bool,
    number: u32,
}

impl Backlog {
    /// The bytes that wait in a TCP socket; `None` for others, and where the kernel does not say.
    pub fn of(&mut self, socket: BorrowedFd<'_>) -> Option<u64> {
        let local = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
        let remote = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
        if self.netlink.is_none() && !self.is_missing {
            let kind = SocketType::DGRAM;
            let made =
                socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(SOCK_DIAG));
            self.netlink = made.ok();
            self.is_missing = self.netlink.is_none();
        }
        let netlink = self.netlink.as_ref()?;
        self.number = self.number.wrapping_add(1);
        let question = question(self.number, local, remote);
        sendto(netlink, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
        // The answer is there when the question was taken. An older one may be before it.
        let mut answer = [0; 1024];
        loop {
            let (n, _) = recv(netlink, &mut answer, RecvFlags::DONTWAIT).ok()?;
            let answer = answer.get(..n)?;
            if number(answer)? == self.number {
                return waiting(answer);
            }
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` of linux/inet_diag.h.
fn question(number: u32, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    const TCP: u8 = 6;
    const ANY: [u8; 4] = [0xff; 4];
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // Addresses that hold on one link only are told apart by it.
    let link = match local {
        SocketAddr::V6(local) => local.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    [
        &(QUESTION as u32).to_ne_bytes()[..],
        &BY_FAMILY.to_ne_bytes(),
        &REQUEST.to_ne_bytes(),
        &number.to_ne_bytes(),
        &[0; 4],
        &[family.as_raw() as u8, TCP, 0, 0],
        &ANY, // states
        &local.port().to_be_bytes(),
        &remote.port().to_be_bytes(),
        &octets(local.ip()),
        &octets(remote.ip()),
        &link.to_ne_bytes(),
        &ANY, // and the cookie
        &ANY,
    ]
    .concat()
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&ip.octets());
            octets
        }
    }
}

fn number(answer: &[u8]) -> Option<u32> {
    four(answer, 8)
}

/// `idiag_wqueue`, if that is what was answered and not an error.
fn waiting(answer: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let is_whole = answer.len() >= ANSWER && kind == BY_FAMILY;
    is_whole.then(|| four(answer, WAITING)).flatten().map(u64::from)
}

fn four(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn full(listen: &str, connect: &str) -> (TcpStream, TcpStream, usize) {
        let listener = TcpListener::bind(listen).unwrap();
        let port = listener.local_addr().unwrap().port();
        let reader = TcpStream::connect((connect, port)).unwrap();
        let (mut writer, _) = listener.accept().unwrap();
        writer.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(n) = writer.write(&[0; 65536]) {
            written += n;
        }
        (writer, reader, written)
    }

    #[test]
    fn what_waits_is_seen() {
        let mut backlog = Backlog::default();
        // The last one is a client of version 4 at a socket of version 6.
        for (listen, connect) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")]
        {
            let (writer, reader, written) = full(listen, connect);
            let waits = backlog.of(writer.as_fd()).unwrap();
            assert!(waits > 100_000 && waits <= written as u64, "{waits} of {written}");
            assert_eq!(backlog.of(reader.as_fd()), Some(0), "it has written nothing");
        }
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(backlog.of(one.as_fd()), None);
        let lone = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(backlog.of(lone.as_fd()), None);
        assert!(!backlog.is_missing);
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(question(1, address, address).len(), QUESTION);
        let mut answer = vec![0; ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[WAITING..WAITING + 4].copy_from_slice(&77u32.to_ne_bytes());
        assert_eq!(waiting(&answer), Some(77));
        for n in 0..ANSWER {
            assert_eq!(waiting(&answer[..n]), None);
        }
        answer[4..6].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(waiting(&answer), None, "an error");
    }
}
