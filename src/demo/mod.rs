//! The demo site: quotes from films, with pictures, users and a live page, at
//! `handler = "moviequotes"`. It uses every part of the framework, as anybody else could.
//!
//! | file | what it answers |
//! |---|---|
//! | `pages` | the list, one quote, the forms |
//! | `account` | registering, logging in and out, tokens |
//! | `live` | quotes as they come, by server-sent events |
//! | `api` | the same as JSON |
//! | `common` | what all of them begin and end with |
//! | `draft`, `picture`, `password` | what is taken, and why something is not |
//! | `store` | SQLite: blocks, so it is used on the helper pool only |
//! | `view`, `templates/` | how it looks |

mod account;
mod api;
mod common;
mod draft;
mod live;
mod pages;
mod password;
mod picture;
mod random;
mod settings;
mod site;
mod store;
mod throttle;
mod view;

pub use picture::{Format, NoPicture, Probe, probe};
pub use settings::{Registration, Settings};

use crate::app::{App, Broadcast, Error, Options, Reply, Request, Result};
use common::{Demo, page, with};
use site::Site;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use view::{ErrorPage, Frame};

/// A form without a picture is shorter than this.
const BODY_MAX: u64 = 64 << 10;

/// Nothing is loaded from elsewhere, no script or style stands in a page, and no other site may put
/// a page of this one into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static FILES: &[(&str, &[u8])] = &[
    ("quotes.css", include_bytes!("assets/quotes.css")),
    ("live.js", include_bytes!("assets/live.js")),
    ("icon.svg", include_bytes!("assets/icon.svg")),
];

/// What makes the sites that `handler = "moviequotes"` in web.conf asks for:
///
/// ```toml
/// [[host.route]]
/// path    = "/"
/// handler = "moviequotes"
/// options = { data = "/var/lib/httpyserver/moviequotes", registration = "loopback", bcrypt_cost = 12 }
/// ```
///
/// A configuration that is loaded again finds the sites that are there, by the folder of their data:
/// who watches a live page goes on watching, and who is logged in stays so.
///
/// ```no_run
/// use httpyserver::{Server, demo};
///
/// Server::from_file("web.conf").handler("moviequotes", demo::handler()).run()?;
/// # Ok::<(), httpyserver::Failure>(())
/// ```
pub fn handler() -> impl Fn(&Options) -> Result<App> {
    // The site before the reload is still in service while the next one is built.
    let sites: RefCell<Vec<Weak<Demo>>> = RefCell::default();
    move |options| {
        let settings = read(options)?;
        let mut sites = sites.borrow_mut();
        sites.retain(|demo| demo.strong_count() > 0);
        let known = || sites.iter().filter_map(Weak::upgrade);
        if let Some(demo) = known().find(|demo| demo.site.settings == settings) {
            return Ok(build(&demo));
        }
        // With other settings it is still the site of its data.
        let before = known().find(|demo| demo.site.settings.data == settings.data);
        let demo = match before {
            Some(before) => before.with_settings(settings),
            None => Demo::new(settings)?,
        };
        sites.push(Rc::downgrade(&demo));
        Ok(build(&demo))
    }
}

/// The site with these settings, for embedding and for tests.
///
/// ```
/// use httpyserver::demo::{Settings, site};
///
/// let folder = tempfile::tempdir()?;
/// let client = site(Settings::new(folder.path().join("data")))?.test();
/// assert!(client.get("/?q=kansas").send().text().contains("Toto"));
/// # Ok::<(), httpyserver::Error>(())
/// ```
///
/// # Errors
/// No random numbers for the key of its sessions.
pub fn site(settings: Settings) -> Result<App> {
    Ok(build(&Demo::new(settings)?))
}

fn read(options: &Options) -> Result<Settings> {
    let data = options.path("data")?;
    let mut settings = Settings::new(data.unwrap_or_else(settings::default_data));
    if let Some(name) = options.str("registration")? {
        settings.registration = Registration::of_name(name).ok_or_else(|| {
            Error::new(500, "`registration` is \"loopback\", \"open\" or \"closed\"")
        })?;
    }
    if let Some(cost) = options.integer("bcrypt_cost")? {
        let taken = u32::try_from(cost).ok().filter(|cost| settings::BCRYPT_COSTS.contains(cost));
        settings.bcrypt_cost =
            taken.ok_or_else(|| Error::new(500, "`bcrypt_cost` is a number from 10 to 15"))?;
    }
    options.finish()?;
    Ok(settings)
}

impl Demo {
    fn new(settings: Settings) -> Result<Rc<Self>> {
        Ok(Rc::new(Self {
            site: Arc::new(Site::new(settings)?),
            live: Broadcast::new(live::BACKLOG),
            failed_logins: Rc::new(RefCell::new(account::login_throttle())),
            registrations: Rc::new(RefCell::new(account::registration_throttle())),
        }))
    }

    /// The same site with other settings: who watches hears of quotes that are added from now on, and
    /// who guessed has not a try more.
    fn with_settings(&self, settings: Settings) -> Rc<Self> {
        Rc::new(Self {
            site: Arc::new(Site::with_key(settings, self.site.key)),
            live: self.live.clone(),
            failed_logins: Rc::clone(&self.failed_logins),
            registrations: Rc::clone(&self.registrations),
        })
    }
}

fn build(demo: &Rc<Demo>) -> App {
    let pages = |app: App| {
        let app = app.body_limit(BODY_MAX).csrf_protect().default_error_handler(error_page);
        let app = pages::routes(app, demo);
        let app = account::routes(app, demo);
        live::routes(app, demo).get("/api", with(demo, api::document))
    };
    App::new()
        .secret_key(demo.site.key)
        .session_cookie("quotes")
        .session_age(store::LOGIN_AGE)
        .after(harden)
        .static_files("/static", FILES)
        .group("", pages)
        .group("/api", |app| api::routes(app.body_limit(BODY_MAX), demo))
        .default_error_handler(error_page)
}

fn harden(_: &mut Request<'_>, reply: &mut Reply) {
    reply.set_header("Content-Security-Policy", POLICY);
    reply.set_header("X-Content-Type-Options", "nosniff");
    reply.set_header("Referrer-Policy", "same-origin");
    reply.set_header("Cross-Origin-Opener-Policy", "same-origin");
    reply.set_header("Cross-Origin-Resource-Policy", "same-origin");
}

fn error_page(request: &mut Request<'_>, error: &Error) -> Reply {
    let status = error.status();
    let (title, text) = match status.as_u16() {
        403 => (
            "That is not allowed",
            "It belongs to somebody else, or the form was too old. Go back, load the page again \
             and try once more; cookies have to be allowed for it.",
        ),
        404 => {
            ("There is nothing here", "Perhaps the quote was deleted, or the address has a typo.")
        }
        405 => ("Not like this", "This address is there, but not for what was sent to it."),
        413 => ("That is too large", "A picture may have 8 MiB. Go back and choose a smaller one."),
        429 => ("One moment", "There were too many attempts. Wait a few minutes and try again."),
        503 => ("One moment", "Too many are here at once. Try again in a few seconds."),
        507 => (
            "No room for more",
            "You have added as many quotes as this site takes from one, or its disk is full.",
        ),
        400..500 => ("That did not work", "Something about the request was not right."),
        _ => ("Something broke", "It is not your fault, and it is in the log. Try again later."),
    };
    let frame = Frame { root: request.script_root().into_owned(), ..Frame::default() };
    let template =
        ErrorPage { frame, status: status.as_u16(), title: title.into(), text: text.into() };
    page(&template).with_status(status)
}
