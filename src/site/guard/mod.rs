//! Who may have what a route answers. Asked when the route is chosen, before anything else is said
//! of it; after an internal redirect too, by the guard of the place that it leads to.

mod check;
mod lock;
mod locks;

pub use check::Check;
pub(super) use locks::Locks;

use crate::conf::{Access, Client};
use crate::http::{Headers, HttpError, Method, Status};
use crate::serve::{Peer, Request};
use lock::{Lock, Opened};
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// The guard of a route.
#[derive(Debug)]
pub struct Guard {
    /// The clients that are let in; `None`: all.
    allow: Option<Vec<Client>>,
    /// What asks for a password.
    lock: Option<Rc<Lock>>,
    /// What its answers carry.
    headers: AddedHeaders,
}

/// A cache that several people share must not hand on what was meant for those who were let in.
/// Requests with credentials are treated so anyway (RFC 9111 §3.5), unless the answer says `public`
/// or `s-maxage`; an address is nothing that a cache looks at. `private` beside either of them is
/// the stricter, which counts (§4.2.1).
const PRIVATE: (&str, &[u8]) = ("Cache-Control", b"private");

/// Headers of admitted answers.
#[derive(Debug)]
struct AddedHeaders {
    alone: Rc<Headers>,
    with_host: Option<WithHost>,
}

/// Behind those that the host has for encrypted requests.
#[derive(Debug)]
struct WithHost {
    host: Rc<Headers>,
    both: Rc<Headers>,
}

/// What a guard makes of a request.
#[derive(Debug)]
pub enum Authorization {
    /// It may go on.
    Open,
    /// It may go on once this exchange says so.
    Check(Check),
}

impl Guard {
    /// The guard of a route with this access, where it needs one. `host`: the headers of its
    /// host, for encrypted requests.
    pub(super) fn of(
        access: &Access,
        lock: Option<Rc<Lock>>,
        host: Option<&Rc<Headers>>,
    ) -> Option<Self> {
        let allow = access.allow.as_ref().map(|at| at.value.clone());
        let is_needed = allow.is_some() || lock.is_some();
        is_needed.then(|| Self { allow, lock, headers: AddedHeaders::new(host) })
    }

    /// Whether a request with this method is asked for anything.
    pub(super) fn asks(&self, method: Method) -> bool {
        self.allow.is_some() || self.lock.as_ref().is_some_and(|lock| lock.asks(method))
    }

    /// Whether it asks for the same as `other`.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let lock = |guard: &Self| guard.lock.as_ref().map(Rc::as_ptr);
        self.allow == other.allow && lock(self) == lock(other)
    }

    /// Lets a request in, or refuses it. Where both are asked for, address and password both have
    /// to be right.
    ///
    /// # Errors
    /// 403: its client is none of those that may. 401: it has to say who it is.
    pub fn admit(&self, request: &mut Request, now: Instant) -> Result<Authorization, HttpError> {
        let is_allowed = |allow: &Vec<Client>| allow.iter().any(|one| covers(*one, request.peer));
        if !self.allow.as_ref().is_none_or(is_allowed) {
            let reason = format!("{} is not among the clients that may", request.peer);
            return Err(HttpError::new(Status::FORBIDDEN, reason));
        }
        let user = match &self.lock {
            None => None,
            Some(lock) => match lock.open(request, now)? {
                Opened::Unasked if self.allow.is_none() => return Ok(Authorization::Open),
                Opened::Unasked => None,
                Opened::For(user) => Some(user),
                Opened::Unknown(credentials) => {
                    return Ok(Authorization::Check(Check::new(lock.clone(), credentials)));
                }
            },
        };
        self.welcome(request, user);
        Ok(Authorization::Open)
    }

    /// Notes on a request that it was let in, and as whose.
    pub fn welcome(&self, request: &mut Request, user: Option<Rc<str>>) {
        request.credentials_checked |= user.is_some();
        request.user = user;
        self.headers.put(request);
    }
}

