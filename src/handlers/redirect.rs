//! Another place.
//!
//! The target is the operator's, what is filled in is the client's. Nothing a client sends may
//! decide to which host the answer leads: `{rest}` and `{query}` come after the authority, never in
//! or before it, and `{host}` is one that the configuration names.

use super::ANY_METHOD;
use crate::conf;
use crate::http::{HostName, HttpError, MethodSet, Status, escape};
use crate::serve::{Handler, Look, Plan, Request, Response};

/// Sends every request to another place.
pub struct RedirectHandler {
    pieces: Vec<Piece>,
    status: Status,
    /// The target says nothing about a query: the request's is kept.
    keeps_query: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The path below the route, without leading slash.
    Rest,
    /// The name asked for, without port.
    Host,
    /// What follows the `?`, without it.
    Query,
}

impl RedirectHandler {
    /// The redirect that `redirect` describes.
    pub fn new(redirect: conf::Redirect) -> Self {
        let mut pieces = parse(&redirect.to.value);
        guard_authority(&mut pieces);
        let keeps_query = !pieces.contains(&Piece::Query)
            && !pieces.iter().any(|p| matches!(p, Piece::Text(text) if text.contains('?')));
        Self { pieces, status: redirect.status, keeps_query }
    }

    fn location(&self, request: &Request) -> Result<Vec<u8>, HttpError> {
        let mut location = Vec::with_capacity(128);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => location.extend_from_slice(text.as_bytes()),
                Piece::Rest => escape::sent(rest(request), &mut location),
                Piece::Host => location.extend_from_slice(host(request)?),
                Piece::Query => {
                    escape::sent_query(request.query().unwrap_or_default(), &mut location);
                }
            }
        }
        if self.keeps_query {
            // A fragment ends a target, so the query goes before it (RFC 3986 §3).
            let hash = memchr::memchr(b'#', &location).unwrap_or(location.len());
            let fragment = location.split_off(hash);
            super::push_query(request, &mut location);
            location.extend_from_slice(&fragment);
        }
        Ok(escape::one_leading_slash(&location).to_vec())
    }
}

impl Handler for RedirectHandler {
    fn methods(&self) -> MethodSet {
        ANY_METHOD
    }

    fn plan(&self, request: &Request, _: &mut Look<'_>) -> Result<Plan, HttpError> {
        let location = self.location(request)?;
        Ok(Plan::Respond(Response::new(self.status).with_header("Location", &location)))
    }
}

/// Sends a request to the same place, encrypted: under the name it asked for, if that is one of the
/// host's, and otherwise under `own`, its first. Nothing that a client made up is repeated.
///
/// # Errors
/// 421 where `own` is no single name.
pub fn to_https(request: &Request, own: &str, port: u16) -> Result<Response, HttpError> {
    let name = match request.host_matched {
        true => host(request)?,
        false if own.starts_with('*') => {
            return Err(HttpError::new(
                Status::MISDIRECTED_REQUEST,
                "https only, and no name for it",
            ));
        }
        false => own.as_bytes(),
    };
    let mut location = [b"https://", name].concat();
    if port != 443 {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    escape::sent(escape::one_leading_slash(request.sent_path()), &mut location);
    super::push_query(request, &mut location);
    Ok(Response::new(Status::PERMANENT_REDIRECT).with_header("Location", &location))
}

/// The path below the route as it was sent, without leading slash.
fn rest(request: &Request) -> &[u8] {
    let below = request.sent_below(request.mount);
    below.strip_prefix(b"/").unwrap_or(below)
}

fn parse(mut target: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let names = [("{rest}", Piece::Rest), ("{host}", Piece::Host), ("{query}", Piece::Query)];
    while !target.is_empty() {
        let next = names.iter().filter_map(|(name, piece)| Some((target.find(name)?, name, piece)));
        let Some((at, name, piece)) = next.min_by_key(|(at, ..)| *at) else {
            pieces.push(Piece::Text(clean(target)));
            break;
        };
        let (before, rest) = target.split_at(at);
        if !before.is_empty() {
            pieces.push(Piece::Text(clean(before)));
        }
        pieces.push(piece.clone());
        target = rest.strip_prefix(name).unwrap_or_default();
    }
    pieces
}

/// Puts a slash between an authority and what a client could lengthen it with: without one,
/// `https://example.org{rest}` would lead to `example.org.evil.test`.
fn guard_authority(pieces: &mut Vec<Piece>) {
    let mut before = String::new();
    for at in 0..pieces.len() {
        match pieces.get(at) {
            Some(Piece::Text(text)) => before.push_str(text),
            Some(Piece::Host) => before.push('h'),
            Some(Piece::Rest | Piece::Query) | None => {
                let path = before.split_once("//").map_or(before.as_str(), |(_, rest)| rest);
                if !path.contains(['/', '?', '#']) {
                    pieces.insert(at, Piece::Text("/".into()));
                }
                return;
            }
        }
    }
}

/// Without control bytes, blanks and backslashes, which no target has; the configuration's reader has
/// refused them, with their place.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_control() && !matches!(c, ' ' | '\\')).collect()
}

