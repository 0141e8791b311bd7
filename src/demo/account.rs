//! Registering, logging in and out, and tokens for the JSON interface.

use super::common::{
    BAD, Demo, ask, ask_as_user, failed, frame, is_local, login_of, next_of, page, with,
};
use super::draft::Problem;
use super::settings::Registration;
use super::site::{Fail, Site, now};
use super::store::StoreError;
use super::throttle::Throttle;
use super::view::{AccountPage, LoginPage};
use super::{password, random};
use crate::StatusCode;
use crate::app::{App, Error, Reply, Request, Result};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// What tokens begin with, so that they are found where they should not lie.
const TOKEN_PREFIX: &str = "mq_";

/// So many logins of an address, or with a name, may fail within five minutes.
pub fn login_throttle() -> Throttle<String> {
    Throttle::new(10, 300)
}

/// So many may register from one address within an hour.
pub fn registration_throttle() -> Throttle<String> {
    Throttle::new(50, 3600)
}

pub fn routes(app: App, demo: &Rc<Demo>) -> App {
    app.get("/login", with(demo, login_form))
        .post("/login", with(demo, login))
        .get("/register", with(demo, register_form))
        .post("/register", with(demo, register))
        .post("/logout", with(demo, logout))
        .get("/account", with(demo, account))
        .post("/account/token", with(demo, token))
}

fn may_register(demo: &Demo, request: &Request<'_>) -> bool {
    match demo.site.settings.registration {
        Registration::Open => true,
        Registration::Loopback => is_local(request),
        Registration::Closed => false,
    }
}

/// Whose attempts are counted together: an address, or the 64 bits of an IPv6 address that one
/// customer shares with nobody.
fn neighbourhood(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("{:x}::/64", address.to_bits() >> 64),
        _ => address.to_owned(),
    }
}

/// Somebody who has just logged in.
struct Entered {
    login: String,
    name: String,
}

/// What both forms send.
struct Form {
    name: String,
    password: String,
    next: String,
}

impl Form {
    fn read(request: &Request<'_>) -> Self {
        let form = request.form();
        Self {
            name: form.get("name").unwrap_or_default().trim().to_owned(),
            password: form.get("password").unwrap_or_default().to_owned(),
            next: next_of(request, form.get("next")),
        }
    }
}

fn login_form(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let next = next_of(request, request.args().get("next"));
    entry(demo, request, false, next, String::new(), Vec::new())
}

fn register_form(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    if !may_register(demo, request) {
        return Err(Error::new(403, "registration is not open for this client"));
    }
    let next = next_of(request, request.args().get("next"));
    Ok(entry(demo, request, true, next, String::new(), Vec::new()))
}

fn entry(
    demo: &Rc<Demo>,
    request: &mut Request<'_>,
    register: bool,
    next: String,
    name: String,
    problems: Vec<Problem>,
) -> Reply {
    let may_register = may_register(demo, request);
    let frame = frame(request, None, "login", true);
    page(&LoginPage { frame, register, may_register, next, name, problems })
}

fn login(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let Form { name, password, next } = Form::read(request);
    // No name is longer; what is tried as one may be.
    let tried: String = name.to_lowercase().chars().take(password::NAME_MAX).collect();
    let from = format!("from {}", neighbourhood(&request.remote_addr()));
    let keys = [from, format!("as {tried}")];
    slow_down(&demo.failed_logins.borrow(), &keys)?;
    // Counted before the work is done: many at once are many.
    for key in &keys {
        demo.failed_logins.borrow_mut().failed(key.clone(), now());
    }
    let [from, by_name] = keys;
    let site = Arc::clone(&demo.site);
    let tried = name.clone();
    let before = login_of(request);
    let work = move || -> std::result::Result<Option<Entered>, Fail> {
        let store = site.store()?;
        let known = store.login_of(&tried)?;
        let hash = known.as_ref().map(|known| known.password.as_str());
        let right = password::verify(&password, hash, site.settings.bcrypt_cost);
        match known {
            Some(known) if right => enter(&site, known.user, known.name, before).map(Some),
            _ => Ok(None),
        }
    };
    let demo = Rc::clone(demo);
    Ok(request.blocking(work).then(move |request, entered| -> Result {
        match entered.map_err(failed)? {
            Some(entered) => {
                let mut failed_logins = demo.failed_logins.borrow_mut();
                // Of an address, what failed still counts: who guesses has a name of their own.
                failed_logins.take_back(&from);
                failed_logins.forget(&by_name);
                let hello = format!("Welcome back, {}.", entered.name);
                Ok(welcome(request, &entered, &hello, &next))
            }
            None => {
                let message = "The name or the password is wrong.".into();
                let problems = vec![Problem { field: "", message }];
                let form = entry(&demo, request, false, next, name, problems);
                Ok(form.with_status(StatusCode::FORBIDDEN))
            }
        }
    }))
}

