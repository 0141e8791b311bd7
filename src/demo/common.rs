//! What all pages begin and end with.

use super::site::{Fail, Site, Trouble};
use super::store::{StoreError, User};
use super::throttle::Throttle;
use super::view::{Flash, Frame};
use crate::app::{Broadcast, Error, Reply, Request, Result};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// The site, as its handlers have it: on the loop.
pub struct Demo {
    /// What helpers are given.
    pub site: Arc<Site>,
    /// Who watches.
    pub live: Broadcast,
    /// Failed logins, by address and by name.
    pub failed_logins: Rc<RefCell<Throttle<String>>>,
    /// Registrations, by address.
    pub registrations: Rc<RefCell<Throttle<String>>>,
}

/// The form's category of flash messages that tell of something bad.
pub const BAD: &str = "bad";

/// A route that is given the site.
pub fn with<R: 'static>(
    demo: &Rc<Demo>,
    handler: fn(&Rc<Demo>, &mut Request<'_>) -> R,
) -> impl Fn(&mut Request<'_>) -> R + 'static {
    let demo = Rc::clone(demo);
    move |request| handler(&demo, request)
}

/// The number of the login that the session tells of. Whether it still counts, the store knows.
pub fn login_of(request: &Request<'_>) -> Option<String> {
    request.session().get_str("login").map(str::to_owned)
}

/// What is around a page. A page with forms of its own needs `with_form`: it begins a session, for
/// the token.
pub fn frame(
    request: &mut Request<'_>,
    user: Option<&User>,
    here: &'static str,
    with_form: bool,
) -> Frame {
    let flash =
        |flash: crate::app::Flash| Flash { bad: flash.category == BAD, text: flash.message };
    let csrf = if with_form || user.is_some() { request.csrf_token() } else { String::new() };
    Frame {
        root: request.script_root().into_owned(),
        user: user.map(|user| user.name.clone()),
        csrf,
        here,
        flashes: request.flashes().into_iter().map(flash).collect(),
    }
}

/// A page. It may differ for each reader, and after each login, so it is asked for again.
pub fn page<T: askama::Template>(template: &T) -> Reply {
    Reply::template(template).with_header("Cache-Control", "private, no-cache")
}

/// Work for a helper with the site and whoever is logged in; then an answer.
pub fn ask<T: Send + 'static>(
    demo: &Rc<Demo>,
    request: &Request<'_>,
    work: impl FnOnce(&Site, Option<User>) -> std::result::Result<T, Fail> + Send + 'static,
    answer: impl FnOnce(&mut Request<'_>, Option<User>, T) -> Result + 'static,
) -> Reply {
    let login = login_of(request);
    let site = Arc::clone(&demo.site);
    let work = move || {
        let user = site.user(login.as_deref())?;
        Ok((user.clone(), work(&site, user)?))
    };
    request.blocking(work).then(|request, done: std::result::Result<_, Fail>| {
        let (user, found) = done.map_err(failed)?;
        answer(request, user, found)
    })
}

/// The same for those who are logged in only; others are sent to log in, and come back to the page
/// that they wanted.
pub fn ask_as_user<T: Send + 'static>(
    demo: &Rc<Demo>,
    request: &Request<'_>,
    work: impl FnOnce(&Site, &User) -> std::result::Result<T, Fail> + Send + 'static,
    answer: impl FnOnce(&mut Request<'_>, User, T) -> Result + 'static,
) -> Reply {
    let work = |site: &Site, user: Option<User>| match &user {
        Some(user) => work(site, user).map(Some),
        None => Ok(None),
    };
    ask(demo, request, work, |request, user, found| match (user, found) {
        (Some(user), Some(found)) => answer(request, user, found),
        _ => Ok(to_login(request)),
    })
}

fn to_login(request: &mut Request<'_>) -> Reply {
    // A form cannot be come back to; its page can.
    let wanted: String = form_urlencoded::byte_serialize(request.path().as_bytes()).collect();
    request.flash("Please log in first.");
    Reply::redirect(request.url_for(&format!("/login?next={wanted}")))
}

/// What a client is told of what a helper could not do.
pub fn failed(fail: Fail) -> Error {
    match fail {
        Fail::Store(StoreError::NotFound) => Error::new(404, "no such quote"),
        Fail::Store(StoreError::NotYours) => Error::new(403, "the quote of somebody else"),
        Fail::Store(StoreError::Full) => Error::new(507, "a user or the site has all it may have"),
        other => match other.trouble() {
            Some(Trouble::DiskFull) => Error::new(507, other.to_string()),
            Some(Trouble::Busy) => {
                Error::new(503, other.to_string()).with_header("Retry-After", "5")
            }
            None => Error::from(other),
        },
    }
}

/// Whether the request comes from this machine, as far as can be told: one that somebody passed on
/// does not count, since those who pass on are often on this machine.
pub fn is_local(request: &Request<'_>) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let local = |address: &str| {
        address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    };
    local(&request.remote_addr()) && passed_on.iter().all(|name| request.header(name).is_none())
}

/// Where a client wants to go after it has logged in, if that is a page of this site.
pub fn next_of(request: &Request<'_>, wanted: Option<&str>) -> String {
    let wanted = wanted.filter(|wanted| wanted.len() <= NEXT_MAX);
    wanted.and_then(|wanted| request.local_url(wanted)).unwrap_or("/").to_owned()
}

/// Longer ones are not of this site.
const NEXT_MAX: usize = 500;
