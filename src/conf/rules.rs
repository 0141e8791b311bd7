//! Which texts are allowed where: host names, addresses, paths, targets, media types.
//!
//! Pure functions of the text; both formats use them.

use super::Network;
use super::model::{Client, Listen, Place};
use super::network::NotNetwork;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Why a text is not allowed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The short name of the diagnostic.
    pub name: &'static str,
    /// What is wrong, as the end of a sentence that begins with the text: "has a port".
    pub why: String,
    /// What to write instead, if that can be said.
    pub instead: Option<String>,
}

impl Fault {
    fn new(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, why: why.into(), instead: None }
    }

    fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = Some(text.into());
        self
    }
}

/// A name of a host, lower case; `*.` at the beginning makes it a wildcard.
pub(super) fn host_name(text: &str) -> Result<String, Fault> {
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
pub(super) fn listen(text: &str, folder: &Path) -> Result<Listen, Fault> {
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
pub(super) fn client(text: &str) -> Result<Client, Fault> {
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

/// What a browser shows beside the fields for name and password; it is sent between quotes.
pub(super) fn realm(text: &str) -> Result<String, Fault> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.is_empty() || text.len() > 100 || !text.bytes().all(plain) {
        let why = "is not 1 to 100 characters of ASCII without quotes and backslashes";
        return Err(Fault::new("bad-value", why));
    }
    Ok(text.to_owned())
}

/// The places that are listened on, each with its number in the list.
#[derive(Default)]
pub(super) struct Taken {
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
    pub(super) fn take(&mut self, listen: &Listen, number: usize) -> Option<usize> {
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

/// The path of a route, an error page or a log rule: decoded, absolute, without detours.
pub(super) fn route_path(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-path", why);
    if !text.starts_with('/') {
        return Err(fault("does not begin with `/`").instead(format!("/{text}")));
    }
    if has_control(text) {
        return Err(fault("has a control character"));
    }
    if let Some((path, _)) = text.split_once(['?', '#']) {
        return Err(fault("has a query: routes look at the path only").instead(path));
    }
    if text.contains("//") {
        return Err(fault("has an empty segment `//`"));
    }
    if text.split('/').any(|segment| segment == ".." || segment == ".") {
        return Err(fault("has a `.` or `..` segment, which no request has after cleaning"));
    }
    if let Some(path) = text.strip_suffix('*') {
        return Err(fault("has a `*`: a path that ends in `/` is for everything below")
            .instead(format!("{}/", path.trim_end_matches('/'))));
    }
    if text.contains('*') {
        return Err(fault("has a `*`: it is no pattern, and no request would have it"));
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    if decoded != text {
        return Err(fault("is percent-encoded: paths are written decoded").instead(decoded));
    }
    Ok(text.to_owned())
}

/// The target of a redirect: a path of the same host or an HTTP URL, with placeholders.
pub(super) fn redirect_target(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-redirect", why);
    if has_control(text) {
        return Err(fault("has a control character"));
    }
    // It is sent in a header as it is; a browser would read `/\` as `//`, another host.
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(fault("has a character that must be percent-encoded here"));
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let (host, tail) = match rest {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None if text.starts_with("//") => {
            return Err(fault("begins with `//`, which is another host: write the URL or one `/`"));
        }
        None if text.starts_with('/') => ("", text),
        None => return Err(fault("is neither a path that begins with `/` nor an http(s) URL")),
    };
    if rest.is_some() && host.is_empty() {
        return Err(fault("has no host"));
    }
    // What the client sends may choose the page, never the site.
    if placeholders(host)?.iter().any(|name| *name != "host") {
        return Err(fault("lets the client choose the host: end the host with `/`"));
    }
    placeholders(tail).map(|_| text.to_owned())
}

/// The names in braces, which must be ones that there are.
fn placeholders(text: &str) -> Result<Vec<&str>, Fault> {
    let mut names = Vec::new();
    let mut pieces = text.split('{');
    let before = pieces.next().unwrap_or_default();
    let stray = || Fault::new("bad-redirect", "has a brace without its partner");
    if before.contains('}') {
        return Err(stray());
    }
    for piece in pieces {
        let (name, after) = piece.split_once('}').ok_or_else(stray)?;
        if after.contains('}') {
            return Err(stray());
        }
        if !["rest", "host", "query"].contains(&name) {
            let why = format!("has `{{{name}}}`: there are {{rest}}, {{host}} and {{query}}");
            return Err(Fault::new("bad-redirect", why));
        }
        names.push(name);
    }
    Ok(names)
}

/// A media type: `type/subtype`, perhaps with parameters.
pub(super) fn media_type(text: &str) -> Result<String, Fault> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let (main, sub) = essence.split_once('/').unwrap_or_default();
    if token(main) && token(sub) && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("bad-media-type", "is not a media type such as \"text/html\""))
    }
}

/// The name of an application, as routes call it.
pub(super) fn app_name(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new("bad-app", "is no name: letters, digits, `_` and `-`, up to 64"))
}

/// `module:callable` or a call of a factory, `module:create_app("x")`; without callable it is
/// `application`. What is in the parentheses, Python understands.
pub(super) fn wsgi_callable(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-app", why);
    let (module, callable) = text.split_once(':').unwrap_or((text, "application"));
    if let Some(path) = module.strip_suffix(".py").or(module.contains('/').then_some(module)) {
        let dotted = path.trim_start_matches("./").replace('/', ".");
        return Err(fault("is a file: modules are named with dots, seen from `dir`")
            .instead(format!("{dotted}:{callable}")));
    }
    let path = match callable.split_once('(') {
        Some((path, call)) if call.ends_with(')') && !has_control(call) => path,
        Some(_) => return Err(fault("is a call that does not end with `)`")),
        None => callable,
    };
    let identifier = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if !module.split('.').all(identifier) || !path.split('.').all(identifier) {
        return Err(fault("is no module and callable such as \"blog.wsgi:application\""));
    }
    Ok(format!("{module}:{callable}"))
}

/// The name of a variable of the environment.
pub(super) fn variable_name(text: &str) -> Result<(), Fault> {
    if text.is_empty() || text.contains('=') || has_control(text) {
        return Err(Fault::new("bad-value", "cannot be the name of a variable"));
    }
    Ok(())
}

/// A name that a shell can say.
pub(super) fn shell_variable(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins_well = !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit());
    if begins_well && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new("bad-value", "is no name of a variable: letters, digits and `_`"))
}