fn register(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    if !may_register(demo, request) {
        return Err(Error::new(403, "registration is not open for this client"));
    }
    let Form { name, password, next } = Form::read(request);
    let problems = password::check(&name, &password);
    if !problems.is_empty() {
        let form = entry(demo, request, true, next, name, problems);
        return Ok(form.with_status(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let keys = [neighbourhood(&request.remote_addr())];
    slow_down(&demo.registrations.borrow(), &keys)?;
    let [key] = keys;
    demo.registrations.borrow_mut().failed(key, now());
    let site = Arc::clone(&demo.site);
    let wanted = name.clone();
    let before = login_of(request);
    let work = move || -> std::result::Result<Option<Entered>, Fail> {
        let store = site.store()?;
        if store.login_of(&wanted)?.is_some() {
            return Ok(None);
        }
        let hash = password::hash(&password, site.settings.bcrypt_cost)?;
        match store.add_user(&wanted, &hash, now()) {
            Ok(user) => enter(&site, user, wanted, before).map(Some),
            Err(StoreError::NameTaken) => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    let demo = Rc::clone(demo);
    Ok(request.blocking(work).then(move |request, entered| -> Result {
        match entered.map_err(failed)? {
            Some(entered) => {
                let hello = format!("Welcome, {}.", entered.name);
                Ok(welcome(request, &entered, &hello, &next))
            }
            None => {
                let message = "Somebody has this name already.".into();
                let problems = vec![Problem { field: "name", message }];
                let form = entry(&demo, request, true, next, name, problems);
                Ok(form.with_status(StatusCode::UNPROCESSABLE_ENTITY))
            }
        }
    }))
}

/// Logs a user in, and whoever was logged in with this browser out.
fn enter(
    site: &Site,
    user: i64,
    name: String,
    before: Option<String>,
) -> std::result::Result<Entered, Fail> {
    let login = random::hex::<16>()?;
    if let Some(before) = before {
        site.store()?.log_out(&before)?;
    }
    site.store()?.log_in(&login, user, now())?;
    Ok(Entered { login, name })
}

fn welcome(request: &mut Request<'_>, entered: &Entered, hello: &str, next: &str) -> Reply {
    let session = request.session_mut();
    // What an anonymous session held, its token too, is not trusted in this one.
    session.clear();
    session.renew();
    session.set("login", &entered.login);
    request.flash(hello);
    Reply::redirect(request.url_for(next))
}

fn slow_down(throttle: &Throttle<String>, keys: &[String]) -> Result<()> {
    match keys.iter().filter_map(|key| throttle.wait(key, now())).max() {
        Some(seconds) => {
            Err(Error::new(429, "too many attempts")
                .with_header("Retry-After", &seconds.to_string()))
        }
        None => Ok(()),
    }
}

fn logout(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let login = login_of(request);
    ask(
        demo,
        request,
        move |site, _| match login {
            Some(login) => Ok(site.store()?.log_out(&login)?),
            None => Ok(()),
        },
        |request, _, ()| {
            request.session_mut().clear();
            request.flash("You are logged out.");
            Ok(Reply::redirect(request.url_for("/")))
        },
    )
}

fn account(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    ask_as_user(
        demo,
        request,
        |_, _| Ok(()),
        |request, user, ()| {
            let frame = frame(request, Some(&user), "account", true);
            let (name, has_token) = (user.name, user.has_token);
            Ok(page(&AccountPage { frame, name, has_token, token: None }))
        },
    )
}

fn token(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let revoke = request.form().get("revoke").is_some();
    ask_as_user(
        demo,
        request,
        move |site, user| {
            if revoke {
                site.store()?.set_token(user.id, None)?;
                return Ok(None);
            }
            let token = format!("{TOKEN_PREFIX}{}", random::hex::<24>()?);
            site.store()?.set_token(user.id, Some(&random::digest(&token)))?;
            Ok(Some(token))
        },
        |request, user, token| match token {
            None => {
                request.flash_as(BAD, "The token is revoked.");
                Ok(Reply::redirect(request.url_for("/account")))
            }
            // Not after a redirect: then it would have to be kept somewhere.
            token => {
                let frame = frame(request, Some(&user), "account", true);
                let template = AccountPage { frame, name: user.name, has_token: true, token };
                Ok(page(&template).with_header("Cache-Control", "no-store"))
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::neighbourhood;

    #[test]
    fn who_has_many_addresses_is_counted_once() {
        let one = neighbourhood("2001:db8:1:2::1");
        assert_eq!(neighbourhood("2001:db8:1:2:ffff:1:2:3"), one);
        assert_ne!(neighbourhood("2001:db8:1:3::1"), one);
        assert_eq!(neighbourhood("192.0.2.7"), "192.0.2.7");
        assert_eq!(neighbourhood("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
        assert_ne!(neighbourhood("::ffff:192.0.2.7"), neighbourhood("::ffff:192.0.2.8"));
        assert_eq!(neighbourhood("unix"), "unix");
    }
}