/// The name asked for: repeated only where it is one of this host's, so that a request with a
/// strange `Host` cannot choose where others are led (by way of a cache).
fn host(request: &Request) -> Result<&[u8], HttpError> {
    let authority = request.head.authority().filter(|_| request.host_matched).ok_or_else(|| {
        HttpError::new(
            Status::MISDIRECTED_REQUEST,
            "a redirect to {host}, and no host has the name",
        )
    })?;
    let strange = || HttpError::bad_request("a strange name of a host");
    let name = HostName::parse(authority).ok_or_else(strange)?.name;
    // What goes into a header is looked at here, whoever has looked before.
    let clean = name.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~[]:".contains(b));
    if clean { Ok(name) } else { Err(strange()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::At;
    use crate::handlers::files::testing::{cx, request};
    use crate::serve::Head;

    fn location(to: &str, target: &str, mount: usize, host_matched: bool) -> Option<String> {
        let handler = RedirectHandler::new(conf::Redirect {
            to: At::implied(to.into()),
            status: Status::PERMANENT_REDIRECT,
        });
        let mut request = request("GET", target, &[]);
        request.mount = mount;
        request.host_matched = host_matched;
        let Ok(Plan::Respond(response)) = handler.plan(&request, &mut Look::new(&mut cx())) else {
            return None;
        };
        let Head::Fields(headers) = response.head else { return None };
        Some(String::from_utf8(headers.get("Location")?.to_vec()).unwrap())
    }

    #[test]
    fn targets_are_filled_in() {
        for (to, target, mount, want) in [
            ("/docs/{rest}", "/old/a/b", 5, "/docs/a/b"),
            ("/docs/{rest}", "/old/a%20%22b?x=1", 5, "/docs/a%20%22b?x=1"),
            ("/docs/{rest}?v=2", "/old/a?x=1", 5, "/docs/a?v=2"),
            ("/find?{query}&v=2", "/old/a?x=1", 5, "/find?x=1&v=2"),
            ("/a#top", "/old/?x=1", 5, "/a?x=1#top"),
            ("https://{host}/{rest}", "/a", 1, "https://h/a"),
            ("https://example.org{rest}", "/.evil.test", 1, "https://example.org/.evil.test"),
            ("{rest}", "/old/evil.test", 5, "/evil.test"),
            // As it was sent (RFC 3986 §2.2).
            (
                "/new/{rest}",
                "/old/a;b=1,c'd/%3B%3b[x]?q='[]%27",
                5,
                "/new/a;b=1,c'd/%3B%3b[x]?q='[]%27",
            ),
            ("/new/{rest}", "//old/.//http://e/./x", 5, "/new/.//http://e/./x"),
            ("/new/{rest}", "/old/x/../a;b", 5, "/new/a;b"),
            ("/new/{rest}", "/x/../old/a%2Fb", 5, "/new/a%2Fb"),
            ("/new/{rest}", "/old/\"<a>^`{|}", 5, "/new/%22%3Ca%3E%5E%60%7B%7C%7D"),
            ("/{rest}", "/old//evil.test", 5, "/evil.test"),
            ("/{rest}", "/old/./%2e//evil.test", 5, "/./%2e//evil.test"),
            ("/x{rest}", "/old", 4, "/x"),
            ("/{query}", "/old/?/evil.test", 5, "/evil.test"),
            ("/{query}", "/old/?\\evil.test", 5, "/%5Cevil.test"),
            ("/{rest}", "/old/%22evil.test", 5, "/%22evil.test"),
            ("//{rest}", "/old/evil.test", 5, "/evil.test"),
            ("/x\r\nSet-Cookie: a", "/", 1, "/xSet-Cookie:a"),
            ("/\\evil.test", "/", 1, "/evil.test"),
        ] {
            assert_eq!(location(to, target, mount, true).as_deref(), Some(want), "{to} {target}");
        }
    }

    #[test]
    fn encrypted_it_is_the_same_place() {
        for (matched, own, port, target, want) in [
            (true, "example.org", 443, "/a%20b?x=1", Some("https://h/a%20b?x=1")),
            (true, "example.org", 8443, "/", Some("https://h:8443/")),
            (false, "example.org", 443, "/a", Some("https://example.org/a")),
            (false, "*.example.org", 443, "/a", None),
            (true, "*.example.org", 443, "/a", Some("https://h/a")),
            (true, "h", 443, "/a;b/%3B//c?d;e='", Some("https://h/a;b/%3B//c?d;e='")),
            (true, "h", 443, "//evil.test/x/../@zz%2fy", Some("https://h/evil.test/@zz%2fy")),
        ] {
            let mut request = request("GET", target, &[]);
            request.host_matched = matched;
            let response = to_https(&request, own, port).ok();
            let location = response.map(|response| {
                let Head::Fields(headers) = response.head else { panic!() };
                String::from_utf8(headers.get("Location").unwrap().to_vec()).unwrap()
            });
            assert_eq!(location.as_deref(), want, "{target}");
        }
    }

    #[test]
    fn a_host_that_nobody_has_is_not_repeated() {
        assert_eq!(location("https://{host}/", "/", 1, false), None);
        assert_eq!(
            location("https://example.org/", "/", 1, false).unwrap(),
            "https://example.org/"
        );
    }
}