/// The value of a variable.
pub(super) fn variable_value(text: &str) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::new("bad-value", "has a NUL, which no variable can have"));
    }
    Ok(text.to_owned())
}

/// An extension: lower case, without its dot.
pub(super) fn extension(text: &str) -> Result<String, Fault> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    let fault = |why| Fault::new("bad-value", why);
    if bare.contains('.') {
        return Err(fault("has a dot inside: what follows the last dot counts"));
    }
    if bare.is_empty() || bare.contains(['/', ' ']) || has_control(bare) {
        return Err(fault("is no extension such as \"html\""));
    }
    Ok(bare.to_lowercase())
}

/// A charset: a token (RFC 9110 §8.3.2).
pub(super) fn charset(text: &str) -> Result<String, Fault> {
    let why = "is no charset such as \"utf-8\"; `false` adds none";
    if token(text) { Ok(text.to_owned()) } else { Err(Fault::new("bad-value", why)) }
}

/// The value of a header (RFC 9110 §5.5), ASCII only and not empty.
pub(super) fn header_value(text: &str) -> Result<String, Fault> {
    let visible = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if visible && !text.is_empty() && text.trim() == text {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("bad-value", "cannot be the value of a header"))
    }
}

/// A file below a folder: `index.html`, `app/index.html`.
pub(super) fn file_below(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-path", why);
    if let Some(bare) = text.strip_prefix('/') {
        return Err(fault("begins with `/`: it is seen from the folder").instead(bare));
    }
    let bad = |segment: &str| matches!(segment, "" | "." | "..");
    if text.split('/').any(bad) || has_control(text) {
        return Err(fault("is not a file below the folder"));
    }
    Ok(text.to_owned())
}

