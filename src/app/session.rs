//! Sessions: a signed cookie that clients can read and cannot write, as Flask has them.
//!
//! `base64url(JSON) . seconds since 1970 . base64url(HMAC-SHA256 of both)`. Whatever is wrong with
//! a cookie, it is as if there were none.

use crate::http::base64;
use aws_lc_rs::{constant_time, hmac, rand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::time::Duration;

/// How an application keeps its sessions.
pub(super) struct Sessions {
    pub(super) key: Option<SecretKey>,
    /// The key ends with the program, and nobody was told yet.
    pub(super) warns_of_key: Cell<bool>,
    /// The name of their cookie.
    pub(super) cookie: String,
    /// How long they last; `None`: as long as the browser runs.
    pub(super) age: Option<Duration>,
}

impl Sessions {
    /// The session of a client with this cookie.
    pub(super) fn open(&self, cookie: Option<&str>, now: u64) -> Session {
        let age = self.age.unwrap_or(AGE_MAX);
        let opened = self.key.as_ref().zip(cookie);
        opened.and_then(|(key, text)| Session::open(text, key, now, age)).unwrap_or_default()
    }
}

/// What a client is remembered by. Everything in it can be read by the client.
///
/// ```
/// use httpyserver::{App, Request};
///
/// fn count(request: &mut Request<'_>) -> String {
///     let n: u32 = request.session().get("n").unwrap_or(0) + 1;
///     request.session_mut().set("n", n);
///     n.to_string()
/// }
/// let client = App::new().secret_key("a long and random text").get("/", count).test();
/// client.get("/").send();
/// assert_eq!(client.get("/").send().text(), "2");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    values: Map<String, Value>,
    changed: bool,
}

/// A message for the next page: see [`Request::flash`](super::Request::flash).
///
/// ```
/// use httpyserver::{App, Flash};
///
/// let client = App::new()
///     .post("/", |request| request.flash("Saved."))
///     .get("/", |request| {
///         let show = |Flash { category, message }| format!("<p class={category}>{message}</p>");
///         request.flashes().into_iter().map(show).collect::<String>()
///     })
///     .test();
/// client.post("/").send();
/// assert_eq!(client.get("/").send().text(), "<p class=message>Saved.</p>");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flash {
    /// Its kind: `message`, unless another was said.
    pub category: String,
    /// Its text.
    pub message: String,
}

/// The key that sessions are signed with.
pub(super) struct SecretKey(hmac::Key);

/// Browsers keep no larger cookie (RFC 6265 §6.1).
const COOKIE_MAX: usize = 4096;

/// Session cookies older than this are no longer taken, whatever the browser thinks of them.
pub(super) const AGE_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

const FLASHES: &str = "_flashes";
const CSRF: &str = "_csrf";

