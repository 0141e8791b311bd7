//! Names of hosts, addresses to listen on, and addresses of clients.

use super::{Fault, file_path};
use crate::conf::Network;
use crate::conf::model::{Client, Listen, Place};
use crate::conf::network::NotNetwork;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A name of a host, lower case; `*.` at the beginning makes it a wildcard.
pub(in crate::conf) fn host_name(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-host-name", why);
    let lower = text.to_ascii_lowercase();
    if lower == "*" {
        return Err(fault("is no name: a host with `default = true` answers every name"));
    }
    if let Some((_, rest)) = lower.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(fault("is a URL, not a name").instead(host));
    }
    if lower.starts_with('[') {
        let (address, rest) = lower.trim_start_matches('[').split_once(']').unwrap_or((&lower, ""));
        return match (address.parse::<std::net::Ipv6Addr>(), rest) {
            (Ok(_), "") => Ok(lower),
            (Ok(ip), _) => Err(fault("has a port: names are without").instead(format!("[{ip}]"))),
            _ => Err(fault("is not an IPv6 address in brackets")),
        };
    }
    if lower.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(fault("needs brackets").instead(format!("[{lower}]")));
    }
    if let Some((host, port)) = lower.split_once(':') {
        let fault = fault("has a port: names are without, `listen` has the ports");
        let is_port = !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        return Err(if is_port { fault.instead(host) } else { fault });
    }
    if let Some(host) = lower.strip_suffix('.').filter(|host| *host != "*") {
        return Err(fault("ends in a dot").instead(host));
    }
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    if name.contains('*') {
        return Err(fault("has a `*` elsewhere than in a leading `*.`"));
    }
    if !name.is_ascii() {
        return Err(fault("has letters outside ASCII: write it as browsers send it (xn--…)"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(fault("is not a host name"));
    }
    Ok(lower)
}

/// An address to listen on. A relative path of a socket is seen from `folder`.
pub(in crate::conf) fn listen(text: &str, folder: &Path) -> Result<Listen, Fault> {
    let fault = |why: &str| Fault::new("bad-listen", why);
    if let Some(path) = text.strip_prefix("unix:") {
        let path = folder.join(file_path(path)?);
        // sun_path has 108 bytes, the last is NUL.
        return if path.as_os_str().len() > 107 {
            Err(Fault::new("out-of-range", "is longer than the 107 bytes of a socket's path"))
        } else {
            Ok(Listen::plain(Place::Unix(path)))
        };
    }
    if text.starts_with("systemd:") {
        return Err(Fault::new("not-yet", "needs socket activation, not in this version"));
    }
    let secure = text.starts_with("https://");
    let scheme = if secure { "https" } else { "http" };
    let stripped = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
    let Some(address) = stripped else {
        let port = text.trim_start_matches(':');
        let fault = fault("is no address like \"http://*:80\" or \"unix:/run/web.sock\"");
        return Err(if port.parse::<u16>().is_ok() {
            fault.instead(format!("http://*:{port}"))
        } else if authority(text, 80).is_some() {
            fault.instead(format!("http://{text}"))
        } else {
            fault
        });
    };
    if let Some(path) = address.strip_prefix("unix:") {
        return Err(fault("is a Unix socket, which has no scheme and no TLS")
            .instead(format!("unix:{}", path.trim_start_matches("//"))));
    }
    if let Some((before, _)) = address.split_once('/') {
        return Err(fault("has a path").instead(format!("{scheme}://{before}")));
    }
    let place = authority(address, if secure { 443 } else { 80 }).ok_or_else(|| {
        fault(
            "is not \"http://\" or \"https://\" with `*`, `localhost` or an IP address, \
             and a port up to 65535",
        )
    })?;
    Ok(Listen { secure, place })
}

/// `*:80`, `127.0.0.1:80`, `[::1]:80`, `localhost:80`; without port that of the scheme, as in
/// every URL.
fn authority(text: &str, default_port: u16) -> Option<Place> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            (host, if digits { port.parse().ok()? } else { return None })
        }
        _ => (text, default_port),
    };
    let ip: IpAddr = match host {
        "*" => return Some(Place::Any { port }),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ if host.starts_with('[') => {
            let inner = host.strip_prefix('[')?.strip_suffix(']')?;
            IpAddr::V6(inner.parse().ok()?)
        }
        _ => IpAddr::V4(host.parse().ok()?),
    };
    Some(Place::Addr(SocketAddr::new(ip, port)))
}