/// Whether a client of an access list is this one.
fn covers(client: Client, peer: Peer) -> bool {
    match (client, peer) {
        (Client::Unix, Peer::Local) => true,
        (Client::Network(network), Peer::Ip(ip, _)) => network.contains(ip),
        _ => false,
    }
}

impl AddedHeaders {
    fn new(host: Option<&Rc<Headers>>) -> Self {
        let behind = |before: &Headers| {
            let mut headers = before.clone();
            headers.push(PRIVATE.0, PRIVATE.1);
            Rc::new(headers)
        };
        let with = |host: &Rc<Headers>| WithHost { host: host.clone(), both: behind(host) };
        Self { alone: behind(&Headers::new()), with_host: host.map(with) }
    }

    /// Adds them to those that answers to the request carry, once.
    fn put(&self, request: &mut Request) {
        let headers = match (&request.host_headers, &self.with_host) {
            (None, _) => &self.alone,
            (Some(headers), Some(with)) if *headers == with.host => &with.both,
            // They are there already: another guard has let it in, before an internal redirect.
            _ => return,
        };
        request.host_headers = Some(headers.clone());
    }
}

/// What it asks for, in words.
impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, client) in self.allow.iter().flatten().enumerate() {
            write!(f, "{}{client}", if n == 0 { "only " } else { ", " })?;
        }
        let between = if self.allow.is_some() { "; " } else { "" };
        self.lock.as_ref().map_or(Ok(()), |lock| write!(f, "{between}{lock}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{At, Network};

    fn client(text: &str) -> Client {
        let config = format!("[[host]]\nrespond = ''\nallow = '{text}'\n");
        let source = crate::conf::Source { name: String::new(), text: config };
        let (config, found) = crate::conf::load(source, std::path::Path::new("."), None);
        let config = config.unwrap_or_else(|| panic!("{}", found.render(false)));
        config.hosts[0].routes[0].access.allow.as_ref().unwrap().value[0]
    }

    #[test]
    fn addresses_are_let_in_or_not() {
        let allow = ["192.168.0.0/16", "127.0.0.1", "::1"].map(client).to_vec();
        let access = Access { allow: Some(At::implied(allow)), auth: None };
        let guard = Guard::of(&access, None, None).unwrap();
        for (peer, want) in [
            ("192.168.3.4", true),
            ("::ffff:192.168.3.4", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("127.0.0.2", false),
            ("::2", false),
            ("10.0.0.1", false),
        ] {
            let mut request = Request::default();
            request.peer = Peer::Ip(peer.parse().unwrap(), 9);
            assert_eq!(guard.admit(&mut request, Instant::now()).is_ok(), want, "{peer}");
        }
        assert!(guard.admit(&mut Request::default(), Instant::now()).is_err());
        assert!(covers(client("unix"), Peer::Local));
        assert!(
            matches!(client("::/0"), Client::Network(network) if !Network::contains(network, "1.2.3.4".parse().unwrap()))
        );
        assert_eq!(guard.to_string(), "only 192.168.0.0/16, 127.0.0.1, ::1");
    }

    #[test]
    fn answers_say_once_that_they_are_private() {
        let access = Access { allow: Some(At::implied(vec![Client::Unix])), auth: None };
        let mut host = Headers::new();
        host.push("Strict-Transport-Security", b"max-age=1");
        let host = Rc::new(host);
        let guard = Guard::of(&access, None, Some(&host)).unwrap();
        let private = "Cache-Control: private\r\n";
        let both = "Strict-Transport-Security: max-age=1\r\n".to_owned() + private;
        for (before, want) in [(None, private), (Some(host), &*both)] {
            let mut request = Request::default();
            request.host_headers = before;
            for _ in 0..2 {
                guard.admit(&mut request, Instant::now()).unwrap();
                assert_eq!(request.host_headers.as_ref().unwrap().as_bytes(), want.as_bytes());
            }
        }
    }
}
