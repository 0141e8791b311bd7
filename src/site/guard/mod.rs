//! Who may have what a route answers. Asked when the route is chosen, before anything else is said
//! of it; after an internal redirect too, by the guard of the place that it leads to.

mod check;
mod lock;
mod locks;

pub use check::Check;
pub(super) use locks::Locks;

use crate::conf::{Access, Client};
use crate::http::{HttpError, Method, Status};
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
    lines: Lines,
}

/// A cache that several people share must not hand on what was meant for those who were let in.
/// Requests with credentials are treated so anyway (RFC 9111 §3.5), unless the answer says `public`
/// or `s-maxage`; an address is nothing that a cache looks at. `private` beside either of them is
/// the stricter, which counts (§4.2.1).
const PRIVATE: &[u8] = b"Cache-Control: private\r\n";

/// Header lines of admitted answers.
#[derive(Debug)]
struct Lines {
    alone: Rc<[u8]>,
    with_policy: Option<WithPolicy>,
}

/// Behind those that the host has for encrypted requests.
#[derive(Debug)]
struct WithPolicy {
    policy: Rc<[u8]>,
    both: Rc<[u8]>,
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
    /// The guard of a route with this access, where it needs one. `policy`: the header lines of its
    /// host, for encrypted requests.
    pub(super) fn of(
        access: &Access,
        lock: Option<Rc<Lock>>,
        policy: Option<&Rc<[u8]>>,
    ) -> Option<Self> {
        let allow = access.allow.as_ref().map(|at| at.value.clone());
        let is_needed = allow.is_some() || lock.is_some();
        is_needed.then(|| Self { allow, lock, lines: Lines::new(policy) })
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
        self.lines.put(request);
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

impl Lines {
    fn new(policy: Option<&Rc<[u8]>>) -> Self {
        let both = |policy: &Rc<[u8]>| [&**policy, PRIVATE].concat().into();
        let with = |policy: &Rc<[u8]>| WithPolicy { policy: policy.clone(), both: both(policy) };
        Self { alone: PRIVATE.into(), with_policy: policy.map(with) }
    }

    /// Adds them to those that answers to the request carry, once.
    fn put(&self, request: &mut Request) {
        let lines = match (&request.policy_lines, &self.with_policy) {
            (None, _) => &self.alone,
            (Some(lines), Some(with)) if *lines == with.policy => &with.both,
            // They are there already: another guard has let it in, before an internal redirect.
            _ => return,
        };
        request.policy_lines = Some(lines.clone());
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
        let policy: Rc<[u8]> = Rc::from(*b"Strict-Transport-Security: max-age=1\r\n");
        let guard = Guard::of(&access, None, Some(&policy)).unwrap();
        for (before, want) in
            [(None, PRIVATE.to_vec()), (Some(policy.clone()), [&*policy, PRIVATE].concat())]
        {
            let mut request = Request::default();
            request.policy_lines = before;
            for _ in 0..2 {
                guard.admit(&mut request, Instant::now()).unwrap();
                assert_eq!(request.policy_lines.as_deref(), Some(&*want));
            }
        }
    }
}
