//! Users and what is remembered of them: a password is checked once in a while, not at each
//! request.

use crate::conf;
use crate::event::admission::TaskQueue;
use crate::http::{Credentials, HttpError, Known, Method, MethodSet, Status};
use crate::serve::Request;
use aws_lc_rs::{hmac, rand};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);

/// How many are.
const REMEMBERED_MAX: usize = 1000;

/// What stands for the hash of a user that there is not: no password makes it that anybody will
/// find, and it takes as long as others. The cost is put between the two.
const NOBODY: &str = "abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq";

/// What asks for a name and a password.
pub(in crate::site) struct Lock {
    users: HashMap<Box<str>, Arc<str>>,
    nobody: Arc<str>,
    methods: Option<MethodSet>,
    challenge: String,
    told: String,
    /// Under a key that nobody knows: what is remembered is neither the password nor a hash that
    /// could be looked for.
    key: hmac::Key,
    known: RefCell<HashMap<[u8; 32], Instant>>,
    queue: Rc<TaskQueue>,
}

/// What a lock makes of a request.
pub(super) enum Opened {
    /// It is not for this method.
    Unasked,
    /// Somebody who has been let in before.
    For(Rc<str>),
    /// A password that has to be checked first.
    Unknown(Credentials),
}

impl Lock {
    /// Checks wait in `queue`.
    pub(super) fn new(auth: &conf::Auth, users: &[conf::User], queue: Rc<TaskQueue>) -> Self {
        let cost = |user: &conf::User| user.hash.get(4..6).unwrap_or("10").to_owned();
        let dearest = users.iter().map(cost).max().unwrap_or_else(|| "10".to_owned());
        let mut key = [0; 32];
        // Without random numbers nothing is remembered under a key that somebody knows.
        let has_key = rand::fill(&mut key).is_ok();
        let users_of = |user: &conf::User| (user.name.as_str().into(), user.hash.as_str().into());
        Self {
            users: users.iter().filter(|_| has_key).map(users_of).collect(),
            nobody: format!("$2b${dearest}${NOBODY}").into(),
            methods: auth.methods,
            challenge: format!("Basic realm=\"{}\", charset=\"UTF-8\"", auth.realm),
            told: told(auth),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            known: RefCell::default(),
            queue,
        }
    }

    /// Whether requests with this method have to say who they are.
    pub(super) fn asks(&self, method: Method) -> bool {
        self.methods.is_none_or(|methods| methods.contains(method))
    }

    /// Looks at the credentials of a request.
    ///
    /// # Errors
    /// 401: there are none, or they are none.
    pub(super) fn open(&self, request: &Request, now: Instant) -> Result<Opened, HttpError> {
        if !self.asks(request.head.method()) {
            return Ok(Opened::Unasked);
        }
        let mut given = request.head.all(Known::Authorization);
        let credentials = match (given.next(), given.next()) {
            (None, _) => return Err(self.refuse("no credentials")),
            (Some(value), None) => Credentials::basic(value),
            (Some(_), Some(_)) => None,
        };
        let credentials =
            credentials.ok_or_else(|| self.refuse("credentials that are not understood"))?;
        Ok(match self.recall(&credentials, now) {
            Some(user) => Opened::For(user),
            None => Opened::Unknown(credentials),
        })
    }

    /// The answer to who is not let in.
    pub(super) fn refuse(&self, why: impl Into<std::borrow::Cow<'static, str>>) -> HttpError {
        HttpError::new(Status::UNAUTHORIZED, why).with_header("WWW-Authenticate", &self.challenge)
    }

    /// Somebody whose password was right not long ago.
    pub(super) fn recall(&self, credentials: &Credentials, now: Instant) -> Option<Rc<str>> {
        let until = *self.known.borrow().get(&self.digest(credentials))?;
        (now < until).then(|| credentials.user().into())
    }