/// A file name without folders.
pub(super) fn file_name(text: &str) -> Result<String, Fault> {
    let fault = Fault::new("bad-path", "is more than a file name");
    file_below(text).and_then(|name| if text.contains('/') { Err(fault) } else { Ok(name) })
}

/// A path of the file system.
pub(super) fn file_path(text: &str) -> Result<PathBuf, Fault> {
    if text.is_empty() {
        return Err(Fault::new("bad-path", "is empty"));
    }
    if has_control(text) {
        return Err(Fault::new("bad-path", "has a control character"));
    }
    if text.starts_with('~') {
        let why = "begins with `~`, which only a shell fills in: write the whole path";
        return Err(Fault::new("bad-path", why));
    }
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{');
    let mut segments = text.split('/').filter_map(|segment| segment.strip_prefix('$'));
    if segments.any(|name| name.starts_with(is_name)) {
        let why = "has a variable, and none is filled in here: write the whole path";
        return Err(Fault::new("bad-path", why));
    }
    Ok(PathBuf::from(text))
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// RFC 9110 §5.6.2.
fn token(text: &str) -> bool {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ok` or what to write instead, or the name of the fault.
    fn verdict<T>(result: Result<T, Fault>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(Fault { instead: Some(text), .. }) => format!("write {text}"),
            Err(Fault { name, .. }) => name.to_owned(),
        }
    }

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

    #[test]
    fn route_paths() {
        for (text, want) in [
            ("/", "ok"),
            ("/a b/ü/", "ok"),
            ("/100%", "ok"),
            ("/.well-known/", "ok"),
            ("docs/", "write /docs/"),
            ("/docs/*", "write /docs/"),
            ("/docs*", "write /docs/"),
            ("/a?b=c", "write /a"),
            ("/a%20b", "write /a b"),
            ("", "write /"),
            ("/*.css/", "bad-path"),
            ("/*/x", "bad-path"),
            ("/a//b", "bad-path"),
            ("/a/../b", "bad-path"),
            ("/a/.", "bad-path"),
            ("/a\nb", "bad-path"),
        ] {
            assert_eq!(verdict(route_path(text)), want, "{text:?}");
        }
    }

    #[test]
    fn redirect_targets() {
        for (text, want) in [
            ("/docs/{rest}", true),
            ("https://{host}/x?{query}", true),
            ("http://example.org", true),
            ("https://example.org/{rest}", true),
            ("/", true),
            ("", false),
            ("docs", false),
            ("//evil.org/", false),
            ("/\\evil.org/", false),
            ("https:///x", false),
            ("https://example.org{rest}", false),
            ("https://{rest}/", false),
            ("ftp://example.org/", false),
            ("javascript:alert(1)", false),
            ("/a\r\nSet-Cookie: x", false),
            ("/ä", false),
            ("/{path}", false),
            ("/{rest", false),
            ("/rest}", false),
            ("/{rest}}", false),
        ] {
            assert_eq!(redirect_target(text).is_ok(), want, "{text:?}");
        }
    }

    #[test]
    fn small_words() {
        for (text, want) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("image/svg+xml", true),
            ("text", false),
            ("text/", false),
            ("/html", false),
            ("text/html\r\nX: y", false),
            ("te xt/html", false),
        ] {
            assert_eq!(media_type(text).is_ok(), want, "{text:?}");
        }
        for (text, want) in
            [(".HTML", "html"), ("md", "md"), ("tar.gz", "bad"), ("", "bad"), (".", "bad")]
        {
            assert_eq!(extension(text).unwrap_or_else(|_| "bad".into()), want, "{text:?}");
        }
        assert!(charset("utf-8").is_ok() && charset("").is_err() && charset("a b").is_err());
        assert!(header_value("no-cache").is_ok() && header_value("a\r\nb").is_err());
        assert!(file_below("a/b").is_ok() && file_below("../b").is_err());
        assert!(file_name("a").is_ok() && file_name("a/b").is_err() && file_name("/a").is_err());
        assert!(file_path("").is_err() && file_path("a\0").is_err() && file_path("../a").is_ok());
    }
}