impl Session {
    /// A value, if it is there and a `T`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("n", 7);
    ///     session.get::<u32>("n").map(|n| n.to_string())
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "7");
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_value(self.values.get(key)?.clone()).ok()
    }

    /// A text, if it is there and one.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("user", "ali");
    ///     session.get_str("user").unwrap_or("none").to_owned()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "ali");
    /// ```
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }

    /// Whether there is a value.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("user", "ali");
    ///     session.contains("user").to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "true");
    /// ```
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Sets a value. What cannot be written as JSON becomes null. All of a session fits into a
    /// cookie of 4096 bytes, or it is not kept.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("items", ["a", "b"]);
    ///     session.get::<Vec<String>>("items").map(|items| items.join("+"))
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "a+b");
    /// ```
    pub fn set<T: Serialize>(&mut self, key: &str, value: T) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.changed |= self.values.get(key) != Some(&value);
        self.values.insert(key.to_owned(), value);
    }

    /// Removes a value.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("user", "ali");
    ///     session.remove("user");
    ///     session.contains("user").to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "false");
    /// ```
    pub fn remove(&mut self, key: &str) {
        self.changed |= self.values.remove(key).is_some();
    }

    /// Removes everything: at logout.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.set("user", "ali");
    ///     session.clear();
    ///     session.is_empty().to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "true");
    /// ```
    pub fn clear(&mut self) {
        self.changed |= !self.values.is_empty();
        self.values.clear();
    }

    /// Has the next CSRF token be another one: at login, so that what somebody learned of the
    /// session before is worth nothing after.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let before = request.csrf_token();
    ///     request.session_mut().renew();
    ///     (before != request.csrf_token()).to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "true");
    /// ```
    pub fn renew(&mut self) {
        self.remove(CSRF);
    }

    /// Whether nothing is in it.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let session = request.session_mut();
    ///     session.is_empty().to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "true");
    /// ```
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn flash(&mut self, category: &str, message: String) {
        let flash = Flash { category: category.to_owned(), message };
        let mut flashes: Vec<Flash> = self.get(FLASHES).unwrap_or_default();
        flashes.push(flash);
        self.set(FLASHES, flashes);
    }

    pub(super) fn has_flashes(&self) -> bool {
        self.contains(FLASHES)
    }

    pub(super) fn take_flashes(&mut self) -> Vec<Flash> {
        let flashes = self.get(FLASHES).unwrap_or_default();
        self.remove(FLASHES);
        flashes
    }

    pub(super) fn csrf_token(&mut self) -> String {
        if let Some(token) = self.get_str(CSRF) {
            return token.to_owned();
        }
        let mut bytes = [0; 32];
        if rand::fill(&mut bytes).is_err() {
            // Without randomness no form can be protected: an empty token is never accepted.
            return String::new();
        }
        let token = base64::encode(&bytes);
        self.set(CSRF, &token);
        token
    }

    pub(super) fn is_csrf_token(&self, token: &str) -> bool {
        self.get_str(CSRF).is_some_and(|own| {
            !own.is_empty()
                && constant_time::verify_slices_are_equal(own.as_bytes(), token.as_bytes()).is_ok()
        })
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// The value of the cookie; `None` where it would be too long.
    pub(super) fn seal(&self, key: &SecretKey, now: u64) -> Option<String> {
        let json = serde_json::to_vec(&self.values).ok()?;
        let signed = format!("{}.{now}", base64::encode(&json));
        let tag = hmac::sign(&key.0, signed.as_bytes());
        let sealed = format!("{signed}.{}", base64::encode(tag.as_ref()));
        (sealed.len() <= COOKIE_MAX - 256).then_some(sealed)
    }

    /// What a cookie says, if it was sealed with this key and not too long ago.
    pub(super) fn open(text: &str, key: &SecretKey, now: u64, age: Duration) -> Option<Self> {
        let (signed, tag) = text.rsplit_once('.')?;
        hmac::verify(&key.0, signed.as_bytes(), &base64::decode(tag)?).ok()?;
        let (json, sealed_at) = signed.split_once('.')?;
        let sealed_at: u64 = sealed_at.parse().ok()?;
        if now.saturating_sub(sealed_at) > age.as_secs() {
            return None;
        }
        let values = serde_json::from_slice(&base64::decode(json)?).ok()?;
        Some(Self { values, changed: false })
    }
}

impl SecretKey {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A key that nobody knows and that ends with the program.
    pub(super) fn random() -> Option<Self> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).ok()?;
        Some(Self::new(&secret))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(secret: &str) -> SecretKey {
        SecretKey::new(secret.as_bytes())
    }

    #[test]
    fn what_is_sealed_is_opened_and_what_is_forged_is_not() {
        let mut session = Session::default();
        session.set("user", "ali");
        let sealed = session.seal(&key("k"), 1000).unwrap();
        let open = |text: &str, secret: &str, now| {
            Session::open(text, &key(secret), now, Duration::from_secs(60))
        };
        assert_eq!(open(&sealed, "k", 1060).unwrap().get_str("user"), Some("ali"));
        assert!(open(&sealed, "k", 1061).is_none(), "too old");
        assert!(open(&sealed, "other", 1000).is_none());
        let (json, rest) = sealed.split_once('.').unwrap();
        let admin = base64::encode(br#"{"user":"root"}"#);
        for forged in [
            format!("{admin}.{rest}"),
            format!("{json}.{}", rest.replace("1000", "1001")),
            sealed[..sealed.len() - 1].to_owned(),
            format!("{sealed}A"),
            format!("{json}.1000."),
            format!("{json}.1000"),
            json.to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(open(&forged, "k", 1000).is_none(), "{forged}");
        }
    }

    #[test]
    fn a_session_that_is_too_long_is_not_sealed() {
        let mut session = Session::default();
        session.set("x", "y".repeat(4000));
        assert!(session.seal(&key("k"), 0).is_none());
    }

    #[test]
    fn csrf_tokens_are_compared_and_never_empty() {
        let mut session = Session::default();
        assert!(!session.is_csrf_token(""));
        let token = session.csrf_token();
        assert!(session.is_csrf_token(&token) && token.len() >= 43);
        assert!(!session.is_csrf_token("") && !session.is_csrf_token(&token[1..]));
        session.renew();
        assert!(!session.is_csrf_token(&token));
        assert_ne!(session.csrf_token(), token);
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..200, byte in 0u8..128) {
            let mut session = Session::default();
            session.set("user", "somebody with a name");
            let mut sealed = session.seal(&key("k"), 5).unwrap().into_bytes();
            let at = at % sealed.len();
            prop_assume!(sealed[at] != byte);
            sealed[at] = byte;
            if let Ok(text) = std::str::from_utf8(&sealed) {
                prop_assert!(Session::open(text, &key("k"), 5, AGE_MAX).is_none());
            }
        }
    }
}