/// Clients of an access list.
pub(in crate::conf) fn client(text: &str) -> Result<Client, Fault> {
    if text == "unix" {
        return Ok(Client::Unix);
    }
    let fault = |why: &str| Fault::new("bad-network", why);
    Network::parse(text).map(Client::Network).map_err(|error| match error {
        NotNetwork::Beyond(network) => {
            fault("has bits set behind those that count").instead(network.to_string())
        }
        NotNetwork::Bits => fault("has no number of bits behind the `/`, such as \"10.0.0.0/8\""),
        NotNetwork::Address => {
            let fault =
                fault("is no address and no network, such as \"192.168.0.0/16\" or \"::1\"");
            let bare = text.trim_matches(['[', ']']);
            match bare.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| bare.parse()) {
                Ok(ip) => fault.instead(ip.to_string()),
                Err(_) if text == "localhost" => fault.instead("127.0.0.1"),
                Err(_) => fault,
            }
        }
    })
}

/// The places that are listened on, each with its number in the list.
#[derive(Default)]
pub(in crate::conf) struct Taken {
    paths: HashMap<PathBuf, usize>,
    ports: HashMap<u16, Port>,
}

/// What has a port: the first address of each family, the first that stands for all of them, and
/// each for itself.
#[derive(Default)]
struct Port {
    first: [Option<usize>; 2],
    all: [Option<usize>; 2],
    each: HashMap<IpAddr, usize>,
}

impl Taken {
    /// Takes a place, unless one before cannot be opened beside it: its number.
    pub(in crate::conf) fn take(&mut self, listen: &Listen, number: usize) -> Option<usize> {
        let families: &[usize] = match &listen.place {
            Place::Unix(path) => return first(self.paths.entry(path.clone()), number),
            // Any free port is another one each time.
            _ if listen.port() == 0 => return None,
            Place::Any { .. } => &[0, 1],
            Place::Addr(address) if address.is_ipv4() => &[0],
            Place::Addr(_) => &[1],
        };
        let port = self.ports.entry(listen.port()).or_default();
        let ip = match &listen.place {
            Place::Addr(address) if !address.ip().is_unspecified() => Some(address.ip()),
            _ => None,
        };
        let taken = if ip.is_some() { &port.all } else { &port.first };
        let earlier = families.iter().filter_map(|family| *taken.get(*family)?).min();
        let same = ip.and_then(|ip| first(port.each.entry(ip), number));
        for family in families {
            let all = port.all.get_mut(*family).filter(|_| ip.is_none());
            for place in all.into_iter().chain(port.first.get_mut(*family)) {
                place.get_or_insert(number);
            }
        }
        earlier.into_iter().chain(same).min()
    }
}

