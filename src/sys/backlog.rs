//! What the kernel still holds of what was written to sockets: sent and not confirmed, or not sent.
//!
//! Whether a slow client takes something cannot be seen from writing: room is told of only when
//! half of what waits has left, which at some kilobytes a second takes longer than anybody's
//! patience. `/proc/net/tcp` says it (proc_pid_net(5)); it costs a line for each connection of the
//! machine, so it is asked only before somebody would be put out.

use rustix::fd::BorrowedFd;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// The number by which tables of the kernel call a socket.
pub fn inode(socket: BorrowedFd<'_>) -> Option<u64> {
    Some(rustix::fs::fstat(socket).ok()?.st_ino)
}

/// The bytes that wait in each of these TCP sockets. Those of other kinds are missing, and all are
/// where there is no `/proc`.
pub fn of(wanted: &HashSet<u64>) -> HashMap<u64, u64> {
    let mut found = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(table) = File::open(table) else { continue };
        for line in BufReader::with_capacity(64 * 1024, table).split(b'\n') {
            let Ok(line) = line else { break };
            if let Some((inode, bytes)) = entry(&line)
                && wanted.contains(&inode)
            {
                found.insert(inode, bytes);
            }
            if found.len() == wanted.len() {
                return found;
            }
        }
    }
    found
}

/// The inode of a line's socket, and what waits in it to be sent or confirmed.
fn entry(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (queues, inode) = (fields.nth(4)?, fields.nth(4)?);
    let (sending, _) = queues.split_once(':')?;
    Some((inode.parse().ok()?, u64::from_str_radix(sending, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn lines_of_the_table() {
        let line = b"   1: 0100007F:49BD 0100007F:D2A4 01 0003FD40:00000000 01:00000014 00000000     0        0 30122 3 0000000000000000 20 4 30 10 -1";
        for (line, want) in [
            (&line[..], Some((30122, 0x3fd40))),
            (b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", None),
            (b"", None),
            (b"1: a b c d e f g h", None),
            (b"\xff", None),
        ] {
            assert_eq!(entry(line), want, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_waits_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _reader = listener.accept().unwrap();
        writer.set_nonblocking(true).unwrap();
        while writer.write(&[0; 65536]).is_ok() {}
        let inode = inode(writer.as_fd()).unwrap();
        assert!(of(&HashSet::from([inode]))[&inode] > 100_000);
        assert!(of(&HashSet::from([1, 2])).is_empty());
    }
}
