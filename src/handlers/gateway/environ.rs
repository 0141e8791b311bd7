//! What a program is told of a request: the one place where it is decided (SECURITY 14).
//!
//! Built from nothing: the variables of RFC 3875 §4.1 and the request's header fields, never
//! anything of the server's own environment. CGI makes environment variables of it, WSGI entries of
//! a dictionary.

use crate::http::{BodyLength, HostName, Known};
use crate::serve::{Peer, Request};
use std::io::Write;

/// A request as a program sees it.
#[derive(Clone, Copy, Debug)]
pub struct Environ<'a> {
    /// The request.
    pub request: &'a Request,
    /// The name of the host that answers; `None` for one that was given none.
    pub server_name: Option<&'a str>,
    /// The part of the decoded path that leads to the program.
    pub script_name: &'a [u8],
    /// What follows it: empty, or begins with `/`.
    pub path_info: &'a [u8],
    /// Bytes of the body; `None`: there is none.
    pub content_length: Option<u64>,
    /// Whether the program may see the client's credentials.
    pub authorization: bool,
}

impl Environ<'_> {
    /// Shows each variable once, as name and value. Names are made of capital letters, digits and
    /// `_`, values have no NUL.
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let mut scratch = Vec::with_capacity(64);
        self.each_of_request(visit);
        self.each_of_server(&mut scratch, visit);
        self.each_of_client(&mut scratch, visit);
        self.each_field(scratch, visit);
    }

    fn each_of_request(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let head = &self.request.head;
        // After an internal redirect the method is another one than was sent.
        let method = match head.method().as_str() {
            "" => head.method_text(),
            named => named.as_bytes(),
        };
        visit(b"REQUEST_METHOD", method);
        if head.target().first() == Some(&b'/') {
            visit(b"REQUEST_URI", head.target());
        } else {
            // An absolute target, as it would have been sent to the host itself.
            let query = head.query().map(|query| [b"?", query].concat()).unwrap_or_default();
            visit(b"REQUEST_URI", &[head.raw_path(), &query].concat());
        }
        visit(b"SCRIPT_NAME", self.script_name);
        visit(b"PATH_INFO", self.path_info);
        visit(b"QUERY_STRING", self.request.query().unwrap_or_default());
        // Who says that there are no bytes is not the same as who says nothing.
        let is_said = matches!(self.request.body_length, BodyLength::Length(_));
        let says_none = is_said && !self.request.is_redirected();
        if let Some(length) = self.content_length.or(says_none.then_some(0)) {
            visit(b"CONTENT_LENGTH", itoa::Buffer::new().format(length).as_bytes());
        }
        // A body that was meant for another path is not this one's.
        if let Some(media_type) =
            head.get(Known::ContentType).filter(|_| !self.request.is_redirected())
        {
            visit(b"CONTENT_TYPE", media_type);
        }
    }

    fn each_of_server(&self, name: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let request = self.request;
        self.name_of_server(name);
        visit(b"SERVER_NAME", name);
        let port = match (request.port, request.secure) {
            (0, true) => 443,
            (0, false) => 80,
            (port, _) => port,
        };
        visit(b"SERVER_PORT", itoa::Buffer::new().format(port).as_bytes());
        visit(b"SERVER_PROTOCOL", request.head.version().as_str().as_bytes());
        visit(b"SERVER_SOFTWARE", b"httpyserver");
        visit(b"REQUEST_SCHEME", if request.secure { b"https" } else { b"http" });
        if request.secure {
            visit(b"HTTPS", b"on");
            if let Some(version) = self.request.tls_version {
                visit(b"SSL_PROTOCOL", version.as_bytes());
            }
        }
    }

    /// The name asked for, where the host has it; what a stranger was called by is not repeated.
    fn name_of_server(&self, name: &mut Vec<u8>) {
        name.clear();
        match self.server_name {
            Some(own) if !self.request.host_matched => {
                name.extend_from_slice(own.trim_start_matches("*.").as_bytes());
            }
            own => match self.request.head.authority().and_then(HostName::parse) {
                Some(asked) => asked.to_lower(name),
                None => name.extend_from_slice(own.unwrap_or("localhost").as_bytes()),
            },
        }
    }

    fn each_of_client(&self, peer: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8], &[u8])) {
        peer.clear();
        // A vector takes all that is written to it.
        let _ = write!(peer, "{}", self.request.peer);
        visit(b"REMOTE_ADDR", peer);
        // Names of clients are not looked up: RFC 3875 §4.1.9 lets the address stand for it.
        visit(b"REMOTE_HOST", peer);
        if let Peer::Ip(_, port) = self.request.peer {
            visit(b"REMOTE_PORT", itoa::Buffer::new().format(port).as_bytes());
        }
        if let Some(user) = &self.request.user {
            visit(b"AUTH_TYPE", b"Basic");
            visit(b"REMOTE_USER", user.as_bytes());
        } else if let Some(client) = &self.request.client {
            visit(b"AUTH_TYPE", b"CLIENT_CERT");
            visit(b"REMOTE_USER", client.as_bytes());
        }
    }

    /// Header fields as `HTTP_*`; lines of the same name are one variable (RFC 3875 §4.1.18).
    fn each_field(&self, mut variable: Vec<u8>, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let head = &self.request.head;
        let mut joined = Vec::new();
        for (at, (name, first)) in head.fields().enumerate() {
            let is_same = |(other, _): &(&[u8], &[u8])| other.eq_ignore_ascii_case(name);
            if !self.is_told(name) || head.fields().take(at).any(|field| is_same(&field)) {
                continue;
            }
            variable.clear();
            variable.extend_from_slice(b"HTTP_");
            variable.extend(name.iter().map(|byte| match byte {
                b'-' => b'_',
                byte => byte.to_ascii_uppercase(),
            }));
            // An absolute target names the host, whatever the field says (RFC 9112 §3.2.2).
            if variable == b"HTTP_HOST" {
                visit(&variable, head.authority().unwrap_or(first));
                continue;
            }
            let mut value = first;
            for (_, more) in head.fields().skip(at + 1).filter(is_same) {
                if joined.is_empty() {
                    joined.extend_from_slice(first);
                }
                joined.extend_from_slice(if variable == b"HTTP_COOKIE" { b"; " } else { b", " });
                joined.extend_from_slice(more);
            }
            if !joined.is_empty() {
                value = &joined;
            }
            visit(&variable, value);
            joined.clear();
        }
    }

    /// Whether a field becomes a variable. Not so a name that could pose as another one: with
    /// letters, digits and `-` alone, no two become the same variable.
    fn is_told(&self, name: &[u8]) -> bool {
        let is_plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        is_plain
            && !UNTOLD.iter().any(|other| is(other))
            && (self.authorization || !is("Authorization"))
    }
}