    /// A password was right.
    pub(super) fn remember(&self, credentials: &Credentials, now: Instant) {
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED_MAX {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= REMEMBERED_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
        {
            known.remove(&oldest);
        }
        known.insert(self.digest(credentials), now + REMEMBERED);
    }

    fn digest(&self, credentials: &Credentials) -> [u8; 32] {
        let tag = hmac::sign(&self.key, credentials.as_bytes());
        let mut digest = [0; 32];
        digest.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }

    /// What the password of a user is compared with, and whether there is such a user at all.
    pub(super) fn hash(&self, user: &str) -> (Arc<str>, bool) {
        match self.users.get(user) {
            Some(hash) => (Arc::clone(hash), true),
            None => (Arc::clone(&self.nobody), false),
        }
    }

    /// Where checks wait.
    pub(super) fn queue(&self) -> &Rc<TaskQueue> {
        &self.queue
    }
}

fn told(auth: &conf::Auth) -> String {
    let users = match &auth.users {
        conf::Users::File(file) => format!("of {}", file.value.display()),
        conf::Users::Inline(users) => {
            let names: Vec<_> = users.iter().map(|user| user.value.name.as_str()).collect();
            names.join(", ")
        }
    };
    let methods = auth.methods.map(|methods| format!(" for {methods}")).unwrap_or_default();
    format!("users {users}{methods}, realm {:?}", auth.realm)
}

/// What it asks for, in words.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

/// Without what is secret.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("told", &self.told).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::base64::encode_padded;

    fn lock(users: &[(&str, u32)]) -> Rc<Lock> {
        let user = |(name, cost): &(&str, u32)| conf::User {
            name: (*name).to_owned(),
            hash: bcrypt::hash("sesame", *cost).unwrap(),
        };
        let users: Vec<_> = users.iter().map(user).collect();
        let auth = conf::Auth::of_one("ann", "");
        Rc::new(Lock::new(&auth, &users, Rc::new(super::super::check::Check::queue())))
    }

    fn credentials(user: &str, password: &str) -> Credentials {
        let value = format!("Basic {}", encode_padded(format!("{user}:{password}").as_bytes()));
        Credentials::basic(value.as_bytes()).unwrap()
    }

    #[test]
    fn a_right_password_is_remembered_for_a_while() {
        let (lock, now) = (lock(&[("ann", 4)]), Instant::now());
        let right = credentials("ann", "sesame");
        assert!(lock.recall(&right, now).is_none());
        lock.remember(&right, now);
        assert_eq!(lock.recall(&right, now + REMEMBERED / 2).as_deref(), Some("ann"));
        assert!(lock.recall(&right, now + REMEMBERED).is_none());
        for (user, password) in
            [("ann", "sesam"), ("an", "nsesame"), ("ann", ""), ("", "ann:sesame")]
        {
            assert!(lock.recall(&credentials(user, password), now).is_none(), "{user} {password}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (lock, now) = (lock(&[]), Instant::now());
        let nth = |n: usize| credentials("ann", &n.to_string());
        for n in 0..REMEMBERED_MAX + 10 {
            lock.remember(&nth(n), now + Duration::from_millis(n as u64));
        }
        assert_eq!(lock.known.borrow().len(), REMEMBERED_MAX);
        let later = now + Duration::from_secs(2);
        assert!(lock.recall(&nth(9), later).is_none());
        assert!(lock.recall(&nth(10), later).is_some());
        lock.remember(&nth(0), now + REMEMBERED * 2);
        assert_eq!(lock.known.borrow().len(), 1, "what is over makes room first");
    }

    #[test]
    fn nobody_costs_as_much_as_the_dearest() {
        let lock = lock(&[("ann", 4), ("bob", 5)]);
        assert!(lock.hash("bob").1);
        let (hash, is_user) = lock.hash("eve");
        assert!(!is_user);
        assert_eq!(hash.parse::<bcrypt::HashParts>().unwrap().get_cost(), 5);
        for password in ["", "sesame", "eve"] {
            assert!(!bcrypt::verify(password, &hash).unwrap(), "{password}");
        }
    }
}