/// The number that is there already; otherwise this one is put there.
fn first<K>(entry: Entry<'_, K, usize>, number: usize) -> Option<usize> {
    match entry {
        Entry::Occupied(there) => Some(*there.get()),
        Entry::Vacant(free) => {
            free.insert(number);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::rules::verdict;

    #[test]
    fn host_names() {
        for (text, want) in [
            ("example.org", "ok"),
            ("en_US.localhost", "ok"),
            ("*.example.org", "ok"),
            ("[::1]", "ok"),
            ("127.0.0.1", "ok"),
            ("::1", "write [::1]"),
            ("[::1]:80", "write [::1]"),
            ("localhost:8080", "write localhost"),
            ("http://example.org/", "write example.org"),
            ("example.org.", "write example.org"),
            ("*", "bad-host-name"),
            ("www.*.org", "bad-host-name"),
            ("*example.org", "bad-host-name"),
            ("*.", "bad-host-name"),
            ("", "bad-host-name"),
            ("a..b", "bad-host-name"),
            ("bücher.de", "bad-host-name"),
            ("a b", "bad-host-name"),
            ("[x]", "bad-host-name"),
        ] {
            assert_eq!(verdict(host_name(text)), want, "{text}");
        }
        assert_eq!(host_name("WWW.Example.ORG").as_deref(), Ok("www.example.org"));
    }

    #[test]
    fn listeners() {
        let read = |text| listen(text, Path::new("/etc/web"));
        for (text, want) in [
            ("http://*:80", Listen::plain(Place::Any { port: 80 })),
            ("http://*", Listen::plain(Place::Any { port: 80 })),
            ("https://*", Listen::secure(Place::Any { port: 443 })),
            ("https://*:8443", Listen::secure(Place::Any { port: 8443 })),
            ("https://[::1]", Listen::secure(Place::Addr("[::1]:443".parse().unwrap()))),
            ("http://127.0.0.1:8080", Listen::plain(Place::Addr(([127, 0, 0, 1], 8080).into()))),
            ("http://localhost:0", Listen::plain(Place::Addr(([127, 0, 0, 1], 0).into()))),
            ("http://[::1]:80", Listen::plain(Place::Addr("[::1]:80".parse().unwrap()))),
            ("http://[::1]", Listen::plain(Place::Addr("[::1]:80".parse().unwrap()))),
            ("unix:/run/web.sock", Listen::plain(Place::Unix("/run/web.sock".into()))),
            ("unix:web.sock", Listen::plain(Place::Unix("/etc/web/web.sock".into()))),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(120));
        for (text, want) in [
            ("8080", "write http://*:8080"),
            (":8080", "write http://*:8080"),
            ("127.0.0.1:80", "write http://127.0.0.1:80"),
            ("http://*:80/", "write http://*:80"),
            ("http://*:99999", "bad-listen"),
            ("http://*:+80", "bad-listen"),
            ("http://example.org:80", "bad-listen"),
            ("http://::1:80", "bad-listen"),
            ("http://[127.0.0.1]:80", "bad-listen"),
            ("ftp://*:21", "bad-listen"),
            ("", "bad-listen"),
            ("unix:", "bad-path"),
            ("https://*:443/", "write https://*:443"),
            ("https://example.org", "bad-listen"),
            ("https://unix:/run/web.sock", "write unix:/run/web.sock"),
            ("http://unix:///run/web.sock", "write unix:/run/web.sock"),
            ("systemd:web", "not-yet"),
            (&long, "out-of-range"),
        ] {
            assert_eq!(verdict(read(text)), want, "{text}");
        }
    }

    #[test]
    fn collisions() {
        for (a, b, want) in [
            ("http://*:80", "http://*:80", true),
            ("http://*:80", "http://127.0.0.1:80", true),
            ("http://0.0.0.0:80", "http://127.0.0.1:80", true),
            ("http://0.0.0.0:80", "http://[::1]:80", false),
            ("http://127.0.0.1:80", "http://127.0.0.2:80", false),
            ("http://*:80", "http://*:81", false),
            ("http://*:80", "https://*:80", true),
            ("http://*:0", "http://*:0", false),
            ("unix:a", "unix:a", true),
            ("unix:a", "http://*:0", false),
        ] {
            let read = |text| listen(text, Path::new("")).unwrap();
            for (a, b) in [(a, b), (b, a)] {
                let mut taken = Taken::default();
                assert_eq!(taken.take(&read(a), 0), None);
                assert_eq!(taken.take(&read("http://127.0.0.9:9"), 1), None);
                assert_eq!(taken.take(&read(b), 2), want.then_some(0), "{a} {b}");
            }
        }
    }
}