/// Fields that are no program's business: what is between client and server, what has a variable of
/// its own, and `Proxy`, which would become the setting of a proxy (CVE-2016-5385).
const UNTOLD: [&str; 12] = [
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Expect",
    "Content-Length",
    "Content-Type",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::request;
    use crate::serve::InternalRedirect;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn shown(environ: Environ<'_>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        environ.each(&mut |name, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let before = all.insert(text(name), text(value));
            assert!(before.is_none(), "{:?} twice", text(name));
        });
        all
    }

    fn environ(request: &Request) -> Environ<'_> {
        Environ {
            request,
            server_name: None,
            script_name: b"/cgi/x",
            path_info: b"/a b",
            content_length: None,
            authorization: false,
        }
    }

    #[test]
    fn every_variable_is_there() {
        let fields = [("Content-Type", "text/x"), ("Content-Length", "3"), ("X-One", "1")];
        let mut request = request("POST", "/cgi/x/a%20b?q=%31", &fields);
        request.peer = Peer::Ip("::1".parse().unwrap(), 4711);
        (request.port, request.secure) = (8443, true);
        (request.client, request.tls_version) = (Some("CN=Ann".into()), Some("TLSv1.3"));
        let all = shown(Environ { content_length: Some(3), ..environ(&request) });
        let want = [
            ("AUTH_TYPE", "CLIENT_CERT"),
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", "text/x"),
            ("HTTPS", "on"),
            ("HTTP_HOST", "h:80"),
            ("HTTP_X_ONE", "1"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "q=%31"),
            ("REMOTE_ADDR", "::1"),
            ("REMOTE_HOST", "::1"),
            ("REMOTE_PORT", "4711"),
            ("REMOTE_USER", "CN=Ann"),
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_SCHEME", "https"),
            ("REQUEST_URI", "/cgi/x/a%20b?q=%31"),
            ("SCRIPT_NAME", "/cgi/x"),
            ("SERVER_NAME", "h"),
            ("SERVER_PORT", "8443"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", "httpyserver"),
            ("SSL_PROTOCOL", "TLSv1.3"),
        ];
        assert_eq!(all, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn a_password_says_more_than_a_certificate() {
        let mut request = request("GET", "/", &[]);
        (request.client, request.user) = (Some("CN=Ann".into()), Some("ann".into()));
        let all = shown(environ(&request));
        assert_eq!((&*all["AUTH_TYPE"], &*all["REMOTE_USER"]), ("Basic", "ann"));
    }

    #[test]
    fn nothing_poses_as_something_else() {
        let request = request(
            "GET",
            "/",
            &[
                ("Proxy", "http://evil"),
                ("PROXY", "http://evil"),
                ("X_Forwarded_For", "1.2.3.4"),
                ("X-Forwarded.For", "1.2.3.4"),
                ("X_Real", "no"),
                ("Authorization", "Basic x"),
                ("Connection", "close"),
                ("Expect", "100-continue"),
                ("X-!", "x"),
                ("X-Real", "real"),
            ],
        );
        let all = shown(environ(&request));
        let names: Vec<_> = all.keys().filter(|name| name.starts_with("HTTP_")).collect();
        assert_eq!(names, ["HTTP_HOST", "HTTP_X_REAL"]);
        assert!(!all.contains_key("CONTENT_LENGTH"));
        let on_demand = Environ { authorization: true, ..environ(&request) };
        assert_eq!(shown(on_demand)["HTTP_AUTHORIZATION"], "Basic x");
    }

    #[test]
    fn repeated_fields_are_one_variable() {
        let fields = [
            ("Cookie", "a=1"),
            ("X-A", "1"),
            ("cookie", "b=2"),
            ("x-a", "2"),
            ("X-A", ""),
            ("X-B", ""),
            ("x-b", "1"),
        ];
        let all = shown(environ(&request("GET", "/", &fields)));
        assert_eq!(all["HTTP_COOKIE"], "a=1; b=2");
        assert_eq!(all["HTTP_X_A"], "1, 2, ");
        assert_eq!(all["HTTP_X_B"], ", 1");
    }

    #[test]
    fn the_host_that_answers_is_named() {
        for (target, own, matched, want) in [
            ("/", None, false, ("h", "h:80", "/")),
            ("/", Some("example.org"), false, ("example.org", "h:80", "/")),
            ("/", Some("*.example.org"), false, ("example.org", "h:80", "/")),
            ("/", Some("*.example.org"), true, ("h", "h:80", "/")),
            ("http://A.Test:1?x", None, true, ("a.test", "A.Test:1", "/?x")),
            ("http://[::1]/p?", None, true, ("[::1]", "[::1]", "/p?")),
        ] {
            let mut request = request("GET", target, &[]);
            request.host_matched = matched;
            let all = shown(Environ { server_name: own, ..environ(&request) });
            let got = ["SERVER_NAME", "HTTP_HOST", "REQUEST_URI"].map(|name| all[name].as_str());
            assert_eq!((got[0], got[1], got[2]), want, "{target} {own:?}");
        }
    }

    #[test]
    fn an_internal_redirect_is_a_get() {
        let fields = [("Content-Type", "text/x"), ("Content-Length", "3")];
        let mut request = request("POST", "/a?b", &fields);
        request.redirect(InternalRedirect::to(b"/c%20d?e").unwrap()).unwrap();
        let all = shown(environ(&request));
        assert_eq!(all["REQUEST_METHOD"], "GET");
        assert_eq!((&*all["QUERY_STRING"], &*all["REQUEST_URI"]), ("e", "/a?b"));
        assert!(!all.contains_key("CONTENT_TYPE"));
    }

    proptest! {
        /// Whatever fields come: names a program can have, no value with a NUL, none twice.
        #[test]
        fn names_are_clean(fields in proptest::collection::vec(("[!-9;-~]{1,12}", "[ -~]{0,8}"), 0..8)) {
            let clean = |name: &str| name.bytes().all(crate::http::bytes::is_tchar);
            let unknown = |name: &str| Known::from_name(name.as_bytes()).is_none();
            let fields: Vec<_> = fields
                .iter()
                .filter(|(name, _)| clean(name) && unknown(name))
                .map(|(name, value)| (name.as_str(), value.trim()))
                .collect();
            let request = request("GET", "/", &fields);
            for (name, value) in shown(environ(&request)) {
                let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                prop_assert!(name.bytes().all(plain), "{name}");
                prop_assert!(!value.contains('\0'));
                prop_assert!(name != "HTTP_PROXY");
            }
        }
    }
}
