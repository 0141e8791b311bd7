//! Host names as clients ask for them (RFC 9110 §4.2, RFC 9112 §3.2).

use super::bytes;
use std::net::Ipv6Addr;

/// A host name as asked for: borrowed, validated; no port, no trailing dot.
///
/// Narrower than the URI grammar (RFC 3986 §3.2.2): letters, digits and `-._~`, or an IPv6 address
/// in brackets. No percent-encoding, no sub-delims, no user: none of them names a site, and each
/// has made two servers disagree about which one is meant (SECURITY 24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostName<'a> {
    /// The name as it was sent; an IPv6 address keeps its brackets.
    pub name: &'a [u8],
    /// The port, if there is one with digits.
    pub port: Option<u16>,
}

impl<'a> HostName<'a> {
    /// Takes a Host value or an authority apart; `None` if it is not surely a host.
    pub fn parse(authority: &'a [u8]) -> Option<Self> {
        let (name, port) = match authority {
            [b'[', ..] => split_literal(authority)?,
            _ => split_name(authority)?,
        };
        let port = match port {
            // `host:` is allowed and means the default port (RFC 3986 §3.2.3).
            None | Some([]) => None,
            Some(digits) => Some(u16::try_from(bytes::parse_u64(digits)?).ok()?),
        };
        Some(Self { name, port })
    }

    /// Puts the name in lower case into `out`, in place of what is there.
    pub fn to_lower(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend(self.name.iter().map(u8::to_ascii_lowercase));
    }
}

/// A part before the port, and what follows the colon.
type NameAndPort<'a> = (&'a [u8], Option<&'a [u8]>);

fn split_name(authority: &[u8]) -> Option<NameAndPort<'_>> {
    let (name, port) = match memchr::memchr(b':', authority) {
        Some(colon) => (authority.get(..colon)?, Some(authority.get(colon + 1..)?)),
        None => (authority, None),
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    (name.len() <= NAME_MAX && has_good_labels(name)).then_some((name, port))
}

fn has_good_labels(name: &[u8]) -> bool {
    // An empty label also stands for an empty name, a leading dot and `a..b`.
    let mut label_is_empty = true;
    for byte in name {
        match byte {
            b'.' if label_is_empty => return false,
            b'.' => label_is_empty = true,
            b'-' | b'_' | b'~' => label_is_empty = false,
            _ if byte.is_ascii_alphanumeric() => label_is_empty = false,
            _ => return false,
        }
    }
    !label_is_empty
}

fn split_literal(authority: &[u8]) -> Option<NameAndPort<'_>> {
    let end = memchr::memchr(b']', authority)?;
    let address = std::str::from_utf8(authority.get(1..end)?).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    let port = match authority.get(end + 1..)? {
        [] => None,
        [b':', port @ ..] => Some(port),
        _ => return None,
    };
    Some((authority.get(..=end)?, port))
}

/// What DNS allows (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_hosts() {
        for (text, name, port) in [
            ("example.org", "example.org", None),
            ("Example.ORG:8080", "Example.ORG", Some(8080)),
            ("example.org.", "example.org", None),
            ("example.org.:80", "example.org", Some(80)),
            ("host:", "host", None),
            ("127.0.0.1:0", "127.0.0.1", Some(0)),
            ("a_b-c~d", "a_b-c~d", None),
            ("[::1]", "[::1]", None),
            ("[::1]:65535", "[::1]", Some(65535)),
            ("[::ffff:1.2.3.4]:", "[::ffff:1.2.3.4]", None),
        ] {
            let want = HostName { name: name.as_bytes(), port };
            assert_eq!(HostName::parse(text.as_bytes()), Some(want), "{text}");
        }
        let mut out = b"old".to_vec();
        HostName::parse(b"Example.ORG.").unwrap().to_lower(&mut out);
        assert_eq!(out, b"example.org");
    }

    #[test]
    fn bad_hosts() {
        let long = "a".repeat(256);
        for text in [
            "",
            ":",
            ":80",
            ".",
            "..",
            ".a",
            "a..b",
            "a..",
            "a b",
            "a\tb",
            "a@b",
            "a/b",
            "a\\b",
            "a%20",
            "a,b",
            "a?b",
            "a#b",
            "\u{e4}",
            "a:b",
            "a:+80",
            "a: 80",
            "a:65536",
            "a:80:80",
            "::1",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[:::1]",
            "[1.2.3.4]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "a[",
            "x\0",
            &long,
        ] {
            assert_eq!(HostName::parse(text.as_bytes()), None, "{text}");
        }
        assert!(HostName::parse(&long.as_bytes()[1..]).is_some());
    }
}
