//! The pages as askama templates, and what they are filled with.

use super::draft::{self, Draft, Problem};
use super::store::{Page, Picture, Quote};
use crate::http::date::{civil, iso8601};
use askama::Template;

/// What every page shows around its own part.
#[derive(Debug, Default)]
pub struct Frame {
    /// Where the site is mounted, without slash at the end: "" or "/quotes".
    pub root: String,
    /// Who is logged in.
    pub user: Option<String>,
    /// For the forms.
    pub csrf: String,
    /// Which page of the navigation this is.
    pub here: &'static str,
    /// What the request before had to say.
    pub flashes: Vec<Flash>,
}

/// A message that is shown once.
#[derive(Debug)]
pub struct Flash {
    /// Something did not work.
    pub bad: bool,
    /// A sentence.
    pub text: String,
}

/// A quote, ready to be shown.
#[derive(Debug)]
pub struct QuoteView {
    /// As in [`Quote::id`], and so with the others.
    pub id: i64,
    pub text: String,
    pub film: String,
    pub year: Option<u16>,
    pub character: String,
    pub picture: Option<Picture>,
    pub user_name: Option<String>,
    pub added_iso: String,
    pub added_day: String,
    pub edited: bool,
    pub changed_iso: String,
    pub changed_day: String,
    /// The colour of the ground that stands in for a picture, 0 to 7: the same for each quote of a
    /// film.
    pub hue: u32,
}

impl From<Quote> for QuoteView {
    fn from(quote: Quote) -> Self {
        Self {
            hue: hue(&quote.film),
            added_iso: iso(quote.added),
            added_day: day(quote.added),
            edited: quote.changed > quote.added,
            changed_iso: iso(quote.changed),
            changed_day: day(quote.changed),
            id: quote.id,
            text: quote.text,
            film: quote.film,
            year: quote.year,
            character: quote.character,
            picture: quote.picture,
            user_name: quote.user_name,
        }
    }
}

/// FNV-1a of the name: any even spread would do.
fn hue(film: &str) -> u32 {
    film.bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
        >> 24
        & 7
}

/// 21 November 2026, in UTC.
fn day(seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let civil = civil(seconds.max(0).unsigned_abs());
    let month = MONTHS.get(usize::from(civil.month).wrapping_sub(1));
    format!("{} {} {}", civil.day, month.unwrap_or(&""), civil.year)
}

/// The same for programs: 2026-11-21T10:55:36Z.
pub fn iso(seconds: i64) -> String {
    let mut out = Vec::new();
    iso8601(seconds.max(0).unsigned_abs(), 0, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The list of quotes, or what a search has found.
#[derive(Template)]
#[template(path = "list.html", config = "src/demo/askama.toml")]
pub struct ListPage {
    pub frame: Frame,
    pub search: String,
    pub page: Part,
    pub quotes: Vec<QuoteView>,
}

/// Which part of a list is shown.
pub struct Part {
    pub total: u64,
    pub number: u64,
    pub count: u64,
}

impl ListPage {
    pub fn new(frame: Frame, search: String, page: Page) -> Self {
        let part = Part { total: page.total, number: page.number, count: page.count };
        Self { frame, search, page: part, quotes: views(page.quotes) }
    }
}

pub fn views(quotes: Vec<Quote>) -> Vec<QuoteView> {
    quotes.into_iter().map(QuoteView::from).collect()
}

/// One quote.
#[derive(Template)]
#[template(path = "quote.html", config = "src/demo/askama.toml")]
pub struct QuotePage {
    pub frame: Frame,
    pub quote: QuoteView,
    /// Whether the reader may change it.
    pub own: bool,
}

/// One quote as it stands in lists, alone: what a live page is sent.
#[derive(Template)]
#[template(path = "card.html", config = "src/demo/askama.toml")]
pub struct Card<'a> {
    pub root: &'a str,
    pub quote: &'a QuoteView,
}

/// The form to add a quote (`id` is `None`) or to change one.
#[derive(Template)]
#[template(path = "edit.html", config = "src/demo/askama.toml")]
pub struct EditPage {
    pub frame: Frame,
    pub id: Option<i64>,
    pub draft: Draft,
    pub picture: Option<Picture>,
    pub problems: Vec<Problem>,
}

impl EditPage {
    /// The form for a new quote, or for this one.
    pub fn new(frame: Frame, id: Option<i64>, draft: Draft) -> Self {
        Self { frame, id, draft, picture: None, problems: Vec::new() }
    }

    /// What is wrong with a field; empty: nothing.
    fn problem(&self, field: &str) -> &str {
        problem(&self.problems, field)
    }
}

fn problem<'a>(problems: &'a [Problem], field: &str) -> &'a str {
    problems.iter().find(|problem| problem.field == field).map_or("", |problem| &problem.message)
}

/// Asks once more.
#[derive(Template)]
#[template(path = "delete.html", config = "src/demo/askama.toml")]
pub struct DeletePage {
    pub frame: Frame,
    pub quote: QuoteView,
}

/// The forms to log in and to register.
#[derive(Template)]
#[template(path = "login.html", config = "src/demo/askama.toml")]
pub struct LoginPage {
    pub frame: Frame,
    /// It is the one to register.
    pub register: bool,
    /// Whether this client may register.
    pub may_register: bool,
    /// Where to go afterwards: a path of this site.
    pub next: String,
    pub name: String,
    pub problems: Vec<Problem>,
}

impl LoginPage {
    fn problem(&self, field: &str) -> &str {
        problem(&self.problems, field)
    }
}

/// Tokens.
#[derive(Template)]
#[template(path = "account.html", config = "src/demo/askama.toml")]
pub struct AccountPage {
    pub frame: Frame,
    pub name: String,
    pub has_token: bool,
    /// A token that was just made: nobody will ever see it again.
    pub token: Option<String>,
}

/// The newest quotes, and those that come.
#[derive(Template)]
#[template(path = "live.html", config = "src/demo/askama.toml")]
pub struct LivePage {
    pub frame: Frame,
    pub quotes: Vec<QuoteView>,
    /// How many stay on the page.
    pub most: u32,
}

/// How to use the JSON interface.
#[derive(Template)]
#[template(path = "api.html", config = "src/demo/askama.toml")]
pub struct ApiPage {
    pub frame: Frame,
    /// Scheme, host and mount: what addresses begin with.
    pub base: String,
    pub per_page: u32,
    pub example: String,
    pub problem: String,
    pub text_max: usize,
    pub film_max: usize,
    pub year_min: u16,
}

/// Something is not there, or did not work.
#[derive(Template)]
#[template(path = "error.html", config = "src/demo/askama.toml")]
pub struct ErrorPage {
    pub frame: Frame,
    pub status: u16,
    pub title: String,
    pub text: String,
}
